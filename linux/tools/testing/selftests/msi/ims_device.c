// SPDX-License-Identifier: GPL-2.0
/*
 * A device and all of its stores at once: what they have to do with each other, with
 * MSI-X and MSI, how many interrupts there can be, and what becomes of them when
 * the device is torn out of its user's hands. And the judge itself.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ims_fixture.h"

/* Write to a slot behind the kernel's back */
static int poke(struct ims_data *self, unsigned int nr, unsigned int field, __u32 value)
{
	return mt_raw_write(self->fd, IMS_TD_BAR_TABLE, nr * IMS_TD_SLOT_SIZE + field, 4, value);
}

/*
 * Descriptions
 */

/* A member of a description, a value that it must not have, and what comes of that */
struct bad {
	size_t	at;
	__u32	value;
	int	error;
};

#define AT(member)	offsetof(struct ims_testdev_store, member)

static size_t size_at(size_t at)
{
	if (at == AT(layout_flags) || at == AT(pasid_shift))
		return sizeof(__u8);
	return at >= AT(stride) && at <= AT(ctrl) ? sizeof(__u16) : sizeof(__u32);
}

/* Every description that has no sense is refused, and next to it one that has is not. */
static void expect_refused(struct __test_metadata *_metadata, struct ims_data *self,
			   const struct ims_testdev_store *good, const struct bad *bad,
			   unsigned int count)
{
	struct ims_testdev_store store;
	unsigned int i;
	int id;

	for (i = 0; i < count; i++) {
		store = *good;
		memcpy((char *)&store + bad[i].at, &bad[i].value, size_at(bad[i].at));
		EXPECT_EQ(bad[i].error, mt_store_create_raw(self->fd, &store))
			TH_LOG("kind %u, number %u: offset %zu value %#x", good->kind, i, bad[i].at,
			       bad[i].value);

		store = *good;
		id = mt_store_create_raw(self->fd, &store);
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
	}
}

/* What is wrong in any kind of store, and mostly found by the driver */
TEST_F_TIMEOUT(ims, description, MT_TEST_SECONDS)
{
	const struct store_kind *kind;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const struct ims_testdev_store good = { .kind = kind->nr, .nr_slots = 4 };
		const unsigned int slots = self->info.slots[kind->nr];
		const struct bad bad[] = {
			{ AT(nr_slots), 0, -EINVAL },
			{ AT(flags), IMS_TESTDEV_STORE_NO_BASE, -EINVAL },
			{ AT(flags), IMS_TESTDEV_STORE_NO_LAYOUT, -EINVAL },
			{ AT(kind), MSIX, -ENXIO },
			{ AT(kind), 1000, -ENXIO },
			{ AT(first), slots - 3, -ERANGE },
			{ AT(first), 0xffffffff, -ERANGE },
			{ AT(nr_slots), slots + 1, -ERANGE },
			{ AT(nr_slots), 0xffffffff, -ERANGE },
			{ AT(flags), 0x80000000, -EINVAL },
			{ AT(stride), 16, -EINVAL },
			{ AT(layout_flags), 1, -EINVAL },
			{ AT(pasid_enable), 1, -EINVAL },
			{ AT(ops), 0x80000000, -EINVAL },
			{ AT(id), 1, -EINVAL },
			{ AT(live), 1, -EINVAL },
			{ AT(w1c), 1, -EINVAL },
			{ AT(pending), 1, -EINVAL },
			/* Only of commands can there be several at once. */
			{ kind->nr == CMD ? AT(id) : AT(depth), 1, -EINVAL },
		};

		expect_refused(_metadata, self, &good, bad, ARRAY_SIZE(bad));
	}
}

/* IMS_TABLE_* in the kernel: the flags of a layout */
#define ADDR_64		0x01
#define MASK_CLEAR	0x02
#define PASID		0x08

