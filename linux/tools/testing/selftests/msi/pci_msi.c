// SPDX-License-Identifier: GPL-2.0
/*
 * MSI, and MSI-X whose vectors come and go while it is enabled. Both work with
 * and without interrupt remapping. MSI also where the device sends it from a copy
 * of the message, as hardware does that has rings with messages of their own.
 */
#define _GNU_SOURCE
#include <linux/pci_regs.h>
#include <stdlib.h>

#include "ims_fixture.h"

/* Vectors that MSI-X is enabled with before others are added */
#define NR_FIRST	4

static const char one_msi[] = "there is one MSI vector only on this machine";
static const char slow[] = "takes too long on a kernel with lock debugging";

static void enable_msix(struct __test_metadata *_metadata, struct ims_data *self,
			unsigned int nr)
{
	ASSERT_TRUE(self->info.flags & IMS_TESTDEV_INFO_MSIX_DYN);
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr));
	EXPECT_EQ(nr, count_msi_irqs(self));
}

/* Vector @index exists, is the interrupt @virq, and can't send anything */
static void expect_fresh(struct __test_metadata *_metadata, struct ims_data *self,
			 unsigned int index, unsigned int virq)
{
	struct ims_testdev_slot slot;

	ASSERT_EQ(0, mt_slots(self->fd, MSIX, index, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
	EXPECT_NE(0, virq);
	EXPECT_EQ(virq, slot.virq);
	expect_modes(_metadata, self, MSIX, index, 1, "msix\n");
}

/* There is no vector @index. */
static void expect_none(struct __test_metadata *_metadata, struct ims_data *self,
			unsigned int index)
{
	struct ims_testdev_slot slot;

	ASSERT_EQ(0, mt_slots(self->fd, MSIX, index, 1, &slot));
	EXPECT_EQ(0, slot.virq);
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
}

/* Request a vector, fire it, and release it */
static void use_once(struct __test_metadata *_metadata, struct ims_data *self,
		     unsigned int kind, unsigned int nr)
{
	ASSERT_EQ(0, mt_request(self->fd, kind, nr, 1));
	fire_and_expect(_metadata, self, kind, nr, 1, 0);
	ASSERT_EQ(0, mt_release(self->fd, kind, nr, 1));
}

/*
 * Vectors of MSI-X, one by one
 */

TEST_F_TIMEOUT(ims, dyn_at_index, MT_TEST_SECONDS)
{
	const unsigned int last = self->info.slots[MSIX] - 1;
	const unsigned int at[] = { NR_FIRST, NR_FIRST + 3, 100, last };
	struct ims_testdev_map map;
	unsigned int i;

	enable_msix(_metadata, self, NR_FIRST);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		expect_none(_metadata, self, at[i]);
		ASSERT_EQ(0, mt_alloc_msix(self->fd, at[i], 1, &map));
		EXPECT_EQ(at[i], map.index);
		EXPECT_EQ(at[i], map.slot);
		expect_fresh(_metadata, self, at[i], map.virq);
		EXPECT_EQ(NR_FIRST + i + 1, count_msi_irqs(self));
		EXPECT_EQ(-EBUSY, mt_alloc_msix(self->fd, at[i], 1, NULL));
	}

	/* Each one, the first ones too, and nothing else but it */
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, NR_FIRST));
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		if (at[i] >= NR_FIRST)
			ASSERT_EQ(0, mt_request(self->fd, MSIX, at[i], 1));
	}
	for (i = 0; i < ARRAY_SIZE(at); i++)
		fire_and_expect(_metadata, self, MSIX, at[i], 1, 0);
	fire_and_expect(_metadata, self, MSIX, 0, NR_FIRST, 0);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		expect_received(_metadata, self, MSIX, at[i], 1, 1);
}

TEST_F_TIMEOUT(ims, dyn_any_index, MT_TEST_SECONDS)
{
	struct ims_testdev_map maps[8];
	unsigned int i;

	enable_msix(_metadata, self, NR_FIRST);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 8, maps));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(NR_FIRST + i, maps[i].index);
		expect_fresh(_metadata, self, maps[i].index, maps[i].virq);
	}
	EXPECT_EQ(NR_FIRST + 8, count_msi_irqs(self));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, NR_FIRST + 8));
	fire_and_expect(_metadata, self, MSIX, 0, NR_FIRST + 8, 0);
}

/* Entries that MSI-X was enabled for leave holes, and what is freed does. */
TEST_F_TIMEOUT(ims, dyn_holes, MT_TEST_SECONDS)
{
	const unsigned int step = 3;
	struct ims_testdev_map map;
	unsigned int i;

	ASSERT_EQ(0, mt_vectors_enable_step(self->fd, NR_FIRST, step));
	EXPECT_EQ(NR_FIRST, count_msi_irqs(self));
	for (i = 0; i < NR_FIRST; i++) {
		EXPECT_EQ(-EBUSY, mt_alloc_msix(self->fd, i * step, 1, NULL));
		expect_none(_metadata, self, i * step + 1);
		expect_none(_metadata, self, i * step + 2);
	}

	/* One hole by its index, and the lowest other ones in turn */
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 2, 1, &map));
	EXPECT_EQ(2, map.index);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 1, &map));
	EXPECT_EQ(1, map.index);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 1, &map));
	EXPECT_EQ(4, map.index);

	ASSERT_EQ(0, mt_free(self->fd, MSIX, 3, 1));
	expect_none(_metadata, self, 3);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 1, &map));
	EXPECT_EQ(3, map.index);
	expect_fresh(_metadata, self, 3, map.virq);

	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 5));
	fire_and_expect(_metadata, self, MSIX, 0, 5, 0);
}

