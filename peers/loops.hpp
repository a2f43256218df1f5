// SPDX-License-Identifier: Apache-2.0
// The loops around a queue of messages of one size, the same for each. A class `Queue<size>` has:
//   static size_t memory();                   bytes of shared memory
//   static int prepare(void *memory);         0 or an errno
//   explicit Queue(void *memory);
//   unsigned push(const void *messages, unsigned count);    how many it took
//   unsigned pop(void *messages, unsigned count);           how many it gave
#ifndef RINGWAY_PEERS_LOOPS_HPP
#define RINGWAY_PEERS_LOOPS_HPP
#include <cstring>
#include "contender.h"

namespace ringway {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

template <class Queue, size_t Size, unsigned Batch> struct Loops {
  static void produce(void *memory, uint64_t count) {
    Queue queue(memory);
    alignas(64) unsigned char messages[Batch][Size] = {};
    for (uint64_t done = 0; done < count;) {
      unsigned wanted = count - done < Batch ? unsigned(count - done) : Batch, taken = 0;
      for (unsigned i = 0; i < wanted; i++) {
        uint64_t number = done + i;
        memcpy(messages[i], &number, sizeof number);
      }
      while (taken < wanted) {
        unsigned now = queue.push(messages[taken], wanted - taken);
        if (now == 0) relax();
        taken += now;
      }
      done += wanted;
    }
  }

  static uint64_t consume(void *memory, uint64_t count) {
    Queue queue(memory);
    alignas(64) unsigned char messages[Batch][Size];
    for (uint64_t done = 0; done < count;) {
      unsigned now = queue.pop(messages, Batch);
      if (now == 0) relax();
      for (unsigned i = 0; i < now; i++) {
        uint64_t number;
        memcpy(&number, messages[i], sizeof number);
        if (number != done + i) return 1;
      }
      done += now;
    }
    return 0;
  }

  static void send(void *memory, const void *bytes) {
    Queue queue(memory);
    while (queue.push(bytes, 1) == 0) relax();
  }

  static void receive(void *memory, void *bytes) {
    Queue queue(memory);
    while (queue.pop(bytes, 1) == 0) relax();
  }
};

// The sizes of messages that the benchmark has.
template <template <size_t> class Queue, unsigned Batch> struct Table {
#define RINGWAY_SIZES(DO) DO(64) DO(512) DO(4096)
  static size_t size(size_t message) {
#define RINGWAY_CASE(n) if (message == n) return Queue<n>::memory();
    RINGWAY_SIZES(RINGWAY_CASE)
#undef RINGWAY_CASE
    return 0;
  }
  static int prepare(void *memory, size_t message) {
#define RINGWAY_CASE(n) if (message == n) return Queue<n>::prepare(memory);
    RINGWAY_SIZES(RINGWAY_CASE)
#undef RINGWAY_CASE
    return 22;
  }
  static void produce(void *memory, size_t message, uint64_t count) {
#define RINGWAY_CASE(n) if (message == n) return Loops<Queue<n>, n, Batch>::produce(memory, count);
    RINGWAY_SIZES(RINGWAY_CASE)
#undef RINGWAY_CASE
  }
  static uint64_t consume(void *memory, size_t message, uint64_t count) {
#define RINGWAY_CASE(n) if (message == n) return Loops<Queue<n>, n, Batch>::consume(memory, count);
    RINGWAY_SIZES(RINGWAY_CASE)
#undef RINGWAY_CASE
    return count;
  }
  static void send(void *memory, size_t message, const void *bytes) {
#define RINGWAY_CASE(n) if (message == n) Loops<Queue<n>, n, Batch>::send(memory, bytes);
    RINGWAY_SIZES(RINGWAY_CASE)
#undef RINGWAY_CASE
  }
  static void receive(void *memory, size_t message, void *bytes) {
#define RINGWAY_CASE(n) if (message == n) Loops<Queue<n>, n, Batch>::receive(memory, bytes);
    RINGWAY_SIZES(RINGWAY_CASE)
#undef RINGWAY_CASE
  }
  static contender table(const char *name, bool sleeps = false) {
    return {RINGWAY_CONTENDER_VERSION, Batch, sleeps, name, size, prepare, produce, consume, send, receive};
  }
};

// Room for as many messages as fit into 256 KiB, 64 at least: what is compared has as much memory.
constexpr size_t slots(size_t message) { return message * 64 > 262144 ? 64 : 262144 / message; }

}  // namespace ringway
#endif
