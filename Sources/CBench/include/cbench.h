// SPDX-License-Identifier: Apache-2.0
// What the benchmark needs of the kernel and Swift cannot call: fork, the processor to run on, a futex, message queues.
#ifndef RINGWAY_CBENCH_H
#define RINGWAY_CBENCH_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "contender.h"

// fork; 0 in the child, which is killed when its parent dies or `seconds` are over (0: never). -1 with errno.
pid_t cb_fork(unsigned seconds);
// Ends this process without running what a program does at its end.
_Noreturn void cb_exit(int status);
// Starts a program that has `descriptors` as 10, 11 and so on, on that processor alone (-1: on any), and gets SIGTERM
// when this process dies. -1 with errno, also when it is execve that fails.
#define CB_STARTED 8
pid_t cb_start(
    char *_Nullable const *_Nonnull arguments, const int *_Nonnull descriptors, int count, int processor);
// A descriptor that is readable when that child has ended; -1 with errno.
int cb_watch(pid_t child);
// This process, and what it starts from now on, runs on that processor alone; 0, or -1 with errno.
int cb_pin(int processor);
// The `index`th of the processors that this process may run on; -1 when there are not so many.
int cb_processor(int index);
// Waits while the word holds `value`; may return early.
void cb_futex_wait(uint32_t *_Nonnull word, uint32_t value);
void cb_futex_wake(uint32_t *_Nonnull word);
// An eventfd that is waited for; -1 with errno.
int cb_bell(void);
// A POSIX message queue with no name, for messages of at most `size` bytes; -1 with errno.
int cb_queue(size_t size, long count);
ssize_t cb_queue_send(int queue, const void *_Nonnull bytes, size_t size);
ssize_t cb_queue_receive(int queue, void *_Nonnull bytes, size_t size);
// A connected pair of AF_UNIX sockets that keep messages apart; 0, or -1 with errno.
int cb_packet_pair(int *_Nonnull ends);
// A connected pair of TCP sockets on the loopback, without Nagle's delay; 0, or -1 with errno.
int cb_tcp_pair(int *_Nonnull first, int *_Nonnull second);
// A TCP connection without Nagle's delay, or what a library that stands before this program makes of one: to that port
// of the loopback, and the first one that comes to it. A descriptor, or -1 with errno.
int cb_connect(uint16_t port);
int cb_accept(uint16_t port);
// Of what family a socket really is, past every library; -1 with errno.
int cb_family(int socket);

// One entry of a contender's table (contender.h): Swift sees no pointers to functions with these types.
size_t cb_contender_size(const struct contender *_Nonnull it, size_t message);
int cb_contender_prepare(const struct contender *_Nonnull it, void *_Nonnull memory, size_t message);
void cb_contender_produce(const struct contender *_Nonnull it, void *_Nonnull memory, size_t message, uint64_t count);
uint64_t cb_contender_consume(
    const struct contender *_Nonnull it, void *_Nonnull memory, size_t message, uint64_t count);
void cb_contender_send(
    const struct contender *_Nonnull it, void *_Nonnull memory, size_t message, const void *_Nonnull bytes);
void cb_contender_receive(
    const struct contender *_Nonnull it, void *_Nonnull memory, size_t message, void *_Nonnull bytes);
#endif
