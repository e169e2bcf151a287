// SPDX-License-Identifier: GPL-2.0
/* See msi_test.h for what these do. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../kselftest.h"
#include "msi_test.h"

static int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

const char *mt_node(void)
{
	const char *node = getenv("IMS_TESTDEV");

	return node ? node : "/dev/ims_testdev0";
}

int mt_open(void)
{
	int fd = open(mt_node(), O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int mt_info(int fd, struct ims_testdev_info *info)
{
	return call(fd, IMS_TESTDEV_INFO, info);
}

int mt_reset(int fd)
{
	return call(fd, IMS_TESTDEV_RESET, NULL);
}

int mt_forget(int fd, unsigned int how)
{
	struct ims_testdev_forget forget = { .how = how };

	return call(fd, IMS_TESTDEV_FORGET, &forget);
}

int mt_store_create_raw(int fd, struct ims_testdev_store *store)
{
	int ret = call(fd, IMS_TESTDEV_STORE_CREATE, store);

	return ret ? ret : (int)store->id;
}

int mt_store_create(int fd, unsigned int kind, unsigned int first, unsigned int nr_slots)
{
	return mt_store_create_flags(fd, kind, first, nr_slots, 0);
}

int mt_store_create_flags(int fd, unsigned int kind, unsigned int first, unsigned int nr_slots,
			  unsigned int flags)
{
	struct ims_testdev_store store = {
		.kind		= kind,
		.first		= first,
		.nr_slots	= nr_slots,
		.flags		= flags,
	};

	return mt_store_create_raw(fd, &store);
}

int mt_store_create_ops(int fd, unsigned int nr_slots, unsigned int ops)
{
	struct ims_testdev_store store = {
		.kind		= IMS_TD_KIND_TABLE,
		.nr_slots	= nr_slots,
		.ops		= ops,
	};

	return mt_store_create_raw(fd, &store);
}

int mt_store_remove(int fd, unsigned int id)
{
	struct ims_testdev_store store = { .id = id };

	return call(fd, IMS_TESTDEV_STORE_REMOVE, &store);
}

static int call_store(int fd, unsigned long cmd, unsigned int id)
{
	struct ims_testdev_store store = { .id = id };

	return call(fd, cmd, &store);
}

int mt_store_suspend(int fd, unsigned int id)
{
	return call_store(fd, IMS_TESTDEV_STORE_SUSPEND, id);
}

int mt_store_resume(int fd, unsigned int id)
{
	return call_store(fd, IMS_TESTDEV_STORE_RESUME, id);
}

int mt_vectors_enable(int fd, unsigned int kind, unsigned int count)
{
	struct ims_testdev_vectors vectors = { .kind = kind, .count = count };

	return call(fd, IMS_TESTDEV_VECTORS_ENABLE, &vectors);
}

int mt_vectors_enable_min(int fd, unsigned int kind, unsigned int min, unsigned int count)
{
	struct ims_testdev_vectors vectors = { .kind = kind, .count = count, .min = min };
	int ret = call(fd, IMS_TESTDEV_VECTORS_ENABLE, &vectors);

	return ret ? ret : (int)vectors.count;
}

int mt_vectors_enable_step(int fd, unsigned int count, unsigned int step)
{
	struct ims_testdev_vectors vectors = {
		.kind	= IMS_TD_KIND_MSIX,
		.count	= count,
		.step	= step,
	};

	return call(fd, IMS_TESTDEV_VECTORS_ENABLE, &vectors);
}

int mt_vectors_enable_affinity(int fd, unsigned int kind, unsigned int count)
{
	struct ims_testdev_vectors vectors = {
		.kind	= kind,
		.count	= count,
		.flags	= IMS_TESTDEV_VECTORS_AFFINITY,
	};

	return call(fd, IMS_TESTDEV_VECTORS_ENABLE, &vectors);
}

int mt_vectors_enable_copy(int fd, unsigned int count, bool once)
{
	struct ims_testdev_vectors vectors = {
		.kind	= IMS_TD_KIND_COPY,
		.count	= count,
		.flags	= once ? IMS_TESTDEV_VECTORS_COPY_ONCE : 0,
	};

	return call(fd, IMS_TESTDEV_VECTORS_ENABLE, &vectors);
}

int mt_vectors_disable(int fd, unsigned int kind)
{
	struct ims_testdev_vectors vectors = { .kind = kind };

	return call(fd, IMS_TESTDEV_VECTORS_DISABLE, &vectors);
}

int mt_alloc(int fd, unsigned int store, unsigned int index, unsigned int count,
	     struct ims_testdev_map *maps)
{
	struct ims_testdev_alloc alloc = {
		.store	= store,
		.index	= index,
		.count	= count,
		.maps	= (uintptr_t)maps,
	};

	return call(fd, IMS_TESTDEV_ALLOC, &alloc);
}

int mt_alloc_cpu(int fd, unsigned int store, unsigned int count, unsigned int cpu, bool managed,
		 struct ims_testdev_map *maps)
{
	struct ims_testdev_alloc alloc = {
		.store	= store,
		.index	= IMS_TESTDEV_ANY_INDEX,
		.count	= count,
		.flags	= IMS_TESTDEV_ALLOC_CPU,
		.cpu	= cpu,
		.maps	= (uintptr_t)maps,
	};

	if (managed)
		alloc.flags |= IMS_TESTDEV_ALLOC_MANAGED;
	return call(fd, IMS_TESTDEV_ALLOC, &alloc);
}

int mt_alloc_cookie(int fd, unsigned int store, unsigned int index, __u64 cookie,
		    struct ims_testdev_map *map)
{
	struct ims_testdev_alloc alloc = {
		.store	= store,
		.index	= index,
		.count	= 1,
		.cookie	= cookie,
		.maps	= (uintptr_t)map,
	};

	return call(fd, IMS_TESTDEV_ALLOC, &alloc);
}

int mt_alloc_no_cookie(int fd, unsigned int store, unsigned int index,
		       struct ims_testdev_map *map)
{
	struct ims_testdev_alloc alloc = {
		.store	= store,
		.index	= index,
		.count	= 1,
		.flags	= IMS_TESTDEV_ALLOC_NO_COOKIE,
		.maps	= (uintptr_t)map,
	};

	return call(fd, IMS_TESTDEV_ALLOC, &alloc);
}

int mt_alloc_batch_raw(int fd, struct ims_testdev_batch *batch)
{
	int ret = call(fd, IMS_TESTDEV_ALLOC_BATCH, batch);

	return ret ? ret : (int)batch->count;
}

static int call_batch(int fd, struct ims_testdev_batch *batch, const __u64 *cookies,
		      struct ims_testdev_map *maps)
{
	__u64 *zeros = NULL;
	int ret;

	if (!cookies) {
		zeros = calloc(batch->max ? batch->max : 1, sizeof(*zeros));
		if (!zeros)
			return -ENOMEM;
	}
	batch->cookies = (uintptr_t)(cookies ? cookies : zeros);
	batch->maps = (uintptr_t)maps;
	ret = mt_alloc_batch_raw(fd, batch);
	free(zeros);
	return ret;
}

int mt_alloc_batch(int fd, unsigned int store, unsigned int min, unsigned int max,
		   const __u64 *cookies, struct ims_testdev_map *maps)
{
	struct ims_testdev_batch batch = {
		.store	= store,
		.min	= min,
		.max	= max,
	};

	return call_batch(fd, &batch, cookies, maps);
}

int mt_alloc_spread(int fd, unsigned int store, unsigned int min, unsigned int max,
		    unsigned int pre, unsigned int post, struct ims_testdev_map *maps)
{
	struct ims_testdev_batch batch = {
		.store	= store,
		.min	= min,
		.max	= max,
		.flags	= IMS_TESTDEV_BATCH_SPREAD,
		.pre	= pre,
		.post	= post,
	};

	return call_batch(fd, &batch, NULL, maps);
}

int mt_alloc_at(int fd, unsigned int store, unsigned int index, unsigned int min,
		unsigned int max, bool spread, struct ims_testdev_map *maps)
{
	struct ims_testdev_batch batch = {
		.store	= store,
		.index	= index,
		.min	= min,
		.max	= max,
		.flags	= IMS_TESTDEV_BATCH_AT | (spread ? IMS_TESTDEV_BATCH_SPREAD : 0),
		.maps	= (uintptr_t)maps,
	};

	return mt_alloc_batch_raw(fd, &batch);
}

int mt_store_affinity(int fd, unsigned int store, unsigned int index, __u64 *cpus)
{
	struct ims_testdev_affinity affinity = { .store = store, .index = index };
	int ret = call(fd, IMS_TESTDEV_AFFINITY, &affinity);

	*cpus = affinity.flags & IMS_TESTDEV_AFFINITY_SET ? affinity.cpus : 0;
	return ret;
}

int mt_set_cookie_raw(int fd, struct ims_testdev_cookie *cookie)
{
	return call(fd, IMS_TESTDEV_SET_COOKIE, cookie);
}

int mt_set_cookie(int fd, unsigned int kind, unsigned int slot, __u64 cookie)
{
	struct ims_testdev_cookie set = {
		.kind	= kind,
		.slot	= slot,
		.flags	= IMS_TESTDEV_COOKIE_EXPECT,
		.cookie	= cookie,
	};

	return mt_set_cookie_raw(fd, &set);
}

int mt_set_no_cookie(int fd, unsigned int kind, unsigned int slot)
{
	struct ims_testdev_cookie set = {
		.kind	= kind,
		.slot	= slot,
		.flags	= IMS_TESTDEV_COOKIE_EXPECT | IMS_TESTDEV_COOKIE_NONE,
	};

	return mt_set_cookie_raw(fd, &set);
}

int mt_alloc_msix(int fd, unsigned int index, unsigned int count, struct ims_testdev_map *maps)
{
	struct ims_testdev_alloc alloc = {
		.index	= index,
		.count	= count,
		.flags	= IMS_TESTDEV_ALLOC_MSIX,
		.maps	= (uintptr_t)maps,
	};

	return call(fd, IMS_TESTDEV_ALLOC, &alloc);
}

int mt_alloc_msix_cpu(int fd, unsigned int index, unsigned int cpu, bool managed,
		      struct ims_testdev_map *map)
{
	struct ims_testdev_alloc alloc = {
		.index	= index,
		.count	= 1,
		.flags	= IMS_TESTDEV_ALLOC_MSIX | IMS_TESTDEV_ALLOC_CPU,
		.cpu	= cpu,
		.maps	= (uintptr_t)map,
	};

	if (managed)
		alloc.flags |= IMS_TESTDEV_ALLOC_MANAGED;
	return call(fd, IMS_TESTDEV_ALLOC, &alloc);
}

static int call_range(int fd, unsigned long cmd, unsigned int kind, unsigned int first,
		      unsigned int count, unsigned int flags)
{
	struct ims_testdev_range range = {
		.kind	= kind,
		.first	= first,
		.count	= count,
		.flags	= flags,
	};

	return call(fd, cmd, &range);
}

int mt_free(int fd, unsigned int kind, unsigned int first, unsigned int count)
{
	return call_range(fd, IMS_TESTDEV_FREE, kind, first, count, 0);
}

int mt_free_batch(int fd, unsigned int kind, const __u32 *slots, unsigned int count)
{
	struct ims_testdev_batch_free batch = {
		.kind	= kind,
		.count	= count,
		.slots	= (uintptr_t)slots,
	};

	return call(fd, IMS_TESTDEV_FREE_BATCH, &batch);
}

int mt_restore(int fd, unsigned int kind, unsigned int first, unsigned int count)
{
	return call_range(fd, IMS_TESTDEV_RESTORE, kind, first, count, 0);
}

int mt_request(int fd, unsigned int kind, unsigned int first, unsigned int count)
{
	return mt_request_flags(fd, kind, first, count, 0);
}

int mt_request_unlazy(int fd, unsigned int kind, unsigned int first, unsigned int count)
{
	return mt_request_flags(fd, kind, first, count, IMS_TESTDEV_REQUEST_UNLAZY);
}

int mt_request_flags(int fd, unsigned int kind, unsigned int first, unsigned int count,
		     unsigned int flags)
{
	return call_range(fd, IMS_TESTDEV_REQUEST, kind, first, count, flags);
}

int mt_release(int fd, unsigned int kind, unsigned int first, unsigned int count)
{
	return call_range(fd, IMS_TESTDEV_RELEASE, kind, first, count, 0);
}

int mt_mask(int fd, unsigned int kind, unsigned int first, unsigned int count)
{
	return call_range(fd, IMS_TESTDEV_MASK, kind, first, count, 0);
}

int mt_unmask(int fd, unsigned int kind, unsigned int first, unsigned int count)
{
	return call_range(fd, IMS_TESTDEV_UNMASK, kind, first, count, 0);
}

static int call_fire(int fd, unsigned int kind, unsigned int first, unsigned int count,
		     unsigned int cmd, unsigned int flags)
{
	struct ims_testdev_fire fire = {
		.kind	= kind,
		.first	= first,
		.count	= count,
		.cmd	= cmd,
		.flags	= flags,
	};

	return call(fd, IMS_TESTDEV_FIRE, &fire);
}

int mt_fire(int fd, unsigned int kind, unsigned int nr)
{
	return call_fire(fd, kind, nr, 0, IMS_TD_FIRE_ONE, 0);
}

int mt_fire_doorbell(int fd, unsigned int kind, unsigned int nr)
{
	return call_fire(fd, kind, nr, 0, IMS_TESTDEV_FIRE_DOORBELL, 0);
}

int mt_fire_range(int fd, unsigned int kind, unsigned int first, unsigned int count)
{
	return call_fire(fd, kind, first, count, IMS_TD_FIRE_RANGE, 0);
}

int mt_fire_all(int fd, unsigned int kind)
{
	return call_fire(fd, kind, 0, 0, IMS_TD_FIRE_ALL, 0);
}

int mt_fire_unexpected(int fd, unsigned int kind, unsigned int nr)
{
	return call_fire(fd, kind, nr, 0, IMS_TD_FIRE_ONE, IMS_TESTDEV_FIRE_UNEXPECTED);
}

int mt_counts(int fd, unsigned int kind, unsigned int first, unsigned int count,
	      struct ims_testdev_counts *sum, struct ims_testdev_count *counts)
{
	struct ims_testdev_counts mine;
	int ret;

	memset(&mine, 0, sizeof(mine));
	mine.kind = kind;
	mine.first = first;
	mine.count = count;
	mine.slots = (uintptr_t)counts;

	ret = call(fd, IMS_TESTDEV_COUNTS, &mine);
	if (!ret && sum)
		*sum = mine;
	return ret;
}

int mt_stats(int fd, unsigned int kind, struct ims_testdev_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->kind = kind;
	return call(fd, IMS_TESTDEV_STATS, stats);
}

int mt_slots(int fd, unsigned int kind, unsigned int first, unsigned int count,
	     struct ims_testdev_slot *slots)
{
	struct ims_testdev_slots arg = {
		.kind	= kind,
		.first	= first,
		.count	= count,
		.slots	= (uintptr_t)slots,
	};

	return call(fd, IMS_TESTDEV_SLOTS, &arg);
}

int mt_breaches(int fd, struct ims_testdev_breaches *breaches, bool clear)
{
	memset(breaches, 0, sizeof(*breaches));
	breaches->flags = clear ? IMS_TESTDEV_BREACHES_CLEAR : 0;
	return call(fd, IMS_TESTDEV_BREACHES, breaches);
}

int mt_raw_write(int fd, unsigned int bar, unsigned int offset, unsigned int width, __u64 value)
{
	struct ims_testdev_raw raw = {
		.bar	= bar,
		.offset	= offset,
		.width	= width,
		.flags	= IMS_TESTDEV_RAW_WRITE,
		.value	= value,
	};

	return call(fd, IMS_TESTDEV_RAW, &raw);
}

int mt_raw_read(int fd, unsigned int bar, unsigned int offset, unsigned int width, __u64 *value)
{
	struct ims_testdev_raw raw = {
		.bar	= bar,
		.offset	= offset,
		.width	= width,
	};
	int ret = call(fd, IMS_TESTDEV_RAW, &raw);

	*value = raw.value;
	return ret;
}

int mt_reg_write(int fd, unsigned int reg, __u32 value)
{
	return mt_raw_write(fd, IMS_TD_BAR_REGS, reg, sizeof(value), value);
}

int mt_reg_read(int fd, unsigned int reg, __u32 *value)
{
	__u64 raw;
	int ret = mt_raw_read(fd, IMS_TD_BAR_REGS, reg, sizeof(*value), &raw);

	*value = raw;
	return ret;
}

int mt_suspend(int fd)
{
	return call(fd, IMS_TESTDEV_SUSPEND, NULL);
}

int mt_runtime_suspend(int fd)
{
	return call(fd, IMS_TESTDEV_RUNTIME_SUSPEND, NULL);
}

int mt_resume(int fd)
{
	return call(fd, IMS_TESTDEV_RESUME, NULL);
}

int mt_function_reset(const char *name)
{
	char path[128];
	int ret;

	/* There are others, by which the device would forget other things. */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset_method", name);
	ret = mt_write_file(path, "flr");
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", name);
	return mt_write_file(path, "1");
}

