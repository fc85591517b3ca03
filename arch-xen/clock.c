/* SPDX-License-Identifier: MIT */
/* See clock.h. Pure functions: any context. */
#include "clock.h"

#define NS_PER_SECOND 1000000000ULL

uint64_t clock_scale(uint64_t ticks, uint32_t mul, int shift)
{
	if (shift >= 0)
		ticks <<= shift;
	else
		ticks >>= -shift;
	return (uint64_t)(((unsigned __int128)ticks * mul) >> 32);
}

uint64_t clock_offset(uint64_t clock_ns, uint64_t xen_ns)
{
	return clock_ns - xen_ns;
}

uint64_t clock_to_xen(uint64_t clock_ns, uint64_t offset)
{
	uint64_t xen_ns = clock_ns - offset;

	if (clock_ns > INT64_MAX)
		return INT64_MAX;
	return xen_ns && xen_ns <= INT64_MAX ? xen_ns : 1;
}

uint64_t clock_wall(uint32_t sec_hi, uint32_t sec, uint32_t nsec, uint64_t xen_ns)
{
	return ((uint64_t)sec_hi << 32 | sec) * NS_PER_SECOND + nsec + xen_ns;
}
