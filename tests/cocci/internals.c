// SPDX-License-Identifier: GPL-2.0
/* Members of a descriptor, and messages that are copied: see cocci.py */

struct holder {
	struct msi_desc *entry;
	struct msi_msg msg;
	u32 data;
	unsigned int irq;
};

static void by_pointer(struct msi_desc *desc, struct holder *h)
{
	h->data = desc->msg.data; /* BAD: inside */
	h->irq = desc->irq; /* BAD: inside */
	if (desc->pci.msi_attrib.is_64) /* BAD: inside */
		h->data = 0;
}

static int by_value(void)
{
	struct msi_desc desc;

	memset(&desc, 0, sizeof(desc));
	desc.nvec_used = 1; /* BAD: inside */
	return use(&desc);
}

static u32 of_an_interrupt(unsigned int irq)
{
	return irq_get_msi_desc(irq)->msg.data; /* BAD: inside */
}

static void mask(struct irq_data *data)
{
	write(irq_data_get_msi_desc(data)->msi_index); /* BAD: inside */
}

static u32 of_a_flow_handler(struct irq_desc *desc)
{
	return irq_desc_get_msi_desc(desc)->msg.data; /* BAD: inside */
}

static u32 constant(const struct msi_desc *desc)
{
	return desc->msg.data; /* BAD: inside */
}

static void copied(struct holder *h)
{
	get_cached_msi_msg(h->irq, &h->msg); /* BAD: copy */
	__get_cached_msi_msg(irq_get_msi_desc(h->irq), &h->msg); /* BAD: copy */
	msi_get_msg(h->irq, &h->msg); /* BAD: copy */
}

static int each(struct msi_map map, void *arg)
{
	struct holder *h = arg;

	/* What the API gives, and whether there is a descriptor at all */
	h->irq = map.virq;
	h->data = map.index;
	return !irq_get_msi_desc(h->irq);
}

static int another(struct ntb_msi_desc *desc, struct holder *h)
{
	/* No descriptor of the core */
	h->data = desc->data;
	return desc->addr_offset;
}

static void its_own_message(struct holder *h, struct msi_msg *msg)
{
	/* As a write_msi_msg callback gets it */
	h->data = msg->data;
	h->msg = *msg;
}
