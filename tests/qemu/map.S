/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Firmware for tests/test_qemu.py: one CPU enables and disables a BAR for ever, so
 * that each time the machine's memory map changes. With CPUS=2 the first CPU asks
 * kvmvapic for a change of its own meanwhile.
 *
 * 0x1000 in memory counts what the first CPU has done, 0x1004 what the second has.
 */
#define ROM		0xffff0000
/* Where the code is copied to: kvmvapic knows itself by the ROM it is called from */
#define RAM		0x8000
#define SIZE		0x2000
#define SECOND		0x1000

#define MMCFG		0xb0000000
#define EDU		(MMCFG + (5 << 15))
#define APIC		0xfee00000

#define PROTECTED(entry)			\
	cli;					\
	lgdtl	%cs:(gdtr - SECOND + BASE);	\
	movl	%cr0, %eax;			\
	orb	$1, %al;			\
	movl	%eax, %cr0;			\
	ljmpl	$8, $entry

	.code32
	jmp	first
	.byte	SIZE / 512
first:
	movl	$0xd0000000, EDU + 0x10
	movl	$0x1000, %edi
#if CPUS == 1
	jmp	toggle
#else
	/* INIT, and then SIPI with the page of the second CPU's code */
	movl	$0x1ff, APIC + 0xf0
	movl	$0xc4500, APIC + 0x300
	movl	$2000000, %ecx
1:	loop	1b
	movl	$0xc4600 + (RAM + SECOND) / 4096, APIC + 0x300
	xorl	%eax, %eax
2:	outw	%ax, $0x7e
	incl	(%edi)
	jmp	2b
#endif

toggle:
	movl	$2, EDU + 4
	movl	$0, EDU + 4
	incl	(%edi)
	jmp	toggle

	/* From the ROM, where the first CPU comes from real mode */
flat:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movl	$0x80000060, %eax
	movw	$0xcf8, %dx
	outl	%eax, %dx
	movl	$MMCFG + 1, %eax
	movw	$0xcfc, %dx
	outl	%eax, %dx
	movl	$ROM, %esi
	movl	$RAM, %edi
	movl	$SIZE, %ecx
	cld
	rep movsb
	movl	$RAM, %eax
	jmp	*%eax

flat_second:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movl	$0x1004, %edi
	jmp	toggle

	.org	SECOND
	.code16
#define BASE 0
	PROTECTED(RAM + flat_second)
	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:	.word	23
	.long	ROM + gdt

	.org	0xff00
boot:
#undef BASE
#define BASE SECOND
	PROTECTED(ROM + flat)
	.org	0xfff0
	jmp	boot
	.org	0x10000
