/* SPDX-License-Identifier: MIT */
/*
 * Included before everything in the hosted build: where the library waits for another vCPU, the
 * thread gives its processor up. There may be fewer processors than threads, and a ticket lock
 * hands itself to one thread in particular.
 */
#ifndef MODEL_RELAX_H
#define MODEL_RELAX_H

void model_relax(void);
#define __builtin_ia32_pause model_relax

#endif
