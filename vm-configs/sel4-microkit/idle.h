/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RINGWAY_IDLE_H
#define RINGWAY_IDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The guest has nothing to do until an interrupt comes: `syndrome` is of its fault. True: it is not to be resumed now;
 * idle_end() will. False: the fault is another one, or an interrupt is there already.
 */
bool idle_begin(size_t guest, uint32_t syndrome);

/* The guest may have something to do: an interrupt was injected, or its timer is due. */
void idle_end(size_t guest);

#endif
