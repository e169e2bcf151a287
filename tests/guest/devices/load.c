// SPDX-License-Identifier: GPL-2.0
/* Threads that do rounds of I/O. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"

struct load {
	const struct device *dev;
	pthread_t thread;
	bool may_fail;
	atomic_bool stop, ready;
	atomic_ullong rounds;
};

/* What the devices of a kind have in common */
struct port {
	const struct device *dev;
	void *data;
};

static struct port port_open(const struct device *dev)
{
	struct port port = { .dev = dev };

	switch (dev->kind) {
	case NVME:
	case DISK:
		port.data = disk_open(dev);
		break;
	case NET:
		port.data = net_open();
		break;
	case EDU:
		port.data = edu_open();
		break;
	case BRIDGE:
		break;
	}
	return port;
}

static int port_round(struct port *port, uint64_t seed)
{
	switch (port->dev->kind) {
	case NVME:
	case DISK:
		return disk_round(port->data, seed);
	case NET:
		return net_round(port->data, seed);
	case EDU:
		return edu_round(port->data, seed);
	case BRIDGE:
		break;
	}
	return -EINVAL;
}

static void port_close(struct port *port)
{
	switch (port->dev->kind) {
	case NVME:
	case DISK:
		disk_close(port->data);
		break;
	case NET:
		net_close(port->data);
		break;
	case EDU:
		edu_close(port->data);
		break;
	case BRIDGE:
		break;
	}
}

/* No two rounds of a run write the same. */
static uint64_t new_seed(void)
{
	static atomic_ullong state = 1;
	uint64_t seed = atomic_fetch_add(&state, 1) << 20;

	return next_random(&seed);
}

static void *work(void *data)
{
	struct load *load = data;
	struct port port = port_open(load->dev);
	int ret;

	load->ready = true;
	while (!load->stop) {
		ret = port_round(&port, new_seed());
		if (ret && load->may_fail)
			break;
		if (ret)
			die("%s: I/O fails: %s", load->dev->name, strerror(-ret));
		load->rounds++;
		/* All share few real CPUs; what is tested is not throughput. */
		nap(20);
	}
	port_close(&port);
	return NULL;
}

struct load *load_start(const struct device *dev, bool may_fail)
{
	struct load *load = calloc(1, sizeof(*load));
	double end = 0;

	load->dev = dev;
	load->may_fail = may_fail;
	if (pthread_create(&load->thread, NULL, work, load))
		die("no thread");
	while (!load->ready)
		if (!wait_more(&end, 2 * WAIT_SECONDS))
			die("%s does not start", dev->name);
	return load;
}

void load_stop(struct load *load)
{
	load->stop = true;
	pthread_join(load->thread, NULL);
	free(load);
}

uint64_t load_rounds(const struct load *load)
{
	return load->rounds;
}

/* e1000e and virtio-net share a load: what one sends, the other gets. */
static bool has_load(const struct device *dev)
{
	return strcmp(dev->name, "virtio-net") && dev->kind != BRIDGE &&
	       (dev->kind != EDU || machine != UNTRUSTED);
}

unsigned int loads_start(struct load **loads, const struct device *but)
{
	unsigned int nr = 0;

	for_each_device(dev)
		if (has_load(dev) && dev != but && !(but && but->kind == BRIDGE) &&
		    !(but && but->kind == NET && dev->kind == NET))
			loads[nr++] = load_start(dev, false);
	return nr;
}

void loads_stop(struct load **loads, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		loads[i]->stop = true;
	for (unsigned int i = 0; i < nr; i++)
		load_stop(loads[i]);
}

void loads_progress(struct load **loads, unsigned int nr, unsigned int rounds)
{
	uint64_t before[16];
	double end = 0;

	for (unsigned int i = 0; i < nr; i++)
		before[i] = loads[i]->rounds;
	for (unsigned int i = 0; i < nr; i++)
		while (loads[i]->rounds < before[i] + rounds)
			if (!wait_more(&end, 2 * WAIT_SECONDS))
				die("%s makes no progress", loads[i]->dev->name);
}

void io_now(const struct device *dev, unsigned int rounds)
{
	struct port port;
	int ret;

	if (dev->kind == BRIDGE) {
		for_each_device(other)
			if (other != dev)
				io_now(other, rounds);
		return;
	}
	port = port_open(dev);
	while (rounds--) {
		ret = port_round(&port, new_seed());
		if (ret)
			die("%s: I/O fails: %s", dev->name, strerror(-ret));
	}
	port_close(&port);
}
