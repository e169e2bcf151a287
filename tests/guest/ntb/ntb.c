// SPDX-License-Identifier: GPL-2.0
/*
 * ntb: interrupts and traffic from one port of a non-transparent bridge to the other,
 * with the kernel's own clients of the NTB core. scripts/imslib/ntb.py has the hardware.
 *
 * Words
 *   port    an instance of ims-ntb; what is triggered on one arrives at the other
 *   client  ntb_msi_test or ntb_transport: a driver of the NTB bus. One at a time has
 *           the ports.
 *   total   of an interrupt: how often it arrived, on all CPUs
 *   flap    of a link: down and up again, before anybody has looked
 *   hostile of a port: this program writes what a driver of the peer has to refuse
 *
 * The arguments are on the kernel command line:
 *   ntb.spoil=X   makes a check fail that must: trigger, content, move, ring or flap
 *   ntb.flaps=N   how often the link flaps
 *
 * A part is one line of TAP. What fails calls die(), which ends the program: what
 * follows depends on it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The longest that anything is waited for. A bound, not a limit to meet. */
#define WAIT_SECONDS	60
#define MAX_CPUS	64
/* Two scratchpads for each, and one for all; there are 16 */
#define NR_IRQS		7
#define DEBUGFS		"/sys/kernel/debug/ntb_msi_test"
/* An interrupt that was moved arrives on its new CPU with the next one, or so */
#define MOVE_TRIES	8
#define TCP_PORT	7777
#define CHUNK		65536
#define CHUNKS		16
#define FLAPS		100
/* How often the transport comes and goes while the link flaps */
#define REMOVALS	10
/* How often both ports get a transport at the same time */
#define BINDS		30
/* Rings, each at any moment of what the one before leads to, for as long as this */
#define RINGS		100
#define RING_MICROSECONDS	20000

/* From ims_ntb_regs.h */
#define REG_ID			0x000
#define   ID			0x4e534d49
#define REG_WINDOW_SIZE		0x008
#define REG_LINK_CTRL		0x010
#define   LINK_ENABLE		1
#define REG_LINK_STATUS		0x014
#define   LINK_UP		1
#define REG_DB			0x020
#define REG_DB_SET		0x024
#define REG_COUNT_CLEAR		0x060
#define REG_WRITES		0x064
#define REG_ERRORS(n)		(0x080 + 4 * (n))
#define   NR_ERRORS		5
#define REG_XLAT_SIZE(n)	(0x108 + 0x10 * (n))
#define REG_SPAD(n)		(0x200 + 4 * (n))
#define   NR_SPADS		16

/* What ntb_msi_test has in scratchpads, and its doorbell */
#define TEST_SPAD_COUNT		0
#define TEST_SPAD_OFFSET(irq)	(1 + 2 * (irq))
#define TEST_DB			(1 << 0)

/* What ntb_transport has there, with one window and one queue, and its doorbells */
#define SPAD_VERSION		0
#define   TRANSPORT_VERSION	4
#define SPAD_QP_LINKS		1
#define SPAD_NUM_QPS		2
#define SPAD_NUM_MWS		3
#define SPAD_SIZE_HIGH		4
#define SPAD_SIZE_LOW		5
#define SPAD_MSI_OFFSET		6
#define QP_DB			(1u << 0)
#define MSI_DB			(1u << 30)
/* Of a frame in the window: it is at the end */
struct header {
	uint32_t ver, len, flags;
};
#define   FRAME_DONE		1

struct line {
	unsigned int irq;
	uint64_t cpu[MAX_CPUS];
	uint64_t total;
	char action[64];
};

struct port {
	const char *bdf;
	volatile uint32_t *regs;
	/* Of ntb_msi_test */
	unsigned int irqs[NR_IRQS];
	uint64_t occurrences[NR_IRQS];
	/* Of ntb_transport */
	char interface[IFNAMSIZ];
	int ns;
};

static struct port ports[2] = {
	{ .bdf = "0000:00:16.0" },
	{ .bdf = "0000:00:17.0" },
};

static struct port *peer_of(const struct port *port)
{
	return &ports[port == ports];
}

#define for_each_port(port) \
	for (struct port *port = ports; port < ports + 2; port++)

static const char *part_name;
static unsigned int part_number;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\nnot ok %u %s\n", part_number, part_name);
	fflush(stdout);
	_exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* One step of a wait: false when it took too long. @end is 0 at first. */
static bool wait_more(double *end)
{
	struct timespec ts = { .tv_nsec = 10000000 };

	if (!*end)
		*end = now() + WAIT_SECONDS;
	else if (now() > *end)
		return false;
	nanosleep(&ts, NULL);
	return true;
}

static char *slurp(const char *path, char *buf, size_t size)
{
	size_t done = 0;
	ssize_t ret;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	do {
		ret = read(fd, buf + done, size - 1 - done);
		if (ret < 0)
			die("%s: %s", path, strerror(errno));
		done += ret;
	} while (ret && done < size - 1);
	buf[done] = 0;
	close(fd);
	return buf;
}

