// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel shows of message stores: the view of a device in debugfs, which has
 * to agree with the device itself at any time, and the tracepoints.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "ims_fixture.h"

/*
 * The view, as debugfs has it:
 *
 *	store: 1
 *	 name:    PCI-IMS
 *	 domain:  IR-PCI-IMS.1-0000:00:03.0
 *	 parent:  INTEL-IR-0
 *	 kind:    direct
 *	 size:    2048
 *	 used:    1
 *	 slot        irq cookie             address            data     state
 *	 0            34 0x0000000000000000 0x00000000fee00318 00000000 masked
 */

/* As many as a test makes */
#define MAX_STORES	16
#define MAX_SLOTS	256

struct view_slot {
	unsigned int	index;
	unsigned int	irq;
	bool		has_cookie;
	__u64		cookie;
	__u64		address;
	__u32		data;
	bool		masked;
	bool		dirty;
};

struct view_store {
	unsigned int		id;
	char			name[64];
	char			domain[128];
	char			parent[64];
	char			kind[32];
	unsigned int		size;
	unsigned int		used;
	unsigned int		nr;		/* that are in @slots */
	struct view_slot	slots[MAX_SLOTS];
};

struct view {
	unsigned int		nr;
	struct view_store	stores[MAX_STORES];
	char			bad[128];	/* the line that isn't as it has to be */
};

static const char columns[] =
	" slot        irq cookie             address            data     state";

/* What comes after a label, up to the end of the line. False if that isn't there. */
static bool read_text(const char *line, const char *label, char *buf, size_t size)
{
	size_t len = strlen(label);

	if (strncmp(line, label, len) || !line[len] || line[len] == ' ' ||
	    strlen(line + len) >= size)
		return false;
	strcpy(buf, line + len);
	return true;
}

static bool read_number(const char *line, const char *label, unsigned int *value)
{
	char text[16], *end;

	if (!read_text(line, label, text, sizeof(text)))
		return false;
	*value = strtoul(text, &end, 10);
	return end != text && !*end;
}

/* The widths are those of the columns. */
static bool read_slot(const char *line, struct view_slot *slot)
{
	static const char *const states[] = {
		"unmasked", "masked", "unmasked dirty", "masked dirty"
	};
	char again[128], state[32], cookie[32];
	unsigned long long address;
	unsigned int i;

	if (sscanf(line, " %u %u %31s 0x%16llx %8x %31[a-z ]", &slot->index, &slot->irq,
		   cookie, &address, &slot->data, state) != 6)
		return false;
	slot->has_cookie = strcmp(cookie, "none");
	slot->cookie = slot->has_cookie ? strtoull(cookie, NULL, 16) : 0;
	slot->address = address;
	if (slot->has_cookie)
		snprintf(cookie, sizeof(cookie), "0x%016llx", (unsigned long long)slot->cookie);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		if (!strcmp(state, states[i]))
			break;
	}
	slot->masked = i & 1;
	slot->dirty = i & 2;

	/* And nothing but that */
	snprintf(again, sizeof(again), " %-8u %6u %-18s 0x%016llx %08x %s", slot->index,
		 slot->irq, cookie, address, slot->data, state);
	return i < ARRAY_SIZE(states) && !strcmp(line, again);
}

/* Which line of a store's head comes next. After the last one there are slots. */
enum { ID, NAME, DOMAIN, PARENT, KIND, SIZE, USED, COLUMNS, SLOTS };

static bool read_line(struct view *view, const char *line, unsigned int *next)
{
	struct view_store *store = view->nr ? &view->stores[view->nr - 1] : NULL;
	struct view_slot *slot;

	if (*next == SLOTS && *line != ' ')
		*next = ID;

	switch ((*next)++) {
	case ID:
		if (view->nr == MAX_STORES)
			return false;
		store = &view->stores[view->nr++];
		store->nr = 0;
		return read_number(line, "store: ", &store->id) &&
		       (view->nr == 1 || store->id > store[-1].id);
	case NAME:
		return read_text(line, " name:    ", store->name, sizeof(store->name));
	case DOMAIN:
		return read_text(line, " domain:  ", store->domain, sizeof(store->domain));
	case PARENT:
		return read_text(line, " parent:  ", store->parent, sizeof(store->parent));
	case KIND:
		return read_text(line, " kind:    ", store->kind, sizeof(store->kind)) &&
		       (!strcmp(store->kind, "direct") || !strcmp(store->kind, "deferred") ||
			!strcmp(store->kind, "deferred, suspended"));
	case SIZE:
		return read_number(line, " size:    ", &store->size) && store->size;
	case USED:
		return read_number(line, " used:    ", &store->used) && store->used <= store->size;
	case COLUMNS:
		return !strcmp(line, columns);
	case SLOTS:
		(*next)--;
		if (store->nr == MAX_SLOTS)
			return false;
		slot = &store->slots[store->nr++];
		return read_slot(line, slot) && slot->index < store->size &&
		       (store->nr == 1 || slot->index > slot[-1].index);
	}
	return false;
}

