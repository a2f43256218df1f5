// SPDX-License-Identifier: Apache-2.0
// Boost.Lockfree's spsc_queue, of a size that is known when it is compiled (Debian: libboost-dev).
#include <boost/lockfree/spsc_queue.hpp>
#include <new>
#include "loops.hpp"

template <size_t Size> struct BoostQueue {
  struct Message { unsigned char bytes[Size]; };
  using Type = boost::lockfree::spsc_queue<Message, boost::lockfree::capacity<ringway::slots(Size)>>;
  static size_t memory() { return sizeof(Type); }
  static int prepare(void *memory) { return new (memory) Type ? 0 : 12; }

  Type &queue;
  explicit BoostQueue(void *memory) : queue(*static_cast<Type *>(memory)) {}
  unsigned push(const void *messages, unsigned count) {
    auto *first = static_cast<const Message *>(messages);
    return count == 1 ? queue.push(*first) : unsigned(queue.push(first, count));
  }
  unsigned pop(void *messages, unsigned count) {
    auto *first = static_cast<Message *>(messages);
    return count == 1 ? queue.pop(*first) : unsigned(queue.pop(first, count));
  }
};

extern "C" const contender *ringway_contender(unsigned index) {
  static const contender tables[] = {
      ringway::Table<BoostQueue, 1>::table("Boost spsc_queue"),
      ringway::Table<BoostQueue, 32>::table("Boost spsc_queue, 32 at a time"),
  };
  return index < 2 ? &tables[index] : nullptr;
}
