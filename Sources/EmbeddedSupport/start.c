// SPDX-License-Identifier: Apache-2.0
// Where the static program starts: it applies the compact relative relocations (DT_RELR of the ELF gABI: an address,
// then bitmaps of the 63 words that follow), which are 6 KB smaller than DT_RELA and which musl knows from 1.2.4 on
// only; then it goes on to musl's own start.
#include <elf.h>
#include <stdint.h>

#define TAG_RELRSZ 35
#define TAG_RELR 36

extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));

// Nothing here may need a relocation, or the stack protector's word: neither is there yet.
__attribute__((no_stack_protector, used)) void ringway_apply_relr(void) {
  uintptr_t base = (uintptr_t)__ehdr_start;
  uint64_t *entry = 0, *end = 0, *place = 0;
  Elf64_Dyn *size = 0;
  for (Elf64_Dyn *tag = _DYNAMIC; tag->d_tag != DT_NULL; tag++) {
    if (tag->d_tag == TAG_RELR) entry = (uint64_t *)(base + tag->d_un.d_ptr);
    if (tag->d_tag == TAG_RELRSZ) size = tag;
  }
  if (!entry || !size) return;
  end = entry + size->d_un.d_val / sizeof *entry;
  size->d_un.d_val = 0; // a libc that knows RELR finds nothing left to do
  for (; entry < end; entry++) {
    if ((*entry & 1) == 0) {
      place = (uint64_t *)(base + *entry);
      *place++ += base;
      continue;
    }
    for (uint64_t bits = *entry >> 1, *word = place; bits; bits >>= 1, word++)
      if (bits & 1) *word += base;
    place += 63;
  }
}

#if defined(__x86_64__)
__asm__(".text\n.hidden ringway_start\n.globl ringway_start\nringway_start:\n"
        "xor %ebp, %ebp\n push %rdx\n push %rdx\n call ringway_apply_relr\n pop %rdx\n pop %rdx\n jmp _start\n");
#elif defined(__aarch64__)
__asm__(".text\n.hidden ringway_start\n.globl ringway_start\nringway_start:\n"
        "mov x19, x0\n bl ringway_apply_relr\n mov x0, x19\n b _start\n");
#else
#error "no start for this architecture"
#endif
