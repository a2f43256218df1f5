// SPDX-License-Identifier: Apache-2.0
// The modes of probe.c in which two programs talk: `streams` opens a connection for each part, `streams-server` takes
// them in the same order. Each prints what it sees. Nothing is left to time: who has to wait, waits for the other.
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { PATIENCE = 30000, LARGE = 300000 };

// Waits for all of the events, and prints what there is by then.
static void bits(const char *what, int fd, short until) {
  struct pollfd wanted = {fd, until, 0};
  int count;
  // TCP shows the error of a reset a moment before the end.
  do count = poll(&wanted, 1, until ? PATIENCE : 0);
  while (count > 0 && (wanted.revents & until) != until && sched_yield() == 0);
  wanted.events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI;
  if (count > 0 || !until) count = poll(&wanted, 1, 0);
  // An AF_UNIX stream that was reset says so when it is read, not here.
  printf("%s: %d events %x\n", what, count, (unsigned)wanted.revents & ~(unsigned)POLLERR);
}

static void say(const char *what, int fd, const char *text) { line(what, send(fd, text, strlen(text), MSG_NOSIGNAL)); }

static void hear(const char *what, int fd, size_t count, int flags) {
  char bytes[64] = {0};
  ssize_t got = recv(fd, bytes, count, flags);
  if (got < 0) line(what, got);
  else printf("%s: %zd %s\n", what, got, bytes);
}

// Until so many bytes can be read.
static void gather(int fd, int count) {
  int there = 0;
  struct pollfd wanted = {fd, POLLIN, 0};
  while (poll(&wanted, 1, PATIENCE) == 1 && ioctl(fd, FIONREAD, &there) == 0 && there < count) sched_yield();
  printf("there: %d\n", there);
}

static unsigned long sum_of(const unsigned char *bytes, size_t count, unsigned long sum) {
  for (size_t i = 0; i < count; i++) sum = sum * 31 + bytes[i];
  return sum;
}

static void fill_large(unsigned char *bytes) {
  for (size_t i = 0; i < LARGE; i++) bytes[i] = (unsigned char)(i * 7 + (i >> 8));
}

static void hear_large(const char *what, int fd) {
  static unsigned char bytes[LARGE];
  ssize_t got = recv(fd, bytes, LARGE, MSG_WAITALL);
  printf("%s: %zd sum %lx\n", what, got, sum_of(bytes, got > 0 ? (size_t)got : 0, 0));
}

