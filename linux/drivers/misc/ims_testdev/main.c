// SPDX-License-Identifier: GPL-2.0
/*
 * Driver for ims-testdev, a virtual PCI device that stores interrupt messages
 * in every way a PCI device can.
 *
 * The driver has no policy. It lends the interrupt core's calls and the
 * device's registers to one test program at a time, by the ioctls that
 * ims_testdev.h describes, and counts interrupts. The words are explained there
 * and in ims_testdev_regs.h.
 */
#include <linux/capability.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "ims_td.h"

#define DRV_NAME	"ims_testdev"

static DEFINE_IDA(ims_td_ida);

static int ims_td_open(struct inode *inode, struct file *file)
{
	/* misc_open() has put it there, and misc_mtx keeps it registered. */
	struct ims_testdev *td = container_of(file->private_data, struct ims_testdev, misc);
	int ret = 0;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	mutex_lock(&td->lock);
	if (td->busy) {
		ret = -EBUSY;
	} else {
		td->busy = true;
		kref_get(&td->ref);
		file->private_data = td;
	}
	mutex_unlock(&td->lock);

	return ret;
}

static int ims_td_release(struct inode *inode, struct file *file)
{
	struct ims_testdev *td = file->private_data;

	mutex_lock(&td->lock);
	if (!td->dead)
		ims_td_take_down(td);
	td->forget = false;
	td->late = false;
	td->busy = false;
	mutex_unlock(&td->lock);

	kref_put(&td->ref, ims_td_free_kref);
	return 0;
}

static const struct file_operations ims_td_fops = {
	.owner		= THIS_MODULE,
	.open		= ims_td_open,
	.release	= ims_td_release,
	.unlocked_ioctl	= ims_td_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static int ims_td_check_bar(struct ims_testdev *td, unsigned int kind, unsigned int bar,
			    unsigned int slot_size)
{
	if (pci_resource_len(td->pdev, bar) / slot_size >= td->nr_slots[kind])
		return 0;

	pci_err(td->pdev, "%u slots don't fit into BAR %u\n", td->nr_slots[kind], bar);
	return -ENODEV;
}

/* Find out what the device has, and check it against what the BARs hold */
static int ims_td_identify(struct ims_testdev *td)
{
	struct pci_dev *pdev = td->pdev;
	u32 id, version, kinds;
	unsigned int kind;
	int ret;

	if (pci_resource_len(pdev, IMS_TD_BAR_REGS) < IMS_TD_REGS_SIZE)
		return -ENODEV;

	id = ims_td_read(td, IMS_TD_REG_ID);
	version = ims_td_read(td, IMS_TD_REG_VERSION);
	if (id != IMS_TD_ID || version >> 16 != IMS_TD_VERSION >> 16) {
		pci_err(pdev, "unknown device, id %#x version %#x\n", id, version);
		return -ENODEV;
	}

	kinds = ims_td_read(td, IMS_TD_REG_KINDS);
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		if (!(kinds & BIT(kind)))
			continue;
		ims_td_write(td, IMS_TD_REG_SEL_KIND, kind);
		td->nr_slots[kind] = ims_td_read(td, IMS_TD_REG_KIND_SLOTS);
		if (td->nr_slots[kind] > IMS_TD_ALLOC_MAX) {
			pci_err(pdev, "%u slots of kind %u\n", td->nr_slots[kind], kind);
			return -ENODEV;
		}
	}

	ret = ims_td_check_bar(td, IMS_TD_KIND_TABLE, IMS_TD_BAR_TABLE, IMS_TD_SLOT_SIZE);
	return ret ?: ims_td_check_bar(td, IMS_TD_KIND_WIDE, IMS_TD_BAR_WIDE, IMS_TD_WIDE_SIZE);
}

/*
 * The last device managed action. The interrupt core is through with the device
 * now, so what unbind has forgotten is no more than memory.
 */
