// SPDX-License-Identifier: Apache-2.0
// What Embedded Swift expects of a C library and musl 1.2.3 does not have. Only `make guest` compiles this.
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

void arc4random_buf(void *buffer, size_t count);

// Seeds the hashing of Dictionary and Set.
void arc4random_buf(void *buffer, size_t count) {
  char *next = buffer;
  while (count > 0) {
    ssize_t got = getrandom(next, count, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      abort();
    }
    next += got;
    count -= (size_t)got;
  }
}
