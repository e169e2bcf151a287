// SPDX-License-Identifier: GPL-2.0
/*
 * A device that forgets: by a function level reset, in D3 and while the system is
 * suspended. And one that is slow, or fails to do what it is told.
 *
 * Words:
 *
 *   away	from SUSPEND to RESUME the device is in D3hot
 *   lose	an occasion on which the device forgets its slots
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ims_fixture.h"

#define NR	8

/*
 * What is done with the interrupts of each kind before the device forgets them. The
 * numbers are slots. The ones from BUSY on are requested and open.
 */
enum { ALLOCATED, RELEASED, MASKED, WAITING, LAZY, BUSY };

/* All of that for each kind of store, and MSI-X with handlers for all vectors */
static void set_up(struct __test_metadata *_metadata, struct ims_data *self,
		   struct ims_testdev_map maps[NR_KINDS][NR])
{
	const struct store_kind *kind;
	unsigned int id;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const unsigned int nr = kind->nr;

		id = create_store(_metadata, self, nr, NR);
		ASSERT_EQ(0, mt_alloc(self->fd, id, 0, NR, maps ? maps[kind - store_kinds] : NULL));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, nr, RELEASED, NR - RELEASED));
		ASSERT_EQ(0, mt_release(self->fd, nr, LAZY, 1));
		ASSERT_EQ(0, mt_request(self->fd, nr, LAZY, 1));
		fire_and_expect(_metadata, self, nr, RELEASED, NR - RELEASED, 0);
		ASSERT_EQ(0, mt_release(self->fd, nr, RELEASED, 1));
		ASSERT_EQ(0, mt_mask(self->fd, nr, MASKED, LAZY - MASKED + 1));
		ASSERT_EQ(0, mt_fire(self->fd, nr, WAITING));
	}
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, NR));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSIX, 0, NR));
	fire_and_expect(_metadata, self, MSIX, 0, NR, 0);
}

/* What is in the device, in between and afterwards */
static void expect_states(struct __test_metadata *_metadata, struct ims_data *self)
{
	const __u32 both = IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG;
	struct ims_testdev_slot slots[NR];
	const struct store_kind *kind;
	unsigned int i;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		ASSERT_EQ(0, mt_slots(self->fd, kind->nr, 0, NR, slots));
		EXPECT_EQ(IMS_TD_SLOT_MASKED, slots[ALLOCATED].state & IMS_TD_SLOT_MASKED);
		EXPECT_EQ(IMS_TD_SLOT_MASKED, slots[RELEASED].state & IMS_TD_SLOT_MASKED);
		EXPECT_EQ(both, slots[MASKED].state & both);
		EXPECT_EQ(both, slots[WAITING].state & both);
		for (i = LAZY; i < NR; i++)
			EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slots[i].state & both);
	}
}

/*
 * What has come of it: the one that was waiting is forgotten, and everything works.
 * One more has been received of the ones from BUSY on, and of MSI-X.
 */
static void expect_restored(struct __test_metadata *_metadata, struct ims_data *self)
{
	struct ims_testdev_stats stats;
	const struct store_kind *kind;

	expect_states(_metadata, self);
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const unsigned int nr = kind->nr;

		ASSERT_EQ(0, mt_stats(self->fd, nr, &stats));
		EXPECT_EQ(1, stats.forgotten);
		EXPECT_EQ(0, stats.pending);
		EXPECT_EQ(0, stats.lost);
		expect_received(_metadata, self, nr, MASKED, LAZY - MASKED + 1, 1);
		ASSERT_EQ(0, mt_unmask(self->fd, nr, MASKED, LAZY - MASKED + 1));
		ASSERT_EQ(0, mt_request(self->fd, nr, 0, MASKED));
		fire_and_expect(_metadata, self, nr, 0, MASKED, 0);
		fire_and_expect(_metadata, self, nr, MASKED, NR - MASKED, 1);
	}
	fire_and_expect(_metadata, self, MSIX, 0, NR, 1);
}

/*
 * Function level reset
 */

TEST_F_TIMEOUT(ims, flr, MT_TEST_SECONDS)
{
	set_up(_metadata, self, NULL);
	expect_states(_metadata, self);
	EXPECT_EQ(0, mt_function_reset(self->info.name));
	expect_restored(_metadata, self);
}

/* Again and again, with nothing in between or with everything */
TEST_F_TIMEOUT(ims, flr_again, MT_TEST_SECONDS)
{
	unsigned int i;

	create_everything(_metadata, self, NR);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, mt_function_reset(self->info.name));
	for (i = 0; i < 3; i++) {
		fire_everything(_metadata, self, NR, i);
		EXPECT_EQ(0, mt_function_reset(self->info.name));
	}
	fire_everything(_metadata, self, NR, i);
}

/* Nothing set up, stores without interrupts, and MSI */
TEST_F_TIMEOUT(ims, flr_empty, MT_TEST_SECONDS)
{
	const struct store_kind *kind;

	EXPECT_EQ(0, mt_function_reset(self->info.name));
	expect_all_clean(_metadata, self);
	for (kind = store_kinds; kind < KINDS_END; kind++)
		create_store(_metadata, self, kind->nr, NR);
	EXPECT_EQ(0, mt_function_reset(self->info.name));
	expect_all_clean(_metadata, self);

	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSI, 4));
	ASSERT_EQ(0, mt_request(self->fd, MSI, 0, 4));
	fire_and_expect(_metadata, self, MSI, 0, 4, 0);
	EXPECT_EQ(0, mt_function_reset(self->info.name));
	fire_and_expect(_metadata, self, MSI, 0, 4, 1);
}

