// SPDX-License-Identifier: GPL-2.0
/*
 * Driver of ims-platform, a virtual device that is not a PCI device and sends interrupt messages
 *
 * docs/specs/ims-platform.rst in the device model's tree is the specification. The plain
 * slots are the default store. Where IMS is supported, those that can be masked are in a
 * store that the driver creates.
 *
 * DANGEROUS: Only for tests. In sysfs, for root:
 *
 *	virqs		the interrupt numbers, by slot
 *	fire		fire this slot. Fails unless its interrupt arrives, once, and no other
 *	mask		disable the interrupt of this slot, fire it more than once, enable the
 *			interrupt again. Fails unless it arrives once, and only then
 *	hold		disable the interrupt of this slot and fire it
 *	forget		free nothing when the driver is unbound
 *	sent		messages that the device has sent since the driver was bound
 *	received	interrupts that have arrived since
 *	stale		messages that were in the device when the driver was bound
 *	breaches	what the device has found wrong since its last reset
 */
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/irqchip/msi-storage.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

#include "ims_platform_regs.h"

#define DRV_NAME	"ims_platform"

/* How long an interrupt may take, and how long to look for another one, in ms */
#define FIRE_TIMEOUT	2000
#define FIRE_QUIET	5

/* How often a masked slot is fired */
#define MASKED_FIRES	3

/**
 * struct ims_platform_slot - A slot of the device
 * @ip:		The device
 * @virq:	The interrupt
 * @count:	How often the interrupt has arrived
 */
struct ims_platform_slot {
	struct ims_platform	*ip;
	unsigned int		virq;
	atomic_t		count;
};

/**
 * struct ims_platform - The device
 * @dev:	The device
 * @regs:	Its registers, and the slots
 * @store:	Id of the store that was created
 * @nr:		How many slots have interrupts
 * @lock:	One slot is fired at a time
 * @slots:	The slots of the default store, then those of @store
 * @total:	How many interrupts have arrived
 * @wait:	Woken up by each
 * @sent:	What the device had sent when it was bound
 * @stale:	How many messages it had then
 * @forget:	Leave the interrupts to the core
 */
struct ims_platform {
	struct device			*dev;
	void __iomem			*regs;
	int				store;
	unsigned int			nr;
	struct mutex			lock; /* serializes fires */
	struct ims_platform_slot	slots[IMS_PLAT_NR_SLOTS];
	atomic_t			total;
	wait_queue_head_t		wait;
	u32				sent;
	unsigned int			stale;
	bool				forget;
};

static u32 ims_platform_read(struct ims_platform *ip, unsigned int reg)
{
	return readl(ip->regs + reg);
}

/* The read flushes the posted writes */
static void ims_platform_set_msg(void __iomem *slot, const struct msi_msg *msg)
{
	writel(msg->address_lo, slot + IMS_TD_SLOT_ADDR_LO);
	writel(msg->address_hi, slot + IMS_TD_SLOT_ADDR_HI);
	writel(msg->data, slot + IMS_TD_SLOT_DATA);
	readl(slot + IMS_TD_SLOT_DATA);
}

static void ims_platform_write_default(struct device *dev, unsigned int index,
				       const struct msi_msg *msg)
{
	struct ims_platform *ip = dev_get_drvdata(dev);

	ims_platform_set_msg(ip->regs + IMS_PLAT_SLOT(index), msg);
}

static u32 ims_platform_ctrl(void __iomem *slot)
{
	return readl(slot + IMS_TD_SLOT_CTRL);
}

static void ims_platform_set_ctrl(void __iomem *slot, u32 ctrl)
{
	writel(ctrl, slot + IMS_TD_SLOT_CTRL);
	ims_platform_ctrl(slot);
}

/* What was pending for the slot's last user is not for the next one */
static int ims_platform_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_platform *ip = storage->priv;
	void __iomem *s = ip->regs + IMS_PLAT_SLOT(IMS_PLAT_NR_PLAIN + slot->index);

	ims_platform_set_ctrl(s, IMS_TD_SLOT_CTRL_MASK | IMS_TD_SLOT_CTRL_PENDING);
	slot->iobase = s;
	return 0;
}

static void ims_platform_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	ims_platform_set_ctrl(slot->iobase, IMS_TD_SLOT_CTRL_MASK);
}

static void ims_platform_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	ims_platform_set_ctrl(slot->iobase, 0);
}

static bool ims_platform_is_masked(struct msi_storage *storage, struct msi_slot *slot)
{
	return ims_platform_ctrl(slot->iobase) & IMS_TD_SLOT_CTRL_MASK;
}

