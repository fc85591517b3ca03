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
# The reference kernel keeps its functions apart, so that reports name the one that did it.
GUEST_CFLAGS = $(KERNEL_CFLAGS) -fno-inline -fno-ipa-cp -fno-ipa-sra -Iguest -ffile-prefix-map=$(CURDIR)/=

# INJECT=1: a test build whose hypercalls can be made to fail (pvmm/inject.h). Use a BUILD of its own.
ifdef INJECT
KERNEL_CFLAGS += -DPVMM_INJECT
INJECT_SRC = $(wildcard hypercall/inject/*.c)
endif

LIB_SRC	  = $(wildcard hypercall/*.c mm/*.c arch-xen/*.c) $(INJECT_SRC)
LIB_ASM	  = hypercall/stub_x86_64.S arch-xen/entry_x86_64.S
LIB_OBJ	  = $(LIB_SRC:%.c=$(BUILD)/%.o) $(LIB_ASM:%.S=$(BUILD)/%.S.o)
GUEST_SRC = $(wildcard guest/*.c tests/guest/*.c)
GUEST_ASM = guest/switch.S guest/programs.S
GUEST_OBJ = $(GUEST_SRC:%.c=$(BUILD)/%.o) $(GUEST_ASM:%.S=$(BUILD)/%.S.o)
USER_SRC  = $(wildcard guest/user/*.c)
USER_PROGRAMS = $(USER_SRC:%.c=$(BUILD)/%)

LINK	= $(LD) -nostdlib -static --gc-sections -z max-page-size=4096 -T arch-xen/pvmm.lds

LIB	= $(BUILD)/libpvmm.a
GUEST	= $(BUILD)/pvmm-guest

# V=1 shows the commands whole.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

.DELETE_ON_ERROR:
.SUFFIXES:

all: $(LIB) $(GUEST) ## builds the library, the reference kernel, and dom0's programs where Xen's libraries are

# dom0's programs (tools/tools.mk) need Xen's libraries and libdw; nothing else does.
HAS_TOOLS := $(and $(wildcard /usr/include/xenctrl.h),$(wildcard /usr/include/elfutils/libdw.h),$(if $(INJECT),,yes))

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
$(GUEST_SRC:%.c=$(BUILD)/%.o): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(GUEST_CFLAGS) -c $< -o $@

# The programs that the reference kernel runs in user mode are part of its image.
USER_CFLAGS = $(CFLAGS) -std=c11 -ffreestanding -fno-pic -fno-stack-protector -mgeneral-regs-only \
	   -fno-asynchronous-unwind-tables $(WARNINGS)
$(USER_PROGRAMS): $(BUILD)/%: %.c guest/user/crt0.S guest/user/user.lds guest/user/user.h guest/user/abi.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(USER_CFLAGS) -nostdlib -static -no-pie -s -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-T guest/user/user.lds -o $@ guest/user/crt0.S $<
$(BUILD)/guest/programs.S.o: $(USER_PROGRAMS)
$(BUILD)/guest/programs.S.o: KERNEL_CFLAGS += -Wa,-I$(BUILD)/guest/user

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

VERSION = 0.1

include tests/hosted.mk tools/tools.mk
all: $(if $(HAS_TOOLS),$(TOOLS))
HOSTED_ENV = CMOCKA_MESSAGE_OUTPUT=TAP ASAN_OPTIONS=detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1
HOSTED_RUN = timeout -k 5 $(HOSTED_TIMEOUT)

# --- running and testing: each sets up what the machine lacks ---

# Nothing outlives this make, however it ends: stages die with it, and so does what lab/run starts.
STAGE	    = @setpriv --pdeathsig TERM tools/stage
export LAB_OWNER := $(shell echo $$PPID)
SUBMAKE	    = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j2)
HYPERVISOR ?= debug

run: ## shows the main job on real Xen (HYPERVISOR=debug|release, LAB=qemu|host)
	$(STAGE) "packages" lab/packages build $(if $(filter host,$(LAB)),,lab)
	$(STAGE) "build" $(SUBMAKE) all
	$(if $(filter host,$(LAB)),,$(STAGE) "laboratory" lab/setup)
	$(STAGE) "stale mappings meet page tables, under xl" lab/run --hypervisor=$(HYPERVISOR) \
		--timeout=300 tests/xl/story.sh "pvmm-guest=$(GUEST)" xl-configs/demo.cfg

# How long is the script's, so it goes in as a file.
MINUTES ?= 30
WHAT	?= work
CYCLES	?=
soak: ## everything at once under xl, with 1 and with 2 vCPUs (MINUTES=30); WHAT=NAME CYCLES=N: tests/xl/soak-NAME.sh
	$(STAGE) "packages" lab/packages build $(if $(filter host,$(LAB)),,lab)
	$(STAGE) "build" $(SUBMAKE) all tools
	$(if $(filter host,$(LAB)),,$(STAGE) "laboratory" lab/setup)
	@echo $$(($(MINUTES) * 60)) > $(BUILD)/soak-seconds
	@echo $(CYCLES) > $(BUILD)/soak-cycles
	$(STAGE) "soak: $(WHAT)$(if $(CYCLES),$(comma) $(CYCLES) cycles)$(if $(filter work,$(WHAT)),$(comma) $(MINUTES) minutes)" \
		lab/run --hypervisor=$(HYPERVISOR) --timeout=$(SOAK_TIMEOUT) \
		tests/xl/soak-$(WHAT).sh "pvmm-guest=$(GUEST)" \
		$(wildcard xl-configs/*.cfg) $(filter-out tests/xl/soak-$(WHAT).sh,$(wildcard tests/xl/*.sh)) \
		$(TOOLS) $(BUILD)/soak-seconds $(if $(CYCLES),$(BUILD)/soak-cycles)
comma	:= ,
# Cycles take seconds under emulation.
SOAK_TIMEOUT = $(if $(filter work,$(WHAT)),$$(($(MINUTES) * 60 + 300)),14400)

# One small program for each test, so that prove shows what it runs and adds it all up.
HYPERVISORS = $(if $(filter host,$(LAB)),host,debug release)
XL_TESTS    = $(wildcard tests/xl/*.t)
HARNESS	    = $(wildcard tests/harness/*.t)

# The hypercalls of the 32-bit interface, in a kernel that does nothing else.
WIDTH32	= $(BUILD)/width32
WIDTH32_CFLAGS = -O2 -g -m32 -std=c11 -ffreestanding -fno-pic -fno-stack-protector -mgeneral-regs-only \
	   -fno-asynchronous-unwind-tables $(WARNINGS) -Iinclude
WIDTH32_SRC = tests/width32/start.S tests/width32/main.c tests/width32/pae.c hypercall/stub_x86_32.S

$(WIDTH32): $(WIDTH32_SRC) tests/width32/width32.h arch-xen/note.inc tests/width32/width32.lds $(wildcard include/pvmm/*.h include/pvmm/x86_32/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(WIDTH32_CFLAGS) -nostdlib -static -no-pie -Wl,-m,elf_i386 -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
		-T tests/width32/width32.lds -o $@ $(WIDTH32_SRC)

# A backend for dom0, which xl's scripts tell what to do with a guest's grants.
GRANT_PEER = $(BUILD)/grant-peer
$(GRANT_PEER): tests/peer/grant-peer.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -O2 -g -std=gnu11 $(WARNINGS) -o $@ $< -lxengnttab

inject:
	+@$(SUBMAKE) BUILD=build/inject INJECT=1 all

tests: all hosted inject $(WIDTH32) $(GRANT_PEER)
	@rm -rf $(BUILD)/t
	@mkdir -p $(BUILD)/t/hosted $(BUILD)/t/harness $(HYPERVISORS:%=$(BUILD)/t/%)
	@for t in $(HOSTED_TESTS); do \
		name=$(BUILD)/t/hosted/$${t##*/test_}; \
		printf '$(HOSTED_ENV) exec tests/said %s.said %s %s\n' $$name "$(HOSTED_RUN)" $$t \
			> $$name.t; done
	@for h in $(HYPERVISORS); do for t in $(XL_TESTS); do \
		name=$(BUILD)/t/$$h/$${t##*/}; \
		printf 'exec tests/said %s.said tests/in-lab %s %s\n' $${name%.t} $$h $$t > $$name; \
	done; done
	@for t in $(if $(filter host,$(LAB)),,$(HARNESS)); do \
		name=$(BUILD)/t/harness/$${t##*/}; \
		printf 'exec tests/said %s.said sh %s\n' $${name%.t} $$t > $$name; done

# A laboratory keeps one processor busy for two thirds of its time; a real host has one dom0.
TEST_JOBS ?= $(if $(filter host,$(LAB)),1,2)

test: ## everything: hosted, then under xl on both hypervisors
	$(STAGE) "packages" lab/packages build test $(if $(filter host,$(LAB)),,lab)
	$(STAGE) "build" $(SUBMAKE) tests
	$(if $(filter host,$(LAB)),,$(STAGE) "laboratory" lab/setup linux)
	$(STAGE) "tests" tests/all $(TEST_JOBS) $(BUILD)/t/hosted \
		$(HYPERVISORS:%=$(BUILD)/t/%) $(BUILD)/t/harness

check: ## the hosted tests alone, in seconds
	@lab/packages build test
	+@$(SUBMAKE) tests
	@tests/all 2 $(BUILD)/t/hosted

bench: ## what operations cost, counted in instructions (release hypervisor)
	$(STAGE) "packages" lab/packages build lab
	$(STAGE) "build" $(SUBMAKE) all
	$(STAGE) "bench" lab/run --icount --hypervisor=release tests/bench.sh "pvmm-guest=$(GUEST)" \
		xl-configs/test.cfg

# --- longer than a test: model against Xen, fuzzing, threads ---

include tests/diff.mk tests/fuzz.mk

# --- keeping it clean ---

C_FILES = $(wildcard $(foreach d,include/pvmm include/pvmm/x86_64 include/pvmm/x86_32 tests/width32 hypercall mm arch-xen guest \
	    tests/guest tests/model tests/unit tests/matrix tests/peer tests/diff tests/fuzz tools tests/tools,$(d)/*.[ch]))
ANALYSE = clang --analyze -Xanalyzer -analyzer-werror --analyzer-output text

lint: ## format, static analysers, warnings as errors
	@lab/packages build test lint
	$(STAGE) "clang-format" clang-format --dry-run -Werror $(C_FILES)
	$(STAGE) "cppcheck" cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
		--enable=warning,performance,portability --suppress=nullPointerArithmeticRedundantCheck \
		-Iinclude -D__x86_64__ $(LIB_SRC) $(GUEST_SRC)
	$(STAGE) "clang analyzer" $(ANALYSE) -std=c11 -ffreestanding -Iinclude -Iguest $(LIB_SRC) $(GUEST_SRC)
	$(STAGE) "clang analyzer, tools" $(ANALYSE) -std=gnu11 -Iinclude -Itools -DPVMM_VERSION='"$(VERSION)"' $(wildcard tools/*.c)
	$(STAGE) "warnings" $(SUBMAKE) all hosted

compile_commands: ## writes compile_commands.json for editors
	@{ echo '['; sep=; for f in $(LIB_SRC) $(GUEST_SRC); do \
		printf '%s{"directory":"%s","file":"%s","command":"%s"}\n' "$$sep" "$(CURDIR)" $$f \
			"$(CC) $(KERNEL_CFLAGS) -Iguest -c $$f"; sep=,; done; echo ']'; } > compile_commands.json

# --- installing ---

install: all ## DESTDIR= PREFIX=: library, headers, kernel image, xl configurations, dom0's programs
	install -d $(DESTDIR)$(PREFIX)/include/pvmm/x86_64 \
		$(DESTDIR)$(PREFIX)/include/pvmm/x86_32 $(DESTDIR)$(PREFIX)/lib/pvmm \
		$(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/share/pvmm/xl-configs \
		$(DESTDIR)$(PREFIX)/share/doc/pvmm
	install -m 644 include/pvmm/*.h $(DESTDIR)$(PREFIX)/include/pvmm
	install -m 644 include/pvmm/x86_64/*.h $(DESTDIR)$(PREFIX)/include/pvmm/x86_64
	install -m 644 include/pvmm/x86_32/*.h $(DESTDIR)$(PREFIX)/include/pvmm/x86_32
	install -m 644 $(LIB) arch-xen/pvmm.lds $(GUEST) $(DESTDIR)$(PREFIX)/lib/pvmm
	install -m 755 tools/mksymbols.sh $(DESTDIR)$(PREFIX)/lib/pvmm
	install -m 644 README.md LICENSE docs/*.md $(DESTDIR)$(PREFIX)/share/doc/pvmm
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@KERNEL_CFLAGS@|$(FREESTANDING)|' \
		tools/libpvmm.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/libpvmm.pc
	$(if $(HAS_TOOLS),install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/man/man8)
	$(if $(HAS_TOOLS),install -m 755 $(TOOLS) $(DESTDIR)$(PREFIX)/sbin)
	$(if $(HAS_TOOLS),install -m 644 $(TOOLS_MAN) $(DESTDIR)$(PREFIX)/share/man/man8)
	$(if $(HAS_TOOLS),install -d $(DESTDIR)$(PREFIX)/lib/systemd/system)
	$(if $(HAS_TOOLS),sed -e 's|@PREFIX@|$(PREFIX)|' tools/pvmm-pinwatch.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/pvmm-pinwatch.service)
	for c in xl-configs/*.cfg; do \
		sed 's|"pvmm-guest"|"$(PREFIX)/lib/pvmm/pvmm-guest"|' $$c \
			> $(DESTDIR)$(PREFIX)/share/pvmm/$$c; done

uninstall: ## takes away what install put there
	rm -rf $(DESTDIR)$(PREFIX)/include/pvmm $(DESTDIR)$(PREFIX)/lib/pvmm \
		$(DESTDIR)$(PREFIX)/share/pvmm $(DESTDIR)$(PREFIX)/share/doc/pvmm \
		$(DESTDIR)$(PREFIX)/lib/pkgconfig/libpvmm.pc \
		$(TOOLS_PROGRAMS:%=$(DESTDIR)$(PREFIX)/sbin/%) \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/pvmm-pinwatch.service \
		$(TOOLS_MAN:tools/man/%=$(DESTDIR)$(PREFIX)/share/man/man8/%)

clean: ## removes what was built (the laboratory's cache stays)
	rm -rf $(BUILD) compile_commands.json

help: ## this
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

C_FILES += $(wildcard hypercall/inject/*.[ch])

.PHONY: all run soak bench inject tests test check lint compile_commands install uninstall clean help FORCE

-include $(LIB_OBJ:.o=.d) $(GUEST_OBJ:.o=.d)
