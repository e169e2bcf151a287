// SPDX-License-Identifier: GPL-2.0
/*
 * The fixture of the KUnit tests of message stores
 *
 * Everything that the core deals with is simulated here: the interrupt controller
 * with its domains, the device with its slots, and the storage ops. What they are
 * asked for is written to a log, which tests compare with what they expect. See
 * msi_test.h for the words.
 *
 * The fixture checks what has to be true for every test: that a call is made in
 * the context that it needs, and that nothing is left at the end. Neither needs
 * anything from the test.
 *
 * The tests are in the files msi_test_*.c, one for each suite.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/kmsg_dump.h>
#include <linux/mount.h>
#include <linux/seq_file.h>
#include <linux/uio.h>

#include <trace/events/msi.h>

#include "msi_test.h"

#define MSI_TEST_DRIVER		"msi_kunit"

/**
 * msi_test_add - Add to a text
 * @text:	The text
 * @fmt:	Format of what to add. A space is put in front of it
 */
void msi_test_add(struct msi_test_text *text, const char *fmt, ...)
{
	unsigned int room = sizeof(text->buf) - text->len;
	va_list args;
	int len = 0;

	if (text->len && room > 1)
		text->buf[text->len++] = ' ';

	room = sizeof(text->buf) - text->len;
	va_start(args, fmt);
	len = vsnprintf(text->buf + text->len, room, fmt, args);
	va_end(args);

	if (len < room) {
		text->len += len;
	} else {
		text->len = sizeof(text->buf) - 1;
		memcpy(text->buf, "[too long]", 10);
	}
}

/**
 * msi_test_called - Write to the log
 * @mt:		The fixture
 * @fmt:	Format of what to write
 */
void msi_test_called(struct msi_test *mt, const char *fmt, ...)
{
	struct va_format vaf;
	unsigned long flags;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	raw_spin_lock_irqsave(&mt->loglock, flags);
	msi_test_add(&mt->log, "%pV", &vaf);
	if (mt->quiet && !strchr(mt->log.buf, '[')) {
		mt->log.len = 0;
		mt->log.buf[0] = '\0';
	}
	raw_spin_unlock_irqrestore(&mt->loglock, flags);
	va_end(args);
}

/**
 * msi_test_log_take - Move what is in the log to another text
 * @mt:		The fixture
 * @text:	Where it goes, unless %NULL
 */
void msi_test_log_take(struct msi_test *mt, struct msi_test_text *text)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&mt->loglock, flags);
	if (text)
		*text = mt->log;
	mt->remarks |= !!strchr(mt->log.buf, '[');
	mt->log.len = 0;
	mt->log.buf[0] = '\0';
	raw_spin_unlock_irqrestore(&mt->loglock, flags);
}

/**
 * msi_test_log_reset - Forget what is in the log
 * @mt:		The fixture
 */
void msi_test_log_reset(struct msi_test *mt)
{
	msi_test_log_take(mt, NULL);
}

/* The interrupt of a slot, 0 if it has none */
static unsigned int msi_test_slot_irq(struct msi_slot *slot)
{
	struct msi_dev_store *store = container_of(slot->storage, struct msi_dev_store, storage);
	struct msi_desc *desc;
	unsigned int i;

	/* There are several slots in a descriptor only in the default store */
	desc = xa_load(&store->descs, 0);
	for (i = 0; desc && i < desc->nvec_used; i++) {
		if (msi_desc_slot(desc, i) == slot)
			return desc->irq ? desc->irq + i : 0;
	}
	return container_of(slot, struct msi_desc, slot)->irq;
}

/* What is wrong with the context, if the interrupt descriptor lock has to be held */
static const char *msi_test_not_atomic(unsigned int irq)
{
	struct irq_desc *desc = irq_to_desc(irq);

	if (!irqs_disabled())
		return "[interrupts enabled]";
	if (IS_ENABLED(CONFIG_LOCKDEP) && debug_locks && desc && !lockdep_is_held(&desc->lock))
		return "[descriptor not locked]";
	return "";
}

/* The same, if it has to be possible to sleep */
static const char *msi_test_not_task(void)
{
	return irqs_disabled() || preempt_count() ? "[atomic]" : "";
}

/* --- The simulated interrupt controller ------------------------------------- */

static struct msi_test *irq_data_to_test(struct irq_data *data)
{
	return data->domain->host_data;
}

/* A callback of the parent that has nothing to do, with the descriptor locked */
#define MSI_TEST_CHIP_CALLBACK(_callback, _name)				\
static void msi_test_chip_##_callback(struct irq_data *data)			\
{										\
	msi_test_called(irq_data_to_test(data), _name "%s",			\
			msi_test_not_atomic(data->irq));			\
}

MSI_TEST_CHIP_CALLBACK(mask, "p.mask")
MSI_TEST_CHIP_CALLBACK(unmask, "p.unmask")
MSI_TEST_CHIP_CALLBACK(enable, "p.enable")
MSI_TEST_CHIP_CALLBACK(disable, "p.disable")
MSI_TEST_CHIP_CALLBACK(ack, "p.ack")
MSI_TEST_CHIP_CALLBACK(eoi, "p.eoi")

static int msi_test_chip_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	struct msi_test *mt = irq_data_to_test(data);

	msi_test_called(mt, "p.affinity%s", msi_test_not_atomic(data->irq));
	if (mt->parent.affinity_ret >= 0) {
		irq_data_update_effective_affinity(data, cpumask_of(cpumask_first(mask)));
		mt->parent.generation++;
	}
	return mt->parent.affinity_ret;
}

static void msi_test_chip_compose(struct irq_data *data, struct msi_msg *msg)
{
	struct msi_test *mt = irq_data_to_test(data);

	msi_test_called(mt, "p.compose");
	msg->address_lo = 0xfee00000;
	msg->address_hi = 0;
	msg->data = 0x100 + data->hwirq;
	if (!(mt->parent.ops.flags & MSI_PARENT_STABLE_MSG))
		msg->data += mt->parent.generation << 12;
}

