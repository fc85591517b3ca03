# SPDX-License-Identifier: MIT
#
# What runs for minutes: fuzzing, threads under ThreadSanitizer, the long random run.
#
#   make fuzz SECONDS=600 [TARGET=batch]      each target that long; a finding is left in build/fuzz/
#   make fuzz-corpus                          adds what was found to tests/fuzz/corpus/, minimised
#   make fuzz-replay                          each target once over its corpus
#   make tsan [ROUNDS=2000]                   the hosted tests' threads, under ThreadSanitizer
#   make random OPERATIONS=10000000 [SEED=1]  the random test, scaled up
#
# Included by the top Makefile; `make -f tests/fuzz.mk tsan` works too.

BUILD ?= build

# tests/hosted.mk again, with other sanitizers, in directories of its own.
HOSTED_VARIANT = $(MAKE) --no-print-directory -f tests/hosted.mk

# --- threads ---

TSAN_TESTS ?= threads vmap_threads window spinlock
TSAN_RUNS  ?= 3
ROUNDS	   ?= 2000
# Without a randomised layout: ThreadSanitizer of LLVM 14 knows the usual places only.
TSAN_ENV    = THREAD_ROUNDS=$(ROUNDS) TSAN_OPTIONS=halt_on_error=0:exitcode=66:history_size=7 setarch -R

.PHONY: tsan
tsan: ## the hosted tests' threads under ThreadSanitizer (TSAN_RUNS=3 ROUNDS=2000)
	@$(HOSTED_VARIANT) BUILD=$(BUILD)/tsan HOSTED_SANITIZE=-fsanitize=thread \
		$(TSAN_TESTS:%=$(BUILD)/tsan/hosted/tests/unit/test_%)
	@set -e; for t in $(TSAN_TESTS); do for run in $$(seq $(TSAN_RUNS)); do \
		$(TSAN_ENV) timeout -k 5 600 $(BUILD)/tsan/hosted/tests/unit/test_$$t; done; done

# --- long random runs ---

OPERATIONS ?= 10000000
SEED	   ?= 1

.PHONY: random
random: ## random operations under ASan and UBSan (OPERATIONS=10000000 SEED=1)
	@$(HOSTED_VARIANT) $(BUILD)/hosted/tests/unit/test_random
	RANDOM_OPERATIONS=$(OPERATIONS) RANDOM_SEED=$(SEED) \
		UBSAN_OPTIONS=print_stacktrace=1 $(BUILD)/hosted/tests/unit/test_random

# --- fuzzing ---

# The kernel's own structures are aligned, and the unit tests see to it; what a guest hands to Xen
# need not be.
FUZZ_SANITIZE = -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=all
FUZZ_CC	      = clang
FUZZ_CFLAGS   = -std=c11 -g -O1 -Wall -Wextra -Werror -Wno-format-nonliteral -fno-omit-frame-pointer \
		-fno-optimize-sibling-calls -I. -Iinclude -DPVMM_LAYOUT='"tests/model/layout.h"' \
		-include tests/model/relax.h $(FUZZ_SANITIZE) -fsanitize=fuzzer
FUZZ_DIR      = $(BUILD)/fuzz
FUZZ_LIB      = $(FUZZ_DIR)/hosted/libhosted.a
FUZZ_TARGETS  = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

SECONDS	 ?= 60
TARGET	 ?= $(FUZZ_TARGETS)
FUZZ_ARGS = -max_total_time=$(SECONDS) -print_final_stats=1 -timeout=20 -rss_limit_mb=3000 \
	    -max_len=512 -len_control=20

.PHONY: fuzz-build fuzz fuzz-corpus fuzz-replay
fuzz-build:
	@$(HOSTED_VARIANT) BUILD=$(FUZZ_DIR) HOSTCC=$(FUZZ_CC) $(FUZZ_LIB) \
		HOSTED_SANITIZE='$(FUZZ_SANITIZE) -fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp \
			-fsanitize-coverage-ignorelist=tests/fuzz/no-coverage.txt'
	@$(MAKE) --no-print-directory -f tests/fuzz.mk BUILD=$(BUILD) $(FUZZ_TARGETS:%=$(FUZZ_DIR)/%)

# Those that bring a Xen of their own, and those on the model.
$(FUZZ_DIR)/batch: hypercall/batch.c hypercall/describe.c arch-xen/format.c arch-xen/cmdline.c
$(FUZZ_DIR)/text: arch-xen/format.c arch-xen/cmdline.c
$(FUZZ_DIR)/batch $(FUZZ_DIR)/text: $(FUZZ_DIR)/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h
	@echo '  FUZZ    $@'
	@$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^)
# dom0's tools, without Xen's libraries.
FUZZ_READER = $(filter-out tools/%_xen.c tools/pause.c tools/symbols.c tools/tool.c tools/pinwatch.c tools/pvmm-%.c,$(wildcard tools/*.c)) \
	tests/tools/image.c tests/tools/guests.c tests/tools/symbols.c
$(FUZZ_DIR)/reader $(FUZZ_DIR)/pinwatch: $(FUZZ_DIR)/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h $(FUZZ_READER) $(wildcard tools/*.h tests/tools/*.h)
	@mkdir -p $(@D)
	@echo '  FUZZ    $@'
	@$(FUZZ_CC) $(filter-out -include tests/model/relax.h,$(FUZZ_CFLAGS)) -std=gnu11 -Itools -o $@ $(filter %.c,$^)
$(FUZZ_DIR)/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h $(FUZZ_LIB)
	@echo '  FUZZ    $@'
	@$(FUZZ_CC) $(FUZZ_CFLAGS) -Wl,--wrap=pvmm_page_free -o $@ $< $(FUZZ_LIB) -lpthread

fuzz: fuzz-build ## fuzzes each target (SECONDS=600 TARGET=batch)
	@set -e; for t in $(TARGET); do \
		mkdir -p $(FUZZ_DIR)/found/$$t $(FUZZ_DIR)/crash; \
		$(FUZZ_DIR)/$$t $(FUZZ_ARGS) -artifact_prefix=$(FUZZ_DIR)/crash/$$t- \
			$(FUZZ_DIR)/found/$$t tests/fuzz/corpus/$$t; done

fuzz-replay: fuzz-build ## runs each target on its corpus once
	@set -e; for t in $(TARGET); do $(FUZZ_DIR)/$$t -runs=0 tests/fuzz/corpus/$$t; done

fuzz-corpus: fuzz-build ## takes what the fuzzer found into the corpora, minimised
	@set -e; for t in $(TARGET); do rm -rf $(FUZZ_DIR)/merged; mkdir -p $(FUZZ_DIR)/merged; \
		$(FUZZ_DIR)/$$t -set_cover_merge=1 -use_counters=0 -max_len=512 $(FUZZ_DIR)/merged tests/fuzz/corpus/$$t \
			$(FUZZ_DIR)/found/$$t; \
		rm -rf tests/fuzz/corpus/$$t; mv $(FUZZ_DIR)/merged tests/fuzz/corpus/$$t; done
	@du -sh --apparent-size tests/fuzz/corpus
