// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "socket_shim_raw.h"
#include "direct.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

static long call(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "the preload library knows x86_64 and aarch64"
#endif
}

int raw_unix_stream(void) { return (int)call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0, 0); }
int raw_tcp_socket(int family) { return (int)call(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0, 0); }
int raw_unix_datagram(void) { return (int)call(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0); }
int raw_shutdown(int fd, int how) { return (int)call(SYS_shutdown, fd, how, 0, 0, 0, 0); }
int raw_accept(int fd) { return (int)call(SYS_accept4, fd, 0, 0, SOCK_CLOEXEC, 0, 0); }
int raw_close(int fd) { return (int)call(SYS_close, fd, 0, 0, 0, 0, 0); }

int raw_connect(int fd, const void *address, socklen_t length) {
  return (int)call(SYS_connect, fd, (long)address, length, 0, 0, 0);
}

int raw_bind(int fd, const void *address, socklen_t length) {
  return (int)call(SYS_bind, fd, (long)address, length, 0, 0, 0);
}

int raw_getsockname(int fd, void *address, socklen_t *length) {
  return (int)call(SYS_getsockname, fd, (long)address, (long)length, 0, 0, 0);
}

int raw_getpeername(int fd, void *address, socklen_t *length) {
  return (int)call(SYS_getpeername, fd, (long)address, (long)length, 0, 0, 0);
}

int raw_getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  return (int)call(SYS_getsockopt, fd, level, name, (long)value, (long)length, 0);
}

int raw_setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  return (int)call(SYS_setsockopt, fd, level, name, (long)value, length, 0);
}

int raw_fcntl(int fd, int command, long argument) { return (int)call(SYS_fcntl, fd, command, argument, 0, 0, 0); }
int raw_dup3(int from, int to, int flags) { return (int)call(SYS_dup3, from, to, flags, 0, 0, 0); }

int raw_send(int fd, const void *bytes, size_t count) {
  return (int)call(SYS_sendto, fd, (long)bytes, (long)count, MSG_NOSIGNAL, 0, 0);
}

int raw_receive(int fd, void *bytes, size_t count) {
  return (int)call(SYS_recvfrom, fd, (long)bytes, (long)count, 0, 0, 0);
}

int raw_receive_with(int fd, void *bytes, size_t count, struct shim_kept *descriptor) {
  struct iovec part = {bytes, count};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  uint64_t mask;
  shim_begin_change(&mask);
  int got = (int)call(SYS_recvmsg, fd, (long)&message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0, 0);
  struct cmsghdr *found = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  // A process that may have no more descriptors gets none.
  int is_cut = got > 0 && message.msg_flags & MSG_CTRUNC;
  if (!is_cut && found && found->cmsg_level == SOL_SOCKET && found->cmsg_type == SCM_RIGHTS) {
    __builtin_memcpy(&descriptor->fd, CMSG_DATA(found), sizeof descriptor->fd);
    descriptor->place = shim_keep(descriptor->fd);
  }
  shim_end_change(&mask);
  return is_cut ? -EMFILE : got;
}

static const uint64_t broken_pipe = 1ull << (SIGPIPE - 1);

void raw_write_line(int fd, const void *bytes, size_t count) {
  // A pipe that is full, or whose reader has gone, takes no line.
  if (raw_poll(fd, POLLOUT, 0) != POLLOUT) return;
  // The reader may go now: the signal would be the program's death.
  uint64_t before = 0, pending = 0;
  struct timespec none = {0};
  if (call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&broken_pipe, (long)&before, 8, 0, 0) != 0) return;
  call(SYS_rt_sigpending, (long)&pending, 8, 0, 0, 0, 0);
  // A socket may have room, and not so much.
  long result = call(SYS_sendto, fd, (long)bytes, (long)count, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
  if (result == -ENOTSOCK) result = call(SYS_write, fd, (long)bytes, (long)count, 0, 0, 0);
  if (result == -EPIPE && !(pending & broken_pipe))
    call(SYS_rt_sigtimedwait, (long)&broken_pipe, 0, (long)&none, 8, 0, 0);
  call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8, 0, 0);
}

int raw_poll(int fd, int events, int64_t milliseconds) {
  struct pollfd wanted = {.fd = fd, .events = (short)events};
  struct timespec limit = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
  int count = (int)call(SYS_ppoll, (long)&wanted, 1, (long)&limit, 0, 0, 0);
  return count > 0 ? wanted.revents : count;
}

