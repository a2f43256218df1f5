// SPDX-License-Identifier: Apache-2.0
// Calls after which a connection's ring is not this process's alone any more, or that have the kernel look at its
// bytes. They are replaced for direct mode only: each gives the ring up, where there is one, and goes on as it is.
// Whatever descriptor it names, and for calls that make processes all, since the child has them too.
#define _GNU_SOURCE 1
#include "direct_calls.h"
#include "socket_shim_raw.h"
#include <aio.h>
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

// musl's headers make the one name stand for the other.
#undef aio_read64
#undef aio_write64
#undef fcntl64
#undef lio_listio64
#undef sendfile64

// The definitions after this library's, as in next_definitions.c. What a program may call in a signal handler is looked
// up by the constructor: all of them.
#define EACH(does) \
  does(close) does(write) does(writev) does(dup) does(dup2) does(dup3) does(fcntl) does(fcntl64) does(ioctl) \
  does(poll) does(ppoll) does(__poll_chk) does(__ppoll_chk) does(select) does(pselect) does(epoll_ctl) \
  does(sendfile) does(splice) does(sendmmsg) does(recvmmsg) does(preadv2) \
  does(pwritev2) does(fdopen) does(vdprintf) does(__vdprintf_chk) does(aio_read) does(aio_write) \
  does(lio_listio) does(_Fork) does(vfork) does(clone) does(posix_spawn) does(posix_spawnp) does(system) \
  does(popen) does(close_range) does(closefrom)

#define NUMBER(name) AT_##name,
enum { EACH(NUMBER) COUNT };
#define NAME(name) #name "\0"
static const char names[] = EACH(NAME);
static void *found[COUNT];

static __attribute__((constructor)) void look_up_all(void) {
  const char *name = names;
  for (int i = 0; i < COUNT; i++) {
    void *symbol = dlsym(RTLD_NEXT, name);
    __asm__ volatile("" : "+r"(symbol));
    __atomic_store_n(&found[i], symbol, __ATOMIC_RELAXED);
    // (A loop that the compiler cannot take for strlen: the library has no other.)
    while (*name++) __asm__ volatile("");
  }
}

static __attribute__((noinline)) void *look_up(int number) {
  if (!__atomic_load_n(&found[number], __ATOMIC_RELAXED)) look_up_all();
  return found[number];
}

#define NEXT(result, name, types) typedef result(*next_##name##_type) types;
#define next(name) ((next_##name##_type)look_up(AT_##name))

NEXT(int, close, (int))
NEXT(ssize_t, write, (int, const void *, size_t))
NEXT(ssize_t, writev, (int, const struct iovec *, int))
NEXT(int, dup, (int))
NEXT(int, dup2, (int, int))
NEXT(int, dup3, (int, int, int))
NEXT(int, fcntl, (int, int, ...))
NEXT(int, fcntl64, (int, int, ...))
NEXT(int, ioctl, (int, unsigned long, ...))
NEXT(int, poll, (struct pollfd *, nfds_t, int))
NEXT(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))
NEXT(int, __poll_chk, (struct pollfd *, nfds_t, int, size_t))
NEXT(int, __ppoll_chk, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t))
NEXT(int, select, (int, fd_set *, fd_set *, fd_set *, struct timeval *))
NEXT(int, pselect, (int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *))
NEXT(int, epoll_ctl, (int, int, int, struct epoll_event *))
NEXT(ssize_t, sendfile, (int, int, off_t *, size_t))
NEXT(ssize_t, splice, (int, off_t *, int, off_t *, size_t, unsigned))
NEXT(int, sendmmsg, (int, struct mmsghdr *, unsigned, int))
NEXT(int, recvmmsg, (int, struct mmsghdr *, unsigned, int, struct timespec *))
NEXT(ssize_t, preadv2, (int, const struct iovec *, int, off_t, int))
NEXT(ssize_t, pwritev2, (int, const struct iovec *, int, off_t, int))
NEXT(FILE *, fdopen, (int, const char *))
NEXT(int, vdprintf, (int, const char *, va_list))
NEXT(int, __vdprintf_chk, (int, int, const char *, va_list))
NEXT(int, aio_read, (struct aiocb *))
NEXT(int, aio_write, (struct aiocb *))
NEXT(int, lio_listio, (int, struct aiocb *restrict const *restrict, int, struct sigevent *))
NEXT(pid_t, _Fork, (void))
NEXT(pid_t, vfork, (void))
NEXT(int, clone, (int (*)(void *), void *, int, void *, ...))
NEXT(int, posix_spawn, (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                        char *const *, char *const *))
NEXT(int, posix_spawnp, (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                         char *const *, char *const *))
NEXT(int, system, (const char *))
NEXT(FILE *, popen, (const char *, const char *))
NEXT(int, close_range, (unsigned, unsigned, int))
NEXT(void, closefrom, (int))

