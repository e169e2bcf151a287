// SPDX-License-Identifier: GPL-2.0
/* Only the path from the top of the tree makes a parent: see cocci.py */

static unsigned int irq_of(struct msi_desc *desc)
{
	return desc->irq; /* BAD: inside */
}
