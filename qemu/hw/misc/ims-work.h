/*
 * A bound on what devices do on behalf of one access
 *
 * The test devices access the bus when software accesses them, and what
 * they access can be another of them, which goes on from there: what comes of
 * one access could be any amount of work, with the big QEMU lock held, and
 * without the memory maps that it replaces being freed.  So all of it together
 * has a limit, which is counted in accesses to the bus.
 *
 * Protected by the big QEMU lock.
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_IMS_WORK_H
#define HW_MISC_IMS_WORK_H

/* What one access can lead to, and what a change of the memory map counts as */
#define IMS_WORK_MAX    16384
#define IMS_WORK_MAP    256

/* Nanoseconds of virtual time until what is left over goes on: others first */
#define IMS_WORK_PAUSE  (10 * SCALE_MS)

/* Around what can lead to more; nests.  The outermost one sets the limit. */
void ims_work_begin(void);
void ims_work_end(void);

/* Take @n of what is left.  False if nothing is: then it must not be done. */
bool ims_work_take(uint32_t n);

/* Is so little left that something new should better be put off? */
bool ims_work_low(void);

#endif
