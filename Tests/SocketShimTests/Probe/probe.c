// SPDX-License-Identifier: Apache-2.0
// A program that uses sockets and prints what it sees, one line a call. Run once over TCP and once under
// the preload library, it must print the same. C, so that it can be linked against each libc.
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int port;
static int domain;

static const char *name_of(int error) {
  switch (error) {
  case 0: return "0";
  case EACCES: return "EACCES";
  case EAGAIN: return "EAGAIN";
  case EALREADY: return "EALREADY";
  case ECONNABORTED: return "ECONNABORTED";
  case ECONNRESET: return "ECONNRESET";
  case EINPROGRESS: return "EINPROGRESS";
  case EPIPE: return "EPIPE";
  case EADDRINUSE: return "EADDRINUSE";
  case EADDRNOTAVAIL: return "EADDRNOTAVAIL";
  case EBADF: return "EBADF";
  case ECONNREFUSED: return "ECONNREFUSED";
  case EFAULT: return "EFAULT";
  case EHOSTUNREACH: return "EHOSTUNREACH";
  case EINVAL: return "EINVAL";
  case EISCONN: return "EISCONN";
  case ENOPROTOOPT: return "ENOPROTOOPT";
  case ENOTCONN: return "ENOTCONN";
  case ENOTSOCK: return "ENOTSOCK";
  case EOPNOTSUPP: return "EOPNOTSUPP";
  case ETIMEDOUT: return "ETIMEDOUT";
  default: return strerror(error);
  }
}

static void line(const char *what, long result) {
  printf("%s: %s\n", what, result < 0 ? name_of(errno) : "ok");
  fflush(stdout);
}

static socklen_t fill(struct sockaddr_storage *address, int any, int number) {
  memset(address, 0, sizeof *address);
  address->ss_family = (sa_family_t)domain;
  if (domain == AF_INET) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    v4->sin_port = htons((uint16_t)number);
    v4->sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK);
    return sizeof *v4;
  }
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
  v6->sin6_port = htons((uint16_t)number);
  v6->sin6_addr = any ? in6addr_any : in6addr_loopback;
  return sizeof *v6;
}

static void show(const char *what, int result, const struct sockaddr_storage *address, socklen_t length) {
  if (result < 0) {
    line(what, result);
    return;
  }
  char text[INET6_ADDRSTRLEN] = "?";
  int number = -1;
  if (address->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    number = ntohs(v4->sin_port);
  } else if (address->ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    number = ntohs(v6->sin6_port);
  }
  printf("%s: family %d address %s port %s length %u\n", what, address->ss_family, text,
         number == port ? "mapped" : number > 1023 ? "ephemeral" : "odd", (unsigned)length);
  fflush(stdout);
}

static void names(int fd) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  int result = getsockname(fd, (struct sockaddr *)&address, &length);
  show("getsockname", result, &address, length);
  length = sizeof address;
  result = getpeername(fd, (struct sockaddr *)&address, &length);
  show("getpeername", result, &address, length);
  unsigned char few[8] = {0, 0, 0, 0, 0xEE, 0xEE, 0xEE, 0xEE};
  length = 4;
  result = getsockname(fd, (struct sockaddr *)few, &length);
  printf("getsockname with little room: %d length %u next byte %02x\n", result, (unsigned)length, few[4]);
  line("getsockname without room", getsockname(fd, NULL, NULL));
}

static void get(const char *what, int fd, int level, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  if (getsockopt(fd, level, option, &value, &length) < 0) {
    line(what, -1);
    return;
  }
  printf("%s: %d length %u\n", what, value, (unsigned)length);
}

static void options(int fd) {
  int one = 1;
  get("SO_DOMAIN", fd, SOL_SOCKET, SO_DOMAIN);
  get("SO_PROTOCOL", fd, SOL_SOCKET, SO_PROTOCOL);
  get("SO_TYPE", fd, SOL_SOCKET, SO_TYPE);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  get("SO_KEEPALIVE", fd, SOL_SOCKET, SO_KEEPALIVE);
  get("SO_REUSEADDR", fd, SOL_SOCKET, SO_REUSEADDR);
  get("SO_ACCEPTCONN", fd, SOL_SOCKET, SO_ACCEPTCONN);
  line("set TCP_NODELAY", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
  get("TCP_NODELAY", fd, IPPROTO_TCP, TCP_NODELAY);
  line("set TCP_NODELAY short", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, 1));
  line("set TCP_KEEPIDLE", setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){60}, sizeof(int)));
  line("set TCP_USER_TIMEOUT", setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(int){1000}, sizeof(int)));
  line("set unknown TCP option", setsockopt(fd, IPPROTO_TCP, 9999, &one, sizeof one));
  line("set SO_KEEPALIVE", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
  line("set IP_TOS", setsockopt(fd, IPPROTO_IP, IP_TOS, &(int){16}, sizeof(int)));
}

