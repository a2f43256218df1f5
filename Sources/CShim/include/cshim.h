// SPDX-License-Identifier: Apache-2.0
// libc's surface for Swift: what the importer cannot see or spell the same way under glibc and musl.
// No logic. Never define _GNU_SOURCE here: in a header that becomes a clang module it changes the
// shape of types that Dispatch's module has too. Calls that need it stand in cshim.c.
#ifndef RINGWAY_CSHIM_H
#define RINGWAY_CSHIM_H
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>

#define CS_INLINE static inline __attribute__((always_inline, unused))

// One pause of a polling loop: lets the other hardware thread run, and says that this one spins.
CS_INLINE void cs_cpu_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield" ::: "memory");
#endif
}

// errno is a macro over a thread-local.
CS_INLINE int cs_errno(void) { return errno; }
CS_INLINE void cs_set_errno(int value) { errno = value; }

// Variadic calls.
CS_INLINE int cs_open(const char *_Nonnull path, int flags, mode_t mode) { return open(path, flags, mode); }
CS_INLINE int cs_fcntl_int(int fd, int command, int argument) { return fcntl(fd, command, argument); }
CS_INLINE int cs_ioctl_pointer(int fd, unsigned long request, void *_Nullable argument) {
  return ioctl(fd, request, argument);
}

// Macros with casts, and constants that are enums under glibc and macros under musl.
CS_INLINE void *_Nonnull cs_map_failed(void) { return MAP_FAILED; }
CS_INLINE int cs_sock_stream(void) { return SOCK_STREAM; }
CS_INLINE int cs_sock_cloexec(void) { return SOCK_CLOEXEC; }
CS_INLINE int cs_sock_nonblock(void) { return SOCK_NONBLOCK; }
CS_INLINE int cs_msg_nosignal(void) { return MSG_NOSIGNAL; }
CS_INLINE int cs_msg_dontwait(void) { return MSG_DONTWAIT; }
CS_INLINE int cs_msg_peek(void) { return MSG_PEEK; }
CS_INLINE int cs_shut_rd(void) { return SHUT_RD; }
CS_INLINE int cs_shut_wr(void) { return SHUT_WR; }
CS_INLINE int cs_shut_rdwr(void) { return SHUT_RDWR; }
CS_INLINE int cs_ipproto_tcp(void) { return IPPROTO_TCP; }
CS_INLINE int cs_ipproto_ipv6(void) { return IPPROTO_IPV6; }
CS_INLINE int cs_epoll_cloexec(void) { return EPOLL_CLOEXEC; }
CS_INLINE uint32_t cs_epollin(void) { return EPOLLIN; }
CS_INLINE uint32_t cs_epollout(void) { return EPOLLOUT; }
CS_INLINE uint32_t cs_epollerr(void) { return EPOLLERR; }
CS_INLINE uint32_t cs_epollhup(void) { return EPOLLHUP; }
CS_INLINE uint32_t cs_epollrdhup(void) { return EPOLLRDHUP; }
CS_INLINE uint32_t cs_epollet(void) { return EPOLLET; }
CS_INLINE int cs_efd_nonblock_cloexec(void) { return EFD_NONBLOCK | EFD_CLOEXEC; }
CS_INLINE int cs_tfd_nonblock_cloexec(void) { return TFD_NONBLOCK | TFD_CLOEXEC; }

// epoll_event is packed on one architecture and not on the other.
CS_INLINE int cs_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event;
  event.events = events;
  event.data.u64 = data;
  return epoll_ctl(epoll, operation, fd, &event);
}
CS_INLINE uint32_t cs_epoll_events(const struct epoll_event *_Nonnull event) { return event->events; }
CS_INLINE uint64_t cs_epoll_data(const struct epoll_event *_Nonnull event) { return event->data.u64; }

// wait() status macros.
CS_INLINE bool cs_wifexited(int status) { return WIFEXITED(status); }
CS_INLINE int cs_wexitstatus(int status) { return WEXITSTATUS(status); }
CS_INLINE int cs_wtermsig(int status) { return WTERMSIG(status); }

// Fills a sockaddr_un; returns its length, or 0 when the path does not fit.
// `sockaddr_un.sun_path` is imported as a 108-tuple.
socklen_t cs_unix_address(struct sockaddr_un *_Nonnull address, const char *_Nonnull path);

// memfd_create with MFD_CLOEXEC and MFD_ALLOW_SEALING (a GNU call).
int cs_memfd(const char *_Nonnull name);
// Forbids shrinking, growing and further seals; 0 or -1 with errno.
int cs_seal_size(int fd);
// madvise(MADV_WIPEONFORK): the page reads as zeros in a child.
int cs_wipe_on_fork(void *_Nonnull address, size_t length);
// strerror into a caller's buffer, the same under both libcs.
void cs_strerror(int error, char *_Nonnull buffer, size_t size);
// A descriptor that only names a file (O_PATH).
int cs_open_path(const char *_Nonnull path);
// Whether the program behind a connected AF_UNIX socket is root's, this user's, or in the group.
bool cs_peer_may_ask(int fd, unsigned group);
// ucred of a connected AF_UNIX peer.
int cs_peer_credentials(int fd, int *_Nonnull pid, unsigned *_Nonnull uid, unsigned *_Nonnull gid);

// accept4 (a GNU call), without waiting; the descriptor is close-on-exec and non-blocking.
int cs_accept(int listener);

// What a socket's other end has not read yet, as the kernel counts memory; 0 for nothing.
unsigned cs_unread(int socket);

// Makes a connected pair of streams, non-blocking, and sends one end along with an answer (SCM_RIGHTS). Nothing can be
// written to that end: it is full of the filler, as often as there is room. Returns the other end, close-on-exec, and
// how many bytes of filler are to be read from it; or -1 with errno.
int cs_give_full_stream(
    int socket, const void *_Nonnull answer, size_t size, const void *_Nonnull filler, size_t room,
    int *_Nonnull filled);
// Sends bytes, and descriptors with them (SCM_RIGHTS, four at most), without waiting; 0, or -1.
int cs_send_with(
    int socket, const void *_Nonnull bytes, size_t size, const int *_Nullable descriptors, int count);
// Gives a socket the name that says what became of a connection (unix(7), abstract): `ringway+000/…` when the peer has
// ended in order, or `ringway-ERR/…` with an errno in decimal when it was not made. 0, or -1 with errno: a socket has
// one name.
int cs_name_outcome(int socket, unsigned error);

// SIGBUS on a watched mapping becomes a flag: the handler maps zeros over the whole range, so the
// faulting access completes, and counts. At most CS_WATCHED_RANGES ranges.
#define CS_WATCHED_RANGES 16
int cs_watch_range(void *_Nonnull start, size_t length);
void cs_unwatch_range(void *_Nonnull start);
unsigned cs_watched_faults(void *_Nonnull start);

#include "cshim_files.h"
#include "cshim_process.h"
#endif
