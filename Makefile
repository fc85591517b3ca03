# SPDX-License-Identifier: MIT
# pvmm: the one entrance. "make help" says what there is.

BUILD  ?= build
PREFIX ?= /usr/local
DESTDIR ?=
LAB    ?= qemu
export LAB

CC	= gcc
LD	= ld
AR	= ar
NM	= nm
OBJCOPY	= objcopy

CFLAGS	?= -O2 -g
WARNINGS = -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
	   -Wold-style-definition -Wpointer-arith -Wundef -Wvla -Wwrite-strings -Wimplicit-fallthrough
FREESTANDING = -std=c11 -ffreestanding -fno-pic -fno-stack-protector -mcmodel=kernel -mno-red-zone \
	   -mgeneral-regs-only -fno-omit-frame-pointer -fno-optimize-sibling-calls \
	   -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
	   -fno-delete-null-pointer-checks
KERNEL_CFLAGS = $(CFLAGS) $(FREESTANDING) $(WARNINGS) -Iinclude -MMD -MP
LIB_CFLAGS = $(KERNEL_CFLAGS) -fvisibility=hidden
GUEST_CFLAGS = $(KERNEL_CFLAGS) -Iguest -ffile-prefix-map=$(CURDIR)/=

LIB_SRC	  = $(wildcard hypercall/*.c mm/*.c arch-xen/*.c)
LIB_ASM	  = $(wildcard hypercall/*.S arch-xen/*.S)
LIB_OBJ	  = $(LIB_SRC:%.c=$(BUILD)/%.o) $(LIB_ASM:%.S=$(BUILD)/%.S.o)
GUEST_SRC = $(wildcard guest/*.c tests/guest/*.c)
GUEST_OBJ = $(GUEST_SRC:%.c=$(BUILD)/%.o)

LINK	= $(LD) -nostdlib -static --gc-sections -z max-page-size=4096 -T arch-xen/pvmm.lds

LIB	= $(BUILD)/libpvmm.a
GUEST	= $(BUILD)/pvmm-guest

# V=1 shows the commands whole.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

.DELETE_ON_ERROR:
.SUFFIXES:

all: $(LIB) $(GUEST)

$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(LIB_CFLAGS) $(GUEST_CFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(LIB_CFLAGS) $(GUEST_CFLAGS)' > $@
FORCE:

$(LIB_OBJ): $(BUILD)/flags
$(LIB_SRC:%.c=$(BUILD)/%.o): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(LIB_CFLAGS) -c $< -o $@
$(BUILD)/%.S.o: %.S
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(LIB_CFLAGS) -c $< -o $@
$(GUEST_OBJ): $(BUILD)/flags
$(GUEST_OBJ): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(GUEST_CFLAGS) -c $< -o $@

# One object whose internal names are local: a kernel may use any name that is not pvmm_*.
$(BUILD)/libpvmm.o: $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(LD) -r -o $@.tmp $(LIB_OBJ)
	$(Q)$(OBJCOPY) --localize-hidden $@.tmp $@
	@rm -f $@.tmp
$(LIB): $(BUILD)/libpvmm.o
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $<

# Two links: the second takes in the table of the first one's functions (pvmm/symbol.h).
$(GUEST): $(GUEST_OBJ) $(LIB) arch-xen/pvmm.lds tools/mksymbols.sh
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@.1 $(GUEST_OBJ) $(LIB)
	$(Q)NM=$(NM) tools/mksymbols.sh $@.1 > $@.symbols.S
	$(Q)$(CC) -c $@.symbols.S -o $@.symbols.o
	$(Q)$(LINK) -o $@ $(GUEST_OBJ) $@.symbols.o $(LIB)

-include $(LIB_OBJ:.o=.d) $(GUEST_OBJ:.o=.d)
