/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Forwarders: the connections of the sources, and what they send (DESIGN 3). */

#include "tests/property/model/model.h"

void forwarder_start(Model *m, unsigned int source, uint64_t max_usec);
void forwarder_stop(Model *m, unsigned int source);
void forwarder_kill(Model *m, unsigned int source);
void forwarder_on_due(Model *m, const Due *due);
/* A device has come, gone or changed. */
void forwarder_on_udev(Model *m, int dev, RecordAction action);
/* One record, by hand. */
void forwarder_send(Model *m, unsigned int source, int dev);

/* The source is off: what was to be sent by hand from there is not. */
void forwarder_lose_hands(Model *m, unsigned int source);

/* A line is read by the daemon; what it says is play's to tell. */
void forwarder_on_line(Model *m, const Due *due);
/* dom0 closes a connection; or all of them, as the daemon dies. */
void forwarder_on_close(Model *m, uint64_t id);
void forwarder_lose_daemon(Model *m);
/* An answer has come; all that were to come by hand: it is over. */
void forwarder_on_answered(Model *m, int connection);

bool forwarder_is_in_sync(const Model *m, unsigned int source);
