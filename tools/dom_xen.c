/* SPDX-License-Identifier: MIT */
/*
 * See dom_xen.h. The only file of the tools that knows Xen's libraries: libxenctrl for what domains
 * are, libxencall for the types of frames (libxenctrl has no public function for them),
 * libxenforeignmemory for reading, libxenstore for names.
 *
 * Frames are mapped read-only, copied, and unmapped at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xencall.h>
#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xenstore.h>
#include <xentoollog.h>
#include <xen/domctl.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include "dom_xen.h"
#include "grants_xen.h"
#include "pause.h"

_Static_assert(offsetof(struct shared_info_x86_64, arch) == SHARED_INFO_ARCH_64, "shared info");
_Static_assert(offsetof(struct shared_info_x86_32, arch) == SHARED_INFO_ARCH_32, "shared info");

/* The m2p is mapped as Xen has it: 2 MiB at a time. */
#define M2P_CHUNK_BYTES	 (2u << 20)
#define M2P_CHUNK_PAGES	 (M2P_CHUNK_BYTES / TOOL_PAGE_SIZE)
#define M2P_CHUNK_FRAMES (M2P_CHUNK_BYTES / sizeof(uint64_t))

struct xen {
	xentoollog_logger *log;
	xc_interface *xc;
	xencall_handle *call;
	xenforeignmemory_handle *memory;
	struct xs_handle *store; /* NULL: no names */
	xen_pfn_t *types;	 /* a buffer that hypercalls can reach */
	xen_domctl_t *domctl;
	uint64_t max_mfn;
	const uint64_t **m2p; /* chunks that have been mapped */
	bool *m2p_hole;	      /* chunks that cannot be */
	xen_pfn_t *m2p_mfns;
	size_t nr_m2p;
	struct pause_guard guard;
	int self;
};

static uint64_t no_frame_if_all_ones(uint64_t value)
{
	return value == UINT64_MAX ? TOOL_NO_FRAME : value;
}

/* --- opening --- */

static bool why_not(char *why, const char *text, int err)
{
	if (err)
		snprintf(why, TOOL_ERROR_BYTES, "%s: %s", text, strerror(err));
	else
		snprintf(why, TOOL_ERROR_BYTES, "%s", text);
	return false;
}

static bool is_xen_here(char *why)
{
	static const char *const paths[] = {"/dev/xen/privcmd", "/proc/xen/privcmd"};
	int err = ENOENT;

	for (unsigned int i = 0; i < TOOL_ARRAY_SIZE(paths) && err == ENOENT; i++) {
		int fd = open(paths[i], O_RDWR | O_CLOEXEC);

		err = fd < 0 ? errno : 0;
		if (fd >= 0)
			close(fd);
	}
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		return why_not(why, "not running on Xen (no /dev/xen/privcmd)", 0);
	if (err)
		return why_not(why, "no privilege to look at domains: /dev/xen/privcmd", err);
	return true;
}

static bool open_libraries(struct xen *xen, char *why)
{
	unsigned long max = 0;

	xen->log = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
	xen->xc = xc_interface_open(xen->log, xen->log, 0);
	if (!xen->xc)
		return why_not(why, "cannot talk to Xen", errno);
	xen->call = xencall_open(xen->log, 0);
	xen->memory = xenforeignmemory_open(xen->log, 0);
	if (!xen->call || !xen->memory)
		return why_not(why, "cannot talk to Xen", errno);
	xen->types = xencall_alloc_buffer(xen->call, DOM_BATCH * sizeof(*xen->types));
	xen->domctl = xencall_alloc_buffer(xen->call, sizeof(*xen->domctl));
	if (!xen->types || !xen->domctl)
		return why_not(why, "out of memory", 0);
	if (xc_maximum_ram_page(xen->xc, &max))
		return why_not(why, "this domain may not look at others", errno);
	xen->max_mfn = (uint64_t)max + 1;
	return true;
}

/* A 4.x hypervisor takes domctls of its own version only, and says EACCES to any other. */
static bool may_domctl(struct xen *xen, char *why)
{
	xc_domaininfo_t info;

	if (xc_domain_getinfolist(xen->xc, 0, 1, &info) >= 0)
		return true;
	if (errno == EACCES)
		return why_not(
			why,
			"the hypervisor refuses: these tools are built for another version of Xen, or this is not dom0",
			0);
	return why_not(why, "no privilege to look at domains (is this dom0?)", errno);
}

