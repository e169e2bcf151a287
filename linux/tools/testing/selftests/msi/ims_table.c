// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of an IMS store whose messages are in a slot table of the device,
 * and MSI-X beside it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ims_fixture.h"

/* Set up for a test: a store of the whole table, or the first slots of it */
static unsigned int create_store(struct __test_metadata *_metadata, struct ims_data *self,
				 unsigned int nr_slots)
{
	int id = mt_store_create(self->fd, TABLE, 0, nr_slots);

	ASSERT_LT(0, id);
	return id;
}

/* The same with interrupts, and handlers, for all of its slots */
static unsigned int create_full(struct __test_metadata *_metadata, struct ims_data *self,
				unsigned int nr_slots, struct ims_testdev_map *maps)
{
	unsigned int id = create_store(_metadata, self, nr_slots);

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, nr_slots, maps));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, nr_slots));
	return id;
}

/* Write to a slot behind the kernel's back */
static int poke(struct ims_data *self, unsigned int nr, unsigned int field, __u32 value)
{
	return mt_raw_write(self->fd, IMS_TD_BAR_TABLE, nr * IMS_TD_SLOT_SIZE + field, 4, value);
}

/*
 * Stores
 */

TEST_F_TIMEOUT(ims, store_create_remove, MT_TEST_SECONDS)
{
	const unsigned int slots = self->info.slots[TABLE];
	unsigned int i;
	int id;

	for (i = 0; i < 3; i++) {
		id = mt_store_create(self->fd, TABLE, 0, slots);
		ASSERT_LT(0, id);
		EXPECT_EQ(0, mt_store_remove(self->fd, id));
		EXPECT_EQ(-ENOENT, mt_store_remove(self->fd, id));
	}
	expect_table_clean(_metadata, self);
}

/* A member of a description, and whether it is one of the small ones */
#define AT(member)	offsetof(struct ims_testdev_store, member)

static size_t size_at(size_t at)
{
	return at >= AT(stride) && at <= AT(reserved) ? sizeof(__u16) : sizeof(__u32);
}

/* Every description that has no sense is refused, and next to it one that has is not. */
TEST_F_TIMEOUT(ims, store_bad_description, MT_TEST_SECONDS)
{
	const struct ims_testdev_store good = {
		.kind		= TABLE,
		.nr_slots	= 4,
		.flags		= IMS_TESTDEV_STORE_LAYOUT,
		.stride		= IMS_TD_SLOT_SIZE,
		.addr_lo	= IMS_TD_SLOT_ADDR_LO,
		.addr_hi	= IMS_TD_SLOT_ADDR_HI,
		.data		= IMS_TD_SLOT_DATA,
		.ctrl		= IMS_TD_SLOT_CTRL,
		.mask		= IMS_TD_SLOT_CTRL_MASK,
	};
	const unsigned int slots = self->info.slots[TABLE];
	const struct {
		size_t	at;
		__u32	value;
		int	error;
	} bad[] = {
		{ AT(nr_slots), 0, -EINVAL },
		{ AT(flags), IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_NO_BASE, -EINVAL },
		{ AT(flags), IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_NO_LAYOUT, -EINVAL },
		{ AT(stride), 0, -EINVAL },
		{ AT(stride), 12, -EINVAL },
		{ AT(stride), 18, -EINVAL },
		{ AT(addr_lo), 2, -EINVAL },
		{ AT(addr_lo), 16, -EINVAL },
		{ AT(addr_hi), 5, -EINVAL },
		{ AT(addr_hi), 0xfffc, -EINVAL },
		{ AT(data), 14, -EINVAL },
		{ AT(data), 16, -EINVAL },
		{ AT(ctrl), 1, -EINVAL },
		{ AT(ctrl), 0xffff, -EINVAL },
		{ AT(addr_hi), IMS_TD_SLOT_ADDR_LO, -EINVAL },
		{ AT(ctrl), IMS_TD_SLOT_DATA, -EINVAL },
		{ AT(mask), 0, -EINVAL },
		{ AT(mask), 3, -EINVAL },
		/* These the driver finds. */
		{ AT(kind), MSIX, -ENXIO },
		{ AT(kind), 1000, -ENXIO },
		{ AT(first), slots - 3, -ERANGE },
		{ AT(first), 0xffffffff, -ERANGE },
		{ AT(nr_slots), slots + 1, -ERANGE },
		{ AT(nr_slots), 0xffffffff, -ERANGE },
		{ AT(flags), 0x80000000, -EINVAL },
		{ AT(flags), 0, -EINVAL },
		{ AT(id), 1, -EINVAL },
		{ AT(reserved), 1, -EINVAL },
		{ AT(reserved2), 1, -EINVAL },
	};
	struct ims_testdev_store store;
	unsigned int i;
	int id;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		store = good;
		memcpy((char *)&store + bad[i].at, &bad[i].value, size_at(bad[i].at));
		EXPECT_EQ(bad[i].error, mt_store_create_raw(self->fd, &store))
			TH_LOG("number %u: offset %zu value %#x", i, bad[i].at, bad[i].value);

		store = good;
		id = mt_store_create_raw(self->fd, &store);
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
	}
}

/* Ids that no store has: refused, without harm to what is there */
TEST_F_TIMEOUT(ims, store_unknown, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 4);
	const unsigned int unknown[] = { 0, id + 1, 1000, 0x80000000, 0xfffffffe };
	unsigned int i;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 4, NULL));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 4));
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 2));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 2));

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(-ENODEV, mt_alloc(self->fd, unknown[i], ANY, 1, NULL))
			TH_LOG("store %u", unknown[i]);
		EXPECT_EQ(-ENOENT, mt_store_remove(self->fd, unknown[i]));
		fire_and_expect(_metadata, self, TABLE, 0, 4, i);
		fire_and_expect(_metadata, self, MSIX, 0, 2, i);
	}
}

/* A store can go while it has interrupts, but not while they have handlers. */
TEST_F_TIMEOUT(ims, store_remove_allocated, MT_TEST_SECONDS)
{
	unsigned int id = create_store(_metadata, self, 8);
	struct ims_testdev_map map[8];
	char line[256];
	unsigned int i;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 8, map));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 5, 1));
	EXPECT_EQ(-EBUSY, mt_store_remove(self->fd, id));
	fire_and_expect(_metadata, self, TABLE, 5, 1, 0);
	EXPECT_EQ(0, mt_release(self->fd, TABLE, 5, 1));
	EXPECT_EQ(0, mt_store_remove(self->fd, id));

	for (i = 0; i < 8; i++)
		EXPECT_EQ(-ENOENT, mt_proc_interrupts(map[i].virq, line, sizeof(line)));
	expect_table_clean(_metadata, self);

	/* The slots are there for the next one. */
	id = create_full(_metadata, self, 8, NULL);
	fire_and_expect(_metadata, self, TABLE, 0, 8, 0);
}