/* Slots of 16 bytes, in a BAR or in memory */
TEST_F_TIMEOUT(ims, description_narrow, MT_TEST_SECONDS)
{
	static const struct bad bad[] = {
		{ AT(flags), IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_NO_BASE, -EINVAL },
		{ AT(flags), IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_NO_LAYOUT, -EINVAL },
		{ AT(flags), IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_ODD_BASE, -EINVAL },
		{ AT(flags), 0, -EINVAL },
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
		{ AT(layout_flags), 0x10, -EINVAL },
		{ AT(layout_flags), 0x80, -EINVAL },
		/* The high part of an address of 64 bits has no place of its own. */
		{ AT(layout_flags), ADDR_64, -EINVAL },
		/* Of what is not there nobody can say where it is. */
		{ AT(pasid_shift), 12, -EINVAL },
		{ AT(pasid_enable), IMS_TD_SLOT_CTRL_PASID_EN, -EINVAL },
		{ AT(live), IMS_TD_SLOT_CTRL_MASK, -EINVAL },
		{ AT(w1c), IMS_TD_SLOT_CTRL_MASK, -EINVAL },
		{ AT(pending), IMS_TD_SLOT_CTRL_PENDING, -EINVAL },
	};
	struct ims_testdev_store good = table_layout;

	good.kind = TABLE;
	expect_refused(_metadata, self, &good, bad, ARRAY_SIZE(bad));
	good.kind = MEM;
	expect_refused(_metadata, self, &good, bad, ARRAY_SIZE(bad));
}

/* With an address of 64 bits, which has to be written at once */
TEST_F_TIMEOUT(ims, description_wide, MT_TEST_SECONDS)
{
	const struct ims_testdev_store good = {
		.kind		= WIDE,
		.nr_slots	= 4,
		.flags		= IMS_TESTDEV_STORE_LAYOUT,
		.stride		= IMS_TD_WIDE_SIZE,
		.addr_lo	= IMS_TD_WIDE_ADDR,
		.data		= IMS_TD_WIDE_DATA,
		.ctrl		= IMS_TD_WIDE_CTRL,
		.layout_flags	= ADDR_64 | MASK_CLEAR,
		.mask		= IMS_TD_WIDE_CTRL_ENABLE,
	};
	static const struct bad bad[] = {
		{ AT(flags), IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_ODD_BASE, -EINVAL },
		{ AT(stride), 36, -EINVAL },
		{ AT(stride), 16, -EINVAL },
		{ AT(addr_lo), IMS_TD_WIDE_ADDR + 4, -EINVAL },
		{ AT(addr_lo), 32, -EINVAL },
		{ AT(addr_lo), IMS_TD_WIDE_DATA, -EINVAL },
		{ AT(addr_lo), IMS_TD_WIDE_CTRL, -EINVAL },
		{ AT(addr_hi), IMS_TD_WIDE_ADDR + 4, -EINVAL },
		{ AT(addr_hi), IMS_TD_WIDE_ADDR + 8, -EINVAL },
		{ AT(data), IMS_TD_WIDE_ADDR, -EINVAL },
		{ AT(data), IMS_TD_WIDE_ADDR + 4, -EINVAL },
		{ AT(ctrl), IMS_TD_WIDE_ADDR + 4, -EINVAL },
	};

	expect_refused(_metadata, self, &good, bad, ARRAY_SIZE(bad));
}

/* With a place for a PASID in the control word */
TEST_F_TIMEOUT(ims, description_pasid, MT_TEST_SECONDS)
{
	const struct bad bad[] = {
		/* 20 bits don't fit. */
		{ AT(pasid_shift), 13, -EINVAL },
		{ AT(pasid_shift), 32, -EINVAL },
		{ AT(pasid_shift), 255, -EINVAL },
		{ AT(pasid_shift), 0, -EINVAL },
		{ AT(pasid_enable), 3 << 2, -EINVAL },
		{ AT(pasid_enable), IMS_TD_SLOT_CTRL_MASK, -EINVAL },
		{ AT(pasid_enable), 1 << 12, -EINVAL },
		{ AT(mask), 1U << 31, -EINVAL },
		{ AT(flags), IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_PASID, -EINVAL },
		/* The cookie is the address of the slot there. */
		{ AT(kind), MEM, -EINVAL },
	};
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
		.layout_flags	= PASID,
		.pasid_shift	= 12,
		.pasid_enable	= IMS_TD_SLOT_CTRL_PASID_EN,
	};

	expect_refused(_metadata, self, &good, bad, ARRAY_SIZE(bad));
}

/*
 * Slots that somebody has used before. Of the slots in a BAR an interrupt gets its
 * own masked and with its own message, whatever was there.
 */

