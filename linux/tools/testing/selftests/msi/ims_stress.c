// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once, for as long as one likes.
 *
 *	ims_stress [--rounds N] [--seed N]
 *
 * Environment variables IMS_ROUNDS and IMS_SEED say the same.
 *
 * Words:
 *
 *   round	an interrupt that was fired once and received once
 *   worker	a thread with a store, or MSI-X, of its own. It allocates, requests, fires,
 *		masks, moves and frees interrupts, gives them other cookies, and has the core
 *		leave the device alone for a while, as its random numbers tell it.
 *   trouble	a thread that makes the workers' life hard: it resets the device or
 *		sends it to D3, takes CPUs offline, reads what debugfs has
 *
 * Of an interrupt there is never more than one under way, so that each one has to
 * arrive. What waits in the device when it is reset never arrives, and the driver
 * knows that.
 *
 * The end is one line with the verdict and all parameters. The seed makes the workers
 * do the same again, but not at the same time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest.h"
#include "msi_test.h"

#define ANY		IMS_TESTDEV_ANY_INDEX

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

/* Interrupts of a worker */
#define NR_SLOTS	16

/* Rounds without a wish, and on a kernel with lock debugging */
#define DEFAULT_ROUNDS	4000
#define SLOW_ROUNDS	1000

/* What has to happen at least before it is the end */
#define MIN_TROUBLES	2

/*
 * Of each trouble there are some hundred in a long run. A short one has little time, so
 * that they come one upon the other.
 */
#define MOST_TROUBLES	1000
#define MIN_GAP		20

/* An interrupt mostly arrives while others run. What takes longer is slept for. */
#define YIELDS		10

/* Seconds between two signs of life */
#define PROGRESS	5

struct slot {
	bool		allocated;
	bool		requested;
	bool		masked;
	bool		managed;
	bool		waiting;	/* fired, and has not arrived as far as is known */
	unsigned int	virq;
};

/* What was done, of all threads */
enum what {
	ALLOC, BATCH, SPREAD, FREE, REQUEST, RELEASE, MASK, MOVE, COOKIE, QUIET, FAIL, FLR, D3,
	OFFLINE, VIEW, NR_WHATS
};

static const char *const whats[NR_WHATS] = {
	[ALLOC]		= "alloc",
	[BATCH]		= "batch",
	[SPREAD]	= "spread",
	[FREE]		= "free",
	[REQUEST]	= "request",
	[RELEASE]	= "release",
	[MASK]		= "mask",
	[MOVE]		= "move",
	[COOKIE]	= "cookie",
	[QUIET]		= "quiet",
	[FAIL]		= "fail",
	[FLR]		= "flr",
	[D3]		= "d3",
	[OFFLINE]	= "offline",
	[VIEW]		= "view",
};

struct worker {
	const char	*name;
	unsigned int	kind;
	unsigned int	first;		/* slot of the device */
	bool		pasid;		/* cookies are PASIDs */
	unsigned int	depth;		/* commands at once */
	int		store;
	uint64_t	random;
	pthread_t	thread;
	struct slot	slots[NR_SLOTS];
};

static struct worker workers[] = {
	{ .name = "table",	.kind = IMS_TD_KIND_TABLE, .pasid = true },
	{ .name = "table2",	.kind = IMS_TD_KIND_TABLE, .first = 1000 },
	{ .name = "wide",	.kind = IMS_TD_KIND_WIDE, .pasid = true },
	{ .name = "mem",	.kind = IMS_TD_KIND_MEM, .pasid = true },
	{ .name = "mem2",	.kind = IMS_TD_KIND_MEM, .first = 64 },
	{ .name = "cmd",	.kind = IMS_TD_KIND_CMD, .pasid = true, .depth = 8 },
	{ .name = "cmd2",	.kind = IMS_TD_KIND_CMD, .first = 64 },
	{ .name = "msix",	.kind = IMS_TD_KIND_MSIX },
};

#define NR_WORKERS	ARRAY_SIZE(workers)

