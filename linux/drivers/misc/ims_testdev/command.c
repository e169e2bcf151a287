// SPDX-License-Identifier: GPL-2.0
/* The command ring of ims-testdev */
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/iopoll.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/msi_api.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/wait.h>

#include "ims_td.h"

/* What the driver writes to the status of a command that the device dropped */
#define IMS_TD_CMD_DROPPED	U32_MAX

static __le32 *ims_td_ring_word(struct ims_td_ring *ring, unsigned int nr, unsigned int offset)
{
	return ring->cmds + nr * IMS_TD_CMD_SIZE + offset;
}

static void ims_td_ring_put(struct ims_td_ring *ring, unsigned int nr, unsigned int offset,
			    u32 value)
{
	WRITE_ONCE(*ims_td_ring_word(ring, nr, offset), cpu_to_le32(value));
}

static u32 ims_td_ring_status(struct ims_td_ring *ring, unsigned int nr)
{
	return le32_to_cpu(READ_ONCE(*ims_td_ring_word(ring, nr, IMS_TD_CMD_STATUS)));
}

/* Whether the entry at the tail can be used, and the ring isn't full then */
static bool ims_td_ring_has_room(struct ims_td_ring *ring)
{
	unsigned int tail = READ_ONCE(ring->tail);

	return !test_bit(tail, ring->busy) &&
	       !test_bit((tail + 1) % IMS_TD_RING_ENTRIES, ring->busy);
}

static void ims_td_ring_stop_locked(struct ims_testdev *td)
{
	struct ims_td_ring *ring = &td->ring;
	unsigned int nr;

	lockdep_assert_held(&ring->lock);

	ring->running = false;
	ims_td_write(td, IMS_TD_REG_CMD_CTRL, 0);
	/* When this has returned, then no status is under way. */
	ims_td_read(td, IMS_TD_REG_CMD_CTRL);

	for_each_set_bit(nr, ring->busy, IMS_TD_RING_ENTRIES) {
		if (!ims_td_ring_status(ring, nr))
			ims_td_ring_put(ring, nr, IMS_TD_CMD_STATUS, IMS_TD_CMD_DROPPED);
	}
}

static void ims_td_ring_start_locked(struct ims_testdev *td)
{
	struct ims_td_ring *ring = &td->ring;

	lockdep_assert_held(&ring->lock);

	ims_td_write(td, IMS_TD_REG_CMD_BASE_LO, lower_32_bits(ring->dma));
	ims_td_write(td, IMS_TD_REG_CMD_BASE_HI, upper_32_bits(ring->dma));
	ims_td_write(td, IMS_TD_REG_CMD_ENTRIES, IMS_TD_RING_ENTRIES);
	ims_td_write(td, IMS_TD_REG_CMD_CTRL, IMS_TD_CMD_CTRL_RUN);

	WRITE_ONCE(ring->tail, 0);
	/* A device that is gone would let everybody wait for nothing. */
	ring->running = ims_td_read(td, IMS_TD_REG_CMD_CTRL) == IMS_TD_CMD_CTRL_RUN;
}

void ims_td_ring_stop(struct ims_testdev *td)
{
	mutex_lock(&td->ring.lock);
	ims_td_ring_stop_locked(td);
	mutex_unlock(&td->ring.lock);
}

void ims_td_ring_start(struct ims_testdev *td)
{
	mutex_lock(&td->ring.lock);
	ims_td_ring_stop_locked(td);
	ims_td_ring_start_locked(td);
	mutex_unlock(&td->ring.lock);
}

/*
 * Wait until the tail can be used, and return with the ring locked. The store can complete
 * its own commands instead.
 */
static int ims_td_ring_lock_room(struct ims_td_ring *ring, const struct ims_td_store *store)
{
	const unsigned long timeout = msecs_to_jiffies(IMS_TESTDEV_CMD_TIMEOUT);

	for (;;) {
		mutex_lock(&ring->lock);
		if (ims_td_ring_has_room(ring))
			return 0;
		mutex_unlock(&ring->lock);

		if (store->busy)
			return -EAGAIN;
		if (!wait_event_timeout(ring->room, ims_td_ring_has_room(ring), timeout))
			return -EBUSY;
	}
}

u64 ims_td_ring_trips(struct ims_td_ring *ring)
{
	u64 trips;

	mutex_lock(&ring->lock);
	trips = ring->trips;
	mutex_unlock(&ring->lock);
	return trips;
}

