// SPDX-License-Identifier: GPL-2.0
/*
 * What changes while interrupts exist: cookies, stores that leave the device alone for a
 * while, slots that are written again one by one, bits that the device changes itself. And
 * batches at given indices, and of commands.
 *
 * Words:
 *
 *   quiet	of a store: the core does not access the device for it
 *   garbage	what a slot has that somebody else than the core has written
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ims_fixture.h"

#define NR	4

/* The address of a message that nobody sends */
#define GARBAGE	0xdead0000U

static bool has_pasid(const struct store_kind *kind)
{
	return kind->pasid || kind->nr == MEM;
}

/* A store whose cookies are PASIDs */
static unsigned int create_pasid(struct __test_metadata *_metadata, struct ims_data *self,
				 const struct store_kind *kind)
{
	unsigned int flags = IMS_TESTDEV_STORE_PASID;
	int id;

	if (kind->nr == MEM)
		flags |= IMS_TESTDEV_STORE_BASE;
	id = mt_store_create_flags(self->fd, kind->nr, 0, NR, flags);
	ASSERT_LT(0, id);
	return id;
}

/* With which PASID the last message of a slot was sent, IMS_TD_PASID_EN included */
static __u32 last_pasid(struct __test_metadata *_metadata, struct ims_data *self,
			unsigned int kind, unsigned int slot)
{
	__u32 pasid = 0;

	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_SEL_KIND, kind));
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_SEL_SLOT, slot));
	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_SLOT_PASID, &pasid));
	return pasid;
}

/* --- Cookies ------------------------------------------------------------------ */

/* The next event is sent with the new one, and so is what has waited for it. */
TEST_F_TIMEOUT(ims, cookie_changes, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	struct ims_testdev_map map;
	unsigned int i, id;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const __u32 held = IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING;
		const unsigned int nr = kind->nr;
		int cpu;

		id = create_pasid(_metadata, self, kind);
		ASSERT_EQ(0, mt_alloc_no_cookie(self->fd, id, 1, &map));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, nr, 1, 1));
		fire_and_expect(_metadata, self, nr, 1, 1, 0);
		EXPECT_EQ(0, last_pasid(_metadata, self, nr, 1));
		cpu = mt_effective_cpu(map.virq);

		for (i = 1; i < 20; i++) {
			ASSERT_EQ(0, mt_set_cookie(self->fd, nr, 1, 0xfffff / i));
			fire_and_expect(_metadata, self, nr, 1, 1, i);
			EXPECT_EQ(IMS_TD_PASID_EN | 0xfffff / i,
				  last_pasid(_metadata, self, nr, 1));
		}

		/* Masked it stays masked, and keeps what comes in. */
		ASSERT_EQ(0, mt_mask(self->fd, nr, 1, 1));
		ASSERT_EQ(0, mt_fire(self->fd, nr, 1));
		ASSERT_EQ(0, mt_set_cookie(self->fd, nr, 1, 0x12345));
		EXPECT_EQ(0, mt_wait_state(self->fd, nr, 1, held, held));
		expect_received(_metadata, self, nr, 1, 1, 20);
		ASSERT_EQ(0, mt_unmask(self->fd, nr, 1, 1));
		expect_arrival(_metadata, self, nr, 1, 1, 21);
		EXPECT_EQ(IMS_TD_PASID_EN | 0x12345, last_pasid(_metadata, self, nr, 1));

		/* Handler and affinity are the same, and so is the cookie of the next request. */
		EXPECT_EQ(cpu, mt_effective_cpu(map.virq));
		ASSERT_EQ(0, mt_release(self->fd, nr, 1, 1));
		ASSERT_EQ(0, mt_set_cookie(self->fd, nr, 1, 0x54321));
		ASSERT_EQ(0, mt_request(self->fd, nr, 1, 1));
		fire_and_expect(_metadata, self, nr, 1, 1, 0);
		EXPECT_EQ(IMS_TD_PASID_EN | 0x54321, last_pasid(_metadata, self, nr, 1));
		ASSERT_EQ(0, mt_set_no_cookie(self->fd, nr, 1));
		fire_and_expect(_metadata, self, nr, 1, 1, 1);
		EXPECT_EQ(0, last_pasid(_metadata, self, nr, 1));
		EXPECT_EQ(0, mt_settle(self->fd, nr));
	}
}