static char text[1 << 16];

/* 0, or -errno: -EINVAL if it is not well formed. */
static int read_view(struct ims_data *self, struct view *view)
{
	unsigned int next = ID;
	char path[128], *line, *end;
	int ret;

	snprintf(path, sizeof(path), "/sys/kernel/debug/irq/msi/%s", self->info.name);
	ret = mt_read_file(path, text, sizeof(text));
	if (ret)
		return ret;

	view->nr = 0;
	for (line = text; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (end)
			*end = 0;
		if (!end || !read_line(view, line, &next)) {
			snprintf(view->bad, sizeof(view->bad), "%.100s", line);
			return -EINVAL;
		}
	}
	snprintf(view->bad, sizeof(view->bad), "the end is missing");
	return next == ID || next == SLOTS ? 0 : -EINVAL;
}

static struct view *expect_view(struct __test_metadata *_metadata, struct ims_data *self)
{
	static struct view view;
	int ret = read_view(self, &view);

	ASSERT_EQ(0, ret) { TH_LOG("%s", ret == -EINVAL ? view.bad : strerror(-ret)); }
	return &view;
}

static const struct view_store *find_store(const struct view *view, unsigned int id)
{
	unsigned int i;

	for (i = 0; i < view->nr; i++) {
		if (view->stores[i].id == id)
			return &view->stores[i];
	}
	return NULL;
}

/* The slots from @first on that a store shows are what driver and device have there. */
static void expect_same_slots(struct __test_metadata *_metadata, struct ims_data *self,
			      const struct view_store *store, unsigned int kind, unsigned int first,
			      bool visible)
{
	const unsigned int nr = store->size < MAX_SLOTS ? store->size : MAX_SLOTS;
	struct ims_testdev_count counts[MAX_SLOTS];
	struct ims_testdev_slot slots[MAX_SLOTS];
	unsigned int i, at = 0;

	ASSERT_EQ(0, mt_counts(self->fd, kind, first, nr, NULL, counts));
	ASSERT_EQ(0, mt_slots(self->fd, kind, first, nr, slots));
	for (i = 0; i < nr; i++) {
		const struct view_slot *slot = &store->slots[at];

		if (!counts[i].virq)
			continue;
		ASSERT_LT(at, store->nr);
		at++;
		EXPECT_EQ(i, slot->index);
		EXPECT_EQ(counts[i].virq, slot->irq);
		EXPECT_EQ(!!(slots[i].state & IMS_TD_SLOT_MASKED), slot->masked)
			TH_LOG("kind %u slot %u", kind, first + i);
		EXPECT_FALSE(slot->dirty);
		EXPECT_EQ(!!(slots[i].state & IMS_TD_SLOT_HAS_MSG),
			  slot->address || slot->data);
		if (!visible)
			continue;
		EXPECT_EQ((__u64)slots[i].addr_hi << 32 | slots[i].addr_lo, slot->address);
		EXPECT_EQ(slots[i].data, slot->data);
	}
	EXPECT_EQ(at, store->nr);
	EXPECT_EQ(at, store->used);
}

