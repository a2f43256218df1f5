/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's `virt` has its devices on PCI, and no firmware runs before seL4 that would give them addresses. The few that
 * a guest is given get theirs from the guest's VMM, once, and the guest knows them as plain devices at a fixed place.
 * On a board whose devices have fixed places this file has no part.
 */
#include "pci.h"

#include <libvmm/util/util.h>

/* PCI Local Bus Specification 3.0, 6.1 and 6.2.5: the header of a function's configuration space. */
#define IDENTIFIER	0x00
#define COMMAND		0x04
#define BAR0		0x10
#define BAR_IS_IO	0x1

static volatile uint32_t *word(volatile void *configuration, unsigned int offset)
{
	return (volatile uint32_t *)((volatile char *)configuration + offset);
}

void pci_give_address(volatile void *configuration, uint32_t identifier, const char *what, uint32_t address,
		      uint32_t command)
{
	uint32_t found = *word(configuration, IDENTIFIER);

	if (found != identifier) {
		LOG_VMM("the guest has no %s: its slot holds 0x%x\n", what, found);
		return;
	}
	/* A base address of 64 bits has its upper half behind it, which is 0 after a reset. */
	*word(configuration, BAR0) = address | (command & PCI_IO ? BAR_IS_IO : 0);
	*word(configuration, COMMAND) = command;
}
