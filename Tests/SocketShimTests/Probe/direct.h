// SPDX-License-Identifier: Apache-2.0
// Direct mode: a stream whose bytes are known, both ways at once, and in the midst of it whatever direct mode cannot
// serve. Not one byte may be missing, be there twice, or be out of place.
#include <aio.h>
#include <poll.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { BEFORE = 1 << 20, BEHIND = 1 << 20, MOST = 40000 };

struct flow {
  uint64_t sent, received;
};

static unsigned char byte_at(uint64_t place) { return (unsigned char)((place * 0x9E3779B97F4A7C15ull) >> 37); }

static void fill_from(unsigned char *bytes, size_t count, uint64_t place) {
  for (size_t i = 0; i < count; i++) bytes[i] = byte_at(place + i);
}

static void check(struct flow *flow, const unsigned char *bytes, ssize_t count, const char *how) {
  for (ssize_t i = 0; i < count; i++) {
    if (bytes[i] == byte_at(flow->received + (uint64_t)i)) continue;
    printf("wrong byte at %llu, by %s\n", (unsigned long long)(flow->received + (uint64_t)i), how);
    fflush(stdout);
    _exit(1);
  }
  if (count > 0) flow->received += (uint64_t)count;
}

static unsigned char piece[MOST];

// Sizes that repeat seldom.
static size_t size_at(uint64_t place) { return 1 + (place * 2654435761u >> 7) % (MOST - 1); }

static void put_by(int fd, struct flow *flow, size_t count) {
  fill_from(piece, count, flow->sent);
  for (size_t done = 0; done < count;) {
    ssize_t part = write(fd, piece + done, count - done);
    if (part <= 0) {
      line("write", part);
      _exit(1);
    }
    done += (size_t)part;
  }
  flow->sent += count;
}

static void get_by(int fd, struct flow *flow, uint64_t until) {
  while (flow->received < until) {
    size_t want = until - flow->received < MOST ? (size_t)(until - flow->received) : MOST;
    ssize_t part = read(fd, piece, want);
    if (part <= 0) {
      line("read", part);
      _exit(1);
    }
    check(flow, piece, part, "read");
  }
}

// Both ways, in turns: neither side may fill both directions.
static void exchange_bytes(int fd, struct flow *flow, uint64_t count) {
  for (uint64_t end = flow->sent + count; flow->sent < end;) {
    size_t part = size_at(flow->sent);
    if (part > end - flow->sent) part = (size_t)(end - flow->sent);
    put_by(fd, flow, part);
    get_by(fd, flow, flow->sent);
  }
}

// In a process of its own, or in a thread: one more part each way.
static void go_on(int fd, struct flow *flow) { exchange_bytes(fd, flow, BEHIND / 8); }

// What a child process does with the descriptor, its parent goes on from.
static struct flow *shared_flow(const struct flow *flow) {
  struct flow *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  *shared = *flow;
  return shared;
}

static void wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) printf("the child ended with %x\n", (unsigned)status);
}

static void by_child(int fd, struct flow *flow, int how) {
  struct flow *shared = shared_flow(flow);
  pid_t child = how == 1 ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
  if (child == 0) {
    go_on(fd, shared);
    _exit(0);
  }
  wait_for(child);
  *flow = *shared;
}

static void by_vfork(int fd, struct flow *flow) {
  volatile int touched = 0;
  pid_t child = vfork();
  if (child == 0) {
    touched = 1;
    close(fd);
    _exit(0);
  }
  wait_for(child);
  if (!touched) puts("vfork's child had a memory of its own");
  go_on(fd, flow);
}

static void by_spawn(int fd, struct flow *flow) {
  // The child writes what is next to the very descriptor.
  fill_from(piece, 1, flow->sent);
  char text[64], number[16];
  snprintf(text, sizeof text, "printf '\\%03o' >&%d", piece[0], fd);
  snprintf(number, sizeof number, "%d", fd);
  char *words[] = {"sh", "-c", text, NULL};
  pid_t child;
  int error = posix_spawn(&child, "/bin/sh", NULL, NULL, words, NULL);
  if (error) printf("posix_spawn: %s\n", strerror(error));
  else wait_for(child);
  flow->sent++;
  get_by(fd, flow, flow->sent);
}

// By other names: this is not about what they run, but what becomes of the stream.
int run_by_shell(const char *command) __asm__("system");
FILE *run_with_pipe(const char *command, const char *mode) __asm__("popen");

