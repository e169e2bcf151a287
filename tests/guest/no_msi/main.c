// SPDX-License-Identifier: GPL-2.0
/*
 * A machine that has no MSI domain at all: MSI, MSI-X and each kind of store end with an
 * error, again and again, and the kernel has nothing to say about it.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "msi_test.h"

#define ROUNDS	2

static int failed;

static void result(int right, const char *what)
{
	static unsigned int nr_test;

	printf("%sok %u %s\n", right ? "" : "not ", ++nr_test, what);
	failed |= !right;
}

int main(void)
{
	static const struct {
		const char	*name;
		unsigned int	kind;
		int		is_store;
	} rows[] = {
		{ "MSI",		IMS_TD_KIND_MSI,	0 },
		{ "MSI-X",		IMS_TD_KIND_MSIX,	0 },
		{ "table store",	IMS_TD_KIND_TABLE,	1 },
		{ "command store",	IMS_TD_KIND_CMD,	1 },
	};
	const unsigned int count = sizeof(rows) / sizeof(rows[0]);
	const char *noise[] = { "MSI", "msi", "cut here", NULL, NULL };
	int fd = mt_open(), kmsg = mt_kmsg_open(), ret;
	struct ims_testdev_info info;
	char what[64], line[512];
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%u\n", ROUNDS * count + 2);
	result(kmsg >= 0 && !mt_info(fd, &info), "there are a device and a log");
	noise[3] = info.name;
	for (i = 0; i < ROUNDS * count; i++) {
		const unsigned int kind = rows[i % count].kind;

		ret = rows[i % count].is_store ? mt_store_create(fd, kind, 0, 4) :
						 mt_vectors_enable(fd, kind, 4);
		snprintf(what, sizeof(what), "%s: error %d", rows[i % count].name, ret);
		result(ret == -ENODEV, what);
	}
	result(!mt_kmsg_read_any(kmsg, noise, line, sizeof(line)), "the log is quiet");
	if (line[0])
		printf("# %s\n", line);
	close(fd);
	return failed;
}
