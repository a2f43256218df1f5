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

static int map(struct shim_direct *direct, const struct shim_grant *grant, const int descriptors[3]) {
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

// Whether the stream is still what stands there.
static int has_control(const struct shim_direct *direct) {
  struct raw_file now;
  return raw_file(direct->control, &now) >= 0 && now.inode == direct->control_inode &&
         now.device == direct->control_device;
}

// Out of the way of a program that counts its descriptors.
static int keep_control(struct shim_direct *direct, int control) {
  struct raw_file file;
  direct->control = raw_fcntl(control, F_DUPFD_CLOEXEC, 512);
  if (direct->control < 0 || raw_file(direct->control, &file) < 0) return 0;
  direct->control_device = file.device;
  direct->control_inode = file.inode;
  return 1;
}

void shim_direct_kick(const struct shim_direct *direct) {
  if (has_control(direct)) raw_send_byte(direct->control);
}

void shim_direct_begin(int fd, int control, const struct shim_grant *grant, const int descriptors[3]) {
  struct shim_direct *direct = NULL;
  for (int i = 0; i < CONNECTIONS && !direct; i++) {
    uint32_t nothing = 0;
    if (__atomic_compare_exchange_n(&connections[i].state, &nothing, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      direct = &connections[i];
  }
  int is_taken = direct && map(direct, grant, descriptors);
  for (int i = 0; i < 3; i++) raw_close(descriptors[i]);
  if (is_taken && !keep_control(direct, control)) {
    unmap(direct);
    is_taken = 0;
  }
  if (!is_taken) {
    if (direct) __atomic_store_n(&direct->state, 0, __ATOMIC_RELEASE);
    return;
  }
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

// What has come is for the kernel to tell of from here on: until the agent has taken it out of the ring, or the socket
// has what it has room for.
static void settle(int fd, const struct shim_direct *direct) {
  __atomic_store_n(shim_attended(direct->page), 0, __ATOMIC_SEQ_CST);
  shim_direct_kick(direct);
  for (int turn = 0; turn < TURNS + MILLISECONDS && shim_ring_has_bytes(direct); turn++) {
    if (turn < TURNS) raw_yield();
    else if (raw_poll(fd, POLLIN, 0) > 0) return;
    else raw_poll(-1, 0, 1);
  }
}

static struct shim_direct *take(int fd) {
  if (shim_direct_count() == 0 || (unsigned)fd >= DESCRIPTORS || !at(fd)) return NULL;
  struct shim_direct *direct = __atomic_exchange_n(&table[fd], NULL, __ATOMIC_SEQ_CST);
  if (direct) __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
  return direct;
}

// Of a connection whose agent could not be woken any more: the program is closing that number.
static void drop_control(int control) {
  if (shim_direct_count() == 0) return;
  for (int i = 0; i < CONNECTIONS; i++) {
    if (connections[i].control != control || __atomic_load_n(&connections[i].state, __ATOMIC_RELAXED) != 1) continue;
    for (int fd = 0; fd < DESCRIPTORS; fd++)
      if (at(fd) == &connections[i]) shim_direct_drop(fd);
  }
}

void shim_direct_drop(int fd) {
  // The child of vfork has its parent's memory, and descriptors of its own.
  if (shim_direct_count() == 0 || !shim_is_own_process()) return;
  struct shim_direct *direct = take(fd);
  if (!direct) return drop_control(fd);
  int unused = is_unused(direct);
  settle(fd, direct);
  // Release: pairs with the load in DataPath.end, behind the end of the socket.
  __atomic_store_n(shim_given_up(direct->page), 1, __ATOMIC_RELEASE);
  if (unused) {
    unmap(direct);
    // Last: by it the agent knows that nobody has the page.
    if (has_control(direct)) raw_close(direct->control);
  }
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
    settle(fd, direct);
  }
  shim_direct_leave(direct);
}
