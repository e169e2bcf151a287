/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_MSI_NOTIFY_H
#define LINUX_MSI_NOTIFY_H

/*
 * For drivers that copy the messages of interrupts: for the peer of a bridge, or for
 * parts of the device that send messages by themselves. Other drivers do not need the
 * message of an interrupt, see <linux/msi_api.h>.
 */

#include <linux/errno.h>
#include <linux/msi.h>

/**
 * struct msi_msg_notifier - Callback for changes of the message of an interrupt
 * @changed:	Invoked with the Linux interrupt number and the message. The message is
 *		in the store and not all zeros. Interrupts are disabled, and a raw
 *		spinlock is held that all notifiers share. So the callback must be short,
 *		and take no locks but raw spinlocks. It must not operate on the interrupt,
 *		nor register or unregister a notifier
 * @address:	For the core: address of the message passed last
 * @data:	For the core: data of that message
 * @told:	For the core: a message has been passed
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
		     int (*fn)(struct msi_map map, void *arg), void *arg);
int msi_get_msg(unsigned int irq, struct msi_msg *msg);
int msi_register_msg_notifier(unsigned int irq, struct msi_msg_notifier *notifier);
void msi_unregister_msg_notifier(unsigned int irq, struct msi_msg_notifier *notifier);
#else
static inline int msi_on_each_desc(struct device *dev, unsigned int id,
				   enum msi_desc_filter filter,
				   int (*fn)(struct msi_map map, void *arg), void *arg)
{
	return -ENODEV;
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

#endif /* LINUX_MSI_NOTIFY_H */