/* Eight stores on one device, with the same indices in each */
TEST_F_TIMEOUT(ims, store_many, MT_TEST_SECONDS)
{
	const unsigned int nr = 8, size = 4;
	struct ims_testdev_map maps[4];
	int id[8];
	unsigned int i, j;

	for (i = 0; i < nr; i++) {
		id[i] = mt_store_create(self->fd, TABLE, i * size, size);
		ASSERT_LT(0, id[i]);
		for (j = 0; j < i; j++)
			EXPECT_NE(id[i], id[j]);
		EXPECT_EQ(-EBUSY, mt_store_create(self->fd, TABLE, i * size, size));

		ASSERT_EQ(0, mt_alloc(self->fd, id[i], 0, size, maps));
		for (j = 0; j < size; j++) {
			EXPECT_EQ(j, maps[j].index);
			EXPECT_EQ(i * size + j, maps[j].slot);
		}
		ASSERT_EQ(0, mt_request(self->fd, TABLE, i * size, size));
	}
	fire_and_expect(_metadata, self, TABLE, 0, nr * size, 0);

	/* One in the middle goes and comes back; the others don't notice. */
	ASSERT_EQ(0, mt_release(self->fd, TABLE, 3 * size, size));
	ASSERT_EQ(0, mt_store_remove(self->fd, id[3]));
	fire_and_expect(_metadata, self, TABLE, 0, 3 * size, 1);
	fire_and_expect(_metadata, self, TABLE, 4 * size, 4 * size, 1);

	id[3] = mt_store_create(self->fd, TABLE, 3 * size, size);
	ASSERT_LT(0, id[3]);
	ASSERT_EQ(0, mt_alloc(self->fd, id[3], 0, size, NULL));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 3 * size, size));
	fire_and_expect(_metadata, self, TABLE, 3 * size, size, 0);
	fire_and_expect(_metadata, self, TABLE, 0, 3 * size, 2);
}

/* The calls that name no store take the first one. */
TEST_F_TIMEOUT(ims, store_first, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	int first, second;

	EXPECT_GT(0, mt_alloc(self->fd, IMS_TESTDEV_FIRST_STORE, ANY, 1, NULL));

	first = mt_store_create(self->fd, TABLE, 0, 4);
	ASSERT_LT(0, first);
	second = mt_store_create(self->fd, TABLE, 4, 4);
	ASSERT_LT(first, second);

	ASSERT_EQ(0, mt_alloc(self->fd, IMS_TESTDEV_FIRST_STORE, ANY, 1, &map));
	EXPECT_GT(4, map.slot);
	ASSERT_EQ(0, mt_request(self->fd, TABLE, map.slot, 1));
	fire_and_expect(_metadata, self, TABLE, map.slot, 1, 0);
}

/*
 * Allocation
 */

TEST_F_TIMEOUT(ims, alloc_any, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 8);
	struct ims_testdev_map map;
	unsigned int seen = 0, i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 1, &map));
		EXPECT_GT(8, map.index);
		EXPECT_EQ(map.index, map.slot);
		EXPECT_NE(0, map.virq);
		EXPECT_EQ(0, seen & 1U << map.index);
		seen |= 1U << map.index;
	}
	EXPECT_EQ(0xff, seen);
}

TEST_F_TIMEOUT(ims, alloc_at_index, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 8);
	struct ims_testdev_map map;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 5, 1, &map));
	EXPECT_EQ(5, map.index);
	EXPECT_EQ(-EBUSY, mt_alloc(self->fd, id, 5, 1, NULL));

	ASSERT_EQ(0, mt_alloc(self->fd, id, 7, 1, &map));
	EXPECT_EQ(7, map.index);
	EXPECT_EQ(-EBUSY, mt_alloc(self->fd, id, 7, 1, NULL));

	EXPECT_EQ(-ERANGE, mt_alloc(self->fd, id, 8, 1, NULL));
	EXPECT_EQ(-ERANGE, mt_alloc(self->fd, id, 9, 1, NULL));
	EXPECT_EQ(-ERANGE, mt_alloc(self->fd, id, 0x10000, 1, NULL));
	EXPECT_EQ(-ERANGE, mt_alloc(self->fd, id, 0x80000000, 1, NULL));
	EXPECT_EQ(-ERANGE, mt_alloc(self->fd, id, 0xfffffffe, 1, NULL));

	/* What has failed has left nothing. */
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 5, NULL));
	ASSERT_EQ(0, mt_alloc(self->fd, id, 6, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 8));
	fire_and_expect(_metadata, self, TABLE, 0, 8, 0);
}

TEST_F_TIMEOUT(ims, alloc_exhaustion, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 8);
	struct ims_testdev_map map, again;
	struct ims_testdev_counts sum;
	unsigned int i;

	/* A batch that is one too large undoes all of it. */
	EXPECT_EQ(-ENOSPC, mt_alloc(self->fd, id, ANY, 9, NULL));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, 8, &sum, NULL));
	EXPECT_EQ(0, sum.allocated);

	ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 8, NULL));
	EXPECT_EQ(-ENOSPC, mt_alloc(self->fd, id, ANY, 1, NULL));
	EXPECT_EQ(-EBUSY, mt_alloc(self->fd, id, 0, 1, NULL));

	/* Whichever hole there is, it is found. */
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, mt_free(self->fd, TABLE, i, 1));
		ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 1, &map));
		EXPECT_EQ(i, map.index);
		EXPECT_EQ(-ENOSPC, mt_alloc(self->fd, id, ANY, 1, NULL));
	}

	/* Two holes: any gets them both, and one at an index doesn't take the other. */
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 2, 1));
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 6, 1));
	ASSERT_EQ(0, mt_alloc(self->fd, id, 6, 1, &again));
	EXPECT_EQ(6, again.index);
	ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 1, &map));
	EXPECT_EQ(2, map.index);
	EXPECT_NE(map.virq, again.virq);

	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 8));
	fire_and_expect(_metadata, self, TABLE, 0, 8, 0);
}

/* A batch in whose middle an index is taken */
TEST_F_TIMEOUT(ims, alloc_batch_undone, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 8);
	struct ims_testdev_counts sum;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 4, 1, NULL));
	EXPECT_EQ(-EBUSY, mt_alloc(self->fd, id, 0, 8, NULL));
	EXPECT_EQ(-ERANGE, mt_alloc(self->fd, id, 5, 4, NULL));
	EXPECT_EQ(-EFAULT, mt_alloc(self->fd, id, ANY, 2, (void *)8));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, 8, &sum, NULL));
	EXPECT_EQ(1, sum.allocated);
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 4, 1));
	expect_table_clean(_metadata, self);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 8, NULL));
}