static int fd;
static struct ims_testdev_info info;
static unsigned int wanted;
static unsigned long long seed;
static atomic_uint rounds;
static atomic_uint done[NR_WHATS];
static atomic_bool failed, over;

/* A worker may ask something of the device with it held. Who sends it away writes. */
static pthread_rwlock_t present;

/* One line of many threads */
static void *fail(const char *who, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("# ims_stress: %s: %s\n", who, text);
	fflush(stdout);
	failed = true;
	return NULL;
}

/* xorshift64*, by Vigna: small, and good enough */
static unsigned int draw(struct worker *w, unsigned int below)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (w->random * 2685821657736338717ULL >> 32) % below;
}

static void pause_us(unsigned int us)
{
	const struct timespec pause = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&pause, NULL);
}

/* Make a call while the device is there */
#define CALL(call) ({					\
	int _ret;					\
	pthread_rwlock_rdlock(&present);		\
	_ret = (call);					\
	pthread_rwlock_unlock(&present);		\
	_ret;						\
})

static bool check(const struct worker *w, const char *what, unsigned int slot, int ret)
{
	if (ret < 0)
		fail(w->name, "%s of %u: %s", what, slot, strerror(-ret));
	return ret >= 0;
}

/* Only what is masked waits any longer */
static void note_arrival(struct worker *w)
{
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++)
		w->slots[i].waiting &= w->slots[i].masked;
}

/*
 * All that was fired has arrived, but for what is masked. True if it has, and then
 * nothing has that was not fired.
 */
static bool wait_arrival(struct worker *w)
{
	struct ims_testdev_count counts[NR_SLOTS];
	unsigned int i, missing, last = 0, tries;
	time_t end = 0;
	int ret;

	for (tries = 0; ; tries++) {
		ret = CALL(mt_counts(fd, w->kind, w->first, NR_SLOTS, NULL, counts));
		if (!check(w, "counts", 0, ret))
			return false;

		for (i = 0, missing = 0; i < NR_SLOTS; i++) {
			if (counts[i].spurious)
				return fail(w->name, "%sslot %u: %u spurious of %u",
					    w->slots[i].managed ? "managed " : "", w->first + i,
					    counts[i].spurious, counts[i].received);
			if (w->slots[i].requested && !w->slots[i].masked &&
			    counts[i].received != counts[i].expected) {
				missing++;
				last = i;
			}
		}
		if (!missing) {
			note_arrival(w);
			return true;
		}
		if (failed)
			break;
		if (tries < YIELDS)
			sched_yield();
		else if (!mt_wait_more(&end))
			break;
	}
	if (!failed)
		fail(w->name, "slot %u: %u received, %u expected", w->first + last,
		     counts[last].received, counts[last].expected);
	return false;
}

/* A run of slots, from a random one on, that are ready to be fired */
static bool fire_some(struct worker *w)
{
	unsigned int i, from = draw(w, NR_SLOTS), nr = 0, most = 1 + draw(w, NR_SLOTS);
	int ret;

	for (i = from; i < NR_SLOTS && nr < most; i++, nr++) {
		if (!w->slots[i].requested || w->slots[i].waiting)
			break;
	}
	if (!nr)
		return true;

	for (i = from; i < from + nr; i++)
		w->slots[i].waiting = true;
	if (nr > 1)
		ret = CALL(mt_fire_range(fd, w->kind, w->first + from, nr));
	else if (draw(w, 2))
		ret = CALL(mt_fire(fd, w->kind, w->first + from));
	else
		ret = CALL(mt_fire_doorbell(fd, w->kind, w->first + from));
	if (!check(w, "fire", from, ret))
		return false;
	rounds += nr;
	return true;
}

static bool mask_one(struct worker *w, unsigned int i)
{
	struct slot *slot = &w->slots[i];

	/*
	 * The kernel doesn't remember that an interrupt is disabled that it shuts down
	 * with a CPU, and starts again.
	 */
	if (!slot->requested || slot->masked || slot->managed)
		return true;

	slot->masked = true;
	done[MASK]++;
	return check(w, "mask", i, CALL(mt_mask(fd, w->kind, w->first + i, 1)));
}

