/*
 * QTest testcase for ims-platform
 *
 * docs/specs/ims-platform.rst says what is expected here. Messages go to RAM, where they
 * can be read back, and to the two devices themselves. That the ITS knows them by their
 * DeviceID is tested with Linux.
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "ims-qtest.h"
#include "standard-headers/misc/ims_platform_regs.h"

#define ARGS        "-machine virt,gic-version=3 -nodefaults "          \
                    "-device ims-platform,id=a,device-id=0x100 "        \
                    "-device ims-platform,id=b,device-id=0x200 %s"

/* Where the machine maps the two */
#define A           0x0c000000
#define B           (A + IMS_PLAT_SIZE)

#define RAM         0x40100000
#define NOWHERE     0x100000000000
#define DATA        0xcafe1234
#define MASKABLE    IMS_PLAT_NR_PLAIN

static QTestState *qts;

static void start(const char *more)
{
    qts = qtest_initf(ARGS, more);
}

static uint32_t reg(uint32_t dev, uint32_t offset)
{
    return qtest_readl(qts, dev + offset);
}

static void reg_set(uint32_t dev, uint32_t offset, uint32_t value)
{
    qtest_writel(qts, dev + offset, value);
}

static void fire(uint32_t dev, uint32_t n)
{
    reg_set(dev, IMS_PLAT_REG_FIRE, n);
}

static void set_ctrl(uint32_t dev, uint32_t n, uint32_t value)
{
    reg_set(dev, IMS_PLAT_SLOT(n) + IMS_TD_SLOT_CTRL, value);
}

static uint32_t get_ctrl(uint32_t dev, uint32_t n)
{
    return reg(dev, IMS_PLAT_SLOT(n) + IMS_TD_SLOT_CTRL);
}

static void set_msg(uint32_t dev, uint32_t n, uint64_t addr, uint32_t data)
{
    reg_set(dev, IMS_PLAT_SLOT(n) + IMS_TD_SLOT_ADDR_LO, addr);
    reg_set(dev, IMS_PLAT_SLOT(n) + IMS_TD_SLOT_ADDR_HI, addr >> 32);
    reg_set(dev, IMS_PLAT_SLOT(n) + IMS_TD_SLOT_DATA, data);
}

/* What has arrived in RAM, which is taken away, and nothing beside it */
static uint32_t arrived(void)
{
    uint32_t data = qtest_readl(qts, RAM);

    g_assert_cmphex(qtest_readl(qts, RAM - 4), ==, 0);
    g_assert_cmphex(qtest_readl(qts, RAM + 4), ==, 0);
    qtest_writel(qts, RAM, 0);
    return data;
}

static void assert_counts(uint32_t dev, uint32_t fired, uint32_t sent, uint32_t held,
                          uint32_t merged, uint32_t pending)
{
    g_assert_cmpuint(reg(dev, IMS_PLAT_REG_FIRED), ==, fired);
    g_assert_cmpuint(reg(dev, IMS_PLAT_REG_SENT), ==, sent);
    g_assert_cmpuint(reg(dev, IMS_PLAT_REG_HELD), ==, held);
    g_assert_cmpuint(reg(dev, IMS_PLAT_REG_MERGED), ==, merged);
    g_assert_cmpuint(reg(dev, IMS_PLAT_REG_PENDING), ==, pending);
}

/* So many breaches of this code since the last reset, and no others */
static void assert_breaches(uint32_t dev, uint32_t code, uint32_t n)
{
    uint32_t i;

    g_assert_cmpuint(reg(dev, IMS_PLAT_REG_BREACH_COUNT), ==, n);
    for (i = 0; i < IMS_TD_NR_BREACHES; i++) {
        g_assert_cmpuint(reg(dev, IMS_PLAT_REG_BREACH_BY_CODE(i)), ==,
                         i == code ? n : 0);
    }
}

static void assert_as_after_reset(uint32_t dev)
{
    uint32_t n, field;

    assert_counts(dev, 0, 0, 0, 0, 0);
    assert_breaches(dev, 0, 0);
    for (n = 0; n < IMS_PLAT_NR_SLOTS; n++) {
        g_assert_cmpuint(reg(dev, IMS_PLAT_REG_SLOT_SENT(n)), ==, 0);
        for (field = 0; field < IMS_TD_SLOT_CTRL; field += 4) {
            g_assert_cmphex(reg(dev, IMS_PLAT_SLOT(n) + field), ==, 0);
        }
        g_assert_cmphex(get_ctrl(dev, n), ==, n >= MASKABLE ? IMS_TD_SLOT_CTRL_MASK : 0);
    }
}

