// SPDX-License-Identifier: GPL-2.0
/*
 * kdump: what a kernel that crashed has left in a device. The first kernel uses all kinds
 * of interrupts, loads /crash/Image and /crash/initrd, and crashes. The second one has
 * kdump.second=1. There, the slots of the table have the messages of the first kernel and
 * are silent as soon as there is a store, and interrupts of all kinds work.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kexec.h>

#include "../scenes.h"

#define TABLE	IMS_TD_KIND_TABLE
#define MEM	IMS_TD_KIND_MEM
#define CMD	IMS_TD_KIND_CMD
#define MSIX	IMS_TD_KIND_MSIX

#define NR	16
#define SENDS	(IMS_TD_SLOT_HAS_MSG | IMS_TD_SLOT_MASKED)
/* arm64 masks all interrupts on its way to the other kernel, x86 none */
#ifdef __x86_64__
#define LEFT	IMS_TD_SLOT_HAS_MSG
#else
#define LEFT	SENDS
#endif

static void use(int fd)
{
	static const struct {
		const char	*name;
		unsigned int	kind;
	} stores[] = { { "table", TABLE }, { "memory", MEM }, { "command", CMD } };
	unsigned int i;

	for (i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
		const unsigned int kind = stores[i].kind;
		const int id = mt_store_create(fd, kind, 0, NR);

		scene = stores[i].name;
		result(id > 0 && !mt_alloc(fd, id, 0, NR, NULL) &&
		       !mt_request_unlazy(fd, kind, 0, NR), "interrupts are requested");
		result(arrive(fd, kind, NR), "they arrive");
	}
	scene = "MSI-X";
	result(!mt_vectors_enable(fd, MSIX, NR) && !mt_request_unlazy(fd, MSIX, 0, NR),
	       "interrupts are requested");
	result(arrive(fd, MSIX, NR), "they arrive");
}

/* The slots still have the messages of the first kernel */
static void silent(int fd)
{
	struct ims_testdev_slot slots[NR];
	unsigned int i, left = 0, held = 0;
	int id;

	scene = "left by the first kernel";
	if (!mt_slots(fd, TABLE, 0, NR, slots)) {
		for (i = 0; i < NR; i++)
			left += (slots[i].state & SENDS) == LEFT;
	}
	result(left == NR, "the slots have messages");
	id = mt_store_create(fd, TABLE, 0, NR);
	result(id > 0, "a store is created");
	for (i = 0; i < NR; i++)
		mt_fire_unexpected(fd, TABLE, i);
	if (!mt_slots(fd, TABLE, 0, NR, slots)) {
		for (i = 0; i < NR; i++)
			held += !!(slots[i].state & IMS_TD_SLOT_PENDING);
	}
	result(held == NR, "the device sends none");
	result(!mt_store_remove(fd, id) && !mt_reset(fd), "the device is reset");
}

static void crash(const char *options)
{
	const int image = open("/crash/Image", O_RDONLY), initrd = open("/crash/initrd", O_RDONLY);

	if (syscall(SYS_kexec_file_load, image, initrd, strlen(options) + 1, options,
		    KEXEC_FILE_ON_CRASH))
		perror("# kexec_file_load");
	fflush(stdout);
	mt_write_file("/proc/sysrq-trigger", "c");
}

int main(void)
{
	char options[1024] = "", text[1200], *word;
	int fd = mt_open();

	setvbuf(stdout, NULL, _IOLBF, 0);
	mt_read_file("/proc/cmdline", options, sizeof(options));
	options[strcspn(options, "\n")] = 0;
	ksft_print_header();
	if (strstr(options, "kdump.second=1")) {
		ksft_set_plan(12);
		silent(fd);
		use(fd);
		ksft_finished();
	}

	ksft_set_plan(9);
	use(fd);
	word = strstr(options, "crashkernel=");
	/* No memory for a third kernel */
	if (word)
		*word = '-';
	snprintf(text, sizeof(text), "%s kdump.second=1 nr_cpus=1 ims.cpus=1", options);
	crash(text);
	result(0, "the kernel crashes");
	ksft_finished();
}
