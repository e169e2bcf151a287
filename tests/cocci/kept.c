// SPDX-License-Identifier: GPL-2.0
/* Descriptors that outlive the lock: see cocci.py */

static struct msi_desc *last;

static void in_a_member(struct msi_desc *desc, struct holder *h)
{
	h->entry = desc; /* BAD: kept */
	h->table[3].entry = desc; /* BAD: kept */
}

static void without_a_variable(struct holder *h, struct device *dev)
{
	h->entry = irq_get_msi_desc(h->irq); /* BAD: kept */
	h->table[3].entry = irq_data_get_msi_desc(h->data); /* BAD: kept */
	h->entry = msi_first_desc(dev, MSI_DESC_ALL); /* BAD: kept, search */
}

static void elsewhere(struct msi_desc *desc, struct holder *h, struct msi_desc **out)
{
	h->entries[h->count++] = desc; /* BAD: kept */
	h->entries[0] = irq_get_msi_desc(h->irq); /* BAD: kept */
	*out = desc; /* BAD: kept */
	*out = irq_get_msi_desc(h->irq); /* BAD: kept */
	last = desc; /* BAD: kept */
	last = irq_get_msi_desc(h->irq); /* BAD: kept */
}

static int by_a_call(struct msi_desc *desc, struct holder *h)
{
	int ret;

	irq_set_handler_data(h->irq, desc); /* BAD: kept */
	dev_set_drvdata(h->dev, irq_get_msi_desc(h->irq)); /* BAD: kept */
	WRITE_ONCE(h->entry, desc); /* BAD: kept */
	rcu_assign_pointer(h->entry, desc); /* BAD: kept */
	smp_store_release(&h->entry, irq_get_msi_desc(h->irq)); /* BAD: kept */
	ret = xa_err(xa_store(&h->xa, 0, desc, GFP_KERNEL)); /* BAD: kept */
	if (ret)
		return ret;
	return request_irq(h->irq, handler, 0, "holder", desc); /* BAD: kept */
}

static struct msi_desc *to_the_caller(struct device *dev)
{
	struct msi_desc *desc;

	desc = irq_get_msi_desc(first_irq(dev));
	return desc; /* BAD: returned */
}

static struct msi_desc *at_once(struct holder *h)
{
	if (!h)
		return NULL;
	return irq_get_msi_desc(h->irq); /* BAD: returned */
}

static void after_the_lock(struct device *dev, unsigned int irq)
{
	struct msi_desc *desc;

	msi_lock_descs(dev);
	desc = irq_get_msi_desc(irq);
	msi_unlock_descs(dev);
	use(desc); /* BAD: used */
}

static void below_the_lock(struct device *dev, unsigned int irq)
{
	struct msi_desc *desc;

	msi_lock_descs(dev);
	desc = irq_get_msi_desc(irq);
	use(desc);
	msi_unlock_descs(dev);

	msi_lock_descs(dev);
	desc = irq_get_msi_desc(irq);
	use(desc);
	msi_unlock_descs(dev);
}

static int a_number(struct msi_desc *desc, struct holder *h)
{
	h->irq = irq_of(desc);
	h->table[index_of(desc)].irq = irq_of(irq_get_msi_desc(h->irq));
	return request_irq(irq_of(desc), handler, 0, "holder", h);
}

static bool whether_there_is_one(unsigned int irq)
{
	return irq_get_msi_desc(irq);
}
