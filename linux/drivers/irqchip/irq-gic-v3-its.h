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

/* The user says that messages are real, so that IMS can be carried */
extern bool gicv3_ims;

int its_get_device(struct irq_domain *domain, struct device *dev, u32 dev_id,
		   unsigned int nvec, unsigned int least, bool all, msi_alloc_info_t *info);

/* What carries MSI over its bus adds it for each ITS domain */
void its_init_msi_parent(struct irq_domain *domain, u32 carries);

/* The parts of msi_parent_ops::prepare() that depend on the bus */
int its_pci_msi_prepare(struct irq_domain *domain, struct device *dev,
			unsigned int size, msi_alloc_info_t *info);
int its_pmsi_device_prepare(struct irq_domain *domain, struct device *dev,
			    unsigned int size, msi_alloc_info_t *info);

#endif /* _IRQ_GIC_V3_ITS_H */