/* What a background process has done, for the test to see */
struct shared {
	const char	*name;
	atomic_uint	done;
};

static struct shared *share(struct __test_metadata *_metadata, struct ims_data *self)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)shared);
	shared->name = self->info.name;
	shared->done = 0;
	return shared;
}

static int reset_step(void *arg)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct shared *shared = arg;
	int ret;

	ret = mt_function_reset(shared->name);
	shared->done++;
	nanosleep(&pause, NULL);
	return ret;
}

/*
 * A round of everything on each kind at once. An interrupt that waits when the device
 * is reset never arrives, and isn't expected then.
 */
static void work(struct __test_metadata *_metadata, struct ims_data *self,
		 const unsigned int id[NR_KINDS])
{
	const struct store_kind *kind;
	struct ims_testdev_counts sum;
	time_t end = 0;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		EXPECT_EQ(0, mt_mask(self->fd, kind->nr, 0, 2));
		EXPECT_EQ(0, mt_fire_range(self->fd, kind->nr, 0, NR));
		EXPECT_EQ(0, mt_unmask(self->fd, kind->nr, 0, 2));
	}
	EXPECT_EQ(0, mt_fire_range(self->fd, MSIX, 0, NR));
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		EXPECT_EQ(0, mt_settle(self->fd, kind->nr));
		do {
			ASSERT_EQ(0, mt_counts(self->fd, kind->nr, 0, NR, &sum, NULL));
		} while (sum.lost && mt_wait_more(&end));
		EXPECT_EQ(0, sum.lost);
		EXPECT_EQ(0, sum.spurious);

		EXPECT_EQ(0, mt_release(self->fd, kind->nr, NR - 2, 2));
		EXPECT_EQ(0, mt_free(self->fd, kind->nr, NR - 2, 2));
		EXPECT_EQ(2, mt_alloc_batch(self->fd, id[kind - store_kinds], 2, 2, NULL, NULL));
		EXPECT_EQ(0, mt_request_unlazy(self->fd, kind->nr, NR - 2, 2));
	}
	EXPECT_EQ(0, mt_settle(self->fd, MSIX));
}

TEST_F_TIMEOUT(ims, flr_under_load, MT_TEST_SECONDS)
{
	struct shared *shared = share(_metadata, self);
	const unsigned int want = is_slow() ? 4 : 8;
	struct background resetter;
	const struct store_kind *kind;
	unsigned int id[NR_KINDS];
	time_t end = 0;

	for (kind = store_kinds; kind < KINDS_END; kind++)
		id[kind - store_kinds] = create_full(_metadata, self, kind->nr, NR, NULL);
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, NR));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 0, NR));

	background_start(_metadata, self, &resetter, reset_step, shared);
	do {
		work(_metadata, self, id);
	} while (_metadata->passed && shared->done < want && mt_wait_more(&end));
	EXPECT_LE(want, shared->done);
	background_stop(_metadata, &resetter);
	work(_metadata, self, id);
}

/*
 * D3
 */

TEST_F_TIMEOUT(ims, d3, MT_TEST_SECONDS)
{
	set_up(_metadata, self, NULL);
	ASSERT_EQ(0, mt_suspend(self->fd));
	ASSERT_EQ(0, mt_resume(self->fd));
	expect_restored(_metadata, self);
}

TEST_F_TIMEOUT(ims, d3_again, MT_TEST_SECONDS)
{
	unsigned int i;

	create_everything(_metadata, self, NR);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, mt_suspend(self->fd));
		ASSERT_EQ(0, mt_resume(self->fd));
		fire_everything(_metadata, self, NR, i);
	}
}

/* The PCI core does it, and restores the device before the driver knows */
TEST_F_TIMEOUT(ims, d3_runtime, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	unsigned int i;

	set_up(_metadata, self, NULL);
	ASSERT_EQ(0, mt_runtime_suspend(self->fd));
	EXPECT_EQ(-EBUSY, mt_runtime_suspend(self->fd));
	EXPECT_EQ(-EBUSY, mt_suspend(self->fd));
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		EXPECT_EQ(0, mt_mask(self->fd, kind->nr, BUSY, 1));
		EXPECT_EQ(0, mt_unmask(self->fd, kind->nr, BUSY, 1));
	}
	ASSERT_EQ(0, mt_resume(self->fd));
	expect_restored(_metadata, self);

	for (i = 2; i < 5; i++) {
		ASSERT_EQ(0, mt_runtime_suspend(self->fd));
		ASSERT_EQ(0, mt_resume(self->fd));
		for (kind = store_kinds; kind < KINDS_END; kind++)
			fire_and_expect(_metadata, self, kind->nr, MASKED, NR - MASKED, i);
		fire_and_expect(_metadata, self, MSIX, 0, NR, i);
	}
}