// Looking without taking, in parts, without waiting.
static void peek(int fd) {
  hear("recv of nothing", fd, 3, MSG_DONTWAIT);
  struct timeval limit = {0, 20000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  hear("recv with a limit", fd, 3, 0);
  limit.tv_sec = PATIENCE / 1000;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  say("send", fd, "go");
  gather(fd, 6);
  hear("peek", fd, 3, MSG_PEEK);
  hear("recv", fd, 2, 0);
  hear("peek", fd, 9, MSG_PEEK);
  hear("peek out of band", fd, 9, MSG_PEEK | MSG_OOB);
  hear("recv", fd, 9, 0);
  hear("recv of nothing", fd, 3, MSG_DONTWAIT);
  say("send", fd, "go");
  hear("recv of all", fd, 10, MSG_WAITALL);
  hear("recv at the end", fd, 10, MSG_WAITALL);
  hear("recv of no bytes at the end", fd, 0, 0);
  hear("recv at the end without waiting", fd, 10, MSG_DONTWAIT);
}

static void peek_server(int fd) {
  hear("recv", fd, 2, MSG_WAITALL);
  say("send", fd, "abcdef");
  hear("recv", fd, 2, MSG_WAITALL);
  say("send", fd, "1234");
  say("send", fd, "5678");
  line("shutdown", shutdown(fd, SHUT_WR));
  hear("recv at the end", fd, 1, 0);
}

// Many parts, and what comes along with them.
static void vectors(int fd) {
  struct iovec parts[] = {{"ab", 2}, {"", 0}, {"cdef", 4}};
  line("writev", writev(fd, parts, 3));
  char one[3] = {0}, other[8] = {0}, control[64];
  struct sockaddr_storage name;
  struct iovec room[] = {{one, 2}, {other, 4}};
  struct msghdr message = {.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = room, .msg_iovlen = 2,
                           .msg_control = control, .msg_controllen = sizeof control};
  gather(fd, 8);
  ssize_t got = recvmsg(fd, &message, 0);
  printf("recvmsg: %zd %s %s name %u control %u flags %x\n", got, one, other, (unsigned)message.msg_namelen,
         (unsigned)message.msg_controllen, (unsigned)message.msg_flags);
  socklen_t length = sizeof name;
  got = recvfrom(fd, one, 2, 0, (struct sockaddr *)&name, &length);
  printf("recvfrom: %zd %s name %u\n", got, one, (unsigned)length);
  length = fill(&name, 0, port);
  line("sendto", sendto(fd, "12", 2, MSG_NOSIGNAL, (struct sockaddr *)&name, length));
  struct msghdr named = {.msg_name = &name, .msg_namelen = length, .msg_iov = parts, .msg_iovlen = 3};
  line("sendmsg", sendmsg(fd, &named, MSG_NOSIGNAL));
  line("readv", readv(fd, room, 2));
  line("readv at the end", readv(fd, room, 2));
  line("read at the end", read(fd, one, 2));
}

static void vectors_server(int fd) {
  char one[4] = {0}, other[4] = {0};
  struct iovec room[] = {{one, 3}, {other, 3}};
  gather(fd, 6);
  printf("readv: %zd %s %s\n", readv(fd, room, 2), one, other);
  say("send", fd, "uvwxyz12");
  gather(fd, 8);
  hear("recv", fd, 8, MSG_WAITALL);
  say("send", fd, "x");
}

// Either direction ends for itself.
static void halves(int fd) {
  bits("before", fd, 0);
  say("send", fd, "all");
  line("shutdown", shutdown(fd, SHUT_WR));
  line("send after it", send(fd, "x", 1, MSG_NOSIGNAL));
  hear("recv", fd, 4, MSG_WAITALL);
  bits("over", fd, POLLHUP);
  hear("recv", fd, 4, 0);
  hear("recv", fd, 4, 0);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  line("getpeername", getpeername(fd, (struct sockaddr *)&(struct sockaddr_storage){0}, &(socklen_t){128}));
  line("shutdown", shutdown(fd, SHUT_RD));
}

static void halves_server(int fd) {
  hear("recv", fd, 9, MSG_WAITALL);
  bits("half", fd, POLLRDHUP);
  hear("recv", fd, 1, 0);
  line("getpeername", getpeername(fd, (struct sockaddr *)&(struct sockaddr_storage){0}, &(socklen_t){128}));
  say("send", fd, "more");
  line("shutdown", shutdown(fd, SHUT_RDWR));
}

// A program that wants to read no more goes on to send.
static void deaf(int fd) {
  line("shutdown", shutdown(fd, SHUT_RD));
  bits("deaf", fd, 0);
  hear("recv", fd, 4, 0);
  say("send", fd, "one");
  struct sockaddr_storage address;
  int other = socket(domain, SOCK_STREAM, 0);
  socklen_t length = fill(&address, 0, port);
  line("the server has sent", connect(other, (struct sockaddr *)&address, length));
  hear("it says", other, 4, MSG_WAITALL);
  say("send", fd, "two");
  hear("it says", other, 4, MSG_WAITALL);
  line("shutdown", shutdown(fd, SHUT_WR));
  hear("it says", other, 4, MSG_WAITALL);
  close(other);
}

static void deaf_server(int fd) {
  static char bytes[20000];
  hear("recv", fd, 3, MSG_WAITALL);
  line("send", send(fd, bytes, sizeof bytes, MSG_NOSIGNAL));
  extern int listener_of_streams;
  int other = accept(listener_of_streams, NULL, NULL);
  say("send", other, "sent");
  hear("recv", fd, 3, MSG_WAITALL);
  say("send", other, "then");
  hear("recv", fd, 1, 0);
  say("send", other, "over");
  close(other);
}

#include "ends.h"

// The kernel's own ways to move bytes.
static void moved(int fd) {
  unsigned char *bytes = malloc(LARGE);
  int file = memfd_create("large", 0), pipes[2];
  fill_large(bytes);
  line("write to the file", write(file, bytes, LARGE));
  off_t place = 0;
  while (place < LARGE && sendfile(fd, file, &place, (size_t)(LARGE - place)) > 0) {}
  printf("sendfile: %ld\n", (long)place);
  if (pipe(pipes) != 0) return;
  long total = 0;
  while (total < LARGE) {
    ssize_t part = splice(file, &(loff_t){total}, pipes[1], NULL, (size_t)(LARGE - total), 0);
    while (part > 0) {
      ssize_t sent = splice(pipes[0], NULL, fd, NULL, (size_t)part, 0);
      if (sent <= 0) break;
      part -= sent;
      total += sent;
    }
    if (part != 0) break;
  }
  printf("splice: %ld\n", total);
  line("shutdown", shutdown(fd, SHUT_WR));
  hear("recv", fd, 4, MSG_WAITALL);
  free(bytes);
  close(file);
  close(pipes[0]);
  close(pipes[1]);
}

static void moved_server(int fd) {
  int pipes[2];
  hear_large("sendfile", fd);
  if (pipe(pipes) != 0) return;
  unsigned char part[4096];
  unsigned long sum = 0;
  long total = 0;
  ssize_t count;
  while ((count = splice(fd, NULL, pipes[1], NULL, sizeof part, 0)) > 0) {
    ssize_t got = read(pipes[0], part, (size_t)count);
    if (got != count) break;
    sum = sum_of(part, (size_t)got, sum);
    total += got;
  }
  printf("splice: %ld sum %lx\n", total, sum);
  say("send", fd, "done");
  close(pipes[0]);
  close(pipes[1]);
}

// A connection in another process: duplicated, inherited, handed on.
static void shared(int fd) {
  int other = dup(fd), pair[2];
  close(fd);
  pid_t child = fork();
  if (child == 0) {
    say("the child sends", other, "child ");
    _exit(0);
  }
  waitpid(child, NULL, 0);
  say("the parent sends", other, "parent ");
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0) return;
  child = fork();
  if (child == 0) {
    union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(int))]; } control;
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
    char byte;
    message.msg_iov = &(struct iovec){&byte, 1};
    message.msg_iovlen = 1;
    close(other);
    line("recvmsg", recvmsg(pair[1], &message, 0));
    int got = -1;
    if (CMSG_FIRSTHDR(&message)) memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
    names(got);
    say("the heir sends", got, "heir");
    line("shutdown", shutdown(got, SHUT_WR));
    _exit(0);
  }
  union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(int))]; } control = {0};
  struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
  message.msg_iov = &(struct iovec){"x", 1};
  message.msg_iovlen = 1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &other, sizeof other);
  ssize_t handed = sendmsg(pair[0], &message, 0);
  waitpid(child, NULL, 0);
  line("sendmsg", handed);
  line("send after the heir's shutdown", send(other, "x", 1, MSG_NOSIGNAL));
  hear("recv", other, 4, MSG_WAITALL);
  hear("recv", other, 4, 0);
  close(other);
  close(pair[0]);
  close(pair[1]);
}

