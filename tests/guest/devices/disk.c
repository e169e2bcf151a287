// SPDX-License-Identifier: GPL-2.0
/* Disks: random blocks written past the page cache, read back and compared. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices.h"

#define CHUNK		8192
#define CHUNKS		2
#define NVME_IDENTIFY	0x06

struct disk {
	const struct device *dev;
	int fd;
	uint64_t size;
	char *out, *in, *want;
	unsigned int cpu;
};

/* The disk below a PCI device */
bool disk_find(const struct device *dev, char *name, size_t size)
{
	char path[512], target[512], part[32], text[32];
	struct dirent *entry;
	bool found = false;
	ssize_t len;
	DIR *dir;
	int fd;

	snprintf(part, sizeof(part), "/%s/", dev->bdf);
	dir = opendir("/sys/block");
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/block/%s", entry->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = 0;
		if (!strstr(target, part))
			continue;
		/* It is there before it has a size, a node, and can be opened. */
		snprintf(path, sizeof(path), "/sys/block/%s/size", entry->d_name);
		if (read_text(path, text, sizeof(text)) || !atol(text))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		close(fd);
		snprintf(name, size, "%s", path);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

struct disk *disk_open(const struct device *dev)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	char name[64];

	disk->dev = dev;
	if (!disk_find(dev, name, sizeof(name)))
		die("%s has no disk", dev->name);
	disk->fd = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk->fd < 0)
		die("%s: %s", name, strerror(errno));
	if (ioctl(disk->fd, BLKGETSIZE64, &disk->size) || disk->size < CHUNK * CHUNKS)
		die("%s: no size: %s", name, strerror(errno));
	if (posix_memalign((void **)&disk->out, 4096, CHUNK) ||
	    posix_memalign((void **)&disk->in, 4096, CHUNK) ||
	    posix_memalign((void **)&disk->want, 4096, CHUNK))
		die("no memory");
	return disk;
}

/* Only this reaches the one vector of nvme whose affinity can be changed. */
static int nvme_admin(struct disk *disk)
{
	struct nvme_admin_cmd cmd = {
		.opcode = NVME_IDENTIFY, .addr = (uintptr_t)disk->in, .data_len = 4096,
		.cdw10 = 1,
	};

	memset(disk->in, 0xff, 4096);
	if (ioctl(disk->fd, NVME_IOCTL_ADMIN_CMD, &cmd))
		return errno ? -errno : -EIO;
	/* The serial number of devices.py */
	if (memcmp(disk->in + 4, "nvme ", 5))
		die("%s does not say who it is", disk->dev->name);
	return 0;
}

/* I/O goes through the queue of the CPU that it comes from. */
static void go_round(struct disk *disk)
{
	cpu_set_t set;

	disk->cpu = (disk->cpu + 1) % nr_cpus();
	CPU_ZERO(&set);
	CPU_SET(disk->cpu, &set);
	/* Fails where that CPU is offline: any other is as good. */
	sched_setaffinity(0, sizeof(set), &set);
}

static int transfer(struct disk *disk, bool out, char *buf, uint64_t at)
{
	ssize_t ret = out ? pwrite(disk->fd, buf, CHUNK, at) : pread(disk->fd, buf, CHUNK, at);

	if (ret < 0)
		return -errno;
	return ret == CHUNK ? 0 : -EIO;
}

int disk_round(struct disk *disk, uint64_t seed)
{
	uint64_t places[CHUNKS], chunks = disk->size / CHUNK, state = seed;
	unsigned int i;
	int ret;

	go_round(disk);
	for (i = 0; i < CHUNKS; i++) {
		/* Each in a part of its own, so that none overwrites another */
		places[i] = (next_random(&state) % (chunks / CHUNKS) + i * (chunks / CHUNKS)) * CHUNK;
		fill_random(disk->out, CHUNK, seed ^ places[i]);
		ret = transfer(disk, true, disk->out, places[i]);
		if (ret)
			return ret;
	}
	if (disk->dev->kind == NVME) {
		ret = nvme_admin(disk);
		if (ret)
			return ret;
	}
	if (fdatasync(disk->fd))
		return -errno;
	for (i = 0; i < CHUNKS; i++) {
		fill_random(disk->want, CHUNK, seed ^ places[i]);
		if (spoiled(disk->dev->name))
			disk->want[CHUNK - 1] ^= 1;
		for (unsigned int b = 0; b < CHUNK; b++)
			disk->in[b] = ~disk->want[b];
		ret = transfer(disk, false, disk->in, places[i]);
		if (ret)
			return ret;
		if (memcmp(disk->in, disk->want, CHUNK))
			die("%s: wrong content at %llu", disk->dev->name,
			    (unsigned long long)places[i]);
	}
	return 0;
}

void disk_close(struct disk *disk)
{
	close(disk->fd);
	free(disk->out);
	free(disk->in);
	free(disk->want);
	free(disk);
}
