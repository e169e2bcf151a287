/* SPDX-License-Identifier: BSD-3-Clause-Clear */
/*
 * The messages that ath11k hardware raises its interrupts with
 *
 * The rings of the hardware have registers for an address and data of their
 * own: what a ring sends does not come from the MSI capability. The driver
 * therefore keeps a copy of the device's message, and derives from it what it
 * writes to each ring.
 *
 * In a guest, that is a message of the guest. If the device is assigned to it, the
 * hypervisor translates the MSI capability, but not the registers of the rings: their
 * interrupts do not arrive.
 *
 * Nothing in here needs more of the driver, so that it can be tested alone.
 */
#ifndef ATH11K_MSI_H
#define ATH11K_MSI_H

#include <linux/errno.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>

struct ath11k_msi_user {
	char *name;
	int num_vectors;
	u32 base_vector;
};

struct ath11k_msi_config {
	int total_vectors;
	int total_users;
	struct ath11k_msi_user *users;
	u16 hw_rev;
};

/**
 * struct ath11k_msi_msg - what the hardware writes to raise an interrupt
 * @addr: where to
 * @data: what
 */
struct ath11k_msi_msg {
	u64 addr;
	u32 data;
};

/**
 * struct ath11k_msi_copy - the message of vector 0, as it is now
 * @lock: protects @msg. Raw, and taken with interrupts off: the message changes
 *	  while the core holds the lock of the interrupt's descriptor
 * @msg: the message. That of vector n has the same address, and n more as data
 */
struct ath11k_msi_copy {
	raw_spinlock_t lock;
	struct ath11k_msi_msg msg;
};

static inline void ath11k_msi_copy_init(struct ath11k_msi_copy *copy)
{
	raw_spin_lock_init(&copy->lock);
	copy->msg = (struct ath11k_msi_msg) { };
}

static inline void ath11k_msi_copy_write(struct ath11k_msi_copy *copy, u32 addr_lo,
					 u32 addr_hi, u32 data)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&copy->lock, flags);
	copy->msg.addr = (u64)addr_hi << 32 | addr_lo;
	copy->msg.data = data;
	raw_spin_unlock_irqrestore(&copy->lock, flags);
}

static inline struct ath11k_msi_msg ath11k_msi_copy_read(struct ath11k_msi_copy *copy)
{
	struct ath11k_msi_msg msg;
	unsigned long flags;

	raw_spin_lock_irqsave(&copy->lock, flags);
	msg = copy->msg;
	raw_spin_unlock_irqrestore(&copy->lock, flags);

	return msg;
}

static inline const struct ath11k_msi_user *
ath11k_msi_find_user(const struct ath11k_msi_config *config, const char *name)
{
	int i;

	for (i = 0; i < config->total_users; i++) {
		if (!strcmp(name, config->users[i].name))
			return &config->users[i];
	}

	return NULL;
}

/**
 * ath11k_msi_ring_msg() - derive the message of a ring
 * @config: which vectors belong to whom
 * @user_name: whose ring it is
 * @ring: its number among those of the user. If the user has fewer vectors
 *	  than rings, they share them in turn
 * @base: the message of vector 0
 * @msg: receives the message of the ring; left alone if there is an error
 *
 * Return: 0; -EINVAL if @config has no such user or no vector for it; -ERANGE
 * if the vector is beyond those that the device has; -ENOENT if vector 0 has no
 * message, as where a hypervisor keeps it to itself.
 */
static inline int ath11k_msi_ring_msg(const struct ath11k_msi_config *config,
				      const char *user_name, u32 ring,
				      const struct ath11k_msi_msg *base,
				      struct ath11k_msi_msg *msg)
{
	const struct ath11k_msi_user *user = ath11k_msi_find_user(config, user_name);
	u32 vector;

	if (!user || user->num_vectors <= 0)
		return -EINVAL;

	vector = user->base_vector + ring % user->num_vectors;
	if (vector >= config->total_vectors)
		return -ERANGE;

	/* The hardware would write to memory instead */
	if (!base->addr)
		return -ENOENT;

	msg->addr = base->addr;
	msg->data = base->data + vector;

	return 0;
}

#endif /* ATH11K_MSI_H */