static void shared_server(int fd) {
  hear("recv", fd, 40, MSG_WAITALL);
  say("send", fd, "done");
}

// A reader that stalls stops the writer, and all arrives.
static void stalled(int fd) {
  static char part[65536];
  long total = 0;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  for (;;) {
    ssize_t sent = send(fd, part, sizeof part, MSG_NOSIGNAL);
    if (sent > 0) total += sent;
    else if (poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 200) == 0) break;
  }
  // TCP may take a byte more where it would not wake anybody for it.
  while (send(fd, part, 1, MSG_NOSIGNAL) == 1) total++;
  line("send", -1);
  bits("full", fd, 0);
  struct sockaddr_storage address;
  int other = socket(domain, SOCK_STREAM, 0);
  socklen_t length = fill(&address, 0, port);
  line("another connection", connect(other, (struct sockaddr *)&address, length));
  send(other, &total, sizeof total, 0);
  bits("room", fd, POLLOUT);
  line("shutdown", shutdown(fd, SHUT_WR));
  bits("over", fd, POLLHUP);
  close(other);
}

static void stalled_server(int fd) {
  static char part[65536];
  extern int listener_of_streams;
  int other = accept(listener_of_streams, NULL, NULL);
  long wanted = 0, total = 0;
  line("recv", recv(other, &wanted, sizeof wanted, MSG_WAITALL));
  ssize_t got;
  while ((got = recv(fd, part, sizeof part, 0)) > 0) total += got;
  printf("all arrived: %d, enough: %d\n", total == wanted, total > 100000);
  close(other);
}