static int msi_test_chip_wake(struct irq_data *data, unsigned int on)
{
	msi_test_called(irq_data_to_test(data), "p.wake=%u", on);
	return 0;
}

static int msi_test_chip_vcpu(struct irq_data *data, void *info)
{
	msi_test_called(irq_data_to_test(data), "p.vcpu");
	return 0;
}

static int msi_test_chip_get_state(struct irq_data *data, enum irqchip_irq_state which,
				   bool *state)
{
	/* That is by synchronize_irq(), and from there often */
	*state = which != IRQCHIP_STATE_ACTIVE;
	if (*state)
		msi_test_called(irq_data_to_test(data), "p.get_state");
	return 0;
}

static int msi_test_chip_set_state(struct irq_data *data, enum irqchip_irq_state which,
				   bool state)
{
	msi_test_called(irq_data_to_test(data), "p.set_state=%d", state);
	return 0;
}

/* Hard interrupt context */
static void msi_test_redeliver(struct irq_work *work)
{
	struct msi_test_parent *parent = container_of(work, struct msi_test_parent, redeliver);
	unsigned int hwirq;

	for_each_set_bit(hwirq, parent->retriggered, MSI_TEST_SLOTS) {
		if (test_and_clear_bit(hwirq, parent->retriggered))
			generic_handle_domain_irq(parent->domain, hwirq);
	}
}

static int msi_test_chip_retrigger(struct irq_data *data)
{
	struct msi_test *mt = irq_data_to_test(data);

	msi_test_called(mt, "p.retrigger");
	if (mt->parent.deliver) {
		set_bit(data->hwirq, mt->parent.retriggered);
		irq_work_queue(&mt->parent.redeliver);
	}
	return 1;
}

static int msi_test_root_retrigger(struct irq_data *data)
{
	msi_test_called(irq_data_to_test(data), "r.retrigger");
	return 1;
}

/* For stores that cannot mask: a callback of the device domain */
static int msi_test_affinity_nomask(struct irq_data *data, const struct cpumask *mask,
				    bool force)
{
	struct msi_test *mt = irq_data_to_test(data->parent_data);
	struct msi_msg msg = { };

	msi_test_called(mt, "p.affinity_nomask%s", msi_test_not_atomic(data->irq));
	mt->parent.generation++;
	irq_data_update_effective_affinity(data, cpumask_of(cpumask_first(mask)));
	irq_chip_compose_msi_msg(data, &msg);
	data->chip->irq_write_msi_msg(data, &msg);
	return IRQ_SET_MASK_OK;
}

static const char *msi_test_not_prepared(const msi_alloc_info_t *arg)
{
	return (arg->flags & ~MSI_TEST_PREPARED_SIZE) == MSI_TEST_PREPARED ? "" :
									     "[not prepared]";
}

static int msi_test_prepare(struct irq_domain *domain, struct device *dev, unsigned int size,
			    msi_alloc_info_t *arg)
{
	struct msi_test *mt = domain->parent->host_data;

	msi_test_called(mt, "p.prepare(%u)%s%s", size, msi_test_not_task(),
			dev == mt->dev ? "" : "[wrong device]");
	if (mt->parent.prepare_ret)
		return mt->parent.prepare_ret;
	if (mt->parent.room && mt->parent.reserved + size > mt->parent.room)
		return -ENOSPC;

	arg->flags = MSI_TEST_PREPARED | size;
	mt->parent.reserved += size;
	mt->parent.prepared++;
	return 0;
}

static void msi_test_teardown(struct irq_domain *domain, struct device *dev,
			      msi_alloc_info_t *arg)
{
	struct msi_test *mt = domain->parent->host_data;

	msi_test_called(mt, "p.teardown%s%s", msi_test_not_task(), msi_test_not_prepared(arg));
	mt->parent.reserved -= arg->flags & MSI_TEST_PREPARED_SIZE;
	mt->parent.prepared--;
}

static int msi_test_root_alloc(struct irq_domain *domain, unsigned int virq,
			       unsigned int nr_irqs, void *arg)
{
	struct msi_test *mt = domain->host_data;
	unsigned int hwirq, i;

	/* As the parent does it. The bitmap is its own */
	hwirq = bitmap_find_next_zero_area(mt->parent.hwirqs, MSI_TEST_SLOTS, 0, nr_irqs, 0);
	for (i = 0; i < nr_irqs; i++) {
		irq_domain_set_hwirq_and_chip(domain, virq + i, hwirq + i,
					      &mt->parent.root_chip, mt);
	}
	return 0;
}

static void msi_test_root_free(struct irq_domain *domain, unsigned int virq,
			       unsigned int nr_irqs)
{
	unsigned int i;

	for (i = 0; i < nr_irqs; i++)
		irq_domain_reset_irq_data(irq_domain_get_irq_data(domain, virq + i));
}

static const struct irq_domain_ops msi_test_root_ops = {
	.alloc	= msi_test_root_alloc,
	.free	= msi_test_root_free,
};

/* Memory may be waited for that the device itself has to write */
static const char *msi_test_can_reclaim(const msi_alloc_info_t *info)
{
	struct msi_storage *storage = info->desc ? info->desc->slot.storage : NULL;
	struct msi_dev_store *store;

	if (!storage || current->flags & PF_MEMALLOC_NOIO)
		return "";
	store = container_of(storage, struct msi_dev_store, storage);
	return store->guard == &store->lock ? "[with I/O]" : "";
}

