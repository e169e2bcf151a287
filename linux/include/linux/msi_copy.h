/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_MSI_COPY_H
#define LINUX_MSI_COPY_H

/*
 * For drivers which copy the messages of interrupts: for the peer of a bridge, or for
 * parts of the device which send messages by themselves. Nobody else has to know what
 * the message of an interrupt is, see <linux/msi_api.h>.
 */

#include <linux/errno.h>
#include <linux/msi.h>

/**
 * struct msi_msg_notifier - Who is told when the message of an interrupt has changed
 * @changed:	Called with the Linux interrupt number and the message, which is in the
 *		store and not all zeros. Interrupts are disabled and a raw spinlock is
 *		held, which all notifiers share. So it has to be short, and to take no
 *		lock but raw spinlocks. It must do nothing to the interrupt, nor register
 *		or unregister a notifier
 * @address:	For the core: the message which was told last
 * @data:	For the core: the same
 * @told:	For the core: there was one
 */
struct msi_msg_notifier {
	void	(*changed)(struct msi_msg_notifier *notifier, unsigned int irq,
			   const struct msi_msg *msg);
	u64	address;
	u32	data;
	bool	told;
};

#ifdef CONFIG_GENERIC_MSI_IRQ
int msi_on_each_desc(struct device *dev, unsigned int id, enum msi_desc_filter filter,
		     int (*fn)(struct msi_desc *desc, void *arg), void *arg);
unsigned int msi_desc_irq(const struct msi_desc *desc);
unsigned int msi_desc_index(const struct msi_desc *desc);
int msi_get_msg(unsigned int irq, struct msi_msg *msg);
int msi_register_msg_notifier(unsigned int irq, struct msi_msg_notifier *notifier);
void msi_unregister_msg_notifier(unsigned int irq, struct msi_msg_notifier *notifier);
#else
static inline int msi_on_each_desc(struct device *dev, unsigned int id,
				   enum msi_desc_filter filter,
				   int (*fn)(struct msi_desc *desc, void *arg), void *arg)
{
	return -ENODEV;
}

static inline unsigned int msi_desc_irq(const struct msi_desc *desc)
{
	return 0;
}

static inline unsigned int msi_desc_index(const struct msi_desc *desc)
{
	return 0;
}

static inline int msi_get_msg(unsigned int irq, struct msi_msg *msg)
{
	return -EINVAL;
}

static inline int msi_register_msg_notifier(unsigned int irq,
					    struct msi_msg_notifier *notifier)
{
	return -EINVAL;
}

static inline void msi_unregister_msg_notifier(unsigned int irq,
					       struct msi_msg_notifier *notifier)
{
}
#endif

#endif /* LINUX_MSI_COPY_H */