/*
 * Handlers, masks and affinity change meanwhile. The device gets to know afterwards. Not
 * so with MSI-X, where the kernel would access the device.
 */
TEST_F_TIMEOUT(ims, d3_changes, MT_TEST_SECONDS)
{
	const int cpu = find_spare_cpu();
	struct ims_testdev_map maps[NR_KINDS][NR];
	const struct store_kind *kind;
	char line[512];

	ASSERT_LT(0, cpu);
	set_up(_metadata, self, maps);
	ASSERT_EQ(0, mt_suspend(self->fd));
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const unsigned int nr = kind->nr;

		EXPECT_EQ(0, mt_request_unlazy(self->fd, nr, ALLOCATED, 1));
		EXPECT_EQ(0, mt_free(self->fd, nr, RELEASED, 1));
		EXPECT_EQ(0, mt_unmask(self->fd, nr, MASKED, LAZY - MASKED + 1));
		EXPECT_EQ(0, mt_mask(self->fd, nr, BUSY, 1));
		EXPECT_EQ(0, mt_release(self->fd, nr, BUSY + 1, 1));
		EXPECT_EQ(0, mt_set_affinity(maps[kind - store_kinds][BUSY + 2].virq, cpu));
	}
	ASSERT_EQ(0, mt_resume(self->fd));

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const __u32 both = IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG;
		const struct ims_testdev_map *map = &maps[kind - store_kinds][0];
		const unsigned int nr = kind->nr;
		struct ims_testdev_slot slots[NR];

		ASSERT_EQ(0, mt_slots(self->fd, nr, 0, NR, slots));
		EXPECT_EQ(IMS_TD_SLOT_MASKED, slots[RELEASED].state);
		EXPECT_EQ(IMS_TD_SLOT_HAS_MSG, slots[MASKED].state & both);
		EXPECT_EQ(both, slots[BUSY].state & both);
		EXPECT_EQ(IMS_TD_SLOT_MASKED, slots[BUSY + 1].state & IMS_TD_SLOT_MASKED);
		EXPECT_EQ(-ENOENT, mt_proc_interrupts(map[RELEASED].virq, line, sizeof(line)));

		fire_and_expect(_metadata, self, nr, ALLOCATED, 1, 0);
		fire_and_expect(_metadata, self, nr, MASKED, LAZY - MASKED + 1, 1);
		EXPECT_EQ(cpu, mt_effective_cpu(map[BUSY + 2].virq));
		fire_and_expect(_metadata, self, nr, BUSY + 2, 1, 1);
		ASSERT_EQ(0, mt_fire(self->fd, nr, BUSY));
		expect_received(_metadata, self, nr, BUSY, 1, 1);
		ASSERT_EQ(0, mt_unmask(self->fd, nr, BUSY, 1));
		EXPECT_EQ(0, mt_settle(self->fd, nr));
		expect_received(_metadata, self, nr, BUSY, 1, 2);
	}
	fire_and_expect(_metadata, self, MSIX, 0, NR, 1);
}

/* A CPU goes offline with interrupts that can't be changed in the device now. */
TEST_F_TIMEOUT(ims, d3_cpu_offline, MT_TEST_SECONDS)
{
	const unsigned int nr = mt_nr_online();
	const int cpu = find_spare_cpu();
	const struct store_kind *kind;
	unsigned int id;

	ASSERT_LT(0, cpu);
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		id = create_store(_metadata, self, kind->nr, nr);
		ASSERT_EQ(nr, mt_alloc_spread(self->fd, id, nr, nr, 0, 0, NULL));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, kind->nr, 0, nr));
		fire_and_expect(_metadata, self, kind->nr, 0, nr, 0);
	}
	ASSERT_EQ(0, mt_suspend(self->fd));
	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	ASSERT_EQ(0, mt_resume(self->fd));

	/* Those that the kernel manages wait for their CPU. */
	for (kind = store_kinds; kind < KINDS_END; kind++)
		ASSERT_EQ(0, mt_fire_range(self->fd, kind->nr, 0, nr));
	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		expect_arrival(_metadata, self, kind->nr, 0, nr, 2);
		fire_and_expect(_metadata, self, kind->nr, 0, nr, 2);
	}
}

/* Interrupts come while the device is away, if nothing has to be asked of it for that. */
TEST_F_TIMEOUT(ims, d3_alloc, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	unsigned int id[NR_KINDS];
	bool there[NR_KINDS];
	int ret;

	for (kind = store_kinds; kind < KINDS_END; kind++)
		id[kind - store_kinds] = create_store(_metadata, self, kind->nr, 4);
	ASSERT_EQ(0, mt_suspend(self->fd));
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const unsigned int k = kind - store_kinds;

		ret = mt_alloc(self->fd, id[k], 0, 2, NULL);
		there[k] = !ret;
		EXPECT_TRUE(there[k] || ret == -EIO)
			TH_LOG("%s: %s", kind->name, strerror(-ret));
		if (there[k])
			EXPECT_EQ(0, mt_request(self->fd, kind->nr, 0, 2));
	}
	/* What is there in the device itself can be told by it alone. */
	EXPECT_FALSE(there[0]);
	EXPECT_TRUE(there[NR_KINDS - 1]);
	ASSERT_EQ(0, mt_resume(self->fd));

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		if (there[kind - store_kinds]) {
			fire_and_expect(_metadata, self, kind->nr, 0, 2, 0);
			continue;
		}
		expect_clean(_metadata, self, kind);
		ASSERT_EQ(0, mt_alloc(self->fd, id[kind - store_kinds], 0, 2, NULL));
		ASSERT_EQ(0, mt_request(self->fd, kind->nr, 0, 2));
		fire_and_expect(_metadata, self, kind->nr, 0, 2, 0);
	}
}

