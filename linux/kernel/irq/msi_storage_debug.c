// SPDX-License-Identifier: GPL-2.0
/*
 * Run time checks of the storage ops of message stores
 *
 * Storage ops are invoked from here with %CONFIG_MSI_STORAGE_DEBUG, and directly
 * without it. What is checked is the contract in &struct msi_storage_ops. An op
 * that breaks it is reported in the kernel log and counted, and as much of the
 * damage as possible is undone, so that the report reaches the log.
 *
 * Whether an op did what it has to do can be seen only if the ops are able to
 * read the mask bit back, see msi_storage_ops::is_masked().
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/irqflags.h>
#include <linux/msi.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "internals.h"

static const char *const msi_contract_text[] = {
	[MSI_CONTRACT_SLEPT]		= "slept",
	[MSI_CONTRACT_IRQ_STATE]	= "changed the interrupt state",
	[MSI_CONTRACT_PREEMPT]		= "changed the preempt count",
	[MSI_CONTRACT_INIT_UNMASKED]	= "left the slot unmasked",
	[MSI_CONTRACT_NOT_MASKED]	= "did not mask the slot",
	[MSI_CONTRACT_NOT_UNMASKED]	= "did not unmask the slot",
	[MSI_CONTRACT_MASK_STATE]	= "changed the mask state",
	[MSI_CONTRACT_RESULT]		= "returned neither 0 nor an error code",
};

static_assert(ARRAY_SIZE(msi_contract_text) == MSI_NR_CONTRACTS);

static atomic_t msi_contract_count[MSI_NR_CONTRACTS];

/* How often a rule was broken since boot */
unsigned int msi_contract_broken(enum msi_contract rule)
{
	return atomic_read(&msi_contract_count[rule]);
}

static void msi_report(const struct msi_storage *storage, const struct msi_slot *slot,
		       const char *op, enum msi_contract rule)
{
	const struct msi_dev_store *store;
	char where[32] = "";

	store = container_of(storage, struct msi_dev_store, storage);
	atomic_inc(&msi_contract_count[rule]);
	if (slot)
		scnprintf(where, sizeof(where), " of slot %u", slot->index);
	dev_err_ratelimited(storage->dev, "%s: storage ops: %s%s %s\n", store->tmpl->name, op,
			    where, msi_contract_text[rule]);
}

/**
 * struct msi_context - The context in which a storage op was invoked
 * @storage:	The store
 * @slot:	The slot, NULL if the op is about the whole store
 * @op:		Name of the op
 * @atomic:	The op must not sleep
 * @irqs:	The interrupt state
 * @preempt:	The preempt count
 * @switches:	How often the task was scheduled out on its own account
 */
struct msi_context {
	const struct msi_storage	*storage;
	const struct msi_slot		*slot;
	const char			*op;
	bool				atomic;
	unsigned long			irqs;
	unsigned int			preempt;
	unsigned long			switches;
};

static void msi_enter(struct msi_context *ctx)
{
	local_save_flags(ctx->irqs);
	ctx->preempt = preempt_count();
	ctx->switches = current->nvcsw;
}

static void msi_leave(const struct msi_context *ctx)
{
	if (ctx->atomic && current->nvcsw != ctx->switches)
		msi_report(ctx->storage, ctx->slot, ctx->op, MSI_CONTRACT_SLEPT);

	if (irqs_disabled() != irqs_disabled_flags(ctx->irqs)) {
		if (irqs_disabled())
			local_irq_enable();
		else
			local_irq_disable();
		msi_report(ctx->storage, ctx->slot, ctx->op, MSI_CONTRACT_IRQ_STATE);
	}

	if (preempt_count() != ctx->preempt) {
		preempt_count_set(ctx->preempt);
		msi_report(ctx->storage, ctx->slot, ctx->op, MSI_CONTRACT_PREEMPT);
	}
}

#define MSI_CONTEXT(_storage, _slot, _op, _atomic)				\
	struct msi_context ctx = { .storage = _storage, .slot = _slot,		\
				   .op = _op, .atomic = _atomic }

/* Check the mask state if the ops can tell. The slot is masked if @masked */
static void msi_check_mask(struct msi_slot *slot, bool masked, const char *op,
			   enum msi_contract rule)
{
	const struct msi_storage_ops *ops = slot->storage->ops;

	if (ops->is_masked && ops->is_masked(slot->storage, slot) != masked)
		msi_report(slot->storage, slot, op, rule);
}

static void msi_check_synced_mask(const struct msi_context *ctx, struct msi_slot *slot)
{
	msi_check_mask(slot, slot->masked, ctx->op, slot->masked ?
		       MSI_CONTRACT_NOT_MASKED : MSI_CONTRACT_NOT_UNMASKED);
}

/* msi_op_result() makes an error of it */
static void msi_check_result(const struct msi_context *ctx, int ret)
{
	if (ret > 0 || ret < -MAX_ERRNO)
		msi_report(ctx->storage, ctx->slot, ctx->op, MSI_CONTRACT_RESULT);
}