TEST_F_TIMEOUT(ims, leftovers_table, MT_TEST_SECONDS)
{
	const __u32 other = IMS_TD_SLOT_CTRL_PASID_EN | (0x12345000 & IMS_TD_SLOT_CTRL_PASID);
	const unsigned int id = create_store(_metadata, self, TABLE, 2);
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

/* Nor do those send any more that have no interrupt, as after a crash */
TEST_F_TIMEOUT(ims, leftovers_masked, MT_TEST_SECONDS)
{
	const __u32 other = IMS_TD_SLOT_CTRL_PASID_EN;
	struct ims_testdev_stats stats;
	struct ims_testdev_slot slot[4];
	unsigned int i, id;

	self->judged = true;
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, poke(self, i, IMS_TD_SLOT_ADDR_LO, 0xfee00000));
		ASSERT_EQ(0, poke(self, i, IMS_TD_SLOT_DATA, 0xaa));
		ASSERT_EQ(0, poke(self, i, IMS_TD_SLOT_CTRL, other));
	}
	expect_no_breach(_metadata, self);
	id = create_store(_metadata, self, TABLE, 3);

	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, 4, slot));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(other | IMS_TD_SLOT_CTRL_MASK, slot[i].ctrl);
		EXPECT_EQ(0xaa, slot[i].data);
		ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, i));
	}
	/* It belongs to somebody else */
	EXPECT_EQ(other, slot[3].ctrl);
	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(3, stats.fired);
	EXPECT_EQ(0, stats.sent);
	expect_no_breach(_metadata, self);
	ASSERT_EQ(0, mt_store_remove(self->fd, id));
	reset_device(_metadata, self);
}

TEST_F_TIMEOUT(ims, leftovers_wide, MT_TEST_SECONDS)
{
	const __u32 other = IMS_TD_WIDE_CTRL_PASID_EN | 0x01234500;
	const unsigned int id = create_store(_metadata, self, WIDE, 2);
	struct ims_testdev_slot slot[2];

	ASSERT_EQ(0, mt_raw_write(self->fd, IMS_TD_BAR_WIDE, IMS_TD_WIDE_ADDR, 8, 0x55fee00000));
	ASSERT_EQ(0, mt_raw_write(self->fd, IMS_TD_BAR_WIDE, IMS_TD_WIDE_DATA, 4, 0xaa));
	ASSERT_EQ(0, mt_raw_write(self->fd, IMS_TD_BAR_WIDE, IMS_TD_WIDE_CTRL, 4,
				  other | IMS_TD_WIDE_CTRL_ENABLE));

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
	ASSERT_EQ(0, mt_slots(self->fd, WIDE, 0, 1, slot));
	EXPECT_EQ(other, slot[0].ctrl);

	ASSERT_EQ(0, mt_request_unlazy(self->fd, WIDE, 0, 2));
	ASSERT_EQ(0, mt_slots(self->fd, WIDE, 0, 2, slot));
	EXPECT_EQ(other | IMS_TD_WIDE_CTRL_ENABLE, slot[0].ctrl);
	EXPECT_EQ(slot[1].addr_hi, slot[0].addr_hi);
	fire_and_expect(_metadata, self, WIDE, 0, 2, 0);

	ASSERT_EQ(0, mt_mask(self->fd, WIDE, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, WIDE, 0, 1, slot));
	EXPECT_EQ(other, slot[0].ctrl);
}

/*
 * How many there can be
 */

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

	id = create_store(_metadata, self, TABLE, nr);
	ret = mt_alloc_batch(self->fd, id, VECTORS_MIN, nr, NULL, NULL);

	/* The remapping unit can have fewer for one device. */
	ASSERT_LE(VECTORS_MIN, ret);
	ASSERT_GE(nr, ret);
	nr = ret;
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

/* x86 has vectors. An ITS has LPIs for the whole system. */
static const char no_vectors[] = "the CPUs of this machine have no vectors";

static bool has_vectors(void)
{
	return !strcmp(mt_prefix(), "IR-");
}

/* More than one CPU has vectors for, and no other CPU may help out */
TEST_F_TIMEOUT(ims, vectors_exhausted_managed, MT_TEST_SECONDS)
{
	const unsigned int nr = VECTORS_MAX, some = 16;
	const unsigned int id = create_store(_metadata, self, TABLE, nr);
	const int cpu = find_spare_cpu();
	struct ims_testdev_counts sum;

	if (!has_vectors())
		SKIP(return, "%s", no_vectors);
	ASSERT_LT(0, cpu);
	EXPECT_EQ(-ENOSPC, mt_alloc_cpu(self->fd, id, nr, cpu, true, NULL));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, nr, &sum, NULL));
	EXPECT_EQ(0, sum.allocated);
	expect_clean(_metadata, self, &store_kinds[0]);

	/* What was taken before it failed is there again. */
	ASSERT_EQ(0, mt_alloc_cpu(self->fd, id, some, cpu, true, NULL));
	ASSERT_EQ(0, mt_request(self->fd, TABLE, 0, some));
	fire_and_expect(_metadata, self, TABLE, 0, some, 0);
}

