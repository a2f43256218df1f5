// SPDX-License-Identifier: Apache-2.0
// Direct mode: programs that close, die or become another program while they have an end of their ring, or that do
// something beside it which the agent must not mind.

// The library copies with the process's memcpy, and nowhere else than in a hold: this is called in its midst, once.
static void (*in_copy)(void);

// (The loader copies with it, too, before anything else can be called.)
#ifdef __GLIBC__
void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  void (*body)(void) = in_copy;
  in_copy = NULL;
  if (body) body();
  volatile unsigned char *bytes = to;
  for (size_t i = 0; i < count; i++) bytes[i] = ((const unsigned char *)from)[i];
  return to;
}
#endif

enum { PART = 1111 };

// Whether the call found the ring to be its way. If not, the next one may.
static int copied(void) {
  int has = !in_copy;
  in_copy = NULL;
  return has;
}

static int sends_by_copy(int fd, struct flow *flow, void (*body)(void)) {
  fill_from(piece, PART, flow->sent);
  in_copy = body;
  ssize_t count = write(fd, piece, PART);
  if (body && copied()) return 1;
  if (count != PART) {
    line("write", count);
    _exit(1);
  }
  flow->sent += PART;
  return 0;
}

static int reads_by_copy(int fd, struct flow *flow, uint64_t until, void (*body)(void)) {
  while (flow->received < until) {
    in_copy = body;
    ssize_t count = read(fd, piece, PART);
    if (body && copied()) return 1;
    if (count <= 0) {
      line("read", count);
      _exit(1);
    }
    check(flow, piece, count, "read");
  }
  return 0;
}

// Exchanges bytes until the body has run in the midst of a copy, and ends behind that call.
// - ahead: so many bytes of those that were sent never come back.
static void run_in_copy(int fd, struct flow *flow, uint64_t ahead, void (*body)(void)) {
  int reads = getenv("PROBE_READS") != NULL;
  for (int turn = 0; turn < 10000; turn++) {
    if (sends_by_copy(fd, flow, reads ? NULL : body)) return;
    if (reads_by_copy(fd, flow, flow->sent - ahead, reads ? body : NULL)) return;
  }
  puts("it never copied");
}

static void die(void) { kill(getpid(), SIGKILL); }

static int direct_death(void) {
  int fd = stream_to_echo();
  struct flow flow = {0, 0};
  exchange_bytes(fd, &flow, 1 << 16);
  run_in_copy(fd, &flow, 0, die);
  puts("still here");
  return 0;
}

static int held_socket;

static void stay(void) {
  char byte;
  if (getenv("PROBE_CLOSES")) close(held_socket);
  puts("held");
  fflush(stdout);
  while (read(0, &byte, 1) > 0) {}
}

// Stays in the midst of a copy until its standard input ends. The server is direct_behind.
static int direct_held(void) {
  struct flow flow = {0, 0};
  signal(SIGPIPE, SIG_IGN);
  held_socket = stream_to_echo();
  put_by(held_socket, &flow, 1);
  run_in_copy(held_socket, &flow, 1, stay);
  puts("went on");
  return 0;
}

// Sends back what it gets but for the last byte, which nobody reads: so it is a reset when this process ends. It does
// when it hears the end, or is killed.
static void echo_behind(int fd, pid_t parent) {
  static unsigned char bytes[PART];
  for (;;) {
    int unread = 0;
    struct pollfd one = {.fd = fd, .events = POLLRDHUP};
    if (ioctl(fd, FIONREAD, &unread) != 0 || getppid() != parent) _exit(0);
    if (unread <= 1) {
      if (poll(&one, 1, 0) != 0) _exit(0);
      sched_yield();
      continue;
    }
    ssize_t count = read(fd, bytes, unread <= PART ? (size_t)unread - 1 : PART);
    for (ssize_t done = 0; done < count;) {
      ssize_t part = write(fd, bytes + done, (size_t)(count - done));
      if (part <= 0) _exit(0);
      done += part;
    }
  }
}