int64_t raw_monotonic_milliseconds(void) {
  struct timespec now = {0};
  call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int raw_make_folder(const char *path, unsigned mode) {
  return (int)call(SYS_mkdirat, AT_FDCWD, (long)path, mode, 0, 0, 0);
}

int raw_open_folder(const char *path) {
  return (int)call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
}

int raw_lock(int fd) { return (int)call(SYS_flock, fd, LOCK_EX | LOCK_NB, 0, 0, 0, 0); }
int raw_unlock(int fd) { return (int)call(SYS_flock, fd, LOCK_UN, 0, 0, 0, 0); }
int raw_unlink(const char *path) { return (int)call(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0); }
int raw_fchmod(int fd, unsigned mode) { return (int)call(SYS_fchmod, fd, mode, 0, 0, 0, 0); }

uint64_t raw_inode(int fd) {
  struct stat status = {0};
  return call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 ? status.st_ino : 0;
}

unsigned raw_mode(const char *path) {
  struct stat status = {0};
  return call(SYS_newfstatat, AT_FDCWD, (long)path, (long)&status, 0, 0, 0) == 0 ? status.st_mode : 0;
}

int raw_open_path(const char *path) {
  return (int)call(SYS_openat, AT_FDCWD, (long)path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0, 0);
}

int raw_chmod_socket(int fd, unsigned mode) {
  struct stat status = {0};
  int result = (int)call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0);
  if (result == 0 && S_ISSOCK(status.st_mode) && status.st_uid == (uid_t)call(SYS_geteuid, 0, 0, 0, 0, 0, 0)) {
    // The file that is open, whatever has its name by now.
    char name[] = "/proc/self/fd/0000000000";
    int place = sizeof name - 1, number = fd;
    do name[--place] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    for (int next = 14; (name[next] = name[place]); next++) place++;
    result = (int)call(SYS_fchmodat, AT_FDCWD, (long)name, mode, 0, 0, 0);
  }
  return result;
}

int raw_file(int fd, struct raw_file *file) {
  struct stat status = {0};
  int result = (int)call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0);
  if (result != 0) return result;
  file->device = status.st_dev;
  file->inode = status.st_ino;
  return (status.st_mode & S_IFMT) == 0;
}

void raw_carry_owner(int from, int to) {
  struct f_owner_ex owner = {0};
  if (raw_fcntl(from, F_GETOWN_EX, (long)&owner) == 0 && owner.pid != 0) raw_fcntl(to, F_SETOWN_EX, (long)&owner);
  int signal = raw_fcntl(from, F_GETSIG, 0);
  if (signal > 0) raw_fcntl(to, F_SETSIG, signal);
}

int raw_open_text(const char *path) {
  return (int)call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

long raw_read(int fd, void *bytes, size_t count) { return call(SYS_read, fd, (long)bytes, (long)count, 0, 0, 0); }

long raw_readv(int fd, const struct iovec *parts, int count) {
  return call(SYS_readv, fd, (long)parts, count, 0, 0, 0);
}

long raw_recvfrom(int fd, void *bytes, size_t count, int flags, void *address, socklen_t *length) {
  return call(SYS_recvfrom, fd, (long)bytes, (long)count, flags, (long)address, (long)length);
}

long raw_recvmsg(int fd, struct msghdr *message, int flags) {
  return call(SYS_recvmsg, fd, (long)message, flags, 0, 0, 0);
}

long raw_sendto(int fd, const void *bytes, size_t count, int flags, const void *address, socklen_t length) {
  return call(SYS_sendto, fd, (long)bytes, (long)count, flags, (long)address, length);
}

long raw_sendmsg(int fd, const struct msghdr *message, int flags) {
  return call(SYS_sendmsg, fd, (long)message, flags, 0, 0, 0);
}

int raw_read_link(const char *path, void *bytes, size_t count) {
  return (int)call(SYS_readlinkat, AT_FDCWD, (long)path, (long)bytes, (long)count, 0, 0);
}

int raw_read_folder(int fd, void *bytes, size_t count) {
  return (int)call(SYS_getdents64, fd, (long)bytes, (long)count, 0, 0, 0);
}

int raw_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  return (int)call(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, (long)&event, 0, 0);
}

int raw_epoll_remove(int epoll, int fd) {
  struct epoll_event event = {0};
  return (int)call(SYS_epoll_ctl, epoll, EPOLL_CTL_DEL, fd, (long)&event, 0, 0);
}

// The kernel copies the set before it refuses the operation; words of 8 bytes lie in one page.
int raw_is_readable(const void *bytes, size_t count) {
  if ((uintptr_t)bytes + count < count) return 0;
  for (uintptr_t place = (uintptr_t)bytes & ~(uintptr_t)7; place < (uintptr_t)bytes + count; place += 8)
    if (call(SYS_rt_sigprocmask, -1, (long)place, 0, 8, 0, 0) == -EFAULT) return 0;
  return 1;
}

