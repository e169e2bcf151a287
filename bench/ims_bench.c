// SPDX-License-Identifier: GPL-2.0
/*
 * Counts the instructions that interrupts cost: allocation, request, masking, a new
 * affinity, delivery.
 *
 * Builds unchanged on Linux 6.1, on it with the series, and on 6.12. What a kernel
 * does not have is refused with -EOPNOTSUPP. The devices are an nvme, which needs no
 * driver to have MSI-X, and ims-testdev.
 *
 * Words:
 *
 *   cost	the difference of two reads of the CPU's counter, bench_now(). In an
 *		emulator whose time is instructions, it is their number
 *   region	what lies between the two reads. On x86 a no-op in front and one behind
 *		tell a profiler, by their bytes
 *
 * What makes a cost repeatable:
 *
 *   - Before a region everything that was freed earlier is really free.
 *   - A region starts directly after a timer tick, so that a short one has none in
 *     it and a long one always as many.
 *   - The program runs with real time priority: nobody else's work is in a region,
 *     other than that of interrupts. What the kernel puts off until after a grace
 *     period of RCU is not in it either, for no kernel.
 *
 * ims_bench::lock, a mutex, guards everything but the handler's two counters.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/jiffies.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/uaccess.h>

#if __has_include(<linux/msi_api.h>)
#include <linux/msi_api.h>
#define BENCH_HAS_DYN		1
#else
#define BENCH_HAS_DYN		0
struct msi_map {
	int	index;
	int	virq;
};
#endif

#if __has_include(<linux/irqchip/irq-ims-generic.h>) && IS_ENABLED(CONFIG_IRQ_IMS_GENERIC)
#include <linux/irqchip/irq-ims-generic.h>
#define BENCH_HAS_IMS		1
#else
#define BENCH_HAS_IMS		0
#endif

#include "arch.h"
#include "ims_bench.h"
#include "ims_testdev_regs.h"

/* A loop that waits for the device or the interrupt controller gives up after so many rounds */
#define BENCH_PATIENCE		100000

#define BENCH_MEM_SLOTS		16
#define BENCH_CMD_SLOTS		16
#define BENCH_CMD_ENTRIES	2

/**
 * struct ims_bench - All there is
 * @lock:	see above
 * @nvme:	has MSI-X vectors, or NULL
 * @testdev:	has slots of all kinds, or NULL
 * @regs:	its control registers
 * @table:	its slot table
 * @mem:	its slots in memory
 * @mem_dma:	where it finds them
 * @cmds:	its command ring
 * @cmds_dma:	where it finds that
 * @cmds_tail:	the next entry to use
 * @store:	ids of its stores by kind, or why there is none
 * @kind:	of what is allocated
 * @n:		how many are allocated
 * @requested:	how many of them are requested, the first ones
 * @maps:	room for all of them
 * @entered:	when the handler was entered last
 * @seen:	how often it ran
 */
static struct ims_bench {
	struct mutex		lock; /* all but entered and seen */
	struct pci_dev		*nvme;
	struct pci_dev		*testdev;
	void __iomem		*regs;
	void __iomem		*table;
	void			*mem;
	dma_addr_t		mem_dma;
	void			*cmds;
	dma_addr_t		cmds_dma;
	unsigned int		cmds_tail;
	int			store[IMS_BENCH_NR_KINDS];
	unsigned int		kind;
	unsigned int		n;
	unsigned int		requested;
	struct msi_map		*maps;
	u64			entered;
	unsigned int		seen;
} bench = {
	.lock = __MUTEX_INITIALIZER(bench.lock),
};

static __always_inline u64 bench_begin(void)
{
	BENCH_BEGIN();
	return bench_now();
}

static __always_inline u64 bench_end(u64 begin)
{
	u64 end = bench_now();

	BENCH_END();
	return end - begin;
}

/* Return directly after a tick and what came with it. */
static void bench_wait_for_tick(void)
{
	unsigned long now = READ_ONCE(jiffies);

	while (READ_ONCE(jiffies) == now)
		cpu_relax();
}

