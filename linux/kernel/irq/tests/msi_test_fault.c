// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: Error paths of message stores
 *
 * Each operation is tried again and again, and each time another one of its memory
 * allocations fails, until it gets through without one. It has to fail with an error
 * code or do without the memory, and it must not leave anything behind. To see the
 * latter, a ledger is kept of all memory that the operation has allocated, by means
 * of the tracepoints of the allocator.
 *
 * The failures come from the fault injection of the allocator. The n-th allocation
 * of a task can be selected in the task. But the fault injection leaves allocations
 * alone that can sleep, and that can only be changed by the superuser in debugfs.
 * The kernel has no function for it, so the variable behind the file is looked up.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/kallsyms.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include <trace/events/kmem.h>

#include "msi_test.h"

#if defined(CONFIG_FAILSLAB) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS) && \
	defined(CONFIG_TRACEPOINTS)

#define LEDGER_SIZE	512

/**
 * struct ledger - Memory that was allocated and has not been freed
 * @lock:	Protects the others
 * @task:	Whose allocations are of interest
 * @used:	How many entries there are
 * @peak:	How many there were at most
 * @lost:	There were too many
 * @ptr:	The memory
 * @site:	Who has allocated it
 */
static struct ledger {
	raw_spinlock_t		lock; /* see above */
	struct task_struct	*task;
	unsigned int		used;
	unsigned int		peak;
	bool			lost;
	const void		*ptr[LEDGER_SIZE];
	unsigned long		site[LEDGER_SIZE];
} ledger = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(ledger.lock),
};

static void ledger_add(unsigned long site, const void *ptr)
{
	unsigned long flags;

	if (READ_ONCE(ledger.task) != current || !in_task() || ZERO_OR_NULL_PTR(ptr))
		return;

	raw_spin_lock_irqsave(&ledger.lock, flags);
	if (ledger.used == LEDGER_SIZE) {
		ledger.lost = true;
	} else {
		ledger.ptr[ledger.used] = ptr;
		ledger.site[ledger.used++] = site;
		ledger.peak = max(ledger.peak, ledger.used);
	}
	raw_spin_unlock_irqrestore(&ledger.lock, flags);
}

/* By anybody, as some memory is freed by RCU or by a work item */
static void ledger_del(const void *ptr)
{
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&ledger.lock, flags);
	for (i = ledger.used; i--; ) {
		if (ledger.ptr[i] == ptr) {
			ledger.used--;
			ledger.ptr[i] = ledger.ptr[ledger.used];
			ledger.site[i] = ledger.site[ledger.used];
			break;
		}
	}
	raw_spin_unlock_irqrestore(&ledger.lock, flags);
}

static void ledger_kmalloc(void *unused, unsigned long site, const void *ptr, size_t req,
			   size_t size, gfp_t gfp, int node)
{
	ledger_add(site, ptr);
}

static void ledger_cache_alloc(void *unused, unsigned long site, const void *ptr,
			       struct kmem_cache *cache, gfp_t gfp, int node)
{
	ledger_add(site, ptr);
}

static void ledger_kfree(void *unused, unsigned long site, const void *ptr)
{
	ledger_del(ptr);
}

static void ledger_cache_free(void *unused, unsigned long site, const void *ptr,
			      const struct kmem_cache *cache)
{
	ledger_del(ptr);
}

static void ledger_open(void)
{
	ledger.used = 0;
	ledger.peak = 0;
	ledger.lost = false;
	register_trace_kmalloc(ledger_kmalloc, NULL);
	register_trace_kmem_cache_alloc(ledger_cache_alloc, NULL);
	register_trace_kfree(ledger_kfree, NULL);
	register_trace_kmem_cache_free(ledger_cache_free, NULL);
	WRITE_ONCE(ledger.task, current);
}

/* From here on nothing is added any more. What is left is to be freed soon */
static void ledger_settle(void)
{
	unsigned int i;

	WRITE_ONCE(ledger.task, NULL);
	rcu_barrier();
	for (i = 0; i < 10 && READ_ONCE(ledger.used); i++)
		msleep(20);
}