TEST_F_TIMEOUT(ims, dyn_bad_index, MT_TEST_SECONDS)
{
	const unsigned int nr = self->info.slots[MSIX];
	const unsigned int beyond[] = { nr, nr + 1, 0x10000, 0x80000000, 0xfffffffe };
	struct ims_testdev_counts sum;
	unsigned int i;

	enable_msix(_metadata, self, NR_FIRST);
	for (i = 0; i < ARRAY_SIZE(beyond); i++)
		EXPECT_EQ(-ERANGE, mt_alloc_msix(self->fd, beyond[i], 1, NULL));
	for (i = 0; i < NR_FIRST; i++)
		EXPECT_EQ(-EBUSY, mt_alloc_msix(self->fd, i, 1, NULL));

	/* Of several, none stays if one fails. */
	EXPECT_EQ(-ERANGE, mt_alloc_msix(self->fd, nr - 2, 3, NULL));
	ASSERT_EQ(0, mt_alloc_msix(self->fd, NR_FIRST + 2, 1, NULL));
	EXPECT_EQ(-EBUSY, mt_alloc_msix(self->fd, NR_FIRST, 4, NULL));
	EXPECT_EQ(NR_FIRST + 1, count_msi_irqs(self));
	ASSERT_EQ(0, mt_counts(self->fd, MSIX, 0, nr, &sum, NULL));
	EXPECT_EQ(NR_FIRST + 1, sum.allocated);

	EXPECT_EQ(-ENOENT, mt_free(self->fd, MSIX, NR_FIRST, 1));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, NR_FIRST));
	EXPECT_EQ(-EBUSY, mt_free(self->fd, MSIX, 0, 1));
	fire_and_expect(_metadata, self, MSIX, 0, NR_FIRST, 0);
}

/* Before MSI-X is enabled, after it was, and with MSI in its place */
TEST_F_TIMEOUT(ims, dyn_not_enabled, MT_TEST_SECONDS)
{
	EXPECT_EQ(-EINVAL, mt_alloc_msix(self->fd, ANY, 1, NULL));
	EXPECT_EQ(-EINVAL, mt_alloc_msix(self->fd, 0, 1, NULL));

	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 1, NULL));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	EXPECT_EQ(-EINVAL, mt_alloc_msix(self->fd, ANY, 1, NULL));
	EXPECT_EQ(0, count_msi_irqs(self));

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 1));
	EXPECT_EQ(-EINVAL, mt_alloc_msix(self->fd, ANY, 1, NULL));
	EXPECT_EQ(-EINVAL, mt_alloc_msix(self->fd, 0, 1, NULL));
	EXPECT_EQ(-EINVAL, mt_free(self->fd, MSI, 0, 1));
	EXPECT_EQ(1, count_msi_irqs(self));
	use_once(_metadata, self, MSI, 0);
}

/* All entries of the table, or as many as the platform takes for a device */
TEST_F_TIMEOUT(ims, dyn_exhaustion, MT_TEST_SECONDS)
{
	const unsigned int size = self->info.slots[MSIX];
	struct ims_testdev_map map;
	unsigned int nr, i, holes[4];
	int ret;

	if (is_slow() && size > 128)
		SKIP(return, "%s", slow);

	enable_msix(_metadata, self, 1);
	for (nr = 1; nr < size; nr++) {
		ret = mt_alloc_msix(self->fd, ANY, 1, &map);
		if (ret)
			break;
		ASSERT_EQ(nr, map.index);
	}
	ASSERT_LT(32, nr);
	EXPECT_EQ(nr, count_msi_irqs(self));
	EXPECT_EQ(-ENOSPC, mt_alloc_msix(self->fd, ANY, 1, NULL));
	EXPECT_EQ(-EBUSY, mt_alloc_msix(self->fd, nr / 2, 1, NULL));
	EXPECT_EQ(-ERANGE, mt_alloc_msix(self->fd, size, 1, NULL));

	/* Whichever hole there is, it is found. */
	holes[0] = 0;
	holes[1] = 1;
	holes[2] = nr / 2;
	holes[3] = nr - 1;
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		ASSERT_EQ(0, mt_free(self->fd, MSIX, holes[i], 1));
		ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 1, &map));
		EXPECT_EQ(holes[i], map.index);
		expect_fresh(_metadata, self, map.index, map.virq);
		EXPECT_EQ(-ENOSPC, mt_alloc_msix(self->fd, ANY, 1, NULL));
		use_once(_metadata, self, MSIX, holes[i]);
	}
	EXPECT_EQ(nr, count_msi_irqs(self));

	/* A batch that is one too large undoes all of it. */
	ASSERT_EQ(0, mt_free(self->fd, MSIX, 3, 2));
	EXPECT_EQ(-ENOSPC, mt_alloc_msix(self->fd, ANY, 3, NULL));
	EXPECT_EQ(nr - 2, count_msi_irqs(self));
	ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 2, NULL));
	EXPECT_EQ(nr, count_msi_irqs(self));
}

/* There is no difference between the vectors that were first and those that came later. */
TEST_F_TIMEOUT(ims, dyn_free_first_ones, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	unsigned int i;

	enable_msix(_metadata, self, NR_FIRST);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, NR_FIRST, NULL));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, NR_FIRST, NR_FIRST));

	for (i = 0; i < NR_FIRST; i++) {
		ASSERT_EQ(0, mt_free(self->fd, MSIX, i, 1));
		expect_none(_metadata, self, i);
		EXPECT_EQ(2 * NR_FIRST - 1, count_msi_irqs(self));
		fire_and_expect(_metadata, self, MSIX, NR_FIRST, NR_FIRST, i);
		ASSERT_EQ(0, mt_alloc_msix(self->fd, i, 1, &map));
		expect_fresh(_metadata, self, i, map.virq);
		use_once(_metadata, self, MSIX, i);
	}
}

