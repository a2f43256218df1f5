/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine monitor of one guest. It is built twice, with -DRINGWAY_EXPORTER and -DRINGWAY_IMPORTER; what
 * differs is in layout.h. It loads the guest, handles its faults with libvmm, and carries the doorbell. It
 * has no part in the data: the window is mapped into both guests and into no VMM.
 */
#include <libvmm/arch/aarch64/fault.h>
#include <libvmm/arch/aarch64/linux.h>
#include <libvmm/guest.h>
#include <libvmm/tcb.h>
#include <libvmm/util/util.h>
#include <libvmm/virq.h>
#include <microkit.h>

#include "doorbell.h"
#include "idle.h"
#include "layout.h"
#include "pci.h"

/* Channels, as ringway.system numbers them. */
#define PEER_CHANNEL	1
#define SERIAL_CHANNEL	2
#define TICKER_CHANNEL	3
#define USB_CHANNEL	4

/* The only one; Microkit's `vcpu id="0"`. */
#define GUEST		0

/* The virtual timer's private interrupt. */
#define VIRTUAL_TIMER	27

/* images.S */
extern char guest_kernel[], guest_kernel_end[];
extern char guest_initrd[], guest_initrd_end[];
extern char guest_dtb[], guest_dtb_end[];

/* Microkit writes addresses here: ringway.system, setvar_vaddr. */
uintptr_t guest_memory;
uintptr_t serial_configuration;
#ifdef USB_BASE
uintptr_t usb_configuration;
#endif

static void give_up(const char *why)
{
	LOG_VMM_ERR("%s: the guest " GUEST_NAME " is not started\n", why);
}

/* Devices of the board that are this guest's alone. False: libvmm does not take an interrupt. */
static bool pass_devices(void)
{
	pci_give_address((volatile void *)serial_configuration, PCI_SERIAL_2X, "console", SERIAL_PORT, PCI_IO);
	if (!virq_register_passthrough(GUEST, SPI(SERIAL_SPI), SERIAL_CHANNEL))
		return false;
	/* One may have come before anybody listened. */
	microkit_irq_ack(SERIAL_CHANNEL);
#ifdef USB_BASE
	pci_give_address((volatile void *)usb_configuration, QEMU_XHCI, "USB controller", USB_BASE,
			 PCI_MEMORY | PCI_MASTER);
	if (!virq_register_passthrough(GUEST, SPI(USB_SPI), USB_CHANNEL))
		return false;
	microkit_irq_ack(USB_CHANNEL);
#endif
	return true;
}

void init(void)
{
	uintptr_t entry;

	entry = linux_setup_images(guest_memory, (uintptr_t)guest_kernel, guest_kernel_end - guest_kernel,
				   (uintptr_t)guest_dtb, DTB_BASE, guest_dtb_end - guest_dtb,
				   (uintptr_t)guest_initrd, INITRD_BASE, guest_initrd_end - guest_initrd);
	if (!entry)
		return give_up("its images do not fit its memory");
	if (!virq_controller_init(GUEST))
		return give_up("libvmm has no interrupt controller for it");
	if (!doorbell_init(GUEST, PEER_CHANNEL))
		return give_up("libvmm does not take the doorbell");
	if (!pass_devices())
		return give_up("libvmm does not take a device's interrupt");
	if (!guest_start(GUEST, entry, DTB_BASE, INITRD_BASE))
		return give_up("libvmm cannot start it");
}

void notified(microkit_channel channel)
{
	switch (channel) {
	case PEER_CHANNEL:
		doorbell_rung();
		break;
	case SERIAL_CHANNEL:
	case USB_CHANNEL:
		virq_handle_passthrough(channel);
		idle_end(GUEST);
		break;
	case TICKER_CHANNEL:
		idle_end(GUEST);
		break;
	default:
		LOG_VMM_ERR("notified by a channel that ringway.system does not know: %u\n", channel);
	}
}

/*
 * The virtual timer has fired. seL4 has masked it until it is acknowledged. libvmm acknowledges at once where the guest
 * has the interrupt masked, and as the timer's condition still holds, it then fires again, without end, and the
 * guest gets no further. Without the acknowledgement it stays masked; libvmm makes it up when the guest unmasks.
 */
static void virtual_timer_fired(void)
{
	(void)virq_inject(GUEST, VIRTUAL_TIMER);
}

/*
 * The guest touched the window where it may not: the peer's section, of which ringway-oneway.system gives it a
 * read-only mapping. The guest is not resumed, since there is nothing that its store could have meant.
 */
static void report_stray_access(uintptr_t address, seL4_Word syndrome)
{
	LOG_VMM_ERR("ringway: stray %s by the guest " GUEST_NAME " at 0x%lx (section %c, offset 0x%lx), pc 0x%lx; "
		    "the guest is stopped\n",
		    fault_is_write(syndrome) ? "store" : "load", address,
		    address < WINDOW_BASE + SECTION_SIZE ? 'a' : 'b', (address - WINDOW_BASE) % SECTION_SIZE,
		    microkit_mr_get(seL4_VMFault_IP));
	microkit_vcpu_stop(GUEST);
}

seL4_Bool fault(microkit_child guest, microkit_msginfo message, microkit_msginfo *reply)
{
	bool resume;

	*reply = microkit_msginfo_new(0, 0);
	switch (microkit_msginfo_get_label(message)) {
	case seL4_Fault_VPPIEvent:
		if (microkit_mr_get(seL4_VPPIEvent_IRQ) == VIRTUAL_TIMER) {
			virtual_timer_fired();
			return seL4_True;
		}
		break;
	case seL4_Fault_VCPUFault:
		if (idle_begin(GUEST, microkit_mr_get(seL4_VCPUFault_HSR)))
			return seL4_False;
		break;
	case seL4_Fault_VMFault: {
		uintptr_t address = microkit_mr_get(seL4_VMFault_Addr);

		if (address >= WINDOW_BASE && address < WINDOW_BASE + WINDOW_SIZE) {
			report_stray_access(address, microkit_mr_get(seL4_VMFault_FSR));
			return seL4_False;
		}
		break;
	}
	}
	resume = fault_handle(guest, message);
	return resume ? seL4_True : seL4_False;
}
