/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * QEMU's `virt` has its devices on PCI, and no firmware runs before seL4 that would give them addresses. The few that
 * a guest is given get theirs from the guest's VMM, once, and the guest knows them as plain devices at a fixed place.
 * On a board whose devices have fixed places this file has no part.
 */
#include <camkes.h>
#include <platsupport/io.h>
#include <sel4vm/guest_vm.h>
#include <sel4vmmplatsupport/device.h>
#include <sel4vmmplatsupport/device_utils.h>
#include <utils/util.h>
#include <vmlinux.h>

#include "layout.h"

#define PAGE		0x1000

/* PCI Local Bus Specification 3.0, 6.1 and 6.2.5: the header of a function's configuration space. */
#define COMMAND		0x04
#define BAR0		0x10
#define BAR_IS_IO	0x1
/* What a function may do once it has its address. */
#define MAY_IO		0x1
#define MAY_MEMORY	0x2
#define MAY_MASTER	0x4

/* Vendor and device, as the first word has them: QEMU, docs/specs/pci-ids.rst. */
#define PCI_SERIAL_2X	0x00031b36
#define QEMU_XHCI	0x000d1b36

static bool give_address(vm_t *vm, uintptr_t configuration, uint32_t identifier, const char *what, uint32_t address,
			 uint32_t command)
{
	volatile uint32_t *header = ps_io_map(&vm->io_ops->io_mapper, configuration, PAGE, 0, PS_MEM_NORMAL);

	ZF_LOGF_IF(!header, "ringway: the configuration space of the %s is not this VM's", what);
	if (header[0] != identifier) {
		printf("ringway: %s has no %s: its slot holds 0x%x\n", get_instance_name(), what, header[0]);
		return false;
	}
	/* A base address of 64 bits has its upper half behind it, which is 0 after a reset. */
	header[BAR0 / 4] = address;
	header[COMMAND / 4] = command;
	return true;
}

static void pass_through(vm_t *vm, const char *name, uintptr_t base, size_t size)
{
	struct device device = { .name = name, .pstart = base, .size = size };
	int err = vm_install_passthrough_device(vm, &device);

	ZF_LOGF_IF(err, "ringway: the %s is not this VM's", name);
}

static void init(vm_t *vm, void *cookie)
{
	uint32_t port = (serial_base & SERIAL_PORT_MASK) | BAR_IS_IO;

	if (give_address(vm, serial_configuration, PCI_SERIAL_2X, "serial card", port, MAY_IO)) {
		pass_through(vm, "serial card", serial_base, PAGE);
	}
	if (usb_base && give_address(vm, usb_configuration, QEMU_XHCI, "USB controller", usb_base,
				     MAY_MEMORY | MAY_MASTER)) {
		pass_through(vm, "USB controller", usb_base, USB_SIZE);
	}
	printf("ringway: %s has its devices\n", get_instance_name());
}

DEFINE_MODULE(ringway_devices, NULL, init)
