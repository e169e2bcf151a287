// SPDX-License-Identifier: BSD-3-Clause-Clear
/*
 * KUnit tests of the messages that are derived for rings
 *
 * Words used here:
 *
 *   base	the message of vector 0, of which the driver keeps a copy
 *   many	a device that got all of its vectors
 *   one	a device that got a single vector: all its users share that
 */
#include <kunit/test.h>

#include <linux/module.h>

#include "msi.h"

static const struct ath11k_msi_config many = {
	.total_vectors = 32,
	.total_users = 4,
	.users = (struct ath11k_msi_user[]) {
		{ .name = "MHI", .num_vectors = 3, .base_vector = 0 },
		{ .name = "CE", .num_vectors = 10, .base_vector = 3 },
		{ .name = "WAKE", .num_vectors = 1, .base_vector = 13 },
		{ .name = "DP", .num_vectors = 18, .base_vector = 14 },
	},
};

static const struct ath11k_msi_config one = {
	.total_vectors = 1,
	.total_users = 4,
	.users = (struct ath11k_msi_user[]) {
		{ .name = "MHI", .num_vectors = 3, .base_vector = 0 },
		{ .name = "CE", .num_vectors = 1, .base_vector = 0 },
		{ .name = "WAKE", .num_vectors = 1, .base_vector = 0 },
		{ .name = "DP", .num_vectors = 1, .base_vector = 0 },
	},
};

/* Tables that no driver should have */
static const struct ath11k_msi_config broken = {
	.total_vectors = 4,
	.total_users = 2,
	.users = (struct ath11k_msi_user[]) {
		{ .name = "CE", .num_vectors = 0, .base_vector = 0 },
		{ .name = "DP", .num_vectors = 3, .base_vector = 2 },
	},
};

struct ring_case {
	const char *name;
	const struct ath11k_msi_config *config;
	const char *user;
	u32 ring;
	int ret;
	/* Of the message, if @ret is 0 */
	u32 vector;
};

static const struct ring_case ring_cases[] = {
	{ "many: first of MHI", &many, "MHI", 0, 0, 0 },
	{ "many: last of MHI", &many, "MHI", 2, 0, 2 },
	{ "many: first of CE", &many, "CE", 0, 0, 3 },
	{ "many: last of CE", &many, "CE", 9, 0, 12 },
	{ "many: CE shares its first vector", &many, "CE", 10, 0, 3 },
	{ "many: CE shares its second vector", &many, "CE", 11, 0, 4 },
	{ "many: WAKE", &many, "WAKE", 0, 0, 13 },
	{ "many: first of DP", &many, "DP", 0, 0, 14 },
	{ "many: last of DP", &many, "DP", 17, 0, 31 },
	{ "many: DP shares its first vector", &many, "DP", 18, 0, 14 },
	{ "many: a large number", &many, "DP", U32_MAX, 0, 14 + U32_MAX % 18 },
	{ "one: MHI", &one, "MHI", 0, 0, 0 },
	{ "one: first of CE", &one, "CE", 0, 0, 0 },
	{ "one: another of CE", &one, "CE", 11, 0, 0 },
	{ "one: WAKE", &one, "WAKE", 0, 0, 0 },
	{ "one: first of DP", &one, "DP", 0, 0, 0 },
	{ "one: another of DP", &one, "DP", 10, 0, 0 },
	{ "one: MHI wants what is not there", &one, "MHI", 1, -ERANGE },
	{ "no such user", &many, "QMI", 0, -EINVAL },
	{ "start of a user's name", &many, "C", 0, -EINVAL },
	{ "broken: no vectors", &broken, "CE", 0, -EINVAL },
	{ "broken: last vector", &broken, "DP", 1, 0, 3 },
	{ "broken: behind the last vector", &broken, "DP", 2, -ERANGE },
};

