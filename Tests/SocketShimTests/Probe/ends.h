// SPDX-License-Identifier: Apache-2.0
// How connections end, and what a program asks of them that TCP refuses: parts of streams.h.

// Closing with bytes unread resets; what was sent before is there first.
static void unread(int fd) {
  gather(fd, 3);
  say("send", fd, "last");
  line("close", close(fd));
}

static void unread_server(int fd) {
  say("send", fd, "abc");
  bits("reset", fd, POLLHUP);
  hear("recv", fd, 4, MSG_WAITALL);
  hear("recv", fd, 4, 0);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  hear("recv", fd, 4, 0);
  line("getpeername", getpeername(fd, (struct sockaddr *)&(struct sockaddr_storage){0}, &(socklen_t){128}));
  line("send", send(fd, "x", 1, MSG_NOSIGNAL));
  line("shutdown", shutdown(fd, SHUT_WR));
}

// The same, and SO_ERROR asks first; every other way to read.
static void unread_too(int fd) {
  gather(fd, 3);
  line("close", close(fd));
}

static void unread_asked(int fd) {
  char byte;
  say("send", fd, "abc");
  struct pollfd wanted = {fd, 0, 0};
  poll(&wanted, 1, PATIENCE);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  line("read", read(fd, &byte, 1));
}

static void unread_read(int fd) {
  char byte;
  say("send", fd, "abc");
  line("read", read(fd, &byte, 1));
  line("read", read(fd, &byte, 1));
}

static void unread_readv(int fd) {
  char byte;
  struct iovec part = {&byte, 1};
  say("send", fd, "abc");
  line("readv", readv(fd, &part, 1));
  line("readv", readv(fd, &part, 1));
}

static void unread_recvmsg(int fd) {
  char byte;
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  say("send", fd, "abc");
  line("recvmsg", recvmsg(fd, &message, 0));
  line("recvmsg", recvmsg(fd, &message, 0));
  line("recvfrom", recvfrom(fd, &byte, 1, 0, NULL, NULL));
}

static volatile sig_atomic_t signals;
static void count_signal(int number) { signals += number == SIGPIPE; }

// Writing to who has gone.
static void gone(int fd) {
  signal(SIGPIPE, count_signal);
  hear("recv", fd, 4, 0);
  bits("half", fd, POLLRDHUP);
  while (send(fd, "x", 1, MSG_NOSIGNAL) == 1) poll(&(struct pollfd){fd, 0, 0}, 1, 1);
  line("send", -1);
  printf("signals: %d\n", (int)signals);
  line("write", write(fd, "x", 1));
  printf("signals: %d\n", (int)signals);
  line("send", send(fd, "x", 1, 0));
  printf("signals: %d\n", (int)signals);
  // The end was heard: no reset comes behind it.
  hear("recv", fd, 4, 0);
}

static void gone_server(int fd) { line("close", close(fd)); }

// The end was there before the reset, and is what is heard, though it was not read yet.
static void answered(int fd) {
  bits("half", fd, POLLRDHUP);
  say("send", fd, "more");
  bits("gone", fd, POLLHUP);
  hear("recv", fd, 6, MSG_WAITALL);
  hear("recv", fd, 4, 0);
  hear("recv", fd, 4, 0);
  line("send", send(fd, "x", 1, MSG_NOSIGNAL));
}

static void answered_server(int fd) {
  say("send", fd, "answer");
  line("close", close(fd));
}

static void *end_both(void *fd) {
  shutdown(*(int *)fd, SHUT_RDWR);
  return NULL;
}

// The program ends both directions itself, also to wake one that reads.
static void ended(int fd) {
  pthread_t thread;
  line("pthread_create", pthread_create(&thread, NULL, end_both, &fd));
  hear("recv", fd, 4, 0);
  pthread_join(thread, NULL);
  hear("recv", fd, 4, 0);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  line("send", send(fd, "x", 1, MSG_NOSIGNAL));
}

static void ended_server(int fd) { hear("recv", fd, 4, 0); }

