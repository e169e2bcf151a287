// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts of one IMS store, for every kind of store. What is different is in
 * store_kinds[], all the rest must be the same.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "ims_fixture.h"

FIXTURE_VARIANT(ims)
{
	const struct store_kind	*kind;
};

FIXTURE_VARIANT_ADD(ims, table) { .kind = &store_kinds[0] };
FIXTURE_VARIANT_ADD(ims, wide) { .kind = &store_kinds[1] };
FIXTURE_VARIANT_ADD(ims, mem) { .kind = &store_kinds[2] };
FIXTURE_VARIANT_ADD(ims, cmd) { .kind = &store_kinds[3] };

/* Interrupts that are allocated in a range of slots */
static unsigned int count_allocated(struct __test_metadata *_metadata, struct ims_data *self,
				    unsigned int kind, unsigned int count)
{
	struct ims_testdev_counts sum;

	ASSERT_EQ(0, mt_counts(self->fd, kind, 0, count, &sum, NULL));
	return sum.allocated;
}

/*
 * Stores
 */

TEST_F_TIMEOUT(ims, store_create_remove, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	unsigned int i;
	int id;

	for (i = 0; i < 3; i++) {
		id = mt_store_create(self->fd, kind, 0, self->info.slots[kind]);
		ASSERT_LT(0, id);
		EXPECT_EQ(-EBUSY, mt_store_create(self->fd, kind, 0, 1));
		EXPECT_EQ(0, mt_store_remove(self->fd, id));
		EXPECT_EQ(-ENOENT, mt_store_remove(self->fd, id));
	}
	expect_clean(_metadata, self, variant->kind);
}

/* Ids that no store has: refused, without harm to what is there */
TEST_F_TIMEOUT(ims, store_unknown, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_full(_metadata, self, kind, 4, NULL);
	const unsigned int unknown[] = { 0, id + 1, 1000, 0x80000000, 0xfffffffe };
	unsigned int i;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 2));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 2));

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(-ENODEV, mt_alloc(self->fd, unknown[i], ANY, 1, NULL))
			TH_LOG("store %u", unknown[i]);
		EXPECT_EQ(-ENODEV, mt_alloc_batch(self->fd, unknown[i], 1, 1, NULL, NULL))
			TH_LOG("store %u", unknown[i]);
		EXPECT_EQ(-ENOENT, mt_store_remove(self->fd, unknown[i]));
		fire_and_expect(_metadata, self, kind, 0, 4, i);
		fire_and_expect(_metadata, self, MSIX, 0, 2, i);
	}
}

/* A store can go while it has interrupts, but not while they have handlers. */
TEST_F_TIMEOUT(ims, store_remove_allocated, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	unsigned int id = create_store(_metadata, self, kind, 8);
	struct ims_testdev_map map[8];
	char line[256];
	unsigned int i;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 8, map));
	ASSERT_EQ(0, mt_request(self->fd, kind, 5, 1));
	EXPECT_EQ(-EBUSY, mt_store_remove(self->fd, id));
	fire_and_expect(_metadata, self, kind, 5, 1, 0);
	EXPECT_EQ(0, mt_release(self->fd, kind, 5, 1));
	EXPECT_EQ(0, mt_store_remove(self->fd, id));

	for (i = 0; i < 8; i++)
		EXPECT_EQ(-ENOENT, mt_proc_interrupts(map[i].virq, line, sizeof(line)));
	expect_clean(_metadata, self, variant->kind);

	/* The slots are there for the next one. */
	id = create_full(_metadata, self, kind, 8, NULL);
	fire_and_expect(_metadata, self, kind, 0, 8, 0);
}

/* Ten stores on one device, with the same indices in each */
TEST_F_TIMEOUT(ims, store_many, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = 10, size = 4;
	struct ims_testdev_map maps[4];
	unsigned int i, j;
	int id[10];

	for (i = 0; i < nr; i++) {
		id[i] = mt_store_create(self->fd, kind, i * size, size);
		ASSERT_LT(0, id[i]);
		for (j = 0; j < i; j++)
			EXPECT_NE(id[i], id[j]);
		EXPECT_EQ(-EBUSY, mt_store_create(self->fd, kind, i * size, size));

		ASSERT_EQ(0, mt_alloc(self->fd, id[i], 0, size, maps));
		for (j = 0; j < size; j++) {
			EXPECT_EQ(j, maps[j].index);
			EXPECT_EQ(i * size + j, maps[j].slot);
		}
		ASSERT_EQ(0, mt_request(self->fd, kind, i * size, size));
	}
	fire_and_expect(_metadata, self, kind, 0, nr * size, 0);

	/* One in the middle goes and comes back; the others don't notice. */
	ASSERT_EQ(0, mt_release(self->fd, kind, 3 * size, size));
	ASSERT_EQ(0, mt_store_remove(self->fd, id[3]));
	fire_and_expect(_metadata, self, kind, 0, 3 * size, 1);
	fire_and_expect(_metadata, self, kind, 4 * size, 6 * size, 1);

	id[3] = mt_store_create(self->fd, kind, 3 * size, size);
	ASSERT_LT(0, id[3]);
	ASSERT_EQ(0, mt_alloc(self->fd, id[3], 0, size, NULL));
	ASSERT_EQ(0, mt_request(self->fd, kind, 3 * size, size));
	fire_and_expect(_metadata, self, kind, 3 * size, size, 0);
	fire_and_expect(_metadata, self, kind, 0, 3 * size, 2);
}

/* The calls that name no store take the first one. */
TEST_F_TIMEOUT(ims, store_first, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	struct ims_testdev_map map;
	int first, second;

	EXPECT_GT(0, mt_alloc(self->fd, IMS_TESTDEV_FIRST_STORE, ANY, 1, NULL));

	first = mt_store_create(self->fd, kind, 0, 4);
	ASSERT_LT(0, first);
	second = mt_store_create(self->fd, kind, 4, 4);
	ASSERT_LT(first, second);

	ASSERT_EQ(0, mt_alloc(self->fd, IMS_TESTDEV_FIRST_STORE, ANY, 1, &map));
	EXPECT_GT(4, map.slot);
	ASSERT_EQ(0, mt_request(self->fd, kind, map.slot, 1));
	fire_and_expect(_metadata, self, kind, map.slot, 1, 0);

	/* Several at once have to be told from where. */
	EXPECT_EQ(-ENODEV, mt_alloc_batch(self->fd, IMS_TESTDEV_FIRST_STORE, 1, 2, NULL, NULL));
}