static void ring_case_name(const struct ring_case *c, char *name)
{
	strscpy(name, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ring, ring_cases, ring_case_name);

/* An error leaves the message alone */
static const struct ath11k_msi_msg sentinel = { .addr = 0x5e5e5e5e5e5e5e5e, .data = 0x5e5e5e5e };

static void expect_msg(struct kunit *test, const struct ring_case *c,
		       const struct ath11k_msi_msg *base)
{
	struct ath11k_msi_msg msg = sentinel;
	struct ath11k_msi_msg want = sentinel;

	if (!c->ret) {
		want.addr = base->addr;
		want.data = base->data + c->vector;
	}

	KUNIT_EXPECT_EQ(test, c->ret,
			ath11k_msi_ring_msg(c->config, c->user, c->ring, base, &msg));
	KUNIT_EXPECT_EQ(test, want.addr, msg.addr);
	KUNIT_EXPECT_EQ(test, want.data, msg.data);
}

static void test_ring_msg(struct kunit *test)
{
	/* As on x86 without and with remapping, and as behind an ITS */
	static const struct ath11k_msi_msg bases[] = {
		{ .addr = 0xfee01000, .data = 0x4021 },
		{ .addr = 0xfee00418, .data = 0 },
		{ .addr = 0x1234567808090040, .data = 0x20 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bases); i++)
		expect_msg(test, test->param_value, &bases[i]);
}

/* What is derived is from the message as it is then, all of it, with no rest of the last one */
static void test_changed(struct kunit *test)
{
	static const struct ath11k_msi_msg msgs[] = {
		{ .addr = 0xfee01000, .data = 0xef },
		{ .addr = 0xfee02000, .data = 0x21 },
		{ .addr = 0x1fee03000, .data = 0x21 },
		{ .addr = 0xfee03000, .data = 0x22 },
	};
	struct ath11k_msi_copy copy;
	struct ath11k_msi_msg base;
	unsigned int i;

	ath11k_msi_copy_init(&copy);
	base = ath11k_msi_copy_read(&copy);
	KUNIT_EXPECT_EQ(test, 0, base.addr);
	KUNIT_EXPECT_EQ(test, 0, base.data);

	for (i = 0; i < ARRAY_SIZE(msgs); i++) {
		ath11k_msi_copy_write(&copy, lower_32_bits(msgs[i].addr),
				      upper_32_bits(msgs[i].addr), msgs[i].data);
		base = ath11k_msi_copy_read(&copy);
		KUNIT_EXPECT_EQ(test, msgs[i].addr, base.addr);
		KUNIT_EXPECT_EQ(test, msgs[i].data, base.data);
		expect_msg(test, test->param_value, &base);
	}
}

/* Nobody has told a message */
static void test_none(struct kunit *test)
{
	struct ath11k_msi_msg msg = sentinel;
	struct ath11k_msi_copy copy;
	struct ath11k_msi_msg base;

	ath11k_msi_copy_init(&copy);
	base = ath11k_msi_copy_read(&copy);
	KUNIT_EXPECT_EQ(test, -ENOENT, ath11k_msi_ring_msg(&many, "CE", 0, &base, &msg));
	KUNIT_EXPECT_EQ(test, -ENOENT, ath11k_msi_ring_msg(&one, "DP", 3, &base, &msg));
	KUNIT_EXPECT_EQ(test, sentinel.addr, msg.addr);
	KUNIT_EXPECT_EQ(test, sentinel.data, msg.data);
}

/* With all vectors, no two users have one in common, and each vector has a user */
static void test_disjoint(struct kunit *test)
{
	const struct ath11k_msi_msg base = { .addr = 0xfee00000, .data = 0x40 };
	u32 seen = 0;
	int i, j;

	for (i = 0; i < many.total_users; i++) {
		const struct ath11k_msi_user *user = &many.users[i];

		for (j = 0; j < user->num_vectors; j++) {
			struct ath11k_msi_msg msg = sentinel;

			KUNIT_ASSERT_EQ(test, 0, ath11k_msi_ring_msg(&many, user->name, j,
								     &base, &msg));
			KUNIT_ASSERT_LT(test, msg.data - base.data, 32U);
			KUNIT_EXPECT_FALSE(test, seen & BIT(msg.data - base.data));
			seen |= BIT(msg.data - base.data);
		}
	}
	KUNIT_EXPECT_EQ(test, U32_MAX, seen);
}

static struct kunit_case ath11k_msi_cases[] = {
	KUNIT_CASE_PARAM(test_ring_msg, ring_gen_params),
	KUNIT_CASE_PARAM(test_changed, ring_gen_params),
	KUNIT_CASE(test_none),
	KUNIT_CASE(test_disjoint),
	{}
};

static struct kunit_suite ath11k_msi_suite = {
	.name = "ath11k_msi",
	.test_cases = ath11k_msi_cases,
};

kunit_test_suite(ath11k_msi_suite);

MODULE_DESCRIPTION("KUnit tests of the messages that ath11k derives for its rings");
MODULE_LICENSE("Dual BSD/GPL");
