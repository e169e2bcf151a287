// SPDX-License-Identifier: GPL-2.0
/* Descriptors that outlive the lock: see cocci.py */

static void in_a_member(struct msi_desc *desc, struct holder *h)
{
	h->entry = desc; /* BAD: kept */
	h->table[3].entry = desc; /* BAD: kept */
}

static struct msi_desc *to_the_caller(struct device *dev)
{
	struct msi_desc *desc;

	desc = irq_get_msi_desc(first_irq(dev));
	return desc; /* BAD: returned */
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

static void a_number(struct msi_desc *desc, struct holder *h)
{
	h->irq = msi_desc_irq(desc);
}

static bool whether_there_is_one(unsigned int irq)
{
	return irq_get_msi_desc(irq);
}