/* An interrupt leaves a CPU that goes away, though the other one of its mask is full. */
TEST_F_TIMEOUT(ims, cpu_offline_vectors_exhausted, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, TABLE, VECTORS_MAX + 1);
	const int cpu = find_spare_cpu(), full = cpu + 1;
	struct ims_testdev_map map;
	char path[64], cpus[32];
	unsigned int n;
	int now;

	if (!has_vectors())
		SKIP(return, "%s", no_vectors);
	if (cpu < 0 || mt_cpu_is_online(full) != 1)
		SKIP(return, "needs three CPUs");
	ASSERT_EQ(0, mt_alloc(self->fd, id, ANY, 1, &map));

	/* A managed interrupt has its vector reserved. */
	for (n = VECTORS_MAX / 2; n; n /= 2) {
		if (!mt_alloc_cpu(self->fd, id, n, full, true, NULL))
			TH_LOG("%u of CPU %d's vectors are taken", n, full);
	}
	ASSERT_EQ(-ENOSPC, mt_alloc_cpu(self->fd, id, 1, full, true, NULL));

	ASSERT_EQ(0, mt_request(self->fd, TABLE, map.slot, 1));
	n = move_and_fire(_metadata, self, TABLE, map.slot, map.virq, cpu, 0);
	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", map.virq);
	snprintf(cpus, sizeof(cpus), "%d,%d", cpu, full);
	ASSERT_EQ(0, mt_write_file(path, cpus));
	fire_and_expect(_metadata, self, TABLE, map.slot, 1, n++);
	ASSERT_EQ(cpu, mt_effective_cpu(map.virq));

	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	now = mt_effective_cpu(map.virq);
	EXPECT_EQ(1, mt_cpu_is_online(now)) { TH_LOG("it is on CPU %d", now); }
	EXPECT_NE(full, now);
	fire_and_expect(_metadata, self, TABLE, map.slot, 1, n++);
	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	move_and_fire(_metadata, self, TABLE, map.slot, map.virq, cpu, n);
}

/* More than all CPUs have vectors for, which comes out when they are requested */
TEST_F_TIMEOUT(ims, vectors_exhausted, MT_TEST_SECONDS)
{
	const unsigned int nr = self->info.slots[TABLE];
	struct ims_testdev_counts sum;
	unsigned int id;
	int ret;

	if (!has_vectors())
		SKIP(return, "%s", no_vectors);
	if (mt_nr_online() * VECTORS_MAX > nr)
		SKIP(return, "needs fewer CPUs or more slots");
	if (is_slow())
		SKIP(return, "takes too long on a kernel with lock debugging");

	id = create_store(_metadata, self, TABLE, nr);
	ret = mt_alloc_batch(self->fd, id, nr, nr, NULL, NULL);
	if (ret == -ENOSPC)
		SKIP(return, "the remapping unit has fewer entries than the CPUs have vectors");
	ASSERT_EQ(nr, ret);
	EXPECT_EQ(-ENOSPC, mt_request(self->fd, TABLE, 0, nr));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, nr, &sum, NULL));
	EXPECT_EQ(nr, sum.allocated);
	EXPECT_EQ(0, sum.requested);

	/* What was taken before it failed is there again. */
	ASSERT_EQ(0, mt_request(self->fd, TABLE, nr / 2, VECTORS_MIN));
	fire_and_expect(_metadata, self, TABLE, nr / 2, VECTORS_MIN, 0);
}

/*
 * Stores beside each other, and beside MSI-X and MSI
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

/* Windows of each kind, one after the other */
#define WINDOWS		3
#define WINDOW_SIZE	4

/* Fire all of them but the store @gone, which is of kind @without */
static void fire_windows(struct __test_metadata *_metadata, struct ims_data *self,
			 const struct store_kind *without, unsigned int gone)
{
	struct ims_testdev_counts before[NR_KINDS][WINDOWS];
	const struct store_kind *kind;
	unsigned int w;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		for (w = 0; w < WINDOWS; w++) {
			ASSERT_EQ(0, mt_counts(self->fd, kind->nr, w * WINDOW_SIZE, WINDOW_SIZE,
					       &before[kind - store_kinds][w], NULL));
			if (kind == without && w == gone)
				continue;
			ASSERT_EQ(0, mt_fire_range(self->fd, kind->nr, w * WINDOW_SIZE,
						   WINDOW_SIZE));
		}
	}
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		EXPECT_EQ(0, mt_settle(self->fd, kind->nr));
		for (w = 0; w < WINDOWS; w++) {
			if (kind == without && w == gone)
				continue;
			expect_received(_metadata, self, kind->nr, w * WINDOW_SIZE, WINDOW_SIZE,
					before[kind - store_kinds][w].received / WINDOW_SIZE + 1);
		}
	}
}

