// SPDX-License-Identifier: Apache-2.0
// Embedded Swift asks for every object with posix_memalign, at the alignment that malloc gives anyway. musl's
// posix_memalign takes more memory and 1 KB of code to align what is aligned.
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

int posix_memalign(void **result, size_t alignment, size_t size) {
  // No type of ours asks for more; one that did must not get less.
  if (alignment > _Alignof(max_align_t)) abort();
  void *memory = malloc(size);
  if (memory == NULL) return ENOMEM;
  *result = memory;
  return 0;
}
