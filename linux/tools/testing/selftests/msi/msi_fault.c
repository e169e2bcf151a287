// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of MSI, MSI-X and stores when the kernel runs out of memory.
 *
 * A call is made again and again. The first time its first allocation of memory
 * fails, the next time the second one, and so on, until the call gets through
 * without that any has failed. Each time the call has to return an error, leave
 * nothing behind, and work when it is made once more.
 *
 * Some failures are absorbed rightly, so that the call succeeds. absorbers[] has
 * them all, anything else is a failure of the test. The kernel's fault injection
 * logs the stack of the allocation that it lets fail, which tells.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "ims_fixture.h"

/* Many more than any call makes */
#define MAX_ALLOCATIONS	100000

/* Time that a test may take, in seconds: a bound on hundreds of calls */
#define FAULT_SECONDS	900

/* What the kernel is told about which allocations can fail at all */
static struct setting {
	const char	*path;
	const char	*value;
	char		before[32];
} settings[] = {
	/* Those that may sleep, too: the default is to leave them alone. */
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/failslab/cache-filter", "N" },
	{ "/sys/kernel/debug/failslab/probability", "0" },
	/* With the stack. It is meant for us, the console would see hundreds. */
	{ "/sys/kernel/debug/failslab/verbose", "2" },
	{ "/sys/module/printk/parameters/ignore_loglevel", "N" },
	{ "/proc/sys/kernel/printk", "4" },
};

static bool have_injection;

/* Interrupts that are spread over the CPUs, of which there must be as many */
static unsigned int nr_spread;

/*
 * Functions that succeed, or have no result, although they lack memory. More
 * than one name is how they must call each other, the innermost first.
 */
static const struct {
	const char	*stack;
	const char	*why;
} absorbers[] = {
	/* The kernel logs no stack where the caller has declared it as harmless. */
	{ NULL, "__GFP_NOWARN" },
	{ "alloc_vmap_area", "vmalloc keeps a spare object, and asks again if it needs one" },
	{ "irq_create_affinity_masks", "the vectors are not spread" },
	{ "kobject_add", "/sys/kernel/irq lacks the interrupt" },
	{ "__debugfs_create_file", "debugfs lacks the interrupt or the domain" },
	{ "irq_debugfs_copy_devname", "debugfs lacks the device's name" },
	{ "register_irq_proc", "/proc/irq lacks the interrupt" },
	{ "register_handler_proc", "/proc/irq lacks the handler" },
	{ "its_create_device its_get_device", "the ITS has no room for stores" },
	/* The reverse map of a domain, which is for handlers that demultiplex */
	{ "radix_tree_insert irq_domain_alloc_irqs_locked", "nobody looks it up by hwirq" },
	{ "radix_tree_insert irq_domain_insert_irq", "nobody looks it up by hwirq" },
	{ "radix_tree_insert irq_domain_set_mapping", "nobody looks it up by hwirq" },
};

/*
 * A call whose allocations are to fail
 * @kind: Kind of store that it is about, 0 for none
 * @remapping: It is possible with interrupt remapping only
 * @large: It makes a thousand allocations
 * @prepare: Optional. Gets everything ready for the call
 * @call: The call. Returns 0, -errno, or a positive number for less than all
 * @undo: Undo the call, and what @prepare did
 * @faults: The number of allocations that it makes at least
 * @errors: What it may return, 0 at the end
 */
FIXTURE_VARIANT(ims)
{
	unsigned int	kind;
	bool		remapping;
	bool		large;
	int		(*prepare)(struct ims_data *self);
	int		(*call)(struct ims_data *self);
	int		(*undo)(struct ims_data *self);
	int		faults;
	int		errors[3];
};

/* Kind of store of the variant */
static unsigned int store_kind;

/* FIXTURE_VARIANT(ims) by a name that can be passed on */
#define ims_variant	_fixture_variant_ims

/* What there is of interrupts in the system */
struct census {
	int	descs;
	int	sysfs;
	int	domains;
	int	msi_irqs;
};

