// SPDX-License-Identifier: GPL-2.0
/*
 * Goes through the ways in which a driver can ask for MSI and MSI-X interrupts,
 * and writes down what comes of each: the same program on the base and on the
 * series, so that scripts/imslib/compare.py can compare line by line.
 *
 * A line is `case NAME FIELD=VALUE ...`. It has no number that depends on when
 * or in what order things were allocated: interrupt numbers are relative to the
 * lowest one of the case, CPUs are named only where the test has chosen them.
 * Equal neighbours are put together: 0-3:x,4:y is x for the first four vectors.
 *
 *   ret      what the call returned
 *   on       what the device has enabled: msi, msix or none
 *   irq      dev->irq: own (as before), v0 (the first vector's) or another
 *   file     the same of /sys/bus/pci/devices/.../irq
 *   n        vectors that pci_irq_vector() finds
 *   irqs     interrupt number minus index, relative
 *   beyond   pci_irq_vector() for the index after the last
 *   sys      msi_irqs/: interrupts, relative, and what is in their files
 *   hint     pci_irq_get_affinity(); m if the interrupt's affinity is managed
 *   req      request_irq()
 *   dir      /proc/irq/N and its directory with the handler's name
 *   smp      /proc/irq/N/smp_affinity
 *   ahint    /proc/irq/N/affinity_hint
 *   eff      whether effective_affinity is one CPU of smp_affinity
 *   chip     chip and type in /proc/interrupts; hwirq numbers are the chip's own
 *   fired    handler runs/messages sent, each vector fired once
 *   off      the same as on irq file sys n, and /proc/irq, after it was all freed
 *   breach   rules that were broken, as the device has seen it: code*count
 *
 * The output is TAP besides, with one test: that all cases were gone through.
 * Whether the values are good is not decided here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ims_testdev_regs.h"
#include "msi_compare.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PCI		"/sys/bus/pci/devices"
#define MAX		4096

/* include/linux/pci.h */
#define LEGACY		(1 << 0)
#define MSI		(1 << 1)
#define MSIX		(1 << 2)
#define AFFINITY	(1 << 3)
#define VIRTUAL		(1 << 4)

/* Far more than an interrupt takes under emulation; for one that is never to come */
#define WAIT		10000
#define NEVER		5

struct device {
	char	bdf[NAME_MAX + 1];
	char	name[48];
	int	fd;
	int	nr_msi;
	int	nr_msix;
	__u32	own_irq;
};

static struct device devices[16];
static int nr_devices;
static int nr_cases;

/* Vectors of the case: index at the device, interrupt number */
static __u32 indices[MAX];
static int irqs[MAX];
static int nr_vectors;
static int base_irq;
static struct msi_compare_vector vectors[MAX];
static struct msi_compare_slot slots[MAX];

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("Bail out! ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	exit(1);
}

/* --- the line of a case ----------------------------------------------------- */