/* MSI-X without a vector is enabled still. */
TEST_F_TIMEOUT(ims, dyn_free_all, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	unsigned int i;

	enable_msix(_metadata, self, NR_FIRST);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mt_free(self->fd, MSIX, 0, NR_FIRST));
		EXPECT_EQ(0, count_msi_irqs(self));
		expect_none(_metadata, self, 0);
		EXPECT_GT(0, mt_vectors_enable(self->fd, MSI, 1));

		ASSERT_EQ(0, mt_alloc_msix(self->fd, 77, 1, &map));
		expect_fresh(_metadata, self, 77, map.virq);
		use_once(_metadata, self, MSIX, 77);
		ASSERT_EQ(0, mt_free(self->fd, MSIX, 77, 1));

		ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, NR_FIRST, NULL));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, NR_FIRST));
		fire_and_expect(_metadata, self, MSIX, 0, NR_FIRST, 0);
		ASSERT_EQ(0, mt_release(self->fd, MSIX, 0, NR_FIRST));
	}
	ASSERT_EQ(0, mt_free(self->fd, MSIX, 0, NR_FIRST));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));

	/* And then it isn't any more. */
	EXPECT_EQ(-EINVAL, mt_alloc_msix(self->fd, ANY, 1, NULL));
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 1));
	use_once(_metadata, self, MSI, 0);
}

/* Vectors are freed along with MSI-X, and don't come back with it. */
TEST_F_TIMEOUT(ims, dyn_disable, MT_TEST_SECONDS)
{
	struct ims_testdev_map maps[4];
	char line[1024];
	unsigned int i, j;

	for (i = 0; i < 3; i++) {
		enable_msix(_metadata, self, NR_FIRST);
		ASSERT_EQ(0, mt_alloc_msix(self->fd, 20, 4, maps));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, 20, 2));
		fire_and_expect(_metadata, self, MSIX, 20, 2, 0);
		EXPECT_EQ(-EBUSY, mt_vectors_disable(self->fd, MSIX));
		ASSERT_EQ(0, mt_release(self->fd, MSIX, 20, 2));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));

		EXPECT_EQ(0, count_msi_irqs(self));
		for (j = 0; j < 4; j++)
			EXPECT_EQ(-ENOENT, mt_proc_interrupts(maps[j].virq, line, sizeof(line)));
	}
	enable_msix(_metadata, self, NR_FIRST);
	expect_none(_metadata, self, 20);
}

/* An interrupt that comes before the handler waits for it. */
TEST_F_TIMEOUT(ims, dyn_masked_before_request, MT_TEST_SECONDS)
{
	struct ims_testdev_slot slot;
	struct ims_testdev_count count;
	struct ims_testdev_map map;

	self->judged = true;
	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 9, 1, &map));
	expect_fresh(_metadata, self, 9, map.virq);
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, MSIX, 9));
	ASSERT_EQ(0, mt_slots(self->fd, MSIX, 9, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_PENDING, slot.state & IMS_TD_SLOT_PENDING);
	EXPECT_EQ(0, slot.sent);

	ASSERT_EQ(0, mt_request(self->fd, MSIX, 9, 1));
	EXPECT_EQ(0, mt_settle(self->fd, MSIX));
	ASSERT_EQ(0, mt_slots(self->fd, MSIX, 9, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slot.state);
	EXPECT_EQ(1, slot.sent);
	ASSERT_EQ(0, mt_counts(self->fd, MSIX, 9, 1, NULL, &count));
	EXPECT_EQ(1, count.received);
	EXPECT_EQ(1, count.spurious);
	expect_no_breach(_metadata, self);
}

TEST_F_TIMEOUT(ims, dyn_mask, MT_TEST_SECONDS)
{
	struct ims_testdev_slot slot;
	unsigned int i;

	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 10, 3, NULL));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSIX, 10, 3));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, MSIX, 11, 1));
		ASSERT_EQ(0, mt_fire(self->fd, MSIX, 11));
		ASSERT_EQ(0, mt_slots(self->fd, MSIX, 11, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG | IMS_TD_SLOT_PENDING,
			  slot.state);
		fire_and_expect(_metadata, self, MSIX, 10, 1, i);
		fire_and_expect(_metadata, self, MSIX, 12, 1, i);
		expect_received(_metadata, self, MSIX, 11, 1, i);
		ASSERT_EQ(0, mt_unmask(self->fd, MSIX, 11, 1));
		EXPECT_EQ(0, mt_settle(self->fd, MSIX));
		expect_received(_metadata, self, MSIX, 11, 1, i + 1);
	}
}

/* The same again and again: nothing is used up */
TEST_F_TIMEOUT(ims, dyn_again, MT_TEST_SECONDS)
{
	unsigned int i;

	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 1));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mt_alloc_msix(self->fd, 5, 2, NULL));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, 5, 2));
		fire_and_expect(_metadata, self, MSIX, 5, 2, 0);
		ASSERT_EQ(0, mt_release(self->fd, MSIX, 5, 2));
		ASSERT_EQ(0, mt_free(self->fd, MSIX, 5, 2));
		fire_and_expect(_metadata, self, MSIX, 0, 1, i);
	}
	EXPECT_EQ(1, count_msi_irqs(self));
}

TEST_F_TIMEOUT(ims, dyn_affinity_at_alloc, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	unsigned int cpu;

	enable_msix(_metadata, self, 1);
	for (cpu = 0; cpu < 64 && mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		ASSERT_EQ(0, mt_alloc_msix_cpu(self->fd, ANY, cpu, false, &map));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, map.slot, 1));
		EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
		fire_and_expect(_metadata, self, MSIX, map.slot, 1, 0);

		ASSERT_EQ(0, mt_alloc_msix_cpu(self->fd, 100 + cpu, cpu, false, &map));
		EXPECT_EQ(100 + cpu, map.index);
		ASSERT_EQ(0, mt_request(self->fd, MSIX, map.slot, 1));
		EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
		fire_and_expect(_metadata, self, MSIX, map.slot, 1, 0);
	}
}

TEST_F_TIMEOUT(ims, dyn_affinity_every_cpu, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	unsigned int cpu, fired = 0;

	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 3, 1, &map));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 3, 1));
	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (mt_cpu_is_online(cpu))
			fired = move_and_fire(_metadata, self, MSIX, 3, map.virq, cpu, fired);
	}
	EXPECT_LT(2, fired);
}

TEST_F_TIMEOUT(ims, dyn_affinity_while_firing, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;

	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 3, 1, &map));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 3, 1));
	fire_one_while_moving(_metadata, self, MSIX, 3, map.virq, 200);
}

