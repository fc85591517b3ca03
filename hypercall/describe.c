/* SPDX-License-Identifier: MIT */
/* Turns what Xen was asked and what it answered into words. Owns nothing. */
#include <pvmm/batch.h>
#include <pvmm/cmdline.h>
#include <pvmm/log.h>

static const struct {
	int value;
	const char *name;
} errors[] = {
#define XEN_ERRNO(name, value) {value, #name},
#include <xen/errno.h>
};

const char *pvmm_errno_name(int err)
{
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(errors); i++)
		if (errors[i].value == (err < 0 ? -err : err))
			return errors[i].name;
	return "unknown error";
}

int pvmm_errno_of_name(const char *name)
{
	for (size_t i = 0; i < PVMM_ARRAY_SIZE(errors); i++)
		if (pvmm_text_equal(errors[i].name, name))
			return -errors[i].value;
	return 0;
}

/* What an extended operation is called; NULL for one that is not in the table. */
static const char *mmuext_name(unsigned int cmd)
{
	static const char *const names[] = {
		[MMUEXT_PIN_L1_TABLE] = "pin L1",
		[MMUEXT_PIN_L2_TABLE] = "pin L2",
		[MMUEXT_PIN_L3_TABLE] = "pin L3",
		[MMUEXT_PIN_L4_TABLE] = "pin L4",
		[MMUEXT_UNPIN_TABLE] = "unpin",
		[MMUEXT_NEW_BASEPTR] = "new base pointer",
		[MMUEXT_TLB_FLUSH_LOCAL] = "flush local TLB",
		[MMUEXT_INVLPG_LOCAL] = "flush local address",
		[MMUEXT_TLB_FLUSH_MULTI] = "flush TLBs",
		[MMUEXT_INVLPG_MULTI] = "flush address",
		[MMUEXT_TLB_FLUSH_ALL] = "flush all TLBs",
		[MMUEXT_INVLPG_ALL] = "flush address everywhere",
		[MMUEXT_FLUSH_CACHE] = "flush cache",
		[MMUEXT_SET_LDT] = "set LDT",
		[MMUEXT_NEW_USER_BASEPTR] = "new user base pointer",
		[MMUEXT_CLEAR_PAGE] = "clear page",
		[MMUEXT_COPY_PAGE] = "copy page",
		[MMUEXT_FLUSH_CACHE_GLOBAL] = "flush cache globally",
	};

	return cmd < PVMM_ARRAY_SIZE(names) ? names[cmd] : NULL;
}

/* Whether its first argument is a frame; the others take an address or nothing. */
static bool takes_frame(unsigned int cmd)
{
	return cmd <= MMUEXT_NEW_BASEPTR || cmd == MMUEXT_NEW_USER_BASEPTR ||
	       cmd == MMUEXT_CLEAR_PAGE || cmd == MMUEXT_COPY_PAGE;
}

void pvmm_batch_describe(const struct pvmm_batch_failure *failure, char *buf, size_t len_bytes)
{
	const char *err = pvmm_errno_name(failure->err);
	const char *name;

	if (failure->kind == PVMM_BATCH_MMU_UPDATE) {
		pvmm_snprintf(buf, len_bytes,
			      "store 0x%llx in the table entry at machine address 0x%llx: -%s (%d)",
			      (unsigned long long)failure->op.update.val,
			      (unsigned long long)failure->op.update.ptr, err, failure->err);
		return;
	}

	name = mmuext_name(failure->op.ext.cmd);
	if (!name)
		pvmm_snprintf(buf, len_bytes, "extended operation %u: -%s (%d)",
			      failure->op.ext.cmd, err, failure->err);
	else if (takes_frame(failure->op.ext.cmd))
		pvmm_snprintf(buf, len_bytes, "%s of mfn 0x%llx: -%s (%d)", name,
			      (unsigned long long)failure->op.ext.arg1.mfn, err, failure->err);
	else
		pvmm_snprintf(buf, len_bytes, "%s, argument 0x%llx: -%s (%d)", name,
			      (unsigned long long)failure->op.ext.arg1.linear_addr, err,
			      failure->err);
}
