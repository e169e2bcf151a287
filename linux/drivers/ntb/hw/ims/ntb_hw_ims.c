// SPDX-License-Identifier: GPL-2.0-only
/*
 * NTB driver for the ims-ntb test device
 *
 * The device is virtual and for tests only. docs/specs/ims-ntb.rst in QEMU's source
 * is its specification.
 *
 * There is nothing to lock: each operation is an access to one register, those of
 * doorbells set or clear single bits, and the window translations of a port belong
 * to the one client that is bound to it. So doorbells and scratchpads can be
 * accessed from any context, as clients do when the message of an interrupt changes.
 */

#include <linux/bits.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>
#include <linux/ntb.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "ims_ntb_regs.h"

/* The first vectors are the driver's own, the others are left to ntb_msi */
enum {
	IMS_NTB_VECTOR_LINK,
	IMS_NTB_VECTOR_DB,
	IMS_NTB_OWN_VECTORS,
};

struct ims_ntb {
	struct ntb_dev		ntb;
	void __iomem		*regs;
	resource_size_t		window_size;
};

static struct ims_ntb *to_ims_ntb(struct ntb_dev *ntb)
{
	return container_of(ntb, struct ims_ntb, ntb);
}

static u32 ims_ntb_read(struct ntb_dev *ntb, unsigned int reg)
{
	return ioread32(to_ims_ntb(ntb)->regs + reg);
}

static void ims_ntb_write(struct ntb_dev *ntb, unsigned int reg, u32 value)
{
	iowrite32(value, to_ims_ntb(ntb)->regs + reg);
}

/*
 * The ports are alike and each one is in a PCI hierarchy of its own, as far as the
 * device knows: like those of a crosslink, both have number 0.
 */
static int ims_ntb_port_number(struct ntb_dev *ntb)
{
	return NTB_PORT_PRI_USD;
}

static int ims_ntb_peer_port_count(struct ntb_dev *ntb)
{
	return NTB_DEF_PEER_CNT;
}

static int ims_ntb_peer_port_number(struct ntb_dev *ntb, int pidx)
{
	return pidx == NTB_DEF_PEER_IDX ? NTB_PORT_PRI_USD : -EINVAL;
}

static int ims_ntb_peer_port_idx(struct ntb_dev *ntb, int port)
{
	return port == NTB_PORT_PRI_USD ? NTB_DEF_PEER_IDX : -EINVAL;
}

static u64 ims_ntb_link_is_up(struct ntb_dev *ntb, enum ntb_speed *speed,
			      enum ntb_width *width)
{
	bool up = ims_ntb_read(ntb, IMS_NTB_REG_LINK_STATUS) & IMS_NTB_LINK_STATUS_UP;

	/* There are no lanes */
	if (speed)
		*speed = NTB_SPEED_NONE;
	if (width)
		*width = NTB_WIDTH_NONE;
	return up ? BIT_ULL(NTB_DEF_PEER_IDX) : 0;
}

