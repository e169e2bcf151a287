// SPDX-License-Identifier: GPL-2.0
/* Files, time, random bytes and CPUs. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "devices.h"

static char *shared;

void util_init(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("no memory");
	setvbuf(stdout, NULL, _IOLBF, 0);
}

void die(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Not a line of stdio's: its lock may be held by a thread that is stuck. */
	dprintf(STDOUT_FILENO, "# failed: %s; at: %s\n", text, shared);
	_exit(1);
}

void diag(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(STDOUT_FILENO, "# %s\n", text);
}

void doing(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(shared, 256, fmt, ap);
	va_end(ap);
}

const char *doing_what(void)
{
	return shared;
}

const char *argument(const char *name, const char *otherwise)
{
	static char text[4096];
	char key[64], *at, *value;

	if (!text[0] && read_text("/proc/cmdline", text, sizeof(text)))
		die("/proc/cmdline cannot be read");
	snprintf(key, sizeof(key), " devices.%s=", name);
	at = strstr(text, key);
	if (!at)
		return otherwise;
	at += strlen(key);
	value = strndup(at, strcspn(at, " \n"));
	return value ? value : otherwise;
}

bool spoiled(const char *name)
{
	static const char *what;

	if (!what)
		what = argument("spoil", "");
	return !strcmp(what, name);
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void nap(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

bool wait_more(double *end, double bound)
{
	if (!*end)
		*end = now() + bound;
	else if (now() > *end)
		return false;
	/* A look at /proc and /sys costs more than what is waited for. */
	nap(100);
	return true;
}

int read_text(const char *path, char *buf, size_t size)
{
	size_t done = 0;
	ssize_t ret = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (done < size - 1) {
		ret = read(fd, buf + done, size - 1 - done);
		if (ret <= 0)
			break;
		done += ret;
	}
	ret = ret < 0 ? -errno : 0;
	buf[done] = 0;
	close(fd);
	return ret;
}

char *slurp(const char *path)
{
	size_t size = 1 << 20;
	char *buf = malloc(size);
	int ret;

	ret = buf ? read_text(path, buf, size) : -ENOMEM;
	if (ret)
		die("%s: %s", path, strerror(-ret));
	if (strlen(buf) == size - 1)
		die("%s is too long", path);
	return buf;
}

int write_text(const char *path, const char *text)
{
	int fd, ret = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

unsigned int count_names(const char *path)
{
	struct dirent *entry;
	unsigned int nr = 0;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		die("%s: %s", path, strerror(errno));
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);
	return nr;
}

/* splitmix64 */
uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void fill_random(void *buf, size_t size, uint64_t seed)
{
	uint64_t *word = buf;

	for (size_t i = 0; i < size / sizeof(*word); i++)
		word[i] = next_random(&seed);
}

unsigned int nr_cpus(void)
{
	long nr = sysconf(_SC_NPROCESSORS_CONF);

	return nr > MAX_CPUS ? MAX_CPUS : nr;
}

bool cpu_online(unsigned int cpu)
{
	char path[64], text[8];

	/* CPU 0 has no such file where it cannot go. */
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	return read_text(path, text, sizeof(text)) || text[0] == '1';
}

void set_cpu_online(unsigned int cpu, bool online)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	ret = write_text(path, online ? "1" : "0");
	if (ret)
		die("CPU %u does not go %s: %s", cpu, online ? "online" : "offline",
		    strerror(-ret));
}

static void show_stack(const char *pid, const char *task)
{
	char path[640], text[4096], *line, *save;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/comm", pid, task);
	if (read_text(path, text, 32))
		return;
	text[strcspn(text, "\n")] = 0;
	diag("task %s, %s:", task, text);
	snprintf(path, sizeof(path), "/proc/%s/task/%s/stack", pid, task);
	if (read_text(path, text, sizeof(text)))
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		diag("  %s", line);
}

void show_tasks(int of)
{
	char path[640], text[512], name[16];
	struct dirent *pid, *task;
	DIR *all, *tasks;

	snprintf(name, sizeof(name), "%d", of);
	all = opendir("/proc");
	while (all && (pid = readdir(all))) {
		if (pid->d_name[0] < '1' || pid->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task", pid->d_name);
		tasks = opendir(path);
		while (tasks && (task = readdir(tasks))) {
			if (task->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "/proc/%s/task/%s/status", pid->d_name,
				 task->d_name);
			if (read_text(path, text, sizeof(text)))
				continue;
			if (!strcmp(pid->d_name, name) || strstr(text, "State:\tD"))
				show_stack(pid->d_name, task->d_name);
		}
		if (tasks)
			closedir(tasks);
	}
	if (all)
		closedir(all);
}
