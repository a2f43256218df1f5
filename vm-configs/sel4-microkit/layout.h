/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things lie for a guest. Read by the C compiler and, through the preprocessor, by the device tree
 * compiler; ringway.system and ringway-oneway.system say the same to Microkit, and a test compares them.
 *
 * Both guests see the same addresses ("guest-physical"); what differs is which memory is behind them.
 */
#ifndef RINGWAY_LAYOUT_H
#define RINGWAY_LAYOUT_H

/* The VMM sees its guest's memory at the same address: libvmm's loader wants that. */
#define RAM_BASE	0x40000000
#define RAM_SIZE	0x10000000
/* The kernel goes to the start of the memory; the rest of what it is started with, well behind it. */
#define INITRD_BASE	0x48000000
#define DTB_BASE	0x4f000000

/* The shared window: side a's section, then side b's. The VMMs do not see it. */
#define WINDOW_BASE	0x60000000
#define WINDOW_SIZE	0x00400000
#define SECTION_SIZE	0x00200000

/* No memory is behind this page: a store faults, and the fault is the doorbell. */
#define DOORBELL_BASE	0x60400000
#define DOORBELL_SIZE	0x00001000
/* The peer's doorbell: a shared peripheral interrupt (SPI) that no device of the board uses, edge-triggered. */
#define DOORBELL_SPI	48

/*
 * The serial ports of this guest: two 16550s, one behind the other, with one interrupt. On QEMU's `virt` they are a
 * PCI card; the VMM gives it the port SERIAL_PORT, and ports are memory from PORTS_BASE on.
 */
#define PORTS_BASE	0x3eff0000
#define SERIAL_BASE	(PORTS_BASE + SERIAL_PORT)
#define SERIAL_SPACING	8

/* A shared peripheral interrupt's number at the interrupt controller. */
#define SPI(number)	((number) + 32)

#ifdef RINGWAY_EXPORTER
#define GUEST_NAME	"exporter"
#define SERIAL_SPI	4
#define SERIAL_PORT	0x1000
/*
 * The USB controller that the exporter owns, an xHC: on QEMU's `virt` a PCI function, to which the VMM gives this
 * address. It reads and writes memory by itself, at the addresses that the guest tells it: see exporter_ram in
 * ringway.system.
 */
#define USB_BASE	0x10000000
#define USB_SIZE	0x00004000
#define USB_SPI		6
#else
#define GUEST_NAME	"importer"
#define SERIAL_SPI	5
#define SERIAL_PORT	0x2000
#endif

#endif