static bool find_m2p(struct xen *xen, char *why)
{
	size_t nr = (size_t)((xen->max_mfn + M2P_CHUNK_FRAMES - 1) / M2P_CHUNK_FRAMES);

	xen->m2p = calloc(nr, sizeof(*xen->m2p));
	xen->m2p_hole = calloc(nr, sizeof(*xen->m2p_hole));
	xen->m2p_mfns = calloc(nr, sizeof(*xen->m2p_mfns));
	if (!xen->m2p || !xen->m2p_hole || !xen->m2p_mfns)
		return why_not(why, "out of memory", 0);
	if (xc_machphys_mfn_list(xen->xc, nr, xen->m2p_mfns))
		return why_not(why, "cannot find Xen's machine-to-physical table", errno);
	xen->nr_m2p = nr;
	return true;
}

static int own_domid(struct xen *xen)
{
	char *text = xen->store ? xs_read(xen->store, XBT_NULL, "domid", NULL) : NULL;
	int domid = text ? atoi(text) : 0;

	free(text);
	return domid;
}

struct xen *xen_open(char *why)
{
	struct xen *xen;

	if (!is_xen_here(why))
		return NULL;
	xen = calloc(1, sizeof(*xen));
	if (!xen) {
		why_not(why, "out of memory", 0);
		return NULL;
	}
	if (!open_libraries(xen, why) || !may_domctl(xen, why) || !find_m2p(xen, why)) {
		xen_close(xen);
		return NULL;
	}
	xen->store = xs_open(0);
	xen->self = own_domid(xen);
	return xen;
}

void xen_close(struct xen *xen)
{
	for (size_t i = 0; i < xen->nr_m2p; i++)
		if (xen->m2p[i])
			xenforeignmemory_unmap(xen->memory, (void *)(uintptr_t)xen->m2p[i],
					       M2P_CHUNK_PAGES);
	free(xen->m2p);
	free(xen->m2p_hole);
	free(xen->m2p_mfns);
	if (xen->types)
		xencall_free_buffer(xen->call, xen->types);
	if (xen->domctl)
		xencall_free_buffer(xen->call, xen->domctl);
	if (xen->memory)
		xenforeignmemory_close(xen->memory);
	if (xen->call)
		xencall_close(xen->call);
	if (xen->store)
		xs_close(xen->store);
	if (xen->xc)
		xc_interface_close(xen->xc);
	xtl_logger_destroy(xen->log);
	free(xen);
}

/* --- names --- */

static void read_name(struct xen *xen, uint32_t domid, char *name, size_t len_bytes)
{
	char path[48], *text;
	unsigned int len = 0;

	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	text = xen->store ? xs_read(xen->store, XBT_NULL, path, &len) : NULL;
	snprintf(name, len_bytes, "%s", text ? text : "");
	free(text);
}

int xen_list(struct xen *xen, uint32_t **domids, size_t *nr)
{
	xc_domaininfo_t info[64];
	uint32_t next = 0;

	*domids = NULL;
	*nr = 0;
	for (;;) {
		int got = xc_domain_getinfolist(xen->xc, next, TOOL_ARRAY_SIZE(info), info);
		uint32_t *more = NULL;

		if (got > 0)
			more = realloc(*domids, (*nr + (size_t)got) * sizeof(*more));
		if (got <= 0 || !more) {
			int err = got < 0 ? -errno : got ? -ENOMEM : 0;

			if (err)
				free(*domids);
			return err;
		}
		*domids = more;
		for (int i = 0; i < got; i++)
			more[(*nr)++] = info[i].domain;
		next = info[got - 1].domain + 1;
	}
}

int xen_find(struct xen *xen, const char *name, uint32_t *domid)
{
	unsigned long number;
	uint32_t *domids;
	char *end, of[64];
	int err = -ENOENT;
	size_t nr;

	errno = 0;
	number = strtoul(name, &end, 10);
	if (name[0] >= '0' && name[0] <= '9' && !*end) {
		*domid = (uint32_t)number;
		return errno || number >= DOMID_FIRST_RESERVED ? -ENOENT : 0;
	}
	if (xen_list(xen, &domids, &nr))
		return -ENOENT;
	for (size_t i = 0; i < nr && err; i++) {
		read_name(xen, domids[i], of, sizeof(of));
		if (!strcmp(of, name)) {
			*domid = domids[i];
			err = 0;
		}
	}
	free(domids);
	return err;
}

/* --- the seam --- */

static struct xen *xen_of(const struct dom *dom)
{
	return dom->ctx;
}