// Edges, and select().
static void watched(int fd) {
  struct { int pid; unsigned uid, gid; } who = {1, 1, 1};
  socklen_t size = sizeof who;
  line("SO_PEERCRED", getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size));
  printf("pid %d uid %d gid %d\n", who.pid, (int)who.uid, (int)who.gid);
  hear("error queue", fd, 1, MSG_ERRQUEUE | MSG_DONTWAIT);
#ifdef __GLIBC__  // musl reads it itself
  struct msghdr *volatile odd = (struct msghdr *)8;
  line("recvmsg of a bad pointer", recvmsg(fd, odd, MSG_DONTWAIT));
  line("sendmsg of a bad pointer", sendmsg(fd, odd, MSG_DONTWAIT));
#endif
  struct iovec *volatile bad = (struct iovec *)8;
  line("readv of a bad pointer", readv(fd, bad, 3));
  int epoll = epoll_create1(0);
  watch("epoll", epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 7);
  happens("at first", epoll, PATIENCE);
  say("send", fd, "go");
  gather(fd, 3);
  happens("bytes", epoll, PATIENCE);
  happens("no edge", epoll, 0);
  hear("recv", fd, 3, 0);
  say("send", fd, "go");
  bits("end", fd, POLLRDHUP);
  happens("end", epoll, PATIENCE);
  fd_set readable, writable, other;
  FD_ZERO(&readable);
  FD_ZERO(&writable);
  FD_ZERO(&other);
  FD_SET(fd, &readable);
  FD_SET(fd, &writable);
  FD_SET(fd, &other);
  int count = select(fd + 1, &readable, &writable, &other, &(struct timeval){0, 0});
  printf("select: %d, %d %d %d\n", count, FD_ISSET(fd, &readable) != 0, FD_ISSET(fd, &writable) != 0,
         FD_ISSET(fd, &other) != 0);
  close(epoll);
}

static void watched_server(int fd) {
  hear("recv", fd, 2, MSG_WAITALL);
  say("send", fd, "abc");
  hear("recv", fd, 2, MSG_WAITALL);
  line("shutdown", shutdown(fd, SHUT_WR));
  hear("recv", fd, 2, MSG_WAITALL);
}

static const struct part {
  const char *name;
  void (*client)(int), (*server)(int);
} parts[] = {
    {"peek", peek, peek_server}, {"vectors", vectors, vectors_server}, {"halves", halves, halves_server},
    {"deaf", deaf, deaf_server}, {"unread", unread, unread_server}, {"asked", unread_too, unread_asked},
    {"read", unread_too, unread_read}, {"readv", unread_too, unread_readv}, {"recvmsg", unread_too, unread_recvmsg},
    {"gone", gone, gone_server}, {"answered", answered, answered_server}, {"finished", finished, finished_server},
    {"lingered", lingered, lingered_server}, {"over", over, over_server},
    {"dissolved", dissolved, dissolved_server}, {"states", states, states_server},
    {"ended", ended, ended_server}, {"begun", begun, begun_server},
    {"unaided", unaided, unaided_server}, {"pointers", pointers, pointers_server},
    {"cancelled", cancelled, cancelled_server}, {"moved", moved, moved_server}, {"shared", shared, shared_server},
    {"stalled", stalled, stalled_server}, {"watched", watched, watched_server},
};

static int streams(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    struct sockaddr_storage address;
    printf("-- %s\n", parts[i].name);
    int fd = socket(domain, SOCK_STREAM, 0);
    socklen_t length = fill(&address, 0, port);
    line("connect", connect(fd, (struct sockaddr *)&address, length));
    parts[i].client(fd);
    close(fd);
  }
  return 0;
}

int listener_of_streams;
static int streams_server(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  int listener = listener_of_streams = listening("bind");
  line("listen", listen(listener, 5));
  printf("READY\n");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    printf("-- %s\n", parts[i].name);
    int fd = accept(listener, NULL, NULL);
    parts[i].server(fd);
    close(fd);
  }
  return 0;
}
