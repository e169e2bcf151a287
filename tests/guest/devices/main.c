// SPDX-License-Identifier: GPL-2.0
/*
 * devices: interrupts of ordinary devices, in everything that happens to them.
 * The arguments are on the kernel command line:
 *
 *   devices.machine=  remapped, direct or untrusted: see configs/machines.toml
 *   devices.prefix=   what the names of interrupt chips begin with
 *   devices.behind=   the devices are behind a VMD, and the names of their interrupt chips
 *                     begin with this: VMD- unless the VMD passes messages on
 *   devices.suspend=  the state to suspend to, instead of mem
 *   devices.rounds=N  of bind and unbind
 *   devices.parts=A,B only these parts; for work on this test
 *   devices.spoil=X   makes a check fail that must: the name of a disk, net, edu,
 *                     edu-dma or hang
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices.h"

static const struct device plain[] = {
	{ "nvme",	"0000:00:10.0", "nvme",		NVME, "MSIX", 20 },
	{ "virtio-blk",	"0000:00:11.0", "virtio-pci",	DISK, "MSIX", 20 },
	{ "virtio-net",	"0000:00:12.0", "virtio-pci",	NET,  "MSIX", 20 },
	{ "e1000e",	"0000:00:13.0", "e1000e",	NET,  "MSIX", 20 },
	{ "xhci",	"0000:00:14.0", "xhci_hcd",	DISK, "MSIX", 10 },
	{ "ahci",	"0000:00:16.0", "ahci",		DISK, "MSI",  10 },
	{ "edu",	"0000:00:15.0", "vfio-pci",	EDU,  "MSI",  0 },
};

/* With devices.behind= */
static const struct device behind_vmd[] = {
	{ "vmd",	"0000:00:18.0",  "vmd",		BRIDGE, "MSIX", 20 },
	{ "nvme",	"10000:01:00.0", "nvme",	NVME, "MSIX", 40 },
	{ "ahci",	"10000:02:00.0", "ahci",	DISK, "MSI",  20 },
	{ "xhci",	"10000:03:00.0", "xhci_hcd",	DISK, "MSIX", 20 },
};

const struct device *devices = plain;
unsigned int nr_devices = sizeof(plain) / sizeof(plain[0]);
enum machine machine;
const char *behind;
bool interrupts_move;

/* Rounds of bind and unbind that fill caches before anything is counted, each */
#define WARM_UP		3

static void wait_all_usable(void)
{
	for_each_device(dev)
		if (dev->kind != EDU)
			wait_usable(dev);
}

static void part_names(void)
{
	struct load *load = NULL;

	for_each_device(dev) {
		doing("looking at %s", dev->name);
		if (dev->kind == EDU && machine == UNTRUSTED)
			continue;
		/* Only an open device of VFIO's has interrupts. */
		if (dev->kind == EDU)
			load = load_start(dev, false);
		irq_check_names(dev);
		if (load)
			load_stop(load);
		load = NULL;
	}
}

static void part_io(void)
{
	for_each_device(dev) {
		doing("I/O on %s", dev->name);
		if (dev->kind != EDU || machine != UNTRUSTED)
			io_now(dev, 10);
	}
}

static void part_vfio(void)
{
	int ret;

	doing("opening edu's group");
	ret = edu_try();
	if (machine == UNTRUSTED && ret != -EPERM)
		die("VFIO takes a device whose interrupts are not remapped: %s",
		    ret ? strerror(-ret) : "no error");
	if (machine != UNTRUSTED && ret)
		die("VFIO refuses edu: %s", strerror(-ret));
}

/* An interrupt in the part that moves them */
struct moved {
	const struct device *dev;
	unsigned int irq, cpu;
	bool managed, active, pinned;
	uint64_t total, there, at;
};

static unsigned int find_moved(struct moved *moved, struct view *view)
{
	unsigned int irqs[MAX_IRQS], nr = 0, n;

	irq_view(view);
	for_each_device(dev) {
		n = irqs_of(dev, irqs);
		if (!n && has_irqs(dev))
			die("%s uses no MSI", dev->name);
		for (unsigned int i = 0; i < n; i++, nr++)
			moved[nr] = (struct moved){
				.dev = dev, .irq = irqs[i], .managed = irq_managed(irqs[i]),
				.pinned = irqs_pinned(dev),
				.total = irq_line(view, irqs[i])->total,
				.at = irq_mask(irqs[i], "effective_affinity"),
			};
	}
	return nr;
}

/*
 * Moved at once where the message goes through a remapping table or can be
 * masked; else with the next interrupt, and if the CPU that the one before came
 * from still holds a vector, with the one after it. A quiet interrupt may wait for
 * that forever, and the kernel has to know that it waits.
 */
