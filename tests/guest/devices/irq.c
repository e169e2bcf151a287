// SPDX-License-Identifier: GPL-2.0
/* Interrupts, as /proc, sysfs and debugfs show them. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"

#define DOMAINS "/sys/kernel/debug/irq/domains"

void irq_view(struct view *view)
{
	unsigned int columns[MAX_CPUS], nr_columns = 0;
	char *text = slurp("/proc/interrupts"), *line, *save, *at, *word, *words;
	unsigned int i;

	view->nr = 0;
	line = strtok_r(text, "\n", &save);
	/* Only CPUs that are online have a column. */
	for (at = line; at && (at = strstr(at, "CPU")); at += 3)
		columns[nr_columns++] = atoi(at + 3);
	while ((line = strtok_r(NULL, "\n", &save)) && view->nr < 256) {
		struct line *to = &view->lines[view->nr];

		memset(to, 0, sizeof(*to));
		to->irq = strtoul(line, &at, 10);
		if (*at != ':')
			continue;
		at++;
		for (i = 0; i < nr_columns; i++) {
			to->cpu[columns[i]] = strtoull(at, &at, 10);
			to->total += to->cpu[columns[i]];
		}
		/* Chip, hardware number with its type, actions */
		word = strtok_r(at, " ", &words);
		snprintf(to->chip, sizeof(to->chip), "%s", word ? word : "");
		strtok_r(NULL, " ", &words);
		word = strtok_r(NULL, "", &words);
		while (word && isspace(*word))
			word++;
		snprintf(to->action, sizeof(to->action), "%s", word ? word : "");
		view->nr++;
	}
	free(text);
}

const struct line *irq_line(const struct view *view, unsigned int irq)
{
	for (unsigned int i = 0; i < view->nr; i++)
		if (view->lines[i].irq == irq)
			return &view->lines[i];
	return NULL;
}

static bool bridge_has_irqs(void)
{
	return !strcmp(behind, "VMD-");
}

bool has_irqs(const struct device *dev)
{
	return dev->kind != BRIDGE || bridge_has_irqs();
}

bool irqs_pinned(const struct device *dev)
{
	return dev->kind != BRIDGE && bridge_has_irqs();
}

unsigned int irqs_of(const struct device *dev, unsigned int *irqs)
{
	struct view *view = malloc(sizeof(*view));
	const struct line *line;
	struct dirent *entry;
	unsigned int nr = 0;
	char path[128];
	DIR *dir;

	irq_view(view);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs", dev->bdf);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) && nr < MAX_IRQS) {
		if (!isdigit(entry->d_name[0]))
			continue;
		line = irq_line(view, atoi(entry->d_name));
		if (line && line->action[0])
			irqs[nr++] = line->irq;
	}
	if (dir)
		closedir(dir);
	free(view);
	return nr;
}

static bool irq_state(unsigned int irq, const char *state)
{
	char path[64];
	char *text;
	bool found;

	snprintf(path, sizeof(path), "/sys/kernel/debug/irq/irqs/%u", irq);
	text = slurp(path);
	found = strstr(text, state);
	free(text);
	return found;
}

bool irq_managed(unsigned int irq)
{
	return irq_state(irq, "IRQD_AFFINITY_MANAGED");
}

/* Its new CPU is set, and takes effect with its next interrupt. */
bool irq_pending(unsigned int irq)
{
	return irq_state(irq, "IRQD_SETAFFINITY_PENDING");
}

int irq_move(unsigned int irq, unsigned int cpu)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", irq);
	snprintf(text, sizeof(text), "%u", cpu);
	return write_text(path, text);
}

uint64_t irq_mask(unsigned int irq, const char *file)
{
	char path[64], text[64], *at;
	uint64_t mask = 0;
	int ret;

	snprintf(path, sizeof(path), "/proc/irq/%u/%s", irq, file);
	ret = read_text(path, text, sizeof(text));
	if (ret)
		die("%s: %s", path, strerror(-ret));
	/* Words of 32 bits with commas between them */
	for (at = text; isxdigit(*at) || *at == ','; at++)
		if (*at != ',')
			mask = mask << 4 | (isdigit(*at) ? *at - '0' : tolower(*at) - 'a' + 10);
	return mask;
}

/*
 * The interrupt chips: the store of each device, named after it, on the domain that
 * devices.prefix= or devices.behind= stands for.
 */
void irq_check_names(const struct device *dev)
{
	unsigned int irqs[MAX_IRQS], nr = irqs_of(dev, irqs);
	struct view *view = malloc(sizeof(*view));
	const char *prefix;
	char name[64];

	if (!nr != !has_irqs(dev))
		die("%s uses %u MSI", dev->name, nr);
	prefix = *behind && dev->kind != BRIDGE ? behind : argument("prefix", "");
	snprintf(name, sizeof(name), "%sPCI-%s-%s", prefix, dev->store, dev->bdf);
	irq_view(view);
	for (unsigned int i = 0; i < nr; i++) {
		const struct line *line = irq_line(view, irqs[i]);

		if (!line || strcmp(line->chip, name))
			die("interrupt %u of %s is %s, not %s", irqs[i], dev->name,
			    line ? line->chip : "gone", name);
	}
	diag("%s: %u interrupts of %s", dev->name, nr, name);
	free(view);
}

/* A number after a word in a file of a domain's */
static unsigned int domain_number(const char *domain, const char *word)
{
	unsigned int number = 0;
	char path[512];
	char *text, *at;

	snprintf(path, sizeof(path), DOMAINS "/%s", domain);
	text = slurp(path);
	at = strstr(text, word);
	if (at)
		number = strtoul(at + strlen(word), NULL, 10);
	free(text);
	return number;
}

/* Entries in use of all of Intel's remapping tables; 0 with another unit */
static unsigned int intel_entries(void)
{
	static char path[] = "/sys/kernel/debug/iommu/intel/ir_translation_struct";
	unsigned int bus, slot, nr = 0;
	char *text, *line, *save;

	text = malloc(1 << 20);
	if (!text || read_text(path, text, 1 << 20)) {
		free(text);
		return 0;
	}
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		nr += sscanf(line, " %*u %x:%x.%*u", &bus, &slot) == 2;
	free(text);
	return nr;
}

void resources_get(struct resources *res)
{
	struct dirent *entry;
	DIR *dir;

	memset(res, 0, sizeof(*res));
	res->irqs = count_names("/sys/kernel/debug/irq/irqs");
	res->domains = count_names(DOMAINS);
	res->entries = intel_entries();
#ifdef __x86_64__
	res->vectors = domain_number("VECTOR", "Total allocated:");
#endif
	dir = opendir(DOMAINS);
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "INTEL-IR", 8) || !strncmp(entry->d_name, "AMD-IR", 6) ||
		    strstr(entry->d_name, ":its@"))
			res->remapped += domain_number(entry->d_name, "mapped:");
		else if (!strncmp(entry->d_name, "VMD-MSI", 7))
			res->pinned += domain_number(entry->d_name, "mapped:");
	if (dir)
		closedir(dir);
}

bool resources_equal(const struct resources *a, const struct resources *b)
{
	return !memcmp(a, b, sizeof(*a));
}

void resources_show(const char *when, const struct resources *res)
{
	diag("%s: %u interrupts, %u domains, %u mapped in the remapping domains, %u in those of a "
	     "VMD, %u entries of Intel's tables, %u vectors", when, res->irqs, res->domains,
	     res->remapped, res->pinned, res->entries, res->vectors);
}
