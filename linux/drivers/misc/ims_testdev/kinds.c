// SPDX-License-Identifier: GPL-2.0
/* The stores of ims-testdev, of each kind */
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/irqchip/irq-ims-sample.h>
#include <linux/pci.h>

#include "ims_td.h"
#include "wrong_ops.h"

static const struct ims_table_layout ims_td_table_layout = {
	.stride		= IMS_TD_SLOT_SIZE,
	.addr_lo	= IMS_TD_SLOT_ADDR_LO,
	.addr_hi	= IMS_TD_SLOT_ADDR_HI,
	.data		= IMS_TD_SLOT_DATA,
	.ctrl		= IMS_TD_SLOT_CTRL,
	.mask		= IMS_TD_SLOT_CTRL_MASK,
};

/* The address has to be there before the data, which makes it take effect. */
static const struct ims_table_layout ims_td_wide_layout = {
	.stride		= IMS_TD_WIDE_SIZE,
	.addr_lo	= IMS_TD_WIDE_ADDR,
	.data		= IMS_TD_WIDE_DATA,
	.ctrl		= IMS_TD_WIDE_CTRL,
	.flags		= IMS_TABLE_ADDR_64 | IMS_TABLE_MASK_CLEAR,
	.mask		= IMS_TD_WIDE_CTRL_ENABLE,
};

/* A slot table, with what @store asks to be wrong with its description */
static int ims_td_create_table(struct ims_testdev *td, struct ims_td_store *store,
			       void __iomem *base, unsigned int slot_size)
{
	struct ims_table_desc desc = {
		.base		= base,
		.length		= store->nr_slots * slot_size,
		.nr_slots	= store->nr_slots,
		.layout		= &store->layout,
	};

	lockdep_assert_held(&td->lock);

	if (store->flags & IMS_TESTDEV_STORE_ODD_BASE)
		desc.base++;
	if (store->flags & IMS_TESTDEV_STORE_NO_BASE)
		desc.base = NULL;
	if (store->flags & IMS_TESTDEV_STORE_NO_LAYOUT)
		desc.layout = NULL;

	return pci_create_ims_table_store(td->pdev, &desc);
}

static int ims_td_table_create_store(struct ims_testdev *td, struct ims_td_store *store)
{
	void __iomem *base = td->table + store->first * IMS_TD_SLOT_SIZE;

	switch (store->ops) {
	case IMS_TESTDEV_OPS_GENERIC:
		return ims_td_create_table(td, store, base, IMS_TD_SLOT_SIZE);
	case IMS_TESTDEV_OPS_SAMPLE:
		return pci_create_ims_sample_store(td->pdev, base, store->nr_slots);
	default:
		return pci_create_ims_testdev_store(td->pdev, base, store->nr_slots, store->ops);
	}
}

static void ims_td_table_read_slot(struct ims_testdev *td, unsigned int nr,
				   struct ims_testdev_slot *to)
{
	void __iomem *slot = td->table + nr * IMS_TD_SLOT_SIZE;

	lockdep_assert_held(&td->lock);

	to->addr_lo = readl(slot + IMS_TD_SLOT_ADDR_LO);
	to->addr_hi = readl(slot + IMS_TD_SLOT_ADDR_HI);
	to->data = readl(slot + IMS_TD_SLOT_DATA);
	to->ctrl = readl(slot + IMS_TD_SLOT_CTRL);
}

static int ims_td_wide_create_store(struct ims_testdev *td, struct ims_td_store *store)
{
	return ims_td_create_table(td, store, td->wide + store->first * IMS_TD_WIDE_SIZE,
				   IMS_TD_WIDE_SIZE);
}

static void ims_td_wide_read_slot(struct ims_testdev *td, unsigned int nr,
				  struct ims_testdev_slot *to)
{
	void __iomem *slot = td->wide + nr * IMS_TD_WIDE_SIZE;
	u64 addr = readq(slot + IMS_TD_WIDE_ADDR);

	lockdep_assert_held(&td->lock);

	to->addr_lo = lower_32_bits(addr);
	to->addr_hi = upper_32_bits(addr);
	to->data = readl(slot + IMS_TD_WIDE_DATA);
	to->ctrl = readl(slot + IMS_TD_WIDE_CTRL);
}

void *ims_td_mem_slot_addr(struct ims_testdev *td, unsigned int nr)
{
	return td->mem + nr * IMS_TD_SLOT_SIZE;
}

static int ims_td_mem_create_store(struct ims_testdev *td, struct ims_td_store *store)
{
	struct ims_mem_desc desc = {
		.nr_slots	= store->nr_slots,
		.first		= store->first,
		.layout		= &store->layout,
		.notify		= td->regs + IMS_TD_REG_MEM_NOTIFY,
	};

	lockdep_assert_held(&td->lock);

	if (store->flags & IMS_TESTDEV_STORE_BASE) {
		desc.base = ims_td_mem_slot_addr(td, store->first);
		desc.length = store->nr_slots * IMS_TD_SLOT_SIZE;
	}
	if (store->flags & IMS_TESTDEV_STORE_ODD_BASE)
		desc.notify++;
	if (store->flags & IMS_TESTDEV_STORE_NO_BASE)
		desc.notify = NULL;
	if (store->flags & IMS_TESTDEV_STORE_NO_LAYOUT)
		desc.layout = NULL;

	return pci_create_ims_mem_store(td->pdev, &desc);
}

