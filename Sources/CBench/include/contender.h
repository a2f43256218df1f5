// SPDX-License-Identifier: Apache-2.0
// A queue of somebody else's that takes part in the benchmark: a shared library that has one function,
// `const struct contender *ringway_contender(unsigned index)`, NULL behind the last. Its memory is shared by two
// processes at one address; it must not need any other. peers/loops.hpp makes the table from a class.
#ifndef RINGWAY_CONTENDER_H
#define RINGWAY_CONTENDER_H
#include <stddef.h>
#include <stdint.h>

#define RINGWAY_CONTENDER_VERSION 2

struct contender {
  uint32_t version;
  // How many messages it moves in one operation; 1 is "one at a time".
  uint32_t batch;
  // 1: it waits in the kernel, not by spinning, and is given less to do.
  uint32_t sleeps;
  const char *name;
  // Bytes of memory that it needs for messages of that size; 0: it does not take them.
  size_t (*size)(size_t message);
  // The memory is zeros, and aligned to a page. 0 or an errno.
  int (*prepare)(void *memory, size_t message);
  // Inserts `count` messages, which begin with their number (8 bytes, from 0); spins while there is no room.
  void (*produce)(void *memory, size_t message, uint64_t count);
  // Removes as many into memory of its own; returns how many had another number, and may return at the first of them:
  // when one was lost, the last will never come.
  uint64_t (*consume)(void *memory, size_t message, uint64_t count);
  // One message.
  void (*send)(void *memory, size_t message, const void *bytes);
  void (*receive)(void *memory, size_t message, void *bytes);
};
#endif
