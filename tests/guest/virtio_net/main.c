// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-net asks for its vectors from CPU hotplug callbacks. Interrupts of a store that
 * are spread over the CPUs need the lock of CPU hotplug as well. lockdep notices if the
 * two take it, and the locks of the core, in a different order.
 */
#include <stdio.h>
#include <unistd.h>

#include "../kselftest.h"
#include "msi_test.h"

#define NR	8
#define TABLE	IMS_TD_KIND_TABLE

static struct ims_testdev_map maps[NR];

static int spread(int fd, int id)
{
	return mt_alloc_spread(fd, id, NR, NR, 0, 0, maps) == NR && !mt_free(fd, TABLE, 0, NR);
}

int main(void)
{
	int fd = mt_open(), id;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan(6);
	ksft_test_result(!access("/sys/bus/virtio/drivers/virtio_net/virtio0", F_OK),
			 "virtio-net is bound\n");
	id = mt_store_create(fd, TABLE, 0, NR);
	ksft_test_result(fd >= 0 && id > 0, "there is a store\n");
	ksft_test_result(spread(fd, id), "interrupts are spread over the CPUs\n");
	ksft_test_result(!mt_cpu_set_online(1, 0) && spread(fd, id), "a CPU is offline\n");
	ksft_test_result(!mt_cpu_set_online(1, 1) && spread(fd, id), "the CPU is online\n");
	ksft_test_result(!mt_store_remove(fd, id), "the store is removed\n");
	close(fd);
	ksft_finished();
}