/* What the driver itself keeps apart, so that tests don't mislead themselves */
TEST_F_TIMEOUT(ims, free_and_request_order, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 8);

	EXPECT_EQ(-ENOENT, mt_free(self->fd, TABLE, 0, 1));
	EXPECT_EQ(-ENOENT, mt_request(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 4, NULL));
	EXPECT_EQ(-ENOENT, mt_release(self->fd, TABLE, 0, 1));
	EXPECT_EQ(-ENOENT, mt_fire(self->fd, TABLE, 0));
	EXPECT_EQ(-ENOENT, mt_mask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 2));
	EXPECT_EQ(-EBUSY, mt_request(self->fd, TABLE, 0, 1));
	EXPECT_EQ(-EINVAL, mt_unmask(self->fd, TABLE, 0, 1));

	/* None of these does half of its work. */
	EXPECT_EQ(-EBUSY, mt_free(self->fd, TABLE, 1, 3));
	EXPECT_EQ(-EBUSY, mt_request(self->fd, TABLE, 1, 3));
	EXPECT_EQ(-ENOENT, mt_request(self->fd, TABLE, 2, 3));
	EXPECT_EQ(-ENOENT, mt_release(self->fd, TABLE, 0, 3));
	EXPECT_EQ(-ENOENT, mt_fire_range(self->fd, TABLE, 0, 3));
	EXPECT_EQ(-ERANGE, mt_free(self->fd, TABLE, 0, self->info.slots[TABLE] + 1));
	EXPECT_EQ(-ERANGE, mt_free(self->fd, TABLE, 0xffffffff, 2));
	EXPECT_EQ(-ENXIO, mt_free(self->fd, 1000, 0, 1));
	EXPECT_EQ(-EBUSY, mt_reset(self->fd));
	fire_and_expect(_metadata, self, TABLE, 0, 2, 0);

	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 2));
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 0, 4));
	EXPECT_EQ(-ENOENT, mt_free(self->fd, TABLE, 0, 4));
}

/* Handlers come and go on an interrupt that stays. */
TEST_F_TIMEOUT(ims, request_again, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 2);
	unsigned int i;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 2));
		fire_and_expect(_metadata, self, TABLE, 0, 2, 0);
		ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 2));
	}
	/* And the interrupt too. */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mt_free(self->fd, TABLE, 0, 2));
		ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
		ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 2));
		fire_and_expect(_metadata, self, TABLE, 0, 2, 0);
		ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 2));
	}
}

/*
 * What the device has in its table
 */

TEST_F_TIMEOUT(ims, slot_states, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 2);
	struct ims_testdev_slot slot[2];

	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[0].state);

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[0].state & IMS_TD_SLOT_MASKED);
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[1].state & IMS_TD_SLOT_MASKED);

	/* A message of its own, to where x86 takes interrupts */
	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, 2));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[0].state);
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[1].state);
	EXPECT_EQ(0xfee00000, slot[0].addr_lo & 0xfff00000);
	EXPECT_EQ(0xfee00000, slot[1].addr_lo & 0xfff00000);
	EXPECT_EQ(0, slot[0].addr_hi);
	EXPECT_FALSE(slot[0].addr_lo == slot[1].addr_lo && slot[0].data == slot[1].data);

	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG | IMS_TD_SLOT_MASKED, slot[0].state);
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[1].state);
	ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[0].state);

	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[0].state & IMS_TD_SLOT_MASKED);
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[1].state);

	ASSERT_EQ(0, mt_free(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[0].state);
	EXPECT_EQ(0, slot[0].addr_lo | slot[0].addr_hi | slot[0].data);
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[1].state);

	/* Index 1 works on, and 0 comes back. */
	fire_and_expect(_metadata, self, TABLE, 1, 1, 0);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 1));
	fire_and_expect(_metadata, self, TABLE, 0, 1, 0);
}

/* Whatever was in a slot before, an interrupt gets it masked and with its own message. */
TEST_F_TIMEOUT(ims, slot_with_leftovers, MT_TEST_SECONDS)
{
	const __u32 other = IMS_TD_SLOT_CTRL_PASID_EN | (0x12345000 & IMS_TD_SLOT_CTRL_PASID);
	const unsigned int id = create_store(_metadata, self, 2);
	struct ims_testdev_slot slot[2];

	ASSERT_EQ(0, poke(self, 0, IMS_TD_SLOT_ADDR_LO, 0xfee00000));
	ASSERT_EQ(0, poke(self, 0, IMS_TD_SLOT_ADDR_HI, 0x55));
	ASSERT_EQ(0, poke(self, 0, IMS_TD_SLOT_DATA, 0xaa));
	ASSERT_EQ(0, poke(self, 0, IMS_TD_SLOT_CTRL, other));

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 1, slot));
	EXPECT_EQ(other | IMS_TD_SLOT_CTRL_MASK, slot[0].ctrl);

	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, 2));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	EXPECT_EQ(other, slot[0].ctrl);
	EXPECT_EQ(slot[1].addr_hi, slot[0].addr_hi);
	EXPECT_EQ(slot[1].addr_lo & 0xfff00000, slot[0].addr_lo & 0xfff00000);
	fire_and_expect(_metadata, self, TABLE, 0, 2, 0);

	/* The bits that are not the store's stay as they are. */
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 1, slot));
	EXPECT_EQ(other | IMS_TD_SLOT_CTRL_MASK, slot[0].ctrl);
	ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 2));
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 0, 2));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 1, slot));
	EXPECT_EQ(other | IMS_TD_SLOT_CTRL_MASK, slot[0].ctrl);
}

/*
 * Delivery
 */

TEST_F_TIMEOUT(ims, fire_each, MT_TEST_SECONDS)
{
	const unsigned int nr = 32;
	unsigned int i;

	create_full(_metadata, self, nr, NULL);
	for (i = 0; i < nr; i++) {
		fire_and_expect(_metadata, self, TABLE, i, 1, 0);

		/* This one and no other */
		expect_received(_metadata, self, TABLE, 0, i + 1, 1);
		if (i + 1 < nr)
			expect_received(_metadata, self, TABLE, i + 1, nr - i - 1, 0);
	}
}

TEST_F_TIMEOUT(ims, fire_forms, MT_TEST_SECONDS)
{
	create_full(_metadata, self, 16, NULL);

	ASSERT_EQ(0, mt_fire(self->fd, TABLE, 3));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 3, 1, 1);

	ASSERT_EQ(0, mt_fire_doorbell(self->fd, TABLE, 3));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 3, 1, 2);
	expect_received(_metadata, self, TABLE, 4, 12, 0);

	ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 4, 12));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 0, 3, 0);
	expect_received(_metadata, self, TABLE, 3, 1, 2);
	expect_received(_metadata, self, TABLE, 4, 12, 1);
}

/* All slots of the table, most of which have no interrupt and are masked */
TEST_F_TIMEOUT(ims, fire_all, MT_TEST_SECONDS)
{
	const unsigned int nr = 16, slots = self->info.slots[TABLE];
	struct ims_testdev_stats stats;

	create_full(_metadata, self, nr, NULL);
	ASSERT_EQ(0, mt_fire_all(self->fd, TABLE));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 0, nr, 1);

	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(slots, stats.fired);
	EXPECT_EQ(nr, stats.sent);
	EXPECT_EQ(slots - nr, stats.held);
	EXPECT_EQ(slots - nr, stats.pending);
	self->pending = true;
}