TEST_F_TIMEOUT(ims, dyn_cpu_offline_while_firing, MT_TEST_SECONDS)
{
	struct target target = { .kind = MSIX, .slot = 3 };
	const int cpu = find_spare_cpu();
	struct ims_testdev_map map;

	ASSERT_LT(0, cpu);
	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix_cpu(self->fd, 3, cpu, false, &map));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 3, 1));
	EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
	target.virq = map.virq;
	fire_while_offline(_metadata, self, &target, 1, cpu);
}

TEST_F_TIMEOUT(ims, dyn_cpu_offline_managed, MT_TEST_SECONDS)
{
	const int cpu = find_spare_cpu();
	struct ims_testdev_slot slot;
	struct ims_testdev_map map;

	ASSERT_LT(0, cpu);
	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix_cpu(self->fd, ANY, cpu, true, &map));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, map.slot, 1));
	EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
	EXPECT_GT(0, mt_set_affinity(map.virq, 0));
	fire_and_expect(_metadata, self, MSIX, map.slot, 1, 0);

	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	EXPECT_EQ(0, mt_slots(self->fd, MSIX, map.slot, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
	EXPECT_EQ(0, mt_fire(self->fd, MSIX, map.slot));
	expect_received(_metadata, self, MSIX, map.slot, 1, 1);

	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	EXPECT_EQ(0, mt_wait_state(self->fd, MSIX, map.slot, IMS_TD_SLOT_MASKED, 0));
	EXPECT_EQ(0, mt_settle(self->fd, MSIX));
	expect_received(_metadata, self, MSIX, map.slot, 1, 2);
	fire_and_expect(_metadata, self, MSIX, map.slot, 1, 2);
}

TEST_F_TIMEOUT(ims, dyn_cpu_offline_disabled, MT_TEST_SECONDS)
{
	const int cpu = find_spare_cpu();
	struct ims_testdev_map map;

	ASSERT_LT(0, cpu);
	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix_cpu(self->fd, ANY, cpu, true, &map));
	disable_around_offline(_metadata, self, MSIX, map.slot, cpu);
}

/* The names that /proc/interrupts has for the chip and the interrupt */
TEST_F_TIMEOUT(ims, dyn_show, MT_TEST_SECONDS)
{
	struct ims_testdev_map map;
	char line[1024], chip[64];

	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 30, 1, &map));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 30, 1));
	ASSERT_EQ(0, mt_proc_interrupts(map.virq, line, sizeof(line)));
	snprintf(chip, sizeof(chip), " %sPCI-MSIX-%s ", mt_prefix(),
		 self->info.name);
	EXPECT_NE(NULL, strstr(line, chip)) { TH_LOG("%s", line); }
	EXPECT_NE(NULL, strstr(line, " ims_testdev0-msix-30")) { TH_LOG("%s", line); }
}

/* The driver forgets what it has allocated: the core frees it, and says so. */
TEST_F_TIMEOUT(ims, dyn_forget, MT_TEST_SECONDS)
{
	const int irqs = mt_kmsg_open(), store = mt_kmsg_open();
	char chip[64];

	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 40, 4, NULL));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSIX, 40, 3));
	fire_and_expect(_metadata, self, MSIX, 40, 3, 0);
	ASSERT_EQ(0, mt_forget(self->fd, IMS_TESTDEV_FORGET_ALL));

	snprintf(chip, sizeof(chip), "PCI-MSIX-%s ", self->info.name);
	EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	EXPECT_EQ(0, mt_proc_interrupts_count(chip));
	EXPECT_EQ(3, kmsg_about(self, irqs, "was not freed by the driver"));
	EXPECT_EQ(1, kmsg_about(self, store, "was not disabled by the driver"));

	rescan_device(_metadata, self);
	reset_device(_metadata, self);
	enable_msix(_metadata, self, 1);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 40, 1, NULL));
	use_once(_metadata, self, MSIX, 40);
}

/* A program that dies, and an unbind while all is in use */
TEST_F_TIMEOUT(ims, dyn_sudden_end, MT_TEST_SECONDS)
{
	int old;

	enable_msix(_metadata, self, 2);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 50, 4, NULL));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 50, 3));
	ASSERT_EQ(0, mt_mask(self->fd, MSIX, 51, 1));
	close(self->fd);
	EXPECT_EQ(0, count_msi_irqs(self));
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);

	enable_msix(_metadata, self, 2);
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 50, 4, NULL));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 50, 3));
	EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	EXPECT_EQ(-ENODEV, mt_alloc_msix(self->fd, ANY, 1, NULL));
	ASSERT_EQ(0, mt_write_file(bind, self->info.name));
	old = self->fd;
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	close(old);
	reset_device(_metadata, self);
	EXPECT_EQ(-EINVAL, mt_alloc_msix(self->fd, ANY, 1, NULL));
	enable_msix(_metadata, self, 1);
	use_once(_metadata, self, MSIX, 0);
}

/* A store has nothing to do with it. */
TEST_F_TIMEOUT(ims, dyn_beside_store, MT_TEST_SECONDS)
{
	const unsigned int nr = 8;
	unsigned int i;
	int id;

	id = mt_store_create(self->fd, TABLE, 0, nr);
	if (id == -EOPNOTSUPP)
		SKIP(return, "there are no stores on this machine");
	ASSERT_LT(0, id);

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, nr, NULL));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, nr));
	EXPECT_EQ(-EINVAL, mt_alloc_msix(self->fd, ANY, 1, NULL));
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 2));
	EXPECT_EQ(nr + 2, count_msi_irqs(self));

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mt_alloc_msix(self->fd, 2, nr - 2, NULL));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, nr));
		fire_and_expect(_metadata, self, MSIX, 0, nr, 0);
		fire_and_expect(_metadata, self, TABLE, 0, nr, 2 * i);
		expect_modes(_metadata, self, MSIX, 0, nr, "msix\n");
		expect_modes(_metadata, self, TABLE, 0, nr, "ims\n");

		/* The same index in both, and one of them goes. */
		ASSERT_EQ(0, mt_release(self->fd, MSIX, 0, nr));
		ASSERT_EQ(0, mt_free(self->fd, MSIX, 2, nr - 2));
		fire_and_expect(_metadata, self, TABLE, 0, nr, 2 * i + 1);
		EXPECT_EQ(nr + 2, count_msi_irqs(self));
	}

	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, nr));
	ASSERT_EQ(0, mt_store_remove(self->fd, id));
	ASSERT_EQ(0, mt_alloc_msix(self->fd, 2, 1, NULL));
	use_once(_metadata, self, MSIX, 2);
}