/* Whether memory is kept for the next one who needs some, by each CPU */
static bool ledger_is_pool(unsigned long site)
{
	static const char pool[] = "__radix_tree_preload";
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, site);
	return !strncmp(name, pool, strlen(pool));
}

static void ledger_close(void)
{
	unregister_trace_kmem_cache_free(ledger_cache_free, NULL);
	unregister_trace_kfree(ledger_kfree, NULL);
	unregister_trace_kmem_cache_alloc(ledger_cache_alloc, NULL);
	unregister_trace_kmalloc(ledger_kmalloc, NULL);
	tracepoint_synchronize_unregister();
}

/* --- Fault injection --------------------------------------------------------- */

/* The variable behind a file of the allocator's fault injection */
static void *failslab_variable(const char *name)
{
	struct dentry *dir = debugfs_lookup("failslab", NULL), *file = NULL;
	void *variable = NULL;

	if (dir)
		file = debugfs_lookup(name, dir);
	if (file)
		variable = d_inode(file)->i_private;
	dput(file);
	dput(dir);
	return variable;
}

/* --- Operations -------------------------------------------------------------- */

#define FAULT_IRQS	4

/**
 * struct fault - What an operation works with
 * @mt:		The fixture
 * @kind:	Kind of the store
 * @group:	Managed resources of the device that the operation may add
 * @id:		Id of the store
 * @maps:	Interrupts
 * @info:	MSI domain of the platform
 * @ops:	Its operations
 * @chip:	Its chip
 * @wired:	Domain of a device that turns wires into messages
 * @virq:	First one of its interrupts
 */
struct fault {
	struct msi_test		*mt;
	enum msi_test_kind	kind;
	void			*group;
	int			id;
	struct msi_map		maps[FAULT_IRQS];
	struct msi_domain_info	info;
	struct msi_domain_ops	ops;
	struct irq_chip		chip;
	struct irq_domain	*wired;
	int			virq;
};

/**
 * struct fault_op - An operation
 * @name:	What it is
 * @before:	Optional: What it needs. Nothing fails in there
 * @run:	The operation. Returns 0 or an error code
 * @undo:	Undo @run. Not invoked if that has failed
 * @after:	Optional: Undo @before
 * @points:	How many allocations there have to be at the least. 0: there must be none
 * @error:	What else @run can return for lack of memory, besides -ENOMEM
 */
struct fault_op {
	const char	*name;
	void		(*before)(struct fault *f);
	int		(*run)(struct fault *f);
	void		(*undo)(struct fault *f);
	void		(*after)(struct fault *f);
	unsigned int	points;
	int		error;
};

static const struct msi_storage_template *tmpl_of(struct fault *f)
{
	return &msi_test_templates[f->kind];
}

static int run_create(struct fault *f)
{
	f->id = msi_create_store(f->mt->dev, tmpl_of(f), 8, &f->mt->hw);
	return f->id < 0 ? f->id : 0;
}

static void undo_create(struct fault *f)
{
	msi_remove_store(f->mt->dev, f->id);
	f->mt->hw.released = 0;
}

static void before_alloc(struct fault *f)
{
	f->id = msi_test_create(f->mt, f->kind, 8, &f->mt->hw);
}

static int run_alloc(struct fault *f)
{
	f->maps[0] = msi_store_alloc_irq(f->mt->dev, f->id, 5, NULL, NULL);
	return f->maps[0].index < 0 ? f->maps[0].index : 0;
}

static void undo_alloc(struct fault *f)
{
	msi_store_free_irq(f->mt->dev, f->id, f->maps[0]);
}

static int run_alloc_affinity(struct fault *f)
{
	struct irq_affinity_desc desc = { };

	cpumask_copy(&desc.mask, cpu_possible_mask);
	f->maps[0] = msi_store_alloc_irq(f->mt->dev, f->id, MSI_ANY_INDEX, &desc, NULL);
	return f->maps[0].index < 0 ? f->maps[0].index : 0;
}

