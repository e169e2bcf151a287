// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's edu device (docs/specs/edu.txt), driven through VFIO: a factorial and
 * two transfers by DMA, each announced by its MSI.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices.h"

#define PAGE		4096
#define IOVA		0x100000
/* The device takes a transfer that ends where its memory ends for one too long. */
#define CHUNK		2048

#define EDU_ID		0x00
#define EDU_FACTORIAL	0x08
#define EDU_STATUS	0x20
#define EDU_IRQ_STATUS	0x24
#define EDU_IRQ_ACK	0x64
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98

#define STATUS_IRQ	0x80
#define IRQ_FACTORIAL	0x001
#define IRQ_DMA		0x100
#define DMA_RUN		0x1
#define DMA_FROM_EDU	0x2
#define DMA_IRQ		0x4
/* Where its own memory is, for its DMA engine */
#define EDU_MEMORY	0x40000

#define PCI_COMMAND	0x04
#define PCI_MASTER	0x04

struct edu {
	int container, group, device, event;
	volatile char *regs;
	char *page;
	/* Two pages as the device sees them: what it reads, what it writes */
	uint64_t from, to;
	uint64_t config;
};

static const struct device *edu_device(void)
{
	for_each_device(dev)
		if (dev->kind == EDU)
			return dev;
	die("no edu");
}

/* 0, or -errno of the call that attaches an IOMMU to the group */
static int open_group(struct edu *edu)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	const struct device *dev = edu_device();
	char path[128], target[256];
	const char *group;
	ssize_t len;

	edu->device = edu->event = -1;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", dev->bdf);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		die("edu is in no group");
	target[len] = 0;
	group = strrchr(target, '/') + 1;
	snprintf(path, sizeof(path), "/dev/vfio/%s%s", machine == DIRECT ? "noiommu-" : "", group);
	edu->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	edu->group = open(path, O_RDWR | O_CLOEXEC);
	if (edu->container < 0 || edu->group < 0)
		die("%s: %s", path, strerror(errno));
	if (ioctl(edu->group, VFIO_GROUP_GET_STATUS, &status) ||
	    !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		die("edu's group is not viable");
	if (ioctl(edu->group, VFIO_GROUP_SET_CONTAINER, &edu->container))
		return -errno;
	if (ioctl(edu->container, VFIO_SET_IOMMU,
		  machine == DIRECT ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1_IOMMU))
		return -errno;
	return 0;
}

static void close_group(struct edu *edu)
{
	if (edu->device >= 0)
		close(edu->device);
	close(edu->group);
	close(edu->container);
}

int edu_try(void)
{
	struct edu edu = { 0 };
	int ret = open_group(&edu);

	close_group(&edu);
	return ret;
}

static uint64_t physical(void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), (uintptr_t)at / PAGE * 8) != 8 ||
	    !(entry >> 63) || !(entry << 9 >> 9))
		die("no physical address");
	close(fd);
	return (entry << 9 >> 9) * PAGE;
}

static uint32_t get(struct edu *edu, unsigned int reg)
{
	return *(volatile uint32_t *)(edu->regs + reg);
}

static void put(struct edu *edu, unsigned int reg, uint32_t value)
{
	*(volatile uint32_t *)(edu->regs + reg) = value;
}

static void put64(struct edu *edu, unsigned int reg, uint64_t value)
{
	*(volatile uint64_t *)(edu->regs + reg) = value;
}

struct edu *edu_open(void)
{
	struct edu *edu = calloc(1, sizeof(*edu));
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	struct vfio_region_info config = { .argsz = sizeof(config),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = IOVA, .size = 2 * PAGE,
	};
	struct { struct vfio_irq_set set; int fd; } irq = {
		.set = { .argsz = sizeof(irq), .index = VFIO_PCI_MSI_IRQ_INDEX, .count = 1,
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER },
	};
	uint16_t command;
	int ret;

