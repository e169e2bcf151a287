// SPDX-License-Identifier: GPL-2.0
/*
 * Storage ops that are wrong on purpose. Each rule for them is broken by one set of
 * ops, and each time somebody has to notice: the core when the store is created, a
 * kernel with CONFIG_MSI_STORAGE_DEBUG when the ops are invoked, or the device.
 *
 * What the device finds is what every other test relies on. So for its sake, too,
 * here are an interrupt that is lost, one that is spurious, and each breach that
 * storage ops can commit.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "ims_fixture.h"

#define NR	4

#define OPS(_name)	.ops = IMS_TESTDEV_OPS_##_name, .name = #_name

/*
 * Refused
 */

static const char placed[] = "it or the storage ops are not constant";
static const char no_mask[] = "the storage ops cannot mask and unmask a slot";
static const char both[] = "the storage ops are both direct and deferred";
static const char one_lock[] = "the storage ops have only one of lock and unlock";

/* What the log says before the rule, if it is one for all message stores */
static const char invalid[] = "Invalid message store: ";
static const char not_ims[] = "Not a template for IMS";

/* Ops that there can't be a store with, and the rule that the kernel log names */
static const struct refused {
	unsigned int	ops;
	const char	*name;
	const char	*rule;
} refused[] = {
	{ OPS(NO_NAME), .rule = "it has no name" },
	{ OPS(NO_OPS), .rule = "it has no storage ops" },
	{ OPS(NO_REQUIRES), .rule = not_ims },
	{ OPS(NOT_IMS), .rule = not_ims },
	{ OPS(TEMPLATE_ON_HEAP), .rule = placed },
	{ OPS(OPS_ON_HEAP), .rule = placed },
	{ OPS(WRONG_OWNER), .rule = "its owner is not where the storage ops are" },
	{ OPS(NO_WRITE_MSG), .rule = "the storage ops cannot write a message" },
	{ OPS(NO_MASK), .rule = no_mask },
	{ OPS(NO_UNMASK), .rule = no_mask },
	{ OPS(EMPTY), .rule = "the storage ops cannot write a message" },
	{ OPS(SYNC_AND_WRITE_MSG), .rule = both },
	{ OPS(SYNC_AND_MASK), .rule = both },
	{ OPS(SYNC_AND_UNMASK), .rule = both },
	{ OPS(LOCK_ONLY), .rule = one_lock },
	{ OPS(UNLOCK_ONLY), .rule = one_lock },
	{ OPS(MASK_DENIED), .rule = "the storage ops can mask and it says that they cannot" },
	{ OPS(UNMASKABLE), .rule = "the slots of an IMS have to be maskable" },
	{ OPS(SYNC_UNMASKABLE), .rule = "the slots of a deferred store have to be maskable" },
	{ OPS(RESTORE_DIRECT), .rule = "it waits for the driver and is not deferred" },
	{ OPS(UNKNOWN_FLAG), .rule = "it has flags which do not exist" },
	{ OPS(TOO_LARGE), .rule = "it has more slots than can be handled" },
};

/* An error, one line in the log that says why, and nothing else has happened */
TEST_F_TIMEOUT(ims, refused, MT_TEST_SECONDS)
{
	const char *const any[] = { self->info.name, NULL };
	char line[512];
	unsigned int i;
	int kmsg, id;

	self->bad_news = true;
	EXPECT_EQ(IMS_TESTDEV_OPS_REFUSED_END - IMS_TESTDEV_OPS_REFUSED, ARRAY_SIZE(refused));
	create_full(_metadata, self, WIDE, NR, NULL);
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		const struct refused *wrong = &refused[i];

		EXPECT_EQ(IMS_TESTDEV_OPS_REFUSED + i, wrong->ops);
		kmsg = mt_kmsg_open();
		ASSERT_LE(0, kmsg);
		EXPECT_EQ(-EINVAL, mt_store_create_ops(self->fd, NR, wrong->ops))
			TH_LOG("%s", wrong->name);
		EXPECT_EQ(1, mt_kmsg_read(kmsg, any, line, sizeof(line)))
			TH_LOG("%s: %s", wrong->name, line);
		EXPECT_TRUE(strstr(line, wrong->rule) &&
			    (wrong->rule == not_ims || strstr(line, invalid)))
			TH_LOG("%s: %s", wrong->name, line);
		close(kmsg);

		/* The place is there for a store of another kind. */
		id = mt_store_create(self->fd, TABLE, 0, NR);
		ASSERT_LT(0, id);
		ASSERT_EQ(0, mt_store_remove(self->fd, id));
	}
	EXPECT_EQ(NR, count_msi_irqs(self));
	fire_and_expect(_metadata, self, WIDE, 0, NR, 0);
}

