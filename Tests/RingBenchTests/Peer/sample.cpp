// SPDX-License-Identifier: Apache-2.0
// Three queues for ForeignQueueTests: one that is right, one that loses a message, and one that cannot be prepared.
#include <atomic>
#include <new>
#include "loops.hpp"

template <size_t Size, bool Loses> struct Sample {
  struct Memory {
    std::atomic<uint64_t> tail, head;
    unsigned char slots[64][Size];
  };
  static size_t memory() { return sizeof(Memory); }
  static int prepare(void *memory) { return new (memory) Memory ? 0 : 12; }

  Memory &its;
  explicit Sample(void *memory) : its(*static_cast<Memory *>(memory)) {}
  unsigned push(const void *messages, unsigned) {
    uint64_t tail = its.tail.load(std::memory_order_relaxed);
    if (tail - its.head.load(std::memory_order_acquire) == 64) return 0;
    if (!Loses || tail != 500) memcpy(its.slots[tail % 64], messages, Size);
    its.tail.store(tail + 1, std::memory_order_release);
    return 1;
  }
  unsigned pop(void *messages, unsigned) {
    uint64_t head = its.head.load(std::memory_order_relaxed);
    if (head == its.tail.load(std::memory_order_acquire)) return 0;
    memcpy(messages, its.slots[head % 64], Size);
    its.head.store(head + 1, std::memory_order_release);
    return 1;
  }
};

template <size_t Size> using Right = Sample<Size, false>;
template <size_t Size> using Losing = Sample<Size, true>;
template <size_t Size> struct Unprepared : Sample<Size, false> {
  using Sample<Size, false>::Sample;
  static int prepare(void *) { return 28; }
};

extern "C" const contender *ringway_contender(unsigned index) {
  static contender tables[] = {
      ringway::Table<Right, 1>::table("right"),
      ringway::Table<Losing, 1>::table("losing", true),
      ringway::Table<Unprepared, 1>::table("unprepared"),
  };
#ifdef OTHER_VERSION
  tables[0].version = OTHER_VERSION;
#endif
  return index < 3 ? &tables[index] : nullptr;
}