static struct census take_census(struct ims_data *self)
{
	return (struct census) {
		.descs		= mt_count_files("/sys/kernel/debug/irq/irqs"),
		.sysfs		= mt_count_files("/sys/kernel/irq"),
		.domains	= mt_count_files("/sys/kernel/debug/irq/domains"),
		.msi_irqs	= count_msi_irqs(self),
	};
}

/* Each handler of a range runs once. */
static void fire_each(struct __test_metadata *_metadata, struct ims_data *self,
		      unsigned int kind, unsigned int first, unsigned int count)
{
	ASSERT_EQ(0, mt_request(self->fd, kind, first, count));
	fire_and_expect(_metadata, self, kind, first, count, 0);
	ASSERT_EQ(0, mt_release(self->fd, kind, first, count));
}

static void msi_works(struct __test_metadata *_metadata, struct ims_data *self)
{
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 1));
	fire_each(_metadata, self, MSI, 0, 1);
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSI));
}

/*
 * Everything works. This changes between MSI and MSI-X, so that each makes a device
 * domain of its own and none is left that lacks something.
 */
static void expect_works(struct __test_metadata *_metadata, struct ims_data *self)
{
	const unsigned int kind = store_kind ? store_kind : TABLE;
	int id;

	msi_works(_metadata, self);
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 2));
	ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 1, NULL));
	fire_each(_metadata, self, MSIX, 0, 3);
	id = mt_store_create(self->fd, kind, 0, 4);
	if (id != -EOPNOTSUPP) {
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 2, NULL));
		fire_each(_metadata, self, kind, 0, 2);
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
	}
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	msi_works(_metadata, self);
}

/* Everything works, and nothing more is there than was before */
static void expect_unchanged(struct __test_metadata *_metadata, struct ims_data *self,
			     const struct census *before)
{
	struct census now;

	expect_works(_metadata, self);
	now = take_census(self);
	EXPECT_EQ(before->descs, now.descs);
	EXPECT_EQ(before->sysfs, now.sysfs);
	EXPECT_EQ(before->domains, now.domains);
	EXPECT_EQ(before->msi_irqs, now.msi_irqs);
}

/* Make a call while allocation number @nth fails. @hit says if there was one. */
static int call_failing(struct ims_data *self, int fail_nth, unsigned int nth,
			int (*call)(struct ims_data *self), bool *hit)
{
	char text[16], left[16] = "";
	int ret, len;

	/* Nothing here may allocate anything between the two writes but the call. */
	len = snprintf(text, sizeof(text), "%u", nth);
	if (pwrite(fail_nth, text, len, 0) != len)
		return -EIO;
	ret = call(self);
	if (pread(fail_nth, left, sizeof(left) - 1, 0) <= 0 || pwrite(fail_nth, "0", 1, 0) != 1)
		return -EIO;

	*hit = !atoi(left);
	return ret;
}

/*
 * The functions on the stack in what the kernel has logged, the innermost first,
 * with a space before and after each: those that the unwinder is sure of.
 */
static char *read_stack(char *log, char *stack, size_t size)
{
	char *line, *next, *end;

	snprintf(stack, size, " ");
	for (line = log; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = 0;
		line += strspn(line, " ");
		end = strstr(line, "+0x");
		if (!end || strcspn(line, " ?:") < (size_t)(end - line))
			continue;
		*end = 0;
		strncat(stack, line, size - strlen(stack) - 1);
		strncat(stack, " ", size - strlen(stack) - 1);
	}
	return stack;
}

/* Who has absorbed a failure: an index of absorbers[], or beyond if nobody may */
static unsigned int find_absorber(const char *stack)
{
	char text[128];
	unsigned int i;

	if (!strcmp(stack, " "))
		return 0;

	for (i = 1; i < ARRAY_SIZE(absorbers); i++) {
		snprintf(text, sizeof(text), " %s ", absorbers[i].stack);
		if (strstr(stack, text))
			break;
	}
	return i;
}