static void bench_settle(void)
{
	rcu_barrier();
	/* What the callbacks have left to others, which have less priority. */
	msleep(100);
	rcu_barrier();
	bench_wait_for_tick();
}

/* Kinds */

/**
 * struct bench_kind - How interrupts of a kind are allocated and freed
 * @alloc:	Allocate @op->n of them into ims_bench::maps, none on an error
 * @free:	Free ims_bench::n of them, returns what that has cost
 * @check:	Whether it can be done: 0 or why not
 */
struct bench_kind {
	int	(*alloc)(struct ims_bench_op *op);
	u64	(*free)(void);
	int	(*check)(unsigned int kind);
};

/*
 * One by one. The last one has a region of its own, and the others must not differ by
 * whether there was a tick.
 */
static __always_inline int bench_alloc_each(struct ims_bench_op *op,
					    struct msi_map (*one)(unsigned int i),
					    void (*undo)(struct msi_map map))
{
	unsigned int i;
	u64 begin;

	begin = bench_begin();
	for (i = 0; i < op->n - 1; i++) {
		bench.maps[i] = one(i);
		if (bench.maps[i].index < 0)
			break;
	}
	op->total = bench_end(begin);

	if (i == op->n - 1) {
		bench_wait_for_tick();
		begin = bench_begin();
		bench.maps[i] = one(i);
		op->last = bench_end(begin);
		op->total += op->last;
		if (bench.maps[i].index >= 0)
			return 0;
	}

	op->n = i;
	while (i)
		undo(bench.maps[--i]);
	return bench.maps[op->n].index;
}

static __always_inline u64 bench_free_each(void (*one)(struct msi_map map))
{
	unsigned int i;
	u64 begin;

	begin = bench_begin();
	for (i = 0; i < bench.n; i++)
		one(bench.maps[i]);
	return bench_end(begin);
}

static struct pci_dev *bench_pdev(unsigned int kind)
{
	return kind == IMS_BENCH_MSIX || kind == IMS_BENCH_DYN ? bench.nvme : bench.testdev;
}

static int bench_msix_check(unsigned int kind)
{
	return bench_pdev(kind) ? 0 : -ENODEV;
}

static int bench_msix_alloc_on(struct pci_dev *pdev, struct ims_bench_op *op)
{
	unsigned int i;
	u64 begin;
	int ret;

	begin = bench_begin();
	ret = pci_alloc_irq_vectors(pdev, op->n, op->n, PCI_IRQ_MSIX);
	op->total = bench_end(begin);
	if (ret < 0)
		return ret;

	for (i = 0; i < op->n; i++) {
		bench.maps[i].index = i;
		bench.maps[i].virq = pci_irq_vector(pdev, i);
	}
	return 0;
}

static u64 bench_msix_free_on(struct pci_dev *pdev)
{
	u64 begin = bench_begin();

	pci_free_irq_vectors(pdev);
	return bench_end(begin);
}

static int bench_msix_alloc(struct ims_bench_op *op)
{
	return bench_msix_alloc_on(bench.nvme, op);
}

static u64 bench_msix_free(void)
{
	return bench_msix_free_on(bench.nvme);
}

static int bench_dev_msix_alloc(struct ims_bench_op *op)
{
	return bench_msix_alloc_on(bench.testdev, op);
}

static u64 bench_dev_msix_free(void)
{
	return bench_msix_free_on(bench.testdev);
}

#if BENCH_HAS_DYN
static int bench_dyn_check(unsigned int kind)
{
	if (!bench.nvme)
		return -ENODEV;
	return pci_msix_can_alloc_dyn(bench.nvme) ? 0 : -EOPNOTSUPP;
}

static struct msi_map bench_dyn_one(unsigned int i)
{
	return pci_msix_alloc_irq_at(bench.nvme, MSI_ANY_INDEX, NULL);
}

static void bench_dyn_undo(struct msi_map map)
{
	pci_msix_free_irq(bench.nvme, map);
}