/* What asks the device waits for it to come back, and the judge sees who doesn't. */
TEST_F_TIMEOUT(ims, d3_calls, MT_TEST_SECONDS)
{
	struct ims_testdev_breaches breaches;
	struct ims_testdev_slot slot;
	struct ims_testdev_stats stats;
	__u32 value;

	self->judged = true;
	EXPECT_EQ(-EINVAL, mt_resume(self->fd));
	create_full(_metadata, self, TABLE, 2, NULL);
	ASSERT_EQ(0, mt_suspend(self->fd));
	EXPECT_EQ(-EBUSY, mt_suspend(self->fd));
	EXPECT_EQ(-EBUSY, mt_fire(self->fd, TABLE, 0));
	EXPECT_EQ(-EBUSY, mt_stats(self->fd, TABLE, &stats));
	EXPECT_EQ(-EBUSY, mt_slots(self->fd, TABLE, 0, 1, &slot));
	EXPECT_EQ(-EBUSY, mt_breaches(self->fd, &breaches, false));
	EXPECT_EQ(-EBUSY, mt_reset(self->fd));
	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_ID, &value));
	EXPECT_EQ(0xffffffff, value);
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_FIRE_DB(TABLE), 0));
	ASSERT_EQ(0, mt_resume(self->fd));
	EXPECT_EQ(-EINVAL, mt_resume(self->fd));

	expect_received(_metadata, self, TABLE, 0, 2, 0);
	ASSERT_EQ(0, mt_breaches(self->fd, &breaches, true));
	EXPECT_EQ(2, breaches.count);
	EXPECT_EQ(2, breaches.by_code[IMS_TD_BREACH_POWER]);
	fire_and_expect(_metadata, self, TABLE, 0, 2, 0);
	expect_no_breach(_metadata, self);
}

/* The file is closed, and the driver unbound, while the device is away. */
TEST_F_TIMEOUT(ims, d3_sudden_end, MT_TEST_SECONDS)
{
	int old;

	create_everything(_metadata, self, NR);
	fire_everything(_metadata, self, NR, 0);
	ASSERT_EQ(0, mt_suspend(self->fd));
	close(self->fd);
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	expect_all_clean(_metadata, self);
	expect_no_breach(_metadata, self);

	create_everything(_metadata, self, NR);
	fire_everything(_metadata, self, NR, 0);
	ASSERT_EQ(0, mt_suspend(self->fd));
	EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	ASSERT_EQ(0, mt_write_file(bind, self->info.name));
	old = self->fd;
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	close(old);
	expect_all_clean(_metadata, self);
	expect_no_breach(_metadata, self);
	reset_device(_metadata, self);
	create_everything(_metadata, self, NR);
	fire_everything(_metadata, self, NR, 0);
}

/*
 * Suspend of the system
 */

static const char power_state[] = "/sys/power/state";
static const char pm_test[] = "/sys/power/pm_test";
static const char wake_alarm[] = "/sys/class/rtc/rtc0/wakealarm";

/* How far a test of suspend can go. There are no CPUs off in suspend to idle. */
static const char *test_level(void)
{
	char text[64];
	int ret = mt_read_file("/sys/power/mem_sleep", text, sizeof(text));

	return !ret && strstr(text, "deep") ? "core" : "platform";
}

/* How often the system was suspended */
static int suspended(void)
{
	char text[32];
	int ret = mt_read_file("/sys/power/suspend_stats/success", text, sizeof(text));

	return ret ? ret : atoi(text);
}

/* Once, and then nothing more */
static int suspend_step(void *arg)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct shared *shared = arg;
	int ret = 0;

	if (!shared->done)
		ret = mt_write_file(power_state, "mem");
	shared->done = 1;
	nanosleep(&pause, NULL);
	return ret;
}

/*
 * Suspend, with interrupts under way. The device has been reset when it comes back if
 * @reset, and then the counters that it has are new while the handlers' go on. So
 * only handlers can say whether all has arrived.
 */