static void by_system(int fd, struct flow *flow, int is_pipe) {
  fill_from(piece, 1, flow->sent);
  char text[64];
  snprintf(text, sizeof text, "printf '\\%03o' >&%d", piece[0], fd);
  if (is_pipe) pclose(run_with_pipe(text, "r"));
  else if (run_by_shell(text) != 0) puts("the command failed");
  flow->sent++;
  get_by(fd, flow, flow->sent);
}

static void by_message(int fd, struct flow *flow, int passes) {
  fill_from(piece, 5000, flow->sent);
  struct iovec parts[2] = {{piece, 1000}, {piece + 1000, 4000}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  if (sendmsg(fd, &message, 0) != 5000) puts("sendmsg cut it");
  flow->sent += 5000;
  unsigned char got[5000];
  for (uint64_t end = flow->sent; flow->received < end;) {
    struct iovec rest = {got, end - flow->received};
    struct msghdr in = {.msg_iov = &rest, .msg_iovlen = 1};
    ssize_t count = recvmsg(fd, &in, 0);
    if (count <= 0) {
      line("recvmsg", count);
      return;
    }
    check(flow, got, count, "recvmsg");
  }
  if (!passes) return;
  int pair[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  struct flow *shared = shared_flow(flow);
  pid_t child = fork();
  if (child == 0) {
    close(fd);
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte;
    struct iovec one = {&byte, 1};
    struct msghdr in = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    recvmsg(pair[1], &in, 0);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&in)), sizeof fd);
    go_on(fd, shared);
    _exit(0);
  }
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec one = {"x", 1};
  struct msghdr out = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  CMSG_FIRSTHDR(&out)->cmsg_len = CMSG_LEN(sizeof fd);
  CMSG_FIRSTHDR(&out)->cmsg_level = SOL_SOCKET;
  CMSG_FIRSTHDR(&out)->cmsg_type = SCM_RIGHTS;
  memcpy(CMSG_DATA(CMSG_FIRSTHDR(&out)), &fd, sizeof fd);
  sendmsg(pair[0], &out, 0);
  wait_for(child);
  *flow = *shared;
  close(pair[0]);
  close(pair[1]);
}

static void by_file(int fd, struct flow *flow, int how) {
  int file = memfd_create("part", 0), pipes[2];
  fill_from(piece, MOST, flow->sent);
  if (write(file, piece, MOST) != MOST || lseek(file, 0, SEEK_SET) != 0 || pipe(pipes) != 0) puts("no file");
  for (size_t done = 0; done < MOST;) {
    ssize_t part;
    if (how == 0) {
      part = sendfile(fd, file, NULL, MOST - done);
    } else {
      part = splice(file, NULL, pipes[1], NULL, MOST - done, 0);
      for (ssize_t left = part; left > 0;) left -= splice(pipes[0], NULL, fd, NULL, (size_t)left, 0);
    }
    if (part <= 0) {
      line("sendfile or splice", part);
      break;
    }
    done += (size_t)part;
  }
  flow->sent += MOST;
  if (how == 1) {
    // And back, by way of the kernel alone.
    for (uint64_t end = flow->sent; flow->received < end;) {
      ssize_t part = splice(fd, NULL, pipes[1], NULL, 4096, 0);
      if (part <= 0 || (part = read(pipes[0], piece, (size_t)part)) <= 0) {
        line("splice back", part);
        return;
      }
      check(flow, piece, part, "splice");
    }
  }
  get_by(fd, flow, flow->sent);
  close(file);
  close(pipes[0]);
  close(pipes[1]);
}

static void wait_readable(int fd, int how) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fd, &set);
  struct pollfd one = {.fd = fd, .events = POLLIN};
  struct epoll_event event = {.events = EPOLLIN};
  int epoll = how == 1 ? epoll_create1(0) : -1, unread = 0;
  if (how == 0 && poll(&one, 1, 20000) != 1) puts("poll says nothing");
  if (how == 1 && (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0 || epoll_wait(epoll, &event, 1, 20000) != 1))
    puts("epoll says nothing");
  if (how == 2 && select(fd + 1, &set, NULL, NULL, &(struct timeval){20, 0}) != 1) puts("select says nothing");
  if (how == 3 && pselect(fd + 1, &set, NULL, NULL, &(struct timespec){20, 0}, NULL) != 1) puts("pselect says nothing");
  if (how == 4 && ppoll(&one, 1, &(struct timespec){20, 0}, NULL) != 1) puts("ppoll says nothing");
  for (int turn = 0; how == 5 && unread == 0 && turn < 10000000; turn++)
    if (ioctl(fd, FIONREAD, &unread) == 0 && unread == 0) sched_yield();
  if (how == 5 && unread == 0) puts("FIONREAD says nothing");
  if (epoll >= 0) close(epoll);
}