/* What x86 can't have more of on one CPU, and what it surely has */
#define VECTORS_MAX	256
#define VECTORS_MIN	150

/* More than one CPU has vectors for */
TEST_F_TIMEOUT(ims, fire_many, MT_TEST_SECONDS)
{
	unsigned int i, id, nr = is_slow() ? VECTORS_MAX : 1024;
	struct ims_testdev_counts sum;
	struct ims_testdev_stats stats;
	int ret;

	if (mt_nr_online() * VECTORS_MIN < nr || nr > self->info.slots[TABLE])
		SKIP(return, "needs more CPUs or slots");

	id = create_store(_metadata, self, nr);
	ret = mt_alloc(self->fd, id, 0, nr, NULL);

	/* The remapping unit can have fewer for one device. */
	while (ret == -ENOSPC && nr > VECTORS_MIN) {
		nr -= 8;
		ret = mt_alloc(self->fd, id, 0, nr, NULL);
	}
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, nr));
	for (i = 0; i < 3; i++)
		fire_and_expect(_metadata, self, TABLE, 0, nr, i);

	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, nr, &sum, NULL));
	EXPECT_EQ(nr, sum.allocated);
	EXPECT_EQ(3 * nr, sum.expected);
	EXPECT_EQ(3 * nr, sum.received);
	EXPECT_EQ(0, sum.lost);
	EXPECT_EQ(0, sum.spurious);
	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(3 * nr, stats.sent);
	EXPECT_EQ(0, stats.held);
}

/* More than one CPU has vectors for, and no other CPU may help out */
TEST_F_TIMEOUT(ims, vectors_exhausted_managed, MT_TEST_SECONDS)
{
	const unsigned int nr = VECTORS_MAX, some = 16;
	const unsigned int id = create_store(_metadata, self, nr);
	const int cpu = find_spare_cpu();
	struct ims_testdev_counts sum;

	ASSERT_LT(0, cpu);
	EXPECT_EQ(-ENOSPC, mt_alloc_cpu(self->fd, id, nr, cpu, true, NULL));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, nr, &sum, NULL));
	EXPECT_EQ(0, sum.allocated);
	expect_table_clean(_metadata, self);

	/* What was taken before it failed is there again. */
	ASSERT_EQ(0, mt_alloc_cpu(self->fd, id, some, cpu, true, NULL));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, some));
	fire_and_expect(_metadata, self, TABLE, 0, some, 0);
}

/* More than all CPUs have vectors for, which comes out when they are requested */
TEST_F_TIMEOUT(ims, vectors_exhausted, MT_TEST_SECONDS)
{
	const unsigned int nr = self->info.slots[TABLE];
	struct ims_testdev_counts sum;
	unsigned int id;
	int ret;

	if (mt_nr_online() * VECTORS_MAX > nr)
		SKIP(return, "needs fewer CPUs or more slots");
	if (is_slow())
		SKIP(return, "takes too long on a kernel with lock debugging");

	id = create_store(_metadata, self, nr);
	ret = mt_alloc(self->fd, id, 0, nr, NULL);
	if (ret == -ENOSPC)
		SKIP(return, "the remapping unit has fewer entries than the CPUs have vectors");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-ENOSPC, mt_request(self->fd, TABLE, 0, nr));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, nr, &sum, NULL));
	EXPECT_EQ(nr, sum.allocated);
	EXPECT_EQ(0, sum.requested);

	/* What was taken before it failed is there again. */
	ASSERT_EQ(0, mt_request(self->fd, TABLE, nr / 2, VECTORS_MIN));
	fire_and_expect(_metadata, self, TABLE, nr / 2, VECTORS_MIN, 0);
}

/*
 * Masking
 */

TEST_F_TIMEOUT(ims, mask_holds, MT_TEST_SECONDS)
{
	struct ims_testdev_counts sum;
	struct ims_testdev_slot slot;
	unsigned int i;

	create_full(_metadata, self, 4, NULL);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_slots(self->fd, TABLE, 1, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG, slot.state);

		ASSERT_EQ(0, mt_fire(self->fd, TABLE, 1));
		ASSERT_EQ(0, mt_slots(self->fd, TABLE, 1, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG | IMS_TD_SLOT_PENDING,
			  slot.state);
		EXPECT_EQ(i, slot.sent);

		/* The neighbours are open, and what they get says that none was under way. */
		fire_and_expect(_metadata, self, TABLE, 0, 1, i);
		fire_and_expect(_metadata, self, TABLE, 2, 2, i);
		expect_received(_metadata, self, TABLE, 1, 1, i);
		ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, 4, &sum, NULL));
		EXPECT_EQ(1, sum.lost);

		ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 1, 1));
		EXPECT_EQ(0, mt_settle(self->fd, TABLE));
		ASSERT_EQ(0, mt_slots(self->fd, TABLE, 1, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot.state);
		EXPECT_EQ(i + 1, slot.sent);
		expect_received(_metadata, self, TABLE, 1, 1, i + 1);
	}
}

/* What is fired again while it is held is one interrupt. */
TEST_F_TIMEOUT(ims, mask_merges, MT_TEST_SECONDS)
{
	struct ims_testdev_stats stats;

	create_full(_metadata, self, 1, NULL);
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_fire(self->fd, TABLE, 0));
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, 0));
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, 0));
	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(3, stats.fired);
	EXPECT_EQ(3, stats.held);
	EXPECT_EQ(2, stats.merged);
	EXPECT_EQ(1, stats.pending);
	EXPECT_EQ(0, stats.sent);
	expect_received(_metadata, self, TABLE, 0, 1, 0);

	ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 0, 1));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 0, 1, 1);
}

TEST_F_TIMEOUT(ims, mask_many, MT_TEST_SECONDS)
{
	const unsigned int nr = 64;
	struct ims_testdev_stats stats;

	create_full(_metadata, self, nr, NULL);
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, nr));
	ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 0, nr));
	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(nr, stats.pending);
	EXPECT_EQ(0, stats.sent);
	ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 0, nr));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 0, nr, 1);
	fire_and_expect(_metadata, self, TABLE, 0, nr, 1);
}

/*
 * Without a request to the contrary, masking waits until the interrupt comes
 * in, and the core raises it again later.
 */
