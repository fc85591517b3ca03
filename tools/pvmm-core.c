/* SPDX-License-Identifier: MIT */
/*
 * pvmm-core: makes of a core of xl dump-core, which is a heap of pages, one by virtual addresses,
 * which gdb reads: gdb IMAGE OUT, "info threads", "bt".
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>
#include "core_walk.h"
#include "tool.h"

enum { OK = 0, NO_CORE = 1, USAGE = 2, NOT_WRITTEN = 3 };

/* A note of a vCPU: head and name, and behind them, without a gap, the status. */
struct note_head {
	Elf64_Nhdr head;
	char name[8];
};

#define NOTE_BYTES (sizeof(struct note_head) + sizeof(struct elf_prstatus))

static int complain(int status, const char *path, const char *text)
{
	fprintf(stderr, "pvmm-core: %s: %s\n", path, text);
	return status;
}

static void usage(FILE *to)
{
	fputs("usage: pvmm-core [--vcpu=N] CORE [OUT]\n"
	      "\n"
	      "Makes of CORE, which \"xl dump-core\" has written of a 64-bit PV domain, one that gdb reads:\n"
	      "    gdb IMAGE OUT\n"
	      "\n"
	      "  --vcpu=N    the address space of this vCPU (default: 0)\n"
	      "  --help      this\n"
	      "  --version   which one it is\n"
	      "\n"
	      "Without OUT, says what there is. Exit status: 0; 1 CORE cannot be read, or is none; 2 wrong use;\n"
	      "3 OUT cannot be written. See pvmm-core(8).\n",
	      to);
}

/* --- what gdb wants to know of a vCPU --- */

static struct elf_prstatus status_of(const struct core *core, uint64_t vcpu)
{
	struct elf_prstatus status = {.pr_pid = (int)vcpu + 1}; /* gdb has no thread 0 */
	struct user_regs_struct regs;
	struct vcpu_guest_context c;

	core_context(core, vcpu, &c);
	regs = (struct user_regs_struct){
		.r15 = c.user_regs.r15,
		.r14 = c.user_regs.r14,
		.r13 = c.user_regs.r13,
		.r12 = c.user_regs.r12,
		.rbp = c.user_regs.rbp,
		.rbx = c.user_regs.rbx,
		.r11 = c.user_regs.r11,
		.r10 = c.user_regs.r10,
		.r9 = c.user_regs.r9,
		.r8 = c.user_regs.r8,
		.rax = c.user_regs.rax,
		.rcx = c.user_regs.rcx,
		.rdx = c.user_regs.rdx,
		.rsi = c.user_regs.rsi,
		.rdi = c.user_regs.rdi,
		.orig_rax = UINT64_MAX,
		.rip = c.user_regs.rip,
		.cs = c.user_regs.cs,
		.eflags = c.user_regs.rflags,
		.rsp = c.user_regs.rsp,
		.ss = c.user_regs.ss,
		.fs_base = c.fs_base,
		.gs_base = c.flags & VGCF_in_kernel ? c.gs_base_kernel : c.gs_base_user,
	};
	_Static_assert(sizeof(regs) == sizeof(status.pr_reg), "the registers, as gdb has them");
	memcpy(&status.pr_reg, &regs, sizeof(regs));
	return status;
}

/* --- writing --- */

static uint64_t round_up(uint64_t n)
{
	return (n + CORE_PAGE - 1) / CORE_PAGE * CORE_PAGE;
}

static bool put(FILE *out, const void *bytes, size_t len_bytes)
{
	return fwrite(bytes, 1, len_bytes, out) == len_bytes;
}

static bool put_headers(FILE *out, const struct core *core, const struct core_runs *runs,
			uint64_t notes_offset, uint64_t pages_offset)
{
	Elf64_Phdr p = {
		.p_type = PT_NOTE,
		.p_offset = notes_offset,
		.p_filesz = core->nr_vcpus * NOTE_BYTES,
	};

	if (!put(out, &p, sizeof(p)))
		return false;
	for (uint64_t i = 0; i < runs->nr; i++) {
		const struct core_run *run = &runs->runs[i];

		p = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags =
				PF_R | (run->writable ? PF_W : 0u) | (run->executable ? PF_X : 0u),
			.p_offset = pages_offset + run->index * CORE_PAGE,
			.p_vaddr = run->va,
			.p_filesz = run->nr_pages * CORE_PAGE,
			.p_memsz = run->nr_pages * CORE_PAGE,
			.p_align = CORE_PAGE,
		};
		if (!put(out, &p, sizeof(p)))
			return false;
	}
	return true;
}