static int connected(const char *what) {
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM, 0);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
  struct timeval limit = {30, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  socklen_t length = fill(&address, 0, port);
  line(what, connect(fd, (struct sockaddr *)&address, length));
  return fd;
}

static void flags(int fd) {
  struct timeval limit = {0};
  socklen_t length = sizeof limit;
  getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &length);
  struct timeval send = {0};
  length = sizeof send;
  getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, &length);
  printf("flags: nonblock %d cloexec %d receive limit %ld send limit %ld\n", !!(fcntl(fd, F_GETFL) & O_NONBLOCK),
         !!(fcntl(fd, F_GETFD) & FD_CLOEXEC), (long)limit.tv_sec, (long)send.tv_sec);
}

static void echo(int fd, const char *text) {
  char buffer[256];
  size_t got = 0;
  line("send", send(fd, text, strlen(text), 0));
  line("shutdown", shutdown(fd, SHUT_WR));
  for (;;) {
    ssize_t count = recv(fd, buffer + got, sizeof buffer - 1 - got, 0);
    if (count <= 0) {
      line("end", count);
      break;
    }
    got += (size_t)count;
  }
  buffer[got] = 0;
  printf("echo: %s\n", buffer);
}

// Options that are no integers. An emulator need not know them.
static int structures(void) {
  int fd = connected("connect");
  char bytes[256];
  socklen_t length = sizeof bytes;
  int result = getsockopt(fd, IPPROTO_IP, IP_OPTIONS, bytes, &length);
  printf("IP_OPTIONS: %d length %u\n", result, (unsigned)length);
  length = sizeof bytes;
  result = getsockopt(fd, IPPROTO_TCP, TCP_INFO, bytes, &length);
  printf("TCP_INFO: %d state %d\n", result, bytes[0]);
  length = 3;
  memset(bytes, 0x77, sizeof bytes);
  result = getsockopt(fd, IPPROTO_TCP, TCP_INFO, bytes, &length);
  printf("TCP_INFO with little room: %d length %u next byte %02x\n", result, (unsigned)length, bytes[3]);
  return 0;
}

static int client(void) {
  struct sockaddr_storage address;
  int fd = connected("connect");
  flags(fd);
  names(fd);
  options(fd);
  socklen_t length = fill(&address, 0, port);
  line("connect again", connect(fd, (struct sockaddr *)&address, length));
  line("bind after connect", bind(fd, (struct sockaddr *)&address, length));
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    names(fd);
    fflush(stdout);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  echo(fd, "hello");
  line("close", close(fd));
  line("getsockname of a closed number", getsockname(fd, (struct sockaddr *)&address, &length));
  return 0;
}

// To the wildcard, which means the loopback.
static int wildcard(void) {
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM, 0);
  socklen_t length = fill(&address, 1, port);
  line("connect", connect(fd, (struct sockaddr *)&address, length));
  names(fd);
  echo(fd, "any");
  return 0;
}

static int refused(void) {
  int fd = connected("connect");
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  struct sockaddr_storage address;
  socklen_t length = fill(&address, 0, port);
  line("connect again", connect(fd, (struct sockaddr *)&address, length));
  get("SO_DOMAIN", fd, SOL_SOCKET, SO_DOMAIN);
  line("getpeername", getpeername(fd, (struct sockaddr *)&address, &length));
  return 0;
}