/* A slot is masked while its message changes */
static void ims_platform_write_msg(struct msi_storage *storage, struct msi_slot *slot,
				   const struct msi_msg *msg)
{
	bool masked = ims_platform_is_masked(storage, slot);

	ims_platform_mask(storage, slot);
	ims_platform_set_msg(slot->iobase, msg);
	if (!masked)
		ims_platform_unmask(storage, slot);
}

static const struct msi_storage_ops ims_platform_ops = {
	.init_slot	= ims_platform_init_slot,
	.write_msg	= ims_platform_write_msg,
	.mask		= ims_platform_mask,
	.unmask		= ims_platform_unmask,
	.is_masked	= ims_platform_is_masked,
};

static const struct msi_storage_template ims_platform_template = {
	.name		= "pIMS",
	.mode		= "ims",
	.bus_token	= DOMAIN_BUS_DEVICE_IMS,
	.requires	= MSI_PARENT_PLATFORM | MSI_PARENT_PCI_IMS,
	.size		= IMS_PLAT_NR_MASKABLE,
	.ops		= &ims_platform_ops,
	.owner		= THIS_MODULE,
};

static irqreturn_t ims_platform_interrupt(int irq, void *arg)
{
	struct ims_platform_slot *slot = arg;

	atomic_inc(&slot->count);
	/* The count comes first, for who waits for the total */
	smp_mb__before_atomic();
	atomic_inc(&slot->ip->total);
	wake_up(&slot->ip->wait);
	return IRQ_HANDLED;
}

/* The device has sent, or held, all of these when this returns */
static void ims_platform_trigger(struct ims_platform_slot *s, unsigned int times)
{
	struct ims_platform *ip = s->ip;

	while (times--)
		writel(s - ip->slots, ip->regs + IMS_PLAT_REG_FIRE);
	ims_platform_read(ip, IMS_PLAT_REG_FIRED);
}

/* Of what the slot has sent, one message arrives, and nothing else does */
static int ims_platform_wait(struct ims_platform_slot *s, int count, int total)
{
	struct ims_platform *ip = s->ip;

	if (!wait_event_timeout(ip->wait, atomic_read(&ip->total) != total,
				msecs_to_jiffies(FIRE_TIMEOUT)))
		return -ETIMEDOUT;
	if (wait_event_timeout(ip->wait, atomic_read(&ip->total) != total + 1,
			       msecs_to_jiffies(FIRE_QUIET)))
		return -EIO;
	return atomic_read(&s->count) == count + 1 ? 0 : -EIO;
}

static int ims_platform_fire(struct ims_platform *ip, struct ims_platform_slot *s)
{
	int count = atomic_read(&s->count), total = atomic_read(&ip->total);
	u32 sent = ims_platform_read(ip, IMS_PLAT_REG_SENT);

	ims_platform_trigger(s, 1);
	if (ims_platform_read(ip, IMS_PLAT_REG_SENT) != sent + 1)
		return -ENXIO;
	return ims_platform_wait(s, count, total);
}

static int ims_platform_try_mask(struct ims_platform *ip, struct ims_platform_slot *s)
{
	void __iomem *slot = ip->regs + IMS_PLAT_SLOT(s - ip->slots);
	int count = atomic_read(&s->count), total = atomic_read(&ip->total);
	/* The parent keeps what a slot without a mask bit sends */
	bool plain = s - ip->slots < IMS_PLAT_NR_PLAIN;
	u32 sent = ims_platform_read(ip, IMS_PLAT_REG_SENT) + (plain ? MASKED_FIRES : 0);
	u32 held = ims_platform_read(ip, IMS_PLAT_REG_HELD) + (plain ? 0 : MASKED_FIRES);
	int ret = 0;

	disable_irq(s->virq);
	ims_platform_trigger(s, MASKED_FIRES);
	if (ims_platform_ctrl(slot) !=
	    (plain ? 0 : IMS_TD_SLOT_CTRL_MASK | IMS_TD_SLOT_CTRL_PENDING) ||
	    ims_platform_read(ip, IMS_PLAT_REG_HELD) != held ||
	    ims_platform_read(ip, IMS_PLAT_REG_SENT) != sent)
		ret = -ENXIO;
	else if (wait_event_timeout(ip->wait, atomic_read(&ip->total) != total,
				    msecs_to_jiffies(FIRE_QUIET)))
		ret = -EIO;
	enable_irq(s->virq);
	if (ret)
		return ret;

	if (ims_platform_ctrl(slot) ||
	    ims_platform_read(ip, IMS_PLAT_REG_SENT) != sent + !plain)
		return -ENXIO;
	return ims_platform_wait(s, count, total);
}

