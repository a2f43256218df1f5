// SPDX-License-Identifier: Apache-2.0
// The errors that these programs can meet, as strerror(3) names them. musl's table has all of Linux's, and takes 2 KB
// of a program that is to have 256.
#include <errno.h>
#include <string.h>

// The number, the text, a zero; a number of zero ends the table.
static const char texts[] =
    "\001Operation not permitted\0"
    "\002No such file or directory\0"
    "\004Interrupted system call\0"
    "\005I/O error\0"
    "\006No such device or address\0"
    "\010Exec format error\0"
    "\011Bad file descriptor\0"
    "\013Resource temporarily unavailable\0"
    "\014Out of memory\0"
    "\015Permission denied\0"
    "\020Resource busy\0"
    "\021File exists\0"
    "\023No such device\0"
    "\024Not a directory\0"
    "\025Is a directory\0"
    "\026Invalid argument\0"
    "\027Too many open files in system\0"
    "\030No file descriptors available\0"
    "\031Not a tty\0"
    "\032Text file busy\0"
    "\033File too large\0"
    "\034No space left on device\0"
    "\036Read-only file system\0"
    "\040Broken pipe\0"
    "\044Filename too long\0"
    "\046Function not implemented\0"
    "\050Symbolic link loop\0"
    "\107Protocol error\0"
    "\136Socket type not supported\0"
    "\137Not supported\0"
    "\141Address family not supported by protocol\0"
    "\142Address in use\0"
    "\143Address not available\0"
    "\145Network unreachable\0"
    "\150Connection reset by peer\0"
    "\151No buffer space available\0"
    "\156Operation timed out\0"
    "\157Connection refused\0"
    "\161Host is unreachable\0";

_Static_assert(EPERM == 1 && EAGAIN == 013 && EINVAL == 026 && EPROTO == 0107 && EHOSTUNREACH == 0161,
               "the numbers of x86_64 and aarch64");

char *strerror(int error) {
  static char other[] = "error 0000";
  for (const char *entry = texts; *entry; entry += strlen(entry) + 1)
    if (*entry == error) return (char *)entry + 1;
  for (int place = sizeof other - 2; place > 5; place--, error /= 10) other[place] = (char)('0' + error % 10);
  return other;
}