static bool is_expected(const struct ims_variant *variant, int error)
{
	unsigned int i;

	for (i = 0; variant->errors[i]; i++) {
		if (variant->errors[i] == error)
			return true;
	}
	return false;
}

static char kernel_log[65536], stack[8192];

/*
 * The allocation to fail after number @nth: all of the first ones, and of very
 * many some. A kernel with lock debugging is slow and makes twice as many, every
 * second one to keep track of memory. It gets a sample.
 */
static unsigned int next_nth(unsigned int nth)
{
	if (is_slow())
		return nth + (nth < 10 ? 1 : nth < 100 ? 7 : 211);
	return nth + (nth < 100 ? 1 : 11);
}

/* As many interrupts as before: quicker than expect_unchanged() */
static void expect_as_many(struct __test_metadata *_metadata, struct ims_data *self,
			   const struct census *before)
{
	const struct census now = take_census(self);

	EXPECT_EQ(before->descs, now.descs);
	EXPECT_EQ(before->sysfs, now.sysfs);
	EXPECT_EQ(before->msi_irqs, now.msi_irqs);
}

static void fail_each(struct __test_metadata *_metadata, struct ims_data *self,
		      const struct ims_variant *variant)
{
	int fail_nth, kmsg, ret, hits = 0, errors = 0, partly = 0;
	unsigned int nth, i, absorbed[ARRAY_SIZE(absorbers)] = { };
	struct census before, ready;
	bool hit = true;

	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);
	kmsg = mt_kmsg_open();
	ASSERT_LE(0, kmsg);
	/* A page that has to be there first would be one more allocation. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));

	/* Once without failure, for what is made once and stays */
	ASSERT_EQ(0, variant->prepare ? variant->prepare(self) : 0);
	ASSERT_EQ(0, variant->call(self));
	ASSERT_EQ(0, variant->undo(self));
	expect_works(_metadata, self);
	before = take_census(self);
	ASSERT_LT(0, before.descs);
	ASSERT_LT(0, before.sysfs);
	ASSERT_LT(0, before.domains);
	ASSERT_EQ(0, before.msi_irqs);

	/* The first trouble is the end. */
	for (nth = 1; hit && _metadata->passed && nth < MAX_ALLOCATIONS; nth = next_nth(nth)) {
		ASSERT_EQ(0, variant->prepare ? variant->prepare(self) : 0);
		ready = take_census(self);
		ASSERT_EQ(0, mt_kmsg_text(kmsg, kernel_log, sizeof(kernel_log)));
		ret = call_failing(self, fail_nth, nth, variant->call, &hit);
		ASSERT_EQ(0, mt_kmsg_text(kmsg, kernel_log, sizeof(kernel_log)));
		read_stack(kernel_log, stack, sizeof(stack));
		ASSERT_NE(-EIO, ret);
		EXPECT_TRUE(hit || !ret);
		hits += hit;
		partly += ret > 0;

		if (ret < 0) {
			EXPECT_TRUE(is_expected(variant, ret))
				TH_LOG("allocation %u: %s:%s", nth, strerror(-ret), stack);
			expect_as_many(_metadata, self, &ready);
			ASSERT_EQ(0, variant->call(self));
			errors++;
		} else if (hit && !ret) {
			i = find_absorber(stack);
			EXPECT_GT(ARRAY_SIZE(absorbers), i)
				TH_LOG("allocation %u: absorbed:%s", nth, stack);
			if (i < ARRAY_SIZE(absorbers))
				absorbed[i]++;
		}
		ASSERT_EQ(0, variant->undo(self));

		expect_as_many(_metadata, self, &before);
		if (!is_slow() || !hit || hits % 8 == 0)
			expect_unchanged(_metadata, self, &before);
		expect_good_news(_metadata, self);
	}
	EXPECT_FALSE(hit)
		TH_LOG("ended after allocation %u", nth);
	EXPECT_LE(is_slow() ? variant->faults / 8 : variant->faults, hits);
	EXPECT_LT(0, errors);
	TH_LOG("%u allocations, %d failed: %d errors, %d with less", nth - 1, hits, errors,
	       partly);
	for (i = 0; i < ARRAY_SIZE(absorbers); i++) {
		if (absorbed[i])
			TH_LOG("%u absorbed: %s: %s", absorbed[i],
			       absorbers[i].stack ? absorbers[i].stack : "-", absorbers[i].why);
	}
	close(kmsg);
	close(fail_nth);
}

