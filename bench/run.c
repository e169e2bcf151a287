// SPDX-License-Identifier: GPL-2.0
/*
 * Has the driver of ims_bench.c do the steps of the benchmark, and prints what they
 * have cost. It is what runs in the guest.
 *
 * usage: ims_bench [list] [NAME...]
 *
 * NAMEs are patterns of the shell; `short` stands for a selection which takes seconds.
 * Without one the kernel option ims_bench.only=NAME,... is taken, and without that
 * everything is measured. `list` prints what there is instead, with its kind of line.
 *
 * Lines of the output, each NAME in exactly one of the three forms:
 *
 *   figure NAME n=N total=T			T instructions for N of them together
 *   memory NAME n=N cache=CACHE bytes=B	what N of them take in a slab cache, with a
 *						line for each cache. `percpu` are per CPU
 *						variables, in whole pages, and `pages` is
 *						what is too large for slab caches or mapped
 *   absent NAME REASON				cannot be had here
 *
 * REASONs:
 *
 *   no-device		the machine does not have it
 *   no-dynamic		the kernel or the platform cannot add MSI-X vectors
 *   no-ims		the kernel or the platform has no IMS
 *   no-space		the platform has fewer interrupts, the device fewer slots
 *   no-vectors		the CPUs have fewer vectors, about 200 each
 *
 * The exit status is 0 if everything was printed. Otherwise the last line says why.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "ims_bench.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* SYSLOG_ACTION_CONSOLE_LEVEL, only emergencies */
#define KLOG_LEVEL	8
#define KLOG_SILENT	1

#define MAX_CACHES	1024
#define MAX_PATTERNS	64

/* What takes seconds, and has one of everything */
static const char *const short_run[] = {
	"boot",
	"msix-alloc.1", "msix-alloc.64", "msix-alloc.512", "msix-alloc.2048",
	"msix-free.1", "msix-free.64", "msix-free.512", "msix-free.2048",
	"msix-dyn-*.64", "msix-dyn-*.2047",
	"ims-single-*.1", "ims-single-*.64", "ims-single-*.2048",
	"ims-batch-*.1", "ims-batch-*.64", "ims-batch-*.2048",
	"request-irq-*.1", "request-irq-*.64", "free-irq-*.1", "free-irq-*.64",
	"mask-unmask-*", "affinity-*", "move-*", "delivery-*",
	"msix.2048", "ims.2048",
};

static const char *patterns[MAX_PATTERNS];
static unsigned int nr_patterns;
static bool listing;
static int device = -1;

__attribute__((noreturn, format(printf, 1, 2)))
static void fail(const char *format, ...)
{
	va_list args;

	printf("ims_bench: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	exit(1);
}

/* Output is over before something is measured. */
static void flush(void)
{
	if (fflush(stdout))
		fail("cannot write: %s", strerror(errno));
	if (tcdrain(STDOUT_FILENO) && errno != ENOTTY && errno != EINVAL)
		fail("cannot wait for the output: %s", strerror(errno));
}

static bool matches(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_patterns; i++) {
		if (!fnmatch(patterns[i], name, 0))
			return true;
	}
	return !nr_patterns;
}

static const char *name_of(const char *stem, unsigned int n)
{
	static char names[8][64];
	static unsigned int next;
	char *name = names[next++ % ARRAY_SIZE(names)];

	if (n)
		snprintf(name, sizeof(names[0]), "%s.%u", stem, n);
	else
		snprintf(name, sizeof(names[0]), "%s", stem);
	return name;
}

/* Whether to measure what has this name. */
static bool wanted(const char *type, const char *name)
{
	if (!matches(name))
		return false;
	if (listing)
		printf("%s %s\n", type, name);
	return !listing;
}

static void figure(const char *name, unsigned int n, unsigned long long total)
{
	if (!matches(name))
		return;
	if (!total)
		fail("%s has cost nothing: is the time stamp counter there?", name);
	printf("figure %s n=%u total=%llu\n", name, n, total);
}

static void absent(const char *name, const char *reason)
{
	if (matches(name))
		printf("absent %s %s\n", name, reason);
}

/* Steps */