static int msi_test_parent_alloc(struct irq_domain *domain, unsigned int virq,
				 unsigned int nr_irqs, void *arg)
{
	struct msi_test *mt = domain->host_data;
	struct msi_test_parent *parent = &mt->parent;
	msi_alloc_info_t *info = arg;
	unsigned int hwirq, i;
	int ret;

	msi_test_called(mt, "p.alloc%s%s%s%s", msi_test_not_task(),
			msi_test_not_prepared(info), msi_test_can_reclaim(info),
			info->desc ? "" : "[no descriptor]");

	hwirq = bitmap_find_next_zero_area(parent->hwirqs, MSI_TEST_SLOTS, 0, nr_irqs, 0);
	if (hwirq + nr_irqs > parent->limit)
		return -ENOSPC;

	ret = irq_domain_alloc_irqs_parent(domain, virq, nr_irqs, arg);
	if (ret)
		return ret;

	bitmap_set(parent->hwirqs, hwirq, nr_irqs);
	parent->irqs += nr_irqs;
	for (i = 0; i < nr_irqs; i++)
		irq_domain_set_hwirq_and_chip(domain, virq + i, hwirq + i, &parent->chip, mt);
	return 0;
}

static void msi_test_parent_free(struct irq_domain *domain, unsigned int virq,
				 unsigned int nr_irqs)
{
	struct irq_data *data = irq_domain_get_irq_data(domain, virq);
	struct msi_test *mt = domain->host_data;

	msi_test_called(mt, "p.free%s", msi_test_not_task());
	bitmap_clear(mt->parent.hwirqs, data->hwirq, nr_irqs);
	mt->parent.irqs -= nr_irqs;
	irq_domain_free_irqs_common(domain, virq, nr_irqs);
}

static int msi_test_parent_activate(struct irq_domain *domain, struct irq_data *data,
				    bool reserve)
{
	struct msi_test *mt = domain->host_data;

	msi_test_called(mt, "p.activate%s", msi_test_not_atomic(data->irq));
	return mt->parent.activate_ret;
}

static void msi_test_parent_deactivate(struct irq_domain *domain, struct irq_data *data)
{
	msi_test_called(domain->host_data, "p.deactivate%s", msi_test_not_atomic(data->irq));
}

static const struct irq_domain_ops msi_test_parent_ops = {
	.alloc		= msi_test_parent_alloc,
	.free		= msi_test_parent_free,
	.activate	= msi_test_parent_activate,
	.deactivate	= msi_test_parent_deactivate,
};

/**
 * msi_test_parent_init - Make the parent one of a certain kind
 * @mt:		The fixture
 * @flags:	MSI_PARENT_* flags
 *
 * It carries everything, and has a callback for everything that the flags ask
 * for, but none that they don't.
 */
void msi_test_parent_init(struct msi_test *mt, u32 flags)
{
	struct msi_test_parent *parent = &mt->parent;

	parent->ops = (struct msi_parent_ops) {
		.carries		= MSI_PARENT_PCI_MSI | MSI_PARENT_PCI_MULTI_MSI |
					  MSI_PARENT_PCI_MSIX | MSI_PARENT_PCI_MSIX_DYN |
					  MSI_PARENT_PCI_IMS | MSI_PARENT_PLATFORM,
		.flags			= flags,
		.prefix			= "TEST-",
		.handler		= handle_simple_irq,
		.handler_name		= "simple",
		.set_affinity_nomask	= msi_test_affinity_nomask,
		.prepare		= msi_test_prepare,
		.teardown		= msi_test_teardown,
	};

	parent->chip = (struct irq_chip) {
		.name			= "TEST",
		.irq_set_affinity	= msi_test_chip_affinity,
		.irq_compose_msi_msg	= msi_test_chip_compose,
		.irq_set_wake		= msi_test_chip_wake,
		.irq_set_vcpu_affinity	= msi_test_chip_vcpu,
		.irq_get_irqchip_state	= msi_test_chip_get_state,
		.irq_set_irqchip_state	= msi_test_chip_set_state,
		.irq_retrigger		= msi_test_chip_retrigger,
	};

	if (flags & MSI_PARENT_MASK) {
		parent->chip.irq_mask = msi_test_chip_mask;
		parent->chip.irq_unmask = msi_test_chip_unmask;
	}
	if (flags & MSI_PARENT_ENABLE) {
		parent->chip.irq_enable = msi_test_chip_enable;
		parent->chip.irq_disable = msi_test_chip_disable;
	}
	if (flags & MSI_PARENT_EOI) {
		parent->chip.irq_eoi = msi_test_chip_eoi;
		parent->ops.handler = handle_fasteoi_irq;
		parent->ops.handler_name = "fasteoi";
	}
	if (flags & MSI_PARENT_ACK) {
		parent->chip.irq_ack = msi_test_chip_ack;
		parent->ops.handler = handle_edge_irq;
		parent->ops.handler_name = "edge";
	}

	parent->root_chip = (struct irq_chip) {
		.name			= "TEST-ROOT",
		.irq_retrigger		= msi_test_root_retrigger,
	};
	parent->limit = MSI_TEST_SLOTS;
	parent->redeliver = IRQ_WORK_INIT_HARD(msi_test_redeliver);
}

static int msi_test_create_domains(struct msi_test *mt)
{
	struct msi_test_parent *parent = &mt->parent;

	parent->fwnodes[0] = irq_domain_alloc_named_fwnode("TEST-ROOT");
	parent->fwnodes[1] = irq_domain_alloc_named_fwnode("TEST");
	if (!parent->fwnodes[0] || !parent->fwnodes[1])
		return -ENOMEM;

	/* Linear, because a tree can keep nodes when an insertion fails */
	parent->root = irq_domain_create_hierarchy(NULL, 0, MSI_TEST_SLOTS, parent->fwnodes[0],
						   &msi_test_root_ops, mt);
	if (!parent->root)
		return -ENOMEM;

	parent->domain = irq_domain_create_hierarchy(parent->root, IRQ_DOMAIN_FLAG_MSI_PARENT,
						     MSI_TEST_SLOTS, parent->fwnodes[1],
						     &msi_test_parent_ops, mt);
	if (!parent->domain)
		return -ENOMEM;

	parent->domain->msi_parent_ops = &parent->ops;
	return 0;
}

