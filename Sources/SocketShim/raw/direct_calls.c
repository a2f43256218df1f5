// SPDX-License-Identifier: Apache-2.0
// How calls that read and send divide what they move between ring and socket.
#define _GNU_SOURCE 1
#include "direct_calls.h"
#include "socket_shim_raw.h"

static struct shim_direct *enter(struct direct_call *call, int fd) {
  call->direct = shim_direct_enter(fd);
  call->fd = fd;
  return call->direct;
}

static void leave(struct direct_call *call) {
  shim_direct_leave(call->direct);
  call->direct = NULL;
}

// Behind a call that may have waited long: the descriptor may stand for another connection by now.
static struct shim_direct *enter_again(struct direct_call *call) {
  struct shim_direct *before = call->direct;
  if (!before || !enter(call, call->fd)) return NULL;
  if (call->direct == before && before->generation == call->generation) return before;
  leave(call);
  return NULL;
}

ssize_t direct_receive(struct direct_call *call, int fd, void *bytes, size_t count, int flags) {
  struct shim_direct *direct = enter(call, fd);
  if (!direct) return 0;
  // What is looked at twice, or waited for in full, is the kernel's.
  if (count > 0 && flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL)) {
    leave(call);
    shim_direct_unread(fd);
    return 0;
  }
  ssize_t result = 0;
  while (count > 0 && !__atomic_load_n(&direct->is_unread, __ATOMIC_SEQ_CST)) {
    result = shim_ring_receive(fd, direct, bytes, count, !(flags & MSG_DONTWAIT));
    if (result > 0) break;
    // What has come by the socket is there now.
    result = raw_recvfrom(fd, bytes, count, MSG_DONTWAIT, NULL, NULL);
    if (result > 0) __atomic_fetch_add(&direct->taken, (uint64_t)result, __ATOMIC_RELEASE);
    if (result != -EAGAIN || flags & MSG_DONTWAIT) break;
    __atomic_fetch_add(&direct->waiting, 1, __ATOMIC_SEQ_CST);
    if (shim_ring_rest(direct)) {
      // Nothing is held while the kernel waits, or another call would wait for this one.
      call->generation = direct->generation;
      shim_direct_leave(direct);
      return 0;
    }
    __atomic_fetch_sub(&direct->waiting, 1, __ATOMIC_SEQ_CST);
  }
  leave(call);
  if (result == -EAGAIN && flags & MSG_DONTWAIT) shim_direct_unread(fd);
  if (result != -ECONNRESET) return result > 0 ? result : 0;
  errno = ECONNRESET;
  return -1;
}

ssize_t direct_received(struct direct_call *call, ssize_t result) {
  if (!call->direct) return result;
  int error = errno;
  if (enter_again(call)) {
    if (result > 0) __atomic_fetch_add(&call->direct->taken, (uint64_t)result, __ATOMIC_RELEASE);
    __atomic_fetch_sub(&call->direct->waiting, 1, __ATOMIC_SEQ_CST);
    leave(call);
    // A descriptor that is not waited for is asked when `poll` says that there is something, which the agent sees to.
    if (result < 0 && error == EAGAIN) shim_direct_unread(call->fd);
  }
  errno = error;
  return result;
}

static void count(struct direct_call *call, uint64_t bytes) {
  call->counted = bytes;
  call->generation = call->direct->generation;
  // Before they are sent: from here on nothing is put into the ring by this process until they are there.
  __atomic_fetch_add(&call->direct->sent, bytes, __ATOMIC_SEQ_CST);
  shim_direct_leave(call->direct);
}

size_t direct_send(struct direct_call *call, int fd, const void *bytes, size_t size, int flags) {
  struct shim_direct *direct = enter(call, fd);
  if (!direct) return 0;
  long done = 0;
  if (size > 0 && !(flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)))
    // Who asks before it reads does not wait where it sends, either.
    done = shim_ring_send(fd, direct, bytes, size, !(flags & MSG_DONTWAIT) && !direct->is_unread);
  if ((size_t)done < size || size == 0) count(call, size - (size_t)done);
  else leave(call);
  return (size_t)done;
}

void direct_send_apart(struct direct_call *call, int fd) {
  // As many as no call sends: so the message need not be looked at, whose memory is the kernel's to judge.
  if (enter(call, fd)) count(call, 1ull << 48);
}

void direct_send_message(struct direct_call *call, int fd, const struct msghdr *message) {
  call->direct = NULL;
  if (shim_direct_count() == 0) return;
  // What goes along may be any of them.
  if (!raw_is_readable(message, sizeof *message) || message->msg_controllen > 0) shim_direct_drop_all();
  direct_send_apart(call, fd);
}

ssize_t direct_sent(struct direct_call *call, size_t done, ssize_t result) {
  int error = errno;
  uint64_t gone = result > 0 ? (uint64_t)result : 0;
  if (enter_again(call)) {
    if (gone < call->counted) __atomic_fetch_sub(&call->direct->sent, call->counted - gone, __ATOMIC_SEQ_CST);
    leave(call);
  }
  errno = error;
  return result >= 0 ? (ssize_t)done + result : done > 0 ? (ssize_t)done : -1;
}