static void wait_moved(struct moved *irq, struct view *view)
{
	const struct line *line;
	double end = 0;

	while (!irq->pinned && irq_mask(irq->irq, "effective_affinity") != 1ULL << irq->cpu) {
		if (irq_mask(irq->irq, "smp_affinity") != 1ULL << irq->cpu)
			die("interrupt %u of %s forgets its CPU %u", irq->irq, irq->dev->name,
			    irq->cpu);
		if (machine != REMAPPED && !irq->active && irq_pending(irq->irq))
			break;
		irq_view(view);
		line = irq_line(view, irq->irq);
		if (!wait_more(&end, WAIT_SECONDS))
			die("interrupt %u (%s) of %s stays off CPU %u", irq->irq,
			    line ? line->action : "gone", irq->dev->name, irq->cpu);
	}
}

static void move_all(struct moved *moved, unsigned int nr, unsigned int step, struct view *view)
{
	const struct line *line;
	struct moved *irq;
	double end = 0;
	int ret;

	for (irq = moved; irq < moved + nr; irq++) {
		irq->cpu = (step + (irq - moved)) % nr_cpus();
		ret = irq_move(irq->irq, irq->cpu);
		/* The VMD's vector stays where it is */
		if (ret != (irq->managed ? -EIO : irq->pinned ? -EINVAL : 0))
			die("interrupt %u of %s%s does not move as it should: %s", irq->irq,
			    irq->dev->name, irq->managed ? ", managed," : "",
			    ret ? strerror(-ret) : "no error");
	}
	for (irq = moved; irq < moved + nr; irq++)
		if (!irq->managed && irq->active)
			wait_moved(irq, view);
	for (irq = moved; irq < moved + nr; irq++)
		if (!irq->managed && !irq->active)
			wait_moved(irq, view);
	irq_view(view);
	for (irq = moved; irq < moved + nr; irq++)
		irq->there = irq_line(view, irq->irq)->cpu[irq->cpu];
	for (irq = moved; irq < moved + nr; irq++) {
		while (irq->active && !irq->managed &&
		       irq_line(view, irq->irq)->cpu[irq->cpu] == irq->there) {
			if (!wait_more(&end, 2 * WAIT_SECONDS)) {
				line = irq_line(view, irq->irq);
				die("no interrupt %u (%s) of %s arrives on CPU %u", irq->irq,
				    line->action, irq->dev->name, irq->cpu);
			}
			irq_view(view);
		}
	}
}

/* What user space may not move has to arrive where the kernel has put it. */
static void check_managed(const struct moved *irq, const struct view *before,
			  const struct view *after)
{
	const struct line *old = irq_line(before, irq->irq), *new = irq_line(after, irq->irq);
	uint64_t at = irq_mask(irq->irq, "effective_affinity");

	for (unsigned int cpu = 0; cpu < nr_cpus(); cpu++)
		if (new->cpu[cpu] != old->cpu[cpu] && !(at >> cpu & 1))
			die("managed interrupt %u of %s arrives on CPU %u", irq->irq,
			    irq->dev->name, cpu);
}

static void part_affinity(void)
{
	struct view *first = malloc(sizeof(*first)), *view = malloc(sizeof(*view));
	static struct moved moved[256];
	unsigned int nr, nr_loads, active = 0, managed = 0, pinned = 0;
	struct load *loads[16];

	interrupts_move = true;
	doing("starting loads");
	nr_loads = loads_start(loads, NULL);
	loads_progress(loads, nr_loads, 2);
	nr = find_moved(moved, first);
	/* Which interrupts does this load raise? The others can only be moved. */
	doing("counting interrupts");
	loads_progress(loads, nr_loads, 8);
	irq_view(view);
	for_each_device(dev) {
		unsigned int here = 0;

		for (unsigned int i = 0; i < nr; i++) {
			struct moved *irq = &moved[i];

			if (irq->dev != dev)
				continue;
			irq->active = irq_line(view, irq->irq)->total >= irq->total + 4;
			here += irq->active && !irq->managed;
			active += irq->active;
			managed += irq->managed;
			pinned += irq->pinned;
		}
		/* What is pinned is not counted */
		if (!here && has_irqs(dev) && !irqs_pinned(dev))
			die("%s raises no interrupt that can be moved", dev->name);
	}
	diag("%u interrupts, %u in use, %u managed, %u pinned", nr, active, managed, pinned);
	for (unsigned int step = 1; step <= nr_cpus(); step++) {
		doing("moving interrupts, step %u", step);
		move_all(moved, nr, step, view);
	}
	loads_progress(loads, nr_loads, 2);
	for (unsigned int i = 0; i < nr; i++) {
		if (moved[i].managed)
			check_managed(&moved[i], first, view);
		if (moved[i].pinned && irq_mask(moved[i].irq, "effective_affinity") != moved[i].at)
			die("interrupt %u of %s moves", moved[i].irq, moved[i].dev->name);
	}
	doing("stopping loads");
	loads_stop(loads, nr_loads);
	free(first);
	free(view);
}

