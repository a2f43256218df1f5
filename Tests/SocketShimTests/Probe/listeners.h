// SPDX-License-Identifier: Apache-2.0
// The modes of probe.c in which `listeners` connects to what `listeners-server` has: in step, through two FIFOs in
// PROBE_SYNC, since there is no connection to keep step over.
static int to_other, from_other;

// Each goes on when both are here.
static void meet(void) {
  char byte = 'x';
  if (write(to_other, &byte, 1) != 1 || read(from_other, &byte, 1) != 1) exit(70);
}

static void find_other(const char *own, const char *other) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", getenv("PROBE_SYNC"), own);
  from_other = open(path, O_RDWR | O_CLOEXEC);
  snprintf(path, sizeof path, "%s/%s", getenv("PROBE_SYNC"), other);
  to_other = open(path, O_RDWR | O_CLOEXEC);
  if (from_other < 0 || to_other < 0) exit(71);
  setvbuf(stdout, NULL, _IOLBF, 0);
}

static int reach(const char *what) {
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM, 0);
  socklen_t length = fill(&address, 0, port);
  line(what, connect(fd, (struct sockaddr *)&address, length));
  return fd;
}

static int bound(const char *what, int any, int option) {
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (option) line("option", setsockopt(fd, SOL_SOCKET, option, &(int){1}, sizeof(int)));
  socklen_t length = fill(&address, any, port);
  line(what, bind(fd, (struct sockaddr *)&address, length));
  return fd;
}

static int take(const char *what, int listener) {
  int fd = accept(listener, NULL, NULL);
  line(what, fd);
  return fd;
}

static void own_name(int fd) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  int result = getsockname(fd, (struct sockaddr *)&address, &length);
  show("getsockname", result, &address, length);
}

