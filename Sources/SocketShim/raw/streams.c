// SPDX-License-Identifier: Apache-2.0
// The calls that this library replaces. They are C, because a program that was linked for a fixed address may take the
// address of one, which it cannot of Swift's; and because a thread that is cancelled where they accept, read or send,
// or a signal handler that throws, unwinds the stack through them, and Swift's functions have no tables for that here.
// What is decided is decided in Swift. The program's memory is touched only where the kernel has been there before: a
// bad pointer is the kernel's to refuse.
#define _GNU_SOURCE 1
#include "direct_calls.h"
#include "socket_shim_raw.h"
#include <stddef.h>

static int refused(int fd, int flags, int is_sending) {
  int error = flags ? shim_refuses(fd, flags, is_sending) : 0;
  if (error) errno = error;
  return error;
}

static int wants_bytes(const struct iovec *parts, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (parts[i].iov_len > 0) return 1;
  return 0;
}

static ssize_t received(int fd, ssize_t result, int wanted) {
  return result > 0 ? result : shim_received(fd, result, wanted);
}

// Another process that wants to listen has asked whether somebody does: that is no connection.
static int is_probe(int stream) {
  int is_one = stream >= 0 && shim_is_probe(stream);
  if (is_one) raw_close(stream);
  return is_one;
}

// A listener that was stopped says so also where nobody is to wait.
static int nobody(int fd) {
  int error = errno;
  errno = error == EAGAIN && raw_poll(fd, POLLRDHUP, 0) > 0 ? EINVAL : error;
  return -1;
}

// A connection that is made; or, of a program that does not wait for it, is being made.
static int with_ring(int fd) {
  if (fd < 0 || !shim_settings()->is_direct) return fd;
  // One that had the number before was closed past this library.
  shim_direct_drop(fd);
  shim_direct_ask(fd);
  return fd;
}

#pragma GCC visibility push(default)

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  shim_direct_drop(fd);
  // One that is told only now that its connection is made may have sent something before.
  int is_new = shim_settings()->is_direct && !shim_is_stream(fd);
  int result = shim_connect(fd, address, length);
  if (result == 0 && is_new) with_ring(fd);
  return result;
}

int bind(int fd, const struct sockaddr *address, socklen_t length) { return shim_bind(fd, address, length); }
int listen(int fd, int backlog) { return shim_listen(fd, backlog); }

int shutdown(int fd, int how) {
  shim_direct_drop(fd);
  return shim_shutdown(fd, how);
}


int getsockname(int fd, struct sockaddr *address, socklen_t *length) { return shim_getsockname(fd, address, length); }
int getpeername(int fd, struct sockaddr *address, socklen_t *length) { return shim_getpeername(fd, address, length); }

int getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  return shim_getsockopt(fd, level, name, value, length);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  // The kernel knows when so many bytes are there.
  if (level == SOL_SOCKET && name == SO_RCVLOWAT) shim_direct_unread(fd);
  return shim_setsockopt(fd, level, name, value, length);
}

int accept(int fd, struct sockaddr *address, socklen_t *length) {
  if (!shim_is_listener(fd)) return next_accept(fd, address, length);
  int stream;
  do stream = next_accept(fd, NULL, NULL);
  while (is_probe(stream));
  return stream < 0 ? nobody(fd) : with_ring(shim_accepted(stream, fd, address, length));
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
  if (!shim_is_listener(fd)) return next_accept4(fd, address, length, flags);
  int stream;
  do stream = next_accept4(fd, NULL, NULL, flags);
  while (is_probe(stream));
  return stream < 0 ? nobody(fd) : with_ring(shim_accepted(stream, fd, address, length));
}

ssize_t read(int fd, void *bytes, size_t count) {
  struct direct_call call;
  ssize_t result = direct_receive(&call, fd, bytes, count, 0);
  if (result != 0) return received(fd, result, 1);
  return received(fd, direct_received(&call, next_read(fd, bytes, count)), count > 0);
}

ssize_t readv(int fd, const struct iovec *parts, int count) {
  shim_direct_unread(fd);
  ssize_t result = next_readv(fd, parts, count);
  return received(fd, result, result == 0 && wants_bytes(parts, (size_t)count));
}

ssize_t recv(int fd, void *bytes, size_t count, int flags) {
  if (refused(fd, flags, 0)) return -1;
  struct direct_call call;
  ssize_t result = direct_receive(&call, fd, bytes, count, flags);
  if (result != 0) return received(fd, result, 1);
  return received(fd, direct_received(&call, next_recv(fd, bytes, count, flags)), count > 0);
}

