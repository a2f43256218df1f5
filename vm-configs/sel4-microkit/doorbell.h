/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RINGWAY_DOORBELL_H
#define RINGWAY_DOORBELL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Watches the doorbell page of the guest `guest`, whose stores go to `peer`, a channel to the other VMM.
 * False: libvmm does not take the page or the interrupt.
 */
bool doorbell_init(size_t guest, unsigned int peer);

/* The peer's VMM has said that its guest rang. */
void doorbell_rung(void);

#endif
