// SPDX-License-Identifier: GPL-2.0
/*
 * A machine that has no MSI domain at all: MSI, MSI-X and each kind of store end with an
 * error, again and again, and the kernel has nothing to say about it.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "../kselftest.h"
#include "msi_test.h"

#define ROUNDS	2

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
	ksft_print_header();
	ksft_set_plan(ROUNDS * count + 2);
	ksft_test_result(kmsg >= 0 && !mt_info(fd, &info), "there are a device and a log\n");
	noise[3] = info.name;
	for (i = 0; i < ROUNDS * count; i++) {
		const unsigned int kind = rows[i % count].kind;

		ret = rows[i % count].is_store ? mt_store_create(fd, kind, 0, 4) :
						 mt_vectors_enable(fd, kind, 4);
		snprintf(what, sizeof(what), "%s: error %d", rows[i % count].name, ret);
		ksft_test_result(ret == -ENODEV, "%s\n", what);
	}
	ksft_test_result(!mt_kmsg_read_any(kmsg, noise, line, sizeof(line)), "the log is quiet\n");
	if (line[0])
		printf("# %s\n", line);
	close(fd);
	ksft_finished();
}