static void msi_test_remove_domains(struct msi_test *mt)
{
	struct msi_test_parent *parent = &mt->parent;

	if (parent->domain)
		irq_domain_remove(parent->domain);
	if (parent->root)
		irq_domain_remove(parent->root);
	if (parent->fwnodes[1])
		irq_domain_free_fwnode(parent->fwnodes[1]);
	if (parent->fwnodes[0])
		irq_domain_free_fwnode(parent->fwnodes[0]);
}

/* --- The hardware and its storage ops --------------------------------------- */

static struct msi_test_hw *storage_to_hw(const struct msi_storage *storage)
{
	struct msi_test *mt = dev_get_drvdata(storage->dev);

	/* Most tests hand in no private data for a default store */
	return storage->priv ?: &mt->hw;
}

/* What is wrong with an op that can sleep and concerns a slot */
static const char *msi_test_op_not_task(const struct msi_storage *storage)
{
	struct msi_test_hw *hw = storage_to_hw(storage);

	if (storage->ops->lock && !hw->locked && !hw->offline && !hw->suspends)
		return "[not locked]";
	return msi_test_not_task();
}

/* What is wrong with an op that can't sleep */
static const char *msi_test_op_not_atomic(struct msi_slot *slot)
{
	struct msi_dev_store *store = container_of(slot->storage, struct msi_dev_store, storage);
	struct msi_test_hw *hw = storage_to_hw(slot->storage);

	if (hw->offline)
		return "[offline]";
	/* A flow handler does not have the bus lock */
	if (slot->storage->ops->lock && !hw->locked && READ_ONCE(store->owner) == current &&
	    in_task())
		return "[not locked]";
	return msi_test_not_atomic(msi_test_slot_irq(slot));
}

/**
 * msi_test_find - Find a slot of the hardware
 * @hw:		The hardware
 * @index:	Index of the slot
 *
 * Return: The slot, %NULL if it is not in use
 */
struct msi_test_slot *msi_test_find(struct msi_test_hw *hw, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < MSI_TEST_SLOTS; i++) {
		if (hw->slots[i].used && hw->slots[i].index == index)
			return &hw->slots[i];
	}
	return NULL;
}

/* Hard interrupt context */
static void msi_test_send(struct irq_work *work)
{
	struct msi_test_slot *s = container_of(work, struct msi_test_slot, work);
	struct msi_test_hw *hw = s->hw;
	struct msi_msg msg;
	bool send;

	raw_spin_lock(&hw->lock);
	msg = s->msg;
	send = s->used && s->pending && !s->masked;
	if (send) {
		s->pending = false;
		s->sent = s->cookie;
	}
	raw_spin_unlock(&hw->lock);

	if (!send)
		return;
	if (!msg.address_lo ||
	    generic_handle_domain_irq(hw->mt->parent.domain, (msg.data & 0xfff) - 0x100))
		msi_test_called(hw->mt, "lost(%u)", s->index);
}

/* The mask bit of a slot has changed */
static void msi_test_set_mask(struct msi_test_hw *hw, struct msi_test_slot *s, bool masked)
{
	unsigned long flags;
	bool send;

	raw_spin_lock_irqsave(&hw->lock, flags);
	s->masked = masked;
	send = s->pending && !masked;
	raw_spin_unlock_irqrestore(&hw->lock, flags);

	if (send)
		irq_work_queue(&s->work);
}

/* The slot gets the cookie that it is to have */
static void msi_test_update_cookie(struct msi_test_hw *hw, struct msi_test_slot *s)
{
	unsigned long flags;
	bool wrong;

	raw_spin_lock_irqsave(&hw->lock, flags);
	wrong = s->cookie.value != s->kept.value && !s->masked;
	s->cookie = s->kept;
	raw_spin_unlock_irqrestore(&hw->lock, flags);
	if (wrong)
		msi_test_called(hw->mt, "[cookie of an unmasked slot]");
}

static void msi_test_set_msg(struct msi_test_hw *hw, struct msi_test_slot *s,
			     const struct msi_msg *msg)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&hw->lock, flags);
	s->msg = *msg;
	raw_spin_unlock_irqrestore(&hw->lock, flags);
}

/**
 * msi_test_fire - The device has an event for one of its slots
 * @mt:		The fixture
 * @hw:		The hardware
 * @index:	Index of the slot
 *
 * Returns when the interrupt was delivered. It was not if the slot is masked, but it
 * comes when it is unmasked.
 */
void msi_test_fire(struct msi_test *mt, struct msi_test_hw *hw, unsigned int index)
{
	struct msi_test_slot *s = msi_test_find(hw, index);

	KUNIT_ASSERT_NOT_NULL(mt->test, s);
	raw_spin_lock_irq(&hw->lock);
	s->pending = true;
	raw_spin_unlock_irq(&hw->lock);
	irq_work_queue(&s->work);
	irq_work_sync(&s->work);
}

/* A handler that counts in &struct msi_test */
irqreturn_t msi_test_handler(int irq, void *mt)
{
	atomic_inc(&((struct msi_test *)mt)->handled);
	return IRQ_HANDLED;
}

int msi_test_op_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct msi_test_hw *hw = storage_to_hw(storage);
	struct msi_test_slot *s;
	int ret = hw->init_ret;
	unsigned int i;

	msi_test_called(hw->mt, "init(%u)%s%s%s", slot->index, msi_test_op_not_task(storage),
			msi_test_find(hw, slot->index) ? "[in use]" : "",
			slot->masked == (storage->ops->mask || storage->ops->sync) ?
			"" : "[wrong mask state]");
	if (hw->bad_cookie && slot->cookie.value == hw->bad_cookie)
		ret = -EINVAL;
	if (hw->init_hook)
		hw->init_hook(hw, slot);
	if (ret)
		return ret;

	for (i = 0; i < MSI_TEST_SLOTS && hw->slots[i].used; i++)
		;
	if (i == MSI_TEST_SLOTS)
		return -ENXIO;

	s = &hw->slots[i];
	s->hw = hw;
	s->used = true;
	s->masked = slot->masked;
	s->pending = false;
	s->index = slot->index;
	s->syncs = 0;
	s->cookie = slot->cookie;
	s->kept = slot->cookie;
	memset(&s->msg, 0, sizeof(s->msg));
	s->work = IRQ_WORK_INIT_HARD(msi_test_send);
	hw->used++;
	slot->priv = s;
	return 0;
}

