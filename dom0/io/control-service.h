/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Control service: accepts the clients of the control socket
 *
 * See control-client.h for what each of them may do. They are bounded in
 * number; who has not enough descriptors or memory for one waits and tries
 * again.
 */

#include "dom0/io/control-client.h"

#define CONTROL_CLIENTS_MAX      32U /* a further one is closed at once */
#define CONTROL_ACCEPT_WAIT_USEC (1 * USEC_PER_SEC) /* without descriptors */

typedef struct ControlService ControlService;

/* Takes over @fd, which listens, also when it fails. @handler is copied. */
int control_service_new(ControlService **ret,
                        sd_event *event,
                        int fd,
                        const ControlHandler *handler);
/* Closes all; on_gone() is called for calls that are not answered. */
ControlService *control_service_free(ControlService *service);

size_t control_service_count(const ControlService *service);

DEFINE_CLEANUP(ControlService *, control_service_free)
