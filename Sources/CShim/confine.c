// SPDX-License-Identifier: Apache-2.0
// What the data path can reach: the sockets of one directory, by the system calls that it needs; a filter (seccomp(2))
// refuses all others with EPERM.
#define _GNU_SOURCE 1
#include "cshim.h"
#include <sched.h>
#include <sys/resource.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
enum { ARCHITECTURE = AUDIT_ARCH_X86_64 };
#elif defined(__aarch64__)
enum { ARCHITECTURE = AUDIT_ARCH_AARCH64 };
#endif

// A call that is allowed; with a mask, only where those bits of the argument are all zero.
struct allowed_call {
  uint16_t number, mask;
  uint8_t argument;
};

static const struct allowed_call allowed[] = {
    // What the loop does.
    {SYS_epoll_pwait, 0, 0}, {SYS_epoll_ctl, 0, 0}, {SYS_read, 0, 0}, {SYS_write, 0, 0}, {SYS_recvfrom, 0, 0},
    {SYS_sendto, 0, 0}, {SYS_sched_yield, 0, 0}, {SYS_accept4, 0, 0}, {SYS_connect, 0, 0},
    {SYS_shutdown, 0, 0}, {SYS_close, 0, 0}, {SYS_getsockopt, 0, 0}, {SYS_timerfd_settime, 0, 0},
    {SYS_clock_gettime, 0, 0}, {SYS_getrandom, 0, 0}, {SYS_getpid, 0, 0}, {SYS_getppid, 0, 0}, {SYS_gettid, 0, 0},
    {SYS_geteuid, 0, 0}, {SYS_ppoll, 0, 0},
    // No socket but AF_UNIX's, which is 1.
    {SYS_socket, 0xFFFE, 0}, {SYS_socketpair, 0xFFFE, 0}, {SYS_sendmsg, 0, 0}, {SYS_bind, 0, 0},
    // Memory; none of it can be executed.
    {SYS_mmap, PROT_EXEC, 2}, {SYS_mprotect, PROT_EXEC, 2}, {SYS_munmap, 0, 0}, {SYS_mremap, 0, 0},
    {SYS_madvise, 0, 0}, {SYS_brk, 0, 0}, {SYS_futex, 0, 0},
    // Faults in a section are caught; the end.
    {SYS_rt_sigreturn, 0, 0}, {SYS_rt_sigprocmask, 0, 0}, {SYS_rt_sigaction, 0, 0}, {SYS_exit_group, 0, 0},
#if defined(__x86_64__)
    {SYS_epoll_wait, 0, 0}, {SYS_poll, 0, 0},
#endif
    // For direct mode alone: a page to share, whose size is sealed (F_ADD_SEALS is 0x409).
    {SYS_memfd_create, 0, 0}, {SYS_ftruncate, 0, 0}, {SYS_fcntl, 0xFBF6, 1},
};
enum { CALLS = sizeof allowed / sizeof allowed[0], CALLS_OF_DIRECT_MODE = 3 };

// A sanitizer's report needs files and calls that the data path does not.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static int close_from_to(unsigned first, unsigned last) {
  if (syscall(SYS_close_range, first, last, 0) == 0) return 0;
  // Before Linux 5.9 there is no such call.
  struct rlimit limit;
  if (errno != ENOSYS || getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
  for (unsigned fd = first; fd <= last && fd < limit.rlim_cur; fd++) close((int)fd);
  return 0;
}

// From 3 on: whatever whoever started the agent had open, and what only its other process needs.
static int close_others(const int *keep, int count) {
  for (unsigned first = 3;;) {
    unsigned next = ~0u;
    for (int i = 0; i < count; i++)
      if (keep[i] >= 0 && (unsigned)keep[i] >= first && (unsigned)keep[i] < next) next = (unsigned)keep[i];
    if (next > first && close_from_to(first, next - 1) != 0) return -1;
    if (next == ~0u) return 0;
    first = next + 1;
  }
}

// A socket's name is a path, looked up from the root, or an abstract name, looked up in the network namespace.
int cs_enclose(const char *directory, const int *keep, int count) {
  if (chdir(directory) != 0) return -1;
#ifdef IS_SANITIZED
  errno = ENOTSUP;
  return -1;
#endif
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0) return -1;
  // Each for itself: a kernel without one of them has the others.
  int result = close_others(keep, count);
  if (chroot(".") != 0) result = -1;
  if (unshare(CLONE_NEWNET) != 0) result = -1;
  return result;
}

// From here on this process, which has given up gaining privileges, makes no other system calls.
int cs_confine(bool is_direct) {
#ifdef IS_SANITIZED
  (void)is_direct;
  errno = ENOTSUP;
  return -1;
#endif
  const unsigned deny = SECCOMP_RET_ERRNO | EPERM;
  struct sock_filter code[CALLS * 5 + 5];
  struct sock_filter *next = code;
  *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
  *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, deny);
  *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < CALLS - (is_direct ? 0 : CALLS_OF_DIRECT_MODE); i++) {
    unsigned char other = allowed[i].mask ? 4 : 1;
    *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i].number, 0, other);
    if (allowed[i].mask) {
      // Both architectures are little-endian: the argument's low half comes first.
      unsigned place = offsetof(struct seccomp_data, args) + allowed[i].argument * sizeof(uint64_t);
      *next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, place);
      *next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, allowed[i].mask, 0, 1);
      *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, deny);
    }
    *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }
  *next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, deny);
  struct sock_fprog program = {(unsigned short)(next - code), code};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
