#!/bin/sh
# SPDX-License-Identifier: MIT
# lab: --timeout=200
# image: build/inject/pvmm-guest
#
# Hypercalls refused in turn, in a domU: the image that is built with fault injection.
. ./lab.sh
. ./tap.sh

guest_suite "every hypercall that can be undone is refused in turn" 'extra="suite=inject"' vcpus=1 maxvcpus=6
done_testing