static int run_batch(struct fault *f)
{
	union msi_instance_cookie cookies[FAULT_IRQS] = { };
	int n;

	n = msi_store_alloc_irqs(f->mt->dev, f->id, MSI_ANY_INDEX, FAULT_IRQS, FAULT_IRQS, NULL,
				 cookies, f->maps);
	return n < 0 ? n : 0;
}

static int run_batch_at(struct fault *f)
{
	int n = msi_store_alloc_irqs(f->mt->dev, f->id, 2, FAULT_IRQS, FAULT_IRQS, NULL, NULL,
				     f->maps);

	return n < 0 ? n : 0;
}

static int run_batch_affinity(struct fault *f)
{
	struct irq_affinity affd = { .pre_vectors = 1 };
	int n;

	n = msi_store_alloc_irqs(f->mt->dev, f->id, MSI_ANY_INDEX, FAULT_IRQS, FAULT_IRQS, &affd,
				 NULL, f->maps);
	return n < 0 ? n : 0;
}

static void undo_batch(struct fault *f)
{
	msi_store_free_irqs(f->mt->dev, f->id, f->maps, FAULT_IRQS);
}

static void before_change(struct fault *f)
{
	before_alloc(f);
	KUNIT_ASSERT_EQ(f->mt->test, run_alloc(f), 0);
}

/* Everything that changes an interrupt that is there */
static int run_change(struct fault *f)
{
	static const union msi_instance_cookie cookie = { .value = 5 };
	struct device *dev = f->mt->dev;
	int ret;

	ret = msi_store_set_cookie(dev, f->id, f->maps[0], &cookie);
	if (ret == -EOPNOTSUPP && !msi_test_can_mask(f->kind))
		ret = 0;
	ret = ret ?: msi_store_restore_irq(dev, f->id, f->maps[0]);
	ret = ret ?: msi_store_suspend(dev, f->id, true);
	return ret ?: msi_store_resume(dev, f->id);
}

static void after_change(struct fault *f)
{
	undo_alloc(f);
	undo_create(f);
}

static int run_device_data(struct fault *f)
{
	return msi_setup_device_data(f->mt->dev);
}

/* Also what was added before a failure. Otherwise it goes with the device's driver */
static void undo_nothing(struct fault *f) { }

static int run_default_setup(struct fault *f)
{
	int ret;

	f->mt->hw.released = 0;
	msi_lock_descs(f->mt->dev);
	ret = msi_default_store_setup(f->mt->dev, tmpl_of(f), 8, NULL);
	msi_unlock_descs(f->mt->dev);
	return ret;
}

/* Another template with the same size, so that the store is made anew next time */
static void undo_default_setup(struct fault *f)
{
	dev_set_msi_domain(f->mt->dev, NULL);
	run_default_setup(f);
	dev_set_msi_domain(f->mt->dev, f->mt->parent.domain);
	f->mt->hw.released = 0;
}

static void before_default_alloc(struct fault *f)
{
	KUNIT_ASSERT_EQ(f->mt->test, run_default_setup(f), 0);
}

static int run_default_alloc(struct fault *f)
{
	struct msi_desc init = { .nvec_used = 1 };
	int ret;

	msi_lock_descs(f->mt->dev);
	ret = msi_add_msi_desc(f->mt->dev, &init);
	init.msi_index = 4;
	init.nvec_used = 3;
	if (!ret)
		ret = msi_add_msi_desc(f->mt->dev, &init);
	if (!ret)
		ret = msi_default_store_alloc_irqs(f->mt->dev);
	/* As the bus does it */
	if (ret) {
		msi_default_store_free_irqs(f->mt->dev);
		msi_free_msi_descs(f->mt->dev);
	}
	msi_unlock_descs(f->mt->dev);
	return ret;
}

static void undo_default_alloc(struct fault *f)
{
	msi_lock_descs(f->mt->dev);
	msi_default_store_free_irqs(f->mt->dev);
	msi_free_msi_descs(f->mt->dev);
	msi_unlock_descs(f->mt->dev);
}