TEST_F_TIMEOUT(ims, mask_lazy, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 1);
	struct ims_testdev_slot slot;
	unsigned int i;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 1));

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
		ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 1, &slot));
		EXPECT_EQ(0, slot.state & IMS_TD_SLOT_MASKED);

		ASSERT_EQ(0, mt_fire(self->fd, TABLE, 0));
		EXPECT_EQ(0, mt_wait_state(self->fd, TABLE, 0, IMS_TD_SLOT_MASKED,
					   IMS_TD_SLOT_MASKED));
		expect_received(_metadata, self, TABLE, 0, 1, i);

		ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 0, 1));
		EXPECT_EQ(0, mt_settle(self->fd, TABLE));
		expect_received(_metadata, self, TABLE, 0, 1, i + 1);
		ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot.state);
	}
}

/* Release of a masked interrupt leaves nothing of the masking to the next. */
TEST_F_TIMEOUT(ims, mask_release, MT_TEST_SECONDS)
{
	create_full(_metadata, self, 1, NULL);
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, 1));
	fire_and_expect(_metadata, self, TABLE, 0, 1, 0);
}

/*
 * MSI-X and MSI beside it
 */

TEST_F_TIMEOUT(ims, msix_alone, MT_TEST_SECONDS)
{
	const unsigned int nr = 64;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr));
	EXPECT_EQ(-EBUSY, mt_vectors_enable(self->fd, MSIX, nr));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSIX, 0, nr));
	EXPECT_EQ(-EBUSY, mt_free(self->fd, MSIX, 0, 1));
	EXPECT_EQ(-EBUSY, mt_vectors_disable(self->fd, MSIX));
	fire_and_expect(_metadata, self, MSIX, 0, nr, 0);

	ASSERT_EQ(0, mt_mask(self->fd, MSIX, 0, nr));
	ASSERT_EQ(0, mt_fire_range(self->fd, MSIX, 0, nr));
	expect_received(_metadata, self, MSIX, 0, nr, 1);
	ASSERT_EQ(0, mt_unmask(self->fd, MSIX, 0, nr));
	EXPECT_EQ(0, mt_settle(self->fd, MSIX));
	expect_received(_metadata, self, MSIX, 0, nr, 2);

	ASSERT_EQ(0, mt_release(self->fd, MSIX, 0, nr));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	EXPECT_EQ(-ENOENT, mt_vectors_disable(self->fd, MSIX));
}

TEST_F_TIMEOUT(ims, msix_and_table, MT_TEST_SECONDS)
{
	const unsigned int nr = 16;
	unsigned int i;

	create_full(_metadata, self, nr, NULL);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, nr));
		fire_and_expect(_metadata, self, MSIX, 0, nr, 0);
		fire_and_expect(_metadata, self, TABLE, 0, nr, 2 * i);

		/* The table doesn't care whether MSI-X is enabled. */
		ASSERT_EQ(0, mt_release(self->fd, MSIX, 0, nr));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
		fire_and_expect(_metadata, self, TABLE, 0, nr, 2 * i + 1);
	}
}

TEST_F_TIMEOUT(ims, table_beside_msix, MT_TEST_SECONDS)
{
	const unsigned int nr = 16;
	unsigned int i, id;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, nr));
	for (i = 0; i < 3; i++) {
		id = create_full(_metadata, self, nr, NULL);
		fire_and_expect(_metadata, self, TABLE, 0, nr, 0);
		fire_and_expect(_metadata, self, MSIX, 0, nr, 2 * i);

		/* Nor does MSI-X care for the store. */
		ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, nr));
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
		fire_and_expect(_metadata, self, MSIX, 0, nr, 2 * i + 1);
	}
}

/* A remapping unit takes MSI with many vectors, too. */
TEST_F_TIMEOUT(ims, msi_and_table, MT_TEST_SECONDS)
{
	const unsigned int nr = 8;
	unsigned int i;

	create_full(_metadata, self, nr, NULL);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, nr));
		EXPECT_GT(0, mt_vectors_enable(self->fd, MSIX, nr));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, MSI, 0, nr));
		fire_and_expect(_metadata, self, MSI, 0, nr, 0);
		fire_and_expect(_metadata, self, TABLE, 0, nr, i);

		ASSERT_EQ(0, mt_mask(self->fd, MSI, 3, 1));
		ASSERT_EQ(0, mt_fire(self->fd, MSI, 3));
		expect_received(_metadata, self, MSI, 3, 1, 1);
		ASSERT_EQ(0, mt_unmask(self->fd, MSI, 3, 1));
		EXPECT_EQ(0, mt_settle(self->fd, MSI));
		expect_received(_metadata, self, MSI, 3, 1, 2);

		ASSERT_EQ(0, mt_release(self->fd, MSI, 0, nr));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSI));
	}

	/* And MSI-X after MSI */
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, nr));
	fire_and_expect(_metadata, self, MSIX, 0, nr, 0);
	fire_and_expect(_metadata, self, TABLE, 0, nr, 3);
}

/*
 * Affinity
 */

TEST_F_TIMEOUT(ims, affinity_every_cpu, MT_TEST_SECONDS)
{
	struct ims_testdev_slot before, slot;
	struct ims_testdev_map map;
	unsigned int cpu, fired = 0;

	create_full(_metadata, self, 1, &map);
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 1, &before));

	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		fired = move_and_fire(_metadata, self, TABLE, 0, map.virq, cpu, fired);

		/* Remapping is why the device needs not be told. */
		ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 1, &slot));
		EXPECT_EQ(before.addr_lo, slot.addr_lo);
		EXPECT_EQ(before.addr_hi, slot.addr_hi);
		EXPECT_EQ(before.data, slot.data);
		EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot.state);
	}
	EXPECT_LT(2, fired);
}

/* The same while the interrupt is masked and one is waiting */
TEST_F_TIMEOUT(ims, affinity_masked, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	struct ims_testdev_slot slot;
	unsigned int cpu, fired = 0;

	create_full(_metadata, self, 1, &map);
	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
		ASSERT_EQ(0, mt_fire(self->fd, TABLE, 0));
		ASSERT_EQ(0, mt_set_affinity(map.virq, cpu));
		ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
		expect_received(_metadata, self, TABLE, 0, 1, fired);

		ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 0, 1));
		EXPECT_EQ(0, mt_settle(self->fd, TABLE));
		expect_received(_metadata, self, TABLE, 0, 1, ++fired);
	}
}

TEST_F_TIMEOUT(ims, affinity_while_firing, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;

	create_full(_metadata, self, 1, &map);
	fire_while_moving(_metadata, self, TABLE, 0, map.virq, 200);
}

TEST_F_TIMEOUT(ims, affinity_at_alloc, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 64);
	struct ims_testdev_map map;
	unsigned int cpu;

	for (cpu = 0; cpu < 64 && mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		ASSERT_EQ(0, mt_alloc_cpu(self->fd, id, 1, cpu, false, &map));
		ASSERT_EQ(0, mt_request(self->fd, TABLE, map.slot, 1));
		EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
		fire_and_expect(_metadata, self, TABLE, map.slot, 1, 0);
	}
}

/*
 * CPUs that go away
 */

