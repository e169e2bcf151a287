// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the hierarchical bitmap.
 *
 * Words:
 *
 *   model	one byte per number, searched number by number. It says what the
 *		hierarchical bitmap has to find
 *   size	each test runs with sizes around those where a level gets another word
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/hbitmap.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#define LONGS(n)	((n) * BITS_PER_LONG)

struct hbitmap_fixture {
	struct hbitmap	map;
	u8		*model;
	unsigned int	size;
	struct rnd_state rnd;
};

static const unsigned int sizes[] = {
	1, 2, BITS_PER_LONG - 1, BITS_PER_LONG, BITS_PER_LONG + 1, 512, 1000,
	LONGS(BITS_PER_LONG) - 1, LONGS(BITS_PER_LONG), LONGS(BITS_PER_LONG) + 1,
	65536, LONGS(BITS_PER_LONG * BITS_PER_LONG) + LONGS(3) + 5,
};

static void size_desc(const unsigned int *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u", *size);
}

KUNIT_ARRAY_PARAM(size, sizes, size_desc);

static struct hbitmap_fixture *start(struct kunit *test)
{
	struct hbitmap_fixture *fix = kunit_kzalloc(test, sizeof(*fix), GFP_KERNEL);
	unsigned long *words;

	KUNIT_ASSERT_NOT_NULL(test, fix);
	fix->size = *(const unsigned int *)test->param_value;
	fix->model = kunit_kzalloc(test, fix->size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fix->model);
	words = kunit_kmalloc_array(test, HBITMAP_WORDS(fix->size), sizeof(*words), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, words);
	/* It has to work with whatever was in the memory */
	memset(words, 0x5a, HBITMAP_WORDS(fix->size) * sizeof(*words));
	hbitmap_init(&fix->map, fix->size, words);
	prandom_seed_state(&fix->rnd, fix->size);
	return fix;
}

static unsigned int below(struct hbitmap_fixture *fix, unsigned int limit)
{
	return prandom_u32_state(&fix->rnd) % limit;
}

/* Find the lowest free block and take it */
static int take_block(struct hbitmap_fixture *fix, unsigned int from, unsigned int order)
{
	int nr = hbitmap_find_block(&fix->map, from, order);

	if (nr >= 0)
		hbitmap_set(&fix->map, nr, 1U << order);
	return nr;
}

static void model_assign(struct hbitmap_fixture *fix, unsigned int first, unsigned int count,
			 u8 taken)
{
	unsigned int i;

	for (i = first; i < first + count && i < fix->size; i++)
		fix->model[i] = taken;
}

static bool model_free(struct hbitmap_fixture *fix, unsigned int first, unsigned int count)
{
	unsigned int i;

	if (first + count > fix->size)
		return false;
	for (i = first; i < first + count; i++) {
		if (fix->model[i])
			return false;
	}
	return true;
}

static int model_find(struct hbitmap_fixture *fix, unsigned int from, unsigned int count,
		      unsigned int step)
{
	unsigned int i;

	for (i = round_up(from, step); i < fix->size; i += step) {
		if (model_free(fix, i, count))
			return i;
	}
	return -ENOSPC;
}

/* The bits are those of the model, and the levels above say what is below them */
static void check(struct kunit *test, struct hbitmap_fixture *fix)
{
	unsigned int nr_words = HBITMAP_BITS_WORDS(fix->size);
	unsigned int nr_summary = HBITMAP_SUMMARY_WORDS(fix->size);
	unsigned int i, order, wrong = 0, taken = 0;

	for (i = 0; i < LONGS(nr_words); i++) {
		bool want = i >= fix->size || fix->model[i];

		taken += i < fix->size && want;
		wrong += want != test_bit(i, fix->map.bits);
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "bits");
	KUNIT_EXPECT_EQ(test, hbitmap_empty(&fix->map), !taken);

	for (order = 0; order < HBITMAP_NR_ORDERS; order++) {
		unsigned long *summary = fix->map.summary + order * nr_summary;
		unsigned long *index = fix->map.index + order * HBITMAP_INDEX_WORDS(fix->size);

		for (i = 0; i < nr_words; i++) {
			unsigned long none = bitmap_find_next_zero_area(&fix->map.bits[i],
									BITS_PER_LONG, 0,
									1U << order,
									(1UL << order) - 1);

			wrong += (none < BITS_PER_LONG) != test_bit(i, summary);
		}
		KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "summary of order %u", order);
		for (i = 0; i < nr_summary; i++)
			wrong += !!summary[i] != test_bit(i, index);
		KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "index of order %u", order);
	}
}

