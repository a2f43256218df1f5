// SPDX-License-Identifier: Apache-2.0
// Direct mode: connections whose ring this process uses itself (docs/shim.md).
#ifndef RINGWAY_DIRECT_H
#define RINGWAY_DIRECT_H
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// One connection. It lies in a table for ever, so that whoever has just found it may look at it, whatever has become of
// it meanwhile.
struct shim_direct {
  // Calls that are using it; a change of `generation` says that it stands for another connection.
  uint32_t users, generation;
  // 0 free, 1 in use, 2 given up while a call was using it: never used again.
  uint32_t state;
  // Bytes for the program come by the socket for good.
  uint32_t is_unread;
  // Calls that wait for bytes in the kernel.
  uint32_t waiting;
  uint32_t capacity, peer_polls, number;
  // Bytes that were sent by the socket, and that were received by it.
  uint64_t sent, taken;
  // The stream by which the agent was asked, and is woken: it has that as long as the page is mapped. A program may
  // close any number, and open something of its own there: so what it was stands beside it.
  int control;
  uint64_t control_device, control_inode;
  // The page that is shared with the agent, the channel's pages in either section, the two rings' data.
  void *_Nullable page, *_Nullable own, *_Nullable peer, *_Nullable out, *_Nullable in;
};

// What the agent sent: see Channel.describe.
struct shim_grant {
  uint64_t own_page, own_ring, peer_page, peer_ring;
  uint32_t peer_polls, capacity;
  uint64_t number;
};

// Who this process is to the ends of rings: 0 in a child that was made past the handlers of `fork`.
const uint64_t *_Nullable shim_identity(void);
// Takes a connection over, and closes the descriptors: the page, the own section, the peer's. A connection that cannot
// be taken stays with the agent. Of `control`, by which it was asked, it keeps another number.
void shim_direct_begin(int fd, int control, const struct shim_grant *_Nonnull grant, const int descriptors[_Nonnull 3]);
// Whether a connection that this descriptor gets can be one.
int shim_direct_has_room(int fd);
// From here on, and before it returns, all bytes of a connection go by its socket.
void shim_direct_drop(int fd);
void shim_direct_drop_all(void);
// The same of the bytes that come for the program.
void shim_direct_unread(int fd);
// Wakes the agent.
void shim_direct_kick(const struct shim_direct *_Nonnull direct);
// How many there are.
int shim_direct_count(void);
// A call's part in a connection; NULL where there is none.
struct shim_direct *_Nullable shim_direct_enter(int fd);
void shim_direct_leave(struct shim_direct *_Nonnull direct);
// Whether the connection is still this process's.
int shim_direct_is_current(int fd, const struct shim_direct *_Nonnull direct);
// The word by which the agent leaves the bytes that come to this process (RingBuffer's DirectPage).
static inline uint32_t *_Nonnull shim_attended(void *_Nonnull page) { return (uint32_t *)((char *)page + 192); }
// And the one by which it knows that this process has given the ring up.
static inline uint32_t *_Nonnull shim_given_up(void *_Nonnull page) { return (uint32_t *)((char *)page + 196); }

// Memory that is shared, of a file or (-1) of nobody else; NULL where there is none.
void *_Nullable raw_map(int fd, uint64_t offset, size_t size, int is_writable);
void raw_unmap(void *_Nullable start, size_t size);
int raw_wipe_on_fork(void *_Nonnull start, size_t size);
long raw_write(int fd, const void *_Nullable bytes, size_t count);
long raw_writev(int fd, const struct iovec *_Nullable parts, int count);
// One byte, without waiting.
void raw_send_byte(int fd);
// Without waiting: as many bytes as were asked for, and three descriptors; less where there is no such message.
int raw_receive_grant(int fd, void *_Nonnull bytes, size_t count, int descriptors[_Nonnull 3]);
int64_t raw_monotonic_microseconds(void);
// Processors that this process may use.
int raw_processors(void);

// A count that others change.
static inline uint64_t shim_count(const uint64_t *_Nonnull count) { return __atomic_load_n(count, __ATOMIC_ACQUIRE); }

// Implemented in Swift. How many bytes went into the ring; and came out of it, 0 when the kernel is to be asked.
long shim_ring_send(int fd, struct shim_direct *_Nonnull direct, const void *_Nonnull bytes, size_t count, int waits);
long shim_ring_receive(int fd, struct shim_direct *_Nonnull direct, void *_Nonnull bytes, size_t count, int waits);
// Asks the agent for the ring of a connection that is made.
void shim_direct_ask(int fd);
// Whether something is in the ring that nobody has taken out.
int shim_ring_has_bytes(const struct shim_direct *_Nonnull direct);
// Prepares that the kernel is asked for bytes; 0 when some have come meanwhile.
int shim_ring_rest(struct shim_direct *_Nonnull direct);
#endif