static bool unmask_one(struct worker *w, unsigned int i)
{
	struct slot *slot = &w->slots[i];

	if (!slot->masked)
		return true;
	slot->masked = false;
	return check(w, "unmask", i, CALL(mt_unmask(fd, w->kind, w->first + i, 1)));
}

/* From now on no message is sent with the old one, unless the device has failed to do it */
static bool change_cookie(struct worker *w, unsigned int i)
{
	int ret;

	if (!w->slots[i].allocated || !w->pasid)
		return true;
	if (draw(w, 8))
		ret = CALL(mt_set_cookie(fd, w->kind, w->first + i, draw(w, 1 << 20)));
	else
		ret = CALL(mt_set_no_cookie(fd, w->kind, w->first + i));
	done[COOKIE]++;
	return (ret == -EIO && w->kind == IMS_TD_KIND_CMD) || check(w, "cookie", i, ret);
}

/* The device is told afterwards what was done meanwhile. What was fired before arrives */
static bool be_quiet(struct worker *w)
{
	unsigned int times;
	int ret;

	if (w->store <= 0)
		return true;
	if (!check(w, "store", 0, CALL(mt_store_suspend(fd, w->store))))
		return false;
	for (times = draw(w, 4); times; times--) {
		unsigned int i = draw(w, NR_SLOTS);

		if (w->slots[i].masked ? !unmask_one(w, i) : !mask_one(w, i))
			return false;
		if (!change_cookie(w, draw(w, NR_SLOTS)))
			return false;
	}
	done[QUIET]++;
	/* A device that has failed to do it can still send with an old cookie. */
	do {
		ret = CALL(mt_store_resume(fd, w->store));
	} while (ret == -EIO && w->kind == IMS_TD_KIND_CMD);
	return check(w, "store", 0, ret);
}

static bool request_one(struct worker *w, unsigned int i)
{
	static const unsigned int flags[] = {
		0,
		IMS_TESTDEV_REQUEST_UNLAZY,
		IMS_TESTDEV_REQUEST_THREADED,
		IMS_TESTDEV_REQUEST_THREADED | IMS_TESTDEV_REQUEST_ONESHOT,
	};
	struct slot *slot = &w->slots[i];
	int ret;

	if (!slot->allocated || slot->requested)
		return true;
	ret = CALL(mt_request_flags(fd, w->kind, w->first + i, 1,
				    flags[draw(w, ARRAY_SIZE(flags))]));
	slot->requested = !ret;
	done[REQUEST]++;
	return check(w, "request", i, ret);
}

/* What is under way has to arrive first: nobody would count it. */
static bool release_one(struct worker *w, unsigned int i)
{
	struct slot *slot = &w->slots[i];

	if (!slot->requested)
		return true;
	if (!unmask_one(w, i) || !wait_arrival(w))
		return false;
	slot->requested = false;
	done[RELEASE]++;
	return check(w, "release", i, CALL(mt_release(fd, w->kind, w->first + i, 1)));
}

static bool free_one(struct worker *w, unsigned int i)
{
	struct slot *slot = &w->slots[i];

	if (!slot->allocated)
		return true;
	if (!release_one(w, i))
		return false;
	memset(slot, 0, sizeof(*slot));
	done[FREE]++;
	return check(w, "free", i, CALL(mt_free(fd, w->kind, w->first + i, 1)));
}

static bool free_all(struct worker *w)
{
	__u32 slots[NR_SLOTS];
	unsigned int i, nr = 0;

	/* MSI-X has no way to free many. */
	if (w->store <= 0) {
		for (i = 0; i < NR_SLOTS; i++) {
			if (!free_one(w, i))
				return false;
		}
		return true;
	}

	for (i = 0; i < NR_SLOTS; i++) {
		if (!release_one(w, i))
			return false;
		if (w->slots[i].allocated)
			slots[nr++] = w->first + i;
	}
	if (!nr)
		return true;
	memset(w->slots, 0, sizeof(w->slots));
	done[FREE] += nr;
	return check(w, "free", 0, CALL(mt_free_batch(fd, w->kind, slots, nr)));
}