/*
 * Reported
 */

static const char contract[] = "/sys/kernel/debug/irq/msi_contract";
static const char no_checks[] = "the kernel does not check storage ops";

enum rule { SLEPT, IRQS, PREEMPT, UNMASKED, NOT_MASKED, NOT_UNMASKED, MASK_STATE, NR_RULES };

static const char *const rules[NR_RULES] = {
	[SLEPT]		= "slept",
	[IRQS]		= "changed the interrupt state",
	[PREEMPT]	= "changed the preempt count",
	[UNMASKED]	= "left the slot unmasked",
	[NOT_MASKED]	= "did not mask the slot",
	[NOT_UNMASKED]	= "did not unmask the slot",
	[MASK_STATE]	= "changed the mask state",
};

/* Ops that are found out by the callback @op, which breaks @rule */
static const struct reported {
	unsigned int	ops;
	const char	*name;
	const char	*op;
	enum rule	rule;
} reported[] = {
	{ OPS(MASK_SLEEPS), .op = "mask", .rule = SLEPT },
	{ OPS(UNMASK_SLEEPS), .op = "unmask", .rule = SLEPT },
	{ OPS(WRITE_MSG_SLEEPS), .op = "write_msg", .rule = SLEPT },
	{ OPS(MASK_IRQS), .op = "mask", .rule = IRQS },
	{ OPS(UNMASK_IRQS), .op = "unmask", .rule = IRQS },
	{ OPS(WRITE_MSG_IRQS), .op = "write_msg", .rule = IRQS },
	{ OPS(INIT_SLOT_IRQS), .op = "init_slot", .rule = IRQS },
	{ OPS(FREE_SLOT_IRQS), .op = "free_slot", .rule = IRQS },
	{ OPS(SYNC_IRQS), .op = "sync", .rule = IRQS },
	{ OPS(LOCK_IRQS), .op = "lock", .rule = IRQS },
	{ OPS(UNLOCK_IRQS), .op = "unlock", .rule = IRQS },
	{ OPS(MASK_PREEMPT), .op = "mask", .rule = PREEMPT },
	{ OPS(UNMASK_PREEMPT), .op = "unmask", .rule = PREEMPT },
	{ OPS(WRITE_MSG_PREEMPT), .op = "write_msg", .rule = PREEMPT },
	{ OPS(INIT_SLOT_PREEMPT), .op = "init_slot", .rule = PREEMPT },
	{ OPS(FREE_SLOT_PREEMPT), .op = "free_slot", .rule = PREEMPT },
	{ OPS(SYNC_PREEMPT), .op = "sync", .rule = PREEMPT },
	{ OPS(LOCK_PREEMPT), .op = "lock", .rule = PREEMPT },
	{ OPS(UNLOCK_PREEMPT), .op = "unlock", .rule = PREEMPT },
	{ OPS(INIT_SLOT_UNMASKS), .op = "init_slot", .rule = UNMASKED },
	{ OPS(MASK_NOTHING), .op = "mask", .rule = NOT_MASKED },
	{ OPS(UNMASK_NOTHING), .op = "unmask", .rule = NOT_UNMASKED },
	{ OPS(WRITE_MSG_UNMASKS), .op = "write_msg", .rule = MASK_STATE },
	{ OPS(SYNC_MASKS_NOTHING), .op = "sync", .rule = NOT_MASKED },
	{ OPS(SYNC_UNMASKS_NOTHING), .op = "sync", .rule = NOT_UNMASKED },
};

