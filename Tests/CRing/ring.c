// SPDX-License-Identifier: Apache-2.0
// The ring of Sources/RingBuffer once more, in C: what its steps cost without Swift (mk/tests/instructions.sh). Each
// function has the steps of its namesake there, in the same order: nothing is left out (but for what memory that is not
// cached needs), and nothing is done twice.
#include "cring.h"
#include <string.h>

#define LOAD(place, order) __atomic_load_n(&(place), __ATOMIC_##order)
#define STORE(place, value, order) __atomic_store_n(&(place), (value), __ATOMIC_##order)

// EndControl.
struct control {
  uint64_t owner;
  uint32_t index, fault, seen, notified, published, lowest, highest;
};

// RingMemory, with what ProducerEnd and ConsumerEnd have besides.
struct end {
  uint32_t *tail, *head;
  unsigned char *data;
  uint32_t capacity;
  struct control *control;
  const uint64_t *identity;
};

// ProducerHold and ConsumerHold.
struct hold {
  const struct end *end;
  uint64_t identity;
  uint32_t own, peer;
};

enum result { FINE, REFUSED, DETACHED, FAULT };

// EndControl.refusal and .record: rare, and apart there, too.
static __attribute__((noinline)) enum result refusal(struct control *control, uint64_t identity, uint64_t before) {
  if (identity != 0 && before == 0) STORE(control->owner, 0, RELEASE);
  return REFUSED;
}
static __attribute__((noinline)) enum result record(
    struct control *control, uint32_t published, uint32_t lowest, uint32_t highest) {
  STORE(control->published, published, RELAXED);
  STORE(control->lowest, lowest, RELAXED);
  STORE(control->highest, highest, RELAXED);
  STORE(control->fault, 1, RELEASE);
  return FAULT;
}

static inline uint32_t least(uint32_t one, uint32_t other) { return one < other ? one : other; }

static inline enum result take(const struct end *end, struct hold *hold) {
  uint64_t identity = *end->identity, before = 0;
  __atomic_compare_exchange_n(&end->control->owner, &before, identity, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
  if (identity == 0 || before != 0 || LOAD(end->control->fault, RELAXED) != 0)
    return refusal(end->control, identity, before);
  *hold = (struct hold){
      end, identity, LOAD(end->control->index, RELAXED), LOAD(end->control->seen, RELAXED)};
  return FINE;
}

static inline int is_attached(const struct hold *hold) { return *hold->end->identity == hold->identity; }

static inline void give_back(const struct hold *hold) {
  if (is_attached(hold)) STORE(hold->end->control->owner, 0, RELEASE);
}

// finish(peerPolls: true).
static inline void finish(const struct hold *hold) {
  if (is_attached(hold)) {
    struct control *control = hold->end->control;
    uint32_t capacity = hold->end->capacity, old = LOAD(control->notified, RELAXED);
    if (hold->own - old > capacity) STORE(control->notified, hold->own - capacity, RELAXED);
  }
  give_back(hold);
}

static inline void publish(struct hold *hold, uint32_t *index, uint32_t count) {
  hold->own += count;
  STORE(hold->end->control->index, hold->own, RELEASE);
  STORE(*index, hold->own, RELEASE);
}

static inline enum result refresh_head(struct hold *hold) {
  if (!is_attached(hold)) return DETACHED;
  uint32_t untrusted = LOAD(*hold->end->head, ACQUIRE);
  if (untrusted - hold->peer > hold->own - hold->peer)
    return record(hold->end->control, untrusted, hold->peer, hold->own);
  hold->peer = untrusted;
  STORE(hold->end->control->seen, untrusted, RELAXED);
  return FINE;
}

static inline enum result refresh_tail(struct hold *hold) {
  if (!is_attached(hold)) return DETACHED;
  uint32_t untrusted = LOAD(*hold->end->tail, ACQUIRE), capacity = hold->end->capacity;
  if (untrusted - hold->own > capacity || untrusted - hold->own < hold->peer - hold->own)
    return record(hold->end->control, untrusted, hold->peer, hold->own + capacity);
  hold->peer = untrusted;
  STORE(hold->end->control->seen, untrusted, RELAXED);
  return FINE;
}

static inline enum result put(struct hold *hold, const void *bytes, size_t size, uint32_t *count) {
  const struct end *end = hold->end;
  *count = 0;
  if (!is_attached(hold)) return DETACHED;
  if (end->capacity - (hold->own - hold->peer) < size) {
    enum result result = refresh_head(hold);
    if (result != FINE) return result;
  }
  uint32_t free = end->capacity - (hold->own - hold->peer), some = size < free ? (uint32_t)size : free;
  if (some == 0) return FINE;
  uint32_t offset = hold->own & (end->capacity - 1), straight = least(some, end->capacity - offset);
  memcpy(end->data + offset, bytes, straight);
  if (some > straight) memcpy(end->data, (const unsigned char *)bytes + straight, some - straight);
  publish(hold, end->tail, some);
  *count = some;
  return FINE;
}

static inline enum result get(struct hold *hold, void *bytes, size_t size, uint32_t *count) {
  const struct end *end = hold->end;
  *count = 0;
  if (!is_attached(hold)) return DETACHED;
  if (hold->peer - hold->own < size) {
    enum result result = refresh_tail(hold);
    if (result != FINE) return result;
  }
  uint32_t used = hold->peer - hold->own, some = size < used ? (uint32_t)size : used;
  if (some == 0) return FINE;
  uint32_t offset = hold->own & (end->capacity - 1), straight = least(some, end->capacity - offset);
  memcpy(bytes, end->data + offset, straight);
  if (some > straight) memcpy((unsigned char *)bytes + straight, end->data, some - straight);
  publish(hold, end->head, some);
  *count = some;
  return FINE;
}

// Apart, as their namesakes in RingCount.swift.
static __attribute__((noinline)) enum result produce(
    const struct end *end, void *message, size_t size, uint64_t from, uint64_t count) {
  for (uint64_t number = from; number < from + count; number++) {
    memcpy(message, &number, sizeof number);
    struct hold hold;
    uint32_t now;
    enum result result = take(end, &hold);
    if (result != FINE) return result;
    // There always is room.
    result = put(&hold, message, size, &now);
    if (result != FINE) return give_back(&hold), result;
    finish(&hold);
  }
  return FINE;
}

static __attribute__((noinline)) enum result consume(
    const struct end *end, void *message, size_t size, uint64_t from, uint64_t count, uint64_t *wrong) {
  for (uint64_t number = from; number < from + count; number++) {
    struct hold hold;
    uint32_t now;
    uint64_t found;
    enum result result = take(end, &hold);
    if (result != FINE) return result;
    result = get(&hold, message, size, &now);
    if (result != FINE) return give_back(&hold), result;
    finish(&hold);
    memcpy(&found, message, sizeof found);
    *wrong += now != size || found != number;
  }
  return FINE;
}

uint64_t cr_carry(
    void *words, void *producer, void *consumer, const uint64_t *identities, void *data, size_t capacity,
    void *message, size_t size, uint64_t count, uint64_t in_row) {
  uint32_t *tail = words, *head = (uint32_t *)((unsigned char *)words + CR_HEAD);
  struct end in = {tail, head, data, (uint32_t)capacity, producer, identities};
  struct end out = {tail, head, data, (uint32_t)capacity, consumer, identities + 1};
  uint64_t wrong = 0;
  for (uint64_t done = 0; done < count; done += in_row) {
    if (produce(&in, message, size, done, in_row) != FINE) return count;
    if (consume(&out, message, size, done, in_row, &wrong) != FINE) return count;
  }
  return wrong;
}