bool mt_wait_more(time_t *end)
{
	const struct timespec step = { .tv_nsec = 1000 * 1000 };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!*end)
		*end = now.tv_sec + MT_WAIT_SECONDS;
	if (now.tv_sec > *end)
		return false;

	nanosleep(&step, NULL);
	return true;
}

int mt_settle(int fd, unsigned int kind)
{
	struct ims_testdev_stats stats;
	time_t end = 0;
	int ret;

	do {
		ret = mt_stats(fd, kind, &stats);
		if (ret != -EBUSY && (ret || stats.received == stats.sent))
			return ret;
	} while (mt_wait_more(&end));

	return -ETIMEDOUT;
}

int mt_wait_state(int fd, unsigned int kind, unsigned int nr, __u32 mask, __u32 state)
{
	struct ims_testdev_slot slot;
	time_t end = 0;
	int ret;

	do {
		ret = mt_slots(fd, kind, nr, 1, &slot);
		if (ret || (slot.state & mask) == state)
			return ret;
	} while (mt_wait_more(&end));

	return -ETIMEDOUT;
}

int mt_read_file(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t got;
	int fd;

	buf[0] = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	do {
		got = read(fd, buf + len, size - 1 - len);
		if (got < 0) {
			got = -errno;
			break;
		}
		len += got;
	} while (got && len < size - 1);

	buf[len] = 0;
	close(fd);
	return got < 0 ? (int)got : 0;
}

