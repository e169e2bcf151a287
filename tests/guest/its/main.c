// SPDX-License-Identifier: GPL-2.0
/*
 * its: what is special about a MSI parent with one table of events for each DeviceID, as the
 * GICv3 ITS has. ims_testdev0 is on the root bus, 1 and 2 are behind one bridge to
 * conventional PCI, and so have the same DeviceID. The table of the first has a slot for
 * each event that a device can have.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scenes.h"

#define TABLE	IMS_TD_KIND_TABLE
#define MEM	IMS_TD_KIND_MEM
#define MSI	IMS_TD_KIND_MSI
#define MSIX	IMS_TD_KIND_MSIX

#define DRIVER	"/sys/bus/pci/drivers/ims_testdev"

#define NR	8
#define NR_MSIX	64
/* A device domain reserves as many events as this, at most */
#define STORE	16384
#define NR_STORES	4
#define ROUNDS	200
/* Linux uses 57,344 LPIs. Other devices may have some */
#define LEAST	57000

static int open_device(unsigned int nr)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/ims_testdev%u", nr);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int msix_on(int fd, unsigned int nr)
{
	return !mt_vectors_enable(fd, MSIX, nr) && !mt_request_unlazy(fd, MSIX, 0, nr) &&
	       arrive(fd, MSIX, nr);
}

static int msix_off(int fd, unsigned int nr)
{
	return !mt_release(fd, MSIX, 0, nr) && !mt_vectors_disable(fd, MSIX);
}

static int store_on(int fd)
{
	int id = mt_store_create(fd, TABLE, 0, NR);

	return id > 0 && !mt_alloc(fd, id, 0, NR, NULL) &&
	       !mt_request_unlazy(fd, TABLE, 0, NR) && arrive(fd, TABLE, NR) ? id : 0;
}

static int store_off(int fd, int id)
{
	return !mt_release(fd, TABLE, 0, NR) && !mt_free(fd, TABLE, 0, NR) &&
	       !mt_store_remove(fd, id);
}

/* The first one goes, comes again, and goes for good while the other one is in use */
static void share(const char *name, int one, int other)
{
	int id[2];

	scene = name;
	result(msix_on(one, NR), "MSI-X of one");
	id[0] = store_on(one);
	result(id[0], "a store beside it");
	id[1] = store_on(other);
	result(id[1], "a store of the other one");
	result(msix_on(other, NR), "MSI-X beside it");
	result(msix_off(one, NR), "MSI-X of the first one is disabled");
	result(arrive(one, TABLE, NR) && arrive(other, TABLE, NR) && arrive(other, MSIX, NR),
	       "everything else arrives");
	result(msix_on(one, NR), "MSI-X is enabled again");
	result(msix_off(one, NR) && store_off(one, id[0]), "the first one has none any more");
	result(arrive(other, TABLE, NR) && arrive(other, MSIX, NR), "those of the other one arrive");
	result(msix_off(other, NR) && store_off(other, id[1]), "the other one has none either");
}

/* A default store of another kind, and of another size, each time */
static void alternate(int fd)
{
	unsigned int i;
	int right = 1;

	scene = "MSI and MSI-X in turn";
	for (i = 0; i < ROUNDS && right; i++) {
		right = !mt_vectors_enable(fd, MSI, 3) && !mt_vectors_disable(fd, MSI) &&
			!mt_vectors_enable(fd, MSIX, NR_MSIX) && !mt_vectors_disable(fd, MSIX);
	}
	if (!right)
		printf("# round %u\n", i);
	result(right, "nothing is left of them");
	result(msix_on(fd, NR_MSIX) && msix_off(fd, NR_MSIX), "they arrive");
}

/* All that there are, with batches of a number that is no power of two */
static unsigned int take_all(int fd, const int *id, unsigned int *nr, int *err)
{
	unsigned int i, all = 0;
	int ret = 0;

	for (i = 0; i < NR_STORES; i++) {
		for (nr[i] = 0; (ret = mt_alloc_batch(fd, id[i], 1, 999, NULL, NULL)) > 0; )
			nr[i] += ret;
		all += nr[i];
	}
	*err = ret;
	return all;
}

static unsigned int exhaust(int fd, const char *name)
{
	static const char *const line[] = { "No room for", "create large stores", NULL };
	const int kmsg = mt_kmsg_open();
	unsigned int i, first, again, nr[NR_STORES];
	int id[NR_STORES], err, right = 1;
	char text[256];

	scene = name;
	for (i = 0; i < NR_STORES; i++) {
		id[i] = mt_store_create(fd, TABLE, i * STORE, STORE);
		right &= id[i] > 0;
	}
	result(right, "stores for all events that a device can have");
	result(mt_store_create(fd, MEM, 0, NR) == -ENOSPC, "one more store is refused");
	result(mt_kmsg_read(kmsg, line, text, sizeof(text)) == 1, "with a line in the log");

	first = take_all(fd, id, nr, &err);
	printf("# %u interrupts, then %d\n", first, err);
	result(err == -ENOSPC && first >= LEAST, "they run out");
	result(mt_request(fd, TABLE, 0, NR) == 0 && arrive(fd, TABLE, NR), "some arrive");
	result(!mt_release(fd, TABLE, 0, NR), "these are released");
	for (i = 0; i < NR_STORES; i++)
		right &= !nr[i] || !mt_free(fd, TABLE, i * STORE, nr[i]);
	result(right, "they are freed");
	again = take_all(fd, id, nr, &err);
	result(again == first, "as many are there again");
	close(kmsg);
	return first;
}

int main(void)
{
	int fd[] = { open_device(0), open_device(1), open_device(2) };
	struct ims_testdev_info info;
	unsigned int i, nr;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < 3; i++) {
		if (fd[i] < 0) {
			printf("Bail out! device %u is not there\n", i);
			return 1;
		}
	}
	ksft_print_header();
	ksft_set_plan(39);
	share("two with one DeviceID", fd[1], fd[2]);
	share("the same the other way", fd[2], fd[1]);

	/* The device driver forgets the stores along with the file, and MSI-X with unbind */
	mt_info(fd[0], &info);
	nr = exhaust(fd[0], "all interrupts");
	close(fd[0]);
	fd[0] = open_device(0);
	alternate(fd[0]);
	close(fd[0]);
	if (mt_write_file(DRIVER "/unbind", info.name) || mt_write_file(DRIVER "/bind", info.name))
		printf("# cannot bind %s again\n", info.name);
	fd[0] = open_device(0);
	mt_reset(fd[0]);
	result(exhaust(fd[0], "all interrupts again") == nr, "as many as the first time");
	for (i = 0; i < 3; i++)
		close(fd[i]);
	ksft_finished();
}
