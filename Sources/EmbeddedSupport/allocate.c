// SPDX-License-Identifier: Apache-2.0
// Embedded Swift asks for every object with posix_memalign, at the alignment that malloc gives anyway. musl's
// posix_memalign takes more memory and 1 KB of code to align what is aligned.
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int posix_memalign(void **result, size_t alignment, size_t size) {
  // No type of ours asks for more; one that did must not get less.
  if (alignment > _Alignof(max_align_t)) abort();
  void *memory = malloc(size);
  if (memory == NULL) return ENOMEM;
  *result = memory;
  return 0;
}

// musl's looks whether the memory may be zero already, in 0.6 KB.
void *calloc(size_t count, size_t size) {
  size_t all;
  if (__builtin_mul_overflow(count, size, &all)) {
    errno = ENOMEM;
    return NULL;
  }
  void *memory = malloc(all);
  if (memory != NULL) memset(memory, 0, all);
  return memory;
}
