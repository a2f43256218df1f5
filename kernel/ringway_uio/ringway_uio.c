// SPDX-License-Identifier: GPL-2.0
/*
 * Userspace I/O for memory that two virtual machines share, with a doorbell:
 * QEMU's inter-VM shared memory device (ivshmem), and a device-tree node.
 *
 * ivshmem (PCI 1af4:1110): map 0, "ivshmem", is the register page (BAR0);
 * map 1 the shared memory (BAR2).
 *
 * A node with compatible = "ringway,window": map i is the i-th entry of reg.
 * Where reg-names calls an entry "doorbell" it is a page that wakes the peer by
 * whatever store; without reg-names the first entry is the memory and any other
 * a doorbell. The interrupt is optional, and rises when the peer rings.
 *
 *	ringway@50000000 {
 *		compatible = "ringway,window";
 *		reg = <0x0 0x50000000 0x0 0x400000>, <0x0 0x50400000 0x0 0x1000>;
 *		reg-names = "memory", "doorbell";
 *		interrupts = <GIC_SPI 16 IRQ_TYPE_EDGE_RISING>;
 *	};
 *
 * The kernel must not use the memory itself: it lies outside the memory nodes,
 * or in a child of reserved-memory with no-map.
 *
 * Registers and doorbells are mapped uncached, memory as Normal write-back.
 * uio's own mmap would map it uncached. On x86 the kernel weakens that,
 * silently, to UC- where an MTRR calls the range uncachable, as PC firmware does
 * for BARs below 4 GiB: slower and right. So the name of a memory map is "memory"
 * until it has been mapped, and then says what the page tables say: "memory,
 * cached" or "memory, uncached". What a hypervisor's own tables make of it, no
 * guest can see.
 *
 * A 4-byte read() waits for the peer's doorbell. An interrupt masks itself, so
 * that a peer that rings without end costs one interrupt for each write() of a
 * 4-byte 1, which unmasks it; 0 masks it. A doorbell that comes while it is
 * masked is delivered when it is unmasked.
 *
 * Without an interrupt (ivshmem-plain, or none in the node) read() and write()
 * fail with EIO.
 */
#include <linux/bitops.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pgtable.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uio_driver.h>

#define RINGWAY_BAR_REGISTERS	0
#define RINGWAY_BAR_MEMORY	2

/* Bits of ringway_uio.flags. */
#define RINGWAY_IRQ_MASKED	0

/* What uio_mem.name is; compared by address. */
static const char ringway_memory[] = "memory";
static const char ringway_memory_cached[] = "memory, cached";
static const char ringway_memory_uncached[] = "memory, uncached";
static const char ringway_ivshmem[] = "ivshmem";
static const char ringway_doorbell[] = "doorbell";

struct ringway_uio {
	struct uio_info info;
	struct device *dev;
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

/* A reader that died between an interrupt and its write() left it masked. */
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

/* Whether the first page of @vma, which remap_pfn_range() has filled, is mapped write-back. */
static bool ringway_uio_is_cached(struct vm_area_struct *vma)
{
	pgd_t *pgd = pgd_offset(vma->vm_mm, vma->vm_start);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;
	pte_t pte;

	/* mmap_lock is held for writing: these tables stay. */
	if (pgd_none(*pgd))
		return false;
	p4d = p4d_offset(pgd, vma->vm_start);
	if (p4d_none(*p4d))
		return false;
	pud = pud_offset(p4d, vma->vm_start);
	if (pud_none(*pud))
		return false;
	pmd = pmd_offset(pud, vma->vm_start);
	/* remap_pfn_range() makes single pages only. */
	if (pmd_none(*pmd) || pmd_bad(*pmd))
		return false;
	pte = *pte_offset_kernel(pmd, vma->vm_start);
#if defined(CONFIG_X86)
	/* Write-back is the entry of the page attribute table with none of these bits. */
	return pte_present(pte) && !(pte_flags(pte) & _PAGE_CACHE_MASK);
#elif defined(CONFIG_ARM64)
	return pte_present(pte) &&
	       (pte_val(pte) & PTE_ATTRINDX_MASK) == PTE_ATTRINDX(MT_NORMAL);
#else
	return false;
#endif
}

static int ringway_uio_mmap(struct uio_info *info, struct vm_area_struct *vma)
{
	unsigned long size = vma->vm_end - vma->vm_start;
	struct uio_mem *mem;
	bool is_memory;
	int ret;

	/* uio's convention: the offset, in pages, is the number of the map. */
	if (vma->vm_pgoff >= MAX_UIO_MAPS)
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

	is_memory = mem->name != ringway_ivshmem && mem->name != ringway_doorbell;
	if (!is_memory)
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);

