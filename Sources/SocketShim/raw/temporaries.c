// SPDX-License-Identifier: Apache-2.0
// Descriptors that a call has for its own use, while it is under way. A child that another thread forks has a copy of
// each, which nobody there knows: it would keep a connection open that the program has closed, or a folder locked. So
// the child closes them.
#define _GNU_SOURCE 1
#include "socket_shim_raw.h"
#include <dlfcn.h>
#include <stddef.h>

enum { PLACES = 64 };

// A word for each: the descriptor and 1, or 0 for a place that is free.
static unsigned kept[PLACES];
// Which thread keeps it, by where it has its thread-local memory: in a child that is where it was in the parent.
static uintptr_t keepers[PLACES];

static uintptr_t this_thread(void) { return (uintptr_t)__builtin_thread_pointer(); }

// Threads that are changing what is open and kept, and forks under way: a fork waits for those, and those for it. Neither
// waits long: a handler of a signal may fork in the midst of one. (In its child that one then counts below 0.)
static int changing, forking;
enum { TURNS = 100, MILLISECONDS = 100 };

// At first by letting others run; a machine that is busy may let them wait.
static void wait_a_turn(int turn) {
  if (turn < TURNS) raw_yield();
  else raw_poll(-1, 0, 1);
}

void shim_begin_change(void) {
  for (int turn = 0; turn < TURNS + MILLISECONDS; turn++) {
    __atomic_fetch_add(&changing, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&forking, __ATOMIC_SEQ_CST) == 0) return;
    __atomic_fetch_sub(&changing, 1, __ATOMIC_SEQ_CST);
    wait_a_turn(turn);
  }
  __atomic_fetch_add(&changing, 1, __ATOMIC_SEQ_CST);
}

void shim_end_change(void) { __atomic_fetch_sub(&changing, 1, __ATOMIC_SEQ_CST); }

static void before_fork(void) {
  __atomic_fetch_add(&forking, 1, __ATOMIC_SEQ_CST);
  for (int turn = 0; turn < TURNS + MILLISECONDS && __atomic_load_n(&changing, __ATOMIC_SEQ_CST) > 0; turn++)
    wait_a_turn(turn);
}

static void after_fork(void) { __atomic_fetch_sub(&forking, 1, __ATOMIC_SEQ_CST); }

int shim_keep(int fd) {
  if (fd < 0) return -1;
  for (int place = 0; place < PLACES; place++) {
    unsigned nothing = 0;
    if (!__atomic_compare_exchange_n(&kept[place], &nothing, (unsigned)fd + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      continue;
    __atomic_store_n(&keepers[place], this_thread(), __ATOMIC_RELEASE);
    return place;
  }
  return -1;
}

void shim_forget(int place) {
  if (place < 0) return;
  __atomic_store_n(&keepers[place], 0, __ATOMIC_RELEASE);
  __atomic_store_n(&kept[place], 0, __ATOMIC_RELEASE);
}

// In the child, which has one thread. A handler of a signal that came in the midst of a call may have forked: what that
// call has is still in use.
static void close_others(void) {
  __atomic_store_n(&forking, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&changing, 0, __ATOMIC_SEQ_CST);
  for (int place = 0; place < PLACES; place++) {
    unsigned word = __atomic_load_n(&kept[place], __ATOMIC_ACQUIRE);
    if (word == 0 || __atomic_load_n(&keepers[place], __ATOMIC_ACQUIRE) == this_thread()) continue;
    raw_close((int)word - 1);
    shim_forget(place);
  }
}

// Both C libraries have one of these; glibc's older pthread_atfork is in no shared library.
static __attribute__((constructor)) void watch_forks(void) {
  typedef void (*handler)(void);
  int (*at_fork)(handler, handler, handler) = (int (*)(handler, handler, handler))dlsym(RTLD_DEFAULT, "pthread_atfork");
  if (at_fork) {
    at_fork(before_fork, after_fork, close_others);
    return;
  }
  int (*own)(handler, handler, handler, void *) =
      (int (*)(handler, handler, handler, void *))dlsym(RTLD_DEFAULT, "__register_atfork");
  if (own) own(before_fork, after_fork, close_others, NULL);
}