/*
 * MSI
 */

/* A remapping unit takes as many vectors as there are, x86 itself takes one. */
static unsigned int enable_msi(struct __test_metadata *_metadata, struct ims_data *self)
{
	const unsigned int most = mt_has_remapping() ? self->info.slots[MSI] : 1;

	ASSERT_EQ(most, mt_vectors_enable_min(self->fd, MSI, 1, self->info.slots[MSI]));
	EXPECT_EQ(most, count_msi_irqs(self));
	expect_modes(_metadata, self, MSI, 0, most, "msi\n");
	return most;
}

TEST_F_TIMEOUT(ims, msi_most_vectors, MT_TEST_SECONDS)
{
	struct ims_testdev_count counts[32];
	struct ims_testdev_slot slots[32];
	unsigned int nr, i;

	nr = enable_msi(_metadata, self);
	ASSERT_EQ(0, mt_counts(self->fd, MSI, 0, nr, NULL, counts));
	ASSERT_EQ(0, mt_slots(self->fd, MSI, 0, nr, slots));
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(counts[0].virq + i, counts[i].virq);
		EXPECT_EQ(counts[i].virq, slots[i].virq);
	}

	ASSERT_EQ(0, mt_request(self->fd, MSI, 0, nr));
	for (i = 0; i < nr; i++) {
		fire_and_expect(_metadata, self, MSI, i, 1, 0);

		/* This one and no other */
		expect_received(_metadata, self, MSI, 0, i + 1, 1);
		if (i + 1 < nr)
			expect_received(_metadata, self, MSI, i + 1, nr - i - 1, 0);
	}
	fire_and_expect(_metadata, self, MSI, 0, nr, 1);
}

/* What is more than the platform takes is refused, and leaves nothing. */
TEST_F_TIMEOUT(ims, msi_too_many, MT_TEST_SECONDS)
{
	const unsigned int nr = self->info.slots[MSI];

	EXPECT_EQ(-ENOSPC, mt_vectors_enable(self->fd, MSI, 2 * nr));
	if (!mt_has_remapping() && nr > 1) {
		EXPECT_EQ(-ENOSPC, mt_vectors_enable(self->fd, MSI, nr));
		EXPECT_EQ(-ENOSPC, mt_vectors_enable(self->fd, MSI, 2));
	}
	EXPECT_EQ(0, count_msi_irqs(self));
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 1));
	use_once(_metadata, self, MSI, 0);
}

/* Numbers between the powers of two */
TEST_F_TIMEOUT(ims, msi_counts, MT_TEST_SECONDS)
{
	const unsigned int most = mt_has_remapping() ? self->info.slots[MSI] : 1;
	const unsigned int counts[] = { 1, 2, 3, 5, 17, 31, 32 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts) && counts[i] <= most; i++) {
		ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, counts[i]));
		EXPECT_EQ(counts[i], count_msi_irqs(self));
		ASSERT_EQ(0, mt_request(self->fd, MSI, 0, counts[i]));
		fire_and_expect(_metadata, self, MSI, 0, counts[i], 0);
		ASSERT_EQ(0, mt_release(self->fd, MSI, 0, counts[i]));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSI));
		EXPECT_EQ(0, count_msi_irqs(self));
	}
}

/*
 * All vectors share one message in the device. It has to stay while any of them
 * has a handler, and to be there for any that gets one.
 */
TEST_F_TIMEOUT(ims, msi_any_order, MT_TEST_SECONDS)
{
	const unsigned int orders[][4] = {
		{ 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 0, 3, 2 }, { 2, 3, 0, 1 }
	};
	unsigned int i, j, k, left, fired[4];

	if (!mt_has_remapping())
		SKIP(return, "%s", one_msi);

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 4));
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		/* Requested in one order, released in the next one */
		for (j = 0; j < 4; j++) {
			ASSERT_EQ(0, mt_request(self->fd, MSI, orders[i][j], 1));
			fired[orders[i][j]] = 0;
			for (k = 0; k <= j; k++)
				fire_and_expect(_metadata, self, MSI, orders[i][k], 1,
						fired[orders[i][k]]++);
		}
		left = (i + 1) % ARRAY_SIZE(orders);
		for (j = 0; j < 4; j++) {
			ASSERT_EQ(0, mt_release(self->fd, MSI, orders[left][j], 1));
			for (k = j + 1; k < 4; k++)
				fire_and_expect(_metadata, self, MSI, orders[left][k], 1,
						fired[orders[left][k]]++);
		}
	}

	/* One comes and goes while others stay. */
	ASSERT_EQ(0, mt_request(self->fd, MSI, 1, 3));
	for (i = 0; i < 10; i++) {
		use_once(_metadata, self, MSI, 0);
		fire_and_expect(_metadata, self, MSI, 1, 3, i);
	}
}

