// SPDX-License-Identifier: Apache-2.0
// The guard that Swift code puts on its stack frames. The process's libc keeps its own elsewhere, and
// elsewhere in each libc and on each architecture, so the library brings one.
#include "socket_shim_raw.h"

__attribute__((visibility("hidden"))) uintptr_t __stack_chk_guard = 0x52694E67;

__attribute__((visibility("hidden"), noreturn)) void __stack_chk_fail(void) { __builtin_trap(); }

// Before every other constructor of the library: no Swift frame may be open while the value changes.
static __attribute__((constructor(101))) void choose(void) {
  __stack_chk_guard = ((uintptr_t)raw_random() << 32 | raw_random()) & ~(uintptr_t)0xFF;
}