static int bench_dyn_alloc(struct ims_bench_op *op)
{
	int ret;

	ret = pci_alloc_irq_vectors(bench.nvme, 1, 1, PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;

	bench_wait_for_tick();
	ret = bench_alloc_each(op, bench_dyn_one, bench_dyn_undo);
	if (ret)
		pci_free_irq_vectors(bench.nvme);
	return ret;
}

static u64 bench_dyn_free(void)
{
	u64 total = bench_free_each(bench_dyn_undo);

	pci_free_irq_vectors(bench.nvme);
	return total;
}
#endif

#if BENCH_HAS_IMS
static int bench_ims_check(unsigned int kind)
{
	return min(bench.store[kind], 0);
}

static struct msi_map bench_table_one(unsigned int i)
{
	return pci_ims_store_alloc_irq(bench.testdev, bench.store[IMS_BENCH_TABLE],
				       MSI_ANY_INDEX, NULL, NULL);
}

static void bench_table_undo(struct msi_map map)
{
	pci_ims_store_free_irq(bench.testdev, bench.store[IMS_BENCH_TABLE], map);
}

static int bench_table_alloc(struct ims_bench_op *op)
{
	return bench_alloc_each(op, bench_table_one, bench_table_undo);
}

static u64 bench_table_free(void)
{
	return bench_free_each(bench_table_undo);
}

static int bench_batch_alloc(struct ims_bench_op *op)
{
	u64 begin;
	int ret;

	begin = bench_begin();
	ret = pci_ims_store_alloc_irqs(bench.testdev, bench.store[IMS_BENCH_BATCH], MSI_ANY_INDEX,
				       op->n, op->n, NULL, NULL, bench.maps);
	op->total = bench_end(begin);
	return min(ret, 0);
}

static u64 bench_batch_free(void)
{
	u64 begin = bench_begin();

	pci_ims_store_free_irqs(bench.testdev, bench.store[IMS_BENCH_BATCH], bench.maps, bench.n);
	return bench_end(begin);
}

static struct msi_map bench_mem_one(unsigned int i)
{
	union msi_instance_cookie cookie = { .ptr = bench.mem + i * IMS_TD_SLOT_SIZE };

	return pci_ims_store_alloc_irq(bench.testdev, bench.store[IMS_BENCH_MEM], i, &cookie, NULL);
}

static void bench_mem_undo(struct msi_map map)
{
	pci_ims_store_free_irq(bench.testdev, bench.store[IMS_BENCH_MEM], map);
}

static int bench_mem_alloc(struct ims_bench_op *op)
{
	return op->n > BENCH_MEM_SLOTS ? -ENOSPC :
		bench_alloc_each(op, bench_mem_one, bench_mem_undo);
}

static u64 bench_mem_free(void)
{
	return bench_free_each(bench_mem_undo);
}

static struct msi_map bench_cmd_one(unsigned int i)
{
	return pci_ims_store_alloc_irq(bench.testdev, bench.store[IMS_BENCH_CMD], MSI_ANY_INDEX,
				       NULL, NULL);
}

static void bench_cmd_undo(struct msi_map map)
{
	pci_ims_store_free_irq(bench.testdev, bench.store[IMS_BENCH_CMD], map);
}

static int bench_cmd_alloc(struct ims_bench_op *op)
{
	return bench_alloc_each(op, bench_cmd_one, bench_cmd_undo);
}

static u64 bench_cmd_free(void)
{
	return bench_free_each(bench_cmd_undo);
}

/* Commands are issued one at a time. */

static __le32 *bench_cmd_word(unsigned int nr, unsigned int offset)
{
	return bench.cmds + nr * IMS_TD_CMD_SIZE + offset;
}

static void bench_cmd_put(unsigned int nr, unsigned int offset, u32 value)
{
	WRITE_ONCE(*bench_cmd_word(nr, offset), cpu_to_le32(value));
}

static int bench_cmd_submit(void *priv, struct ims_cmd *cmd)
{
	unsigned int nr = bench.cmds_tail;

	bench_cmd_put(nr, IMS_TD_CMD_OPCODE,
		      cmd->what & IMS_CMD_MSG ? IMS_TD_CMD_OP_SET : IMS_TD_CMD_OP_CTRL);
	bench_cmd_put(nr, IMS_TD_CMD_SLOT, cmd->index);
	bench_cmd_put(nr, IMS_TD_CMD_ADDR_LO, lower_32_bits(cmd->address));
	bench_cmd_put(nr, IMS_TD_CMD_ADDR_HI, upper_32_bits(cmd->address));
	bench_cmd_put(nr, IMS_TD_CMD_DATA, cmd->data);
	bench_cmd_put(nr, IMS_TD_CMD_CTRL_WORD, cmd->masked ? IMS_TD_SLOT_CTRL_MASK : 0);
	bench_cmd_put(nr, IMS_TD_CMD_STATUS, 0);

	bench.cmds_tail = (nr + 1) % BENCH_CMD_ENTRIES;
	cmd->token = nr;
	writel(bench.cmds_tail, bench.regs + IMS_TD_REG_CMD_TAIL);
	return 0;
}

static int bench_cmd_complete(void *priv, struct ims_cmd *cmd)
{
	unsigned int i;
	u32 status;

	for (i = 0; i < BENCH_PATIENCE; i++) {
		status = le32_to_cpu(READ_ONCE(*bench_cmd_word(cmd->token, IMS_TD_CMD_STATUS)));
		if (status)
			return status == IMS_TD_CMD_OK ? 0 : -EIO;
		cpu_relax();
	}
	return -ETIMEDOUT;
}

static const struct ims_cmd_ops bench_cmd_ops = {
	.submit		= bench_cmd_submit,
	.complete	= bench_cmd_complete,
};

static const struct ims_table_layout bench_layout = {
	.stride		= IMS_TD_SLOT_SIZE,
	.addr_lo	= IMS_TD_SLOT_ADDR_LO,
	.addr_hi	= IMS_TD_SLOT_ADDR_HI,
	.data		= IMS_TD_SLOT_DATA,
	.ctrl		= IMS_TD_SLOT_CTRL,
	.mask		= IMS_TD_SLOT_CTRL_MASK,
};

static void bench_create_stores(struct pci_dev *pdev, unsigned int slots)
{
	const struct ims_table_desc table = {
		.base		= bench.table,
		.length		= slots * IMS_TD_SLOT_SIZE,
		.nr_slots	= slots,
		.layout		= &bench_layout,
	};
	const struct ims_mem_desc mem = {
		.nr_slots	= BENCH_MEM_SLOTS,
		.layout		= &bench_layout,
		.notify		= bench.regs + IMS_TD_REG_MEM_NOTIFY,
	};
	const struct ims_cmd_desc cmd = {
		.nr_slots	= BENCH_CMD_SLOTS,
		.ops		= &bench_cmd_ops,
	};
	unsigned int i;

	for (i = 0; i < BENCH_MEM_SLOTS; i++) {
		__le32 *ctrl = bench.mem + i * IMS_TD_SLOT_SIZE + IMS_TD_SLOT_CTRL;

		WRITE_ONCE(*ctrl, cpu_to_le32(IMS_TD_SLOT_CTRL_MASK));
	}
	writel(lower_32_bits(bench.mem_dma), bench.regs + IMS_TD_REG_MEM_BASE_LO);
	writel(upper_32_bits(bench.mem_dma), bench.regs + IMS_TD_REG_MEM_BASE_HI);
	writel(BENCH_MEM_SLOTS, bench.regs + IMS_TD_REG_MEM_COUNT);

	writel(lower_32_bits(bench.cmds_dma), bench.regs + IMS_TD_REG_CMD_BASE_LO);
	writel(upper_32_bits(bench.cmds_dma), bench.regs + IMS_TD_REG_CMD_BASE_HI);
	writel(BENCH_CMD_ENTRIES, bench.regs + IMS_TD_REG_CMD_ENTRIES);
	writel(IMS_TD_CMD_CTRL_RUN, bench.regs + IMS_TD_REG_CMD_CTRL);

	bench.store[IMS_BENCH_TABLE] = pci_create_ims_table_store(pdev, &table);
	bench.store[IMS_BENCH_BATCH] = bench.store[IMS_BENCH_TABLE];
	bench.store[IMS_BENCH_MEM] = pci_create_ims_mem_store(pdev, &mem);
	bench.store[IMS_BENCH_CMD] = pci_create_ims_cmd_store(pdev, &cmd);
}

static void bench_remove_stores(struct pci_dev *pdev)
{
	static const unsigned int kinds[] = { IMS_BENCH_CMD, IMS_BENCH_MEM, IMS_BENCH_TABLE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (bench.store[kinds[i]] > 0)
			pci_remove_ims_store(pdev, bench.store[kinds[i]]);
	}
}

#else
static void bench_create_stores(struct pci_dev *pdev, unsigned int slots)
{
}

static void bench_remove_stores(struct pci_dev *pdev)
{
}
#endif

/* What this kernel does not have is left out. */
static const struct bench_kind bench_kinds[IMS_BENCH_NR_KINDS] = {
	[IMS_BENCH_MSIX]	= { bench_msix_alloc, bench_msix_free, bench_msix_check },
	[IMS_BENCH_DEV_MSIX]	= { bench_dev_msix_alloc, bench_dev_msix_free, bench_msix_check },
#if BENCH_HAS_DYN
	[IMS_BENCH_DYN]		= { bench_dyn_alloc, bench_dyn_free, bench_dyn_check },
#endif
#if BENCH_HAS_IMS
	[IMS_BENCH_TABLE]	= { bench_table_alloc, bench_table_free, bench_ims_check },
	[IMS_BENCH_BATCH]	= { bench_batch_alloc, bench_batch_free, bench_ims_check },
	[IMS_BENCH_MEM]		= { bench_mem_alloc, bench_mem_free, bench_ims_check },
	[IMS_BENCH_CMD]		= { bench_cmd_alloc, bench_cmd_free, bench_ims_check },
#endif
};

/* What the device knows the kind as, whose interrupt is to be sent */
static int bench_fire_kind(unsigned int kind)
{
	switch (kind) {
	case IMS_BENCH_DEV_MSIX:
		return IMS_TD_KIND_MSIX;
	case IMS_BENCH_TABLE:
	case IMS_BENCH_BATCH:
		return IMS_TD_KIND_TABLE;
	case IMS_BENCH_MEM:
		return IMS_TD_KIND_MEM;
	case IMS_BENCH_CMD:
		return IMS_TD_KIND_CMD;
	default:
		return -EINVAL;
	}
}

/* Steps */

static int bench_info(struct ims_bench_op *op)
{
	if (op->kind >= IMS_BENCH_NR_KINDS)
		return -EINVAL;
	if (!bench_kinds[op->kind].check)
		return -EOPNOTSUPP;
	return bench_kinds[op->kind].check(op->kind);
}

static int bench_alloc(struct ims_bench_op *op)
{
	int ret;

	if (!op->n || op->n > IMS_BENCH_MAX)
		return -EINVAL;
	if (bench.n)
		return -EBUSY;
	ret = bench_info(op);
	if (ret)
		return ret;

	bench_settle();
	ret = bench_kinds[op->kind].alloc(op);
	if (ret)
		return ret;

	bench.kind = op->kind;
	bench.n = op->n;
	return 0;
}

static int bench_free(struct ims_bench_op *op)
{
	if (!bench.n || bench.requested)
		return -EINVAL;

	bench_settle();
	op->total = bench_kinds[bench.kind].free();
	op->n = bench.n;
	bench.n = 0;
	return 0;
}

static irqreturn_t bench_handler(int irq, void *dev)
{
	bench.entered = bench_now();
	BENCH_END();
	WRITE_ONCE(bench.seen, bench.seen + 1);
	return IRQ_HANDLED;
}

static u64 bench_release_all(void)
{
	unsigned int i;
	u64 begin;

	begin = bench_begin();
	for (i = 0; i < bench.requested; i++)
		free_irq(bench.maps[i].virq, &bench);
	bench.requested = 0;
	return bench_end(begin);
}

static int bench_request(struct ims_bench_op *op)
{
	unsigned int i;
	int ret = 0;
	u64 begin;

	if (!bench.n || bench.requested)
		return -EINVAL;

	bench_settle();
	begin = bench_begin();
	for (i = 0; i < bench.n; i++) {
		ret = request_irq(bench.maps[i].virq, bench_handler, 0, IMS_BENCH_DEV, &bench);
		if (ret)
			break;
	}
	op->total = bench_end(begin);
	op->n = bench.n;
	bench.requested = i;
	if (ret)
		bench_release_all();
	return ret;
}

static int bench_release(struct ims_bench_op *op)
{
	if (!bench.requested)
		return -EINVAL;

	bench_settle();
	op->n = bench.requested;
	op->total = bench_release_all();
	return 0;
}

static int bench_empty(struct ims_bench_op *op)
{
	unsigned long flags;
	unsigned int i;
	u64 begin;

	bench_settle();
	local_irq_save(flags);
	begin = bench_begin();
	for (i = 0; i < op->n; i++)
		barrier();
	op->total = bench_end(begin);
	local_irq_restore(flags);
	return 0;
}

/* The interrupt which single ones are about, NULL without a requested one */
static struct irq_data *bench_first(void)
{
	return bench.requested ? irq_get_irq_data(bench.maps[0].virq) : NULL;
}

static int bench_mask(struct ims_bench_op *op)
{
	struct irq_data *data = bench_first();
	unsigned long flags;
	struct irq_desc *desc;
	struct irq_chip *chip;
	unsigned int i;
	u64 begin;

	if (!data)
		return -EINVAL;

	chip = irq_data_get_irq_chip(data);
	if (!chip->irq_mask || !chip->irq_unmask)
		return -ENOENT;

	desc = irq_data_to_desc(data);
	bench_settle();
	raw_spin_lock_irqsave(&desc->lock, flags);
	begin = bench_begin();
	for (i = 0; i < op->n; i++) {
		chip->irq_mask(data);
		chip->irq_unmask(data);
	}
	op->total = bench_end(begin);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
	return 0;
}

/*
 * What irq_set_affinity() leaves to the next interrupt if the message changes with the
 * affinity.
 */
static int bench_move(struct ims_bench_op *op)
{
	struct irq_data *data = bench_first();
	unsigned long flags;
	struct irq_desc *desc;
	struct irq_chip *chip;
	unsigned int i;
	int ret = 0;
	u64 begin;

	if (!data)
		return -EINVAL;

	chip = irq_data_get_irq_chip(data);
	if (!chip->irq_set_affinity)
		return -ENOENT;

	desc = irq_data_to_desc(data);
	bench_settle();
	raw_spin_lock_irqsave(&desc->lock, flags);
	begin = bench_begin();
	for (i = 0; i < op->n && ret >= 0; i++)
		ret = chip->irq_set_affinity(data, cpumask_of(0), false);
	op->total = bench_end(begin);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
	return min(ret, 0);
}

/* Not lazy, so that each call gets to the device. */
static int bench_disable(struct ims_bench_op *op)
{
	unsigned int i;
	u64 begin;
	int irq;

	if (!bench.requested)
		return -EINVAL;

	irq = bench.maps[0].virq;
	irq_set_status_flags(irq, IRQ_DISABLE_UNLAZY);
	bench_settle();
	begin = bench_begin();
	for (i = 0; i < op->n; i++) {
		disable_irq(irq);
		enable_irq(irq);
	}
	op->total = bench_end(begin);
	irq_clear_status_flags(irq, IRQ_DISABLE_UNLAZY);
	return 0;
}

static int bench_affinity(struct ims_bench_op *op)
{
	unsigned int i;
	int ret = 0;
	u64 begin;

	if (!bench.requested)
		return -EINVAL;

	bench_settle();
	begin = bench_begin();
	for (i = 0; i < op->n && !ret; i++)
		ret = irq_set_affinity(bench.maps[0].virq, cpumask_of(0));
	op->total = bench_end(begin);
	return ret;
}

/* One that comes alone, or -EAGAIN. The interrupts are off. */
static int bench_deliver_one(unsigned int kind, u64 *cost)
{
	unsigned int seen = bench.seen;
	unsigned int i;
	u64 begin;

	if (bench_pending())
		return -EAGAIN;

	writel(bench.maps[0].index, bench.regs + IMS_TD_REG_FIRE_DB(kind));
	for (i = 0; i < BENCH_PATIENCE && !bench_pending(); i++)
		cpu_relax();
	if (!bench_pending())
		return -EIO;
	if (bench_pending() > 1) {
		local_irq_enable();
		for (i = 0; i < BENCH_PATIENCE && READ_ONCE(bench.seen) == seen; i++)
			cpu_relax();
		local_irq_disable();
		return READ_ONCE(bench.seen) == seen ? -EIO : -EAGAIN;
	}

	begin = bench_begin();
	bench_take();
	for (i = 0; i < BENCH_PATIENCE && READ_ONCE(bench.seen) == seen; i++)
		cpu_relax();
	local_irq_disable();
	if (READ_ONCE(bench.seen) != seen + 1)
		return -EIO;
	*cost = bench.entered - begin;
	return 0;
}

static int bench_deliver(struct ims_bench_op *op)
{
	int kind = bench_fire_kind(bench.kind);
	unsigned int i, tries;
	u64 cost;
	int ret;

	if (!bench.requested || kind < 0)
		return -EINVAL;

	bench_settle();
	for (i = 0; i < op->n; i++) {
		for (tries = 0; tries < 100; tries++) {
			local_irq_disable();
			ret = bench_deliver_one(kind, &cost);
			local_irq_enable();
			if (ret != -EAGAIN)
				break;
		}
		if (ret)
			return ret;
		op->total += cost;
	}
	return 0;
}

static int bench_settle_step(struct ims_bench_op *op)
{
	bench_settle();
	return 0;
}

static int (*const bench_steps[])(struct ims_bench_op *op) = {
	[IMS_BENCH_INFO]	= bench_info,
	[IMS_BENCH_SETTLE]	= bench_settle_step,
	[IMS_BENCH_ALLOC]	= bench_alloc,
	[IMS_BENCH_REQUEST]	= bench_request,
	[IMS_BENCH_RELEASE]	= bench_release,
	[IMS_BENCH_FREE]	= bench_free,
	[IMS_BENCH_EMPTY]	= bench_empty,
	[IMS_BENCH_MASK]	= bench_mask,
	[IMS_BENCH_DISABLE]	= bench_disable,
	[IMS_BENCH_AFFINITY]	= bench_affinity,
	[IMS_BENCH_MOVE]	= bench_move,
	[IMS_BENCH_DELIVER]	= bench_deliver,
};

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ims_bench_op op;
	long ret;

	if (cmd != IMS_BENCH_RUN)
		return -ENOTTY;
	if (copy_from_user(&op, (void __user *)arg, sizeof(op)))
		return -EFAULT;
	if (op.step >= ARRAY_SIZE(bench_steps) || op.pad)
		return -EINVAL;

	op.total = 0;
	op.last = 0;
	mutex_lock(&bench.lock);
	ret = bench_steps[op.step](&op);
	mutex_unlock(&bench.lock);
	if (!ret && copy_to_user((void __user *)arg, &op, sizeof(op)))
		ret = -EFAULT;
	return ret;
}