/* From one count to the other no rule was broken, but for @broken. */
static void expect_unbroken(struct __test_metadata *_metadata, const unsigned int *before,
			    const unsigned int *after, unsigned int broken, const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_RULES; i++) {
		EXPECT_TRUE(i == broken || after[i] == before[i])
			TH_LOG("%s: \"%s\" %u times", name, rules[i], after[i] - before[i]);
	}
}

/* How often each rule was broken since boot */
static int read_contract(unsigned int count[NR_RULES])
{
	char text[1024], *line;
	unsigned int i;
	int ret;

	ret = mt_read_file(contract, text, sizeof(text));
	if (ret)
		return ret;
	for (i = 0; i < NR_RULES; i++) {
		line = strstr(text, rules[i]);
		if (!line || sscanf(line + strlen(rules[i]), ": %u", &count[i]) != 1)
			return -EINVAL;
	}
	return 0;
}

/*
 * Invoke all the ops there are: allocate, request, fire, mask, and undo all of it. Only
 * ops that are right are sure to let the interrupt arrive.
 */
static void use_store(struct __test_metadata *_metadata, struct ims_data *self, unsigned int id,
		      bool right)
{
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_fire(self->fd, TABLE, 0));
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 0, 1));
	/* Let all of them arrive before the handler is removed */
	visit_cpus(_metadata);
	if (right)
		EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	ASSERT_EQ(0, mt_release(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_free(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_store_remove(self->fd, id));
}

/* The rule is counted as broken, no other one is, and the log says who has broken it. */
static void expect_report(struct __test_metadata *_metadata, struct ims_data *self,
			  const struct reported *wrong, unsigned int id)
{
	unsigned int before[NR_RULES], after[NR_RULES];
	const char *const any[] = { self->info.name, "storage ops:", NULL };
	char text[128], line[512];
	int kmsg = mt_kmsg_open();

	ASSERT_LE(0, kmsg);
	ASSERT_EQ(0, read_contract(before));
	use_store(_metadata, self, id, false);
	ASSERT_EQ(0, read_contract(after));
	EXPECT_LT(before[wrong->rule], after[wrong->rule]) { TH_LOG("%s", wrong->name); }
	expect_unbroken(_metadata, before, after, wrong->rule, wrong->name);

	/* The log can have had enough of such lines. What it has must be right. */
	snprintf(text, sizeof(text), "storage ops: %s%s ", wrong->op,
		 strstr(wrong->op, "lock") ? "" : " of slot");
	if (mt_kmsg_read(kmsg, any, line, sizeof(line))) {
		EXPECT_NE(NULL, strstr(line, text)) { TH_LOG("%s: %s", wrong->name, line); }
		EXPECT_NE(NULL, strstr(line, rules[wrong->rule]))
			TH_LOG("%s: %s", wrong->name, line);
	}
	close(kmsg);
}

TEST_F_TIMEOUT(ims, reported, MT_TEST_SECONDS)
{
	unsigned int i, done = 0;
	int id;

	if (mt_debugfs_mount() || access(contract, F_OK))
		SKIP(return, "%s", no_checks);

	/* Some leave what the device calls a breach, too. */
	self->judged = true;
	self->spoilt = true;
	self->bad_news = true;
	EXPECT_EQ(IMS_TESTDEV_OPS_REPORTED_END - IMS_TESTDEV_OPS_REPORTED, ARRAY_SIZE(reported));
	for (i = 0; i < ARRAY_SIZE(reported); i++) {
		EXPECT_EQ(IMS_TESTDEV_OPS_REPORTED + i, reported[i].ops);
		ASSERT_EQ(0, mt_reset(self->fd));
		id = mt_store_create_ops(self->fd, NR, reported[i].ops);
		if (id == -EOPNOTSUPP) {
			TH_LOG("%s: this kernel would not get over it", reported[i].name);
			continue;
		}
		ASSERT_LT(0, id) { TH_LOG("%s", reported[i].name); }
		expect_report(_metadata, self, &reported[i], id);
		done++;
	}
	/* Not with lockdep: 6. Not without a preempt count: 8. */
	EXPECT_LE(ARRAY_SIZE(reported) - 14, done);
}

/* The log has the rule, the callback and the slot, if it didn't have too much before. */
TEST_F_TIMEOUT(ims, reported_in_log, MT_TEST_SECONDS)
{
	const char *const line_of[] = {
		self->info.name, "storage ops: mask of slot 2 did not mask the slot", NULL
	};
	const struct timespec limit = { .tv_sec = 6 };
	char line[512];
	int id, kmsg;

	if (mt_debugfs_mount() || access(contract, F_OK))
		SKIP(return, "%s", no_checks);

	self->judged = true;
	self->spoilt = true;
	self->bad_news = true;
	nanosleep(&limit, NULL);
	kmsg = mt_kmsg_open();
	ASSERT_LE(0, kmsg);
	id = mt_store_create_ops(self->fd, NR, IMS_TESTDEV_OPS_MASK_NOTHING);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 2, 1, NULL));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 2, 1));
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 2, 1));
	EXPECT_EQ(1, mt_kmsg_read(kmsg, line_of, line, sizeof(line)));
	close(kmsg);
}

