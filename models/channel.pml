// SPDX-License-Identifier: Apache-2.0
/*
 * A channel that is opened and closed from both sides (Channel.swift): records, incarnations, bytes under way.
 *
 * Checked: a byte is read only in the connection that it was written in (assertions); no record ever shows what a
 * correct peer cannot show, which would be a fault and cost the channel (assertions); a side that was told "closed
 * in order", or an end before a reset, had every byte read, and its peer had finished; both sides come to rest closed in one incarnation, whoever opened, refused, finished
 * or reset at whatever step (ltl settled).
 * Bounds: CONNECTIONS incarnations of one channel, BYTES bytes each way in each, a ring of BYTES; either side may
 * finish, and reset, at every step, also both at once. The record's fields are read behind its state, one after the
 * other, as in PeerRecord.load; every access is a step.
 * Broken variants, each of which must fail: EARLY_REUSE (a channel is opened again before the peer shows it closed),
 * NO_INCARNATION (a record of another incarnation counts), ZEROED_INDEX (a connection starts at 0 and not where the
 * ring stands), STATE_FIRST (the state is published before the fields that it vouches for), FINISH_OVERTAKES (the end
 * is told without the final index), STALE_FINAL (a connection begins with the final index of the one before).
 * Run time: some forty seconds; 9 million states.
 */
#ifndef CONNECTIONS
#define CONNECTIONS 2
#endif
#define BYTES 1

#define CLOSED 0
#define OPEN 1
#define ACCEPTED 2
#define ESTABLISHED 3
#define FINISHED 4
#define RESET 5
#define REFUSED 6

/* The records. Side 0 opens, side 1 accepts. */
byte number[2], state[2], start[2], final[2];
/* The last connection in which a side has finished: nobody reads it. */
byte hasEnded[2];
/* The rings, by who writes: all bytes of all time, each the number of the connection that it was written in. */
byte tail[2], head[2];
byte data0[4], data1[4];
/* What a side knows of itself; `rests` is for the ltl formula. */
bool rests[2];

#ifdef STALE_FINAL
#define beforeTheStart skip
#else
#define beforeTheStart final[me] = tail[me] - 1
#endif
#define publish(s) atomic { mine = s; number[me] = incarnation; state[me] = s }
#define forget atomic { established = false; hasFinal = false; pending = false }
#define fault assert(false)
#ifdef EARLY_REUSE
#define peerShowsClosed true
#else
#define peerShowsClosed (state[1] == CLOSED && number[1] == incarnation)
#endif