/*
 * Of a device that was told to fail a command an allocation can fail. Nothing is left
 * of it then.
 */
static bool enter_maps(struct worker *w, const struct ims_testdev_map *maps, int ret,
		       bool managed)
{
	int i;

	if (ret == -EIO && w->kind == IMS_TD_KIND_CMD)
		return true;
	if (!check(w, "alloc", 0, ret))
		return false;
	for (i = 0; i < ret; i++) {
		struct slot *slot = &w->slots[maps[i].slot - w->first];

		if (maps[i].slot - w->first >= NR_SLOTS || slot->allocated)
			return fail(w->name, "slot %u was allocated twice", maps[i].slot);
		memset(slot, 0, sizeof(*slot));
		slot->allocated = true;
		slot->managed = managed;
		slot->virq = maps[i].virq;
	}
	return true;
}

/* One, at an index or at any one */
static bool alloc_one(struct worker *w, unsigned int i)
{
	const unsigned int index = draw(w, 2) ? i : ANY;
	struct ims_testdev_map map;
	int ret;

	if (w->slots[i].allocated)
		return true;
	if (w->store <= 0)
		ret = CALL(mt_alloc_msix(fd, w->first + i, 1, &map));
	else
		ret = CALL(mt_alloc_cookie(fd, w->store, index, w->pasid ? draw(w, 1 << 20) : 0,
					   &map));
	done[ALLOC]++;
	return enter_maps(w, &map, ret ? ret : 1, false);
}

/* As many as are free, or some, spread or not */
static bool alloc_many(struct worker *w)
{
	const bool spread = !draw(w, 3);
	struct ims_testdev_map maps[NR_SLOTS];
	__u64 cookies[NR_SLOTS];
	unsigned int i, left = 0, max;
	int ret;

	for (i = 0; i < NR_SLOTS; i++)
		left += !w->slots[i].allocated;
	if (w->store <= 0 || !left)
		return true;

	max = 1 + draw(w, NR_SLOTS);
	for (i = 0; i < max; i++)
		cookies[i] = w->pasid ? draw(w, 1 << 20) : 0;
	if (spread)
		ret = CALL(mt_alloc_spread(fd, w->store, 1, max, 0, 0, maps));
	else
		ret = CALL(mt_alloc_batch(fd, w->store, 1, max, cookies, maps));
	done[spread ? SPREAD : BATCH]++;
	return enter_maps(w, maps, ret, spread && w->kind != IMS_TD_KIND_CMD);
}

/* Where it goes doesn't matter. The CPU can be offline, or the kernel's to choose. */
static bool move_one(struct worker *w, unsigned int i)
{
	if (w->slots[i].allocated) {
		mt_set_affinity(w->slots[i].virq, draw(w, mt_nr_online()));
		done[MOVE]++;
	}
	return true;
}

/* Commands that are slow or fail are everybody's whose store is changed by them. */
static bool fail_command(struct worker *w)
{
	int ret;

	if (w->kind != IMS_TD_KIND_CMD)
		return true;
	ret = CALL(mt_reg_write(fd, IMS_TD_REG_CMD_LATENCY, draw(w, 2) * draw(w, 500000)));
	if (!ret && !draw(w, 2)) {
		ret = CALL(mt_reg_write(fd, IMS_TD_REG_CMD_FAIL, 1));
		done[FAIL]++;
	}
	return check(w, "registers", 0, ret);
}