static void test_identity(void)
{
    uint32_t dev;

    start("");
    for (dev = A; dev <= B; dev += IMS_PLAT_SIZE) {
        g_assert_cmphex(reg(dev, IMS_PLAT_REG_ID), ==, IMS_PLAT_ID);
        g_assert_cmphex(reg(dev, IMS_PLAT_REG_VERSION), ==, IMS_PLAT_VERSION);
        assert_as_after_reset(dev);
    }
    qtest_quit(qts);
}

static void test_plain(void)
{
    uint32_t n;

    start("");
    for (n = 0; n < IMS_PLAT_NR_PLAIN; n++) {
        set_msg(A, n, RAM, DATA + n);
        set_ctrl(A, n, IMS_TD_SLOT_CTRL_MASK);
        g_assert_cmphex(get_ctrl(A, n), ==, 0);
        g_assert_cmphex(arrived(), ==, 0);
        fire(A, n);
        g_assert_cmphex(arrived(), ==, DATA + n);
        fire(A, n);
        g_assert_cmphex(arrived(), ==, DATA + n);
        g_assert_cmpuint(reg(A, IMS_PLAT_REG_SLOT_SENT(n)), ==, 2);
    }
    assert_counts(A, 2 * n, 2 * n, 0, 0, 0);
    assert_breaches(A, 0, 0);
    assert_as_after_reset(B);
    qtest_quit(qts);
}

/* From the first write of a message to the last one, there is none */
static void test_half(void)
{
    start("");
    fire(A, 0);
    assert_breaches(A, IMS_TD_BREACH_NO_MSG, 1);
    reg_set(A, IMS_PLAT_SLOT(0) + IMS_TD_SLOT_ADDR_LO, RAM);
    fire(A, 0);
    reg_set(A, IMS_PLAT_SLOT(0) + IMS_TD_SLOT_ADDR_HI, 0);
    fire(A, 0);
    assert_breaches(A, IMS_TD_BREACH_NO_MSG, 3);
    reg_set(A, IMS_PLAT_SLOT(0) + IMS_TD_SLOT_DATA, DATA);
    fire(A, 0);
    g_assert_cmphex(arrived(), ==, DATA);

    /* Nor is there one while it is taken away */
    reg_set(A, IMS_PLAT_SLOT(0) + IMS_TD_SLOT_ADDR_LO, 0);
    fire(A, 0);
    set_msg(A, 0, 0, 0);
    fire(A, 0);
    g_assert_cmphex(arrived(), ==, 0);
    assert_breaches(A, IMS_TD_BREACH_NO_MSG, 5);
    assert_counts(A, 6, 1, 0, 0, 0);
    qtest_quit(qts);
}

static void test_unmasked(void)
{
    start("");
    set_msg(A, 0, RAM, DATA);
    set_msg(A, 0, RAM, DATA);
    assert_breaches(A, 0, 0);
    reg_set(A, IMS_PLAT_SLOT(0) + IMS_TD_SLOT_DATA, DATA + 1);
    assert_breaches(A, IMS_TD_BREACH_MSG_UNMASKED, 1);
    /* 0 is the number of an event as well */
    reg_set(A, IMS_PLAT_SLOT(0) + IMS_TD_SLOT_DATA, 0);
    assert_breaches(A, IMS_TD_BREACH_MSG_UNMASKED, 2);
    reg_set(A, IMS_PLAT_SLOT(0), RAM + 4);
    assert_breaches(A, IMS_TD_BREACH_MSG_UNMASKED, 3);
    set_msg(A, 0, 0, 0);
    set_msg(A, 0, RAM, DATA);
    assert_breaches(A, IMS_TD_BREACH_MSG_UNMASKED, 3);

    /* With a mask bit, it has to be set for each change */
    set_msg(B, MASKABLE, RAM, DATA);
    set_ctrl(B, MASKABLE, 0);
    set_msg(B, MASKABLE, RAM, DATA);
    assert_breaches(B, 0, 0);
    set_msg(B, MASKABLE, 0, 0);
    assert_breaches(B, IMS_TD_BREACH_MSG_UNMASKED, 2);
    set_ctrl(B, MASKABLE, IMS_TD_SLOT_CTRL_MASK);
    set_msg(B, MASKABLE, RAM, DATA);
    assert_breaches(B, IMS_TD_BREACH_MSG_UNMASKED, 2);
    qtest_quit(qts);
}

