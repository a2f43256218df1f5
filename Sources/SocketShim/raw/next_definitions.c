// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE 1
#include "socket_shim_raw.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

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
static __typeof__(&listen) found_listen;
static __typeof__(&accept) found_accept;
static __typeof__(&accept4) found_accept4;
static __typeof__(&getsockname) found_getsockname;
static __typeof__(&getpeername) found_getpeername;
static __typeof__(&getsockopt) found_getsockopt;
static __typeof__(&setsockopt) found_setsockopt;
static __typeof__(&shutdown) found_shutdown;

int next_connect(int fd, const struct sockaddr *address, socklen_t length) {
  NEXT(connect)
  return next(fd, address, length);
}

int next_bind(int fd, const struct sockaddr *address, socklen_t length) {
  NEXT(bind)
  return next(fd, address, length);
}

int next_listen(int fd, int backlog) {
  NEXT(listen)
  return next(fd, backlog);
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

int next_shutdown(int fd, int how) {
  NEXT(shutdown)
  return next(fd, how);
}

// What reads and writes may be called by anything before main, a memory allocator that dlsym() would need among it:
// until the constructor has run they are plain system calls.
#define NEXT_OR(name, otherwise) __typeof__(&name) next = __atomic_load_n(&found_##name, __ATOMIC_RELAXED); \
  if (!next) return result_of(otherwise);

static ssize_t result_of(long result) {
  if (result >= 0) return result;
  errno = (int)-result;
  return -1;
}

// Fortified programs call these (glibc, _FORTIFY_SOURCE); musl has none.
ssize_t __read_chk(int fd, void *bytes, size_t count, size_t room);
ssize_t __recv_chk(int fd, void *bytes, size_t count, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *bytes, size_t count, size_t room, int flags, struct sockaddr *address,
                       socklen_t *length);

static __typeof__(&read) found_read;
static __typeof__(&readv) found_readv;
static __typeof__(&recv) found_recv;
static __typeof__(&recvfrom) found_recvfrom;
static __typeof__(&recvmsg) found_recvmsg;
static __typeof__(&send) found_send;
static __typeof__(&sendto) found_sendto;
static __typeof__(&sendmsg) found_sendmsg;
static __typeof__(&__read_chk) found___read_chk;
static __typeof__(&__recv_chk) found___recv_chk;
static __typeof__(&__recvfrom_chk) found___recvfrom_chk;

ssize_t next_read(int fd, void *bytes, size_t count) {
  NEXT_OR(read, raw_read(fd, bytes, count))
  return next(fd, bytes, count);
}

ssize_t next_readv(int fd, const struct iovec *parts, int count) {
  NEXT_OR(readv, raw_readv(fd, parts, count))
  return next(fd, parts, count);
}

ssize_t next_recv(int fd, void *bytes, size_t count, int flags) {
  NEXT_OR(recv, raw_recvfrom(fd, bytes, count, flags, NULL, NULL))
  return next(fd, bytes, count, flags);
}

ssize_t next_recvfrom(int fd, void *bytes, size_t count, int flags, struct sockaddr *address, socklen_t *length) {
  NEXT_OR(recvfrom, raw_recvfrom(fd, bytes, count, flags, address, length))
  return next(fd, bytes, count, flags, address, length);
}

ssize_t next_recvmsg(int fd, struct msghdr *message, int flags) {
  NEXT_OR(recvmsg, raw_recvmsg(fd, message, flags))
  return next(fd, message, flags);
}

ssize_t next_send(int fd, const void *bytes, size_t count, int flags) {
  NEXT_OR(send, raw_sendto(fd, bytes, count, flags, NULL, 0))
  return next(fd, bytes, count, flags);
}

ssize_t next_sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *address,
                    socklen_t length) {
  NEXT_OR(sendto, raw_sendto(fd, bytes, count, flags, address, length))
  return next(fd, bytes, count, flags, address, length);
}

ssize_t next_sendmsg(int fd, const struct msghdr *message, int flags) {
  NEXT_OR(sendmsg, raw_sendmsg(fd, message, flags))
  return next(fd, message, flags);
}

ssize_t next_read_chk(int fd, void *bytes, size_t count, size_t room) {
  NEXT_OR(__read_chk, raw_read(fd, bytes, count < room ? count : room))
  return next(fd, bytes, count, room);
}

ssize_t next_recv_chk(int fd, void *bytes, size_t count, size_t room, int flags) {
  NEXT_OR(__recv_chk, raw_recvfrom(fd, bytes, count < room ? count : room, flags, NULL, NULL))
  return next(fd, bytes, count, room, flags);
}

ssize_t next_recvfrom_chk(int fd, void *bytes, size_t count, size_t room, int flags, struct sockaddr *address,
                          socklen_t *length) {
  NEXT_OR(__recvfrom_chk, raw_recvfrom(fd, bytes, count < room ? count : room, flags, address, length))
  return next(fd, bytes, count, room, flags, address, length);
}

static struct shim_settings settings;
static int settings_are_read;

struct shim_settings *shim_settings(void) {
  if (!__atomic_load_n(&settings_are_read, __ATOMIC_ACQUIRE)) {
    shim_read_settings(&settings, getenv("RINGWAY_RUNTIME_DIR"), getenv("RINGWAY_PORTS"),
                       getenv("RINGWAY_CONNECT_TIMEOUT_MS"), getenv("RINGWAY_VERBOSE"), getenv("RINGWAY_DIRECT"),
                       getenv("RINGWAY_DIRECT_SPIN_US"));
    __atomic_store_n(&settings_are_read, 1, __ATOMIC_RELEASE);
  }
  return &settings;
}

static __attribute__((constructor)) void prepare(void) {
  raw_remember_text_output();
  shim_settings();
  found_connect = (__typeof__(&connect))look_up("connect");
  found_bind = (__typeof__(&bind))look_up("bind");
  found_listen = (__typeof__(&listen))look_up("listen");
  found_accept = (__typeof__(&accept))look_up("accept");
  found_accept4 = (__typeof__(&accept4))look_up("accept4");
  found_getsockname = (__typeof__(&getsockname))look_up("getsockname");
  found_getpeername = (__typeof__(&getpeername))look_up("getpeername");
  found_getsockopt = (__typeof__(&getsockopt))look_up("getsockopt");
  found_setsockopt = (__typeof__(&setsockopt))look_up("setsockopt");
  found_shutdown = (__typeof__(&shutdown))look_up("shutdown");
  found_read = (__typeof__(&read))look_up("read");
  found_readv = (__typeof__(&readv))look_up("readv");
  found_recv = (__typeof__(&recv))look_up("recv");
  found_recvfrom = (__typeof__(&recvfrom))look_up("recvfrom");
  found_recvmsg = (__typeof__(&recvmsg))look_up("recvmsg");
  found_send = (__typeof__(&send))look_up("send");
  found_sendto = (__typeof__(&sendto))look_up("sendto");
  found_sendmsg = (__typeof__(&sendmsg))look_up("sendmsg");
  found___read_chk = (__typeof__(&__read_chk))look_up("__read_chk");
  found___recv_chk = (__typeof__(&__recv_chk))look_up("__recv_chk");
  found___recvfrom_chk = (__typeof__(&__recvfrom_chk))look_up("__recvfrom_chk");
}