static void suspend_under_load(struct __test_metadata *_metadata, struct ims_data *self,
			       bool reset)
{
	struct shared *shared = share(_metadata, self);
	const int before = suspended();
	const struct store_kind *kind;
	struct ims_testdev_stats stats;
	struct background suspender;
	unsigned int fired;
	time_t end = 0;

	self->judged = true;
	ASSERT_LE(0, before);
	create_everything(_metadata, self, NR);
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		ASSERT_EQ(0, mt_mask(self->fd, kind->nr, 0, 1));
		ASSERT_EQ(0, mt_fire(self->fd, kind->nr, 0));
	}

	background_start(_metadata, self, &suspender, suspend_step, shared);
	for (fired = 0; !shared->done; fired++) {
		for (kind = store_kinds; kind < KINDS_END; kind++)
			ASSERT_EQ(0, mt_fire_range(self->fd, kind->nr, 1, NR - 1));
		ASSERT_EQ(0, mt_fire_range(self->fd, MSIX, 0, NR));
		for (kind = store_kinds; kind < KINDS_END; kind++)
			expect_arrival(_metadata, self, kind->nr, 1, NR - 1, fired + 1);
		expect_arrival(_metadata, self, MSIX, 0, NR, fired + 1);
		if (!_metadata->passed || !mt_wait_more(&end))
			break;
	}
	EXPECT_TRUE(shared->done);
	background_stop(_metadata, &suspender);
	EXPECT_EQ(before + 1, suspended());

	/* The ones that were masked still are, and what waited was forgotten. */
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		expect_received(_metadata, self, kind->nr, 0, 1, 0);
		ASSERT_EQ(0, mt_fire(self->fd, kind->nr, 0));
		expect_received(_metadata, self, kind->nr, 0, 1, 0);
		ASSERT_EQ(0, mt_unmask(self->fd, kind->nr, 0, 1));
		expect_arrival(_metadata, self, kind->nr, 0, 1, 1);
		ASSERT_EQ(0, mt_stats(self->fd, kind->nr, &stats));
		EXPECT_EQ(1, stats.forgotten);
		EXPECT_EQ(0, stats.lost);
		EXPECT_EQ(0, stats.spurious);
		EXPECT_EQ(0, stats.pending);
		EXPECT_EQ(stats.expected, stats.received);
		EXPECT_TRUE(reset || stats.sent == stats.received);
	}
	expect_arrival(_metadata, self, MSIX, 0, NR, fired);
	expect_no_breach(_metadata, self);
	close(self->fd);
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	expect_all_clean(_metadata, self);
	expect_no_breach(_metadata, self);
}

/* All of a suspend but that the machine sleeps */
TEST_F_TIMEOUT(ims, suspend_test, MT_TEST_SECONDS)
{
	if (access(pm_test, F_OK))
		SKIP(return, "the kernel has no test of suspend");

	ASSERT_EQ(0, mt_write_file("/sys/module/suspend/parameters/pm_test_delay", "0"));
	ASSERT_EQ(0, mt_write_file(pm_test, test_level()));
	suspend_under_load(_metadata, self, false);
	EXPECT_EQ(0, mt_write_file(pm_test, "none"));
}

/*
 * An alarm that goes off while the machine is still on its way to sleep is lost, so
 * it is far beyond what that way takes.
 */
#define ALARM_SECONDS	"+45"

TEST_F_TIMEOUT(ims, suspend_to_ram, MT_TEST_SECONDS)
{
	if (access(wake_alarm, F_OK))
		SKIP(return, "the kernel has no alarm clock");

	/* Suspend to idle where there is nothing deeper */
	if (!strcmp(test_level(), "core"))
		ASSERT_EQ(0, mt_write_file("/sys/power/mem_sleep", "deep"));
	ASSERT_EQ(0, mt_write_file(wake_alarm, "0"));
	ASSERT_EQ(0, mt_write_file(wake_alarm, ALARM_SECONDS));
	suspend_under_load(_metadata, self, true);
}

/*
 * Managed interrupts, whose CPU goes away and comes back while they are suspended. One
 * is disabled. They are of the first store, and of MSI-X.
 */
enum { OPEN, DISABLED };

TEST_F_TIMEOUT(ims, suspend_managed, MT_TEST_SECONDS)
{
	const unsigned int kinds[] = { TABLE, MSIX };
	const int cpu = find_spare_cpu(), before = suspended();
	struct ims_testdev_map maps[2];
	unsigned int id, i, j;
	__u32 slots[2][2];

	if (access(pm_test, F_OK))
		SKIP(return, "the kernel has no test of suspend");
	if (strcmp(test_level(), "core"))
		SKIP(return, "the machine suspends to idle only");

	ASSERT_LT(0, cpu);
	ASSERT_LE(0, before);
	id = create_store(_metadata, self, TABLE, 2);
	ASSERT_EQ(0, mt_alloc_cpu(self->fd, id, 2, cpu, true, maps));
	for (i = 0; i < 2; i++)
		slots[0][i] = maps[i].slot;
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 1));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, mt_alloc_msix_cpu(self->fd, i + 1, cpu, true, maps));
		slots[1][i] = maps->slot;
	}
	for (i = 0; i < 2; i++) {
		for (j = 0; j < 2; j++)
			ASSERT_EQ(0, mt_request_unlazy(self->fd, kinds[i], slots[i][j], 1));
		ASSERT_EQ(0, mt_mask(self->fd, kinds[i], slots[i][DISABLED], 1));
		fire_and_expect(_metadata, self, kinds[i], slots[i][OPEN], 1, 0);
	}

	/* CPUs go away in it, and nothing else does. */
	ASSERT_EQ(0, mt_write_file("/sys/module/suspend/parameters/pm_test_delay", "0"));
	ASSERT_EQ(0, mt_write_file(pm_test, "core"));
	EXPECT_EQ(0, mt_write_file(power_state, "mem"));
	EXPECT_EQ(0, mt_write_file(pm_test, "none"));
	EXPECT_EQ(before + 1, suspended());

	for (i = 0; i < 2; i++) {
		fire_and_expect(_metadata, self, kinds[i], slots[i][OPEN], 1, 1);
		expect_held(_metadata, self, kinds[i], slots[i][DISABLED], 0);
		unmask_and_expect(_metadata, self, kinds[i], slots[i][DISABLED], 1);
		fire_and_expect(_metadata, self, kinds[i], slots[i][OPEN], 1, 2);
	}
}