// The same of a connection that was not waited for, and of one that is full.
static void begun(int ignored) {
  (void)ignored;
  static char bytes[65536];
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK, 0);
  socklen_t length = fill(&address, 0, port);
  line("connect", connect(fd, (struct sockaddr *)&address, length));
  bits("made", fd, POLLOUT);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  while (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) > 0) {}
  line("send", -1);
  line("getpeername", getpeername(fd, (struct sockaddr *)&(struct sockaddr_storage){0}, &(socklen_t){128}));
  line("connect", connect(fd, (struct sockaddr *)&address, length));
  line("connect", connect(fd, (struct sockaddr *)&address, length));
  say("send", ignored, "full");
  // AF_UNIX frees what was not read a moment later.
  bits("gone", fd, POLLHUP | POLLOUT);
  hear("recv", fd, 4, 0);
  hear("recv", fd, 4, 0);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  line("shutdown", shutdown(fd, SHUT_WR));
  close(fd);
}

static void begun_server(int fd) {
  extern int listener_of_streams;
  int other = accept(listener_of_streams, NULL, NULL);
  hear("recv", fd, 4, MSG_WAITALL);
  // Of what is still on its way nobody is told.
  int there = 0;
  while (there == 0 && ioctl(other, FIONREAD, &there) == 0) poll(&(struct pollfd){other, POLLIN, 0}, 1, PATIENCE);
  line("close", close(other));
}

// A close that is to wait: nothing is lost by it, and the time is kept. A close that is to reset does so only where the
// connection is not over yet.
static void lingered(int fd) {
  static char bytes[200000];
  struct linger wanted = {1, 5}, kept = {0};
  socklen_t length = sizeof kept;
  line("SO_LINGER", getsockopt(fd, SOL_SOCKET, SO_LINGER, &kept, &length));
  printf("linger: %d %d length %u\n", kept.l_onoff, kept.l_linger, (unsigned)length);
  line("set SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &wanted, sizeof wanted));
  line("set SO_LINGER short", setsockopt(fd, SOL_SOCKET, SO_LINGER, &wanted, 4));
  line("SO_LINGER", getsockopt(fd, SOL_SOCKET, SO_LINGER, &kept, &length));
  printf("linger: %d %d length %u\n", kept.l_onoff, kept.l_linger, (unsigned)length);
  size_t sent = 0;
  while (sent < sizeof bytes) {
    ssize_t count = send(fd, bytes + sent, sizeof bytes - sent, 0);
    if (count <= 0) break;
    sent += (size_t)count;
  }
  printf("sent: %zu\n", sent);
  line("close", close(fd));
}

static void lingered_server(int fd) {
  static char bytes[200000];
  size_t got = 0;
  while (got < sizeof bytes) {
    ssize_t count = recv(fd, bytes + got, sizeof bytes - got, 0);
    if (count <= 0) break;
    got += (size_t)count;
  }
  printf("got: %zu\n", got);
  hear("recv", fd, 4, 0);
}

static void over(int fd) {
  struct linger wanted = {1, 0};
  line("set SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &wanted, sizeof wanted));
  line("shutdown", shutdown(fd, SHUT_WR));
  hear("recv", fd, 4, 0);
  line("close", close(fd));
}

static void over_server(int fd) {
  hear("recv", fd, 4, 0);
  line("shutdown", shutdown(fd, SHUT_WR));
  bits("gone", fd, POLLHUP);
  hear("recv", fd, 4, 0);
}

// A connection that is given up for another one, by the same socket.
static void dissolved(int fd) {
  struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  struct sockaddr_storage address;
  socklen_t length = fill(&address, 0, port);
  say("send", fd, "abc");
  hear("recv", fd, 2, MSG_WAITALL);
  line("connect elsewhere", connect(fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, length));
  line("connect to no address", connect(fd, &nowhere, sizeof nowhere));
  line("getpeername", getpeername(fd, (struct sockaddr *)&address, &length));
  length = fill(&address, 0, port);
  int other = socket(domain, SOCK_STREAM, 0);
  line("connect", connect(other, (struct sockaddr *)&address, length));
  hear("recv", other, 4, MSG_WAITALL);
  close(other);
}

static void dissolved_server(int fd) {
  extern int listener_of_streams;
  gather(fd, 3);
  say("send", fd, "ok");
  int other = accept(listener_of_streams, NULL, NULL);
  say("send", other, "done");
  close(other);
}

// What TCP_INFO says of a connection; an emulator need not know it.
static void told_state(const char *what, int fd) {
  unsigned char bytes[256] = {0};
  socklen_t length = sizeof bytes;
  if (getenv("PROBE_EMULATED")) return;
  int result = getsockopt(fd, IPPROTO_TCP, TCP_INFO, bytes, &length);
  printf("%s: %d state %d\n", what, result, bytes[0]);
}

static void states(int fd) {
  told_state("connected", fd);
  hear("recv", fd, 2, MSG_WAITALL);
  line("shutdown", shutdown(fd, SHUT_WR));
  hear("recv", fd, 4, MSG_WAITALL);
  hear("recv", fd, 4, 0);
  bits("gone", fd, POLLHUP);
  told_state("over", fd);
}

static void states_server(int fd) {
  extern int listener_of_streams;
  told_state("listener", listener_of_streams);
  say("send", fd, "go");
  hear("recv", fd, 4, 0);
  told_state("heard the end", fd);
  say("send", fd, "seen");
  line("close", close(fd));
}

// A reset behind the program's own end.
static void finished(int fd) {
  say("send", fd, "abc");
  line("shutdown", shutdown(fd, SHUT_WR));
  bits("gone", fd, POLLHUP);
  hear("recv", fd, 4, 0);
  hear("recv", fd, 4, 0);
}

static void finished_server(int fd) {
  gather(fd, 3);
  bits("half", fd, POLLRDHUP);
  line("close", close(fd));
}

// An end that the library has not seen.
static void unaided(int fd) {
  line("shutdown", syscall(SYS_shutdown, fd, SHUT_WR));
  bits("over", fd, POLLHUP);
  hear("recv", fd, 4, MSG_WAITALL);
  hear("recv", fd, 4, 0);
}

static void unaided_server(int fd) {
  hear("recv", fd, 4, 0);
  say("send", fd, "done");
  line("close", close(fd));
}

// Addresses of nothing.
static void pointers(int fd) {
  struct sockaddr *volatile nowhere = (struct sockaddr *)8;
  socklen_t *volatile no_length = (socklen_t *)8, length = 28;
  struct sockaddr_storage address;
  line("getsockname", getsockname(fd, nowhere, &length));
  line("getsockname", getsockname(fd, (struct sockaddr *)&address, no_length));
  line("getpeername", getpeername(fd, nowhere, &length));
  line("getpeername", getpeername(fd, (struct sockaddr *)&address, no_length));
  length = 4;
  line("getsockopt", getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, nowhere, &length));
  line("getsockopt", getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &address, no_length));
  line("getsockopt", getsockopt(fd, SOL_SOCKET, SO_PEERCRED, nowhere, &length));
  int other = socket(domain, SOCK_STREAM, 0);
  line("connect", connect(other, nowhere, sizeof(struct sockaddr_in6)));
  line("bind", bind(other, nowhere, sizeof(struct sockaddr_in6)));
  line("connect of a short address", connect(other, nowhere, 1));
  length = fill(&address, 0, port);
  // An emulator refuses the address before it accepts.
  if (!getenv("PROBE_EMULATED")) {
    line("connect", connect(other, (struct sockaddr *)&address, length));
    hear("recv", other, 4, MSG_WAITALL);
  }
  close(other);
  hear("recv", fd, 4, MSG_WAITALL);
}

