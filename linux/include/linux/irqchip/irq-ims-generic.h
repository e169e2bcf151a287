/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_IRQCHIP_IRQ_IMS_GENERIC_H
#define LINUX_IRQCHIP_IRQ_IMS_GENERIC_H

/*
 * Ready made Interrupt Message Stores for PCI devices.
 *
 * A driver describes the slots of its device to create a store, from which it
 * allocates interrupts with pci_ims_store_alloc_irq(), see drivers/pci/msi/api.c. The
 * kinds differ in the place where the device keeps its messages:
 *
 *   table	an array of slots in MMIO space
 *   memory	slots in memory, which the device reads by DMA
 *   command	slots inside of the device, which are changed by commands
 */

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/msi_api.h>
#include <linux/types.h>

struct pci_dev;

/* The address is one field of 64 bits, rather than two of 32 bits */
#define IMS_TABLE_ADDR_64	BIT(0)
/* The slot is masked while the mask bit is clear, rather than while it is set */
#define IMS_TABLE_MASK_CLEAR	BIT(1)
/* The data is written before the address, rather than after it */
#define IMS_TABLE_DATA_FIRST	BIT(2)
/* The control word has a PASID, which is the cookie of the interrupt */
#define IMS_TABLE_PASID		BIT(3)

/* A PASID has 20 bits, PCIe r6.0, sec 6.20 */
#define IMS_PASID_BITS		20

/**
 * struct ims_table_layout - Layout of the slots of a table or in memory
 * @stride:	Distance between two slots of a table, or size of a slot in memory
 * @addr_lo:	Offset of the low 32 bits of the message address, or of all of it
 *		with %IMS_TABLE_ADDR_64
 * @addr_hi:	Offset of the high 32 bits of the message address. 0 with
 *		%IMS_TABLE_ADDR_64
 * @data:	Offset of the message data
 * @ctrl:	Offset of the control word
 * @flags:	IMS_TABLE_* flags
 * @pasid_shift: Lowest bit of the PASID in the control word, with
 *		%IMS_TABLE_PASID. 0 otherwise
 * @mask:	The bit in the control word that masks the slot
 * @pasid_enable: The bit in the control word that makes the PASID valid, with
 *		%IMS_TABLE_PASID. 0 otherwise, or if there is no such bit
 * @live:	Bits of the control word of a table that both the device and a write change.
 *		They are read before each write, and written back
 * @w1c:	Bits of the control word of a table that a write of 1 clears. They are
 *		written as 0
 * @pending:	Those of @live or @w1c that say that the slot has an event to send. They are
 *		cleared when the slot is allocated, so that its owner never sees an
 *		event of the previous one
 *
 * Distances and offsets are in bytes, offsets from the start of the slot. All
 * fields are little endian. They are aligned to their size, which is 32 bits
 * unless stated otherwise, and accessed as a whole.
 *
 * The other bits of the control word are read when the slot is allocated, and each
 * change of the slot writes that value back until the interrupt is freed.
 *
 * A device that sets a bit of @live between the read and the write loses it. With a
 * pending bit in @live, each change of a slot can lose an event that comes in meanwhile. A
 * bit that a write of 1 clears, or that a write does not change, has no such gap.
 */
struct ims_table_layout {
	u16	stride;
	u16	addr_lo;
	u16	addr_hi;
	u16	data;
	u16	ctrl;
	u8	flags;
	u8	pasid_shift;
	u32	mask;
	u32	pasid_enable;
	u32	live;
	u32	w1c;
	u32	pending;
};

/**
 * struct ims_table_desc - A slot table of a device
 * @base:	First slot, aligned like the fields of a slot. The driver maps the
 *		table and must not unmap it before the store is removed
 * @length:	Length of the mapping from @base on, in bytes
 * @nr_slots:	Number of slots in the table
 * @layout:	Layout of the slots
 */
struct ims_table_desc {
	void __iomem			*base;
	size_t				length;
	unsigned int			nr_slots;
	const struct ims_table_layout	*layout;
};

/**
 * struct ims_mem_desc - Slots of a device in memory
 * @base:	Slot with index 0, in coherent memory that the driver keeps until the store
 *		is removed. The others follow at a distance of &ims_table_layout.stride.
 *		NULL if the cookie of each interrupt is the address of its slot
 * @length:	Length of the memory from @base on, in bytes. 0 without @base
 * @nr_slots:	Number of slots that the device can have
 * @first:	Number by which the device knows the slot with index 0. The others
 *		follow
 * @layout:	Layout of the slots. %IMS_TABLE_PASID requires @base, as there is one cookie.
 *		The device only reads slots in memory: It has no bits that it changes
 * @notify:	A register of 32 bits that takes the number of a slot that was
 *		changed, and which can be read. When a read from it has returned,
 *		then the device acts on what was in the slot when the register was
 *		written. Mapped like &ims_table_desc.base
 */
