// SPDX-License-Identifier: GPL-2.0
/*
 * MSI of platform devices: two ims-platform, which count what they send and what is done
 * wrong. From allocation to unbinding.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest.h"
#include "msi_test.h"

#define NR_DEFAULT	5
#define NR_STORE	3
#define NR_DEVICES	2
#define CPUS	4
#define ROUNDS	100
/* As the driver has it */
#define MASKED_FIRES	3
#define DRIVER	"/sys/bus/platform/drivers/ims_platform/"
#define DEVICE	"/sys/bus/platform/devices/"

struct device {
	const char	*name;
	unsigned int	virqs[NR_DEFAULT + NR_STORE];
	/* What the device has to have sent, and the driver received, since it was bound */
	int		sent, received;
};

static struct device devices[NR_DEVICES] = {
	{ .name = "c000000.ims-platform" },
	{ .name = "c001000.ims-platform" },
};

/* How many interrupts a device has: with IMS, the driver creates a store as well */
static int nr = NR_DEFAULT;

static int each(int (*fn)(struct device *dev))
{
	int i, ok = 1;

	for (i = 0; i < NR_DEVICES && ok; i++) {
		ok = fn(&devices[i]);
		if (!ok)
			printf("# %s failed\n", devices[i].name);
	}
	return ok;
}

static const char *attr(const struct device *dev, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), DEVICE "%s/%s", dev->name, name);
	return path;
}

/* -1 if there is none */
static int number(const struct device *dev, const char *name)
{
	char text[32];

	return mt_read_file(attr(dev, name), text, sizeof(text)) < 0 ? -1 : atoi(text);
}

static int tell(const struct device *dev, const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	return mt_write_file(attr(dev, name), text);
}

/* As many as there are, all of them different */
static int read_virqs(struct device *dev)
{
	char text[256], *at = text;
	int i, j;

	memset(dev->virqs, 0, sizeof(dev->virqs));
	if (mt_read_file(attr(dev, "virqs"), text, sizeof(text)) < 0)
		return 0;
	for (i = 0; i < nr; i++) {
		dev->virqs[i] = strtoul(at, &at, 10);
		for (j = 0; j < i && dev->virqs[j] != dev->virqs[i]; j++)
			;
		if (!dev->virqs[i] || j < i)
			return 0;
	}
	return !strcmp(at, "\n");
}

static int fire(struct device *dev, int index)
{
	dev->sent++;
	dev->received++;
	return tell(dev, "fire", index);
}

static int fire_all(struct device *dev)
{
	int i, ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = fire(dev, i);
	if (ret)
		printf("# index %d: error %d\n", i - 1, ret);
	return !ret;
}

static int is_in_device_domain(struct device *dev)
{
	char line[1024], want[64];
	int i;

	for (i = 0; i < nr; i++) {
		snprintf(want, sizeof(want), "-%s-%s ", i < NR_DEFAULT ? "pMSI" : "pIMS.1",
			 dev->name);
		if (mt_proc_interrupts(dev->virqs[i], line, sizeof(line)) || !strstr(line, want))
			return 0;
	}
	return 1;
}

static int has_mode(struct device *dev)
{
	char name[32], text[16];
	int i;

	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "msi_irqs/%u", dev->virqs[i]);
		memset(text, 0, sizeof(text));
		if (mt_read_file(attr(dev, name), text, sizeof(text)) ||
		    strcmp(text, i < NR_DEFAULT ? "msi\n" : "ims\n"))
			return 0;
	}
	return 1;
}

/* A slot of the store keeps one message. What a plain one sends, the parent keeps once */
static int mask_all(struct device *dev)
{
	int i, ret;

	for (i = 0; i < nr; i++) {
		ret = tell(dev, "mask", i);
		dev->sent += i < NR_DEFAULT ? MASKED_FIRES : 1;
		dev->received++;
		if (ret) {
			printf("# index %d: error %d\n", i, ret);
			return 0;
		}
	}
	return 1;
}

/* How often the interrupt has come in on a CPU. All of them are online */
static unsigned long count_on(unsigned int virq, int cpu)
{
	unsigned long count = 0;
	char line[1024], *at;

	if (mt_proc_interrupts(virq, line, sizeof(line)) || !(at = strchr(line, ':')))
		return 0;
	for (at++; cpu >= 0; cpu--)
		count = strtoul(at, &at, 10);
	return count;
}

static int move_and_fire(struct device *dev)
{
	unsigned long before;
	int i, cpu, ret;

	for (cpu = 0; cpu < CPUS; cpu++) {
		for (i = 0; i < nr; i++) {
			ret = mt_set_affinity(dev->virqs[i], cpu);
			before = count_on(dev->virqs[i], cpu);
			ret = ret ?: fire(dev, i);
			if (ret || count_on(dev->virqs[i], cpu) != before + 1) {
				printf("# index %d on CPU %d: error %d\n", i, cpu, ret);
				return 0;
			}
		}
	}
	return 1;
}

/* To one that goes off in a moment */
static int move_to_the_last(struct device *dev)
{
	int i, ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = mt_set_affinity(dev->virqs[i], CPUS - 1);
	return !ret;
}

