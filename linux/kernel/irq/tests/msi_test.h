/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KERNEL_IRQ_MSI_TEST_H
#define KERNEL_IRQ_MSI_TEST_H

/*
 * What the KUnit tests of message stores share, see msi_test.c.
 *
 * Words:
 *
 *   fixture	a device that is bound to a driver, below it the domains of a
 *		simulated interrupt controller. Each test has one of its own
 *   parent	the MSI parent domain of the fixture. The root domain is below it
 *   hardware	what the device has in the place of a store: slots, and faults
 *   log	what the storage ops and the parent were asked for, in order
 *
 * The log is a text, a word for each call. The parent's words start with "p.",
 * those of the root domain with "r.", others are storage ops:
 *
 *   mask(3)			mask of slot 3
 *   msg(3)=101			write_msg of slot 3, the data is 0x101
 *   sync(3,msg=101,mask=1)	sync of slot 3, both
 *   done(3)			complete of slot 3
 *   cookie(3)=5		set_cookie of slot 3
 *   p.mask			irq_mask of the parent's interrupt chip
 *
 * A call that is not as it has to be has a remark in square brackets behind it,
 * so that no expected text can match: in the wrong context, without the bus lock,
 * of a slot that is not in use, and so on.
 */

#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdomain.h>
#include <linux/msi_notify.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/spinlock.h>

#include <kunit/test.h>

#include "../internals.h"

/* In the allocation info, to see that prepare() was not in vain, and with which size */
#define MSI_TEST_PREPARED	0x5a000000
#define MSI_TEST_PREPARED_SIZE	0x00ffffff

#define MSI_TEST_TEXT_SIZE	4096
#define MSI_TEST_SLOTS		128
#define MSI_TEST_POSTS		100

struct msi_test;

/* Text that grows. What is too long is marked, and then equals nothing else */
struct msi_test_text {
	unsigned int	len;
	char		buf[MSI_TEST_TEXT_SIZE];
};

__printf(2, 3)
void msi_test_add(struct msi_test_text *text, const char *fmt, ...);

/**
 * struct msi_test_parent - The simulated interrupt controller
 * @ops:		What the parent domain says of itself. Can be changed before
 *			device domains are created
 * @chip:		Interrupt chip of the parent. Callbacks can be removed
 * @root_chip:		The same for the root domain
 * @root:		The root domain
 * @domain:		The parent domain
 * @fwnodes:		Firmware nodes of both
 * @hwirqs:		Which hardware interrupts are in use
 * @limit:		How many interrupts there are
 * @generation:		Part of the messages that changes with the affinity, unless
 *			%MSI_PARENT_STABLE_MSG
 * @affinity_ret:	What irq_set_affinity() of the parent returns
 * @activate_ret:	What the activation of the parent returns
 * @prepare_ret:	What prepare() returns
 * @irqs:		How many interrupts are allocated
 * @prepared:		How many device domains are prepared
 * @room:		How many interrupts all device domains together may have, 0 for any
 *			number
 * @reserved:		How many of them they have
 * @deliver:		irq_retrigger() of the parent has an effect
 * @retriggered:	What it was called for
 * @redeliver:		Carries that out in hard interrupt context
 */
struct msi_test_parent {
	struct msi_parent_ops	ops;
	struct irq_chip		chip;
	struct irq_chip		root_chip;
	struct irq_domain	*root;
	struct irq_domain	*domain;
	struct fwnode_handle	*fwnodes[2];
	DECLARE_BITMAP(hwirqs, MSI_TEST_SLOTS);
	unsigned int		limit;
	unsigned int		generation;
	int			affinity_ret;
	int			activate_ret;
	int			prepare_ret;
	int			irqs;
	int			prepared;
	unsigned int		room;
	unsigned int		reserved;
	bool			deliver;
	DECLARE_BITMAP(retriggered, MSI_TEST_SLOTS);
	struct irq_work		redeliver;
};

/**
 * struct msi_test_slot - A slot of the hardware
 * @used:	It was initialized by the storage ops
 * @masked:	It does not send
 * @pending:	It would like to
 * @index:	Index in the store
 * @syncs:	How often it was synced
 * @msg:	What it sends
 * @cookie:	The cookie that it has
 * @kept:	The cookie that it is to have, as its storage ops know it
 * @sent:	The cookie that it had when it has last sent
 * @hw:		The hardware that the slot is in
 * @work:	Sends the message from hard interrupt context
 */
struct msi_test_slot {
	bool				used;
	bool				masked;
	bool				pending;
	unsigned int			index;
	unsigned int			syncs;
	struct msi_msg			msg;
	union msi_instance_cookie	cookie;
	union msi_instance_cookie	kept;
	union msi_instance_cookie	sent;
	struct msi_test_hw		*hw;
	struct irq_work			work;
};

