// SPDX-License-Identifier: Apache-2.0
// What tests need of the system and Swift cannot call: fork, ptrace, spawning with descriptors.
#ifndef RINGWAY_CTESTSHIM_H
#define RINGWAY_CTESTSHIM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

// fork; only for programs with one thread. Swift does not import it.
pid_t ct_fork(void);
__attribute__((noreturn)) void ct_exit(int status);
// waitpid until it ends; the exit status, or 128 + signal, or -1 with errno.
int ct_reap(pid_t pid);

// Executing a child instruction by instruction; x86_64 alone, elsewhere ct_can_step is false. (On arm64 an exclusive
// pair never succeeds under a single step.)
bool ct_can_step(void);
// In the child: lets the parent trace it, and stops. 0, or errno when tracing is not permitted.
int ct_trace_me_and_stop(void);
// In the parent: waits for that stop. True when the child is stopped and traced.
bool ct_wait_for_stop(pid_t pid);
// Executes one instruction of the stopped child. False when it ended instead, and was reaped.
bool ct_step(pid_t pid);
// Makes the stopped child fork between two instructions. The copy has its registers and its memory, is stopped at the
// same instruction, and has `word` at `address`, where a fork wipes. Its pid, or -1.
pid_t ct_fork_stopped(pid_t pid, const void *_Nonnull address, uint64_t word);
// SIGKILL, and waits until it is gone.
void ct_kill(pid_t pid);

// Starts `path` with `arguments` (ends with NULL). Its stdout is a pipe whose reading end goes to *output; it
// inherits `count` descriptors as CT_FIRST_FD, CT_FIRST_FD + 1 and so on. The pid, or -1 with errno.
#define CT_FIRST_FD 10
pid_t ct_spawn(const char *_Nonnull path, char *_Nullable const *_Nonnull arguments, const int *_Nullable fds,
               int count, int *_Nonnull output);

// In a child that has given up gaining privileges, has called `confine`, and then makes one system call: 0 when that
// call worked, else its errno; -1 when `confine` failed.
int ct_call_confined(int (*_Nonnull confine)(void), long number, long first, long second, long third);
// In a child that has called `enclose`, if there is one, with the directory: what connecting a stream socket to the
// AF_UNIX address gives, 0 or errno; -1 when `enclose` failed.
int ct_connect_enclosed(
    int (*_Nullable enclose)(const char *_Nonnull), const char *_Nonnull directory,
    const struct sockaddr *_Nonnull address, socklen_t length);
// Numbers of system calls, which differ between architectures, by name; -1 for one that is not known here.
long ct_call_number(const char *_Nonnull name);

// Exactly `size` bytes of a stream socket, and the descriptor that came with them: -1 in *fd where there is none. The
// number of bytes, fewer at the end of the stream, or -1 with errno.
ssize_t ct_receive(int socket, void *_Nonnull bytes, size_t size, int *_Nonnull fd);

// This process dies of SIGALRM after so many seconds, whatever it waits for.
void ct_limit_life(unsigned seconds);
#endif