static uint64_t read_number(const char *fmt, ...)
{
	char path[PATH_MAX], text[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return strtoull(slurp(path, text, sizeof(text)), NULL, 0);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s: %s", path, strerror(errno));
	close(fd);
}

static void write_number(unsigned int value, const char *fmt, ...)
{
	char path[PATH_MAX], text[16];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	snprintf(text, sizeof(text), "%u", value);
	write_text(path, text);
}

static unsigned int flaps(void)
{
	char text[4096], *at;

	at = strstr(slurp("/proc/cmdline", text, sizeof(text)), " ntb.flaps=");
	return at ? strtoul(strchr(at, '=') + 1, NULL, 0) : FLAPS;
}

static bool spoiled(const char *what)
{
	char text[4096], key[64];

	snprintf(key, sizeof(key), " ntb.spoil=%s", what);
	return strstr(slurp("/proc/cmdline", text, sizeof(text)), key);
}

static void load(const char *module, const char *arguments)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/modules/%s.ko", module);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	if (syscall(SYS_finit_module, fd, arguments, 0))
		die("%s cannot be loaded: %s", module, strerror(errno));
	close(fd);
}

static void unload(const char *module)
{
	if (syscall(SYS_delete_module, module, O_NONBLOCK))
		die("%s cannot be removed: %s", module, strerror(errno));
}

static unsigned int nr_cpus(void)
{
	long nr = sysconf(_SC_NPROCESSORS_ONLN);

	return nr > MAX_CPUS ? MAX_CPUS : nr;
}

/* A line of /proc/interrupts; all CPUs are online */
static bool parse_line(const char *text, struct line *line)
{
	unsigned int cpus = nr_cpus();
	const char *action;
	char *at;

	memset(line, 0, sizeof(*line));
	line->irq = strtoul(text, &at, 10);
	if (at == text || *at++ != ':')
		return false;
	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		line->cpu[cpu] = strtoull(at, &at, 10);
		line->total += line->cpu[cpu];
	}
	action = strrchr(at, ' ');
	snprintf(line->action, sizeof(line->action), "%s", action ? action + 1 : "");
	return true;
}

/* The interrupts of a port with an action of this name; returns how many */
static unsigned int lines_of(const struct port *port, const char *action, struct line *lines,
			     unsigned int max)
{
	static char text[1 << 18];
	char path[PATH_MAX], *at, *save;
	unsigned int nr = 0;
	struct line line;

	slurp("/proc/interrupts", text, sizeof(text));
	for (at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save)) {
		if (!parse_line(at, &line) || strncmp(line.action, action, strlen(action)))
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs/%u", port->bdf,
			 line.irq);
		if (access(path, F_OK))
			continue;
		if (nr == max)
			die("%s has more than %u interrupts of %s", port->bdf, max, action);
		lines[nr++] = line;
	}
	return nr;
}

static struct line line_of(const struct port *port, const char *action, unsigned int irq)
{
	struct line lines[NR_IRQS + 1];
	unsigned int nr = lines_of(port, action, lines, NR_IRQS + 1);

	while (nr--)
		if (lines[nr].irq == irq)
			return lines[nr];
	die("%s has no interrupt %u of %s any more", port->bdf, irq, action);
}

static uint64_t total_of(const struct port *port, const char *action)
{
	struct line lines[NR_IRQS + 1];
	unsigned int nr = lines_of(port, action, lines, NR_IRQS + 1);
	uint64_t total = 0;

	if (!nr)
		die("%s has no interrupt of %s", port->bdf, action);
	while (nr--)
		total += lines[nr].total;
	return total;
}

static void move(unsigned int irq, unsigned int cpu)
{
	if (!spoiled("move"))
		write_number(cpu, "/proc/irq/%u/smp_affinity_list", irq);
}

static void clear_counters(void)
{
	for_each_port(port)
		port->regs[REG_COUNT_CLEAR / 4] = 1;
}

static void check_errors(void)
{
	for_each_port(port)
		for (unsigned int i = 0; i < NR_ERRORS; i++)
			if (port->regs[REG_ERRORS(i) / 4])
				die("%s has counted %u errors for reason %u", port->bdf,
				    port->regs[REG_ERRORS(i) / 4], i);
}

static uint32_t read_spad(const struct port *port, unsigned int n)
{
	return port->regs[REG_SPAD(n) / 4];
}

static void write_spad(const struct port *port, unsigned int n, uint32_t value)
{
	port->regs[REG_SPAD(n) / 4] = value;
}

static void set_link(const struct port *port, bool enable)
{
	port->regs[REG_LINK_CTRL / 4] = enable ? LINK_ENABLE : 0;
}

static void wait_link(bool up)
{
	double end = 0;

	for_each_port(port)
		while (!(port->regs[REG_LINK_STATUS / 4] & LINK_UP) == up)
			if (!wait_more(&end))
				die("the link of %s does not go %s", port->bdf,
				    up ? "up" : "down");
}

/* The hardware driver, and two ports on its bus */
static void part_ports(void)
{
	char path[PATH_MAX];
	int fd;

	load("ntb", "");
	load("ntb_hw_ims", "");
	for_each_port(port) {
		snprintf(path, sizeof(path), "/sys/bus/ntb/devices/%s", port->bdf);
		if (access(path, F_OK))
			die("%s is no port", port->bdf);
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", port->bdf);
		fd = open(path, O_RDWR | O_CLOEXEC);
		port->regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (fd < 0 || port->regs == MAP_FAILED || port->regs[REG_ID / 4] != ID)
			die("the registers of %s cannot be read", port->bdf);
		close(fd);
	}
	wait_link(false);
}