TEST_F_TIMEOUT(ims, cookie_errors, MT_TEST_SECONDS)
{
	struct ims_testdev_cookie bad = { .kind = TABLE, .slot = 1 };
	const struct store_kind *kind;
	unsigned int id;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		id = create_pasid(_metadata, self, kind);
		ASSERT_EQ(0, mt_alloc_cookie(self->fd, id, 1, 0x111, NULL));
		ASSERT_EQ(0, mt_request(self->fd, kind->nr, 1, 1));
		EXPECT_EQ(-EINVAL, mt_set_cookie(self->fd, kind->nr, 1, 0x100000));
		EXPECT_EQ(-ENOENT, mt_set_cookie(self->fd, kind->nr, 0, 1));
		fire_and_expect(_metadata, self, kind->nr, 1, 1, 0);
		EXPECT_EQ(IMS_TD_PASID_EN | 0x111, last_pasid(_metadata, self, kind->nr, 1));
	}
	bad.flags = 4;
	EXPECT_EQ(-EINVAL, mt_set_cookie_raw(self->fd, &bad));
	bad.flags = IMS_TESTDEV_COOKIE_NONE;
	bad.cookie = 1;
	EXPECT_EQ(-EINVAL, mt_set_cookie_raw(self->fd, &bad));
	EXPECT_EQ(-EINVAL, mt_store_create_flags(self->fd, MEM, NR, NR, IMS_TESTDEV_STORE_PASID));

	/* Those that have no use for one */
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		int other = mt_store_create(self->fd, kind->nr, NR, NR);

		ASSERT_LT(0, other);
		ASSERT_EQ(0, mt_alloc(self->fd, other, 0, 1, NULL));
		EXPECT_EQ(-EOPNOTSUPP, mt_set_cookie(self->fd, kind->nr, NR, 1));
	}
}

/* The device fails to take it: the old one stays, and the slot is open. */
TEST_F_TIMEOUT(ims, cookie_fails, MT_TEST_SECONDS)
{
	unsigned int id = create_pasid(_metadata, self, &store_kinds[NR_KINDS - 1]), i;

	self->bad_news = true;
	ASSERT_EQ(0, mt_alloc_cookie(self->fd, id, 1, 0x111, NULL));
	ASSERT_EQ(0, mt_request(self->fd, CMD, 1, 1));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_FAIL, i));
		EXPECT_EQ(i ? -EIO : 0, mt_set_cookie(self->fd, CMD, 1, i ? 0x222 : 0x111));
		EXPECT_EQ(0, mt_wait_state(self->fd, CMD, 1, IMS_TD_SLOT_MASKED, 0));
		ASSERT_EQ(0, mt_fire(self->fd, CMD, 1));
		expect_arrival(_metadata, self, CMD, 1, 1, i + 1);
		EXPECT_EQ(IMS_TD_PASID_EN | 0x111, last_pasid(_metadata, self, CMD, 1));
	}

	/* The command with the cookie itself */
	ASSERT_EQ(0, mt_mask(self->fd, CMD, 1, 1));
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_FAIL, 1));
	EXPECT_EQ(-EIO, mt_set_cookie(self->fd, CMD, 1, 0x222));
	ASSERT_EQ(0, mt_unmask(self->fd, CMD, 1, 1));
	ASSERT_EQ(0, mt_fire(self->fd, CMD, 1));
	expect_arrival(_metadata, self, CMD, 1, 1, i + 1);
	EXPECT_EQ(IMS_TD_PASID_EN | 0x111, last_pasid(_metadata, self, CMD, 1));
}

/* The registers of the device, to fire from another CPU without the driver */
static void *map_registers(struct __test_metadata *_metadata, struct ims_data *self)
{
	char path[128];
	void *regs;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d", self->info.name,
		 IMS_TD_BAR_REGS);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	regs = mmap(NULL, IMS_TD_REGS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return regs == MAP_FAILED ? NULL : regs;
}