void msi_test_op_free_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct msi_test_hw *hw = storage_to_hw(storage);
	struct msi_test_slot *s = slot->priv;

	msi_test_called(hw->mt, "free(%u)%s%s", slot->index, msi_test_op_not_task(storage),
			s->used && s->index == slot->index ? "" : "[wrong slot]");
	if (hw->free_hook)
		hw->free_hook(hw, slot);
	irq_work_sync(&s->work);
	s->used = false;
	hw->used--;
}

void msi_test_op_write_msg(struct msi_storage *storage, struct msi_slot *slot,
			   const struct msi_msg *msg)
{
	struct msi_test_hw *hw = storage_to_hw(storage);

	msi_test_called(hw->mt, "msg(%u)=%x%s", slot->index, msg->data,
			msi_test_op_not_atomic(slot));
	msi_test_set_msg(hw, slot->priv, msg);
}

void msi_test_op_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct msi_test_hw *hw = storage_to_hw(storage);

	msi_test_called(hw->mt, "mask(%u)%s", slot->index, msi_test_op_not_atomic(slot));
	msi_test_set_mask(hw, slot->priv, true);
	msi_test_update_cookie(hw, slot->priv);
}

void msi_test_op_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct msi_test_hw *hw = storage_to_hw(storage);
	struct msi_test_slot *s = slot->priv;

	msi_test_called(hw->mt, "unmask(%u)%s%s", slot->index, msi_test_op_not_atomic(slot),
			hw->suspends && !s->msg.address_lo ? "[no message]" : "");
	msi_test_update_cookie(hw, s);
	msi_test_set_mask(hw, s, false);
}

int msi_test_op_set_cookie(struct msi_storage *storage, struct msi_slot *slot,
			   const union msi_instance_cookie *cookie)
{
	struct msi_test_hw *hw = storage_to_hw(storage);
	struct msi_test_slot *s = slot->priv;
	char text[20] = "none";

	if (cookie)
		snprintf(text, sizeof(text), "%llx", cookie->value);
	msi_test_called(hw->mt, "cookie(%u)=%s%s", slot->index, text,
			hw->offline || s->masked ? "" : "[unmasked]");
	if (hw->cookie_hook)
		hw->cookie_hook(hw, slot);
	if (cookie && hw->bad_cookie && cookie->value == hw->bad_cookie)
		return -EINVAL;
	s->kept = cookie ? *cookie : (union msi_instance_cookie){ };
	return 0;
}

/* What there is to do is done when sync() returns, or complete() */
static int msi_test_carry_out(struct msi_test_hw *hw, struct msi_slot *slot, unsigned int what)
{
	struct msi_test_slot *s = slot->priv;
	int ret = 0;

	if (hw->sync_index == MSI_ANY_INDEX || hw->sync_index == slot->index)
		ret = hw->sync_ret;
	if (ret)
		return ret;

	s->syncs++;
	if (what & MSI_SYNC_MASK && slot->masked)
		msi_test_set_mask(hw, s, true);
	if (what & MSI_SYNC_MSG)
		msi_test_set_msg(hw, s, &slot->msg);
	if ((what & MSI_SYNC_MSG) && (what & MSI_SYNC_MASK))
		msi_test_update_cookie(hw, s);
	if (what & MSI_SYNC_MASK && !slot->masked)
		msi_test_set_mask(hw, s, false);
	return 0;
}

int msi_test_op_sync(struct msi_storage *storage, struct msi_slot *slot, unsigned int what)
{
	struct msi_test_hw *hw = storage_to_hw(storage);
	struct msi_test_slot *s = slot->priv;
	char msg[16] = "", mask[8] = "";
	int ret;

	if (storage->ops->complete && hw->posts == hw->room)
		return -EAGAIN;

	if (what & MSI_SYNC_MSG)
		snprintf(msg, sizeof(msg), ",msg=%x", slot->msg.data);
	if (what & MSI_SYNC_MASK)
		snprintf(mask, sizeof(mask), ",mask=%d", slot->masked);
	msi_test_called(hw->mt, "sync(%u%s%s)%s%s%s%s%s", slot->index, msg, mask,
			msi_test_op_not_task(storage), hw->syncing ? "[not serialized]" : "",
			hw->offline ? "[offline]" : "",
			s->used && !hw->released ? "" : "[not in use]",
			!what || what & ~(MSI_SYNC_MSG | MSI_SYNC_MASK) ? "[unknown]" : "");

	hw->syncing = true;
	if (hw->sync_hook)
		hw->sync_hook(hw, slot);
	if (storage->ops->complete) {
		hw->posted[hw->posts++] = slot;
		hw->most_posts = max(hw->most_posts, hw->posts);
		ret = 0;
	} else {
		ret = msi_test_carry_out(hw, slot, what);
	}
	hw->syncing = false;
	return ret;
}

static int msi_test_op_complete(struct msi_storage *storage, struct msi_slot *slot)
{
	struct msi_test_hw *hw = storage_to_hw(storage);

	msi_test_called(hw->mt, "done(%u)%s%s", slot->index, msi_test_op_not_task(storage),
			hw->posts && hw->posted[0] == slot ? "" : "[not the oldest]");
	if (hw->posts)
		memmove(hw->posted, hw->posted + 1, --hw->posts * sizeof(*hw->posted));
	if (hw->done_hook)
		hw->done_hook(hw, slot);
	return msi_test_carry_out(hw, slot, msi_slot_core(slot)->posted);
}

