// SPDX-License-Identifier: GPL-2.0
/*
 * Issues PCI interrupt calls for a test, on the base and on the series.
 *
 * It compiles on both, so it has nothing but calls that both have, and it holds
 * no opinion on what they return: tests/compare/msi_compare.c writes that down,
 * and scripts/imslib/compare.py compares what two kernels have written.
 *
 * It binds by driver_override alone. One mutex per device guards everything but
 * the handlers' counters.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#ifdef MSI_COMPARE_HAS_IMS
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/msi_api.h>
#endif

#include "ims_testdev_regs.h"
#include "msi_compare.h"

/* A bound for sizes that user space gives: no device has more MSI-X entries */
#define MAX_VECTORS	4096
#define IMS_SLOTS	64

struct mc_handler {
	unsigned int		irq;
	atomic_t		received;
	unsigned int		cpu;
	char			name[24];
};

struct mc_dev {
	struct mutex		lock; /* see above */
	struct pci_dev		*pdev;
	void __iomem		*regs;
	void __iomem		*table;
	void __iomem		*msix;
	struct miscdevice	misc;
	struct mc_handler	*handlers;
};

static irqreturn_t mc_handle(int irq, void *data)
{
	struct mc_handler *h = data;

	h->cpu = smp_processor_id();
	atomic_inc_return_release(&h->received);
	return IRQ_HANDLED;
}

static u32 mc_sent(struct mc_dev *mc, u32 kind, u32 slot)
{
	writel(kind, mc->regs + IMS_TD_REG_SEL_KIND);
	/* The core lets drivers have virtual vectors, beyond the device's table */
	if (slot >= readl(mc->regs + IMS_TD_REG_KIND_SLOTS))
		return 0;
	writel(slot, mc->regs + IMS_TD_REG_SEL_SLOT);
	return readl(mc->regs + IMS_TD_REG_SLOT_SENT);
}

/* Bounded: an interrupt that has not come by then is lost */
static void mc_wait(struct mc_handler *h, int before, u32 wait)
{
	ktime_t end = ktime_add_ms(ktime_get(), wait);

	while (atomic_read_acquire(&h->received) == before && ktime_before(ktime_get(), end))
		cond_resched();
}

static void mc_fire(struct mc_dev *mc, u32 kind, u32 slot, struct mc_handler *h, u32 wait)
{
	int before = atomic_read(&h->received);
	u32 sent = mc_sent(mc, kind, slot);

	writel(slot, mc->regs + IMS_TD_REG_FIRE_DB(kind));
	/* The message is out when the read returns, or the device has kept it */
	if (mc_sent(mc, kind, slot) != sent)
		mc_wait(h, before, wait);
}

static void mc_slot(struct mc_dev *mc, struct msi_compare_slots *arg, struct msi_compare_slot *s)
{
	struct mc_handler *h;
	int before;

	s->ret = -ENOENT;
	if (s->slot >= MAX_VECTORS)
		return;
	h = &mc->handlers[s->slot];
	if ((arg->op == MSI_COMPARE_REQUEST) == !!h->irq)
		return;

	s->ret = 0;
	switch (arg->op) {
	case MSI_COMPARE_REQUEST:
		atomic_set(&h->received, 0);
		h->cpu = UINT_MAX;
		snprintf(h->name, sizeof(h->name), "msi_compare-%u", s->slot);
		s->ret = request_irq(s->irq, mc_handle, 0, h->name, h);
		if (!s->ret)
			h->irq = s->irq;
		break;
	case MSI_COMPARE_FIRE:
		mc_fire(mc, arg->kind, s->slot, h, arg->wait);
		break;
	case MSI_COMPARE_DISABLE_IRQ:
		disable_irq(h->irq);
		break;
	case MSI_COMPARE_ENABLE_IRQ:
		before = atomic_read(&h->received);
		enable_irq(h->irq);
		mc_wait(h, before, arg->wait);
		break;
	case MSI_COMPARE_FREE:
		free_irq(h->irq, h);
		h->irq = 0;
		break;
	default:
		s->ret = -EINVAL;
	}
	s->received = atomic_read_acquire(&h->received);
	s->cpu = h->cpu;
	s->sent = mc_sent(mc, arg->kind, s->slot);
}

