// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: The table of interrupt descriptors
 *
 * Words:
 *
 *   leaf	LEAF consecutive interrupt numbers of the table in irqdesc.c, the first
 *		of which is a multiple of LEAF. Their counters are one allocation
 *   window	WINDOW leaves without a number of anybody else, beyond nr_irqs. nr_irqs
 *		is restored after each test
 *   model	that numbers of the window are in use, one by one: what the table is
 *		expected to find
 *
 * The tests see the table from outside only: which descriptor a lookup finds, which numbers
 * are handed out, which counters exist. The tracepoints of the per CPU allocator show the
 * counters of a leaf come and go.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kernel_stat.h>
#include <linux/kthread.h>
#include <linux/prandom.h>

#include <trace/events/percpu.h>

#include <kunit/test.h>

#include "../internals.h"

/* As IRQ_LEAF_SIZE. desc_counters() notices if that is another number */
#define LEAF	256
#define WINDOW	4
#define BELOW	(16 * LEAF)

/**
 * struct desc_fixture - The fixture
 * @test:	The test
 * @nr_irqs:	The value of nr_irqs when the test started
 * @first:	The first number of the window
 * @model:	The numbers in use, relative to @first
 * @below:	Numbers below @first that the test has taken
 * @rnd:	For what is in no order
 */
struct desc_fixture {
	struct kunit		*test;
	unsigned int		nr_irqs;
	unsigned int		first;
	DECLARE_BITMAP(model, WINDOW * LEAF);
	DECLARE_BITMAP(below, BELOW);
	struct rnd_state	rnd;
};

/*
 * Counters of leaves that a test has allocated, how many of them were freed, and how many
 * of these without a grace period
 */
static atomic_t desc_allocs, desc_frees, desc_early;
static void *desc_live[512];
static bool desc_lost;
static struct task_struct *desc_task;

static void desc_trace_alloc(void *unused, unsigned long site, bool reserved, bool atomic,
			     size_t size, size_t align, void *base, int off, void __percpu *ptr,
			     size_t bytes, gfp_t gfp)
{
	unsigned int i;

	if (current != READ_ONCE(desc_task) || size != LEAF * sizeof(unsigned int))
		return;
	atomic_inc(&desc_allocs);
	for (i = 0; i < ARRAY_SIZE(desc_live); i++) {
		if (!cmpxchg(&desc_live[i], NULL, (__force void *)ptr))
			return;
	}
	WRITE_ONCE(desc_lost, true);
}

/* Called from RCU callbacks, in any context */
static void desc_trace_free(void *unused, void *base, int off, void __percpu *ptr)
{
	unsigned int i;

	for (i = 0; ptr && i < ARRAY_SIZE(desc_live); i++) {
		if (cmpxchg(&desc_live[i], (__force void *)ptr, NULL) == (__force void *)ptr) {
			atomic_inc(&desc_frees);
			/* The task that releases the numbers never frees counters itself */
			if (in_task() && current == READ_ONCE(desc_task))
				atomic_inc(&desc_early);
			return;
		}
	}
}

/* --- The model --------------------------------------------------------------- */

static struct desc_fixture *fixture(struct kunit *test)
{
	return test->priv;
}

static int take(struct desc_fixture *f, unsigned int at, unsigned int count)
{
	/* The directories in sysfs are not what this is about, and take time */
	int irq = irq_alloc_descs_sysfs(f->first + at, 0, count, NUMA_NO_NODE, NULL, NULL, true);

	if (irq >= 0)
		bitmap_set(f->model, at, count);
	return irq - (int)f->first;
}

static void put(struct desc_fixture *f, unsigned int at, unsigned int count)
{
	irq_free_descs(f->first + at, count);
	bitmap_clear(f->model, at, count);
}

/* The table has what the model says, everywhere in the window and around it */
static void expect_model(struct desc_fixture *f)
{
	unsigned int i, next, wrong = 0, end = WINDOW * LEAF;
	struct kunit *test = f->test;
	struct irq_desc *desc;

	for (i = 0; i < end; i++) {
		desc = irq_to_desc(f->first + i);
		if (!desc != !test_bit(i, f->model) ||
		    (desc && irq_desc_get_irq(desc) != f->first + i))
			wrong++;
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "irq_to_desc()");
	KUNIT_EXPECT_EQ(test, !!irq_to_desc(f->first - 1), test_bit(f->first - 1, f->below));
	KUNIT_EXPECT_NULL(test, irq_to_desc(f->first + end));

	wrong = 0;
	for (i = 0; i < end; i++) {
		next = find_next_bit(f->model, end, i);
		wrong += irq_get_next_irq(f->first + i) !=
			 (next < end ? f->first + next : nr_irqs);
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "irq_get_next_irq()");
}