/* And ops that are right are not reported, neither here nor in any other test. */
TEST_F_TIMEOUT(ims, not_reported, MT_TEST_SECONDS)
{
	const unsigned int right[] = {
		IMS_TESTDEV_OPS_GENERIC, IMS_TESTDEV_OPS_SAMPLE, IMS_TESTDEV_OPS_DIRECT,
		IMS_TESTDEV_OPS_DEFERRED
	};
	unsigned int before[NR_RULES], after[NR_RULES], i;
	int id;

	if (mt_debugfs_mount() || access(contract, F_OK))
		SKIP(return, "%s", no_checks);

	ASSERT_EQ(0, read_contract(before));
	for (i = 0; i < ARRAY_SIZE(right); i++) {
		id = mt_store_create_ops(self->fd, NR, right[i]);
		ASSERT_LT(0, id);
		use_store(_metadata, self, id, true);
	}
	create_everything(_metadata, self, NR);
	fire_everything(_metadata, self, NR, 0);
	ASSERT_EQ(0, read_contract(after));
	expect_unbroken(_metadata, before, after, NR_RULES, "right ones");
}

/*
 * Judged. All of it is found on any kernel.
 */

/* What the device and the handlers have counted, and the slots of a store */
struct verdict {
	struct ims_testdev_breaches	breaches;
	struct ims_testdev_stats	stats;
	struct ims_testdev_counts	sum;
	struct ims_testdev_count	counts[NR];
};

static void read_verdict(struct __test_metadata *_metadata, struct ims_data *self,
			 struct verdict *verdict)
{
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	ASSERT_EQ(0, mt_breaches(self->fd, &verdict->breaches, true));
	ASSERT_EQ(0, mt_stats(self->fd, TABLE, &verdict->stats));
	ASSERT_EQ(0, mt_counts(self->fd, TABLE, 0, NR, &verdict->sum, verdict->counts));
}

/* A store with wrong ops and interrupts, which all have handlers */
static void create_wrong(struct __test_metadata *_metadata, struct ims_data *self,
			 unsigned int ops)
{
	int id;

	self->judged = true;
	self->spoilt = true;
	self->bad_news = true;
	id = mt_store_create_ops(self->fd, NR, ops);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, NR, NULL));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, NR));
}

/* @count breaches of that kind, and no other ones */
static void expect_breaches(struct __test_metadata *_metadata, const struct verdict *verdict,
			    unsigned int code, unsigned int count)
{
	EXPECT_EQ(count, verdict->breaches.by_code[code]);
	EXPECT_EQ(count, verdict->breaches.count)
		TH_LOG("first breach: code %u kind %u where %u value %#x",
		       verdict->breaches.log[0].code, verdict->breaches.log[0].kind,
		       verdict->breaches.log[0].where, verdict->breaches.log[0].value);
	EXPECT_EQ(TABLE, verdict->breaches.log[0].kind);
}

/* A message that changes while the slot is unmasked, although nothing is lost by it here */
static void expect_late_message(struct __test_metadata *_metadata, struct ims_data *self,
				unsigned int ops)
{
	struct verdict verdict;

	create_wrong(_metadata, self, ops);
	ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 0, NR));
	read_verdict(_metadata, self, &verdict);
	EXPECT_LE(NR, verdict.breaches.by_code[IMS_TD_BREACH_MSG_UNMASKED]);
	EXPECT_EQ(verdict.breaches.count, verdict.breaches.by_code[IMS_TD_BREACH_MSG_UNMASKED]);
	EXPECT_EQ(NR, verdict.sum.received);
	EXPECT_EQ(0, verdict.sum.lost);
	EXPECT_EQ(0, verdict.sum.spurious);
}

