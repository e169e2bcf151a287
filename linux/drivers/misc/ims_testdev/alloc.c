// SPDX-License-Identifier: GPL-2.0
/* Ioctls of ims-testdev that create stores, and allocate and free interrupts */
#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/msi.h>
#include <linux/msi_api.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "ims_td.h"

static int ims_td_set_layout(struct ims_td_store *store, const struct ims_testdev_store *arg)
{
	const struct ims_td_kind *kind = &ims_td_kinds[store->kind];
	struct ims_table_layout *layout = &store->layout;
	const struct ims_table_layout given = {
		.stride		= arg->stride,
		.addr_lo	= arg->addr_lo,
		.addr_hi	= arg->addr_hi,
		.data		= arg->data,
		.ctrl		= arg->ctrl,
		.flags		= arg->layout_flags,
		.pasid_shift	= arg->pasid_shift,
		.mask		= arg->mask,
		.pasid_enable	= arg->pasid_enable,
		.live		= arg->live,
		.w1c		= arg->w1c,
		.pending	= arg->pending,
	};

	if (arg->flags & IMS_TESTDEV_STORE_LAYOUT) {
		*layout = given;
		return arg->flags & IMS_TESTDEV_STORE_PASID ? -EINVAL : 0;
	}

	if (given.stride || given.addr_lo || given.addr_hi || given.data || given.ctrl ||
	    given.flags || given.pasid_shift || given.mask || given.pasid_enable ||
	    given.live || given.w1c || given.pending)
		return -EINVAL;
	if (!kind->layout)
		return 0;

	*layout = *kind->layout;
	if (arg->flags & IMS_TESTDEV_STORE_PASID) {
		layout->flags |= IMS_TABLE_PASID;
		layout->pasid_shift = kind->pasid_shift;
		layout->pasid_enable = kind->pasid_enable;
	}
	return 0;
}

static int ims_td_check_window(struct ims_testdev *td, const struct ims_td_store *new)
{
	struct ims_td_store *store;
	unsigned long id;

	lockdep_assert_held(&td->lock);

	if (new->first > td->nr_slots[new->kind] ||
	    new->nr_slots > td->nr_slots[new->kind] - new->first)
		return -ERANGE;

	xa_for_each(&td->stores, id, store) {
		if (store->kind == new->kind &&
		    new->first < store->first + store->nr_slots &&
		    store->first < new->first + new->nr_slots)
			return -EBUSY;
	}
	return 0;
}

int ims_td_ioc_store_create(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_store *to = arg;
	struct ims_td_store *store;
	int ret;

	if (to->kind >= IMS_TD_NR_KINDS || !td->nr_slots[to->kind] ||
	    !ims_td_kinds[to->kind].create_store)
		return -ENXIO;
	if (to->flags & ~ims_td_kinds[to->kind].store_flags || to->id ||
	    (to->depth && to->kind != IMS_TD_KIND_CMD))
		return -EINVAL;
	if (to->ops != IMS_TESTDEV_OPS_GENERIC && (to->kind != IMS_TD_KIND_TABLE || to->flags))
		return -EINVAL;

	store = kzalloc(sizeof(*store), GFP_KERNEL);
	if (!store)
		return -ENOMEM;

	store->td = td;
	store->kind = to->kind;
	store->first = to->first;
	store->nr_slots = to->nr_slots;
	store->depth = to->depth;
	store->flags = to->flags;
	store->ops = to->ops;

	ret = ims_td_set_layout(store, to);
	if (ret)
		goto free_store;

	ret = ims_td_check_window(td, store);
	if (ret)
		goto free_store;

	ret = ims_td_kinds[to->kind].create_store(td, store);
	if (ret < 0)
		goto free_store;
	store->id = ret;

	ret = xa_insert(&td->stores, store->id, store, GFP_KERNEL);
	if (ret)
		goto remove_store;

	/* What exists when the device leaves is told by ims_td_leave(). */
	if (td->away)
		ims_td_suspend_store(td, store->id);

	to->id = store->id;
	return 0;

remove_store:
	pci_remove_ims_store(td->pdev, store->id);
free_store:
	kfree(store);
	return ret;
}

void ims_td_done_store_create(struct ims_testdev *td, void *arg, int err)
{
	const struct ims_testdev_store *to = arg;

	if (err)
		ims_td_remove_store(td, xa_load(&td->stores, to->id));
}

static bool ims_td_is_only_id(const struct ims_testdev_store *arg)
{
	const struct ims_testdev_store id = { .id = arg->id };

	return !memcmp(arg, &id, sizeof(id));
}