static int try_step(unsigned int step, unsigned int kind, unsigned int n,
		    struct ims_bench_op *op)
{
	*op = (struct ims_bench_op){ .step = step, .kind = kind, .n = n };
	return ioctl(device, IMS_BENCH_RUN, op) ? errno : 0;
}

static struct ims_bench_op step(const char *what, unsigned int step, unsigned int kind,
				unsigned int n)
{
	struct ims_bench_op op;
	int error = try_step(step, kind, n, &op);

	if (error)
		fail("%s, %u of kind %u: step %u: %s", what, n, kind, step, strerror(error));
	return op;
}

/* Why there is nothing of the kind, NULL if there is */
static const char *missing(unsigned int kind)
{
	struct ims_bench_op op;
	int error = try_step(IMS_BENCH_INFO, kind, 0, &op);

	switch (error) {
	case 0:
		return NULL;
	case ENODEV:
		return "no-device";
	case EOPNOTSUPP:
		return kind == IMS_BENCH_DYN ? "no-dynamic" : "no-ims";
	default:
		fail("kind %u: %s", kind, strerror(error));
	}
}

/* Allocate n once for nothing. Why that cannot be, NULL if it could. */
static const char *warm_up(const char *what, unsigned int kind, unsigned int n)
{
	const char *reason = missing(kind);
	struct ims_bench_op op;
	int error;

	if (reason)
		return reason;

	flush();
	error = try_step(IMS_BENCH_ALLOC, kind, n, &op);
	if (error == ENOSPC)
		return "no-space";
	if (error)
		fail("%s, %u of kind %u: %s", what, n, kind, strerror(error));
	step(what, IMS_BENCH_FREE, 0, 0);
	return NULL;
}

/* Request all that are allocated. Whether the CPUs have vectors for them. */
static bool request(const char *what, struct ims_bench_op *op)
{
	int error = try_step(IMS_BENCH_REQUEST, 0, 0, op);

	if (error && error != ENOSPC)
		fail("%s: %s", what, strerror(error));
	return !error;
}

/* Groups of figures */

static void allocation(const char *stem, unsigned int kind, bool each, const unsigned int *sizes)
{
	char alloc_stem[32], free_stem[32], last_stem[32];

	snprintf(alloc_stem, sizeof(alloc_stem), "%s-alloc", stem);
	snprintf(free_stem, sizeof(free_stem), "%s-free", stem);
	snprintf(last_stem, sizeof(last_stem), "%s-last", stem);

	for (; *sizes; sizes++) {
		const char *names[] = {
			name_of(alloc_stem, *sizes),
			name_of(free_stem, *sizes),
			name_of(last_stem, *sizes),
		};
		struct ims_bench_op alloc, free;
		const char *reason;
		bool any = false;
		unsigned int i;

		for (i = 0; i < (each ? 3 : 2); i++)
			any |= wanted("figure", names[i]);
		if (!any)
			continue;

		reason = warm_up(names[0], kind, *sizes);
		if (reason) {
			for (i = 0; i < (each ? 3 : 2); i++)
				absent(names[i], reason);
			continue;
		}

		alloc = step(names[0], IMS_BENCH_ALLOC, kind, *sizes);
		free = step(names[1], IMS_BENCH_FREE, 0, 0);
		figure(names[0], *sizes, alloc.total);
		figure(names[1], *sizes, free.total);
		if (each)
			figure(names[2], 1, alloc.last);
	}
}

static void requests(const char *stem, unsigned int kind, const unsigned int *sizes)
{
	char request_stem[32], free_stem[32];

	snprintf(request_stem, sizeof(request_stem), "request-irq-%s", stem);
	snprintf(free_stem, sizeof(free_stem), "free-irq-%s", stem);

	for (; *sizes; sizes++) {
		const char *name = name_of(request_stem, *sizes);
		const char *free_name = name_of(free_stem, *sizes);
		struct ims_bench_op requested, released;
		const char *reason;
		bool any;

		any = wanted("figure", name);
		any |= wanted("figure", free_name);
		if (!any)
			continue;

		reason = warm_up(name, kind, *sizes);
		if (!reason) {
			step(name, IMS_BENCH_ALLOC, kind, *sizes);
			if (request(name, &requested))
				step(name, IMS_BENCH_RELEASE, 0, 0);
			else
				reason = "no-vectors";
			if (!reason) {
				request(name, &requested);
				released = step(free_name, IMS_BENCH_RELEASE, 0, 0);
			}
			step(name, IMS_BENCH_FREE, 0, 0);
		}
		if (reason) {
			absent(name, reason);
			absent(free_name, reason);
			continue;
		}
		figure(name, *sizes, requested.total);
		figure(free_name, *sizes, released.total);
	}
}