/*
 * Enable
 */

static int msi_undo(struct ims_data *self)
{
	return mt_vectors_disable(self->fd, MSI);
}

static int msix_undo(struct ims_data *self)
{
	return mt_vectors_disable(self->fd, MSIX);
}

/* Have the next MSI make a device domain */
static int msi_prepare(struct ims_data *self)
{
	int ret = mt_vectors_enable(self->fd, MSIX, 1);

	return ret ? ret : mt_vectors_disable(self->fd, MSIX);
}

static int msi_1(struct ims_data *self)
{
	return mt_vectors_enable(self->fd, MSI, 1);
}

static int msi_all(struct ims_data *self)
{
	return mt_vectors_enable(self->fd, MSI, self->info.slots[MSI]);
}

static int msi_up_to_all(struct ims_data *self)
{
	int ret = mt_vectors_enable_min(self->fd, MSI, 1, self->info.slots[MSI]);

	return ret == (int)self->info.slots[MSI] ? 0 : ret;
}

static int msix_1(struct ims_data *self)
{
	return mt_vectors_enable(self->fd, MSIX, 1);
}

static int msix_64(struct ims_data *self)
{
	return mt_vectors_enable(self->fd, MSIX, 64);
}

static int msix_up_to_8(struct ims_data *self)
{
	int ret = mt_vectors_enable_min(self->fd, MSIX, 1, 8);

	return ret == 8 ? 0 : ret;
}

static int msix_gaps(struct ims_data *self)
{
	return mt_vectors_enable_step(self->fd, 8, 5);
}

static int msix_affinity(struct ims_data *self)
{
	return mt_vectors_enable_affinity(self->fd, MSIX, nr_spread);
}

/* The first time that a driver enables anything */
static int rebind(struct ims_data *self)
{
	int ret;

	close(self->fd);
	ret = mt_write_file(unbind, self->info.name);
	ret = ret ? ret : mt_write_file(bind, self->info.name);
	self->fd = ret ? -1 : mt_open();
	/* The driver counts from zero again, the device has not stopped. */
	return self->fd < 0 ? self->fd : mt_reset(self->fd);
}

/*
 * Allocate
 */

static int dyn_index(struct ims_data *self)
{
	return mt_alloc_msix(self->fd, 17, 1, NULL);
}

static int dyn_any(struct ims_data *self)
{
	return mt_alloc_msix(self->fd, ANY, 1, NULL);
}

static int dyn_cpu(struct ims_data *self)
{
	return mt_alloc_msix_cpu(self->fd, ANY, 1, true, NULL);
}

static int store_id;

static int store_create(struct ims_data *self)
{
	int ret = mt_store_create(self->fd, store_kind, 0, 64);

	store_id = ret;
	return ret < 0 ? ret : 0;
}

/* With what takes memory of its own */
static int store_create_full(struct ims_data *self)
{
	struct ims_testdev_store store = {
		.kind		= store_kind,
		.nr_slots	= 64,
		.flags		= IMS_TESTDEV_STORE_PASID,
	};
	int ret;

	if (store_kind == MEM)
		store.flags |= IMS_TESTDEV_STORE_BASE;
	if (store_kind == CMD)
		store.depth = 32;
	ret = mt_store_create_raw(self->fd, &store);
	store_id = ret;
	return ret < 0 ? ret : 0;
}

static int store_undo(struct ims_data *self)
{
	return mt_store_remove(self->fd, store_id);
}

static int store_index(struct ims_data *self)
{
	return mt_alloc(self->fd, store_id, 17, 1, NULL);
}

static int store_any(struct ims_data *self)
{
	return mt_alloc(self->fd, store_id, ANY, 1, NULL);
}

