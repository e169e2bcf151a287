/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device to test with, and the judgement on it that every test ends in.
 *
 * A test that passes has made the device record no breach, every message that
 * the device sent has run a handler once, and the kernel log has nothing to
 * say about interrupts. A test that breaks rules on purpose sets @judged, and
 * looks for the evidence itself.
 */
#ifndef IMS_FIXTURE_H
#define IMS_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "msi_test.h"

/* Short names, for they are everywhere */
#define TABLE	IMS_TD_KIND_TABLE
#define MSIX	IMS_TD_KIND_MSIX
#define MSI	IMS_TD_KIND_MSI
#define ANY	IMS_TESTDEV_ANY_INDEX

FIXTURE(ims)
{
	int			fd;		/* the device, -1 if closed */
	int			kmsg;		/* kernel log from the start of the test on */
	struct ims_testdev_info	info;
	bool			msi_has_mask;	/* MSI vectors can be masked */
	bool			judged;		/* counters and log are the test's */
	bool			pending;	/* slots stay pending at the end, rightly */
};

/* FIXTURE_DATA(ims) by a name that can be passed on */
#define ims_data _test_data_ims

/* What the kernel logs when interrupts go wrong */
static const char *const bad_news[] = {
	"No irq handler for vector",
	"nobody cared",
	"INTR-REMAP",
	"DMAR: DRHD",
	"IO_PAGE_FAULT",
	"WARNING:",
	"BUG:",
	"possible circular locking",
	NULL
};

/* The table as it has to be when nothing is set up */
static inline void expect_table_clean(struct __test_metadata *_metadata, struct ims_data *self)
{
	const unsigned int count = self->info.slots[TABLE];
	struct ims_testdev_slot *slots;
	unsigned int i, unclean = 0;

	slots = calloc(count, sizeof(*slots));
	ASSERT_NE(NULL, slots);
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 0, count, slots));

	for (i = 0; i < count; i++) {
		if ((slots[i].state & (IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG)) ==
		    IMS_TD_SLOT_MASKED && !slots[i].addr_lo && !slots[i].addr_hi && !slots[i].data)
			continue;
		if (!unclean++)
			TH_LOG("slot %u: state %#x message %08x:%08x %08x", i, slots[i].state,
			       slots[i].addr_hi, slots[i].addr_lo, slots[i].data);
	}
	EXPECT_EQ(0, unclean);
	free(slots);
}

/* All that the device sent has arrived, and nothing else did */
static inline void expect_settled(struct __test_metadata *_metadata, struct ims_data *self,
				  unsigned int kind)
{
	struct ims_testdev_stats stats;

	EXPECT_EQ(0, mt_settle(self->fd, kind));
	ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
	EXPECT_EQ(stats.sent, stats.received);
	EXPECT_EQ(stats.expected, stats.received);
	EXPECT_EQ(0, stats.lost);
	EXPECT_EQ(0, stats.spurious);
	EXPECT_TRUE(self->pending || !stats.pending);
}

static inline void expect_no_breach(struct __test_metadata *_metadata, struct ims_data *self)
{
	struct ims_testdev_breaches breaches;
	unsigned int excused = 0;

	ASSERT_EQ(0, mt_breaches(self->fd, &breaches, false));
	/* A message that can't be masked changes unmasked. Nobody can help that. */
	if (!self->msi_has_mask)
		excused = breaches.by_code[IMS_TD_BREACH_MSG_UNMASKED];
	EXPECT_EQ(excused, breaches.count)
		TH_LOG("first breach: code %u kind %u where %u value %#x", breaches.log[0].code,
		       breaches.log[0].kind, breaches.log[0].where, breaches.log[0].value);
}

/* Each slot of a range has run its handler @times times since the request */
static inline void expect_received(struct __test_metadata *_metadata, struct ims_data *self,
				   unsigned int kind, unsigned int first, unsigned int count,
				   unsigned int times)
{
	struct ims_testdev_count *counts = calloc(count, sizeof(*counts));
	unsigned int i, wrong = 0;

	ASSERT_NE(NULL, counts);
	ASSERT_EQ(0, mt_counts(self->fd, kind, first, count, NULL, counts));

	for (i = 0; i < count; i++) {
		if (counts[i].received == times && !counts[i].spurious)
			continue;
		if (!wrong++)
			TH_LOG("slot %u: received %u, not %u, spurious %u", first + i,
			       counts[i].received, times, counts[i].spurious);
	}
	EXPECT_EQ(0, wrong);
	free(counts);
}