TEST_F_TIMEOUT(ims, judged_late_message, MT_TEST_SECONDS)
{
	expect_late_message(_metadata, self, IMS_TESTDEV_OPS_MSG_LATE);
}

TEST_F_TIMEOUT(ims, judged_late_message_deferred, MT_TEST_SECONDS)
{
	expect_late_message(_metadata, self, IMS_TESTDEV_OPS_SYNC_MSG_LATE);
}

/* Lost where it was sent, and spurious where it arrives */
TEST_F_TIMEOUT(ims, judged_message_of_another, MT_TEST_SECONDS)
{
	struct verdict verdict;

	create_wrong(_metadata, self, IMS_TESTDEV_OPS_MSG_OF_FIRST);
	fire_and_expect(_metadata, self, TABLE, 0, 1, 0);
	ASSERT_EQ(0, mt_fire(self->fd, TABLE, 2));
	read_verdict(_metadata, self, &verdict);
	EXPECT_EQ(0, verdict.breaches.count);
	EXPECT_EQ(2, verdict.stats.sent);
	EXPECT_EQ(2, verdict.sum.expected);
	EXPECT_EQ(2, verdict.sum.received);
	EXPECT_EQ(1, verdict.sum.lost);
	EXPECT_EQ(1, verdict.sum.spurious);
	EXPECT_EQ(1, verdict.counts[0].spurious);
	EXPECT_EQ(2, verdict.counts[0].received);
	EXPECT_EQ(0, verdict.counts[2].received);
}

TEST_F_TIMEOUT(ims, judged_no_message, MT_TEST_SECONDS)
{
	struct verdict verdict;

	create_wrong(_metadata, self, IMS_TESTDEV_OPS_MSG_FORGOTTEN);
	ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 0, NR));
	read_verdict(_metadata, self, &verdict);
	expect_breaches(_metadata, &verdict, IMS_TD_BREACH_NO_MSG, NR);
	EXPECT_EQ(0, verdict.stats.sent);
	EXPECT_EQ(0, verdict.sum.received);
	EXPECT_EQ(NR, verdict.sum.lost);
}

TEST_F_TIMEOUT(ims, judged_halves, MT_TEST_SECONDS)
{
	struct verdict verdict;

	create_wrong(_metadata, self, IMS_TESTDEV_OPS_MSG_IN_HALVES);
	read_verdict(_metadata, self, &verdict);
	EXPECT_LE(NR, verdict.breaches.by_code[IMS_TD_BREACH_WIDTH]);
	EXPECT_EQ(verdict.breaches.count, verdict.breaches.by_code[IMS_TD_BREACH_WIDTH]);
	ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 0, NR));
	read_verdict(_metadata, self, &verdict);
	expect_breaches(_metadata, &verdict, IMS_TD_BREACH_NO_MSG, NR);
	EXPECT_EQ(NR, verdict.sum.lost);
}

/* Only one of two neighbours has a handler: its message comes from the other one. */
TEST_F_TIMEOUT(ims, judged_wrong_slot, MT_TEST_SECONDS)
{
	struct verdict verdict;
	int id;

	self->judged = true;
	self->spoilt = true;
	id = mt_store_create_ops(self->fd, NR, IMS_TESTDEV_OPS_WRONG_SLOT);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_request_unlazy(self->fd, TABLE, 0, 1));
	ASSERT_EQ(0, mt_fire(self->fd, TABLE, 0));
	read_verdict(_metadata, self, &verdict);
	EXPECT_EQ(0, verdict.breaches.count);
	EXPECT_EQ(1, verdict.stats.pending);
	EXPECT_EQ(1, verdict.sum.lost);

	/* The neighbour is fired, and the wrong one gets it. */
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, 1));
	EXPECT_EQ(0, mt_settle(self->fd, TABLE));
	expect_received(_metadata, self, TABLE, 0, 1, 1);
}