static int create_window(struct ims_data *self, const struct store_kind *kind, unsigned int w)
{
	const unsigned int first = w * WINDOW_SIZE;
	int id, ret;

	id = mt_store_create(self->fd, kind->nr, first, WINDOW_SIZE);
	if (id < 0)
		return id;
	ret = mt_alloc(self->fd, id, 0, WINDOW_SIZE, NULL);
	ret = ret ? ret : mt_request_unlazy(self->fd, kind->nr, first, WINDOW_SIZE);
	return ret ? ret : id;
}

static int remove_window(struct ims_data *self, const struct store_kind *kind, unsigned int w,
			 int id)
{
	int ret = mt_release(self->fd, kind->nr, w * WINDOW_SIZE, WINDOW_SIZE);

	return ret ? ret : mt_store_remove(self->fd, id);
}

/* Twelve stores and MSI-X, with the same indices in each. Each goes and comes back. */
TEST_F_TIMEOUT(ims, side_by_side, MT_TEST_SECONDS)
{
	const unsigned int nr_msix = 8;
	const struct store_kind *kind;
	int id[NR_KINDS][WINDOWS];
	unsigned int w, k;

	/* Not kind by kind */
	for (w = 0; w < WINDOWS; w++) {
		for (kind = store_kinds; kind < KINDS_END; kind++) {
			id[kind - store_kinds][w] = create_window(self, kind, w);
			ASSERT_LT(0, id[kind - store_kinds][w]);
		}
	}
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr_msix));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, nr_msix));
	EXPECT_EQ(NR_KINDS * WINDOWS * WINDOW_SIZE + nr_msix, count_msi_irqs(self));

	fire_windows(_metadata, self, NULL, 0);
	fire_and_expect(_metadata, self, MSIX, 0, nr_msix, 0);
	for (w = 0; w < WINDOWS; w++) {
		for (kind = store_kinds; kind < KINDS_END; kind++) {
			k = kind - store_kinds;
			ASSERT_EQ(0, remove_window(self, kind, w, id[k][w]));
			fire_windows(_metadata, self, kind, w);
			id[k][w] = create_window(self, kind, w);
			ASSERT_LT(0, id[k][w]);
			fire_windows(_metadata, self, NULL, 0);
		}
	}
	fire_and_expect(_metadata, self, MSIX, 0, nr_msix, 1);
}

TEST_F_TIMEOUT(ims, stores_then_msix, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	const unsigned int nr = 8;
	unsigned int i;

	for (kind = store_kinds; kind < KINDS_END; kind++)
		create_full(_metadata, self, kind->nr, nr, NULL);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr));
		ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, nr));
		fire_and_expect(_metadata, self, MSIX, 0, nr, 0);
		for (kind = store_kinds; kind < KINDS_END; kind++)
			fire_and_expect(_metadata, self, kind->nr, 0, nr, 2 * i);

		/* Stores don't care whether MSI-X is enabled. */
		ASSERT_EQ(0, mt_release(self->fd, MSIX, 0, nr));
		ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
		for (kind = store_kinds; kind < KINDS_END; kind++)
			fire_and_expect(_metadata, self, kind->nr, 0, nr, 2 * i + 1);
	}
}

TEST_F_TIMEOUT(ims, msix_then_stores, MT_TEST_SECONDS)
{
	unsigned int i, id[NR_KINDS];
	const struct store_kind *kind;
	const unsigned int nr = 8;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, nr));
	for (i = 0; i < 3; i++) {
		for (kind = store_kinds; kind < KINDS_END; kind++)
			id[kind - store_kinds] = create_full(_metadata, self, kind->nr, nr, NULL);
		for (kind = store_kinds; kind < KINDS_END; kind++)
			fire_and_expect(_metadata, self, kind->nr, 0, nr, 0);
		fire_and_expect(_metadata, self, MSIX, 0, nr, 2 * i);

		/* Nor does MSI-X care for stores. */
		for (kind = store_kinds; kind < KINDS_END; kind++) {
			ASSERT_EQ(0, mt_release(self->fd, kind->nr, 0, nr));
			ASSERT_EQ(0, mt_store_remove(self->fd, id[kind - store_kinds]));
		}
		fire_and_expect(_metadata, self, MSIX, 0, nr, 2 * i + 1);
	}
}