/* The ends of the largest store that there can be */
TEST_F_TIMEOUT(ims, store_last_index, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = self->info.slots[kind];
	const unsigned int id = create_store(_metadata, self, kind, nr);
	const unsigned int at[] = { nr - 1, 0, nr - 2, nr / 2 };
	struct ims_testdev_map map;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		ASSERT_EQ(0, mt_alloc(self->fd, id, at[i], 1, &map));
		EXPECT_EQ(at[i], map.index);
		EXPECT_EQ(at[i], map.slot);
		EXPECT_EQ(-EBUSY, mt_alloc(self->fd, id, at[i], 1, NULL));
		ASSERT_EQ(0, mt_request(self->fd, kind, at[i], 1));
	}
	EXPECT_EQ(-ERANGE, mt_alloc(self->fd, id, nr, 1, NULL));
	TH_LOG("%u slots", nr);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		fire_and_expect(_metadata, self, kind, at[i], 1, 0);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		expect_received(_metadata, self, kind, at[i], 1, 1);
}

/*
 * Allocation
 */

TEST_F_TIMEOUT(ims, alloc_any, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, variant->kind->nr, 8);
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
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 8);
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
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, 8));
	fire_and_expect(_metadata, self, kind, 0, 8, 0);
}

TEST_F_TIMEOUT(ims, alloc_exhaustion, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 8);
	struct ims_testdev_map map, again;
	unsigned int i;

	/* Of several, none stays if one fails. */
	EXPECT_EQ(-ENOSPC, mt_alloc(self->fd, id, ANY, 9, NULL));
	EXPECT_EQ(0, count_allocated(_metadata, self, kind, 8));

	ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 8, NULL));
	EXPECT_EQ(-ENOSPC, mt_alloc(self->fd, id, ANY, 1, NULL));
	EXPECT_EQ(-EBUSY, mt_alloc(self->fd, id, 0, 1, NULL));

	/* Whichever hole there is, it is found. */
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, mt_free(self->fd, kind, i, 1));
		ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 1, &map));
		EXPECT_EQ(i, map.index);
		EXPECT_EQ(-ENOSPC, mt_alloc(self->fd, id, ANY, 1, NULL));
	}

	/* Two holes: any gets them both, and one at an index doesn't take the other. */
	ASSERT_EQ(0, mt_free(self->fd, kind, 2, 1));
	ASSERT_EQ(0, mt_free(self->fd, kind, 6, 1));
	ASSERT_EQ(0, mt_alloc(self->fd, id, 6, 1, &again));
	EXPECT_EQ(6, again.index);
	ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 1, &map));
	EXPECT_EQ(2, map.index);
	EXPECT_NE(map.virq, again.virq);

	ASSERT_EQ(0, mt_request(self->fd, kind, 0, 8));
	fire_and_expect(_metadata, self, kind, 0, 8, 0);
}

/* Several, in whose middle an index is taken */
TEST_F_TIMEOUT(ims, alloc_undone, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 8);

	ASSERT_EQ(0, mt_alloc(self->fd, id, 4, 1, NULL));
	EXPECT_EQ(-EBUSY, mt_alloc(self->fd, id, 0, 8, NULL));
	EXPECT_EQ(-ERANGE, mt_alloc(self->fd, id, 5, 4, NULL));
	EXPECT_EQ(-EFAULT, mt_alloc(self->fd, id, ANY, 2, (void *)8));
	EXPECT_EQ(1, count_allocated(_metadata, self, kind, 8));
	ASSERT_EQ(0, mt_free(self->fd, kind, 4, 1));
	expect_clean(_metadata, self, variant->kind);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 8, NULL));
}

/* What the driver itself keeps apart, so that tests don't mislead themselves */
TEST_F_TIMEOUT(ims, free_and_request_order, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 8);

	EXPECT_EQ(-ENOENT, mt_free(self->fd, kind, 0, 1));
	EXPECT_EQ(-ENOENT, mt_request(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 4, NULL));
	EXPECT_EQ(-ENOENT, mt_release(self->fd, kind, 0, 1));
	EXPECT_EQ(-ENOENT, mt_fire(self->fd, kind, 0));
	EXPECT_EQ(-ENOENT, mt_mask(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, 2));
	EXPECT_EQ(-EBUSY, mt_request(self->fd, kind, 0, 1));
	EXPECT_EQ(-EINVAL, mt_unmask(self->fd, kind, 0, 1));
	EXPECT_EQ(-EINVAL, mt_request_flags(self->fd, kind, 2, 1, IMS_TESTDEV_REQUEST_ONESHOT));

	/* None of these does half of its work. */
	EXPECT_EQ(-EBUSY, mt_free(self->fd, kind, 1, 3));
	EXPECT_EQ(-EBUSY, mt_request(self->fd, kind, 1, 3));
	EXPECT_EQ(-ENOENT, mt_request(self->fd, kind, 2, 3));
	EXPECT_EQ(-ENOENT, mt_release(self->fd, kind, 0, 3));
	EXPECT_EQ(-ENOENT, mt_fire_range(self->fd, kind, 0, 3));
	EXPECT_EQ(-ERANGE, mt_free(self->fd, kind, 0, self->info.slots[kind] + 1));
	EXPECT_EQ(-ERANGE, mt_free(self->fd, kind, 0xffffffff, 2));
	EXPECT_EQ(-ENXIO, mt_free(self->fd, 1000, 0, 1));
	EXPECT_EQ(-EBUSY, mt_reset(self->fd));
	fire_and_expect(_metadata, self, kind, 0, 2, 0);

	ASSERT_EQ(0, mt_release(self->fd, kind, 0, 2));
	ASSERT_EQ(0, mt_free(self->fd, kind, 0, 4));
	EXPECT_EQ(-ENOENT, mt_free(self->fd, kind, 0, 4));
}