static int ims_ntb_link_enable(struct ntb_dev *ntb, enum ntb_speed max_speed,
			       enum ntb_width max_width)
{
	ims_ntb_write(ntb, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
	return 0;
}

static int ims_ntb_link_disable(struct ntb_dev *ntb)
{
	ims_ntb_write(ntb, IMS_NTB_REG_LINK_CTRL, 0);
	return 0;
}

static int ims_ntb_mw_count(struct ntb_dev *ntb, int pidx)
{
	return pidx == NTB_DEF_PEER_IDX ? IMS_NTB_NR_WINDOWS : 0;
}

static bool ims_ntb_mw_valid(int pidx, int widx)
{
	return pidx == NTB_DEF_PEER_IDX && widx >= 0 && widx < IMS_NTB_NR_WINDOWS;
}

static int ims_ntb_mw_get_align(struct ntb_dev *ntb, int pidx, int widx,
				resource_size_t *addr_align, resource_size_t *size_align,
				resource_size_t *size_max)
{
	struct ims_ntb *ndev = to_ims_ntb(ntb);

	if (!ims_ntb_mw_valid(pidx, widx))
		return -EINVAL;

	if (addr_align)
		*addr_align = ndev->window_size;
	if (size_align)
		*size_align = 1;
	if (size_max)
		*size_max = ndev->window_size;
	return 0;
}

static void ims_ntb_mw_set(struct ntb_dev *ntb, int widx, u64 addr, u32 size)
{
	/* Closed while the address is neither the old one nor the new one */
	ims_ntb_write(ntb, IMS_NTB_REG_XLAT_SIZE(widx), 0);
	ims_ntb_write(ntb, IMS_NTB_REG_XLAT_LO(widx), lower_32_bits(addr));
	ims_ntb_write(ntb, IMS_NTB_REG_XLAT_HI(widx), upper_32_bits(addr));
	ims_ntb_write(ntb, IMS_NTB_REG_XLAT_SIZE(widx), size);
	/* The caller may tell the peer, or free what the window was open to */
	ims_ntb_read(ntb, IMS_NTB_REG_XLAT_SIZE(widx));
}

static int ims_ntb_mw_set_trans(struct ntb_dev *ntb, int pidx, int widx, dma_addr_t addr,
				resource_size_t size)
{
	struct ims_ntb *ndev = to_ims_ntb(ntb);

	if (!ims_ntb_mw_valid(pidx, widx) || !IS_ALIGNED(addr, ndev->window_size) ||
	    size > ndev->window_size)
		return -EINVAL;

	ims_ntb_mw_set(ntb, widx, addr, size);
	return 0;
}

static int ims_ntb_mw_clear_trans(struct ntb_dev *ntb, int pidx, int widx)
{
	if (!ims_ntb_mw_valid(pidx, widx))
		return -EINVAL;

	ims_ntb_mw_set(ntb, widx, 0, 0);
	return 0;
}

static int ims_ntb_peer_mw_count(struct ntb_dev *ntb)
{
	return IMS_NTB_NR_WINDOWS;
}

static int ims_ntb_peer_mw_get_addr(struct ntb_dev *ntb, int widx, phys_addr_t *base,
				    resource_size_t *size)
{
	if (!ims_ntb_mw_valid(NTB_DEF_PEER_IDX, widx))
		return -EINVAL;

	if (base)
		*base = pci_resource_start(ntb->pdev, IMS_NTB_BAR_WINDOW(widx));
	if (size)
		*size = pci_resource_len(ntb->pdev, IMS_NTB_BAR_WINDOW(widx));
	return 0;
}

static u64 ims_ntb_db_valid_mask(struct ntb_dev *ntb)
{
	return GENMASK_ULL(IMS_NTB_NR_DOORBELLS - 1, 0);
}

static int ims_ntb_db_vector_count(struct ntb_dev *ntb)
{
	return 1;
}

static u64 ims_ntb_db_vector_mask(struct ntb_dev *ntb, int db_vector)
{
	return db_vector ? 0 : ims_ntb_db_valid_mask(ntb);
}

static int ims_ntb_db_write(struct ntb_dev *ntb, unsigned int reg, u64 db_bits)
{
	if (db_bits & ~ims_ntb_db_valid_mask(ntb))
		return -EINVAL;

	ims_ntb_write(ntb, reg, db_bits);
	return 0;
}

static u64 ims_ntb_db_read(struct ntb_dev *ntb)
{
	return ims_ntb_read(ntb, IMS_NTB_REG_DB);
}

static int ims_ntb_db_set(struct ntb_dev *ntb, u64 db_bits)
{
	return ims_ntb_db_write(ntb, IMS_NTB_REG_DB_SET, db_bits);
}

static int ims_ntb_db_clear(struct ntb_dev *ntb, u64 db_bits)
{
	return ims_ntb_db_write(ntb, IMS_NTB_REG_DB_CLEAR, db_bits);
}

static u64 ims_ntb_db_read_mask(struct ntb_dev *ntb)
{
	return ims_ntb_read(ntb, IMS_NTB_REG_DB_MASK);
}

static int ims_ntb_db_set_mask(struct ntb_dev *ntb, u64 db_bits)
{
	return ims_ntb_db_write(ntb, IMS_NTB_REG_DB_MASK_SET, db_bits);
}

static int ims_ntb_db_clear_mask(struct ntb_dev *ntb, u64 db_bits)
{
	return ims_ntb_db_write(ntb, IMS_NTB_REG_DB_MASK_CLEAR, db_bits);
}

static int ims_ntb_peer_db_addr(struct ntb_dev *ntb, phys_addr_t *db_addr,
				resource_size_t *db_size, u64 *db_data, int db_bit)
{
	if (db_bit < 0 || db_bit >= IMS_NTB_NR_DOORBELLS)
		return -EINVAL;

	if (db_addr)
		*db_addr = pci_resource_start(ntb->pdev, IMS_NTB_BAR_REGS) +
			   IMS_NTB_REG_PEER_DB_SET;
	if (db_size)
		*db_size = sizeof(u32);
	if (db_data)
		*db_data = BIT_ULL(db_bit);
	return 0;
}

static u64 ims_ntb_peer_db_read(struct ntb_dev *ntb)
{
	return ims_ntb_read(ntb, IMS_NTB_REG_PEER_DB);
}

static int ims_ntb_peer_db_set(struct ntb_dev *ntb, u64 db_bits)
{
	return ims_ntb_db_write(ntb, IMS_NTB_REG_PEER_DB_SET, db_bits);
}

static int ims_ntb_peer_db_clear(struct ntb_dev *ntb, u64 db_bits)
{
	return ims_ntb_db_write(ntb, IMS_NTB_REG_PEER_DB_CLEAR, db_bits);
}

static u64 ims_ntb_peer_db_read_mask(struct ntb_dev *ntb)
{
	return ims_ntb_read(ntb, IMS_NTB_REG_PEER_DB_MASK);
}

static int ims_ntb_peer_db_set_mask(struct ntb_dev *ntb, u64 db_bits)
{
	return ims_ntb_db_write(ntb, IMS_NTB_REG_PEER_DB_MASK_SET, db_bits);
}

static int ims_ntb_peer_db_clear_mask(struct ntb_dev *ntb, u64 db_bits)
{
	return ims_ntb_db_write(ntb, IMS_NTB_REG_PEER_DB_MASK_CLEAR, db_bits);
}

static bool ims_ntb_spad_valid(int pidx, int sidx)
{
	return pidx == NTB_DEF_PEER_IDX && sidx >= 0 && sidx < IMS_NTB_NR_SPADS;
}

static int ims_ntb_spad_count(struct ntb_dev *ntb)
{
	return IMS_NTB_NR_SPADS;
}

/* Clients take all ones for a scratchpad that can't be read */
static u32 ims_ntb_spad_read(struct ntb_dev *ntb, int sidx)
{
	if (!ims_ntb_spad_valid(NTB_DEF_PEER_IDX, sidx))
		return ~0U;

	return ims_ntb_read(ntb, IMS_NTB_REG_SPAD(sidx));
}

static int ims_ntb_spad_write(struct ntb_dev *ntb, int sidx, u32 val)
{
	if (!ims_ntb_spad_valid(NTB_DEF_PEER_IDX, sidx))
		return -EINVAL;

	ims_ntb_write(ntb, IMS_NTB_REG_SPAD(sidx), val);
	return 0;
}

static int ims_ntb_peer_spad_addr(struct ntb_dev *ntb, int pidx, int sidx,
				  phys_addr_t *spad_addr)
{
	if (!ims_ntb_spad_valid(pidx, sidx))
		return -EINVAL;

	if (spad_addr)
		*spad_addr = pci_resource_start(ntb->pdev, IMS_NTB_BAR_REGS) +
			     IMS_NTB_REG_PEER_SPAD(sidx);
	return 0;
}

static u32 ims_ntb_peer_spad_read(struct ntb_dev *ntb, int pidx, int sidx)
{
	if (!ims_ntb_spad_valid(pidx, sidx))
		return ~0U;

	return ims_ntb_read(ntb, IMS_NTB_REG_PEER_SPAD(sidx));
}

static int ims_ntb_peer_spad_write(struct ntb_dev *ntb, int pidx, int sidx, u32 val)
{
	if (!ims_ntb_spad_valid(pidx, sidx))
		return -EINVAL;

	ims_ntb_write(ntb, IMS_NTB_REG_PEER_SPAD(sidx), val);
	return 0;
}

static const struct ntb_dev_ops ims_ntb_ops = {
	.port_number		= ims_ntb_port_number,
	.peer_port_count	= ims_ntb_peer_port_count,
	.peer_port_number	= ims_ntb_peer_port_number,
	.peer_port_idx		= ims_ntb_peer_port_idx,
	.link_is_up		= ims_ntb_link_is_up,
	.link_enable		= ims_ntb_link_enable,
	.link_disable		= ims_ntb_link_disable,
	.mw_count		= ims_ntb_mw_count,
	.mw_get_align		= ims_ntb_mw_get_align,
	.mw_set_trans		= ims_ntb_mw_set_trans,
	.mw_clear_trans		= ims_ntb_mw_clear_trans,
	.peer_mw_count		= ims_ntb_peer_mw_count,
	.peer_mw_get_addr	= ims_ntb_peer_mw_get_addr,
	.db_valid_mask		= ims_ntb_db_valid_mask,
	.db_vector_count	= ims_ntb_db_vector_count,
	.db_vector_mask		= ims_ntb_db_vector_mask,
	.db_read		= ims_ntb_db_read,
	.db_set			= ims_ntb_db_set,
	.db_clear		= ims_ntb_db_clear,
	.db_read_mask		= ims_ntb_db_read_mask,
	.db_set_mask		= ims_ntb_db_set_mask,
	.db_clear_mask		= ims_ntb_db_clear_mask,
	.peer_db_addr		= ims_ntb_peer_db_addr,
	.peer_db_read		= ims_ntb_peer_db_read,
	.peer_db_set		= ims_ntb_peer_db_set,
	.peer_db_clear		= ims_ntb_peer_db_clear,
	.peer_db_read_mask	= ims_ntb_peer_db_read_mask,
	.peer_db_set_mask	= ims_ntb_peer_db_set_mask,
	.peer_db_clear_mask	= ims_ntb_peer_db_clear_mask,
	.spad_count		= ims_ntb_spad_count,
	.spad_read		= ims_ntb_spad_read,
	.spad_write		= ims_ntb_spad_write,
	.peer_spad_addr		= ims_ntb_peer_spad_addr,
	.peer_spad_read		= ims_ntb_peer_spad_read,
	.peer_spad_write	= ims_ntb_peer_spad_write,
};

static irqreturn_t ims_ntb_link_isr(int irq, void *data)
{
	struct ims_ntb *ndev = data;

	ntb_link_event(&ndev->ntb);
	return IRQ_HANDLED;
}

static irqreturn_t ims_ntb_db_isr(int irq, void *data)
{
	struct ims_ntb *ndev = data;

	ntb_db_event(&ndev->ntb, 0);
	return IRQ_HANDLED;
}

static int ims_ntb_request_irqs(struct ims_ntb *ndev)
{
	static const struct {
		irq_handler_t handler;
		const char *name;
		unsigned int reg;
	} own[IMS_NTB_OWN_VECTORS] = {
		[IMS_NTB_VECTOR_LINK] = { ims_ntb_link_isr, "link", IMS_NTB_REG_LINK_VECTOR },
		[IMS_NTB_VECTOR_DB] = { ims_ntb_db_isr, "doorbell", IMS_NTB_REG_DB_VECTOR },
	};
	struct pci_dev *pdev = ndev->ntb.pdev;
	unsigned int vector;
	int ret;

	for (vector = 0; vector < IMS_NTB_OWN_VECTORS; vector++) {
		ret = pci_request_irq(pdev, vector, own[vector].handler, NULL, ndev,
				      "%s-%s:%s", KBUILD_MODNAME, own[vector].name,
				      pci_name(pdev));
		if (ret)
			goto free_irqs;
		ims_ntb_write(&ndev->ntb, own[vector].reg, vector);
	}
	return 0;

free_irqs:
	while (vector--)
		pci_free_irq(pdev, vector, ndev);
	return ret;
}

static void ims_ntb_free_irqs(struct ims_ntb *ndev)
{
	unsigned int vector = IMS_NTB_OWN_VECTORS;

	while (vector--)
		pci_free_irq(ndev->ntb.pdev, vector, ndev);
}

static int ims_ntb_check(struct ims_ntb *ndev)
{
	struct pci_dev *pdev = ndev->ntb.pdev;
	u32 version;
	int i;

	version = ims_ntb_read(&ndev->ntb, IMS_NTB_REG_VERSION);
	if (ims_ntb_read(&ndev->ntb, IMS_NTB_REG_ID) != IMS_NTB_ID ||
	    version >> 16 != IMS_NTB_VERSION >> 16) {
		pci_err(pdev, "not an ims-ntb of version %u\n", IMS_NTB_VERSION >> 16);
		return -ENODEV;
	}

	ndev->window_size = ims_ntb_read(&ndev->ntb, IMS_NTB_REG_WINDOW_SIZE);
	for (i = 0; i < IMS_NTB_NR_WINDOWS; i++) {
		if (pci_resource_len(pdev, IMS_NTB_BAR_WINDOW(i)) != ndev->window_size) {
			pci_err(pdev, "window %d is not as large as the device says\n", i);
			return -ENODEV;
		}
	}
	return 0;
}

static int ims_ntb_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ims_ntb *ndev;
	int ret;