/* An op that waits for this task to have resumed the device waits for ever */
static const char *msi_test_in_transition(const struct msi_test *mt)
{
#ifdef CONFIG_PM
	const enum rpm_status status = mt->dev->power.runtime_status;

	if (current == mt->task && (status == RPM_SUSPENDING || status == RPM_RESUMING))
		return "[in a transition]";
#endif
	return "";
}

void msi_test_op_lock(struct msi_storage *storage)
{
	struct msi_test_hw *hw = storage_to_hw(storage);

	mutex_lock(&hw->mutex);
	msi_test_called(hw->mt, "lock%s%s%s%s", msi_test_not_task(), hw->locked ? "[locked]" : "",
			hw->offline ? "[offline]" : "", msi_test_in_transition(hw->mt));
	hw->locked = true;
}

void msi_test_op_unlock(struct msi_storage *storage)
{
	struct msi_test_hw *hw = storage_to_hw(storage);

	msi_test_called(hw->mt, "unlock%s%s", msi_test_not_task(),
			hw->locked ? "" : "[not locked]");
	hw->locked = false;
	mutex_unlock(&hw->mutex);
}

bool msi_test_op_is_masked(struct msi_storage *storage, struct msi_slot *slot)
{
	struct msi_test_slot *s = slot->priv;

	return s->masked;
}

void msi_test_op_release(struct msi_storage *storage)
{
	struct msi_test_hw *hw = storage_to_hw(storage);

	msi_test_called(hw->mt, "release%s%s%s", msi_test_not_task(), hw->used ? "[in use]" : "",
			hw->released ? "[twice]" : "");
	hw->released++;
}

#define MSI_TEST_OPS_SLOT						\
	.init_slot	= msi_test_op_init_slot,			\
	.free_slot	= msi_test_op_free_slot,			\
	.release	= msi_test_op_release

#define MSI_TEST_OPS_DIRECT						\
	MSI_TEST_OPS_SLOT,						\
	.set_cookie	= msi_test_op_set_cookie,			\
	.write_msg	= msi_test_op_write_msg,			\
	.mask		= msi_test_op_mask,				\
	.unmask		= msi_test_op_unmask,				\
	.is_masked	= msi_test_op_is_masked

#define MSI_TEST_OPS_NOMASK						\
	MSI_TEST_OPS_SLOT,						\
	.write_msg	= msi_test_op_write_msg

#define MSI_TEST_OPS_DEFERRED						\
	MSI_TEST_OPS_SLOT,						\
	.set_cookie	= msi_test_op_set_cookie,			\
	.sync		= msi_test_op_sync,				\
	.is_masked	= msi_test_op_is_masked

#define MSI_TEST_OPS_LOCK						\
	.lock		= msi_test_op_lock,				\
	.unlock		= msi_test_op_unlock

static const struct msi_storage_ops msi_test_direct_ops = {
	MSI_TEST_OPS_DIRECT,
};

static const struct msi_storage_ops msi_test_direct_lock_ops = {
	MSI_TEST_OPS_DIRECT,
	MSI_TEST_OPS_LOCK,
};

static const struct msi_storage_ops msi_test_nomask_ops = {
	MSI_TEST_OPS_NOMASK,
};

static const struct msi_storage_ops msi_test_nomask_lock_ops = {
	MSI_TEST_OPS_NOMASK,
	MSI_TEST_OPS_LOCK,
};

static const struct msi_storage_ops msi_test_deferred_ops = {
	MSI_TEST_OPS_DEFERRED,
};

static const struct msi_storage_ops msi_test_deferred_lock_ops = {
	MSI_TEST_OPS_DEFERRED,
	MSI_TEST_OPS_LOCK,
};

static const struct msi_storage_ops msi_test_deferred_post_ops = {
	MSI_TEST_OPS_DEFERRED,
	MSI_TEST_OPS_LOCK,
	.complete	= msi_test_op_complete,
};

#define MSI_TEST_TEMPLATE(_name, _requires, _flags, _ops) {		\
	.name		= _name,					\
	.mode		= "test",					\
	.bus_token	= DOMAIN_BUS_PLATFORM_MSI,			\
	.requires	= _requires,					\
	.flags		= _flags,					\
	.ops		= &(_ops),					\
	.owner		= THIS_MODULE,					\
}

const struct msi_storage_template msi_test_templates[MSI_TEST_TEMPLATES] = {
	[MSI_TEST_DIRECT] =
		MSI_TEST_TEMPLATE("direct", MSI_PARENT_PCI_IMS, 0, msi_test_direct_ops),
	[MSI_TEST_DIRECT_LOCK] =
		MSI_TEST_TEMPLATE("direct-lock", MSI_PARENT_PCI_IMS, 0, msi_test_direct_lock_ops),
	[MSI_TEST_NOMASK] =
		MSI_TEST_TEMPLATE("nomask", MSI_PARENT_PCI_MSI, MSI_STORAGE_NO_MASK,
				  msi_test_nomask_ops),
	[MSI_TEST_NOMASK_LOCK] =
		MSI_TEST_TEMPLATE("nomask-lock", MSI_PARENT_PCI_MSI, MSI_STORAGE_NO_MASK,
				  msi_test_nomask_lock_ops),
	[MSI_TEST_DEFERRED] =
		MSI_TEST_TEMPLATE("deferred", MSI_PARENT_PCI_IMS, 0, msi_test_deferred_ops),
	[MSI_TEST_DEFERRED_LOCK] =
		MSI_TEST_TEMPLATE("deferred-lock", MSI_PARENT_PCI_IMS, 0,
				  msi_test_deferred_lock_ops),
	[MSI_TEST_DEFERRED_DRIVER] =
		MSI_TEST_TEMPLATE("deferred-driver", MSI_PARENT_PCI_IMS, MSI_STORAGE_DRIVER_RESTORE,
				  msi_test_deferred_lock_ops),
	[MSI_TEST_DIRECT_EARLY] =
		MSI_TEST_TEMPLATE("direct-early", MSI_PARENT_PCI_IMS, MSI_STORAGE_ACTIVATE_EARLY,
				  msi_test_direct_ops),
	[MSI_TEST_DEFERRED_POST] =
		MSI_TEST_TEMPLATE("deferred-post", MSI_PARENT_PCI_IMS, 0,
				  msi_test_deferred_post_ops),
};