/**
 * struct msi_test_hw - The hardware of a store
 * @mt:			The fixture
 * @lock:		Protects @slots
 * @slots:		The slots in use, in no order
 * @used:		How many there are
 * @mutex:		Held between lock and unlock. The core does not serialize those of
 *			different interrupts of a direct store
 * @locked:		Between lock and unlock
 * @syncing:		A sync is in progress
 * @offline:		Nobody may access the slots
 * @suspends:		The store is suspended and resumed at any time, and not locked while
 *			it is suspended
 * @released:		How often the store was released
 * @bad_cookie:		init_slot and set_cookie refuse this cookie, if it is not 0
 * @init_ret:		What init_slot() returns
 * @sync_ret:		What sync() returns
 * @sync_index:		The only slot that @sync_ret is for, or %MSI_ANY_INDEX
 * @sync_hook:		Called by sync() before it does anything
 * @init_hook:		The same for init_slot()
 * @free_hook:		The same for free_slot()
 * @cookie_hook:	The same for set_cookie()
 * @done_hook:		The same for complete()
 * @room:		How many slots can be posted
 * @posted:		These, the oldest one first
 * @posts:		How many there are
 * @most_posts:		How many there were at most
 */
struct msi_test_hw {
	struct msi_test		*mt;
	raw_spinlock_t		lock; /* see above */
	struct msi_test_slot	slots[MSI_TEST_SLOTS];
	unsigned int		used;
	struct mutex		mutex; /* see above */
	bool			locked;
	bool			syncing;
	bool			offline;
	bool			suspends;
	unsigned int		released;
	u64			bad_cookie;
	int			init_ret;
	int			sync_ret;
	unsigned int		sync_index;
	void			(*sync_hook)(struct msi_test_hw *hw, struct msi_slot *slot);
	void			(*init_hook)(struct msi_test_hw *hw, struct msi_slot *slot);
	void			(*free_hook)(struct msi_test_hw *hw, struct msi_slot *slot);
	void			(*cookie_hook)(struct msi_test_hw *hw, struct msi_slot *slot);
	void			(*done_hook)(struct msi_test_hw *hw, struct msi_slot *slot);
	unsigned int		room;
	struct msi_slot		*posted[MSI_TEST_POSTS];
	unsigned int		posts;
	unsigned int		most_posts;
};

/**
 * struct msi_test - The fixture
 * @test:		The test
 * @task:		The task that runs it
 * @pdev:		The device as its bus knows it
 * @dev:		The device
 * @parent:		The simulated interrupt controller
 * @hw:			The hardware of a store. Tests with more stores make more
 * @loglock:		Protects @log
 * @log:		What was called
 * @want:		What is expected to be called
 * @remarks:		A part of the log that is gone had remarks
 * @quiet:		Nothing but remarks goes to the log
 * @mark:		Where the kernel log was when the test started
 * @irqs:		How many interrupts there were when the test started
 * @broken:		How often the contract of storage ops was broken by then
 * @traced:		Interrupts that msi_alloc and msi_free have reported
 * @handled:		How often the handler was called
 */
struct msi_test {
	struct kunit		*test;
	struct task_struct	*task;
	struct platform_device	*pdev;
	struct device		*dev;
	struct msi_test_parent	parent;
	struct msi_test_hw	hw;
	raw_spinlock_t		loglock; /* see above */
	struct msi_test_text	log;
	struct msi_test_text	want;
	bool			remarks;
	bool			quiet;
	u64			mark;
	unsigned int		irqs;
	unsigned int		broken;
	atomic_t		traced;
	atomic_t		handled;
};

/* The kinds of stores that the core treats differently */
enum msi_test_kind {
	MSI_TEST_DIRECT,
	MSI_TEST_DIRECT_LOCK,
	MSI_TEST_NOMASK,
	MSI_TEST_NOMASK_LOCK,
	MSI_TEST_DEFERRED,
	MSI_TEST_DEFERRED_LOCK,
	MSI_TEST_KINDS,
	/* The driver has to restore it. Otherwise as MSI_TEST_DEFERRED_LOCK */
	MSI_TEST_DEFERRED_DRIVER = MSI_TEST_KINDS,
	/* The message is written early. Otherwise as MSI_TEST_DIRECT */
	MSI_TEST_DIRECT_EARLY,
	/* Several slots are posted. Otherwise as MSI_TEST_DEFERRED_LOCK */
	MSI_TEST_DEFERRED_POST,
	MSI_TEST_TEMPLATES
};

extern const struct msi_storage_template msi_test_templates[MSI_TEST_TEMPLATES];

static inline bool msi_test_is_deferred(enum msi_test_kind kind)
{
	return msi_test_templates[kind].ops->sync;
}

static inline bool msi_test_has_lock(enum msi_test_kind kind)
{
	return msi_test_templates[kind].ops->lock;
}

static inline bool msi_test_can_mask(enum msi_test_kind kind)
{
	return !(msi_test_templates[kind].flags & MSI_STORAGE_NO_MASK);
}

/* All that storage ops of a test can be made of */
int msi_test_op_init_slot(struct msi_storage *storage, struct msi_slot *slot);
void msi_test_op_free_slot(struct msi_storage *storage, struct msi_slot *slot);
void msi_test_op_write_msg(struct msi_storage *storage, struct msi_slot *slot,
			   const struct msi_msg *msg);