static void expect_store(struct __test_metadata *_metadata, struct ims_data *self,
			 const struct view *view, unsigned int id, const struct store_kind *kind,
			 unsigned int first, unsigned int size)
{
	const struct view_store *store = find_store(view, id);
	char name[128], path[256];

	ASSERT_NE(NULL, store) { TH_LOG("store %u", id); }
	EXPECT_STREQ("PCI-IMS", store->name);
	EXPECT_STREQ(kind->direct ? "direct" : "deferred", store->kind);
	EXPECT_EQ(size, store->size);
	snprintf(name, sizeof(name), "%sPCI-IMS.%u-%s", mt_prefix(), id,
		 self->info.name);
	EXPECT_STREQ(name, store->domain);
	EXPECT_TRUE(mt_is_parent(store->parent)) { TH_LOG("%s", store->parent); }
	snprintf(path, sizeof(path), "/sys/kernel/debug/irq/domains/%s", store->domain);
	EXPECT_EQ(0, access(path, F_OK)) { TH_LOG("%s", path); }
	expect_same_slots(_metadata, self, store, kind->nr, first, kind->visible);
}

/* Two windows of each kind and MSI-X, in all states that a slot can have */
TEST_F_TIMEOUT(ims, view_agrees, MT_TEST_SECONDS)
{
	const unsigned int nr = 6, window = 10, nr_msix = 5;
	unsigned int id[NR_KINDS][2], w;
	const struct view_store *msix;
	const struct store_kind *kind;
	const struct view *view;
	char name[128];

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		for (w = 0; w < 2; w++) {
			const unsigned int first = w * window;
			int ret;

			ret = mt_store_create(self->fd, kind->nr, first, window);
			ASSERT_LT(0, ret);
			id[kind - store_kinds][w] = ret;
			ASSERT_EQ(0, mt_alloc(self->fd, ret, 1, nr, NULL));
			ASSERT_EQ(0, mt_request_unlazy(self->fd, kind->nr, first + 2, nr - 2));
			ASSERT_EQ(0, mt_mask(self->fd, kind->nr, first + 3, 1));
			ASSERT_EQ(0, mt_release(self->fd, kind->nr, first + 5, 1));
		}
	}
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, nr_msix));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, MSIX, 0, 3));

	view = expect_view(_metadata, self);
	EXPECT_EQ(2 * NR_KINDS + 1, view->nr);
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		for (w = 0; w < 2; w++)
			expect_store(_metadata, self, view, id[kind - store_kinds][w], kind,
				     w * window, window);
	}
	msix = find_store(view, 0);
	ASSERT_NE(NULL, msix);
	EXPECT_STREQ("PCI-MSIX", msix->name);
	EXPECT_STREQ("direct", msix->kind);
	snprintf(name, sizeof(name), "%sPCI-MSIX-%s", mt_prefix(), self->info.name);
	EXPECT_STREQ(name, msix->domain);
	EXPECT_EQ(self->info.slots[MSIX], msix->size);
	EXPECT_EQ(nr_msix, msix->used);
	EXPECT_EQ(nr_msix, msix->nr);

	/* What goes is gone. */
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		ASSERT_EQ(0, mt_release(self->fd, kind->nr, 2, nr - 3));
		ASSERT_EQ(0, mt_free(self->fd, kind->nr, 1, 4));
		view = expect_view(_metadata, self);
		expect_store(_metadata, self, view, id[kind - store_kinds][0], kind, 0, window);
		ASSERT_EQ(0, mt_store_remove(self->fd, id[kind - store_kinds][0]));
		view = expect_view(_metadata, self);
		EXPECT_EQ(NULL, find_store(view, id[kind - store_kinds][0]));
	}
	EXPECT_EQ(NR_KINDS + 1, view->nr);
}

