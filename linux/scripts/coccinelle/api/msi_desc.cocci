// SPDX-License-Identifier: GPL-2.0-only
/// A MSI descriptor belongs to the interrupt core. It can be freed as soon as
/// the lock of its device's descriptors is dropped, and the message in it
/// changes whenever the interrupt moves to another CPU. So a device driver
/// must not look into it or keep it, and a driver that copies the message must
/// follow its changes.
///
/// Use msi_on_each_desc(), msi_get_msg() and msi_register_msg_notifier() of
/// linux/msi_notify.h instead, and the struct msi_map of an interrupt.
///
//# What is reported:
//#  - members of struct msi_desc are used outside of the core and the parents
//#  - a message is copied: a notifier gets the current one, and each new one
//#  - the address or data of a message is read from the device
//#  - a descriptor is stored, returned, passed to a function that stores it, or
//#    used after the lock was dropped
//#  - descriptors are looped over or looked for: msi_on_each_desc() does that
//#
//# Patch mode rewrites loops that do nothing but call a function for each
//# descriptor, if msi_on_each_desc() stops where they do. It stops at any result but
//# 0, positive ones included, and returns 0 if there is no descriptor. So the loop must
//# stop at any result but 0, and its variable be 0 or unset before; or the function
//# must be void, and in the same file. The argument must be the same in each call.
//# Other loops are left to their author.
//#
//# Each rewrite needs its function changed by hand: it must return an int, 0 to go on,
//# its first argument is a struct msi_map, and the second one a void pointer. It is called
//# without the lock of the descriptors, so its author has to check that it needs none.
//#
//# The core and the parents may do all this, as they compose and write
//# messages under the lock of the interrupt or of the descriptors. They are
//# known by their path, see OURS below. That a message is read from the device
//# is reported for parents as well.
//#
//# False positives: a bus or a hypervisor that is a parent outside of these
//# paths; a message that is copied or read and used up at once. Those in the
//# tree are listed, with the reason why they may stay, in
//# Documentation/core-api/msi-desc-users.rst.
//#
//# Only the types of what the same file declares are known. A descriptor in a
//# member of a structure from a header is missed, unless it is stored there.
//#
//# On the whole tree, name this file in COCCI= of make coccicheck. On those files
//# that can have a hit, which takes seconds, with its path in $COCCI:
//#	git grep -lF -e msi_desc -e msi_msg -e msi_for_each_desc -e msi_first_desc \
//#		-e msi_next_desc -e PCI_MSI_ADDR -e PCI_MSI_DATA -e PCI_MSIX_ENTRY_ \
//#		-- '*.[ch]' | xargs -n 1 spatch -D report --very-quiet --no-show-diff \
//#		--no-includes --include-headers --cocci-file $COCCI
//
// Confidence: Moderate
// Options: --no-includes --include-headers

virtual patch
virtual context
virtual org
virtual report

@initialize:python@
@@

import os
import re

# Core and parents, below the top of the tree
OURS = ("arch/", "drivers/base/platform-msi.c", "drivers/iommu/", "drivers/irqchip/",
        "drivers/pci/controller/", "drivers/pci/msi/", "include/", "kernel/irq/")
CORE = ("drivers/pci/msi/", "kernel/irq/")
TOP = os.environ.get("srctree", ".")

def inside(path, where):
    return os.path.relpath(path, TOP).startswith(where)

# Whether an argument is the same for each descriptor: a name, or the address of one or
# of a member, but nothing of the descriptor
def steady(arg, desc):
    match = re.fullmatch(r"(?:(\w+)|&(\w+)(?:(?:->|\.)\w+)*)", re.sub(r"\s", "", arg))
    return bool(match) and desc not in match.groups()

//----------------------------------------------------------
//  Descriptor internals
//----------------------------------------------------------

@internal depends on !patch@
struct msi_desc *d;
struct msi_desc s;
identifier fld;
position p : script:python() { not inside(p[0].file, OURS) };
@@

(
* d@p->fld
|
* s.fld@p
)

@internal_irq depends on !patch@
identifier get =~ "^(irq_(data_|desc_)?get_msi_desc|msi_(first|next)_desc)$";
identifier fld;
position p : script:python() { not inside(p[0].file, OURS) };
@@

* get@p(...)->fld

//----------------------------------------------------------
//  Copies of a message
//----------------------------------------------------------

@copy depends on !patch@
position p : script:python() { not inside(p[0].file, OURS) };
@@

(
* get_cached_msi_msg@p(...)
|
* __get_cached_msi_msg@p(...)
|
* msi_get_msg@p(...)
)