void msi_test_op_mask(struct msi_storage *storage, struct msi_slot *slot);
void msi_test_op_unmask(struct msi_storage *storage, struct msi_slot *slot);
int msi_test_op_set_cookie(struct msi_storage *storage, struct msi_slot *slot,
			   const union msi_instance_cookie *cookie);
int msi_test_op_sync(struct msi_storage *storage, struct msi_slot *slot, unsigned int what);
void msi_test_op_lock(struct msi_storage *storage);
void msi_test_op_unlock(struct msi_storage *storage);
bool msi_test_op_is_masked(struct msi_storage *storage, struct msi_slot *slot);
void msi_test_op_release(struct msi_storage *storage);

/* The fixture. For the suites, which have these and nothing else */
int msi_test_suite_init(struct kunit_suite *suite);
void msi_test_suite_exit(struct kunit_suite *suite);
int msi_test_init(struct kunit *test);
void msi_test_exit(struct kunit *test);

#define MSI_TEST_SUITE(_name, _cases)					\
	static struct kunit_suite _name##_suite = {			\
		.name		= #_name,				\
		.suite_init	= msi_test_suite_init,			\
		.suite_exit	= msi_test_suite_exit,			\
		.init		= msi_test_init,			\
		.exit		= msi_test_exit,			\
		.test_cases	= _cases,				\
	};								\
	kunit_test_suite(_name##_suite)

void msi_test_parent_init(struct msi_test *mt, u32 flags);
void msi_test_hw_init(struct msi_test *mt, struct msi_test_hw *hw);
void msi_test_unbind(struct msi_test *mt);

int msi_test_create(struct msi_test *mt, enum msi_test_kind kind, unsigned int size,
		    struct msi_test_hw *hw);
struct msi_map msi_test_alloc(struct msi_test *mt, int id, unsigned int index);
int msi_test_alloc_irqs(struct msi_test *mt, int id, unsigned int min, unsigned int max,
			struct msi_map *maps);
struct msi_dev_store *msi_test_store(struct msi_test *mt, int id);
struct msi_slot *msi_test_irq_slot(unsigned int irq);
struct msi_test_slot *msi_test_find(struct msi_test_hw *hw, unsigned int index);
unsigned int msi_test_free_irqs(void);
void msi_test_expect_same(struct msi_test *mt, struct msi_test_hw *hw,
			  const struct msi_map *maps, unsigned int count);

void msi_test_fire(struct msi_test *mt, struct msi_test_hw *hw, unsigned int index);
irqreturn_t msi_test_handler(int irq, void *mt);

const char *msi_test_read(const char *path, char *buf, size_t size, bool all);
bool msi_test_printed(struct msi_test *mt, const char *what);

unsigned int msi_test_broken(void);

__printf(2, 3)
void msi_test_called(struct msi_test *mt, const char *fmt, ...);
void msi_test_log_reset(struct msi_test *mt);
void msi_test_log_take(struct msi_test *mt, struct msi_test_text *text);

/* Expect that exactly this was called since the last time */
#define MSI_TEST_EXPECT_LOG(_mt, _expected)				\
	MSI_TEST_EXPECT_LOG_MSG(_mt, _expected, " ")

#define MSI_TEST_EXPECT_LOG_MSG(_mt, _expected, _fmt, ...)		\
do {									\
	struct msi_test *__mt = (_mt);					\
									\
	KUNIT_EXPECT_STREQ_MSG(__mt->test, __mt->log.buf, _expected,	\
			       _fmt, ##__VA_ARGS__);			\
	msi_test_log_reset(__mt);					\
} while (0)

/* The same with a text that is put together, of what there is if a condition is true */
#define MSI_TEST_WANT(_mt, _condition, _fmt, ...)			\
do {									\
	if (_condition)							\
		msi_test_add(&(_mt)->want, _fmt, ##__VA_ARGS__);	\
} while (0)

#define MSI_TEST_EXPECT_WANT(_mt, _what)				\
do {									\
	struct msi_test *__wanted = (_mt);				\
									\
	MSI_TEST_EXPECT_LOG_MSG(__wanted, __wanted->want.buf, "%s", _what); \
	memset(&__wanted->want, 0, sizeof(__wanted->want));		\
} while (0)

/* Wait for something that happens in the background, with a bound */
#define msi_test_wait(_condition)					\
({									\
	unsigned long __end = jiffies + 20 * HZ;			\
	bool __done;							\
									\
	while (!(__done = (_condition)) && time_before(jiffies, __end))	\
		msleep(1 + jiffies_to_msecs(1));			\
	__done;								\
})

/* A slot is not dirty any more while its sync() runs, with the bus lock held */
static inline bool msi_test_synced(struct msi_slot *slot)
{
	struct msi_dev_store *store = container_of(slot->storage, struct msi_dev_store, storage);

	return !READ_ONCE(msi_slot_core(slot)->dirty) && !mutex_is_locked(&store->bus_lock);
}

#endif /* KERNEL_IRQ_MSI_TEST_H */
