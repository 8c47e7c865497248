/* fuzz.h: what libFuzzer calls in the programs here, and what it offers them. */
/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERIMESH_FUZZ_H
#define VERIMESH_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Changes data in place to what it returns the size of, at most max bytes. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

/* libFuzzer's own mutations, for a custom mutator. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

#endif
