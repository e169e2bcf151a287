// SPDX-License-Identifier: GPL-2.0
/*
 * Message stores in debugfs
 *
 * Each device has a file in irq/msi/. It shows the stores that have a
 * device domain, and of each store the slots that are allocated.
 *
 * Consistency: Each line is a consistent state of the slot, as it is read with the
 * lock held that guards the slot. Interrupts and stores can be added and removed
 * between two lines: What is shown is found under RCU, so that it can be looked at while a
 * storage op is stuck.
 *
 * The file is removed before the data of the device is, and that waits for readers.
 */
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/seq_file.h>

#include "internals.h"

static struct dentry *msi_dir;

/*
 * The position in the file is a line: The one of a slot is its index in the lower
 * half, plus one. 0 stands for the head of the store.
 */
#define MSI_POS_BITS	32

static struct msi_dev_store *msi_seq_store(struct msi_device_data *md, loff_t *pos)
{
	unsigned long id = *pos >> MSI_POS_BITS;
	struct msi_dev_store *store;

	xa_for_each_start(&md->stores, id, store, id) {
		if (!READ_ONCE(store->devdom))
			continue;
		/* From the head on, if it is another one */
		if (id != *pos >> MSI_POS_BITS)
			*pos = (loff_t)id << MSI_POS_BITS;
		return store;
	}
	return NULL;
}

/* The object at the position, or the next one */
static void *msi_seq_find(struct msi_device_data *md, loff_t *pos)
{
	struct msi_dev_store *store;
	struct msi_desc *desc;
	unsigned long index;

	while ((store = msi_seq_store(md, pos))) {
		if (!(u32)*pos)
			return store;

		index = (u32)*pos - 1;
		desc = xa_find(&store->descs, &index, ULONG_MAX, XA_PRESENT);
		if (desc) {
			*pos = ((loff_t)store->id << MSI_POS_BITS) + index + 1;
			return desc;
		}
		*pos = (loff_t)(store->id + 1) << MSI_POS_BITS;
	}
	return NULL;
}

static void *msi_seq_start(struct seq_file *m, loff_t *pos)
	__acquires(RCU)
{
	rcu_read_lock();
	return msi_seq_find(m->private, pos);
}

static void *msi_seq_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return msi_seq_find(m->private, pos);
}

static void msi_seq_stop(struct seq_file *m, void *v)
	__releases(RCU)
{
	rcu_read_unlock();
}

static void msi_show_store(struct seq_file *m, const struct msi_dev_store *store)
{
	const struct msi_storage_template *tmpl = READ_ONCE(store->tmpl);
	struct msi_device_domain *dd = READ_ONCE(store->devdom);
	unsigned int size = READ_ONCE(store->storage.size);
	const char *suspended = msi_store_is_suspended(store) ? ", suspended" : "";

	/* It is just being removed */
	if (!tmpl || !dd || !size)
		return;

	seq_printf(m, "store: %u\n", store->id);
	seq_printf(m, " name:    %s\n", tmpl->name);
	seq_printf(m, " domain:  %s\n", dd->name);
	seq_printf(m, " parent:  %s\n", dd->domain->parent->name);
	seq_printf(m, " kind:    %s%s\n", tmpl->ops->sync ? "deferred" : "direct", suspended);
	seq_printf(m, " size:    %u\n", size);
	seq_printf(m, " used:    %u\n", READ_ONCE(store->used));
	seq_printf(m, " %-8s %6s %-18s %-18s %-8s %s\n", "slot", "irq", "cookie", "address",
		   "data", "state");
}

/* What can change in a slot, at one moment */
struct msi_slot_state {
	struct msi_msg	msg;
	unsigned int	dirty;
	bool		masked;
	bool		has_cookie;
	u64		cookie;
};

static void msi_get_state(const struct msi_dev_store *store, struct msi_slot *slot,
			  struct msi_slot_state *state)
{
	state->msg = slot->msg;
	state->masked = slot->masked;
	state->dirty = 0;
	state->has_cookie = slot->has_cookie;
	state->cookie = msi_cookie_shown(slot->cookie);
	msi_deferred_get_state(store, slot, &state->masked, &state->dirty);
}

static void msi_show_slot(struct seq_file *m, const struct msi_dev_store *store,
			  struct msi_slot *slot, unsigned int irq)
{
	struct irq_desc *desc = irq ? irq_to_desc(irq) : NULL;
	struct msi_slot_state state;
	char cookie[20] = "none";
	unsigned long flags;

	/* It does not change without an interrupt */
	if (desc) {
		raw_spin_lock_irqsave(&desc->lock, flags);
		msi_get_state(store, slot, &state);
		raw_spin_unlock_irqrestore(&desc->lock, flags);
	} else {
		msi_get_state(store, slot, &state);
	}

	if (state.has_cookie)
		snprintf(cookie, sizeof(cookie), "0x%016llx", state.cookie);
	seq_printf(m, " %-8u %6u %-18s 0x%08x%08x %08x %s%s\n", slot->index, irq, cookie,
		   state.msg.address_hi, state.msg.address_lo, state.msg.data,
		   state.masked ? "masked" : "unmasked", state.dirty ? " dirty" : "");
}

static int msi_seq_show(struct seq_file *m, void *v)
{
	struct msi_device_data *md = m->private;
	struct msi_dev_store *store;
	struct msi_desc *desc = v;
	unsigned int i, irq;

	if (!(u32)m->index) {
		msi_show_store(m, v);
		return 0;
	}

	store = xa_load(&md->stores, m->index >> MSI_POS_BITS);
	if (!store)
		return 0;

	irq = READ_ONCE(desc->irq);
	for (i = 0; i < desc->nvec_used; i++)
		msi_show_slot(m, store, msi_desc_slot(desc, i), irq ? irq + i : 0);
	return 0;
}

static const struct seq_operations msi_seq_ops = {
	.start	= msi_seq_start,
	.next	= msi_seq_next,
	.stop	= msi_seq_stop,
	.show	= msi_seq_show,
};

static int msi_debugfs_open(struct inode *inode, struct file *file)
{
	int ret = seq_open(file, &msi_seq_ops);

	if (!ret)
		((struct seq_file *)file->private_data)->private = inode->i_private;
	return ret;
}

static const struct file_operations msi_debugfs_fops = {
	.owner		= THIS_MODULE,
	.open		= msi_debugfs_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= seq_release,
};

void msi_debugfs_add(struct device *dev, struct msi_device_data *md)
{
	if (msi_dir)
		md->debugfs_file = debugfs_create_file(dev_name(dev), 0400, msi_dir, md,
						       &msi_debugfs_fops);
}

void msi_debugfs_remove(struct msi_device_data *md)
{
	debugfs_remove(md->debugfs_file);
}

void __init msi_debugfs_init(struct dentry *root)
{
	msi_dir = debugfs_create_dir("msi", root);
}