/* Cookies are shown as they were handed in, but for addresses. */
TEST_F_TIMEOUT(ims, view_cookies, MT_TEST_SECONDS)
{
	const struct view_store *store;
	const struct store_kind *kind;
	int id;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		if (!kind->pasid) {
			id = create_store(_metadata, self, kind->nr, 4);
			ASSERT_EQ(0, mt_alloc_cookie(self->fd, id, 1, 0, NULL));
			store = find_store(expect_view(_metadata, self), id);
			ASSERT_NE(NULL, store);
			ASSERT_EQ(1, store->nr);
			/*
			 * Of memory, the address. It is a hash, or 0 until the kernel has
			 * random numbers for one. The kernel's addresses have more bits.
			 */
			if (kind->nr != MEM)
				EXPECT_EQ(0, store->slots[0].cookie);
			EXPECT_EQ(0, store->slots[0].cookie >> 32);
			continue;
		}
		id = mt_store_create_flags(self->fd, kind->nr, 0, 4, IMS_TESTDEV_STORE_PASID);
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_alloc_cookie(self->fd, id, 0, 0x12345, NULL));
		ASSERT_EQ(0, mt_alloc_cookie(self->fd, id, 2, 0xfffff, NULL));
		store = find_store(expect_view(_metadata, self), id);
		ASSERT_NE(NULL, store);
		ASSERT_EQ(2, store->nr);
		EXPECT_EQ(0x12345, store->slots[0].cookie);
		EXPECT_EQ(0xfffff, store->slots[1].cookie);

		/* And as they were changed */
		ASSERT_EQ(0, mt_set_cookie(self->fd, kind->nr, 0, 0x54321));
		ASSERT_EQ(0, mt_set_no_cookie(self->fd, kind->nr, 2));
		store = find_store(expect_view(_metadata, self), id);
		ASSERT_NE(NULL, store);
		EXPECT_EQ(0x54321, store->slots[0].cookie);
		EXPECT_FALSE(store->slots[1].has_cookie);
	}
}

/* A store that the kernel leaves alone, and what the device has to be told later */
TEST_F_TIMEOUT(ims, view_suspended, MT_TEST_SECONDS)
{
	const unsigned int id = create_full(_metadata, self, CMD, 4, NULL);
	const struct view_store *store;

	ASSERT_EQ(0, mt_suspend(self->fd));
	ASSERT_EQ(0, mt_mask(self->fd, CMD, 1, 1));
	ASSERT_EQ(0, mt_mask(self->fd, CMD, 2, 1));
	ASSERT_EQ(0, mt_unmask(self->fd, CMD, 2, 1));
	store = find_store(expect_view(_metadata, self), id);
	ASSERT_NE(NULL, store);
	EXPECT_STREQ("deferred, suspended", store->kind);
	ASSERT_EQ(4, store->nr);
	EXPECT_FALSE(store->slots[0].dirty);
	EXPECT_TRUE(store->slots[1].dirty);
	EXPECT_TRUE(store->slots[1].masked);
	EXPECT_FALSE(store->slots[2].dirty);
	EXPECT_FALSE(store->slots[2].masked);

	ASSERT_EQ(0, mt_resume(self->fd));
	expect_store(_metadata, self, expect_view(_metadata, self), id,
		     &store_kinds[NR_KINDS - 1], 0, 4);
}

/* One that the device could not be told about is dirty until it was. */
TEST_F_TIMEOUT(ims, view_dirty, MT_TEST_SECONDS)
{
	const unsigned int id = create_full(_metadata, self, CMD, 2, NULL);
	const struct view_store *store;
	time_t end = 0;

	self->bad_news = true;
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_FAIL, 3));
	ASSERT_EQ(0, mt_mask(self->fd, CMD, 1, 1));
	store = find_store(expect_view(_metadata, self), id);
	ASSERT_NE(NULL, store);
	EXPECT_STREQ("deferred", store->kind);
	EXPECT_FALSE(store->slots[0].dirty);
	EXPECT_TRUE(store->slots[1].dirty);
	EXPECT_TRUE(store->slots[1].masked);

	/* The device has been told before the view says so. */
	EXPECT_EQ(0, mt_wait_state(self->fd, CMD, 1, IMS_TD_SLOT_MASKED, IMS_TD_SLOT_MASKED));
	do {
		store = find_store(expect_view(_metadata, self), id);
		ASSERT_NE(NULL, store);
	} while (store->slots[1].dirty && mt_wait_more(&end));
	expect_store(_metadata, self, expect_view(_metadata, self), id,
		     &store_kinds[NR_KINDS - 1], 0, 2);
}

/* How often it was read, and with how many stores and slots */
struct reader {
	struct ims_data	*self;
	atomic_uint	reads;
	atomic_uint	stores;
	atomic_uint	slots;
};

static int read_step(void *arg)
{
	static struct view view;
	struct reader *reader = arg;
	unsigned int i;
	int ret;

	ret = read_view(reader->self, &view);
	if (ret == -EINVAL)
		fprintf(stderr, "# not well formed: \"%s\"\n", view.bad);
	if (ret)
		return ret;
	reader->reads++;
	reader->stores += view.nr;
	for (i = 0; i < view.nr; i++)
		reader->slots += view.stores[i].nr;
	return 0;
}

