/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of device MSI storage share: calls of the test driver, and
 * what the rest of the kernel says about an interrupt.
 *
 * Calls return 0 or more, or -errno.
 */
#ifndef MSI_TEST_H
#define MSI_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "ims_testdev.h"

/* The longest that anything is waited for. A bound, not a limit to meet. */
#define MT_WAIT_SECONDS		60

/* Time that a test may take, in seconds, for the same reason */
#define MT_TEST_SECONDS		180

/* The device: environment variable IMS_TESTDEV, or the first one */
const char *mt_node(void);
int mt_open(void);

int mt_info(int fd, struct ims_testdev_info *info);
int mt_reset(int fd);
int mt_forget(int fd, unsigned int how);

int mt_store_create(int fd, unsigned int kind, unsigned int first, unsigned int nr_slots);
/* @flags are IMS_TESTDEV_STORE_* */
int mt_store_create_flags(int fd, unsigned int kind, unsigned int first, unsigned int nr_slots,
			  unsigned int flags);
/* The first slots of the table, with storage ops IMS_TESTDEV_OPS_* */
int mt_store_create_ops(int fd, unsigned int nr_slots, unsigned int ops);
int mt_store_create_raw(int fd, struct ims_testdev_store *store);
int mt_store_remove(int fd, unsigned int id);
/* The core leaves the device alone for the store, and writes it again */
int mt_store_suspend(int fd, unsigned int id);
int mt_store_resume(int fd, unsigned int id);

int mt_vectors_enable(int fd, unsigned int kind, unsigned int count);
/* The number that was enabled, at least @min and at most @count */
int mt_vectors_enable_min(int fd, unsigned int kind, unsigned int min, unsigned int count);
/* Every @step-th entry of the MSI-X table */
int mt_vectors_enable_step(int fd, unsigned int count, unsigned int step);
int mt_vectors_enable_affinity(int fd, unsigned int kind, unsigned int count);
/* MSI that the device sends from a copy, which is made only @once or kept up to date */
int mt_vectors_enable_copy(int fd, unsigned int count, bool once);
int mt_vectors_disable(int fd, unsigned int kind);

/* @maps has room for @count, or is NULL */
int mt_alloc(int fd, unsigned int store, unsigned int index, unsigned int count,
	     struct ims_testdev_map *maps);
int mt_alloc_cpu(int fd, unsigned int store, unsigned int count, unsigned int cpu, bool managed,
		 struct ims_testdev_map *maps);
int mt_alloc_cookie(int fd, unsigned int store, unsigned int index, __u64 cookie,
		    struct ims_testdev_map *map);
int mt_alloc_no_cookie(int fd, unsigned int store, unsigned int index,
		       struct ims_testdev_map *map);
/*
 * At once, and how many they are: @min to @max. @cookies has @max of them, or is
 * NULL and they are 0.
 */
int mt_alloc_batch(int fd, unsigned int store, unsigned int min, unsigned int max,
		   const __u64 *cookies, struct ims_testdev_map *maps);
/* Spread over the CPUs, but for the first @pre and the last @post */
int mt_alloc_spread(int fd, unsigned int store, unsigned int min, unsigned int max,
		    unsigned int pre, unsigned int post, struct ims_testdev_map *maps);
/* At @index and those that follow, without cookies, and spread if @spread */
int mt_alloc_at(int fd, unsigned int store, unsigned int index, unsigned int min,
		unsigned int max, bool spread, struct ims_testdev_map *maps);
int mt_alloc_batch_raw(int fd, struct ims_testdev_batch *batch);
/* The CPUs that an interrupt of a store is for, 0 if it was allocated without affinity */
int mt_store_affinity(int fd, unsigned int store, unsigned int index, __u64 *cpus);
/* The same for vectors of MSI-X, which must be enabled */
int mt_alloc_msix(int fd, unsigned int index, unsigned int count, struct ims_testdev_map *maps);
int mt_alloc_msix_cpu(int fd, unsigned int index, unsigned int cpu, bool managed,
		      struct ims_testdev_map *map);
int mt_free(int fd, unsigned int kind, unsigned int first, unsigned int count);
int mt_free_batch(int fd, unsigned int kind, const __u32 *slots, unsigned int count);

/* A new cookie, or none, for an interrupt. The device judges by it what it sends then */
int mt_set_cookie(int fd, unsigned int kind, unsigned int slot, __u64 cookie);
int mt_set_no_cookie(int fd, unsigned int kind, unsigned int slot);
int mt_set_cookie_raw(int fd, struct ims_testdev_cookie *cookie);
/* Write slots again */
int mt_restore(int fd, unsigned int kind, unsigned int first, unsigned int count);

int mt_request(int fd, unsigned int kind, unsigned int first, unsigned int count);
int mt_request_unlazy(int fd, unsigned int kind, unsigned int first, unsigned int count);
/* @flags are IMS_TESTDEV_REQUEST_* */
int mt_request_flags(int fd, unsigned int kind, unsigned int first, unsigned int count,
		     unsigned int flags);
int mt_release(int fd, unsigned int kind, unsigned int first, unsigned int count);
int mt_mask(int fd, unsigned int kind, unsigned int first, unsigned int count);
int mt_unmask(int fd, unsigned int kind, unsigned int first, unsigned int count);