static int has_no_more(struct device *dev)
{
	return tell(dev, "fire", nr) == -34;
}

static int counts_agree(struct device *dev)
{
	int sent = number(dev, "sent"), received = number(dev, "received");

	if (sent != dev->sent || received != dev->received)
		printf("# %d sent, not %d, %d received, not %d\n", sent, dev->sent, received,
		       dev->received);
	return sent == dev->sent && received == dev->received;
}

static int has_no_breach(struct device *dev)
{
	int breaches = number(dev, "breaches");

	if (breaches)
		printf("# %d breaches\n", breaches);
	return !breaches;
}

static int all_gone(struct device *dev)
{
	char line[1024];
	int i;

	for (i = 0; i < nr; i++) {
		if (!mt_proc_interrupts(dev->virqs[i], line, sizeof(line)))
			return 0;
	}
	return mt_count_files(attr(dev, "msi_irqs")) <= 0;
}

static int change(struct device *dev, const char *how)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), DRIVER "%s", how);
	ret = mt_write_file(path, dev->name);
	if (ret)
		printf("# %s: error %d\n", how, ret);
	return !ret;
}

static int bind(struct device *dev)
{
	dev->sent = 0;
	dev->received = 0;
	return change(dev, "bind") && read_virqs(dev);
}

static int unbind(struct device *dev)
{
	return change(dev, "unbind");
}

/* The message of an interrupt that was freed is not in the device any more */
static int was_empty(struct device *dev)
{
	int stale = number(dev, "stale");

	if (stale)
		printf("# %d messages were left in the device\n", stale);
	return !stale;
}

/* What a slot of the store holds when it is freed is not for the next one who has it */
static int hold_and_rebind(struct device *dev)
{
	int i;

	for (i = NR_DEFAULT; i < nr; i++)
		if (tell(dev, "hold", i))
			return 0;
	return unbind(dev) && bind(dev) && counts_agree(dev) && fire_all(dev) && counts_agree(dev);
}

static int forget(struct device *dev)
{
	return !tell(dev, "forget", 1) && unbind(dev) && all_gone(dev);
}

static int rounds(void)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		if (!each(bind) || !each(was_empty) || !each(fire_all) || !each(counts_agree) ||
		    !each(unbind)) {
			printf("# round %d\n", i);
			return 0;
		}
	}
	return 1;
}

/* Of how many devices the log says that the driver has forgotten something */
static int forget_says(const char *what)
{
	const char *said[] = { NULL, what, NULL };
	int kmsg, i, n = 0;
	char line[512];

	for (i = 0; i < NR_DEVICES; i++) {
		kmsg = mt_kmsg_open();
		if (!bind(&devices[i]) || !was_empty(&devices[i]) || !forget(&devices[i]))
			n = -NR_DEVICES;
		said[0] = devices[i].name;
		n += mt_kmsg_read(kmsg, said, line, sizeof(line));
		close(kmsg);
	}
	return n;
}

int main(void)
{
	const char *expect = getenv("IMS_EXPECT");
	int ok;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan(17);
	if (expect && !strcmp(expect, "yes"))
		nr += NR_STORE;
	ksft_test_result(each(read_virqs), "the devices are bound and have their interrupts\n");
	ksft_test_result(each(is_in_device_domain), "in domains of their own\n");
	ksft_test_result(each(has_mode), "sysfs says what they are\n");
	ksft_test_result(each(fire_all) && each(fire_all), "each message is one interrupt\n");
	ksft_test_result(each(move_and_fire) && each(move_and_fire),
			 "on the CPU that is asked for\n");
	ok = each(move_to_the_last) && !mt_cpu_set_online(CPUS - 1, false) && each(fire_all);
	ksft_test_result(!mt_cpu_set_online(CPUS - 1, true) && ok && each(fire_all),
			 "also when it goes off\n");
	ksft_test_result(each(mask_all) && each(mask_all),
			 "a masked interrupt arrives once when it is unmasked\n");
	ksft_test_result(each(has_no_more), "there are no more messages than interrupts\n");
	ksft_test_result(each(counts_agree), "as many were sent as have arrived\n");
	ksft_test_result(each(hold_and_rebind), "nothing is left pending for the next user\n");

	ksft_test_result(each(unbind) && each(all_gone), "all is gone with the driver\n");
	ksft_test_result(rounds(), "and comes again %d times\n", ROUNDS);

	ksft_test_result(forget_says("were not freed by the driver") == NR_DEVICES,
			 "a driver can forget to free them, and the log says it\n");
	ksft_test_result(forget_says("was not removed by the driver") ==
			 (nr > NR_DEFAULT ? NR_DEVICES : 0), "of the store as well\n");
	ksft_test_result(rounds() && each(bind) && each(fire_all), "and go on\n");
	ksft_test_result(each(was_empty) && each(counts_agree), "with nothing left behind\n");
	ksft_test_result(each(has_no_breach), "no device has seen a rule broken\n");
	ksft_finished();
}
