// SPDX-License-Identifier: GPL-2.0
/* Ioctls of ims-testdev */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/log2.h>
#include <linux/msi_api.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "ims_td.h"

int ims_td_check_range(struct ims_testdev *td, u32 kind, u32 first, u32 count)
{
	if (kind >= IMS_TD_NR_KINDS || !td->nr_slots[kind])
		return -ENXIO;
	if (!count)
		return -EINVAL;
	if (first >= td->nr_slots[kind] || count > td->nr_slots[kind] - first)
		return -ERANGE;
	return 0;
}

static int ims_td_has_no_handler(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	return slot->requested ? -EBUSY : 0;
}

static int ims_td_has_handler(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	return slot->requested ? 0 : -ENOENT;
}

int ims_td_can_free(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	const struct ims_td_kind *kind = &ims_td_kinds[slot->kind];

	if (!kind->free_irq)
		return -EINVAL;
	if (kind->can_free && !kind->can_free(td->pdev))
		return -EOPNOTSUPP;
	return ims_td_has_no_handler(td, slot);
}

static int ims_td_can_mask(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	if (slot->masked)
		return -EBUSY;
	return ims_td_has_handler(td, slot);
}

static int ims_td_can_unmask(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	if (!slot->requested)
		return -ENOENT;
	return slot->masked ? 0 : -EINVAL;
}

/**
 * ims_td_check_slots - Check that a call can be made for all slots of a range
 * @td:		The device
 * @range:	The range as it came from user space
 * @flags:	Flags that the call knows
 * @check:	Says whether the call can be made for a slot
 *
 * Context: Process context, with ims_testdev::lock held.
 * Return: 0, -EINVAL for flags that are not known, what ims_td_check_range()
 *	   says, -ENOENT if a slot has no interrupt, or what @check says.
 */
static int ims_td_check_slots(struct ims_testdev *td, const struct ims_testdev_range *range,
			      u32 flags,
			      int (*check)(struct ims_testdev *td, const struct ims_td_slot *slot))
{
	struct ims_td_slot *slot;
	unsigned int i;
	int ret;

	lockdep_assert_held(&td->lock);

	if (range->flags & ~flags)
		return -EINVAL;

	ret = ims_td_check_range(td, range->kind, range->first, range->count);
	if (ret)
		return ret;

	for (i = 0; i < range->count; i++) {
		slot = xa_load(&td->slots[range->kind], range->first + i);
		if (!slot)
			return -ENOENT;
		ret = check(td, slot);
		if (ret)
			return ret;
	}
	return 0;
}

/* The last slot of a range that ims_td_check_slots() has passed */
static unsigned long ims_td_last(const struct ims_testdev_range *range)
{
	return range->first + range->count - 1;
}

int ims_td_do_range(struct ims_testdev *td, const struct ims_testdev_range *range,
		    const struct ims_td_range_op *op)
{
	struct ims_td_slot *slot;
	struct xarray *slots;
	unsigned long nr;
	int ret;

	ret = ims_td_check_slots(td, range, op->flags, op->check);
	if (ret)
		return ret;

	slots = &td->slots[range->kind];
	xa_for_each_range(slots, nr, slot, range->first, ims_td_last(range)) {
		ret = op->fn(td, slot, range->flags);
		if (ret)
			goto undo;
		cond_resched();
	}
	return 0;

undo:
	while (nr-- > range->first)
		op->undo(td, xa_load(slots, nr), 0);
	return ret;
}

/*
 * The ioctls. Each gets the argument as a kernel copy, which goes back to user
 * space if it succeeds and the command says so.
 */

static int ims_td_ioc_info(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_info *info = arg;
	unsigned int kind;

	BUILD_BUG_ON(IMS_TD_NR_KINDS > IMS_TESTDEV_MAX_KINDS);

	info->api_version = IMS_TESTDEV_API_VERSION;
	info->nr_kinds = IMS_TD_NR_KINDS;
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++)
		info->slots[kind] = td->nr_slots[kind];
	if (pci_msix_can_alloc_dyn(td->pdev))
		info->flags |= IMS_TESTDEV_INFO_MSIX_DYN;
	strscpy(info->name, pci_name(td->pdev), sizeof(info->name));
	return 0;
}

