/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doorbell: a guest stores to a page that has no memory behind it, the store faults into this VMM, this VMM
 * notifies the other one, and that one injects an interrupt into its guest. A doorbell is a hint, so
 * several that come close together may become one, but the last one must not be lost.
 */
#include "doorbell.h"

#include <libvmm/arch/aarch64/fault.h>
#include <libvmm/arch/aarch64/hsr.h>
#include <libvmm/util/util.h>
#include <libvmm/virq.h>
#include <microkit.h>

#include "idle.h"
#include "layout.h"

static size_t own_guest;
static unsigned int peer_channel;

/*
 * libvmm forgets an interrupt that is injected while the guest has not finished the one before (it is "pending" until
 * the guest writes its end-of-interrupt), and one that the guest has masked. So what was rung meanwhile is kept here,
 * and injected when libvmm calls back: at the end of the interrupt before, and when the guest unmasks. It is not tried
 * again at each ring: libvmm logs each refusal, and the peer could fill the log. So a guest that unmasks the interrupt
 * before it switches the distributor on, which Linux does not, would have no doorbell until it unmasks it again.
 */
static enum {
	IDLE,		/* nothing is under way */
	IN_FLIGHT,	/* injected, and not finished by the guest */
	RUNG_AGAIN,	/* and rung since; or rung while masked */
} state = IDLE;

static void inject(void)
{
	state = virq_inject(own_guest, SPI(DOORBELL_SPI)) ? IN_FLIGHT : RUNG_AGAIN;
	idle_end(own_guest);
}

void doorbell_rung(void)
{
	if (state == IDLE)
		inject();
	else
		state = RUNG_AGAIN;
}

/* The guest has finished the interrupt, or has unmasked it. */
static void acknowledged(size_t guest, int interrupt, void *cookie)
{
	bool again = state == RUNG_AGAIN;

	(void)guest;
	(void)interrupt;
	(void)cookie;
	state = IDLE;
	if (again)
		inject();
}

/* An access to the page. A load reads 0, whatever its width; a store rings, whatever its value. */
static bool accessed(size_t guest, size_t offset, size_t syndrome, seL4_UserContext *registers, void *cookie)
{
	(void)guest;
	(void)cookie;
	if (fault_is_write(syndrome)) {
		microkit_notify(peer_channel);
		return true;
	}
	/* A load whose register the processor does not report (a pair, an exclusive): nothing sensible can be answered. */
	if (!HSR_IS_SYNDROME_VALID(syndrome)) {
		LOG_VMM_ERR("load of an unusual kind from the doorbell page\n");
		return false;
	}
	fault_emulate_write(registers, DOORBELL_BASE + offset, syndrome, 0);
	return true;
}

bool doorbell_init(size_t guest, unsigned int peer)
{
	own_guest = guest;
	peer_channel = peer;
	return virq_register(guest, SPI(DOORBELL_SPI), acknowledged, NULL) &&
	       fault_register_vm_exception_handler(DOORBELL_BASE, DOORBELL_SIZE, accessed, NULL);
}