static long mc_slots(struct mc_dev *mc, struct msi_compare_slots *arg)
{
	struct msi_compare_slot __user *user = u64_to_user_ptr(arg->slots);
	u32 i;

	if (arg->kind > IMS_TD_KIND_MSIX)
		return -EINVAL;
	for (i = 0; i < arg->count; i++) {
		struct msi_compare_slot s;

		if (copy_from_user(&s, &user[i], sizeof(s)))
			return -EFAULT;
		mc_slot(mc, arg, &s);
		if (copy_to_user(&user[i], &s, sizeof(s)))
			return -EFAULT;
	}
	return 0;
}

static long mc_vectors(struct mc_dev *mc, struct msi_compare_vectors *arg)
{
	struct msi_compare_vector __user *user = u64_to_user_ptr(arg->vectors);
	__u32 __user *indices = u64_to_user_ptr(arg->indices);
	u32 i, nr;

	for (i = 0; i < arg->count; i++) {
		struct msi_compare_vector v = {};

		if (get_user(nr, &indices[i]))
			return -EFAULT;
		v.irq = pci_irq_vector(mc->pdev, nr);
		if (v.irq > 0) {
			const struct cpumask *mask = pci_irq_get_affinity(mc->pdev, nr);
			struct irq_data *data = irq_get_irq_data(v.irq);

			v.hint = mask ? cpumask_bits(mask)[0] : 0;
			v.managed = data && irqd_affinity_is_managed(data);
		}
		if (copy_to_user(&user[i], &v, sizeof(v)))
			return -EFAULT;
	}
	return 0;
}

/*
 * About as NVMe does it: what doesn't divide goes to the last set, and no set has
 * more vectors than there are CPUs, of which group_cpus_evenly() warns.
 */
static void mc_calc_sets(struct irq_affinity *affd, unsigned int nvecs)
{
	unsigned int want = (unsigned long)affd->priv, i;

	affd->nr_sets = max(1U, min(want, nvecs));
	for (i = 0; i < affd->nr_sets; i++)
		affd->set_size[i] = nvecs / affd->nr_sets;
	affd->set_size[affd->nr_sets - 1] += nvecs % affd->nr_sets;
	for (i = 0; i < affd->nr_sets; i++)
		affd->set_size[i] = min(affd->set_size[i], num_possible_cpus());
}

/* What D3cold does to a device, as far as messages go */
static void mc_lose(struct mc_dev *mc)
{
	struct pci_dev *pdev = mc->pdev;
	int i, count = pci_msix_vec_count(pdev);
	u16 flags;

	if (pdev->msi_cap) {
		pci_read_config_word(pdev, pdev->msi_cap + PCI_MSI_FLAGS, &flags);
		pci_write_config_word(pdev, pdev->msi_cap + PCI_MSI_FLAGS, 0);
		pci_write_config_dword(pdev, pdev->msi_cap + PCI_MSI_ADDRESS_LO, 0);
		pci_write_config_word(pdev, pdev->msi_cap +
				      (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 :
				       PCI_MSI_DATA_32), 0);
	}
	if (pdev->msix_cap) {
		pci_write_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, 0);
		for (i = 0; i < count; i++) {
			void __iomem *entry = mc->msix + i * PCI_MSIX_ENTRY_SIZE;

			writel(PCI_MSIX_ENTRY_CTRL_MASKBIT, entry + PCI_MSIX_ENTRY_VECTOR_CTRL);
			writel(0, entry + PCI_MSIX_ENTRY_LOWER_ADDR);
			writel(0, entry + PCI_MSIX_ENTRY_UPPER_ADDR);
			writel(0, entry + PCI_MSIX_ENTRY_DATA);
		}
	}
}

#ifdef MSI_COMPARE_HAS_IMS
static const struct ims_table_layout mc_layout = {
	.stride		= IMS_TD_SLOT_SIZE,
	.addr_lo	= IMS_TD_SLOT_ADDR_LO,
	.addr_hi	= IMS_TD_SLOT_ADDR_HI,
	.data		= IMS_TD_SLOT_DATA,
	.ctrl		= IMS_TD_SLOT_CTRL,
	.mask		= IMS_TD_SLOT_CTRL_MASK,
};

