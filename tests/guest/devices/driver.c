// SPDX-License-Identifier: GPL-2.0
/* Drivers, bound and unbound through sysfs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"

const char *driver_of(const struct device *dev, char *buf, size_t size)
{
	char path[128], target[256];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", dev->bdf);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = 0;
	snprintf(buf, size, "%s", len < 0 ? "" : strrchr(target, '/') + 1);
	return buf;
}

static bool usable(const struct device *dev)
{
	unsigned int irqs[MAX_IRQS];
	char name[64];

	switch (dev->kind) {
	case NVME:
	case DISK:
		return disk_find(dev, name, sizeof(name)) && irqs_of(dev, irqs);
	case NET:
		return net_usable(dev) && irqs_of(dev, irqs);
	case EDU:
		return driver_of(dev, name, sizeof(name))[0];
	case BRIDGE:
		for_each_device(behind)
			if (behind->kind != BRIDGE && !usable(behind))
				return false;
		return true;
	}
	return false;
}

void wait_usable(const struct device *dev)
{
	double end = 0;

	while (!usable(dev))
		if (!wait_more(&end, 4 * WAIT_SECONDS)) {
			show_tasks(getpid());
			die("%s is bound, but has no interrupts or no disk or interface",
			    dev->name);
		}
}

void bind_device(const struct device *dev)
{
	char path[128], name[64];
	int ret;

	if (dev->kind == EDU) {
		/* vfio-pci takes no device that it was not told to. */
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", dev->bdf);
		ret = write_text(path, dev->driver);
		if (ret)
			die("%s: %s", path, strerror(-ret));
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", dev->driver);
	ret = write_text(path, dev->bdf);
	if (ret)
		die("%s does not bind: %s", dev->name, strerror(-ret));
	if (strcmp(driver_of(dev, name, sizeof(name)), dev->driver))
		die("%s has driver '%s' after bind", dev->name, name);
	wait_usable(dev);
}

void unbind_device(const struct device *dev)
{
	struct view *before, *after;
	unsigned int irqs[MAX_IRQS], nr, i;
	const struct line *line, *old;
	char path[128], name[64];
	int ret;

	before = malloc(sizeof(*before));
	after = malloc(sizeof(*after));
	nr = irqs_of(dev, irqs);
	irq_view(before);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", dev->driver);
	ret = write_text(path, dev->bdf);
	if (ret)
		die("%s does not unbind: %s", dev->name, strerror(-ret));
	if (driver_of(dev, name, sizeof(name))[0])
		die("%s has driver %s after unbind", dev->name, name);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs", dev->bdf);
	if (!access(path, F_OK))
		die("%s has interrupts after unbind", dev->name);
	for_each_device(other) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", other->bdf);
		if (dev->kind == BRIDGE && other != dev && !access(path, F_OK))
			die("%s outlives the driver of %s", other->name, dev->name);
	}
	/* Its numbers may be another device's by now, but not with its actions. */
	irq_view(after);
	for (i = 0; i < nr; i++) {
		old = irq_line(before, irqs[i]);
		line = irq_line(after, irqs[i]);
		if (old && line && !strcmp(old->chip, line->chip) &&
		    !strcmp(old->action, line->action) && strstr(line->chip, dev->bdf))
			die("interrupt %u (%s) of %s outlives its driver", irqs[i], line->action,
			    dev->name);
	}
	free(before);
	free(after);
}