/* A vector that has no handler is masked, if that can be. */
TEST_F_TIMEOUT(ims, msi_states, MT_TEST_SECONDS)
{
	const __u32 both = IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG;
	const __u32 masked = self->msi_has_mask ? IMS_TD_SLOT_MASKED : 0;
	struct ims_testdev_slot slots[32];
	unsigned int nr, i;

	nr = enable_msi(_metadata, self);
	ASSERT_EQ(0, mt_slots(self->fd, MSI, 0, nr, slots));
	for (i = 0; i < nr; i++)
		EXPECT_EQ(masked, slots[i].state & IMS_TD_SLOT_MASKED);

	for (i = 0; i < nr; i++) {
		ASSERT_EQ(0, mt_request(self->fd, MSI, i, 1));
		ASSERT_EQ(0, mt_slots(self->fd, MSI, i, 1, slots));
		EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slots[0].state & both);
		if (i + 1 < nr) {
			ASSERT_EQ(0, mt_slots(self->fd, MSI, i + 1, 1, slots));
			EXPECT_EQ(masked, slots[0].state & IMS_TD_SLOT_MASKED);
		}
	}
	fire_and_expect(_metadata, self, MSI, 0, nr, 0);

	for (i = 0; i < nr; i++) {
		ASSERT_EQ(0, mt_release(self->fd, MSI, i, 1));
		ASSERT_EQ(0, mt_slots(self->fd, MSI, i, 1, slots));
		EXPECT_EQ(masked, slots[0].state & IMS_TD_SLOT_MASKED);
	}
	ASSERT_EQ(0, mt_slots(self->fd, MSI, 0, 1, slots));
	EXPECT_EQ(0, slots[0].state & IMS_TD_SLOT_HAS_MSG);
}

TEST_F_TIMEOUT(ims, msi_mask, MT_TEST_SECONDS)
{
	struct ims_testdev_slot slot;
	unsigned int nr, i, last;

	nr = enable_msi(_metadata, self);
	last = nr - 1;
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSI, 0, nr));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, MSI, last, 1));
		ASSERT_EQ(0, mt_fire(self->fd, MSI, last));
		ASSERT_EQ(0, mt_slots(self->fd, MSI, last, 1, &slot));

		/* Held in the device, or by the core, which raises it again later */
		EXPECT_EQ(self->msi_has_mask ? i : i + 1, slot.sent);
		EXPECT_EQ(self->msi_has_mask ? IMS_TD_SLOT_PENDING : 0,
			  slot.state & IMS_TD_SLOT_PENDING);
		if (last && self->msi_has_mask)
			fire_and_expect(_metadata, self, MSI, 0, last, i);
		expect_received(_metadata, self, MSI, last, 1, i);

		ASSERT_EQ(0, mt_unmask(self->fd, MSI, last, 1));
		EXPECT_EQ(0, mt_settle(self->fd, MSI));
		expect_received(_metadata, self, MSI, last, 1, i + 1);
	}
}

TEST_F_TIMEOUT(ims, msi_affinity, MT_TEST_SECONDS)
{
	unsigned int nr, cpu, i, fired[2] = { };
	struct ims_testdev_count counts[32];

	nr = enable_msi(_metadata, self);
	ASSERT_EQ(0, mt_request(self->fd, MSI, 0, nr));
	ASSERT_EQ(0, mt_counts(self->fd, MSI, 0, nr, NULL, counts));

	/* The first and the last of them, each on its own */
	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
		for (i = 0; mt_cpu_is_online(cpu) && i < (nr > 1 ? 2 : 1); i++) {
			const unsigned int vector = i ? nr - 1 : 0;

			fired[i] = move_and_fire(_metadata, self, MSI, vector,
						 counts[vector].virq, cpu, fired[i]);
		}
	}
	EXPECT_LT(2, fired[0]);
}

TEST_F_TIMEOUT(ims, msi_affinity_while_firing, MT_TEST_SECONDS)
{
	struct ims_testdev_count counts[32];
	unsigned int nr;

	nr = enable_msi(_metadata, self);
	ASSERT_EQ(0, mt_request(self->fd, MSI, 0, nr));
	ASSERT_EQ(0, mt_counts(self->fd, MSI, 0, nr, NULL, counts));
	fire_one_while_moving(_metadata, self, MSI, nr - 1, counts[nr - 1].virq, 200);
}

TEST_F_TIMEOUT(ims, msi_cpu_offline_while_firing, MT_TEST_SECONDS)
{
	struct target target = { .kind = MSI };
	const int cpu = find_spare_cpu();
	struct ims_testdev_count count;

	ASSERT_LT(0, cpu);
	enable_msi(_metadata, self);
	ASSERT_EQ(0, mt_request(self->fd, MSI, 0, 1));
	ASSERT_EQ(0, mt_counts(self->fd, MSI, 0, 1, NULL, &count));
	target.virq = count.virq;
	fire_while_offline(_metadata, self, &target, 1, cpu);
}

TEST_F_TIMEOUT(ims, msi_cpu_offline, MT_TEST_SECONDS)
{
	const int cpu = find_spare_cpu();
	struct ims_testdev_count counts[32];
	unsigned int nr, i, fired;

	ASSERT_LT(0, cpu);
	nr = enable_msi(_metadata, self);
	ASSERT_EQ(0, mt_request(self->fd, MSI, 0, nr));
	ASSERT_EQ(0, mt_counts(self->fd, MSI, 0, nr, NULL, counts));

	fired = move_and_fire(_metadata, self, MSI, 0, counts[0].virq, cpu, 0);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
		EXPECT_NE(cpu, mt_effective_cpu(counts[0].virq));
		fire_and_expect(_metadata, self, MSI, 0, 1, fired++);
		EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
		fired = move_and_fire(_metadata, self, MSI, 0, counts[0].virq, cpu, fired);
	}
	if (nr > 1)
		fire_and_expect(_metadata, self, MSI, 1, nr - 1, 0);
}

/* The two take turns on one device. */
TEST_F_TIMEOUT(ims, msi_and_msix, MT_TEST_SECONDS)
{
	unsigned int nr, i;

	for (i = 0; i < 5; i++) {
		nr = enable_msi(_metadata, self);
		EXPECT_GT(0, mt_vectors_enable(self->fd, MSIX, 2));
		ASSERT_EQ(0, mt_request(self->fd, MSI, 0, nr));
		fire_and_expect(_metadata, self, MSI, 0, nr, 0);
		ASSERT_EQ(0, mt_release(self->fd, MSI, 0, nr));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSI));

		enable_msix(_metadata, self, 2);
		EXPECT_GT(0, mt_vectors_enable(self->fd, MSI, 1));
		ASSERT_EQ(0, mt_alloc_msix(self->fd, ANY, 2, NULL));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 4));
		fire_and_expect(_metadata, self, MSIX, 0, 4, 0);
		ASSERT_EQ(0, mt_release(self->fd, MSIX, 0, 4));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	}
}