/**
 * msi_test_hw_init - Initialize the hardware of one more store
 * @mt:		The fixture
 * @hw:		The hardware, all zeros
 */
void msi_test_hw_init(struct msi_test *mt, struct msi_test_hw *hw)
{
	hw->mt = mt;
	hw->sync_index = MSI_ANY_INDEX;
	hw->room = 4;
	raw_spin_lock_init(&hw->lock);
	mutex_init(&hw->mutex);
}

/**
 * msi_test_create - Create a store
 * @mt:		The fixture
 * @kind:	Its kind
 * @size:	Number of slots
 * @hw:		What it has as its hardware
 *
 * Return: The id of the store. The test is over if that fails
 */
int msi_test_create(struct msi_test *mt, enum msi_test_kind kind, unsigned int size,
		    struct msi_test_hw *hw)
{
	int id;

	hw->released = 0;
	id = msi_create_store(mt->dev, &msi_test_templates[kind], size, hw);
	KUNIT_ASSERT_GT_MSG(mt->test, id, 0, "%s", msi_test_templates[kind].name);
	return id;
}

/**
 * msi_test_alloc - Allocate an interrupt from a store
 * @mt:		The fixture
 * @id:		Id of the store
 * @index:	Index of the slot
 *
 * Return: The interrupt. The test is over if that fails
 */
struct msi_map msi_test_alloc(struct msi_test *mt, int id, unsigned int index)
{
	struct msi_map map = msi_store_alloc_irq(mt->dev, id, index, NULL, NULL);

	KUNIT_ASSERT_GE(mt->test, map.index, 0);
	KUNIT_ASSERT_GT(mt->test, map.virq, 0);
	if (index != MSI_ANY_INDEX)
		KUNIT_EXPECT_EQ(mt->test, map.index, index);
	return map;
}

/* A batch of interrupts at any indices. Returns what msi_store_alloc_irqs() does */
int msi_test_alloc_irqs(struct msi_test *mt, int id, unsigned int min, unsigned int max,
			struct msi_map *maps)
{
	return msi_store_alloc_irqs(mt->dev, id, MSI_ANY_INDEX, min, max, NULL, NULL, maps);
}

/**
 * msi_test_store - Look at a store from the inside
 * @mt:		The fixture
 * @id:		Its id
 *
 * Return: The store, %NULL if there is none
 */
struct msi_dev_store *msi_test_store(struct msi_test *mt, int id)
{
	return mt->dev->msi.data ? xa_load(&mt->dev->msi.data->stores, id) : NULL;
}

/**
 * msi_test_irq_slot - Look at a slot from the inside
 * @irq:	The interrupt, which has one slot
 *
 * Return: The slot
 */
struct msi_slot *msi_test_irq_slot(unsigned int irq)
{
	return &irq_get_msi_desc(irq)->slot;
}

/**
 * msi_test_expect_same - Expect that the device is as the core thinks that it is
 * @mt:		The fixture
 * @hw:		The hardware of the store
 * @maps:	Interrupts of the store
 * @count:	How many they are
 */
void msi_test_expect_same(struct msi_test *mt, struct msi_test_hw *hw,
			  const struct msi_map *maps, unsigned int count)
{
	struct msi_test_slot *s;
	struct msi_slot *slot;
	unsigned int i;

	for (i = 0; i < count; i++) {
		slot = msi_test_irq_slot(maps[i].virq);
		s = msi_test_find(hw, maps[i].index);
		KUNIT_ASSERT_NOT_NULL(mt->test, s);
		if (slot->storage->ops->is_masked)
			KUNIT_EXPECT_EQ_MSG(mt->test, s->masked, slot->masked,
					    "slot %u", slot->index);
		KUNIT_EXPECT_EQ_MSG(mt->test, s->msg.data, slot->msg.data, "slot %u", slot->index);
		KUNIT_EXPECT_EQ_MSG(mt->test, s->msg.address_lo, slot->msg.address_lo,
				    "slot %u", slot->index);
		KUNIT_EXPECT_EQ_MSG(mt->test, msi_slot_core(slot)->dirty, 0, "slot %u",
				    slot->index);
	}
}

/* --- The outside ------------------------------------------------------------ */

static unsigned int msi_test_count_irqs(void)
{
	unsigned int irq, n = 0;

	for_each_active_irq(irq)
		n++;
	return n;
}

/**
 * msi_test_free_irqs - How many interrupts can be allocated
 *
 * Return: That, but not more than the simulated controller has
 */
unsigned int msi_test_free_irqs(void)
{
	return min_t(unsigned int, IRQ_BITMAP_BITS - msi_test_count_irqs(), MSI_TEST_SLOTS);
}

/* One read() of a file that uses seq_file. There is no user memory to hand to it */
static ssize_t msi_test_read_some(struct file *file, struct kiocb *iocb, char *buf, size_t size)
{
	struct kvec vec = { .iov_base = buf, .iov_len = size };
	struct iov_iter iter;
	ssize_t ret;

	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, size);
	ret = debugfs_file_get(file->f_path.dentry);
	if (ret)
		return ret;
	ret = seq_read_iter(iocb, &iter);
	debugfs_file_put(file->f_path.dentry);
	return ret;
}

/**
 * msi_test_read - Read a file of debugfs
 * @path:	Path of the file, which uses seq_file
 * @buf:	Where it goes to, as a string
 * @size:	Size of @buf
 * @all:	Everything that is in it, not only what one read() returns
 *
 * Return: @buf, or the reason why there is nothing in it
 */
