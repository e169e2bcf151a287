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
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "msi_test.h"

/* Short names, for they are everywhere */
#define MSI	IMS_TD_KIND_MSI
#define MSIX	IMS_TD_KIND_MSIX
#define TABLE	IMS_TD_KIND_TABLE
#define WIDE	IMS_TD_KIND_WIDE
#define MEM	IMS_TD_KIND_MEM
#define CMD	IMS_TD_KIND_CMD
#define COPY	IMS_TD_KIND_COPY
#define ANY	IMS_TESTDEV_ANY_INDEX

#define MAX_CPUS	64

/*
 * A kind of store
 * @nr: IMS_TD_KIND_*
 * @name: What /proc/interrupts calls it
 * @direct: Slots can be changed in any context, also while a CPU goes offline
 * @visible: The message can be read back from the slot
 * @mask: The mask bit in the control word
 * @masked: Its value while the slot is masked
 * @pasid: Where the control word has a PASID, 0 if the cookie is something else
 * @pasid_enable: The bit that makes the PASID valid
 */
struct store_kind {
	unsigned int	nr;
	const char	*name;
	bool		direct;
	bool		visible;
	__u32		mask;
	__u32		masked;
	__u32		pasid;
	__u32		pasid_enable;
};

static const struct store_kind store_kinds[] = {
	{
		.nr		= TABLE,
		.name		= "table",
		.direct		= true,
		.visible	= true,
		.mask		= IMS_TD_SLOT_CTRL_MASK,
		.masked		= IMS_TD_SLOT_CTRL_MASK,
		.pasid		= IMS_TD_SLOT_CTRL_PASID,
		.pasid_enable	= IMS_TD_SLOT_CTRL_PASID_EN,
	}, {
		.nr		= WIDE,
		.name		= "wide",
		.direct		= true,
		.visible	= true,
		.mask		= IMS_TD_WIDE_CTRL_ENABLE,
		.pasid		= IMS_TD_WIDE_CTRL_PASID,
		.pasid_enable	= IMS_TD_WIDE_CTRL_PASID_EN,
	}, {
		.nr		= MEM,
		.name		= "mem",
		.direct		= true,
		.visible	= true,
		.mask		= IMS_TD_SLOT_CTRL_MASK,
		.masked		= IMS_TD_SLOT_CTRL_MASK,
	}, {
		.nr		= CMD,
		.name		= "cmd",
		.mask		= IMS_TD_SLOT_CTRL_MASK,
		.masked		= IMS_TD_SLOT_CTRL_MASK,
		.pasid		= IMS_TD_SLOT_CTRL_PASID,
		.pasid_enable	= IMS_TD_SLOT_CTRL_PASID_EN,
	},
};

#define NR_KINDS	ARRAY_SIZE(store_kinds)

#define KINDS_END	(store_kinds + NR_KINDS)

/* How TABLE is laid out, without PASIDs. The kind is to be added */
static const struct ims_testdev_store table_layout = {
	.nr_slots	= 4,
	.flags		= IMS_TESTDEV_STORE_LAYOUT,
	.stride		= IMS_TD_SLOT_SIZE,
	.addr_lo	= IMS_TD_SLOT_ADDR_LO,
	.addr_hi	= IMS_TD_SLOT_ADDR_HI,
	.data		= IMS_TD_SLOT_DATA,
	.ctrl		= IMS_TD_SLOT_CTRL,
	.mask		= IMS_TD_SLOT_CTRL_MASK,
};

FIXTURE(ims)
{
	int			fd;		/* the device, -1 if closed */
	int			kmsg;		/* kernel log from the start of the test on */
	struct ims_testdev_info	info;
	__u64			cpus;		/* those that were online at the start */
	bool			msi_has_mask;	/* MSI vectors can be masked */
	bool			judged;		/* counters and log are the test's */
	bool			pending;	/* slots stay pending at the end, rightly */
	bool			spoilt;		/* slots stay as wrong ops leave them */
	bool			bad_news;	/* the kernel log is the test's */
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
	"possible recursive locking",
	"invalid context",
	"storage ops:",
	"Invalid message store",
	"was not updated",
	NULL
};

/* All slots of a kind as they have to be when nothing is set up */
static inline void expect_clean(struct __test_metadata *_metadata, struct ims_data *self,
				const struct store_kind *kind)
{
	const unsigned int count = self->info.slots[kind->nr];
	struct ims_testdev_slot *slots;
	unsigned int i, unclean = 0;

	slots = calloc(count, sizeof(*slots));
	ASSERT_NE(NULL, slots);
	ASSERT_EQ(0, mt_slots(self->fd, kind->nr, 0, count, slots));

	for (i = 0; i < count; i++) {
		if ((slots[i].state & (IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG)) ==
		    IMS_TD_SLOT_MASKED && !slots[i].addr_lo && !slots[i].addr_hi && !slots[i].data)
			continue;
		if (!unclean++)
			TH_LOG("%s slot %u: state %#x message %08x:%08x %08x", kind->name, i,
			       slots[i].state, slots[i].addr_hi, slots[i].addr_lo, slots[i].data);
	}
	EXPECT_EQ(0, unclean);
	free(slots);
}