/* Handlers come and go on an interrupt that stays. */
TEST_F_TIMEOUT(ims, request_again, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 2);
	unsigned int i;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mt_request(self->fd, kind, 0, 2));
		fire_and_expect(_metadata, self, kind, 0, 2, 0);
		ASSERT_EQ(0, mt_release(self->fd, kind, 0, 2));
	}
	/* And the interrupt too. */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mt_free(self->fd, kind, 0, 2));
		ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
		ASSERT_EQ(0, mt_request(self->fd, kind, 0, 2));
		fire_and_expect(_metadata, self, kind, 0, 2, 0);
		ASSERT_EQ(0, mt_release(self->fd, kind, 0, 2));
	}
}

/*
 * An interrupt is released while it is on its way. When it reaches the CPU, that must not
 * take the vector from an interrupt that was requested since.
 */
TEST_F_TIMEOUT(ims, request_while_pending, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 1);
	struct ims_testdev_counts sum;
	unsigned int i;
	time_t end;

	/* The first event can arrive, be lost, or arrive at the second handler. */
	self->judged = true;
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	for (i = 0; i < 500 && _metadata->passed; i++) {
		ASSERT_EQ(0, mt_request(self->fd, kind, 0, 1));
		ASSERT_EQ(0, mt_fire(self->fd, kind, 0));
		ASSERT_EQ(0, mt_release(self->fd, kind, 0, 1));

		ASSERT_EQ(0, mt_request(self->fd, kind, 0, 1));
		ASSERT_EQ(0, mt_fire(self->fd, kind, 0));
		end = 0;
		do {
			ASSERT_EQ(0, mt_counts(self->fd, kind, 0, 1, &sum, NULL));
		} while (!sum.received && mt_wait_more(&end));
		EXPECT_NE(0, sum.received) { TH_LOG("round %u", i); }
		/* Let it arrive here: a CPU reports the second one without a handler */
		visit_cpus(_metadata);
		ASSERT_EQ(0, mt_release(self->fd, kind, 0, 1));
	}
}

/*
 * Allocation of several at once
 */

TEST_F_TIMEOUT(ims, batch, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = 48;
	const unsigned int id = create_store(_metadata, self, kind, nr + 2);
	struct ims_testdev_map maps[48];
	unsigned int i, index;

	/* Whatever is free, in order */
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_alloc(self->fd, id, 20, 1, NULL));
	ASSERT_EQ(nr, mt_alloc_batch(self->fd, id, nr, nr, NULL, maps));
	for (i = 0; i < nr; i++) {
		index = 1 + i + (i >= 19);
		EXPECT_EQ(index, maps[i].index);
		EXPECT_EQ(index, maps[i].slot);
		EXPECT_NE(0, maps[i].virq);
		EXPECT_TRUE(!i || maps[i].virq != maps[i - 1].virq);
	}
	EXPECT_EQ(nr + 2, count_allocated(_metadata, self, kind, nr + 2));
	EXPECT_EQ(nr + 2, count_msi_irqs(self));

	ASSERT_EQ(0, mt_request(self->fd, kind, 0, nr + 2));
	fire_and_expect(_metadata, self, kind, 0, nr + 2, 0);
}

/* As many as there are, but not less than wanted */
TEST_F_TIMEOUT(ims, batch_partial, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 8);
	struct ims_testdev_map maps[20];

	ASSERT_EQ(0, mt_alloc(self->fd, id, 2, 3, NULL));
	EXPECT_EQ(-ENOSPC, mt_alloc_batch(self->fd, id, 6, 20, NULL, maps));
	EXPECT_EQ(-ENOSPC, mt_alloc_batch(self->fd, id, 6, 6, NULL, maps));
	EXPECT_EQ(3, count_allocated(_metadata, self, kind, 8));
	EXPECT_EQ(3, count_msi_irqs(self));

	ASSERT_EQ(5, mt_alloc_batch(self->fd, id, 5, 20, NULL, maps));
	EXPECT_EQ(0, maps[0].index);
	EXPECT_EQ(1, maps[1].index);
	EXPECT_EQ(5, maps[2].index);
	EXPECT_EQ(7, maps[4].index);
	EXPECT_EQ(-ENOSPC, mt_alloc_batch(self->fd, id, 1, 1, NULL, maps));

	ASSERT_EQ(0, mt_free(self->fd, kind, 6, 1));
	ASSERT_EQ(1, mt_alloc_batch(self->fd, id, 1, 20, NULL, maps));
	EXPECT_EQ(6, maps[0].index);
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, 8));
	fire_and_expect(_metadata, self, kind, 0, 8, 0);
}

TEST_F_TIMEOUT(ims, batch_bad, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 8);
	struct ims_testdev_map maps[8];

	EXPECT_EQ(-EINVAL, mt_alloc_batch(self->fd, id, 0, 0, NULL, maps));
	EXPECT_EQ(-EINVAL, mt_alloc_batch(self->fd, id, 0, 4, NULL, maps));
	EXPECT_EQ(-EINVAL, mt_alloc_batch(self->fd, id, 5, 4, NULL, maps));
	EXPECT_EQ(-EINVAL, mt_alloc_spread(self->fd, id, 0, 4, 0, 0, maps));
	EXPECT_EQ(-EFAULT, mt_alloc_batch(self->fd, id, 2, 2, NULL, (void *)8));
	EXPECT_EQ(0, count_allocated(_metadata, self, kind, 8));
	expect_clean(_metadata, self, variant->kind);
	ASSERT_EQ(8, mt_alloc_batch(self->fd, id, 8, 8, NULL, maps));
}