	ret = pci_enable_device(pdev);
	if (ret)
		return ret;

	ret = pci_request_regions(pdev, KBUILD_MODNAME);
	if (ret)
		goto disable_device;

	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		goto release_regions;

	ndev = kzalloc(sizeof(*ndev), GFP_KERNEL);
	if (!ndev) {
		ret = -ENOMEM;
		goto release_regions;
	}
	ndev->ntb.pdev = pdev;
	ndev->ntb.topo = NTB_TOPO_CROSSLINK;
	ndev->ntb.ops = &ims_ntb_ops;

	ndev->regs = pci_iomap(pdev, IMS_NTB_BAR_REGS, 0);
	if (!ndev->regs) {
		ret = -ENOMEM;
		goto free_ndev;
	}

	ret = ims_ntb_check(ndev);
	if (ret)
		goto unmap_regs;

	pci_set_drvdata(pdev, ndev);
	pci_set_master(pdev);

	ret = pci_alloc_irq_vectors(pdev, IMS_NTB_OWN_VECTORS, pci_msix_vec_count(pdev),
				    PCI_IRQ_MSIX);
	if (ret < 0)
		goto clear_master;

	/* A kernel before this one can have left them as they were */
	ims_ntb_link_disable(&ndev->ntb);
	ims_ntb_db_set_mask(&ndev->ntb, ims_ntb_db_valid_mask(&ndev->ntb));