//----------------------------------------------------------
//  Messages read from the device
//----------------------------------------------------------

@readback depends on !patch@
constant reg =~ "^PCI_MSI_(ADDR|DATA)";
position p : script:python() { not inside(p[0].file, CORE) };
@@

(
* pci_read_config_dword@p(..., <+... reg ...+>, ...)
|
* pci_read_config_word@p(..., <+... reg ...+>, ...)
|
* pci_user_read_config_dword@p(..., <+... reg ...+>, ...)
|
* pci_user_read_config_word@p(..., <+... reg ...+>, ...)
|
* __pci_read_msi_msg@p(...)
)

@readback_msix depends on !patch@
constant reg =~ "^PCI_MSIX_ENTRY_(LOWER_ADDR|UPPER_ADDR|DATA)";
position p : script:python() { not inside(p[0].file, CORE) };
@@

(
* readl@p(<+... reg ...+>)
|
* ioread32@p(<+... reg ...+>)
)

//----------------------------------------------------------
//  Descriptors kept beyond the lock
//----------------------------------------------------------

@kept depends on !patch@
identifier get =~ "^(irq_(data_|desc_)?get_msi_desc|msi_(first|next)_desc)$";
global idexpression struct msi_desc *g;
struct msi_desc *d;
expression e, i;
identifier fld;
position p : script:python() { not inside(p[0].file, OURS) };
@@

(
* e->fld =@p \(d\|get(...)\)
|
* e.fld =@p \(d\|get(...)\)
|
* e[i] =@p \(d\|get(...)\)
|
* *e =@p \(d\|get(...)\)
|
* g =@p \(d\|get(...)\)
)

@kept_by_call depends on !patch@
identifier get =~ "^(irq_(data_|desc_)?get_msi_desc|msi_(first|next)_desc)$";
identifier keep =~ "^((devm_)?request_(threaded_)?irq|irq_set_(chip|handler)_data|(dev|pci)_set_drvdata|xa_store|WRITE_ONCE|rcu_assign_pointer|smp_store_(mb|release))$";
struct msi_desc *d;
position p : script:python() { not inside(p[0].file, OURS) };
@@

* keep@p(..., \(d\|get(...)\), ...)

@returned depends on !patch@
struct msi_desc *d;
position p : script:python() { not inside(p[0].file, OURS) };
@@

* return@p d;

@returned_call depends on !patch@
identifier get =~ "^(irq_(data_|desc_)?get_msi_desc|msi_(first|next)_desc)$";
identifier fn;
position p : script:python() { not inside(p[0].file, OURS) };
@@

struct msi_desc *fn(...)
{
	<...
*	return@p get(...);
	...>
}

@used depends on !patch@
struct msi_desc *d;
expression e;
identifier fld, fn;
position p : script:python() { not inside(p[0].file, OURS) };
@@

msi_unlock_descs(...);
... when != d = e
    when != msi_lock_descs(...);
(
* fn(..., d@p, ...)
|
* d@p->fld
)

//----------------------------------------------------------
//  Open coded loops
//----------------------------------------------------------

@loop depends on !patch@
iterator name msi_for_each_desc;
statement S;
position p : script:python() { not inside(p[0].file, OURS) };
@@

* msi_for_each_desc@p(...)
  S

@loop_next depends on !patch@
position p : script:python() { not inside(p[0].file, OURS) };
@@

(
* msi_first_desc@p(...)
|
* msi_next_desc@p(...)
)

@rewrite_stop depends on patch disable decl_init@
iterator name msi_for_each_desc;
expression dev, filter;
identifier d, fn, ret;
expression arg : script:python(d) { steady(arg, d) };
@@

(
  int ret = 0;
|
  int ret;
|
  ret = 0;
)
  ... when != ret
- msi_lock_descs(dev);
- msi_for_each_desc(d, dev, filter) {
-	ret = fn(d, arg);
-	if (ret)
-		break;
- }
- msi_unlock_descs(dev);
+ ret = msi_on_each_desc(dev, MSI_DEFAULT_STORE, filter, fn, arg);

@no_result depends on patch@
identifier fn;
@@

void fn(...)
{
	...
}

@rewrite_go_on depends on patch@
iterator name msi_for_each_desc;
expression dev, filter;
identifier d, no_result.fn;
expression arg : script:python(d) { steady(arg, d) };
@@

- msi_lock_descs(dev);
- msi_for_each_desc(d, dev, filter)
(
-	fn(d, arg);
|
-	{ fn(d, arg); }
)
- msi_unlock_descs(dev);
+ msi_on_each_desc(dev, MSI_DEFAULT_STORE, filter, fn, arg);