/* What is done to a single interrupt, once for nothing and once for the figure */
static void operation(const char *name, unsigned int kind, unsigned int what, unsigned int n)
{
	struct ims_bench_op op;
	const char *reason;

	if (!wanted("figure", name))
		return;

	reason = warm_up(name, kind, 1);
	if (reason) {
		absent(name, reason);
		return;
	}
	step(name, IMS_BENCH_ALLOC, kind, 1);
	if (!request(name, &op))
		fail("%s: the CPU has no vector", name);
	step(name, what, 0, n);
	op = step(name, what, 0, n);
	step(name, IMS_BENCH_RELEASE, 0, 0);
	step(name, IMS_BENCH_FREE, 0, 0);
	figure(name, n, op.total);
}

static void overhead(const char *name, unsigned int n)
{
	if (wanted("figure", name))
		figure(name, n, step(name, IMS_BENCH_EMPTY, 0, n).total);
}

/* Memory */

/* Whatever is freed by then is free: the kernel puts off some of it for five seconds. */
#define SETTLE_SECONDS	6

struct cache {
	char		name[64];
	long long	objects;
	long long	pages;
};

struct memory {
	unsigned int	nr;
	struct cache	caches[MAX_CACHES];
	long long	percpu;
	long long	slab;
	long long	vmalloc;
};

/* Opened once, as opening takes memory. */
static int shrinkers[MAX_CACHES];
static unsigned int nr_shrinkers;
static int slabinfo = -1;
static int meminfo = -1;
static int stat_refresh = -1;

static int open_one(const char *path, int flags)
{
	int file = open(path, flags);

	if (file < 0)
		fail("%s: %s", path, strerror(errno));
	return file;
}

static void open_all(void)
{
	glob_t found;
	size_t i;

	if (slabinfo >= 0)
		return;
	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &found))
		fail("there is no /sys/kernel/slab");
	if (found.gl_pathc > MAX_CACHES)
		fail("there are more than %u slab caches", MAX_CACHES);
	for (i = 0; i < found.gl_pathc; i++)
		shrinkers[nr_shrinkers++] = open_one(found.gl_pathv[i], O_WRONLY);
	globfree(&found);

	slabinfo = open_one("/proc/slabinfo", O_RDONLY);
	meminfo = open_one("/proc/meminfo", O_RDONLY);
	stat_refresh = open_one("/proc/sys/vm/stat_refresh", O_WRONLY);
}

static const char *read_all(int file)
{
	static char text[1 << 17];
	size_t length = 0;
	ssize_t got;

	do {
		got = pread(file, text + length, sizeof(text) - 1 - length, length);
		if (got < 0)
			fail("cannot read about memory: %s", strerror(errno));
		length += got;
	} while (got && length < sizeof(text) - 1);
	if (got)
		fail("there is more about memory than %zu bytes", length);
	text[length] = '\0';
	return text;
}

static long long kib(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	long long value;

	if (!at || sscanf(at + strlen(key), ": %lld", &value) != 1)
		fail("/proc/meminfo has no %s", key);
	return value * 1024;
}

static void parse_caches(struct memory *memory, const char *text)
{
	const long long page = sysconf(_SC_PAGESIZE);
	unsigned int lines = 0;

	memory->nr = 0;
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		struct cache *cache = &memory->caches[memory->nr];
		long long used, size, per_slab, slabs;

		/* The version, and the names of the columns */
		if (lines++ < 2)
			continue;
		if (memory->nr == MAX_CACHES)
			fail("there are more than %u slab caches", MAX_CACHES);
		if (sscanf(text, "%63s %lld %*d %lld %*d %lld : tunables %*d %*d %*d : "
			   "slabdata %*d %lld", cache->name, &used, &size, &per_slab, &slabs) != 5)
			fail("/proc/slabinfo: %.*s", (int)strcspn(text, "\n"), text);
		cache->objects = used * size;
		cache->pages = slabs * per_slab * page;
		memory->nr++;
	}
}