static int ims_platform_hold(struct ims_platform *ip, struct ims_platform_slot *s)
{
	disable_irq(s->virq);
	ims_platform_trigger(s, 1);
	return 0;
}

static ssize_t ims_platform_on_slot(struct device *dev, const char *buf, size_t count,
				    int (*fn)(struct ims_platform *ip,
					      struct ims_platform_slot *s))
{
	struct ims_platform *ip = dev_get_drvdata(dev);
	unsigned int index;
	int ret;

	ret = kstrtouint(buf, 0, &index);
	if (ret)
		return ret;
	if (index >= ip->nr)
		return -ERANGE;

	mutex_lock(&ip->lock);
	ret = fn(ip, &ip->slots[index]);
	mutex_unlock(&ip->lock);
	return ret ?: count;
}

static ssize_t fire_store(struct device *dev, struct device_attribute *attr, const char *buf,
			  size_t count)
{
	return ims_platform_on_slot(dev, buf, count, ims_platform_fire);
}
static DEVICE_ATTR_WO(fire);

static ssize_t mask_store(struct device *dev, struct device_attribute *attr, const char *buf,
			  size_t count)
{
	return ims_platform_on_slot(dev, buf, count, ims_platform_try_mask);
}
static DEVICE_ATTR_WO(mask);

static ssize_t hold_store(struct device *dev, struct device_attribute *attr, const char *buf,
			  size_t count)
{
	return ims_platform_on_slot(dev, buf, count, ims_platform_hold);
}
static DEVICE_ATTR_WO(hold);

static ssize_t virqs_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ims_platform *ip = dev_get_drvdata(dev);
	unsigned int i;
	int len = 0;

	for (i = 0; i < ip->nr; i++)
		len += sysfs_emit_at(buf, len, "%u\n", ip->slots[i].virq);
	return len;
}
static DEVICE_ATTR_ADMIN_RO(virqs);

static ssize_t forget_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	struct ims_platform *ip = dev_get_drvdata(dev);
	int ret = kstrtobool(buf, &ip->forget);

	return ret ?: count;
}
static DEVICE_ATTR_WO(forget);

static ssize_t sent_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ims_platform *ip = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", ims_platform_read(ip, IMS_PLAT_REG_SENT) - ip->sent);
}
static DEVICE_ATTR_ADMIN_RO(sent);

static ssize_t received_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ims_platform *ip = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", atomic_read(&ip->total));
}
static DEVICE_ATTR_ADMIN_RO(received);

static ssize_t stale_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ims_platform *ip = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", ip->stale);
}
static DEVICE_ATTR_ADMIN_RO(stale);

static ssize_t breaches_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ims_platform *ip = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", ims_platform_read(ip, IMS_PLAT_REG_BREACH_COUNT));
}
static DEVICE_ATTR_ADMIN_RO(breaches);

static struct attribute *ims_platform_attrs[] = {
	&dev_attr_fire.attr,
	&dev_attr_mask.attr,
	&dev_attr_hold.attr,
	&dev_attr_virqs.attr,
	&dev_attr_forget.attr,
	&dev_attr_sent.attr,
	&dev_attr_received.attr,
	&dev_attr_stale.attr,
	&dev_attr_breaches.attr,
	NULL
};
ATTRIBUTE_GROUPS(ims_platform);

static int ims_platform_request(struct ims_platform_slot *s, unsigned int virq)
{
	s->virq = virq;
	/* disable_irq() masks the interrupt at once, not when a message arrives */
	irq_set_status_flags(virq, IRQ_DISABLE_UNLAZY);
	return request_irq(virq, ims_platform_interrupt, 0, DRV_NAME, s);
}

/* The interrupts of the first @nr slots, which are requested */
static void ims_platform_free_irqs(struct ims_platform *ip, unsigned int nr)
{
	while (nr--)
		free_irq(ip->slots[nr].virq, &ip->slots[nr]);
}

/* Request the interrupts of both stores. The store frees its own when it is removed */
static int ims_platform_request_irqs(struct ims_platform *ip)
{
	struct msi_map map;
	unsigned int i;
	int ret;

	for (i = 0; i < IMS_PLAT_NR_PLAIN; i++) {
		ret = ims_platform_request(&ip->slots[i], msi_get_virq(ip->dev, i));
		if (ret)
			goto free_irqs;
	}
	for (; i < ip->nr; i++) {
		map = msi_store_alloc_irq(ip->dev, ip->store, i - IMS_PLAT_NR_PLAIN, NULL,
					  NULL);
		if (map.index < 0) {
			ret = map.index;
			goto free_irqs;
		}
		ret = ims_platform_request(&ip->slots[i], map.virq);
		if (ret)
			goto free_irqs;
	}
	return 0;

free_irqs:
	ims_platform_free_irqs(ip, i);
	return ret;
}