static int wired_alloc(struct irq_domain *domain, unsigned int virq, unsigned int nr_irqs,
		       void *arg)
{
	int ret = platform_msi_device_domain_alloc(domain, virq, nr_irqs);
	unsigned int i;

	for (i = 0; !ret && i < nr_irqs; i++)
		irq_domain_set_hwirq_and_chip(domain, virq + i, i, &dummy_irq_chip, NULL);
	return ret;
}

static const struct irq_domain_ops wired_ops = {
	.alloc	= wired_alloc,
	.free	= platform_msi_device_domain_free,
};

/* As the parent wants to see it */
static int wired_prepare(struct irq_domain *domain, struct device *dev, int nvec,
			 msi_alloc_info_t *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->flags = MSI_TEST_PREPARED;
	return 0;
}

static void wired_write_msg(struct msi_desc *desc, struct msi_msg *msg) { }

static int run_wired(struct fault *f)
{
	f->virq = irq_domain_alloc_irqs(f->wired, FAULT_IRQS, NUMA_NO_NODE, NULL);
	return f->virq < 0 ? f->virq : 0;
}

static void undo_wired(struct fault *f)
{
	irq_domain_free_irqs(f->virq, FAULT_IRQS);
}

static void before_wired(struct fault *f)
{
	struct kunit *test = f->mt->test;
	struct irq_domain *domain;

	f->ops.msi_prepare = wired_prepare;
	f->info.flags = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS;
	f->info.ops = &f->ops;
	f->info.chip = &f->chip;
	f->chip.name = "TEST-PLATFORM";
	domain = platform_msi_create_irq_domain(NULL, &f->info, f->mt->parent.domain);
	KUNIT_ASSERT_NOT_NULL(test, domain);
	dev_set_msi_domain(f->mt->dev, domain);
	f->wired = platform_msi_create_device_domain(f->mt->dev, 2 * FAULT_IRQS, wired_write_msg,
						     &wired_ops, NULL);
	KUNIT_ASSERT_NOT_NULL(test, f->wired);
}

static void after_wired(struct fault *f)
{
	struct irq_domain *domain = dev_get_msi_domain(f->mt->dev);

	irq_domain_remove(f->wired);
	platform_msi_domain_free_irqs(f->mt->dev);
	dev_set_msi_domain(f->mt->dev, f->mt->parent.domain);
	irq_domain_remove(domain);
}

static void before_platform(struct fault *f)
{
	struct irq_domain *domain;

	f->info.flags = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS;
	f->info.ops = &f->ops;
	f->info.chip = &f->chip;
	domain = platform_msi_create_irq_domain(NULL, &f->info, f->mt->parent.domain);
	KUNIT_ASSERT_NOT_NULL(f->mt->test, domain);
	f->mt->parent.ops.global_tokens = BIT(DOMAIN_BUS_PLATFORM_MSI);
	dev_set_msi_domain(f->mt->dev, domain);
}

static void platform_write_msg(struct device *dev, unsigned int index,
			       const struct msi_msg *msg)
{
}

static int run_platform(struct fault *f)
{
	return platform_msi_domain_alloc_irqs(f->mt->dev, FAULT_IRQS, platform_write_msg);
}

static void undo_platform(struct fault *f)
{
	platform_msi_domain_free_irqs(f->mt->dev);
}

static void after_platform(struct fault *f)
{
	struct irq_domain *domain = dev_get_msi_domain(f->mt->dev);

	dev_set_msi_domain(f->mt->dev, f->mt->parent.domain);
	irq_domain_remove(domain);
}

static const struct fault_op fault_device_data = {
	.name = "device data", .run = run_device_data, .undo = undo_nothing, .points = 4,
};