struct ims_mem_desc {
	void				*base;
	size_t				length;
	unsigned int			nr_slots;
	unsigned int			first;
	const struct ims_table_layout	*layout;
	void __iomem			*notify;
};

/* What a command has to change */
#define IMS_CMD_MSG		BIT(0)
#define IMS_CMD_MASK		BIT(1)

/**
 * struct ims_cmd - A change of a slot
 * @index:	Index of the slot
 * @what:	%IMS_CMD_MSG, %IMS_CMD_MASK or both. The members below are always
 *		what the slot has to be afterwards
 * @address:	Address of the message
 * @data:	Data of the message. If @address and @data are both 0 then the slot has
 *		no message, and must not send
 * @masked:	Whether the slot is masked
 * @has_cookie:	The interrupt has a cookie
 * @cookie:	The cookie, 0 without one. If both message and mask are changed then it can be
 *		a new one, see ims_cmd_ops::set_cookie(). What it points to must stay valid
 *		until the interrupt is freed
 * @token:	For the driver, to recognize the command in ims_cmd_ops::complete()
 */
struct ims_cmd {
	unsigned int			index;
	unsigned int			what;
	u64				address;
	u32				data;
	bool				masked;
	bool				has_cookie;
	union msi_instance_cookie	cookie;
	unsigned long			token;
};

/**
 * struct ims_cmd_ops - How commands get to a device
 * @submit:	Hand a command to the device. If it changes both message and mask
 *		state, then the slot must not send while it is neither the old nor
 *		the new one. Returns 0 or an error code, and then @complete is not
 *		invoked. -EAGAIN if there is no room for one more command: it is
 *		submitted again when an earlier one of the store was completed. If there is
 *		none then this is an error like another
 * @complete:	Wait until the device has carried out the command, which of all that are not
 *		completed was submitted first. The wait has to be bounded. Returns 0
 *		only if the slot is what the command says. It is unknown what the slot
 *		is after an error code, usually -ETIMEDOUT or -EIO
 * @set_cookie:	Optional. Check whether the slot @index can have another cookie while it has
 *		an interrupt, NULL for none. Returns 0 if the device can be told of it with
 *		the next command, or an error code. Must not access the device, as the store
 *		can be suspended. If the device fails, it is invoked again with the old
 *		cookie, which it must accept
 *
 * They are invoked in task context and can sleep. They are serialized for one
 * store, but not for several ones. They must neither take a lock that is held
 * while an interrupt of the store is requested, freed, enabled or disabled, nor
 * do one of these. A command ends when @complete returns. After the device was removed
 * @complete is not invoked any more: do not keep a pointer to the command, and release what
 * @submit has taken for it after pci_remove_ims_store().
 *
 * When the driver has suspended the store with pci_ims_store_suspend() then @submit and
 * @complete are not invoked before it invokes pci_ims_store_resume(). The suspension waits
 * for all commands that were submitted, so @complete has to give up in an error state. That
 * lasts until the resume() callback of the error recovery, which can resume the store.
 */
struct ims_cmd_ops {
	int	(*submit)(void *priv, struct ims_cmd *cmd);
	int	(*complete)(void *priv, struct ims_cmd *cmd);
	int	(*set_cookie)(void *priv, unsigned int index,
			      const union msi_instance_cookie *cookie);
};

#define IMS_CMD_MAX_DEPTH	4096U

/**
 * struct ims_cmd_desc - Slots of a device that are changed by commands
 * @nr_slots:	Number of slots that the device has
 * @depth:	How many commands can be submitted before the first one is completed. 0 is the
 *		same as 1. More than %IMS_CMD_MAX_DEPTH are never submitted
 * @ops:	How commands get to the device. Must stay valid until the store is
 *		removed, along with everything they use
 * @priv:	For @ops
 */
struct ims_cmd_desc {
	unsigned int			nr_slots;
	unsigned int			depth;
	const struct ims_cmd_ops	*ops;
	void				*priv;
};

#if IS_ENABLED(CONFIG_IRQ_IMS_GENERIC)
int pci_create_ims_table_store(struct pci_dev *pdev, const struct ims_table_desc *desc);
int pci_create_ims_mem_store(struct pci_dev *pdev, const struct ims_mem_desc *desc);
int pci_create_ims_cmd_store(struct pci_dev *pdev, const struct ims_cmd_desc *desc);
#else
static inline int
pci_create_ims_table_store(struct pci_dev *pdev, const struct ims_table_desc *desc)
{
	return -ENODEV;
}

static inline int
pci_create_ims_mem_store(struct pci_dev *pdev, const struct ims_mem_desc *desc)
{
	return -ENODEV;
}

static inline int
pci_create_ims_cmd_store(struct pci_dev *pdev, const struct ims_cmd_desc *desc)
{
	return -ENODEV;
}
#endif

#endif /* LINUX_IRQCHIP_IRQ_IMS_GENERIC_H */
