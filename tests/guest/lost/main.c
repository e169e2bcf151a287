// SPDX-License-Identifier: GPL-2.0
/*
 * A device that vanishes while its interrupts are in use: before a reset, during
 * suspend, and between a reset and unbind. It is behind a root port whose slot loses its
 * power, and no driver for hot plug tells the kernel (pcie_ports=compat). With that
 * driver, the device is removed on request and by surprise, and another is plugged in.
 *
 * Each scene takes a device of its own, of those that are not on the root bus.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "../scenes.h"

#define NR	4
#define TABLE	IMS_TD_KIND_TABLE
#define MSIX	IMS_TD_KIND_MSIX

/* Nobody waits for a device that is not there. Its time out would be 60 seconds */
#define QUICK	20

#define DEVICES	"/sys/bus/pci/devices"

/**
 * struct victim - The device of a scene
 * @fd:		Its driver
 * @name:	What the PCI core calls it
 * @port:	The port above
 * @start:	When something was done with it that must be quick
 */
struct victim {
	int	fd;
	char	name[sizeof(((struct ims_testdev_info *)0)->name)];
	char	port[16];
	time_t	start;
};

/* The device @wanted, or the next one that is behind a port */
static int find(struct victim *v, const char *wanted)
{
	static int next;
	int number = wanted ? 0 : next;
	char path[PATH_MAX], real[PATH_MAX];
	struct ims_testdev_info info;
	char *slash;

	for (; number < 16; number++) {
		snprintf(path, sizeof(path), "/dev/ims_testdev%d", number);
		v->fd = open(path, O_RDWR | O_CLOEXEC);
		if (v->fd < 0)
			continue;
		if (!mt_info(v->fd, &info) && (!wanted || !strcmp(info.name, wanted))) {
			snprintf(path, sizeof(path), DEVICES "/%s", info.name);
			if (realpath(path, real)) {
				*strrchr(real, '/') = 0;
				slash = strrchr(real, '/') + 1;
				if (strncmp(slash, "pci", 3)) {
					snprintf(v->name, sizeof(v->name), "%s", info.name);
					snprintf(v->port, sizeof(v->port), "%.15s", slash);
					if (!wanted)
						next = number + 1;
					return 1;
				}
			}
		}
		close(v->fd);
	}
	return 0;
}

/* MSI-X, and a store if the machine has some */
static int interrupts(struct victim *v)
{
	const char *stores = getenv("IMS_EXPECT");
	int id;

	if (mt_vectors_enable(v->fd, MSIX, NR) || mt_request_unlazy(v->fd, MSIX, 0, NR) ||
	    !arrive(v->fd, MSIX, NR))
		return 0;
	if (!stores || strcmp(stores, "yes"))
		return 1;

	id = mt_store_create(v->fd, TABLE, 0, NR);
	return id > 0 && !mt_alloc(v->fd, id, 0, NR, NULL) &&
	       !mt_request_unlazy(v->fd, TABLE, 0, NR) && arrive(v->fd, TABLE, NR);
}

static int write_of(const struct victim *v, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "/%s/%s", v->name, file);
	return mt_write_file(path, text);
}

/* Change the control of the slot above */
static int slot_control(const struct victim *v, __u16 clear, __u16 set)
{
	char path[PATH_MAX];
	int at, fd, ret = 0;
	__u16 control;

	at = mt_find_capability(v->port, PCI_CAP_ID_EXP);
	if (at <= 0)
		return 0;

	snprintf(path, sizeof(path), DEVICES "/%s/config", v->port);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && pread(fd, &control, 2, at + PCI_EXP_SLTCTL) == 2) {
		control = (control & ~clear) | set;
		ret = pwrite(fd, &control, 2, at + PCI_EXP_SLTCTL) == 2;
	}
	close(fd);
	return ret;
}

/*
 * Take the power from the slot, and see that the device does not answer any more. QEMU
 * wants the indicator to be off as well. The port tells nobody.
 */
static int vanish(const struct victim *v)
{
	__u32 vendor;

	return slot_control(v, PCI_EXP_SLTCTL_HPIE, PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC) &&
	       !mt_config_read(v->name, PCI_VENDOR_ID, 4, &vendor) && vendor == ~0U;
}