static int mc_ims(struct mc_dev *mc, u32 count)
{
	struct ims_table_desc desc = {
		.base		= mc->table,
		.length		= IMS_SLOTS * IMS_TD_SLOT_SIZE,
		.nr_slots	= IMS_SLOTS,
		.layout		= &mc_layout,
	};
	struct mc_handler *h = kzalloc(sizeof(*h), GFP_KERNEL);
	int id, ret = 0;
	u32 i;

	if (!h)
		return -ENOMEM;
	id = pci_create_ims_table_store(mc->pdev, &desc);
	if (id < 0) {
		ret = id;
		goto free_handler;
	}
	for (i = 0; i < count; i++) {
		union msi_instance_cookie cookie = {};
		struct msi_map map = pci_ims_alloc_irq(mc->pdev, &cookie, NULL);

		if (map.index < 0) {
			ret = map.index;
			break;
		}
		atomic_set(&h->received, 0);
		if (!request_irq(map.virq, mc_handle, 0, "msi_compare-ims", h)) {
			mc_fire(mc, IMS_TD_KIND_TABLE, map.index, h, 10000);
			free_irq(map.virq, h);
			if (atomic_read(&h->received) == 1)
				ret++;
		}
		pci_ims_free_irq(mc->pdev, map);
	}
	pci_remove_ims_store(mc->pdev, id);
free_handler:
	kfree(h);
	return ret;
}
#else
static int mc_ims(struct mc_dev *mc, u32 count)
{
	return -ENOTTY;
}
#endif

static int mc_msix_range(struct mc_dev *mc, struct msi_compare_call *c)
{
	struct msi_compare_entry __user *user = u64_to_user_ptr(c->entries);
	struct msix_entry *entries = NULL;
	int ret = 0;
	u32 i;

	if (c->entries) {
		entries = kvcalloc(c->nr_entries, sizeof(*entries), GFP_KERNEL);
		if (!entries)
			return -ENOMEM;
		for (i = 0; i < c->nr_entries && !ret; i++) {
			u32 nr = 0;

			ret = get_user(nr, &user[i].entry);
			entries[i].entry = nr;
		}
		if (ret)
			goto free_entries;
	}

	if (c->op == MSI_COMPARE_ENABLE_MSIX_EXACT)
		c->ret = pci_enable_msix_exact(mc->pdev, entries, c->max);
	else
		c->ret = pci_enable_msix_range(mc->pdev, entries, c->min, c->max);

	for (i = 0; entries && i < c->nr_entries && !ret; i++)
		ret = put_user(entries[i].vector, &user[i].vector);
free_entries:
	kvfree(entries);
	return ret;
}

static int mc_breaches(struct mc_dev *mc, u32 code)
{
	u32 count = 0;

	if (code < IMS_TD_NR_BREACHES)
		count = readl(mc->regs + IMS_TD_REG_BREACH_BY_CODE(code));
	else
		writel(1, mc->regs + IMS_TD_REG_BREACH_CLEAR);
	return min_t(u32, count, INT_MAX);
}

static long mc_call(struct mc_dev *mc, struct msi_compare_call *c)
{
	struct pci_dev *pdev = mc->pdev;
	struct irq_affinity affd = {
		.pre_vectors	= c->pre,
		.post_vectors	= c->post,
		.calc_sets	= c->nr_sets ? mc_calc_sets : NULL,
		.priv		= (void *)(unsigned long)c->nr_sets,
	};
	long ret = 0;

	if (c->nr_sets > IRQ_AFFINITY_MAX_SETS || c->nr_entries > MAX_VECTORS)
		return -EINVAL;

	c->ret = 0;
	switch (c->op) {
	case MSI_COMPARE_ALLOC:
		c->ret = pci_alloc_irq_vectors(pdev, c->min, c->max, c->flags);
		break;
	case MSI_COMPARE_ALLOC_AFFINITY:
		c->ret = pci_alloc_irq_vectors_affinity(pdev, c->min, c->max, c->flags,
							c->affd ? &affd : NULL);
		break;
	case MSI_COMPARE_FREE_VECTORS:
		pci_free_irq_vectors(pdev);
		break;
	case MSI_COMPARE_ENABLE_MSI:
		c->ret = pci_enable_msi(pdev);
		break;
	case MSI_COMPARE_DISABLE_MSI:
		pci_disable_msi(pdev);
		break;
	case MSI_COMPARE_ENABLE_MSIX_RANGE:
	case MSI_COMPARE_ENABLE_MSIX_EXACT:
		ret = mc_msix_range(mc, c);
		break;
	case MSI_COMPARE_DISABLE_MSIX:
		pci_disable_msix(pdev);
		break;
	case MSI_COMPARE_MSI_COUNT:
		c->ret = pci_msi_vec_count(pdev);
		break;
	case MSI_COMPARE_MSIX_COUNT:
		c->ret = pci_msix_vec_count(pdev);
		break;
	case MSI_COMPARE_VECTOR:
		c->ret = pci_irq_vector(pdev, c->min);
		break;
	case MSI_COMPARE_SAVE:
		c->ret = pci_save_state(pdev);
		break;
	case MSI_COMPARE_RESTORE:
		pci_restore_state(pdev);
		break;
	case MSI_COMPARE_LOSE:
		mc_lose(mc);
		break;
	case MSI_COMPARE_BREACHES:
		c->ret = mc_breaches(mc, c->min);
		break;
	case MSI_COMPARE_RESET:
		writel(1, mc->regs + IMS_TD_REG_RESET);
		break;
	case MSI_COMPARE_IMS:
		c->ret = mc_ims(mc, c->max);
		break;
	default:
		ret = -EINVAL;
	}
	c->msi = pdev->msi_enabled;
	c->msix = pdev->msix_enabled;
	c->irq = pdev->irq;
	return ret;
}

