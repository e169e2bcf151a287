/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM msi

#if !defined(_TRACE_MSI_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_MSI_H

#include <linux/device.h>
#include <linux/msi.h>
#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(msi_irq,
		    TP_PROTO(const struct msi_slot *slot, unsigned int irq),
		    TP_ARGS(slot, irq),
		    TP_STRUCT__entry(__string(name, dev_name(slot->storage->dev))
				     __field(u32, store)
				     __field(u32, index)
				     __field(u32, irq)
				     __field(u64, cookie)
				     __field(bool, has_cookie)
				    ),
		    TP_fast_assign(__assign_str(name, dev_name(slot->storage->dev));
				   __entry->store = slot->storage->id;
				   __entry->index = slot->index;
				   __entry->irq = irq;
				   __entry->cookie = msi_cookie_shown(slot->cookie);
				   __entry->has_cookie = slot->has_cookie;
				  ),
		    TP_printk("%s store=%u index=%u irq=%u has_cookie=%d cookie=%#llx",
			      __get_str(name), __entry->store, __entry->index, __entry->irq,
			      __entry->has_cookie, (unsigned long long)__entry->cookie)
);

/* An interrupt was allocated for a slot */
DEFINE_EVENT(msi_irq, msi_alloc,
	     TP_PROTO(const struct msi_slot *slot, unsigned int irq),
	     TP_ARGS(slot, irq));

/* The interrupt of a slot is about to be freed */
DEFINE_EVENT(msi_irq, msi_free,
	     TP_PROTO(const struct msi_slot *slot, unsigned int irq),
	     TP_ARGS(slot, irq));

/* The interrupt of a slot has another cookie */
DEFINE_EVENT(msi_irq, msi_set_cookie,
	     TP_PROTO(const struct msi_slot *slot, unsigned int irq),
	     TP_ARGS(slot, irq));

/* The core has written a message to a slot, or has recorded that it has to be */
TRACE_EVENT(msi_write_msg,
	    TP_PROTO(const struct msi_slot *slot, const struct msi_msg *msg),
	    TP_ARGS(slot, msg),
	    TP_STRUCT__entry(__string(name, dev_name(slot->storage->dev))
			     __field(u32, store)
			     __field(u32, index)
			     __field(u64, address)
			     __field(u32, data)
			    ),
	    TP_fast_assign(__assign_str(name, dev_name(slot->storage->dev));
			   __entry->store = slot->storage->id;
			   __entry->index = slot->index;
			   __entry->address = (u64)msg->address_hi << 32 | msg->address_lo;
			   __entry->data = msg->data;
			  ),
	    TP_printk("%s store=%u index=%u address=%#llx data=%#x",
		      __get_str(name), __entry->store, __entry->index,
		      (unsigned long long)__entry->address, __entry->data)
);

/* The core has masked or unmasked a slot, or has recorded that it has to be */
TRACE_EVENT(msi_mask,
	    TP_PROTO(const struct msi_slot *slot, bool masked),
	    TP_ARGS(slot, masked),
	    TP_STRUCT__entry(__string(name, dev_name(slot->storage->dev))
			     __field(u32, store)
			     __field(u32, index)
			     __field(bool, masked)
			    ),
	    TP_fast_assign(__assign_str(name, dev_name(slot->storage->dev));
			   __entry->store = slot->storage->id;
			   __entry->index = slot->index;
			   __entry->masked = masked;
			  ),
	    TP_printk("%s store=%u index=%u masked=%d", __get_str(name),
		      __entry->store, __entry->index, __entry->masked)
);

/* The storage ops of a deferred store have changed a slot */
TRACE_EVENT(msi_sync,
	    TP_PROTO(const struct msi_slot *slot, unsigned int what, int ret),
	    TP_ARGS(slot, what, ret),
	    TP_STRUCT__entry(__string(name, dev_name(slot->storage->dev))
			     __field(u32, store)
			     __field(u32, index)
			     __field(u32, what)
			     __field(bool, masked)
			     __field(int, ret)
			    ),
	    TP_fast_assign(__assign_str(name, dev_name(slot->storage->dev));
			   __entry->store = slot->storage->id;
			   __entry->index = slot->index;
			   __entry->what = what;
			   __entry->masked = slot->masked;
			   __entry->ret = ret;
			  ),
	    TP_printk("%s store=%u index=%u what=%s masked=%d ret=%d",
		      __get_str(name), __entry->store, __entry->index,
		      __print_flags(__entry->what, "|", { MSI_SYNC_MSG, "msg" },
				    { MSI_SYNC_MASK, "mask" }),
		      __entry->masked, __entry->ret)
);

#endif /* _TRACE_MSI_H */

#include <trace/define_trace.h>
