// SPDX-License-Identifier: Apache-2.0
// The connections of this process whose rings it uses itself: which descriptor stands for which, and until when.
#define _GNU_SOURCE 1
#include "socket_shim_raw.h"
#include "direct.h"
#include <sys/mman.h>

enum { DESCRIPTORS = 4096, CONNECTIONS = 256, PAGE = 4096, TURNS = 100, MILLISECONDS = 100 };

static struct shim_direct connections[CONNECTIONS];
// Which descriptor stands for which connection.
static struct shim_direct *table[DESCRIPTORS];
static int live;
// The agent's eventfd, and what it was: a program may close any number, and open something of its own there.
static int kick = -1;
static struct raw_file kick_file;
static uint64_t *identity;

int shim_direct_count(void) { return __atomic_load_n(&live, __ATOMIC_RELAXED); }

static struct shim_direct *at(int fd) {
  return (unsigned)fd < DESCRIPTORS ? __atomic_load_n(&table[fd], __ATOMIC_SEQ_CST) : NULL;
}

struct shim_direct *shim_direct_enter(int fd) {
  if (__builtin_expect(shim_direct_count() == 0, 1)) return NULL;
  struct shim_direct *direct = at(fd);
  if (!direct) return NULL;
  // Sequentially consistent, as the two words in take(): either it waits for this call, or this call finds nothing.
  __atomic_fetch_add(&direct->users, 1, __ATOMIC_SEQ_CST);
  if (at(fd) == direct) return direct;
  shim_direct_leave(direct);
  return NULL;
}

void shim_direct_leave(struct shim_direct *direct) { __atomic_fetch_sub(&direct->users, 1, __ATOMIC_RELEASE); }

int shim_direct_is_current(int fd, const struct shim_direct *direct) { return at(fd) == direct; }