static void ims_td_put(void *data)
{
	struct ims_testdev *td = data;
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	unsigned int kind;
	unsigned long nr;

	mutex_lock(&td->lock);
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		xa_for_each(&td->slots[kind], nr, slot)
			ims_td_drop_slot(td, slot);
	}
	xa_for_each(&td->stores, nr, store) {
		xa_erase(&td->stores, nr);
		kfree(store);
	}
	mutex_unlock(&td->lock);

	kref_put(&td->ref, ims_td_free_kref);
}

static struct ims_testdev *ims_td_alloc(struct pci_dev *pdev)
{
	struct ims_testdev *td;
	unsigned int kind;

	td = kzalloc(sizeof(*td), GFP_KERNEL);
	if (!td)
		return NULL;

	kref_init(&td->ref);
	mutex_init(&td->lock);
	mutex_init(&td->ring.lock);
	init_waitqueue_head(&td->ring.room);
	td->pdev = pdev;
	td->notifier.changed = ims_td_copy_changed;
	xa_init(&td->stores);
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++)
		xa_init(&td->slots[kind]);
	return td;
}

static void ims_td_disable(void *pdev)
{
	pci_disable_device(pdev);
}

static void ims_td_devres_stop(void *data)
{
	ims_td_stop(data);
}

/* Map the slots in BARs, and get memory for those that the device reads itself */
static int ims_td_set_up_slots(struct ims_testdev *td)
{
	const unsigned int nr_mem = td->nr_slots[IMS_TD_KIND_MEM];
	struct pci_dev *pdev = td->pdev;
	struct device *dev = &pdev->dev;
	int ret;

	td->table = devm_ioremap_resource(dev, &pdev->resource[IMS_TD_BAR_TABLE]);
	if (IS_ERR(td->table))
		return PTR_ERR(td->table);

	if (td->nr_slots[IMS_TD_KIND_WIDE]) {
		td->wide = devm_ioremap_resource(dev, &pdev->resource[IMS_TD_BAR_WIDE]);
		if (IS_ERR(td->wide))
			return PTR_ERR(td->wide);
	}

	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;

	if (nr_mem) {
		td->mem = dmam_alloc_coherent(dev, nr_mem * IMS_TD_SLOT_SIZE, &td->mem_dma,
					      GFP_KERNEL);
		if (!td->mem)
			return -ENOMEM;
		ims_td_clear_mem(td);
	}

	if (td->nr_slots[IMS_TD_KIND_CMD]) {
		td->ring.cmds = dmam_alloc_coherent(dev, IMS_TD_RING_ENTRIES * IMS_TD_CMD_SIZE,
						    &td->ring.dma, GFP_KERNEL);
		if (!td->ring.cmds)
			return -ENOMEM;
	}

	ims_td_start(td);
	return devm_add_action_or_reset(dev, ims_td_devres_stop, td);
}

static int ims_td_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ims_testdev *td;
	int ret;

	td = ims_td_alloc(pdev);
	if (!td)
		return -ENOMEM;

	/* Before everything else that is managed, to come after it at the end */
	ret = devm_add_action_or_reset(&pdev->dev, ims_td_put, td);
	if (ret)
		return ret;

	/*
	 * Managed, but not by pcim_enable_device(): that frees MSI and MSI-X
	 * vectors, and what the core does if nobody has is to be tested, too.
	 */
	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	ret = devm_add_action_or_reset(&pdev->dev, ims_td_disable, pdev);
	if (ret)
		return ret;

	td->regs = devm_ioremap_resource(&pdev->dev, &pdev->resource[IMS_TD_BAR_REGS]);
	if (IS_ERR(td->regs))
		return PTR_ERR(td->regs);

	ret = ims_td_identify(td);
	if (ret)
		return ret;

	/*
	 * No reset: tests look at what unbind has left. Until pci_disable_device() it
	 * stays a bus master, for what unbind is to forget.
	 */
	pci_set_master(pdev);
	ret = ims_td_set_up_slots(td);
	if (ret)
		return ret;

	ret = ida_alloc(&ims_td_ida, GFP_KERNEL);
	if (ret < 0)
		return ret;
	td->id = ret;

	td->misc.name = kasprintf(GFP_KERNEL, DRV_NAME "%d", td->id);
	if (!td->misc.name) {
		ret = -ENOMEM;
		goto free_id;
	}
	td->misc.minor = MISC_DYNAMIC_MINOR;
	td->misc.fops = &ims_td_fops;
	td->misc.parent = &pdev->dev;
	td->misc.mode = 0600;

	pci_set_drvdata(pdev, td);

	ret = misc_register(&td->misc);
	if (ret)
		goto free_id;
	return 0;