/*
 * Fire a range of slots that have handlers and are not masked: nothing more
 * than before has arrived until then, and each one gets exactly one more.
 */
static inline void fire_and_expect(struct __test_metadata *_metadata, struct ims_data *self,
				   unsigned int kind, unsigned int first, unsigned int count,
				   unsigned int before)
{
	expect_received(_metadata, self, kind, first, count, before);
	ASSERT_EQ(0, mt_fire_range(self->fd, kind, first, count));
	EXPECT_EQ(0, mt_settle(self->fd, kind));
	expect_received(_metadata, self, kind, first, count, before + 1);
}

/*
 * Move an interrupt to a CPU. x86 puts that off while the CPU that it was on
 * before has not cleaned up after the last move, and tries again whenever the
 * interrupt comes in. So fire it until it has moved, at least once. Returns how
 * often it has arrived, which is @before until now.
 */
static inline unsigned int move_and_fire(struct __test_metadata *_metadata, struct ims_data *self,
					 unsigned int kind, unsigned int nr, unsigned int virq,
					 int cpu, unsigned int before)
{
	time_t end = 0;

	EXPECT_EQ(0, mt_set_affinity(virq, cpu));
	do {
		fire_and_expect(_metadata, self, kind, nr, 1, before++);
	} while (mt_effective_cpu(virq) != cpu && mt_wait_more(&end));

	/* And once more for sure on the CPU that it is on now. */
	EXPECT_EQ(cpu, mt_effective_cpu(virq));
	fire_and_expect(_metadata, self, kind, nr, 1, before++);
	return before;
}

/*
 * A process moves the interrupt from CPU to CPU until the pipe @stop is closed.
 * The CPU that it finds busy or gone it passes over.
 */
static inline void move_until(unsigned int virq, int stop)
{
	unsigned int cpu = 0;
	char byte;

	fcntl(stop, F_SETFL, O_NONBLOCK);
	while (read(stop, &byte, 1) < 0) {
		mt_set_affinity(virq, cpu);
		cpu = mt_cpu_is_online(cpu + 1) > 0 ? cpu + 1 : 0;
	}
	_exit(0);
}

/* Fire it @nr times meanwhile. It has not been received since the request. */
static inline void fire_while_moving(struct __test_metadata *_metadata, struct ims_data *self,
				     unsigned int kind, unsigned int slot, unsigned int virq,
				     unsigned int nr)
{
	int stop[2], status;
	unsigned int i;
	pid_t child;

	ASSERT_EQ(0, pipe(stop));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(stop[1]);
		move_until(virq, stop[0]);
	}
	close(stop[0]);

	/* One at a time: two that meet in one CPU's APIC are one interrupt. */
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(0, mt_fire(self->fd, kind, slot));
		EXPECT_EQ(0, mt_settle(self->fd, kind));
	}

	close(stop[1]);
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	expect_received(_metadata, self, kind, slot, 1, nr);
}

/* A CPU that is online, isn't number 0 and can be made to go offline */
static inline int find_spare_cpu(void)
{
	unsigned int cpu;

	for (cpu = 1; mt_cpu_is_online(cpu) >= 0; cpu++) {
		if (mt_cpu_is_online(cpu))
			return cpu;
	}
	return -1;
}

/* Setting up interrupts by the thousand takes minutes on a kernel with lock debugging. */
static inline bool is_slow(void)
{
	return !access("/proc/lockdep", F_OK);
}