static bool step(struct worker *w)
{
	unsigned int i = draw(w, NR_SLOTS), dice = draw(w, 108), times;

	if (dice < 45) {
		for (times = 1 + draw(w, 8); times; times--) {
			if (!fire_some(w) || !wait_arrival(w))
				return false;
		}
		return true;
	}
	if (dice < 55)
		return mask_one(w, i) && fire_some(w) && wait_arrival(w);
	if (dice < 68)
		return unmask_one(w, i) && wait_arrival(w);
	if (dice < 76)
		return move_one(w, i) && fire_some(w) && wait_arrival(w);
	if (dice < 84)
		return alloc_one(w, i) && request_one(w, i);
	if (dice < 92)
		return request_one(w, i);
	if (dice < 94)
		return alloc_many(w);
	if (dice < 96)
		return release_one(w, i);
	if (dice < 98)
		return free_one(w, i);
	if (dice < 99)
		return free_all(w);
	if (dice < 100)
		return fail_command(w);
	if (dice < 104)
		return fire_some(w) && change_cookie(w, i) && wait_arrival(w) &&
		       fire_some(w) && wait_arrival(w);
	return fire_some(w) && be_quiet(w) && wait_arrival(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	while (!over && !failed && step(w))
		;
	for (i = 0; i < NR_SLOTS && !failed; i++)
		unmask_one(w, i);
	if (!failed && wait_arrival(w))
		free_all(w);
	return NULL;
}

/* Troubles. Each one has random numbers of its own. */

/* Let the workers have some rounds without it. Time is not the same everywhere. */
static void leave_alone(struct worker *rng)
{
	const unsigned int usual = wanted / MOST_TROUBLES, start = rounds;
	const unsigned int gap = usual > MIN_GAP ? usual : MIN_GAP;
	const unsigned int most = 1 + draw(rng, 2 * gap);

	do {
		pause_us(10000);
	} while (rounds - start < most && !over && !failed);
}

static void *trouble_device(void *arg)
{
	struct worker rng = { .random = (uintptr_t)arg };
	int ret;

	while (!over && !failed) {
		leave_alone(&rng);
		if (draw(&rng, 2)) {
			ret = mt_function_reset(info.name);
			if (ret)
				return fail("reset", "%s", strerror(-ret));
			done[FLR]++;
			continue;
		}
		pthread_rwlock_wrlock(&present);
		ret = mt_suspend(fd);
		pause_us(draw(&rng, 20000));
		ret = ret ? ret : mt_resume(fd);
		pthread_rwlock_unlock(&present);

		/* A command that fails is tried again. */
		if (ret && ret != -EIO)
			return fail("D3", "%s", strerror(-ret));
		done[D3]++;
	}
	return NULL;
}

static void *trouble_cpus(void *arg)
{
	struct worker rng = { .random = (uintptr_t)arg };
	unsigned int cpu, cpus = mt_nr_online();
	int ret;

	while (!over && !failed && cpus > 1) {
		cpu = 1 + draw(&rng, cpus - 1);
		ret = mt_cpu_set_online(cpu, false);
		pause_us(draw(&rng, 50000));
		ret = mt_cpu_set_online(cpu, true) ? : ret;
		if (ret)
			return fail("CPU", "%u: %s", cpu, strerror(-ret));
		done[OFFLINE]++;
		leave_alone(&rng);
	}
	return NULL;
}

static void *trouble_view(void *arg)
{
	static char text[1 << 16];
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/irq/msi/%s", info.name);
	while (!over && !failed) {
		/* A kernel can be without it. */
		if (!mt_read_file(path, text, sizeof(text)))
			done[VIEW]++;
		pause_us(20000);
	}
	return NULL;
}

static void *(*const troubles[])(void *arg) = { trouble_device, trouble_cpus, trouble_view };

#define NR_TROUBLES	ARRAY_SIZE(troubles)

static bool enough(void)
{
	return rounds >= wanted && done[FLR] >= MIN_TROUBLES && done[D3] >= MIN_TROUBLES &&
	       done[OFFLINE] >= MIN_TROUBLES;
}

static bool set_up(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < NR_WORKERS; i++) {
		struct worker *w = &workers[i];

		w->random = seed + 0x9e3779b97f4a7c15ULL * (i + 1);
		if (w->kind == IMS_TD_KIND_MSIX) {
			ret = mt_vectors_enable(fd, w->kind, 1);
			ret = ret ? ret : mt_free(fd, w->kind, 0, 1);
		} else {
			struct ims_testdev_store store = {
				.kind		= w->kind,
				.first		= w->first,
				.nr_slots	= NR_SLOTS,
				.flags		= w->pasid ? IMS_TESTDEV_STORE_PASID : 0,
				.depth		= w->depth,
			};

			if (w->pasid && w->kind == IMS_TD_KIND_MEM)
				store.flags |= IMS_TESTDEV_STORE_BASE;
			ret = mt_store_create_raw(fd, &store);
			w->store = ret;
		}
		if (!check(w, "setup", 0, ret))
			return false;
	}
	return true;
}

