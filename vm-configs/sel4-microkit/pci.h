/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RINGWAY_PCI_H
#define RINGWAY_PCI_H

#include <stdint.h>

/* What a function may do once it has its address: bits of its command register. */
#define PCI_IO		0x0001
#define PCI_MEMORY	0x0002
#define PCI_MASTER	0x0004

/* Vendor and device, as one word of the configuration space: QEMU, docs/specs/pci-ids.rst. */
#define PCI_SERIAL_2X	0x00031b36
#define QEMU_XHCI	0x000d1b36

/*
 * Gives the function whose configuration space is mapped at `configuration` the address `address` and lets it do what
 * `command` says. Where it is not the function `identifier`, says that the guest has no `what`, and does nothing.
 */
void pci_give_address(volatile void *configuration, uint32_t identifier, const char *what, uint32_t address,
		      uint32_t command);

#endif
