/*
 * A bound on what devices do on behalf of one access: see ims-work.h
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "ims-work.h"

/* More than one slot or command needs, also if each of its accesses is a change */
#define IMS_WORK_LOW    (4 * (1 + IMS_WORK_MAP))

static uint32_t depth;
static uint32_t left;

/* Old maps are freed only when the lock is released */
static void ims_work_map_changed(MemoryListener *listener)
{
    left -= MIN(left, IMS_WORK_MAP);
}

static MemoryListener ims_work_listener = {
    .name = "ims-work",
    .commit = ims_work_map_changed,
};

void ims_work_begin(void)
{
    if (!ims_work_listener.address_space) {
        memory_listener_register(&ims_work_listener, &address_space_memory);
    }
    if (!depth++) {
        left = IMS_WORK_MAX;
    }
}

void ims_work_end(void)
{
    assert(depth);
    depth--;
}

bool ims_work_take(uint32_t n)
{
    if (!depth) {
        return true;
    }
    if (!left) {
        return false;
    }
    left -= MIN(left, n);
    return true;
}

bool ims_work_low(void)
{
    return depth && left < IMS_WORK_LOW;
}