/* What sysfs has for the interrupts of a range, all of which are allocated */
static inline void expect_modes(struct __test_metadata *_metadata, struct ims_data *self,
				unsigned int kind, unsigned int first, unsigned int count,
				const char *mode)
{
	struct ims_testdev_count counts[32];
	char path[256], text[16];
	unsigned int i;

	ASSERT_GE(ARRAY_SIZE(counts), count);
	ASSERT_EQ(0, mt_counts(self->fd, kind, first, count, NULL, counts));
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs/%u",
			 self->info.name, counts[i].virq);
		EXPECT_EQ(0, mt_read_file(path, text, sizeof(text)));
		EXPECT_STREQ(mode, text);
	}
}

/* How many interrupts sysfs has for the device */
static inline int count_msi_irqs(struct ims_data *self)
{
	char dir[128];
	int ret;

	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/msi_irqs", self->info.name);
	ret = mt_count_files(dir);

	/* The directory comes when the driver first enables something. */
	return ret == -ENOENT ? 0 : ret;
}

static const char bind[] = "/sys/bus/pci/drivers/ims_testdev/bind";
static const char unbind[] = "/sys/bus/pci/drivers/ims_testdev/unbind";

/* New lines of the kernel log about the device that hold @text, from all there were */
static inline int kmsg_about(struct ims_data *self, int kmsg, const char *text)
{
	const char *const all[] = { self->info.name, text, NULL };
	char line[512];
	int ret;

	ret = mt_kmsg_read(kmsg, all, line, sizeof(line));
	close(kmsg);
	return ret;
}

/*
 * Have the PCI core find the device anew, and open it. It thinks that MSI-X is
 * enabled until then, when the driver has forgotten its vectors.
 */
static inline void rescan_device(struct __test_metadata *_metadata, struct ims_data *self)
{
	char path[128];

	close(self->fd);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", self->info.name);
	EXPECT_EQ(0, mt_write_file(path, "1"));
	EXPECT_EQ(0, mt_write_file("/sys/bus/pci/rescan", "1"));
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
}

/* Reset the device: nothing is set up, all is zero */
static inline void reset_device(struct __test_metadata *_metadata, struct ims_data *self)
{
	struct ims_testdev_stats stats;
	unsigned int kind;

	ASSERT_EQ(0, mt_reset(self->fd));
	expect_no_breach(_metadata, self);

	for (kind = 0; kind < self->info.nr_kinds; kind++) {
		if (!self->info.slots[kind])
			continue;
		ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
		ASSERT_EQ(0, stats.fired + stats.sent + stats.held + stats.pending);
		ASSERT_EQ(0, stats.expected + stats.received + stats.spurious + stats.lost);
	}
}

static inline void expect_good_news(struct __test_metadata *_metadata, struct ims_data *self)
{
	char line[512];

	EXPECT_EQ(0, mt_kmsg_read_any(self->kmsg, bad_news, line, sizeof(line)))
		TH_LOG("kernel log: %s", line);
}

/* The judgement */
static inline void expect_good(struct __test_metadata *_metadata, struct ims_data *self)
{
	unsigned int kind;

	for (kind = 0; kind < self->info.nr_kinds; kind++) {
		if (self->info.slots[kind])
			expect_settled(_metadata, self, kind);
	}
	expect_no_breach(_metadata, self);
}

FIXTURE_SETUP(ims)
{
	int ret;

	self->kmsg = mt_kmsg_open();
	ASSERT_LE(0, self->kmsg);
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, mt_info(self->fd, &self->info));
	ASSERT_EQ(IMS_TESTDEV_API_VERSION, self->info.api_version);
	ret = mt_msi_has_mask(self->info.name);
	ASSERT_LE(0, ret);
	self->msi_has_mask = ret;
	reset_device(_metadata, self);
}

FIXTURE_TEARDOWN(ims)
{
	/* An ASSERT that fails from here on must not come back here. */
	_metadata->setup_completed = false;

	if (self->fd >= 0 && !self->judged)
		expect_good(_metadata, self);

	/* Closing takes everything down, whatever the test has left. */
	if (self->fd >= 0)
		close(self->fd);
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	if (!self->judged)
		expect_good(_metadata, self);
	expect_table_clean(_metadata, self);
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	expect_good_news(_metadata, self);
	close(self->fd);
	close(self->kmsg);
}

#endif /* IMS_FIXTURE_H */