static const struct fault_op fault_ops[] = {
	{ .name = "create a store", .run = run_create, .undo = undo_create, .points = 8 },
	{ .name = "allocate one", .before = before_alloc, .run = run_alloc, .undo = undo_alloc,
	  .after = undo_create, .points = 4 },
	{ .name = "allocate one with an affinity", .before = before_alloc,
	  .run = run_alloc_affinity, .undo = undo_alloc, .after = undo_create, .points = 5 },
	{ .name = "allocate a batch", .before = before_alloc, .run = run_batch,
	  .undo = undo_batch, .after = undo_create, .points = 16 },
	{ .name = "allocate a batch at an index", .before = before_alloc, .run = run_batch_at,
	  .undo = undo_batch, .after = undo_create, .points = 16 },
	{ .name = "change", .before = before_change, .run = run_change, .undo = undo_nothing,
	  .after = after_change },
	{ .name = "allocate a batch and spread it", .before = before_alloc,
	  .run = run_batch_affinity, .undo = undo_batch, .after = undo_create, .points = 16 },
};

static const struct fault_op fault_default_ops[] = {
	{ .name = "set up the default store", .run = run_default_setup,
	  .undo = undo_default_setup, .points = 6 },
	{ .name = "allocate from the default store", .before = before_default_alloc,
	  .run = run_default_alloc, .undo = undo_default_alloc, .points = 10,
	  .error = -ENOSPC },
	{ .name = "allocate for wires", .before = before_wired, .run = run_wired,
	  .undo = undo_wired, .after = after_wired, .points = 10 },
	{ .name = "allocate for a platform device", .before = before_platform,
	  .run = run_platform, .undo = undo_platform, .after = after_platform, .points = 16,
	  .error = -ENOSPC },
};

/* An operation, and a kind of store: As many as there are of both. From 1 */
static const void *fault_gen(const void *prev, char *desc)
{
	unsigned long n = (unsigned long)prev;

	if (n == ARRAY_SIZE(fault_ops) * MSI_TEST_TEMPLATES)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s: %s",
		 msi_test_templates[n % MSI_TEST_TEMPLATES].name,
		 fault_ops[n / MSI_TEST_TEMPLATES].name);
	return (const void *)(n + 1);
}

static const void *fault_default_gen(const void *prev, char *desc)
{
	const struct fault_op *op = prev;

	op = op ? op + 1 : fault_default_ops;
	if (op == fault_default_ops + ARRAY_SIZE(fault_default_ops))
		return NULL;
	strscpy(desc, op->name, KUNIT_PARAM_DESC_SIZE);
	return op;
}

/**
 * fault_once - Run an operation, with one of its allocations failing
 * @f:		What it works with
 * @op:		The operation
 * @nth:	Which allocation fails. With 0 none does, and nothing is expected
 *
 * Return: True if there were that many allocations
 */
static bool fault_once(struct fault *f, const struct fault_op *op, unsigned int nth)
{
	struct msi_test *mt = f->mt;
	struct kunit *test = mt->test;
	unsigned int left, i;
	int ret;

	f->group = devres_open_group(mt->dev, NULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->group);

	ledger_open();
	current->fail_nth = nth;
	ret = op->run(f);
	left = current->fail_nth;
	current->fail_nth = 0;

	if (!ret)
		op->undo(f);
	if (op == &fault_device_data)
		devres_release_group(mt->dev, f->group);
	else
		devres_remove_group(mt->dev, f->group);
	ledger_settle();
	ledger_close();

	if (!nth)
		return false;

	/* Without a failure it works. With one it can do so nevertheless */
	if (left)
		KUNIT_EXPECT_EQ_MSG(test, ret, 0, "no failure");
	else if (ret && ret != op->error)
		KUNIT_EXPECT_EQ_MSG(test, ret, -ENOMEM, "allocation %u failed", nth);

	KUNIT_EXPECT_FALSE(test, ledger.lost);
	KUNIT_EXPECT_GE(test, ledger.peak, nth > 1);
	for (i = 0; i < ledger.used; i++) {
		if (ledger_is_pool(ledger.site[i]))
			continue;
		KUNIT_FAIL(test, "allocation %u of %s failed, and memory of %pS is left", nth,
			   op->name, (void *)ledger.site[i]);
	}
	return !left;
}