// One connection after the other, each in a child, which is killed for a byte of standard input.
static int direct_behind(void) {
  pid_t parent = getpid();
  int listener = listen_at_port(), fd;
  char byte;
  while ((fd = accept(listener, NULL, NULL)) >= 0) {
    pid_t child = fork();
    if (child == 0) echo_behind(fd, parent);
    close(fd);
    ssize_t count = read(0, &byte, 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    if (count != 1) return 0;
  }
  return 1;
}

// Sends all of it, and closes at once.
enum { FAREWELL = 200000 };

static int direct_farewell(void) {
  int listener = listen_at_port(), fd;
  while ((fd = accept(listener, NULL, NULL)) >= 0) {
    struct flow flow = {0, 0};
    while (flow.sent < FAREWELL) put_by(fd, &flow, 20000);
    close(fd);
  }
  return 1;
}

static void *read_farewell(void *given) {
  struct half *half = given;
  while (__atomic_load_n(&half->count, __ATOMIC_ACQUIRE) != 0) {
    ssize_t count = read(half->fd, piece, 3000);
    if (count > 0) check(half->flow, piece, count, "read");
    // The count is what is still to come.
    // Nobody else writes it.
    if (count > 0) __atomic_store_n(&half->count, half->count - (uint64_t)count, __ATOMIC_RELEASE);
    if (count > 0) continue;
    line("read", count);
    __atomic_store_n(&half->count, 0, __ATOMIC_RELEASE);
    return NULL;
  }
  if (read(half->fd, piece, 1) == 0) half->fd = -1;
  else line("read at the end", -1);
  return NULL;
}

static int is_lingering;

static void linger(void) {
  __atomic_store_n(&is_lingering, 1, __ATOMIC_RELEASE);
  for (int turn = 0; turn < 300; turn++) sched_yield();
}

// Waits until so much has been read; or, for 0, until the reader is in the midst of a copy.
static void wait_for_reader(struct half *half, uint64_t much) {
  uint64_t left;
  while ((left = __atomic_load_n(&half->count, __ATOMIC_ACQUIRE)) > 0) {
    if (much > 0 ? FAREWELL - left >= much : __atomic_load_n(&is_lingering, __ATOMIC_ACQUIRE)) return;
    sched_yield();
  }
}

// One thread reads to the end. The other one ends its direction meanwhile; in the midst of a copy, the agent has been
// asked for the bytes before, and looks at the end again and again.
static int hear_farewell(int ends, uint64_t much) {
  struct flow flow = {0, 0};
  int fd = stream_to_echo();
  struct half half = {fd, &flow, FAREWELL};
  struct pollfd one = {.fd = fd, .events = POLLIN};
  pthread_t reader;
  __atomic_store_n(&is_lingering, 0, __ATOMIC_RELEASE);
  in_copy = ends && much == 0 ? linger : NULL;
  pthread_create(&reader, NULL, read_farewell, &half);
  if (ends) wait_for_reader(&half, much);
  if (ends && much == 0) poll(&one, 1, 0);
  if (ends) shutdown(fd, SHUT_WR);
  pthread_join(reader, NULL);
  in_copy = NULL;
  close(fd);
  return half.fd == -1;
}

static int direct_farewells(void) {
  int whole = 0;
  for (uint64_t turn = 0; turn < 400; turn++) whole += hear_farewell(turn % 4 != 0, turn % 4 == 1 ? 0 : turn * 500);
  printf("whole: %d\n", whole);
  return 0;
}

// What else may stand for a socket, or be asked of it, before it is connected.
static const char *const befores[] = {"dup", "epoll", "SO_RCVLOWAT", "O_ASYNC"};

static void exchange_before(int how, struct flow *flow) {
  struct sockaddr_storage address;
  socklen_t length = fill(&address, 0, port);
  int fd = socket(domain, SOCK_STREAM, 0), other = how == 0 ? dup(fd) : fd, epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  if (how == 1) epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  if (how == 2) setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &(int){2}, sizeof(int));
  if (how == 3) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
  if (connect(fd, (struct sockaddr *)&address, length) != 0) line("connect", -1);
  for (int turn = 0; turn < 40; turn++) {
    put_by(turn & 1 ? fd : other, flow, 1 + size_at(flow->sent));
    if (how == 1 && epoll_wait(epoll, &event, 1, 20000) != 1) puts("epoll says nothing");
    get_by(turn & 2 ? fd : other, flow, flow->sent);
  }
  shutdown(other, SHUT_WR);
  printf("%s: %llu behind, then %s\n", befores[how], (unsigned long long)(flow->sent - flow->received),
         read(fd, piece, 1) == 0 ? "the end" : "more");
  close(epoll);
  if (other != fd) close(other);
  close(fd);
}

static int direct_before(void) {
  signal(SIGIO, SIG_IGN);
  for (int how = 0; how < 4; how++) exchange_before(how, &(struct flow){0, 0});
  return 0;
}

// This program once more, in another mode: the rest of its arguments are the words that start it.
static char **own_arguments;

