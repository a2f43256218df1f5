// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "ctestshim.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

pid_t ct_fork(void) {
  unsigned left = alarm(0);
  pid_t pid = fork();
  // A child does not inherit the limit, and would outlive a parent that failed.
  alarm(left);
  return pid;
}
void ct_exit(int status) { _exit(status); }

static int wait_for(pid_t pid, int *status) {
  pid_t waited;
  do waited = waitpid(pid, status, __WALL);
  while (waited < 0 && errno == EINTR);
  return waited == pid ? 0 : -1;
}

int ct_reap(pid_t pid) {
  int status;
  if (wait_for(pid, &status) != 0) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t ct_spawn(const char *path, char *const *arguments, const int *fds, int count, int *output) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  // Through numbers far above, so that none is overwritten before it is copied.
  for (int i = 0; i < count; i++) posix_spawn_file_actions_adddup2(&actions, fds[i], 500 + i);
  for (int i = 0; i < count; i++) {
    posix_spawn_file_actions_adddup2(&actions, 500 + i, CT_FIRST_FD + i);
    posix_spawn_file_actions_addclose(&actions, 500 + i);
  }
  // Threads of a pool block every signal, SIGALRM included, and a program inherits that.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid;
  int error = posix_spawn(&pid, path, &actions, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    errno = error;
    return -1;
  }
  *output = ends[0];
  return pid;
}

void ct_limit_life(unsigned seconds) { alarm(seconds); }

ssize_t ct_receive(int socket, void *bytes, size_t size, int *fd) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = size};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t count = recvmsg(socket, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC);
  struct cmsghdr *found = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  *fd = -1;
  if (found && found->cmsg_level == SOL_SOCKET && found->cmsg_type == SCM_RIGHTS)
    memcpy(fd, CMSG_DATA(found), sizeof *fd);
  return count;
}