/* --- Look up ----------------------------------------------------------------- */

/* Numbers that do not exist, and some that do */
static void desc_absent(struct kunit *test)
{
	static const unsigned int none[] = {
		IRQ_BITMAP_BITS, IRQ_BITMAP_BITS + 1, round_up(IRQ_BITMAP_BITS, LEAF) - 1,
		round_up(IRQ_BITMAP_BITS, LEAF), INT_MAX, (unsigned int)INT_MAX + 1, UINT_MAX,
	};
	struct desc_fixture *f = fixture(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(none); i++)
		KUNIT_EXPECT_NULL_MSG(test, irq_to_desc(none[i]), "%u", none[i]);
	expect_model(f);

	/* Those of the architecture, in the first leaf */
	i = irq_get_next_irq(0);
	KUNIT_ASSERT_LT(test, i, nr_irqs);
	KUNIT_ASSERT_NOT_NULL(test, irq_to_desc(i));
	KUNIT_EXPECT_EQ(test, irq_desc_get_irq(irq_to_desc(i)), i);
}

/* The last number, whose leaf is the last one */
static void desc_last(struct kunit *test)
{
	int last = IRQ_BITMAP_BITS - 1;

	KUNIT_EXPECT_NULL(test, irq_to_desc(last));
	KUNIT_EXPECT_EQ(test, irq_alloc_descs(last, 0, 2, NUMA_NO_NODE), -ENOMEM);
	KUNIT_EXPECT_EQ(test, irq_alloc_descs(last + 1, 0, 1, NUMA_NO_NODE), -ENOMEM);
	KUNIT_EXPECT_NULL(test, irq_to_desc(last));

	KUNIT_ASSERT_EQ(test, irq_alloc_descs(last, 0, 1, NUMA_NO_NODE), last);
	KUNIT_ASSERT_NOT_NULL(test, irq_to_desc(last));
	KUNIT_EXPECT_EQ(test, irq_desc_get_irq(irq_to_desc(last)), last);
	KUNIT_EXPECT_EQ(test, nr_irqs, IRQ_BITMAP_BITS);
	KUNIT_EXPECT_EQ(test, irq_get_next_irq(last), last);
	KUNIT_EXPECT_EQ(test, irq_get_next_irq(last + 1), nr_irqs);
	KUNIT_EXPECT_EQ(test, irq_alloc_descs(last, 0, 1, NUMA_NO_NODE), -EEXIST);
	irq_free_descs(last, 1);
	KUNIT_EXPECT_NULL(test, irq_to_desc(last));
	KUNIT_EXPECT_EQ(test, irq_get_next_irq(last), nr_irqs);
}

/* Blocks around each border of leaves, freed from the middle */
static void desc_borders(struct kunit *test)
{
	struct desc_fixture *f = fixture(test);
	unsigned int border, i;

	for (border = LEAF; border < WINDOW * LEAF; border += LEAF)
		KUNIT_ASSERT_EQ(test, take(f, border - 3, 6), border - 3);
	expect_model(f);
	for (i = 0; i < 6; i++) {
		/* 2 3 1 4 0 5 */
		unsigned int at = i % 2 ? 3 + i / 2 : 2 - i / 2;

		for (border = LEAF; border < WINDOW * LEAF; border += LEAF)
			put(f, border - 3 + at, 1);
		expect_model(f);
	}

	/* A block that covers leaves */
	KUNIT_ASSERT_EQ(test, take(f, LEAF - 1, 2 * LEAF + 2), LEAF - 1);
	expect_model(f);
	put(f, LEAF - 1, 2 * LEAF + 2);
	expect_model(f);
}

/* --- Allocation -------------------------------------------------------------- */

