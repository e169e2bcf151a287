// SPDX-License-Identifier: GPL-2.0
/*
 * Shows IMS at work: interrupts of a slot table and of MSI-X on one device,
 * all in use at the same time. Every number that it prints was counted, by the
 * device or by the handlers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "msi_test.h"

static int fail(const char *what, int err)
{
	fprintf(stderr, "ims_demo: %s: %s\n", what, strerror(-err));
	return 1;
}

static int show(unsigned int virq)
{
	char text[8192];
	int ret;

	ret = mt_proc_interrupts(virq, text, sizeof(text));
	if (ret)
		return fail("/proc/interrupts", ret);
	printf("%s\n", text);

	ret = mt_debugfs_irq(virq, text, sizeof(text));
	if (ret)
		return fail("debugfs", ret);
	printf("%s", text);
	return 0;
}

/* Fire the first @count slots of a kind, all of which have handlers */
static int fire_and_wait(int fd, unsigned int kind, unsigned int count)
{
	int ret;

	ret = mt_fire_range(fd, kind, 0, count);
	if (ret)
		return fail("fire", ret);

	/* What has not arrived after the wait is lost, and counts as that. */
	ret = mt_settle(fd, kind);
	if (ret && ret != -ETIMEDOUT)
		return fail("wait", ret);
	return 0;
}

/* Print what came of it. Breaches are those recorded since the last time. */
static int tell(int fd, unsigned int kind, unsigned int count, const char *title)
{
	struct ims_testdev_breaches breaches;
	struct ims_testdev_stats stats;
	struct ims_testdev_counts sum;
	int ret;

	ret = mt_counts(fd, kind, 0, count, &sum, NULL);
	if (!ret)
		ret = mt_stats(fd, kind, &stats);
	if (!ret)
		ret = mt_breaches(fd, &breaches, true);
	if (ret)
		return fail("counters", ret);

	printf("%s: %u allocated, %u fired, %llu received, %llu lost, %llu spurious, %u breaches\n",
	       title, sum.allocated, stats.fired, sum.received, sum.lost, sum.spurious,
	       breaches.count);

	return !(sum.allocated == count && stats.fired == count && stats.sent == count &&
		 sum.received == count && !sum.lost && !sum.spurious && !breaches.count);
}

/* With @fewer take fewer slots if the remapping unit has not got enough for @slots */
static int demo(int fd, unsigned int slots, bool fewer, unsigned int msix)
{
	const unsigned int table = IMS_TD_KIND_TABLE;
	struct ims_testdev_info info;
	struct ims_testdev_count one;
	int ret, id, wrong;

	ret = mt_reset(fd);
	if (ret)
		return fail("reset", ret);
	ret = mt_info(fd, &info);
	if (ret)
		return fail("info", ret);

	id = mt_store_create(fd, table, 0, info.slots[table]);
	if (id < 0)
		return fail("creation of the store", id);

	/* Both kinds are set up before either is fired. */
	ret = mt_vectors_enable(fd, IMS_TD_KIND_MSIX, msix);
	if (ret)
		return fail("enabling MSI-X", ret);
	ret = mt_alloc(fd, id, 0, slots, NULL);
	while (ret == -ENOSPC && fewer && slots > 1) {
		slots /= 2;
		ret = mt_alloc(fd, id, 0, slots, NULL);
	}
	if (ret)
		return fail("allocation in the store", ret);
	ret = mt_request(fd, table, 0, slots);
	if (ret)
		return fail("request in the store", ret);
	ret = mt_request(fd, IMS_TD_KIND_MSIX, 0, msix);
	if (ret)
		return fail("request of MSI-X", ret);

	/* Fire first, so that the interrupt that is shown has arrived; tell later. */
	ret = fire_and_wait(fd, table, slots);
	if (ret)
		return ret;
	ret = mt_counts(fd, table, slots / 2, 1, NULL, &one);
	if (ret)
		return fail("counters", ret);
	ret = show(one.virq);
	if (ret)
		return ret;
	wrong = tell(fd, table, slots, "ims: store table");

	ret = fire_and_wait(fd, IMS_TD_KIND_MSIX, msix);
	if (ret)
		return ret;
	return tell(fd, IMS_TD_KIND_MSIX, msix, "msi-x on the same device") || wrong;
}

static unsigned int parse_count(const char *text)
{
	char *end;
	unsigned long value;

	value = strtoul(text, &end, 0);
	if (end == text || *end || !value || value > 1U << 20) {
		fprintf(stderr, "ims_demo: %s: not a number of interrupts\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "slots", required_argument, NULL, 's' },
		{ "msix", required_argument, NULL, 'm' },
		{ }
	};
	unsigned int slots = 1024, msix = 64;
	bool fewer = true;
	int fd, opt, ret;

	while ((opt = getopt_long(argc, argv, "s:m:", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			slots = parse_count(optarg);
			fewer = false;
			break;
		case 'm':
			msix = parse_count(optarg);
			break;
		default:
			fprintf(stderr, "usage: ims_demo [--slots N] [--msix N]\n");
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "usage: ims_demo [--slots N] [--msix N]\n");
		return 2;
	}

	fd = mt_open();
	if (fd < 0)
		return fail(mt_node(), fd);
	ret = demo(fd, slots, fewer, msix);
	close(fd);
	return ret;
}
