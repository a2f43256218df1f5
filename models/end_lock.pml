// SPDX-License-Identifier: Apache-2.0
/*
 * The lock of a ring's producer end, whose owners die (EndControl.acquire, ProducerHold.publish, ProducerEnd.recover).
 *
 * Checked: at most one living process is in a hold; the published tail never goes back; every byte below the tail is
 * the one that belongs there; those who live get on (invalid end states), whoever died and wherever.
 * Bounds: WORKERS processes, of which DEATHS die, each at any step; BYTES bytes. Every access to memory is a step; a
 * process that died is known to be dead from then on (process id and start time name it, so a number is not used again).
 * Broken variants, each of which must fail: PLAIN_RECOVERY (the dead owner is replaced without a compare), SECTION_FIRST
 * (the section is written before the end's own index), NO_LOOK (a living owner is replaced).
 * Run time: some seconds.
 */
#define WORKERS 3
#define DEATHS 2
#define BYTES 3
#define RIGHT(i) ((i) + 1)
#define HALF_WRITTEN 99

byte owner; /* 0, or a worker's number */
byte index; /* the end's own, in memory of this guest */
byte tail;  /* what the peer sees */
byte data[BYTES];
bool dead[WORKERS + 1];
byte deaths, inHold;

#define mayDie if :: deaths < DEATHS -> atomic { deaths++; dead[me] = true }; goto gone :: true fi

proctype worker(byte me) {
    byte seen, i;
    do
    :: index == BYTES -> break
    :: else ->
        atomic { seen = owner; if :: owner == 0 -> owner = me :: else fi };
        if
        :: seen == 0
        :: else ->
#ifdef NO_LOOK
            if :: true fi;
#else
            if :: !dead[seen] -> goto again :: else fi;
#endif
#ifdef PLAIN_RECOVERY
            owner = me;
#else
            atomic { if :: owner == seen -> owner = me :: else -> goto again fi };
#endif
            mayDie;
            i = index;
            tail = i;
            mayDie;
            owner = 0;
            goto again
        fi;
        inHold++;
        assert(inHold == 1);
        i = index;
        if
        :: i < BYTES ->
            if :: deaths < DEATHS -> atomic { inHold--; deaths++; dead[me] = true }; goto gone :: true fi;
            data[i] = HALF_WRITTEN;
            if :: deaths < DEATHS -> atomic { inHold--; deaths++; dead[me] = true }; goto gone :: true fi;
            data[i] = RIGHT(i);
            if :: deaths < DEATHS -> atomic { inHold--; deaths++; dead[me] = true }; goto gone :: true fi;
#ifdef SECTION_FIRST
            tail = i + 1;
#else
            index = i + 1;
#endif
            if :: deaths < DEATHS -> atomic { inHold--; deaths++; dead[me] = true }; goto gone :: true fi;
#ifdef SECTION_FIRST
            index = i + 1;
#else
            tail = i + 1;
#endif
            if :: deaths < DEATHS -> atomic { inHold--; deaths++; dead[me] = true }; goto gone :: true fi
        :: else
        fi;
        atomic { inHold--; owner = 0 };
again:  skip
    od;
gone:
    skip
}

/* The peer: what it has seen once stays true. */
active proctype observer() {
    byte seen, k;
end:
    do
    :: d_step { tail != seen ->
        assert(tail > seen && tail <= BYTES);
        seen = tail;
        k = 0;
        do :: k < seen -> assert(data[k] == RIGHT(k)); k++ :: else -> break od;
        k = 0 }
    od
}

init {
    atomic { run worker(1); run worker(2); run worker(3) };
    /* All bytes were published in the end: at least one worker lives. A dead one's last byte is completed by whoever
       comes next, so only the bytes are counted here. */
    (_nr_pr == 2);
    assert(index == BYTES)
}