static void fault_each(struct fault *f, const struct fault_op *op)
{
	bool *ignore_gfp_wait = failslab_variable("ignore-gfp-wait");
	unsigned long *verbose = failslab_variable("verbose");
	int used, irqs, prepared;
	unsigned long old_verbose;
	bool old_ignore;
	struct kunit *test = f->mt->test;
	unsigned int nth;
	bool failed = true;

	KUNIT_ASSERT_NOT_NULL(test, ignore_gfp_wait);
	KUNIT_ASSERT_NOT_NULL(test, verbose);
	f->mt->quiet = true;

	/* Once without a failure, for what is allocated only the first time */
	if (op->before)
		op->before(f);
	used = f->mt->hw.used;
	irqs = f->mt->parent.irqs;
	prepared = f->mt->parent.prepared;
	fault_once(f, op, 0);

	old_ignore = *ignore_gfp_wait;
	old_verbose = *verbose;
	*verbose = 0;
	*ignore_gfp_wait = false;
	for (nth = 1; failed && nth < LEDGER_SIZE; nth++) {
		failed = fault_once(f, op, nth);
		KUNIT_EXPECT_EQ_MSG(test, f->mt->hw.used, used, "allocation %u", nth);
		KUNIT_EXPECT_EQ_MSG(test, f->mt->parent.irqs, irqs, "allocation %u", nth);
		KUNIT_EXPECT_EQ_MSG(test, f->mt->parent.prepared, prepared, "allocation %u", nth);
	}
	*ignore_gfp_wait = old_ignore;
	*verbose = old_verbose;

	/* It was about something, and it came to an end */
	KUNIT_EXPECT_FALSE(test, failed);
	if (op->points)
		KUNIT_EXPECT_GT(test, nth, op->points + 1);
	else
		KUNIT_EXPECT_EQ(test, nth, 2);
	if (op->after)
		op->after(f);
}

static struct fault *fault_init(struct kunit *test)
{
	struct fault *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->mt = test->priv;
	KUNIT_ASSERT_EQ(test, msi_setup_device_data(f->mt->dev), 0);
	return f;
}

static void fault_store(struct kunit *test)
{
	unsigned long n = (unsigned long)test->param_value - 1;
	struct fault *f = fault_init(test);

	f->kind = n % MSI_TEST_TEMPLATES;
	fault_each(f, &fault_ops[n / MSI_TEST_TEMPLATES]);
}

static void fault_default_store(struct kunit *test)
{
	struct fault *f = fault_init(test);

	f->kind = MSI_TEST_DIRECT;
	fault_each(f, test->param_value);
}

static void fault_setup(struct kunit *test)
{
	struct fault *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->mt = test->priv;
	fault_each(f, &fault_device_data);
}

static irq_hw_number_t wired_hwirq(struct msi_domain_info *info, msi_alloc_info_t *arg)
{
	return 1;
}

/* The parent has an interrupt for some wires, and not for all; or two have one number */
static void fault_wired(struct kunit *test)
{
	struct fault *f = fault_init(test);
	struct msi_test_parent *parent = &f->mt->parent;
	const int irqs = parent->irqs, limit = parent->limit;
	int ret, virq;

	before_wired(f);
	parent->limit = FAULT_IRQS - 1;
	ret = run_wired(f);
	KUNIT_EXPECT_EQ(test, ret, -ENOSPC);
	if (!ret)
		undo_wired(f);
	KUNIT_EXPECT_EQ(test, parent->irqs, irqs);
	parent->limit = limit;

	f->ops.get_hwirq = wired_hwirq;
	virq = irq_domain_alloc_irqs(f->wired, 1, NUMA_NO_NODE, NULL);
	KUNIT_ASSERT_GT(test, virq, 0);
	KUNIT_EXPECT_EQ(test, irq_domain_alloc_irqs(f->wired, 1, NUMA_NO_NODE, NULL), -EEXIST);
	irq_domain_free_irqs(virq, 1);
	after_wired(f);
}

/* A global domain whose msi_init() fails for the interrupt with the number @fails */
struct fault_init {
	struct msi_domain_info	info;
	struct msi_domain_ops	ops;
	struct irq_chip		chip;
	struct msi_desc		desc;
	unsigned int		fails;
	DECLARE_BITMAP(live, FAULT_IRQS);
};