static void test_maskable(void)
{
    const uint32_t masked = IMS_TD_SLOT_CTRL_MASK, pending = IMS_TD_SLOT_CTRL_PENDING;
    uint32_t n;

    start("");
    for (n = MASKABLE; n < IMS_PLAT_NR_SLOTS; n++) {
        reg_set(A, IMS_PLAT_REG_RESET, 1);
        set_msg(A, n, RAM, DATA + n);
        fire(A, n);
        fire(A, n);
        fire(A, n);
        g_assert_cmphex(arrived(), ==, 0);
        g_assert_cmphex(get_ctrl(A, n), ==, masked | pending);
        assert_counts(A, 3, 0, 3, 2, 1);
        set_ctrl(A, n, masked);
        g_assert_cmphex(get_ctrl(A, n), ==, masked | pending);
        set_ctrl(A, n, 0);
        g_assert_cmphex(get_ctrl(A, n), ==, 0);
        g_assert_cmphex(arrived(), ==, DATA + n);
        assert_counts(A, 3, 1, 3, 2, 0);
        fire(A, n);
        g_assert_cmphex(arrived(), ==, DATA + n);

        /* Software can take it back, with the mask or without */
        set_ctrl(A, n, masked | pending);
        g_assert_cmphex(get_ctrl(A, n), ==, masked);
        fire(A, n);
        set_ctrl(A, n, ~0);
        g_assert_cmphex(get_ctrl(A, n), ==, masked);
        fire(A, n);
        set_ctrl(A, n, pending);
        g_assert_cmphex(get_ctrl(A, n), ==, 0);
        g_assert_cmphex(arrived(), ==, 0);
        assert_counts(A, 6, 2, 5, 2, 0);
        assert_breaches(A, 0, 0);

        /* What is left when the message is gone is one too many */
        set_ctrl(A, n, masked);
        fire(A, n);
        set_msg(A, n, 0, 0);
        set_ctrl(A, n, 0);
        assert_breaches(A, IMS_TD_BREACH_NO_MSG, 1);
        g_assert_cmpuint(reg(A, IMS_PLAT_REG_SLOT_SENT(n)), ==, 2);
    }
    qtest_quit(qts);
}

static void test_access(void)
{
    uint32_t where[] = { IMS_PLAT_REG_ID, IMS_PLAT_REG_FIRE, IMS_PLAT_SLOT(0) };
    uint32_t i, n = 0;

    start("");
    for (i = 0; i < ARRAY_SIZE(where); i++) {
        g_assert_cmphex(qtest_readb(qts, A + where[i]), ==, UINT8_MAX);
        g_assert_cmphex(qtest_readw(qts, A + where[i]), ==, UINT16_MAX);
        g_assert_cmphex(qtest_readq(qts, A + where[i]), ==, UINT64_MAX);
        g_assert_cmphex(qtest_readl(qts, A + where[i] + 2), ==, UINT32_MAX);
        qtest_writeb(qts, A + where[i], 1);
        qtest_writew(qts, A + where[i], 1);
        qtest_writeq(qts, A + where[i], 1);
        qtest_writel(qts, A + where[i] + 1, 1);
        n += 8;
        assert_breaches(A, IMS_TD_BREACH_WIDTH, n);
    }
    assert_counts(A, 0, 0, 0, 0, 0);
    g_assert_cmphex(reg(A, IMS_PLAT_SLOT(0)), ==, 0);

    reg_set(A, IMS_PLAT_REG_RESET, 0);
    assert_breaches(A, IMS_TD_BREACH_WIDTH, n);
    reg_set(A, IMS_PLAT_REG_RESET, 1);
    g_assert_cmphex(reg(A, IMS_PLAT_SLOT(IMS_PLAT_NR_SLOTS)), ==, 0);
    g_assert_cmphex(reg(A, IMS_PLAT_SIZE - 4), ==, 0);
    g_assert_cmphex(reg(A, IMS_PLAT_REG_FIRE), ==, 0);
    g_assert_cmphex(reg(A, IMS_PLAT_REG_SLOT_SENT(IMS_PLAT_NR_SLOTS)), ==, 0);
    reg_set(A, IMS_PLAT_REG_ID, 1);
    reg_set(A, IMS_PLAT_REG_SENT, 1);
    reg_set(A, IMS_PLAT_SLOT(IMS_PLAT_NR_SLOTS), 1);
    assert_breaches(A, IMS_TD_BREACH_REG, 7);

    reg_set(A, IMS_PLAT_REG_RESET, 1);
    fire(A, IMS_PLAT_NR_SLOTS);
    fire(A, UINT32_MAX);
    assert_breaches(A, IMS_TD_BREACH_RANGE, 2);
    assert_counts(A, 0, 0, 0, 0, 0);
    qtest_quit(qts);
}