/* Stale messages are those of a kernel that has crashed, or a bug: freeing empties slots */
static int ims_platform_init(struct ims_platform *ip)
{
	void __iomem *slot;
	unsigned int i;

	if (ims_platform_read(ip, IMS_PLAT_REG_ID) != IMS_PLAT_ID ||
	    ims_platform_read(ip, IMS_PLAT_REG_VERSION) >> 16 != IMS_PLAT_VERSION >> 16)
		return -ENODEV;

	for (i = 0; i < IMS_PLAT_NR_SLOTS; i++) {
		slot = ip->regs + IMS_PLAT_SLOT(i);
		ip->stale += readl(slot + IMS_TD_SLOT_ADDR_LO) ||
			     readl(slot + IMS_TD_SLOT_ADDR_HI) ||
			     readl(slot + IMS_TD_SLOT_DATA);
		ip->slots[i].ip = ip;
	}
	if (ip->stale)
		writel(1, ip->regs + IMS_PLAT_REG_RESET);
	ip->sent = ims_platform_read(ip, IMS_PLAT_REG_SENT);
	return 0;
}

static int ims_platform_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct ims_platform *ip;
	int ret;

	ip = devm_kzalloc(dev, sizeof(*ip), GFP_KERNEL);
	if (!ip)
		return -ENOMEM;

	ip->dev = dev;
	mutex_init(&ip->lock);
	init_waitqueue_head(&ip->wait);
	ip->regs = devm_platform_ioremap_resource(pdev, 0);
	if (IS_ERR(ip->regs))
		return PTR_ERR(ip->regs);
	ret = ims_platform_init(ip);
	if (ret)
		return dev_err_probe(dev, ret, "unknown device\n");
	platform_set_drvdata(pdev, ip);

	ret = platform_msi_domain_alloc_irqs(dev, IMS_PLAT_NR_PLAIN, ims_platform_write_default);
	if (ret)
		return dev_err_probe(dev, ret, "no interrupts\n");

	ip->nr = IMS_PLAT_NR_PLAIN;
	ip->store = msi_create_store(dev, &ims_platform_template, 0, ip);
	if (ip->store > 0) {
		ip->nr += IMS_PLAT_NR_MASKABLE;
	} else if (ip->store != -EOPNOTSUPP) {
		ret = ip->store;
		goto free_default;
	}

	ret = ims_platform_request_irqs(ip);
	if (ret)
		goto remove_store;
	return 0;

remove_store:
	if (ip->store > 0)
		msi_remove_store(dev, ip->store);
free_default:
	platform_msi_domain_free_irqs(dev);
	return ret;
}

static void ims_platform_free_all(struct ims_platform *ip)
{
	struct msi_map map;
	unsigned int i;

	ims_platform_free_irqs(ip, ip->nr);
	for (i = IMS_PLAT_NR_PLAIN; i < ip->nr; i++) {
		map.index = i - IMS_PLAT_NR_PLAIN;
		map.virq = ip->slots[i].virq;
		msi_store_free_irq(ip->dev, ip->store, map);
	}
	if (ip->store > 0)
		msi_remove_store(ip->dev, ip->store);
	platform_msi_domain_free_irqs(ip->dev);
}

static int ims_platform_remove(struct platform_device *pdev)
{
	struct ims_platform *ip = platform_get_drvdata(pdev);

	if (!ip->forget)
		ims_platform_free_all(ip);
	return 0;
}

static const struct of_device_id ims_platform_of_match[] = {
	{ .compatible = "qemu,ims-platform" },
	{}
};
MODULE_DEVICE_TABLE(of, ims_platform_of_match);

static struct platform_driver ims_platform_driver = {
	.probe	= ims_platform_probe,
	.remove	= ims_platform_remove,
	.driver	= {
		.name		= DRV_NAME,
		.dev_groups	= ims_platform_groups,
		.of_match_table	= ims_platform_of_match,
	},
};
module_platform_driver(ims_platform_driver);

MODULE_IMPORT_NS(MSI_STORAGE);
MODULE_DESCRIPTION("Driver of ims-platform, for tests (DANGEROUS)");
MODULE_LICENSE("GPL");