struct doorbell {
	char		*reg;
	unsigned int	kind;
	unsigned int	slot;
	int		fd;
};

/* One event, which has to arrive before the next one: two in an APIC are one interrupt. */
static int ring(void *arg)
{
	struct ims_testdev_count before, now;
	struct doorbell *doorbell = arg;
	time_t end = 0;

	if (mt_counts(doorbell->fd, doorbell->kind, doorbell->slot, 1, NULL, &before))
		return 1;
	__atomic_store_n((__u32 *)doorbell->reg, doorbell->slot, __ATOMIC_SEQ_CST);
	do {
		if (mt_counts(doorbell->fd, doorbell->kind, doorbell->slot, 1, NULL, &now))
			return 1;
		if (now.received != before.received)
			return 0;
	} while (mt_wait_more(&end));
	return 1;
}

/* For slot 1 of a kind */
static void ring_start(struct __test_metadata *_metadata, struct ims_data *self,
		       struct background *bg, char *regs, unsigned int kind)
{
	struct doorbell doorbell = {
		.reg	= regs + IMS_TD_REG_FIRE_DB(kind),
		.kind	= kind,
		.slot	= 1,
		.fd	= dup(self->fd),
	};

	ASSERT_LE(0, doorbell.fd);
	background_start(_metadata, self, bg, ring, &doorbell);
	close(doorbell.fd);
}

/* Each event was sent and has arrived */
static void expect_all_sent(struct __test_metadata *_metadata, struct ims_data *self,
			    unsigned int kind)
{
	struct ims_testdev_stats stats;

	EXPECT_EQ(0, mt_settle(self->fd, kind));
	ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
	EXPECT_EQ(stats.sent, stats.received);
	EXPECT_EQ(stats.fired, stats.sent);
	EXPECT_EQ(0, stats.pending);
	EXPECT_LT(0, stats.sent);
}

/* While another CPU makes events: none is lost, and none is sent with the old one. */
TEST_F_TIMEOUT(ims, cookie_under_fire, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	char *regs;
	struct background bg;
	unsigned int i, id;

	regs = map_registers(_metadata, self);
	if (!regs)
		SKIP(return, "the registers can't be mapped");
	self->judged = true;
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		id = create_pasid(_metadata, self, kind);
		ASSERT_EQ(0, mt_alloc_no_cookie(self->fd, id, 1, NULL));
		ASSERT_EQ(0, mt_request(self->fd, kind->nr, 1, 1));
		ring_start(_metadata, self, &bg, regs, kind->nr);
		for (i = 0; i < (is_slow() ? 200 : 1000); i++)
			EXPECT_EQ(0, mt_set_cookie(self->fd, kind->nr, 1, i));
		background_stop(_metadata, &bg);
		expect_all_sent(_metadata, self, kind->nr);
		expect_no_breach(_metadata, self);
	}
}

/* --- Quiet ---------------------------------------------------------------------- */

/* Where a word of a slot is that a test can write to, and read from */
static unsigned int word_offset(const struct store_kind *kind, unsigned int slot)
{
	return kind->nr == TABLE ? slot * IMS_TD_SLOT_SIZE + IMS_TD_SLOT_DATA :
				   slot * IMS_TD_WIDE_SIZE + IMS_TD_WIDE_DATA;
}

static unsigned int bar_of(const struct store_kind *kind)
{
	return kind->nr == TABLE ? IMS_TD_BAR_TABLE : IMS_TD_BAR_WIDE;
}