/* The same, and what the port tells is that the slot has power, but no device any more */
static int surprise(const struct victim *v)
{
	return vanish(v) && slot_control(v, PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC,
					 PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_HPIE);
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void begin(const char *name, struct victim *v)
{
	scene = name;
	result(find(v, NULL), "there is a device");
	result(interrupts(v), "its interrupts work");
}

static void quick(const struct victim *v, const char *what)
{
	time_t took = now() - v->start;

	if (took > QUICK)
		printf("# %lld seconds\n", (long long)took);
	result(took <= QUICK, what);
}

static void end(struct victim *v)
{
	v->start = now();
	close(v->fd);
	result(!mt_write_file("/sys/bus/pci/drivers/ims_testdev/unbind", v->name),
	       "the driver is unbound");
	quick(v, "that is quick");
}

/* @how is one method of reset, or all which the PCI core would try */
static void reset(const char *name, const char *how)
{
	struct victim v;

	begin(name, &v);
	result(!write_of(&v, "reset_method", how), "it can be reset");
	result(vanish(&v), "it vanishes");
	v.start = now();
	result(write_of(&v, "reset", "1") < 0, "the reset fails");
	quick(&v, "that is quick");
	end(&v);
}

/* All that a suspend does with devices: this one has no power when it is resumed */
static void suspend(void)
{
	struct victim v;

	begin("suspend", &v);
	result(!mt_write_file("/sys/power/pm_test", "platform"), "the kernel can test suspend");
	mt_write_file("/sys/module/suspend/parameters/pm_test_delay", "0");
	result(vanish(&v), "it vanishes");
	v.start = now();
	result(!mt_write_file("/sys/power/state", "mem"), "the system is resumed");
	quick(&v, "that is quick");
	mt_write_file("/sys/power/pm_test", "none");
	end(&v);
}

static void unbind(void)
{
	struct victim v;

	begin("unbind", &v);
	result(!write_of(&v, "reset_method", "flr") && !write_of(&v, "reset", "1"),
	       "it is reset and restored");
	result(arrive(v.fd, MSIX, NR), "its interrupts still work");
	result(vanish(&v), "it vanishes");
	end(&v);
}

/* Wait until the driver is told, and so tells who still has the device open */
static int wait_unbound(const struct victim *v)
{
	struct ims_testdev_info info;
	int i;

	for (i = 0; i < 600; i++) {
		if (mt_info(v->fd, &info) == -ENODEV)
			return 1;
		usleep(100000);
	}
	return 0;
}

/* Wait until @name has one again */
static int wait_bound(struct victim *v, const char *name)
{
	int i;

	for (i = 0; i < 600; i++) {
		if (find(v, name))
			return 1;
		usleep(100000);
	}
	return 0;
}

/* The slot of the port above, to switch its power */
static int slot_power(const struct victim *v, const char *text)
{
	char path[PATH_MAX], address[16];
	int i;

	for (i = 1; i < 16; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/slots/%d/address", i);
		if (mt_read_file(path, address, sizeof(address)) < 0 ||
		    strncmp(address, v->name, strlen("0000:00:00")))
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/slots/%d/power", i);
		return mt_write_file(path, text);
	}
	return -ENOENT;
}

/* The machine plugs another device in as soon as one is removed. */
static void unplug(const char *name, int asked)
{
	struct victim v, other;

	begin(name, &v);
	v.start = now();
	/* QEMU wants the indicator to be off, which behind a VMD is left to user space */
	result(asked ? !slot_power(&v, "0") && slot_control(&v, 0, PCI_EXP_SLTCTL_PIC) :
	       surprise(&v), "it is unplugged");
	result(wait_unbound(&v), "the driver is unbound");
	quick(&v, "that is quick");
	close(v.fd);

	result(wait_bound(&other, v.name), "another one is plugged in");
	result(interrupts(&other), "its interrupts work as well");
	close(other.fd);
}

static void bridge(void)
{
	struct victim v;
	__u32 flags;
	int at;

	begin("behind a PCIe-to-PCI bridge", &v);
	at = mt_find_capability(v.port, PCI_CAP_ID_EXP);
	result(at > 0 && !mt_config_read(v.port, at + PCI_EXP_FLAGS, 2, &flags) &&
	       (flags & PCI_EXP_FLAGS_TYPE) >> 4 == PCI_EXP_TYPE_PCI_BRIDGE, "it is behind one");
	close(v.fd);
}

int main(void)
{
	char options[1024] = "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	mt_read_file("/proc/cmdline", options, sizeof(options));
	if (!strstr(options, "pcie_ports=compat")) {
		ksft_print_header();
		ksft_set_plan(17);
		unplug("unplugged on request", 1);
		unplug("unplugged by surprise", 0);
		bridge();
		ksft_finished();
	}

	ksft_print_header();
	ksft_set_plan(39);
	reset("function level reset", "flr");
	reset("reset by power management", "pm");
	reset("any reset", "default");
	suspend();
	unbind();
	ksft_finished();
}