const char *msi_test_read(const char *path, char *buf, size_t size, bool all)
{
	struct file_system_type *type;
	struct vfsmount *mnt;
	struct kiocb iocb;
	struct file *file;
	size_t len = 0;
	ssize_t ret;

	type = get_fs_type("debugfs");
	if (!type)
		return "no debugfs";
	mnt = kern_mount(type);
	put_filesystem(type);
	if (IS_ERR(mnt))
		return "no mount";

	file = file_open_root_mnt(mnt, path, O_RDONLY, 0);
	if (IS_ERR(file)) {
		kern_unmount(mnt);
		return "no file";
	}

	init_sync_kiocb(&iocb, file);
	do {
		ret = msi_test_read_some(file, &iocb, buf + len, size - 1 - len);
		len += max_t(ssize_t, ret, 0);
	} while (all && ret > 0 && len < size - 1);
	buf[len] = '\0';

	__fput_sync(file);
	kern_unmount(mnt);
	return buf;
}

/**
 * msi_test_printed - Check whether something was printed to the kernel log
 * @mt:		The fixture
 * @what:	What it is, a part of a line
 *
 * Return: True if it was printed since the test started, or was asked for the last
 *	   time
 */
bool msi_test_printed(struct msi_test *mt, const char *what)
{
	struct kmsg_dump_iter iter;
	bool found = false;
	char line[512];
	size_t len;

	kmsg_dump_rewind(&iter);
	iter.cur_seq = mt->mark;
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = '\0';
		found = found || strstr(line, what);
	}
	mt->mark = iter.cur_seq;
	return found;
}

/* --- The fixture ------------------------------------------------------------ */

/**
 * msi_test_broken - How often storage ops have broken their contract since boot
 *
 * Return: That, 0 without CONFIG_MSI_STORAGE_DEBUG
 */
unsigned int msi_test_broken(void)
{
	unsigned int n = 0;
#ifdef CONFIG_MSI_STORAGE_DEBUG
	enum msi_contract rule;

	for (rule = 0; rule < MSI_NR_CONTRACTS; rule++)
		n += msi_contract_broken(rule);
#endif
	return n;
}

static void msi_test_trace_alloc(void *mt, const struct msi_slot *slot, unsigned int irq)
{
	atomic_inc(&((struct msi_test *)mt)->traced);
}

static void msi_test_trace_free(void *mt, const struct msi_slot *slot, unsigned int irq)
{
	atomic_dec(&((struct msi_test *)mt)->traced);
}

static int msi_test_probe(struct platform_device *pdev)
{
	return 0;
}

static struct platform_driver msi_test_driver = {
	.probe	= msi_test_probe,
	.driver	= { .name = MSI_TEST_DRIVER },
};

int msi_test_suite_init(struct kunit_suite *suite)
{
	return platform_driver_register(&msi_test_driver);
}

void msi_test_suite_exit(struct kunit_suite *suite)
{
	platform_driver_unregister(&msi_test_driver);
}

int msi_test_init(struct kunit *test)
{
	struct kmsg_dump_iter iter = { };
	struct msi_test *mt;
	int ret;

	mt = kunit_kzalloc(test, sizeof(*mt), GFP_KERNEL);
	if (!mt)
		return -ENOMEM;

	mt->test = test;
	mt->task = current;
	test->priv = mt;
	raw_spin_lock_init(&mt->loglock);
	kmsg_dump_rewind(&iter);
	mt->mark = iter.next_seq;
	mt->irqs = msi_test_count_irqs();
	mt->broken = msi_test_broken();
	msi_test_hw_init(mt, &mt->hw);
	msi_test_parent_init(mt, MSI_PARENT_STABLE_MSG | MSI_PARENT_ACK);

	ret = msi_test_create_domains(mt);
	if (ret)
		return ret;

	register_trace_msi_alloc(msi_test_trace_alloc, mt);
	register_trace_msi_free(msi_test_trace_free, mt);

	mt->pdev = platform_device_register_simple(MSI_TEST_DRIVER, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(mt->pdev))
		return PTR_ERR(mt->pdev);

	mt->dev = &mt->pdev->dev;
	dev_set_drvdata(mt->dev, mt);
	dev_set_msi_domain(mt->dev, mt->parent.domain);
	return device_is_bound(mt->dev) ? 0 : -ENODEV;
}

/**
 * msi_test_unbind - Unbind the driver from the device
 * @mt:		The fixture
 *
 * All stores go away.
 */
void msi_test_unbind(struct msi_test *mt)
{
	device_release_driver(mt->dev);
	KUNIT_EXPECT_NULL(mt->test, mt->dev->msi.data);
}

void msi_test_exit(struct kunit *test)
{
	struct msi_test *mt = test->priv;

	if (!mt)
		return;

	irq_work_sync(&mt->parent.redeliver);
	if (mt->dev) {
		msi_test_unbind(mt);
		platform_device_unregister(mt->pdev);
	}

	unregister_trace_msi_free(msi_test_trace_free, mt);
	unregister_trace_msi_alloc(msi_test_trace_alloc, mt);
	tracepoint_synchronize_unregister();

	KUNIT_EXPECT_EQ_MSG(test, mt->parent.prepared, 0, "device domains were not torn down");
	KUNIT_EXPECT_EQ_MSG(test, mt->parent.reserved, 0, "interrupts are reserved");
	KUNIT_EXPECT_EQ_MSG(test, mt->parent.irqs, 0, "interrupts of the parent are left");
	KUNIT_EXPECT_EQ_MSG(test, msi_test_count_irqs(), mt->irqs, "interrupts are left");
	KUNIT_EXPECT_EQ_MSG(test, mt->hw.used, 0, "slots are left");
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&mt->traced), 0,
			    "msi_alloc and msi_free do not match");
	KUNIT_EXPECT_EQ_MSG(test, msi_test_broken(), mt->broken, "a contract was broken");
	KUNIT_EXPECT_FALSE_MSG(test, mt->remarks, "there were remarks in the log");
	KUNIT_EXPECT_NULL_MSG(test, strchr(mt->log.buf, '['), "%s", mt->log.buf);

	msi_test_remove_domains(mt);
}
