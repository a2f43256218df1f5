/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Where things lie. Read by the C compiler and, through the preprocessor, by CAmkES and the device tree compiler, so
 * the numbers are bare: no suffix, no arithmetic that CAmkES would have to do.
 *
 * A guest's memory lies where the guest believes it to be ("one to one"): a device that reads and writes memory by
 * itself then needs no IOMMU. seL4 keeps the first 512 MiB of qemu-arm-virt for that.
 */
#ifndef RINGWAY_LAYOUT_H
#define RINGWAY_LAYOUT_H

#define EXPORTER_RAM_BASE	0x40000000
#define EXPORTER_INITRD_BASE	0x48000000
#define EXPORTER_DTB_BASE	0x4f000000
#define IMPORTER_RAM_BASE	0x50000000
#define IMPORTER_INITRD_BASE	0x58000000
#define IMPORTER_DTB_BASE	0x5f000000
/* The kernel goes to the start of it: since Linux 5.8 an arm64 Image wants no offset, but 2 MiB of alignment. */
#define RAM_SIZE		0x10000000
/* RAM_SIZE as a power of two, for untyped_mmios. */
#define RAM_BITS		28

/*
 * A dataport holds one side's section. Each connection takes twice its dataport of the guest's PCI memory, since the
 * VMM reports its event page with the dataport's size; on qemu-arm-virt that memory is 16 MiB from CONNECTIONS_BASE.
 */
#define SECTION_SIZE		0x200000
#define CONNECTIONS_BASE	0xdf000000

/*
 * QEMU's `virt` with highmem=off has PCI's configuration space and its ports as memory at these places. Each guest's
 * serial ports, its console and the rig's command channel, are a card in its own slot: two 16550s, one behind the
 * other, with one interrupt. The VMM gives the card its place among the ports.
 */
#define PCI_CONFIGURATION_BASE	0x3f000000
#define SERIAL_SPACING		8
#define SERIAL_PORT_MASK	0xffff

#define EXPORTER_SLOT		1
#define EXPORTER_CONFIGURATION	0x3f008000
#define EXPORTER_SERIAL_BASE	0x3eff1000
#define EXPORTER_SERIAL_SPI	4
#define EXPORTER_SERIAL_IRQ	36
#define IMPORTER_SLOT		2
#define IMPORTER_CONFIGURATION	0x3f010000
#define IMPORTER_SERIAL_BASE	0x3eff2000
#define IMPORTER_SERIAL_SPI	5
#define IMPORTER_SERIAL_IRQ	37

/* The USB controller that the exporter owns, an xHC: a PCI function, to which the VMM gives this address. */
#define USB_CONFIGURATION	0x3f018000
#define USB_BASE		0x10000000
#define USB_SIZE		0x4000
#define USB_BITS		14
#define USB_SPI			6
#define USB_IRQ			38

#endif