int mt_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int mt_count_files(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void cpu_path(unsigned int cpu, char *buf, size_t size)
{
	snprintf(buf, size, "/sys/devices/system/cpu/cpu%u/online", cpu);
}

int mt_cpu_is_online(unsigned int cpu)
{
	char path[64], text[16];
	int ret;

	cpu_path(cpu, path, sizeof(path));
	ret = mt_read_file(path, text, sizeof(text));

	/* A CPU that can't go offline has no such file. */
	if (ret)
		return cpu ? ret : 1;
	return text[0] == '1';
}

unsigned int mt_nr_online(void)
{
	unsigned int cpu, online = 0;

	for (cpu = 0; mt_cpu_is_online(cpu) >= 0; cpu++)
		online += mt_cpu_is_online(cpu);
	return online;
}

int mt_cpu_set_online(unsigned int cpu, bool online)
{
	char path[64];

	cpu_path(cpu, path, sizeof(path));
	return mt_write_file(path, online ? "1" : "0");
}

int mt_set_affinity(unsigned int virq, unsigned int cpu)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", virq);
	snprintf(text, sizeof(text), "%u", cpu);
	return mt_write_file(path, text);
}

int mt_affinity_list(unsigned int virq, char *buf, size_t size)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", virq);
	ret = mt_read_file(path, buf, size);
	buf[strcspn(buf, "\n")] = 0;
	return ret;
}

