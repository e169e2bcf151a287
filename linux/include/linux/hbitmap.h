/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_HBITMAP_H
#define LINUX_HBITMAP_H

/*
 * Hierarchical bitmap: Numbers, and aligned blocks of numbers, at a cost that does
 * not depend on how many of them are taken.
 *
 * Words:
 *
 *   block	2^order consecutive numbers, the first of which is a multiple of
 *		2^order. Orders go up to %HBITMAP_MAX_ORDER, that is one word
 *   bits	one bit per number, set if it is taken. It can be read like any
 *		other bitmap
 *   summary	one bit per word of @bits and order, set if the word has a free
 *		block of that order
 *   index	one bit per word of the summary and order, set if the word is not 0
 *
 * The lowest free block is found by looking at one bit of the index, of the summary
 * and of the bits each. Only the index is searched, which has one word for 2^18
 * numbers.
 *
 * A hbitmap has no lock: The caller serializes everything that changes it.
 */

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/types.h>

#define HBITMAP_MAX_ORDER	const_ilog2(BITS_PER_LONG)
#define HBITMAP_NR_ORDERS	(HBITMAP_MAX_ORDER + 1)

/* Words of the bits, and of the summary and the index of one order */
#define HBITMAP_BITS_WORDS(size)	BITS_TO_LONGS(size)
#define HBITMAP_SUMMARY_WORDS(size)	BITS_TO_LONGS(HBITMAP_BITS_WORDS(size))
#define HBITMAP_INDEX_WORDS(size)	BITS_TO_LONGS(HBITMAP_SUMMARY_WORDS(size))

/**
 * HBITMAP_WORDS - Memory that hbitmap_init() wants
 * @size:	Number of numbers
 *
 * What is above the bits is less than a fifth of them, but for the last words of each
 * level.
 *
 * Return: The number of unsigned longs
 */
#define HBITMAP_WORDS(size)	(BITS_TO_LONGS(size) * 6 / 5 + 2 * HBITMAP_NR_ORDERS)

/**
 * struct hbitmap - Which numbers are taken
 * @bits:	One bit per number, set if it is taken. Read only for others
 * @summary:	The summaries, one order after the other
 * @index:	The indices, one order after the other
 * @size:	Number of numbers
 */
struct hbitmap {
	unsigned long	*bits;
	unsigned long	*summary;
	unsigned long	*index;
	unsigned int	size;
};

void hbitmap_init(struct hbitmap *map, unsigned int size, unsigned long *words);
int hbitmap_find_block(const struct hbitmap *map, unsigned int from, unsigned int order);
int hbitmap_find_area(const struct hbitmap *map, unsigned int from, unsigned int count);
void hbitmap_set(struct hbitmap *map, unsigned int start, unsigned int count);
void hbitmap_clear(struct hbitmap *map, unsigned int start, unsigned int count);

/**
 * hbitmap_empty - Whether no number is taken
 * @map:	The hbitmap
 *
 * Return: True if all are free
 */
static inline bool hbitmap_empty(const struct hbitmap *map)
{
	return bitmap_empty(map->bits, map->size);
}

#endif /* LINUX_HBITMAP_H */