static void check_occurrences(const char *when)
{
	uint64_t found;

	for_each_port(port) {
		for (unsigned int i = 0; i < NR_IRQS; i++) {
			found = read_number(DEBUGFS "/%s/irq%u_occurrences", port->bdf, i);
			if (found != port->occurrences[i])
				die("%s: interrupt %u of %s occurred %llu times, not %llu", when,
				    i, port->bdf, (unsigned long long)found,
				    (unsigned long long)port->occurrences[i]);
		}
	}
}

/* Exactly one interrupt more at @port, and none of all the others */
static void trigger(struct port *port, unsigned int index)
{
	double end = 0;

	port->occurrences[index]++;
	if (!spoiled("trigger") || port == ports || index != NR_IRQS - 1)
		write_number(index, DEBUGFS "/%s/peer0/trigger", peer_of(port)->bdf);
	while (read_number(DEBUGFS "/%s/irq%u_occurrences", port->bdf, index) <
	       port->occurrences[index])
		if (!wait_more(&end))
			die("interrupt %u of %s does not arrive", index, port->bdf);
	check_occurrences("after a trigger");
}

static void part_found(void)
{
	char arguments[32];
	double end = 0;

	snprintf(arguments, sizeof(arguments), "num_irqs=%u", NR_IRQS);
	load("ntb_msi_test", arguments);
	wait_link(true);
	for_each_port(port) {
		while (!read_number(DEBUGFS "/%s/peer0/ready", port->bdf) ||
		       read_number(DEBUGFS "/%s/peer0/count", port->bdf) != NR_IRQS)
			if (!wait_more(&end))
				die("%s does not find %u interrupts of its peer", port->bdf,
				    NR_IRQS);
	}
	check_occurrences("before any trigger");
}

/* Each interrupt, both ways; finds out which is which, and who has carried them */
static void part_trigger(void)
{
	struct line before[NR_IRQS + 1], after[NR_IRQS + 1];
	unsigned int n, found;

	clear_counters();
	for_each_port(port) {
		for (unsigned int i = 0; i < NR_IRQS; i++) {
			n = lines_of(port, "ntb_msi_test", before, NR_IRQS + 1);
			if (n != NR_IRQS)
				die("%s has %u interrupts, not %u", port->bdf, n, NR_IRQS);
			trigger(port, i);
			lines_of(port, "ntb_msi_test", after, NR_IRQS + 1);
			found = 0;
			for (n = 0; n < NR_IRQS; n++) {
				if (after[n].total == before[n].total)
					continue;
				if (after[n].total != before[n].total + 1 || found++)
					die("trigger %u raises more than one interrupt of %s", i,
					    port->bdf);
				port->irqs[i] = after[n].irq;
			}
			if (!found)
				die("trigger %u raises no interrupt of %s", i, port->bdf);
			for (n = 0; n < i; n++)
				if (port->irqs[n] == port->irqs[i])
					die("triggers %u and %u raise one interrupt", n, i);
		}
		if (peer_of(port)->regs[REG_WRITES / 4] != NR_IRQS)
			die("%u writes have gone to %s, not %u",
			    peer_of(port)->regs[REG_WRITES / 4], port->bdf, NR_IRQS);
	}
	check_errors();
}

static void trigger_on(struct port *port, unsigned int index, unsigned int cpu)
{
	unsigned int irq = port->irqs[index];
	struct line before, after;

	for (unsigned int i = 0; i < MOVE_TRIES; i++) {
		before = line_of(port, "ntb_msi_test", irq);
		trigger(port, index);
		after = line_of(port, "ntb_msi_test", irq);
		if (after.total != before.total + 1)
			die("interrupt %u of %s arrives %llu times", irq, port->bdf,
			    (unsigned long long)(after.total - before.total));
		if (after.cpu[cpu] != before.cpu[cpu])
			return;
		/* The doorbell that announces the message may wait for its CPU */
		usleep(1000 << i);
	}
	die("interrupt %u of %s does not arrive on CPU %u", irq, port->bdf, cpu);
}

/* Each on every CPU, all spread over them, and back again */
static void part_affinity(void)
{
	unsigned int cpus = nr_cpus();

	if (cpus < 2)
		die("there is nowhere to move to");
	clear_counters();
	for (unsigned int step = 1; step <= cpus + 1; step++) {
		for_each_port(port)
			for (unsigned int i = 0; i < NR_IRQS; i++)
				move(port->irqs[i], (step + i) % cpus);
		for_each_port(port)
			for (unsigned int i = 0; i < NR_IRQS; i++)
				trigger_on(port, i, (step + i) % cpus);
	}
	/* One after the other, each from where it is to everywhere */
	for_each_port(port) {
		for (unsigned int cpu = 0; cpu < 2 * cpus; cpu++) {
			move(port->irqs[0], cpu % cpus);
			trigger_on(port, 0, cpu % cpus);
			/* It stays there */
			trigger_on(port, 0, cpu % cpus);
		}
	}
	check_occurrences("at the end");
	check_errors();
	for_each_port(port) {
		uint64_t moved = 0;

		for (unsigned int i = 0; i < NR_IRQS; i++)
			moved += port->occurrences[i] - 1;
		if (peer_of(port)->regs[REG_WRITES / 4] != moved)
			die("%u writes have gone to %s, not %llu",
			    peer_of(port)->regs[REG_WRITES / 4], port->bdf,
			    (unsigned long long)moved);
	}
}