	ret = remap_pfn_range(vma, vma->vm_start, mem->addr >> PAGE_SHIFT,
			      size, vma->vm_page_prot);
	if (!ret && is_memory)
		mem->name = ringway_uio_is_cached(vma) ?
			    ringway_memory_cached : ringway_memory_uncached;
	return ret;
}

static int ringway_uio_add_map(struct ringway_uio *ringway, int map,
			       const struct resource *res, const char *name)
{
	struct uio_mem *mem = &ringway->info.mem[map];

	if (!(res->flags & IORESOURCE_MEM) || !resource_size(res))
		return dev_err_probe(ringway->dev, -ENODEV, "%s: %pR is no memory\n", name, res);
	/* A page can only be mapped whole: it must hold nothing of another device. */
	if (!PAGE_ALIGNED(res->start))
		return dev_err_probe(ringway->dev, -EINVAL,
				     "%s: %pR does not start a page\n", name, res);

	mem->name = name;
	mem->addr = res->start;
	mem->size = PAGE_ALIGN(resource_size(res));
	mem->memtype = UIO_MEM_PHYS;
	return 0;
}

static struct ringway_uio *ringway_uio_alloc(struct device *dev)
{
	struct ringway_uio *ringway = devm_kzalloc(dev, sizeof(*ringway), GFP_KERNEL);

	if (!ringway)
		return NULL;
	spin_lock_init(&ringway->lock);
	ringway->dev = dev;
	ringway->info.priv = ringway;
	ringway->info.name = "ringway";
	ringway->info.version = "2";
	ringway->info.open = ringway_uio_open;
	ringway->info.mmap = ringway_uio_mmap;
	ringway->info.irq = UIO_IRQ_NONE;
	return ringway;
}

static int ringway_uio_register(struct ringway_uio *ringway, int irq)
{
	int ret;

	if (irq > 0) {
		ringway->info.irq = irq;
		ringway->info.handler = ringway_uio_handler;
		ringway->info.irqcontrol = ringway_uio_irqcontrol;
	} else {
		dev_info(ringway->dev, "no interrupt (%d): memory without a doorbell\n", irq);
	}

	dev_set_drvdata(ringway->dev, ringway);
	ret = uio_register_device(ringway->dev, &ringway->info);
	if (ret)
		dev_err_probe(ringway->dev, ret, "uio does not take the device\n");
	return ret;
}

static int ringway_uio_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ringway_uio *ringway = ringway_uio_alloc(&pdev->dev);
	int ret;

	if (!ringway)
		return -ENOMEM;
	ret = pcim_enable_device(pdev);
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "the device cannot be enabled\n");
	/* Nobody else, /dev/mem and sysfs included, maps it with another memory type. */
	ret = pci_request_mem_regions(pdev, "ringway_uio");
	if (ret)
		return dev_err_probe(&pdev->dev, ret, "the device's memory is in use\n");

	ret = ringway_uio_add_map(ringway, 0, &pdev->resource[RINGWAY_BAR_REGISTERS],
				  ringway_ivshmem);
	if (ret)
		goto release_regions;
	ret = ringway_uio_add_map(ringway, 1, &pdev->resource[RINGWAY_BAR_MEMORY],
				  ringway_memory);
	if (ret)
		goto release_regions;

	/* MSI-X messages are writes of the device's own. */
	pci_set_master(pdev);
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	ret = ringway_uio_register(ringway, ret > 0 ? pci_irq_vector(pdev, 0) : ret);
	if (ret)
		goto free_vectors;
	return 0;

