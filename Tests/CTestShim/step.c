// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "ctestshim.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static bool stopped(pid_t pid, int *status) {
  pid_t waited;
  do waited = waitpid(pid, status, __WALL);
  while (waited < 0 && errno == EINTR);
  return waited == pid && WIFSTOPPED(*status);
}

int ct_trace_me_and_stop(void) {
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) return errno;
  // Not raise(): its way back out of libc would be stepped through as well.
  kill(getpid(), SIGSTOP);
  return 0;
}

bool ct_wait_for_stop(pid_t pid) {
  int status;
  if (!stopped(pid, &status) || WSTOPSIG(status) != SIGSTOP) return false;
  // No child outlives its tracer with a trap pending.
  return ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK)) == 0;
}

bool ct_step(pid_t pid) {
  int status;
  return ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && stopped(pid, &status) && WSTOPSIG(status) == SIGTRAP;
}

void ct_kill(pid_t pid) {
  int status;
  kill(pid, SIGKILL);
  // A traced process may report a stop first.
  while (stopped(pid, &status)) ptrace(PTRACE_CONT, pid, NULL, SIGKILL);
}

#if defined(__x86_64__)
bool ct_can_step(void) { return true; }

// Never called: the child is sent here for one instruction. It is there at the same address, being a child.
__asm__(".text\n"
        ".local ct_system_call\n"
        "ct_system_call:\n"
        "  syscall\n"
        "  int3\n");
extern const char ct_system_call[] __attribute__((visibility("hidden")));

pid_t ct_fork_stopped(pid_t pid, const void *address, uint64_t word) {
  struct user_regs_struct saved, there;
  int status;
  if (ptrace(PTRACE_GETREGS, pid, NULL, &saved) != 0) return -1;
  there = saved;
  there.rip = (unsigned long long)ct_system_call;
  there.rax = SYS_fork;
  there.orig_rax = -1;
  if (ptrace(PTRACE_SETREGS, pid, NULL, &there) != 0) return -1;
  if (ptrace(PTRACE_CONT, pid, NULL, NULL) != 0 || !stopped(pid, &status)) return -1;
  unsigned long copy;
  if (status >> 8 != (SIGTRAP | PTRACE_EVENT_FORK << 8) || ptrace(PTRACE_GETEVENTMSG, pid, NULL, &copy) != 0)
    return -1;
  if (!stopped((pid_t)copy, &status)) return -1;
  // Through the rest of the system call, to the int3.
  if (ptrace(PTRACE_CONT, pid, NULL, NULL) != 0 || !stopped(pid, &status)) return -1;
  saved.orig_rax = -1;
  if (ptrace(PTRACE_SETREGS, pid, NULL, &saved) != 0) return -1;
  if (ptrace(PTRACE_SETREGS, (pid_t)copy, NULL, &saved) != 0) return -1;
  if (ptrace(PTRACE_POKEDATA, (pid_t)copy, address, word) != 0) return -1;
  return (pid_t)copy;
}
#else
bool ct_can_step(void) { return false; }
pid_t ct_fork_stopped(pid_t pid, const void *address, uint64_t word) {
  (void)pid;
  (void)address;
  (void)word;
  return -1;
}
#endif