@rewrite_no_arg depends on patch@
iterator name msi_for_each_desc;
expression dev, filter;
identifier d, no_result.fn;
@@

- msi_lock_descs(dev);
- msi_for_each_desc(d, dev, filter)
(
-	fn(d);
|
-	{ fn(d); }
)
- msi_unlock_descs(dev);
+ msi_on_each_desc(dev, MSI_DEFAULT_STORE, filter, fn, NULL);

@unused depends on rewrite_stop || rewrite_go_on || rewrite_no_arg@
identifier d;
@@

- struct msi_desc *d;
  ... when != d

//----------------------------------------------------------
//  For report mode
//----------------------------------------------------------

@script:python depends on report@
p << internal.p;
@@

coccilib.report.print_report(p[0], "WARNING: uses the inside of a MSI descriptor")

@script:python depends on report@
p << internal_irq.p;
@@

coccilib.report.print_report(p[0], "WARNING: uses the inside of a MSI descriptor")

@script:python depends on report@
p << copy.p;
@@

coccilib.report.print_report(p[0], "WARNING: copies a MSI message, msi_register_msg_notifier() keeps it current")

@script:python depends on report@
p << readback.p;
@@

coccilib.report.print_report(p[0], "WARNING: reads a MSI message from the device")

@script:python depends on report@
p << readback_msix.p;
@@

coccilib.report.print_report(p[0], "WARNING: reads a MSI message from the device")

@script:python depends on report@
p << kept.p;
@@

coccilib.report.print_report(p[0], "WARNING: keeps a MSI descriptor beyond the lock")

@script:python depends on report@
p << kept_by_call.p;
@@

coccilib.report.print_report(p[0], "WARNING: keeps a MSI descriptor beyond the lock")

@script:python depends on report@
p << returned.p;
@@

coccilib.report.print_report(p[0], "WARNING: returns a MSI descriptor beyond the lock")

@script:python depends on report@
p << returned_call.p;
@@

coccilib.report.print_report(p[0], "WARNING: returns a MSI descriptor beyond the lock")

@script:python depends on report@
p << used.p;
@@

coccilib.report.print_report(p[0], "WARNING: uses a MSI descriptor beyond the lock")

@script:python depends on report@
p << loop.p;
@@

coccilib.report.print_report(p[0], "WARNING: loops over MSI descriptors, msi_on_each_desc() does that")

@script:python depends on report@
p << loop_next.p;
@@

coccilib.report.print_report(p[0], "WARNING: looks for a MSI descriptor, msi_on_each_desc() does that")

//----------------------------------------------------------
//  For org mode
//----------------------------------------------------------

@script:python depends on org@
p << internal.p;
@@

coccilib.org.print_todo(p[0], "WARNING: uses the inside of a MSI descriptor")

@script:python depends on org@
p << internal_irq.p;
@@

coccilib.org.print_todo(p[0], "WARNING: uses the inside of a MSI descriptor")

@script:python depends on org@
p << copy.p;
@@

coccilib.org.print_todo(p[0], "WARNING: copies a MSI message, msi_register_msg_notifier() keeps it current")

@script:python depends on org@
p << readback.p;
@@

coccilib.org.print_todo(p[0], "WARNING: reads a MSI message from the device")

@script:python depends on org@
p << readback_msix.p;
@@

coccilib.org.print_todo(p[0], "WARNING: reads a MSI message from the device")

@script:python depends on org@
p << kept.p;
@@

coccilib.org.print_todo(p[0], "WARNING: keeps a MSI descriptor beyond the lock")

@script:python depends on org@
p << kept_by_call.p;
@@

coccilib.org.print_todo(p[0], "WARNING: keeps a MSI descriptor beyond the lock")

@script:python depends on org@
p << returned.p;
@@

coccilib.org.print_todo(p[0], "WARNING: returns a MSI descriptor beyond the lock")

@script:python depends on org@
p << returned_call.p;
@@

coccilib.org.print_todo(p[0], "WARNING: returns a MSI descriptor beyond the lock")

@script:python depends on org@
p << used.p;
@@

coccilib.org.print_todo(p[0], "WARNING: uses a MSI descriptor beyond the lock")

@script:python depends on org@
p << loop.p;
@@

coccilib.org.print_todo(p[0], "WARNING: loops over MSI descriptors, msi_on_each_desc() does that")

@script:python depends on org@
p << loop_next.p;
@@

coccilib.org.print_todo(p[0], "WARNING: looks for a MSI descriptor, msi_on_each_desc() does that")
