// SPDX-License-Identifier: Apache-2.0
// A call's part in a connection of direct mode (direct_calls.c): what it did with the ring, and what it does by the
// socket behind that.
#ifndef RINGWAY_DIRECT_CALLS_H
#define RINGWAY_DIRECT_CALLS_H
#include "direct.h"
#include <sys/socket.h>
#include <sys/types.h>

struct direct_call {
  // NULL where the connection has no part in what follows.
  struct shim_direct *direct;
  uint32_t generation;
  int fd;
  // Bytes that are to go by the socket, counted before.
  uint64_t counted;
};

// Bytes that were had, or -1 with the errno that the kernel says once; or 0: then the caller asks the kernel, and says
// what came of it.
ssize_t direct_receive(struct direct_call *call, int fd, void *bytes, size_t count, int flags);
ssize_t direct_received(struct direct_call *call, ssize_t result);
// Bytes that went into the ring; when there is a connection left in `call`, the caller sends the rest by the socket.
size_t direct_send(struct direct_call *call, int fd, const void *bytes, size_t count, int flags);
// All of it goes by the socket.
void direct_send_apart(struct direct_call *call, int fd);
// The same; descriptors may go with it, among them this one.
void direct_send_message(struct direct_call *call, int fd, const struct msghdr *message);
ssize_t direct_sent(struct direct_call *call, size_t done, ssize_t result);
#endif