free_vectors:
	if (ringway->info.irq != UIO_IRQ_NONE)
		pci_free_irq_vectors(pdev);
release_regions:
	pci_release_mem_regions(pdev);
	return ret;
}

static void ringway_uio_pci_remove(struct pci_dev *pdev)
{
	struct ringway_uio *ringway = pci_get_drvdata(pdev);

	uio_unregister_device(&ringway->info);
	if (ringway->info.irq != UIO_IRQ_NONE)
		pci_free_irq_vectors(pdev);
	pci_release_mem_regions(pdev);
}

static const struct pci_device_id ringway_uio_pci_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ringway_uio_pci_ids);

static struct pci_driver ringway_uio_pci_driver = {
	.name = "ringway_uio",
	.id_table = ringway_uio_pci_ids,
	.probe = ringway_uio_pci_probe,
	.remove = ringway_uio_pci_remove,
};

static int ringway_uio_node_probe(struct platform_device *pdev)
{
	struct ringway_uio *ringway = ringway_uio_alloc(&pdev->dev);
	bool is_named = device_property_present(&pdev->dev, "reg-names");
	struct resource *res;
	int map, irq, ret;

	if (!ringway)
		return -ENOMEM;
	irq = platform_get_irq_optional(pdev, 0);
	if (irq == -EPROBE_DEFER)
		return irq;
	for (map = 0; map < MAX_UIO_MAPS; map++) {
		bool is_doorbell;

		res = platform_get_resource(pdev, IORESOURCE_MEM, map);
		if (!res)
			break;
		/* What follows in the last page would be mapped, too, and may be another device's. */
		if (!PAGE_ALIGNED(resource_size(res)))
			return dev_err_probe(&pdev->dev, -EINVAL,
					     "%pR does not end a page: correct the node's reg\n", res);
		is_doorbell = is_named ? !strcmp(res->name, ringway_doorbell) : map > 0;
		ret = ringway_uio_add_map(ringway, map, res,
					  is_doorbell ? ringway_doorbell : ringway_memory);
		if (ret)
			return ret;
		if (!devm_request_mem_region(&pdev->dev, res->start, resource_size(res),
					     "ringway_uio"))
			return dev_err_probe(&pdev->dev, -EBUSY, "%pR is in use\n", res);
	}
	if (!map)
		return dev_err_probe(&pdev->dev, -ENODEV, "the node has no reg\n");

	return ringway_uio_register(ringway, irq);
}

static int ringway_uio_node_remove(struct platform_device *pdev)
{
	struct ringway_uio *ringway = platform_get_drvdata(pdev);

	uio_unregister_device(&ringway->info);
	return 0;
}

static const struct of_device_id ringway_uio_node_ids[] = {
	{ .compatible = "ringway,window" },
	{ }
};
MODULE_DEVICE_TABLE(of, ringway_uio_node_ids);

static struct platform_driver ringway_uio_node_driver = {
	.driver = {
		.name = "ringway_uio",
		.of_match_table = ringway_uio_node_ids,
	},
	.probe = ringway_uio_node_probe,
	.remove = ringway_uio_node_remove,
};

static int __init ringway_uio_init(void)
{
	int ret = platform_driver_register(&ringway_uio_node_driver);

	if (ret)
		return ret;
	ret = pci_register_driver(&ringway_uio_pci_driver);
	if (ret)
		platform_driver_unregister(&ringway_uio_node_driver);
	return ret;
}
module_init(ringway_uio_init);

static void __exit ringway_uio_exit(void)
{
	pci_unregister_driver(&ringway_uio_pci_driver);
	platform_driver_unregister(&ringway_uio_node_driver);
}
module_exit(ringway_uio_exit);

MODULE_DESCRIPTION("Ringway: userspace I/O for memory that virtual machines share");
MODULE_AUTHOR("The Ringway authors");
MODULE_LICENSE("GPL");
