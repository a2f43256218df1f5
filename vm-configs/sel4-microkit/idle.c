/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that is idle executes WFI, which traps into this VMM. libvmm would resume it at once, and it would trap
 * again, until its turn on the processor is over; the other guest, if it has just been woken, would wait for that. So
 * it is held instead, and the processor is free at once. It is resumed when an interrupt is injected, and when its
 * virtual timer is due: seL4 does not watch the timer of a guest that does not run, so the ticker (ticker.c) does.
 * Resuming repeats the WFI: it traps again unless an interrupt is there by then. (A guest that waits with interrupts
 * unmasked takes the interrupt, comes back to the WFI and is held again; Linux's idle loop masks them.)
 */
#include "idle.h"

#include <libvmm/arch/aarch64/hsr.h>
#include <microkit.h>

#include "deadline.h"

/* Of a trapped WFI or WFE (Arm Architecture Reference Manual, ESR_ELx, "TI"): bit 0 is set for WFE. */
#define IS_WFE(syndrome)	((syndrome) & 1)

/* CNTV_CTL_EL0 */
#define TIMER_ENABLE		1
#define TIMER_MASKED		2

/* Microkit writes the address here: ringway.system, setvar_vaddr. */
deadline_t *own_deadline;

static bool is_held;
/* An interrupt came when the guest was not held: it may have been on its way to be. */
static bool was_ended;

static uint64_t timer_deadline(size_t guest)
{
	uint64_t control = microkit_vcpu_arm_read_reg(guest, seL4_VCPUReg_CNTV_CTL);

	if ((control & (TIMER_ENABLE | TIMER_MASKED)) != TIMER_ENABLE)
		return NO_DEADLINE;
	return microkit_vcpu_arm_read_reg(guest, seL4_VCPUReg_CNTV_CVAL);
}

bool idle_begin(size_t guest, uint32_t syndrome)
{
	uint64_t deadline;

	if (HSR_EXCEPTION_CLASS(syndrome) != HSR_WFx_EXCEPTION || IS_WFE(syndrome))
		return false;
	deadline = timer_deadline(guest);
	if (was_ended || is_due(deadline)) {
		was_ended = false;
		return false;
	}
	/* Takes back the fault, too: one that is merely left unanswered makes seL4's debug build complain each time. */
	microkit_vcpu_stop(guest);
	is_held = true;
	*own_deadline = deadline;
	return true;
}

void idle_end(size_t guest)
{
	if (!is_held) {
		was_ended = true;
		return;
	}
	*own_deadline = NO_DEADLINE;
	is_held = false;
	seL4_TCB_Resume(BASE_VM_TCB_CAP + guest);
}
