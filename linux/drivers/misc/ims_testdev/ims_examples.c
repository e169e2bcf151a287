// SPDX-License-Identifier: GPL-2.0
/*
 * How drivers of three kinds of devices use an Interrupt Message Store
 *
 * Documentation/core-api/msi-ims.rst explains them, and includes the parts between the
 * marks. So that they run, and not only compile, they drive ims-testdev: a slot of the
 * device stands for a queue. A driver is bound by driver_override. Its probe() does what
 * the driver of a real device does over time, and fails if an interrupt does not arrive.
 *
 * tools/testing/selftests/msi/ims_examples.c binds them.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "ims_testdev_regs.h"

/* How long an interrupt may take, in ms. A bound, not a limit to meet */
#define EXAMPLE_WAIT	10000

#define EXAMPLE_QUEUES	8

struct example_queue {
	struct completion	event;
	struct msi_map		map;
};

struct example {
	struct pci_dev		*pdev;
	void __iomem		*regs;
	void __iomem		*table;
	void			*mem;
	dma_addr_t		dma;
	unsigned int		tail;
	int			store;
	unsigned int		nr_queues;
	struct example_queue	queues[EXAMPLE_QUEUES];
	struct msi_map		maps[EXAMPLE_QUEUES];
	unsigned int		*cpu_queue;
};

static irqreturn_t example_interrupt(int irq, void *data)
{
	struct example_queue *queue = data;

	complete(&queue->event);
	return IRQ_HANDLED;
}

/* [begin: accel] */
/* An accelerator: a slot in a BAR for each work queue, which a process gets by its PASID */
static const struct ims_table_layout accel_layout = {
	.stride		= 16,
	.addr_lo	= 0,
	.addr_hi	= 4,
	.data		= 8,
	.ctrl		= 12,
	.mask		= BIT(0),
	.flags		= IMS_TABLE_PASID,
	.pasid_shift	= 12,
	.pasid_enable	= BIT(3),
};

static int accel_create_store(struct example *ex)
{
	const struct ims_table_desc desc = {
		.base		= ex->table,
		.length		= EXAMPLE_QUEUES * 16,
		.nr_slots	= EXAMPLE_QUEUES,
		.layout		= &accel_layout,
	};

	ex->store = pci_create_ims_table_store(ex->pdev, &desc);
	return min(ex->store, 0);
}

/* The kernel's own work has no PASID, and so its queue has no cookie */
static int accel_start_queue(struct example *ex, struct example_queue *queue)
{
	int ret;

	queue->map = pci_ims_store_alloc_irq(ex->pdev, ex->store, MSI_ANY_INDEX, NULL, NULL);
	if (queue->map.index < 0)
		return queue->map.index;

	ret = request_irq(queue->map.virq, example_interrupt, 0, "accel", queue);
	if (ret)
		pci_ims_store_free_irq(ex->pdev, ex->store, queue->map);
	return ret;
}

static void accel_stop_queue(struct example *ex, struct example_queue *queue)
{
	free_irq(queue->map.virq, queue);
	pci_ims_store_free_irq(ex->pdev, ex->store, queue->map);
}

/* A process, or a guest, gets the queue while its interrupt exists */
static int accel_bind(struct example *ex, struct example_queue *queue, u32 pasid)
{
	const union msi_instance_cookie cookie = { .value = pasid };

	return pci_ims_store_set_cookie(ex->pdev, ex->store, queue->map, &cookie);
}

static int accel_unbind(struct example *ex, struct example_queue *queue)
{
	return pci_ims_store_set_cookie(ex->pdev, ex->store, queue->map, NULL);
}

/* [end: accel] */

/* [begin: nic] */
/*
 * A network controller: the message is in the context of a completion queue, which commands
 * to the firmware change. The cookie is the number of the queue.
 */
#define NIC_DEPTH	16

static __le32 *nic_cmd(struct example *ex, unsigned int nr)
{
	return ex->mem + nr * IMS_TD_CMD_SIZE;
}