static void test_new(struct kunit *test)
{
	struct hbitmap_fixture *fix = start(test);
	unsigned int order;

	KUNIT_EXPECT_LE(test, HBITMAP_BITS_WORDS(fix->size) + HBITMAP_NR_ORDERS *
			(HBITMAP_SUMMARY_WORDS(fix->size) + HBITMAP_INDEX_WORDS(fix->size)),
			HBITMAP_WORDS(fix->size));
	check(test, fix);
	for (order = 0; order <= HBITMAP_MAX_ORDER; order++)
		KUNIT_EXPECT_EQ(test, hbitmap_find_block(&fix->map, 0, order),
				fix->size < 1U << order ? -ENOSPC : 0);
	KUNIT_EXPECT_EQ(test, hbitmap_find_block(&fix->map, 0, HBITMAP_MAX_ORDER + 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, hbitmap_find_block(&fix->map, fix->size, 0), -ENOSPC);
	KUNIT_EXPECT_EQ(test, hbitmap_find_block(&fix->map, UINT_MAX, 0), -ENOSPC);
}

/* Each number once, in their order, and not one too many */
static void test_one_by_one(struct kunit *test)
{
	struct hbitmap_fixture *fix = start(test);
	unsigned int i, wrong = 0;

	for (i = 0; i < fix->size; i++)
		wrong += take_block(fix, 0, 0) != i;
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, take_block(fix, 0, 0), -ENOSPC);
	model_assign(fix, 0, fix->size, 1);
	check(test, fix);

	/* The one that was freed is the one that is found */
	for (i = 0; i < 100; i++) {
		unsigned int nr = below(fix, fix->size);

		hbitmap_clear(&fix->map, nr, 1);
		KUNIT_EXPECT_FALSE(test, test_bit(nr, fix->map.bits));
		KUNIT_EXPECT_EQ(test, hbitmap_find_block(&fix->map, nr, 0), nr);
		KUNIT_EXPECT_EQ(test, hbitmap_find_block(&fix->map, nr + 1, 0), -ENOSPC);
		KUNIT_EXPECT_EQ(test, take_block(fix, 0, 0), nr);
		KUNIT_EXPECT_TRUE(test, test_bit(nr, fix->map.bits));
	}
	hbitmap_clear(&fix->map, 0, fix->size);
	model_assign(fix, 0, fix->size, 0);
	check(test, fix);
}

/* Blocks of each order fill all, and the next one has nowhere to go */
static void test_blocks(struct kunit *test)
{
	struct hbitmap_fixture *fix = start(test);
	unsigned int order, i, wrong = 0;

	for (order = 0; order <= HBITMAP_MAX_ORDER; order++) {
		for (i = 0; i < fix->size >> order; i++)
			wrong += take_block(fix, 0, order) != i << order;
		KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "order %u", order);
		KUNIT_EXPECT_EQ(test, take_block(fix, 0, order), -ENOSPC);
		model_assign(fix, 0, fix->size >> order << order, 1);
		check(test, fix);
		hbitmap_clear(&fix->map, 0, fix->size);
		model_assign(fix, 0, fix->size, 0);
	}
}