int mt_fire(int fd, unsigned int kind, unsigned int nr);
int mt_fire_doorbell(int fd, unsigned int kind, unsigned int nr);
int mt_fire_range(int fd, unsigned int kind, unsigned int first, unsigned int count);
int mt_fire_all(int fd, unsigned int kind);
int mt_fire_unexpected(int fd, unsigned int kind, unsigned int nr);

/* @counts has room for @count, or is NULL; so has @sum for one */
int mt_counts(int fd, unsigned int kind, unsigned int first, unsigned int count,
	      struct ims_testdev_counts *sum, struct ims_testdev_count *counts);
int mt_stats(int fd, unsigned int kind, struct ims_testdev_stats *stats);
int mt_slots(int fd, unsigned int kind, unsigned int first, unsigned int count,
	     struct ims_testdev_slot *slots);
int mt_breaches(int fd, struct ims_testdev_breaches *breaches, bool clear);

int mt_raw_write(int fd, unsigned int bar, unsigned int offset, unsigned int width, __u64 value);
int mt_raw_read(int fd, unsigned int bar, unsigned int offset, unsigned int width, __u64 *value);

/* A control register */
int mt_reg_write(int fd, unsigned int reg, __u32 value);
int mt_reg_read(int fd, unsigned int reg, __u32 *value);

/* Send the device to D3hot, by itself or by the PCI core, and fetch it */
int mt_suspend(int fd);
int mt_runtime_suspend(int fd);
int mt_resume(int fd);
/* A function level reset of a PCI device by its name */
int mt_function_reset(const char *name);

/* One step of a wait. False when the bound is reached; @end is 0 at first. */
bool mt_wait_more(time_t *end);

/*
 * Wait until no interrupt is on its way: the handlers have run as often as the
 * device has sent messages of the kind. -ETIMEDOUT if that doesn't happen. While the
 * device is away nobody can say.
 */
int mt_settle(int fd, unsigned int kind);

/* Wait until slot @nr of the device has the bits @state of those in @mask. */
int mt_wait_state(int fd, unsigned int kind, unsigned int nr, __u32 mask, __u32 state);

/* Files. The text read is cut to @size and always ends in a 0. */
int mt_read_file(const char *path, char *buf, size_t size);
int mt_write_file(const char *path, const char *text);
int mt_count_files(const char *path);

int mt_cpu_is_online(unsigned int cpu);
unsigned int mt_nr_online(void);
int mt_cpu_set_online(unsigned int cpu, bool online);

int mt_set_affinity(unsigned int virq, unsigned int cpu);
/* The CPUs that it may have, as the kernel writes a list. Always a 0 at the end. */
int mt_affinity_list(unsigned int virq, char *buf, size_t size);
/* The CPU, -ERANGE if there is not exactly one */
int mt_effective_cpu(unsigned int virq);

/* The line of /proc/interrupts, -ENOENT if there is none */
int mt_proc_interrupts(unsigned int virq, char *buf, size_t size);
/* Number of lines of /proc/interrupts that hold @text */
int mt_proc_interrupts_count(const char *text);
/* Mount debugfs if need be, and say if it has something about interrupts */
int mt_debugfs_mount(void);
/* /sys/kernel/debug/irq/irqs/<virq> */
int mt_debugfs_irq(unsigned int virq, char *buf, size_t size);

/* The configuration space of a PCI device by its name */
int mt_config_read(const char *name, unsigned int offset, unsigned int width, __u32 *value);
/* Offset of a capability by its id, 0 if the device does not have it */
int mt_find_capability(const char *name, unsigned int id);
/* 1 if the device can mask each MSI vector, 0 if it can't */
int mt_msi_has_mask(const char *name);

/* What the names of interrupt chips begin with, because of the domains below: "" or "IR-" */
const char *mt_prefix(void);

/* True for the name of an interrupt domain that carries IMS */
bool mt_is_parent(const char *domain);

/*
 * True if interrupts of this machine go through a remapping unit, or one of arm64 does
 * the same: messages stay as they are, and a device can have several in MSI
 */
bool mt_has_remapping(void);

/*
 * The kernel log from here on. mt_kmsg_read() returns how many of the new
 * lines hold each of the texts in @all (NULL at the end), and copies the last
 * one of these to @line.
 */
int mt_kmsg_open(void);
int mt_kmsg_read(int fd, const char *const *all, char *line, size_t size);
/* The same, for any of the texts in @any */
int mt_kmsg_read_any(int fd, const char *const *any, char *line, size_t size);

/* All new lines, one after the other, cut to @size */
int mt_kmsg_text(int fd, char *buf, size_t size);

/*
 * Decide whether a test program can run here. It needs a device whose stores
 * are refused, one whose stores are not, or one of which that is as it should
 * be. Where neither a refusal nor the
 * absence of one proves anything the program skips; this doesn't return then.
 * It doesn't either if the result is wrong for this machine, which is a
 * failure. Environment variable IMS_EXPECT, "yes" or "no", says which one is
 * right; without it, that the machine has interrupt remapping does.
 */
enum mt_want { MT_WANT_STORES, MT_WANT_REFUSAL, MT_WANT_DEVICE };
void mt_gate(enum mt_want want);

#endif /* MSI_TEST_H */
