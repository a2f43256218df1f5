// SPDX-License-Identifier: Apache-2.0
// Descriptors that a call has for its own use, while it is under way. A child that another thread forks has a copy of
// each, which nobody there knows: it would keep a connection open that the program has closed, or a folder locked. So
// the child closes them.
#define _GNU_SOURCE 1
#include "socket_shim_raw.h"
#include "direct.h"
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>

enum { PLACES = 512 };

// A word for each: the descriptor and 1, or 0 for a place that is free.
static unsigned kept[PLACES];
// Which thread keeps it, by where it has its thread-local memory: in a child that is where it was in the parent.
static uintptr_t keepers[PLACES];
// Where on its stack, and what file it is: the program may close all numbers that it does not know, and use them again.
static uintptr_t frames[PLACES];
static struct raw_file files[PLACES];

static uintptr_t this_thread(void) { return (uintptr_t)__builtin_thread_pointer(); }

// Threads that are changing what is open and kept, and forks under way: a fork waits for those, and those for it.
static int changing, forking;
// Whose they are. A child that was made without the handlers below (clone, _Fork) has its parent's, which mean nothing.
static int process;
enum { TURNS = 100, MILLISECONDS = 100 };

int shim_is_own_process(void) { return __atomic_load_n(&process, __ATOMIC_ACQUIRE) == raw_process(); }

static void notice_process(void) {
  int now = raw_process();
  if (__atomic_load_n(&process, __ATOMIC_ACQUIRE) == now) return;
  for (int place = 0; place < PLACES; place++) shim_forget(place);
  __atomic_store_n(&changing, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&forking, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&process, now, __ATOMIC_RELEASE);
}

// At first by letting others run; a machine that is busy may let them wait.
static void wait_a_turn(int turn) {
  if (turn < TURNS) raw_yield();
  else raw_poll(-1, 0, 1);
}

// No signal comes in between: its handler could fork, or leave by a jump.
void shim_begin_change(uint64_t *mask) {
  raw_block_signals(mask);
  notice_process();
  for (int turn = 0; turn < TURNS + MILLISECONDS; turn++) {
    __atomic_fetch_add(&changing, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&forking, __ATOMIC_SEQ_CST) <= 0) return;
    __atomic_fetch_sub(&changing, 1, __ATOMIC_SEQ_CST);
    wait_a_turn(turn);
  }
  __atomic_fetch_add(&changing, 1, __ATOMIC_SEQ_CST);
}

void shim_end_change(const uint64_t *mask) {
  __atomic_fetch_sub(&changing, 1, __ATOMIC_SEQ_CST);
  raw_restore_signals(mask);
}

static void before_fork(void) {
  notice_process();
  __atomic_fetch_add(&forking, 1, __ATOMIC_SEQ_CST);
  for (int turn = 0; turn < TURNS + MILLISECONDS && __atomic_load_n(&changing, __ATOMIC_SEQ_CST) > 0; turn++)
    wait_a_turn(turn);
  // Behind that: a connection that another thread has just been given is among them, and none comes after it.
  if (shim_direct_count() > 0) shim_direct_drop_all();
}

// A handler that has forked in the midst of a fork has a child that comes by here with nothing under way.
static void after_fork(void) {
  if (__atomic_fetch_sub(&forking, 1, __ATOMIC_SEQ_CST) <= 0) __atomic_store_n(&forking, 0, __ATOMIC_SEQ_CST);
}

int shim_keep(int fd) {
  if (fd < 0) return -1;
  for (int place = 0; place < PLACES; place++) {
    unsigned nothing = 0;
    if (!__atomic_compare_exchange_n(&kept[place], &nothing, (unsigned)fd + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      continue;
    frames[place] = (uintptr_t)__builtin_frame_address(0);
    raw_file(fd, &files[place]);
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

static void close_kept(int place, int fd) {
  struct raw_file file = {0};
  if (raw_file(fd, &file) >= 0 && file.inode == files[place].inode && file.device == files[place].device) raw_close(fd);
  shim_forget(place);
}

static int is_on_signal_stack(void) {
  stack_t stack = {0};
  return raw_signal_stack(&stack) != 0 || stack.ss_flags & SS_ONSTACK;
}

// Stacks grow downwards: what was kept below where this thread is now belongs to calls that are over. A handler that
// has a stack of its own may be above the call that it came into.
void shim_close_abandoned(void) {
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  for (int place = 0; place < PLACES; place++) {
    unsigned word = __atomic_load_n(&kept[place], __ATOMIC_ACQUIRE);
    if (word == 0 || __atomic_load_n(&keepers[place], __ATOMIC_ACQUIRE) != this_thread() || frames[place] > here)
      continue;
    if (is_on_signal_stack()) return;
    uint64_t mask;
    shim_begin_change(&mask);
    close_kept(place, (int)word - 1);
    shim_end_change(&mask);
  }
}

// In the child, which has one thread. A handler of a signal that came in the midst of a call may have forked: what that
// call has is still in use.
static void close_others(void) {
  __atomic_store_n(&process, raw_process(), __ATOMIC_RELEASE);
  __atomic_store_n(&forking, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&changing, 0, __ATOMIC_SEQ_CST);
  for (int place = 0; place < PLACES; place++) {
    unsigned word = __atomic_load_n(&kept[place], __ATOMIC_ACQUIRE);
    if (word == 0 || __atomic_load_n(&keepers[place], __ATOMIC_ACQUIRE) == this_thread()) continue;
    close_kept(place, (int)word - 1);
  }
}

// Both C libraries have one of these; glibc's older pthread_atfork is in no shared library.
static __attribute__((constructor)) void watch_forks(void) {
  process = raw_process();
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