/* Numbers that are asked for */
static void desc_exact(struct kunit *test)
{
	struct desc_fixture *f = fixture(test);
	int irq = f->first + LEAF - 2;

#define ALLOC(_irq, _from, _count) irq_alloc_descs(_irq, _from, _count, NUMA_NO_NODE)
	KUNIT_ASSERT_EQ(test, take(f, LEAF - 2, 4), LEAF - 2);
	KUNIT_EXPECT_EQ(test, ALLOC(irq, 0, 1), -EEXIST);
	KUNIT_EXPECT_EQ(test, ALLOC(irq, 0, 4), -EEXIST);
	KUNIT_EXPECT_EQ(test, ALLOC(irq - 1, 0, 2), -EEXIST);
	KUNIT_EXPECT_EQ(test, ALLOC(irq + 3, 0, 2), -EEXIST);
	KUNIT_EXPECT_EQ(test, ALLOC(irq - 1, 0, 6), -EEXIST);
	KUNIT_EXPECT_EQ(test, ALLOC(irq + 8, irq + 9, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, ALLOC(irq + 8, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ALLOC(-1, irq + 8, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ALLOC(irq + 8, 0, UINT_MAX), -ENOMEM);
	KUNIT_EXPECT_EQ(test, ALLOC(-1, irq + 8, UINT_MAX), -ENOMEM);
	KUNIT_EXPECT_EQ(test, ALLOC(-1, irq + 8, IRQ_BITMAP_BITS), -ENOMEM);
	KUNIT_EXPECT_EQ(test, ALLOC(INT_MAX, 0, 1), -ENOMEM);
	expect_model(f);

	/* The neighbours are free */
	KUNIT_EXPECT_EQ(test, ALLOC(irq - 1, irq - 1, 1), irq - 1);
	KUNIT_EXPECT_EQ(test, ALLOC(irq + 4, 0, 1), irq + 4);
#undef ALLOC
	bitmap_set(f->model, LEAF - 3, 6);
	expect_model(f);
	put(f, LEAF - 3, 6);
	expect_model(f);

	/* What does not exist is not freed */
	irq_free_descs(IRQ_BITMAP_BITS, 1);
	irq_free_descs(UINT_MAX, 1);
	expect_model(f);
}

/*
 * Where an area is found: at the lowest free number if it fits there, else in the lowest
 * free block - a power of two, aligned to its size - if it is not larger than
 * BITS_PER_LONG, else by a search. No number behind the window is in use.
 */
static unsigned int desc_area(struct desc_fixture *f, unsigned int from, unsigned int count)
{
	unsigned int end = WINDOW * LEAF, first, block, at;

	first = find_next_zero_bit(f->model, end, from);
	if (find_next_bit(f->model, end, first) >= min(first + count, end))
		return first;

	block = roundup_pow_of_two(count);
	if (block <= BITS_PER_LONG) {
		at = bitmap_find_next_zero_area(f->model, end, from, block, block - 1);
		return min(at, end);
	}
	at = bitmap_find_next_zero_area(f->model, end, first, count, 0);
	return at < end ? at : find_last_bit(f->model, end) + 1;
}

/* Take what is free below the window, so that the search finds nothing there */
static void desc_hold_below(struct desc_fixture *f)
{
	unsigned int irq;

	for (irq = arch_dynirq_lower_bound(1); irq < f->first; irq++) {
		if (irq_to_desc(irq))
			continue;
		if (irq_alloc_descs_sysfs(irq, 0, 1, NUMA_NO_NODE, NULL, NULL, true) == irq)
			set_bit(irq, f->below);
	}
}

static void desc_drop_below(struct desc_fixture *f)
{
	unsigned int irq;

	for_each_set_bit(irq, f->below, BELOW)
		irq_free_descs(irq, 1);
	bitmap_zero(f->below, BELOW);
}

/* Areas of any size are found, between what is in use */
static void desc_search(struct kunit *test)
{
	static const unsigned int counts[] = { 1, 2, 3, 5, 63, 64, 65, 100, 255, 256, 257, 300 };
	unsigned int at, len, from, i, round, want, end = WINDOW * LEAF;
	struct desc_fixture *f = fixture(test);
	int got;

	desc_hold_below(f);
	for (round = 0; round < 8; round++) {
		/* Smaller areas in use, and more of them, with each round */
		for (at = 0; at < end; at += len) {
			at += prandom_u32_state(&f->rnd) % (2 << round);
			len = 1 + prandom_u32_state(&f->rnd) % (512 >> round);
			len = min(len, end - min(at, end));
			if (!len)
				break;
			KUNIT_ASSERT_EQ(test, take(f, at, len), at);
		}

		for (i = 0; i < 25; i++) {
			len = counts[prandom_u32_state(&f->rnd) % ARRAY_SIZE(counts)];
			from = prandom_u32_state(&f->rnd) % end;
			got = irq_alloc_descs_sysfs(-1, f->first + from, len, NUMA_NO_NODE, NULL,
						    NULL, true);
			/* An architecture may search from another number on */
			from = max(arch_dynirq_lower_bound(f->first + from), f->first) - f->first;
			want = desc_area(f, from, len);
			KUNIT_EXPECT_EQ_MSG(test, got - (int)f->first, want, "%u from %u", len,
					    from);
			if (got >= 0)
				irq_free_descs(got, len);
		}
		expect_model(f);

		for_each_set_bit(at, f->model, end)
			put(f, at, 1);
		expect_model(f);
	}
	desc_drop_below(f);
}

/* Masks are checked before anything is allocated, and each number has its own */
static void desc_affinity(struct kunit *test)
{
	struct desc_fixture *f = fixture(test);
	struct irq_affinity_desc *masks;
	unsigned int i, count = 4;
	struct irq_data *data;

	masks = kunit_kcalloc(test, count, sizeof(*masks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, masks);
	for (i = 0; i < count; i++) {
		unsigned int cpu = cpumask_next(-1 + i % nr_cpu_ids, cpu_possible_mask);

		cpumask_set_cpu(cpu < nr_cpu_ids ? cpu : 0, &masks[i].mask);
		masks[i].is_managed = i % 2;
	}

	KUNIT_ASSERT_EQ(test, __irq_alloc_descs(f->first + LEAF - 2, 0, count, NUMA_NO_NODE, NULL,
						masks), f->first + LEAF - 2);
	bitmap_set(f->model, LEAF - 2, count);
	for (i = 0; i < count; i++) {
		data = irq_get_irq_data(f->first + LEAF - 2 + i);
		KUNIT_EXPECT_EQ(test, irqd_affinity_is_managed(data), i % 2);
		if (IS_ENABLED(CONFIG_SMP))
			KUNIT_EXPECT_TRUE(test, cpumask_equal(irq_data_get_affinity_mask(data),
							      &masks[i].mask));
	}
	put(f, LEAF - 2, count);

	cpumask_clear(&masks[count - 1].mask);
	KUNIT_EXPECT_EQ(test, __irq_alloc_descs(f->first + LEAF - 2, 0, count, NUMA_NO_NODE, NULL,
						masks), -EINVAL);
	expect_model(f);
	KUNIT_EXPECT_EQ(test, take(f, LEAF - 2, count), LEAF - 2);
	put(f, LEAF - 2, count);
}

/* A descriptor that somebody else is going to set up */
static void desc_probe(struct kunit *test)
{
	struct desc_fixture *f = fixture(test);
	struct irq_data *data;
	unsigned long mask;

	KUNIT_ASSERT_EQ(test, take(f, 5, 1), 5);
	data = irq_get_irq_data(f->first + 5);
	mask = probe_irq_on();
	KUNIT_EXPECT_FALSE(test, irqd_is_activated(data));
	KUNIT_EXPECT_FALSE(test, irqd_is_started(data));
	probe_irq_off(mask);
	put(f, 5, 1);
}

/* --- Counters ---------------------------------------------------------------- */

static void set_counter(struct desc_fixture *f, unsigned int at, int cpu, unsigned int count)
{
	WRITE_ONCE(*per_cpu_ptr(irq_to_desc(f->first + at)->kstat_irqs, cpu), count);
}

/* Each number has a counter of its own for each CPU */
static void desc_counters(struct kunit *test)
{
	struct desc_fixture *f = fixture(test);
	unsigned int i, wrong = 0;
	int cpu;

	KUNIT_ASSERT_EQ(test, take(f, 0, 2 * LEAF), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&desc_allocs), 2);
	for_each_possible_cpu(cpu) {
		for (i = 0; i < 2 * LEAF; i++) {
			wrong += !!kstat_irqs_cpu(f->first + i, cpu);
			set_counter(f, i, cpu, i * nr_cpu_ids + cpu + 1);
		}
	}
	for_each_possible_cpu(cpu) {
		for (i = 0; i < 2 * LEAF; i++)
			wrong += kstat_irqs_cpu(f->first + i, cpu) != i * nr_cpu_ids + cpu + 1;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, kstat_irqs_cpu(f->first + 2 * LEAF, 0), 0);
	KUNIT_EXPECT_EQ(test, kstat_irqs_usr(f->first + 2 * LEAF), 0);
	put(f, 0, 2 * LEAF);
}

/* What the leaf of a number has when the number is allocated again */
static const char * const desc_before[] = { "another number", "its counters", "nothing" };

/* A number that was in use starts at zero, in the same counters and in new ones */
static void desc_counters_reused(struct kunit *test)
{
	struct desc_fixture *f = fixture(test);
	unsigned int round, wrong;
	int cpu;

	KUNIT_ASSERT_EQ(test, take(f, 6, 1), 6);
	for (round = 0; round <= ARRAY_SIZE(desc_before); round++) {
		KUNIT_ASSERT_EQ(test, take(f, 5, 1), 5);
		wrong = 0;
		for_each_possible_cpu(cpu)
			wrong += !!kstat_irqs_cpu(f->first + 5, cpu);
		KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "the leaf had %s",
				    round ? desc_before[round - 1] : "one number");
		KUNIT_EXPECT_EQ(test, kstat_irqs_usr(f->first + 5), 0);

		for_each_possible_cpu(cpu)
			set_counter(f, 5, cpu, 100 + cpu);
		irq_to_desc(f->first + 5)->tot_count = 1000;
		KUNIT_EXPECT_EQ(test, kstat_irqs_usr(f->first + 5), 1000);

		put(f, 5, 1);
		if (round == 1)
			put(f, 6, 1);
		if (round == 2) {
			KUNIT_ASSERT_EQ(test, take(f, LEAF, 1), LEAF);
			put(f, LEAF, 1);
			rcu_barrier();
			KUNIT_EXPECT_EQ(test, atomic_read(&desc_frees), 1);
		}
	}
	expect_model(f);
}

/* The counters of a leaf are freed when another leaf loses its last number after it */
static void desc_counters_freed(struct kunit *test)
{
	struct desc_fixture *f = fixture(test);
	unsigned int i;

#define EXPECT_COUNTERS(_allocs, _frees)					\
do {										\
	rcu_barrier();								\
	KUNIT_EXPECT_EQ(test, atomic_read(&desc_allocs), _allocs);		\
	KUNIT_EXPECT_EQ(test, atomic_read(&desc_frees), _frees);		\
} while (0)
	KUNIT_ASSERT_EQ(test, take(f, 0, LEAF), 0);
	EXPECT_COUNTERS(1, 0);

	/* All numbers but one, in no order */
	for (i = 1; i < LEAF; i++)
		put(f, i * 7 % LEAF, 1);
	EXPECT_COUNTERS(1, 0);
	expect_model(f);
	KUNIT_ASSERT_EQ(test, take(f, LEAF - 1, 1), LEAF - 1);
	put(f, LEAF - 1, 1);
	EXPECT_COUNTERS(1, 0);

	/* The last one: They are kept for the next one, again and again */
	for (i = 0; i < 3; i++) {
		put(f, 0, 1);
		EXPECT_COUNTERS(1, 0);
		KUNIT_ASSERT_EQ(test, take(f, 0, 1), 0);
		EXPECT_COUNTERS(1, 0);
	}

	/* As long as it is another leaf that becomes empty, nothing happens to this one */
	KUNIT_ASSERT_EQ(test, take(f, LEAF, 2), LEAF);
	EXPECT_COUNTERS(2, 0);
	put(f, LEAF, 2);
	EXPECT_COUNTERS(2, 0);

	/* Now it is this one, so that the counters of the other one go */
	put(f, 0, 1);
	EXPECT_COUNTERS(2, 1);
	KUNIT_ASSERT_EQ(test, take(f, LEAF, 1), LEAF);
	EXPECT_COUNTERS(3, 1);

	/* In use again, it keeps them when the other one loses its number */
	KUNIT_ASSERT_EQ(test, take(f, 0, 1), 0);
	put(f, LEAF, 1);
	EXPECT_COUNTERS(3, 1);
	set_counter(f, 0, 0, 3);
	KUNIT_EXPECT_EQ(test, kstat_irqs_cpu(f->first, 0), 3);
	put(f, 0, 1);
	EXPECT_COUNTERS(3, 2);

	/* A block over several leaves */
	KUNIT_ASSERT_EQ(test, take(f, LEAF - 1, 2 * LEAF + 2), LEAF - 1);
	EXPECT_COUNTERS(6, 2);
	put(f, LEAF - 1, 2 * LEAF + 2);
	EXPECT_COUNTERS(6, 5);
#undef EXPECT_COUNTERS
	expect_model(f);
}

/* --- All at once ------------------------------------------------------------- */

#define READERS		3
#define ROUNDS		400
/* How long a reader keeps what it found */
#define HOLD_US		20

/**
 * struct desc_readers - The readers that look up numbers while they come and go
 * @first:	The first number
 * @lookups:	How often each reader went over all numbers
 * @found:	How often a number was found
 * @wrong:	How often something else was found
 */
struct desc_readers {
	unsigned int	first;
	atomic_t	lookups[READERS];
	atomic_t	found;
	atomic_t	wrong;
};

struct desc_reader {
	struct desc_readers	*all;
	unsigned int		nr;
};

/* Numbers around the border of two leaves */
#define CROWD	16
#define CROWD_AT	(LEAF - CROWD / 2)

/* A descriptor stays what it is under RCU */
static void desc_check(struct desc_readers *c, struct irq_desc *desc, unsigned int irq)
{
	unsigned int count;
	int cpu;

	if (irq_desc_get_irq(desc) != irq || desc->depth != 1 ||
	    desc->irq_data.common != &desc->irq_common_data)
		atomic_inc(&c->wrong);
	for_each_possible_cpu(cpu) {
		count = READ_ONCE(*per_cpu_ptr(desc->kstat_irqs, cpu));
		if (count && count != irq)
			atomic_inc(&c->wrong);
	}
	atomic_inc(&c->found);
}

static int desc_read(void *data)
{
	struct desc_reader *reader = data;
	struct desc_readers *c = reader->all;
	struct irq_desc *descs[CROWD];
	unsigned int i;

	while (!kthread_should_stop()) {
		rcu_read_lock();
		for (i = 0; i < CROWD; i++)
			descs[i] = irq_to_desc(c->first + i);
		/* So that some of them are freed meanwhile */
		udelay(HOLD_US);
		for (i = 0; i < CROWD; i++) {
			if (descs[i])
				desc_check(c, descs[i], c->first + i);
		}
		rcu_read_unlock();
		for (i = 0; i < CROWD; i++)
			kstat_irqs_usr(c->first + i);
		atomic_inc(&c->lookups[reader->nr]);
		cond_resched();
	}
	return 0;
}

static bool desc_all_read(struct desc_readers *c, int lookups)
{
	unsigned int i;

	for (i = 0; i < READERS; i++) {
		if (atomic_read(&c->lookups[i]) < lookups)
			return false;
	}
	return true;
}

/* Numbers come, count, and go at once or one by one */
static bool desc_come_and_go(struct desc_fixture *f, unsigned int at, unsigned int len, bool single)
{
	unsigned int i;
	int cpu;

	if (take(f, at, len) != at)
		return false;
	for_each_possible_cpu(cpu) {
		for (i = 0; i < len; i++)
			set_counter(f, at + i, cpu, f->first + at + i);
	}
	for (i = 0; i < (single ? len : 1); i++)
		put(f, at + i, single ? 1 : len);
	return true;
}

/*
 * Numbers come and go while readers on other CPUs look them up. A descriptor that is freed
 * too early is noticed by its content and by KASAN, counters by their content.
 */
static void desc_crowd(struct kunit *test)
{
	unsigned int round, at, len, i, cpu = 0, nr = 0;
	struct desc_reader readers[READERS];
	struct desc_fixture *f = fixture(test);
	struct task_struct *task[READERS];
	struct desc_readers *c;
	unsigned long end;
	bool ok = true;

	c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c);
	c->first = f->first + CROWD_AT;

	for (i = 0; i < READERS; i++) {
		readers[i] = (struct desc_reader){ .all = c, .nr = i };
		task[i] = kthread_create(desc_read, &readers[i], "irq_desc_kunit/%u", i);
		if (IS_ERR(task[i]))
			break;
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu < nr_cpu_ids)
			kthread_bind(task[i], cpu);
		else
			cpu = 0;
		wake_up_process(task[i]);
		nr++;
	}
	KUNIT_EXPECT_EQ(test, nr, READERS);

	end = jiffies + 60 * HZ;
	for (round = 0; nr == READERS && time_before(jiffies, end); round++) {
		at = prandom_u32_state(&f->rnd) % CROWD;
		len = 1 + prandom_u32_state(&f->rnd) % (CROWD - at);
		ok = desc_come_and_go(f, CROWD_AT + at, len, round % 2);
		/* So that other numbers take these counters, if they are freed */
		if (ok && round % 8 == 7)
			ok = desc_come_and_go(f, CROWD_AT + 2 * LEAF, CROWD, false);
		if (!ok || (round >= ROUNDS && desc_all_read(c, ROUNDS)))
			break;
		cond_resched();
	}
	for (i = 0; i < nr; i++)
		kthread_stop(task[i]);

	KUNIT_EXPECT_TRUE(test, ok);
	KUNIT_EXPECT_GE(test, round, ROUNDS);
	KUNIT_EXPECT_TRUE(test, desc_all_read(c, ROUNDS));
	KUNIT_EXPECT_GT(test, atomic_read(&c->found), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->wrong), 0);
	expect_model(f);
}

