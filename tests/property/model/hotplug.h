/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Hotplug: things, and the devices that the kernel of a source makes of them.
 */

#include "tests/property/model/model.h"

/* by the person's hand */
bool thing_plug(Model *m, int thing, unsigned int source, unsigned int port);
void thing_unplug(Model *m, int thing);
void thing_change_mode(Model *m, int thing);
void thing_change_medium(Model *m, int thing, unsigned int slot);
void thing_swap(Model *m, int thing, int other);
/* A call about what is at the seat was carried out, see Exchange. */
void thing_cross(Model *m, int seat, AdminMethod method);
void thing_on_replug(Model *m, const Due *due);

/* the source's qube */
void source_boot(Model *m, unsigned int source);
void source_down(Model *m, unsigned int source);
void source_suspend(Model *m, unsigned int source);
void source_on_resume(Model *m, const Due *due);
void source_on_list(Model *m, const Due *due);
/* qubesd has started: it knows of what only seems to be what it reads now. */
void qubesd_read_anew(Model *m);
/* Tell of what is listed now and was not, and the other way round. */
void source_refresh(Model *m, unsigned int source);
/* Forget devices that are nothing to anybody. */
void source_prune(Model *m, unsigned int source);

/* A USB device is attached: its disks vanish here; and comes back. */
void usb_capture(Model *m, int dev);
void usb_release(Model *m, int dev);

void dev_on_qdb(Model *m, const Due *due);
void dev_on_udev(Model *m, const Due *due);
void dev_on_take(Model *m, const Due *due);
void dev_on_children(Model *m, const Due *due);
void dev_on_reset(Model *m, const Due *due);
void dev_on_identity(Model *m, const Due *due);
void dev_on_native(Model *m, const Due *due);

/* The one that qubesd lists by this name; NONE. */
int dev_listed_at(const Model *m, int seat);
/* The qube that the source says has it; NOWHERE. */
int dev_seems_at(const Model *m, const Dev *dev);
/* The one of this name that is attached; NONE. */
int dev_attached_at(const Model *m, int seat);
/* What the forwarder says of it. */
Record dev_record(const Model *m, const Dev *dev, RecordAction action);
/* DEVID, as qubesd shows it. */
size_t dev_identity(const Model *m, const Dev *dev, char ret[IDENTITY_MAX + 1]);
