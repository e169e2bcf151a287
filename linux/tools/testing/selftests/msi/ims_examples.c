// SPDX-License-Identifier: GPL-2.0
/*
 * The examples of the documentation, on the device: each of them takes the place of the test
 * driver, and its probe() fails if an interrupt does not arrive.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest.h"
#include "msi_test.h"

static const char *const examples[] = { "accel", "nic", "disk" };

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

static char device[64];

static int write_device(const char *file, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device, file);
	return mt_write_file(path, text);
}

/* Give the device to a driver, or with "" to the one that knows its id */
static int give_to(const char *driver)
{
	int ret;

	ret = write_device("driver/unbind", device);
	if (ret && ret != -ENOENT)
		return ret;
	/* An end of line alone takes it back. */
	ret = write_device("driver_override", *driver ? driver : "\n");
	return ret ? ret : mt_write_file("/sys/bus/pci/drivers_probe", device);
}

static bool has_driver(const char *driver)
{
	char path[160], target[256];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = 0;
	return !strcmp(strrchr(target, '/') + 1, driver);
}

/* Whatever the example did, the device has no slots in use, and nothing to object */
static bool is_clean(void)
{
	struct ims_testdev_breaches breaches;
	struct ims_testdev_stats stats;
	unsigned int kind;
	int fd, ret;

	fd = mt_open();
	if (fd < 0)
		return false;
	ret = mt_breaches(fd, &breaches, true);
	for (kind = IMS_TD_KIND_TABLE; !ret && kind <= IMS_TD_KIND_CMD; kind++) {
		ret = mt_stats(fd, kind, &stats);
		if (!ret && stats.pending)
			ret = -EBUSY;
	}
	mt_reset(fd);
	close(fd);
	if (!ret && breaches.count)
		ksft_print_msg("breach: code %u kind %u where %u\n", breaches.log[0].code,
			       breaches.log[0].kind, breaches.log[0].where);
	return !ret && !breaches.count;
}

static bool run(const char *example)
{
	char driver[64], path[128], line[256];
	const char *const news[] = { "WARNING:", "BUG:", "was not", NULL };
	int kmsg = mt_kmsg_open(), ret;
	bool ok;

	snprintf(driver, sizeof(driver), "ims_example_%s", example);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	if (access(path, F_OK)) {
		ksft_print_msg("there is no driver %s\n", driver);
		return false;
	}

	ret = give_to(driver);
	ok = has_driver(driver);
	if (!ok)
		ksft_print_msg("%s: %s\n", driver, strerror(-ret));
	ret = give_to("");
	ok = ok && !ret && has_driver("ims_testdev") && is_clean();
	ret = mt_kmsg_read_any(kmsg, news, line, sizeof(line));
	if (ret)
		ksft_print_msg("%s\n", line);
	close(kmsg);
	return ok && !ret;
}

int main(int argc, char **argv)
{
	struct ims_testdev_info info;
	unsigned int i;
	int fd;

	mt_gate(MT_WANT_STORES);
	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(examples));

	fd = mt_open();
	if (fd < 0 || mt_info(fd, &info))
		ksft_exit_fail_msg("%s: cannot be used\n", mt_node());
	mt_reset(fd);
	close(fd);
	snprintf(device, sizeof(device), "%s", info.name);

	for (i = 0; i < ARRAY_SIZE(examples); i++)
		ksft_test_result(run(examples[i]), "%s\n", examples[i]);
	ksft_finished();
}
