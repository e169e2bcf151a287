// SPDX-License-Identifier: GPL-2.0
/* Loops over descriptors, and what patch mode makes of them: see cocci.py */

static int stops(struct device *dev, struct holder *h)
{
	struct msi_desc *desc;
	int ret = 0;

	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ASSOCIATED) { /* BAD: loop */
		ret = program(desc, h);
		if (ret)
			break;
	}
	msi_unlock_descs(dev);
	return ret;
}

static int stops_below_zero(struct device *dev)
{
	struct msi_desc *entry;
	int err;

	msi_lock_descs(dev);
	msi_for_each_desc(entry, dev, MSI_DESC_ALL) { /* BAD: loop */
		err = program(entry, NULL);
		if (err < 0)
			break;
	}
	msi_unlock_descs(dev);
	return err;
}

static void goes_on(struct device *dev, struct holder *h)
{
	struct msi_desc *desc;

	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) /* BAD: loop */
		show(desc, h);
	msi_unlock_descs(dev);

	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_NOTASSOCIATED) { /* BAD: loop */
		forget(desc);
	}
	msi_unlock_descs(dev);
}

static void used_otherwise(struct device *dev, struct holder *h)
{
	struct msi_desc *desc;

	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) /* BAD: loop */
		show(desc, h);
	msi_unlock_descs(dev);

	desc = irq_get_msi_desc(h->irq);
	show(desc, h);
}

static int lock_of_the_caller(struct device *dev, struct holder *h)
{
	struct msi_desc *desc;
	int ret;

	/* msi_on_each_desc() would wait for the lock for ever */
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) { /* BAD: loop */
		ret = program(desc, h);
		if (ret)
			return ret;
	}
	return 0;
}

static int counts(struct device *dev)
{
	struct msi_desc *desc;
	int ret = 0;

	/* Nothing that a function for each descriptor could be made of by rule */
	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) /* BAD: loop */
		ret++;
	msi_unlock_descs(dev);
	return ret;
}

static bool is_there_one(struct device *dev)
{
	bool there;

	msi_lock_descs(dev);
	there = msi_first_desc(dev, MSI_DESC_ALL); /* BAD: search */
	msi_unlock_descs(dev);
	return there;
}

static void by_hand(struct device *dev)
{
	struct msi_desc *desc;

	msi_lock_descs(dev);
	desc = msi_first_desc(dev, MSI_DESC_ALL); /* BAD: search */
	while (desc) {
		program(desc, NULL);
		desc = msi_next_desc(dev, MSI_DESC_ALL); /* BAD: search */
	}
	msi_unlock_descs(dev);
}

static int replaced(struct device *dev, struct holder *h)
{
	return msi_on_each_desc(dev, MSI_DEFAULT_STORE, MSI_DESC_ALL, program, h);
}

static void other_loops(struct list_head *head)
{
	struct holder *h;

	list_for_each_entry(h, head, node)
		program(NULL, h);
}