/* Whatever is done to interrupts: the device has what it had until the store is resumed */
TEST_F_TIMEOUT(ims, quiet, MT_TEST_SECONDS)
{
	const int cpu = find_spare_cpu();
	const unsigned int nr_cpus = mt_nr_online();
	struct ims_testdev_slot before[NR], after[NR];
	const struct store_kind *kind;
	unsigned int i, id, round;
	__u32 done[2];

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const unsigned int nr = kind->nr;
		int spread = 0;

		id = create_store(_metadata, self, nr, NR + nr_cpus);
		ASSERT_EQ(0, mt_alloc(self->fd, id, 0, NR, NULL));
		spread = mt_alloc_spread(self->fd, id, nr_cpus, nr_cpus, 0, 0, NULL);
		ASSERT_EQ(nr_cpus, spread);
		ASSERT_EQ(0, mt_request_unlazy(self->fd, nr, 1, NR - 1 + spread));
		fire_and_expect(_metadata, self, nr, 1, NR - 1 + spread, 0);
		ASSERT_EQ(0, mt_mask(self->fd, nr, 2, 1));

		for (round = 0; round < 2; round++) {
			ASSERT_EQ(0, mt_store_suspend(self->fd, id));
			EXPECT_EQ(0, mt_store_suspend(self->fd, id));
			ASSERT_EQ(0, mt_slots(self->fd, nr, 0, NR, before));
			ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_CMD_DONE, &done[0]));

			ASSERT_EQ(0, mt_mask(self->fd, nr, 1, 1));
			ASSERT_EQ(0, mt_unmask(self->fd, nr, 2, 1));
			ASSERT_EQ(0, mt_request(self->fd, nr, 0, 1));
			ASSERT_EQ(0, mt_release(self->fd, nr, 3, 1));
			if (cpu > 0) {
				EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
				EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
			}
			EXPECT_EQ(0, mt_restore(self->fd, nr, 0, NR));
			ASSERT_EQ(0, mt_slots(self->fd, nr, 0, NR, after));
			ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_CMD_DONE, &done[1]));
			for (i = 0; i < NR; i++)
				EXPECT_EQ(0, memcmp(&before[i], &after[i], sizeof(before[i])));
			EXPECT_EQ(done[0], done[1]);

			ASSERT_EQ(0, mt_store_resume(self->fd, id));
			ASSERT_EQ(0, mt_slots(self->fd, nr, 0, NR, after));
			EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, after[0].state);
			EXPECT_EQ(IMS_TD_SLOT_HAS_MSG | IMS_TD_SLOT_MASKED, after[1].state);
			EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, after[2].state);
			EXPECT_EQ(IMS_TD_SLOT_MASKED, after[3].state & IMS_TD_SLOT_MASKED);
			fire_and_expect(_metadata, self, nr, 0, 1, 0);
			fire_and_expect(_metadata, self, nr, 2, 1, 1 + round);
			ASSERT_EQ(0, mt_fire(self->fd, nr, 1));
			ASSERT_EQ(0, mt_unmask(self->fd, nr, 1, 1));
			expect_arrival(_metadata, self, nr, 1, 1, 2 + round);

			ASSERT_EQ(0, mt_release(self->fd, nr, 0, 1));
			ASSERT_EQ(0, mt_request_unlazy(self->fd, nr, 3, 1));
			ASSERT_EQ(0, mt_mask(self->fd, nr, 2, 1));
		}
		ASSERT_EQ(0, mt_unmask(self->fd, nr, 2, 1));
	}
}

/* A quiet store of memory or of the device can't have new slots, one of commands can. */
TEST_F_TIMEOUT(ims, quiet_alloc, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	unsigned int id;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		id = create_store(_metadata, self, kind->nr, NR);
		ASSERT_EQ(0, mt_store_suspend(self->fd, id));
		EXPECT_EQ(kind->direct ? -EIO : 0, mt_alloc(self->fd, id, 0, 2, NULL));
		ASSERT_EQ(0, mt_store_resume(self->fd, id));
		if (kind->direct)
			ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
		ASSERT_EQ(0, mt_request(self->fd, kind->nr, 0, 2));
		fire_and_expect(_metadata, self, kind->nr, 0, 2, 0);
	}
	EXPECT_EQ(-ENODEV, mt_store_suspend(self->fd, 0));
	EXPECT_EQ(-ENODEV, mt_store_suspend(self->fd, 12345));
	EXPECT_EQ(-ENODEV, mt_store_resume(self->fd, 12345));
}