TEST_F_TIMEOUT(ims, msi_show, MT_TEST_SECONDS)
{
	struct ims_testdev_count count;
	char line[1024], chip[64];

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 1));
	ASSERT_EQ(0, mt_request(self->fd, MSI, 0, 1));
	ASSERT_EQ(0, mt_counts(self->fd, MSI, 0, 1, NULL, &count));
	ASSERT_EQ(0, mt_proc_interrupts(count.virq, line, sizeof(line)));
	snprintf(chip, sizeof(chip), " %sPCI-MSI-%s ", mt_prefix(),
		 self->info.name);
	EXPECT_NE(NULL, strstr(line, chip)) { TH_LOG("%s", line); }
	EXPECT_NE(NULL, strstr(line, " ims_testdev0-msi-0")) { TH_LOG("%s", line); }
}

/*
 * MSI from a copy of the message
 */

struct message {
	__u32	addr_lo;
	__u32	addr_hi;
	__u32	data;
};

/* What the device has, in its capability */
static struct message msi_message(struct __test_metadata *_metadata, struct ims_data *self)
{
	const int cap = mt_find_capability(self->info.name, PCI_CAP_ID_MSI);
	struct message msg = { };
	__u32 flags;

	ASSERT_LT(0, cap);
	ASSERT_EQ(0, mt_config_read(self->info.name, cap + PCI_MSI_FLAGS, 2, &flags));
	ASSERT_EQ(0, mt_config_read(self->info.name, cap + PCI_MSI_ADDRESS_LO, 4, &msg.addr_lo));
	if (flags & PCI_MSI_FLAGS_64BIT) {
		ASSERT_EQ(0, mt_config_read(self->info.name, cap + PCI_MSI_ADDRESS_HI, 4,
					    &msg.addr_hi));
		ASSERT_EQ(0, mt_config_read(self->info.name, cap + PCI_MSI_DATA_64, 2,
					    &msg.data));
	} else {
		ASSERT_EQ(0, mt_config_read(self->info.name, cap + PCI_MSI_DATA_32, 2,
					    &msg.data));
	}
	return msg;
}

/* And what the driver has told it */
static struct message copied_message(struct __test_metadata *_metadata, struct ims_data *self)
{
	struct message msg;
	__u32 valid;

	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_COPY_VALID, &valid));
	EXPECT_EQ(1, valid);
	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_COPY_ADDR_LO, &msg.addr_lo));
	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_COPY_ADDR_HI, &msg.addr_hi));
	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_COPY_DATA, &msg.data));
	return msg;
}

static bool copy_is_stale(struct __test_metadata *_metadata, struct ims_data *self)
{
	const struct message now = msi_message(_metadata, self);
	const struct message copy = copied_message(_metadata, self);

	return now.addr_lo != copy.addr_lo || now.addr_hi != copy.addr_hi ||
	       now.data != copy.data;
}

/* Vectors with a handler each; @virq is that of the first one, the others follow. */
static void enable_copy(struct __test_metadata *_metadata, struct ims_data *self,
			unsigned int nr, unsigned int *virq)
{
	struct ims_testdev_count count;

	ASSERT_EQ(0, mt_vectors_enable_copy(self->fd, nr, false));
	EXPECT_EQ(nr, count_msi_irqs(self));
	EXPECT_FALSE(copy_is_stale(_metadata, self));
	ASSERT_EQ(0, mt_request(self->fd, COPY, 0, nr));
	EXPECT_FALSE(copy_is_stale(_metadata, self));
	ASSERT_EQ(0, mt_counts(self->fd, COPY, 0, 1, NULL, &count));
	*virq = count.virq;
}

/* Vector 0 and the last one, on each CPU: the copy is always that of now. */
static void follow_affinity(struct __test_metadata *_metadata, struct ims_data *self,
			    unsigned int nr)
{
	const unsigned int last = nr - 1;
	unsigned int cpu, virq, i, fired = 0;

	enable_copy(_metadata, self, nr, &virq);
	for (i = 0; i < 2; i++) {
		for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
			if (!mt_cpu_is_online(cpu))
				continue;
			fired = move_and_fire(_metadata, self, COPY, 0, virq, cpu, fired);
			EXPECT_FALSE(copy_is_stale(_metadata, self));
		}
	}
	EXPECT_LT(2, fired);

	/* Each of the others is its own, and none of them has seen anything. */
	for (i = 1; i < nr; i++)
		fire_and_expect(_metadata, self, COPY, i, 1, 0);
	for (cpu = 0, fired = 1; last && mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (mt_cpu_is_online(cpu))
			fired = move_and_fire(_metadata, self, COPY, last, virq + last, cpu,
					      fired);
	}
	EXPECT_FALSE(copy_is_stale(_metadata, self));
	ASSERT_EQ(0, mt_release(self->fd, COPY, 0, nr));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, COPY));
}

TEST_F_TIMEOUT(ims, copy_follows_single, MT_TEST_SECONDS)
{
	follow_affinity(_metadata, self, 1);
}

TEST_F_TIMEOUT(ims, copy_follows_multi, MT_TEST_SECONDS)
{
	if (!mt_has_remapping())
		SKIP(return, "%s", one_msi);

	follow_affinity(_metadata, self, 2);
	follow_affinity(_metadata, self, self->info.slots[MSI]);
}

TEST_F_TIMEOUT(ims, copy_follows_while_firing, MT_TEST_SECONDS)
{
	unsigned int virq;

	enable_copy(_metadata, self, 1, &virq);
	fire_one_while_moving(_metadata, self, COPY, 0, virq, 200);
	EXPECT_FALSE(copy_is_stale(_metadata, self));
}

