// SPDX-License-Identifier: GPL-2.0
/*
 * A Linux module that does on purpose what drivers do by mistake: it maps pages with vmap(), keeps
 * the mapping, and lets the pages be freed. Under Xen PV the first of them that becomes a page
 * table is refused. For tests of the tools that find such a mapping from outside.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#define MOST_PAGES 64u

static unsigned int pages = 16;
module_param(pages, uint, 0444);
MODULE_PARM_DESC(pages, "how many, 1 to 64");

/* A function that stays one, and whose call stays one: Linux notes who has made the area. */
static noinline void *straymap_make(struct page **page, unsigned int nr)
{
	void *area = vmap(page, nr, VM_MAP, PAGE_KERNEL);

	barrier();
	return area;
}

static int __init straymap_init(void)
{
	struct page *page[MOST_PAGES];
	unsigned int i, nr = clamp(pages, 1u, MOST_PAGES);
	void *area = NULL;

	for (i = 0; i < nr; i++) {
		page[i] = alloc_page(GFP_KERNEL);
		if (!page[i])
			break;
	}
	if (i == nr)
		area = straymap_make(page, nr);
	if (area)
		pr_warn("straymap: 0x%lx+0x%lx maps %u pages that are free now\n",
			(unsigned long)area, (unsigned long)nr * PAGE_SIZE, nr);
	/* For the tools' list of symbols, in the form of /proc/kallsyms. */
	pr_warn("straymap: symbol %px t straymap_make\n", straymap_make);
	while (i > 0)
		__free_page(page[--i]);
	return area ? 0 : -ENOMEM;
}
module_init(straymap_init);

/* There is no exit: the mapping is to stay. */
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("keeps a writable mapping of freed pages");