/* A remapping unit takes MSI with many vectors, too. */
TEST_F_TIMEOUT(ims, msi_and_stores, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	const unsigned int nr = 8;
	unsigned int i;

	for (kind = store_kinds; kind < KINDS_END; kind++)
		create_full(_metadata, self, kind->nr, nr, NULL);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, nr));
		EXPECT_GT(0, mt_vectors_enable(self->fd, MSIX, nr));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, MSI, 0, nr));
		fire_and_expect(_metadata, self, MSI, 0, nr, 0);
		for (kind = store_kinds; kind < KINDS_END; kind++)
			fire_and_expect(_metadata, self, kind->nr, 0, nr, i);

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
	for (kind = store_kinds; kind < KINDS_END; kind++)
		fire_and_expect(_metadata, self, kind->nr, 0, nr, 3);
}

/*
 * The example of storage ops in the documentation works, and so do those that the
 * wrong ones of ims_wrong.c are made of.
 */
TEST_F_TIMEOUT(ims, other_ops, MT_TEST_SECONDS)
{
	const unsigned int ops[] = {
		IMS_TESTDEV_OPS_SAMPLE, IMS_TESTDEV_OPS_DIRECT, IMS_TESTDEV_OPS_DEFERRED
	};
	const unsigned int nr = 16;
	struct ims_testdev_slot slot;
	unsigned int i, j;
	int id;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		id = mt_store_create_ops(self->fd, nr, ops[i]);
		ASSERT_LT(0, id);
		ASSERT_EQ(nr, mt_alloc_batch(self->fd, id, nr, nr, NULL, NULL));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, nr));
		for (j = 0; j < 5; j++) {
			fire_and_expect(_metadata, self, TABLE, 0, nr, 2 * j);
			ASSERT_EQ(0, mt_mask(self->fd, TABLE, 2, 1));
			ASSERT_EQ(0, mt_slots(self->fd, TABLE, 2, 1, &slot));
			EXPECT_EQ(IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG, slot.state);
			ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 0, nr));
			expect_received(_metadata, self, TABLE, 2, 1, 2 * j + 1);
			ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 2, 1));
			EXPECT_EQ(0, mt_settle(self->fd, TABLE));
			expect_received(_metadata, self, TABLE, 0, nr, 2 * j + 2);
		}
		ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, nr));
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
		expect_clean(_metadata, self, &store_kinds[0]);
	}
}

/* sysfs lists them all, each as what it is, and none that is gone. */
TEST_F_TIMEOUT(ims, show_msi_irqs, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	unsigned int id[NR_KINDS];
	int count = 8;

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 8));
	EXPECT_EQ(count, count_msi_irqs(self));
	expect_modes(_metadata, self, MSIX, 0, 8, "msix\n");

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		id[kind - store_kinds] = create_full(_metadata, self, kind->nr, 4, NULL);
		count += 4;
		EXPECT_EQ(count, count_msi_irqs(self));
		expect_modes(_metadata, self, MSIX, 0, 8, "msix\n");
		expect_modes(_metadata, self, kind->nr, 0, 4, "ims\n");
	}

	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	count -= 8;
	EXPECT_EQ(count, count_msi_irqs(self));

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		expect_modes(_metadata, self, kind->nr, 0, 4, "ims\n");
		ASSERT_EQ(0, mt_release(self->fd, kind->nr, 0, 4));
		ASSERT_EQ(0, mt_free(self->fd, kind->nr, 1, 1));
		EXPECT_EQ(count - 1, count_msi_irqs(self));
		ASSERT_EQ(0, mt_store_remove(self->fd, id[kind - store_kinds]));
		count -= 4;
		EXPECT_EQ(count, count_msi_irqs(self));
	}
	EXPECT_EQ(0, count);
}

/*
 * CPUs
 */

