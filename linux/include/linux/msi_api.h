/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_MSI_API_H
#define LINUX_MSI_API_H

/*
 * What device drivers see of message signaled interrupts beyond the calls of
 * their bus.
 *
 * Words:
 *
 *   store	where one device keeps messages of one kind. Store 0 is the
 *		default store of the device, e.g. PCI MSI or PCI MSI-X
 *   index	the place of one message in its store
 *   cookie	a value that the driver hands in when it allocates an
 *		interrupt, and which only the store's implementation understands
 */

#include <linux/limits.h>
#include <linux/types.h>

struct device;

/**
 * union msi_instance_cookie - Per interrupt value for the message store
 * @value:	Plain value, e.g. a PASID
 * @ptr:	Pointer, e.g. to the queue that the interrupt belongs to
 *
 * The union is copied. What @ptr points to must stay valid until the interrupt is freed.
 */
union msi_instance_cookie {
	u64	value;
	void	*ptr;
};

/**
 * struct msi_map - Result of allocating an interrupt
 * @index:	Index of the message in its store. A negative error code if the
 *		allocation failed
 * @virq:	The Linux interrupt number. 0 if the allocation failed
 */
struct msi_map {
	int	index;
	int	virq;
};

/* Let the core choose the index of the interrupt to allocate */
#define MSI_ANY_INDEX		UINT_MAX

unsigned int msi_get_virq(struct device *dev, unsigned int index);

#endif /* LINUX_MSI_API_H */