static int ims_td_ioc_request(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.flags	= IMS_TESTDEV_REQUEST_UNLAZY | IMS_TESTDEV_REQUEST_THREADED |
			  IMS_TESTDEV_REQUEST_ONESHOT | IMS_TESTDEV_REQUEST_NO_AUTOEN,
		.check	= ims_td_has_no_handler,
		.fn	= ims_td_request_one,
		.undo	= ims_td_release_one,
	};
	const struct ims_testdev_range *range = arg;

	if ((range->flags & (IMS_TESTDEV_REQUEST_ONESHOT | IMS_TESTDEV_REQUEST_THREADED)) ==
	    IMS_TESTDEV_REQUEST_ONESHOT)
		return -EINVAL;
	return ims_td_do_range(td, range, &op);
}

static int ims_td_ioc_release(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.check	= ims_td_has_handler,
		.fn	= ims_td_release_one,
	};

	return ims_td_do_range(td, arg, &op);
}

static int ims_td_ioc_mask(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.check	= ims_td_can_mask,
		.fn	= ims_td_mask_one,
	};

	return ims_td_do_range(td, arg, &op);
}

static int ims_td_ioc_unmask(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.check	= ims_td_can_unmask,
		.fn	= ims_td_unmask_one,
	};

	return ims_td_do_range(td, arg, &op);
}

/* Count one more interrupt as expected from each slot that is to be fired */
static int ims_td_expect(struct ims_testdev *td, const struct ims_testdev_fire *fire)
{
	struct ims_testdev_range range = {
		.kind	= fire->kind,
		.first	= fire->first,
		.count	= fire->cmd == IMS_TD_FIRE_RANGE ? fire->count : 1,
	};
	struct ims_td_slot *slot;
	unsigned long nr;
	int ret;

	lockdep_assert_held(&td->lock);

	if (fire->cmd == IMS_TD_FIRE_ALL) {
		if (range.kind >= IMS_TD_NR_KINDS || !td->nr_slots[range.kind])
			return -ENXIO;
		range.count = td->nr_slots[range.kind];
	} else {
		ret = ims_td_check_slots(td, &range, 0, ims_td_has_handler);
		if (ret)
			return ret;
	}

	xa_for_each_range(&td->slots[range.kind], nr, slot, range.first, ims_td_last(&range)) {
		if (slot->requested)
			atomic_inc(&slot->expected);
	}
	return 0;
}

static int ims_td_ioc_fire(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_fire *fire = arg;
	u32 count = fire->count, left;
	int ret;

	if (fire->flags & ~IMS_TESTDEV_FIRE_UNEXPECTED || fire->reserved)
		return -EINVAL;
	if (fire->cmd != IMS_TD_FIRE_RANGE && fire->count)
		return -EINVAL;

	switch (fire->cmd) {
	case IMS_TESTDEV_FIRE_DOORBELL:
		/* The kind makes the address of the register, check it always. */
		if (fire->kind >= IMS_TD_NR_KINDS || !td->nr_slots[fire->kind])
			return -ENXIO;
		break;
	case IMS_TD_FIRE_ALL:
		if (fire->first)
			return -EINVAL;
		if (fire->kind < IMS_TD_NR_KINDS)
			count = td->nr_slots[fire->kind];
		break;
	case IMS_TD_FIRE_ONE:
	case IMS_TD_FIRE_RANGE:
		break;
	default:
		return -EINVAL;
	}

	if (!(fire->flags & IMS_TESTDEV_FIRE_UNEXPECTED)) {
		ret = ims_td_expect(td, fire);
		if (ret)
			return ret;
	}

	if (fire->cmd == IMS_TESTDEV_FIRE_DOORBELL) {
		ims_td_write(td, IMS_TD_REG_FIRE_DB(fire->kind), fire->first);
		return 0;
	}

	ims_td_write(td, IMS_TD_REG_FIRE_KIND, fire->kind);
	ims_td_write(td, IMS_TD_REG_FIRE_FIRST, fire->first);
	ims_td_write(td, IMS_TD_REG_FIRE_COUNT, fire->count);
	ims_td_write(td, IMS_TD_REG_FIRE, fire->cmd);
	if (count <= IMS_TD_FIRE_ONCE)
		return 0;

	/* The device fires a long range in pieces, with pauses between them */
	return read_poll_timeout(ims_td_read, left, !left || PCI_POSSIBLE_ERROR(left), 1000,
				 60 * USEC_PER_SEC, false, td, IMS_TD_REG_FIRE);
}

