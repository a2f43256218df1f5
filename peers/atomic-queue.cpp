// SPDX-License-Identifier: Apache-2.0
// Maxim Egorushkin's atomic_queue, for one producer and one consumer (Debian: libatomic-queue-dev).
#include <atomic_queue/atomic_queue.h>
#include <new>
#include "loops.hpp"

template <size_t Size> struct AtomicQueue {
  struct Message { unsigned char bytes[Size]; };
  using Type = atomic_queue::AtomicQueue2<Message, unsigned(ringway::slots(Size)), true, true, false, true>;
  static size_t memory() { return sizeof(Type); }
  static int prepare(void *memory) { return new (memory) Type ? 0 : 12; }

  Type &queue;
  explicit AtomicQueue(void *memory) : queue(*static_cast<Type *>(memory)) {}
  unsigned push(const void *messages, unsigned) { return queue.try_push(*static_cast<const Message *>(messages)); }
  unsigned pop(void *messages, unsigned) { return queue.try_pop(*static_cast<Message *>(messages)); }
};

extern "C" const contender *ringway_contender(unsigned index) {
  static const contender it = ringway::Table<AtomicQueue, 1>::table("atomic_queue SPSC");
  return index == 0 ? &it : nullptr;
}
