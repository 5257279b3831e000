/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a test of a program of the USB qube needs: a folder with a stand-in for
 * qrexec-client-vm, signals as main() has them, and no words while it runs.
 */

/* what the thread of umockdev opens, whenever it comes to that */
#define MOCK_DESCRIPTORS_MAX 1U

extern char forwarder_folder[64];
extern char forwarder_client[96]; /* "client" in that folder */

/* @script is what the stand-in does, from its "#!" on. */
void forwarder_begin(const char *script);
/* The folder goes; what the test has put there has to be gone. */
void forwarder_end(void);

/* Say nothing, on neither output, until told otherwise. */
void forwarder_mute(void);
void forwarder_unmute(void);