/*
 * Those that a kernel with CONFIG_MSI_STORAGE_DEBUG reports are seen by the device on
 * any kernel.
 */

TEST_F_TIMEOUT(ims, judged_fresh_unmasked, MT_TEST_SECONDS)
{
	struct verdict verdict;
	int id;

	self->judged = true;
	self->spoilt = true;
	self->bad_news = true;
	id = mt_store_create_ops(self->fd, NR, IMS_TESTDEV_OPS_INIT_SLOT_UNMASKS);
	ASSERT_LT(0, id);
	ASSERT_EQ(0, mt_alloc(self->fd, id, 0, 1, NULL));
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, 0));
	read_verdict(_metadata, self, &verdict);
	expect_breaches(_metadata, &verdict, IMS_TD_BREACH_NO_MSG, 1);
}

TEST_F_TIMEOUT(ims, judged_not_masked, MT_TEST_SECONDS)
{
	struct ims_testdev_slot slot;
	struct verdict verdict;

	create_wrong(_metadata, self, IMS_TESTDEV_OPS_MASK_NOTHING);
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 1, 1));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 1, 1, &slot));
	EXPECT_EQ(0, slot.state & IMS_TD_SLOT_MASKED);
	ASSERT_EQ(0, mt_unmask(self->fd, TABLE, 1, 1));
	read_verdict(_metadata, self, &verdict);
	EXPECT_EQ(0, verdict.breaches.count);
	ASSERT_EQ(0, mt_release(self->fd, TABLE, 1, 1));
	read_verdict(_metadata, self, &verdict);
	EXPECT_LE(1, verdict.breaches.by_code[IMS_TD_BREACH_MSG_UNMASKED]);
	EXPECT_EQ(verdict.breaches.count, verdict.breaches.by_code[IMS_TD_BREACH_MSG_UNMASKED]);
}

TEST_F_TIMEOUT(ims, judged_not_unmasked, MT_TEST_SECONDS)
{
	struct verdict verdict;

	create_wrong(_metadata, self, IMS_TESTDEV_OPS_UNMASK_NOTHING);
	ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 0, NR));
	read_verdict(_metadata, self, &verdict);
	EXPECT_EQ(0, verdict.breaches.count);
	EXPECT_EQ(NR, verdict.stats.pending);
	EXPECT_EQ(NR, verdict.sum.lost);
}

TEST_F_TIMEOUT(ims, judged_message_unmasks, MT_TEST_SECONDS)
{
	struct verdict verdict;

	create_wrong(_metadata, self, IMS_TESTDEV_OPS_WRITE_MSG_UNMASKS);
	fire_and_expect(_metadata, self, TABLE, 0, NR, 0);
	ASSERT_EQ(0, mt_release(self->fd, TABLE, 1, 1));
	ASSERT_EQ(0, mt_fire_unexpected(self->fd, TABLE, 1));
	read_verdict(_metadata, self, &verdict);
	expect_breaches(_metadata, &verdict, IMS_TD_BREACH_NO_MSG, 1);
}

TEST_F_TIMEOUT(ims, judged_not_masked_deferred, MT_TEST_SECONDS)
{
	struct ims_testdev_slot slot;

	create_wrong(_metadata, self, IMS_TESTDEV_OPS_SYNC_MASKS_NOTHING);
	ASSERT_EQ(0, mt_mask(self->fd, TABLE, 1, 1));
	ASSERT_EQ(0, mt_slots(self->fd, TABLE, 1, 1, &slot));
	EXPECT_EQ(0, slot.state & IMS_TD_SLOT_MASKED);
}

TEST_F_TIMEOUT(ims, judged_not_unmasked_deferred, MT_TEST_SECONDS)
{
	struct verdict verdict;

	create_wrong(_metadata, self, IMS_TESTDEV_OPS_SYNC_UNMASKS_NOTHING);
	ASSERT_EQ(0, mt_fire_range(self->fd, TABLE, 0, NR));
	read_verdict(_metadata, self, &verdict);
	EXPECT_EQ(NR, verdict.stats.pending);
	EXPECT_EQ(NR, verdict.sum.lost);
}

int main(int argc, char **argv)
{
	mt_gate(MT_WANT_STORES);
	return test_harness_run(argc, argv);
}
