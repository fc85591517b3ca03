/* SPDX-License-Identifier: MIT */
/*
 * What the compiler may call behind our back, in a kernel as in the library. Weak: a kernel that
 * has its own uses those. Owns nothing.
 */
#include <pvmm/types.h>

#define FOR_THE_COMPILER PVMM_API __attribute__((weak))

FOR_THE_COMPILER void *memcpy(void *restrict to, const void *restrict from, size_t len);
FOR_THE_COMPILER void *memmove(void *to, const void *from, size_t len);
FOR_THE_COMPILER void *memset(void *to, int byte, size_t len);
FOR_THE_COMPILER int memcmp(const void *a, const void *b, size_t len);

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(len) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	unsigned char *d = to;
	const unsigned char *s = from;

	if (d <= s || d >= s + len)
		return memcpy(to, from, len);
	while (len--)
		d[len] = s[len];
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	void *d = to;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *p = a, *q = b;

	for (size_t i = 0; i < len; i++)
		if (p[i] != q[i])
			return p[i] < q[i] ? -1 : 1;
	return 0;
}
