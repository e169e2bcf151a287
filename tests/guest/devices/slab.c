// SPDX-License-Identifier: GPL-2.0
/* Objects in use in each slab cache. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"

/*
 * Caches that grow with what was looked at and not with what a driver allocates:
 * the debugging code's own records, and addresses for DMA, of which the allocator
 * keeps thousands for each IOMMU domain. Areas of vmalloc are freed late and many
 * at once. Of inodes, dentries and tree nodes some hundred are there after 500
 * rounds in spite of drop_caches. Where they come from is not known yet; kmemleak
 * does not report them.
 */
static const char * const ignored[] = {
	"kmemleak_object", "kmemleak_scan_area", "debug_objects_cache", "iommu_iova",
	"vmap_area", "inode_cache", "dentry", "radix_tree_node",
};

/*
 * What was freed may still count: in a page that a CPU keeps, or in KASAN's
 * quarantine. Shrinking a cache empties both.
 */
static void shrink_all(void)
{
	static const char top[] = "/sys/kernel/slab";
	struct dirent *entry;
	char path[512];
	DIR *dir;

	dir = opendir(top);
	if (!dir)
		die("%s: %s", top, strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/shrink", top, entry->d_name);
		write_text(path, "1");
	}
	closedir(dir);
}

void slabs_get(struct slabs *slabs)
{
	char *text, *line, *save;
	int ret;

	sync();
	ret = write_text("/proc/sys/vm/drop_caches", "3");
	if (ret)
		die("drop_caches: %s", strerror(-ret));
	/* Work and RCU callbacks that free things take a moment. */
	nap(2000);
	shrink_all();
	text = slurp("/proc/slabinfo");
	slabs->nr = 0;
	for (line = strtok_r(text, "\n", &save); line && slabs->nr < 512;
	     line = strtok_r(NULL, "\n", &save)) {
		struct slab *slab = &slabs->slabs[slabs->nr];

		if (line[0] != '#' && sscanf(line, "%63s %ld %*d %*d %ld", slab->name, &slab->objects,
					     &slab->per_slab) == 3 &&
		    strcmp(slab->name, "slabinfo"))
			slabs->nr++;
	}
	free(text);
	if (slabs->nr < 20)
		die("/proc/slabinfo has %u caches only", slabs->nr);
}

static bool is_ignored(const char *name)
{
	for (unsigned int i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (!strcmp(name, ignored[i]))
			return true;
	return false;
}

/*
 * How many caches have grown by more than @slack objects, or by more than what fits
 * into two pages or so of them: those which a CPU has taken count as full.
 */
unsigned int slabs_grown(const struct slabs *before, const struct slabs *after, long slack)
{
	unsigned int i, j, grown = 0;

	for (i = 0; i < after->nr; i++) {
		const struct slab *new = &after->slabs[i];
		long had = 0, allowed = slack;

		for (j = 0; j < before->nr; j++)
			if (!strcmp(before->slabs[j].name, new->name))
				had = before->slabs[j].objects;
		if (allowed < 2 * new->per_slab)
			allowed = 2 * new->per_slab;
		if (is_ignored(new->name) || new->objects - had <= allowed / 4)
			continue;
		diag("%s: %ld objects, then %ld, %ld more allowed", new->name, had,
		     new->objects, allowed);
		grown += new->objects - had > allowed;
	}
	return grown;
}