static int listening(const char *what) {
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (domain == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
  socklen_t length = fill(&address, 1, port);
  line(what, bind(fd, (struct sockaddr *)&address, length));
  return fd;
}

static int server(void) {
  struct sockaddr_storage address, second;
  umask(0);
  int fd = listening("bind");
  line("listen", listen(fd, 5));
  names(fd);
  options(fd);
  int other = listening("bind of a taken port");
  close(other);
  socklen_t length = fill(&address, 0, port);
  line("connect of a listener", connect(fd, (struct sockaddr *)&address, length));
  printf("READY\n");
  fflush(stdout);

  length = sizeof address;
  int stream = accept(fd, (struct sockaddr *)&address, &length);
  show("accept", stream, &address, length);
  flags(stream);
  socklen_t same = sizeof second;
  getpeername(stream, (struct sockaddr *)&second, &same);
  printf("peer is the accepted one: %d\n", same == length && memcmp(&address, &second, length) == 0);
  options(stream);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    close(fd);
    names(stream);
    char buffer[64] = {0};
    ssize_t count = recv(stream, buffer, sizeof buffer - 1, 0);
    printf("got: %s\n", buffer);
    line("send", send(stream, buffer, count > 0 ? (size_t)count : 0, 0));
    fflush(stdout);
    _exit(0);
  }
  close(stream);
  waitpid(child, NULL, 0);

  stream = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  line("accept4", stream);
  flags(stream);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  length = sizeof address;
  int none = accept(fd, (struct sockaddr *)&address, &length);
  line("accept with nobody there", none);
  return 0;
}

// Holds the port, without listening, until standard input ends.
static int hold(void) {
  char byte;
  if (listening("bind") < 0) return 1;
  printf("HELD\n");
  fflush(stdout);
  while (read(0, &byte, 1) > 0) {}
  return 0;
}

// Flags that a program set before connect() are there after it.
static int keep_flags(void) {
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  socklen_t length = fill(&address, 0, port);
  int result = connect(fd, (struct sockaddr *)&address, length);
  struct pollfd wanted = {fd, POLLOUT, 0};
  if (result < 0 && errno == EINPROGRESS && poll(&wanted, 1, 30000) == 1) result = 0;
  line("connect", result);
  flags(fd);
  return 0;
}

static void watch(const char *what, int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  line(what, epoll_ctl(epoll, operation, fd, &event));
}

static int by_data(const void *one, const void *other) {
  uint64_t a = ((const struct epoll_event *)one)->data.u64, b = ((const struct epoll_event *)other)->data.u64;
  return (a > b) - (a < b);
}

// In order of their data: nobody promises the order in which an instance gives what is ready.
static void happens(const char *what, int epoll, int limit) {
  struct epoll_event events[4];
  int count = epoll_wait(epoll, events, 4, limit);
  if (count > 0) qsort(events, (size_t)count, sizeof *events, by_data);
  printf("%s: %d\n", what, count);
  for (int i = 0; i < count; i++) printf("  events %x data %llx\n", events[i].events, (long long)events[i].data.u64);
}

// What a program has made of a socket before connect() follows it: duplicates, and registrations in epoll instances.
static int followers(void) {
  struct sockaddr_storage address;
  char byte = 0;
  int fd = socket(domain, SOCK_STREAM, 0), unrelated = socket(domain, SOCK_STREAM, 0);
  int twin = dup(fd), on_exec = fcntl(fd, F_DUPFD_CLOEXEC, 100);
  int level = epoll_create1(0), edge = epoll_create1(EPOLL_CLOEXEC), crowd = epoll_create1(0);
  watch("level", level, EPOLL_CTL_ADD, fd, EPOLLIN, 0x123456789abcdef0);
  watch("edge", edge, EPOLL_CTL_ADD, twin, EPOLLIN | EPOLLOUT | EPOLLET, 0xfedcba9876543210);
  watch("once", crowd, EPOLL_CTL_ADD, on_exec, EPOLLOUT | EPOLLONESHOT, 1);
  watch("unrelated", crowd, EPOLL_CTL_ADD, unrelated, EPOLLIN, 2);
  happens("level before", level, 0);
  happens("edge before", edge, 0);
  socklen_t length = fill(&address, 0, port);
  line("connect", connect(fd, (struct sockaddr *)&address, length));
  happens("level after", level, 0);
  happens("edge after", edge, 0);
  happens("edge again", edge, 0);
  printf("close on exec: %d %d %d\n", fcntl(fd, F_GETFD), fcntl(twin, F_GETFD), fcntl(on_exec, F_GETFD));
  for (int i = 0; i < 3; i++) names(i == 0 ? fd : i == 1 ? twin : on_exec);
  line("send", send(twin, "x", 1, 0));
  happens("level when it is back", level, 30000);
  line("recv", recv(on_exec, &byte, 1, 0));
  watch("changed", level, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT, 3);
  happens("level when changed", level, 0);
  happens("once, and the unrelated one", crowd, 0);
  watch("removed", level, EPOLL_CTL_DEL, fd, 0, 0);
  close(fd);
  close(on_exec);
  line("send", send(twin, "y", 1, 0));
  line("recv", recv(twin, &byte, 1, 0));
  printf("%c\n", byte);
  return 0;
}

