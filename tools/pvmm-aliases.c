/* SPDX-License-Identifier: MIT */
/* pvmm-aliases DOMAIN FRAME...: who holds these frames? See man pvmm-aliases. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "census.h"
#include "report.h"
#include "tool.h"

/* Frames of a set that are looked for at a time: a stray mapping each is more than anybody reads.
 */
#define MAX_SET 4096u

enum set { SET_NONE, SET_FREE_LIST, SET_TABLES };

struct program {
	struct tool tool;
	bool json, all_domains, verbose, writable_only, by_pfn;
	enum set set;
	char **frames;
	unsigned int nr_frames;
	uint64_t *mfns;
	size_t nr_mfns;
	bool set_is_cut;
	struct search_result result;
};

static void print_help(FILE *out)
{
	fputs("usage: pvmm-aliases [OPTION...] DOMAIN FRAME...\n"
	      "       pvmm-aliases [OPTION...] DOMAIN --free-list|--tables\n"
	      "\n"
	      "Says who holds machine frames of a PV domain: every page-table entry that maps them,\n"
	      "in tables that are in use or not; roots, descriptor tables, grants.\n"
	      "\n"
	      "DOMAIN is a name or a number. FRAME is hexadecimal, a machine frame, as Xen prints it;\n"
	      "pfn:FRAME is the domain's own numbering.\n"
	      "\n"
	      "  --pfn              all FRAMEs are pfns\n"
	      "  --free-list        pages that the guest has as free and that are mapped somewhere besides\n"
	      "                     the direct map (kernels of this library)\n"
	      "  --tables           page tables that are mapped writable\n"
	      "  --writable         only writable mappings\n"
	      "  --all-domains      look through the tables of all other PV domains too\n"
	      "  --symbols=FILE     names: an ELF image, a System.map, or a copy of /proc/kallsyms\n"
	      "  --pause            pause the domain meanwhile: the picture of one moment\n"
	      "  --every-frame      ask Xen about every frame of the machine, whatever the p2m says\n"
	      "  --force            look at the domain that this runs in, too\n"
	      "  --json             one JSON document\n"
	      "  -v, --verbose      show the tables on the way to each address\n"
	      "  --progress         show progress even if it is no terminal\n"
	      "  -h, --help, --version\n"
	      "\n"
	      "Exit status: 0 something holds them; 1 nothing does; 2 usage; 3 no such domain;\n"
	      "4 no PV domain, or this one; 5 not on Xen, or no privilege; 6 the frame is not the\n"
	      "domain's; 7 the answer may be incomplete.\n",
	      out);
}

/* --- arguments --- */

enum { OPT_PFN = TOOL_OPT_OWN, OPT_FREE, OPT_TABLES, OPT_WRITABLE, OPT_ALL, OPT_JSON };

