// SPDX-License-Identifier: Apache-2.0
// The allocator of the guest's programs. musl's own is 7 KB, made for many threads and for memory that comes and goes
// in all sizes; these programs have one thread each, and what lives long in them is allocated once. Blocks come in
// some twenty sizes, each with a list of those that are free. Large ones are the kernel's, and go back to it.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

// In front of each block, as large as a block is aligned.
struct header {
  uint64_t seal;       // its size, in a form that nobody writes by accident; another one while it is free
  struct header *next; // while it is free
};
_Static_assert(sizeof(struct header) == _Alignof(max_align_t), "a block is aligned as malloc's are");

enum { SIZES = 24, LARGEST = 2048, POOL = 32 * 1024 };
static struct header *lists[SIZES];
static char *pool;
static size_t left;
static uint64_t secret;

static uint64_t seal_of(struct header *block, size_t size) { return ((uintptr_t)block + size) ^ secret; }

static size_t size_of(struct header *block) { return (block->seal ^ secret) - (uintptr_t)block; }

// The size of a block that has room for so many bytes, and its list: four steps, then twice as long ones. Sizes that
// have no list are a page's.
static unsigned list_of(size_t wanted, size_t *size) {
  size_t step = 16;
  unsigned list = 0;
  *size = 32;
  while (*size < wanted) {
    *size += step;
    if ((++list & 3) == 0) step *= 2;
    if (*size > LARGEST) {
      *size = (wanted + 4095) & ~(size_t)4095;
      return SIZES;
    }
  }
  return list;
}

static void *pages(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void *malloc(size_t count) {
  size_t size;
  if (count > PTRDIFF_MAX / 2) {
    errno = ENOMEM;
    return NULL;
  }
  if (secret == 0 && getrandom(&secret, sizeof secret, 0) != sizeof secret) secret = (uintptr_t)&size;
  unsigned list = list_of(count + sizeof(struct header), &size);
  struct header *block;
  if (list == SIZES) {
    block = pages(size);
  } else if ((block = lists[list])) {
    if (block->seal != ~seal_of(block, size)) __builtin_trap();
    lists[list] = block->next;
  } else {
    if (left < size) {
      // What is left of the pool before is less than a block, and is lost.
      char *more = pages(POOL);
      if (!more) return NULL;
      pool = more;
      left = POOL;
    }
    block = (struct header *)pool;
    pool += size;
    left -= size;
  }
  if (!block) return NULL;
  block->seal = seal_of(block, size);
  return block + 1;
}

void free(void *memory) {
  if (!memory) return;
  struct header *block = (struct header *)memory - 1;
  size_t size = size_of(block), check;
  unsigned list = list_of(size, &check);
  // Freed twice, or written beyond the block before it.
  if (check != size) __builtin_trap();
  if (list == SIZES) {
    munmap(block, size);
    return;
  }
  block->seal = ~block->seal;
  block->next = lists[list];
  lists[list] = block;
}

void *realloc(void *memory, size_t count) {
  void *other = malloc(count);
  if (!memory || !other) return other;
  size_t room = size_of((struct header *)memory - 1) - sizeof(struct header);
  memcpy(other, memory, room < count ? room : count);
  free(memory);
  return other;
}

// Embedded Swift asks for every object with posix_memalign, at the alignment that malloc gives anyway.
int posix_memalign(void **result, size_t alignment, size_t size) {
  // No type of ours asks for more; one that did must not get less.
  if (alignment > _Alignof(max_align_t)) abort();
  void *memory = malloc(size);
  if (memory == NULL) return ENOMEM;
  *result = memory;
  return 0;
}

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