/* Stores and interrupts come, work, and go. */
static void come_and_go(struct __test_metadata *_metadata, struct ims_data *self)
{
	const struct store_kind *kind;
	const unsigned int nr = 24;
	unsigned int id[NR_KINDS], i;

	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const int ret = mt_store_create(self->fd, kind->nr, 64, nr);

		ASSERT_LT(0, ret);
		id[kind - store_kinds] = ret;
		ASSERT_EQ(nr, mt_alloc_batch(self->fd, ret, nr, nr, NULL, NULL));
		ASSERT_EQ(0, mt_request(self->fd, kind->nr, 64, nr));
	}
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		ASSERT_EQ(0, mt_mask(self->fd, kind->nr, 66, 8));
		fire_and_expect(_metadata, self, kind->nr, 64, 2, 0);
		ASSERT_EQ(0, mt_unmask(self->fd, kind->nr, 66, 8));
		ASSERT_EQ(0, mt_release(self->fd, kind->nr, 64, nr));
		for (i = 0; i < nr; i += 3)
			ASSERT_EQ(0, mt_free(self->fd, kind->nr, 64 + i, 1));
		ASSERT_EQ(0, mt_store_remove(self->fd, id[kind - store_kinds]));
	}
}

/* With two readers meanwhile, until each has read often enough */
static struct reader *read_under_load(struct __test_metadata *_metadata, struct ims_data *self,
				      int (*first)(void *), int (*second)(void *))
{
	const unsigned int want = 50;
	struct background bg[2];
	struct reader *reader;
	time_t end = 0;
	unsigned int i;

	reader = mmap(NULL, 2 * sizeof(*reader), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)reader);

	for (i = 0; i < 2; i++) {
		reader[i].self = self;
		background_start(_metadata, self, &bg[i], i ? second : first, &reader[i]);
	}
	do {
		come_and_go(_metadata, self);
	} while ((reader[0].reads < want || reader[1].reads < want) && mt_wait_more(&end));
	for (i = 0; i < 2; i++) {
		background_stop(_metadata, &bg[i]);
		EXPECT_LE(want, reader[i].reads);
		EXPECT_LT(0, reader[i].slots);
	}
	return reader;
}

/* Somebody reads it all the time while stores and interrupts come and go. */
TEST_F_TIMEOUT(ims, view_under_load, MT_TEST_SECONDS)
{
	const struct reader *reader;

	/* The file is there from the first store on. */
	create_store(_metadata, self, TABLE, 1);
	reader = read_under_load(_metadata, self, read_step, read_step);
	EXPECT_LE(reader[0].reads, reader[0].stores);
	EXPECT_LE(reader[1].reads, reader[1].stores);
}

static int read_interrupts(void *arg)
{
	struct reader *reader = arg;
	int ret = mt_read_file("/proc/interrupts", text, sizeof(text));

	reader->reads++;
	reader->slots += !!strstr(text, reader->self->info.name);
	return ret;
}

/* Each interrupt with its hierarchy. It can be gone when its file is opened, or read. */
static int read_irqs(void *arg)
{
	static const char irqs[] = "/sys/kernel/debug/irq/irqs";
	struct reader *reader = arg;
	struct dirent *entry;
	char path[300];
	DIR *dir;

	dir = opendir(irqs);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", irqs, entry->d_name);
		if (!mt_read_file(path, text, sizeof(text)) &&
		    strstr(text, reader->self->info.name))
			reader->slots++;
	}
	closedir(dir);
	reader->reads++;
	return 0;
}

/* The same for what the kernel shows of each interrupt */
TEST_F_TIMEOUT(ims, irqs_under_load, MT_TEST_SECONDS)
{
	read_under_load(_metadata, self, read_interrupts, read_irqs);
}