static int ims_td_ioc_counts(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_counts *counts = arg;
	struct ims_testdev_count __user *to = u64_to_user_ptr(counts->slots);
	struct ims_td_slot *slot;
	struct ims_td_sum sum = { };
	unsigned int i;
	int ret;

	if (counts->flags)
		return -EINVAL;

	ret = ims_td_check_range(td, counts->kind, counts->first, counts->count);
	if (ret)
		return ret;

	counts->allocated = 0;
	counts->requested = 0;

	for (i = 0; i < counts->count; i++) {
		struct ims_testdev_count count = { };

		slot = xa_load(&td->slots[counts->kind], counts->first + i);
		if (slot) {
			ims_td_sum_up(&sum, slot, &count);
			count.virq = slot->map.virq;
			count.state = IMS_TESTDEV_SLOT_ALLOCATED;
			if (slot->requested)
				count.state |= IMS_TESTDEV_SLOT_REQUESTED;
			if (slot->masked)
				count.state |= IMS_TESTDEV_SLOT_MASKED;
			counts->allocated++;
			counts->requested += slot->requested;
		}
		if (counts->slots && copy_to_user(to + i, &count, sizeof(count)))
			return -EFAULT;
	}

	counts->expected = sum.expected;
	counts->received = sum.received;
	counts->spurious = sum.spurious;
	counts->lost = sum.lost;
	return 0;
}

static int ims_td_ioc_stats(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_stats *stats = arg;
	struct ims_testdev_count count;
	struct ims_td_slot *slot;
	struct ims_td_sum sum;
	unsigned long nr;

	if (stats->flags)
		return -EINVAL;
	if (stats->kind >= IMS_TD_NR_KINDS || !td->nr_slots[stats->kind])
		return -ENXIO;

	ims_td_write(td, IMS_TD_REG_SEL_KIND, stats->kind);
	stats->slots = ims_td_read(td, IMS_TD_REG_KIND_SLOTS);
	stats->fired = ims_td_read(td, IMS_TD_REG_KIND_FIRED);
	stats->sent = ims_td_read(td, IMS_TD_REG_KIND_SENT);
	stats->held = ims_td_read(td, IMS_TD_REG_KIND_HELD);
	stats->merged = ims_td_read(td, IMS_TD_REG_KIND_MERGED);
	stats->pending = ims_td_read(td, IMS_TD_REG_KIND_PENDING);

	sum = td->past[stats->kind];
	xa_for_each(&td->slots[stats->kind], nr, slot)
		ims_td_sum_up(&sum, slot, &count);
	stats->expected = sum.expected;
	stats->received = sum.received;
	stats->spurious = sum.spurious;
	stats->lost = sum.lost;
	stats->forgotten = td->forgotten[stats->kind];
	if (stats->kind == IMS_TD_KIND_CMD)
		stats->trips = ims_td_ring_trips(&td->ring);
	return 0;
}