static void bench_clear(void)
{
	lockdep_assert_held(&bench.lock);

	if (bench.requested)
		bench_release_all();
	if (bench.n)
		bench_kinds[bench.kind].free();
	bench.n = 0;
}

static int bench_close(struct inode *inode, struct file *file)
{
	mutex_lock(&bench.lock);
	bench_clear();
	mutex_unlock(&bench.lock);
	return 0;
}

static const struct file_operations bench_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= bench_ioctl,
	.release	= bench_close,
};

static struct miscdevice bench_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= IMS_BENCH_DEV,
	.fops	= &bench_fops,
	.mode	= 0600,
};

/* Devices */

static int bench_probe_testdev(struct pci_dev *pdev)
{
	struct device *dev = &pdev->dev;
	int ret;

	bench.regs = devm_ioremap_resource(dev, &pdev->resource[IMS_TD_BAR_REGS]);
	if (IS_ERR(bench.regs))
		return PTR_ERR(bench.regs);
	bench.table = devm_ioremap_resource(dev, &pdev->resource[IMS_TD_BAR_TABLE]);
	if (IS_ERR(bench.table))
		return PTR_ERR(bench.table);
	if (readl(bench.regs + IMS_TD_REG_ID) != IMS_TD_ID)
		return -ENODEV;

	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	bench.mem = dmam_alloc_coherent(dev, BENCH_MEM_SLOTS * IMS_TD_SLOT_SIZE, &bench.mem_dma,
					GFP_KERNEL);
	bench.cmds = dmam_alloc_coherent(dev, BENCH_CMD_ENTRIES * IMS_TD_CMD_SIZE,
					 &bench.cmds_dma, GFP_KERNEL);
	if (!bench.mem || !bench.cmds)
		return -ENOMEM;

	pci_set_master(pdev);
	writel(IMS_TD_KIND_TABLE, bench.regs + IMS_TD_REG_SEL_KIND);
	bench_create_stores(pdev, readl(bench.regs + IMS_TD_REG_KIND_SLOTS));
	bench.testdev = pdev;
	return 0;
}