	ret = open_group(edu);
	if (ret)
		die("VFIO refuses edu: %s", strerror(-ret));
	edu->page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	if (edu->page == MAP_FAILED)
		die("no memory");
	if (machine == DIRECT) {
		edu->from = physical(edu->page);
		edu->to = physical(edu->page + PAGE);
	} else {
		map.vaddr = (uintptr_t)edu->page;
		if (ioctl(edu->container, VFIO_IOMMU_MAP_DMA, &map))
			die("VFIO maps no memory: %s", strerror(errno));
		edu->from = IOVA;
		edu->to = IOVA + PAGE;
	}
	edu->device = ioctl(edu->group, VFIO_GROUP_GET_DEVICE_FD, edu_device()->bdf);
	if (edu->device < 0 || ioctl(edu->device, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
	    ioctl(edu->device, VFIO_DEVICE_GET_REGION_INFO, &config))
		die("VFIO does not hand out edu: %s", strerror(errno));
	edu->config = config.offset;
	edu->regs = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, edu->device, bar.offset);
	if (edu->regs == MAP_FAILED)
		die("edu's registers cannot be mapped: %s", strerror(errno));
	if (get(edu, EDU_ID) != 0x010000ed)
		die("edu says that it is %#x", get(edu, EDU_ID));
	edu->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	irq.fd = edu->event;
	if (ioctl(edu->device, VFIO_DEVICE_SET_IRQS, &irq))
		die("VFIO sets up no MSI: %s", strerror(errno));
	/* VFIO leaves it to its user to let the device talk. */
	if (pread(edu->device, &command, 2, config.offset + PCI_COMMAND) != 2)
		die("no configuration space");
	command |= PCI_MASTER;
	if (pwrite(edu->device, &command, 2, config.offset + PCI_COMMAND) != 2)
		die("no configuration space");
	put(edu, EDU_IRQ_ACK, ~0U);
	put(edu, EDU_STATUS, STATUS_IRQ);
	return edu;
}

/*
 * edu cannot mask its MSI. When the message changes, x86 raises the interrupt once more
 * if one may have come in meanwhile, so that one too many is possible, and none too few:
 * arch/x86/kernel/apic/msi.c and fixup_irqs() say so.
 */
static bool may_repeat(void)
{
	return interrupts_move && machine != REMAPPED;
}

/* Exactly one interrupt, for this reason */
static void await(struct edu *edu, uint32_t reason)
{
	struct pollfd fd = { .fd = edu->event, .events = POLLIN };
	uint64_t count;
	uint32_t status;

	do {
		if (poll(&fd, 1, WAIT_SECONDS * 1000) != 1)
			die("edu: no interrupt %#x, its status is %#x", reason,
			    get(edu, EDU_IRQ_STATUS));
		if (read(edu->event, &count, sizeof(count)) != sizeof(count) ||
		    (count != 1 && !may_repeat()))
			die("edu: %llu interrupts for one %#x", (unsigned long long)count,
			    reason);
		status = get(edu, EDU_IRQ_STATUS);
	} while (!status && may_repeat());
	if (status != reason)
		die("edu: an interrupt for %#x instead of %#x", status, reason);
	put(edu, EDU_IRQ_ACK, status);
}

static void transfer(struct edu *edu, uint64_t src, uint64_t dst, uint32_t cmd)
{
	put64(edu, EDU_DMA_SRC, src);
	put64(edu, EDU_DMA_DST, dst);
	put64(edu, EDU_DMA_COUNT, CHUNK);
	put64(edu, EDU_DMA_CMD, cmd | DMA_RUN | DMA_IRQ);
	await(edu, IRQ_DMA);
}

int edu_round(struct edu *edu, uint64_t seed)
{
	uint32_t n = 1 + seed % 12, product = 1;
	uint64_t stray;

	if (read(edu->event, &stray, sizeof(stray)) == sizeof(stray) && !may_repeat())
		die("edu: an interrupt that nobody asked for");
	for (uint32_t i = 2; i <= n; i++)
		product *= i;
	if (spoiled("edu"))
		product++;
	put(edu, EDU_FACTORIAL, n);
	await(edu, IRQ_FACTORIAL);
	if (get(edu, EDU_FACTORIAL) != product)
		die("edu: %u! is not %u", n, get(edu, EDU_FACTORIAL));

	fill_random(edu->page, CHUNK, seed);
	for (unsigned int i = 0; i < CHUNK; i++)
		edu->page[PAGE + i] = ~edu->page[i];
	transfer(edu, edu->from, EDU_MEMORY, 0);
	transfer(edu, EDU_MEMORY, edu->to, DMA_FROM_EDU);
	if (spoiled("edu-dma"))
		edu->page[0] ^= 1;
	if (memcmp(edu->page, edu->page + PAGE, CHUNK))
		die("edu: wrong content");
	return 0;
}

void edu_close(struct edu *edu)
{
	munmap((void *)edu->regs, PAGE);
	close_group(edu);
	close(edu->event);
	munmap(edu->page, 2 * PAGE);
	free(edu);
}
