// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "cbench.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// A thread of a library may be the one that forks, with signals blocked that are to end the child.
static void unblock_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t cb_fork(unsigned seconds) {
  pid_t parent = getpid();
  pid_t child = fork();
  if (child != 0) return child;
  signal(SIGALRM, SIG_DFL);
  unblock_signals();
  alarm(seconds);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  return 0;
}

_Noreturn void cb_exit(int status) { _exit(status); }

// In the child of cb_start; what went wrong goes through `report`, which a successful execve closes.
static _Noreturn void start(
    char *const *arguments, const int *descriptors, int count, int processor, pid_t parent, int report) {
  // First out of the way of the numbers that they are to have.
  int moved[CB_STARTED], said = fcntl(report, F_DUPFD_CLOEXEC, 200), error;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  unblock_signals();
  if (said < 0 || getppid() != parent) _exit(127);
  for (int i = 0; i < count; i++) moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 100);
  for (int i = 0; i < count; i++) {
    if (moved[i] < 0 || dup2(moved[i], 10 + i) < 0) goto failed;
  }
  if (processor >= 0 && cb_pin(processor) != 0) goto failed;
  execv(arguments[0], arguments);
failed:
  error = errno;
  (void)!write(said, &error, sizeof error);
  _exit(127);
}

pid_t cb_start(char *const *arguments, const int *descriptors, int count, int processor) {
  int report[2], error = 0;
  if (count > CB_STARTED) return errno = E2BIG, -1;
  if (pipe2(report, O_CLOEXEC) != 0) return -1;
  pid_t parent = getpid(), child = fork();
  if (child == 0) start(arguments, descriptors, count, processor, parent, report[1]);
  if (child < 0) error = errno;
  close(report[1]);
  // Ends with the child's execve, which closes the other end.
  if (child > 0 && read(report[0], &error, sizeof error) != sizeof error) error = 0;
  close(report[0]);
  if (error == 0) return child;
  if (child > 0) waitpid(child, NULL, 0);
  return errno = error, -1;
}

int cb_watch(pid_t child) { return (int)syscall(SYS_pidfd_open, child, 0); }

int cb_pin(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)processor, &set);
  return sched_setaffinity(0, sizeof set, &set);
}

int cb_processor(int index) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return -1;
  for (int processor = 0; processor < CPU_SETSIZE; processor++) {
    if (CPU_ISSET((size_t)processor, &set) && index-- == 0) return processor;
  }
  return -1;
}

void cb_futex_wait(uint32_t *word, uint32_t value) { syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0); }
void cb_futex_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }

int cb_bell(void) { return eventfd(0, EFD_CLOEXEC); }

int cb_queue(size_t size, long count) {
  char name[64];
  snprintf(name, sizeof name, "/ringway-bench-%ld", (long)getpid());
  struct mq_attr attributes = {.mq_maxmsg = count, .mq_msgsize = (long)size};
  int queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, &attributes);
  int error = errno;
  mq_unlink(name);
  errno = error;
  return queue;
}
ssize_t cb_queue_send(int queue, const void *bytes, size_t size) { return mq_send(queue, bytes, size, 0); }
ssize_t cb_queue_receive(int queue, void *bytes, size_t size) { return mq_receive(queue, bytes, size, NULL); }

int cb_packet_pair(int *ends) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }

int cb_tcp_pair(int *first, int *second) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *second = -1;
  if (listener >= 0 && *first >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0 &&
      listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
      connect(*first, (struct sockaddr *)&address, length) == 0)
    *second = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  int error = errno;
  if (listener >= 0) close(listener);
  if (*second < 0) {
    if (*first >= 0) close(*first);
    errno = error;
    return -1;
  }
  setsockopt(*first, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(*second, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return 0;
}

static struct sockaddr_in loopback(uint16_t port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return address;
}

// `it`, without Nagle's delay, if `failed` is 0; else it is closed.
static int opened(int it, int failed) {
  int error = errno, one = 1;
  if (it >= 0 && !failed) return setsockopt(it, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), it;
  if (it >= 0) close(it);
  errno = error;
  return -1;
}

int cb_connect(uint16_t port) {
  struct sockaddr_in address = loopback(port);
  int it = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return opened(it, it >= 0 && connect(it, (struct sockaddr *)&address, sizeof address) != 0);
}

int cb_accept(uint16_t port) {
  struct sockaddr_in address = loopback(port);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), it = -1;
  if (listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1) == 0)
    it = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  int error = errno;
  if (listener >= 0) close(listener);
  errno = error;
  return opened(it, 0);
}

int cb_family(int socket) {
  int family = 0;
  socklen_t length = sizeof family;
  return syscall(SYS_getsockopt, socket, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0 ? family : -1;
}

size_t cb_contender_size(const struct contender *it, size_t message) { return it->size(message); }
int cb_contender_prepare(const struct contender *it, void *memory, size_t message) {
  return it->prepare(memory, message);
}
void cb_contender_produce(const struct contender *it, void *memory, size_t message, uint64_t count) {
  it->produce(memory, message, count);
}
uint64_t cb_contender_consume(const struct contender *it, void *memory, size_t message, uint64_t count) {
  return it->consume(memory, message, count);
}
void cb_contender_send(const struct contender *it, void *memory, size_t message, const void *bytes) {
  it->send(memory, message, bytes);
}
void cb_contender_receive(const struct contender *it, void *memory, size_t message, void *bytes) {
  it->receive(memory, message, bytes);
}