static inline void expect_all_clean(struct __test_metadata *_metadata, struct ims_data *self)
{
	const struct store_kind *kind;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		if (self->info.slots[kind->nr])
			expect_clean(_metadata, self, kind);
	}
}

/* Set up for a test: a store of the first slots of a kind */
static inline unsigned int create_store(struct __test_metadata *_metadata, struct ims_data *self,
					unsigned int kind, unsigned int nr_slots)
{
	int id = mt_store_create(self->fd, kind, 0, nr_slots);

	ASSERT_LT(0, id);
	return id;
}

/* The same with interrupts, and handlers, for all of its slots */
static inline unsigned int create_full(struct __test_metadata *_metadata, struct ims_data *self,
				       unsigned int kind, unsigned int nr_slots,
				       struct ims_testdev_map *maps)
{
	unsigned int id = create_store(_metadata, self, kind, nr_slots);

	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, nr_slots, maps));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, kind, 0, nr_slots));
	return id;
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

/* The same, as soon as that is so */
static inline void expect_arrival(struct __test_metadata *_metadata, struct ims_data *self,
				  unsigned int kind, unsigned int first, unsigned int count,
				  unsigned int times)
{
	struct ims_testdev_counts sum;
	time_t end = 0;

	do {
		ASSERT_EQ(0, mt_counts(self->fd, kind, first, count, &sum, NULL));
	} while (sum.received < (__u64)count * times && mt_wait_more(&end));
	expect_received(_metadata, self, kind, first, count, times);
}

/*
 * Be on each CPU in turn. Hard interrupts that a CPU was sent before that have been
 * taken then, and handlers in threads that they have woken there have had their turn,
 * as those run before a thread of a program.
 */
static inline void visit_cpus(struct __test_metadata *_metadata)
{
	unsigned int cpu, visited = 0;
	cpu_set_t before, one;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(before), &before));
	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		/* It can be offline. */
		visited += !sched_setaffinity(0, sizeof(one), &one);
	}
	EXPECT_EQ(mt_nr_online(), visited);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(before), &before));
}

/* The handlers have stopped running: no count changes any more. */
static inline void expect_silence(struct __test_metadata *_metadata, struct ims_data *self,
				  unsigned int kind)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	struct ims_testdev_stats before, stats;
	time_t end = 0;

	ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
	do {
		before = stats;
		nanosleep(&pause, NULL);
		visit_cpus(_metadata);
		visit_cpus(_metadata);
		ASSERT_EQ(0, mt_stats(self->fd, kind, &stats));
	} while ((stats.received != before.received || stats.pending) && mt_wait_more(&end));
	EXPECT_EQ(before.received, stats.received);
	EXPECT_EQ(0, stats.pending);
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
	expect_arrival(_metadata, self, kind, first, count, before + 1);
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

/* A process that makes a step again and again until it is told to stop */
struct background {
	pid_t	pid;
	int	stop;
};

/* @step returns 0, or anything else if there is something wrong. */
static inline void background_start(struct __test_metadata *_metadata, struct ims_data *self,
				    struct background *bg, int (*step)(void *arg), void *arg)
{
	int ends[2], ret;
	char byte;

	ASSERT_EQ(0, pipe(ends));
	bg->pid = fork();
	ASSERT_LE(0, bg->pid);
	bg->stop = ends[1];
	if (bg->pid) {
		close(ends[0]);
		return;
	}

	/* Should it live longer than the test it must not have the device open. */
	close(ends[1]);
	close(self->fd);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	do {
		ret = step(arg);
	} while (!ret && read(ends[0], &byte, 1) < 0);
	_exit(!!ret);
}

