// SPDX-License-Identifier: GPL-2.0
/*
 * Hierarchical bitmap, see linux/hbitmap.h for the words.
 *
 * Invariants, whenever no function of this file is running:
 *
 *   - A bit of a summary is set exactly if its word of the bits has a free block of
 *     that order, a bit of an index exactly if its word of the summary is not 0.
 *   - The bits from the size up to the end of the last word are set, so that a
 *     search never finds them.
 *
 * A word that has a free block of an order has free blocks of all smaller orders,
 * as the halves of a block are blocks. How many orders it has says all about it.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/hbitmap.h>
#include <linux/minmax.h>
#include <linux/string.h>

/* Where blocks of an order can start */
static const unsigned long hbitmap_starts[] = {
	~0UL, ~0UL / 0x3, ~0UL / 0xf, ~0UL / 0xff, ~0UL / 0xffff, ~0UL / 0xffffffff, 1,
};

static unsigned long *hbitmap_summary(const struct hbitmap *map, unsigned int order)
{
	return map->summary + order * HBITMAP_SUMMARY_WORDS(map->size);
}

static unsigned long *hbitmap_index(const struct hbitmap *map, unsigned int order)
{
	return map->index + order * HBITMAP_INDEX_WORDS(map->size);
}

/* The free blocks of an order in a word, by their first bit */
static unsigned long hbitmap_blocks(unsigned long word, unsigned int order)
{
	unsigned long free = ~word;
	unsigned int i;

	for (i = 0; i < order; i++)
		free &= free >> (1U << i);
	return free & hbitmap_starts[order];
}

/*
 * How many orders a word has free blocks of, from 0 on. This is most of what a change
 * costs, so that no loop depends on the compiler.
 */
static unsigned int hbitmap_nr_orders(unsigned long word)
{
	u64 free = (unsigned long)~word;

	if (!free)
		return 0;
	free &= free >> 1 & 0x5555555555555555ULL;
	if (!free)
		return 1;
	free &= free >> 2 & 0x1111111111111111ULL;
	if (!free)
		return 2;
	free &= free >> 4 & 0x0101010101010101ULL;
	if (!free)
		return 3;
	free &= free >> 8 & 0x0001000100010001ULL;
	if (!free)
		return 4;
	free &= free >> 16 & 0x0000000100000001ULL;
	if (!free)
		return 5;
	return 6 + !!(free & (free >> 32) & 1);
}

static void hbitmap_change(struct hbitmap *map, unsigned int nr, unsigned long new)
{
	unsigned int had = hbitmap_nr_orders(map->bits[nr]);
	unsigned int has = hbitmap_nr_orders(new);
	unsigned int order;

	WRITE_ONCE(map->bits[nr], new);

	for (order = had; order < has; order++) {
		__set_bit(nr, hbitmap_summary(map, order));
		__set_bit(BIT_WORD(nr), hbitmap_index(map, order));
	}
	for (order = has; order < had; order++) {
		unsigned long *summary = hbitmap_summary(map, order);

		__clear_bit(nr, summary);
		if (!summary[BIT_WORD(nr)])
			__clear_bit(BIT_WORD(nr), hbitmap_index(map, order));
	}
}

/* The first word from @nr on which has a free block, or the number of words */
static unsigned int hbitmap_next(const struct hbitmap *map, unsigned int nr,
				 unsigned int order)
{
	unsigned int nr_words = HBITMAP_BITS_WORDS(map->size);
	unsigned int nr_summary = HBITMAP_SUMMARY_WORDS(map->size);
	unsigned long *summary = hbitmap_summary(map, order);
	unsigned int at = BIT_WORD(nr);
	unsigned long found;

	if (nr >= nr_words)
		return nr_words;

	found = summary[at] & BITMAP_FIRST_WORD_MASK(nr);
	if (!found) {
		at = find_next_bit(hbitmap_index(map, order), nr_summary, at + 1);
		if (at >= nr_summary)
			return nr_words;
		found = summary[at];
	}
	return at * BITS_PER_LONG + __ffs(found);
}

/**
 * hbitmap_init - Initialize a hierarchical bitmap
 * @map:	The hbitmap
 * @size:	Number of numbers, 1 or more
 * @words:	HBITMAP_WORDS(@size) words, which it uses from now on. The caller
 *		frees them when the hbitmap is not used any more
 *
 * All numbers from 0 to @size - 1 are free.
 *
 * Context: Any
 */
