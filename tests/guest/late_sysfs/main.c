// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/irq/<irq> of an interrupt in a store: it comes with the first request and
 * goes with the interrupt. That of an MSI-X vector is there as long as the vector.
 *
 * It is no selftest of the series because the step which adds those comes before the one
 * which makes the directories late.
 */
#include <stdio.h>
#include <unistd.h>

#include "../kselftest.h"
#include "msi_test.h"

/* More than what is allocated at once */
#define NR	100
#define TABLE	IMS_TD_KIND_TABLE
#define MSIX	IMS_TD_KIND_MSIX

static struct ims_testdev_map maps[NR];

static int has_directory(unsigned int virq)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/irq/%u/actions", virq);
	return !access(path, R_OK);
}

/* How many of the interrupts have one, of @first to @first + @count - 1 */
static int directories(int first, int count)
{
	int i, n = 0;

	for (i = first; i < first + count; i++)
		n += has_directory(maps[i].virq);
	return n;
}

static void store(int fd, const char *how, int batch)
{
	int id, ret;

#define RESULT(_right, _what)	ksft_test_result(_right, "%s: %s\n", how, _what)

	id = mt_store_create(fd, TABLE, 0, NR);
	ret = batch ? mt_alloc_batch(fd, id, NR, NR, NULL, maps) :
		      mt_alloc(fd, id, 0, NR, maps);
	RESULT(id > 0 && ret == (batch ? NR : 0), "interrupts are allocated");
	RESULT(!directories(0, NR), "none has a directory");
	RESULT(!mt_request(fd, TABLE, 10, 20), "some are requested");
	RESULT(directories(10, 20) == 20 && directories(0, NR) == 20, "these have one");
	RESULT(!mt_release(fd, TABLE, 10, 20) && directories(0, NR) == 20,
	       "they keep it when they are released");
	RESULT(!mt_request(fd, TABLE, 10, 20) && directories(0, NR) == 20,
	       "and when they are requested again");
	RESULT(!mt_release(fd, TABLE, 10, 20) && !mt_free(fd, TABLE, 0, NR), "all are freed");
	RESULT(!directories(0, NR), "the directories are gone");
	RESULT(!mt_store_remove(fd, id), "the store is removed");
}

int main(void)
{
	struct ims_testdev_map map;
	int fd = mt_open();

	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan(22);
	ksft_test_result(fd >= 0 && !mt_reset(fd), "there is a device\n");
	store(fd, "one by one", 0);
	store(fd, "batch", 1);

	ksft_test_result(!mt_vectors_enable(fd, MSIX, 1) && !mt_alloc_msix(fd, 1, 1, &map),
			 "an MSI-X vector is allocated\n");
	ksft_test_result(has_directory(map.virq), "it has a directory without a request\n");
	ksft_test_result(!mt_free(fd, MSIX, 1, 1) && !has_directory(map.virq),
			 "until it is freed\n");
	close(fd);
	ksft_finished();
}