static inline void background_stop(struct __test_metadata *_metadata, struct background *bg)
{
	int status;

	/* That it is closed is for the case that this is never reached. */
	EXPECT_EQ(1, write(bg->stop, "", 1));
	close(bg->stop);
	EXPECT_EQ(bg->pid, waitpid(bg->pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* An interrupt that is fired, and moved from CPU to CPU meanwhile */
struct target {
	unsigned int	kind;
	unsigned int	slot;
	unsigned int	virq;
};

struct targets {
	const struct target	*target;
	unsigned int		count;
	unsigned int		cpu;
};

/* Move each of them to the next CPU. One that is busy or gone is passed over. */
static inline int move_targets(void *arg)
{
	struct targets *targets = arg;
	unsigned int i;

	for (i = 0; i < targets->count; i++)
		mt_set_affinity(targets->target[i].virq, targets->cpu);
	targets->cpu = mt_cpu_is_online(targets->cpu + 1) > 0 ? targets->cpu + 1 : 0;
	return 0;
}

/* Fire each of them @nr times meanwhile. None was received since the request. */
static inline void fire_while_moving(struct __test_metadata *_metadata, struct ims_data *self,
				     const struct target *target, unsigned int count,
				     unsigned int nr)
{
	struct targets targets = { .target = target, .count = count };
	struct background mover;
	unsigned int i, j;

	background_start(_metadata, self, &mover, move_targets, &targets);

	/*
	 * Each one at a time: two that meet in one CPU's APIC are one interrupt. It can
	 * wait in the device for a moment, as x86 masks it to carry out a move that was
	 * put off, and a store that is changed by commands follows later.
	 */
	for (i = 0; i < nr && _metadata->passed; i++) {
		for (j = 0; j < count; j++)
			EXPECT_EQ(0, mt_fire(self->fd, target[j].kind, target[j].slot));
		for (j = 0; j < count; j++)
			expect_arrival(_metadata, self, target[j].kind, target[j].slot, 1, i + 1);
	}

	background_stop(_metadata, &mover);
	for (j = 0; j < count; j++)
		expect_received(_metadata, self, target[j].kind, target[j].slot, 1, nr);
}

/* The same for one */
static inline void fire_one_while_moving(struct __test_metadata *_metadata, struct ims_data *self,
					 unsigned int kind, unsigned int slot, unsigned int virq,
					 unsigned int nr)
{
	const struct target target = { kind, slot, virq };

	fire_while_moving(_metadata, self, &target, 1, nr);
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

/* Take a CPU offline and back. */
static inline int offline_and_back(void *arg)
{
	const int cpu = *(const int *)arg;
	int ret;

	ret = mt_cpu_set_online(cpu, false);
	return mt_cpu_set_online(cpu, true) ? : ret;
}

/*
 * Fire interrupts, none of which was received since the request, until each has had
 * to leave the CPU three times because that went offline.
 */
static inline void fire_while_offline(struct __test_metadata *_metadata, struct ims_data *self,
				      const struct target *target, unsigned int count, int cpu)
{
	unsigned int i, nr, missing = 0, left[MAX_CPUS] = { };
	struct background offliner;
	int was[MAX_CPUS] = { };
	time_t end = 0;

	ASSERT_GE(MAX_CPUS, count);
	background_start(_metadata, self, &offliner, offline_and_back, &cpu);
	for (nr = 0; _metadata->passed && (!nr || missing) && mt_wait_more(&end); nr++) {
		for (i = 0; i < count; i++) {
			mt_set_affinity(target[i].virq, cpu);
			EXPECT_EQ(0, mt_fire(self->fd, target[i].kind, target[i].slot));
		}
		for (i = 0, missing = 0; i < count; i++) {
			const int now = mt_effective_cpu(target[i].virq);

			expect_arrival(_metadata, self, target[i].kind, target[i].slot, 1, nr + 1);
			left[i] += was[i] == cpu && now != cpu;
			was[i] = now;
			missing += left[i] < 3;
		}
	}
	EXPECT_EQ(0, missing);
	background_stop(_metadata, &offliner);

	EXPECT_EQ(1, mt_cpu_is_online(cpu));
	for (i = 0; i < count; i++) {
		expect_received(_metadata, self, target[i].kind, target[i].slot, 1, nr);
		move_and_fire(_metadata, self, target[i].kind, target[i].slot, target[i].virq, cpu,
			      nr);
	}
}

/* The slot is masked and holds an interrupt back that has been fired */
static inline void expect_held(struct __test_metadata *_metadata, struct ims_data *self,
			       unsigned int kind, unsigned int nr, unsigned int received)
{
	const __u32 both = IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING;
	struct ims_testdev_slot slot;

	ASSERT_EQ(0, mt_fire(self->fd, kind, nr));
	ASSERT_EQ(0, mt_slots(self->fd, kind, nr, 1, &slot));
	EXPECT_EQ(both, slot.state & both);
	expect_received(_metadata, self, kind, nr, 1, received);
}

/* What was held back arrives */
static inline void unmask_and_expect(struct __test_metadata *_metadata, struct ims_data *self,
				     unsigned int kind, unsigned int nr, unsigned int received)
{
	ASSERT_EQ(0, mt_unmask(self->fd, kind, nr, 1));
	expect_arrival(_metadata, self, kind, nr, 1, received);
	EXPECT_EQ(0, mt_settle(self->fd, kind));
}

/*
 * A managed interrupt of @cpu alone that has no handler: whatever the order in which it
 * is disabled and enabled and the CPU goes and comes, it is open when both allow it.
 */
static inline void disable_around_offline(struct __test_metadata *_metadata,
					  struct ims_data *self, unsigned int kind,
					  unsigned int nr, int cpu)
{
	unsigned int received = 0, i;

	/* Disabled from the start */
	ASSERT_EQ(0, mt_request_flags(self->fd, kind, nr, 1, IMS_TESTDEV_REQUEST_NO_AUTOEN));
	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	expect_held(_metadata, self, kind, nr, received);
	unmask_and_expect(_metadata, self, kind, nr, ++received);

	/* Before the CPU goes, which it does more than once */
	ASSERT_EQ(0, mt_mask(self->fd, kind, nr, 1));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
		EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	}
	expect_held(_metadata, self, kind, nr, received);
	unmask_and_expect(_metadata, self, kind, nr, ++received);

	/* While it is away */
	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	ASSERT_EQ(0, mt_mask(self->fd, kind, nr, 1));
	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	expect_held(_metadata, self, kind, nr, received);
	unmask_and_expect(_metadata, self, kind, nr, ++received);

	/* Enabled while it is away, where it has been back meanwhile and where not */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, mt_mask(self->fd, kind, nr, 1));
		if (i) {
			EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
			EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
		}
		EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
		ASSERT_EQ(0, mt_unmask(self->fd, kind, nr, 1));
		ASSERT_EQ(0, mt_fire(self->fd, kind, nr));
		expect_received(_metadata, self, kind, nr, 1, received);
		EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
		expect_arrival(_metadata, self, kind, nr, 1, ++received);
		EXPECT_EQ(0, mt_settle(self->fd, kind));
	}

	/* Requested while it is away */
	ASSERT_EQ(0, mt_release(self->fd, kind, nr, 1));
	EXPECT_EQ(0, mt_cpu_set_online(cpu, false));
	ASSERT_EQ(0, mt_request(self->fd, kind, nr, 1));
	ASSERT_EQ(0, mt_mask(self->fd, kind, nr, 1));
	EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	expect_held(_metadata, self, kind, nr, 0);
	unmask_and_expect(_metadata, self, kind, nr, 1);
}

static inline __u64 online_cpus(void)
{
	__u64 cpus = 0;
	int cpu;

	for (cpu = 0; cpu < MAX_CPUS && mt_cpu_is_online(cpu) >= 0; cpu++)
		cpus |= (__u64)mt_cpu_is_online(cpu) << cpu;
	return cpus;
}

/* All CPUs online that have been at the start of the test */
static inline void bring_back_cpus(struct __test_metadata *_metadata, struct ims_data *self)
{
	const __u64 gone = self->cpus & ~online_cpus();
	int cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (gone >> cpu & 1)
			EXPECT_EQ(0, mt_cpu_set_online(cpu, true));
	}
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

/* A store of each kind, and MSI-X, with @nr interrupts that have handlers in each */
static inline void create_everything(struct __test_metadata *_metadata, struct ims_data *self,
				     unsigned int nr)
{
	const struct store_kind *kind;

	for (kind = store_kinds; kind < KINDS_END; kind++)
		create_full(_metadata, self, kind->nr, nr, NULL);
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSIX, 0, nr));
}

static inline void fire_everything(struct __test_metadata *_metadata, struct ims_data *self,
				   unsigned int nr, unsigned int before)
{
	const struct store_kind *kind;

	for (kind = store_kinds; kind < KINDS_END; kind++)
		fire_and_expect(_metadata, self, kind->nr, 0, nr, before);
	fire_and_expect(_metadata, self, MSIX, 0, nr, before);
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

	if (self->bad_news)
		return;
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
	self->cpus = online_cpus();
	reset_device(_metadata, self);
}

FIXTURE_TEARDOWN(ims)
{
	/* An ASSERT that fails from here on must not come back here. */
	_metadata->setup_completed = false;

	bring_back_cpus(_metadata, self);
	if (self->fd >= 0 && !self->judged)
		expect_good(_metadata, self);

	/* Closing takes everything down, whatever the test has left. */
	if (self->fd >= 0)
		close(self->fd);
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	if (!self->judged)
		expect_good(_metadata, self);
	if (!self->spoilt)
		expect_all_clean(_metadata, self);
	EXPECT_EQ(0, mt_proc_interrupts_count("ims_testdev0-"));
	expect_good_news(_metadata, self);
	close(self->fd);
	close(self->kmsg);
}

#endif /* IMS_FIXTURE_H */