#include "connecting.h"
#include "streams.h"
#include "listeners.h"
#include "many.h"
#include "direct.h"
#include "direct_asks.h"
#include "direct_ends.h"
#include "beside.h"
#include "escapes.h"

// errno is untouched by a call that works.
static int quiet(void) {
  errno = 12345;
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM, 0);
  socklen_t length = fill(&address, 0, port);
  int result = connect(fd, (struct sockaddr *)&address, length);
  printf("connect %d errno %d\n", result, errno);
  result = getpeername(fd, (struct sockaddr *)&address, &length);
  printf("getpeername %d errno %d\n", result, errno);
  return 0;
}

// Sockets that are none of the library's business behave as without it.
static int others(void) {
  struct sockaddr_storage address, other;
  socklen_t length = fill(&address, 1, port);
  int datagram = socket(domain, SOCK_DGRAM, 0);
  line("UDP bind", bind(datagram, (struct sockaddr *)&address, length));
  socklen_t room = sizeof other;
  int result = getsockname(datagram, (struct sockaddr *)&other, &room);
  show("UDP name", result, &other, room);
  fill(&address, 0, port);
  line("UDP connect", connect(datagram, (struct sockaddr *)&address, length));
  get("UDP SO_DOMAIN", datagram, SOL_SOCKET, SO_DOMAIN);
  get("UDP SO_PROTOCOL", datagram, SOL_SOCKET, SO_PROTOCOL);

  int listener = socket(domain, SOCK_STREAM, 0), stream = socket(domain, SOCK_STREAM, 0);
  fill(&address, 0, 0);
  line("TCP bind", bind(listener, (struct sockaddr *)&address, length));
  line("TCP listen", listen(listener, 1));
  room = sizeof other;
  result = getsockname(listener, (struct sockaddr *)&other, &room);
  show("TCP name", result, &other, room);
  line("TCP connect", connect(stream, (struct sockaddr *)&other, room));
  room = sizeof other;
  int accepted = accept(listener, (struct sockaddr *)&other, &room);
  show("TCP accept", accepted, &other, room);
  names(stream);
  options(stream);

  int pair[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  room = sizeof other;
  line("AF_UNIX name", getsockname(pair[0], (struct sockaddr *)&other, &room));
  printf("AF_UNIX name: family %d length %u\n", other.ss_family, (unsigned)room);
  line("AF_UNIX TCP_NODELAY", setsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
  get("AF_UNIX SO_DOMAIN", pair[0], SOL_SOCKET, SO_DOMAIN);
  struct sockaddr_un path = {.sun_family = AF_UNIX};
  int named = socket(AF_UNIX, SOCK_STREAM, 0);
  line("AF_UNIX autobind", bind(named, (struct sockaddr *)&path, sizeof(sa_family_t)));
  room = sizeof other;
  line("AF_UNIX autobound name", getsockname(named, (struct sockaddr *)&other, &room));
  printf("AF_UNIX autobound name: family %d length %u\n", other.ss_family, (unsigned)room);

  int pipes[2];
  if (pipe(pipes) != 0) return 1;
  line("connect of a pipe", connect(pipes[0], (struct sockaddr *)&address, length));
  fill(&address, 0, port);
  line("connect of a pipe to the mapped port", connect(pipes[0], (struct sockaddr *)&address, length));
  line("bind of a pipe", bind(pipes[0], (struct sockaddr *)&address, length));
  line("accept of a pipe", accept(pipes[0], (struct sockaddr *)&other, &room));
  line("name of a pipe", getsockname(pipes[0], (struct sockaddr *)&other, &room));
  line("option of a pipe", setsockopt(pipes[0], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
  line("connect of -1", connect(-1, (struct sockaddr *)&address, length));
  line("accept of -1", accept(-1, NULL, NULL));
  line("getsockopt of -1", getsockopt(-1, SOL_SOCKET, SO_DOMAIN, &result, &room));
  int fresh = socket(domain, SOCK_STREAM, 0);
  line("connect to nothing", connect(fresh, NULL, length));
  line("connect with a short address", connect(fresh, (struct sockaddr *)&address, 4));
  line("bind with a short address", bind(fresh, (struct sockaddr *)&address, 4));
  line("accept of a socket that does not listen", accept(fresh, (struct sockaddr *)&other, &room));
  line("peer of a fresh socket", getpeername(fresh, (struct sockaddr *)&other, &room));
  return 0;
}

static void *many_connections(void *argument) {
  long wrong = 0;
  for (int round = 0; round < 50; round++) {
    struct sockaddr_storage address;
    char text[32], back[32] = {0};
    int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = fill(&address, 0, port);
    int count = snprintf(text, sizeof text, "%p %d", argument, round);
    if (connect(fd, (struct sockaddr *)&address, length) != 0 || send(fd, text, (size_t)count, 0) != count ||
        recv(fd, back, (size_t)count, MSG_WAITALL) != count || strcmp(text, back) != 0)
      wrong++;
    close(fd);
  }
  return (void *)wrong;
}

static int threads(void) {
  pthread_t thread[4];
  long wrong = 0;
  for (long index = 0; index < 4; index++) pthread_create(&thread[index], NULL, many_connections, (void *)(index + 1));
  for (int index = 0; index < 4; index++) {
    void *result = NULL;
    pthread_join(thread[index], &result);
    wrong += (long)result;
  }
  printf("200 connections, %ld wrong\n", wrong);
  return 0;
}

int main(int count, char **arguments) {
  static const struct {
    const char *name;
    int (*run)(void);
  } modes[] = {
      {"client", client}, {"wildcard", wildcard}, {"refused", refused}, {"server", server},
      {"hold", hold}, {"keep-flags", keep_flags}, {"quiet", quiet}, {"others", others},
      {"own-stderr", own_stderr}, {"own-file", own_file}, {"own-pipe", own_pipe}, {"forking", forking},
      {"jumped", jumped}, {"trapped", trapped}, {"torn-pointers", torn_pointers}, {"overtaking", overtaking},
      {"stopping", stopping}, {"shared-stop", shared_stop}, {"threads", threads}, {"structures", structures},
      {"followers", followers}, {"connecting", connecting}, {"unanswered", unanswered},
      {"waits", waits}, {"burst", burst}, {"lost", lost},
      {"streams", streams}, {"streams-server", streams_server},
      {"listeners", listeners}, {"listeners-server", listeners_server},
      {"many", many}, {"many-server", many_server},
      {"direct", direct_ways}, {"direct-echo", direct_echo},
      {"direct-death", direct_death}, {"direct-threads", direct_threads}, {"direct-flood", direct_flood},
      {"direct-stale", direct_stale}, {"direct-held", direct_held}, {"direct-behind", direct_behind},
      {"direct-farewell", direct_farewell}, {"direct-farewells", direct_farewells},
      {"direct-before", direct_before}, {"direct-exec", direct_exec}, {"direct-goes-on", direct_goes_on},
      {"direct-kicks", direct_kicks},
      {"direct-scribble", direct_scribble},
      {"direct-asks", direct_asks}, {"direct-leaves", direct_leaves}, {"direct-left", direct_left},
      {"direct-closes", direct_closes}, {"direct-late", direct_late},
  };
  if (count < 4) return 64;
  // Whoever started this may have it blocked.
  sigset_t alarms;
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &alarms, NULL);
  alarm(120);  // whatever it waits for
  domain = strcmp(arguments[2], "6") == 0 ? AF_INET6 : AF_INET;
  port = atoi(arguments[3]);
  own_arguments = arguments;
  if (strcmp(arguments[1], "names") == 0 && count == 5) {
    names(atoi(arguments[4]));
    return 0;
  }
  // The rest of the arguments is this program once more: it replaces itself while it is connected.
  if (strcmp(arguments[1], "exec") == 0) {
    char number[16];
    snprintf(number, sizeof number, "%d", connected("connect"));
    char *words[32] = {0};
    int last = 0;
    for (int index = 4; index < count && last < 24; index++) words[last++] = arguments[index];
    char *more[] = {"names", arguments[2], arguments[3], number};
    for (int index = 0; index < 4; index++) words[last++] = more[index];
    fflush(stdout);
    execv(words[0], words);
    return 127;
  }
  for (size_t index = 0; index < sizeof modes / sizeof *modes; index++)
    if (strcmp(arguments[1], modes[index].name) == 0) return modes[index].run();
  return 64;
}