/* An interrupt of each kind of store, and of MSI-X */
static void create_targets(struct __test_metadata *_metadata, struct ims_data *self,
			   struct target target[NR_KINDS + 1])
{
	const struct store_kind *kind;
	struct ims_testdev_map map;
	struct ims_testdev_count count;
	unsigned int i = 0;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		create_full(_metadata, self, kind->nr, 1, &map);
		target[i++] = (struct target) { kind->nr, 0, map.virq };
	}
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 1));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, 1));
	ASSERT_EQ(0, mt_counts(self->fd, MSIX, 0, 1, NULL, &count));
	target[i] = (struct target) { MSIX, 0, count.virq };
}

TEST_F_TIMEOUT(ims, affinity_all_cpus, MT_TEST_SECONDS)
{
	struct target target[NR_KINDS + 1];

	create_targets(_metadata, self, target);
	fire_while_moving(_metadata, self, target, ARRAY_SIZE(target), 200);
}

/* The same with half of the CPUs, on a machine of eight: the others are offline. */
TEST_F_TIMEOUT(ims, affinity_half_of_cpus, MT_TEST_SECONDS)
{
	const unsigned int half = mt_nr_online() / 2;
	struct target target[NR_KINDS + 1];
	unsigned int cpu;

	if (half < 2)
		SKIP(return, "needs more CPUs");

	create_targets(_metadata, self, target);
	for (cpu = half; mt_cpu_is_online(cpu) >= 0; cpu++)
		ASSERT_EQ(0, mt_cpu_set_online(cpu, false));
	ASSERT_EQ(half, mt_nr_online());
	fire_while_moving(_metadata, self, target, ARRAY_SIZE(target), 200);
}

TEST_F_TIMEOUT(ims, cpu_offline_while_firing, MT_TEST_SECONDS)
{
	struct target target[NR_KINDS + 1];
	const int cpu = find_spare_cpu();

	ASSERT_LT(0, cpu);
	create_targets(_metadata, self, target);
	fire_while_offline(_metadata, self, target, ARRAY_SIZE(target), cpu);
}

/*
 * Ends that nobody has planned
 */

TEST_F_TIMEOUT(ims, open_exclusive, MT_TEST_SECONDS)
{
	int status;
	pid_t child;

	EXPECT_EQ(-EBUSY, mt_open());
	create_full(_metadata, self, TABLE, 1, NULL);
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
	const struct store_kind *kind;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		create_everything(_metadata, self, 16);
		fire_everything(_metadata, self, 16, 0);
		for (kind = store_kinds; kind < KINDS_END; kind++) {
			ASSERT_LT(0, mt_store_create(self->fd, kind->nr, 64, 16));
			ASSERT_EQ(0, mt_mask(self->fd, kind->nr, 7, 1));
		}

		close(self->fd);
		EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
		self->fd = mt_open();
		ASSERT_LE(0, self->fd);
		expect_all_clean(_metadata, self);
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
		create_everything(_metadata, self, 16);
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
	expect_all_clean(_metadata, self);
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
}

/* Bound to the driver anew, the device has been left as it should be, and works. */
static void expect_works(struct __test_metadata *_metadata, struct ims_data *self)
{
	expect_all_clean(_metadata, self);
	expect_no_breach(_metadata, self);
	reset_device(_metadata, self);
	create_everything(_metadata, self, 4);
	fire_everything(_metadata, self, 4, 0);
}

