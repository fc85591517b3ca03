/* SPDX-License-Identifier: MIT */
/* See naming.h. Owns nothing. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "naming.h"

#define ULL(v) ((unsigned long long)(v))

/* Fixed parts of Linux's layout (its Documentation/x86/x86_64/mm.rst). */
#define USER_END      0x0000800000000000ULL
#define XEN_START     0xffff800000000000ULL
#define XEN_END	      0xffff880000000000ULL
#define DIRECT_BYTES  (64ULL << 40)
#define VMALLOC_BYTES (32ULL << 40)
#define VMEMMAP_BYTES (1ULL << 40)
#define ENTRY_START   0xfffffe0000000000ULL
#define ENTRY_END     0xffffff0000000000ULL
#define KERNEL_START  0xffffffff80000000ULL
#define MODULES_START 0xffffffffc0000000ULL /* at the latest: behind the image */
#define MODULES_END   0xffffffffff000000ULL
#define USER_END_32   0xc0000000ULL
#define XEN_START_32  0xf5800000ULL

static void say(struct place *p, const char *region, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct place *p, const char *region, const char *fmt, ...)
{
	va_list ap;

	p->region = region;
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

int naming_open(struct naming *n, struct reader *r, struct symbols *symbols)
{
	int err;

	n->reader = r;
	n->symbols = symbols;
	n->kernel = KERNEL_UNKNOWN;
	n->image_end = symbols_address(symbols, "_end");
	if (!n->image_end)
		n->image_end = MODULES_START;
	err = inspect_open(&n->inspect, r);
	if (err)
		return err;
	linux_open(&n->linux_guest, r, symbols);
	if (n->inspect.is_known)
		n->kernel = KERNEL_PVMM;
	else if (symbols_address(symbols, "init_task"))
		n->kernel = KERNEL_LINUX;
	return 0;
}

const char *naming_kernel(const struct naming *n)
{
	static const char *const names[] = {
		[KERNEL_UNKNOWN] = "unknown",
		[KERNEL_PVMM] = "pvmm",
		[KERNEL_LINUX] = "linux",
	};

	return names[n->kernel];
}

uint64_t naming_direct_map(const struct naming *n)
{
	if (n->kernel == KERNEL_PVMM)
		return n->inspect.block.directmap_base;
	return n->reader->layout->levels == 4 ? n->linux_guest.page_offset : 0;
}

void naming_code(struct naming *n, uint64_t va, char *buf, size_t len_bytes)
{
	char line[128];
	size_t len;

	if (n->symbols)
		symbols_describe(n->symbols, va, buf, len_bytes);
	else if (n->inspect.is_known)
		inspect_describe(&n->inspect, va, buf, len_bytes);
	else
		snprintf(buf, len_bytes, "0x%llx", ULL(va));
	/* A return address is behind the call: the line is that of the byte before it. */
	len = strlen(buf);
	if (symbols_line(n->symbols, va - 1, line, sizeof(line)))
		snprintf(buf + len, len_bytes - len, " (%s)", line);
}

/* An address that is data or code of the kernel itself. */
static void name_image(struct naming *n, uint64_t va, struct place *p, const char *region,
		       const char *what)
{
	char name[128] = "";
	uint64_t offset;

	if (n->symbols && symbols_name(n->symbols, va, &offset))
		symbols_describe(n->symbols, va, name, sizeof(name));
	else if (n->inspect.is_known)
		inspect_describe(&n->inspect, va, name, sizeof(name));
	say(p, region, "%s%s%s", what, *name ? ", " : "", name);
}

static void name_direct(struct place *p, uint64_t index, uint64_t pfn, const char *guess)
{
	p->is_own_place = index == pfn;
	say(p, "direct-map", "direct map%s, %s pfn 0x%llx", guess,
	    p->is_own_place ? "its own place," : "in the place of", ULL(index));
}

/* --- kernels of this library --- */

static void name_area(struct naming *n, uint64_t va, struct place *p)
{
	const struct inspect_area *a = &p->area;

	p->has_area = !inspect_area(&n->inspect, va, &p->area);
	if (!p->has_area)
		say(p, "vmap", "vmap region, where no area is");
	else
		say(p, "vmap", "vmap area 0x%llx+0x%llx \"%s\", %s%s", ULL(a->va),
		    ULL(a->nr_pages << TOOL_PAGE_SHIFT), a->name, a->state,
		    a->is_guard ? ", behind its end" : "");
}

static void name_pvmm(struct naming *n, uint64_t va, uint64_t pfn, struct place *p)
{
	const struct pvmm_inspect *b = &n->inspect.block;

	if (va < USER_END)
		say(p, "user", "user half of an address space");
	else if (va - b->directmap_base < b->directmap_bytes)
		name_direct(p, (va - b->directmap_base) >> TOOL_PAGE_SHIFT, pfn, "");
	else if (va - b->vmap_base < b->vmap_bytes)
		name_area(n, va, p);
	else if (va - b->kmap_base < b->kmap_bytes)
		say(p, "kmap", "kmap region, slot %llu",
		    ULL((va - b->kmap_base) >> TOOL_PAGE_SHIFT));
	else if (va >= b->kernel_base)
		name_image(n, va, p, "image", "kernel image");
	else
		say(p, "records", "the manager's own records");
}

/* --- Linux, and what may be Linux --- */

static void name_linux_area(struct naming *n, uint64_t va, struct place *p, const char *guess)
{
	struct linux_area area;
	char code[128], pages[32] = "";

	if (linux_area(&n->linux_guest, va, &area)) {
		say(p, "vmalloc", "vmalloc range%s, +0x%llx", guess,
		    ULL(va - n->linux_guest.vmalloc));
		return;
	}
	if (!area.has_details) {
		say(p, "vmalloc", "vmalloc range, area 0x%llx+0x%llx without an owner",
		    ULL(area.va), ULL(area.len_bytes));
		return;
	}
	naming_code(n, area.caller, code, sizeof(code));
	/* Linux counts the pages of its own areas, not those that it was handed for a vmap(). */
	if (area.nr_pages)
		snprintf(pages, sizeof(pages), " of %llu pages", ULL(area.nr_pages));
	say(p, "vmalloc", "vmalloc range, %s area 0x%llx+0x%llx%s, made by %s", area.what,
	    ULL(area.va), ULL(area.len_bytes), pages, code);
}

static void name_linux_64(struct naming *n, uint64_t va, uint64_t pfn, struct place *p,
			  const char *guess)
{
	const struct linux_guest *l = &n->linux_guest;
	uint64_t modules = n->image_end;

	if (va < USER_END)
		say(p, "user", "user half");
	else if (va >= XEN_START && va < XEN_END)
		say(p, "xen", "Xen's own range");
	else if (va - l->page_offset < DIRECT_BYTES && va < l->vmalloc)
		name_direct(p, (va - l->page_offset) >> TOOL_PAGE_SHIFT, pfn, guess);
	else if (va - l->vmalloc < VMALLOC_BYTES)
		name_linux_area(n, va, p, guess);
	else if (va - l->vmemmap < VMEMMAP_BYTES)
		say(p, "vmemmap", "array of struct page%s", guess);
	else if (va >= ENTRY_START && va < ENTRY_END)
		say(p, "cpu-entry", "cpu entry area%s", guess);
	else if (va >= modules && va < MODULES_END)
		name_image(n, va, p, "modules", "module range");
	else if (va >= KERNEL_START && va < modules)
		name_image(n, va, p, "kernel", "kernel image");
	else if (va >= MODULES_END)
		say(p, "fixmap", "fixmap%s", guess);
	else
		say(p, "unknown", "a range that is not known here");
}

static void name_32(struct naming *n, uint64_t va, struct place *p, const char *guess)
{
	uint64_t offset;

	if (va < USER_END_32)
		say(p, "user", "user half%s", guess);
	else if (va >= XEN_START_32)
		say(p, "xen", "Xen's own range");
	else if (symbols_name(n->symbols, va, &offset))
		name_image(n, va, p, "kernel", "kernel image");
	else
		say(p, "kernel", "kernel half%s: low memory, vmalloc or kmap", guess);
}

void naming_place(struct naming *n, uint64_t va, uint64_t pfn, struct place *place)
{
	const char *guess = n->kernel == KERNEL_UNKNOWN ? " (if this is Linux)" : "";

	*place = (struct place){0};
	if (n->kernel == KERNEL_PVMM)
		name_pvmm(n, va, pfn, place);
	else if (n->reader->layout->levels == 4)
		name_linux_64(n, va, pfn, place, guess);
	else
		name_32(n, va, place, guess);
}
