// SPDX-License-Identifier: GPL-2.0
/* Loops over descriptors, and what patch mode makes of them: see cocci.py */

static int program(struct msi_desc *desc, void *arg)
{
	return load(index_of(desc), arg);
}

static void show(struct msi_desc *desc, struct holder *h)
{
	print(h, irq_of(desc));
}

static void forget(struct msi_desc *desc)
{
	drop(index_of(desc));
}

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

static int stops_later(struct device *dev, struct holder *h)
{
	struct msi_desc *entry;
	int err;

	if (!h)
		return -EINVAL;
	msi_lock_descs(dev);
	msi_for_each_desc(entry, dev, MSI_DESC_ALL) { /* BAD: loop */
		err = program(entry, &h->table);
		if (err)
			break;
	}
	msi_unlock_descs(dev);
	return err;
}

static int stops_below_zero(struct device *dev)
{
	struct msi_desc *entry;
	int err = 0;

	/* msi_on_each_desc() would stop above zero as well */
	msi_lock_descs(dev);
	msi_for_each_desc(entry, dev, MSI_DESC_ALL) { /* BAD: loop */
		err = program(entry, NULL);
		if (err < 0)
			break;
	}
	msi_unlock_descs(dev);
	return err;
}

static int finds_nothing(struct device *dev, struct holder *h)
{
	struct msi_desc *desc;
	int ret = -ENOENT;

	/* msi_on_each_desc() would return 0 if there is no descriptor */
	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) { /* BAD: loop */
		ret = program(desc, h);
		if (ret)
			break;
	}
	msi_unlock_descs(dev);
	return ret;
}

static int stops_again(struct device *dev, struct holder *h)
{
	struct msi_desc *desc;
	int ret = 0;

	ret = load(0, h);
	/* Nobody knows what that is if there is no descriptor */
	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) { /* BAD: loop */
		ret = program(desc, h);
		if (ret)
			break;
	}
	msi_unlock_descs(dev);
	return ret;
}

static int another_argument_each_time(struct device *dev, struct holder *h)
{
	struct msi_desc *desc;
	int ret = 0, i = 0;

	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) { /* BAD: loop */
		ret = program(desc, &h->table[i++]);
		if (ret)
			break;
	}
	msi_unlock_descs(dev);

	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) /* BAD: loop */
		show(desc, holder_of(desc));
	msi_unlock_descs(dev);

	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) /* BAD: loop */
		show(desc, desc);
	msi_unlock_descs(dev);
	return ret;
}

static void goes_on_after_an_error(struct device *dev, struct holder *h)
{
	struct msi_desc *desc;

	/* msi_on_each_desc() would stop there */
	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) /* BAD: loop */
		program(desc, h);
	msi_unlock_descs(dev);

	/* It is not known what that returns */
	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) { /* BAD: loop */
		of_another_file(desc, h);
	}
	msi_unlock_descs(dev);

	msi_lock_descs(dev);
	msi_for_each_desc(desc, dev, MSI_DESC_ALL) /* BAD: loop */
		of_another_file(desc);
	msi_unlock_descs(dev);
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