/* What is taken and freed at random is found where the model finds it */
static void test_random(struct kunit *test)
{
	struct hbitmap_fixture *fix = start(test);
	unsigned int round, rounds = fix->size > 4096 ? 300 : 2000;

	for (round = 0; round < rounds; round++) {
		unsigned int order = below(fix, HBITMAP_NR_ORDERS);
		unsigned int first = below(fix, fix->size);
		unsigned int count = 1U << order;
		int want, got;

		switch (below(fix, 4)) {
		case 0:
			hbitmap_clear(&fix->map, first, count);
			model_assign(fix, first, count, 0);
			break;
		case 1:
			/* A long one now and then, so that there are full words */
			count = below(fix, 8) ? count : 1 + below(fix, fix->size);
			hbitmap_set(&fix->map, first, count);
			model_assign(fix, first, count, 1);
			break;
		default:
			first = below(fix, 2) ? first : 0;
			want = model_find(fix, first, count, count);
			got = take_block(fix, first, order);
			KUNIT_ASSERT_EQ_MSG(test, got, want, "round %u: from %u, order %u",
					    round, first, order);
			if (got >= 0)
				model_assign(fix, got, count, 1);
		}
		if (!(round % 50))
			check(test, fix);
	}
	check(test, fix);
}

/* An area is at the lowest number, a part of a block for it, or wherever there is room */
static void test_area(struct kunit *test)
{
	struct hbitmap_fixture *fix = start(test);
	unsigned int round, order, found = 0, none = 0;

	for (round = 0; round < 300; round++) {
		unsigned int count = 1 + below(fix, BITS_PER_LONG);
		unsigned int first = below(fix, 2) ? below(fix, fix->size) : 0;
		int want, got;

		order = count > 1 ? ilog2(count - 1) + 1 : 0;
		want = model_find(fix, first, 1, 1);
		if (want >= 0 && !model_free(fix, want, count))
			want = model_find(fix, first, 1U << order, 1U << order);
		if (want < 0)
			want = model_find(fix, first, count, 1);
		got = hbitmap_find_area(&fix->map, first, count);
		KUNIT_ASSERT_EQ_MSG(test, got, want, "round %u: from %u, count %u", round,
				    first, count);
		if (got < 0) {
			none++;
			first = below(fix, fix->size);
			hbitmap_clear(&fix->map, first, count);
			model_assign(fix, first, count, 0);
			continue;
		}
		found++;
		hbitmap_set(&fix->map, got, count);
		model_assign(fix, got, count, 1);
	}
	KUNIT_EXPECT_GT(test, found, 0);
	if (fix->size < 4096)
		KUNIT_EXPECT_GT(test, none, 0);
	check(test, fix);

	/* What is beyond the end is ignored, also if the end is beyond all numbers */
	hbitmap_clear(&fix->map, 1, UINT_MAX);
	hbitmap_set(&fix->map, fix->size, UINT_MAX);
	model_assign(fix, 1, fix->size, 0);
	check(test, fix);

	/* More than a block can have */
	hbitmap_clear(&fix->map, 0, fix->size);
	KUNIT_EXPECT_EQ(test, hbitmap_find_area(&fix->map, 0, fix->size), 0);
	KUNIT_EXPECT_EQ(test, hbitmap_find_area(&fix->map, 0, fix->size + 1), -ENOSPC);
}

static struct kunit_case hbitmap_cases[] = {
	KUNIT_CASE_PARAM(test_new, size_gen_params),
	KUNIT_CASE_PARAM(test_one_by_one, size_gen_params),
	KUNIT_CASE_PARAM(test_blocks, size_gen_params),
	KUNIT_CASE_PARAM(test_random, size_gen_params),
	KUNIT_CASE_PARAM(test_area, size_gen_params),
	{}
};

static struct kunit_suite hbitmap_suite = {
	.name = "hbitmap",
	.test_cases = hbitmap_cases,
};

kunit_test_suite(hbitmap_suite);

MODULE_DESCRIPTION("KUnit tests of the hierarchical bitmap");
MODULE_LICENSE("GPL");