/* No interrupt may be left on a CPU that is gone. */
static void check_left(unsigned int cpu)
{
	unsigned int irqs[MAX_IRQS], nr;

	for_each_device(dev) {
		nr = irqs_of(dev, irqs);
		for (unsigned int i = 0; i < nr; i++)
			if (irq_mask(irqs[i], "effective_affinity") == 1ULL << cpu &&
			    !irq_managed(irqs[i]))
				die("interrupt %u of %s stays on CPU %u", irqs[i], dev->name, cpu);
	}
}

/* Have all that can move on the CPU that goes, so that it has to leave. */
static void gather(unsigned int cpu)
{
	unsigned int irqs[MAX_IRQS], nr;

	for_each_device(dev) {
		nr = irqs_of(dev, irqs);
		for (unsigned int i = 0; i < nr; i++)
			if (!irq_managed(irqs[i]) && !irqs_pinned(dev) && irq_move(irqs[i], cpu))
				die("interrupt %u of %s does not move", irqs[i], dev->name);
	}
}

static void part_hotplug(void)
{
	struct load *loads[16];
	unsigned int nr, cpu;

	interrupts_move = true;
	doing("starting loads");
	nr = loads_start(loads, NULL);
	loads_progress(loads, nr, 2);
	for (cpu = 1; cpu < nr_cpus(); cpu++) {
		doing("CPU %u offline and online", cpu);
		gather(cpu);
		loads_progress(loads, nr, 1);
		set_cpu_online(cpu, false);
		check_left(cpu);
		loads_progress(loads, nr, 2);
		set_cpu_online(cpu, true);
		loads_progress(loads, nr, 1);
	}
	for (cpu = nr_cpus() - 1; cpu; cpu--) {
		doing("CPUs from %u on offline", cpu);
		gather(cpu);
		set_cpu_online(cpu, false);
		check_left(cpu);
	}
	doing("one CPU");
	loads_progress(loads, nr, 3);
	for (cpu = 1; cpu < nr_cpus(); cpu++) {
		doing("CPUs up to %u online", cpu);
		set_cpu_online(cpu, true);
	}
	doing("all CPUs again");
	loads_progress(loads, nr, 3);
	loads_stop(loads, nr);
}

static void part_rebind(void)
{
	struct load *loads[16];
	unsigned int nr;

	for_each_device(dev) {
		doing("unbind and bind %s", dev->name);
		nr = loads_start(loads, dev);
		loads_progress(loads, nr, 1);
		unbind_device(dev);
		loads_progress(loads, nr, 1);
		bind_device(dev);
		if (dev->kind != EDU || machine != UNTRUSTED)
			io_now(dev, 3);
		loads_progress(loads, nr, 1);
		loads_stop(loads, nr);
	}
}

/* A disk whose driver goes fails its I/O, and is as good as new when it is back. */
static void part_unbind_busy(void)
{
	struct load *load;

	for_each_device(dev) {
		if (dev->kind != NVME && dev->kind != DISK)
			continue;
		for (unsigned int i = 0; i < 3; i++) {
			doing("unbind %s during I/O", dev->name);
			load = load_start(dev, true);
			loads_progress(&load, 1, 2);
			unbind_device(dev);
			load_stop(load);
			bind_device(dev);
			io_now(dev, 2);
		}
	}
}

/*
 * An alarm that goes off while the machine is still on its way to sleep would be
 * lost, so it is far beyond what that way takes.
 */
#define ALARM_SECONDS	45

static void suspend(const char *state)
{
	char text[32];
	int ret;

	ret = write_text("/sys/class/rtc/rtc0/wakealarm", "0");
	snprintf(text, sizeof(text), "+%u", ALARM_SECONDS);
	if (!ret)
		ret = write_text("/sys/class/rtc/rtc0/wakealarm", text);
	if (ret)
		die("no alarm: %s", strerror(-ret));
	ret = write_text("/sys/power/state", state);
	if (ret)
		die("no suspend to %s: %s", state, strerror(-ret));
}

