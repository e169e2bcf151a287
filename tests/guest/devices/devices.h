/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The test of devices that this project did not write.
 *
 * Words
 *   device  a PCI device of a table in main.c, at the address that
 *           scripts/imslib/devices.py or configs/machines.toml gives it
 *   bridge  a VMD, which all other devices of the table are behind
 *   pinned  of an interrupt: it arrives as one of the bridge, and goes where that does
 *   round   a small piece of real I/O on a device whose content is compared
 *   load    a thread that does rounds on one device until it is stopped
 *   part    one line of TAP; runs in a process of its own, under a watchdog
 *
 * Whatever fails calls die(), from any thread: it ends the part.
 */
#ifndef DEVICES_H
#define DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_CPUS	64
#define MAX_IRQS	64
/* The longest that anything is waited for. A bound, not a limit to meet. */
#define WAIT_SECONDS	60

enum kind { NVME, DISK, NET, EDU, BRIDGE };
enum machine { REMAPPED, DIRECT, UNTRUSTED };

struct device {
	const char *name;
	const char *bdf;
	const char *driver;
	enum kind kind;
	/* As in the name of its interrupt chip: MSI or MSIX */
	const char *store;
	/* Of 100 bind and unbind rounds, how many are this device's */
	unsigned int share;
};

extern const struct device *devices;
extern unsigned int nr_devices;
/* What the names of interrupt chips behind the bridge begin with; empty without one */
extern const char *behind;
extern enum machine machine;

/* In this part of the test, and so in this process */
extern bool interrupts_move;

#define for_each_device(dev) \
	for (const struct device *dev = devices; dev < devices + nr_devices; dev++)

/* util.c */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What this process is at; the watchdog shows it */
void doing(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *doing_what(void);
void util_init(void);
/* Where the threads of a process are, and all tasks that wait and can't be killed */
void show_tasks(int pid);
/* devices.NAME= on the kernel command line, or @otherwise. For few calls: leaks */
const char *argument(const char *name, const char *otherwise);
bool spoiled(const char *name);

double now(void);
/* One step of a wait: false when it took too long. @end is 0 at first. */
bool wait_more(double *end, double bound);
void nap(unsigned int ms);

/* 0 or -errno; text is cut to size and ends in a 0 */
int read_text(const char *path, char *buf, size_t size);
int write_text(const char *path, const char *text);
/* The whole of a file that has no size, in memory of the caller; dies */
char *slurp(const char *path);
unsigned int count_names(const char *path);
uint64_t next_random(uint64_t *state);
/* Bytes that only this seed has */
void fill_random(void *buf, size_t size, uint64_t seed);

unsigned int nr_cpus(void);
bool cpu_online(unsigned int cpu);
void set_cpu_online(unsigned int cpu, bool online);

/* irq.c: interrupts as the kernel shows them */
struct line {
	unsigned int irq;
	uint64_t cpu[MAX_CPUS];
	uint64_t total;
	char chip[64];
	char action[64];
};

struct view {
	unsigned int nr;
	struct line lines[256];
};

void irq_view(struct view *view);
const struct line *irq_line(const struct view *view, unsigned int irq);
/* Whether all interrupts of a device are pinned */
bool irqs_pinned(const struct device *dev);
/* A bridge that passes messages on has no interrupts */
bool has_irqs(const struct device *dev);
/* The interrupts of a device that a driver uses; returns how many */
unsigned int irqs_of(const struct device *dev, unsigned int *irqs);
bool irq_managed(unsigned int irq);
bool irq_pending(unsigned int irq);
/* 0 or -errno */
int irq_move(unsigned int irq, unsigned int cpu);
/* The mask of CPUs in a file of /proc/irq/N */
uint64_t irq_mask(unsigned int irq, const char *file);
void irq_check_names(const struct device *dev);

/* Everything that must not grow when drivers come and go */
struct resources {
	unsigned int irqs;
	unsigned int domains;
	unsigned int remapped;
	unsigned int pinned;
	unsigned int entries;
	unsigned int vectors;
};

void resources_get(struct resources *res);
bool resources_equal(const struct resources *a, const struct resources *b);
void resources_show(const char *when, const struct resources *res);

/* slab.c */
struct slab {
	char name[64];
	long objects, per_slab;
};

struct slabs {
	unsigned int nr;
	struct slab slabs[512];
};

void slabs_get(struct slabs *slabs);
/* How many caches have grown by more than @slack, which are named */
unsigned int slabs_grown(const struct slabs *before, const struct slabs *after, long slack,
			 unsigned int nvme);

/* driver.c */
const char *driver_of(const struct device *dev, char *buf, size_t size);
/* Bind and wait until the device can be used; unbind and see its interrupts go */
void bind_device(const struct device *dev);
void unbind_device(const struct device *dev);
void wait_usable(const struct device *dev);

/* load.c */
struct load;
/*
 * Loads on all devices, or on all but one. With @may_fail, a round that the
 * device fails ends the load, with no harm; wrong content is never allowed.
 */
struct load *load_start(const struct device *dev, bool may_fail);
void load_stop(struct load *load);
uint64_t load_rounds(const struct load *load);
/* Wait until each has done so many more rounds */
void loads_progress(struct load **loads, unsigned int nr, unsigned int rounds);
unsigned int loads_start(struct load **loads, const struct device *but);
void loads_stop(struct load **loads, unsigned int nr);
/* Rounds on one device, or on each one that is behind a bridge, here and now */
void io_now(const struct device *dev, unsigned int rounds);

/* disk.c; a round's result is 0 or -errno of the device */
struct disk;
bool disk_find(const struct device *dev, char *name, size_t size);
struct disk *disk_open(const struct device *dev);
int disk_round(struct disk *disk, uint64_t seed);
void disk_close(struct disk *disk);

/* net.c */
struct net;
void net_init(void);
bool net_usable(const struct device *dev);
struct net *net_open(void);
int net_round(struct net *net, uint64_t seed);
void net_close(struct net *net);

/* edu.c */
struct edu;
/* -EPERM where VFIO finds that interrupts are not remapped; dies otherwise */
int edu_try(void);
struct edu *edu_open(void);
int edu_round(struct edu *edu, uint64_t seed);
void edu_close(struct edu *edu);

#endif
