# SPDX-License-Identifier: MIT
#
# The model and real Xen against each other: the same random sequences in the reference guest and in
# a hosted program (tests/diff/sequence.h).
#
#   make differential                                   1000 sequences, debug hypervisor
#   make differential SEEDS=1:10000 HYPERVISOR=release
#
# Included by the top Makefile behind tests/hosted.mk; `make -f tests/diff.mk hosted-diff` builds the
# hosted program alone.

ifeq ($(HOSTED_DIR),)
include tests/hosted.mk
endif


DIFF_SRC := $(wildcard tests/diff/*.c)
DIFF_OBJ := $(DIFF_SRC:%.c=$(HOSTED_DIR)/%.o)
DIFF_BIN := $(HOSTED_DIR)/diff
SEEDS	 ?= 1:1000

.PHONY: hosted-diff differential
hosted-diff: $(DIFF_BIN)

$(DIFF_BIN): $(DIFF_OBJ) $(HOSTED_LIB)
	@mkdir -p $(@D)
	@echo '  HOSTLD  $@'
	$(HOSTED_Q)$(HOSTCC) $(HOSTED_SANITIZE) -o $@ $(DIFF_OBJ) $(HOSTED_LIB) -lpthread

-include $(DIFF_OBJ:.o=.d)

# The hosted program is part of what "make test" builds.
hosted: $(DIFF_BIN)

differential: ## SEEDS=FIRST:COUNT HYPERVISOR=debug|release: the model and real Xen must agree
	$(STAGE) "packages" lab/packages build test lab
	$(STAGE) "build" $(SUBMAKE) all hosted-diff
	$(STAGE) "laboratory" lab/setup
	$(STAGE) "the model against $(HYPERVISOR) Xen, seeds $(SEEDS)" \
		tests/diff/compare $(HYPERVISOR) $(SEEDS)