/* The driver is unbound while a test has everything set up. */
TEST_F_TIMEOUT(ims, unbind_while_open, MT_TEST_SECONDS)
{
	struct ims_testdev_info info;
	int old;

	create_everything(_metadata, self, 16);
	fire_everything(_metadata, self, 16, 0);

	EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	EXPECT_EQ(-ENOENT, mt_open());
	EXPECT_EQ(-ENODEV, mt_info(self->fd, &info));
	EXPECT_EQ(-ENODEV, mt_fire(self->fd, TABLE, 0));
	EXPECT_EQ(-ENODEV, mt_release(self->fd, TABLE, 0, 16));
	EXPECT_EQ(-ENODEV, mt_suspend(self->fd));
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
static void work_until_dead(struct ims_data *self, const unsigned int *id, int ready)
{
	const struct store_kind *kind;
	int ret = 0;

	do {
		for (kind = store_kinds; kind < KINDS_END; kind++) {
			const unsigned int nr = kind->nr;

			ret = ret ? ret : mt_alloc(self->fd, id[kind - store_kinds], 0, 8, NULL);
			ret = ret ? ret : mt_request(self->fd, nr, 0, 8);
			ret = ret ? ret : mt_fire_range(self->fd, nr, 0, 8);
		}
		for (kind = store_kinds; kind < KINDS_END; kind++) {
			const unsigned int nr = kind->nr;

			ret = ret ? ret : mt_settle(self->fd, nr);
			ret = ret ? ret : mt_mask(self->fd, nr, 2, 4);
			ret = ret ? ret : mt_fire_range(self->fd, nr, 0, 8);
			ret = ret ? ret : mt_unmask(self->fd, nr, 2, 4);
			ret = ret ? ret : mt_settle(self->fd, nr);
			ret = ret ? ret : mt_release(self->fd, nr, 0, 8);
			ret = ret ? ret : mt_free(self->fd, nr, 0, 8);
		}
		if (write(ready, "", 1) != 1)
			_exit(1);
	} while (!ret);

	_exit(ret == -ENODEV ? 0 : 2);
}

/* The driver is unbound in the middle of that. */
TEST_F_TIMEOUT(ims, unbind_while_busy, MT_TEST_SECONDS)
{
	unsigned int i, id[NR_KINDS];
	const struct store_kind *kind;
	int ready[2], status;
	pid_t child;
	char byte;

	for (i = 0; i < 3; i++) {
		for (kind = store_kinds; kind < KINDS_END; kind++)
			id[kind - store_kinds] = create_store(_metadata, self, kind->nr, 8);
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
		expect_all_clean(_metadata, self);
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
	const struct store_kind *kind;
	unsigned int i;
	int id;

	/* Of one, interrupts 0 to 3 are requested, 2 is masked and 3 waits; of one, none is. */
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		id = create_store(_metadata, self, kind->nr, 8);
		ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 6, NULL));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, kind->nr, 0, 4));
		fire_and_expect(_metadata, self, kind->nr, 0, 4, 0);
		ASSERT_EQ(0, mt_mask(self->fd, kind->nr, 2, 2));
		ASSERT_EQ(0, mt_fire(self->fd, kind->nr, 3));
		ASSERT_LT(0, mt_store_create(self->fd, kind->nr, 16, 4));
	}

	ASSERT_EQ(0, mt_forget(self->fd, IMS_TESTDEV_FORGET_ALL));
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, 0, 8, slots));
		for (i = 0; i < 4; i++)
			EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slots[i].state & IMS_TD_SLOT_HAS_MSG);
	}

	rebind_and_expect(_metadata, self);
	EXPECT_EQ(4 * NR_KINDS, kmsg_about(self, irqs, "was not freed by the driver"));
	EXPECT_EQ(2 * NR_KINDS, kmsg_about(self, stores, "was not removed by the driver"));
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
	const struct store_kind *kind;

	create_everything(_metadata, self, 8);
	for (kind = store_kinds; kind < KINDS_END; kind++)
		ASSERT_LT(0, mt_store_create(self->fd, kind->nr, 16, 4));
	ASSERT_EQ(0, mt_forget(self->fd, IMS_TESTDEV_FORGET_UNTIL_DEVRES));
	rebind_and_expect(_metadata, self);
	EXPECT_EQ(0, kmsg_about(self, kmsg, "by the driver"));
}

/* How many users a module has, or -ENOENT if it isn't one */
static int module_users(const char *name)
{
	char path[128], text[32];
	int ret;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	ret = mt_read_file(path, text, sizeof(text));
	return ret ? ret : atoi(text);
}

static int remove_module(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

/* The module that has the storage ops is in use while there is a store, and so is the driver. */
TEST_F_TIMEOUT(ims, module_in_use, MT_TEST_SECONDS)
{
	const int users = module_users("irq_ims_generic");
	const struct store_kind *kind;
	int more = users;

	if (users < 0 || module_users("ims_testdev") < 0)
		SKIP(return, "the driver is not a module");

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		create_full(_metadata, self, kind->nr, 2, NULL);
		EXPECT_EQ(++more, module_users("irq_ims_generic"));
		EXPECT_EQ(-EWOULDBLOCK, remove_module("irq_ims_generic"));
		EXPECT_EQ(-EWOULDBLOCK, remove_module("ims_testdev"));
		fire_and_expect(_metadata, self, kind->nr, 0, 2, 0);
	}
	close(self->fd);
	EXPECT_EQ(users, module_users("irq_ims_generic"));
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
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
	create_full(_metadata, self, TABLE, 4, NULL);
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
	create_full(_metadata, self, TABLE, 4, NULL);
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
	create_full(_metadata, self, TABLE, 4, NULL);
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
	create_full(_metadata, self, TABLE, 2, NULL);
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