static void pointers_server(int fd) {
  extern int listener_of_streams;
  struct sockaddr *volatile nowhere = (struct sockaddr *)8;
  if (!getenv("PROBE_EMULATED")) line("accept", accept(listener_of_streams, nowhere, &(socklen_t){28}));
  say("send", fd, "done");
}

static void count_cleaned(void *count) { *(int *)count += 1; }

static void *accept_for_ever(void *cleaned) {
  extern int listener_of_streams;
  pthread_cleanup_push(count_cleaned, cleaned);
  accept(listener_of_streams, NULL, NULL);
  pthread_cleanup_pop(0);
  return NULL;
}

// A thread that is cancelled while it accepts; not where another processor is emulated, whose threads cannot be.
static void cancelled(int fd) { hear("recv", fd, 4, MSG_WAITALL); }

static void cancelled_server(int fd) {
  int cleaned = 0;
  if (getenv("PROBE_EMULATED")) {
    say("send", fd, "done");
    return;
  }
  void *result = NULL;
  pthread_t thread;
  line("pthread_create", pthread_create(&thread, NULL, accept_for_ever, &cleaned));
  line("pthread_cancel", pthread_cancel(thread));
  pthread_join(thread, &result);
  printf("cancelled: %d, cleaned: %d\n", result == PTHREAD_CANCELED, cleaned);
  say("send", fd, "done");
}