TEST_F_TIMEOUT(ims, batch_free, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = 16;
	const unsigned int id = create_full(_metadata, self, kind, nr, NULL);
	const __u32 some[] = { 14, 3, 0, 9 }, taken[] = { 3, 2 }, twice[] = { 9, 9 };
	const __u32 none[] = { nr }, beyond[] = { self->info.slots[kind] };
	struct ims_testdev_map maps[16];
	unsigned int i;

	/* Errors first: none of these frees anything. */
	EXPECT_EQ(-EBUSY, mt_free_batch(self->fd, kind, some, ARRAY_SIZE(some)));
	for (i = 0; i < ARRAY_SIZE(some); i++)
		ASSERT_EQ(0, mt_release(self->fd, kind, some[i], 1));
	EXPECT_EQ(-EBUSY, mt_free_batch(self->fd, kind, taken, ARRAY_SIZE(taken)));
	EXPECT_EQ(-EINVAL, mt_free_batch(self->fd, kind, twice, ARRAY_SIZE(twice)));
	EXPECT_EQ(-ENOENT, mt_free_batch(self->fd, kind, none, ARRAY_SIZE(none)));
	EXPECT_GT(0, mt_free_batch(self->fd, kind, beyond, ARRAY_SIZE(beyond)));
	EXPECT_EQ(nr, count_allocated(_metadata, self, kind, nr));

	ASSERT_EQ(0, mt_free_batch(self->fd, kind, some, ARRAY_SIZE(some)));
	EXPECT_EQ(nr - 4, count_allocated(_metadata, self, kind, nr));
	EXPECT_EQ(nr - 4, count_msi_irqs(self));
	EXPECT_EQ(-ENOENT, mt_free_batch(self->fd, kind, some, 1));
	fire_and_expect(_metadata, self, kind, 1, 2, 0);
	fire_and_expect(_metadata, self, kind, 4, 5, 0);
	fire_and_expect(_metadata, self, kind, 10, 4, 0);

	/* All of it comes back. */
	ASSERT_EQ(4, mt_alloc_batch(self->fd, id, 1, nr, NULL, maps));
	EXPECT_EQ(0, maps[0].index);
	EXPECT_EQ(3, maps[1].index);
	EXPECT_EQ(9, maps[2].index);
	EXPECT_EQ(14, maps[3].index);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, mt_request(self->fd, kind, maps[i].slot, 1));
		fire_and_expect(_metadata, self, kind, maps[i].slot, 1, 0);
	}
}

/*
 * One for each CPU, one before them and one after them that are for all CPUs.
 * Where the store can't be changed while a CPU goes away they are not managed.
 */
TEST_F_TIMEOUT(ims, batch_spread, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, cpus = mt_nr_online(), nr = cpus + 2;
	const unsigned int id = create_store(_metadata, self, kind, nr + 1);
	struct ims_testdev_map maps[MAX_CPUS + 2], other;
	char all[256], text[256];
	__u64 seen = 0;
	unsigned int i;
	int cpu;

	ASSERT_GE(MAX_CPUS, cpus);
	ASSERT_EQ(0, mt_alloc(self->fd, id, nr, 1, &other));
	ASSERT_EQ(0, mt_request(self->fd, kind, nr, 1));
	ASSERT_EQ(0, mt_affinity_list(other.virq, all, sizeof(all)));

	ASSERT_EQ(nr, mt_alloc_spread(self->fd, id, nr, nr, 1, 1, maps));
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, nr));
	for (i = 0; i < nr; i++) {
		ASSERT_EQ(0, mt_affinity_list(maps[i].virq, text, sizeof(text)));
		if (!i || i == nr - 1) {
			EXPECT_STREQ(all, text);
			EXPECT_EQ(0, mt_set_affinity(maps[i].virq, 0));
			continue;
		}
		cpu = mt_effective_cpu(maps[i].virq);
		ASSERT_LE(0, cpu);
		EXPECT_EQ(cpu, atoi(text));
		EXPECT_EQ(NULL, strpbrk(text, ",-")) { TH_LOG("%s", text); }
		seen |= 1ULL << cpu;
		if (variant->kind->direct)
			EXPECT_GT(0, mt_set_affinity(maps[i].virq, 0));
	}
	EXPECT_EQ(self->cpus, seen);
	fire_and_expect(_metadata, self, kind, 0, nr, 0);

	if (!variant->kind->direct) {
		move_and_fire(_metadata, self, kind, 1, maps[1].virq, find_spare_cpu(), 1);
		move_and_fire(_metadata, self, kind, 2, maps[2].virq, 0, 1);
	}
}

/*
 * Cookies
 */

/* The PASID goes into the slot, and stays there whatever is done with the interrupt. */
static void cookie_pasid(struct __test_metadata *_metadata, struct ims_data *self,
			 const struct store_kind *kind)
{
	const __u64 good[] = { 0, 1, 0x54321, 0xfffff };
	const __u64 bad[] = { 0x100000, 0xffffffff, 1ULL << 32, 1ULL << 63 };
	const unsigned int shift = __builtin_ctz(kind->pasid);
	struct ims_testdev_slot slot;
	struct ims_testdev_map map;
	unsigned int i, fired;
	__u32 ctrl;
	int id;

	/* A device that is told by commands refuses one, which is logged. */
	self->bad_news = !kind->direct;
	id = mt_store_create_flags(self->fd, kind->nr, 0, 8, IMS_TESTDEV_STORE_PASID);
	ASSERT_LT(0, id);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, mt_alloc_cookie(self->fd, id, i, bad[i], NULL))
			TH_LOG("cookie %#llx", bad[i]);
	}
	expect_clean(_metadata, self, kind);

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		ctrl = (__u32)good[i] << shift | kind->pasid_enable;
		ASSERT_EQ(0, mt_alloc_cookie(self->fd, id, i, good[i], &map));
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, i, 1, &slot));
		EXPECT_EQ(ctrl | kind->masked, slot.ctrl);

		ASSERT_EQ(0, mt_request_unlazy(self->fd, kind->nr, i, 1));
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, i, 1, &slot));
		EXPECT_EQ(ctrl | (kind->mask ^ kind->masked), slot.ctrl);
		ASSERT_EQ(0, mt_mask(self->fd, kind->nr, i, 1));
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, i, 1, &slot));
		EXPECT_EQ(ctrl | kind->masked, slot.ctrl);
		ASSERT_EQ(0, mt_unmask(self->fd, kind->nr, i, 1));
		fired = move_and_fire(_metadata, self, kind->nr, i, map.virq, find_spare_cpu(), 0);
		move_and_fire(_metadata, self, kind->nr, i, map.virq, 0, fired);
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, i, 1, &slot));
		EXPECT_EQ(ctrl | (kind->mask ^ kind->masked), slot.ctrl);

		ASSERT_EQ(0, mt_release(self->fd, kind->nr, i, 1));
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, i, 1, &slot));
		EXPECT_EQ(kind->masked, slot.ctrl & kind->mask);

		/* Of a slot that isn't in use nobody must learn whose it was. */
		ASSERT_EQ(0, mt_free(self->fd, kind->nr, i, 1));
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, i, 1, &slot));
		EXPECT_EQ(kind->masked, slot.ctrl & ~IMS_TD_SLOT_CTRL_PENDING);
	}
}