static int trigger_error(const struct port *port)
{
	char path[PATH_MAX];
	int fd, ret = 0;

	snprintf(path, sizeof(path), DEBUGFS "/%s/peer0/trigger", port->bdf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	if (write(fd, "0", 1) != 1)
		ret = errno;
	close(fd);
	return ret;
}

/* The first port is hostile: the other one must not write where that says */
static void part_hostile_messages(void)
{
	struct port *hostile = &ports[0], *port = &ports[1];
	uint32_t size = port->regs[REG_WINDOW_SIZE / 4];
	const uint32_t offsets[] = { 0x40000001, size, size | 1, size + 4, 0x80000000, 0xfffffffc };
	const uint32_t counts[] = { NR_IRQS + 1, 0x10000, 0x7fffffff, 0xfffffff0 };
	uint32_t offset = read_spad(hostile, TEST_SPAD_OFFSET(0));
	double end;

	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		write_spad(hostile, TEST_SPAD_OFFSET(0), offsets[i]);
		port->regs[REG_DB_SET / 4] = TEST_DB;
		/* Until it has read that, the old one is triggered */
		for (end = 0; trigger_error(port) != EINVAL;)
			if (!wait_more(&end))
				die("offset %#x is not refused", offsets[i]);
	}
	for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		write_spad(hostile, TEST_SPAD_COUNT, counts[i]);
		/* And doorbells of peers that do not exist, which are masked */
		port->regs[REG_DB_SET / 4] = ~0u;
		for (end = 0; port->regs[REG_DB / 4];)
			if (!wait_more(&end))
				die("the doorbell is not cleared");
		/* It is cleared before the number is read */
		usleep(50000);
		if (read_number(DEBUGFS "/%s/peer0/count", port->bdf) != NR_IRQS)
			die("%#x interrupts are taken", counts[i]);
	}

	write_spad(hostile, TEST_SPAD_COUNT, NR_IRQS);
	write_spad(hostile, TEST_SPAD_OFFSET(0), offset);
	port->regs[REG_DB_SET / 4] = TEST_DB;
	for (end = 0; trigger_error(port);)
		if (!wait_more(&end))
			die("offset %#x is refused", offset);
	usleep(50000);
	/* Some of them were of the old message */
	hostile->occurrences[0] = read_number(DEBUGFS "/%s/irq0_occurrences", hostile->bdf);
	trigger(hostile, 0);
	check_errors();
	unload("ntb_msi_test");
	wait_link(false);
}

static int home;

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET))
		die("setns: %s", strerror(errno));
}

/* A network namespace for each port; the program stays in the first one */
static void make_namespaces(void)
{
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for_each_port(port) {
		if (home < 0 || unshare(CLONE_NEWNET))
			die("no network namespace: %s", strerror(errno));
		port->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		enter(home);
	}
}

static void find_interface(struct port *port)
{
	char path[PATH_MAX], target[PATH_MAX], part[32];
	struct dirent *entry;
	ssize_t len;
	DIR *dir;

	port->interface[0] = 0;
	snprintf(part, sizeof(part), "/%s/", port->bdf);
	dir = opendir("/sys/class/net");
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/net/%s", entry->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = 0;
		if (strstr(target, part))
			snprintf(port->interface, IFNAMSIZ, "%.15s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (!port->interface[0])
		die("%s has no network interface", port->bdf);
}

static void move_to_namespace(const struct port *port)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
		struct rtattr attr;
		int value;
	} request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_NEWLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_index = if_nametoindex(port->interface) },
		.attr = { .rta_len = RTA_LENGTH(sizeof(int)), .rta_type = IFLA_NET_NS_FD },
		.value = port->ns,
	};
	struct { struct nlmsghdr head; struct nlmsgerr err; char rest[512]; } answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0 || answer.head.nlmsg_type != NLMSG_ERROR)
		die("netlink: %s", strerror(errno));
	if (answer.err.error)
		die("%s does not move: %s", port->interface, strerror(-answer.err.error));
	close(fd);
}

static struct sockaddr_in address(const struct port *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };

	addr.sin_addr.s_addr = htonl(0x0a000001 + (port - ports));
	return addr;
}

static void set_up(const struct port *port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_flags = IFF_UP };

	snprintf(req.ifr_name, IFNAMSIZ, "%s", port->interface);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &req))
		die("%s does not go up: %s", port->interface, strerror(errno));
	close(fd);
}

/* In the namespace of the port */
static void configure(const struct port *port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = address(port);
	struct ifreq req = { 0 };

	snprintf(req.ifr_name, IFNAMSIZ, "%s", port->interface);
	memcpy(&req.ifr_addr, &addr, sizeof(addr));
	if (fd < 0 || ioctl(fd, SIOCSIFADDR, &req))
		die("%s gets no address: %s", port->interface, strerror(errno));
	addr.sin_addr.s_addr = htonl(0xffffff00);
	memcpy(&req.ifr_netmask, &addr, sizeof(addr));
	if (ioctl(fd, SIOCSIFNETMASK, &req))
		die("%s gets no netmask: %s", port->interface, strerror(errno));
	close(fd);
	set_up(port);
}

static void wait_running(const struct port *port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };
	double end = 0;

	snprintf(req.ifr_name, IFNAMSIZ, "%s", port->interface);
	while (ioctl(fd, SIOCGIFFLAGS, &req) || !(req.ifr_flags & IFF_RUNNING))
		if (!wait_more(&end))
			die("%s does not run", port->interface);
	close(fd);
}

