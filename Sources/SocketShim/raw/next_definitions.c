// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "socket_shim_raw.h"
#include <dlfcn.h>
#include <stdlib.h>

int shim_errno(void) { return errno; }
void shim_set_errno(int value) { errno = value; }

// The definition after this library's. The result passes through a register that the compiler must
// keep: a tail call of dlsym would make RTLD_NEXT count from whoever called this function.
static __attribute__((noinline)) void *look_up(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  __asm__ volatile("" : "+r"(found));
  return found;
}

// connect() may be called in a signal handler, where dlsym() may not: everything is looked up before
// main. Another library's constructor that runs still earlier finds it looked up on first use.
#define NEXT(name) __typeof__(&name) next = __atomic_load_n(&found_##name, __ATOMIC_RELAXED); \
  if (!next) { \
    next = (__typeof__(&name))look_up(#name); \
    if (!next) { \
      errno = ENOSYS; \
      return -1; \
    } \
    __atomic_store_n(&found_##name, next, __ATOMIC_RELAXED); \
  }

static __typeof__(&connect) found_connect;
static __typeof__(&bind) found_bind;
static __typeof__(&accept) found_accept;
static __typeof__(&accept4) found_accept4;
static __typeof__(&getsockname) found_getsockname;
static __typeof__(&getpeername) found_getpeername;
static __typeof__(&getsockopt) found_getsockopt;
static __typeof__(&setsockopt) found_setsockopt;

int next_connect(int fd, const struct sockaddr *address, socklen_t length) {
  NEXT(connect)
  return next(fd, address, length);
}

int next_bind(int fd, const struct sockaddr *address, socklen_t length) {
  NEXT(bind)
  return next(fd, address, length);
}

int next_accept(int fd, struct sockaddr *address, socklen_t *length) {
  NEXT(accept)
  return next(fd, address, length);
}

int next_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
  NEXT(accept4)
  return next(fd, address, length, flags);
}

int next_getsockname(int fd, struct sockaddr *address, socklen_t *length) {
  NEXT(getsockname)
  return next(fd, address, length);
}

int next_getpeername(int fd, struct sockaddr *address, socklen_t *length) {
  NEXT(getpeername)
  return next(fd, address, length);
}

int next_getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
  NEXT(getsockopt)
  return next(fd, level, name, value, length);
}

int next_setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  NEXT(setsockopt)
  return next(fd, level, name, value, length);
}

static struct shim_settings settings;
static int settings_are_read;

struct shim_settings *shim_settings(void) {
  if (!__atomic_load_n(&settings_are_read, __ATOMIC_ACQUIRE)) {
    shim_read_settings(&settings, getenv("RINGWAY_RUNTIME_DIR"), getenv("RINGWAY_PORTS"),
                       getenv("RINGWAY_CONNECT_TIMEOUT_MS"));
    __atomic_store_n(&settings_are_read, 1, __ATOMIC_RELEASE);
  }
  return &settings;
}

static __attribute__((constructor)) void prepare(void) {
  shim_settings();
  found_connect = (__typeof__(&connect))look_up("connect");
  found_bind = (__typeof__(&bind))look_up("bind");
  found_accept = (__typeof__(&accept))look_up("accept");
  found_accept4 = (__typeof__(&accept4))look_up("accept4");
  found_getsockname = (__typeof__(&getsockname))look_up("getsockname");
  found_getpeername = (__typeof__(&getpeername))look_up("getpeername");
  found_getsockopt = (__typeof__(&getsockopt))look_up("getsockopt");
  found_setsockopt = (__typeof__(&setsockopt))look_up("setsockopt");
}
