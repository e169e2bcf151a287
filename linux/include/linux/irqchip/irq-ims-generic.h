/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_IRQCHIP_IRQ_IMS_GENERIC_H
#define LINUX_IRQCHIP_IRQ_IMS_GENERIC_H

/*
 * Ready made Interrupt Message Stores for PCI devices.
 *
 * A driver describes the slots of its device and gets a store, from which it
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
 * @mask:	The bit in the control word which masks the slot
 * @pasid_enable: The bit in the control word which makes the PASID valid, with
 *		%IMS_TABLE_PASID. 0 otherwise, or if there is no such bit
 *
 * Distances and offsets are in bytes, offsets from the start of the slot. All
 * fields are little endian. They are aligned to their size, which is 32 bits
 * unless stated otherwise, and accessed as a whole.
 *
 * The other bits of the control word are read when the slot is allocated, and each
 * change of the slot writes that value back until the interrupt is freed. So none of
 * them may be a bit that the device changes and a write affects.
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
};

/**
 * struct ims_table_desc - A slot table of a device
 * @base:	First slot, aligned like the fields of a slot. The driver maps the
 *		table and must not unmap it before the store is removed
 * @nr_slots:	Number of slots in the table
 * @layout:	Layout of the slots
 * @stopped:	Optional: The driver sets it before the device is sent to D3hot while
 *		interrupts can be masked. That enters D3hot some time before it becomes
 *		known. It clears it when pci_set_power_state() has returned, or in the
 *		runtime_resume() callback if the PCI core sends the device to D3hot and
 *		back. Nobody writes slots while it is set, not even pci_restore_state().
 *		So if the device is in D0 when it is cleared, for whatever reason, then
 *		pci_ims_store_resume() has to be invoked. After it was set,
 *		synchronize_rcu() waits for the last access, but for those of a caller
 *		which allocates or frees an interrupt at the same time: The driver has
 *		to prevent that. It must stay there until the store is removed
 */
struct ims_table_desc {
	void __iomem			*base;
	unsigned int			nr_slots;
	const struct ims_table_layout	*layout;
	const bool			*stopped;
};

/**
 * struct ims_mem_desc - Slots of a device in memory
 * @nr_slots:	Number of slots which the device can have
 * @first:	Number by which the device knows the slot with index 0. The others
 *		follow
 * @layout:	Layout of the slots, without %IMS_TABLE_PASID
 * @notify:	A register of 32 bits which takes the number of a slot that was
 *		changed, and which can be read. When a read from it has returned,
 *		then the device acts on what was in the slot when the register was
 *		written. Mapped like &ims_table_desc.base
 * @stopped:	Optional: The driver sets it while the device does not know where
 *		the slots are, e.g. from before a reset until it has told the
 *		device again. Slots are changed in memory only while it is set, and
 *		pci_ims_store_resume() has to be invoked when it is cleared. After
 *		it was set, synchronize_rcu() waits for the last notification, as for
 *		&ims_table_desc.stopped. It must stay there until the store is removed
 */
struct ims_mem_desc {
	unsigned int			nr_slots;
	unsigned int			first;
	const struct ims_table_layout	*layout;
	void __iomem			*notify;
	const bool			*stopped;
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
 * @cookie:	The cookie which the interrupt was allocated with. What it points to
 *		must stay valid until the interrupt is freed
 * @token:	For the driver, to recognize the command in ims_cmd_ops::complete()
 */
struct ims_cmd {
	unsigned int			index;
	unsigned int			what;
	u64				address;
	u32				data;
	bool				masked;
	union msi_instance_cookie	cookie;
	unsigned long			token;
};

/**
 * struct ims_cmd_ops - How commands get to a device
 * @submit:	Hand a command to the device. If it changes both message and mask
 *		state, then the slot must not send while it is neither the old nor
 *		the new one. Returns 0 or an error code, and then @complete is not
 *		invoked
 * @complete:	Wait until the device has carried out the command which was
 *		submitted last. The wait has to be bounded. Returns 0 only if the
 *		slot is what the command says. It is unknown what the slot is
 *		after an error code, usually -ETIMEDOUT or -EIO
 *
 * Both are invoked in task context and can sleep. They are serialized for one
 * store, but not for several ones. They must neither take a lock which is held
 * while an interrupt of the store is requested, freed, enabled or disabled, nor
 * do one of these. The command is gone when @complete returns.
 *
 * When the driver has suspended the store with pci_ims_store_suspend() then they are
 * not invoked before it invokes pci_ims_store_resume().
 */
struct ims_cmd_ops {
	int	(*submit)(void *priv, struct ims_cmd *cmd);
	int	(*complete)(void *priv, struct ims_cmd *cmd);
};

/**
 * struct ims_cmd_desc - Slots of a device which are changed by commands
 * @nr_slots:	Number of slots which the device has
 * @ops:	How commands get to the device. Must stay valid until the store is
 *		removed, along with everything they use
 * @priv:	For @ops
 */
struct ims_cmd_desc {
	unsigned int			nr_slots;
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