/* Not for what another client has left in the scratchpads */
static void bind_transport(void)
{
	write_text("/sys/bus/ntb/drivers_autoprobe", "0");
	load("ntb_transport", "use_msi=1");
	for_each_port(port)
		for (unsigned int i = 0; i < NR_SPADS; i++)
			write_spad(port, i, 0);
	for_each_port(port)
		write_text("/sys/bus/ntb/drivers/ntb_transport/bind", port->bdf);
}

static void part_interfaces(void)
{
	bind_transport();
	load("ntb_netdev", "");
	make_namespaces();
	for_each_port(port) {
		find_interface(port);
		move_to_namespace(port);
	}
	for_each_port(port) {
		enter(port->ns);
		configure(port);
	}
	for_each_port(port) {
		enter(port->ns);
		wait_running(port);
	}
	enter(ports[0].ns);
	wait_link(true);
}

/* All of it; 0, or -errno, or -EPIPE where the other side has closed */
static int transfer(int fd, bool out, char *buf, size_t size)
{
	struct pollfd poll_fd = { .fd = fd, .events = out ? POLLOUT : POLLIN };
	size_t done = 0;
	ssize_t ret;

	while (done < size) {
		ret = poll(&poll_fd, 1, WAIT_SECONDS * 1000);
		if (!ret)
			return -ETIMEDOUT;
		if (ret > 0)
			ret = out ? send(fd, buf + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT)
				  : recv(fd, buf + done, size - done, MSG_DONTWAIT);
		if (ret < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (!ret)
			return -EPIPE;
		done += ret > 0 ? ret : 0;
	}
	return 0;
}

/* Gets chunks, and sends each back with all bits turned */
static void *serve(void *data)
{
	int listener = *(int *)data, fd;
	char *buf = malloc(CHUNK);

	fd = accept(listener, NULL, NULL);
	while (fd >= 0 && !transfer(fd, false, buf, CHUNK)) {
		for (unsigned int i = 0; i < CHUNK; i++)
			buf[i] = ~buf[i];
		if (transfer(fd, true, buf, CHUNK))
			break;
	}
	if (fd >= 0)
		close(fd);
	free(buf);
	return NULL;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Between @from and its peer; @between runs after each chunk that has come back */
static void talk(struct port *from, uint64_t seed, void (*between)(unsigned int))
{
	struct sockaddr_in addr = address(peer_of(from));
	struct timeval bound = { .tv_sec = WAIT_SECONDS };
	char *out = malloc(CHUNK), *in = malloc(CHUNK);
	int listener, fd, one = 1, ret;
	pthread_t server;

	addr.sin_port = htons(TCP_PORT);
	enter(peer_of(from)->ns);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 1))
		die("nobody can listen: %s", strerror(errno));
	enter(from->ns);
	if (pthread_create(&server, NULL, serve, &listener))
		die("no thread");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("no connection from %s: %s", from->bdf, strerror(errno));

	for (unsigned int n = 0; n < CHUNKS; n++) {
		for (size_t i = 0; i < CHUNK / sizeof(uint64_t); i++)
			((uint64_t *)out)[i] = next_random(&seed);
		ret = transfer(fd, true, out, CHUNK);
		if (!ret)
			ret = transfer(fd, false, in, CHUNK);
		if (ret)
			die("chunk %u from %s: %s", n, from->bdf, strerror(-ret));
		if (spoiled("content"))
			in[CHUNK - 1] ^= 1;
		for (unsigned int i = 0; i < CHUNK; i++)
			if (in[i] != (char)~out[i])
				die("chunk %u from %s: wrong content at %u", n, from->bdf, i);
		if (between)
			between(n);
	}
	shutdown(fd, SHUT_RDWR);
	close(fd);
	pthread_join(server, NULL);
	close(listener);
	free(out);
	free(in);
}

/* The message of an interrupt goes through the bridge, so no doorbell rings */
static void part_traffic(void)
{
	uint64_t messages[2], doorbells[2];

	clear_counters();
	for_each_port(port) {
		messages[port - ports] = total_of(port, "ntb_transport");
		doorbells[port - ports] = total_of(port, "ntb_hw_ims-doorbell");
	}
	for_each_port(port)
		talk(port, 1 + (port - ports), NULL);
	for_each_port(port) {
		/* Each chunk takes a frame each way, at the very least */
		if (total_of(port, "ntb_transport") < messages[port - ports] + 2 * CHUNKS)
			die("%s has had %llu interrupts for %u chunks", port->bdf,
			    (unsigned long long)(total_of(port, "ntb_transport") -
						 messages[port - ports]), 2 * CHUNKS);
		if (total_of(port, "ntb_hw_ims-doorbell") != doorbells[port - ports])
			die("doorbells of %s rang", port->bdf);
	}
	check_errors();
}

static void move_transport(unsigned int step)
{
	struct line lines[NR_IRQS + 1];
	unsigned int nr;

	for_each_port(port) {
		nr = lines_of(port, "ntb_transport", lines, NR_IRQS + 1);
		while (nr--)
			move(lines[nr].irq, (step + (port - ports)) % nr_cpus());
	}
}

static void *move_on(void *data)
{
	const volatile bool *stop = data;

	for (unsigned int step = 0; !*stop; step++) {
		move_transport(step);
		usleep(1000);
	}
	return NULL;
}