/* The cookie is where the slot is. */
static void cookie_address(struct __test_metadata *_metadata, struct ims_data *self,
			   const struct store_kind *kind)
{
	const unsigned int id = create_store(_metadata, self, kind->nr, 8);
	unsigned int i;

	EXPECT_EQ(-EINVAL, mt_alloc_no_cookie(self->fd, id, 0, NULL));
	for (i = 1; i < 4; i++)
		EXPECT_EQ(-EINVAL, mt_alloc_cookie(self->fd, id, 0, i, NULL));
	EXPECT_EQ(0, count_allocated(_metadata, self, kind->nr, 8));
	ASSERT_EQ(0, mt_alloc_cookie(self->fd, id, 0, 0, NULL));
	ASSERT_EQ(0, mt_request(self->fd, kind->nr, 0, 1));
	fire_and_expect(_metadata, self, kind->nr, 0, 1, 0);
}

TEST_F_TIMEOUT(ims, cookie, MT_TEST_SECONDS)
{
	if (variant->kind->pasid)
		cookie_pasid(_metadata, self, variant->kind);
	else
		cookie_address(_metadata, self, variant->kind);
}

/* Each gets its own, and one that is bad undoes all. */
TEST_F_TIMEOUT(ims, cookie_batch, MT_TEST_SECONDS)
{
	const struct store_kind *kind = variant->kind;
	const unsigned int flags = kind->pasid ? IMS_TESTDEV_STORE_PASID : 0, nr = 8;
	struct ims_testdev_slot slots[8];
	unsigned int i, shift;
	__u64 cookies[8];
	int id;

	self->bad_news = !kind->direct;
	id = mt_store_create_flags(self->fd, kind->nr, 0, nr, flags);
	ASSERT_LT(0, id);
	for (i = 0; i < nr; i++)
		cookies[i] = kind->pasid ? 0xfff00 + i : 0;

	cookies[5] = kind->pasid ? 0x100000 : 2;
	EXPECT_EQ(-EINVAL, mt_alloc_batch(self->fd, id, 1, nr, cookies, NULL));
	EXPECT_EQ(0, count_allocated(_metadata, self, kind->nr, nr));
	expect_clean(_metadata, self, kind);

	cookies[5] = kind->pasid ? 0xfff05 : 0;
	ASSERT_EQ(nr, mt_alloc_batch(self->fd, id, nr, nr, cookies, NULL));
	ASSERT_EQ(0, mt_slots(self->fd, kind->nr, 0, nr, slots));
	shift = kind->pasid ? __builtin_ctz(kind->pasid) : 0;
	for (i = 0; i < nr && kind->pasid; i++)
		EXPECT_EQ(0xfff00 + i, (slots[i].ctrl & kind->pasid) >> shift);
	ASSERT_EQ(0, mt_request(self->fd, kind->nr, 0, nr));
	fire_and_expect(_metadata, self, kind->nr, 0, nr, 0);
}

/*
 * What the device has
 */

/* The message is one, to where x86 takes interrupts, or to GITS_TRANSLATER of an ITS. */
static void expect_message(struct __test_metadata *_metadata, const struct store_kind *kind,
			   const struct ims_testdev_slot *slot)
{
	const bool remapped = !strcmp(mt_prefix(), "IR-");

	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot->state & IMS_TD_SLOT_HAS_MSG);
	if (!kind->visible)
		return;
	EXPECT_EQ(remapped ? 0xfee00000 : 0x040,
		  slot->addr_lo & (remapped ? 0xfff00000 : 0xfff));
	EXPECT_EQ(0, slot->addr_hi);
}

TEST_F_TIMEOUT(ims, slot_states, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 2);
	struct ims_testdev_slot slot[2];

	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[0].state);

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[0].state & IMS_TD_SLOT_MASKED);
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[1].state & IMS_TD_SLOT_MASKED);

	/* Each has a message of its own. */
	ASSERT_EQ(0, mt_request_unlazy(self->fd, kind, 0, 2));
	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[0].state);
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[1].state);
	expect_message(_metadata, variant->kind, &slot[0]);
	expect_message(_metadata, variant->kind, &slot[1]);
	EXPECT_TRUE(!variant->kind->visible || slot[0].addr_lo != slot[1].addr_lo ||
		    slot[0].data != slot[1].data);

	ASSERT_EQ(0, mt_mask(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG | IMS_TD_SLOT_MASKED, slot[0].state);
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[1].state);
	EXPECT_EQ(variant->kind->masked, slot[0].ctrl & variant->kind->mask);
	EXPECT_NE(variant->kind->masked, slot[1].ctrl & variant->kind->mask);
	ASSERT_EQ(0, mt_unmask(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[0].state);

	ASSERT_EQ(0, mt_release(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[0].state & IMS_TD_SLOT_MASKED);
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[1].state);

	ASSERT_EQ(0, mt_free(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 2, slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot[0].state);
	EXPECT_EQ(0, slot[0].addr_lo | slot[0].addr_hi | slot[0].data);
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot[1].state);

	/* Index 1 works on, and 0 comes back. */
	fire_and_expect(_metadata, self, kind, 1, 1, 0);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, 1));
	fire_and_expect(_metadata, self, kind, 0, 1, 0);
}

/*
 * Delivery
 */

TEST_F_TIMEOUT(ims, fire_each, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = 32;
	unsigned int i;

	create_full(_metadata, self, kind, nr, NULL);
	for (i = 0; i < nr; i++) {
		fire_and_expect(_metadata, self, kind, i, 1, 0);

		/* This one and no other */
		expect_received(_metadata, self, kind, 0, i + 1, 1);
		if (i + 1 < nr)
			expect_received(_metadata, self, kind, i + 1, nr - i - 1, 0);
	}
}

