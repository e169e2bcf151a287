/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the two halves of the benchmark share: ims_bench.c, in the kernel, and run.c,
 * the program which drives it.
 *
 * The kernel's half does one step at a time and says what it has cost. What is
 * allocated stays allocated between two steps, so that the program can look at the
 * memory which it takes.
 */
#ifndef IMS_BENCH_H
#define IMS_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IMS_BENCH_DEV		"ims_bench"

/* At most so many interrupts at once, what VT-d has remapping entries for */
#define IMS_BENCH_MAX		65536

/**
 * enum ims_bench_kind - Interrupts of what, and how they are allocated
 * @IMS_BENCH_MSIX:	MSI-X of the nvme, all at once
 * @IMS_BENCH_DYN:	the same, one by one on top of one
 * @IMS_BENCH_DEV_MSIX:	MSI-X of ims-testdev, which can be told to send one
 * @IMS_BENCH_TABLE:	slot table of ims-testdev, one by one
 * @IMS_BENCH_BATCH:	the same, all at once
 * @IMS_BENCH_MEM:	slots of ims-testdev in memory, one by one
 * @IMS_BENCH_CMD:	slots of ims-testdev which are changed by commands, one by one
 * @IMS_BENCH_NR_KINDS:	how many there are
 */
enum ims_bench_kind {
	IMS_BENCH_MSIX,
	IMS_BENCH_DYN,
	IMS_BENCH_DEV_MSIX,
	IMS_BENCH_TABLE,
	IMS_BENCH_BATCH,
	IMS_BENCH_MEM,
	IMS_BENCH_CMD,
	IMS_BENCH_NR_KINDS,
};

/**
 * enum ims_bench_step - What to do
 * @IMS_BENCH_INFO:	only tell whether the kind is there, by the error code
 * @IMS_BENCH_SETTLE:	wait until what was freed before is free, and no more
 * @IMS_BENCH_ALLOC:	allocate
 * @IMS_BENCH_REQUEST:	request_irq() for each
 * @IMS_BENCH_RELEASE:	free_irq() for each
 * @IMS_BENCH_FREE:	free
 * @IMS_BENCH_EMPTY:	go so many times round the loop of @IMS_BENCH_MASK
 * @IMS_BENCH_MASK:	mask and unmask the first one so many times, by its irq_chip
 * @IMS_BENCH_DISABLE:	the same by disable_irq() and enable_irq()
 * @IMS_BENCH_AFFINITY:	set its affinity so many times
 * @IMS_BENCH_MOVE:	the same by its irq_chip, which writes the message if that is needed
 * @IMS_BENCH_DELIVER:	have it sent so many times, from the end of cli to the handler
 */
enum ims_bench_step {
	IMS_BENCH_INFO,
	IMS_BENCH_SETTLE,
	IMS_BENCH_ALLOC,
	IMS_BENCH_REQUEST,
	IMS_BENCH_RELEASE,
	IMS_BENCH_FREE,
	IMS_BENCH_EMPTY,
	IMS_BENCH_MASK,
	IMS_BENCH_DISABLE,
	IMS_BENCH_AFFINITY,
	IMS_BENCH_MOVE,
	IMS_BENCH_DELIVER,
};

/**
 * struct ims_bench_op - A step
 * @step:	enum ims_bench_step
 * @kind:	enum ims_bench_kind, for @IMS_BENCH_INFO and @IMS_BENCH_ALLOC
 * @n:		how many to allocate, or how often
 * @pad:	0
 * @total:	out: what all of it has cost, in units of the time stamp counter
 * @last:	out: of an allocation one by one, what the last one has cost
 */
struct ims_bench_op {
	__u32	step;
	__u32	kind;
	__u32	n;
	__u32	pad;
	__u64	total;
	__u64	last;
};

#define IMS_BENCH_RUN		_IOWR('I', 0x42, struct ims_bench_op)

#endif /* IMS_BENCH_H */