static void become(const char *mode) {
  char *words[32] = {0};
  int last = 0;
  while (own_arguments[4 + last] && last < 24) words[last] = own_arguments[4 + last], last++;
  words[last++] = (char *)mode;
  words[last++] = own_arguments[2];
  words[last++] = own_arguments[3];
  execv(words[0], words);
  _exit(127);
}

static void go_on_as_another(void) { become("direct-goes-on"); }

static void end_of_way(int fd, struct flow *flow, const char *name) {
  exchange_bytes(fd, flow, BEHIND);
  shutdown(fd, SHUT_WR);
  printf("%s: %s, then %s\n", name, flow->sent == flow->received ? "all" : "not all",
         read(fd, piece, 1) == 0 ? "the end" : "more");
}

// With a descriptor that it has inherited, and bytes that its forerunner has not read.
static int direct_goes_on(void) {
  alarm(40);
  int fd = atoi(getenv("PROBE_SOCKET")), place = atoi(getenv("PROBE_FLOW"));
  struct flow *flow = mmap(NULL, sizeof *flow, PROT_READ | PROT_WRITE, MAP_SHARED, place, 0);
  get_by(fd, flow, flow->sent);
  go_on(fd, flow);
  if (getenv("PROBE_WAY")) end_of_way(fd, flow, getenv("PROBE_WAY"));
  return 0;
}

// A count that is kept by whoever has the descriptor.
static struct flow *inherited_flow(int fd) {
  int place = memfd_create("flow", 0);
  char number[16];
  struct flow *flow = MAP_FAILED;
  if (ftruncate(place, sizeof *flow) == 0)
    flow = mmap(NULL, sizeof *flow, PROT_READ | PROT_WRITE, MAP_SHARED, place, 0);
  snprintf(number, sizeof number, "%d", place);
  setenv("PROBE_FLOW", number, 1);
  snprintf(number, sizeof number, "%d", fd);
  setenv("PROBE_SOCKET", number, 1);
  return flow;
}

static void go_on_in_child(int how) {
  pid_t child = how == 1 ? fork() : how == 2 ? vfork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) go_on_as_another();
  wait_for(child);
}

static const char *const exec_ways[] = {"exec", "fork, exec", "vfork, exec", "clone, exec", "exec in a copy",
                                        "exec in a copy that reads"};

static void exec_way(int way) {
  int fd = stream_to_echo();
  struct flow *flow = inherited_flow(fd);
  exchange_bytes(fd, flow, BEFORE);
  if (way == 0 || way > 3) setenv("PROBE_WAY", exec_ways[way], 1);
  if (way == 5) setenv("PROBE_READS", "1", 1);
  if (way > 3) run_in_copy(fd, flow, 0, go_on_as_another);
  put_by(fd, flow, 30000);
  if (way == 0) go_on_as_another();
  go_on_in_child(way);
  end_of_way(fd, flow, exec_ways[way]);
}

// In a process each, since some of them end it.
static int direct_exec(void) {
#ifdef __GLIBC__
  int count = 6;
#else
  int count = 4;
#endif
  for (int way = 0; way < count; way++) {
    pid_t child = fork();
    if (child == 0) {
      exec_way(way);
      exit(0);
    }
    waitpid(child, NULL, 0);
  }
  return 0;
}

// The stream by which the library wakes the agent: out of the way of a program that counts its descriptors.
static int stream_to_agent(void) {
  struct stat file;
  for (int fd = 512; fd < 1024; fd++)
    if (fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode)) return fd;
  puts("no stream to the agent");
  _exit(1);
}

// More than it has room for, at moments when the agent takes it out, and when it does not.
static void fill_kicks(int fd, struct flow *flow) {
  static const char bytes[4096];
  int control = stream_to_agent(), full = 0;
  for (int turn = 0; turn < 20000; turn++) {
    size_t count = 1 + (size_t)turn % sizeof bytes;
    if (send(control, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN) full++;
    if (turn % 100 == 99) exchange_bytes(fd, flow, 1000);
  }
  fprintf(stderr, "full %d times\n", full);
}

// Closes the number, or has another file there.
static void lose_kicks(int fd, struct flow *flow) {
  int control = stream_to_agent(), is_put = getenv("PROBE_PUTS") != NULL;
  int file = open("/dev/null", O_RDWR);
  if (is_put) dup2(file, control);
  else close(control);
  exchange_bytes(fd, flow, 1 << 18);
}

static int direct_kicks(void) {
  alarm(60);
  struct flow flow = {0, 0};
  int fd = stream_to_echo();
  exchange_bytes(fd, &flow, 4096);
  if (getenv("PROBE_FILLS")) fill_kicks(fd, &flow);
  else lose_kicks(fd, &flow);
  puts("done");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {}
  return 0;
}