static int listeners(void) {
  find_other("client", "server");
  meet();
  close(reach("bound only"));
  meet();
  meet();
  int first = reach("nobody accepts");
  say("send", first, "early");
  meet();
  hear("answer", first, 4, MSG_WAITALL);
  meet();
  meet();

  int waiting = reach("the queue has room for one");
  int late = socket(domain, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_storage address;
  socklen_t length = fill(&address, 0, port);
  line("and for no more", connect(late, (struct sockaddr *)&address, length));
  bits("not connected", late, 0);
  meet();
  bits("accepted now", late, POLLOUT);
  get("SO_ERROR", late, SOL_SOCKET, SO_ERROR);
  meet();

  close(waiting);
  close(late);
  waiting = reach("the listener is closed");
  meet();
  bits("reset", waiting, POLLHUP);
  hear("recv", waiting, 4, 0);
  close(waiting);
  meet();
  close(reach("closed"));
  meet();
  meet();
  close(reach("shut down"));
  meet();

  meet();
  int all[6];
  for (int i = 0; i < 6; i++) all[i] = reach("many accept");
  for (int i = 0; i < 6; i++) hear("answer", all[i], 4, MSG_WAITALL);
  for (int i = 0; i < 6; i++) close(all[i]);
  meet();

  meet();
  for (int i = 0; i < 6; i++) all[i] = reach("two listeners share");
  meet();
  for (int i = 0; i < 6; i++) hear("answer", all[i], 4, MSG_WAITALL);
  for (int i = 0; i < 6; i++) close(all[i]);
  meet();
  for (int i = 0; i < 6; i++) all[i] = reach("one is left");
  for (int i = 0; i < 6; i++) hear("answer", all[i], 4, MSG_WAITALL);
  return 0;
}

static void many_accept(int listener) {
  pid_t children[3];
  for (int i = 0; i < 3; i++) {
    children[i] = fork();
    if (children[i] != 0) continue;
    for (int k = 0; k < 2; k++) {
      int fd = accept(listener, NULL, NULL);
      send(fd, "fork", 4, 0);
      close(fd);
    }
    _exit(0);
  }
  for (int i = 0; i < 3; i++) {
    int status = -1;
    waitpid(children[i], &status, 0);
    printf("child: %d\n", status);
  }
}

static int drain(int one, int other) {
  struct pollfd wanted[2] = {{one, POLLIN, 0}, {other, POLLIN, 0}};
  int taken = 0;
  while (poll(wanted, 2, 0) > 0)
    for (int i = 0; i < 2; i++) {
      if (!(wanted[i].revents & POLLIN)) continue;
      int fd = accept(wanted[i].fd, NULL, NULL);
      if (fd < 0) return -1;
      send(fd, "open", 4, 0);
      close(fd);
      taken++;
    }
  return taken;
}

static void shared_port(void) {
  int one = bound("bind", 1, SO_REUSEPORT), other = bound("bind beside it", 1, SO_REUSEPORT);
  get("SO_REUSEPORT", one, SOL_SOCKET, SO_REUSEPORT);
  own_name(other);
  line("listen", listen(one, 9));
  line("listen", listen(other, 9));
  int alone = bound("bind without the option", 1, 0);
  get("SO_REUSEPORT", alone, SOL_SOCKET, SO_REUSEPORT);
  close(alone);
  meet();
  meet();
  printf("accepted: %d\n", drain(one, other));
  line("close", close(one));
  meet();
  for (int i = 0; i < 6; i++) {
    int fd = take("accept", other);
    say("send", fd, "left");
    close(fd);
  }
  close(other);
}

// A listener that stops to listen and begins again, as servers do that pause.
static void paused(int listener) {
  struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  fcntl(listener, F_SETFL, O_NONBLOCK);
  line("shutdown of nonsense", shutdown(listener, 7));
  line("shutdown for writing", shutdown(listener, SHUT_WR));
  line("listen", listen(listener, 4));
  line("shutdown for reading", shutdown(listener, SHUT_RD));
  get("SO_ACCEPTCONN", listener, SOL_SOCKET, SO_ACCEPTCONN);
  take("accept", listener);
  line("shutdown again", shutdown(listener, SHUT_RD));
  line("listen", listen(listener, 4));
  take("accept", listener);
  line("connect to no address", connect(listener, &nowhere, sizeof nowhere));
  get("SO_ACCEPTCONN", listener, SOL_SOCKET, SO_ACCEPTCONN);
  take("accept", listener);
  line("listen", listen(listener, 4));
  take("accept", listener);
  get("SO_REUSEADDR", listener, SOL_SOCKET, SO_REUSEADDR);
  own_name(listener);
}

static int listeners_server(void) {
  find_other("server", "client");
  int listener = bound("bind", 0, 0);
  own_name(listener);
  meet();
  meet();
  line("listen", listen(listener, 4));
  own_name(listener);
  bits("nobody", listener, 0);
  fcntl(listener, F_SETFL, O_NONBLOCK);
  take("accept of nobody", listener);
  meet();
  meet();
  bits("somebody", listener, POLLIN);
  int fd = take("accept", listener);
  hear("recv", fd, 5, MSG_WAITALL);
  say("send", fd, "late");
  close(fd);
  meet();
  line("listen again", listen(listener, 0));
  fcntl(listener, F_SETFL, 0);
  meet();
  meet();
  int one = take("accept", listener), other = take("accept", listener);
  meet();
  close(one);
  close(other);
  meet();
  bits("somebody", listener, POLLIN);
  line("close", close(listener));
  meet();
  meet();
  listener = bound("bind again", 1, 0);
  line("listen", listen(listener, 4));
  own_name(listener);
  line("shutdown", shutdown(listener, SHUT_RDWR));
  take("accept after it", listener);
  meet();
  meet();
  close(listener);

  listener = bound("bind", 1, 0);
  line("listen", listen(listener, 9));
  paused(listener);
  fcntl(listener, F_SETFL, 0);
  line("listen", listen(listener, 9));
  meet();
  many_accept(listener);
  close(listener);
  meet();
  shared_port();
  return 0;
}