/* Events come in, and the interrupt is moved, while the store is quiet in turns. */
TEST_F_TIMEOUT(ims, quiet_under_fire, MT_TEST_SECONDS)
{
	struct ims_testdev_map maps[NR];
	const struct store_kind *kind;
	struct background bg, mover;
	struct target target;
	struct targets targets = { .target = &target, .count = 1 };
	char *regs;
	unsigned int i, id;

	regs = map_registers(_metadata, self);
	if (!regs)
		SKIP(return, "the registers can't be mapped");
	self->judged = true;
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		id = create_full(_metadata, self, kind->nr, NR, maps);
		target = (struct target){ .kind = kind->nr, .slot = 1, .virq = maps[1].virq };
		ring_start(_metadata, self, &bg, regs, kind->nr);
		background_start(_metadata, self, &mover, move_targets, &targets);
		for (i = 0; i < (is_slow() ? 100 : 500); i++) {
			EXPECT_EQ(0, mt_store_suspend(self->fd, id));
			ASSERT_EQ(0, mt_mask(self->fd, kind->nr, 1, 1));
			if (i % 2)
				ASSERT_EQ(0, mt_unmask(self->fd, kind->nr, 1, 1));
			EXPECT_EQ(0, mt_store_resume(self->fd, id));
			if (!(i % 2))
				ASSERT_EQ(0, mt_unmask(self->fd, kind->nr, 1, 1));
		}
		background_stop(_metadata, &mover);
		background_stop(_metadata, &bg);
		expect_all_sent(_metadata, self, kind->nr);
		expect_no_breach(_metadata, self);
	}
}

/* A reset by the core, and nobody but the core sees to the stores */
TEST_F_TIMEOUT(ims, unattended, MT_TEST_SECONDS)
{
	struct ims_testdev_slot slots[NR];
	const struct store_kind *kind;
	unsigned int i, round;
	int id;

	for (kind = store_kinds; kind < store_kinds + 2; kind++) {
		id = mt_store_create_flags(self->fd, kind->nr, 0, NR,
					   IMS_TESTDEV_STORE_UNATTENDED);
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_alloc(self->fd, id, 0, NR, NULL));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, kind->nr, 1, NR - 1));
		ASSERT_EQ(0, mt_mask(self->fd, kind->nr, 2, 1));
	}
	for (round = 0; round < 3; round++) {
		if (round < 2) {
			ASSERT_EQ(0, mt_function_reset(self->info.name));
		} else {
			ASSERT_EQ(0, mt_runtime_suspend(self->fd));
			ASSERT_EQ(0, mt_resume(self->fd));
		}
		for (kind = store_kinds; kind < store_kinds + 2; kind++) {
			ASSERT_EQ(0, mt_slots(self->fd, kind->nr, 0, NR, slots));
			EXPECT_EQ(IMS_TD_SLOT_MASKED, slots[0].state);
			EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slots[1].state);
			EXPECT_EQ(IMS_TD_SLOT_HAS_MSG | IMS_TD_SLOT_MASKED, slots[2].state);
			for (i = 1; i < NR; i += 2)
				fire_and_expect(_metadata, self, kind->nr, i, 1, round);
		}
	}
	EXPECT_EQ(-EINVAL, mt_store_create_flags(self->fd, MEM, 0, NR,
						 IMS_TESTDEV_STORE_UNATTENDED));
	EXPECT_EQ(-EINVAL, mt_store_create_flags(self->fd, CMD, 0, NR,
						 IMS_TESTDEV_STORE_UNATTENDED));
}

/* --- One slot -------------------------------------------------------------------- */

