// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "cshim.h"
#include <sys/syscall.h>

socklen_t cs_unix_address(struct sockaddr_un *address, const char *path) {
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof address->sun_path) return 0;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, length + 1);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

int cs_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int cs_open_path(const char *path) { return open(path, O_PATH | O_CLOEXEC); }

int cs_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }

int cs_seal_size(int fd) { return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL); }

int cs_wipe_on_fork(void *address, size_t length) { return madvise(address, length, MADV_WIPEONFORK); }

void cs_strerror(int error, char *buffer, size_t size) {
  // Not snprintf: printf's machinery would be the largest part of libc in the guest's binary.
  const char *text = strerror(error);
  size_t length = strlen(text);
  if (length >= size) length = size - 1;
  memcpy(buffer, text, length);
  buffer[length] = 0;
}

int cs_peer_credentials(int fd, int *pid, unsigned *uid, unsigned *gid) {
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -1;
  *pid = credentials.pid;
  *uid = credentials.uid;
  *gid = credentials.gid;
  return 0;
}

bool cs_peer_may_ask(int fd, unsigned group) {
  int pid;
  unsigned uid, gid;
  if (cs_peer_credentials(fd, &pid, &uid, &gid) != 0) return false;
  if (uid == 0 || uid == geteuid() || gid == group) return true;
  gid_t groups[64];
  socklen_t length = sizeof groups;
  // More groups than fit are ERANGE, and no admission.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) != 0) return false;
  for (size_t i = 0; i < length / sizeof groups[0]; i++)
    if (groups[i] == group) return true;
  return false;
}

int cs_send_with(int socket, const void *bytes, size_t size, const int *descriptors, int count) {
  struct iovec vector = {(void *)bytes, size};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(4 * sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  size_t length = (size_t)count * sizeof *descriptors;
  control.header.cmsg_len = CMSG_LEN(length);
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  if (length > 0) memcpy(CMSG_DATA(&control.header), descriptors, length);
  struct msghdr message = {0};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = length > 0 ? control.bytes : NULL;
  message.msg_controllen = length > 0 ? CMSG_SPACE(length) : 0;
  // (The C library's own is 300 bytes.)
  return syscall(SYS_sendmsg, socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size ? 0 : -1;
}

int cs_give_full_stream(int socket, const void *answer, size_t size, const void *filler, size_t room, int *filled) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return -1;
  ssize_t count;
  *filled = 0;
  while ((count = send(ends[1], filler, room, MSG_NOSIGNAL)) > 0) *filled += (int)count;
  if (errno != EAGAIN || cs_send_with(socket, answer, size, &ends[1], 1) != 0) {
    close(ends[0]);
    ends[0] = -1;
  }
  close(ends[1]);
  return ends[0];
}

// The name's digits, from its end: the error's three, and sixteen that nobody else has.
unsigned cs_unread(int socket) {
  unsigned counts[9] = {0};  // linux/sock_diag.h: the third is SK_MEMINFO_WMEM_ALLOC
  socklen_t size = sizeof counts;
  return getsockopt(socket, SOL_SOCKET, SO_MEMINFO, counts, &size) == 0 ? counts[2] : 0;
}

int cs_name_outcome(int socket, unsigned error) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0ringway+000/0000000000000000"};
  uint64_t number;
  if (getrandom(&number, sizeof number, 0) != sizeof number) return -1;
  char *digit = address.sun_path + 28;
  for (int i = 0; i < 16; i++, number >>= 4) *digit-- = "0123456789abcdef"[number & 15];
  for (int i = 0; i < 3; i++, error /= 10) {
    *--digit = (char)('0' + error % 10);
    if (error != 0) address.sun_path[8] = '-';
  }
  return bind(socket, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 29);
}

static struct watched {
  char *volatile start;
  volatile size_t length;
  volatile unsigned faults;
} watched[CS_WATCHED_RANGES];

static void on_bus_error(int number, siginfo_t *info, void *context) {
  (void)context;
  char *at = info->si_addr;
  for (int i = 0; i < CS_WATCHED_RANGES; i++) {
    char *start = watched[i].start;
    if (!start || at < start || at >= start + watched[i].length) continue;
    void *zeros = mmap(start, watched[i].length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (zeros == MAP_FAILED) break;
    watched[i].faults++;
    return;
  }
  signal(number, SIG_DFL);
  raise(number);
}

int cs_watch_range(void *start, size_t length) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  for (int i = 0; i < CS_WATCHED_RANGES; i++) {
    if (watched[i].start) continue;
    watched[i].length = length;
    watched[i].faults = 0;
    watched[i].start = start;
    return sigaction(SIGBUS, &action, NULL);
  }
  errno = ENOSPC;
  return -1;
}

void cs_unwatch_range(void *start) {
  for (int i = 0; i < CS_WATCHED_RANGES; i++)
    if (watched[i].start == start) watched[i].start = NULL;
}

unsigned cs_watched_faults(void *start) {
  for (int i = 0; i < CS_WATCHED_RANGES; i++)
    if (watched[i].start == start) return watched[i].faults;
  return 0;
}