/* A message that is half an old one and half a new one has no handler: the kernel says so */
static void part_traffic_moves(void)
{
	struct line before[2][NR_IRQS + 1], after[NR_IRQS + 1];
	unsigned int nr, cpu, used;
	volatile bool stop = false;
	pthread_t mover;

	for_each_port(port)
		lines_of(port, "ntb_transport", before[port - ports], NR_IRQS + 1);
	for_each_port(port)
		talk(port, 11 + (port - ports), move_transport);
	if (pthread_create(&mover, NULL, move_on, (void *)&stop))
		die("no thread");
	for_each_port(port)
		talk(port, 15 + (port - ports), NULL);
	stop = true;
	pthread_join(mover, NULL);
	for_each_port(port) {
		nr = lines_of(port, "ntb_transport", after, NR_IRQS + 1);
		for (cpu = 0; cpu < nr_cpus(); cpu++) {
			used = 0;
			for (unsigned int i = 0; i < nr; i++)
				used += after[i].cpu[cpu] != before[port - ports][i].cpu[cpu];
			if (!used)
				die("no interrupt of %s has come to CPU %u", port->bdf, cpu);
		}
	}
	check_errors();
}

/* Sends one packet from the second port to the first one: did a message say so? */
static bool packet_by_message(void)
{
	struct sockaddr_in addr = address(&ports[0]);
	uint64_t messages, doorbells;
	double end = 0;
	int fd;

	messages = total_of(&ports[0], "ntb_transport");
	doorbells = total_of(&ports[0], "ntb_hw_ims-doorbell");
	enter(ports[1].ns);
	addr.sin_port = htons(TCP_PORT);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, "", 1, 0, (struct sockaddr *)&addr, sizeof(addr)) != 1)
		die("no packet from %s: %s", ports[1].bdf, strerror(errno));
	close(fd);
	while (total_of(&ports[0], "ntb_transport") == messages &&
	       total_of(&ports[0], "ntb_hw_ims-doorbell") == doorbells)
		if (!wait_more(&end))
			die("nothing says that a packet has come to %s", ports[0].bdf);
	return total_of(&ports[0], "ntb_transport") != messages;
}

static void wait_packet_by_message(bool message, const char *when)
{
	double end = 0;

	while (packet_by_message() != message)
		if (!wait_more(&end))
			die("%s packets come with %s", when, message ? "doorbells" : "messages");
}

static void ring(bool last)
{
	if (!last || !spoiled("ring"))
		ports[1].regs[REG_DB_SET / 4] = MSI_DB;
}

/* The doorbells of the second port ring on one CPU, and this program runs on another */
static void part_ways(bool part)
{
	struct line line;
	cpu_set_t set;

	if (lines_of(&ports[1], "ntb_hw_ims-doorbell", &line, 1) != 1)
		die("%s has no doorbells", ports[1].bdf);
	if (part)
		write_number(1, "/proc/irq/%u/smp_affinity_list", line.irq);
	CPU_ZERO(&set);
	for (unsigned int cpu = 0; cpu < nr_cpus(); cpu++)
		if (!part || cpu != 1)
			CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity: %s", strerror(errno));
}

static void spin(double seconds)
{
	double end = now() + seconds;

	while (now() < end)
		;
}

/*
 * The first port takes its message away and publishes it again, which the second one
 * finds out by a ring. What it does then has to agree with the last ring, whenever that
 * comes.
 */
static void part_rings(void)
{
	uint64_t seed = 22;
	uint32_t offset;

	/* The last move is carried out by the next interrupt */
	talk(&ports[1], 21, NULL);
	offset = read_spad(&ports[0], SPAD_MSI_OFFSET);

	if (!offset)
		die("there is no message at scratchpad %u", SPAD_MSI_OFFSET);
	part_ways(true);
	for (unsigned int n = 0; n < RINGS; n++) {
		double end = now() + next_random(&seed) % RING_MICROSECONDS / 1e6;
		bool message = n % 2;

		do {
			write_spad(&ports[0], SPAD_MSI_OFFSET, message ? 0 : offset);
			ring(false);
			spin(next_random(&seed) % 20 / 1e6);
			write_spad(&ports[0], SPAD_MSI_OFFSET, message ? offset : 0);
			ring(true);
		} while (now() < end);
		wait_packet_by_message(message, "after the last ring,");
	}
	part_ways(false);
	check_errors();
}

/* The first port is hostile: the second one rings doorbells if the message is nowhere */
static void part_hostile_offsets(void)
{
	uint32_t size = ports[1].regs[REG_WINDOW_SIZE / 4];
	const uint32_t offsets[] = { 0x40000001, size | 1, size | 5, 0x80000000, 0xfffffffd };
	uint32_t offset = read_spad(&ports[0], SPAD_MSI_OFFSET);

	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		write_spad(&ports[0], SPAD_MSI_OFFSET, offsets[i]);
		ring(false);
		wait_packet_by_message(false, "with a message out of the window,");
		talk(&ports[1], 31 + i, NULL);
		write_spad(&ports[0], SPAD_MSI_OFFSET, offset);
		ring(false);
		wait_packet_by_message(true, "with a message again,");
	}
	check_errors();
}

/* A thread that makes the link flap: so often, or without an end until stop_flapping */
struct flapper {
	pthread_t thread;
	unsigned int times;
	volatile bool stop;
};

static void *flap(void *data)
{
	struct flapper *flapper = data;
	uint64_t seed = 41;

	for (unsigned int n = 0; n < flapper->times && !flapper->stop; n++) {
		struct port *port = &ports[next_random(&seed) % 2];

		set_link(port, false);
		usleep(next_random(&seed) % 3000);
		set_link(port, true);
		usleep(next_random(&seed) % 5000);
	}
	flapper->stop = true;
	return NULL;
}