static void by_waiting(int fd, struct flow *flow, int how) {
  for (int turn = 0; turn < 30; turn++) {
    put_by(fd, flow, size_at(flow->sent));
    while (flow->received < flow->sent) {
      wait_readable(fd, how);
      ssize_t part = recv(fd, piece, MOST, MSG_DONTWAIT);
      if (part <= 0 && errno != EAGAIN) {
        line("recv", part);
        return;
      }
      check(flow, piece, part, "recv behind poll");
    }
  }
}

static void by_not_waiting(int fd, struct flow *flow) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  unsigned char out[MOST];
  for (uint64_t end = flow->sent + BEHIND / 4; flow->received < end;) {
    size_t size = size_at(flow->sent);
    if (size > end - flow->sent) size = (size_t)(end - flow->sent);
    fill_from(out, size, flow->sent);
    ssize_t part = size > 0 ? write(fd, out, size) : 0;
    if (part > 0) flow->sent += (uint64_t)part;
    part = read(fd, piece, MOST);
    if (part == 0 || (part < 0 && errno != EAGAIN)) {
      line("read", part);
      return;
    }
    check(flow, piece, part, "read without waiting");
    if (part < 0) {
      struct pollfd one = {.fd = fd, .events = (short)(POLLIN | (flow->sent < end ? POLLOUT : 0))};
      poll(&one, 1, 20000);
    }
  }
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static void by_duplicate(int fd, struct flow *flow, int how) {
  int other = how == 0 ? dup(fd) : how == 1 ? dup2(fd, 300) : how == 2 ? dup3(fd, 301, 0) : fcntl(fd, F_DUPFD, 302);
  for (int turn = 0; turn < 20; turn++) {
    put_by(turn & 1 ? fd : other, flow, size_at(flow->sent));
    get_by(turn & 2 ? fd : other, flow, flow->sent);
  }
  close(other);
}

static void by_stdio(int fd, struct flow *flow) {
  FILE *file = fdopen(dup(fd), "r+");
  setvbuf(file, NULL, _IONBF, 0);
  fill_from(piece, 3000, flow->sent);
  if (fwrite(piece, 1, 3000, file) != 3000) puts("fwrite failed");
  flow->sent += 3000;
  for (uint64_t end = flow->sent; flow->received < end;) {
    int byte = fgetc(file);
    unsigned char one = (unsigned char)byte;
    check(flow, &one, 1, "fgetc");
  }
  fclose(file);
  dprintf(fd, "%c", byte_at(flow->sent));
  flow->sent++;
  get_by(fd, flow, flow->sent);
}

static void by_vectors(int fd, struct flow *flow) {
  for (int turn = 0; turn < 50; turn++) {
    size_t size = size_at(flow->sent + 3);
    fill_from(piece, size, flow->sent);
    struct iovec parts[2] = {{piece, size / 2}, {piece + size / 2, size - size / 2}};
    ssize_t part = writev(fd, parts, 2);
    if (part > 0) flow->sent += (uint64_t)part;
    unsigned char small[100];
    while (flow->received < flow->sent) {
      if (turn & 1) {
        get_by(fd, flow, flow->sent);
        break;
      }
      struct iovec in[2] = {{small, 40}, {small + 40, 60}};
      check(flow, small, readv(fd, in, 2), "readv");
    }
  }
}

static void by_peeking(int fd, struct flow *flow) {
  put_by(fd, flow, 1000);
  unsigned char seen[1000];
  ssize_t count = recv(fd, seen, sizeof seen, MSG_PEEK);
  struct flow before = *flow;
  check(&before, seen, count, "MSG_PEEK");
  count = recv(fd, seen, sizeof seen, MSG_WAITALL);
  if (count != 1000) printf("MSG_WAITALL gave %zd\n", count);
  check(flow, seen, count, "MSG_WAITALL");
}

