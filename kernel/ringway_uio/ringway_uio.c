// SPDX-License-Identifier: GPL-2.0
/*
 * Userspace I/O for QEMU's inter-VM shared memory device (ivshmem).
 *
 * Map 0, "doorbell": the register page (BAR0), uncached.
 * Map 1, "memory": the shared memory (BAR2), cached, Normal write-back. uio's
 * own mmap would map it uncached. On x86 the kernel weakens that, silently, to
 * UC- where an MTRR calls the range uncachable, as PC firmware does for BARs
 * below 4 GiB: slower and right. A BAR above 4 GiB is mapped write-back.
 *
 * A 4-byte read() waits for the peer's doorbell, one MSI-X vector. An interrupt
 * masks itself, so that a peer that rings without end costs one interrupt for
 * each write() of a 4-byte 1, which unmasks it; 0 masks it. A doorbell that comes
 * while the vector is masked is delivered when it is unmasked.
 *
 * ivshmem-plain has no doorbell and no vector: read() and write() fail with EIO.
 */
#include <linux/bitops.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/uio_driver.h>

#define RINGWAY_BAR_REGISTERS	0
#define RINGWAY_BAR_MEMORY	2

#define RINGWAY_MAP_DOORBELL	0
#define RINGWAY_MAP_MEMORY	1

/* Bits of ringway_uio.flags. */
#define RINGWAY_IRQ_MASKED	0

struct ringway_uio {
	struct uio_info info;
	struct pci_dev *pdev;
	/* Guards RINGWAY_IRQ_MASKED together with the state of the interrupt line. */
	spinlock_t lock;
	unsigned long flags;
};

static irqreturn_t ringway_uio_handler(int irq, struct uio_info *info)
{
	struct ringway_uio *ringway = info->priv;

	spin_lock(&ringway->lock);
	/* disable_irq() would wait for this very handler. */
	if (!__test_and_set_bit(RINGWAY_IRQ_MASKED, &ringway->flags))
		disable_irq_nosync(irq);
	spin_unlock(&ringway->lock);

	return IRQ_HANDLED;
}

static int ringway_uio_irqcontrol(struct uio_info *info, s32 irq_on)
{
	struct ringway_uio *ringway = info->priv;
	unsigned long state;

	/*
	 * The bit keeps enable and disable balanced whatever order writers and
	 * interrupts come in. The nosync form, since the handler takes the lock
	 * that is held here.
	 */
	spin_lock_irqsave(&ringway->lock, state);
	if (irq_on) {
		if (__test_and_clear_bit(RINGWAY_IRQ_MASKED, &ringway->flags))
			enable_irq(info->irq);
	} else {
		if (!__test_and_set_bit(RINGWAY_IRQ_MASKED, &ringway->flags))
			disable_irq_nosync(info->irq);
	}
	spin_unlock_irqrestore(&ringway->lock, state);

	return 0;
}

/* A reader that died between an interrupt and its write() left the vector masked. */
static int ringway_uio_open(struct uio_info *info, struct inode *inode)
{
	return info->irq == UIO_IRQ_NONE ? 0 : ringway_uio_irqcontrol(info, 1);
}

/* The peer writes this memory: nobody shall run it. */
static int ringway_uio_mprotect(struct vm_area_struct *vma, unsigned long start,
				unsigned long end, unsigned long newflags)
{
	return newflags & VM_EXEC ? -EACCES : 0;
}

static const struct vm_operations_struct ringway_uio_vm_ops = {
	.mprotect = ringway_uio_mprotect,
#ifdef CONFIG_HAVE_IOREMAP_PROT
	.access = generic_access_phys,
#endif
};

