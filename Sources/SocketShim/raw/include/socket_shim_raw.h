// SPDX-License-Identifier: Apache-2.0
// What the preload library needs and Swift cannot do: system calls that bypass every replaced function
// (a library that calls its own connect() would go in circles), and the definitions of those functions
// that come next in the process.
#ifndef RINGWAY_SOCKET_SHIM_RAW_H
#define RINGWAY_SOCKET_SHIM_RAW_H
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

// POLLRDHUP, which poll.h has for GNU sources only.
#define SHIM_POLLRDHUP 0x2000

// Every raw_ function returns what the kernel returns: a result, or -errno. None touches errno.
int raw_unix_stream(void);
int raw_unix_datagram(void);
int raw_close(int fd);
int raw_shutdown(int fd, int how);
// With close-on-exec.
int raw_accept(int fd);
int raw_connect(int fd, const void *_Nonnull address, socklen_t length);
int raw_bind(int fd, const void *_Nonnull address, socklen_t length);
int raw_getsockname(int fd, void *_Nonnull address, socklen_t *_Nonnull length);
int raw_getpeername(int fd, void *_Nonnull address, socklen_t *_Nonnull length);
int raw_getsockopt(int fd, int level, int name, void *_Nonnull value, socklen_t *_Nonnull length);
int raw_setsockopt(int fd, int level, int name, const void *_Nonnull value, socklen_t length);
int raw_fcntl(int fd, int command, long argument);
int raw_dup3(int from, int to, int flags);
int raw_send(int fd, const void *_Nonnull bytes, size_t count);
int raw_receive(int fd, void *_Nonnull bytes, size_t count);
// A descriptor, and its place among those that a child closes.
struct shim_kept {
  int fd, place;
};
// Without waiting; and the descriptor that comes with the bytes is kept. What was there stays when none comes.
int raw_receive_with(int fd, void *_Nonnull bytes, size_t count, struct shim_kept *_Nonnull descriptor);
// Writes a line where it disturbs nobody: it neither waits nor raises SIGPIPE.
void raw_write_line(int fd, const void *_Nonnull bytes, size_t count);
// Waits for events: those that are there, 0 when the time is over, or -errno.
int raw_poll(int fd, int events, int64_t milliseconds);
int64_t raw_monotonic_milliseconds(void);
int raw_make_folder(const char *_Nonnull path, unsigned mode);
int raw_open_folder(const char *_Nonnull path);
// Takes flock(2) without waiting.
int raw_lock(int fd);
int raw_unlock(int fd);
int raw_unlink(const char *_Nonnull path);
int raw_fchmod(int fd, unsigned mode);
uint64_t raw_inode(int fd);
// A file's mode; 0 when there is none.
unsigned raw_mode(const char *_Nonnull path);
// Of a socket that this process's user owns; what else may lie at the path by now stays as it is.
int raw_chmod_socket(int fd, unsigned mode);
// A descriptor that only names a file (O_PATH), and no symbolic link.
int raw_open_path(const char *_Nonnull path);
int raw_open_text(const char *_Nonnull path);
long raw_read(int fd, void *_Nullable bytes, size_t count);
long raw_readv(int fd, const struct iovec *_Nullable parts, int count);
long raw_recvfrom(int fd, void *_Nullable bytes, size_t count, int flags, void *_Nullable address,
                  socklen_t *_Nullable length);
long raw_recvmsg(int fd, struct msghdr *_Nullable message, int flags);
long raw_sendto(int fd, const void *_Nullable bytes, size_t count, int flags, const void *_Nullable address,
                socklen_t length);
long raw_sendmsg(int fd, const struct msghdr *_Nullable message, int flags);
int raw_read_link(const char *_Nonnull path, void *_Nonnull bytes, size_t count);
// Entries of an open folder as getdents64 gives them.
int raw_read_folder(int fd, void *_Nonnull bytes, size_t count);
int raw_epoll_add(int epoll, int fd, uint32_t events, uint64_t data);
int raw_epoll_remove(int epoll, int fd);
uint32_t raw_random(void);
// Fills a stack_t.
int raw_signal_stack(void *_Nonnull stack);
void raw_yield(void);
// All signals, for this thread, but those that it raises itself; what was blocked before.
void raw_block_signals(uint64_t *_Nonnull mask);
void raw_restore_signals(const uint64_t *_Nonnull mask);
// Whether so many bytes (8 at least) can be written there: 1, or 0. What is there is lost.
int raw_is_writable(void *_Nonnull bytes, size_t count);
// Whether the program's memory can be read there: 1, or 0.
int raw_is_readable(const void *_Nullable bytes, size_t count);
int raw_process(void);
// Whether a line of text written to standard error reaches a person or a log: that is what it was when the program
// started, and not what the program has opened under that number since.
int raw_is_text_output(void);
void raw_remember_text_output(void);
// A TCP socket of AF_INET or AF_INET6.
int raw_tcp_socket(int family);
// The file's device and inode, and 1 where it has no type (eventpoll and others); 0 for a file with one, or -errno.
struct raw_file {
  uint64_t device, inode;
};
int raw_file(int fd, struct raw_file *_Nonnull file);
// As with F_GETOWN_EX, F_SETOWN_EX, F_GETSIG and F_SETSIG: who hears of a descriptor's signals, and which.
void raw_carry_owner(int from, int to);