/* The system can't be suspended while the device is away. */
TEST_F_TIMEOUT(ims, suspend_while_away, MT_TEST_SECONDS)
{
	if (access(pm_test, F_OK))
		SKIP(return, "the kernel has no test of suspend");

	ASSERT_EQ(0, mt_write_file(pm_test, "devices"));
	create_everything(_metadata, self, 2);
	ASSERT_EQ(0, mt_suspend(self->fd));
	EXPECT_EQ(-EBUSY, mt_write_file(power_state, "mem"));
	EXPECT_EQ(0, mt_write_file(pm_test, "none"));
	ASSERT_EQ(0, mt_resume(self->fd));
	fire_everything(_metadata, self, 2, 0);
}

/*
 * A device that takes its time, and one that fails
 */

/*
 * In the kernel log. It has ten of these lines within five seconds at most, so what
 * looks for them comes first, and makes few.
 */
static const char not_updated[] = "was not updated";

/* Make the next commands take @ns each, @fail of them fail, and @hang never end */
static void set_commands(struct __test_metadata *_metadata, struct ims_data *self,
			 __u32 ns, __u32 fail, __u32 hang)
{
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_LATENCY, ns));
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_FAIL, fail));
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_HANG, hang));
}

/* Commands are as quick and as good as ever, and none was expected to fail any more. */
static void expect_commands_used(struct __test_metadata *_metadata, struct ims_data *self)
{
	__u32 fail, hang;

	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_CMD_FAIL, &fail));
	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_CMD_HANG, &hang));
	EXPECT_EQ(0, fail);
	EXPECT_EQ(0, hang);
	set_commands(_metadata, self, 0, 0, 0);
}

/* Masking has effect when it returns, whatever it takes. */
TEST_F_TIMEOUT(ims, slow_commands, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, CMD, NR);
	struct ims_testdev_slot slot;
	struct ims_testdev_map maps[NR];
	unsigned int i;

	set_commands(_metadata, self, 3000000, 0, 0);
	ASSERT_EQ(NR, mt_alloc_batch(self->fd, id, NR, NR, NULL, maps));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, CMD, 0, NR));
	for (i = 0; i < 5; i++) {
		fire_and_expect(_metadata, self, CMD, 0, NR, 2 * i);
		ASSERT_EQ(0, mt_mask(self->fd, CMD, 3, 1));
		ASSERT_EQ(0, mt_slots(self->fd, CMD, 3, 1, &slot));
		EXPECT_EQ(IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG, slot.state);
		ASSERT_EQ(0, mt_fire_range(self->fd, CMD, 0, NR));
		expect_received(_metadata, self, CMD, 3, 1, 2 * i + 1);
		ASSERT_EQ(0, mt_unmask(self->fd, CMD, 3, 1));
		EXPECT_EQ(0, mt_settle(self->fd, CMD));
		expect_received(_metadata, self, CMD, 0, NR, 2 * i + 2);
	}
	ASSERT_EQ(0, mt_set_affinity(maps[1].virq, find_spare_cpu()));
	fire_and_expect(_metadata, self, CMD, 0, NR, 2 * i);
	ASSERT_EQ(0, mt_release(self->fd, CMD, 0, NR));
	ASSERT_EQ(0, mt_store_remove(self->fd, id));
	expect_clean(_metadata, self, &store_kinds[NR_KINDS - 1]);
	expect_commands_used(_metadata, self);
}

/*
 * Masked from hard interrupt context, the device is told by and by. Until then it
 * sends what is fired, which the core keeps: of all that there is one more when the
 * interrupt is enabled, and one that the device keeps. An ITS has masked its interrupt at
 * once, and keeps one as well.
 */