static void snapshot(struct memory *memory)
{
	const char *text;
	unsigned int i;

	step("memory", IMS_BENCH_SETTLE, 0, 0);
	sleep(SETTLE_SECONDS);

	/* What caches keep for the next allocations is not in use. */
	for (i = 0; i < nr_shrinkers; i++) {
		if (write(shrinkers[i], "1", 1) != 1)
			fail("cannot shrink a slab cache: %s", strerror(errno));
	}
	/* What the CPUs have counted goes into the totals. */
	if (write(stat_refresh, "1", 1) != 1)
		fail("cannot refresh the statistics: %s", strerror(errno));

	parse_caches(memory, read_all(slabinfo));
	text = read_all(meminfo);
	memory->percpu = kib(text, "\nPercpu");
	memory->vmalloc = kib(text, "\nVmallocUsed");
	memory->slab = kib(text, "\nSlab");
}

static void memory_line(const char *name, unsigned int n, const char *cache, long long bytes)
{
	if (bytes)
		printf("memory %s n=%u cache=%s bytes=%lld\n", name, n, cache, bytes);
}

static long long all_pages(const struct memory *memory)
{
	long long sum = 0;
	unsigned int i;

	for (i = 0; i < memory->nr; i++)
		sum += memory->caches[i].pages;
	return sum;
}

static void difference(const char *name, unsigned int n, const struct memory *before,
		       const struct memory *after)
{
	unsigned int i;

	if (!matches(name))
		return;
	if (before->nr != after->nr)
		fail("%s: a slab cache has come or gone", name);
	for (i = 0; i < after->nr; i++) {
		if (strcmp(before->caches[i].name, after->caches[i].name))
			fail("%s: the slab caches have another order", name);
		memory_line(name, n, after->caches[i].name,
			    after->caches[i].objects - before->caches[i].objects);
	}
	memory_line(name, n, "percpu", after->percpu - before->percpu);
	memory_line(name, n, "pages", after->slab - all_pages(after) + after->vmalloc -
		    (before->slab - all_pages(before) + before->vmalloc));
}

static void memory(const char *stem, unsigned int kind, unsigned int n)
{
	static struct memory before, allocated, requested;
	const char *name = name_of(stem, n);
	struct ims_bench_op op;
	char requested_stem[32];
	const char *requested_name;
	const char *reason;
	bool any, have;

	snprintf(requested_stem, sizeof(requested_stem), "%s-requested", stem);
	requested_name = name_of(requested_stem, n);
	any = wanted("memory", name);
	any |= wanted("memory", requested_name);
	if (!any)
		return;

	reason = warm_up(name, kind, n);
	if (reason) {
		absent(name, reason);
		absent(requested_name, reason);
		return;
	}

	/* The first one is for what reading itself takes. */
	open_all();
	snapshot(&before);
	snapshot(&before);
	step(name, IMS_BENCH_ALLOC, kind, n);
	snapshot(&allocated);
	have = request(requested_name, &op);
	if (have) {
		snapshot(&requested);
		step(name, IMS_BENCH_RELEASE, 0, 0);
	}
	step(name, IMS_BENCH_FREE, 0, 0);

	difference(name, n, &before, &allocated);
	if (have)
		difference(requested_name, n, &before, &requested);
	else
		absent(requested_name, "no-vectors");
}

