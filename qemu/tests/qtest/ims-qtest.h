/*
 * What the qtests of the ims devices share
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef IMS_QTEST_H
#define IMS_QTEST_H

#include "libqtest.h"
#include "qapi/qmp/qdict.h"

/* On either side, within a minute */
static inline void wait_migrated(QTestState *qts)
{
    int i;

    for (i = 0; i < 600; i++) {
        QDict *response = qtest_qmp(qts, "{'execute': 'query-migrate'}");
        QDict *result = qdict_get_qdict(response, "return");
        g_autofree char *status =
            g_strdup(qdict_get_try_str(result, "status") ?: "");

        qobject_unref(response);
        g_assert_cmpstr(status, !=, "failed");
        if (g_str_equal(status, "completed")) {
            return;
        }
        g_usleep(100000);
    }
    g_assert_not_reached();
}

#endif