TEST_F_TIMEOUT(ims, slow_lazy_mask, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, CMD, 2);
	const unsigned int kept = strcmp(mt_prefix(), "ITS-") ? 2 : 3;
	struct ims_testdev_count count;
	unsigned int i, received = 0;

	self->judged = true;
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
	ASSERT_EQ(0, mt_request(self->fd, CMD, 0, 1));
	ASSERT_EQ(0, mt_request_flags(self->fd, CMD, 1, 1, IMS_TESTDEV_REQUEST_THREADED |
				      IMS_TESTDEV_REQUEST_ONESHOT));
	set_commands(_metadata, self, 20000000, 0, 0);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, CMD, 0, 1));
		/* Sent, and held back by the core, and only then is the slot masked */
		ASSERT_EQ(0, mt_fire(self->fd, CMD, 0));
		ASSERT_EQ(0, mt_fire_unexpected(self->fd, CMD, 0));
		EXPECT_EQ(0, mt_wait_state(self->fd, CMD, 0, IMS_TD_SLOT_MASKED,
					   IMS_TD_SLOT_MASKED));
		ASSERT_EQ(0, mt_fire_unexpected(self->fd, CMD, 0));
		ASSERT_EQ(0, mt_counts(self->fd, CMD, 0, 1, NULL, &count));
		EXPECT_EQ(received, count.received);

		ASSERT_EQ(0, mt_unmask(self->fd, CMD, 0, 1));
		EXPECT_EQ(0, mt_wait_state(self->fd, CMD, 0, IMS_TD_SLOT_PENDING, 0));
		expect_silence(_metadata, self, CMD);
		ASSERT_EQ(0, mt_counts(self->fd, CMD, 0, 1, NULL, &count));
		EXPECT_LE(received + 1, count.received);
		EXPECT_GE(received + kept, count.received);
		received = count.received;
	}

	/* A oneshot handler masks each time. */
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, mt_fire(self->fd, CMD, 1));
		expect_arrival(_metadata, self, CMD, 1, 1, i + 1);
		EXPECT_EQ(0, mt_wait_state(self->fd, CMD, 1, IMS_TD_SLOT_MASKED, 0));
	}
	expect_no_breach(_metadata, self);
	expect_commands_used(_metadata, self);
}

/* Of an allocation the caller learns it, and nothing is left of that. */
TEST_F_TIMEOUT(ims, fail_alloc, MT_TEST_SECONDS)
{
	const unsigned int id = create_store(_metadata, self, CMD, NR);
	const int kmsg = mt_kmsg_open();
	struct ims_testdev_counts sum;

	self->bad_news = true;
	set_commands(_metadata, self, 0, 1, 0);
	EXPECT_EQ(-EIO, mt_alloc(self->fd, id, 3, 1, NULL));
	expect_commands_used(_metadata, self);
	set_commands(_metadata, self, 0, 1, 0);
	EXPECT_EQ(-EIO, mt_alloc_batch(self->fd, id, 1, NR, NULL, NULL));
	expect_commands_used(_metadata, self);
	ASSERT_EQ(0, mt_counts(self->fd, CMD, 0, NR, &sum, NULL));
	EXPECT_EQ(0, sum.allocated);
	EXPECT_EQ(0, count_msi_irqs(self));
	expect_clean(_metadata, self, &store_kinds[NR_KINDS - 1]);
	EXPECT_EQ(2, kmsg_about(self, kmsg, not_updated));

	/* Each one is there for another try. */
	ASSERT_EQ(NR, mt_alloc_batch(self->fd, id, NR, NR, NULL, NULL));
	ASSERT_EQ(0, mt_request(self->fd, CMD, 0, NR));
	fire_and_expect(_metadata, self, CMD, 0, NR, 0);
}

TEST_F_TIMEOUT(ims, hang_alloc, MT_TEST_SECONDS)
{
	const unsigned int id = create_full(_metadata, self, CMD, NR - 1, NULL);
	struct ims_testdev_counts sum;
	int more;

	self->bad_news = true;
	more = mt_store_create(self->fd, CMD, NR, NR);
	ASSERT_LT(0, more);
	set_commands(_metadata, self, 0, 0, 1);
	EXPECT_EQ(-ETIMEDOUT, mt_alloc(self->fd, more, 1, 1, NULL));
	expect_commands_used(_metadata, self);
	ASSERT_EQ(0, mt_counts(self->fd, CMD, NR, NR, &sum, NULL));
	EXPECT_EQ(0, sum.allocated);

	/* The ring goes on, in this store and in the other one. */
	fire_and_expect(_metadata, self, CMD, 0, NR - 1, 0);
	ASSERT_EQ(0, mt_mask(self->fd, CMD, 0, 1));
	ASSERT_EQ(0, mt_unmask(self->fd, CMD, 0, 1));
	ASSERT_EQ(0, mt_alloc(self->fd, more, 1, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, CMD, NR + 1, 1));
	fire_and_expect(_metadata, self, CMD, NR + 1, 1, 0);
	fire_and_expect(_metadata, self, CMD, 0, NR - 1, 1);
	ASSERT_EQ(0, mt_release(self->fd, CMD, 0, NR - 1));
	ASSERT_EQ(0, mt_store_remove(self->fd, id));
}

/*
 * Later the caller can't be told. The log says it, and the kernel tries again until it
 * works. What is fired until then waits in the device.
 */