/* Foreign mappings of one's own memory go by another number. */
static uint32_t memory_domid(const struct dom *dom)
{
	return dom->info.is_self ? DOMID_SELF : dom->info.domid;
}

static int refresh(struct dom *dom)
{
	struct dom_info *to = &dom->info;
	xc_domaininfo_t info;
	int nr = xc_domain_getinfolist(xen_of(dom)->xc, to->domid, 1, &info);

	if (nr < 0)
		return -errno;
	if (!nr || info.domain != to->domid)
		return -ESRCH;
	to->is_hvm = info.flags & XEN_DOMINF_hvm_guest;
	to->is_paused = info.flags & XEN_DOMINF_paused;
	to->is_dying = info.flags & XEN_DOMINF_dying;
	to->is_shutdown = info.flags & XEN_DOMINF_shutdown;
	to->shutdown_reason = info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
	to->nr_vcpus = info.max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : info.max_vcpu_id + 1;
	to->nr_pages = info.tot_pages;
	to->max_pages = info.max_pages;
	to->shared_info = no_frame_if_all_ones(info.shared_info_frame);
	return 0;
}

static void take_64(struct dom_vcpu *v, const vcpu_guest_context_x86_64_t *c)
{
	v->root = c->ctrlreg[3] >> 12;
	v->user_root = c->ctrlreg[1] ? c->ctrlreg[1] >> 12 : TOOL_NO_FRAME;
	v->nr_gdt = (unsigned int)((c->gdt_ents + 511) / 512);
	for (unsigned int i = 0; i < DOM_GDT_FRAMES; i++)
		v->gdt[i] = c->gdt_frames[i];
	v->ldt_va = c->ldt_base;
	v->ldt_entries = (unsigned int)c->ldt_ents;
}

static void take_32(struct dom_vcpu *v, const vcpu_guest_context_x86_32_t *c)
{
	v->root = xen_cr3_to_pfn_x86_32(c->ctrlreg[3]);
	v->user_root = TOOL_NO_FRAME;
	v->nr_gdt = (c->gdt_ents + 511) / 512;
	for (unsigned int i = 0; i < DOM_GDT_FRAMES; i++)
		v->gdt[i] = c->gdt_frames[i];
	v->ldt_va = c->ldt_base;
	v->ldt_entries = c->ldt_ents;
}

static int vcpu(struct dom *dom, unsigned int id, struct dom_vcpu *v)
{
	vcpu_guest_context_any_t context;

	if (xc_vcpu_getcontext(xen_of(dom)->xc, dom->info.domid, id, &context))
		return errno == ESRCH || errno == ENODATA ? -ENODATA : -errno;
	if (dom->info.width == 4)
		take_32(v, &context.x32);
	else
		take_64(v, &context.x64);
	if (v->nr_gdt > DOM_GDT_FRAMES)
		v->nr_gdt = DOM_GDT_FRAMES;
	if (v->ldt_entries > 8192) /* what Xen takes */
		v->ldt_entries = 8192;
	return 0;
}

static uint8_t type_of(uint64_t word)
{
	uint32_t type = (uint32_t)word & XEN_DOMCTL_PFINFO_LTAB_MASK;
	unsigned int level = type >> XEN_DOMCTL_PFINFO_LTAB_SHIFT & 7;

	switch (type) {
	case XEN_DOMCTL_PFINFO_NOTAB:
		return FRAME_PLAIN;
	case XEN_DOMCTL_PFINFO_BROKEN:
		return FRAME_BROKEN;
	}
	if (!level || level > 4)
		return FRAME_NOT_ITS;
	return (uint8_t)(level | (type & XEN_DOMCTL_PFINFO_LPINTAB ? FRAME_PINNED : 0));
}

/* Xen replaces the number of each frame by its type (xen/domctl.h, getpageframeinfo3). */
static int types(struct dom *dom, const uint64_t *mfns, unsigned int nr, uint8_t *answers)
{
	struct xen *xen = xen_of(dom);

	*xen->domctl = (xen_domctl_t){
		.cmd = XEN_DOMCTL_getpageframeinfo3,
		.interface_version = XEN_DOMCTL_INTERFACE_VERSION,
		.domain = (domid_t)dom->info.domid,
	};
	for (unsigned int i = 0; i < nr; i++)
		xen->types[i] = mfns[i];
	xen->domctl->u.getpageframeinfo3.num = nr;
	set_xen_guest_handle_raw(xen->domctl->u.getpageframeinfo3.array, xen->types);
	if (xencall1(xen->call, __HYPERVISOR_domctl, (uintptr_t)xen->domctl) < 0)
		return -errno;
	for (unsigned int i = 0; i < nr; i++)
		answers[i] = type_of(xen->types[i]);
	return 0;
}

