/* SPDX-License-Identifier: Apache-2.0 */
/* What a VMM tells the ticker: when its guest's timer is due. A page each: the VMM writes, the ticker reads. */
#ifndef RINGWAY_DEADLINE_H
#define RINGWAY_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/* In counts of the generic timer's counter; written and read whole. */
typedef volatile uint64_t deadline_t;

/* What the page holds before anything is written to it. */
#define NO_DEADLINE	0

/* The counter. seL4 lets programs read it (KernelArmExportPCNTUser), and a guest's virtual counter is the same. */
static inline uint64_t counter(void)
{
	uint64_t value;

	asm volatile("isb; mrs %0, cntpct_el0" : "=r"(value) :: "memory");
	return value;
}

static inline bool is_due(uint64_t deadline)
{
	return deadline != NO_DEADLINE && deadline <= counter();
}

#endif