// What no C library of this process has.
static int missing(void) {
  errno = ENOSYS;
  return -1;
}

// A bad pointer is the kernel's to refuse.
static int is_there(const void *start, size_t size) {
  uintptr_t place = (uintptr_t)start, end = place + size;
  // At least the first byte: a range whose end wraps begins where no program has memory.
  do {
    if (!raw_is_readable((const void *)place, 1)) return 0;
    place = (place | 4095) + 1;
  } while (place < end);
  return 1;
}

static void unread(const struct pollfd *all, nfds_t number) {
  // As the kernel has it: the lower half, and no more than a process may have open.
  unsigned count = (unsigned)number;
  if (shim_direct_count() == 0 || count > 1 << 30 || !is_there(all, count * sizeof *all)) return;
  for (unsigned i = 0; i < count; i++) shim_direct_unread(all[i].fd);
}

static void unread_set(int count, const fd_set *set) {
  if (!set || count <= 0 || shim_direct_count() == 0 || !is_there(set, (size_t)count / 8 + 1)) return;
  const unsigned long *words = (const unsigned long *)set;
  for (int fd = 0; fd < count; fd++)
    if (words[fd / (8 * sizeof(long))] >> fd % (8 * sizeof(long)) & 1) shim_direct_unread(fd);
}

// What may be called before anything is looked up, by whoever dlsym() would need: until then it is a system call.
static ssize_t result_of(long result) {
  if (result >= 0) return result;
  errno = (int)-result;
  return -1;
}

#pragma GCC visibility push(default)

int close(int fd) {
  shim_direct_drop(fd);
  return found[AT_close] ? next(close)(fd) : (int)result_of(raw_close(fd));
}

ssize_t write(int fd, const void *bytes, size_t size) {
  struct direct_call call;
  size_t done = direct_send(&call, fd, bytes, size, 0);
  if (!call.direct && done > 0) return (ssize_t)done;
  const char *rest = (const char *)bytes + done;
  ssize_t result = found[AT_write] ? next(write)(fd, rest, size - done) : result_of(raw_write(fd, rest, size - done));
  return call.direct ? direct_sent(&call, done, result) : result;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct direct_call call;
  direct_send_apart(&call, fd);
  ssize_t result = found[AT_writev] ? next(writev)(fd, parts, count) : result_of(raw_writev(fd, parts, count));
  return call.direct ? direct_sent(&call, 0, result) : result;
}

int dup(int fd) {
  shim_direct_drop(fd);
  return next(dup)(fd);
}

int dup2(int fd, int other) {
  shim_direct_drop(fd);
  if (fd != other) shim_direct_drop(other);
  return next(dup2)(fd, other);
}

int dup3(int fd, int other, int flags) {
  shim_direct_drop(fd);
  shim_direct_drop(other);
  return next(dup3)(fd, other, flags);
}