int mt_effective_cpu(unsigned int virq)
{
	char path[64], text[64], *end;
	long cpu;
	int ret;

	snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity_list", virq);
	ret = mt_read_file(path, text, sizeof(text));
	if (ret)
		return ret;

	cpu = strtol(text, &end, 10);
	return end == text || *end != '\n' ? -ERANGE : (int)cpu;
}

/* Call fn() with each line of /proc/interrupts, until it returns non-zero */
static int walk_proc_interrupts(int (*fn)(char *line, void *arg), void *arg)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!file)
		return -errno;
	while (!ret && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = 0;
		ret = fn(line, arg);
	}
	free(line);
	fclose(file);
	return ret;
}

struct find_line {
	unsigned int	virq;
	char		*buf;
	size_t		size;
};

static int find_line(char *line, void *arg)
{
	struct find_line *find = arg;
	unsigned int virq;
	char colon;

	if (sscanf(line, "%u%c", &virq, &colon) != 2 || colon != ':' || virq != find->virq)
		return 0;
	snprintf(find->buf, find->size, "%s", line);
	return 1;
}

int mt_proc_interrupts(unsigned int virq, char *buf, size_t size)
{
	struct find_line find = { .virq = virq, .buf = buf, .size = size };
	int ret;

	buf[0] = 0;
	ret = walk_proc_interrupts(find_line, &find);
	if (ret < 0)
		return ret;
	return ret ? 0 : -ENOENT;
}