TEST_F_TIMEOUT(ims, fire_forms, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;

	create_full(_metadata, self, kind, 16, NULL);

	ASSERT_EQ(0, mt_fire(self->fd, kind, 3));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, 3, 1, 1);

	ASSERT_EQ(0, mt_fire_doorbell(self->fd, kind, 3));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, 3, 1, 2);
	expect_received(_metadata, self, kind, 4, 12, 0);

	ASSERT_EQ(0, mt_fire_range(self->fd, kind, 4, 12));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, 0, 3, 0);
	expect_received(_metadata, self, kind, 3, 1, 2);
	expect_received(_metadata, self, kind, 4, 12, 1);
}

/* All slots of the kind, most of which have no interrupt and are masked */
TEST_F_TIMEOUT(ims, fire_all, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = 16, slots = self->info.slots[kind];
	struct ims_testdev_stats stats;

	create_full(_metadata, self, kind, nr, NULL);
	ASSERT_EQ(0, mt_fire_all(self->fd, kind));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, 0, nr, 1);

	ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
	EXPECT_EQ(slots, stats.fired);
	EXPECT_EQ(nr, stats.sent);
	EXPECT_EQ(slots - nr, stats.held);
	EXPECT_EQ(slots - nr, stats.pending);
	self->pending = true;
}

/*
 * Masking
 */

TEST_F_TIMEOUT(ims, mask_holds, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	struct ims_testdev_counts sum;
	struct ims_testdev_slot slot;
	unsigned int i;

	create_full(_metadata, self, kind, 4, NULL);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, kind, 1, 1));
		ASSERT_EQ(0, mt_slots(self->fd, kind, 1, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG, slot.state);

		ASSERT_EQ(0, mt_fire(self->fd, kind, 1));
		ASSERT_EQ(0, mt_slots(self->fd, kind, 1, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG | IMS_TD_SLOT_PENDING,
			  slot.state);
		EXPECT_EQ(i, slot.sent);

		/* The neighbours are open, and what they get says that none was under way. */
		fire_and_expect(_metadata, self, kind, 0, 1, i);
		fire_and_expect(_metadata, self, kind, 2, 2, i);
		expect_received(_metadata, self, kind, 1, 1, i);
		ASSERT_EQ(0, mt_counts(self->fd, kind, 0, 4, &sum, NULL));
		EXPECT_EQ(1, sum.lost);

		ASSERT_EQ(0, mt_unmask(self->fd, kind, 1, 1));
		EXPECT_EQ(0, mt_settle(self->fd, kind));
		ASSERT_EQ(0, mt_slots(self->fd, kind, 1, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot.state);
		EXPECT_EQ(i + 1, slot.sent);
		expect_received(_metadata, self, kind, 1, 1, i + 1);
	}
}

/* What is fired again while it is held is one interrupt. */
TEST_F_TIMEOUT(ims, mask_merges, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	struct ims_testdev_stats stats;

	create_full(_metadata, self, kind, 1, NULL);
	ASSERT_EQ(0, mt_mask(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_fire(self->fd, kind, 0));
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, kind, 0));
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, kind, 0));
	ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
	EXPECT_EQ(3, stats.fired);
	EXPECT_EQ(3, stats.held);
	EXPECT_EQ(2, stats.merged);
	EXPECT_EQ(1, stats.pending);
	EXPECT_EQ(0, stats.sent);
	expect_received(_metadata, self, kind, 0, 1, 0);

	ASSERT_EQ(0, mt_unmask(self->fd, kind, 0, 1));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, 0, 1, 1);
}

TEST_F_TIMEOUT(ims, mask_many, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = 64;
	struct ims_testdev_stats stats;

	create_full(_metadata, self, kind, nr, NULL);
	ASSERT_EQ(0, mt_mask(self->fd, kind, 0, nr));
	ASSERT_EQ(0, mt_fire_range(self->fd, kind, 0, nr));
	ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
	EXPECT_EQ(nr, stats.pending);
	EXPECT_EQ(0, stats.sent);
	ASSERT_EQ(0, mt_unmask(self->fd, kind, 0, nr));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, 0, nr, 1);
	fire_and_expect(_metadata, self, kind, 0, nr, 1);
}

/*
 * Without a request to the contrary, masking waits until the interrupt comes
 * in, and the core raises it again later. It comes in where nobody can sleep, so
 * that a store that needs that is told later.
 */
TEST_F_TIMEOUT(ims, mask_lazy, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 1);
	struct ims_testdev_slot slot;
	unsigned int i;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, 1));

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, kind, 0, 1));
		ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 1, &slot));
		EXPECT_EQ(0, slot.state & IMS_TD_SLOT_MASKED);

		ASSERT_EQ(0, mt_fire(self->fd, kind, 0));
		EXPECT_EQ(0, mt_wait_state(self->fd, kind, 0, IMS_TD_SLOT_MASKED,
					   IMS_TD_SLOT_MASKED));
		expect_received(_metadata, self, kind, 0, 1, i);

		ASSERT_EQ(0, mt_unmask(self->fd, kind, 0, 1));
		EXPECT_EQ(0, mt_settle(self->fd, kind));
		expect_received(_metadata, self, kind, 0, 1, i + 1);
		ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot.state);
	}
}

/* The same, and it is enabled again at once: before, while or after it is masked. */
TEST_F_TIMEOUT(ims, mask_lazy_race, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 1);
	struct ims_testdev_slot slot;
	unsigned int i;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, 1));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, kind, 0, 1));
		ASSERT_EQ(0, mt_fire(self->fd, kind, 0));
		ASSERT_EQ(0, mt_unmask(self->fd, kind, 0, 1));
		EXPECT_EQ(0, mt_settle(self->fd, kind));
		expect_received(_metadata, self, kind, 0, 1, i + 1);
	}
	/* Of a store that is told later, that nothing is left to be told is not known. */
	EXPECT_EQ(0, mt_wait_state(self->fd, kind, 0, IMS_TD_SLOT_MASKED, 0));
	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot.state);
	fire_and_expect(_metadata, self, kind, 0, 1, i);
}