/* It goes with the driver, whoever has it open. */
TEST_F_TIMEOUT(ims, view_while_unbinding, MT_TEST_SECONDS)
{
	char path[128], some[64];
	int file, old;

	create_everything(_metadata, self, 8);
	snprintf(path, sizeof(path), "/sys/kernel/debug/irq/msi/%s", self->info.name);
	file = open(path, O_RDONLY);
	ASSERT_LE(0, file);
	EXPECT_EQ(sizeof(some), read(file, some, sizeof(some)));

	EXPECT_EQ(0, mt_write_file(unbind, self->info.name));
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_GE(0, read(file, some, sizeof(some)));
	EXPECT_EQ(0, mt_write_file(bind, self->info.name));
	EXPECT_GE(0, pread(file, some, sizeof(some), 0));
	close(file);

	old = self->fd;
	self->fd = mt_open();
	ASSERT_LE(0, self->fd);
	close(old);
	reset_device(_metadata, self);
	create_everything(_metadata, self, 4);
	EXPECT_EQ(NR_KINDS + 1, expect_view(_metadata, self)->nr);
}

/*
 * Tracepoints
 */

static const char no_tracing[] = "the kernel has no tracepoints";

#define TRACING	"/sys/kernel/tracing"

static bool has_tracing(void)
{
	if (access(TRACING "/trace", F_OK) &&
	    mount("tracefs", TRACING, "tracefs", 0, NULL))
		return false;
	return !access(TRACING "/events/msi", F_OK);
}

static void trace_start(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, mt_write_file(TRACING "/trace", "\n"));
	ASSERT_EQ(0, mt_write_file(TRACING "/events/msi/enable", "1"));
	ASSERT_EQ(0, mt_write_file(TRACING "/tracing_on", "1"));
}

/* What was traced since the start, until the next call */
static void trace_read(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, mt_read_file(TRACING "/trace", text, sizeof(text)));
}

static void trace_stop(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, mt_write_file(TRACING "/events/msi/enable", "0"));
	trace_read(_metadata);
}

/*
 * A line of the trace from *@from on, which has event and arguments of this device. It
 * moves *@from behind the line. 0 if there is none: the order counts.
 */
static bool find_event(struct ims_data *self, const char **from, const char *event,
		       const char *args)
{
	char line[256];
	const char *at;

	snprintf(line, sizeof(line), "%s: %s %s", event, self->info.name, args);
	at = strstr(*from, line);
	if (!at)
		return false;
	*from = at + strlen(line);
	return true;
}

/* The life of an interrupt of a store, which is the same for all kinds */
TEST_F_TIMEOUT(ims, trace_life, MT_TEST_SECONDS)
{
	const struct store_kind *kind;
	struct ims_testdev_slot slot;
	struct ims_testdev_map map;
	unsigned long long cookie;
	const char *from;
	char args[128];
	unsigned int id;

	if (!has_tracing())
		SKIP(return, "%s", no_tracing);

	trace_start(_metadata);
	for (kind = store_kinds; kind < KINDS_END; kind++) {
		const unsigned int nr = kind->nr;

		id = create_store(_metadata, self, nr, 8);
		ASSERT_EQ(0, mt_write_file(TRACING "/trace", "\n"));
		ASSERT_EQ(0, mt_alloc(self->fd, id, 3, 1, &map));
		ASSERT_EQ(0, mt_request_unlazy(self->fd, nr, 3, 1));
		ASSERT_EQ(0, mt_slots(self->fd, nr, 3, 1, &slot));
		ASSERT_EQ(0, mt_mask(self->fd, nr, 3, 1));
		ASSERT_EQ(0, mt_unmask(self->fd, nr, 3, 1));
		ASSERT_EQ(0, mt_release(self->fd, nr, 3, 1));
		ASSERT_EQ(0, mt_free(self->fd, nr, 3, 1));
		trace_read(_metadata);

		from = text;
		snprintf(args, sizeof(args), "store=%u index=3 irq=%u has_cookie=1 ", id, map.virq);
		EXPECT_TRUE(find_event(self, &from, "msi_alloc", args)) { TH_LOG("%s", text); }
		/* A PASID, or the hash of an address: 0 before the kernel has random numbers */
		cookie = strtoull(from + strlen("cookie="), NULL, 16);
		EXPECT_EQ(0, kind->pasid ? cookie : cookie >> 32);
		if (kind->visible) {
			from = text;
			snprintf(args, sizeof(args), "store=%u index=3 address=%#llx data=%#x",
				 id, (unsigned long long)slot.addr_hi << 32 | slot.addr_lo,
				 slot.data);
			EXPECT_TRUE(find_event(self, &from, "msi_write_msg", args))
				TH_LOG("%s: %s", args, text);
		}

		/* Requested, masked, unmasked, released */
		from = text;
		snprintf(args, sizeof(args), "store=%u index=3 masked=0", id);
		EXPECT_TRUE(find_event(self, &from, "msi_mask", args)) { TH_LOG("%s", text); }
		args[strlen(args) - 1] = '1';
		EXPECT_TRUE(find_event(self, &from, "msi_mask", args)) { TH_LOG("%s", text); }
		args[strlen(args) - 1] = '0';
		EXPECT_TRUE(find_event(self, &from, "msi_mask", args)) { TH_LOG("%s", text); }
		args[strlen(args) - 1] = '1';
		EXPECT_TRUE(find_event(self, &from, "msi_mask", args)) { TH_LOG("%s", text); }
		snprintf(args, sizeof(args), "store=%u index=3 irq=%u ", id, map.virq);
		EXPECT_TRUE(find_event(self, &from, "msi_free", args)) { TH_LOG("%s", text); }

		from = text;
		EXPECT_EQ(!kind->direct, find_event(self, &from, "msi_sync", ""));
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
	}
	trace_stop(_metadata);
}