static const struct option options[] = {
	{"pfn", no_argument, NULL, OPT_PFN},
	{"free-list", no_argument, NULL, OPT_FREE},
	{"tables", no_argument, NULL, OPT_TABLES},
	{"writable", no_argument, NULL, OPT_WRITABLE},
	{"all-domains", no_argument, NULL, OPT_ALL},
	{"symbols", required_argument, NULL, TOOL_OPT_SYMBOLS},
	{"pause", no_argument, NULL, TOOL_OPT_PAUSE},
	{"every-frame", no_argument, NULL, TOOL_OPT_EVERY},
	{"force", no_argument, NULL, TOOL_OPT_FORCE},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, 'v'},
	{"progress", no_argument, NULL, TOOL_OPT_PROGRESS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, TOOL_OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* -1: go on; otherwise the program's status. */
static int take_option(struct program *p, int option)
{
	switch (option) {
	case OPT_PFN:
		p->by_pfn = true;
		return -1;
	case OPT_FREE:
		p->set = SET_FREE_LIST;
		return -1;
	case OPT_TABLES:
		p->set = SET_TABLES;
		return -1;
	case OPT_WRITABLE:
		p->writable_only = true;
		return -1;
	case OPT_ALL:
		p->all_domains = true;
		return -1;
	case OPT_JSON:
		p->json = true;
		return -1;
	case 'v':
		p->verbose = true;
		return -1;
	default:
		return tool_take_option(&p->tool, option, print_help);
	}
}

static int take_arguments(struct program *p, int argc, char **argv)
{
	int option, status = -1;

	while (status < 0 && (option = getopt_long(argc, argv, "hv", options, NULL)) != -1)
		status = take_option(p, option);
	if (status >= 0)
		return status;
	if (optind >= argc)
		return tool_fail(&p->tool, TOOL_USAGE, "no DOMAIN given (--help)");
	p->frames = argv + optind + 1;
	p->nr_frames = (unsigned int)(argc - optind - 1);
	if (!p->nr_frames && p->set == SET_NONE)
		return tool_fail(&p->tool, TOOL_USAGE, "no FRAME given (--help)");
	if (p->nr_frames && p->set != SET_NONE)
		return tool_fail(&p->tool, TOOL_USAGE, "FRAMEs and a set of them at once");
	return -1;
}

/* --- which frames --- */

static bool is_known(const struct program *p, uint64_t mfn)
{
	for (size_t i = 0; i < p->nr_mfns; i++)
		if (p->mfns[i] == mfn)
			return true;
	return false;
}

static int take_frame(struct program *p, const char *text)
{
	bool by_pfn = p->by_pfn, is_own;
	const char *digits = text;
	uint64_t frame, mfn;
	char *end;
	int err;

	if (!strncmp(text, "pfn:", 4) || !strncmp(text, "mfn:", 4)) {
		by_pfn = *text == 'p';
		digits += 4;
	}
	errno = 0;
	frame = strtoull(digits, &end, 16);
	if (errno || end == digits || *end || *digits == '-' || *digits == '+')
		return tool_fail(&p->tool, TOOL_USAGE,
				 "\"%s\" is no frame: a hexadecimal number is wanted", text);
	mfn = frame;
	err = by_pfn ? reader_find_pfn(&p->tool.reader, frame, &mfn) : 0;
	if (err == -EEXIST)
		return tool_fail(
			&p->tool, TOOL_NOT_OWN,
			"%s: several frames of the domain say that they are this pfn; ask by mfn",
			text);
	if (!err)
		err = reader_is_own(&p->tool.reader, mfn, &is_own);
	if (err == -ENOENT || (!err && !is_own))
		return tool_fail(&p->tool, TOOL_NOT_OWN, "%s is no frame of the domain's%s", text,
				 !by_pfn && mfn >= p->tool.dom.info.max_mfn
					 ? ": the machine has no such memory"
					 : "");
	if (err)
		return tool_fail_reading(&p->tool, err);
	if (!is_known(p, mfn))
		p->mfns[p->nr_mfns++] = mfn;
	return TOOL_OK;
}

static int take_frames(struct program *p)
{
	int status = TOOL_OK;

	p->mfns = calloc(p->nr_frames, sizeof(*p->mfns));
	if (!p->mfns)
		return tool_fail_reading(&p->tool, -ENOMEM);
	for (unsigned int i = 0; i < p->nr_frames && !status; i++)
		status = take_frame(p, p->frames[i]);
	return status;
}

/* Those of a set that are not as they should be. */
static int take_set(struct program *p)
{
	struct naming *n = p->tool.naming;
	struct census census;
	int err;

	if (p->set == SET_FREE_LIST && !n->inspect.is_known)
		return tool_fail(&p->tool, TOOL_WRONG_KIND,
				 "the free list is known of kernels of this library only");
	p->mfns = calloc(MAX_SET, sizeof(*p->mfns));
	if (!p->mfns)
		return tool_fail_reading(&p->tool, -ENOMEM);
	err = census_take(&p->tool.reader, &census);
	if (err)
		return tool_fail_reading(&p->tool, err);
	err = p->set == SET_FREE_LIST ? inspect_mark_free(&n->inspect, &census) : 0;
	if (!err)
		err = census_mark_strays(&p->tool.reader, &census, naming_direct_map(n),
					 n->inspect.walk.root);
	for (size_t i = 0; i < census.nr && !err; i++) {
		const struct census_frame *f = &census.frames[i];

		if (!(f->flags & CENSUS_STRAY) ||
		    (p->set == SET_FREE_LIST) != !!(f->flags & CENSUS_FREE))
			continue;
		if (p->nr_mfns < MAX_SET)
			p->mfns[p->nr_mfns++] = f->mfn;
		else
			p->set_is_cut = true;
	}
	census_free(&census);
	return err ? tool_fail_reading(&p->tool, err) : TOOL_OK;
}

/* --- the search --- */

/* Of a set, a page's own place in the direct map is nothing to be told. */
static bool is_own_place(void *ctx, const struct finding *f)
{
	struct program *p = ctx;
	struct place place;

	if (p->set == SET_NONE || f->holder != HOLDER_ENTRY || f->nr_addresses != 1)
		return false;
	naming_place(p->tool.naming, f->at[0].va, reader_pfn(&p->tool.reader, f->mfn), &place);
	return place.is_own_place;
}

/* The tables of another domain, if it is one whose tables can be looked at. */
static int search_domain(struct program *p, const struct search_request *request, uint32_t domid)
{
	const struct reader_options reading = {.stop = &tool_stop};
	struct reader reader;
	struct dom dom;
	int err = xen_dom_open(p->tool.xen, domid, &dom);

	if (err || dom.info.is_hvm || dom.info.is_dying || domid == p->tool.dom.info.domid)
		return err == -ESRCH ? 0 : err;
	err = reader_open(&reader, &dom, &reading);
	if (err)
		return err;
	err = search_foreign(&reader, request, &p->result);
	reader_close(&reader);
	return err;
}

static int search_others(struct program *p, const struct search_request *request)
{
	uint32_t *domids;
	size_t nr;
	int err = xen_list(p->tool.xen, &domids, &nr);

	if (err)
		return err;
	for (size_t i = 0; i < nr && !err; i++) {
		err = search_domain(p, request, domids[i]);
		if (err == -EINTR || err == -ENOMEM)
			break;
		if (err)
			tool_fail(&p->tool, 0, "domain %u cannot be looked at: %s", domids[i],
				  strerror(-err));
		err = 0;
	}
	free(domids);
	search_sort(&p->result);
	return err;
}

static int look(struct program *p)
{
	const struct search_request request = {
		.mfns = p->mfns,
		.nr_mfns = p->nr_mfns,
		.writable_only = p->writable_only || p->set == SET_TABLES,
		.ignore = is_own_place,
		.ignore_ctx = p,
	};
	int err = search(&p->tool.reader, &request, &p->result);

	if (!err && p->all_domains)
		err = search_others(p, &request);
	return err ? tool_fail_reading(&p->tool, err) : TOOL_OK;
}

/* --- the answer --- */

static void print_json(const struct program *p, const struct report *report)
{
	struct json j = {.out = stdout};

	json_object(&j, NULL);
	json_number(&j, "version", 1);
	report_domain_json(report, &j);
	json_array(&j, "frames");
	for (size_t i = 0; i < p->nr_mfns; i++)
		report_json(report, &j, p->mfns[i]);
	json_end_array(&j);
	report_notes_json(report, &j);
	json_bool(&j, "complete", !report_is_incomplete(report) && !p->set_is_cut);
	json_end_object(&j);
}

static void print_text(const struct program *p, const struct report *report)
{
	report_domain_text(report, stdout);
	for (size_t i = 0; i < p->nr_mfns; i++)
		report_text(report, stdout, p->mfns[i]);
	if (p->set != SET_NONE)
		printf("%zu page%s of that set %s mapped where %s should not be\n", p->nr_mfns,
		       p->nr_mfns == 1 ? "" : "s", p->nr_mfns == 1 ? "is" : "are",
		       p->nr_mfns == 1 ? "it" : "they");
	if (p->set_is_cut)
		printf("note: there are more of them than the %u that are shown\n", MAX_SET);
	report_notes_text(report, stdout);
}

static int answer(const struct program *p)
{
	const struct report report = {
		.reader = (struct reader *)&p->tool.reader,
		.naming = p->tool.naming,
		.result = &p->result,
		.shows_paths = p->verbose,
	};

	if (p->json)
		print_json(p, &report);
	else
		print_text(p, &report);
	if (fflush(stdout) || ferror(stdout))
		return tool_fail(&p->tool, TOOL_INCOMPLETE, "the answer could not be written");
	if (report_is_incomplete(&report) || p->set_is_cut)
		return TOOL_INCOMPLETE;
	return p->result.nr ? TOOL_OK : TOOL_NOTHING;
}

static int run(struct program *p, const char *domain)
{
	int status = tool_open(&p->tool, domain);

	if (!status)
		status = p->set == SET_NONE ? take_frames(p) : take_set(p);
	if (!status)
		status = look(p);
	return status ? status : answer(p);
}

int main(int argc, char **argv)
{
	static struct program program = {.tool.name = "pvmm-aliases"};
	int status = take_arguments(&program, argc, argv);

	if (status >= 0)
		return status;
	status = run(&program, argv[optind]);
	search_free(&program.result);
	free(program.mfns);
	tool_close(&program.tool);
	return status;
}
