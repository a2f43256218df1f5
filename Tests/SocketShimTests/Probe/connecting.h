// SPDX-License-Identifier: Apache-2.0
// The modes of probe.c in which connect() is not waited for.
static void ready(const char *what, int fd, short events, int limit) {
  struct pollfd wanted = {fd, events, 0};
  int count = poll(&wanted, 1, limit);
  // When an AF_UNIX stream's peer goes, the error comes first and the room a moment later.
  while (wanted.revents & POLLERR && events & POLLOUT && !(wanted.revents & POLLOUT)) count = poll(&wanted, 1, limit);
  printf("%s: %d events %x\n", what, count, (unsigned)wanted.revents);
}

static void state(int fd) {
  unsigned char info[104] = {0};
  socklen_t length = sizeof info;
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length);
  printf("TCP_INFO: state %d\n", info[0]);
}

// A connection that connect() does not wait for, however it comes out.
static int begin(int epoll) {
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK, 0);
  watch("epoll", epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1);
  happens("before", epoll, 0);
  socklen_t length = fill(&address, 0, port);
  line("connect", connect(fd, (struct sockaddr *)&address, length));
  return fd;
}

static int connecting(void) {
  struct sockaddr_storage address;
  char bytes[8] = {0};
  int epoll = epoll_create1(0), fd = begin(epoll);
  socklen_t length = fill(&address, 0, port);
  ready("poll", fd, POLLOUT, 30000);
  ready("poll for all", fd, POLLIN | POLLOUT | POLLRDHUP, 0);
  happens("epoll", epoll, 0);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  get("SO_ERROR again", fd, SOL_SOCKET, SO_ERROR);
  state(fd);
  get("SO_PRIORITY", fd, SOL_SOCKET, SO_PRIORITY);
  get("SO_DOMAIN", fd, SOL_SOCKET, SO_DOMAIN);
  for (int i = 0; i < 3; i++) {
    line("connect again", connect(fd, (struct sockaddr *)&address, length));
    ready("poll", fd, POLLOUT, 30000);
  }
  if (getpeername(fd, (struct sockaddr *)&address, &length) != 0) {
    get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    names(fd);
    fd = begin(epoll_create1(0));
    ready("poll", fd, POLLOUT, 30000);
    length = fill(&address, 0, port);
    for (int i = 0; i < 2; i++) line("connect again", connect(fd, (struct sockaddr *)&address, length));
    fd = begin(epoll_create1(0));
    ready("poll", fd, POLLOUT, 30000);
    for (int i = 0; i < 3; i++) line("recv", recv(fd, bytes, sizeof bytes, 0));
    get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    // Given up, it is a socket as any other.
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    line("connect to no address", connect(fd, &nowhere, sizeof nowhere));
    length = sizeof address;
    line("getpeername", getpeername(fd, (struct sockaddr *)&address, &length));
    length = fill(&address, 0, port);
    line("connect again", connect(fd, (struct sockaddr *)&address, length));
    return 0;
  }
  names(fd);
  line("recv", recv(fd, bytes, sizeof bytes, 0));
  line("send", send(fd, "hello", 5, MSG_NOSIGNAL));
  ready("poll for input", fd, POLLIN, 30000);
  line("recv", recv(fd, bytes, sizeof bytes, 0));
  printf("%s\n", bytes);
  return 0;
}

// The peer does not answer.
static int unanswered(void) {
  struct sockaddr_storage address;
  char byte;
  int epoll = epoll_create1(0), fd = begin(epoll);
  socklen_t length = fill(&address, 0, port);
  ready("poll for all", fd, POLLIN | POLLOUT | POLLRDHUP, 100);
  happens("epoll", epoll, 0);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  state(fd);
  line("connect again", connect(fd, (struct sockaddr *)&address, length));
  line("recv", recv(fd, &byte, 1, 0));
  line("send", send(fd, &byte, 1, MSG_NOSIGNAL));
  int size = 1 << 20;
  line("SO_SNDBUF", setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
  line("send", send(fd, &byte, 1, MSG_NOSIGNAL));
  length = sizeof address;
  line("getpeername", getpeername(fd, (struct sockaddr *)&address, &length));
  line("close", close(fd));
  return 0;
}

// A socket that is to wait by the time of the second connect().
static int waits(void) {
  struct sockaddr_storage address;
  int fd = begin(epoll_create1(0));
  socklen_t length = fill(&address, 0, port);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  for (int i = 0; i < 2; i++) line("connect again", connect(fd, (struct sockaddr *)&address, length));
  names(fd);
  return 0;
}

// More at once than wait in any queue.
static int burst(void) {
  enum { COUNT = 200 };
  struct sockaddr_storage address;
  int fds[COUNT], begun = 0, made = 0;
  for (int i = 0; i < COUNT; i++) {
    fds[i] = socket(domain, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socklen_t length = fill(&address, 0, port);
    begun += connect(fds[i], (struct sockaddr *)&address, length) == -1 && errno == EINPROGRESS;
  }
  for (int i = 0; i < COUNT; i++) {
    struct pollfd wanted = {fds[i], POLLOUT, 0};
    int error = 1;
    socklen_t length = sizeof error;
    poll(&wanted, 1, 30000);
    made += getsockopt(fds[i], SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0 && wanted.revents == POLLOUT;
  }
  printf("%d begun, %d made\n", begun, made);
  return 0;
}

// The agent is gone before it has said what became of the connection.
static int lost(void) {
  struct sockaddr_storage address;
  int fd = begin(epoll_create1(0));
  socklen_t length = fill(&address, 0, port);
  ready("poll", fd, POLLOUT, 30000);
  get("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
  for (int i = 0; i < 2; i++) line("connect again", connect(fd, (struct sockaddr *)&address, length));
  return 0;
}