static u32 ims_td_mem_word(struct ims_testdev *td, unsigned int nr, unsigned int offset)
{
	const __le32 *word = ims_td_mem_slot_addr(td, nr) + offset;

	return le32_to_cpu(READ_ONCE(*word));
}

static void ims_td_mem_read_slot(struct ims_testdev *td, unsigned int nr,
				 struct ims_testdev_slot *to)
{
	to->addr_lo = ims_td_mem_word(td, nr, IMS_TD_SLOT_ADDR_LO);
	to->addr_hi = ims_td_mem_word(td, nr, IMS_TD_SLOT_ADDR_HI);
	to->data = ims_td_mem_word(td, nr, IMS_TD_SLOT_DATA);
	to->ctrl = ims_td_mem_word(td, nr, IMS_TD_SLOT_CTRL);
}

static int ims_td_cmd_create_store(struct ims_testdev *td, struct ims_td_store *store)
{
	struct ims_cmd_desc desc = {
		.nr_slots	= store->nr_slots,
		.depth		= store->depth,
		.ops		= &ims_td_cmd_ops,
		.priv		= store,
	};

	lockdep_assert_held(&td->lock);

	if (store->flags & IMS_TESTDEV_STORE_NO_LAYOUT)
		desc.ops = &ims_td_half_cmd_ops;
	if (store->flags & IMS_TESTDEV_STORE_NO_BASE)
		desc.ops = NULL;

	return pci_create_ims_cmd_store(td->pdev, &desc);
}

static void ims_td_cmd_read_slot(struct ims_testdev *td, unsigned int nr,
				 struct ims_testdev_slot *to)
{
	lockdep_assert_held(&td->lock);

	/* Kind and slot are selected. */
	to->ctrl = ims_td_read(td, IMS_TD_REG_CMD_PEEK);
}

static void ims_td_store_free_irq(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	lockdep_assert_held(&td->lock);

	pci_ims_store_free_irq(td->pdev, slot->store, slot->map);
}

static void ims_td_msix_free_irq(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	lockdep_assert_held(&td->lock);

	pci_msix_free_irq(td->pdev, slot->map);
}

#define IMS_TD_TABLE_FLAGS	(IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_NO_LAYOUT |	\
				 IMS_TESTDEV_STORE_NO_BASE | IMS_TESTDEV_STORE_ODD_BASE)

const struct ims_td_kind ims_td_kinds[IMS_TD_NR_KINDS] = {
	[IMS_TD_KIND_MSI]	= {
		.name		= "msi",
		.vectors	= PCI_IRQ_MSI,
	},
	[IMS_TD_KIND_MSIX]	= {
		.name		= "msix",
		.vectors	= PCI_IRQ_MSIX,
		.can_free	= pci_msix_can_alloc_dyn,
		.free_irq	= ims_td_msix_free_irq,
	},
	[IMS_TD_KIND_TABLE]	= {
		.name		= "table",
		.store_flags	= IMS_TD_TABLE_FLAGS | IMS_TESTDEV_STORE_PASID |
				  IMS_TESTDEV_STORE_UNATTENDED,
		.layout		= &ims_td_table_layout,
		.pasid_enable	= IMS_TD_SLOT_CTRL_PASID_EN,
		.pasid_shift	= __builtin_ctz(IMS_TD_SLOT_CTRL_PASID),
		.create_store	= ims_td_table_create_store,
		.free_irq	= ims_td_store_free_irq,
		.read_slot	= ims_td_table_read_slot,
	},
	[IMS_TD_KIND_WIDE]	= {
		.name		= "wide",
		.store_flags	= IMS_TD_TABLE_FLAGS | IMS_TESTDEV_STORE_PASID |
				  IMS_TESTDEV_STORE_UNATTENDED,
		.layout		= &ims_td_wide_layout,
		.pasid_enable	= IMS_TD_WIDE_CTRL_PASID_EN,
		.pasid_shift	= __builtin_ctz(IMS_TD_WIDE_CTRL_PASID),
		.create_store	= ims_td_wide_create_store,
		.free_irq	= ims_td_store_free_irq,
		.read_slot	= ims_td_wide_read_slot,
	},
	[IMS_TD_KIND_MEM]	= {
		.name		= "mem",
		.store_flags	= IMS_TD_TABLE_FLAGS | IMS_TESTDEV_STORE_PASID |
				  IMS_TESTDEV_STORE_BASE,
		.layout		= &ims_td_table_layout,
		.pasid_enable	= IMS_TD_SLOT_CTRL_PASID_EN,
		.pasid_shift	= __builtin_ctz(IMS_TD_SLOT_CTRL_PASID),
		.create_store	= ims_td_mem_create_store,
		.slot_addr	= ims_td_mem_slot_addr,
		.free_irq	= ims_td_store_free_irq,
		.read_slot	= ims_td_mem_read_slot,
	},
	[IMS_TD_KIND_CMD]	= {
		.name		= "cmd",
		.store_flags	= IMS_TESTDEV_STORE_NO_LAYOUT | IMS_TESTDEV_STORE_NO_BASE |
				  IMS_TESTDEV_STORE_PASID,
		.create_store	= ims_td_cmd_create_store,
		.free_irq	= ims_td_store_free_irq,
		.read_slot	= ims_td_cmd_read_slot,
	},
	[IMS_TD_KIND_COPY]	= {
		.name		= "copy",
		.vectors	= PCI_IRQ_MSI,
	},
};