free_id:
	ida_free(&ims_td_ida, td->id);
	return ret;
}

static void ims_td_remove(struct pci_dev *pdev)
{
	struct ims_testdev *td = pci_get_drvdata(pdev);

	/* Nobody opens it from here on, and who has it open finds it dead. */
	misc_deregister(&td->misc);

	mutex_lock(&td->lock);
	if (td->away)
		ims_td_fetch(td);
	if (!td->forget)
		ims_td_take_down(td);
	/* What the core frees must not call into memory that the driver frees. */
	ims_td_copy_end(td);
	td->dead = true;
	mutex_unlock(&td->lock);

	ida_free(&ims_td_ida, td->id);
}

/* User space is frozen from before the one until after the other. */

static int ims_td_suspend(struct device *dev)
{
	struct ims_testdev *td = dev_get_drvdata(dev);
	int ret = 0;

	mutex_lock(&td->lock);
	if (td->away)
		ret = -EBUSY;
	else
		ims_td_leave(td);
	mutex_unlock(&td->lock);
	return ret;
}

static int ims_td_resume(struct device *dev)
{
	struct ims_testdev *td = dev_get_drvdata(dev);
	int ret;

	mutex_lock(&td->lock);
	ret = ims_td_return(td);
	mutex_unlock(&td->lock);
	return ret;
}

/* Runtime power management needs none: it is asked for by ims_td_ioc_runtime_suspend() */
static const struct dev_pm_ops ims_td_pm_ops = {
	SYSTEM_SLEEP_PM_OPS(ims_td_suspend, ims_td_resume)
};

/*
 * An ioctl that comes in between waits, as if the reset took place in no time. So a
 * test can go on firing.
 */

static void ims_td_reset_prepare(struct pci_dev *pdev)
{
	struct ims_testdev *td = pci_get_drvdata(pdev);

	mutex_lock(&td->lock);
	/* The core is about to wake it, and saves what it finds. */
	if (td->away)
		ims_td_fetch(td);
	ims_td_leave(td);
}

static void ims_td_reset_done(struct pci_dev *pdev)
{
	struct ims_testdev *td = pci_get_drvdata(pdev);

	ims_td_return(td);
	mutex_unlock(&td->lock);
}

static const struct pci_error_handlers ims_td_err_handler = {
	.reset_prepare	= ims_td_reset_prepare,
	.reset_done	= ims_td_reset_done,
};

static const struct pci_device_id ims_td_ids[] = {
	{ PCI_DEVICE(IMS_TD_PCI_VENDOR, IMS_TD_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ims_td_ids);

static struct pci_driver ims_td_driver = {
	.name		= DRV_NAME,
	.id_table	= ims_td_ids,
	.probe		= ims_td_probe,
	.remove		= ims_td_remove,
	.err_handler	= &ims_td_err_handler,
	.driver.pm	= pm_ptr(&ims_td_pm_ops),
};
module_pci_driver(ims_td_driver);

MODULE_DESCRIPTION("Test driver for interrupt message storage on ims-testdev");
MODULE_LICENSE("GPL");
