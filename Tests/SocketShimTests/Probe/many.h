// SPDX-License-Identifier: Apache-2.0
// The modes of probe.c for many connections: `many` makes 1,000 in turn, and 64 at once, one of which `many-server`
// does not read. Each says how many descriptors it has at the end that it had not at the beginning.
#include <dirent.h>

enum { IN_TURN = 1000, AT_ONCE = 64, EACH = 100000 };

static int descriptors(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder && readdir(folder)) count++;
  if (folder) closedir(folder);
  return count;
}

static int one_in_turn(int round) {
  struct sockaddr_storage address;
  int fd = socket(domain, SOCK_STREAM, 0), back = -1;
  socklen_t length = fill(&address, 0, port);
  int right = connect(fd, (struct sockaddr *)&address, length) == 0 &&
              send(fd, &round, sizeof round, MSG_NOSIGNAL) == sizeof round &&
              recv(fd, &back, sizeof back, MSG_WAITALL) == sizeof back && back == round;
  close(fd);
  return right;
}

static unsigned char byte_of(int connection, int place) {
  return (unsigned char)(connection * 13 + place * 7 + (place >> 9));
}

struct exchange { int fd, sent, got, wrong; };

static void step_of(struct exchange *one, int number, short events) {
  unsigned char bytes[4096];
  if (events & POLLOUT) {
    int count = EACH - one->sent < (int)sizeof bytes ? EACH - one->sent : (int)sizeof bytes;
    for (int i = 0; i < count; i++) bytes[i] = byte_of(number, one->sent + i);
    ssize_t sent = send(one->fd, bytes, (size_t)count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) one->sent += (int)sent;
  }
  if (events & (POLLIN | POLLHUP | POLLERR)) {
    ssize_t got = recv(one->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    for (ssize_t i = 0; i < got; i++) one->wrong += bytes[i] != byte_of(number, one->got + (int)i);
    if (got > 0) one->got += (int)got;
    else if (got == 0 || errno != EAGAIN) one->wrong++;
  }
}

// The first is not read by the server: it is filled, and stays so while the others go on.
static int at_once(void) {
  static struct exchange all[AT_ONCE];
  static char zeros[4096];
  struct sockaddr_storage address;
  for (int i = 0; i < AT_ONCE; i++) {
    all[i] = (struct exchange){.fd = socket(domain, SOCK_STREAM, 0)};
    socklen_t length = fill(&address, 0, port);
    if (connect(all[i].fd, (struct sockaddr *)&address, length) != 0) return -1;
    if (send(all[i].fd, i == 0 ? "S" : "E", 1, MSG_NOSIGNAL) != 1 || recv(all[i].fd, zeros, 1, 0) != 1) return -1;
  }
  while (send(all[0].fd, zeros, sizeof zeros, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {}
  int left = AT_ONCE - 1;
  while (left > 0) {
    struct pollfd wanted[AT_ONCE];
    left = 0;
    for (int i = 1; i < AT_ONCE; i++) {
      int over = all[i].wrong || all[i].got == EACH;
      wanted[i] = (struct pollfd){over ? -1 : all[i].fd, (short)(POLLIN | (all[i].sent < EACH ? POLLOUT : 0)), 0};
      left += !over;
    }
    if (left == 0 || poll(wanted + 1, AT_ONCE - 1, PATIENCE) <= 0) break;
    for (int i = 1; i < AT_ONCE; i++)
      if (wanted[i].fd >= 0 && wanted[i].revents) step_of(&all[i], i, wanted[i].revents);
  }
  int right = 0;
  for (int i = 1; i < AT_ONCE; i++) {
    right += all[i].got == EACH && !all[i].wrong;
    close(all[i].fd);
  }
  close(all[0].fd);
  return right;
}

static int many(void) {
  int before = descriptors(), right = 0;
  for (int i = 0; i < IN_TURN; i++) right += one_in_turn(i);
  printf("in turn: %d\n", right);
  printf("at once, beside one that is not read: %d\n", at_once());
  printf("descriptors left: %d\n", descriptors() - before);
  return 0;
}

static int many_server(void) {
  struct pollfd all[2 + 2 * AT_ONCE];
  int count = 2, known = 0;
  unsigned char kind[2 + 2 * AT_ONCE] = {0}, bytes[4096];
  int listener = listening("bind");
  listen(listener, 200);
  int before = descriptors();
  printf("READY\n");
  fflush(stdout);
  all[0] = (struct pollfd){0, POLLIN, 0};
  all[1] = (struct pollfd){listener, POLLIN, 0};
  while (poll(all, (nfds_t)count, -1) > 0 && !all[0].revents) {
    for (int i = count - 1; i > 1; i--) {
      if (!all[i].revents) continue;
      ssize_t got = recv(all[i].fd, bytes, sizeof bytes, 0);
      if (got == 1 && !kind[i] && *bytes == 'S') all[i].events = 0;
      if (got > 0 && kind[i] == 'S') continue;
      if (got > 0 && !kind[i]) kind[i] = *bytes;
      if (got > 0 && send(all[i].fd, bytes, (size_t)got, MSG_NOSIGNAL) == got) continue;
      close(all[i].fd);
      count--;
      all[i] = all[count];
      kind[i] = kind[count];
    }
    // The one that is not read is, when it is alone: only then its end can arrive, as over TCP.
    if (count == 3 && kind[2] == 'S') all[2].events = POLLIN;
    if (all[1].revents && count < 2 + 2 * AT_ONCE) {
      all[count] = (struct pollfd){accept(listener, NULL, NULL), POLLIN, 0};
      kind[count++] = 0;
      known++;
    }
  }
  for (int i = 2; i < count; i++) close(all[i].fd);
  printf("accepted: %d\ndescriptors left: %d\n", known, descriptors() - before);
  return 0;
}
