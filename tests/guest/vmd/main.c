// SPDX-License-Identifier: GPL-2.0
/*
 * Test devices behind a VMD, which has fewer vectors than nvme asks for.
 *
 * Whatever is no NVMe controller shares the first vector of the VMD, and a message runs the
 * handlers of all that do. So a handler can run more often than its slot has fired, and what
 * the driver counts as spurious or lost says nothing here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scenes.h"

#define VMD	"0000:00:18.0"
#define NVME	"10000:01:00.0"
#define DEVICES	"/sys/bus/pci/devices/"
#define DRIVER	"/sys/bus/pci/drivers/vmd/"

#define MSI	IMS_TD_KIND_MSI
#define MSIX	IMS_TD_KIND_MSIX
#define TABLE	IMS_TD_KIND_TABLE
#define ANY	IMS_TESTDEV_ANY_INDEX

/* How often an interrupt is raised while others of its vector come and go */
#define ROUNDS	30000

static const unsigned int kinds[] = { TABLE, IMS_TD_KIND_WIDE, IMS_TD_KIND_MEM, IMS_TD_KIND_CMD };
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct device {
	int	fd;
	char	name[sizeof(((struct ims_testdev_info *)0)->name)];
} beside, behind[2];

/* Vectors of the VMD, 0 if it passes messages on */
static int vectors;

/* The devices, and how many of them are behind the VMD */
static unsigned int find(void)
{
	struct ims_testdev_info info;
	unsigned int number, nr = 0;
	struct device *dev;
	char path[PATH_MAX];
	int fd;

	for (number = 0; number < 16; number++) {
		snprintf(path, sizeof(path), "/dev/ims_testdev%u", number);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		dev = NULL;
		if (!mt_info(fd, &info)) {
			if (!strncmp(info.name, "0000:", strlen("0000:")))
				dev = &beside;
			else if (nr < 2)
				dev = &behind[nr++];
		}
		if (!dev) {
			close(fd);
			continue;
		}
		dev->fd = fd;
		snprintf(dev->name, sizeof(dev->name), "%s", info.name);
	}
	return nr;
}

static int nr_irqs(const char *name)
{
	char path[PATH_MAX];
	int nr;

	snprintf(path, sizeof(path), DEVICES "%s/msi_irqs", name);
	nr = mt_count_files(path);
	return nr < 0 ? 0 : nr;
}

/* No kind of store works, and a line for each says for lack of what */
static int refused(const struct device *dev, const char *lacks)
{
	const char *const line[] = { dev->name, "IMS", lacks, NULL };
	int kmsg, lines, right = 1;
	unsigned int i;
	char text[512];

	for (i = 0; i < NR_KINDS; i++) {
		kmsg = mt_kmsg_open();
		right &= mt_store_create(dev->fd, kinds[i], 0, 4) == -EOPNOTSUPP;
		lines = mt_kmsg_read(kmsg, line, text, sizeof(text));
		close(kmsg);
		if (lines != 1)
			printf("# kind %u: %d lines\n", kinds[i], lines);
		right &= lines == 1;
	}
	return right;
}

static int has_ims(const struct device *dev)
{
	int id = mt_store_create(dev->fd, TABLE, 0, 4);

	return id > 0 && !mt_alloc(dev->fd, id, 0, 4, NULL) &&
	       !mt_request_unlazy(dev->fd, TABLE, 0, 4) && arrive(dev->fd, TABLE, 4) &&
	       !mt_release(dev->fd, TABLE, 0, 4) && !mt_free(dev->fd, TABLE, 0, 4) &&
	       !mt_store_remove(dev->fd, id);
}

static void ims(void)
{
	const char *expect = getenv("IMS_EXPECT");
	int remapped = expect && !strcmp(expect, "yes");

	scene = "IMS";
	result(remapped ? has_ims(&beside) : refused(&beside, "interrupt remapping"),
	       "as on any machine beside the VMD");
	if (vectors)
		result(refused(&behind[0], "tells devices apart"), "refused behind it");
	else
		result(has_ims(&behind[0]), "as well where messages pass");
}

/* How often the handler of a slot has run */
static __u64 received(const struct device *dev, unsigned int kind, unsigned int nr)
{
	struct ims_testdev_counts sum;

	return mt_counts(dev->fd, kind, nr, 1, &sum, NULL) ? 0 : sum.received;
}