// TCP names no sender.
ssize_t recvfrom(int fd, void *bytes, size_t count, int flags, struct sockaddr *address, socklen_t *length) {
  if (refused(fd, flags, 0)) return -1;
  struct direct_call call = {0};
  if (address || length) shim_direct_unread(fd);
  ssize_t result = direct_receive(&call, fd, bytes, count, flags);
  if (result != 0) return received(fd, result, 1);
  result = direct_received(&call, next_recvfrom(fd, bytes, count, flags, address, length));
  if (result >= 0 && address && length && shim_is_stream(fd)) *length = 0;
  return received(fd, result, count > 0);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  if (refused(fd, flags, 0)) return -1;
  shim_direct_unread(fd);
  ssize_t result = next_recvmsg(fd, message, flags);
  if (result < 0) return received(fd, result, 0);
  if (message->msg_name && shim_is_stream(fd)) message->msg_namelen = 0;
  return received(fd, result, result == 0 && wants_bytes(message->msg_iov, (size_t)message->msg_iovlen));
}

ssize_t __read_chk(int fd, void *bytes, size_t count, size_t room) {
  struct direct_call call;
  ssize_t result = count > room ? 0 : direct_receive(&call, fd, bytes, count, 0);
  if (count > room) call.direct = NULL;
  if (result != 0) return received(fd, result, 1);
  return received(fd, direct_received(&call, next_read_chk(fd, bytes, count, room)), count > 0);
}

ssize_t __recv_chk(int fd, void *bytes, size_t count, size_t room, int flags) {
  if (refused(fd, flags, 0)) return -1;
  shim_direct_unread(fd);
  return received(fd, next_recv_chk(fd, bytes, count, room, flags), count > 0);
}

ssize_t __recvfrom_chk(int fd, void *bytes, size_t count, size_t room, int flags, struct sockaddr *address,
                       socklen_t *length) {
  if (refused(fd, flags, 0)) return -1;
  shim_direct_unread(fd);
  ssize_t result = next_recvfrom_chk(fd, bytes, count, room, flags, address, length);
  if (result >= 0 && address && length && shim_is_stream(fd)) *length = 0;
  return received(fd, result, count > 0);
}

ssize_t send(int fd, const void *bytes, size_t count, int flags) {
  if (refused(fd, flags, 1)) return -1;
  struct direct_call call;
  size_t done = direct_send(&call, fd, bytes, count, flags);
  if (!call.direct) return done > 0 ? (ssize_t)done : next_send(fd, bytes, count, flags);
  return direct_sent(&call, done, next_send(fd, (const char *)bytes + done, count - done, flags));
}

// Data with the request for a connection: who is refused that connects, and sends.
static int opens(int fd, int flags, const struct sockaddr *address, socklen_t length) {
  if (!(flags & MSG_FASTOPEN) || !address || !shim_is_mapped(fd, address, length)) return 0;
  errno = EOPNOTSUPP;
  return 1;
}

// TCP takes no notice of an address; AF_UNIX refuses one before it takes a byte.
ssize_t sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *address, socklen_t length) {
  if (refused(fd, flags, 1) || opens(fd, flags, address, length)) return -1;
  struct direct_call call;
  direct_send_apart(&call, fd);
  ssize_t result = next_sendto(fd, bytes, count, flags, address, length);
  if (result < 0 && errno == EISCONN && shim_is_stream(fd)) result = next_sendto(fd, bytes, count, flags, NULL, 0);
  return direct_sent(&call, 0, result);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  if (refused(fd, flags, 1)) return -1;
  if (flags & MSG_FASTOPEN && raw_is_readable(message, sizeof *message) &&
      opens(fd, flags, message->msg_name, message->msg_namelen))
    return -1;
  struct direct_call call;
  direct_send_message(&call, fd, message);
  ssize_t result = next_sendmsg(fd, message, flags);
  if (result < 0 && errno == EISCONN && shim_is_stream(fd)) {
    struct msghdr unnamed = *message;
    unnamed.msg_name = NULL;
    unnamed.msg_namelen = 0;
    result = next_sendmsg(fd, &unnamed, flags);
  }
  return direct_sent(&call, 0, result);
}

#pragma GCC visibility pop