static void by_request(int fd, struct flow *flow) {
  fill_from(piece, 2000, flow->sent);
  struct aiocb request = {.aio_fildes = fd, .aio_buf = piece, .aio_nbytes = 2000};
  const struct aiocb *all[] = {&request};
  if (aio_write(&request) != 0) puts("aio_write failed");
  aio_suspend(all, 1, NULL);
  if (aio_return(&request) != 2000) puts("aio_write cut it");
  flow->sent += 2000;
  get_by(fd, flow, flow->sent);
}

static void by_many(int fd, struct flow *flow) {
  fill_from(piece, 2000, flow->sent);
  struct iovec parts[2] = {{piece, 800}, {piece + 800, 1200}};
  struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &parts[0], .msg_iovlen = 1}},
                                {.msg_hdr = {.msg_iov = &parts[1], .msg_iovlen = 1}}};
  if (sendmmsg(fd, messages, 2, 0) != 2) puts("sendmmsg cut it");
  flow->sent += 2000;
  get_by(fd, flow, flow->sent);
}

static const char *const ways[] = {
    "nothing", "fork", "clone", "vfork", "spawn", "system", "popen", "message", "pass", "sendfile", "splice", "poll",
    "epoll", "select", "pselect", "ppoll", "unread", "not-waiting", "dup", "dup2", "dup3", "dupfd", "stdio", "vectors",
    "peek", "aio", "sendmmsg",
};

static void by_way(int fd, struct flow *flow, int way) {
  switch (way) {
  case 1: case 2: by_child(fd, flow, way - 1); break;
  case 3: by_vfork(fd, flow); break;
  case 4: by_spawn(fd, flow); break;
  case 5: case 6: by_system(fd, flow, way - 5); break;
  case 7: case 8: by_message(fd, flow, way - 7); break;
  case 9: case 10: by_file(fd, flow, way - 9); break;
  case 11: case 12: case 13: case 14: case 15: case 16: by_waiting(fd, flow, way - 11); break;
  case 17: by_not_waiting(fd, flow); break;
  case 18: case 19: case 20: case 21: by_duplicate(fd, flow, way - 18); break;
  case 22: by_stdio(fd, flow); break;
  case 23: by_vectors(fd, flow); break;
  case 24: by_peeking(fd, flow); break;
  case 25: by_request(fd, flow); break;
  case 26: by_many(fd, flow); break;
  default: break;
  }
}

static int stream_to_echo(void) {
  struct sockaddr_storage address;
  socklen_t length = fill(&address, 0, port);
  int fd = socket(domain, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, length) != 0) {
    line("connect", -1);
    _exit(1);
  }
  return fd;
}

static int direct_ways(void) {
  alarm(100);
  for (int way = 0; way < (int)(sizeof ways / sizeof ways[0]); way++) {
    int fd = stream_to_echo();
    struct flow flow = {0, 0};
    exchange_bytes(fd, &flow, BEFORE);
    by_way(fd, &flow, way);
    exchange_bytes(fd, &flow, BEHIND);
    shutdown(fd, SHUT_WR);
    ssize_t end = read(fd, piece, 1);
    printf("%s: %s, then %s\n", ways[way], flow.sent == flow.received ? "all" : "not all",
           end == 0 ? "the end" : "more");
    fflush(stdout);
    close(fd);
  }
  return 0;
}

// Sends and receives at once, from two threads: rings fill up, and calls wait in the kernel.
struct half {
  int fd;
  struct flow *flow;
  uint64_t count;
};

static void *send_half(void *given) {
  struct half *half = given;
  unsigned char *bytes = malloc(MOST);
  while (half->flow->sent < half->count) {
    size_t size = size_at(half->flow->sent);
    if (size > half->count - half->flow->sent) size = half->count - half->flow->sent;
    fill_from(bytes, size, half->flow->sent);
    for (size_t done = 0; done < size;) {
      ssize_t part = write(half->fd, bytes + done, size - done);
      if (part <= 0) {
        line("write", part);
        _exit(1);
      }
      done += (size_t)part;
    }
    half->flow->sent += size;
  }
  free(bytes);
  shutdown(half->fd, SHUT_WR);
  return NULL;
}

