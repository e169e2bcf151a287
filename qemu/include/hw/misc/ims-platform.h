/*
 * ims-platform: see docs/specs/ims-platform.rst
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_IMS_PLATFORM_H
#define HW_MISC_IMS_PLATFORM_H

#define TYPE_IMS_PLATFORM           "ims-platform"
#define IMS_PLATFORM_PROP_DEVICE_ID "device-id"

#endif