/* How often the kernel says that it was suspended */
static unsigned int suspended(void)
{
	char text[32];

	if (read_text("/sys/power/suspend_stats/success", text, sizeof(text)))
		die("no suspend_stats");
	return atoi(text);
}

/* edu's state is gone with its power, and a transfer with it: it has no load. */
static void sleep_and_wake(const char *state)
{
	const struct device *edu = NULL;
	unsigned int nr, before;
	struct load *loads[16];

	for_each_device(dev)
		if (dev->kind == EDU)
			edu = dev;
	doing("loads before %s", state);
	nr = loads_start(loads, edu);
	loads_progress(loads, nr, 2);
	before = suspended();
	doing("suspend: %s", state);
	suspend(state);
	if (suspended() != before + 1)
		die("the machine was not suspended");
	doing("resumed: %s", state);
	loads_progress(loads, nr, 3);
	loads_stop(loads, nr);
	for_each_device(dev) {
		doing("I/O on %s after %s", dev->name, state);
		io_now(dev, 3);
	}
}

/*
 * What the alarm ends: on x86, QEMU tells ACPI of it just where the machine sleeps in S3.
 * On arm64 it is an interrupt.
 */
static void part_suspend(void)
{
	const char *state = argument("suspend", "mem");

	interrupts_move = true;
	if (!strcmp(state, "mem") && write_text("/sys/power/mem_sleep", "deep"))
		die("this machine has no suspend to RAM");
	sleep_and_wake(state);
}

struct binder {
	const struct device *dev;
	unsigned int rounds;
	pthread_t thread;
};

/* The interfaces need each other, so that only disks have I/O. */
static void *bind_rounds(void *data)
{
	const struct binder *binder = data;
	const struct device *dev = binder->dev;
	double start = now();

	for (unsigned int i = 0; i < binder->rounds; i++) {
		unbind_device(dev);
		bind_device(dev);
		if (dev->kind != NET)
			io_now(dev, 1);
	}
	diag("%s: %u rounds in %.0f s", dev->name, binder->rounds, now() - start);
	return NULL;
}

/* How many of all rounds are those of a device */
static unsigned int rounds_of(const struct device *dev, unsigned int rounds, unsigned int least)
{
	rounds = rounds * dev->share / 100;
	return rounds > least ? rounds : least;
}

/*
 * All drivers at once, so that they allocate and free next to each other, and then that of
 * a bridge, which takes them along
 */
static unsigned int bind_all(unsigned int rounds, unsigned int least)
{
	struct binder binders[16];
	unsigned int nr = 0, smallest = -1;

	for_each_device(dev) {
		struct binder *binder = &binders[nr];

		if (!dev->share || dev->kind == BRIDGE)
			continue;
		*binder = (struct binder){ .dev = dev, .rounds = rounds_of(dev, rounds, least) };
		if (binder->rounds < smallest)
			smallest = binder->rounds;
		if (pthread_create(&binder->thread, NULL, bind_rounds, binder))
			die("no thread");
		nr++;
	}
	while (nr--)
		pthread_join(binders[nr].thread, NULL);
	for_each_device(dev) {
		if (dev->kind == NET && dev->share)
			io_now(dev, 1);
		if (dev->kind == BRIDGE) {
			binders[0] = (struct binder){ .dev = dev,
						      .rounds = rounds_of(dev, rounds, least) };
			if (binders[0].rounds < smallest)
				smallest = binders[0].rounds;
			bind_rounds(&binders[0]);
		}
	}
	return smallest;
}

static void part_growth(void)
{
	unsigned int rounds = atoi(argument("rounds", "500")), smallest, grown, nvme = 0;
	struct slabs *before = malloc(sizeof(*before)), *after = malloc(sizeof(*after));
	struct resources first, last;
	double start, end = 0, given_up = 0;

	doing("warming up");
	bind_all(0, WARM_UP);
	slabs_get(before);
	resources_get(&first);
	start = now();
	doing("%u rounds of bind and unbind", rounds);
	smallest = bind_all(rounds, 1);
	diag("%u rounds took %.0f s", rounds, now() - start);
	doing("counting what is left");
	/* The vector that an interrupt was moved from goes with a delay. */
	do
		resources_get(&last);
	while (!resources_equal(&first, &last) && wait_more(&end, 20));
	resources_show("before", &first);
	resources_show("after", &last);
	if (!resources_equal(&first, &last))
		die("interrupts, domains, entries or vectors are left");
	/*
	 * One object a round of the driver with the fewest rounds would be
	 * `smallest` objects. Half of that is what caches may grow by that have
	 * nothing to do with it. Leaks of small objects are for kmemleak to find.
	 */
	for_each_device(dev)
		if (dev->kind == NVME || dev->kind == BRIDGE)
			nvme += rounds_of(dev, rounds, 1);
	/* A delayed free makes up for it, a leak does not. */
	do {
		slabs_get(after);
		grown = slabs_grown(before, after, smallest / 2, nvme);
	} while (grown && wait_more(&given_up, 20));
	if (grown)
		die("%u slab caches have grown", grown);
}