static int fault_init_irq(struct irq_domain *domain, struct msi_domain_info *info,
			  unsigned int virq, irq_hw_number_t hwirq, msi_alloc_info_t *arg)
{
	struct fault_init *f = info->data;

	if (hwirq == f->fails)
		return -ENOMEM;
	set_bit(hwirq, f->live);
	return irq_domain_set_hwirq_and_chip(domain, virq, hwirq, &f->chip, NULL);
}

static void fault_exit_irq(struct irq_domain *domain, struct msi_domain_info *info,
			   unsigned int virq)
{
	struct fault_init *f = info->data;

	clear_bit(irq_domain_get_irq_data(domain, virq)->hwirq, f->live);
}

/* What msi_init() did for some interrupts is undone for each of them */
static void fault_msi_init(struct kunit *test)
{
	struct fault_init *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct msi_test *mt = test->priv;
	msi_alloc_info_t arg = { };
	struct irq_domain *domain;
	int virq;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->ops.msi_init = fault_init_irq;
	f->ops.msi_free = fault_exit_irq;
	f->chip.name = "TEST-INIT";
	f->info.flags = MSI_FLAG_USE_DEF_DOM_OPS;
	f->info.ops = &f->ops;
	f->info.chip = &f->chip;
	f->info.data = f;
	domain = msi_create_irq_domain(NULL, &f->info, mt->parent.domain);
	KUNIT_ASSERT_NOT_NULL(test, domain);

	arg.flags = MSI_TEST_PREPARED;
	arg.desc = &f->desc;
	for (f->fails = 0; f->fails < FAULT_IRQS; f->fails++) {
		virq = irq_domain_alloc_irqs(domain, FAULT_IRQS, NUMA_NO_NODE, &arg);
		KUNIT_EXPECT_EQ_MSG(test, virq, -ENOMEM, "interrupt %u", f->fails);
		KUNIT_EXPECT_TRUE_MSG(test, bitmap_empty(f->live, FAULT_IRQS), "interrupt %u",
				      f->fails);
	}
	virq = irq_domain_alloc_irqs(domain, FAULT_IRQS, NUMA_NO_NODE, &arg);
	KUNIT_EXPECT_GT(test, virq, 0);
	KUNIT_EXPECT_TRUE(test, bitmap_full(f->live, FAULT_IRQS));
	if (virq > 0)
		irq_domain_free_irqs(virq, FAULT_IRQS);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(f->live, FAULT_IRQS));
	irq_domain_remove(domain);
}

/* That memory that stays is found */
static void fault_ledger(struct kunit *test)
{
	void *one, *two;

	ledger_open();
	one = kmalloc(16, GFP_KERNEL);
	two = kmalloc(16, GFP_KERNEL);
	kfree(one);
	ledger_settle();
	KUNIT_EXPECT_EQ(test, ledger.used, 1);
	KUNIT_EXPECT_EQ(test, ledger.peak, 2);
	KUNIT_EXPECT_PTR_EQ(test, ledger.ptr[0], two);
	kfree(two);
	KUNIT_EXPECT_EQ(test, ledger.used, 0);
	ledger_close();
}

static struct kunit_case msi_fault_cases[] = {
	KUNIT_CASE(fault_ledger),
	KUNIT_CASE(fault_setup),
	KUNIT_CASE_PARAM(fault_store, fault_gen),
	KUNIT_CASE_PARAM(fault_default_store, fault_default_gen),
	KUNIT_CASE(fault_wired),
	KUNIT_CASE(fault_msi_init),
	{ }
};

#else

static void fault_nothing(struct kunit *test)
{
	kunit_skip(test, "no CONFIG_FAILSLAB, FAULT_INJECTION_DEBUG_FS, or TRACEPOINTS");
}

static struct kunit_case msi_fault_cases[] = {
	KUNIT_CASE(fault_nothing),
	{ }
};

#endif

MSI_TEST_SUITE(msi_fault, msi_fault_cases);
