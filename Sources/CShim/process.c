// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "cshim.h"
#include <dirent.h>
#include <sched.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

// From linux/capability.h, which musl's packages do not have.
struct capability_header { uint32_t version; int pid; };
struct capability_data { uint32_t effective, permitted, inheritable; };
enum { CAPABILITY_VERSION_3 = 0x20080522, LAST_CAPABILITY = 63 };

static void termination_set(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
}

void cs_open_standard(void) {
  int fd;
  do fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < 3);
  if (fd > 2) close(fd);
}

int cs_signal_descriptor(bool children) {
  sigset_t set;
  termination_set(&set);
  if (children) sigaddset(&set, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int cs_next_signal(int fd) {
  struct signalfd_siginfo info;
  return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

void cs_default_signals(void) {
  sigset_t set;
  termination_set(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  signal(SIGPIPE, SIG_DFL);
}

int cs_packet_pair(int *first, int *second) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return -1;
  *first = pair[0];
  *second = pair[1];
  return 0;
}

uint64_t cs_total_memory(void) {
  struct sysinfo information;
  return sysinfo(&information) == 0 ? (uint64_t)information.totalram * information.mem_unit : 0;
}

int cs_processors(void) {
  // More processors than a cpu_set_t has bits (1024) are EINVAL.
  cpu_set_t allowed;
  return sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 2;
}

int cs_die_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }

int cs_drop_capabilities(void) {
  struct capability_header header = {CAPABILITY_VERSION_3, 0};
  struct capability_data none[2];
  memset(none, 0, sizeof none);
  // The bounding set goes first: dropping from it takes a capability. EINVAL: the kernel has no such number.
  for (int i = 0; i <= LAST_CAPABILITY; i++) prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return (int)syscall(SYS_capset, &header, none);
}

uint64_t cs_effective_capabilities(void) {
  struct capability_header header = {CAPABILITY_VERSION_3, 0};
  struct capability_data data[2];
  memset(data, 0, sizeof data);
  if (syscall(SYS_capget, &header, data) != 0) return ~0ull;
  return (uint64_t)data[1].effective << 32 | data[0].effective;
}

static bool is_replaced(const char *variable, char *const *own) {
  size_t name = 0;
  while (variable[name] && variable[name] != '=') name++;
  for (; *own; own++)
    if (strncmp(variable, *own, name) == 0 && (*own)[name] == '=') return true;
  return false;
}

void cs_execute(const char *path, char *const *arguments, char *const *own) {
  size_t count = 1;
  for (char **variable = environ; *variable; variable++) count++;
  for (char *const *variable = own; *variable; variable++) count++;
  char **all = malloc(count * sizeof *all), **next = all;
  if (!all) return;
  for (char **variable = environ; *variable; variable++)
    if (!is_replaced(*variable, own)) *next++ = *variable;
  for (; *own; own++) *next++ = *own;
  *next = NULL;
  execve(path, arguments, all);
  free(all);
}

int cs_epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout_ms) {
  int n;
  do n = epoll_wait(epoll, events, capacity, timeout_ms);
  while (n < 0 && errno == EINTR);
  return n;
}

void *cs_opendir(const char *path) { return opendir(path); }

const char *cs_readdir(void *directory) {
  struct dirent *entry = readdir(directory);
  return entry ? entry->d_name : NULL;
}

void cs_closedir(void *directory) { closedir(directory); }

// From linux/netlink.h, which musl's packages do not have.
struct netlink_address { sa_family_t family; unsigned short padding; uint32_t pid, groups; };
enum { KOBJECT_UEVENT = 15, KERNEL_GROUP = 1 };

int cs_uevent_socket(void) {
  int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, KOBJECT_UEVENT);
  if (fd < 0) return -1;
  struct netlink_address address = {AF_NETLINK, 0, 0, KERNEL_GROUP};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

ssize_t cs_uevent_receive(int fd, void *buffer, size_t size) {
  struct netlink_address from = {0};
  socklen_t length = sizeof from;
  ssize_t count = recvfrom(fd, buffer, size, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
  // Only the kernel is 0: programs may send into the group, too.
  return count > 0 && from.pid != 0 ? 0 : count;
}