/*
 * What is new in the kernel log is good. The only lines that it may have many of are
 * about commands that have failed. Of a long run it doesn't keep all.
 */
static bool log_is_good(int kmsg)
{
	static const char *const bad_news[] = {
		"No irq handler for vector", "nobody cared", "INTR-REMAP", "DRHD", "IO_PAGE_FAULT",
		"WARNING:", "BUG:", "storage ops:", "change power state", "error updating",
		"not ready", NULL
	};
	char line[512];
	int ret;

	ret = mt_kmsg_read_any(kmsg, bad_news, line, sizeof(line));
	if (ret)
		fail("kernel log", "%s", ret < 0 ? strerror(-ret) : line);
	return !ret;
}

static bool run(int kmsg)
{
	pthread_t threads[NR_TROUBLES];
	unsigned int i, ticks;

	for (i = 0; i < NR_WORKERS; i++) {
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return fail("setup", "no thread");
	}
	for (i = 0; i < NR_TROUBLES; i++) {
		if (pthread_create(&threads[i], NULL, troubles[i],
				   (void *)(uintptr_t)(seed + 1000 + i)))
			return fail("setup", "no thread");
	}

	for (ticks = 1; !enough() && !failed; ticks++) {
		pause_us(100000);
		log_is_good(kmsg);
		if (ticks % (10 * PROGRESS) == 0) {
			printf("# ims_stress: %u rounds\n", rounds);
			fflush(stdout);
		}
	}
	over = true;

	/* Workers can need a CPU back, or the device. */
	for (i = 0; i < NR_TROUBLES; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < NR_WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	return !failed;
}

/* What is told at the end, sums over all kinds */
struct result {
	unsigned long long	sent;
	unsigned long long	received;
	unsigned long long	lost;
	unsigned long long	spurious;
	unsigned long long	forgotten;
	unsigned int		pending;
	unsigned int		breaches;
	unsigned int		unclean;
};

/* Slots that are unmasked, or have a message, with no interrupt */
static int count_unclean(unsigned int kind)
{
	const __u32 both = IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG;
	struct ims_testdev_slot *slots;
	int ret, unclean = 0;
	unsigned int i;

	slots = calloc(info.slots[kind], sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	ret = mt_slots(fd, kind, 0, info.slots[kind], slots);
	for (i = 0; !ret && i < info.slots[kind]; i++)
		unclean += (slots[i].state & both) != IMS_TD_SLOT_MASKED;
	free(slots);
	return ret ? ret : unclean;
}

static bool collect(struct result *result)
{
	struct ims_testdev_breaches breaches;
	struct ims_testdev_stats stats;
	unsigned int kind;
	int ret;

	for (kind = IMS_TD_KIND_MSIX; kind < info.nr_kinds; kind++) {
		if (!info.slots[kind])
			continue;
		ret = mt_settle(fd, kind);
		if (!ret || ret == -ETIMEDOUT)
			ret = mt_stats(fd, kind, &stats);
		if (ret)
			return fail("counters", "%s", strerror(-ret));
		result->sent += stats.sent;
		result->received += stats.received;
		result->lost += stats.lost;
		result->spurious += stats.spurious;
		result->forgotten += stats.forgotten;
		result->pending += stats.pending;

		/*
		 * A vector of MSI-X keeps its last message, and one that is sent from a
		 * copy, which nobody uses here, cannot be masked.
		 */
		ret = kind == IMS_TD_KIND_MSIX || kind == IMS_TD_KIND_COPY ? 0 :
		      count_unclean(kind);
		if (ret < 0)
			return fail("slots", "%s", strerror(-ret));
		result->unclean += ret;
	}

	ret = mt_breaches(fd, &breaches, false);
	if (ret)
		return fail("breaches", "%s", strerror(-ret));
	result->breaches = breaches.count;
	if (breaches.count)
		fail("first breach", "code %u kind %u where %u value %#x", breaches.log[0].code,
		     breaches.log[0].kind, breaches.log[0].where, breaches.log[0].value);
	return true;
}

static bool good(const struct result *result)
{
	return !result->lost && !result->spurious && !result->breaches && !result->pending &&
	       !result->unclean && result->sent == result->received && result->received;
}

static bool stress(void)
{
	struct result result = { };
	pthread_rwlockattr_t attr;
	unsigned int i;
	int ret, kmsg;
	bool ok;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&present, &attr);

	kmsg = mt_kmsg_open();
	if (kmsg < 0)
		return fail("kernel log", "%s", strerror(-kmsg));
	ret = mt_reset(fd);
	if (ret)
		return fail("reset", "%s", strerror(-ret));

	ok = set_up() && run(kmsg);
	mt_reg_write(fd, IMS_TD_REG_CMD_LATENCY, 0);
	mt_reg_write(fd, IMS_TD_REG_CMD_FAIL, 0);
	ok = collect(&result) && ok && good(&result);
	ok = log_is_good(kmsg) && ok;
	close(kmsg);

	printf("# ims_stress: %s: seed=%llu rounds=%u workers=%zu cpus=%u", ok ? "SUCCESS" :
	       "FAILURE", seed, rounds, NR_WORKERS, mt_nr_online());
	for (i = 0; i < NR_WHATS; i++)
		printf(" %s=%u", whats[i], done[i]);
	printf(" sent=%llu received=%llu forgotten=%llu: %llu lost, %llu spurious, %u breaches\n",
	       result.sent, result.received, result.forgotten, result.lost, result.spurious,
	       result.breaches);
	if (result.unclean || result.pending)
		printf("# ims_stress: %u slots unclean, %u pending\n", result.unclean,
		       result.pending);
	return ok;
}

static unsigned long long parse(const char *text, unsigned long long max)
{
	unsigned long long value;
	char *end;

	value = strtoull(text, &end, 0);
	if (end == text || *end || value > max)
		ksft_exit_fail_msg("%s: not a number up to %llu\n", text, max);
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ }
	};
	const char *rounds_env = getenv("IMS_ROUNDS"), *seed_env = getenv("IMS_SEED");
	bool ok;
	int opt;

	mt_gate(MT_WANT_STORES);
	ksft_print_header();
	ksft_set_plan(1);

	wanted = access("/proc/lockdep", F_OK) ? DEFAULT_ROUNDS : SLOW_ROUNDS;
	seed = time(NULL);
	if (rounds_env && *rounds_env)
		wanted = parse(rounds_env, 1U << 30);
	if (seed_env && *seed_env)
		seed = parse(seed_env, UINT32_MAX);
	while ((opt = getopt_long(argc, argv, "r:s:", options, NULL)) != -1) {
		switch (opt) {
		case 'r':
			wanted = parse(optarg, 1U << 30);
			break;
		case 's':
			seed = parse(optarg, UINT32_MAX);
			break;
		default:
			ksft_exit_fail_msg("usage: ims_stress [--rounds N] [--seed N]\n");
		}
	}

	fd = mt_open();
	if (fd < 0)
		ksft_exit_fail_msg("%s: %s\n", mt_node(), strerror(-fd));
	if (mt_info(fd, &info))
		ksft_exit_fail_msg("the device says nothing\n");
	mt_debugfs_mount();
	ksft_print_msg("ims_stress: seed %llu, %u rounds\n", seed, wanted);
	ok = stress();
	close(fd);
	ksft_test_result(ok, "stress\n");
	ksft_exit(ok);
}
