// SPDX-License-Identifier: Apache-2.0
/*
 * The link of two agents (Link.swift): epochs, acknowledgements, and who may change a section when.
 *
 * Checked: a side that is up reads a section that was set up for the epoch that it acknowledged, and never one that
 * changed under its eyes (assertions); when nobody fails any more, both are up and stay so (ltl settled).
 * Bounds: CRASHES agents that die at any step and start again knowing nothing, and RESTARTS declarations that the peer is
 * gone (right or wrong, at any step). Epochs are never used again, as 30 random bits nearly are. The link word is read and
 * written at once.
 * Broken variants, each of which must fail: EARLY_RESET (the section is set up when the agent starts), NO_RESTART (a new
 * epoch of the peer is acknowledged without dropping what was), UP_EARLY (up without waiting for READY).
 * Run time: some ten seconds.
 */
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif

#define DOWN 0
#define RESET 1
#define READY 2
#define UP 3

/* The words in the headers. */
byte state[2], epoch[2], acknowledged[2];
/* For which epoch the channel pages are set up. */
byte section[2];
/* The agents' own knowledge. */
byte phase[2], own[2], known[2];
byte crashes, restarts, lastEpoch;

inline publish(s) { atomic { state[me] = s; epoch[me] = own[me]; acknowledged[me] = known[me] } }

inline start() {
    atomic { lastEpoch++; own[me] = lastEpoch };
    phase[me] = RESET;
    publish(RESET);
#ifdef EARLY_RESET
    section[me] = own[me];
#endif
}

proctype agent(byte me) {
    byte seenState, seenEpoch, seenAcknowledged;
    start();
    do
    :: true ->
        if
        /* The agent dies; another one starts, and knows nothing. */
        :: crashes < CRASHES -> atomic { crashes++; known[me] = 0; phase[me] = RESET }; start()
        /* The peer is declared gone. */
        :: restarts < RESTARTS && phase[me] != RESET -> restarts++; start()
        :: true
        fi;
        /* What an agent that is up does: it reads the peer's section. */
        if :: phase[me] == UP -> assert(section[1 - me] == known[me]) :: else fi;
        /* It looks at the peer's header. */
        atomic {
            seenState = state[1 - me];
            seenEpoch = epoch[1 - me];
            seenAcknowledged = acknowledged[1 - me]
        };
        if
        :: phase[me] == RESET && seenState != DOWN && seenEpoch != 0 ->
            if :: seenEpoch != known[me] -> known[me] = seenEpoch; publish(RESET) :: else fi;
            if
            :: seenAcknowledged == own[me] ->
#ifndef EARLY_RESET
                section[me] = own[me];
#endif
                phase[me] = READY;
                publish(READY)
            :: else
            fi
        :: phase[me] != RESET ->
            if
#ifdef NO_RESTART
            :: seenState != DOWN && seenEpoch != known[me] -> known[me] = seenEpoch; publish(READY)
#endif
            :: seenState == DOWN || seenAcknowledged != own[me] || seenEpoch != known[me] -> start()
            :: else ->
                if
                :: phase[me] == READY && seenState == READY -> phase[me] = UP
#ifdef UP_EARLY
                :: phase[me] == READY && seenState == RESET -> phase[me] = UP
#endif
                :: phase[me] == UP && seenState == RESET -> start()
                :: else
                fi
            fi
        :: else
        fi;
        /* So that a state is the same however it was reached. */
        atomic { seenState = 0; seenEpoch = 0; seenAcknowledged = 0 }
    od
}

init { atomic { run agent(0); run agent(1) } }

ltl settled { <>[] (phase[0] == UP && phase[1] == UP) }
