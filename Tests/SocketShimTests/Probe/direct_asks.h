// SPDX-License-Identifier: Apache-2.0
// Direct mode: what the kernel says of bytes that lie in the ring, and what becomes of those that nobody reads.

static void exactly(int fd, char *bytes, size_t count) {
  for (size_t done = 0; done < count;) {
    ssize_t part = read(fd, bytes + done, count - done);
    if (part <= 0) {
      line("read", part);
      _exit(1);
    }
    done += (size_t)part;
  }
}

static long ask_poll(int fd) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  return poll(&one, 1, 0);
}

// The kernel takes the lower half of a count.
static long ask_poll_wide(int fd) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  return poll(&one, (nfds_t)1 << 61 | 1, 0);
}

static long ask_select(int fd) {
  struct timeval none = {0};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(fd, &set);
  return select(fd + 1, &set, NULL, NULL, &none);
}

static long ask_epoll(int fd) {
  struct epoll_event event = {.events = EPOLLIN};
  int epoll = epoll_create1(0);
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  int ready = epoll_wait(epoll, &event, 1, 0);
  close(epoll);
  return ready;
}

static long ask_count(int fd) {
  int count = -1;
  ioctl(fd, FIONREAD, &count);
  return count;
}

static char asked[100];

static long ask_peek(int fd) { return recv(fd, asked, sizeof asked, MSG_PEEK | MSG_DONTWAIT); }

static long ask_message(int fd) {
  struct iovec part = {asked, sizeof asked};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  return recvmsg(fd, &message, MSG_DONTWAIT);
}

static long ask_vector(int fd) {
  struct iovec part = {asked, sizeof asked};
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return readv(fd, &part, 1);
}

static long ask_copy(int fd) {
  int copy = dup(fd);
  long ready = ask_poll(copy);
  close(copy);
  return ready;
}

static long ask_signal(int fd) {
  fcntl(fd, F_SETFL, O_ASYNC);
  return ask_poll(fd);
}

// Ten bytes of a hundred have been read: the others have come, too.
static int direct_asks(void) {
  static const struct {
    const char *name;
    long (*ask)(int);
  } ways[] = {
      {"poll", ask_poll}, {"poll, wide", ask_poll_wide}, {"select", ask_select}, {"epoll", ask_epoll},
      {"FIONREAD", ask_count}, {"MSG_PEEK", ask_peek}, {"recvmsg", ask_message}, {"readv", ask_vector},
      {"poll of a copy", ask_copy}, {"O_ASYNC, poll", ask_signal},
  };
  for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
    int fd = stream_to_echo();
    struct flow flow = {0, 0};
    exchange_bytes(fd, &flow, 1 << 16);
    memset(asked, 'a', sizeof asked);
    if (write(fd, asked, sizeof asked) != sizeof asked) return 1;
    exactly(fd, asked, 10);
    printf("%s: %ld\n", ways[way].name, ways[way].ask(fd));
    close(fd);
  }
  return 0;
}

enum { LEAVING = 6 };

// Leaves ninety bytes of a hundred unread: by `close`, or by its end.
static int direct_leaves(void) {
  int listener = listen_at_port();
  char byte;
  for (int turn = 0; turn < LEAVING; turn++) {
    int fd = accept(listener, NULL, NULL);
    for (int i = 0; i < 200; i++) {
      exactly(fd, &byte, 1);
      if (write(fd, &byte, 1) != 1) return 1;
    }
    exactly(fd, asked, 10);
    if (turn == LEAVING - 1) break;
    close(fd);
  }
  return 0;
}

static int direct_left(void) {
  signal(SIGPIPE, SIG_IGN);
  for (int turn = 0; turn < LEAVING; turn++) {
    int fd = stream_to_echo();
    for (int i = 0; i < 200; i++) {
      if (write(fd, asked, 1) != 1) return 1;
      exactly(fd, asked, 1);
    }
    if (write(fd, asked, sizeof asked) != sizeof asked) return 1;
    line("read", read(fd, asked, 1));
    close(fd);
  }
  return 0;
}

// Reads all, and closes when it is told to.
static int direct_closes(void) {
  int listener = listen_at_port(), fd = accept(listener, NULL, NULL);
  char byte;
  for (int i = 0; i < 200; i++) {
    exactly(fd, &byte, 1);
    if (write(fd, &byte, 1) != 1) return 1;
  }
  if (read(0, &byte, 1) != 1) return 1;
  close(fd);
  puts("closed");
  fflush(stdout);
  return 0;
}

// Says something that nobody reads any more, when it is told to.
static int direct_late(void) {
  int fd = stream_to_echo();
  for (int i = 0; i < 200; i++) {
    if (write(fd, asked, 1) != 1) return 1;
    exactly(fd, asked, 1);
  }
  puts("ready");
  fflush(stdout);
  if (read(0, asked, 1) != 1) return 1;
  line("write", write(fd, asked, 1));
  fflush(stdout);
  printf("read: %zd\n", read(fd, asked, 1));
  return 0;
}
