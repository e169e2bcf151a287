/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the MSI parts of the GICv3 ITS driver need of its core
 */
#ifndef _IRQ_GIC_V3_ITS_H
#define _IRQ_GIC_V3_ITS_H

#include <linux/msi.h>
#include <linux/sizes.h>

/* Events that a device MSI domain can reserve. The ITT has 4 to 16 bytes for each. */
#define ITS_MAX_RESERVED	SZ_16K

int its_get_device(struct irq_domain *domain, struct device *dev, u32 dev_id,
		   unsigned int nvec, unsigned int least, bool all, msi_alloc_info_t *info);
void its_put_device(msi_alloc_info_t *info);

#endif /* _IRQ_GIC_V3_ITS_H */
