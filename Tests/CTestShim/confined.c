// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "ctestshim.h"
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int status_of(pid_t child, int failure) {
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status) == failure ? -1 : WEXITSTATUS(status);
}

int ct_call_confined(int (*confine)(void), long number, long first, long second, long third) {
  enum { NOT_CONFINED = 255 };
  pid_t child = fork();
  if (child == 0) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || confine() != 0) _exit(NOT_CONFINED);
    long result = syscall(number, first, second, third, -1L, 0L, 0L);
    // exit_group itself, since libc may do more on its way out.
    syscall(SYS_exit_group, result < 0 ? errno : 0);
  }
  return status_of(child, NOT_CONFINED);
}

int ct_connect_enclosed(
    int (*enclose)(const char *), const char *directory, const struct sockaddr *address, socklen_t length) {
  enum { NOT_ENCLOSED = 255 };
  pid_t child = fork();
  if (child == 0) {
    if (enclose && enclose(directory) != 0) _exit(NOT_ENCLOSED);
    int result = connect(socket(AF_UNIX, SOCK_STREAM, 0), address, length);
    syscall(SYS_exit_group, result < 0 ? errno : 0);
  }
  return status_of(child, NOT_ENCLOSED);
}

static const struct {
  const char *name;
  long number;
} calls[] = {
    {"read", SYS_read}, {"write", SYS_write}, {"openat", SYS_openat}, {"close", SYS_close}, {"socket", SYS_socket},
    {"sched_yield", SYS_sched_yield}, {"ppoll", SYS_ppoll}, {"fcntl", SYS_fcntl}, {"sendmsg", SYS_sendmsg},
    {"getpid", SYS_getpid}, {"socketpair", SYS_socketpair},
    {"mprotect", SYS_mprotect}, {"madvise", SYS_madvise}, {"brk", SYS_brk},
    {"execve", SYS_execve}, {"clone", SYS_clone}, {"ptrace", SYS_ptrace}, {"kill", SYS_kill}, {"ioctl", SYS_ioctl},
    {"unlinkat", SYS_unlinkat}, {"setuid", SYS_setuid}, {"mount", SYS_mount}, {"bpf", SYS_bpf},
    {"userfaultfd", SYS_userfaultfd}, {"io_uring_setup", SYS_io_uring_setup}, {"seccomp", SYS_seccomp},
    {"process_vm_readv", SYS_process_vm_readv}, {"sendmmsg", SYS_sendmmsg}, {"memfd_create", SYS_memfd_create},
    {"bind", SYS_bind}, {"listen", SYS_listen}, {"prctl", SYS_prctl}, {"finit_module", SYS_finit_module},
    {"chroot", SYS_chroot}, {"fchdir", SYS_fchdir}, {"setns", SYS_setns},
};

long ct_call_number(const char *name) {
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    if (strcmp(calls[i].name, name) == 0) return calls[i].number;
  return -1;
}