int ims_td_ioc_store_suspend(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_store *from = arg;

	return ims_td_is_only_id(from) ? pci_ims_store_suspend(td->pdev, from->id) : -EINVAL;
}

int ims_td_ioc_store_resume(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_store *from = arg;

	return ims_td_is_only_id(from) ? pci_ims_store_resume(td->pdev, from->id) : -EINVAL;
}

int ims_td_ioc_store_remove(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_store *from = arg;
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	unsigned long nr;

	if (!ims_td_is_only_id(from))
		return -EINVAL;

	/* The core takes a wrong id for a bug of the driver, and warns. */
	store = xa_load(&td->stores, from->id);
	if (!store)
		return -ENOENT;

	xa_for_each_range(&td->slots[store->kind], nr, slot, store->first,
			  store->first + store->nr_slots - 1) {
		if (slot->requested)
			return -EBUSY;
	}

	ims_td_remove_store(td, store);
	return 0;
}

static int ims_td_check_vectors(struct ims_testdev *td, const struct ims_testdev_vectors *vectors)
{
	const u32 flags = IMS_TESTDEV_VECTORS_AFFINITY | IMS_TESTDEV_VECTORS_COPY_ONCE;

	if (vectors->flags & ~flags || vectors->reserved)
		return -EINVAL;
	if (vectors->kind >= IMS_TD_NR_KINDS || !td->nr_slots[vectors->kind] ||
	    !ims_td_kinds[vectors->kind].vectors)
		return -ENXIO;
	if (vectors->flags & IMS_TESTDEV_VECTORS_COPY_ONCE && vectors->kind != IMS_TD_KIND_COPY)
		return -EINVAL;
	if (!vectors->step)
		return 0;
	if (vectors->kind != IMS_TD_KIND_MSIX || vectors->flags || !vectors->count)
		return -EINVAL;
	return (u64)(vectors->count - 1) * vectors->step < td->nr_slots[IMS_TD_KIND_MSIX] ?
		0 : -ERANGE;
}