void hbitmap_init(struct hbitmap *map, unsigned int size, unsigned long *words)
{
	unsigned int nr_words = HBITMAP_BITS_WORDS(size);
	unsigned int nr_summary = HBITMAP_SUMMARY_WORDS(size);
	unsigned int order;

	BUILD_BUG_ON(ARRAY_SIZE(hbitmap_starts) < HBITMAP_NR_ORDERS);

	memset(words, 0, HBITMAP_WORDS(size) * sizeof(*words));
	map->bits = words;
	map->summary = map->bits + nr_words;
	map->index = map->summary + HBITMAP_NR_ORDERS * nr_summary;
	map->size = size;

	for (order = 0; order < HBITMAP_NR_ORDERS; order++) {
		bitmap_set(hbitmap_summary(map, order), 0, nr_words);
		bitmap_set(hbitmap_index(map, order), 0, nr_summary);
	}
	hbitmap_change(map, nr_words - 1, ~BITMAP_LAST_WORD_MASK(size));
}
EXPORT_SYMBOL_GPL(hbitmap_init);

/**
 * hbitmap_find_block - Find the lowest free block
 * @map:	The hbitmap
 * @from:	The block starts at this number or above
 * @order:	The block has 2^@order numbers and starts at a multiple of that
 *
 * The cost does not depend on what is taken.
 *
 * Context: Any. Serialized with changes
 * Return: The first number of the block, -ENOSPC if there is none, -EINVAL if @order
 *	   is larger than %HBITMAP_MAX_ORDER
 */
int hbitmap_find_block(const struct hbitmap *map, unsigned int from, unsigned int order)
{
	unsigned int nr = BIT_WORD(from);
	unsigned long blocks = 0;

	if (order > HBITMAP_MAX_ORDER)
		return -EINVAL;
	if (from >= map->size)
		return -ENOSPC;

	/* The summary does not know where in the word the blocks are */
	if (from % BITS_PER_LONG) {
		blocks = hbitmap_blocks(map->bits[nr], order) & BITMAP_FIRST_WORD_MASK(from);
		if (!blocks)
			nr++;
	}
	if (!blocks) {
		nr = hbitmap_next(map, nr, order);
		if (nr >= HBITMAP_BITS_WORDS(map->size))
			return -ENOSPC;
		blocks = hbitmap_blocks(map->bits[nr], order);
	}
	return nr * BITS_PER_LONG + __ffs(blocks);
}
EXPORT_SYMBOL_GPL(hbitmap_find_block);

/**
 * hbitmap_find_area - Find consecutive free numbers
 * @map:	The hbitmap
 * @from:	The area starts at this number or above
 * @count:	How many numbers, 1 or more
 *
 * The area starts at the lowest free number, if the ones that follow are free, else it
 * is a part of the lowest free block that can hold it. Only if there is no such block
 * then it is searched for in all of the bits, at a cost that grows with the number of
 * gaps.
 *
 * Context: Any. Serialized with changes
 * Return: The first number of the area, or -ENOSPC if there is none
 */
int hbitmap_find_area(const struct hbitmap *map, unsigned int from, unsigned int count)
{
	int first = hbitmap_find_block(map, from, 0), nr;
	unsigned long start;

	if (first < 0 || count == 1)
		return first;
	if (count > map->size - first)
		return -ENOSPC;
	if (find_next_bit(map->bits, first + count, first) >= first + count)
		return first;

	nr = hbitmap_find_block(map, from, ilog2(count - 1) + 1);
	if (nr >= 0)
		return nr;

	start = bitmap_find_next_zero_area(map->bits, map->size, first, count, 0);
	return start < map->size ? start : -ENOSPC;
}
EXPORT_SYMBOL_GPL(hbitmap_find_area);

static void hbitmap_assign(struct hbitmap *map, unsigned int start, unsigned int count,
			   bool taken)
{
	unsigned int end;

	if (start >= map->size)
		return;
	end = start + min(count, map->size - start);

	while (start < end) {
		unsigned int next = min(end, (start | (BITS_PER_LONG - 1)) + 1);
		unsigned long mask = BITMAP_FIRST_WORD_MASK(start) & BITMAP_LAST_WORD_MASK(next);
		unsigned int nr = BIT_WORD(start);

		hbitmap_change(map, nr, taken ? map->bits[nr] | mask : map->bits[nr] & ~mask);
		start = next;
	}
}

/**
 * hbitmap_set - Take numbers
 * @map:	The hbitmap
 * @start:	The first one
 * @count:	How many. What is beyond the size is ignored
 *
 * It does not matter whether they are taken already.
 *
 * Context: Any. The caller serializes it with everything else
 */
void hbitmap_set(struct hbitmap *map, unsigned int start, unsigned int count)
{
	hbitmap_assign(map, start, count, true);
}
EXPORT_SYMBOL_GPL(hbitmap_set);

/**
 * hbitmap_clear - Free numbers
 * @map:	The hbitmap
 * @start:	The first one
 * @count:	How many. What is beyond the size is ignored
 *
 * It does not matter whether they are free already.
 *
 * Context: Any. The caller serializes it with everything else
 */
void hbitmap_clear(struct hbitmap *map, unsigned int start, unsigned int count)
{
	hbitmap_assign(map, start, count, false);
}
EXPORT_SYMBOL_GPL(hbitmap_clear);