static void expect_retry(struct __test_metadata *_metadata, struct ims_data *self,
			 __u32 fail, __u32 hang)
{
	const unsigned int id = create_store(_metadata, self, CMD, 2);
	const int kmsg = mt_kmsg_open();
	struct ims_testdev_slot slot;

	self->bad_news = true;
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 2, NULL));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, CMD, 1, 1));

	set_commands(_metadata, self, 0, fail, hang);
	ASSERT_EQ(0, mt_request_unlazy(self->fd, CMD, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, CMD, 0, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
	ASSERT_EQ(0, mt_fire(self->fd, CMD, 0));
	expect_received(_metadata, self, CMD, 0, 1, 0);

	/* Its neighbour does not have to wait for it. */
	fire_and_expect(_metadata, self, CMD, 1, 1, 0);

	expect_arrival(_metadata, self, CMD, 0, 1, 1);
	EXPECT_EQ(0, mt_wait_state(self->fd, CMD, 0, IMS_TD_SLOT_MASKED, 0));
	EXPECT_EQ(fail + hang, kmsg_about(self, kmsg, not_updated));
	expect_commands_used(_metadata, self);
	fire_and_expect(_metadata, self, CMD, 0, 1, 1);
	fire_and_expect(_metadata, self, CMD, 1, 1, 1);
}

TEST_F_TIMEOUT(ims, fail_later, MT_TEST_SECONDS)
{
	expect_retry(_metadata, self, 3, 0);
}

TEST_F_TIMEOUT(ims, hang_later, MT_TEST_SECONDS)
{
	expect_retry(_metadata, self, 0, 1);
}

/* It is not possible to mask, so the device sends for longer. Nothing is lost. */
TEST_F_TIMEOUT(ims, fail_mask, MT_TEST_SECONDS)
{
	const int kmsg = mt_kmsg_open();
	struct ims_testdev_slot slot;

	self->bad_news = true;
	create_full(_metadata, self, CMD, 2, NULL);
	set_commands(_metadata, self, 0, 2, 0);
	ASSERT_EQ(0, mt_mask(self->fd, CMD, 0, 1));
	ASSERT_EQ(0, mt_slots(self->fd, CMD, 0, 1, &slot));
	EXPECT_EQ(0, slot.state & IMS_TD_SLOT_MASKED);
	ASSERT_EQ(0, mt_fire(self->fd, CMD, 0));
	expect_received(_metadata, self, CMD, 0, 1, 0);
	EXPECT_EQ(0, mt_wait_state(self->fd, CMD, 0, IMS_TD_SLOT_MASKED, IMS_TD_SLOT_MASKED));
	expect_received(_metadata, self, CMD, 0, 1, 0);
	ASSERT_EQ(0, mt_unmask(self->fd, CMD, 0, 1));
	EXPECT_EQ(0, mt_settle(self->fd, CMD));
	expect_received(_metadata, self, CMD, 0, 1, 1);
	EXPECT_LE(1, kmsg_about(self, kmsg, not_updated));
	set_commands(_metadata, self, 0, 0, 0);
	fire_and_expect(_metadata, self, CMD, 0, 1, 1);
	fire_and_expect(_metadata, self, CMD, 1, 1, 0);
}

/* An interrupt is gone although the device doesn't know. The next one makes up for it. */
TEST_F_TIMEOUT(ims, fail_free, MT_TEST_SECONDS)
{
	const unsigned int id = create_full(_metadata, self, CMD, 2, NULL);
	const int kmsg = mt_kmsg_open();
	struct ims_testdev_slot slot;
	__u32 left;

	ASSERT_LE(0, kmsg);
	self->bad_news = true;
	fire_and_expect(_metadata, self, CMD, 0, 2, 0);
	set_commands(_metadata, self, 0, 100, 0);
	ASSERT_EQ(0, mt_release(self->fd, CMD, 0, 1));
	ASSERT_EQ(0, mt_free(self->fd, CMD, 0, 1));
	ASSERT_EQ(0, mt_reg_read(self->fd, IMS_TD_REG_CMD_FAIL, &left));
	EXPECT_GE(98, left);
	EXPECT_LE(1, kmsg_about(self, kmsg, not_updated));
	set_commands(_metadata, self, 0, 0, 0);
	fire_and_expect(_metadata, self, CMD, 1, 1, 1);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, CMD, 0, 1));
	fire_and_expect(_metadata, self, CMD, 0, 1, 0);
	fire_and_expect(_metadata, self, CMD, 1, 1, 2);

	/* If only one fails then the last one makes up for it. */
	set_commands(_metadata, self, 0, 1, 0);
	ASSERT_EQ(0, mt_release(self->fd, CMD, 1, 1));
	ASSERT_EQ(0, mt_free(self->fd, CMD, 1, 1));
	expect_commands_used(_metadata, self);
	ASSERT_EQ(0, mt_slots(self->fd, CMD, 1, 1, &slot));
	EXPECT_EQ(IMS_TD_SLOT_MASKED, slot.state & IMS_TD_SLOT_MASKED);
	EXPECT_EQ(0, slot.addr_lo | slot.addr_hi | slot.data);
}

/* The device is back, and doesn't do what it is told. */
TEST_F_TIMEOUT(ims, fail_resume, MT_TEST_SECONDS)
{
	unsigned int i;

	self->bad_news = true;
	create_everything(_metadata, self, NR);
	fire_everything(_metadata, self, NR, 0);
	ASSERT_EQ(0, mt_suspend(self->fd));

	/* Registers can be reached only when it is back, so a reset is what it is. */
	ASSERT_EQ(0, mt_resume(self->fd));
	set_commands(_metadata, self, 0, 3, 0);
	EXPECT_EQ(0, mt_function_reset(self->info.name));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(0, mt_wait_state(self->fd, CMD, i, IMS_TD_SLOT_MASKED, 0));
	expect_commands_used(_metadata, self);
	fire_everything(_metadata, self, NR, 1);
}

int main(int argc, char **argv)
{
	mt_gate(MT_WANT_STORES);
	return test_harness_run(argc, argv);
}