TEST_F_TIMEOUT(ims, restore_one, MT_TEST_SECONDS)
{
	struct ims_testdev_slot before[NR], after[NR];
	const struct store_kind *kind;
	unsigned int i;
	__u64 word;

	/* Garbage in the slots of a table, which are masked so that it is no breach */
	for (kind = store_kinds; kind < store_kinds + 2; kind++) {
		create_full(_metadata, self, kind->nr, NR, NULL);
		ASSERT_EQ(0, mt_mask(self->fd, kind->nr, 0, NR));
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, 0, NR, before));
		for (i = 0; i < NR; i++)
			ASSERT_EQ(0, mt_raw_write(self->fd, bar_of(kind), word_offset(kind, i), 4,
						  GARBAGE));

		ASSERT_EQ(0, mt_restore(self->fd, kind->nr, 1, 2));
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, 0, NR, after));
		for (i = 0; i < NR; i++) {
			bool same = !memcmp(&before[i], &after[i], sizeof(before[i]));

			EXPECT_EQ(i == 1 || i == 2, same);
			ASSERT_EQ(0, mt_raw_read(self->fd, bar_of(kind), word_offset(kind, i), 4,
						 &word));
			EXPECT_EQ(i == 1 || i == 2, word != GARBAGE);
		}
		ASSERT_EQ(0, mt_restore(self->fd, kind->nr, 0, NR));
		ASSERT_EQ(0, mt_unmask(self->fd, kind->nr, 0, NR));
		fire_and_expect(_metadata, self, kind->nr, 0, NR, 0);
	}

	/* Where the driver tells the device: one notification, or one command for each */
	for (; kind < KINDS_END; kind++) {
		__u32 done[2];

		create_full(_metadata, self, kind->nr, NR, NULL);
		ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_CMD_DONE, &done[0]));
		ASSERT_EQ(0, mt_restore(self->fd, kind->nr, 1, 2));
		ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_CMD_DONE, &done[1]));
		EXPECT_EQ(kind->nr == CMD ? 2 : 0, done[1] - done[0]);
		fire_and_expect(_metadata, self, kind->nr, 0, NR, 0);
	}

	EXPECT_EQ(-ENOENT, mt_restore(self->fd, TABLE, NR, 1));
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 1));
	EXPECT_EQ(-EINVAL, mt_restore(self->fd, MSIX, 0, 1));
}

/* --- Bits that the device changes --------------------------------------------------- */

/* How a layout says what PENDING is, with which mode of the device */
static int create_volatile(struct ims_data *self, unsigned int mode, bool right)
{
	struct ims_testdev_store store = table_layout;

	store.kind = TABLE;
	if (right) {
		store.pending = IMS_TD_SLOT_CTRL_PENDING;
		if (mode == IMS_TD_TABLE_W1C)
			store.w1c = IMS_TD_SLOT_CTRL_PENDING;
		else
			store.live = IMS_TD_SLOT_CTRL_PENDING;
	}
	return mt_store_create_raw(self->fd, &store);
}

TEST_F_TIMEOUT(ims, volatile_bits, MT_TEST_SECONDS)
{
	const __u32 held = IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING;
	unsigned int mode, i;
	int id;

	for (mode = IMS_TD_TABLE_W1C; mode <= IMS_TD_TABLE_RW; mode++) {
		ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_TABLE_MODE, mode));
		id = create_volatile(self, mode, true);
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_alloc(self->fd, id, 1, 1, NULL));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 1, 1));
		for (i = 0; i < 100; i++) {
			ASSERT_EQ(0, mt_mask(self->fd, TABLE, 1, 1));
			ASSERT_EQ(0, mt_fire(self->fd, TABLE, 1));
			/* Whatever is written to a slot that is masked */
			ASSERT_EQ(0, mt_restore(self->fd, TABLE, 1, 1));
			EXPECT_EQ(0, mt_wait_state(self->fd, TABLE, 1, held, held));
			ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 1, 1));
			expect_arrival(_metadata, self, TABLE, 1, 1, i + 1);
		}
		ASSERT_EQ(0, mt_release(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_free(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
	}
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_TABLE_MODE, IMS_TD_TABLE_RO));
}

/* Without a word in the layout, events are lost: what the test above would see. */
TEST_F_TIMEOUT(ims, volatile_bits_unnamed, MT_TEST_SECONDS)
{
	struct ims_testdev_stats stats;
	unsigned int mode;
	int id;

	self->judged = true;
	for (mode = IMS_TD_TABLE_W1C; mode <= IMS_TD_TABLE_RW; mode++) {
		ASSERT_EQ(0, mt_reset(self->fd));
		ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_TABLE_MODE, mode));
		/* Seen when the slot is allocated, and then written back for ever */
		if (mode == IMS_TD_TABLE_W1C)
			ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, 1));
		id = create_volatile(self, mode, false);
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_alloc(self->fd, id, 1, 1, NULL));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_mask(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_fire(self->fd, TABLE, 1));
		ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_stats(self->fd, TABLE, &stats));
		EXPECT_EQ(0, stats.pending);
		EXPECT_EQ(0, stats.sent);
		EXPECT_EQ(1, stats.lost);
		ASSERT_EQ(0, mt_release(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
	}
	ASSERT_EQ(0, mt_reset(self->fd));
}