/* What a device is told by commands, and what it makes of them */
TEST_F_TIMEOUT(ims, trace_sync, MT_TEST_SECONDS)
{
	const char *from = text;
	char args[128];
	unsigned int id;

	if (!has_tracing())
		SKIP(return, "%s", no_tracing);

	self->bad_news = true;
	id = create_store(_metadata, self, CMD, 8);
	trace_start(_metadata);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 5, 1, NULL));
	ASSERT_EQ(0, mt_request(self->fd, CMD, 5, 1));
	ASSERT_EQ(0, mt_reg_write(self->fd, IMS_TD_REG_CMD_FAIL, 1));
	EXPECT_EQ(-EIO, mt_alloc(self->fd, id, 6, 1, NULL));
	trace_stop(_metadata);

	snprintf(args, sizeof(args), "store=%u index=5 what=msg|mask masked=1 ret=0", id);
	EXPECT_TRUE(find_event(self, &from, "msi_sync", args)) { TH_LOG("%s", text); }
	snprintf(args, sizeof(args), "store=%u index=5 what=mask masked=0 ret=0", id);
	EXPECT_TRUE(find_event(self, &from, "msi_sync", args)) { TH_LOG("%s", text); }
	snprintf(args, sizeof(args), "store=%u index=6 what=msg|mask masked=1 ret=-5", id);
	EXPECT_TRUE(find_event(self, &from, "msi_sync", args)) { TH_LOG("%s", text); }
}

/* MSI-X is a store like others. */
TEST_F_TIMEOUT(ims, trace_msix, MT_TEST_SECONDS)
{
	struct ims_testdev_count count;
	const char *from = text;
	char args[128];

	if (!has_tracing())
		SKIP(return, "%s", no_tracing);

	trace_start(_metadata);
	ASSERT_EQ(0, mt_vectors_enable(self->fd, MSIX, 2));
	ASSERT_EQ(0, mt_request(self->fd, MSIX, 1, 1));
	ASSERT_EQ(0, mt_counts(self->fd, MSIX, 1, 1, NULL, &count));
	ASSERT_EQ(0, mt_release(self->fd, MSIX, 1, 1));
	ASSERT_EQ(0, mt_vectors_disable(self->fd, MSIX));
	trace_stop(_metadata);

	snprintf(args, sizeof(args), "store=0 index=1 irq=%u ", count.virq);
	EXPECT_TRUE(find_event(self, &from, "msi_alloc", args)) { TH_LOG("%s", text); }
	EXPECT_TRUE(find_event(self, &from, "msi_mask", "store=0 index=1 masked=0"));
	EXPECT_TRUE(find_event(self, &from, "msi_mask", "store=0 index=1 masked=1"));
	EXPECT_TRUE(find_event(self, &from, "msi_free", args)) { TH_LOG("%s", text); }
}

int main(int argc, char **argv)
{
	mt_gate(MT_WANT_STORES);
	if (mt_debugfs_mount() || access("/sys/kernel/debug/irq/msi", F_OK)) {
		ksft_print_header();
		ksft_exit_skip("the kernel has no CONFIG_GENERIC_IRQ_DEBUGFS\n");
	}
	return test_harness_run(argc, argv);
}