proctype side(byte me) {
    byte mine, incarnation, written, opened, peerStart, peerFinal;
    bool established, hasFinal, pending, gaveUp, waited;
    byte seenNumber, seenState, seenStart, seenFinal, ahead;
    do
    :: true ->
        /* Look at the peer's record: state and number at once, then the fields. */
        atomic { seenNumber = number[1 - me]; seenState = state[1 - me] };
        seenStart = start[1 - me];
        seenFinal = final[1 - me];
        if
        :: mine == CLOSED && seenNumber == incarnation && pending && seenState != OPEN ->
            /* The opener gave up before it was answered. */
            if :: seenState != RESET -> fault :: else fi;
            pending = false;
            publish(CLOSED)
        :: mine == CLOSED && seenNumber != incarnation ->
            if
            :: me == 0 -> fault
            :: else ->
                if
                :: seenState == OPEN ->
                    forget;
                    atomic {
                        incarnation = seenNumber;
                        peerStart = seenStart;
                        pending = true;
                        gaveUp = false;
                        waited = false;
                        written = 0
                    }
                :: seenState == RESET -> incarnation = seenNumber; publish(CLOSED)
                :: else -> fault
                fi
            fi
        :: mine == OPEN ->
#ifdef NO_INCARNATION
            if
            :: false
#else
            if
            :: seenNumber != incarnation -> if :: seenState != CLOSED -> fault :: else fi
#endif
            :: else ->
                if
                :: seenState == ACCEPTED || seenState == FINISHED ->
                    head[me] = seenStart;
                    established = true;
                    publish(ESTABLISHED)
                :: seenState == REFUSED || seenState == RESET || seenState == CLOSED -> publish(CLOSED)
                :: else -> fault
                fi
            fi
        :: mine == ACCEPTED || mine == ESTABLISHED || mine == FINISHED ->
            if
            :: seenNumber != incarnation -> fault
            :: else ->
                if
                :: seenState == OPEN && me == 1 && !established
                :: seenState == ACCEPTED && me == 0 -> goto ended
                :: seenState == ESTABLISHED && me == 1 ->
                    if :: established -> goto ended :: else -> established = true fi
                :: seenState == FINISHED ->
                    if
                    :: !established -> established = true
                    :: established && hasFinal -> if :: peerFinal != seenFinal -> fault :: else fi; goto ended
                    :: else -> atomic {
#ifdef FINISH_OVERTAKES
                        peerFinal = head[me];
#else
                        peerFinal = seenFinal;
#endif
                        hasFinal = true }
                    fi
                :: seenState == RESET ->
                    /* RESET may have overwritten FINISHED. What came before it is passed on, as far as there is room. */
                    ahead = seenFinal - head[me];
                    forget;
                    publish(CLOSED);
                    do
                    :: head[me] != tail[1 - me] ->
                        if
                        :: me == 0 -> assert(data1[head[0]] == incarnation)
                        :: else -> assert(data0[head[1]] == incarnation)
                        fi;
                        head[me] = head[me] + 1
                    :: true -> break
                    od;
                    if
                    :: ahead <= BYTES && head[me] == seenFinal ->
                        assert(hasEnded[1 - me] == incarnation && head[me] == tail[1 - me])
                    :: else
                    fi;
                    ahead = 0
                :: seenState == CLOSED ->
                    /* FINISHED may have been overwritten: the final index stands. In order, or bytes are missing. */
                    if
                    :: mine == FINISHED && (hasFinal -> peerFinal : seenFinal) == head[me] ->
                        assert(head[me] == tail[1 - me])
                    :: else
                    fi;
                    forget;
                    publish(CLOSED)
                :: else -> fault
                fi
            fi
        :: (mine == RESET || mine == REFUSED) && seenNumber == incarnation &&
            (seenState == CLOSED || seenState == RESET || seenState == REFUSED) -> forget; publish(CLOSED)
        :: else
        fi;
        goto act;
ended:
        /* Both directions have ended, and both sides have read everything. */
        if
        :: mine == FINISHED && hasFinal && peerFinal == head[me] && head[1 - me] == tail[me] ->
            assert(head[me] == tail[1 - me]);
            forget;
            publish(CLOSED)
        :: else
        fi;
act:
        atomic { seenNumber = 0; seenState = 0; seenStart = 0; seenFinal = 0 };
        if
        /* The connection is given up, at any step. */
        :: !gaveUp && mine != RESET && (mine != CLOSED || pending) -> gaveUp = true; forget; publish(RESET)
        :: me == 0 && mine == CLOSED && opened < CONNECTIONS && peerShowsClosed ->
            forget;
            atomic { incarnation++; opened++; gaveUp = false; written = 0 };
            beforeTheStart;
#ifdef STATE_FIRST
            publish(OPEN);
            start[0] = tail[0]
#else
#ifdef ZEROED_INDEX
            start[0] = 0;
#else
            start[0] = tail[0];
#endif
            publish(OPEN)
#endif
        /* The local service cannot take it yet. */
        :: pending && !waited -> waited = true
        :: pending ->
            pending = false;
            if
            :: head[1] = peerStart; start[1] = tail[1]; beforeTheStart; publish(ACCEPTED)
            :: publish(REFUSED)
            fi
        :: established && mine != FINISHED && written < BYTES ->
            if :: me == 0 -> data0[tail[0]] = incarnation :: else -> data1[tail[1]] = incarnation fi;
            written++;
            tail[me] = tail[me] + 1
        :: established && mine != FINISHED -> final[me] = tail[me]; hasEnded[me] = incarnation; publish(FINISHED)
        :: established && head[me] != tail[1 - me] && !(hasFinal && head[me] == peerFinal) ->
            if
            :: me == 0 -> assert(data1[head[0]] == incarnation)
            :: else -> assert(data0[head[1]] == incarnation)
            fi;
            head[me] = head[me] + 1
        :: else
        fi;
        rests[me] = mine == CLOSED && !pending && (me == 1 || opened == CONNECTIONS)
    od
}

init { atomic { run side(0); run side(1) } }

ltl settled { <>[] (rests[0] && rests[1] && number[0] == number[1]) }
