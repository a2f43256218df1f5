// SPDX-License-Identifier: Apache-2.0
// Calls that are left by a jump, that are trapped, that are given addresses which are not there, or whose descriptor
// stands for another file before they are done. Part of probe.c.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <ucontext.h>

static sigjmp_buf way_out;
static void escape(int signal) { (void)signal, siglongjmp(way_out, 1); }

static void connect_no_longer_than(int milliseconds) {
  struct sockaddr_storage address;
  socklen_t length = fill(&address, 0, port);
  volatile int fd = socket(domain, SOCK_STREAM, 0);
  if (sigsetjmp(way_out, 1) == 0) {
    struct itimerval once = {.it_value = {.tv_usec = milliseconds * 1000}}, never = {0};
    setitimer(ITIMER_REAL, &once, NULL);
    connect(fd, (struct sockaddr *)&address, length);
    setitimer(ITIMER_REAL, &never, NULL);
  }
  close(fd);
}

// The time limit of old: nothing answers, and the alarm's handler leaves `connect` by a jump.
static int jumped(void) {
  int before = count_open();
  signal(SIGALRM, escape);
  for (int round = 0; round < 8; round++) connect_no_longer_than(30);
  printf("more descriptors than before: %d\n", count_open() - before);
  // What the last one left has been closed, and its number is the program's own: a child of another thread keeps it.
  for (int fd = 3; fd < 256; fd++) close(fd);
  int own[8];
  for (int i = 0; i < 8; i++) own[i] = dup(1);
  (void)own;
  int after = count_open();
  connect_no_longer_than(30);
  printf("own descriptors closed: %d\n", after > count_open() ? after - count_open() : 0);
  return 0;
}

static volatile int traps;

static void refuse_call(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  traps++;
#if defined(__x86_64__)
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -EACCES;
#else
  ((ucontext_t *)context)->uc_mcontext.regs[0] = -EACCES;
#endif
}

// A program that answers some of its system calls in a handler, as sandboxes do.
static int trapped(void) {
  struct sigaction action = {.sa_sigaction = refuse_call, .sa_flags = SA_SIGINFO};
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  sigaction(SIGSYS, &action, NULL);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    puts("no filter");
    return 0;
  }
  int fd = connected("connect");
  say("send", fd, "word");
  hear("echo", fd, 4, MSG_WAITALL);
  printf("trapped: %s\n", traps > 0 ? "yes" : "no");
  return 0;
}

static const char *answer(int result) { return result == 0 ? "ok" : errno == EFAULT ? "EFAULT" : strerror(errno); }

// Answers for which there is not enough memory where they are to go.
static int torn_pointers(void) {
  static const struct {
    int level, name;
  } options[] = {
      {SOL_SOCKET, SO_TYPE}, {SOL_SOCKET, SO_PEERCRED}, {SOL_SOCKET, SO_REUSEPORT}, {SOL_SOCKET, SO_DOMAIN},
      {SOL_SOCKET, SO_ERROR}, {IPPROTO_TCP, TCP_NODELAY}, {IPPROTO_TCP, TCP_INFO}, {IPPROTO_TCP, TCP_CONGESTION}};
  char *end = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
  if (end == (char *)MAP_FAILED + 4096 || mprotect(end, 4096, PROT_NONE) != 0) return 1;
  int listener = listening("bind");
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    for (socklen_t asked = 1; asked <= 16; asked++)
      for (socklen_t there = 0; there < asked; there++) {
        socklen_t length = asked;
        int result = getsockopt(listener, options[i].level, options[i].name, end - there, &length);
        // What is shorter than was asked for may fit.
        printf("%zu %u of %u: %s\n", i, there, asked, answer(result));
      }
  for (socklen_t there = 0; there < 28; there++) {
    socklen_t length = 28;
    printf("name %u: %s\n", there, answer(getsockname(listener, (struct sockaddr *)(end - there), &length)));
  }
  return 0;
}

static int overtaken, other_port;

static void *replace_listener(void *unused) {
  // Before the one that stops it goes on.
  struct sched_param urgent = {.sched_priority = 10};
  pthread_setschedparam(pthread_self(), SCHED_FIFO, &urgent);
  accept(overtaken, NULL, NULL);
  close(overtaken);
  struct sockaddr_storage address;
  int listener = socket(domain, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  socklen_t length = fill(&address, 0, 0);
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 4) != 0) exit(72);
  getsockname(listener, (struct sockaddr *)&address, &length);
  __atomic_store_n(&other_port, ntohs(((struct sockaddr_in *)&address)->sin_port), __ATOMIC_SEQ_CST);
  int fd = accept(listener, NULL, NULL);
  send(fd, "mine", 4, MSG_NOSIGNAL);
  close(fd);
  close(listener);
  return unused;
}

// Who accepts closes the listener as soon as it is stopped, and has another one, not the ring's, under its number.
static int overtaking(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(0, sizeof one, &one);
  for (int round = 0; round < 20; round++) {
    other_port = 0;
    overtaken = listening("bind");
    pthread_t thread;
    if (listen(overtaken, 4) != 0 || pthread_create(&thread, NULL, replace_listener, NULL) != 0) return 1;
    poll(NULL, 0, 2);  // into accept, most likely
    shutdown(overtaken, SHUT_RDWR);
    int there;
    while ((there = __atomic_load_n(&other_port, __ATOMIC_SEQ_CST)) == 0) poll(NULL, 0, 1);
    struct sockaddr_storage address;
    socklen_t length = fill(&address, 0, there);
    int fd = socket(domain, SOCK_STREAM, 0);
    line("connect", connect(fd, (struct sockaddr *)&address, length));
    hear("recv", fd, 4, MSG_WAITALL);
    close(fd);
    pthread_join(thread, NULL);
  }
  return 0;
}