static int direct_threads(void) {
  for (int turn = 0; turn < 3; turn++) {
    int fd = stream_to_echo();
    struct flow flow = {0, 0};
    struct half half = {fd, &flow, 20 << 20};
    pthread_t sender;
    pthread_create(&sender, NULL, send_half, &half);
    get_by(fd, &flow, half.count);
    pthread_join(sender, NULL);
    printf("%llu back, then %s\n", (unsigned long long)flow.received, read(fd, piece, 1) == 0 ? "the end" : "more");
    close(fd);
  }
  return 0;
}

// Until it is killed, or the connection ends.
static int direct_flood(void) {
  int fd = stream_to_echo();
  signal(SIGPIPE, SIG_IGN);
  struct flow flow = {0, 0};
  while (flow.sent < 1ull << 50) {
    exchange_bytes(fd, &flow, 1 << 18);
    puts("more");
    fflush(stdout);
  }
  return 0;
}

// Goes on when its standard input ends: by then its agent is another one.
static int direct_stale(void) {
  char bytes[4096] = {0};
  struct flow flow = {0, 0};
  int fd = stream_to_echo();
  signal(SIGPIPE, SIG_IGN);
  exchange_bytes(fd, &flow, sizeof bytes);
  puts("more");
  fflush(stdout);
  while (read(0, bytes, 1) > 0) {}
  line("send", send(fd, bytes, sizeof bytes, 0));
  return 0;
}

// Writes into the page that it shares with the agent, while the agent moves its bytes.
static volatile uint64_t *shared_page(void) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char text[512];
  void *start = NULL;
  while (maps && fgets(text, sizeof text, maps))
    if (strstr(text, "ringway-ends")) start = (void *)strtoul(text, NULL, 16);
  if (maps) fclose(maps);
  return start;
}

static int direct_scribble(void) {
  signal(SIGPIPE, SIG_IGN);
  int pages = 0;
  for (unsigned turn = 0; turn < 40; turn++) {
    int fd = stream_to_echo();
    volatile uint64_t *page = shared_page();
    if (!page) break;
    pages++;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    uint64_t seed = 88172645463325252ull + turn;
    for (int i = 0; i < 3000; i++) {
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      unsigned kind = turn % 4;
      // Indices, owner words, counts; and all of it.
      unsigned place = kind == 0 ? 1 + (seed >> 20 & 1) + (seed >> 21 & 1) * 8
                       : kind == 1 ? (seed >> 20 & 1) * 8
                       : kind == 2 ? 16 + (seed >> 20 & 7) : (unsigned)(seed >> 20 & 31);
      page[place] = seed & 1 << 10 ? seed : seed & 0xFFFF;
      // The socket, so that it is the agent who uses the page.
      struct iovec part = {piece, 500};
      struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
      if (i % 8 == 0) sendmsg(fd, &message, MSG_DONTWAIT);
      if (i % 16 == 0) recvmsg(fd, &message, MSG_DONTWAIT);
    }
    close(fd);
  }
  printf("pages: %d\n", pages);
  return 0;
}

static int listen_at_port(void) {
  struct sockaddr_storage address;
  socklen_t length = fill(&address, 1, port);
  int listener = socket(domain, SOCK_STREAM, 0);
  signal(SIGPIPE, SIG_IGN);
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 8) != 0) _exit(1);
  puts("READY");
  fflush(stdout);
  return listener;
}

// Sends back what it gets, on each connection, until its standard input ends.
static void *echo_one(void *given) {
  int fd = (int)(intptr_t)given;
  unsigned char *bytes = malloc(MOST);
  ssize_t count;
  while ((count = read(fd, bytes, MOST)) > 0)
    for (ssize_t done = 0; done < count;) {
      ssize_t part = write(fd, bytes + done, (size_t)(count - done));
      if (part <= 0) {
        count = -1;
        break;
      }
      done += part;
    }
  free(bytes);
  close(fd);
  return NULL;
}

static void *echo_all(void *given) {
  for (;;) {
    int fd = accept(*(int *)given, NULL, NULL);
    pthread_t thread;
    if (fd < 0 || pthread_create(&thread, NULL, echo_one, (void *)(intptr_t)fd) != 0) return NULL;
    pthread_detach(thread);
  }
}

static int direct_echo(void) {
  int listener = listen_at_port();
  pthread_t thread;
  pthread_create(&thread, NULL, echo_all, &listener);
  char byte;
  while (read(0, &byte, 1) > 0) {}
  return 0;
}
