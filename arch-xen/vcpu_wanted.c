/* SPDX-License-Identifier: MIT */
/* Reads in the xenstore which vCPUs the toolstack wants. Owns nothing. */
#include <pvmm/cmdline.h>
#include <pvmm/log.h>
#include <pvmm/vcpu.h>
#include <pvmm/xen.h>
#include <pvmm/xenstore.h>

/* What another domain has written, fit for a line. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

int pvmm_vcpu_wanted(unsigned int vcpu, bool *online, char *text)
{
	char path[32];
	int err;

	pvmm_snprintf(path, sizeof(path), "cpu/%u/availability", vcpu);
	err = pvmm_store_read(PVMM_STORE_NO_TX, path, text, PVMM_VCPU_TEXT_BYTES, NULL);
	if (err == -XEN_ERANGE)
		pvmm_snprintf(text, PVMM_VCPU_TEXT_BYTES, "(too long)");
	if (err)
		return err == -XEN_ERANGE ? -XEN_EINVAL : err;
	if (pvmm_text_equal(text, "online")) {
		*online = true;
		return 0;
	}
	if (pvmm_text_equal(text, "offline")) {
		*online = false;
		return 0;
	}
	make_printable(text);
	return -XEN_EINVAL;
}