/* Release of a masked interrupt leaves nothing of the masking to the next. */
TEST_F_TIMEOUT(ims, mask_release, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;

	create_full(_metadata, self, kind, 1, NULL);
	ASSERT_EQ(0, mt_mask(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_release(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, 1));
	fire_and_expect(_metadata, self, kind, 0, 1, 0);
}

/*
 * Handlers
 */

static const unsigned int handlers[] = {
	0,
	IMS_TESTDEV_REQUEST_UNLAZY,
	IMS_TESTDEV_REQUEST_THREADED,
	IMS_TESTDEV_REQUEST_THREADED | IMS_TESTDEV_REQUEST_UNLAZY,
	IMS_TESTDEV_REQUEST_THREADED | IMS_TESTDEV_REQUEST_ONESHOT,
	IMS_TESTDEV_REQUEST_THREADED | IMS_TESTDEV_REQUEST_ONESHOT | IMS_TESTDEV_REQUEST_UNLAZY,
};

/* A oneshot handler has the interrupt masked from hard interrupt context each time. */
TEST_F_TIMEOUT(ims, handlers, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = ARRAY_SIZE(handlers);
	const unsigned int id = create_store(_metadata, self, kind, nr);
	unsigned int i, j;

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, nr, NULL));
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, mt_request_flags(self->fd, kind, i, 1, handlers[i]));
	for (i = 0; i < 20; i++)
		fire_and_expect(_metadata, self, kind, 0, nr, i);

	for (j = 0; j < 5; j++, i++) {
		ASSERT_EQ(0, mt_mask(self->fd, kind, 0, nr));
		ASSERT_EQ(0, mt_fire_range(self->fd, kind, 0, nr));
		expect_received(_metadata, self, kind, 0, nr, i);
		ASSERT_EQ(0, mt_unmask(self->fd, kind, 0, nr));
		EXPECT_EQ(0, mt_settle(self->fd, kind));
		expect_received(_metadata, self, kind, 0, nr, i + 1);
	}
	for (i = 0; i < nr; i++)
		EXPECT_EQ(0, mt_wait_state(self->fd, kind, i, IMS_TD_SLOT_MASKED, 0));
}

/*
 * An interrupt that comes in again before its handler is done is one with others,
 * but there is never none.
 */
TEST_F_TIMEOUT(ims, storm, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = ARRAY_SIZE(handlers), times = 50;
	const unsigned int id = create_store(_metadata, self, kind, nr);
	struct ims_testdev_count counts[ARRAY_SIZE(handlers)], now;
	struct ims_testdev_stats stats;
	unsigned int i, j;

	self->judged = true;
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, nr, NULL));
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, mt_request_flags(self->fd, kind, i, 1, handlers[i]));
	for (j = 0; j < times; j++) {
		for (i = 0; i < nr; i++)
			ASSERT_EQ(0, mt_fire_unexpected(self->fd, kind, i));
	}
	expect_silence(_metadata, self, kind);

	ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
	EXPECT_EQ(nr * times, stats.fired);
	EXPECT_EQ(0, stats.pending);
	EXPECT_EQ(stats.fired, stats.sent + stats.merged);
	ASSERT_EQ(0, mt_counts(self->fd, kind, 0, nr, NULL, counts));
	for (i = 0; i < nr; i++) {
		EXPECT_LE(1, counts[i].received);
		EXPECT_GE(times, counts[i].received);
	}

	/* Each one works as if nothing had been. */
	for (i = 0; i < nr; i++) {
		ASSERT_EQ(0, mt_fire(self->fd, kind, i));
		expect_silence(_metadata, self, kind);
		ASSERT_EQ(0, mt_counts(self->fd, kind, i, 1, NULL, &now));
		EXPECT_EQ(counts[i].received + 1, now.received);
	}
	expect_no_breach(_metadata, self);
}

/*
 * Affinity
 */

TEST_F_TIMEOUT(ims, affinity_every_cpu, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	struct ims_testdev_slot before, slot;
	struct ims_testdev_map map;
	unsigned int cpu, fired = 0;

	create_full(_metadata, self, kind, 1, &map);
	ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 1, &before));

	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		fired = move_and_fire(_metadata, self, kind, 0, map.virq, cpu, fired);

		/* Remapping is why the device needs not be told. */
		ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 1, &slot));
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
	const unsigned int kind = variant->kind->nr;
	struct ims_testdev_map map;
	struct ims_testdev_slot slot;
	unsigned int cpu, fired = 0;

	create_full(_metadata, self, kind, 1, &map);
	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		ASSERT_EQ(0, mt_mask(self->fd, kind, 0, 1));
		ASSERT_EQ(0, mt_fire(self->fd, kind, 0));
		ASSERT_EQ(0, mt_set_affinity(map.virq, cpu));
		ASSERT_EQ(0, mt_slots(self->fd, kind, 0, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
		expect_received(_metadata, self, kind, 0, 1, fired);

		ASSERT_EQ(0, mt_unmask(self->fd, kind, 0, 1));
		EXPECT_EQ(0, mt_settle(self->fd, kind));
		expect_received(_metadata, self, kind, 0, 1, ++fired);
	}
}

TEST_F_TIMEOUT(ims, affinity_while_firing, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;

	create_full(_metadata, self, variant->kind->nr, 1, &map);
	fire_one_while_moving(_metadata, self, variant->kind->nr, 0, map.virq, 200);
}

/* Where the kernel can't manage the affinity it doesn't say that it does. */
TEST_F_TIMEOUT(ims, affinity_at_alloc, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, MAX_CPUS + 1);
	struct ims_testdev_map map;
	unsigned int cpu;

	for (cpu = 0; cpu < MAX_CPUS && mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		ASSERT_EQ(0, mt_alloc_cpu(self->fd, id, 1, cpu, false, &map));
		ASSERT_EQ(0, mt_request(self->fd, kind, map.slot, 1));
		EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
		fire_and_expect(_metadata, self, kind, map.slot, 1, 0);
	}
	EXPECT_EQ(variant->kind->direct ? 0 : -EOPNOTSUPP,
		  mt_alloc_cpu(self->fd, id, 1, 0, true, NULL));
}

/*
 * CPUs that go away
 */