struct count_lines {
	const char	*text;
	int		count;
};

static int count_line(char *line, void *arg)
{
	struct count_lines *count = arg;

	count->count += !!strstr(line, count->text);
	return 0;
}

int mt_proc_interrupts_count(const char *text)
{
	struct count_lines count = { .text = text };
	int ret;

	ret = walk_proc_interrupts(count_line, &count);
	return ret ? ret : count.count;
}

const char *mt_prefix(void)
{
	/* Of the root domain */
	static const struct {
		const char *line, *prefix;
	} parents[] = {
		{ " IR-", "IR-" }, { " GICv3 ", "ITS-" }, { " GIC-0 ", "GICv2m-" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parents); i++)
		if (mt_proc_interrupts_count(parents[i].line) > 0)
			return parents[i].prefix;
	return "";
}

bool mt_is_parent(const char *domain)
{
	return strstr(domain, "INTEL-IR") || strstr(domain, "AMD-IR") || strstr(domain, "its@");
}

bool mt_has_remapping(void)
{
	return *mt_prefix();
}

int mt_debugfs_mount(void)
{
	if (!access("/sys/kernel/debug/irq", F_OK))
		return 0;
	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL))
		return -errno;
	return access("/sys/kernel/debug/irq", F_OK) ? -errno : 0;
}