static const struct part {
	const char *name;
	const char *what;
	void (*run)(void);
	/* Not where VFIO has nothing to do with edu */
	bool everywhere;
	/* What is never reached unless something hangs, in seconds */
	unsigned int bound;
} parts[] = {
	{ "names",	"interrupts are on the domains of their devices", part_names, true, 120 },
	{ "io",		"I/O on each device", part_io, true, 240 },
	{ "vfio",	"VFIO takes a device if its interrupts are remapped", part_vfio, true, 60 },
	{ "affinity",	"I/O while interrupts move", part_affinity, false, 1200 },
	{ "hotplug",	"I/O while CPUs come and go", part_hotplug, false, 1200 },
	{ "rebind",	"unbind, bind and I/O", part_rebind, false, 1200 },
	{ "busy",	"unbind during I/O, bind and I/O", part_unbind_busy, false, 1200 },
	{ "suspend",	"suspend, resume and I/O", part_suspend, false, 1200 },
	{ "growth",	"nothing grows with rounds of bind and unbind", part_growth, false, 3600 },
};

#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

/* 0, or 1 if it failed, or 2 if the machine is of no use any more */
static int run_part(const struct part *part)
{
	double end = 0;
	pid_t pid;
	int status;

	doing("start");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("no process");
	if (!pid) {
		if (spoiled("hang") && part->run == part_io)
			pause();
		part->run();
		fflush(stdout);
		_exit(0);
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		if (wait_more(&end, spoiled("hang") ? 10 : part->bound))
			continue;
		diag("hangs for %u s at: %s", part->bound, doing_what());
		show_tasks(pid);
		kill(pid, SIGKILL);
		return 2;
	}
	if (WIFSIGNALED(status))
		diag("killed by signal %d at: %s", WTERMSIG(status), doing_what());
	return status != 0;
}

static bool is_wanted(const struct part *part)
{
	const char *list = argument("parts", "");
	char all[128], name[32];

	if ((machine == UNTRUSTED && !part->everywhere) || (*behind && part->run == part_vfio))
		return false;
	if (!list[0])
		return true;
	snprintf(all, sizeof(all), ",%s,", list);
	snprintf(name, sizeof(name), ",%s,", part->name);
	return strstr(all, name);
}

static void set_up(void)
{
	static const char unsafe[] = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
	const char *kind = argument("machine", "");

	if (!strcmp(kind, "remapped"))
		machine = REMAPPED;
	else if (!strcmp(kind, "direct"))
		machine = DIRECT;
	else if (!strcmp(kind, "untrusted"))
		machine = UNTRUSTED;
	else
		die("devices.machine is '%s'", kind);
	behind = argument("behind", "");
	if (*behind) {
		devices = behind_vmd;
		nr_devices = sizeof(behind_vmd) / sizeof(behind_vmd[0]);
	}
	net_init();
	doing("start of the drivers");
	wait_all_usable();
	if (machine == DIRECT && write_text(unsafe, "1"))
		die("VFIO does not work without an IOMMU");
	for_each_device(dev)
		if (dev->kind == EDU)
			bind_device(dev);
}

int main(void)
{
	unsigned int nr = 0, plan = 0;
	int bad = 0, ret = 0;
	double start;

	util_init();
	doing("start");
	printf("TAP version 13\n");
	set_up();
	for (unsigned int i = 0; i < NR_PARTS; i++)
		plan += is_wanted(&parts[i]);
	printf("1..%u\n", plan);
	for (unsigned int i = 0; i < NR_PARTS; i++) {
		const struct part *part = &parts[i];

		if (!is_wanted(part))
			continue;
		start = now();
		if (ret == 2)
			diag("not run: a part before it hangs");
		else
			ret = run_part(part);
		bad |= ret;
		diag("%s: %.0f s", part->name, now() - start);
		printf("%s %u %s: %s\n", ret ? "not ok" : "ok", ++nr, part->name, part->what);
		/* Bring back what a part that failed has left. */
		for (unsigned int cpu = 1; ret == 1 && cpu < nr_cpus(); cpu++)
			if (!cpu_online(cpu))
				set_cpu_online(cpu, true);
	}
	return bad ? 1 : 0;
}