/* A CPU that goes offline takes no interrupt with it. */
TEST_F_TIMEOUT(ims, copy_follows_cpu_offline, MT_TEST_SECONDS)
{
	const int cpu = find_spare_cpu();
	unsigned int virq, i, fired;

	ASSERT_LT(0, cpu);
	enable_copy(_metadata, self, 1, &virq);
	fired = move_and_fire(_metadata, self, COPY, 0, virq, cpu, 0);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
		EXPECT_NE(cpu, mt_effective_cpu(virq));
		EXPECT_FALSE(copy_is_stale(_metadata, self));
		fire_and_expect(_metadata, self, COPY, 0, 1, fired++);
		EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
		fired = move_and_fire(_metadata, self, COPY, 0, virq, cpu, fired);
	}
}

/* The device forgets the copy, and gets it again with all else. */
TEST_F_TIMEOUT(ims, copy_follows_power, MT_TEST_SECONDS)
{
	unsigned int virq, i, fired = 0;

	enable_copy(_metadata, self, 1, &virq);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mt_suspend(self->fd));
		EXPECT_EQ(0, mt_set_affinity(virq, i % mt_nr_online()));
		ASSERT_EQ(0, mt_resume(self->fd));
		EXPECT_FALSE(copy_is_stale(_metadata, self));
		fire_and_expect(_metadata, self, COPY, 0, 1, fired++);
	}
	ASSERT_EQ(0, mt_function_reset(self->info.name));
	EXPECT_FALSE(copy_is_stale(_metadata, self));
	fire_and_expect(_metadata, self, COPY, 0, 1, fired++);
}

/* A handler that goes and comes again: the vector may be another one then. */
TEST_F_TIMEOUT(ims, copy_follows_request, MT_TEST_SECONDS)
{
	unsigned int virq, i;

	enable_copy(_metadata, self, 1, &virq);
	for (i = 0; i < 5; i++) {
		fire_and_expect(_metadata, self, COPY, 0, 1, 0);
		ASSERT_EQ(0, mt_release(self->fd, COPY, 0, 1));
		ASSERT_EQ(0, mt_request(self->fd, COPY, 0, 1));
		EXPECT_FALSE(copy_is_stale(_metadata, self));
	}
}

/* It is MSI all the same: the two can't be enabled at once. */
TEST_F_TIMEOUT(ims, copy_and_msi, MT_TEST_SECONDS)
{
	unsigned int virq;
	__u32 valid;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 1));
	EXPECT_EQ(-EBUSY, mt_vectors_enable_copy(self->fd, 1, false));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSI));

	enable_copy(_metadata, self, 1, &virq);
	EXPECT_EQ(-EBUSY, mt_vectors_enable(self->fd, MSI, 1));
	EXPECT_EQ(-EBUSY, mt_vectors_disable(self->fd, COPY));
	fire_and_expect(_metadata, self, COPY, 0, 1, 0);
	ASSERT_EQ(0, mt_release(self->fd, COPY, 0, 1));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, COPY));
	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_COPY_VALID, &valid));
	EXPECT_EQ(0, valid);

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 1));
	use_once(_metadata, self, MSI, 0);
}

/*
 * The old way, which this whole section is about: the message is copied when the
 * vectors are allocated, and never again. What it was then goes nowhere on a
 * machine whose messages say which CPU and vector they are for. With interrupt
 * remapping they do not, and it holds.
 */
static void copy_once(struct __test_metadata *_metadata, struct ims_data *self, unsigned int nr)
{
	const unsigned int last = nr - 1;
	unsigned int cpu, fired = 0, stale = 0;
	struct ims_testdev_counts sum;
	struct ims_testdev_count count;

	ASSERT_EQ(0, mt_vectors_enable_copy(self->fd, nr, true));
	ASSERT_EQ(0, mt_request(self->fd, COPY, 0, nr));
	ASSERT_EQ(0, mt_counts(self->fd, COPY, last, 1, NULL, &count));

	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		EXPECT_EQ(0, mt_set_affinity(count.virq, cpu));
		stale += copy_is_stale(_metadata, self);
		ASSERT_EQ(0, mt_fire(self->fd, COPY, last));
		expect_silence(_metadata, self, COPY);
		fired++;
	}
	EXPECT_LT(1, fired);

	ASSERT_EQ(0, mt_counts(self->fd, COPY, 0, nr, &sum, NULL));
	EXPECT_EQ(fired, sum.expected);
	EXPECT_EQ(fired, sum.received + sum.lost);
	EXPECT_EQ(0, sum.spurious);
	TH_LOG("%u vectors: fired %u, lost %llu, stale %u times", nr, fired,
	       (unsigned long long)sum.lost, stale);
	if (mt_has_remapping()) {
		EXPECT_EQ(0, stale);
		EXPECT_EQ(0, sum.lost);
	} else {
		EXPECT_NE(0, stale);
		EXPECT_NE(0, sum.lost);
	}

	/* The device has sent them all, and has no reason to complain. */
	expect_no_breach(_metadata, self);
	ASSERT_EQ(0, mt_release(self->fd, COPY, 0, nr));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, COPY));
}

TEST_F_TIMEOUT(ims, copy_once_single, MT_TEST_SECONDS)
{
	/* Otherwise x86 has a vector for it at once, and keeps that at the request. */
	if (!mt_has_remapping() && !self->msi_has_mask)
		SKIP(return, "a message that can't be masked may be right by accident");

	/* What is lost on purpose is not to be judged. */
	self->judged = true;
	copy_once(_metadata, self, 1);
}

TEST_F_TIMEOUT(ims, copy_once_multi, MT_TEST_SECONDS)
{
	if (!mt_has_remapping())
		SKIP(return, "%s", one_msi);

	self->judged = true;
	copy_once(_metadata, self, 2);
	copy_once(_metadata, self, self->info.slots[MSI]);
}

int main(int argc, char **argv)
{
	mt_gate(MT_WANT_DEVICE);
	return test_harness_run(argc, argv);
}
