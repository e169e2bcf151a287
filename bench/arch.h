/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of the benchmark depends on the architecture: the count of instructions, which is
 * the time in nanoseconds under -icount shift=0, the marks for a profiler, and how many
 * interrupts a CPU has been sent and has not taken.
 */
#ifndef IMS_BENCH_ARCH_H
#define IMS_BENCH_ARCH_H

#ifdef CONFIG_X86
#include <asm/apicdef.h>
#include <asm/msr.h>

/* nopl 0x42494d01(%rax) and nopl 0x42494d02(%rax): "MIB" in the displacement */
#define BENCH_BEGIN()	asm volatile(".byte 0x0f,0x1f,0x80,0x01,0x4d,0x49,0x42" ::: "memory")
#define BENCH_END()	asm volatile(".byte 0x0f,0x1f,0x80,0x02,0x4d,0x49,0x42" ::: "memory")

/* The local APIC of a CPU, NULL if registers of the CPU take its place */
static void __iomem *bench_apic;

static __always_inline u64 bench_now(void)
{
	return rdtsc();
}

static unsigned int bench_pending(void)
{
	unsigned int count = 0;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		unsigned int reg = APIC_IRR + i * 0x10;
		u64 bits;

		if (bench_apic)
			bits = readl(bench_apic + reg);
		else
			rdmsrl(APIC_BASE_MSR + (reg >> 4), bits);
		count += hweight32(bits);
	}
	return count;
}

static __always_inline void bench_take(void)
{
	asm volatile("sti; nop" ::: "memory");
}

static int bench_arch_init(void)
{
	u64 base;

	rdmsrl(MSR_IA32_APICBASE, base);
	if (base & X2APIC_ENABLE)
		return 0;
	bench_apic = ioremap(base & MSR_IA32_APICBASE_BASE, PAGE_SIZE);
	return bench_apic ? 0 : -ENOMEM;
}

static void bench_arch_exit(void)
{
	if (bench_apic)
		iounmap(bench_apic);
}
#else
#include <asm/sysreg.h>

/* The profiler knows x86 only */
#define BENCH_BEGIN()	barrier()
#define BENCH_END()	barrier()

/* The first LPI. Below are the interrupts of a CPU, the timer among them */
#define BENCH_LPI	8192
#define BENCH_NONE	1020

/* QEMU's counter runs at 62.5 MHz: it ticks every 16 instructions, so costs are multiples of 16 */
static __always_inline u64 bench_now(void)
{
	isb();
	return read_sysreg(cntvct_el0) * (NSEC_PER_SEC / read_sysreg(cntfrq_el0));
}

/* The GIC shows only the first of several. One that is no LPI counts as two */
static unsigned int bench_pending(void)
{
	u32 first = read_sysreg_s(SYS_ICC_HPPIR1_EL1);

	if (first >= BENCH_LPI)
		return 1;
	return first < BENCH_NONE ? 2 : 0;
}

static __always_inline void bench_take(void)
{
	local_irq_enable();
}

static int bench_arch_init(void)
{
	return 0;
}

static void bench_arch_exit(void)
{
}
#endif

#endif /* IMS_BENCH_ARCH_H */