static int store_16(struct ims_data *self)
{
	return mt_alloc(self->fd, store_id, ANY, 16, NULL);
}

static int store_cpu(struct ims_data *self)
{
	return mt_alloc_cpu(self->fd, store_id, 1, 1, true, NULL);
}

/* They have to be there before the call, which may allocate nothing in user space. */
static const __u64 no_cookies[16];

static int store_batch(struct ims_data *self)
{
	int ret = mt_alloc_batch(self->fd, store_id, 16, 16, no_cookies, NULL);

	return ret == 16 ? 0 : ret;
}

static int store_batch_at(struct ims_data *self)
{
	struct ims_testdev_batch batch = {
		.store		= store_id,
		.min		= 16,
		.max		= 16,
		.flags		= IMS_TESTDEV_BATCH_AT,
		.index		= 7,
		.cookies	= (uintptr_t)no_cookies,
	};
	int ret = mt_alloc_batch_raw(self->fd, &batch);

	return ret == 16 ? 0 : ret;
}

static int store_up_to_16(struct ims_data *self)
{
	int ret = mt_alloc_batch(self->fd, store_id, 1, 16, no_cookies, NULL);

	return ret == 16 ? 0 : ret;
}

static int store_spread(struct ims_data *self)
{
	struct ims_testdev_batch batch = {
		.store		= store_id,
		.min		= nr_spread,
		.max		= nr_spread,
		.flags		= IMS_TESTDEV_BATCH_SPREAD,
		.cookies	= (uintptr_t)no_cookies,
	};
	int ret = mt_alloc_batch_raw(self->fd, &batch);

	return ret == (int)nr_spread ? 0 : ret;
}

/*
 * Request
 */

static int request_msi(struct ims_data *self)
{
	return mt_request(self->fd, MSI, 0, 1);
}

static int request_msi_undo(struct ims_data *self)
{
	int ret = mt_release(self->fd, MSI, 0, 1);

	return ret ? ret : msi_undo(self);
}

static int request_msix(struct ims_data *self)
{
	return mt_request(self->fd, MSIX, 0, 1);
}

static int request_msix_undo(struct ims_data *self)
{
	int ret = mt_release(self->fd, MSIX, 0, 1);

	return ret ? ret : msix_undo(self);
}

static int request_dyn_prepare(struct ims_data *self)
{
	int ret = msix_1(self);

	return ret ? ret : dyn_index(self);
}

static int request_dyn(struct ims_data *self)
{
	return mt_request(self->fd, MSIX, 17, 1);
}

static int request_dyn_undo(struct ims_data *self)
{
	int ret = mt_release(self->fd, MSIX, 17, 1);

	return ret ? ret : msix_undo(self);
}

static int request_store_prepare(struct ims_data *self)
{
	int ret = store_create(self);

	return ret ? ret : store_index(self);
}

static int request_store(struct ims_data *self)
{
	return mt_request(self->fd, store_kind, 17, 1);
}

static int request_store_undo(struct ims_data *self)
{
	int ret = mt_release(self->fd, store_kind, 17, 1);

	return ret ? ret : store_undo(self);
}

/*
 * The calls. The MSI code gives ENOSPC when it did not get the interrupts for
 * whatever reason, to have its caller retry with fewer.
 */
#define ENABLE_ERRORS	{ -ENOMEM, -ENOSPC }