int msi_debug_init_slot(struct msi_slot *slot)
{
	MSI_CONTEXT(slot->storage, slot, "init_slot", false);
	int ret;

	msi_enter(&ctx);
	ret = slot->storage->ops->init_slot(slot->storage, slot);
	msi_leave(&ctx);
	msi_check_result(&ctx, ret);
	if (!ret && slot->masked)
		msi_check_mask(slot, true, ctx.op, MSI_CONTRACT_INIT_UNMASKED);
	return ret;
}

void msi_debug_free_slot(struct msi_slot *slot)
{
	MSI_CONTEXT(slot->storage, slot, "free_slot", false);

	msi_enter(&ctx);
	slot->storage->ops->free_slot(slot->storage, slot);
	msi_leave(&ctx);
}

int msi_debug_set_cookie(struct msi_slot *slot, const union msi_instance_cookie *cookie)
{
	MSI_CONTEXT(slot->storage, slot, "set_cookie", !slot->storage->ops->sync);
	int ret;

	msi_enter(&ctx);
	ret = slot->storage->ops->set_cookie(slot->storage, slot, cookie);
	msi_leave(&ctx);
	msi_check_result(&ctx, ret);
	return ret;
}

void msi_debug_write_msg(struct msi_slot *slot, const struct msi_msg *msg)
{
	MSI_CONTEXT(slot->storage, slot, "write_msg", true);
	const struct msi_storage_ops *ops = slot->storage->ops;
	bool masked = ops->is_masked && ops->is_masked(slot->storage, slot);

	msi_enter(&ctx);
	ops->write_msg(slot->storage, slot, msg);
	msi_leave(&ctx);
	/* The ops can have been exchanged meanwhile */
	if (ops->is_masked)
		msi_check_mask(slot, masked, ctx.op, MSI_CONTRACT_MASK_STATE);
}

void msi_debug_mask(struct msi_slot *slot)
{
	MSI_CONTEXT(slot->storage, slot, "mask", true);

	msi_enter(&ctx);
	slot->storage->ops->mask(slot->storage, slot);
	msi_leave(&ctx);
	msi_check_mask(slot, true, ctx.op, MSI_CONTRACT_NOT_MASKED);
}

void msi_debug_unmask(struct msi_slot *slot)
{
	MSI_CONTEXT(slot->storage, slot, "unmask", true);

	msi_enter(&ctx);
	slot->storage->ops->unmask(slot->storage, slot);
	msi_leave(&ctx);
	msi_check_mask(slot, false, ctx.op, MSI_CONTRACT_NOT_UNMASKED);
}

int msi_debug_sync(struct msi_slot *slot, unsigned int what)
{
	MSI_CONTEXT(slot->storage, slot, "sync", false);
	int ret;

	msi_enter(&ctx);
	ret = slot->storage->ops->sync(slot->storage, slot, what);
	msi_leave(&ctx);
	msi_check_result(&ctx, ret);
	if (!ret && (what & MSI_SYNC_MASK) && !slot->storage->ops->complete)
		msi_check_synced_mask(&ctx, slot);
	return ret;
}

int msi_debug_complete(struct msi_slot *slot)
{
	MSI_CONTEXT(slot->storage, slot, "complete", false);
	int ret;

	msi_enter(&ctx);
	ret = slot->storage->ops->complete(slot->storage, slot);
	msi_leave(&ctx);
	msi_check_result(&ctx, ret);
	if (!ret && (msi_slot_core(slot)->posted & MSI_SYNC_MASK))
		msi_check_synced_mask(&ctx, slot);
	return ret;
}

void msi_debug_lock(struct msi_storage *storage, void (*lock)(struct msi_storage *storage))
{
	MSI_CONTEXT(storage, NULL, "lock", false);

	msi_enter(&ctx);
	lock(storage);
	msi_leave(&ctx);
}

void msi_debug_unlock(struct msi_storage *storage)
{
	MSI_CONTEXT(storage, NULL, "unlock", false);

	msi_enter(&ctx);
	storage->ops->unlock(storage);
	msi_leave(&ctx);
}

#ifdef CONFIG_GENERIC_IRQ_DEBUGFS
static int msi_contract_show(struct seq_file *m, void *unused)
{
	enum msi_contract rule;

	for (rule = 0; rule < MSI_NR_CONTRACTS; rule++)
		seq_printf(m, "%s: %u\n", msi_contract_text[rule], msi_contract_broken(rule));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(msi_contract);

static int __init msi_contract_debugfs_init(void)
{
	struct dentry *dir = debugfs_lookup("irq", NULL);

	if (dir)
		debugfs_create_file("msi_contract", 0444, dir, NULL, &msi_contract_fops);
	dput(dir);
	return 0;
}
late_initcall(msi_contract_debugfs_init);
#endif