// A descriptor that only this library knows, while it is under way: a child that another thread forks meanwhile closes
// its copy (temporaries.c). Returns its place, to be forgotten again; -1 where there is none, and a child keeps it.
int shim_keep(int fd);
// Around the call that makes one and shim_keep, and around shim_forget and close: no fork comes between them.
void shim_begin_change(uint64_t *_Nonnull mask);
void shim_end_change(const uint64_t *_Nonnull mask);
void shim_forget(int place);
// Whether what this library keeps in memory is of this process, and not of the parent of a vfork.
int shim_is_own_process(void);
// What a call of this thread has left behind that never came back: a signal's handler has left it by a jump.
void shim_close_abandoned(void);

int shim_errno(void);
void shim_set_errno(int value);

// The replaced calls as the process would have them without this library.
int next_connect(int fd, const struct sockaddr *_Nullable address, socklen_t length);
int next_listen(int fd, int backlog);
int next_bind(int fd, const struct sockaddr *_Nullable address, socklen_t length);
int next_accept(int fd, struct sockaddr *_Nullable address, socklen_t *_Nullable length);
int next_accept4(int fd, struct sockaddr *_Nullable address, socklen_t *_Nullable length, int flags);
int next_getsockname(int fd, struct sockaddr *_Nullable address, socklen_t *_Nullable length);
int next_getpeername(int fd, struct sockaddr *_Nullable address, socklen_t *_Nullable length);
int next_getsockopt(int fd, int level, int name, void *_Nullable value, socklen_t *_Nullable length);
int next_setsockopt(int fd, int level, int name, const void *_Nullable value, socklen_t length);
// Implemented in Swift, for the calls in streams.c.
ssize_t shim_received(int fd, ssize_t result, int wanted);
int shim_is_stream(int fd);
int shim_is_listener(int fd);
int shim_is_probe(int stream);
int shim_accepted(int stream, int listener, struct sockaddr *_Nullable address, socklen_t *_Nullable length);
int shim_refuses(int fd, int flags, int is_sending);
int shim_is_mapped(int fd, const struct sockaddr *_Nullable address, socklen_t length);
int shim_connect(int fd, const struct sockaddr *_Nullable address, socklen_t length);
int shim_listen(int fd, int backlog);
int shim_bind(int fd, const struct sockaddr *_Nullable address, socklen_t length);
int shim_getsockname(int fd, struct sockaddr *_Nullable address, socklen_t *_Nullable length);
int shim_getpeername(int fd, struct sockaddr *_Nullable address, socklen_t *_Nullable length);
int shim_getsockopt(int fd, int level, int name, void *_Nullable value, socklen_t *_Nullable length);
int shim_setsockopt(int fd, int level, int name, const void *_Nullable value, socklen_t length);
int shim_shutdown(int fd, int how);

int next_shutdown(int fd, int how);
ssize_t next_read(int fd, void *_Nullable bytes, size_t count);
ssize_t next_readv(int fd, const struct iovec *_Nullable parts, int count);
ssize_t next_recv(int fd, void *_Nullable bytes, size_t count, int flags);
ssize_t next_recvfrom(int fd, void *_Nullable bytes, size_t count, int flags, struct sockaddr *_Nullable address,
                      socklen_t *_Nullable length);
ssize_t next_recvmsg(int fd, struct msghdr *_Nullable message, int flags);
ssize_t next_send(int fd, const void *_Nullable bytes, size_t count, int flags);
ssize_t next_sendto(int fd, const void *_Nullable bytes, size_t count, int flags,
                    const struct sockaddr *_Nullable address, socklen_t length);
ssize_t next_sendmsg(int fd, const struct msghdr *_Nullable message, int flags);
ssize_t next_read_chk(int fd, void *_Nullable bytes, size_t count, size_t room);
ssize_t next_recv_chk(int fd, void *_Nullable bytes, size_t count, size_t room, int flags);
ssize_t next_recvfrom_chk(int fd, void *_Nullable bytes, size_t count, size_t room, int flags,
                          struct sockaddr *_Nullable address, socklen_t *_Nullable length);

#define SHIM_MAPPINGS 32
#define SHIM_PATH_ROOM 80

// A TCP port of the programs, and the service port that it stands for.
struct shim_mapping {
  uint16_t port;
  uint16_t service;
};

// What the environment says, copied once: a program may overwrite its environment later.
struct shim_settings {
  char directory[SHIM_PATH_ROOM];
  struct shim_mapping mappings[SHIM_MAPPINGS];
  uint32_t mapping_count;
  uint32_t is_verbose;
  // Connections use their ring themselves; and how long a call waits for the peer before it asks the kernel.
  uint32_t is_direct;
  uint32_t spin_microseconds;
  int64_t timeout_milliseconds;
};
struct shim_settings *_Nonnull shim_settings(void);

// A C array inside a struct is a tuple in Swift.
static inline char *_Nonnull shim_directory(struct shim_settings *_Nonnull settings) { return settings->directory; }
static inline struct shim_mapping *_Nonnull shim_mappings(struct shim_settings *_Nonnull settings) {
  return settings->mappings;
}

// Implemented in Swift; called once for a process, before main in all but exotic programs. A null
// pointer stands for a variable that is not set.
void shim_read_settings(struct shim_settings *_Nonnull settings, const char *_Nullable directory,
                        const char *_Nullable ports, const char *_Nullable timeout, const char *_Nullable verbose,
                        const char *_Nullable direct, const char *_Nullable spin);
#endif
