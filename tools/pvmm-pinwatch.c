/* SPDX-License-Identifier: MIT */
/*
 * pvmm-pinwatch: watches for refusals of Xen's PV MMU and for crashed domains, and says who still
 * maps the page. See man pvmm-pinwatch. This file owns the options and the signals.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "pinwatch.h"

static void print_help(FILE *out)
{
	fputs("usage: pvmm-pinwatch [OPTION...]\n"
	      "       pvmm-pinwatch [OPTION...] --check=DOMAIN\n"
	      "\n"
	      "Follows the hypervisor's console and the ends of domains. When Xen refuses a page table\n"
	      "or a mapping of a PV domain, or such a domain crashes, it looks into the domain and says\n"
	      "which mapping is in the way.\n"
	      "\n"
	      "  -b, --since-boot       begin with what is in the console's ring, and with domains that\n"
	      "                         have crashed already\n"
	      "  -d, --domain=DOMAIN    only this one, by name or number; may be given again\n"
	      "  -1, --once             end after the first incident\n"
	      "  -t, --time=SECONDS     end after that time\n"
	      "  -c, --check=DOMAIN     look into a domain now, crashed or not, and end\n"
	      "  -s, --symbols=[DOMAIN=]FILE\n"
	      "                         names: an ELF image, a System.map, or a copy of /proc/kallsyms\n"
	      "  -x, --exec=COMMAND     run this for each incident (PINWATCH_* in its environment, JSON\n"
	      "                         on its standard input)\n"
	      "  -j, --json             a JSON object a line\n"
	      "      --pause            pause the domain while it is looked into\n"
	      "      --force            look into the domain that this runs in, too\n"
	      "  -h, --help, --version\n"
	      "\n"
	      "Exit status: 0 done (--once, --check: and there was something to tell); 1 --once, --check:\n"
	      "nothing to tell; 2 usage; 3 no such domain; 4 no PV domain; 5 not on Xen, or no\n"
	      "privilege; 7 the answer may be incomplete.\n",
	      out);
}

/* --- signals --- */

static void stop(int signal)
{
	(void)signal;
	tool_stop = 1;
}

/* There only so that the end of a command interrupts the wait. */
static void child_ended(int signal)
{
	(void)signal;
}

static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
	struct sigaction on_stop = {.sa_handler = stop};
	struct sigaction on_child = {.sa_handler = child_ended, .sa_flags = SA_NOCLDSTOP};

	for (unsigned int i = 0; i < TOOL_ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &on_stop, NULL);
	sigaction(SIGCHLD, &on_child, NULL);
}

/* --- arguments --- */

static const struct option options[] = {
	{"since-boot", no_argument, NULL, 'b'},
	{"domain", required_argument, NULL, 'd'},
	{"once", no_argument, NULL, '1'},
	{"time", required_argument, NULL, 't'},
	{"check", required_argument, NULL, 'c'},
	{"symbols", required_argument, NULL, 's'},
	{"exec", required_argument, NULL, 'x'},
	{"json", no_argument, NULL, 'j'},
	{"pause", no_argument, NULL, TOOL_OPT_PAUSE},
	{"force", no_argument, NULL, TOOL_OPT_FORCE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, TOOL_OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static int take_symbols(struct pinwatch *p, char *text)
{
	char why[TOOL_ERROR_BYTES], *equals = strchr(text, '=');
	const char *path = text;

	if (p->nr_symbols == PINWATCH_SYMBOLS)
		return tool_fail(&p->tool, TOOL_USAGE, "more than %u --symbols", PINWATCH_SYMBOLS);
	/* A path may hold an equals sign, but a domain's name holds no slash. */
	if (equals && !memchr(text, '/', (size_t)(equals - text))) {
		*equals = 0;
		p->symbols[p->nr_symbols].domain = text;
		path = equals + 1;
	}
	p->symbols[p->nr_symbols].symbols = symbols_load(path, why);
	if (!p->symbols[p->nr_symbols].symbols)
		return tool_fail(&p->tool, TOOL_USAGE, "%s", why);
	p->nr_symbols++;
	return -1;
}

static int take_seconds(struct pinwatch *p, const char *text)
{
	char *end;

	errno = 0;
	p->seconds = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || !p->seconds || p->seconds > 1000000000)
		return tool_fail(&p->tool, TOOL_USAGE, "--time=%s: a number of seconds is wanted",
				 text);
	return -1;
}

/* -1: go on; otherwise the program's status. */
static int take_option(struct pinwatch *p, int option)
{
	switch (option) {
	case 'b':
		p->since_boot = true;
		return -1;
	case 'd':
		if (p->nr_given == PINWATCH_DOMAINS)
			return tool_fail(&p->tool, TOOL_USAGE, "more than %u --domain",
					 PINWATCH_DOMAINS);
		p->given[p->nr_given++] = optarg;
		return -1;
	case '1':
		p->once = true;
		return -1;
	case 't':
		return take_seconds(p, optarg);
	case 'c':
		p->check = optarg;
		return -1;
	case 's':
		return take_symbols(p, optarg);
	case 'x':
		p->exec.command = optarg;
		return -1;
	case 'j':
		p->json = true;
		return -1;
	default:
		return tool_take_option(&p->tool, option, print_help);
	}
}

static int take_arguments(struct pinwatch *p, int argc, char **argv)
{
	int option, status = -1;

	while (status < 0 &&
	       (option = getopt_long(argc, argv, "bd:1t:c:s:x:jh", options, NULL)) != -1)
		status = take_option(p, option);
	if (status >= 0)
		return status;
	if (optind < argc)
		return tool_fail(&p->tool, TOOL_USAGE, "\"%s\" is no option (--help)",
				 argv[optind]);
	return -1;
}

int main(int argc, char **argv)
{
	static struct pinwatch program = {.tool.name = "pvmm-pinwatch"};
	int status = take_arguments(&program, argc, argv);

	if (status < 0) {
		catch_signals();
		status = pinwatch_open(&program);
		if (!status)
			status = program.check ? pinwatch_check(&program, program.check)
					       : pinwatch_follow(&program);
	}
	pinwatch_close(&program);
	return status;
}