	ret = ims_ntb_request_irqs(ndev);
	if (ret)
		goto free_vectors;

	ret = ntb_register_device(&ndev->ntb);
	if (ret)
		goto free_irqs;

	return 0;

free_irqs:
	ims_ntb_free_irqs(ndev);
free_vectors:
	pci_free_irq_vectors(pdev);
clear_master:
	pci_clear_master(pdev);
unmap_regs:
	pci_iounmap(pdev, ndev->regs);
free_ndev:
	kfree(ndev);
release_regions:
	pci_release_regions(pdev);
disable_device:
	pci_disable_device(pdev);
	return ret;
}

static void ims_ntb_remove(struct pci_dev *pdev)
{
	struct ims_ntb *ndev = pci_get_drvdata(pdev);

	ntb_unregister_device(&ndev->ntb);
	ims_ntb_link_disable(&ndev->ntb);
	ims_ntb_db_set_mask(&ndev->ntb, ims_ntb_db_valid_mask(&ndev->ntb));
	ims_ntb_free_irqs(ndev);
	pci_free_irq_vectors(pdev);
	pci_clear_master(pdev);
	pci_iounmap(pdev, ndev->regs);
	kfree(ndev);
	pci_release_regions(pdev);
	pci_disable_device(pdev);
}

static const struct pci_device_id ims_ntb_ids[] = {
	{ PCI_DEVICE(IMS_NTB_PCI_VENDOR, IMS_NTB_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ims_ntb_ids);

static struct pci_driver ims_ntb_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= ims_ntb_ids,
	.probe		= ims_ntb_probe,
	.remove		= ims_ntb_remove,
};
module_pci_driver(ims_ntb_driver);

MODULE_DESCRIPTION("NTB driver for the ims-ntb test device");
MODULE_LICENSE("GPL");