static int ims_td_ioc_slots(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_slots *slots = arg;
	struct ims_testdev_slot __user *to = u64_to_user_ptr(slots->slots);
	unsigned int i;
	int ret;

	if (slots->flags)
		return -EINVAL;

	ret = ims_td_check_range(td, slots->kind, slots->first, slots->count);
	if (ret)
		return ret;

	ims_td_write(td, IMS_TD_REG_SEL_KIND, slots->kind);

	for (i = 0; i < slots->count; i++) {
		struct ims_testdev_slot slot = { };

		ims_td_write(td, IMS_TD_REG_SEL_SLOT, slots->first + i);
		slot.state = ims_td_read(td, IMS_TD_REG_SLOT_STATE);
		slot.fired = ims_td_read(td, IMS_TD_REG_SLOT_FIRED);
		slot.sent = ims_td_read(td, IMS_TD_REG_SLOT_SENT);
		if (ims_td_kinds[slots->kind].read_slot)
			ims_td_kinds[slots->kind].read_slot(td, slots->first + i, &slot);
		if (td->nr_vectors[slots->kind])
			slot.virq = max(pci_irq_vector(td->pdev, slots->first + i), 0);

		if (copy_to_user(to + i, &slot, sizeof(slot)))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

static int ims_td_ioc_breaches(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_breaches *breaches = arg;
	u32 flags = breaches->flags;
	unsigned int i;

	BUILD_BUG_ON(IMS_TD_NR_BREACHES > IMS_TESTDEV_MAX_CODES);

	if (flags & ~IMS_TESTDEV_BREACHES_CLEAR || breaches->reserved)
		return -EINVAL;

	memset(breaches, 0, sizeof(*breaches));
	breaches->flags = flags;
	breaches->count = ims_td_read(td, IMS_TD_REG_BREACH_COUNT);
	breaches->logged = min_t(u32, ims_td_read(td, IMS_TD_REG_BREACH_LOGGED),
				 IMS_TD_BREACH_ENTRIES);

	for (i = 0; i < IMS_TD_NR_BREACHES; i++)
		breaches->by_code[i] = ims_td_read(td, IMS_TD_REG_BREACH_BY_CODE(i));

	for (i = 0; i < breaches->logged; i++) {
		ims_td_write(td, IMS_TD_REG_BREACH_SEL, i);
		breaches->log[i].code = ims_td_read(td, IMS_TD_REG_BREACH_CODE);
		breaches->log[i].kind = ims_td_read(td, IMS_TD_REG_BREACH_KIND);
		breaches->log[i].where = ims_td_read(td, IMS_TD_REG_BREACH_WHERE);
		breaches->log[i].value = ims_td_read(td, IMS_TD_REG_BREACH_VALUE);
	}
	return 0;
}

static void ims_td_done_breaches(struct ims_testdev *td, void *arg, int err)
{
	const struct ims_testdev_breaches *breaches = arg;

	if (!err && breaches->flags & IMS_TESTDEV_BREACHES_CLEAR)
		ims_td_write(td, IMS_TD_REG_BREACH_CLEAR, 1);
}

static void ims_td_raw_write(void __iomem *addr, unsigned int width, u64 value)
{
	switch (width) {
	case 1:
		writeb(value, addr);
		break;
	case 2:
		writew(value, addr);
		break;
	case 4:
		writel(value, addr);
		break;
	case 8:
		writeq(value, addr);
		break;
	}
}

static u64 ims_td_raw_read(void __iomem *addr, unsigned int width)
{
	switch (width) {
	case 1:
		return readb(addr);
	case 2:
		return readw(addr);
	case 4:
		return readl(addr);
	case 8:
		return readq(addr);
	}
	return 0;
}

static int ims_td_ioc_raw(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_raw *raw = arg;
	void __iomem *base;
	u64 len;

	if (raw->flags & ~IMS_TESTDEV_RAW_WRITE)
		return -EINVAL;

	switch (raw->bar) {
	case IMS_TD_BAR_REGS:
		base = td->regs;
		break;
	case IMS_TD_BAR_TABLE:
		base = td->table;
		break;
	case IMS_TD_BAR_WIDE:
		base = td->wide;
		break;
	default:
		return -EINVAL;
	}

	if (!base)
		return -ENXIO;
	if (!is_power_of_2(raw->width) || raw->width > 8 || raw->offset % raw->width)
		return -EINVAL;

	len = pci_resource_len(td->pdev, raw->bar);
	if (raw->offset > len || raw->width > len - raw->offset)
		return -ERANGE;

	if (raw->flags & IMS_TESTDEV_RAW_WRITE)
		ims_td_raw_write(base + raw->offset, raw->width, raw->value);
	else
		raw->value = ims_td_raw_read(base + raw->offset, raw->width);
	return 0;
}

static int ims_td_ioc_reset(struct ims_testdev *td, void *arg)
{
	unsigned int kind;

	if (!xa_empty(&td->stores))
		return -EBUSY;
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		if (!xa_empty(&td->slots[kind]))
			return -EBUSY;
	}

	ims_td_stop(td);
	ims_td_write(td, IMS_TD_REG_RESET, 1);
	ims_td_clear_mem(td);
	ims_td_start(td);

	memset(td->past, 0, sizeof(td->past));
	memset(td->forgotten, 0, sizeof(td->forgotten));
	mutex_lock(&td->ring.lock);
	td->ring.trips = 0;
	mutex_unlock(&td->ring.lock);
	return 0;
}

int ims_td_ioc_suspend(struct ims_testdev *td, void *arg)
{
	int ret;

	ims_td_leave(td);

	ret = pci_save_state(td->pdev);
	if (ret)
		goto come_back;

	/* A suspend that fails meanwhile makes the PCI core forget what it has saved. */
	td->saved = pci_store_saved_state(td->pdev);
	if (!td->saved) {
		ret = -ENOMEM;
		goto come_back;
	}

	ret = pci_set_power_state(td->pdev, PCI_D3hot);
	if (ret)
		goto free_saved;

	td->away = true;
	return 0;

free_saved:
	kfree(td->saved);
	td->saved = NULL;
come_back:
	ims_td_return(td);
	return ret;
}

int ims_td_ioc_runtime_suspend(struct ims_testdev *td, void *arg)
{
	struct device *dev = &td->pdev->dev;

	ims_td_leave(td);

	/* The PCI core holds one reference while a driver is bound, the policy another. */
	pm_runtime_allow(dev);
	pm_runtime_put_sync(dev);
	td->away = true;
	td->runtime = true;
	if (pm_runtime_suspended(dev))
		return 0;

	ims_td_fetch(td);
	return -EBUSY;
}

static int ims_td_ioc_resume(struct ims_testdev *td, void *arg)
{
	return td->away ? ims_td_fetch(td) : -EINVAL;
}

static void ims_td_devres_take_down(void *data)
{
	struct ims_testdev *td = data;

	mutex_lock(&td->lock);
	if (td->late)
		ims_td_take_down(td);
	mutex_unlock(&td->lock);
}

static int ims_td_ioc_forget(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_forget *forget = arg;
	int ret;

	if (forget->reserved)
		return -EINVAL;

	switch (forget->how) {
	case IMS_TESTDEV_FORGET_UNTIL_DEVRES:
		ret = devm_add_action(&td->pdev->dev, ims_td_devres_take_down, td);
		if (ret)
			return ret;
		break;
	case IMS_TESTDEV_FORGET_ALL:
		break;
	default:
		return -EINVAL;
	}

	td->forget = true;
	td->late = forget->how == IMS_TESTDEV_FORGET_UNTIL_DEVRES;
	return 0;
}

static int ims_td_ioc_set_cookie(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_cookie *from = arg;
	const union msi_instance_cookie cookie = { .value = from->cookie };
	bool none = from->flags & IMS_TESTDEV_COOKIE_NONE;
	struct ims_td_slot *slot;
	u32 before, expect = IMS_TD_PASID_CHECK;
	int ret;

	if (from->flags & ~(IMS_TESTDEV_COOKIE_NONE | IMS_TESTDEV_COOKIE_EXPECT) ||
	    from->reserved || (none && from->cookie))
		return -EINVAL;
	ret = ims_td_check_range(td, from->kind, from->slot, 1);
	if (ret)
		return ret;
	slot = xa_load(&td->slots[from->kind], from->slot);
	if (!slot)
		return -ENOENT;
	if (!slot->store)
		return -EINVAL;

	/* Until it has changed, either is right, and then the one that it has. */
	before = slot->expect;
	if (before)
		ims_td_expect_pasid(td, slot, 0);
	ret = pci_ims_store_set_cookie(td->pdev, slot->store, slot->map, none ? NULL : &cookie);
	if (!none)
		expect |= IMS_TD_PASID_EN | from->cookie;
	if (ret)
		expect = before;
	if (before || (!ret && from->flags & IMS_TESTDEV_COOKIE_EXPECT))
		ims_td_expect_pasid(td, slot, expect);
	return ret;
}

static int ims_td_is_in_store(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	return slot->store ? 0 : -EINVAL;
}

static int ims_td_ioc_restore(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_range *range = arg;
	struct ims_td_slot *slot;
	unsigned long nr;
	int ret;

	ret = ims_td_check_slots(td, range, 0, ims_td_is_in_store);
	if (ret)
		return ret;

	xa_for_each_range(&td->slots[range->kind], nr, slot, range->first, ims_td_last(range)) {
		ret = pci_ims_store_restore_irq(td->pdev, slot->store, slot->map);
		if (ret)
			return ret;
	}
	return 0;
}

static int ims_td_ioc_affinity(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_affinity *to = arg;
	const struct cpumask *mask;
	unsigned int cpu;

	if (to->flags || to->reserved || to->cpus)
		return -EINVAL;

	mask = pci_ims_store_get_affinity(td->pdev, to->store, to->index);
	if (!mask)
		return 0;

	to->flags = IMS_TESTDEV_AFFINITY_SET;
	for_each_cpu(cpu, mask) {
		if (cpu < BITS_PER_TYPE(to->cpus))
			to->cpus |= BIT_ULL(cpu);
	}
	return 0;
}

/**
 * struct ims_td_ioctl - An ioctl
 * @cmd:	The command, which has the size of the argument in it
 * @fn:		Does the work on a kernel copy of the argument
 * @done:	Called after @fn has succeeded, with 0 or with -EFAULT if user
 *		space couldn't be told of it. May be NULL.
 * @asks:	The device has to be there
 *
 * Both are called with ims_testdev::lock held and the device present.
 */
struct ims_td_ioctl {
	unsigned int	cmd;
	int		(*fn)(struct ims_testdev *td, void *arg);
	void		(*done)(struct ims_testdev *td, void *arg, int err);
	bool		asks;
};

static const struct ims_td_ioctl ims_td_ioctls[] = {
	{ IMS_TESTDEV_INFO,		ims_td_ioc_info },
	{ IMS_TESTDEV_STORE_CREATE,	ims_td_ioc_store_create, ims_td_done_store_create },
	{ IMS_TESTDEV_STORE_REMOVE,	ims_td_ioc_store_remove },
	{ IMS_TESTDEV_VECTORS_ENABLE,	ims_td_ioc_vectors_enable, ims_td_done_vectors_enable },
	{ IMS_TESTDEV_VECTORS_DISABLE,	ims_td_ioc_vectors_disable },
	{ IMS_TESTDEV_ALLOC,		ims_td_ioc_alloc },
	{ IMS_TESTDEV_FREE,		ims_td_ioc_free },
	{ IMS_TESTDEV_REQUEST,		ims_td_ioc_request },
	{ IMS_TESTDEV_RELEASE,		ims_td_ioc_release },
	{ IMS_TESTDEV_MASK,		ims_td_ioc_mask },
	{ IMS_TESTDEV_UNMASK,		ims_td_ioc_unmask },
	{ IMS_TESTDEV_FIRE,		ims_td_ioc_fire, .asks = true },
	{ IMS_TESTDEV_COUNTS,		ims_td_ioc_counts },
	{ IMS_TESTDEV_STATS,		ims_td_ioc_stats, .asks = true },
	{ IMS_TESTDEV_SLOTS,		ims_td_ioc_slots, .asks = true },
	{ IMS_TESTDEV_BREACHES,		ims_td_ioc_breaches, ims_td_done_breaches,
					.asks = true },
	{ IMS_TESTDEV_RAW,		ims_td_ioc_raw },
	{ IMS_TESTDEV_RESET,		ims_td_ioc_reset, .asks = true },
	{ IMS_TESTDEV_FORGET,		ims_td_ioc_forget },
	{ IMS_TESTDEV_ALLOC_BATCH,	ims_td_ioc_alloc_batch, ims_td_done_alloc_batch },
	{ IMS_TESTDEV_FREE_BATCH,	ims_td_ioc_free_batch },
	{ IMS_TESTDEV_SUSPEND,		ims_td_ioc_suspend, .asks = true },
	{ IMS_TESTDEV_RESUME,		ims_td_ioc_resume },
	{ IMS_TESTDEV_RUNTIME_SUSPEND,	ims_td_ioc_runtime_suspend, .asks = true },
	{ IMS_TESTDEV_SET_COOKIE,	ims_td_ioc_set_cookie, .asks = true },
	{ IMS_TESTDEV_RESTORE,		ims_td_ioc_restore },
	{ IMS_TESTDEV_AFFINITY,		ims_td_ioc_affinity },
	{ IMS_TESTDEV_STORE_SUSPEND,	ims_td_ioc_store_suspend },
	{ IMS_TESTDEV_STORE_RESUME,	ims_td_ioc_store_resume, .asks = true },
};

long ims_td_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ims_testdev *td = file->private_data;
	void __user *user = (void __user *)arg;
	const struct ims_td_ioctl *ioctl = NULL;
	size_t size = _IOC_SIZE(cmd);
	void *copy = NULL;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(ims_td_ioctls); i++) {
		if (ims_td_ioctls[i].cmd == cmd)
			ioctl = &ims_td_ioctls[i];
	}
	if (!ioctl)
		return -ENOTTY;

	if (size) {
		copy = kzalloc(size, GFP_KERNEL);
		if (!copy)
			return -ENOMEM;
	}

	if (_IOC_DIR(cmd) & _IOC_WRITE && copy_from_user(copy, user, size)) {
		ret = -EFAULT;
		goto free_copy;
	}

	mutex_lock(&td->lock);
	if (td->dead) {
		ret = -ENODEV;
		goto unlock;
	}
	if (ioctl->asks && td->away) {
		ret = -EBUSY;
		goto unlock;
	}

	ret = ioctl->fn(td, copy);
	if (ret)
		goto unlock;

	if (_IOC_DIR(cmd) & _IOC_READ && copy_to_user(user, copy, size))
		ret = -EFAULT;
	if (ioctl->done)
		ioctl->done(td, copy, ret);

unlock:
	mutex_unlock(&td->lock);
free_copy:
	kfree(copy);
	return ret;
}
