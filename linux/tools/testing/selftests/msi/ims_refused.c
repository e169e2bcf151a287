// SPDX-License-Identifier: GPL-2.0
/*
 * A machine without interrupt remapping: IMS is refused, with a reason in the
 * kernel log, and MSI-X of the same device knows nothing of it. Where devices have no
 * domains of their own nothing is logged.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "ims_fixture.h"

/* A GICv2m has 64 for all devices */
#define NR_MSIX		32

/* What IMS requires on this machine */
static const char *lacks(void)
{
	if (!strcmp(mt_prefix(), "ITS-"))
		return "irqchip.gicv3_ims=1";
	if (!strcmp(mt_prefix(), "GICv2m-"))
		return "tells devices apart";
	return "interrupt remapping";
}

TEST_F_TIMEOUT(ims, refused, MT_TEST_SECONDS)
{
	const char *const reason[] = { self->info.name, "IMS", lacks(), NULL };
	const char *const core[] = { self->info.name, NULL };
	const struct store_kind *kind;
	char line[512];
	unsigned int i;
	int kmsg;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		for (i = 0; i < 2; i++) {
			kmsg = mt_kmsg_open();
			ASSERT_LE(0, kmsg);
			EXPECT_EQ(-EOPNOTSUPP, mt_store_create(self->fd, kind->nr, 0, 4 + i));
			EXPECT_EQ(1, mt_kmsg_read(kmsg, reason, line, sizeof(line)));
			close(kmsg);
		}
	}

	/* That line and no other */
	EXPECT_EQ(2 * NR_KINDS, mt_kmsg_read(self->kmsg, core, line, sizeof(line)));

	/* There is no store then. */
	EXPECT_GT(0, mt_alloc(self->fd, 1, ANY, 1, NULL));
	EXPECT_GT(0, mt_alloc(self->fd, IMS_TESTDEV_FIRST_STORE, ANY, 1, NULL));
	EXPECT_GT(0, mt_alloc_batch(self->fd, 1, 1, 2, NULL, NULL));
	EXPECT_EQ(0, mt_proc_interrupts_count("IMS-"));
	expect_all_clean(_metadata, self);
}

TEST_F_TIMEOUT(ims, msix_works, MT_TEST_SECONDS)
{
	struct ims_testdev_counts sum;
	unsigned int i;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, NR_MSIX));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSIX, 0, NR_MSIX));

	for (i = 0; i < NR_MSIX; i++)
		fire_and_expect(_metadata, self, MSIX, i, 1, 0);
	fire_and_expect(_metadata, self, MSIX, 0, NR_MSIX, 1);

	ASSERT_EQ(0, mt_mask(self->fd, MSIX, 0, NR_MSIX));
	ASSERT_EQ(0, mt_fire_range(self->fd, MSIX, 0, NR_MSIX));
	expect_received(_metadata, self, MSIX, 0, NR_MSIX, 2);
	ASSERT_EQ(0, mt_unmask(self->fd, MSIX, 0, NR_MSIX));
	EXPECT_EQ(0, mt_settle(self->fd, MSIX));
	expect_received(_metadata, self, MSIX, 0, NR_MSIX, 3);

	ASSERT_EQ(0, mt_counts(self->fd, MSIX, 0, NR_MSIX, &sum, NULL));
	EXPECT_EQ(NR_MSIX, sum.allocated);
	EXPECT_EQ(3 * NR_MSIX, sum.received);
	EXPECT_EQ(0, sum.lost);
	EXPECT_EQ(0, sum.spurious);
}

TEST_F_TIMEOUT(ims, msix_while_refused, MT_TEST_SECONDS)
{
	unsigned int i;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, NR_MSIX));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, NR_MSIX));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EOPNOTSUPP, mt_store_create(self->fd, TABLE, 0, 4));
		fire_and_expect(_metadata, self, MSIX, 0, NR_MSIX, i);
	}

	/* And after it, anew */
	ASSERT_EQ(0, mt_release(self->fd, MSIX, 0, NR_MSIX));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	EXPECT_EQ(-EOPNOTSUPP, mt_store_create(self->fd, TABLE, 0, 4));
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, NR_MSIX));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, NR_MSIX));
	fire_and_expect(_metadata, self, MSIX, 0, NR_MSIX, 0);
}

/* Messages change with the affinity here, and none may be lost by it. */
TEST_F_TIMEOUT(ims, msix_affinity, MT_TEST_SECONDS)
{
	struct ims_testdev_count count;
	unsigned int cpu, fired = 0;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 1));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 1));
	ASSERT_EQ(0, mt_counts(self->fd, MSIX, 0, 1, NULL, &count));

	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (!mt_cpu_is_online(cpu))
			continue;
		fired = move_and_fire(_metadata, self, MSIX, 0, count.virq, cpu, fired);
	}
	EXPECT_LT(2, fired);
}

/* What an allocation leaves behind does not limit the next one. */
TEST_F_TIMEOUT(ims, msi_again, MT_TEST_SECONDS)
{
	const unsigned int all = self->info.slots[MSI];
	unsigned int nr, some;
	int most;

	most = mt_vectors_enable_min(self->fd, MSI, 1, all);
	ASSERT_LE(1, most);
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSI));

	for (nr = 1; nr <= all; nr++) {
		some = nr < most ? nr : most;
		ASSERT_EQ(some, mt_vectors_enable_min(self->fd, MSI, 1, nr));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSI));
	}
	ASSERT_EQ(most, mt_vectors_enable_min(self->fd, MSI, 1, all));
}

TEST_F_TIMEOUT(ims, msi_works, MT_TEST_SECONDS)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 1));
		ASSERT_EQ(0, mt_request(self->fd, MSI, 0, 1));
		EXPECT_EQ(-EOPNOTSUPP, mt_store_create(self->fd, TABLE, 0, 4));
		fire_and_expect(_metadata, self, MSI, 0, 1, 0);
		ASSERT_EQ(0, mt_release(self->fd, MSI, 0, 1));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSI));
	}
}

int main(int argc, char **argv)
{
	mt_gate(MT_WANT_REFUSAL);
	return test_harness_run(argc, argv);
}