static void test_bus(void)
{
    const uint64_t bad[] = { RAM + 1, RAM + 2, NOWHERE, A + IMS_PLAT_REG_FIRE,
                             A + IMS_PLAT_REG_RESET, A + IMS_PLAT_SLOT(0) };
    uint32_t i;

    start("");
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        set_msg(A, 0, 0, 0);
        set_msg(A, 0, bad[i], 1);
        fire(A, 0);
        assert_breaches(A, IMS_TD_BREACH_BUS, i + 1);
        assert_counts(A, i + 1, 0, 0, 0, 0);
        g_assert_cmpuint(reg(A, IMS_PLAT_REG_SLOT_SENT(0)), ==, 0);
        g_assert_cmphex(reg(A, IMS_PLAT_SLOT(0)), ==, (uint32_t)bad[i]);
    }
    g_assert_cmphex(arrived(), ==, 0);
    qtest_quit(qts);
}

/* Each fires the other: it ends where it has begun */
static void test_nested(void)
{
    start("");
    set_msg(A, 0, B + IMS_PLAT_REG_FIRE, 1);
    set_msg(B, 1, A + IMS_PLAT_REG_FIRE, 0);
    fire(A, 0);
    assert_counts(A, 1, 1, 0, 0, 0);
    assert_breaches(A, 0, 0);
    assert_counts(B, 1, 0, 0, 0, 0);
    assert_breaches(B, IMS_TD_BREACH_BUS, 1);

    /* Nor does a reset by the other one reach it */
    set_msg(B, 2, A + IMS_PLAT_REG_RESET, 1);
    set_msg(A, 1, B + IMS_PLAT_REG_FIRE, 2);
    fire(A, 1);
    assert_counts(A, 2, 2, 0, 0, 0);
    assert_breaches(B, IMS_TD_BREACH_BUS, 2);
    fire(B, 2);
    assert_as_after_reset(A);
    qtest_quit(qts);
}

/* Something of all there is */
static void dirty(uint32_t dev)
{
    set_msg(dev, 0, RAM, DATA);
    fire(dev, 0);
    fire(dev, MASKABLE);
    reg_set(dev, IMS_PLAT_SLOT(1), RAM);
    reg_set(dev, IMS_PLAT_SLOT(MASKABLE) + IMS_TD_SLOT_DATA, DATA + 1);
    fire(dev, 1);
    g_assert_cmphex(arrived(), ==, DATA);
}

