// SPDX-License-Identifier: GPL-2.0
/* Objects in use in each slab cache. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"

/*
 * Caches that grow with what was looked at and not with what a driver allocates:
 * the debugging code's own records, and addresses for DMA, of which the allocator
 * keeps thousands for each IOMMU domain. Areas of vmalloc are freed late and many
 * at once. Tree nodes hold the numbers of kernfs, which are handed out cyclically:
 * what is created anew takes nodes of its own. The unpatched kernel has all of this.
 */
static const char * const ignored[] = {
	"kmemleak_object", "kmemleak_scan_area", "debug_objects_cache", "iommu_iova",
	"vmap_area", "radix_tree_node",
};

/*
 * What Linux 6.1 itself leaves behind of NVMe each time, two for the controller and
 * two for its namespace, if it has fault injection: fault_create_debugfs_attr() takes
 * a reference to a directory, nvme_fault_inject_fini() drops none, and so the
 * directory and the one above it stay.
 */
static const char * const left_by_nvme[] = { "inode_cache", "dentry" };
#define LEFT_BY_NVME	4

static bool in(const char *name, const char * const *list, size_t nr)
{
	while (nr--)
		if (!strcmp(name, list[nr]))
			return true;
	return false;
}
#define IN(name, list)	in(name, list, sizeof(list) / sizeof((list)[0]))

/*
 * What was freed may still count: in a page that a CPU keeps, or in KASAN's
 * quarantine. Shrinking a cache empties both. The files for that are opened before
 * anything is dropped, as looking them up makes new inodes.
 */
static unsigned int shrink_open(int *fds, unsigned int max)
{
	static const char top[] = "/sys/kernel/slab";
	struct dirent *entry;
	unsigned int nr = 0;
	char path[512];
	DIR *dir;

	dir = opendir(top);
	if (!dir)
		die("%s: %s", top, strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/shrink", top, entry->d_name);
		if (nr == max)
			die("more than %u slab caches", max);
		fds[nr] = open(path, O_WRONLY);
		if (fds[nr] < 0)
			die("%s: %s", path, strerror(errno));
		nr++;
	}
	closedir(dir);
	return nr;
}

void slabs_get(struct slabs *slabs)
{
	char *text, *line, *save;
	unsigned int nr_fds, i;
	int fds[512], ret;

	nr_fds = shrink_open(fds, 512);
	sync();
	/* What was used of late is spared once. */
	for (i = 0; i < 3; i++) {
		ret = write_text("/proc/sys/vm/drop_caches", "3");
		if (ret)
			die("drop_caches: %s", strerror(-ret));
	}
	/* Work and RCU callbacks that free things take a moment. */
	nap(2000);
	for (i = 0; i < nr_fds; i++) {
		if (write(fds[i], "1", 1) != 1)
			die("a slab cache does not shrink: %s", strerror(errno));
		close(fds[i]);
	}
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

/*
 * How many caches have grown by more than @slack objects, or by more than what fits
 * into two pages or so of them: those which a CPU has taken count as full. NVMe was
 * bound @nvme times in between.
 */
unsigned int slabs_grown(const struct slabs *before, const struct slabs *after, long slack,
			 unsigned int nvme)
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
		if (IN(new->name, left_by_nvme))
			allowed += LEFT_BY_NVME * nvme;
		if (IN(new->name, ignored) || new->objects - had <= allowed / 4)
			continue;
		diag("%s: %ld objects, then %ld, %ld more allowed", new->name, had,
		     new->objects, allowed);
		grown += new->objects - had > allowed;
	}
	return grown;
}