static int read_pages(struct dom *dom, const uint64_t *mfns, unsigned int nr, void *pages, bool *ok)
{
	struct xen *xen = xen_of(dom);
	xen_pfn_t frames[DOM_BATCH];
	int errors[DOM_BATCH];
	const uint8_t *from;

	for (unsigned int i = 0; i < nr; i++)
		frames[i] = mfns[i];
	from = xenforeignmemory_map(xen->memory, memory_domid(dom), PROT_READ, nr, frames, errors);
	if (!from)
		return -errno;
	for (unsigned int i = 0; i < nr; i++) {
		ok[i] = !errors[i];
		if (ok[i])
			memcpy((uint8_t *)pages + (size_t)i * TOOL_PAGE_SIZE,
			       from + (size_t)i * TOOL_PAGE_SIZE, TOOL_PAGE_SIZE);
	}
	xenforeignmemory_unmap(xen->memory, (void *)(uintptr_t)from, nr);
	return 0;
}

/* A chunk of the m2p, NULL where the machine has no memory. */
static const uint64_t *m2p_chunk(struct xen *xen, size_t chunk)
{
	xen_pfn_t frames[M2P_CHUNK_PAGES];
	int errors[M2P_CHUNK_PAGES];

	if (chunk >= xen->nr_m2p || xen->m2p_hole[chunk])
		return NULL;
	if (xen->m2p[chunk])
		return xen->m2p[chunk];
	for (unsigned int i = 0; i < M2P_CHUNK_PAGES; i++)
		frames[i] = xen->m2p_mfns[chunk] + i;
	if (xen->m2p_mfns[chunk])
		xen->m2p[chunk] = xenforeignmemory_map(xen->memory, DOMID_XEN, PROT_READ,
						       M2P_CHUNK_PAGES, frames, errors);
	for (unsigned int i = 0; xen->m2p[chunk] && i < M2P_CHUNK_PAGES; i++)
		if (errors[i]) {
			xenforeignmemory_unmap(xen->memory, (void *)(uintptr_t)xen->m2p[chunk],
					       M2P_CHUNK_PAGES);
			xen->m2p[chunk] = NULL;
		}
	xen->m2p_hole[chunk] = !xen->m2p[chunk];
	return xen->m2p[chunk];
}

static int m2p(struct dom *dom, const uint64_t *mfns, unsigned int nr, uint64_t *pfns)
{
	for (unsigned int i = 0; i < nr; i++) {
		const uint64_t *chunk =
			m2p_chunk(xen_of(dom), (size_t)(mfns[i] / M2P_CHUNK_FRAMES));

		pfns[i] = chunk ? no_frame_if_all_ones(((const volatile uint64_t *)
								chunk)[mfns[i] % M2P_CHUNK_FRAMES])
				: TOOL_NO_FRAME;
	}
	return 0;
}

static int grants(struct dom *dom, struct dom_grant **list, size_t *nr)
{
	return grants_read(xen_of(dom)->xc, dom->info.domid, list, nr);
}

/* --- the rest --- */

static int pause_domain(struct dom *dom)
{
	int err = pause_begin(&xen_of(dom)->guard, dom->info.domid);

	return err ? err : refresh(dom);
}

static int unpause_domain(struct dom *dom)
{
	int err = pause_end(&xen_of(dom)->guard, dom->info.domid);

	return err ? err : refresh(dom);
}

static void close_domain(struct dom *dom)
{
	(void)dom;
}

int xen_dom_open(struct xen *xen, uint32_t domid, struct dom *dom)
{
	int err;

	*dom = (struct dom){
		.info = {.domid = domid, .max_mfn = xen->max_mfn, .width = 8},
		.ctx = xen,
		.refresh = refresh,
		.vcpu = vcpu,
		.types = types,
		.read = read_pages,
		.m2p = m2p,
		.grants = grants,
		.pause = pause_domain,
		.unpause = unpause_domain,
		.close = close_domain,
	};
	err = refresh(dom);
	if (err)
		return err;
	dom->info.is_self = (int)domid == xen->self;
	read_name(xen, domid, dom->info.name, sizeof(dom->info.name));
	if (!dom->info.is_hvm && xc_domain_get_guest_width(xen->xc, domid, &dom->info.width))
		return -errno;
	return 0;
}