static void measure(void)
{
	static const unsigned int msix[] = { 1, 64, 512, 1024, 2048, 0 };
	static const unsigned int dyn[] = { 1, 64, 512, 1024, 2047, 0 };
	static const unsigned int ims[] = { 1, 64, 2048, 16384, 65280, 0 };
	static const unsigned int some[] = { 1, 64, 2048, 0 };

	allocation("msix", IMS_BENCH_MSIX, false, msix);
	flush();
	allocation("msix-dyn", IMS_BENCH_DYN, true, dyn);
	flush();
	requests("msix", IMS_BENCH_MSIX, some);
	requests("ims", IMS_BENCH_TABLE, some);
	flush();
	overhead("mask-unmask-overhead", 1000);
	operation("mask-unmask-msix", IMS_BENCH_MSIX, IMS_BENCH_MASK, 1000);
	operation("mask-unmask-table", IMS_BENCH_TABLE, IMS_BENCH_MASK, 1000);
	operation("mask-unmask-memory", IMS_BENCH_MEM, IMS_BENCH_MASK, 1000);
	operation("mask-unmask-command", IMS_BENCH_CMD, IMS_BENCH_DISABLE, 1000);
	operation("affinity-msix", IMS_BENCH_MSIX, IMS_BENCH_AFFINITY, 100);
	operation("affinity-table", IMS_BENCH_TABLE, IMS_BENCH_AFFINITY, 100);
	operation("move-msix", IMS_BENCH_MSIX, IMS_BENCH_MOVE, 100);
	operation("move-table", IMS_BENCH_TABLE, IMS_BENCH_MOVE, 100);
	operation("delivery-msix", IMS_BENCH_DEV_MSIX, IMS_BENCH_DELIVER, 100);
	operation("delivery-table", IMS_BENCH_TABLE, IMS_BENCH_DELIVER, 100);
	flush();
	memory("msix", IMS_BENCH_MSIX, 64);
	memory("msix", IMS_BENCH_MSIX, 2048);
	memory("ims", IMS_BENCH_TABLE, 64);
	memory("ims", IMS_BENCH_TABLE, 2048);
	flush();
	allocation("ims-single", IMS_BENCH_TABLE, true, ims);
	flush();
	allocation("ims-batch", IMS_BENCH_BATCH, false, ims);
	flush();
	memory("ims", IMS_BENCH_TABLE, 65280);
}

/* Arguments */

static void add_pattern(const char *pattern)
{
	unsigned int i;

	if (!strcmp(pattern, "short")) {
		for (i = 0; i < ARRAY_SIZE(short_run); i++)
			add_pattern(short_run[i]);
		return;
	}
	if (nr_patterns == MAX_PATTERNS)
		fail("more than %u patterns", MAX_PATTERNS);
	patterns[nr_patterns++] = pattern;
}

static void kernel_option(void)
{
	static const char key[] = "ims_bench.only=";
	static char text[4096];
	FILE *file = fopen("/proc/cmdline", "r");
	char *at, *name;

	if (!file || !fgets(text, sizeof(text), file))
		fail("cannot read /proc/cmdline");
	fclose(file);

	at = strstr(text, key);
	if (!at)
		return;
	at += strlen(key);
	at[strcspn(at, " \n")] = '\0';
	for (name = strtok(at, ","); name; name = strtok(NULL, ","))
		add_pattern(name);
}

static void prepare(void)
{
	const struct sched_param param = { .sched_priority = 99 };
	int limit;

	device = open("/dev/" IMS_BENCH_DEV, O_RDWR);
	if (device < 0)
		fail("/dev/%s: %s: is the driver in this kernel?", IMS_BENCH_DEV, strerror(errno));

	/*
	 * Nobody else runs meanwhile, for as long as it takes. Linux 6.12 lets them after
	 * a second nevertheless, and nothing takes so long there.
	 */
	limit = open("/proc/sys/kernel/sched_rt_runtime_us", O_WRONLY);
	if (limit < 0 || write(limit, "-1", 2) != 2)
		fail("cannot have all of the CPU: %s", strerror(errno));
	close(limit);
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		fail("cannot have priority: %s", strerror(errno));
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		fail("cannot stay in memory: %s", strerror(errno));
	if (klogctl(KLOG_LEVEL, NULL, KLOG_SILENT) < 0)
		fail("cannot have the console silent: %s", strerror(errno));
}

/* Instructions since the machine was switched on */
static unsigned long long instructions(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	unsigned long long ticks, rate;

	asm volatile("isb; mrs %0, cntvct_el0; mrs %1, cntfrq_el0" : "=r" (ticks), "=r" (rate));
	return ticks * (1000000000 / rate);
#endif
}

int main(int argc, char **argv)
{
	unsigned long long boot = instructions();
	int i;

	for (i = 1; i < argc; i++) {
		if (i == 1 && !strcmp(argv[i], "list"))
			listing = true;
		else
			add_pattern(argv[i]);
	}
	if (!nr_patterns && !listing)
		kernel_option();

	if (wanted("figure", "boot"))
		figure("boot", 1, boot);
	if (!listing)
		prepare();
	measure();
	flush();
	return 0;
}