/* An event that is pending when its slot is freed is nothing for the next owner. */
TEST_F_TIMEOUT(ims, pending_at_free, MT_TEST_SECONDS)
{
	unsigned int mode;
	int id;

	self->judged = true;
	for (mode = IMS_TD_TABLE_W1C; mode <= IMS_TD_TABLE_RW; mode++) {
		ASSERT_EQ(0, mt_reset(self->fd));
		ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_TABLE_MODE, mode));
		id = create_volatile(self, mode, true);
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_alloc(self->fd, id, 1, 1, NULL));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_mask(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_fire(self->fd, TABLE, 1));
		ASSERT_EQ(0, mt_release(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_free(self->fd, TABLE, 1, 1));
		EXPECT_EQ(0, mt_wait_state(self->fd, TABLE, 1, IMS_TD_SLOT_PENDING,
					   IMS_TD_SLOT_PENDING));

		ASSERT_EQ(0, mt_alloc(self->fd, id, 1, 1, NULL));
		EXPECT_EQ(0, mt_wait_state(self->fd, TABLE, 1, IMS_TD_SLOT_PENDING, 0));
		ASSERT_EQ(0, mt_request(self->fd, TABLE, 1, 1));
		fire_and_expect(_metadata, self, TABLE, 1, 1, 0);
		ASSERT_EQ(0, mt_release(self->fd, TABLE, 1, 1));
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
		expect_no_breach(_metadata, self);
	}
	ASSERT_EQ(0, mt_reset(self->fd));
}

/* --- Batches ---------------------------------------------------------------------- */

/* Slot n serves queue n, which serves these CPUs */
TEST_F_TIMEOUT(ims, batch_at, MT_TEST_SECONDS)
{
	const unsigned int nr = mt_nr_online();
	struct ims_testdev_map maps[MAX_CPUS];
	const struct store_kind *kind;
	unsigned int i, id;
	char list[64];

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		__u64 cpus, all = 0;

		if (kind->nr == MEM)
			id = mt_store_create_flags(self->fd, MEM, 0, nr + 4,
						   IMS_TESTDEV_STORE_BASE);
		else
			id = create_store(_metadata, self, kind->nr, nr + 4);
		ASSERT_EQ(0, mt_alloc(self->fd, id, 1, 1, NULL));
		EXPECT_EQ(-EBUSY, mt_alloc_at(self->fd, id, 0, 2, 2, true, NULL));
		EXPECT_EQ(-EBUSY, mt_alloc_at(self->fd, id, 0, 1, 2, false, NULL));
		EXPECT_EQ(-ERANGE, mt_alloc_at(self->fd, id, 5, nr, nr, true, NULL));
		EXPECT_EQ(-ERANGE, mt_alloc_at(self->fd, id, nr + 4, 1, 1, false, NULL));
		ASSERT_EQ(nr, mt_alloc_at(self->fd, id, 3, nr, nr, true, maps));
		ASSERT_EQ(0, mt_request(self->fd, kind->nr, 3, nr));
		for (i = 0; i < nr; i++) {
			EXPECT_EQ(3 + i, maps[i].index);
			ASSERT_EQ(0, mt_store_affinity(self->fd, id, 3 + i, &cpus));
			EXPECT_NE(0, cpus);
			EXPECT_EQ(0, cpus & all);
			all |= cpus;
			ASSERT_EQ(0, mt_affinity_list(maps[i].virq, list, sizeof(list)));
			if (!(cpus & (cpus - 1)))
				EXPECT_EQ(__builtin_ctzll(cpus), atoi(list));
		}
		EXPECT_EQ(online_cpus(), all & online_cpus());
		ASSERT_EQ(0, mt_store_affinity(self->fd, id, 1, &cpus));
		EXPECT_EQ(0, cpus);
		ASSERT_EQ(0, mt_store_affinity(self->fd, id, 0, &cpus));
		EXPECT_EQ(0, cpus);
		fire_and_expect(_metadata, self, kind->nr, 3, nr, 0);
		/* Fewer, if there are no more slots */
		ASSERT_EQ(1, mt_alloc_at(self->fd, id, nr + 3, 1, 9, false, maps));
		EXPECT_EQ(nr + 3, maps[0].index);
	}
}