static void begin(const struct device *d, const char *fmt, ...)
{
	va_list ap;

	nr_cases++;
	printf("case %s/", d->name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

static void field(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf(" %s=", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

static const char *err(int ret)
{
	static char text[4][32];
	static int at;
	const char *name = ret < 0 ? strerrorname_np(-ret) : NULL;

	at = (at + 1) % 4;
	if (name)
		snprintf(text[at], sizeof(text[at]), "-%s", name);
	else
		snprintf(text[at], sizeof(text[at]), "%d", ret);
	return text[at];
}

/* Values of the vectors one by one, equal neighbours put together */
static char runs_text[1 << 18];
static char runs_last[128];
static int runs_first, runs_count;
static size_t runs_len;

static void runs_flush(void)
{
	char range[16] = "";

	if (!runs_count)
		return;
	if (runs_count > 1)
		snprintf(range, sizeof(range), "-%d", runs_first + runs_count - 1);
	runs_len += snprintf(runs_text + runs_len, sizeof(runs_text) - runs_len, "%s%d%s:%s",
			     runs_len ? "," : "", runs_first, range, runs_last);
	runs_count = 0;
}

static void runs_begin(void)
{
	runs_len = 0;
	runs_text[0] = 0;
	runs_count = 0;
}

static void runs_add(int nr, const char *fmt, ...)
{
	char value[sizeof(runs_last)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (runs_count && nr == runs_first + runs_count && !strcmp(value, runs_last)) {
		runs_count++;
		return;
	}
	runs_flush();
	runs_first = nr;
	runs_count = 1;
	strcpy(runs_last, value);
}

/* A long list is cut, and the rest of it stands for itself by a hash (FNV-1a) */
static void runs_field(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	const char *c;

	runs_flush();
	if (runs_len < 600) {
		field(name, "%s", runs_len ? runs_text : "-");
		return;
	}
	for (c = runs_text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3ULL;
	field(name, "%.500s..%016llx", runs_text, (unsigned long long)hash);
}

/* --- files ------------------------------------------------------------------ */

/* The first line; NULL and errno if it can't be read */
static const char *slurp(const char *fmt, ...)
{
	static char text[4096];
	char path[512];
	va_list ap;
	ssize_t len;
	int fd;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 0)
		return NULL;
	text[len] = 0;
	text[strcspn(text, "\n")] = 0;
	return text;
}

/* 0 or -errno */
static int spit(const char *text, const char *fmt, ...)
{
	char path[512];
	va_list ap;
	int fd, ret = 0;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* A cpumask as a number: 8 digits and commas */
static unsigned long long mask_of(const char *text)
{
	unsigned long long mask = 0;

	for (; text && *text; text++) {
		if (*text != ',')
			mask = mask << 4 | strtoul((char[]){ *text, 0 }, NULL, 16);
	}
	return mask;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The names in a directory that are numbers, in order; -1 if there is none */
static int numbers_in(const char *path, int *numbers, int max)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;

	if (!dir)
		return -1;
	while ((e = readdir(dir)) && n < max) {
		char *end;
		long nr = strtol(e->d_name, &end, 10);

		if (end != e->d_name && !*end)
			numbers[n++] = nr;
	}
	closedir(dir);
	qsort(numbers, n, sizeof(*numbers), by_number);
	return n;
}

/* --- the requester ------------------------------------------------------------ */

static void call(struct device *d, struct msi_compare_call *c)
{
	if (ioctl(d->fd, MSI_COMPARE_CALL, c))
		die("call %u on %s: %s", c->op, d->name, strerror(errno));
}

static struct msi_compare_call simple(struct device *d, int op, int min)
{
	struct msi_compare_call c = { .op = op, .min = min };

	call(d, &c);
	return c;
}

static void slots_do(struct device *d, int op, int kind, int wait, int count)
{
	struct msi_compare_slots arg = {
		.op = op, .kind = kind, .count = count, .wait = wait,
		.slots = (uintptr_t)slots,
	};

	if (ioctl(d->fd, MSI_COMPARE_SLOTS, &arg))
		die("slots %u on %s: %s", op, d->name, strerror(errno));
}

static void vectors_get(struct device *d, int count)
{
	struct msi_compare_vectors arg = {
		.count = count,
		.indices = (uintptr_t)indices,
		.vectors = (uintptr_t)vectors,
	};

	if (ioctl(d->fd, MSI_COMPARE_VECTORS, &arg))
		die("vectors on %s: %s", d->name, strerror(errno));
}

static int kind_of(const struct msi_compare_call *c)
{
	return c->msi ? IMS_TD_KIND_MSI : IMS_TD_KIND_MSIX;
}

/* --- looking ------------------------------------------------------------------ */

static const char *irq_name(const struct device *d, int irq)
{
	static char text[2][24];
	static int at;

	if ((__u32)irq == d->own_irq)
		return "own";
	if (nr_vectors && irq == irqs[0])
		return "v0";
	at = !at;
	snprintf(text[at], sizeof(text[at]), nr_vectors ? "rel%d" : "other", irq - base_irq);
	return text[at];
}

static void look_state(struct device *d, const struct msi_compare_call *c)
{
	const char *file = slurp(PCI "/%s/irq", d->bdf);

	field("on", "%s", c->msi && c->msix ? "both" : c->msi ? "msi" : c->msix ? "msix" : "none");
	field("irq", "%s", irq_name(d, c->irq));
	field("file", "%s", file ? irq_name(d, atoi(file)) : "missing");
}

static void look_sysfs(struct device *d)
{
	static int found[MAX];
	char path[512];
	int i, n;

	snprintf(path, sizeof(path), PCI "/%s/msi_irqs", d->bdf);
	n = numbers_in(path, found, MAX);
	if (n < 0) {
		field("sys", "missing");
		return;
	}
	runs_begin();
	for (i = 0; i < n; i++) {
		const char *mode = slurp("%s/%d", path, found[i]);

		runs_add(found[i] - base_irq, "%s", mode ? mode : "unreadable");
	}
	runs_field("sys");
}

/* What the API says of the vectors; fills irqs[] and base_irq */
static void look_vectors(struct device *d)
{
	int i, n = 0;

	vectors_get(d, nr_vectors);
	base_irq = 0;
	for (i = 0; i < nr_vectors; i++) {
		irqs[i] = vectors[i].irq;
		if (irqs[i] > 0) {
			n++;
			if (!base_irq || irqs[i] < base_irq)
				base_irq = irqs[i];
		}
	}
	field("n", "%d", n);
	runs_begin();
	for (i = 0; i < nr_vectors; i++) {
		if (irqs[i] > 0)
			runs_add(i, "%+d", irqs[i] - base_irq - i);
		else
			runs_add(i, "%s", err(irqs[i]));
	}
	runs_field("irqs");
}

static void look_beyond(struct device *d)
{
	__u32 last = 0;
	int i, ret;

	for (i = 0; i < nr_vectors; i++)
		last = indices[i] > last ? indices[i] : last;
	ret = simple(d, MSI_COMPARE_VECTOR, last + 1).ret;
	field("beyond", "%s", ret > 0 ? "some" : err(ret));
}

static void look_hints(void)
{
	int i;

	runs_begin();
	for (i = 0; i < nr_vectors; i++)
		runs_add(i, "%llx%s", (unsigned long long)vectors[i].hint,
			 vectors[i].managed ? "m" : "");
	runs_field("hint");
}

static void look_proc(void)
{
	static char how[MAX][4];
	int i;

	runs_begin();
	for (i = 0; i < nr_vectors; i++) {
		char path[512];

		snprintf(path, sizeof(path), "/proc/irq/%d/msi_compare-%u", irqs[i], indices[i]);
		runs_add(i, "%s", access(path, F_OK) ? "none" : "named");
	}
	runs_field("dir");

	runs_begin();
	for (i = 0; i < nr_vectors; i++) {
		unsigned long long smp = mask_of(slurp("/proc/irq/%d/smp_affinity", irqs[i]));
		unsigned long long eff = mask_of(slurp("/proc/irq/%d/effective_affinity", irqs[i]));

		runs_add(i, "%llx", smp);
		strcpy(how[i], !eff ? "no" : eff & ~smp ? "out" : eff & (eff - 1) ? "few" : "one");
	}
	runs_field("smp");
	runs_begin();
	for (i = 0; i < nr_vectors; i++)
		runs_add(i, "%s", how[i]);
	runs_field("eff");
	runs_begin();
	for (i = 0; i < nr_vectors; i++)
		runs_add(i, "%llx", mask_of(slurp("/proc/irq/%d/affinity_hint", irqs[i])));
	runs_field("ahint");
}

/*
 * A row: `24: 0 0  IR-PCI-MSI 1048576-edge  name`, one count per CPU, or with ` Edge` on
 * arm64. The chip's name may contain the device's, which is not the same for each device.
 */
static void look_chips(const struct device *d)
{
	static char text[1 << 20];
	static char chips[MAX][64];
	size_t len = 0;
	ssize_t got;
	char *line, *save;
	int fd = open("/proc/interrupts", O_RDONLY);
	int i;

	while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	close(fd);
	text[len] = 0;
	for (i = 0; i < nr_vectors; i++)
		strcpy(chips[i], "none");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *end, *chip, *type, *bdf;
		long irq = strtol(line, &end, 10);

		if (end == line || *end != ':')
			continue;
		for (i = 0; i < nr_vectors && irqs[i] != irq; i++)
			;
		if (i == nr_vectors)
			continue;
		for (chip = end + 1; *chip && strspn(chip, " 0123456789"); ) {
			char *next = chip + strspn(chip, " ");
			size_t digits = strspn(next, "0123456789");

			chip = next;
			if (!digits || next[digits] != ' ')
				break;
			chip = next + digits;
		}
		type = strchr(chip, ' ');
		if (!type)
			continue;
		*type++ = 0;
		type += strspn(type, " ");
		type += strspn(type, "0123456789");
		if (!*type)
			continue;
		type++;
		type[strcspn(type, " ")] = 0;
		bdf = strstr(chip, d->bdf);
		if (bdf)
			strcpy(bdf, "BDF");
		snprintf(chips[i], sizeof(chips[i]), "%s-%s", chip, type);
	}
	runs_begin();
	for (i = 0; i < nr_vectors; i++)
		runs_add(i, "%s", chips[i]);
	runs_field("chip");
}

static void look_breaches(struct device *d)
{
	int code, n, any = 0;

	printf(" breach=");
	for (code = 1; code < IMS_TD_NR_BREACHES; code++) {
		n = simple(d, MSI_COMPARE_BREACHES, code).ret;
		if (n)
			printf("%s%d*%d", any++ ? "," : "", code, n);
	}
	simple(d, MSI_COMPARE_BREACHES, IMS_TD_NR_BREACHES);
	printf("%s\n", any ? "" : "0");
}

/* After it was all disabled */
static void look_off(struct device *d)
{
	struct msi_compare_call c = simple(d, MSI_COMPARE_VECTOR, 0);
	char path[512];
	int dirs = 0, i, n;
	static int found[MAX];
	const char *file = slurp(PCI "/%s/irq", d->bdf);

	for (i = 0; i < nr_vectors; i++) {
		snprintf(path, sizeof(path), "/proc/irq/%d", irqs[i]);
		dirs += irqs[i] > 0 && !access(path, F_OK);
	}
	snprintf(path, sizeof(path), PCI "/%s/msi_irqs", d->bdf);
	n = numbers_in(path, found, MAX);
	nr_vectors = 0;
	field("off", "%s,%s,%s,%d,%s,%d", c.msi || c.msix ? "enabled" : "none", irq_name(d, c.irq),
	      file ? irq_name(d, atoi(file)) : "missing", n,
	      c.ret == (int)d->own_irq ? "own" : "other", dirs);
	c = simple(d, MSI_COMPARE_VECTOR, 1);
	printf(",%s", err(c.ret));
}

/* --- using the vectors -------------------------------------------------------- */

static void slots_fill(void)
{
	int i;

	memset(slots, 0, nr_vectors * sizeof(*slots));
	for (i = 0; i < nr_vectors; i++) {
		slots[i].slot = indices[i];
		slots[i].irq = irqs[i];
	}
}

static void request_all(struct device *d, int kind)
{
	int i;

	slots_fill();
	slots_do(d, MSI_COMPARE_REQUEST, kind, 0, nr_vectors);
	runs_begin();
	for (i = 0; i < nr_vectors; i++)
		runs_add(i, "%s", err(slots[i].ret));
	runs_field("req");
}

/* Virtual entries are beyond the device's table: there is nothing to fire */
static int can_fire(const struct device *d, int kind, int i)
{
	return (int)indices[i] < (kind == IMS_TD_KIND_MSI ? d->nr_msi : d->nr_msix);
}

static void fire_all(struct device *d, int kind)
{
	int i, n = 0;

	for (i = 0; i < nr_vectors; i++) {
		if (can_fire(d, kind, i))
			slots[n++].slot = indices[i];
	}
	slots_do(d, MSI_COMPARE_FIRE, kind, WAIT, n);
}

/*
 * Backwards: the base takes the message of all vectors of multiple MSI away
 * when the first one is freed, see first_goes_first().
 */
static void free_all(struct device *d, int kind, const char *name)
{
	int i;

	/* How often each has run is known only when all are fired */
	for (i = 0; i < nr_vectors; i++)
		slots[i].slot = indices[nr_vectors - 1 - i];
	slots_do(d, MSI_COMPARE_FREE, kind, 0, nr_vectors);
	runs_begin();
	for (i = 0; i < nr_vectors; i++) {
		struct msi_compare_slot *s = &slots[nr_vectors - 1 - i];

		if (!can_fire(d, kind, i))
			runs_add(i, "virtual");
		else if (s->ret)
			runs_add(i, "%s", err(s->ret));
		else
			runs_add(i, "%u/%u", s->received, s->sent);
	}
	runs_field(name);
}

/* From the call's return to everything freed, but for disabling */
static void use(struct device *d, const struct msi_compare_call *c)
{
	int kind = kind_of(c);

	look_vectors(d);
	look_state(d, c);
	look_beyond(d);
	look_sysfs(d);
	look_hints();
	request_all(d, kind);
	look_proc();
	look_chips(d);
	fire_all(d, kind);
	free_all(d, kind, "fired");
}

static void reset(struct device *d)
{
	simple(d, MSI_COMPARE_RESET, 0);
	nr_vectors = 0;
	base_irq = 0;
}

static void indices_dense(int n)
{
	int i;

	for (i = 0; i < n; i++)
		indices[i] = i;
	nr_vectors = n;
}

/* The end of a case whose name is out: do the call, and all that follows */
static void whole(struct device *d, struct msi_compare_call *c, int disable)
{
	reset(d);
	call(d, c);
	field("ret", "%s", err(c->ret));
	if (c->msi || c->msix) {
		if (c->op == MSI_COMPARE_ENABLE_MSI)
			indices_dense(1);
		else if (c->op == MSI_COMPARE_ALLOC || c->op == MSI_COMPARE_ALLOC_AFFINITY)
			indices_dense(c->ret);
		else
			nr_vectors = c->op == MSI_COMPARE_ENABLE_MSIX_EXACT ? (int)c->max : c->ret;
		use(d, c);
	} else {
		look_state(d, c);
		look_sysfs(d);
	}
	simple(d, disable, 0);
	look_off(d);
	look_breaches(d);
}

/* --- the cases ---------------------------------------------------------------- */

static const struct {
	const char	*name;
	int		flags, affd, pre, post, sets;
} affinities[] = {
	{ .name = "none" },
	{ .name = "default", .flags = AFFINITY },
	{ .name = "empty", .flags = AFFINITY, .affd = 1 },
	{ "pre1", AFFINITY, 1, 1, 0, 0 },
	{ "post1", AFFINITY, 1, 0, 1, 0 },
	{ "pre1post1", AFFINITY, 1, 1, 1, 0 },
	{ "pre3post2", AFFINITY, 1, 3, 2, 0 },
	{ "sets2", AFFINITY, 1, 0, 0, 2 },
	{ "pre1sets3", AFFINITY, 1, 1, 0, 3 },
};

static const struct {
	const char	*name;
	int		flags;
} types[] = {
	{ "msi", MSI },
	{ "msix", MSIX },
	{ "any", MSI | MSIX | LEGACY },
};

/* How many at least, how many at most */
static const int ranges[][2] = {
	{ 1, 1 }, { 1, 2 }, { 2, 2 }, { 1, 3 }, { 3, 3 }, { 2, 5 }, { 4, 8 }, { 1, 17 },
	{ 32, 32 }, { 1, 40 }, { 33, 64 }, { 2, 1 }, { 0, 0 }, { 0, 3 },
};

static void alloc(struct device *d, const char *type, int flags, int min, int max, int a)
{
	struct msi_compare_call c = {
		.op = MSI_COMPARE_ALLOC_AFFINITY, .min = min, .max = max,
		.flags = flags | affinities[a].flags, .affd = affinities[a].affd,
		.pre = affinities[a].pre, .post = affinities[a].post,
		.nr_sets = affinities[a].sets,
	};

	begin(d, "alloc-%s-%d-%d-%s", type, min, max, affinities[a].name);
	whole(d, &c, MSI_COMPARE_FREE_VECTORS);
}

static void allocs(struct device *d)
{
	size_t t, r, a;

	for (t = 0; t < ARRAY_SIZE(types); t++) {
		for (r = 0; r < ARRAY_SIZE(ranges); r++) {
			for (a = 0; a < ARRAY_SIZE(affinities); a++)
				alloc(d, types[t].name, types[t].flags, ranges[r][0], ranges[r][1],
				      a);
		}
	}
	alloc(d, "legacy", LEGACY, 1, 1, 0);
	alloc(d, "legacy", LEGACY, 1, 4, 1);
	alloc(d, "legacy", LEGACY, 2, 4, 0);
	alloc(d, "nothing", 0, 1, 1, 0);
	/* More than there are, at the edge of the table */
	alloc(d, "msix-edge", MSIX, d->nr_msix, d->nr_msix + 1, 0);
	alloc(d, "msix-edge", MSIX, d->nr_msix + 1, d->nr_msix + 1, 0);
	alloc(d, "msi-edge", MSI, d->nr_msi, d->nr_msi + 1, 0);
	alloc(d, "msi-edge", MSI, d->nr_msi + 1, d->nr_msi + 1, 0);
	if (d->nr_msix <= 64) {
		alloc(d, "virtual", MSIX | VIRTUAL, 1, d->nr_msix + 3, 0);
		alloc(d, "virtual", MSIX | VIRTUAL, d->nr_msix + 2, d->nr_msix + 3, 5);
		alloc(d, "virtual", MSIX | VIRTUAL, 1, 1, 0);
	}
}

/* More than the machine's 8 CPUs have vectors for, and up to that */
static void big(struct device *d)
{
	alloc(d, "msix", MSIX, 1, 65, 0);
	alloc(d, "msix", MSIX, 100, 100, 3);
	alloc(d, "msix", MSIX, 512, 512, 0);
	alloc(d, "msix", MSIX, 1, 1024, 5);
	alloc(d, "msix", MSIX, 2048, 2048, 5);
	alloc(d, "msix", MSIX, 1, 4096, 1);
	alloc(d, "msix", MSIX, 1, 2049, 0);
}

static void older_calls(struct device *d)
{
	struct msi_compare_call c = { .op = MSI_COMPARE_ENABLE_MSI };
	int i;

	begin(d, "counts");
	field("msi", "%s", err(simple(d, MSI_COMPARE_MSI_COUNT, 0).ret));
	field("msix", "%s", err(simple(d, MSI_COMPARE_MSIX_COUNT, 0).ret));
	printf("\n");

	begin(d, "pci_enable_msi");
	whole(d, &c, MSI_COMPARE_DISABLE_MSI);

	for (i = 1; i <= 4; i += 3) {
		c = (struct msi_compare_call){ .op = MSI_COMPARE_ALLOC, .min = 1, .max = i,
					       .flags = MSI | MSIX };
		begin(d, "pci_alloc_irq_vectors-%d", i);
		whole(d, &c, MSI_COMPARE_FREE_VECTORS);
	}
	c = (struct msi_compare_call){ .op = MSI_COMPARE_ALLOC, .min = 1, .max = 4, .flags = MSI };
	begin(d, "disable-by-type");
	whole(d, &c, MSI_COMPARE_DISABLE_MSI);
	c = (struct msi_compare_call){ .op = MSI_COMPARE_ALLOC, .min = 1, .max = 4, .flags = MSIX };
	begin(d, "disable-by-type-x");
	whole(d, &c, MSI_COMPARE_DISABLE_MSIX);
}

/* pci_enable_msix_range() with an array of entries */
enum { DENSE, GAPS, REVERSED, UNORDERED, HIGH, DUPLICATE, BEYOND, LAST_BEYOND, NULL_ARRAY, NR_FORMS };
static const char *const forms[] = { "dense", "gaps", "reversed", "unordered", "high", "duplicate",
				     "beyond", "last-beyond", "null" };

static void entries(struct device *d, int form, int n, int min, int exact)
{
	static struct msi_compare_entry e[MAX];
	struct msi_compare_call c = {
		.op = exact ? MSI_COMPARE_ENABLE_MSIX_EXACT : MSI_COMPARE_ENABLE_MSIX_RANGE,
		.min = min, .max = n, .nr_entries = n, .entries = (uintptr_t)e,
	};
	int i, bad = 0;

	for (i = 0; i < n; i++) {
		e[i].vector = 0;
		switch (form) {
		case GAPS:
			e[i].entry = 2 * i + 1;
			break;
		case REVERSED:
			e[i].entry = n - 1 - i;
			break;
		case UNORDERED:
			e[i].entry = (i * 5 + 3) % 8 + i / 8 * 8;
			break;
		case HIGH:
			e[i].entry = d->nr_msix - n + i;
			break;
		case DUPLICATE:
			e[i].entry = i == n - 1 ? 0 : i;
			break;
		case BEYOND:
			e[i].entry = i + d->nr_msix;
			break;
		case LAST_BEYOND:
			e[i].entry = i == n - 1 ? d->nr_msix : i;
			break;
		default:
			e[i].entry = i;
		}
		indices[i] = e[i].entry;
	}
	if (form == NULL_ARRAY)
		c.entries = 0;

	begin(d, "entries-%s-%d-%d%s", forms[form], min, n, exact ? "-exact" : "");
	reset(d);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	if (c.msix) {
		nr_vectors = exact ? n : c.ret;
		use(d, &c);
		/* The array must name the interrupts that pci_irq_vector() does */
		for (i = 0; i < nr_vectors; i++)
			bad += form != NULL_ARRAY && (int)e[i].vector != irqs[i];
		field("array", "%s", form == NULL_ARRAY ? "none" : bad ? "differs" : "same");
	} else {
		look_state(d, &c);
		look_sysfs(d);
	}
	simple(d, MSI_COMPARE_DISABLE_MSIX, 0);
	look_off(d);
	look_breaches(d);
}

static void all_entries(struct device *d)
{
	static const int counts[] = { 1, 2, 3, 8, 24, 65 };
	size_t i;
	int form;

	for (form = 0; form < NR_FORMS; form++) {
		for (i = 0; i < ARRAY_SIZE(counts); i++) {
			int n = counts[i];

			if (form == HIGH && n > d->nr_msix)
				continue;
			entries(d, form, n, n, 0);
			if (n > 1)
				entries(d, form, n, 1, 0);
			entries(d, form, n, n, 1);
		}
		entries(d, form, 4, 5, 0);
		entries(d, form, 4, 0, 0);
	}
}

/* What follows upon what. Each step has a line of its own. */
static void step(struct device *d, const char *name, const char *what, struct msi_compare_call c)
{
	begin(d, "%s/%s", name, what);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	nr_vectors = 0;
	if (c.msi || c.msix) {
		int i, n;

		/* As many as can be found from the first on */
		indices_dense(64);
		vectors_get(d, 64);
		for (n = 0; n < 64 && vectors[n].irq > 0; n++)
			;
		nr_vectors = n;
		for (base_irq = 0, i = 0; i < n; i++)
			base_irq = !base_irq || vectors[i].irq < base_irq ? vectors[i].irq : base_irq;
		use(d, &c);
	} else {
		look_state(d, &c);
		look_sysfs(d);
	}
	look_breaches(d);
	reset(d);
}

static struct msi_compare_call ask(int flags, int min, int max)
{
	return (struct msi_compare_call){ .op = MSI_COMPARE_ALLOC, .flags = flags, .min = min,
					  .max = max };
}

static struct msi_compare_call op(int op)
{
	return (struct msi_compare_call){ .op = op };
}

static void sequences(struct device *d)
{
	char text[32];
	int i;

	reset(d);
	step(d, "nothing-to-disable", "msi", op(MSI_COMPARE_DISABLE_MSI));
	step(d, "nothing-to-disable", "msix", op(MSI_COMPARE_DISABLE_MSIX));
	step(d, "nothing-to-disable", "free", op(MSI_COMPARE_FREE_VECTORS));

	step(d, "msix-while-msi", "msi", ask(MSI, 1, 4));
	step(d, "msix-while-msi", "msix", ask(MSIX, 1, 4));
	step(d, "msix-while-msi", "msix-off", op(MSI_COMPARE_DISABLE_MSIX));
	step(d, "msix-while-msi", "off", op(MSI_COMPARE_DISABLE_MSI));
	step(d, "msix-while-msi", "off-again", op(MSI_COMPARE_DISABLE_MSI));
	step(d, "msix-while-msi", "msix-now", ask(MSIX, 1, 4));
	step(d, "msix-while-msi", "free", op(MSI_COMPARE_FREE_VECTORS));
	step(d, "msix-while-msi", "free-again", op(MSI_COMPARE_FREE_VECTORS));

	step(d, "msi-while-msix", "msix", ask(MSIX, 1, 4));
	step(d, "msi-while-msix", "msi", ask(MSI, 1, 4));
	step(d, "msi-while-msix", "enable_msi", op(MSI_COMPARE_ENABLE_MSI));
	step(d, "msi-while-msix", "msi-off", op(MSI_COMPARE_DISABLE_MSI));
	step(d, "msi-while-msix", "off", op(MSI_COMPARE_DISABLE_MSIX));
	step(d, "msi-while-msix", "off-again", op(MSI_COMPARE_DISABLE_MSIX));
	step(d, "msi-while-msix", "msi-now", ask(MSI, 1, 4));
	step(d, "msi-while-msix", "free", op(MSI_COMPARE_FREE_VECTORS));

	for (i = 0; i < 8; i++) {
		snprintf(text, sizeof(text), "on-%d", i);
		step(d, "repeat", text, ask(i & 1 ? MSIX : MSI, 1, 1 + i));
		snprintf(text, sizeof(text), "off-%d", i);
		step(d, "repeat", text, op(MSI_COMPARE_FREE_VECTORS));
	}
}

/* pci_irq_vector() with all kinds of numbers */
static void indexes(struct device *d, const char *name, int flags, int max)
{
	static const __u32 numbers[] = { 0, 1, 2, 3, 4, 31, 32, 63, 64, 2047, 2048, 65535, 65536,
					 0x7fffffff, 0xffffffff };
	struct msi_compare_call c = ask(flags, 1, max);
	int first, ret;
	size_t i;

	begin(d, "index-%s-%d", name, max);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	first = simple(d, MSI_COMPARE_VECTOR, 0).ret;
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		ret = simple(d, MSI_COMPARE_VECTOR, numbers[i]).ret;
		printf(" %u=%s", numbers[i], ret <= 0 ? err(ret) : "");
		if (ret > 0)
			printf("%+d", ret - first);
	}
	simple(d, MSI_COMPARE_FREE_VECTORS, 0);
	printf("\n");
}

/* Where user space wants an interrupt is where it goes, unless it is managed */
static void moves(struct device *d, const char *name, int flags, int max)
{
	struct msi_compare_call c = ask(flags, 1, max);
	char how[MAX][32], mask[16];
	int i, kind;

	begin(d, "move-%s-%d", name, max);
	reset(d);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	if (c.msi || c.msix) {
		kind = kind_of(&c);
		indices_dense(c.ret);
		look_vectors(d);
		request_all(d, kind);
		for (i = 0; i < nr_vectors; i++) {
			snprintf(mask, sizeof(mask), "%x", 1 << (i * 3 + 1) % 8);
			strcpy(how[i], err(spit(mask, "/proc/irq/%d/smp_affinity", irqs[i])));
		}
		runs_begin();
		for (i = 0; i < nr_vectors; i++)
			runs_add(i, "%s", how[i]);
		runs_field("write");
		/* The first one may still go to the old CPU, and move the interrupt then */
		fire_all(d, kind);
		fire_all(d, kind);
		for (i = 0; i < nr_vectors; i++)
			snprintf(how[i], sizeof(how[i]), "%s%d", flags & AFFINITY ? "in" : "cpu",
				 flags & AFFINITY ? (int)(vectors[i].hint >> slots[i].cpu & 1) :
				 (int)slots[i].cpu);
		runs_begin();
		for (i = 0; i < nr_vectors; i++)
			runs_add(i, "%s", how[i]);
		runs_field("cpu");
		look_proc();
		free_all(d, kind, "fired");
	}
	simple(d, MSI_COMPARE_FREE_VECTORS, 0);
	look_off(d);
	look_breaches(d);
}

/* Fired while disable_irq() is in effect: comes once when that is over */
static void delayed(struct device *d, const char *name, int flags, int max)
{
	struct msi_compare_call c = ask(flags, 1, max);
	int i, kind;

	begin(d, "delayed-%s-%d", name, max);
	reset(d);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	if (c.msi || c.msix) {
		kind = kind_of(&c);
		indices_dense(c.ret);
		look_vectors(d);
		request_all(d, kind);
		slots_do(d, MSI_COMPARE_DISABLE_IRQ, kind, 0, nr_vectors);
		slots_do(d, MSI_COMPARE_FIRE, kind, NEVER, nr_vectors);
		runs_begin();
		for (i = 0; i < nr_vectors; i++)
			runs_add(i, "%u", slots[i].received);
		runs_field("early");
		slots_do(d, MSI_COMPARE_ENABLE_IRQ, kind, WAIT, nr_vectors);
		runs_begin();
		for (i = 0; i < nr_vectors; i++)
			runs_add(i, "%u", slots[i].received);
		runs_field("late");
		free_all(d, kind, "fired");
	}
	simple(d, MSI_COMPARE_FREE_VECTORS, 0);
	look_off(d);
	look_breaches(d);
}

/* A device that forgets its messages in D3cold, and gets them back */
static void restored(struct device *d, const char *name, int flags, int max)
{
	struct msi_compare_call c = ask(flags, 1, max);
	int kind;

	begin(d, "restored-%s-%d", name, max);
	reset(d);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	if (c.msi || c.msix) {
		kind = kind_of(&c);
		indices_dense(c.ret);
		look_vectors(d);
		request_all(d, kind);
		field("save", "%s", err(simple(d, MSI_COMPARE_SAVE, 0).ret));
		simple(d, MSI_COMPARE_LOSE, 0);
		c = simple(d, MSI_COMPARE_RESTORE, 0);
		look_state(d, &c);
		slots_fill();
		fire_all(d, kind);
		free_all(d, kind, "fired");
	}
	simple(d, MSI_COMPARE_FREE_VECTORS, 0);
	look_off(d);
	look_breaches(d);
}

/* The other vectors must go on when the first one's handler goes, and it comes back */
static void first_goes_first(struct device *d, const char *name, int flags, int max)
{
	struct msi_compare_call c = ask(flags, 1, max);
	int i, kind;

	begin(d, "first-goes-%s-%d", name, max);
	reset(d);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	if (c.msi || c.msix) {
		kind = kind_of(&c);
		indices_dense(c.ret);
		look_vectors(d);
		request_all(d, kind);
		slots_do(d, MSI_COMPARE_FREE, kind, 0, 1);
		slots_fill();
		slots_do(d, MSI_COMPARE_FIRE, kind, WAIT, nr_vectors);
		runs_begin();
		for (i = 0; i < nr_vectors; i++) {
			if (slots[i].ret)
				runs_add(i, "%s", err(slots[i].ret));
			else
				runs_add(i, "%u/%u", slots[i].received, slots[i].sent);
		}
		runs_field("others");
		slots_fill();
		slots_do(d, MSI_COMPARE_REQUEST, kind, 0, 1);
		field("again", "%s", err(slots[0].ret));
		slots_fill();
		fire_all(d, kind);
		free_all(d, kind, "fired");
	}
	simple(d, MSI_COMPARE_FREE_VECTORS, 0);
	look_off(d);
	look_breaches(d);
}

/* A driver that unbinds and leaves its vectors to devres */
static void bind(struct device *d);
static void unbind(struct device *d);

static void forgets(struct device *d, const char *name, int flags)
{
	struct msi_compare_call c = ask(flags, 1, 4);
	char path[512];

	begin(d, "forgets-%s", name);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	unbind(d);
	snprintf(path, sizeof(path), PCI "/%s/msi_irqs", d->bdf);
	field("sys", "%s", access(path, F_OK) ? "missing" : "there");
	bind(d);
	simple(d, MSI_COMPARE_VECTOR, 0);
	look_off(d);
	look_breaches(d);
}

/* With IMS, and on several devices at once */
static void together(struct device *d, const char *name, int flags)
{
	struct msi_compare_call c = ask(flags, 1, 4), ims = { .op = MSI_COMPARE_IMS, .max = 4 };
	int i, n;

	begin(d, "together-%s", name);
	reset(d);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	n = c.msi || c.msix ? c.ret : 0;
	if (n) {
		indices_dense(n);
		look_vectors(d);
		request_all(d, kind_of(&c));
	}
	call(d, &ims);
	field("ims", "%s", err(ims.ret));
	if (n) {
		fire_all(d, kind_of(&c));
		look_sysfs(d);
		free_all(d, kind_of(&c), "fired");
	}
	look_breaches(d);
	/* And once more, on what IMS has left */
	begin(d, "together-%s-after", name);
	simple(d, MSI_COMPARE_RESET, 0);
	if (n)
		use(d, &c);
	simple(d, MSI_COMPARE_FREE_VECTORS, 0);
	look_off(d);
	look_breaches(d);
	for (i = 0; i < nr_devices && flags == MSI; i++) {
		struct device *o = &devices[i];

		begin(o, "at-once-on-%s", i & 1 ? "msi" : "msix");
		reset(o);
		c = ask(i & 1 ? MSI : MSIX, 1, 8);
		call(o, &c);
		field("ret", "%s", err(c.ret));
		if (c.msi || c.msix) {
			indices_dense(c.ret);
			use(o, &c);
		}
		look_breaches(o);
	}
	for (i = 0; i < nr_devices && flags == MSI; i++) {
		struct device *o = &devices[i];

		begin(o, "at-once-off");
		reset(o);
		simple(o, MSI_COMPARE_FREE_VECTORS, 0);
		look_off(o);
		look_breaches(o);
	}
}

/*
 * What a driver must not do, and the kernel warns of. The warnings between the
 * two marks in the kernel's log are part of the behaviour: `warns` counts them.
 */
static int kmsg = -1;

static void mark(const char *what)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "<6>msi_compare: misuse %s", what);

	if (write(kmsg, text, len) != len)
		die("/dev/kmsg: %s", strerror(errno));
}

static int warnings(void)
{
	char record[8192];
	int n = 0;

	for (;;) {
		ssize_t len = read(kmsg, record, sizeof(record) - 1);

		if (len < 0 && errno == EPIPE)
			continue;
		if (len <= 0)
			return n;
		record[len] = 0;
		n += strstr(record, ";WARNING: CPU: ") != NULL;
	}
}

static void misuse(struct device *d, const char *name, const char *what, struct msi_compare_call c)
{
	begin(d, "misuse-%s/%s", name, what);
	call(d, &c);
	field("ret", "%s", err(c.ret));
	field("on", "%s", c.msi && c.msix ? "both" : c.msi ? "msi" : c.msix ? "msix" : "none");
	field("warns", "%d", warnings());
	if (c.msi || c.msix)
		base_irq = simple(d, MSI_COMPARE_VECTOR, 0).ret;
	look_sysfs(d);
	look_breaches(d);
}

static void misuses(struct device *d)
{
	struct msi_compare_call affd = {
		.op = MSI_COMPARE_ALLOC_AFFINITY, .flags = MSIX, .min = 2, .max = 4, .affd = 1,
		.pre = 1,
	};
	int i;

	kmsg = open("/dev/kmsg", O_RDWR | O_NONBLOCK);
	if (kmsg < 0)
		die("/dev/kmsg: %s", strerror(errno));
	mark("begins");
	warnings();
	for (i = MSI; i <= MSIX; i <<= 1) {
		const char *name = i == MSI ? "msi-twice" : "msix-twice";

		reset(d);
		misuse(d, name, "once", ask(i, 1, 4));
		misuse(d, name, "twice", ask(i, 1, 4));
		misuse(d, name, "thrice", ask(i, 2, 2));
		misuse(d, name, "off", op(MSI_COMPARE_FREE_VECTORS));
	}
	reset(d);
	misuse(d, "affinity-without-flag", "on", affd);
	misuse(d, "affinity-without-flag", "off", op(MSI_COMPARE_FREE_VECTORS));
	mark("ends");
	close(kmsg);
}

/* --- the devices -------------------------------------------------------------- */

static void bind(struct device *d)
{
	char path[512];
	int i;

	spit(MSI_COMPARE_NAME, PCI "/%s/driver_override", d->bdf);
	spit(d->bdf, "/sys/bus/pci/drivers_probe");
	snprintf(path, sizeof(path), "/dev/" MSI_COMPARE_NAME "-%s", d->bdf);
	/* devtmpfs makes the node in its own time */
	for (i = 0; i < 1000; i++) {
		d->fd = open(path, O_RDWR);
		if (d->fd >= 0)
			return;
		usleep(10000);
	}
	die("%s: %s", path, strerror(errno));
}

static void unbind(struct device *d)
{
	close(d->fd);
	spit(d->bdf, PCI "/%s/driver/unbind", d->bdf);
}

/* The name says what the device's capabilities say */
static void name_it(struct device *d)
{
	unsigned char config[256];
	char path[512];
	int fd, at, i;

	snprintf(path, sizeof(path), PCI "/%s/config", d->bdf);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, config, sizeof(config)) != sizeof(config))
		die("%s: %s", path, strerror(errno));
	close(fd);
	d->nr_msi = d->nr_msix = 0;
	for (at = config[0x34], i = 0; at && i < 48; at = config[at + 1], i++) {
		int flags = config[at + 2] | config[at + 3] << 8;

		if (config[at] == 0x05) {
			d->nr_msi = 1 << (flags >> 1 & 7);
			snprintf(d->name, sizeof(d->name), "msi%d-%s-%s", d->nr_msi,
				 flags & 0x80 ? "64bit" : "32bit", flags & 0x100 ? "mask" : "plain");
		} else if (config[at] == 0x11) {
			d->nr_msix = (flags & 0x7ff) + 1;
		}
	}
	snprintf(d->name + strlen(d->name), sizeof(d->name) - strlen(d->name), "-msix%d",
		 d->nr_msix);
}