TEST_F_TIMEOUT(ims, cpu_offline, MT_TEST_SECONDS)
{
	const unsigned int nr = 16;
	struct ims_testdev_map maps[16];
	unsigned int i, fired[16] = { };
	const int cpu = find_spare_cpu();

	ASSERT_LT(0, cpu);
	create_full(_metadata, self, nr, maps);
	for (i = 0; i < nr; i++)
		fired[i] = move_and_fire(_metadata, self, TABLE, i, maps[i].virq, cpu, 0);

	/* One is masked and waiting when its CPU goes. */
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_fire(self->fd, TABLE, 0));

	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	for (i = 0; i < nr; i++) {
		EXPECT_NE(cpu, mt_effective_cpu(maps[i].virq));
		EXPECT_LE(0, mt_effective_cpu(maps[i].virq));
		if (i)
			fire_and_expect(_metadata, self, TABLE, i, 1, fired[i]++);
	}
	expect_received(_metadata, self, TABLE, 0, 1, fired[0]);
	EXPECT_EQ(0, mt_unmask(self->fd, TABLE, 0, 1));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 0, 1, ++fired[0]);

	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	for (i = 0; i < nr; i++) {
		fire_and_expect(_metadata, self, TABLE, i, 1, fired[i]++);
		move_and_fire(_metadata, self, TABLE, i, maps[i].virq, cpu, fired[i]);
	}
}

/* A managed interrupt stays with its CPU: down when it goes, up when it is back. */
TEST_F_TIMEOUT(ims, cpu_offline_managed, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, 4);
	const int cpu = find_spare_cpu();
	struct ims_testdev_slot slot;
	struct ims_testdev_map map;

	ASSERT_LT(0, cpu);
	ASSERT_EQ(0, mt_alloc_cpu(self->fd, id, 1, cpu, true, &map));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, map.slot, 1));
	EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
	EXPECT_GT(0, mt_set_affinity(map.virq, 0));
	fire_and_expect(_metadata, self, TABLE, map.slot, 1, 0);

	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	EXPECT_EQ(0, mt_slots(self->fd, TABLE, map.slot, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
	EXPECT_EQ(0, mt_fire(self->fd, TABLE, map.slot));
	EXPECT_EQ(0, mt_slots(self->fd, TABLE, map.slot, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_PENDING, slot.state & IMS_TD_SLOT_PENDING);
	expect_received(_metadata, self, TABLE, map.slot, 1, 1);

	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	EXPECT_EQ(0, mt_wait_state(self->fd, TABLE, map.slot, IMS_TD_SLOT_MASKED, 0));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, map.slot, 1, 2);
	EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
	fire_and_expect(_metadata, self, TABLE, map.slot, 1, 2);
}

/*
 * What the rest of the kernel shows
 */

TEST_F_TIMEOUT(ims, show_proc_interrupts, MT_TEST_SECONDS)
{
	char line[1024], name[64], chip[64];
	struct ims_testdev_map maps[4];
	unsigned int i;

	create_full(_metadata, self, 4, maps);
	snprintf(chip, sizeof(chip), "-IMS-%s", self->info.name);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, mt_proc_interrupts(maps[i].virq, line, sizeof(line)));
		snprintf(name, sizeof(name), " ims_testdev0-table-%u", i);
		EXPECT_NE(NULL, strstr(line, name)) { TH_LOG("%s", line); }
		EXPECT_NE(NULL, strstr(line, " IR-")) { TH_LOG("%s", line); }
		EXPECT_NE(NULL, strstr(line, self->info.name)) { TH_LOG("%s", line); }
		EXPECT_NE(NULL, strstr(line, "IMS")) { TH_LOG("%s", line); }
	}
}

/* The device's domain, on remapping, on vectors; in this order */
TEST_F_TIMEOUT(ims, show_debugfs, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	char text[4096], *device, *remap, *vector;

	create_full(_metadata, self, 1, &map);
	ASSERT_EQ(0, mt_debugfs_irq(map.virq, text, sizeof(text)));

	device = strstr(text, "domain:");
	ASSERT_NE(NULL, device);
	remap = strstr(device + 1, "domain:");
	ASSERT_NE(NULL, remap) { TH_LOG("%s", text); }
	vector = strstr(remap + 1, "domain:");
	ASSERT_NE(NULL, vector) { TH_LOG("%s", text); }
	EXPECT_EQ(NULL, strstr(vector + 1, "domain:")) { TH_LOG("%s", text); }

	remap[-1] = 0;
	vector[-1] = 0;
	EXPECT_NE(NULL, strstr(device, "IMS")) { TH_LOG("%s", device); }
	EXPECT_NE(NULL, strstr(device, self->info.name)) { TH_LOG("%s", device); }
	EXPECT_TRUE(strstr(remap, "INTEL-IR") || strstr(remap, "AMD-IR")) { TH_LOG("%s", remap); }
	EXPECT_NE(NULL, strstr(vector, "VECTOR")) { TH_LOG("%s", vector); }
}

/* sysfs lists them all, each as what it is, and none that is gone. */
TEST_F_TIMEOUT(ims, show_msi_irqs, MT_TEST_SECONDS)
{
	unsigned int id;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 8));
	EXPECT_EQ(8, count_msi_irqs(self));
	expect_modes(_metadata, self, MSIX, 0, 8, "msix\n");

	id = create_full(_metadata, self, 4, NULL);
	EXPECT_EQ(12, count_msi_irqs(self));
	expect_modes(_metadata, self, MSIX, 0, 8, "msix\n");
	expect_modes(_metadata, self, TABLE, 0, 4, "ims\n");

	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	EXPECT_EQ(4, count_msi_irqs(self));
	expect_modes(_metadata, self, TABLE, 0, 4, "ims\n");

	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 4));
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 1, 1));
	EXPECT_EQ(3, count_msi_irqs(self));
	ASSERT_EQ(0, mt_store_remove(self->fd, id));
	EXPECT_EQ(0, count_msi_irqs(self));
}

/*
 * Ends that nobody has planned
 */

TEST_F_TIMEOUT(ims, open_exclusive, MT_TEST_SECONDS)
{
	int status;
	pid_t child;

	EXPECT_EQ(-EBUSY, mt_open());
	create_full(_metadata, self, 1, NULL);
	fire_and_expect(_metadata, self, TABLE, 0, 1, 0);

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (setuid(65534))
			_exit(1);
		_exit(mt_open() == -EACCES ? 0 : 2);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* Everything in use at once, and the file is closed. */
TEST_F_TIMEOUT(ims, close_takes_down, MT_TEST_SECONDS)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		create_full(_metadata, self, 32, NULL);
		ASSERT_LT(0, mt_store_create(self->fd, TABLE, 64, 16));
		ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 8));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 4));
		fire_and_expect(_metadata, self, TABLE, 0, 32, 0);
		fire_and_expect(_metadata, self, MSIX, 0, 4, 0);
		ASSERT_EQ(0, mt_mask(self->fd, TABLE, 7, 1));

		close(self->fd);
		EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
		self->fd = mt_open();
		ASSERT_LE(0, self->fd);
		expect_table_clean(_metadata, self);
		expect_no_breach(_metadata, self);
	}
}