static long mc_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mc_dev *mc = container_of(file->private_data, struct mc_dev, misc);
	union {
		struct msi_compare_call		call;
		struct msi_compare_vectors	vectors;
		struct msi_compare_slots	slots;
	} u;
	long ret;

	if (_IOC_SIZE(cmd) > sizeof(u))
		return -ENOTTY;
	if (copy_from_user(&u, (void __user *)arg, _IOC_SIZE(cmd)))
		return -EFAULT;

	mutex_lock(&mc->lock);
	switch (cmd) {
	case MSI_COMPARE_CALL:
		ret = mc_call(mc, &u.call);
		break;
	case MSI_COMPARE_VECTORS:
		ret = mc_vectors(mc, &u.vectors);
		break;
	case MSI_COMPARE_SLOTS:
		ret = mc_slots(mc, &u.slots);
		break;
	default:
		ret = -ENOTTY;
	}
	mutex_unlock(&mc->lock);

	if (!ret && copy_to_user((void __user *)arg, &u, _IOC_SIZE(cmd)))
		ret = -EFAULT;
	return ret;
}

static const struct file_operations mc_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= mc_ioctl,
};

static int mc_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct mc_dev *mc;
	int ret;

	mc = devm_kzalloc(&pdev->dev, sizeof(*mc), GFP_KERNEL);
	if (!mc)
		return -ENOMEM;
	mc->handlers = devm_kcalloc(&pdev->dev, MAX_VECTORS, sizeof(*mc->handlers), GFP_KERNEL);
	mc->misc.name = devm_kasprintf(&pdev->dev, GFP_KERNEL, MSI_COMPARE_NAME "-%s",
				       pci_name(pdev));
	if (!mc->handlers || !mc->misc.name)
		return -ENOMEM;

	/* Managed: vectors that a test leaves enabled go when it unbinds */
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	mc->regs = pcim_iomap(pdev, IMS_TD_BAR_REGS, 0);
	mc->table = pcim_iomap(pdev, IMS_TD_BAR_TABLE, 0);
	mc->msix = pcim_iomap(pdev, IMS_TD_BAR_MSIX, 0);
	if (!mc->regs || !mc->table || !mc->msix)
		return -ENOMEM;
	if (readl(mc->regs + IMS_TD_REG_ID) != IMS_TD_ID)
		return -ENODEV;
	pci_set_master(pdev);

	mutex_init(&mc->lock);
	mc->pdev = pdev;
	mc->misc.minor = MISC_DYNAMIC_MINOR;
	mc->misc.fops = &mc_fops;
	pci_set_drvdata(pdev, mc);
	return misc_register(&mc->misc);
}

/* The test closes its files before it unbinds */
static void mc_remove(struct pci_dev *pdev)
{
	struct mc_dev *mc = pci_get_drvdata(pdev);
	unsigned int i;

	misc_deregister(&mc->misc);
	for (i = 0; i < MAX_VECTORS; i++) {
		if (mc->handlers[i].irq)
			free_irq(mc->handlers[i].irq, &mc->handlers[i]);
	}
}

/* No id: driver_override alone makes it match */
static const struct pci_device_id mc_ids[] = {
	{ }
};

static struct pci_driver mc_driver = {
	.name		= MSI_COMPARE_NAME,
	.id_table	= mc_ids,
	.probe		= mc_probe,
	.remove		= mc_remove,
};
builtin_pci_driver(mc_driver);