static int nic_submit(void *priv, struct ims_cmd *cmd)
{
	struct example *ex = priv;
	unsigned int next = (ex->tail + 1) % (2 * NIC_DEPTH);
	__le32 *words = nic_cmd(ex, ex->tail);

	/* Commands that have timed out are still there */
	if (next == readl(ex->regs + IMS_TD_REG_CMD_HEAD))
		return -EAGAIN;

	words[0] = cpu_to_le32(IMS_TD_CMD_OP_SET);
	words[1] = cpu_to_le32(cmd->cookie.value);
	words[2] = cpu_to_le32(lower_32_bits(cmd->address));
	words[3] = cpu_to_le32(upper_32_bits(cmd->address));
	words[4] = cpu_to_le32(cmd->data);
	words[5] = cpu_to_le32(cmd->masked ? IMS_TD_SLOT_CTRL_MASK : 0);
	WRITE_ONCE(words[6], 0);

	cmd->token = ex->tail;
	ex->tail = next;
	writel(ex->tail, ex->regs + IMS_TD_REG_CMD_TAIL);
	return 0;
}

static u32 nic_status(struct example *ex, unsigned int nr)
{
	return le32_to_cpu(READ_ONCE(nic_cmd(ex, nr)[6]));
}

static int nic_complete(void *priv, struct ims_cmd *cmd)
{
	struct example *ex = priv;
	u32 status;
	int ret;

	ret = read_poll_timeout(nic_status, status, status || pci_channel_offline(ex->pdev),
				50, USEC_PER_SEC, false, ex, cmd->token);
	return ret ?: status == IMS_TD_CMD_OK ? 0 : -EIO;
}

static const struct ims_cmd_ops nic_cmd_ops = {
	.submit		= nic_submit,
	.complete	= nic_complete,
};

/* Up to NIC_DEPTH commands are under way. That leaves half of the ring to those that time out */
static int nic_start_queues(struct example *ex)
{
	const struct ims_cmd_desc desc = {
		.nr_slots = EXAMPLE_QUEUES, .depth = NIC_DEPTH, .ops = &nic_cmd_ops, .priv = ex,
	};
	union msi_instance_cookie cookies[EXAMPLE_QUEUES];
	struct irq_affinity affd = { };
	unsigned int i;
	int ret;

	ex->store = pci_create_ims_cmd_store(ex->pdev, &desc);
	if (ex->store < 0)
		return ex->store;
	for (i = 0; i < EXAMPLE_QUEUES; i++)
		cookies[i].value = EXAMPLE_QUEUES - 1 - i;
	ret = pci_ims_store_alloc_irqs(ex->pdev, ex->store, MSI_ANY_INDEX, 1, EXAMPLE_QUEUES,
				       &affd, cookies, ex->maps);
	ex->nr_queues = max(ret, 0);
	return min(ret, 0);
}

/* [end: nic] */

/* [begin: disk] */
/*
 * A disk: slot n is in memory and serves queue n, which serves some CPUs. The first one is
 * for administration. A queue can be handed to a guest, by the PASID of that.
 */
static const struct ims_table_layout disk_layout = {
	.stride		= 16,
	.addr_lo	= 0,
	.addr_hi	= 4,
	.data		= 8,
	.ctrl		= 12,
	.mask		= BIT(0),
	.flags		= IMS_TABLE_PASID,
	.pasid_shift	= 12,
	.pasid_enable	= BIT(3),
};

static int disk_start_queues(struct example *ex)
{
	const struct ims_mem_desc desc = {
		.base		= ex->mem,
		.length		= EXAMPLE_QUEUES * 16,
		.nr_slots	= EXAMPLE_QUEUES,
		.layout		= &disk_layout,
		.notify		= ex->regs + IMS_TD_REG_MEM_NOTIFY,
	};
	struct irq_affinity affd = { .pre_vectors = 1 };
	int ret;

	ex->store = pci_create_ims_mem_store(ex->pdev, &desc);
	if (ex->store < 0)
		return ex->store;
	ret = pci_ims_store_alloc_irqs(ex->pdev, ex->store, 0, 2, EXAMPLE_QUEUES, &affd, NULL,
				       ex->maps);
	ex->nr_queues = max(ret, 0);
	return min(ret, 0);
}

/* As a driver of blk-mq does it in its map_queues() callback */
static void disk_map_queues(struct example *ex)
{
	const struct cpumask *mask;
	unsigned int queue, cpu;

	for (queue = 1; queue < ex->nr_queues; queue++) {
		mask = pci_ims_store_get_affinity(ex->pdev, ex->store, queue);
		for_each_cpu(cpu, mask ?: cpu_possible_mask)
			ex->cpu_queue[cpu] = queue;
	}
}

/* The device forgets the slot of one queue, and others are in use */
static int disk_reset_queue(struct example *ex, unsigned int queue)
{
	int ret;

	disable_irq(ex->maps[queue].virq);
	/* Reset the queue here */
	ret = pci_ims_store_restore_irq(ex->pdev, ex->store, ex->maps[queue]);
	enable_irq(ex->maps[queue].virq);
	return ret;
}