static int ringway_uio_mmap(struct uio_info *info, struct vm_area_struct *vma)
{
	unsigned long size = vma->vm_end - vma->vm_start;
	struct uio_mem *mem;

	/* uio's convention: the offset, in pages, is the number of the map. */
	if (vma->vm_pgoff > RINGWAY_MAP_MEMORY)
		return -EINVAL;
	mem = &info->mem[vma->vm_pgoff];
	if (!mem->size || size > mem->size)
		return -EINVAL;
	/* A private mapping would copy pages that the peer then never sees. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	vma->vm_ops = &ringway_uio_vm_ops;

	if (vma->vm_pgoff == RINGWAY_MAP_DOORBELL)
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);

	return remap_pfn_range(vma, vma->vm_start, mem->addr >> PAGE_SHIFT,
			       size, vma->vm_page_prot);
}

static int ringway_uio_map_bar(struct ringway_uio *ringway, int map, int bar,
			       const char *name)
{
	struct pci_dev *pdev = ringway->pdev;
	resource_size_t start = pci_resource_start(pdev, bar);
	resource_size_t length = pci_resource_len(pdev, bar);
	struct uio_mem *mem = &ringway->info.mem[map];

	if (!(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) || !length)
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "no memory behind BAR%d (%s)\n", bar, name);
	/* A page can only be mapped whole: it must hold nothing of another device. */
	if (!PAGE_ALIGNED(start))
		return dev_err_probe(&pdev->dev, -EINVAL,
				     "BAR%d (%s) at %pa does not start a page\n",
				     bar, name, &start);

	mem->name = name;
	mem->addr = start;
	mem->size = PAGE_ALIGN(length);
	mem->memtype = UIO_MEM_PHYS;
	return 0;
}

static int ringway_uio_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ringway_uio *ringway;
	int ret;

	ringway = devm_kzalloc(&pdev->dev, sizeof(*ringway), GFP_KERNEL);
	if (!ringway)
		return -ENOMEM;
	spin_lock_init(&ringway->lock);
	ringway->pdev = pdev;
	ringway->info.priv = ringway;
	ringway->info.name = "ringway";
	ringway->info.version = "1";
	ringway->info.open = ringway_uio_open;
	ringway->info.mmap = ringway_uio_mmap;
	ringway->info.irq = UIO_IRQ_NONE;

	ret = pcim_enable_device(pdev);
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "the device cannot be enabled\n");
	/* Nobody else, /dev/mem and sysfs included, maps it with another memory type. */
	ret = pci_request_mem_regions(pdev, "ringway_uio");
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "the device's memory is in use\n");

	ret = ringway_uio_map_bar(ringway, RINGWAY_MAP_DOORBELL,
				  RINGWAY_BAR_REGISTERS, "doorbell");
	if (ret)
		goto release_regions;
	ret = ringway_uio_map_bar(ringway, RINGWAY_MAP_MEMORY,
				  RINGWAY_BAR_MEMORY, "memory");
	if (ret)
		goto release_regions;

	/* MSI-X messages are writes of the device's own. */
	pci_set_master(pdev);
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	if (ret > 0) {
		ringway->info.irq = pci_irq_vector(pdev, 0);
		ringway->info.handler = ringway_uio_handler;
		ringway->info.irqcontrol = ringway_uio_irqcontrol;
	} else {
		dev_info(&pdev->dev, "no interrupt vector (%d): memory without a doorbell\n", ret);
	}

	pci_set_drvdata(pdev, ringway);
	ret = uio_register_device(&pdev->dev, &ringway->info);
	if (ret) {
		dev_err_probe(&pdev->dev, ret, "uio does not take the device\n");
		goto free_vectors;
	}
	return 0;

free_vectors:
	if (ringway->info.irq != UIO_IRQ_NONE)
		pci_free_irq_vectors(pdev);
release_regions:
	pci_release_mem_regions(pdev);
	return ret;
}

static void ringway_uio_remove(struct pci_dev *pdev)
{
	struct ringway_uio *ringway = pci_get_drvdata(pdev);

	uio_unregister_device(&ringway->info);
	if (ringway->info.irq != UIO_IRQ_NONE)
		pci_free_irq_vectors(pdev);
	pci_release_mem_regions(pdev);
}

static const struct pci_device_id ringway_uio_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ringway_uio_ids);

static struct pci_driver ringway_uio_driver = {
	.name = "ringway_uio",
	.id_table = ringway_uio_ids,
	.probe = ringway_uio_probe,
	.remove = ringway_uio_remove,
};
module_pci_driver(ringway_uio_driver);

MODULE_DESCRIPTION("Ringway: userspace I/O for inter-VM shared memory (ivshmem)");
MODULE_AUTHOR("The Ringway authors");
MODULE_LICENSE("GPL");