/* The same for a program that dies */
TEST_F_TIMEOUT(ims, killed, MT_TEST_SECONDS)
{
	int status, ready[2];
	pid_t child;
	char byte;

	close(self->fd);
	ASSERT_EQ(0, pipe(ready));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		self->fd = mt_open();
		if (self->fd < 0)
			_exit(1);
		create_full(_metadata, self, 32, NULL);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	EXPECT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(-EBUSY, mt_open());
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(ready[0]);

	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	expect_table_clean(_metadata, self);
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
}

/* Bound to the driver anew, the device has been left as it should be, and works. */
static void expect_works(struct __test_metadata *_metadata, struct ims_data *self)
{
	expect_table_clean(_metadata, self);
	expect_no_breach(_metadata, self);
	reset_device(_metadata, self);

	create_full(_metadata, self, 8, NULL);
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 4));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 4));
	fire_and_expect(_metadata, self, TABLE, 0, 8, 0);
	fire_and_expect(_metadata, self, MSIX, 0, 4, 0);
}

/* The driver is unbound while a test has everything set up. */
TEST_F_TIMEOUT(ims, unbind_while_open, MT_TEST_SECONDS)
{
	struct ims_testdev_info info;
	int old;

	create_full(_metadata, self, 32, NULL);
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 8));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 8));
	fire_and_expect(_metadata, self, TABLE, 0, 32, 0);

	EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	EXPECT_EQ(-ENOENT, mt_open());
	EXPECT_EQ(-ENODEV, mt_info(self->fd, &info));
	EXPECT_EQ(-ENODEV, mt_fire(self->fd, TABLE, 0));
	EXPECT_EQ(-ENODEV, mt_release(self->fd, TABLE, 0, 32));
	EXPECT_EQ(-ENODEV, mt_reset(self->fd));

	/* Bound again, the device is like new; the old file stays dead. */
	ASSERT_EQ(0, mt_write_file(bind, self->info.name));
	old = self->fd;
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-ENODEV, mt_info(old, &info));
	EXPECT_EQ(0, mt_info(self->fd, &info));
	close(old);
	expect_works(_metadata, self);
}

/* A process does all there is to do until the device is gone. */
static void work_until_dead(struct ims_data *self, unsigned int id, int ready)
{
	int ret;

	do {
		ret = mt_alloc(self->fd, id, 0, 8, NULL);
		ret = ret ? ret : mt_request(self->fd, TABLE, 0, 8);
		ret = ret ? ret : mt_fire_range(self->fd, TABLE, 0, 8);
		ret = ret ? ret : mt_settle(self->fd, TABLE);
		ret = ret ? ret : mt_release(self->fd, TABLE, 0, 8);
		ret = ret ? ret : mt_free(self->fd, TABLE, 0, 8);
		if (write(ready, "", 1) != 1)
			_exit(1);
	} while (!ret);

	_exit(ret == -ENODEV ? 0 : 2);
}

/* The driver is unbound in the middle of that. */
TEST_F_TIMEOUT(ims, unbind_while_busy, MT_TEST_SECONDS)
{
	int ready[2], status;
	unsigned int i, id;
	pid_t child;
	char byte;

	for (i = 0; i < 3; i++) {
		id = create_store(_metadata, self, 8);
		ASSERT_EQ(0, pipe(ready));
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			work_until_dead(self, id, ready[1]);
		close(ready[1]);
		EXPECT_EQ(1, read(ready[0], &byte, 1));

		EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
		EXPECT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(0, status);
		close(ready[0]);
		close(self->fd);
		EXPECT_EQ(0, mt_write_file(bind, self->info.name));
		self->fd = mt_open();
		ASSERT_LE(0, self->fd);
		expect_table_clean(_metadata, self);
		expect_no_breach(_metadata, self);
		reset_device(_metadata, self);
	}
}

/* Unbind with the file open, and bind: what was set up before is gone then. */
static void rebind_and_expect(struct __test_metadata *_metadata, struct ims_data *self)
{
	const int old = self->fd;

	EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	EXPECT_EQ(0, mt_proc_interrupts_count("IMS"));
	ASSERT_EQ(0, mt_write_file(bind, self->info.name));
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	close(old);
	expect_works(_metadata, self);
}

/* A driver that forgets its stores: the core removes them, and says so. */
TEST_F_TIMEOUT(ims, forget_stores, MT_TEST_SECONDS)
{
	const int irqs = mt_kmsg_open(), stores = mt_kmsg_open();
	struct ims_testdev_slot slots[8];
	unsigned int i;
	int id;

	/* Of one, interrupts 0 to 3 are requested, 2 is masked and 3 waits; of one, none is. */
	id = create_store(_metadata, self, 8);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 6, NULL));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, 4));
	fire_and_expect(_metadata, self, TABLE, 0, 4, 0);
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 2, 2));
	ASSERT_EQ(0, mt_fire(self->fd, TABLE, 3));
	ASSERT_LT(0, mt_store_create(self->fd, TABLE, 16, 4));

	ASSERT_EQ(0, mt_forget(self->fd, IMS_TESTDEV_FORGET_ALL));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 8, slots));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slots[i].state & IMS_TD_SLOT_HAS_MSG);

	rebind_and_expect(_metadata, self);
	EXPECT_EQ(4, kmsg_about(self, irqs, "was not freed by the driver"));
	EXPECT_EQ(2, kmsg_about(self, stores, "was not removed by the driver"));
}

/* The same for MSI-X vectors */
TEST_F_TIMEOUT(ims, forget_vectors, MT_TEST_SECONDS)
{
	const int irqs = mt_kmsg_open(), store = mt_kmsg_open();

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 8));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSIX, 0, 4));
	fire_and_expect(_metadata, self, MSIX, 0, 4, 0);
	ASSERT_EQ(0, mt_forget(self->fd, IMS_TESTDEV_FORGET_ALL));

	EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	EXPECT_EQ(4, kmsg_about(self, irqs, "was not freed by the driver"));
	EXPECT_EQ(1, kmsg_about(self, store, "was not disabled by the driver"));

	rescan_device(_metadata, self);
	expect_works(_metadata, self);
}

/* A driver that is late, but not too late: nothing to say about that */
TEST_F_TIMEOUT(ims, forget_until_devres, MT_TEST_SECONDS)
{
	const int kmsg = mt_kmsg_open();

	create_full(_metadata, self, 8, NULL);
	ASSERT_LT(0, mt_store_create(self->fd, TABLE, 16, 4));
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 8));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 4));
	ASSERT_EQ(0, mt_forget(self->fd, IMS_TESTDEV_FORGET_UNTIL_DEVRES));
	rebind_and_expect(_metadata, self);
	EXPECT_EQ(0, kmsg_about(self, kmsg, "by the driver"));
}