static int ims_td_cmd_submit(void *priv, struct ims_cmd *cmd)
{
	struct ims_td_store *store = priv;
	struct ims_testdev *td = store->td;
	struct ims_td_ring *ring = &td->ring;
	u32 ctrl = cmd->masked ? IMS_TD_SLOT_CTRL_MASK : 0;
	unsigned int opcode, nr;
	int ret;

	/* A slot that is given back loses its PASID along with its message. */
	if (store->flags & IMS_TESTDEV_STORE_PASID && cmd->has_cookie &&
	    (cmd->address || cmd->data)) {
		if (cmd->cookie.value >> IMS_PASID_BITS)
			return -EINVAL;
		ctrl |= IMS_TD_SLOT_CTRL_PASID_EN;
		ctrl |= FIELD_PREP(IMS_TD_SLOT_CTRL_PASID, cmd->cookie.value);
	}

	/*
	 * A slot that stays unmasked gets its message in one step, and a PASID comes
	 * and goes with the message.
	 */
	if (!(cmd->what & IMS_CMD_MSG))
		opcode = IMS_TD_CMD_OP_CTRL;
	else if (cmd->what & IMS_CMD_MASK || !cmd->masked ||
		 store->flags & IMS_TESTDEV_STORE_PASID)
		opcode = IMS_TD_CMD_OP_SET;
	else
		opcode = IMS_TD_CMD_OP_MSG;

	ret = ims_td_ring_lock_room(ring, store);
	if (ret)
		return ret;
	if (!ring->running) {
		ret = -EIO;
		goto unlock;
	}

	nr = ring->tail;
	ims_td_ring_put(ring, nr, IMS_TD_CMD_OPCODE, opcode);
	ims_td_ring_put(ring, nr, IMS_TD_CMD_SLOT, store->first + cmd->index);
	ims_td_ring_put(ring, nr, IMS_TD_CMD_ADDR_LO, lower_32_bits(cmd->address));
	ims_td_ring_put(ring, nr, IMS_TD_CMD_ADDR_HI, upper_32_bits(cmd->address));
	ims_td_ring_put(ring, nr, IMS_TD_CMD_DATA, cmd->data);
	ims_td_ring_put(ring, nr, IMS_TD_CMD_CTRL_WORD, ctrl);
	ims_td_ring_put(ring, nr, IMS_TD_CMD_STATUS, 0);

	set_bit(nr, ring->busy);
	WRITE_ONCE(ring->tail, (nr + 1) % IMS_TD_RING_ENTRIES);
	/* Does not pass the writes to the entry. */
	ims_td_write(td, IMS_TD_REG_CMD_TAIL, ring->tail);
	cmd->token = nr;
	ring->trip[nr] = ring->trips + 1;
	store->busy++;
unlock:
	mutex_unlock(&ring->lock);
	return ret;
}

static int ims_td_cmd_complete(void *priv, struct ims_cmd *cmd)
{
	struct ims_td_store *store = priv;
	struct ims_testdev *td = store->td;
	struct ims_td_ring *ring = &td->ring;
	unsigned int nr = cmd->token;
	u32 status;
	int ret;

	ret = read_poll_timeout(ims_td_ring_status, status,
				status || pci_channel_offline(td->pdev), 50,
				IMS_TESTDEV_CMD_TIMEOUT * USEC_PER_MSEC, false, ring, nr);

	mutex_lock(&ring->lock);
	status = ims_td_ring_status(ring, nr);
	if (!status && ret) {
		/* Nothing comes after it any more, so that others wait in vain, too. */
		ims_td_ring_stop_locked(td);
		ims_td_ring_start_locked(td);
		status = ims_td_ring_status(ring, nr);
	}
	clear_bit(nr, ring->busy);
	ring->trips = max(ring->trips, ring->trip[nr]);
	mutex_unlock(&ring->lock);
	wake_up_all(&ring->room);
	store->busy--;

	switch (status) {
	case IMS_TD_CMD_OK:
		return 0;
	case IMS_TD_CMD_BAD:
		return -EINVAL;
	case IMS_TD_CMD_DROPPED:
		return ret ?: -EIO;
	default:
		return -EIO;
	}
}

static int ims_td_cmd_set_cookie(void *priv, unsigned int index,
				 const union msi_instance_cookie *cookie)
{
	struct ims_td_store *store = priv;

	if (!(store->flags & IMS_TESTDEV_STORE_PASID))
		return -EOPNOTSUPP;
	return cookie && cookie->value >> IMS_PASID_BITS ? -EINVAL : 0;
}

const struct ims_cmd_ops ims_td_cmd_ops = {
	.submit		= ims_td_cmd_submit,
	.complete	= ims_td_cmd_complete,
	.set_cookie	= ims_td_cmd_set_cookie,
};

const struct ims_cmd_ops ims_td_half_cmd_ops = {
	.submit		= ims_td_cmd_submit,
};
