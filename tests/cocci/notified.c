// SPDX-License-Identifier: GPL-2.0
/* A notifier gets the message. A copy of another time is one of another message */

static void changed(struct msi_msg_notifier *notifier, unsigned int irq,
		    const struct msi_msg *msg)
{
	write_message(notifier, msg->address_lo, msg->data);
}

static int setup(struct holder *h)
{
	return msi_register_msg_notifier(h->irq, &h->notifier);
}

static int copies_as_well(struct holder *h)
{
	int ret;

	ret = msi_register_msg_notifier(h->irq, &h->notifier);
	if (ret)
		return ret;
	return msi_get_msg(h->irq, &h->msg); /* BAD: copy */
}

static void of_another_interrupt(struct holder *h)
{
	get_cached_msi_msg(h->other_irq, &h->msg); /* BAD: copy */
}
