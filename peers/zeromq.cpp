// SPDX-License-Identifier: Apache-2.0
// ZeroMQ's push and pull over an AF_UNIX socket (Debian: libzmq3-dev). Its sockets belong to the process that uses
// them: the shared memory has their name only.
#include <zmq.h>
#include <atomic>
#include <cstdio>
#include <unistd.h>
#include "loops.hpp"

static void *open_socket(void *memory, int type) {
  thread_local void *context = zmq_ctx_new();
  // One channel each way in a round trip: the socket of each is remembered by its memory.
  thread_local struct { void *memory, *socket; } known[4];
  for (auto &entry : known) {
    if (entry.memory == memory) return entry.socket;
    if (entry.memory) continue;
    void *socket = zmq_socket(context, type);
    const char *name = static_cast<const char *>(memory);
    if (type == ZMQ_PULL ? zmq_bind(socket, name) : zmq_connect(socket, name)) return nullptr;
    entry = {memory, socket};
    return socket;
  }
  return nullptr;
}

template <size_t Size> struct ZeroMessages {
  static size_t memory() { return 4096; }
  static int prepare(void *memory) {
    static unsigned count;
    snprintf(static_cast<char *>(memory), 100, "ipc://@ringway-bench-%ld-%u", long(getpid()), count++);
    return 0;
  }

  void *area;
  explicit ZeroMessages(void *memory) : area(memory) {}
  unsigned push(const void *messages, unsigned) {
    void *socket = open_socket(area, ZMQ_PUSH);
    return socket && zmq_send(socket, messages, Size, 0) == int(Size);
  }
  unsigned pop(void *messages, unsigned) {
    void *socket = open_socket(area, ZMQ_PULL);
    return socket && zmq_recv(socket, messages, Size, 0) == int(Size);
  }
};

extern "C" const contender *ringway_contender(unsigned index) {
  static const contender it = ringway::Table<ZeroMessages, 1>::table("ZeroMQ ipc", true);
  return index == 0 ? &it : nullptr;
}