/*
 * The judge. What the tests above rely on must be able to tell them that they
 * have failed, so here rules are broken for it to see.
 */

static void expect_breach(struct __test_metadata *_metadata, struct ims_data *self,
			  unsigned int code, unsigned int kind, unsigned int where)
{
	struct ims_testdev_breaches breaches;

	ASSERT_EQ(0, mt_breaches(self->fd, &breaches, true));
	EXPECT_EQ(1, breaches.count);
	EXPECT_EQ(1, breaches.by_code[code]);
	ASSERT_EQ(1, breaches.logged);
	EXPECT_EQ(code, breaches.log[0].code);
	EXPECT_EQ(kind, breaches.log[0].kind);
	EXPECT_EQ(where, breaches.log[0].where);

	/* Emptied */
	ASSERT_EQ(0, mt_breaches(self->fd, &breaches, false));
	EXPECT_EQ(0, breaches.count);
	EXPECT_EQ(0, breaches.logged);
	EXPECT_EQ(0, breaches.by_code[code]);
}

TEST_F_TIMEOUT(ims, judge_message_changed, MT_TEST_SECONDS)
{
	struct ims_testdev_slot slot;

	self->judged = true;
	create_full(_metadata, self, 4, NULL);
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 2, 1, &slot));

	/* Changed while masked: fine */
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 2, 1));
	ASSERT_EQ(0, poke(self, 2, IMS_TD_SLOT_DATA, slot.data ^ 0x55));
	ASSERT_EQ(0, poke(self, 2, IMS_TD_SLOT_DATA, slot.data));
	ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 2, 1));
	expect_no_breach(_metadata, self);

	/* Written, not changed: fine */
	ASSERT_EQ(0, poke(self, 2, IMS_TD_SLOT_DATA, slot.data));
	expect_no_breach(_metadata, self);

	ASSERT_EQ(0, poke(self, 2, IMS_TD_SLOT_DATA, slot.data ^ 0x55));
	expect_breach(_metadata, self, IMS_TD_BREACH_MSG_UNMASKED, TABLE, 2);
	ASSERT_EQ(0, poke(self, 2, IMS_TD_SLOT_DATA, slot.data));
	expect_breach(_metadata, self, IMS_TD_BREACH_MSG_UNMASKED, TABLE, 2);
	fire_and_expect(_metadata, self, TABLE, 0, 4, 0);
}

TEST_F_TIMEOUT(ims, judge_no_message, MT_TEST_SECONDS)
{
	struct ims_testdev_stats stats;

	self->judged = true;
	ASSERT_EQ(0, poke(self, 9, IMS_TD_SLOT_CTRL, 0));
	expect_no_breach(_metadata, self);
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, 9));
	expect_breach(_metadata, self, IMS_TD_BREACH_NO_MSG, TABLE, 9);
	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(1, stats.fired);
	EXPECT_EQ(0, stats.sent);
	ASSERT_EQ(0, poke(self, 9, IMS_TD_SLOT_CTRL, IMS_TD_SLOT_CTRL_MASK));
}

TEST_F_TIMEOUT(ims, judge_range_and_width, MT_TEST_SECONDS)
{
	const unsigned int slots = self->info.slots[TABLE];
	const unsigned int in_slot_3 = 3 * IMS_TD_SLOT_SIZE;
	__u64 value;

	self->judged = true;
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, slots));
	expect_breach(_metadata, self, IMS_TD_BREACH_RANGE, TABLE, slots);

	ASSERT_EQ(0, mt_raw_read(self->fd, IMS_TD_BAR_TABLE, in_slot_3 + 8, 2, &value));
	expect_breach(_metadata, self, IMS_TD_BREACH_WIDTH, TABLE, 3);
	ASSERT_EQ(0, mt_raw_write(self->fd, IMS_TD_BAR_TABLE, in_slot_3, 8, 1));
	expect_breach(_metadata, self, IMS_TD_BREACH_WIDTH, TABLE, 3);
	ASSERT_EQ(0, mt_raw_read(self->fd, IMS_TD_BAR_TABLE, in_slot_3, 4, &value));
	EXPECT_EQ(0, value);
	ASSERT_EQ(0, mt_raw_write(self->fd, IMS_TD_BAR_REGS, IMS_TD_REG_ID, 4, 1));
	expect_breach(_metadata, self, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, IMS_TD_REG_ID);
}

TEST_F_TIMEOUT(ims, judge_spurious, MT_TEST_SECONDS)
{
	struct ims_testdev_counts sum;
	struct ims_testdev_stats stats;

	self->judged = true;
	create_full(_metadata, self, 4, NULL);
	fire_and_expect(_metadata, self, TABLE, 0, 4, 0);

	ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, 1));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, 4, &sum, NULL));
	EXPECT_EQ(4, sum.expected);
	EXPECT_EQ(5, sum.received);
	EXPECT_EQ(1, sum.spurious);
	EXPECT_EQ(0, sum.lost);

	/* It is not forgotten when the interrupt is gone. */
	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 4));
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 0, 4));
	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(1, stats.spurious);
	EXPECT_EQ(0, stats.lost);
}

TEST_F_TIMEOUT(ims, judge_lost, MT_TEST_SECONDS)
{
	struct ims_testdev_counts sum;
	struct ims_testdev_stats stats;

	self->judged = true;
	create_full(_metadata, self, 4, NULL);
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 1, 1));
	ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 0, 4));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, 4, &sum, NULL));
	EXPECT_EQ(4, sum.expected);
	EXPECT_EQ(3, sum.received);
	EXPECT_EQ(1, sum.lost);
	EXPECT_EQ(0, sum.spurious);

	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 4));
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 0, 4));
	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(1, stats.lost);
	EXPECT_EQ(1, stats.pending);
	EXPECT_EQ(0, stats.spurious);
}

/* A message that another slot owns arrives there, where nobody waits for it. */
TEST_F_TIMEOUT(ims, judge_wrong_message, MT_TEST_SECONDS)
{
	struct ims_testdev_counts sum;
	struct ims_testdev_slot slot[2];

	self->judged = true;
	create_full(_metadata, self, 2, NULL);
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 2, slot));
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, poke(self, 0, IMS_TD_SLOT_ADDR_LO, slot[1].addr_lo));
	ASSERT_EQ(0, poke(self, 0, IMS_TD_SLOT_DATA, slot[1].data));
	ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 0, 1));

	ASSERT_EQ(0, mt_fire(self->fd, TABLE, 0));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 0, 1, 0);
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, 2, &sum, NULL));
	EXPECT_EQ(1, sum.received);
	EXPECT_EQ(1, sum.spurious);
	EXPECT_EQ(1, sum.lost);
}

int main(int argc, char **argv)
{
	mt_gate(MT_WANT_STORES);
	return test_harness_run(argc, argv);
}