/* Nothing is accessed in between, not even when an interrupt is masked */
static int disk_reset(struct example *ex)
{
	int ret = pci_ims_store_suspend(ex->pdev, ex->store);

	if (ret)
		return ret;
	writel(0, ex->regs + IMS_TD_REG_MEM_COUNT);
	writel(EXAMPLE_QUEUES, ex->regs + IMS_TD_REG_MEM_COUNT);
	return pci_ims_store_resume(ex->pdev, ex->store);
}

/* [end: disk] */

/* --- What runs them -------------------------------------------------------------- */

static int example_fire(struct example *ex, struct example_queue *queue, unsigned int kind,
			unsigned int slot, u32 pasid)
{
	u32 sent;

	writel(slot, ex->regs + IMS_TD_REG_FIRE_DB(kind));
	if (!wait_for_completion_timeout(&queue->event, msecs_to_jiffies(EXAMPLE_WAIT))) {
		pci_err(ex->pdev, "no interrupt from slot %u\n", slot);
		return -ETIMEDOUT;
	}

	writel(kind, ex->regs + IMS_TD_REG_SEL_KIND);
	writel(slot, ex->regs + IMS_TD_REG_SEL_SLOT);
	sent = readl(ex->regs + IMS_TD_REG_SLOT_PASID);
	if (sent != pasid) {
		pci_err(ex->pdev, "slot %u sends with PASID %#x, not %#x\n", slot, sent, pasid);
		return -EPROTO;
	}
	return 0;
}

static int accel_run(struct example *ex)
{
	struct example_queue *queue = &ex->queues[0];
	int ret;

	ret = accel_create_store(ex);
	if (ret)
		return ret;
	ret = accel_start_queue(ex, queue);
	if (ret)
		return ret;

	ret = example_fire(ex, queue, IMS_TD_KIND_TABLE, queue->map.index, 0);
	ret = ret ?: accel_bind(ex, queue, 0x12345);
	ret = ret ?: example_fire(ex, queue, IMS_TD_KIND_TABLE, queue->map.index,
				  IMS_TD_PASID_EN | 0x12345);
	ret = ret ?: accel_unbind(ex, queue);
	ret = ret ?: example_fire(ex, queue, IMS_TD_KIND_TABLE, queue->map.index, 0);
	accel_stop_queue(ex, queue);
	return ret;
}

/* The handlers of queues that were allocated at once */
static int example_request(struct example *ex)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ex->nr_queues; i++) {
		ret = request_irq(ex->maps[i].virq, example_interrupt, 0, "example",
				  &ex->queues[i]);
		if (ret)
			goto free_irqs;
	}
	return 0;

free_irqs:
	while (i--)
		free_irq(ex->maps[i].virq, &ex->queues[i]);
	return ret;
}

static void example_release(struct example *ex)
{
	unsigned int i;

	for (i = 0; i < ex->nr_queues; i++)
		free_irq(ex->maps[i].virq, &ex->queues[i]);
	pci_ims_store_free_irqs(ex->pdev, ex->store, ex->maps, ex->nr_queues);
}

static int nic_run(struct example *ex)
{
	unsigned int i;
	int ret;

	writel(lower_32_bits(ex->dma), ex->regs + IMS_TD_REG_CMD_BASE_LO);
	writel(upper_32_bits(ex->dma), ex->regs + IMS_TD_REG_CMD_BASE_HI);
	writel(2 * NIC_DEPTH, ex->regs + IMS_TD_REG_CMD_ENTRIES);
	writel(IMS_TD_CMD_CTRL_RUN, ex->regs + IMS_TD_REG_CMD_CTRL);

	ret = nic_start_queues(ex);
	if (ret)
		return ret;
	ret = example_request(ex);
	if (ret)
		return ret;
	for (i = 0; i < ex->nr_queues && !ret; i++)
		ret = example_fire(ex, &ex->queues[i], IMS_TD_KIND_CMD, EXAMPLE_QUEUES - 1 - i, 0);
	example_release(ex);
	return ret;
}

