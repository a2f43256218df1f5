// SPDX-License-Identifier: Apache-2.0
// Erik Rigtorp's SPSCQueue, from a checkout (it is in no Debian package): its slots come from an allocator that takes
// them from the shared memory.
#include <rigtorp/SPSCQueue.h>
#include <new>
#include "loops.hpp"

static thread_local unsigned char *room;

template <class T> struct SharedRoom {
  using value_type = T;
  SharedRoom() = default;
  template <class U> SharedRoom(const SharedRoom<U> &) {}
  T *allocate(size_t) { return reinterpret_cast<T *>(room); }
  void deallocate(T *, size_t) {}
};

template <size_t Size> struct RigtorpQueue {
  struct Message { unsigned char bytes[Size]; };
  using Type = rigtorp::SPSCQueue<Message, SharedRoom<Message>>;
  static constexpr size_t head = (sizeof(Type) + 4095) & ~size_t(4095);
  static size_t memory() { return head + (ringway::slots(Size) + 8) * Size + 4096; }
  static int prepare(void *memory) {
    room = static_cast<unsigned char *>(memory) + head;
    new (memory) Type(ringway::slots(Size));
    return 0;
  }

  Type &queue;
  explicit RigtorpQueue(void *memory) : queue(*static_cast<Type *>(memory)) {}
  unsigned push(const void *messages, unsigned) { return queue.try_push(*static_cast<const Message *>(messages)); }
  unsigned pop(void *messages, unsigned) {
    Message *front = queue.front();
    if (!front) return 0;
    memcpy(messages, front, Size);
    queue.pop();
    return 1;
  }
};

extern "C" const contender *ringway_contender(unsigned index) {
  static const contender it = ringway::Table<RigtorpQueue, 1>::table("rigtorp SPSCQueue");
  return index == 0 ? &it : nullptr;
}