/* --- The suite --------------------------------------------------------------- */

static int desc_init(struct kunit *test)
{
	struct desc_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;

	f->test = test;
	f->nr_irqs = nr_irqs;
	/* The leaf before the window is another one than the last one in use */
	f->first = round_up(nr_irqs, LEAF) + LEAF;
	if (f->first > BELOW || f->first + (WINDOW + 2) * LEAF > IRQ_BITMAP_BITS)
		return -ENOSPC;
	prandom_seed_state(&f->rnd, 7);
	test->priv = f;

	memset(desc_live, 0, sizeof(desc_live));
	atomic_set(&desc_allocs, 0);
	atomic_set(&desc_frees, 0);
	atomic_set(&desc_early, 0);
	desc_lost = false;
	WRITE_ONCE(desc_task, current);
	register_trace_percpu_alloc_percpu(desc_trace_alloc, NULL);
	register_trace_percpu_free_percpu(desc_trace_free, NULL);
	return 0;
}

static void desc_exit(struct kunit *test)
{
	struct desc_fixture *f = test->priv;
	unsigned int at;

	if (!f)
		return;

	/* What a failed assertion has left is not in the model */
	for (at = 0; at < WINDOW * LEAF; at++) {
		if (irq_to_desc(f->first + at))
			irq_free_descs(f->first + at, 1);
	}
	if (irq_to_desc(IRQ_BITMAP_BITS - 1))
		irq_free_descs(IRQ_BITMAP_BITS - 1, 1);
	desc_drop_below(f);
	/* Another leaf keeps its counters now, and not one of the test */
	WRITE_ONCE(desc_task, NULL);
	irq_free_descs(irq_alloc_descs(f->first + WINDOW * LEAF, 0, 1, NUMA_NO_NODE), 1);
	rcu_barrier();
	unregister_trace_percpu_free_percpu(desc_trace_free, NULL);
	unregister_trace_percpu_alloc_percpu(desc_trace_alloc, NULL);
	tracepoint_synchronize_unregister();

	KUNIT_EXPECT_FALSE_MSG(test, desc_lost, "desc_live is too small");
	KUNIT_EXPECT_EQ(test, atomic_read(&desc_frees), atomic_read(&desc_allocs));
	KUNIT_EXPECT_EQ(test, atomic_read(&desc_early), 0);
	KUNIT_EXPECT_EQ(test, irq_get_next_irq(f->nr_irqs), nr_irqs);
	/* It never decreases otherwise. A leaked number has to stay below it */
	if (irq_get_next_irq(f->nr_irqs) == nr_irqs)
		nr_irqs = f->nr_irqs;
}

static struct kunit_case desc_cases[] = {
	KUNIT_CASE(desc_absent),
	KUNIT_CASE(desc_last),
	KUNIT_CASE(desc_borders),
	KUNIT_CASE(desc_exact),
	KUNIT_CASE(desc_search),
	KUNIT_CASE(desc_affinity),
	KUNIT_CASE(desc_probe),
	KUNIT_CASE(desc_counters),
	KUNIT_CASE(desc_counters_reused),
	KUNIT_CASE(desc_counters_freed),
	KUNIT_CASE(desc_crowd),
	{}
};

static struct kunit_suite desc_suite = {
	.name		= "irq_desc",
	.init		= desc_init,
	.exit		= desc_exit,
	.test_cases	= desc_cases,
};

kunit_test_suite(desc_suite);