uint32_t raw_random(void) {
  uint32_t value = 0;
  if (call(SYS_getrandom, (long)&value, sizeof value, 1 /* do not wait */, 0, 0, 0) == sizeof value) return value;
  return (uint32_t)call(SYS_getpid, 0, 0, 0, 0, 0, 0) * 2654435761u;
}

// But for those that a thread raises by what it does: the kernel ends a process that has one of them blocked, and a
// program that filters its system calls may answer them in SIGSYS's handler.
#define SIGNAL(number) (1ull << ((number) - 1))
static const uint64_t raised =
    SIGNAL(SIGSYS) | SIGNAL(SIGSEGV) | SIGNAL(SIGBUS) | SIGNAL(SIGILL) | SIGNAL(SIGFPE) | SIGNAL(SIGTRAP);

void raw_block_signals(uint64_t *mask) {
  uint64_t all = ~raised;
  *mask = 0;
  call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)mask, 8, 0, 0);
}

void raw_restore_signals(const uint64_t *mask) { call(SYS_rt_sigprocmask, SIG_SETMASK, (long)mask, 0, 8, 0, 0); }

// The kernel writes this thread's mask, 8 bytes, into each page.
int raw_is_writable(void *bytes, size_t count) {
  uintptr_t last = (uintptr_t)bytes + count - 8;
  for (uintptr_t place = (uintptr_t)bytes; place < last; place = (place | 4095) + 1)
    if (call(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)place, 8, 0, 0) == -EFAULT) return 0;
  return call(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)last, 8, 0, 0) != -EFAULT;
}

int raw_signal_stack(void *stack) { return (int)call(SYS_sigaltstack, 0, (long)stack, 0, 0, 0, 0); }
void raw_yield(void) { call(SYS_sched_yield, 0, 0, 0, 0, 0, 0); }
int raw_process(void) { return (int)call(SYS_getpid, 0, 0, 0, 0, 0, 0); }

// What standard error was when the program started; nothing has inode 0 of device 0.
static struct raw_file text_output;

void raw_remember_text_output(void) { raw_file(2, &text_output); }

int raw_is_text_output(void) {
  struct stat status = {0};
  if (call(SYS_fstat, 2, (long)&status, 0, 0, 0, 0) != 0) return 0;
  // A service's standard error may be a socket, to the journal.
  int is_kind =
      S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode);
  return is_kind && status.st_dev == text_output.device && status.st_ino == text_output.inode;
}

void *raw_map(int fd, uint64_t offset, size_t size, int is_writable) {
  int protection = PROT_READ | (is_writable ? PROT_WRITE : 0);
  int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  long result = call(SYS_mmap, 0, (long)size, protection, flags, fd, (long)offset);
  return result < 0 && result > -4096 ? NULL : (void *)result;
}

void raw_unmap(void *start, size_t size) {
  if (start) call(SYS_munmap, (long)start, (long)size, 0, 0, 0, 0);
}

int raw_wipe_on_fork(void *start, size_t size) {
  return (int)call(SYS_madvise, (long)start, (long)size, MADV_WIPEONFORK, 0, 0, 0);
}

long raw_write(int fd, const void *bytes, size_t count) {
  return call(SYS_write, fd, (long)bytes, (long)count, 0, 0, 0);
}

long raw_writev(int fd, const struct iovec *parts, int count) {
  return call(SYS_writev, fd, (long)parts, count, 0, 0, 0);
}

void raw_send_byte(int fd) {
  char byte = 0;
  // EAGAIN: it has enough to wake for.
  call(SYS_sendto, fd, (long)&byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
}

int64_t raw_monotonic_microseconds(void) {
  struct timespec now = {0};
  call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int raw_processors(void) {
  uint64_t mask[16] = {0};
  long size = call(SYS_sched_getaffinity, 0, sizeof mask, (long)mask, 0, 0, 0);
  int count = 0;
  for (long i = 0; i < size / 8; i++) count += __builtin_popcountll(mask[i]);
  return count;
}

int raw_receive_grant(int fd, void *bytes, size_t count, int descriptors[3]) {
  struct iovec part = {bytes, count};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(3 * sizeof(int))];
  } control;
  // Not the union's size, which has room for a fourth behind the third.
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(3 * sizeof(int))};
  int got = (int)call(SYS_recvmsg, fd, (long)&message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0, 0);
  struct cmsghdr *found = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!found || found->cmsg_level != SOL_SOCKET || found->cmsg_type != SCM_RIGHTS) return got > 0 ? 0 : got;
  size_t room = (found->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  __builtin_memcpy(descriptors, CMSG_DATA(found), room * sizeof(int));
  if (room == 3 && (size_t)got == count) return got;
  for (size_t i = 0; i < room; i++) raw_close(descriptors[i]);
  return 0;
}