// These have their arguments where they would be if they were fixed, on both architectures.
int three_of_fcntl(int fd, int command, void *argument) __asm__("fcntl");
int three_of_fcntl64(int fd, int command, void *argument) __asm__("fcntl64");
int three_of_ioctl(int fd, unsigned long request, void *argument) __asm__("ioctl");
int seven_of_clone(int (*body)(void *), void *stack, int flags, void *argument, void *parent, void *tls, void *child)
    __asm__("clone");

static void before_fcntl(int fd, int command, void *argument) {
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) shim_direct_drop(fd);
  // Its signals are the kernel's, who sees what comes by the socket.
  if (command == F_SETFL && (intptr_t)argument & O_ASYNC) shim_direct_unread(fd);
}

int three_of_fcntl(int fd, int command, void *argument) {
  before_fcntl(fd, command, argument);
  return next(fcntl)(fd, command, argument);
}

int three_of_fcntl64(int fd, int command, void *argument) {
  before_fcntl(fd, command, argument);
  next_fcntl64_type known = next(fcntl64);
  return known ? known(fd, command, argument) : next(fcntl)(fd, command, argument);
}

int three_of_ioctl(int fd, unsigned long request, void *argument) {
  // How much there is to read, the kernel says of the socket.
  if ((unsigned)request != FIONBIO) shim_direct_unread(fd);
  return next(ioctl)(fd, request, argument);
}

int poll(struct pollfd *all, nfds_t count, int limit) {
  unread(all, count);
  return next(poll)(all, count, limit);
}

int ppoll(struct pollfd *all, nfds_t count, const struct timespec *limit, const sigset_t *mask) {
  unread(all, count);
  return next(ppoll)(all, count, limit, mask);
}

int __poll_chk(struct pollfd *all, nfds_t count, int limit, size_t room) {
  unread(all, count);
  next___poll_chk_type known = next(__poll_chk);
  return known ? known(all, count, limit, room) : missing();
}

int __ppoll_chk(struct pollfd *all, nfds_t count, const struct timespec *limit, const sigset_t *mask, size_t room) {
  unread(all, count);
  next___ppoll_chk_type known = next(__ppoll_chk);
  return known ? known(all, count, limit, mask, room) : missing();
}

int select(int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *limit) {
  unread_set(count, in);
  return next(select)(count, in, out, other, limit);
}

int pselect(int count, fd_set *in, fd_set *out, fd_set *other, const struct timespec *limit, const sigset_t *mask) {
  unread_set(count, in);
  return next(pselect)(count, in, out, other, limit, mask);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  shim_direct_unread(fd);
  return next(epoll_ctl)(epoll, operation, fd, event);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t size) {
  shim_direct_drop(out);
  return next(sendfile)(out, in, offset, size);
}

ssize_t sendfile64(int out, int in, off_t *offset, size_t size) { return sendfile(out, in, offset, size); }

ssize_t splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t size, unsigned flags) {
  shim_direct_drop(in);
  shim_direct_drop(out);
  return next(splice)(in, in_offset, out, out_offset, size, flags);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, unsigned flags) {
  if (shim_direct_count() > 0) shim_direct_drop_all();
  return next(sendmmsg)(fd, messages, count, (int)flags);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, unsigned flags, struct timespec *limit) {
  shim_direct_drop(fd);
  return next(recvmmsg)(fd, messages, count, (int)flags, limit);
}

ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
  shim_direct_drop(fd);
  next_preadv2_type known = next(preadv2);
  return known ? known(fd, parts, count, offset, flags) : missing();
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
  shim_direct_drop(fd);
  next_pwritev2_type known = next(pwritev2);
  return known ? known(fd, parts, count, offset, flags) : missing();
}

// Streams of the C library read, write and close with calls of its own.
FILE *fdopen(int fd, const char *mode) {
  shim_direct_drop(fd);
  return next(fdopen)(fd, mode);
}

int vdprintf(int fd, const char *format, va_list arguments) {
  shim_direct_drop(fd);
  return next(vdprintf)(fd, format, arguments);
}