static void find(void)
{
	struct dirent **names;
	int i, n = scandir(PCI, &names, NULL, alphasort);

	for (i = 0; i < n; i++) {
		struct device *d = &devices[nr_devices];
		const char *id = slurp(PCI "/%s/vendor", names[i]->d_name);

		if (!id || strtoul(id, NULL, 0) != IMS_TD_PCI_VENDOR)
			continue;
		id = slurp(PCI "/%s/device", names[i]->d_name);
		if (!id || strtoul(id, NULL, 0) != IMS_TD_PCI_DEVICE)
			continue;
		if (nr_devices == (int)ARRAY_SIZE(devices))
			die("too many devices");
		snprintf(d->bdf, sizeof(d->bdf), "%s", names[i]->d_name);
		name_it(d);
		/* Another driver of the kernel may have it */
		spit(d->bdf, PCI "/%s/driver/unbind", d->bdf);
		bind(d);
		d->own_irq = simple(d, MSI_COMPARE_VECTOR, 0).irq;
		nr_devices++;
	}
}

int main(void)
{
	int i;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	printf("TAP version 13\n1..1\n");
	find();
	for (i = 0; i < nr_devices; i++) {
		struct device *d = &devices[i];

		older_calls(d);
		allocs(d);
		all_entries(d);
		sequences(d);
		indexes(d, "none", 0, 1);
		indexes(d, "msi", MSI, 4);
		indexes(d, "msix", MSIX, 4);
		moves(d, "msi", MSI, 6);
		moves(d, "msix", MSIX, 6);
		moves(d, "managed-msi", MSI | AFFINITY, 6);
		moves(d, "managed-msix", MSIX | AFFINITY, 6);
		delayed(d, "msi", MSI, 4);
		delayed(d, "msix", MSIX, 4);
		restored(d, "msi", MSI, 4);
		restored(d, "msix", MSIX, 4);
		first_goes_first(d, "msi", MSI, 4);
		first_goes_first(d, "msix", MSIX, 4);
		forgets(d, "msi", MSI);
		forgets(d, "msix", MSIX);
		together(d, "msix", MSIX);
		if (d->nr_msix == 2048)
			big(d);
		fflush(stdout);
	}
	if (nr_devices) {
		together(&devices[0], "msi", MSI);
		misuses(&devices[0]);
	}
	printf("cases: %d on %d devices\n", nr_cases, nr_devices);
	printf("%sok 1 the cases were gone through\n", nr_cases && nr_devices ? "" : "not ");
	return !nr_cases;
}
