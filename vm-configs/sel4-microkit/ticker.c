/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells a VMM that its idle guest's timer is due, so that neither VMM depends on the other one for that, nor on what
 * the other one's guest does. It needs no timer of the board: its scheduling budget is given anew each `period` of
 * ringway.system, and by yielding it gives up the rest. So it runs once a period, and a guest's timer is late by one
 * period at most.
 */
#include <microkit.h>

#include "deadline.h"

/* Channels, as ringway.system numbers them. */
#define EXPORTER_CHANNEL	1
#define IMPORTER_CHANNEL	2

/* Microkit writes addresses here: ringway.system, setvar_vaddr. */
deadline_t *exporter_deadline;
deadline_t *importer_deadline;

void init(void)
{
	for (;;) {
		if (is_due(*exporter_deadline))
			microkit_notify(EXPORTER_CHANNEL);
		if (is_due(*importer_deadline))
			microkit_notify(IMPORTER_CHANNEL);
		seL4_Yield();
	}
}

void notified(microkit_channel channel)
{
	(void)channel;
}