static void start_flapping(struct flapper *flapper, unsigned int times)
{
	flapper->times = times;
	flapper->stop = false;
	if (pthread_create(&flapper->thread, NULL, flap, flapper))
		die("no thread");
}

/* Both want to have the link, or it stays down */
static void stop_flapping(struct flapper *flapper, bool up)
{
	flapper->stop = true;
	pthread_join(flapper->thread, NULL);
	for_each_port(port)
		set_link(port, up);
}

/* Packets to the peer while there is a link or none, until it is stopped */
struct sender {
	pthread_t thread;
	struct port *port;
	const volatile bool *stop;
};

static void *send_packets(void *data)
{
	struct sender *sender = data;
	struct sockaddr_in addr = address(peer_of(sender->port));
	char buf[1400] = { 0 };
	int fd;

	enter(sender->port->ns);
	addr.sin_port = htons(TCP_PORT);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	while (!*sender->stop)
		if (sendto(fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&addr,
			   sizeof(addr)) < 0)
			usleep(1000);
	close(fd);
	return NULL;
}

/* Down for so long that both have cleaned up, which clears the scratchpads */
static void settle(void)
{
	double end = 0;

	wait_link(true);
	for_each_port(port)
		write_spad(port, NR_SPADS - 1, 1);
	set_link(&ports[1], false);
	for_each_port(port)
		while (read_spad(port, NR_SPADS - 1))
			if (!wait_more(&end))
				die("%s does not clean up", port->bdf);
	if (!spoiled("flap"))
		set_link(&ports[1], true);
}

/* Both sides are up, and carry traffic */
static void recovers(void)
{
	settle();
	for_each_port(port) {
		double end = 0;

		while (!(read_spad(port, SPAD_QP_LINKS) & 1))
			if (!wait_more(&end))
				die("the peer of %s does not bring its queue up", port->bdf);
	}
	for_each_port(port) {
		enter(port->ns);
		wait_running(port);
	}
	part_traffic();
}

static void part_flaps(void)
{
	struct sender senders[2];
	struct flapper flapper;
	double start = now();

	start_flapping(&flapper, flaps());
	for_each_port(port) {
		struct sender *sender = &senders[port - ports];

		*sender = (struct sender){ .port = port, .stop = &flapper.stop };
		if (pthread_create(&sender->thread, NULL, send_packets, sender))
			die("no thread");
	}
	while (!flapper.stop) {
		if (now() - start > WAIT_SECONDS + flaps())
			die("the link does not flap %u times", flaps());
		usleep(10000);
	}
	for_each_port(port)
		pthread_join(senders[port - ports].thread, NULL);
	stop_flapping(&flapper, true);

	recovers();
}

/* As if the first port had cleaned up after a flap, and the second one had seen none */
static void part_one_sided_flap(void)
{
	double end = 0;

	for (unsigned int n = 0; n < NR_SPADS; n++)
		write_spad(&ports[0], n, 0);
	while (read_spad(&ports[0], SPAD_VERSION) != TRANSPORT_VERSION)
		if (!wait_more(&end))
			die("the peer of %s does not notice", ports[0].bdf);
	recovers();
}

static void part_remove(void)
{
	unload("ntb_netdev");
	unload("ntb_transport");
	wait_link(false);
	enter(home);
}

static void *bind_port(void *port)
{
	write_text("/sys/bus/ntb/drivers/ntb_transport/bind", ((struct port *)port)->bdf);
	return NULL;
}

/*
 * The first of them finds that the link is down and cleans up, while the other one brings it
 * up. They have to agree all the same, which opens the windows.
 */
static void part_binds(void)
{
	pthread_t threads[2];
	double end;

	for (unsigned int n = 0; n < BINDS; n++) {
		load("ntb_transport", "use_msi=1");
		for_each_port(port)
			if (pthread_create(&threads[port - ports], NULL, bind_port, port))
				die("no thread");
		for_each_port(port)
			pthread_join(threads[port - ports], NULL);
		end = 0;
		for_each_port(port)
			while (!port->regs[REG_XLAT_SIZE(0) / 4])
				if (!wait_more(&end))
					die("%s has no window the time %u", port->bdf, n + 1);
		unload("ntb_transport");
	}
}

/* The link goes up and down whatever the driver says, and its events come at any time */
static void part_remove_flaps(void)
{
	struct flapper flapper;
	uint64_t seed = 61;

	start_flapping(&flapper, ~0u);
	for (unsigned int n = 0; n < REMOVALS; n++) {
		load("ntb_transport", "use_msi=1");
		for_each_port(port)
			write_text("/sys/bus/ntb/drivers/ntb_transport/bind", port->bdf);
		if (n % 2) {
			load("ntb_netdev", "");
			for_each_port(port) {
				find_interface(port);
				set_up(port);
			}
		}
		usleep(next_random(&seed) % 100000);
		if (n % 2) {
			/* While there is a client */
			write_text("/sys/bus/ntb/drivers/ntb_transport/unbind", ports[0].bdf);
			unload("ntb_netdev");
		}
		unload("ntb_transport");
	}
	stop_flapping(&flapper, false);
	wait_link(false);
}

static uint64_t statistic(const struct port *port, const char *name)
{
	return read_number("/sys/class/net/%s/statistics/%s", port->interface, name);
}