int dprintf(int fd, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int result = vdprintf(fd, format, arguments);
  va_end(arguments);
  return result;
}

int __vdprintf_chk(int fd, int flag, const char *format, va_list arguments) {
  shim_direct_drop(fd);
  next___vdprintf_chk_type known = next(__vdprintf_chk);
  return known ? known(fd, flag, format, arguments) : missing();
}

int __dprintf_chk(int fd, int flag, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int result = __vdprintf_chk(fd, flag, format, arguments);
  va_end(arguments);
  return result;
}

static void drop_all(void) {
  if (shim_direct_count() > 0) shim_direct_drop_all();
}

// The number is read where the C library reads it.
int aio_read(struct aiocb *request) {
  drop_all();
  return next(aio_read)(request);
}

int aio_read64(struct aiocb *request) { return aio_read(request); }

int aio_write(struct aiocb *request) {
  drop_all();
  return next(aio_write)(request);
}

int aio_write64(struct aiocb *request) { return aio_write(request); }

int lio_listio(int mode, struct aiocb *restrict const *restrict requests, int count, struct sigevent *event) {
  drop_all();
  return next(lio_listio)(mode, requests, count, event);
}

int lio_listio64(int mode, struct aiocb *restrict const *restrict requests, int count, struct sigevent *event) {
  return lio_listio(mode, requests, count, event);
}

// `fork` has handlers (temporaries.c).
pid_t _Fork(void) {
  drop_all();
  next__Fork_type known = next(_Fork);
  return known ? known() : missing();
}

int seven_of_clone(int (*body)(void *), void *stack, int flags, void *argument, void *parent, void *tls, void *child) {
  if (!(flags & CLONE_THREAD)) drop_all();
  return next(clone)(body, stack, flags, argument, parent, tls, child);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[]) {
  drop_all();
  return next(posix_spawn)(pid, path, actions, attributes, arguments, environment);
}

int posix_spawnp(pid_t *pid, const char *name, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[]) {
  drop_all();
  return next(posix_spawnp)(pid, name, actions, attributes, arguments, environment);
}

// By other names: nothing here goes through a shell by itself.
int with_shell(const char *command) __asm__("system");
FILE *with_shell_and_pipe(const char *command, const char *mode) __asm__("popen");

int with_shell(const char *command) {
  drop_all();
  return next(system)(command);
}

FILE *with_shell_and_pipe(const char *command, const char *mode) {
  drop_all();
  return next(popen)(command, mode);
}

int close_range(unsigned first, unsigned last, int flags) {
  drop_all();
  next_close_range_type known = next(close_range);
  return known ? known(first, last, flags) : missing();
}

void closefrom(int first) {
  drop_all();
  next_closefrom_type known = next(closefrom);
  if (known) known(first);
}

#pragma GCC visibility pop

// The child of vfork runs on its parent's stack: nothing of this library's may lie there when it does.
__attribute__((used)) void *shim_before_vfork(void) {
  drop_all();
  return look_up(AT_vfork);
}

#if defined(__x86_64__)
__asm__(".text\n.globl vfork\n.type vfork, @function\nvfork:\n"
        ".cfi_startproc\n sub $8, %rsp\n .cfi_adjust_cfa_offset 8\n call shim_before_vfork\n"
        " add $8, %rsp\n .cfi_adjust_cfa_offset -8\n jmp *%rax\n.cfi_endproc\n.size vfork, . - vfork\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl vfork\n.type vfork, %function\nvfork:\n"
        ".cfi_startproc\n stp x29, x30, [sp, #-16]!\n .cfi_adjust_cfa_offset 16\n bl shim_before_vfork\n"
        " ldp x29, x30, [sp], #16\n .cfi_adjust_cfa_offset -16\n br x0\n.cfi_endproc\n.size vfork, . - vfork\n");
#endif