/* Wait until it has run more often than that. Once one is lost, others are not waited for */
static int comes(const struct device *dev, unsigned int kind, unsigned int nr, __u64 before)
{
	static int lost;
	time_t end = 0;
	int i;

	for (i = 0; received(dev, kind, nr) <= before; i++) {
		if (i < 1000) {
			sched_yield();
		} else if (lost || !mt_wait_more(&end)) {
			printf("# slot %u of %s is lost after %llu\n", nr, dev->name, before);
			lost = 1;
			return 0;
		}
	}
	return 1;
}

static int fire(const struct device *dev, unsigned int kind, unsigned int nr)
{
	__u64 before = received(dev, kind, nr);

	return !mt_fire(dev->fd, kind, nr) && comes(dev, kind, nr, before);
}

/* One after the other */
static int each(const struct device *dev, unsigned int kind, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!fire(dev, kind, i))
			return 0;
	}
	return 1;
}

static int enable(const struct device *dev, unsigned int kind, unsigned int nr)
{
	return !mt_vectors_enable(dev->fd, kind, nr) && nr_irqs(dev->name) == (int)nr &&
	       !mt_request(dev->fd, kind, 0, nr) && each(dev, kind, nr);
}

static int disable(const struct device *dev, unsigned int kind, unsigned int nr)
{
	return !mt_release(dev->fd, kind, 0, nr) && !mt_vectors_disable(dev->fd, kind) &&
	       !nr_irqs(dev->name);
}

static void limits(void)
{
	const struct device *dev = &behind[0];
	struct ims_testdev_map map;
	int nr, ret = 0;

	scene = "limits";
	result(nr_irqs(NVME) == vectors, "nvme has as many interrupts as the VMD");
	result(mt_vectors_enable(dev->fd, MSIX, vectors + 1) == -ENOSPC &&
	       mt_vectors_enable_min(dev->fd, MSIX, 1, vectors + 1) == vectors &&
	       !mt_vectors_disable(dev->fd, MSIX), "so has another device, and no more");
	result(enable(&behind[1], MSIX, vectors), "two of them at once");

	result(enable(dev, MSIX, 2), "fewer");
	for (nr = 2; nr <= vectors && !ret; nr++)
		ret = mt_alloc_msix(dev->fd, ANY, 1, &map);
	result(ret == -ENOSPC && nr == vectors + 1 && nr_irqs(dev->name) == vectors,
	       "others one by one");
	result(!mt_request(dev->fd, MSIX, 2, vectors - 2) && each(dev, MSIX, vectors),
	       "all arrive");
	result(!mt_release(dev->fd, MSIX, 3, 1) && !mt_free(dev->fd, MSIX, 3, 1) &&
	       !mt_alloc_msix(dev->fd, ANY, 1, &map) && map.index == 3 &&
	       mt_alloc_msix(dev->fd, ANY, 1, &map) == -ENOSPC &&
	       !mt_request(dev->fd, MSIX, 3, 1) && each(dev, MSIX, vectors), "one again");
	result(disable(dev, MSIX, vectors) && disable(&behind[1], MSIX, vectors), "none");
}

static void multi_msi(void)
{
	const struct device *dev = &behind[0];

	scene = "MSI";
	result(mt_vectors_enable_min(dev->fd, MSI, 1, 4) == 1 && nr_irqs(dev->name) == 1,
	       "one vector of four");
	result(!mt_request(dev->fd, MSI, 0, 1) && each(dev, MSI, 1), "it arrives");
	result(disable(dev, MSI, 1), "it is freed");
}

static void affinity(void)
{
	const struct device *dev = &behind[0];
	unsigned int cpus = mt_nr_online(), cpu;
	struct ims_testdev_count count;
	int before, right;

	scene = "affinity";
	result(enable(dev, MSIX, 1) && !mt_counts(dev->fd, MSIX, 0, 1, NULL, &count),
	       "an interrupt");
	before = mt_effective_cpu(count.virq);
	for (right = 1, cpu = 0; cpu < cpus; cpu++)
		right &= mt_set_affinity(count.virq, cpu) == -EINVAL && each(dev, MSIX, 1) &&
			 mt_effective_cpu(count.virq) == before;
	result(right, "that of the VMD's vector, a change is refused");
	for (right = 1, cpu = 1; cpu < cpus; cpu++)
		right &= !mt_cpu_set_online(cpu, false) && each(dev, MSIX, 1);
	result(right, "CPUs go");
	for (right = 1, cpu = 1; cpu < cpus; cpu++)
		right &= !mt_cpu_set_online(cpu, true) && each(dev, MSIX, 1);
	result(right, "CPUs come");
	result(disable(dev, MSIX, 1), "freed");
}