TEST_F_TIMEOUT(ims, cpu_offline, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = 8;
	struct ims_testdev_map maps[8];
	unsigned int i, fired[8] = { };
	const int cpu = find_spare_cpu();

	ASSERT_LT(0, cpu);
	create_full(_metadata, self, kind, nr, maps);
	for (i = 0; i < nr; i++)
		fired[i] = move_and_fire(_metadata, self, kind, i, maps[i].virq, cpu, 0);

	/* One is masked and waiting when its CPU goes. */
	ASSERT_EQ(0, mt_mask(self->fd, kind, 0, 1));
	ASSERT_EQ(0, mt_fire(self->fd, kind, 0));

	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	for (i = 0; i < nr; i++) {
		EXPECT_NE(cpu, mt_effective_cpu(maps[i].virq));
		EXPECT_LE(0, mt_effective_cpu(maps[i].virq));
		if (i)
			fire_and_expect(_metadata, self, kind, i, 1, fired[i]++);
	}
	expect_received(_metadata, self, kind, 0, 1, fired[0]);
	EXPECT_EQ(0, mt_unmask(self->fd, kind, 0, 1));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, 0, 1, ++fired[0]);

	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	for (i = 0; i < nr; i++) {
		fire_and_expect(_metadata, self, kind, i, 1, fired[i]++);
		move_and_fire(_metadata, self, kind, i, maps[i].virq, cpu, fired[i]);
	}
}

/* A managed interrupt stays with its CPU: down when it goes, up when it is back. */
static void offline_managed(struct __test_metadata *_metadata, struct ims_data *self,
			    unsigned int kind, const struct ims_testdev_map *map, int cpu)
{
	struct ims_testdev_slot slot;

	EXPECT_GT(0, mt_set_affinity(map->virq, 0));
	fire_and_expect(_metadata, self, kind, map->slot, 1, 0);

	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	EXPECT_EQ(0, mt_slots(self->fd, kind, map->slot, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
	EXPECT_EQ(0, mt_fire(self->fd, kind, map->slot));
	EXPECT_EQ(0, mt_slots(self->fd, kind, map->slot, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_PENDING, slot.state & IMS_TD_SLOT_PENDING);
	expect_received(_metadata, self, kind, map->slot, 1, 1);

	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	EXPECT_EQ(0, mt_wait_state(self->fd, kind, map->slot, IMS_TD_SLOT_MASKED, 0));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, map->slot, 1, 2);
	EXPECT_EQ(cpu, mt_effective_cpu(map->virq));
	fire_and_expect(_metadata, self, kind, map->slot, 1, 2);
}

/* One of a store that the kernel can't do that with goes elsewhere. */
static void offline_spread(struct __test_metadata *_metadata, struct ims_data *self,
			   unsigned int kind, const struct ims_testdev_map *map, int cpu)
{
	fire_and_expect(_metadata, self, kind, map->slot, 1, 0);
	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	EXPECT_NE(cpu, mt_effective_cpu(map->virq));
	fire_and_expect(_metadata, self, kind, map->slot, 1, 1);
	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	fire_and_expect(_metadata, self, kind, map->slot, 1, 2);
}

TEST_F_TIMEOUT(ims, cpu_offline_spread, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr, nr = mt_nr_online();
	const unsigned int id = create_store(_metadata, self, kind, nr);
	struct ims_testdev_map maps[MAX_CPUS];
	const int cpu = find_spare_cpu();
	unsigned int i;

	ASSERT_LT(0, cpu);
	ASSERT_GE(MAX_CPUS, nr);
	ASSERT_EQ(nr, mt_alloc_spread(self->fd, id, nr, nr, 0, 0, maps));
	ASSERT_EQ(0, mt_request(self->fd, kind, 0, nr));
	for (i = 0; i < nr && mt_effective_cpu(maps[i].virq) != cpu; i++)
		;
	ASSERT_GT(nr, i);
	if (variant->kind->direct)
		offline_managed(_metadata, self, kind, &maps[i], cpu);
	else
		offline_spread(_metadata, self, kind, &maps[i], cpu);
}

TEST_F_TIMEOUT(ims, cpu_offline_disabled, MT_TEST_SECONDS)
{
	const unsigned int kind = variant->kind->nr;
	const unsigned int id = create_store(_metadata, self, kind, 1);
	const int cpu = find_spare_cpu();
	struct ims_testdev_map map;

	/* Elsewhere it cannot be managed */
	if (!variant->kind->direct)
		return;

	ASSERT_LT(0, cpu);
	ASSERT_EQ(0, mt_alloc_cpu(self->fd, id, 1, cpu, true, &map));
	disable_around_offline(_metadata, self, kind, map.slot, cpu);
}

/*
 * What the rest of the kernel shows
 */

TEST_F_TIMEOUT(ims, show_proc_interrupts, MT_TEST_SECONDS)
{
	char line[1024], name[64], prefix[16];
	struct ims_testdev_map maps[4];
	unsigned int i;

	snprintf(prefix, sizeof(prefix), " %s", mt_prefix());
	create_full(_metadata, self, variant->kind->nr, 4, maps);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, mt_proc_interrupts(maps[i].virq, line, sizeof(line)));
		snprintf(name, sizeof(name), " ims_testdev0-%s-%u", variant->kind->name, i);
		EXPECT_NE(NULL, strstr(line, name)) { TH_LOG("%s", line); }
		EXPECT_NE(NULL, strstr(line, prefix)) { TH_LOG("%s", line); }
		EXPECT_NE(NULL, strstr(line, self->info.name)) { TH_LOG("%s", line); }
		EXPECT_NE(NULL, strstr(line, "IMS")) { TH_LOG("%s", line); }
	}
}

/* The device's domain, on remapping, on vectors, or on an ITS and the GIC; in this order */
TEST_F_TIMEOUT(ims, show_debugfs, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	char text[4096], *device, *remap, *vector;

	create_full(_metadata, self, variant->kind->nr, 1, &map);
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
	EXPECT_TRUE(mt_is_parent(remap)) { TH_LOG("%s", remap); }
	EXPECT_TRUE(strstr(vector, "VECTOR") || strstr(vector, "intc@")) { TH_LOG("%s", vector); }
}

int main(int argc, char **argv)
{
	mt_gate(MT_WANT_STORES);
	return test_harness_run(argc, argv);
}
