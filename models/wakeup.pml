// SPDX-License-Identifier: Apache-2.0
/*
 * The wake-up protocol of one ring (ProducerHold and ConsumerHold: finish and requestWake).
 *
 * Checked: neither end sleeps for ever while there is something for it to do (invalid end states), nothing is read
 * that was not written (assertions), and all that was written is read.
 * Memory: each side has a store buffer with a slot for each word that it publishes; slots drain in any order, at any
 * time, and at a full fence. This is weaker than x86 and as weak as Arm for these words: loads are not delayed, since
 * each load here stands behind the fence or may see any older state anyway.
 * Bounds: CAPACITY bytes of ring, BYTES of traffic, indices modulo MODULUS; a doorbell is never lost and never false,
 * because one that rings by chance would hide one that is missing.
 * Broken variants, each of which must fail: NO_FENCE_IN_FINISH, NO_FENCE_IN_REQUEST, NO_SECOND_LOOK, ALWAYS_FROM_TAIL.
 * Run time: some seconds.
 */
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef BYTES
#define BYTES 5
#endif
#ifndef MODULUS
#define MODULUS 8
#endif
#define WANTED (CAPACITY / 2)

#define minus(a, b) (((a) + MODULUS - (b)) % MODULUS)
/* VIRTIO 1.2, 2.7.7.1: the index has passed the place at which the other wants to be woken. */
#define crossed(wake, old, new) (minus(new, wake) < minus(new, old))

/* What stands in the sections, and what each side's store buffer still holds of it. */
byte tail, head, consumerWake, producerWake;
byte nextTail, nextHead, nextConsumerWake, nextProducerWake;
bool tailWaits, headWaits, consumerWakeWaits, producerWakeWaits;
bool bellOfProducer, bellOfConsumer;
byte written, consumed; /* what the bytes are is their order */

#define storeTail(v) atomic { nextTail = v; tailWaits = true }
#define storeHead(v) atomic { nextHead = v; headWaits = true }
#define storeConsumerWake(v) atomic { nextConsumerWake = v; consumerWakeWaits = true }
#define storeProducerWake(v) atomic { nextProducerWake = v; producerWakeWaits = true }

inline fenceOfProducer() {
    d_step {
        if :: tailWaits -> tail = nextTail; tailWaits = false :: else fi;
        if :: producerWakeWaits -> producerWake = nextProducerWake; producerWakeWaits = false :: else fi
    }
}
inline fenceOfConsumer() {
    d_step {
        if :: headWaits -> head = nextHead; headWaits = false :: else fi;
        if :: consumerWakeWaits -> consumerWake = nextConsumerWake; consumerWakeWaits = false :: else fi
    }
}

active proctype storeBuffers() {
end:
    do
    :: atomic { tailWaits -> tail = nextTail; tailWaits = false }
    :: atomic { headWaits -> head = nextHead; headWaits = false }
    :: atomic { consumerWakeWaits -> consumerWake = nextConsumerWake; consumerWakeWaits = false }
    :: atomic { producerWakeWaits -> producerWake = nextProducerWake; producerWakeWaits = false }
    od
}

active proctype producer() {
    byte ownTail, seenHead, notified, old;
    do
    :: written == BYTES -> break
    :: else ->
        seenHead = head;
        assert(minus(ownTail, seenHead) <= CAPACITY);
        /* A batch: at least one byte if there is room, then as many as chance wants. */
        do
        :: written < BYTES && minus(ownTail, seenHead) < CAPACITY ->
            ownTail = (ownTail + 1) % MODULUS;
            written++;
            storeTail(ownTail);
            if :: true :: true -> break fi
        :: else -> break
        od;
        /* finish */
        if
        :: notified == ownTail
        :: else ->
            old = notified;
            notified = ownTail;
#ifndef NO_FENCE_IN_FINISH
            fenceOfProducer();
#endif
#ifdef ALWAYS_FROM_TAIL
            old = minus(ownTail, 1);
#endif
            if :: crossed(consumerWake, old, ownTail) -> bellOfConsumer = true :: else fi
        fi;
        if
        :: written < BYTES && minus(ownTail, seenHead) == CAPACITY ->
            /* requestWake(free: WANTED), and sleep */
            storeProducerWake((ownTail + WANTED + MODULUS - CAPACITY) % MODULUS);
#ifndef NO_FENCE_IN_REQUEST
            fenceOfProducer();
#endif
#ifndef NO_SECOND_LOOK
            seenHead = head;
#endif
            if
            :: CAPACITY - minus(ownTail, seenHead) < WANTED -> atomic { bellOfProducer -> bellOfProducer = false }
            :: else
            fi
        :: else
        fi
    od
}

active proctype consumer() {
    byte ownHead, seenTail, notified, old;
    do
    :: consumed == BYTES -> break
    :: else ->
        seenTail = tail;
        assert(minus(seenTail, ownHead) <= CAPACITY);
        do
        :: minus(seenTail, ownHead) > 0 ->
            ownHead = (ownHead + 1) % MODULUS;
            consumed++;
            assert(consumed <= written);
            storeHead(ownHead);
            if :: true :: true -> break fi
        :: else -> break
        od;
        if
        :: notified == ownHead
        :: else ->
            old = notified;
            notified = ownHead;
#ifndef NO_FENCE_IN_FINISH
            fenceOfConsumer();
#endif
#ifdef ALWAYS_FROM_TAIL
            old = minus(ownHead, 1);
#endif
            if :: crossed(producerWake, old, ownHead) -> bellOfProducer = true :: else fi
        fi;
        if
        :: consumed < BYTES && seenTail == ownHead ->
            storeConsumerWake((ownHead + 1) % MODULUS);
#ifndef NO_FENCE_IN_REQUEST
            fenceOfConsumer();
#endif
#ifndef NO_SECOND_LOOK
            seenTail = tail;
#endif
            if
            :: seenTail == ownHead -> atomic { bellOfConsumer -> bellOfConsumer = false }
            :: else
            fi
        :: else
        fi
    od
}