/* The peer of @port comes up, with a window of this size */
static void hostile_link(struct port *port, uint64_t size)
{
	struct port *hostile = peer_of(port);
	double end = 0;

	/* Nothing is left of the last time */
	write_spad(port, NR_SPADS - 1, 1);
	set_link(hostile, false);
	while (read_spad(port, NR_SPADS - 1))
		if (!wait_more(&end))
			die("%s does not clean up", port->bdf);

	write_spad(hostile, SPAD_VERSION, 0);
	write_spad(port, SPAD_SIZE_HIGH, size >> 32);
	write_spad(port, SPAD_SIZE_LOW, size);
	write_spad(port, SPAD_NUM_MWS, 1);
	write_spad(port, SPAD_NUM_QPS, 1);
	write_spad(port, SPAD_QP_LINKS, 1);
	write_spad(port, SPAD_VERSION, TRANSPORT_VERSION);
	set_link(hostile, true);
	for (end = 0; read_spad(hostile, SPAD_VERSION) != TRANSPORT_VERSION;)
		if (!wait_more(&end))
			die("%s does not do anything about the link", port->bdf);
}

static void hostile_frame(struct port *port, volatile struct header *header, uint32_t len)
{
	header->ver = 0;
	header->len = len;
	header->flags = FRAME_DONE;
	port->regs[REG_DB_SET / 4] = QP_DB;
}

static void part_hostile_peer(void)
{
	struct port *port = &ports[0], *hostile = &ports[1];
	const uint64_t sizes[] = { 1, 2, 4, 5, 51, 0x40000001, 0xffffffff, 1ull << 32,
				   (1ull << 63) + 4096, 0 };
	/* Two frames, and how far they are read */
	const uint32_t frame = 2048, size = 2 * frame + 4;
	uint64_t packets, errors;
	char path[PATH_MAX];
	uint8_t *window;
	double end = 0;
	int fd;

	load("ntb_transport", "use_msi=1");
	write_spad(port, NR_SPADS - 1, 1);
	write_text("/sys/bus/ntb/drivers/ntb_transport/bind", port->bdf);
	while (read_spad(port, NR_SPADS - 1))
		if (!wait_more(&end))
			die("ntb_transport does not clean up");
	load("ntb_netdev", "");
	find_interface(port);
	set_up(port);

	/* Whoever has not had the link does not clean up */
	set_link(hostile, true);
	wait_link(true);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		hostile_link(port, sizes[i]);
		usleep(100000);
		if (port->regs[REG_XLAT_SIZE(0) / 4])
			die("a window of size %#llx is opened", (unsigned long long)sizes[i]);
	}

	/* A window with two frames, and one that is longer than its place, not its buffer */
	hostile_link(port, size);
	for (end = 0; port->regs[REG_XLAT_SIZE(0) / 4] != size;)
		if (!wait_more(&end))
			die("no window is opened");
	for (end = 0; !(read_spad(hostile, SPAD_QP_LINKS) & 1);)
		if (!wait_more(&end))
			die("%s does not bring its queue up", port->bdf);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", hostile->bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	window = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || window == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	close(fd);

	errors = statistic(port, "rx_length_errors");
	packets = statistic(port, "rx_packets");
	hostile_frame(port, (void *)(window + frame) - sizeof(struct header),
		      frame - sizeof(struct header) + 1);
	for (end = 0; statistic(port, "rx_length_errors") != errors + 1;)
		if (!wait_more(&end))
			die("a frame that is too long is not refused");
	if (statistic(port, "rx_packets") != packets)
		die("a frame that is too long is received");
	/* The next one is as it should be */
	hostile_frame(port, (void *)(window + 2 * frame) - sizeof(struct header), 60);
	for (end = 0; statistic(port, "rx_packets") != packets + 1;)
		if (!wait_more(&end))
			die("a frame is not received");
	munmap(window, size);
	set_link(hostile, false);
	unload("ntb_netdev");
	unload("ntb_transport");
}

static void part_end(void)
{
	for_each_port(port)
		munmap((void *)port->regs, 4096);
	unload("ntb_hw_ims");
	unload("ntb");
}

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "two ports, and no link", part_ports },
	{ "ntb_msi_test finds the interrupts of each peer", part_found },
	{ "each trigger is one interrupt", part_trigger },
	{ "so it is on every CPU that the interrupts move to", part_affinity },
	{ "a message that is nowhere is refused", part_hostile_messages },
	{ "ntb_transport brings two interfaces up", part_interfaces },
	{ "traffic both ways, by interrupts", part_traffic },
	{ "traffic while the interrupts move", part_traffic_moves },
	{ "the last ring counts", part_rings },
	{ "doorbells for a message that is nowhere", part_hostile_offsets },
	{ "traffic after a link that flaps", part_flaps },
	{ "traffic after a flap that one side has not seen", part_one_sided_flap },
	{ "the transport can be removed", part_remove },
	{ "two that come at once have a link", part_binds },
	{ "the transport can be removed while the link flaps", part_remove_flaps },
	{ "windows and frames of wrong sizes are refused", part_hostile_peer },
	{ "the drivers can be removed", part_end },
};

#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%zu\n", NR_PARTS);
	for (size_t i = 0; i < NR_PARTS; i++) {
		part_number = i + 1;
		part_name = parts[i].name;
		parts[i].run();
		printf("ok %zu %s\n", i + 1, parts[i].name);
	}
	return 0;
}
