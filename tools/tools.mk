# SPDX-License-Identifier: MIT
#
# dom0's programs, and the hosted tests of what they are made of.
#
#   make tools          builds them into build/tools/ (needs the group "tools" of lab/packages)
#
# Included by the top Makefile. The programs are built by "all" only where their libraries are there.

TOOLS_PROGRAMS = pvmm-aliases pvmm-map pvmm-pinwatch pvmm-core
TOOLS_DIR      = $(BUILD)/tools
TOOLS_SRC      = $(filter-out $(TOOLS_PROGRAMS:%=tools/%.c),$(wildcard tools/*.c))
TOOLS_OBJ      = $(TOOLS_SRC:tools/%.c=$(TOOLS_DIR)/%.o)
TOOLS	       = $(TOOLS_PROGRAMS:%=$(TOOLS_DIR)/%)
TOOLS_MAN      = $(wildcard tools/man/*.8)
TOOLS_CFLAGS   = $(CFLAGS) -std=gnu11 $(WARNINGS) -Wformat=2 -Itools -Iinclude -DPVMM_VERSION='"$(VERSION)"' -MMD -MP
TOOLS_LIBS     = -lxenctrl -lxencall -lxenforeignmemory -lxenstore -lxentoollog -lxenevtchn -ldw -lelf

# What of them knows neither Xen's libraries nor ELF runs hosted, with sanitizers.
TOOLS_HOSTED_SRC  = $(filter-out tools/%_xen.c tools/pause.c tools/symbols.c tools/tool.c tools/pinwatch.c,$(TOOLS_SRC)) \
	tests/tools/image.c tests/tools/guests.c tests/tools/symbols.c
TOOLS_TEST_SRC	  = $(wildcard tests/tools/test_*.c)
TOOLS_TESTS	  = $(TOOLS_TEST_SRC:%.c=$(HOSTED_DIR)/%)
TOOLS_HOSTED_CFLAGS = -std=gnu11 -g -O1 $(HOSTED_WARN) $(HOSTED_SANITIZE) -fno-omit-frame-pointer -I. -Itools \
	-Iinclude -MMD -MP
TOOLS_HOSTED_OBJ  = $(TOOLS_HOSTED_SRC:%.c=$(HOSTED_DIR)/%.o)

.PHONY: tools
tools: $(TOOLS) ## builds the programs for dom0

$(TOOLS_OBJ) $(TOOLS:=.o): $(TOOLS_DIR)/%.o: tools/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(TOOLS_CFLAGS) -c $< -o $@
$(TOOLS): %: %.o $(TOOLS_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(TOOLS_LIBS)

$(HOSTED_DIR)/tools/%.o: tools/%.c
	@mkdir -p $(@D)
	@echo '  HOSTCC  $<'
	$(Q)$(HOSTCC) $(TOOLS_HOSTED_CFLAGS) -c $< -o $@
$(HOSTED_DIR)/tests/tools/%.o: tests/tools/%.c
	@mkdir -p $(@D)
	@echo '  HOSTCC  $<'
	$(Q)$(HOSTCC) $(TOOLS_HOSTED_CFLAGS) -c $< -o $@
$(TOOLS_TESTS): %: %.o $(TOOLS_HOSTED_OBJ)
	@echo '  HOSTLD  $@'
	$(Q)$(HOSTCC) $(HOSTED_SANITIZE) -o $@ $^ -lcmocka

hosted: $(TOOLS_TESTS)
HOSTED_TESTS += $(TOOLS_TESTS)

-include $(wildcard $(TOOLS_DIR)/*.d $(HOSTED_DIR)/tools/*.d $(HOSTED_DIR)/tests/tools/*.d)