static void masks(void)
{
	const struct device *dev = &behind[0];
	struct ims_testdev_slot slot;
	__u64 before;

	scene = "disabled";
	result(enable(dev, MSIX, 2) && !mt_mask(dev->fd, MSIX, 1, 1) &&
	       !mt_fire(dev->fd, MSIX, 1) && !mt_slots(dev->fd, MSIX, 1, 1, &slot) &&
	       slot.state & IMS_TD_SLOT_MASKED && slot.state & IMS_TD_SLOT_PENDING,
	       "pending in the device");
	before = received(dev, MSIX, 1);
	result(each(dev, MSIX, 1) && received(dev, MSIX, 1) == before,
	       "the other one of its vector arrives");
	result(!mt_unmask(dev->fd, MSIX, 1, 1) && comes(dev, MSIX, 1, before), "enabled");
	result(disable(dev, MSIX, 2), "freed");
}

static atomic_bool stop;

/* Disables and enables, in turn, the interrupts that have been enabled longest. */
static void *toggle(void *data)
{
	const struct device *dev = data;
	long nr;

	for (nr = 0; !stop; nr++) {
		if (mt_mask(dev->fd, MSIX, nr % vectors, 1) ||
		    mt_unmask(dev->fd, MSIX, nr % vectors, 1))
			return NULL;
	}
	printf("# %ld times\n", nr);
	return (void *)nr;
}

/* More CPUs that are busy than the emulator has, so that it stops any of them anywhere */
static void *spin(void *data)
{
	while (!stop)
		;
	return data;
}

/*
 * While the VMD's driver goes through the handlers of a vector, those that it is about to run
 * are moved in its list. Behind them is the one that has been enabled last, which must run.
 */
static void shared_vector(void)
{
	struct device *other = &behind[0], *dev = &behind[1];
	pthread_t threads[3];
	void *toggled = NULL;
	int i, nr, right;

	scene = "shared vector";
	result(enable(other, MSIX, vectors) && enable(dev, MSIX, 1), "interrupts of two devices");
	stop = false;
	for (nr = 0; nr < 3; nr++) {
		if (pthread_create(&threads[nr], NULL, nr ? spin : toggle, other))
			break;
	}
	right = nr == 3;
	for (i = 0; right && i < ROUNDS; i++)
		right = !mt_mask(dev->fd, MSIX, 0, 1) && !mt_unmask(dev->fd, MSIX, 0, 1) &&
			fire(dev, MSIX, 0);
	printf("# %d rounds\n", i);
	stop = true;
	while (nr--)
		pthread_join(threads[nr], &toggled);
	result(right && toggled, "none is lost while others are disabled and enabled");
	result(each(other, MSIX, vectors), "those arrive");
	result(disable(other, MSIX, vectors) && disable(dev, MSIX, 1), "freed");
}

/* Without the driver of the VMD there are no devices behind it. */
static void unbind(void)
{
	struct ims_testdev_info info;
	int i;

	scene = "unbind";
	result(enable(&behind[0], MSIX, 4) && enable(&behind[1], MSI, 1), "interrupts in use");
	result(!mt_write_file(DRIVER "unbind", VMD) && !nr_irqs(VMD), "the VMD is unbound");
	result(mt_info(behind[0].fd, &info) == -ENODEV && mt_info(behind[1].fd, &info) == -ENODEV &&
	       !mt_proc_interrupts_count("10000:"), "nothing is behind it");
	for (i = 0; i < 2; i++)
		close(behind[i].fd);
	close(beside.fd);
	result(!mt_write_file(DRIVER "bind", VMD) && nr_irqs(VMD) == vectors && find() == 2,
	       "the VMD is bound");
}

/* Interrupts are in use, and arrive, until the machine is reset. */
static void stay(void)
{
	unsigned int nr = vectors ? vectors : 4;
	int right;

	scene = "end";
	right = enable(&behind[0], MSIX, nr) && enable(&behind[1], MSI, 1);
	result(right, "interrupts in use");
	fflush(stdout);
	if (!right || fork())
		return;
	while (!mt_fire_range(behind[0].fd, MSIX, 0, nr) && !mt_fire(behind[1].fd, MSI, 0))
		usleep(1000);
	_exit(1);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	vectors = nr_irqs(VMD);
	ksft_print_header();
	ksft_set_plan(vectors ? 32 : 8);
	scene = "devices";
	result(find() == 2 && beside.fd > 0, "two behind the VMD and one beside it");
	ims();
	if (vectors) {
		limits();
		multi_msi();
		affinity();
		masks();
		shared_vector();
	}
	unbind();
	stay();
	ksft_finished();
}