FIXTURE_VARIANT_ADD(ims, msi_1)
{
	.prepare	= msi_prepare,
	.call		= msi_1,
	.undo		= msi_undo,
	.faults		= 10,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, msi_all)
{
	.remapping	= true,
	.prepare	= msi_prepare,
	.call		= msi_all,
	.undo		= msi_undo,
	.faults		= 100,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, msi_up_to_all)
{
	.remapping	= true,
	.large		= true,
	.prepare	= msi_prepare,
	.call		= msi_up_to_all,
	.undo		= msi_undo,
	.faults		= 100,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, msix_1)
{
	.call		= msix_1,
	.undo		= msix_undo,
	.faults		= 10,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, msix_64)
{
	.large		= true,
	.call		= msix_64,
	.undo		= msix_undo,
	.faults		= 100,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, msix_up_to_8)
{
	.call		= msix_up_to_8,
	.undo		= msix_undo,
	.faults		= 50,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, msix_gaps)
{
	.call		= msix_gaps,
	.undo		= msix_undo,
	.faults		= 50,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, msix_affinity)
{
	.call		= msix_affinity,
	.undo		= msix_undo,
	.faults		= 50,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, msix_first)
{
	.prepare	= rebind,
	.call		= msix_1,
	.undo		= msix_undo,
	.faults		= 15,
	.errors		= ENABLE_ERRORS,
};

FIXTURE_VARIANT_ADD(ims, dyn_index)
{
	.prepare	= msix_1,
	.call		= dyn_index,
	.undo		= msix_undo,
	.faults		= 8,
	.errors		= { -ENOMEM },
};

FIXTURE_VARIANT_ADD(ims, dyn_any)
{
	.prepare	= msix_1,
	.call		= dyn_any,
	.undo		= msix_undo,
	.faults		= 8,
	.errors		= { -ENOMEM },
};

FIXTURE_VARIANT_ADD(ims, dyn_cpu)
{
	.prepare	= msix_1,
	.call		= dyn_cpu,
	.undo		= msix_undo,
	.faults		= 8,
	.errors		= { -ENOMEM },
};

FIXTURE_VARIANT_ADD(ims, request_msi)
{
	.prepare	= msi_1,
	.call		= request_msi,
	.undo		= request_msi_undo,
	.faults		= 3,
	.errors		= { -ENOMEM },
};

FIXTURE_VARIANT_ADD(ims, request_msix)
{
	.prepare	= msix_1,
	.call		= request_msix,
	.undo		= request_msix_undo,
	.faults		= 3,
	.errors		= { -ENOMEM },
};

FIXTURE_VARIANT_ADD(ims, request_dyn)
{
	.prepare	= request_dyn_prepare,
	.call		= request_dyn,
	.undo		= request_dyn_undo,
	.faults		= 3,
	.errors		= { -ENOMEM },
};

/* What there is to do with a store */
#define STORE_CALL(_kind, _prepare, _call, _undo, _faults)		\
{									\
	.kind		= _kind,					\
	.remapping	= true,						\
	.prepare	= _prepare,					\
	.call		= _call,					\
	.undo		= _undo,					\
	.faults		= _faults,					\
	.errors		= { -ENOMEM },					\
}

FIXTURE_VARIANT_ADD(ims, table)
	STORE_CALL(TABLE, NULL, store_create, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, table_first)
	STORE_CALL(TABLE, rebind, store_create, store_undo, 12);
FIXTURE_VARIANT_ADD(ims, table_index)
	STORE_CALL(TABLE, store_create, store_index, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, table_any)
	STORE_CALL(TABLE, store_create, store_any, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, table_16)
	STORE_CALL(TABLE, store_create, store_16, store_undo, 80);
FIXTURE_VARIANT_ADD(ims, table_cpu)
	STORE_CALL(TABLE, store_create, store_cpu, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, table_batch)
	STORE_CALL(TABLE, store_create, store_batch, store_undo, 50);
FIXTURE_VARIANT_ADD(ims, table_batch_at)
	STORE_CALL(TABLE, store_create, store_batch_at, store_undo, 50);
FIXTURE_VARIANT_ADD(ims, table_up_to_16)
	STORE_CALL(TABLE, store_create, store_up_to_16, store_undo, 50);
FIXTURE_VARIANT_ADD(ims, table_spread)
	STORE_CALL(TABLE, store_create, store_spread, store_undo, 30);
FIXTURE_VARIANT_ADD(ims, table_request)
	STORE_CALL(TABLE, request_store_prepare, request_store, request_store_undo, 3);

