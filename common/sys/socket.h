/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Local stream sockets; all non-blocking and close-on-exec. */

#include "common/util.h"

/* queued connections: what qrexec allows one qube to have pending */
#define SOCKET_BACKLOG 256

/*
 * Answers a connected descriptor or a negative errno. -EAGAIN: the listener's
 * queue is full, try again later. -ENAMETOOLONG for a path that does not fit
 * a socket address.
 */
int socket_connect(const char *path);

/*
 * Bind and listen at @path with @mode. A socket at that path that nobody
 * listens at is replaced; anything else there is -EADDRINUSE.
 */
int socket_listen(const char *path, mode_t mode);
