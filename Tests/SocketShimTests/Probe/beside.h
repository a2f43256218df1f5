// SPDX-License-Identifier: Apache-2.0
// What a program has of its own beside the library: standard error, its children's descriptors, its threads' listeners.
// Part of probe.c.

// A program that closed its standard error and has a socket there must not find a message in it.
static int own_stderr(void) {
  int pair[2];
  char bytes[64];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || dup2(pair[1], 2) != 2) return 1;
  connected("connect");
  line("nothing was written to it", recv(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) < 0 ? 0 : 1);
  printf("%s\n", recv(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) < 0 ? "empty" : "NOT EMPTY");
  return 0;
}

// Nor one that has a file of its own there, or a pipe that takes no more, or that nobody reads.
static int own_file(void) {
  char bytes[64] = {0};
  char name[] = "/tmp/probe-XXXXXX";
  int file = mkstemp(name);
  unlink(name);
  if (dup2(file, 2) != 2 || write(2, "DATA", 4) != 4) return 1;
  connected("connect");
  if (write(2, "MORE", 4) != 4) return 1;
  printf("%zd %s\n", pread(file, bytes, sizeof bytes - 1, 0), bytes);
  return 0;
}

// What stood there when the program began is a pipe.
static int own_pipe(void) {
  static char bytes[65536];
  int is_closed = getenv("PROBE_READER_GONE") != NULL, status = 0;
  int ends[2];
  if (pipe(ends) != 0) return 1;
  if (is_closed) close(ends[0]);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  while (!is_closed && write(ends[1], bytes, sizeof bytes) > 0) {}
  fcntl(ends[1], F_SETFL, 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    setenv("PROBE_AGAIN", "1", 1);
    execl("/proc/self/exe", "probe", "refused", domain == AF_INET6 ? "6" : "4", getenv("PROBE_PORT"), NULL);
    _exit(127);
  }
  waitpid(child, &status, 0);
  int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  printf("ended: %d signal: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1, signal);
  return 0;
}

static volatile int is_over;

static void *connect_for_ever(void *number) {
  struct sockaddr_storage address;
  socklen_t length = fill(&address, 0, port);
  while (!is_over) {
    int fd = socket(domain, SOCK_STREAM, 0);
    __atomic_store_n((int *)number, fd, __ATOMIC_SEQ_CST);
    connect(fd, (struct sockaddr *)&address, length);
    close(fd);
  }
  return NULL;
}

// A child that another thread forks in the midst of a connect has no descriptor that the program does not know.
static int forking(void) {
  int known = -1, strange = 0, type;
  char was_there[64];
  socklen_t length = sizeof type;
  for (int fd = 3; fd < 64; fd++) was_there[fd] = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
  pthread_t thread;
  if (pthread_create(&thread, NULL, connect_for_ever, &known) != 0) return 1;
  for (int round = 0; round < 200; round++) {
    while (__atomic_load_n(&known, __ATOMIC_SEQ_CST) < 0) {}
    poll(NULL, 0, round % 5);
    pid_t child = fork();
    if (child == 0) {
      int count = 0;
      for (int fd = 3; fd < 64; fd++)
        count += !was_there[fd] && fd != known && syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
      _exit(count);
    }
    int status = 0;
    waitpid(child, &status, 0);
    strange += WEXITSTATUS(status);
  }
  is_over = 1;
  pthread_join(thread, NULL);
  printf("strange descriptors: %d\n", strange);
  return 0;
}

static void *accept_until_stopped(void *listener) {
  int fd;
  while ((fd = accept(*(int *)listener, NULL, NULL)) >= 0) close(fd);
  // As servers do, at the moment when the one that stops it is still under way.
  close(*(int *)listener);
  return NULL;
}

static int count_open(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

// A listener that one thread stops, and the other closes for it; and then another has its port.
static int stopping(void) {
  int bound = 0, before = count_open();
  for (int round = 0; round < 100; round++) {
    int listener = listening("bind");
    pthread_t thread;
    if (listen(listener, 4) != 0 || pthread_create(&thread, NULL, accept_until_stopped, &listener) != 0) return 1;
    bound++;
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
  }
  printf("stopped: %d, more descriptors than before: %d\n", bound, count_open() - before);
  return 0;
}

// A listener that a child has, too: one stops it for both, and it cannot be stopped again.
static int shared_stop(void) {
  char byte;
  int there[2], back[2], one = 1;
  if (pipe(there) != 0 || pipe(back) != 0) return 1;
  int listener = listening("bind");
  line("listen", listen(listener, 4));
  pid_t child = fork();
  if (child == 0) {
    read(there[0], &byte, 1);
    line("child's shutdown", shutdown(listener, SHUT_RD));
    line("child's shutdown again", shutdown(listener, SHUT_RD));
    write(back[1], "x", 1);
    _exit(0);
  }
  write(there[1], "x", 1);
  read(back[0], &byte, 1);
  waitpid(child, NULL, 0);
  line("accept", accept(listener, NULL, NULL));
  get("SO_ACCEPTCONN", listener, SOL_SOCKET, SO_ACCEPTCONN);
  line("shutdown", shutdown(listener, SHUT_RD));
  close(listener);
  int other = listening("bind when both are closed");
  setsockopt(other, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  line("listen", listen(other, 4));
  return 0;
}
