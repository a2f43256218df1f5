// SPDX-License-Identifier: Apache-2.0
// Processes: signals as a descriptor, parent death, capabilities. Included by cshim.h.
#ifndef RINGWAY_CSHIM_PROCESS_H
#define RINGWAY_CSHIM_PROCESS_H

// Blocks SIGTERM, SIGINT and SIGHUP (and SIGCHLD when `children`), ignores SIGPIPE, and returns a signalfd that
// reports the former; -1 with errno. Each process makes its own: epoll reports a signalfd's signals of the process
// that added it.
int cs_signal_descriptor(bool children);
// Opens /dev/null for each of the standard descriptors that is closed, so that none of them becomes something else's.
void cs_open_standard(void);
// The number of the next signal, or 0 when there is none.
int cs_next_signal(int fd);
// Unblocks what cs_signal_descriptor blocked, for a child that is to be killed by signals again.
void cs_default_signals(void);
// AF_UNIX SOCK_SEQPACKET pair, close-on-exec and non-blocking; 0 or -1 with errno.
int cs_packet_pair(int *_Nonnull first, int *_Nonnull second);
// Bytes of memory that this machine has; 0 when the kernel does not say.
uint64_t cs_total_memory(void);
// How many processors this process may run on; 2 when they cannot be counted.
int cs_processors(void);
// This process gets SIGKILL when its parent dies.
int cs_die_with_parent(void);
// Gives up every capability, for good, and forbids to gain privileges by execve; 0 or -1 with errno.
int cs_drop_capabilities(void);
// Makes a directory this process's root and working directory, and gives it a network of its own, so that of the
// guest's sockets it can connect only to those in the directory. Of its descriptors it keeps standard error and those
// that are named (-1 names none). 0, or -1 with errno when one of these could not be done; the others are.
int cs_enclose(const char *_Nonnull directory, const int *_Nonnull keep, int count);
// Refuses this process every system call that the data path does not need: 0, or -1 with errno.
int cs_confine(bool is_direct);
// The effective set of this process's capabilities; ~0 when it cannot be read.
uint64_t cs_effective_capabilities(void);
// execve with this process's environment, in which each `NAME=value` of `own` stands instead of another of that name.
// Both lists end with NULL. Returns only when it fails, with errno.
void cs_execute(
    const char *_Nonnull path, char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull own);
// epoll_wait, a new one when a signal interrupts.
int cs_epoll_wait(int epoll, struct epoll_event *_Nonnull events, int capacity, int timeout_ms);

// A socket that hears the kernel's uevents (NETLINK_KOBJECT_UEVENT), without waiting; -1 with errno.
int cs_uevent_socket(void);
// The next one's bytes; 0 when it is none of the kernel's; -1 with errno (ENOBUFS: some were lost).
ssize_t cs_uevent_receive(int fd, void *_Nonnull buffer, size_t size);

// Directories: struct dirent's name is an array that imports as a tuple.
void *_Nullable cs_opendir(const char *_Nonnull path);
const char *_Nullable cs_readdir(void *_Nonnull directory);
void cs_closedir(void *_Nonnull directory);
#endif