static void test_reset(void)
{
    start("");
    dirty(A);
    dirty(B);
    reg_set(A, IMS_PLAT_REG_RESET, 1);
    assert_as_after_reset(A);
    assert_counts(B, 3, 1, 1, 0, 1);
    dirty(A);
    qtest_qmp_send(qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(qts, "RESET");
    assert_as_after_reset(A);
    assert_as_after_reset(B);
    qtest_quit(qts);
}

static void test_migrate(void)
{
    g_autofree char *file = NULL, *uri = NULL, *incoming = NULL;
    QDict *response;
    int fd;

    start("");
    dirty(B);
    fd = g_file_open_tmp("ims-platform-XXXXXX", &file, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    uri = g_strdup_printf("exec:cat > %s", file);
    response = qtest_qmp(qts, "{'execute': 'migrate', 'arguments': {'uri': %s}}", uri);
    g_assert(qdict_haskey(response, "return"));
    qobject_unref(response);
    wait_migrated(qts);
    qtest_quit(qts);

    incoming = g_strdup_printf("-incoming \"exec:cat %s\"", file);
    start(incoming);
    wait_migrated(qts);
    unlink(file);

    assert_as_after_reset(A);
    assert_counts(B, 3, 1, 1, 0, 1);
    assert_breaches(B, IMS_TD_BREACH_NO_MSG, 1);
    g_assert_cmpuint(reg(B, IMS_PLAT_REG_SLOT_SENT(0)), ==, 1);
    fire(B, 0);
    g_assert_cmphex(arrived(), ==, DATA);
    fire(B, 1);
    assert_breaches(B, IMS_TD_BREACH_NO_MSG, 2);
    reg_set(B, IMS_PLAT_SLOT(1) + IMS_TD_SLOT_DATA, DATA);
    fire(B, 1);
    g_assert_cmphex(arrived(), ==, DATA);
    set_msg(B, MASKABLE, RAM, DATA + 1);
    set_ctrl(B, MASKABLE, 0);
    g_assert_cmphex(arrived(), ==, DATA + 1);
    qtest_quit(qts);
}

/*
 * The GICv2 takes whose interrupt it is from the CPU that writes. A device may write as
 * well, at a time when no CPU runs. qtest's own accelerator would hide that.
 */
static void test_gicv2(void)
{
    qts = qtest_init("-machine virt,gic-version=2 -nodefaults -smp 2 -accel tcg -S "
                     "-device ims-platform");
    set_msg(A, 0, 0x08000000 + 0xf00, 1 << 16 | 1);
    fire(A, 0);
    set_msg(A, 1, 0x08010000, 1);
    fire(A, 1);
    assert_counts(A, 2, 2, 0, 0, 0);
    qtest_quit(qts);
}

/* Without a MSI controller, and while the machine runs */
static void test_machines(void)
{
    QDict *response;

    qts = qtest_init("-machine virt,gic-version=3,its=off -nodefaults -device ims-platform");
    g_assert_cmphex(reg(A, IMS_PLAT_REG_ID), ==, IMS_PLAT_ID);
    response = qtest_qmp(qts, "{'execute': 'device_add', 'arguments': "
                         "{'driver': 'ims-platform', 'id': 'late'}}");
    g_assert(qdict_haskey(response, "error"));
    qobject_unref(response);
    qtest_quit(qts);
}

/* Whatever a guest does, QEMU and the devices survive it */
static void test_fuzz(void)
{
    /* The last two are the distributor and the ITS */
    const uint64_t targets[] = { RAM, A, B, NOWHERE, 0x08000000, 0x08090000 };
    GRand *rand = g_rand_new_with_seed(0x494d5350);
    uint32_t i;

    start("");
    for (i = 0; i < 20000; i++) {
        uint64_t target = targets[g_rand_int_range(rand, 0, ARRAY_SIZE(targets))] +
                          g_rand_int_range(rand, 0, IMS_PLAT_SIZE);
        uint32_t dev = g_rand_boolean(rand) ? A : B;
        uint32_t n = g_rand_int_range(rand, 0, IMS_PLAT_NR_SLOTS + 1);
        uint32_t value = g_rand_int(rand);

        switch (g_rand_int_range(rand, 0, 8)) {
        case 0:
            set_msg(dev, n, target & ~3ULL, value & 0xf);
            break;
        case 1:
            set_ctrl(dev, n, value);
            break;
        case 2:
            qtest_writeq(qts, dev + (value % IMS_PLAT_SIZE), value);
            break;
        case 3:
            qtest_readq(qts, dev + (value % IMS_PLAT_SIZE));
            break;
        case 4:
            reg_set(dev, value % IMS_PLAT_SIZE & ~3, value);
            break;
        default:
            fire(dev, n);
            break;
        }
    }
    g_rand_free(rand);
    reg_set(A, IMS_PLAT_REG_RESET, 1);
    reg_set(B, IMS_PLAT_REG_RESET, 1);
    assert_as_after_reset(A);
    assert_as_after_reset(B);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/ims-platform/identity", test_identity);
    qtest_add_func("/ims-platform/plain", test_plain);
    qtest_add_func("/ims-platform/half", test_half);
    qtest_add_func("/ims-platform/unmasked", test_unmasked);
    qtest_add_func("/ims-platform/maskable", test_maskable);
    qtest_add_func("/ims-platform/access", test_access);
    qtest_add_func("/ims-platform/bus", test_bus);
    qtest_add_func("/ims-platform/nested", test_nested);
    qtest_add_func("/ims-platform/reset", test_reset);
    qtest_add_func("/ims-platform/migrate", test_migrate);
    qtest_add_func("/ims-platform/gicv2", test_gicv2);
    qtest_add_func("/ims-platform/machines", test_machines);
    qtest_add_func("/ims-platform/fuzz", test_fuzz);

    return g_test_run();
}