int mt_debugfs_irq(unsigned int virq, char *buf, size_t size)
{
	char path[64];
	int ret;

	ret = mt_debugfs_mount();
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/kernel/debug/irq/irqs/%u", virq);
	return mt_read_file(path, buf, size);
}

int mt_config_read(const char *name, unsigned int offset, unsigned int width, __u32 *value)
{
	char path[128];
	ssize_t got;
	int fd;

	*value = 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = pread(fd, value, width, offset);
	close(fd);
	return got == (ssize_t)width ? 0 : -EIO;
}

int mt_find_capability(const char *name, unsigned int id)
{
	/* See the PCI specification: a list that starts at 0x34, each id, next */
	unsigned int steps = 48, at = 0x34;
	__u32 value;
	int ret;

	ret = mt_config_read(name, at, 1, &value);
	while (!ret && value && steps--) {
		at = value & ~3U;
		ret = mt_config_read(name, at, 1, &value);
		if (!ret && value == id)
			return at;
		ret = ret ? ret : mt_config_read(name, at + 1, 1, &value);
	}
	return ret;
}

int mt_kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (lseek(fd, 0, SEEK_END) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static bool has_all(const char *text, const char *const *all)
{
	for (; *all; all++) {
		if (!strstr(text, *all))
			return false;
	}
	return true;
}

static bool has_any(const char *text, const char *const *any)
{
	for (; *any; any++) {
		if (strstr(text, *any))
			return true;
	}
	return false;
}

/* Capability id of MSI, and offset and bit in it */
#define CAP_MSI		0x05
#define MSI_FLAGS	2
#define MSI_FLAGS_MASK	0x100

int mt_msi_has_mask(const char *name)
{
	int ret = mt_find_capability(name, CAP_MSI);
	__u32 flags = 0;

	if (!ret)
		return -ENOENT;
	ret = ret < 0 ? ret : mt_config_read(name, ret + MSI_FLAGS, 2, &flags);
	return ret ? ret : !!(flags & MSI_FLAGS_MASK);
}

/*
 * Call fn() with each new line. Returns 0, or -EPIPE if lines were overwritten
 * before they could be read.
 */
static int walk_kmsg(int fd, void (*fn)(char *line, void *arg), void *arg)
{
	char record[8192], *text;
	ssize_t len;

	for (;;) {
		len = read(fd, record, sizeof(record) - 1);
		if (len < 0)
			return errno == EAGAIN ? 0 : -errno;

		/* "level,sequence,time,flags;text\n KEY=value\n..." */
		record[len] = 0;
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		text[strcspn(text, "\n")] = 0;
		fn(text, arg);
	}
}

struct kmsg_match {
	bool			(*has)(const char *text, const char *const *texts);
	const char *const	*texts;
	char			*line;
	size_t			size;
	int			count;
};

static void match_line(char *line, void *arg)
{
	struct kmsg_match *match = arg;

	if (!match->has(line, match->texts))
		return;
	snprintf(match->line, match->size, "%s", line);
	match->count++;
}

static int kmsg_read(int fd, bool (*has)(const char *text, const char *const *texts),
		     const char *const *texts, char *line, size_t size)
{
	struct kmsg_match match = { .has = has, .texts = texts, .line = line, .size = size };
	int ret;

	line[0] = 0;
	ret = walk_kmsg(fd, match_line, &match);
	return ret ? ret : match.count;
}

struct kmsg_text {
	char	*buf;
	size_t	size;
};

static void append_line(char *line, void *arg)
{
	struct kmsg_text *text = arg;
	int len = snprintf(text->buf, text->size, "%s\n", line);

	if (len >= (int)text->size)
		len = text->size - 1;
	text->buf += len;
	text->size -= len;
}

int mt_kmsg_text(int fd, char *buf, size_t size)
{
	struct kmsg_text text = { .buf = buf, .size = size };

	buf[0] = 0;
	return walk_kmsg(fd, append_line, &text);
}

int mt_kmsg_read(int fd, const char *const *all, char *line, size_t size)
{
	return kmsg_read(fd, has_all, all, line, size);
}

int mt_kmsg_read_any(int fd, const char *const *any, char *line, size_t size)
{
	return kmsg_read(fd, has_any, any, line, size);
}

/* What to do when creation is refused and when it is not */
enum gate { RUN, SKIP_IT, FAIL };

struct gate_pair {
	enum gate	refused;
	enum gate	created;
};

/* First where stores must be refused, then where they must work */
static const struct gate_pair gates[][2] = {
	[MT_WANT_STORES]	= { { SKIP_IT, FAIL }, { FAIL, RUN } },
	[MT_WANT_REFUSAL]	= { { RUN, FAIL }, { FAIL, SKIP_IT } },
	[MT_WANT_DEVICE]	= { { RUN, FAIL }, { FAIL, RUN } },
};

static enum gate check_gate(enum mt_want want, char *why, size_t size)
{
	const char *env = getenv("IMS_EXPECT");
	enum gate gate;
	bool works;
	int fd, id;

	if (env && strcmp(env, "yes") && strcmp(env, "no")) {
		snprintf(why, size, "IMS_EXPECT is \"%s\", neither \"yes\" nor \"no\"", env);
		return FAIL;
	}
	works = env ? !strcmp(env, "yes") : mt_has_remapping();

	fd = mt_open();
	if (fd < 0) {
		snprintf(why, size, "%s: %s", mt_node(), strerror(-fd));
		return !env && (fd == -ENOENT || fd == -EACCES) ? SKIP_IT : FAIL;
	}

	id = mt_store_create(fd, IMS_TD_KIND_TABLE, 0, 1);
	close(fd);
	if (id < 0 && id != -EOPNOTSUPP) {
		snprintf(why, size, "creation of a store: %s", strerror(-id));
		return FAIL;
	}

	gate = id < 0 ? gates[want][works].refused : gates[want][works].created;
	snprintf(why, size, "IMS is %s, %s", id < 0 ? "refused" : "not refused",
		 gate == FAIL ? "which is wrong here" : "as it has to be");
	return gate;
}

void mt_gate(enum mt_want want)
{
	char why[256];

	switch (check_gate(want, why, sizeof(why))) {
	case RUN:
		return;
	case SKIP_IT:
		ksft_print_header();
		ksft_exit_skip("%s\n", why);
		break;
	case FAIL:
		ksft_print_header();
		ksft_set_plan(1);
		ksft_test_result_fail("%s\n", why);
		ksft_exit_fail();
	}
}