/* The others differ from it where they are created and where slots are set up. */
FIXTURE_VARIANT_ADD(ims, wide)
	STORE_CALL(WIDE, NULL, store_create, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, wide_any)
	STORE_CALL(WIDE, store_create, store_any, store_undo, 8);

FIXTURE_VARIANT_ADD(ims, mem)
	STORE_CALL(MEM, NULL, store_create, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, mem_full)
	STORE_CALL(MEM, NULL, store_create_full, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, mem_any)
	STORE_CALL(MEM, store_create, store_any, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, mem_batch)
	STORE_CALL(MEM, store_create, store_batch, store_undo, 50);

FIXTURE_VARIANT_ADD(ims, cmd)
	STORE_CALL(CMD, NULL, store_create, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, cmd_full)
	STORE_CALL(CMD, NULL, store_create_full, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, cmd_full_batch)
	STORE_CALL(CMD, store_create_full, store_batch, store_undo, 50);
FIXTURE_VARIANT_ADD(ims, cmd_any)
	STORE_CALL(CMD, store_create, store_any, store_undo, 8);
FIXTURE_VARIANT_ADD(ims, cmd_batch)
	STORE_CALL(CMD, store_create, store_batch, store_undo, 50);
FIXTURE_VARIANT_ADD(ims, cmd_up_to_16)
	STORE_CALL(CMD, store_create, store_up_to_16, store_undo, 50);
FIXTURE_VARIANT_ADD(ims, cmd_spread)
	STORE_CALL(CMD, store_create, store_spread, store_undo, 30);
FIXTURE_VARIANT_ADD(ims, cmd_request)
	STORE_CALL(CMD, request_store_prepare, request_store, request_store_undo, 3);

/* What the others look at doesn't change when nothing fails, either. */
FIXTURE_VARIANT_ADD(ims, nothing) { };

static void fail_nothing(struct __test_metadata *_metadata, struct ims_data *self)
{
	struct census before;
	unsigned int i;

	expect_works(_metadata, self);
	before = take_census(self);
	ASSERT_LT(0, before.descs);
	ASSERT_LT(0, before.domains);
	for (i = 0; i < 5; i++)
		expect_unchanged(_metadata, self, &before);

	/* And it does change when something is there. */
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 3));
	EXPECT_EQ(before.descs + 3, take_census(self).descs);
	EXPECT_EQ(before.sysfs + 3, take_census(self).sysfs);
	EXPECT_EQ(3, take_census(self).msi_irqs);
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	expect_unchanged(_metadata, self, &before);
}

TEST_F_TIMEOUT(ims, fail_each, FAULT_SECONDS)
{
	if (!variant->call) {
		fail_nothing(_metadata, self);
		return;
	}
	if (!have_injection)
		SKIP(return, "the kernel has no fault injection");
	if (variant->large && is_slow())
		SKIP(return, "takes too long on a kernel with lock debugging");
	if (variant->remapping && !mt_has_remapping())
		SKIP(return, "this machine has no interrupt remapping");
	store_kind = variant->kind;
	fail_each(_metadata, self, variant);
}

/* Change the settings, and remember what they were. False if there are none. */
static bool setup_injection(void)
{
	unsigned int i;

	if (access(settings[0].path, F_OK) || access("/proc/self/fail-nth", F_OK))
		return false;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		struct setting *setting = &settings[i];
		int ret;

		ret = mt_read_file(setting->path, setting->before, sizeof(setting->before));
		ret = ret ? ret : mt_write_file(setting->path, setting->value);
		if (ret)
			ksft_exit_fail_msg("%s: %s\n", setting->path, strerror(-ret));
	}
	return true;
}

static void restore_settings(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		if (settings[i].before[0])
			mt_write_file(settings[i].path, settings[i].before);
	}
}

int main(int argc, char **argv)
{
	int ret;

	mt_gate(MT_WANT_DEVICE);
	nr_spread = mt_nr_online() < 8 ? mt_nr_online() : 8;
	have_injection = setup_injection();
	ret = test_harness_run(argc, argv);
	restore_settings();
	return ret;
}