static int disk_run(struct example *ex)
{
	unsigned int i, cpu;
	int ret;

	ex->cpu_queue = devm_kcalloc(&ex->pdev->dev, nr_cpu_ids, sizeof(*ex->cpu_queue),
				     GFP_KERNEL);
	if (!ex->cpu_queue)
		return -ENOMEM;
	for (i = 0; i < EXAMPLE_QUEUES; i++)
		*(__le32 *)(ex->mem + i * 16 + 12) = cpu_to_le32(IMS_TD_SLOT_CTRL_MASK);
	writel(lower_32_bits(ex->dma), ex->regs + IMS_TD_REG_MEM_BASE_LO);
	writel(upper_32_bits(ex->dma), ex->regs + IMS_TD_REG_MEM_BASE_HI);
	writel(EXAMPLE_QUEUES, ex->regs + IMS_TD_REG_MEM_COUNT);

	ret = disk_start_queues(ex);
	if (ret)
		return ret;
	disk_map_queues(ex);
	ret = example_request(ex);
	if (ret)
		return ret;

	for_each_online_cpu(cpu) {
		i = ex->cpu_queue[cpu];
		ret = ret ?: i ? example_fire(ex, &ex->queues[i], IMS_TD_KIND_MEM, i, 0) : -ENXIO;
	}
	ret = ret ?: disk_reset_queue(ex, 1);
	ret = ret ?: example_fire(ex, &ex->queues[1], IMS_TD_KIND_MEM, 1, 0);
	ret = ret ?: accel_bind(ex, &(struct example_queue){ .map = ex->maps[1] }, 0x54321);
	ret = ret ?: disk_reset(ex);
	for (i = 0; i < ex->nr_queues && !ret; i++)
		ret = example_fire(ex, &ex->queues[i], IMS_TD_KIND_MEM, i,
				   i == 1 ? IMS_TD_PASID_EN | 0x54321 : 0);
	example_release(ex);
	return ret;
}

static void example_disable(void *pdev)
{
	pci_disable_device(pdev);
}

static int example_probe(struct pci_dev *pdev, int (*run)(struct example *ex))
{
	struct example *ex;
	unsigned int i;
	int ret;

	ex = devm_kzalloc(&pdev->dev, sizeof(*ex), GFP_KERNEL);
	if (!ex)
		return -ENOMEM;
	ex->pdev = pdev;
	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	/* A device that was enabled by pcim_enable_device() stays managed, for ims_testdev too */
	ret = devm_add_action_or_reset(&pdev->dev, example_disable, pdev);
	if (ret)
		return ret;
	ex->regs = devm_ioremap_resource(&pdev->dev, &pdev->resource[IMS_TD_BAR_REGS]);
	if (IS_ERR(ex->regs))
		return PTR_ERR(ex->regs);
	if (readl(ex->regs + IMS_TD_REG_ID) != IMS_TD_ID)
		return -ENODEV;
	ex->table = devm_ioremap_resource(&pdev->dev, &pdev->resource[IMS_TD_BAR_TABLE]);
	if (IS_ERR(ex->table))
		return PTR_ERR(ex->table);

	/* Before it can send what an earlier driver has left, see "A kernel after a crash" */
	writel(1, ex->regs + IMS_TD_REG_RESET);
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	ex->mem = dmam_alloc_coherent(&pdev->dev, PAGE_SIZE, &ex->dma, GFP_KERNEL);
	if (!ex->mem)
		return -ENOMEM;
	pci_set_master(pdev);

	for (i = 0; i < EXAMPLE_QUEUES; i++)
		init_completion(&ex->queues[i].event);
	ret = run(ex);
	if (ex->store > 0)
		pci_remove_ims_store(pdev, ex->store);
	writel(0, ex->regs + IMS_TD_REG_CMD_CTRL);
	writel(0, ex->regs + IMS_TD_REG_MEM_COUNT);
	readl(ex->regs + IMS_TD_REG_CMD_CTRL);
	return ret;
}

static int accel_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return example_probe(pdev, accel_run);
}

static int nic_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return example_probe(pdev, nic_run);
}

static int disk_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return example_probe(pdev, disk_run);
}

static struct pci_driver example_drivers[] = {
	{ .name = "ims_example_accel", .probe = accel_probe },
	{ .name = "ims_example_nic", .probe = nic_probe },
	{ .name = "ims_example_disk", .probe = disk_probe },
};

static int __init example_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(example_drivers); i++) {
		ret = pci_register_driver(&example_drivers[i]);
		if (ret)
			goto unregister;
	}
	return 0;

unregister:
	while (i--)
		pci_unregister_driver(&example_drivers[i]);
	return ret;
}
module_init(example_init);

static void __exit example_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(example_drivers); i++)
		pci_unregister_driver(&example_drivers[i]);
}
module_exit(example_exit);

MODULE_DESCRIPTION("Examples of drivers with an Interrupt Message Store, on ims-testdev");
MODULE_LICENSE("GPL");