// The identity is a number that nobody else has: an owner word only has to tell this process from the agent.
static int has_identity(void) {
  if (__atomic_load_n(&identity, __ATOMIC_ACQUIRE)) return *identity != 0;
  uint64_t *page = raw_map(-1, 0, PAGE, 1);
  if (!page) return 0;
  if (raw_wipe_on_fork(page, PAGE) != 0) {
    raw_unmap(page, PAGE);
    return 0;
  }
  *page = (uint64_t)raw_process() << 32 | raw_random() | 1;
  uint64_t *nothing = NULL;
  if (!__atomic_compare_exchange_n(&identity, &nothing, page, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    raw_unmap(page, PAGE);
  return 1;
}

const uint64_t *shim_identity(void) { return __atomic_load_n(&identity, __ATOMIC_RELAXED); }

// One whose table is a child's that was made past the handlers has its parent's connections; they are not its own.
int shim_direct_has_room(int fd) { return (unsigned)fd < DESCRIPTORS && !at(fd) && has_identity(); }

static void unmap(struct shim_direct *direct) {
  raw_unmap(direct->page, PAGE);
  raw_unmap(direct->own, PAGE);
  raw_unmap(direct->peer, PAGE);
  raw_unmap(direct->out, direct->capacity);
  raw_unmap(direct->in, direct->capacity);
}

static int map(struct shim_direct *direct, const struct shim_grant *grant, const int descriptors[4]) {
  direct->capacity = grant->capacity;
  direct->page = raw_map(descriptors[0], 0, PAGE, 1);
  direct->own = raw_map(descriptors[1], grant->own_page, PAGE, 1);
  direct->out = raw_map(descriptors[1], grant->own_ring, grant->capacity, 1);
  direct->peer = raw_map(descriptors[2], grant->peer_page, PAGE, 0);
  direct->in = raw_map(descriptors[2], grant->peer_ring, grant->capacity, 0);
  if (direct->page && direct->own && direct->out && direct->peer && direct->in) return 1;
  unmap(direct);
  return 0;
}

// One eventfd for all connections: the agent's is always the same, and another agent's connections are all new.
static void keep_kick(int fd) {
  int before = __atomic_exchange_n(&kick, -1, __ATOMIC_ACQ_REL);
  struct raw_file now;
  if (before >= 0 && raw_file(before, &now) == 1 && now.inode == kick_file.inode && now.device == kick_file.device)
    raw_close(before);
  // Out of the way of a program that counts its descriptors.
  int high = raw_fcntl(fd, F_DUPFD_CLOEXEC, 512);
  if (high >= 0) {
    raw_close(fd);
    fd = high;
  }
  if (raw_file(fd, &kick_file) == 1) __atomic_store_n(&kick, fd, __ATOMIC_RELEASE);
}

void shim_direct_kick(void) {
  int fd = __atomic_load_n(&kick, __ATOMIC_ACQUIRE);
  struct raw_file now;
  // Something else may stand there by now: a file of the program's, most likely, which has a type.
  if (fd < 0 || raw_file(fd, &now) != 1 || now.inode != kick_file.inode || now.device != kick_file.device) return;
  raw_add_to_eventfd(fd);
}

void shim_direct_begin(int fd, const struct shim_grant *grant, const int descriptors[4]) {
  struct shim_direct *direct = NULL;
  for (int i = 0; i < CONNECTIONS && !direct; i++) {
    uint32_t nothing = 0;
    if (__atomic_compare_exchange_n(&connections[i].state, &nothing, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      direct = &connections[i];
  }
  int is_taken = direct && map(direct, grant, descriptors);
  for (int i = 0; i < 3; i++) raw_close(descriptors[i]);
  if (!is_taken) {
    raw_close(descriptors[3]);
    if (direct) __atomic_store_n(&direct->state, 0, __ATOMIC_RELEASE);
    return;
  }
  keep_kick(descriptors[3]);
  direct->generation++;
  direct->is_unread = 0;
  direct->waiting = 0;
  direct->peer_polls = grant->peer_polls;
  direct->number = (uint32_t)grant->number;
  direct->sent = 0;
  direct->taken = 0;
  __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
  // Release: pairs with the load in shim_direct_enter; whoever finds the connection finds it whole.
  __atomic_store_n(&table[fd], direct, __ATOMIC_SEQ_CST);
}

// Until no call is using it. A call that was interrupted by the signal whose handler has come here cannot end.
static int is_unused(struct shim_direct *direct) {
  for (int turn = 0; turn < TURNS + MILLISECONDS; turn++) {
    if (__atomic_load_n(&direct->users, __ATOMIC_SEQ_CST) == 0) return 1;
    if (turn < TURNS) raw_yield();
    else raw_poll(-1, 0, 1);
  }
  return 0;
}

static struct shim_direct *take(int fd) {
  if (shim_direct_count() == 0 || (unsigned)fd >= DESCRIPTORS || !at(fd)) return NULL;
  struct shim_direct *direct = __atomic_exchange_n(&table[fd], NULL, __ATOMIC_SEQ_CST);
  if (direct) __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
  return direct;
}

void shim_direct_drop(int fd) {
  struct shim_direct *direct = take(fd);
  if (!direct) {
    // Without the eventfd nobody would be woken.
    if (shim_direct_count() > 0 && fd == __atomic_load_n(&kick, __ATOMIC_ACQUIRE)) shim_direct_drop_all();
    return;
  }
  int unused = is_unused(direct);
  // What is in the ring is the agent's to move from here on.
  __atomic_store_n(shim_attended(direct->page), 0, __ATOMIC_SEQ_CST);
  shim_direct_kick();
  if (unused) unmap(direct);
  __atomic_store_n(&direct->state, unused ? 0 : 2, __ATOMIC_RELEASE);
}

void shim_direct_drop_all(void) {
  for (int fd = 0; fd < DESCRIPTORS && shim_direct_count() > 0; fd++) shim_direct_drop(fd);
}

void shim_direct_unread(int fd) {
  struct shim_direct *direct = shim_direct_enter(fd);
  if (!direct) return;
  if (!__atomic_exchange_n(&direct->is_unread, 1, __ATOMIC_SEQ_CST)) {
    // A call that is just reading ends soon; the agent waits for its hold.
    __atomic_store_n(shim_attended(direct->page), 0, __ATOMIC_SEQ_CST);
    shim_direct_kick();
  }
  shim_direct_leave(direct);
}
