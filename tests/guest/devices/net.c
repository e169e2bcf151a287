// SPDX-License-Identifier: GPL-2.0
/*
 * Two network interfaces on one hub, each in a network namespace, so that what
 * one sends to the other goes through both. e1000e stays in the first namespace;
 * virtio-net is moved to `far`, which lives as long as this program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices.h"

#define PORT	7777
#define CHUNK	8192

static int near, far;

struct net {
	int listener, client;
	pthread_t server;
	char *out, *in;
};

void net_init(void)
{
	near = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (near < 0 || unshare(CLONE_NEWNET))
		die("no network namespace: %s", strerror(errno));
	far = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (far < 0 || setns(near, CLONE_NEWNET))
		die("no second network namespace: %s", strerror(errno));
}

static bool is_far(const struct device *dev)
{
	return strcmp(dev->name, "e1000e");
}

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET))
		die("setns: %s", strerror(errno));
}

/* The interface of a device in the first namespace; sysfs shows no other. */
static bool interface_of(const struct device *dev, char *name)
{
	char path[512], target[512], part[32];
	struct dirent *entry;
	bool found = false;
	ssize_t len;
	DIR *dir;

	snprintf(part, sizeof(part), "/%s/", dev->bdf);
	dir = opendir("/sys/class/net");
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/net/%s", entry->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = 0;
		if (!strstr(target, part))
			continue;
		snprintf(name, IFNAMSIZ, "%.15s", entry->d_name);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

static void move_far(const char *name)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
		struct rtattr attr;
		int value;
	} request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_NEWLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_index = if_nametoindex(name) },
		.attr = { .rta_len = RTA_LENGTH(sizeof(int)), .rta_type = IFLA_NET_NS_FD },
		.value = far,
	};
	struct { struct nlmsghdr head; struct nlmsgerr err; char rest[512]; } answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0 ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		die("netlink: %s", strerror(errno));
	if (answer.err.error)
		die("%s does not move: %s", name, strerror(-answer.err.error));
	close(fd);
}

static struct sockaddr_in address(bool is_far)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	addr.sin_addr.s_addr = htonl(is_far ? 0x0a000002 : 0x0a000001);
	return addr;
}

static void configure(const char *name, bool is_far)
{
	struct sockaddr_in addr = address(is_far);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };

	addr.sin_port = 0;
	snprintf(req.ifr_name, IFNAMSIZ, "%s", name);
	memcpy(&req.ifr_addr, &addr, sizeof(addr));
	if (fd < 0 || ioctl(fd, SIOCSIFADDR, &req))
		die("%s gets no address: %s", name, strerror(errno));
	addr.sin_addr.s_addr = htonl(0xffffff00);
	memcpy(&req.ifr_netmask, &addr, sizeof(addr));
	if (ioctl(fd, SIOCSIFNETMASK, &req))
		die("%s gets no netmask: %s", name, strerror(errno));
	req.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &req))
		die("%s does not go up: %s", name, strerror(errno));
	close(fd);
}

/* Does an interface of this namespace have the address and run? */
static bool is_up(bool is_far)
{
	struct sockaddr_in want = address(is_far);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *list = if_nameindex();
	bool up = false;

	for (struct if_nameindex *i = list; i && i->if_index && !up; i++) {
		struct ifreq req = { 0 };

		snprintf(req.ifr_name, IFNAMSIZ, "%s", i->if_name);
		if (ioctl(fd, SIOCGIFADDR, &req) ||
		    ((struct sockaddr_in *)&req.ifr_addr)->sin_addr.s_addr != want.sin_addr.s_addr)
			continue;
		up = !ioctl(fd, SIOCGIFFLAGS, &req) && (req.ifr_flags & IFF_RUNNING);
	}
	if_freenameindex(list);
	close(fd);
	return up;
}

/* Gives the interface its place and address, if it has just come. */
bool net_usable(const struct device *dev)
{
	bool there = is_far(dev), up;
	char name[IFNAMSIZ];

	enter(there ? far : near);
	up = is_up(there);
	enter(near);
	if (up)
		return true;
	if (!interface_of(dev, name))
		return false;
	if (!there) {
		configure(name, false);
		return is_up(false);
	}
	move_far(name);
	enter(far);
	configure(name, true);
	up = is_up(true);
	enter(near);
	return up;
}

/* All of it, or -errno. 0 bytes where the other side has closed. */
static int transfer(int fd, bool out, void *buf, size_t size)
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

/* Gets chunks, and sends each back with all bits turned. */
static void *serve(void *data)
{
	struct net *net = data;
	char *buf = malloc(CHUNK);
	int fd;

	fd = accept(net->listener, NULL, NULL);
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

struct net *net_open(void)
{
	struct net *net = calloc(1, sizeof(*net));
	struct sockaddr_in addr = address(true);
	int one = 1, ret = -1;

	net->out = malloc(CHUNK);
	net->in = malloc(CHUNK);
	enter(far);
	net->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	enter(near);
	setsockopt(net->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (net->listener < 0 || bind(net->listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(net->listener, 1))
		die("nobody can listen: %s", strerror(errno));
	if (pthread_create(&net->server, NULL, serve, net))
		die("no thread");
	net->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (net->client >= 0) {
		struct timeval bound = { .tv_sec = WAIT_SECONDS };

		setsockopt(net->client, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
		setsockopt(net->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		ret = connect(net->client, (struct sockaddr *)&addr, sizeof(addr));
	}
	if (ret)
		die("no connection: %s", strerror(errno));
	return net;
}

int net_round(struct net *net, uint64_t seed)
{
	int ret;

	fill_random(net->out, CHUNK, seed);
	ret = transfer(net->client, true, net->out, CHUNK);
	if (!ret)
		ret = transfer(net->client, false, net->in, CHUNK);
	if (ret)
		return ret;
	if (spoiled("net"))
		net->in[CHUNK - 1] ^= 1;
	for (unsigned int i = 0; i < CHUNK; i++)
		if (net->in[i] != (char)~net->out[i])
			die("net: wrong content at %u", i);
	return 0;
}

void net_close(struct net *net)
{
	shutdown(net->client, SHUT_RDWR);
	close(net->client);
	pthread_join(net->server, NULL);
	close(net->listener);
	free(net->out);
	free(net->in);
	free(net);
}