/* Enable chosen entries of the MSI-X table */
static int ims_td_enable_entries(struct ims_testdev *td, const struct ims_testdev_vectors *vectors,
				 unsigned int min)
{
	struct msix_entry *entries;
	unsigned int i;
	int ret;

	entries = kcalloc(vectors->count, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;

	for (i = 0; i < vectors->count; i++)
		entries[i].entry = i * vectors->step;

	ret = pci_enable_msix_range(td->pdev, entries, min, vectors->count);
	kfree(entries);
	return ret;
}

int ims_td_ioc_vectors_enable(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_vectors *vectors = arg;
	unsigned int min = vectors->min ?: vectors->count;
	unsigned int step = vectors->step ?: 1;
	unsigned int kind = vectors->kind;
	struct ims_td_slot *slot;
	unsigned int i, flags;
	struct msi_map map;
	int ret;

	ret = ims_td_check_vectors(td, vectors);
	if (ret)
		return ret;
	if (td->nr_vectors[kind] || (td->away && kind == IMS_TD_KIND_COPY))
		return -EBUSY;
	/* To the core they are the same, and enabling MSI twice is a bug of the driver. */
	if (ims_td_kinds[kind].vectors == PCI_IRQ_MSI &&
	    (td->nr_vectors[IMS_TD_KIND_MSI] || td->nr_vectors[IMS_TD_KIND_COPY]))
		return -EBUSY;

	flags = ims_td_kinds[kind].vectors;
	if (vectors->flags & IMS_TESTDEV_VECTORS_AFFINITY)
		flags |= PCI_IRQ_AFFINITY;

	if (vectors->step)
		ret = ims_td_enable_entries(td, vectors, min);
	else
		ret = pci_alloc_irq_vectors(td->pdev, min, vectors->count, flags);
	if (ret < 0)
		return ret;

	vectors->count = ret;
	td->nr_vectors[kind] = ret;

	for (i = 0; i < vectors->count; i++) {
		map.index = i * step;
		map.virq = pci_irq_vector(td->pdev, map.index);
		if (map.virq < 0) {
			ret = map.virq;
			goto disable;
		}

		slot = ims_td_add_slot(td, kind, map.index, 0, map);
		if (IS_ERR(slot)) {
			ret = PTR_ERR(slot);
			goto disable;
		}
	}

	if (kind == IMS_TD_KIND_COPY) {
		ret = ims_td_copy_begin(td, vectors->flags & IMS_TESTDEV_VECTORS_COPY_ONCE ?
					IMS_TD_COPY_ONCE : IMS_TD_COPY_FOLLOW);
		if (ret)
			goto disable;
	}
	return 0;

disable:
	ims_td_disable_vectors(td, kind);
	return ret;
}

void ims_td_done_vectors_enable(struct ims_testdev *td, void *arg, int err)
{
	const struct ims_testdev_vectors *vectors = arg;

	if (err)
		ims_td_disable_vectors(td, vectors->kind);
}

int ims_td_ioc_vectors_disable(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_vectors *vectors = arg;
	const struct ims_testdev_vectors only_kind = { .kind = vectors->kind };
	struct ims_td_slot *slot;
	unsigned long nr;
	int ret;

	if (memcmp(vectors, &only_kind, sizeof(only_kind)))
		return -EINVAL;
	ret = ims_td_check_vectors(td, vectors);
	if (ret)
		return ret;
	if (!td->nr_vectors[vectors->kind])
		return -ENOENT;

	xa_for_each(&td->slots[vectors->kind], nr, slot) {
		if (slot->requested)
			return -EBUSY;
	}

	ims_td_disable_vectors(td, vectors->kind);
	return 0;
}

/* The lowest free index of a store from @index on, or its size if there is none */
static unsigned int ims_td_next_free(struct ims_testdev *td, const struct ims_td_store *store,
				     unsigned int index)
{
	lockdep_assert_held(&td->lock);

	while (index < store->nr_slots &&
	       xa_load(&td->slots[store->kind], store->first + index))
		index++;
	return index;
}

static bool ims_td_cookie_is_addr(const struct ims_td_store *store)
{
	return ims_td_kinds[store->kind].slot_addr && !(store->flags & IMS_TESTDEV_STORE_BASE);
}

/**
 * ims_td_set_cookie - Make the cookie for an interrupt of a store
 * @td:		The device
 * @store:	The store, NULL if the driver doesn't know it
 * @index:	Index that the interrupt will have
 * @cookie:	What user space asks for. Set to what the core gets.
 *
 * Context: Process context, with ims_testdev::lock held.
 * Return: 0, or -EINVAL if @cookie isn't an offset in the slot where it has to be
 */
static int ims_td_set_cookie(struct ims_testdev *td, const struct ims_td_store *store,
			     unsigned int index, union msi_instance_cookie *cookie)
{
	u64 value = cookie->value;

	lockdep_assert_held(&td->lock);

	if (!store || !ims_td_cookie_is_addr(store))
		return 0;
	if (value >= IMS_TD_SLOT_SIZE)
		return -EINVAL;

	/* An index beyond the end is the core's to refuse. */
	cookie->value = 0;
	if (index < store->nr_slots)
		cookie->ptr = ims_td_kinds[store->kind].slot_addr(td, store->first + index) +
			      value;
	return 0;
}

/* Whether the core has kept to the store and, if need be, to the index */
static bool ims_td_map_valid(const struct ims_td_store *store, unsigned int index,
			     struct msi_map map)
{
	if (!store || map.index >= store->nr_slots)
		return false;
	return !ims_td_cookie_is_addr(store) || map.index == index;
}

/* Like ims_td_alloc_one(), in a store */
static struct ims_td_slot *ims_td_alloc_in_store(struct ims_testdev *td,
						 const struct ims_testdev_alloc *alloc,
						 unsigned int index,
						 const struct irq_affinity_desc *affdesc)
{
	union msi_instance_cookie value = { .value = alloc->cookie };
	const bool first = alloc->store == IMS_TESTDEV_FIRST_STORE;
	unsigned int expected = index;
	unsigned long id = alloc->store;
	union msi_instance_cookie *cookie;
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	struct msi_map map;
	int ret;

	lockdep_assert_held(&td->lock);

	if (first) {
		id = 0;
		store = xa_find(&td->stores, &id, ULONG_MAX, XA_PRESENT);
	} else {
		store = xa_load(&td->stores, id);
	}

	if (store && index == MSI_ANY_INDEX) {
		store->next = ims_td_next_free(td, store, store->next);
		expected = store->next;
	}
	ret = ims_td_set_cookie(td, store, expected, &value);
	if (ret)
		return ERR_PTR(ret);
	cookie = alloc->flags & IMS_TESTDEV_ALLOC_NO_COOKIE ? NULL : &value;

	if (first)
		map = pci_ims_alloc_irq(td->pdev, cookie, affdesc);
	else
		map = pci_ims_store_alloc_irq(td->pdev, id, index, cookie, affdesc);

	if (map.index < 0)
		return ERR_PTR(map.index);

	/* The core makes no stores of its own. */
	if (WARN_ON_ONCE(!ims_td_map_valid(store, expected, map))) {
		pci_ims_store_free_irq(td->pdev, id, map);
		return ERR_PTR(-ENOENT);
	}

	slot = ims_td_add_slot(td, store->kind, store->first + map.index, store->id, map);
	if (IS_ERR(slot))
		pci_ims_store_free_irq(td->pdev, store->id, map);
	return slot;
}

/* Like ims_td_alloc_one(), for MSI-X */
static struct ims_td_slot *ims_td_alloc_msix(struct ims_testdev *td, unsigned int index,
					     const struct irq_affinity_desc *affdesc)
{
	struct ims_td_slot *slot;
	struct msi_map map;

	lockdep_assert_held(&td->lock);

	map = pci_msix_alloc_irq_at(td->pdev, index, affdesc);
	if (map.index < 0)
		return ERR_PTR(map.index);

	slot = ims_td_add_slot(td, IMS_TD_KIND_MSIX, map.index, 0, map);
	if (IS_ERR(slot))
		pci_msix_free_irq(td->pdev, map);
	return slot;
}

/**
 * ims_td_alloc_one - Allocate an interrupt in a store or for MSI-X
 * @td:		The device
 * @alloc:	What user space asks for
 * @i:		How many were allocated before for the same request
 * @affdesc:	Wanted affinity, or NULL
 *
 * Context: Process context, with ims_testdev::lock held.
 * Return: The slot, or an error pointer: what the core says, or -ENOMEM.
 */
static struct ims_td_slot *ims_td_alloc_one(struct ims_testdev *td,
					    const struct ims_testdev_alloc *alloc, unsigned int i,
					    const struct irq_affinity_desc *affdesc)
{
	unsigned int index;

	index = alloc->index == IMS_TESTDEV_ANY_INDEX ? MSI_ANY_INDEX : alloc->index + i;

	if (alloc->flags & IMS_TESTDEV_ALLOC_MSIX)
		return ims_td_alloc_msix(td, index, affdesc);
	return ims_td_alloc_in_store(td, alloc, index, affdesc);
}

static int ims_td_copy_maps(u64 to, struct ims_td_slot *const *slots, unsigned int count)
{
	struct ims_testdev_map __user *maps = u64_to_user_ptr(to);
	unsigned int i;

	if (!to)
		return 0;

	for (i = 0; i < count; i++) {
		const struct ims_testdev_map map = {
			.index	= slots[i]->map.index,
			.slot	= slots[i]->nr,
			.virq	= slots[i]->map.virq,
		};

		if (copy_to_user(maps + i, &map, sizeof(map)))
			return -EFAULT;
	}
	return 0;
}

static int ims_td_check_alloc(const struct ims_testdev_alloc *alloc)
{
	const u32 flags = IMS_TESTDEV_ALLOC_CPU | IMS_TESTDEV_ALLOC_MANAGED |
			  IMS_TESTDEV_ALLOC_NO_COOKIE | IMS_TESTDEV_ALLOC_MSIX;

	if (alloc->flags & ~flags || alloc->reserved)
		return -EINVAL;
	if (!alloc->count || alloc->count > IMS_TD_ALLOC_MAX)
		return -EINVAL;
	if (alloc->store == IMS_TESTDEV_FIRST_STORE && alloc->index != IMS_TESTDEV_ANY_INDEX)
		return -EINVAL;
	if (alloc->flags & IMS_TESTDEV_ALLOC_MSIX &&
	    (alloc->store || alloc->cookie || alloc->flags & IMS_TESTDEV_ALLOC_NO_COOKIE))
		return -EINVAL;

	if (alloc->flags & IMS_TESTDEV_ALLOC_CPU)
		return alloc->cpu < nr_cpu_ids ? 0 : -EINVAL;
	return alloc->cpu || alloc->flags & IMS_TESTDEV_ALLOC_MANAGED ? -EINVAL : 0;
}

int ims_td_ioc_alloc(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_alloc *alloc = arg;
	struct irq_affinity_desc *affdesc = NULL;
	struct ims_td_slot **slots;
	unsigned int i;
	int ret;

	ret = ims_td_check_alloc(alloc);
	if (ret)
		return ret;

	if (alloc->flags & IMS_TESTDEV_ALLOC_CPU) {
		affdesc = kzalloc(sizeof(*affdesc), GFP_KERNEL);
		if (!affdesc)
			return -ENOMEM;
		cpumask_set_cpu(alloc->cpu, &affdesc->mask);
		affdesc->is_managed = !!(alloc->flags & IMS_TESTDEV_ALLOC_MANAGED);
	}

	slots = kvcalloc(alloc->count, sizeof(*slots), GFP_KERNEL);
	if (!slots) {
		ret = -ENOMEM;
		goto free_affdesc;
	}

	for (i = 0; i < alloc->count; i++) {
		slots[i] = ims_td_alloc_one(td, alloc, i, affdesc);
		if (IS_ERR(slots[i])) {
			ret = PTR_ERR(slots[i]);
			goto free_irqs;
		}
		cond_resched();
	}

	ret = ims_td_copy_maps(alloc->maps, slots, alloc->count);
	if (!ret)
		goto free_slots;

free_irqs:
	while (i--)
		ims_td_free_one(td, slots[i], 0);
free_slots:
	kvfree(slots);
free_affdesc:
	kfree(affdesc);
	return ret;
}

static int ims_td_check_batch(const struct ims_testdev_batch *batch)
{
	if (batch->flags & ~(IMS_TESTDEV_BATCH_SPREAD | IMS_TESTDEV_BATCH_AT))
		return -EINVAL;
	if (!(batch->flags & IMS_TESTDEV_BATCH_AT) && batch->index)
		return -EINVAL;
	if (!(batch->flags & IMS_TESTDEV_BATCH_SPREAD) && (batch->pre || batch->post))
		return -EINVAL;
	return batch->max <= IMS_TD_ALLOC_MAX ? 0 : -EINVAL;
}

/* The cookies of a batch, as user space asks for them. NULL if it wants none. */
static union msi_instance_cookie *ims_td_get_cookies(struct ims_testdev *td,
						     const struct ims_td_store *store,
						     const struct ims_testdev_batch *batch)
{
	const __u64 __user *from = u64_to_user_ptr(batch->cookies);
	union msi_instance_cookie *cookies;
	unsigned int index = batch->index, i;
	int ret;

	lockdep_assert_held(&td->lock);

	if (!from || !batch->max)
		return NULL;

	cookies = kvcalloc(batch->max, sizeof(*cookies), GFP_KERNEL);
	if (!cookies)
		return ERR_PTR(-ENOMEM);

	for (i = 0; i < batch->max; i++) {
		if (get_user(cookies[i].value, from + i)) {
			ret = -EFAULT;
			goto free_cookies;
		}
		if (store && !(batch->flags & IMS_TESTDEV_BATCH_AT))
			index = ims_td_next_free(td, store, index);
		ret = ims_td_set_cookie(td, store, index++, &cookies[i]);
		if (ret)
			goto free_cookies;
		cond_resched();
	}
	return cookies;

free_cookies:
	kvfree(cookies);
	return ERR_PTR(ret);
}

/* Enter what the core has allocated, and mark it as what this call is about */
static int ims_td_add_batch(struct ims_testdev *td, const struct ims_td_store *store,
			    const struct ims_testdev_batch *batch, const struct msi_map *maps,
			    unsigned int count)
{
	struct ims_td_slot **slots;
	unsigned int index = batch->index, i;
	int ret;

	lockdep_assert_held(&td->lock);

	slots = kvcalloc(count, sizeof(*slots), GFP_KERNEL);
	if (!slots)
		return -ENOMEM;

	for (i = 0; i < count; i++) {
		ret = -ENOENT;
		index = store ? ims_td_next_free(td, store, index) : 0;
		if (WARN_ON_ONCE(!ims_td_map_valid(store, index, maps[i])))
			goto drop_slots;

		slots[i] = ims_td_add_slot(td, store->kind, store->first + maps[i].index,
					   store->id, maps[i]);
		if (IS_ERR(slots[i])) {
			ret = PTR_ERR(slots[i]);
			goto drop_slots;
		}
		xa_set_mark(&td->slots[store->kind], slots[i]->nr, IMS_TD_CHOSEN);
		cond_resched();
	}

	ret = ims_td_copy_maps(batch->maps, slots, count);
	if (!ret)
		goto free_slots;

drop_slots:
	while (i--)
		ims_td_drop_slot(td, slots[i]);
free_slots:
	kvfree(slots);
	return ret;
}

int ims_td_ioc_alloc_batch(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_batch *batch = arg;
	struct irq_affinity affd = { };
	union msi_instance_cookie *cookies;
	struct ims_td_store *store;
	struct msi_map *maps;
	int ret, count;

	ret = ims_td_check_batch(batch);
	if (ret)
		return ret;

	store = xa_load(&td->stores, batch->store);
	cookies = ims_td_get_cookies(td, store, batch);
	if (IS_ERR(cookies))
		return PTR_ERR(cookies);

	ret = -ENOMEM;
	maps = kvcalloc(max(batch->max, 1U), sizeof(*maps), GFP_KERNEL);
	if (!maps)
		goto free_cookies;

	affd.pre_vectors = batch->pre;
	affd.post_vectors = batch->post;
	ret = pci_ims_store_alloc_irqs(td->pdev, batch->store, batch->flags & IMS_TESTDEV_BATCH_AT ?
				       batch->index : MSI_ANY_INDEX, batch->min, batch->max,
				       batch->flags & IMS_TESTDEV_BATCH_SPREAD ? &affd : NULL,
				       cookies, maps);
	if (ret < 0)
		goto free_maps;

	count = ret;
	ret = ims_td_add_batch(td, store, batch, maps, count);
	if (ret)
		pci_ims_store_free_irqs(td->pdev, batch->store, maps, count);
	batch->count = count;

free_maps:
	kvfree(maps);
free_cookies:
	kvfree(cookies);
	return ret;
}

void ims_td_done_alloc_batch(struct ims_testdev *td, void *arg, int err)
{
	const struct ims_testdev_batch *batch = arg;
	struct ims_td_store *store = xa_load(&td->stores, batch->store);
	struct xarray *slots = &td->slots[store->kind];
	struct ims_td_slot *slot;
	unsigned long nr;

	xa_for_each_marked(slots, nr, slot, IMS_TD_CHOSEN) {
		xa_clear_mark(slots, nr, IMS_TD_CHOSEN);
		if (err)
			ims_td_free_one(td, slot, 0);
	}
}

/* Mark the slots to free, after checking that they can be freed at once */
static int ims_td_choose_batch(struct ims_testdev *td, const struct ims_testdev_batch_free *batch,
			       struct msi_map *maps, unsigned int *id)
{
	const __u32 __user *from = u64_to_user_ptr(batch->slots);
	struct xarray *slots = &td->slots[batch->kind];
	struct ims_td_slot *slot;
	unsigned int i;
	u32 nr;
	int ret;

	lockdep_assert_held(&td->lock);

	for (i = 0; i < batch->count; i++) {
		if (get_user(nr, from + i))
			return -EFAULT;
		ret = ims_td_check_range(td, batch->kind, nr, 1);
		if (ret)
			return ret;

		slot = xa_load(slots, nr);
		if (!slot)
			return -ENOENT;
		if (slot->requested)
			return -EBUSY;
		if (!slot->store || (i && slot->store != *id))
			return -EINVAL;
		if (xa_get_mark(slots, nr, IMS_TD_CHOSEN))
			return -EINVAL;

		xa_set_mark(slots, nr, IMS_TD_CHOSEN);
		maps[i] = slot->map;
		*id = slot->store;
		cond_resched();
	}
	return 0;
}

int ims_td_ioc_free_batch(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_batch_free *batch = arg;
	struct ims_td_slot *slot;
	struct xarray *slots;
	struct msi_map *maps;
	unsigned long nr;
	unsigned int id;
	int ret;

	if (batch->flags || batch->reserved)
		return -EINVAL;
	ret = ims_td_check_range(td, batch->kind, 0, batch->count);
	if (ret)
		return ret;

	maps = kvcalloc(batch->count, sizeof(*maps), GFP_KERNEL);
	if (!maps)
		return -ENOMEM;

	ret = ims_td_choose_batch(td, batch, maps, &id);
	if (!ret)
		pci_ims_store_free_irqs(td->pdev, id, maps, batch->count);

	slots = &td->slots[batch->kind];
	xa_for_each_marked(slots, nr, slot, IMS_TD_CHOSEN) {
		xa_clear_mark(slots, nr, IMS_TD_CHOSEN);
		if (!ret)
			ims_td_drop_slot(td, slot);
	}
	kvfree(maps);
	return ret;
}

int ims_td_ioc_free(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.check	= ims_td_can_free,
		.fn	= ims_td_free_one,
	};

	return ims_td_do_range(td, arg, &op);
}
