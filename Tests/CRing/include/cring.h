// SPDX-License-Identifier: Apache-2.0
// The ring in C, for comparison: ring.c.
#ifndef RINGWAY_CRING_H
#define RINGWAY_CRING_H
#include <stddef.h>
#include <stdint.h>

// Where the head lies behind the tail.
#define CR_HEAD 256

// Puts `count` numbered messages into a ring and takes them out again in the same process, `in_row` at a time. `words`
// has the ring's indices, `producer` and `consumer` are control blocks of 64 bytes each: all zeros; two identities.
// Returns how many messages were wrong.
uint64_t cr_carry(
    void *_Nonnull words, void *_Nonnull producer, void *_Nonnull consumer, const uint64_t *_Nonnull identities,
    void *_Nonnull data, size_t capacity, void *_Nonnull message, size_t size, uint64_t count, uint64_t in_row);
#endif
