# SPDX-License-Identifier: MIT
#
# The hosted part: the memory manager and the hypercall batch, compiled for the machine that builds
# them, on tests/model/ in place of Xen, under AddressSanitizer and UBSan.
#
#   make hosted         builds the test programs
#   make check-hosted   builds and runs them; TAP, read by prove
#   make check-hosted HOSTED_TESTS=build/hosted/tests/unit/test_batch
#
# Included by the top Makefile; `make -f tests/hosted.mk check-hosted` works too.

BUILD ?= build

# V=1 shows the commands.
HOSTED_Q := $(if $(V),,@)

ifeq ($(origin HOSTCC),undefined)
HOSTCC := $(if $(shell command -v clang),clang,gcc)
endif

HOSTED_DIR := $(BUILD)/hosted
HOSTED_LIB := $(HOSTED_DIR)/libhosted.a

HOSTED_SANITIZE ?= -fsanitize=address,undefined -fno-sanitize-recover=all
HOSTED_WARN := -Wall -Wextra -Werror -Wshadow -Wundef -Wvla -Wpointer-arith -Wwrite-strings \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wimplicit-fallthrough \
	-Wformat=2 -Wno-format-nonliteral
HOSTED_CFLAGS := -std=c11 -g -O1 $(HOSTED_WARN) $(HOSTED_SANITIZE) -fno-omit-frame-pointer \
	-fno-optimize-sibling-calls -I. -Iinclude -DPVMM_LAYOUT='"tests/model/layout.h"' \
	-include tests/model/relax.h

# Pages that are freed pass the model on their way (tests/model/tlb.c).
HOSTED_LDFLAGS := -Wl,--wrap=pvmm_page_free

# What of the library runs hosted: all of mm/ and hypercall/ but the trap itself, and those files of
# arch-xen/ that know nothing of Xen; and of the reference kernel its line editor.
HOSTED_SRC := $(wildcard mm/*.c hypercall/*.c tests/model/*.c) \
	$(wildcard arch-xen/format.c arch-xen/cmdline.c arch-xen/options.c arch-xen/check_options.c \
	arch-xen/xenstore.c arch-xen/xenstore_request.c arch-xen/xenstore_watch.c arch-xen/xenstore_ring.c \
	arch-xen/clock.c arch-xen/grant*.c arch-xen/spinlock.c guest/editor.c)

HOSTED_TEST_SRC := $(wildcard tests/unit/test_*.c)
HOSTED_HELP_SRC := $(filter-out $(HOSTED_TEST_SRC),$(wildcard tests/unit/*.c))
HOSTED_TESTS := $(HOSTED_TEST_SRC:%.c=$(HOSTED_DIR)/%)

HOSTED_OBJ := $(HOSTED_SRC:%.c=$(HOSTED_DIR)/%.o)
HOSTED_HELP_OBJ := $(HOSTED_HELP_SRC:%.c=$(HOSTED_DIR)/%.o)
HOSTED_TEST_OBJ := $(HOSTED_TEST_SRC:%.c=$(HOSTED_DIR)/%.o)

.PHONY: hosted check-hosted
hosted: $(HOSTED_TESTS)

# A test that hangs is a failure: no single program takes more than some seconds.
HOSTED_TIMEOUT ?= 300

check-hosted: hosted
	CMOCKA_MESSAGE_OUTPUT=TAP \
	ASAN_OPTIONS=detect_stack_use_after_return=0:$$ASAN_OPTIONS \
	UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS \
	prove --jobs 2 --exec 'timeout -k 5 $(HOSTED_TIMEOUT)' $(sort $(HOSTED_TESTS))

# An option that changes is a reason to compile again.
HOSTED_FLAGS_FILE := $(HOSTED_DIR)/flags
HOSTED_FLAGS_TEXT := $(HOSTCC) $(HOSTED_CFLAGS)
$(HOSTED_FLAGS_FILE): hosted-force
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(HOSTED_FLAGS_TEXT))' > $@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
.PHONY: hosted-force
hosted-force:

$(HOSTED_DIR)/%.o: %.c $(HOSTED_FLAGS_FILE)
	@mkdir -p $(@D)
	@echo '  HOSTCC  $<'
	$(HOSTED_Q)$(HOSTCC) $(HOSTED_CFLAGS) -MMD -MP -c $< -o $@

# Made anew, so that a source that is gone leaves no object behind.
$(HOSTED_LIB): $(HOSTED_OBJ)
	@rm -f $@
	$(HOSTED_Q)ar rcs $@ $^

$(HOSTED_TESTS): %: %.o $(HOSTED_HELP_OBJ) $(HOSTED_LIB)
	@echo '  HOSTLD  $@'
	$(HOSTED_Q)$(HOSTCC) $(HOSTED_SANITIZE) $(HOSTED_LDFLAGS) -o $@ $(filter %.o,$^) $(HOSTED_LIB) \
		-lcmocka -lpthread

# The symbol lookup is the real one in its own test only: elsewhere addresses have no names.
$(HOSTED_DIR)/tests/unit/test_symbols: $(HOSTED_DIR)/arch-xen/symbols.o

.SECONDARY: $(HOSTED_TEST_OBJ)
-include $(HOSTED_OBJ:.o=.d) $(HOSTED_HELP_OBJ:.o=.d) $(HOSTED_TEST_OBJ:.o=.d)
