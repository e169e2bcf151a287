/* SPDX-License-Identifier: GPL-2.0 */
/* For programs that play scenes with devices of the test driver */
#ifndef IMS_GUEST_SCENES_H
#define IMS_GUEST_SCENES_H

#include "../kselftest.h"
#include "msi_test.h"

static const char *scene;

static void result(int right, const char *what)
{
	ksft_test_result(right, "%s: %s\n", scene, what);
}

/* Whether each of the first @nr interrupts of a kind arrives when it is fired */
static int arrive(int fd, unsigned int kind, unsigned int nr)
{
	struct ims_testdev_counts before, after;

	return !mt_counts(fd, kind, 0, nr, &before, NULL) && !mt_fire_range(fd, kind, 0, nr) &&
	       !mt_settle(fd, kind) && !mt_counts(fd, kind, 0, nr, &after, NULL) &&
	       after.received == before.received + nr && !after.lost;
}

#endif /* IMS_GUEST_SCENES_H */