static bool put_all(FILE *out, const struct core *core, const struct core_runs *runs)
{
	const struct note_head note = {
		.head = {.n_namesz = sizeof("CORE"),
			 .n_descsz = sizeof(struct elf_prstatus),
			 .n_type = NT_PRSTATUS},
		.name = "CORE",
	};
	const char zeros[CORE_PAGE] = {0};
	uint64_t nr_headers = runs->nr + 1;
	uint64_t notes_offset =
		sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr) + nr_headers * sizeof(Elf64_Phdr);
	uint64_t end = notes_offset + core->nr_vcpus * NOTE_BYTES;
	Elf64_Ehdr e = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr) + sizeof(Elf64_Shdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = nr_headers < PN_XNUM ? (Elf64_Half)nr_headers : PN_XNUM,
	};
	Elf64_Shdr s = {.sh_type = SHT_NULL};

	/* More headers than the field holds: their number is in the first section's header. */
	if (nr_headers >= PN_XNUM) {
		e.e_shoff = sizeof(Elf64_Ehdr);
		e.e_shentsize = sizeof(Elf64_Shdr);
		e.e_shnum = 1;
		s.sh_info = (Elf64_Word)nr_headers;
	}
	if (!put(out, &e, sizeof(e)) || !put(out, &s, sizeof(s)) ||
	    !put_headers(out, core, runs, notes_offset, round_up(end)))
		return false;
	for (uint64_t vcpu = 0; vcpu < core->nr_vcpus; vcpu++) {
		struct elf_prstatus status = status_of(core, vcpu);

		if (!put(out, &note, sizeof(note)) || !put(out, &status, sizeof(status)))
			return false;
	}
	return put(out, zeros, round_up(end) - end) &&
	       put(out, core->bytes + core->pages_offset, core->nr_pages * CORE_PAGE);
}

static int write_out(const char *path, const struct core *core, const struct core_runs *runs)
{
	FILE *out = fopen(path, "wbx");
	bool good;

	if (!out)
		return complain(NOT_WRITTEN, path, strerror(errno));
	good = put_all(out, core, runs);
	if (!good)
		complain(NOT_WRITTEN, path, strerror(errno));
	if (fclose(out) && good) {
		complain(NOT_WRITTEN, path, strerror(errno));
		good = false;
	}
	if (!good)
		unlink(path);
	return good ? OK : NOT_WRITTEN;
}

/* --- saying --- */

static void say(const struct core *core, const struct core_runs *runs, uint64_t vcpu)
{
	printf("%llu pages, %llu vCPUs; vCPU %llu's tables map %llu pages in %llu runs, and %llu frames of others\n",
	       (unsigned long long)core->nr_frames, (unsigned long long)core->nr_vcpus,
	       (unsigned long long)vcpu, (unsigned long long)runs->nr_pages,
	       (unsigned long long)runs->nr, (unsigned long long)runs->nr_missing);
	for (uint64_t i = 0; i < core->nr_vcpus; i++) {
		struct vcpu_guest_context c;

		core_context(core, i, &c);
		printf("vCPU %llu: rip 0x%llx, rsp 0x%llx, root table mfn 0x%llx, %s code\n",
		       (unsigned long long)i, (unsigned long long)c.user_regs.rip,
		       (unsigned long long)c.user_regs.rsp,
		       (unsigned long long)xen_cr3_to_pfn(c.ctrlreg[3]),
		       c.flags & VGCF_in_kernel ? "kernel" : "user");
	}
}

static int convert(const char *in, const char *out, uint64_t vcpu)
{
	struct vcpu_guest_context c;
	struct core_runs runs;
	struct core core;
	char why[128];
	int err, status;

	if (!core_open(&core, in, why, sizeof(why))) {
		core_close(&core);
		return complain(NO_CORE, in, why);
	}
	if (vcpu >= core.nr_vcpus) {
		fprintf(stderr, "pvmm-core: --vcpu=%llu: the core has %llu vCPUs\n",
			(unsigned long long)vcpu, (unsigned long long)core.nr_vcpus);
		core_close(&core);
		return USAGE;
	}
	core_context(&core, vcpu, &c);
	err = core_walk(&core, xen_cr3_to_pfn(c.ctrlreg[3]), &runs);
	if (err) {
		core_close(&core);
		return complain(NO_CORE, in,
				err == -ENOENT	? "the vCPU's root table is not among its pages"
				: err == -ELOOP ? "its page tables lead to themselves"
						: strerror(-err));
	}
	say(&core, &runs, vcpu);
	status = out ? write_out(out, &core, &runs) : OK;
	free(runs.runs);
	core_close(&core);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"vcpu", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	unsigned long vcpu = 0;
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			errno = 0;
			vcpu = strtoul(optarg, &end, 10);
			if (errno || *end || end == optarg || *optarg == '-') {
				fprintf(stderr, "pvmm-core: --vcpu=%s: is no vCPU's number\n",
					optarg);
				return USAGE;
			}
			break;
		case 'h':
			usage(stdout);
			return OK;
		case 'V':
			tool_print_version("pvmm-core");
			return OK;
		default:
			usage(stderr);
			return USAGE;
		}
	}
	if (argc - optind < 1 || argc - optind > 2) {
		usage(stderr);
		return USAGE;
	}
	return convert(argv[optind], argc - optind == 2 ? argv[optind + 1] : NULL, vcpu);
}
