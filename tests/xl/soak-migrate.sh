#!/bin/sh
# SPDX-License-Identifier: MIT
# soak-migrate.sh: a guest at work with two vCPUs is migrated, live, to the same host, CYCLES times (or as the file soak-cycles
# says, or 50), and finds nothing wrong each time nor in the end. Runs in dom0, the laboratory's or a real
# one; status 0 only if all that holds and the hypervisor has had nothing to say of it.
. ./lab.sh
. ./suspend.sh

load_soak migrate "${CYCLES:-$(cat soak-cycles 2>/dev/null || echo 50)}"
