// SPDX-License-Identifier: Apache-2.0
// DPDK's rte_ring with whole messages as its elements (Debian: libdpdk-dev), single or multiple producers and
// consumers, one at a time and in bursts of 32.
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include "loops.hpp"

template <size_t Size, bool Multiple, bool Burst> struct RteRing {
  static constexpr unsigned count = unsigned(ringway::slots(Size));
  static size_t memory() { return size_t(rte_ring_get_memsize_elem(Size, count)); }
  static int prepare(void *memory) {
    unsigned flags = Multiple ? 0 : RING_F_SP_ENQ | RING_F_SC_DEQ;
    return -rte_ring_init(static_cast<rte_ring *>(memory), "ringway", count, flags);
  }

  rte_ring *ring;
  explicit RteRing(void *memory) : ring(static_cast<rte_ring *>(memory)) {}
  unsigned push(const void *messages, unsigned wanted) {
    if (Burst) {
      return Multiple ? rte_ring_mp_enqueue_burst_elem(ring, messages, Size, wanted, nullptr)
                      : rte_ring_sp_enqueue_burst_elem(ring, messages, Size, wanted, nullptr);
    }
    auto *message = const_cast<void *>(messages);
    int result = Multiple ? rte_ring_mp_enqueue_elem(ring, message, Size)
                          : rte_ring_sp_enqueue_elem(ring, message, Size);
    return result == 0;
  }
  unsigned pop(void *messages, unsigned wanted) {
    if (Burst) {
      return Multiple ? rte_ring_mc_dequeue_burst_elem(ring, messages, Size, wanted, nullptr)
                      : rte_ring_sc_dequeue_burst_elem(ring, messages, Size, wanted, nullptr);
    }
    int result = Multiple ? rte_ring_mc_dequeue_elem(ring, messages, Size)
                          : rte_ring_sc_dequeue_elem(ring, messages, Size);
    return result == 0;
  }
};

template <size_t Size> using Single = RteRing<Size, false, false>;
template <size_t Size> using SingleBurst = RteRing<Size, false, true>;
template <size_t Size> using Multiple = RteRing<Size, true, false>;
template <size_t Size> using MultipleBurst = RteRing<Size, true, true>;

extern "C" const contender *ringway_contender(unsigned index) {
  static const contender tables[] = {
      ringway::Table<Single, 1>::table("rte_ring SPSC"),
      ringway::Table<SingleBurst, 32>::table("rte_ring SPSC, burst 32"),
      ringway::Table<Multiple, 1>::table("rte_ring MPMC"),
      ringway::Table<MultipleBurst, 32>::table("rte_ring MPMC, burst 32"),
  };
  return index < 4 ? &tables[index] : nullptr;
}
