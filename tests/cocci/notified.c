// SPDX-License-Identifier: GPL-2.0
/* Who is told when a message changes may copy it */

static void changed(struct msi_msg_notifier *notifier, unsigned int irq,
		    const struct msi_msg *msg)
{
	write_message(notifier, msg->address_lo, msg->data);
}

static int setup(struct holder *h)
{
	int ret;

	ret = msi_get_msg(h->irq, &h->msg);
	if (ret)
		return ret;
	return msi_register_msg_notifier(h->irq, &h->notifier);
}