static __u64 trips(struct __test_metadata *_metadata, struct ims_data *self)
{
	struct ims_testdev_stats stats;

	ASSERT_EQ(0, mt_stats(self->fd, CMD, &stats));
	return stats.trips;
}

/* How often a batch waits for the device, with so many commands at once */
TEST_F_TIMEOUT(ims, commands_at_once, MT_TEST_SECONDS)
{
	static const unsigned int depths[] = { 0, 1, 2, 16, 32 };
	enum { BATCH = 256 };
	struct ims_testdev_map maps[BATCH];
	__u32 slots[BATCH];
	unsigned int i, d;
	__u64 before;

	for (d = 0; d < ARRAY_SIZE(depths); d++) {
		struct ims_testdev_store store = {
			.kind = CMD, .nr_slots = BATCH, .depth = depths[d],
		};
		const unsigned int depth = depths[d] ? depths[d] : 1;
		int id = mt_store_create_raw(self->fd, &store);

		ASSERT_LT(0, id);
		before = trips(_metadata, self);
		ASSERT_EQ(BATCH, mt_alloc_batch(self->fd, id, BATCH, BATCH, NULL, maps));
		EXPECT_EQ(BATCH / depth, trips(_metadata, self) - before);

		for (i = 0; i < BATCH; i++)
			slots[i] = maps[i].slot;
		before = trips(_metadata, self);
		ASSERT_EQ(0, mt_free_batch(self->fd, CMD, slots, BATCH));
		EXPECT_EQ(BATCH / depth, trips(_metadata, self) - before);

		ASSERT_EQ(BATCH, mt_alloc_batch(self->fd, id, BATCH, BATCH, NULL, maps));
		ASSERT_EQ(0, mt_request(self->fd, CMD, 0, BATCH));
		fire_and_expect(_metadata, self, CMD, 0, BATCH, 0);
		ASSERT_EQ(0, mt_store_suspend(self->fd, id));
		before = trips(_metadata, self);
		ASSERT_EQ(0, mt_store_resume(self->fd, id));
		EXPECT_EQ(BATCH / depth, trips(_metadata, self) - before);
		fire_and_expect(_metadata, self, CMD, 0, BATCH, 1);
		ASSERT_EQ(0, mt_release(self->fd, CMD, 0, BATCH));
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
	}
}

/* One of them fails: that of its own slot, and the others are carried out */
TEST_F_TIMEOUT(ims, commands_at_once_fail, MT_TEST_SECONDS)
{
	struct ims_testdev_store store = { .kind = CMD, .nr_slots = 8, .depth = 4 };
	int id = mt_store_create_raw(self->fd, &store);

	ASSERT_LT(0, id);
	self->bad_news = true;
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_FAIL, 1));
	EXPECT_EQ(-EIO, mt_alloc_batch(self->fd, id, 1, 8, NULL, NULL));
	expect_clean(_metadata, self, &store_kinds[NR_KINDS - 1]);
	ASSERT_EQ(8, mt_alloc_batch(self->fd, id, 8, 8, NULL, NULL));
	ASSERT_EQ(0, mt_request(self->fd, CMD, 0, 8));

	ASSERT_EQ(0, mt_store_suspend(self->fd, id));
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_FAIL, 1));
	EXPECT_EQ(-EIO, mt_store_resume(self->fd, id));
	fire_and_expect(_metadata, self, CMD, 0, 8, 0);

	/* One that hangs takes those behind it along, and all are told again. */
	ASSERT_EQ(0, mt_store_suspend(self->fd, id));
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_HANG, 1));
	EXPECT_EQ(-ETIMEDOUT, mt_store_resume(self->fd, id));
	fire_and_expect(_metadata, self, CMD, 0, 8, 1);
}

int main(int argc, char **argv)
{
	mt_gate(MT_WANT_STORES);
	return test_harness_run(argc, argv);
}
