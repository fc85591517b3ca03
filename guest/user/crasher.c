/* SPDX-License-Identifier: MIT */
/* Does something for which it must be killed: arg says what (tests/guest/process.c has the list).
 */
#include "user.h"

static uint64_t data[2];

static void jump_to(uint64_t where)
{
	__asm__ volatile("jmp *%0" : : "r"(where));
}

unsigned int main(uint64_t arg)
{
	switch (arg) {
	case 0:
		return (unsigned int)*(volatile uint64_t *)arg;
	case 1:
		*(volatile uint64_t *)(uintptr_t)main = 0;
		break;
	case 2:
		return (unsigned int)*(volatile uint64_t *)0xffffffff80000000;
	case 3:
		__asm__ volatile("ud2");
		break;
	case 4:
		__asm__ volatile("divq %0" : : "r"(0UL), "a"(1UL), "d"(0UL));
		break;
	case 5:
		__asm__ volatile("hlt");
		break;
	case 6:
		__asm__ volatile("fninit");
		break;
	case 7:
		jump_to((uintptr_t)data);
		break;
	case 8:
		jump_to(0x0000900000000000);
		break;
	case 9:
		__asm__ volatile("movq $0x12345678, %rsp; pushq $1");
		break;
	case 10:
		__asm__ volatile("int3");
		break;
	case 11:
		__asm__ volatile("sysenter");
		break;
	case 12:
		__asm__ volatile("movq $-8, %rsp; ud2");
		break;
	case 13:
		return (unsigned int)*(volatile uint64_t *)0xffff888000000000;
	}
	return 0;
}