static int bench_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct pci_dev **place = id->driver_data ? &bench.testdev : &bench.nvme;
	int ret;

	if (*place)
		return -EBUSY;
	ret = pci_enable_device(pdev);
	if (ret)
		return ret;

	mutex_lock(&bench.lock);
	if (id->driver_data)
		ret = bench_probe_testdev(pdev);
	else
		bench.nvme = pdev;
	mutex_unlock(&bench.lock);
	if (ret)
		pci_disable_device(pdev);
	return ret;
}

static void bench_remove(struct pci_dev *pdev)
{
	unsigned int i;

	mutex_lock(&bench.lock);
	if (bench.n && bench_pdev(bench.kind) == pdev)
		bench_clear();
	if (pdev == bench.testdev) {
		bench_remove_stores(pdev);
		for (i = 0; i < ARRAY_SIZE(bench.store); i++)
			bench.store[i] = -ENODEV;
		bench.testdev = NULL;
	} else {
		bench.nvme = NULL;
	}
	mutex_unlock(&bench.lock);
	pci_disable_device(pdev);
}

static const struct pci_device_id bench_ids[] = {
	{ PCI_DEVICE_CLASS(PCI_CLASS_STORAGE_EXPRESS, 0xffffff), .driver_data = false },
	{ PCI_DEVICE(IMS_TD_PCI_VENDOR, IMS_TD_PCI_DEVICE), .driver_data = true },
	{ }
};
MODULE_DEVICE_TABLE(pci, bench_ids);

static struct pci_driver bench_driver = {
	.name		= IMS_BENCH_DEV,
	.id_table	= bench_ids,
	.probe		= bench_probe,
	.remove		= bench_remove,
};

static int __init bench_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(bench.store); i++)
		bench.store[i] = -ENODEV;

	ret = bench_arch_init();
	if (ret)
		return ret;

	bench.maps = kvcalloc(IMS_BENCH_MAX, sizeof(*bench.maps), GFP_KERNEL);
	if (!bench.maps) {
		ret = -ENOMEM;
		goto exit_arch;
	}

	ret = pci_register_driver(&bench_driver);
	if (ret)
		goto free_maps;
	ret = misc_register(&bench_misc);
	if (ret)
		goto unregister_driver;
	return 0;

unregister_driver:
	pci_unregister_driver(&bench_driver);
free_maps:
	kvfree(bench.maps);
exit_arch:
	bench_arch_exit();
	return ret;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	misc_deregister(&bench_misc);
	pci_unregister_driver(&bench_driver);
	kvfree(bench.maps);
	bench_arch_exit();
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Benchmark of message signaled interrupts");
MODULE_LICENSE("GPL");
