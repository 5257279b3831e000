/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/support/forwarder-rig.h"
#include "tests/support/test.h"

char forwarder_folder[64];
char forwarder_client[96];

/* standard output and error, while they are closed */
static int said[2];

void forwarder_begin(const char *script)
{
    sigset_t signals;
    FILE *file;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGCHLD);
    assert_return_code(sigprocmask(SIG_BLOCK, &signals, NULL), 0);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    assert_int_equal(setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1), 0);

    strcpy(forwarder_folder, "/tmp/forwarder-rig-XXXXXX");
    assert_non_null(mkdtemp(forwarder_folder));
    (void) snprintf(forwarder_client, sizeof(forwarder_client), "%s/client",
                    forwarder_folder);
    file = fopen(forwarder_client, "we");
    assert_non_null(file);
    assert_true(fputs(script, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(forwarder_client, 0700), 0);
}

void forwarder_end(void)
{
    (void) unlink(forwarder_client);
    assert_int_equal(rmdir(forwarder_folder), 0);
}

void forwarder_mute(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    assert_return_code(null, errno);
    for (int i = 0; i < 2; i++) {
        (void) fflush(i == 0 ? stdout : stderr);
        said[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
        assert_return_code(said[i], errno);
        assert_return_code(dup2(null, i + 1), errno);
    }
    fd_close(null);
}

void forwarder_unmute(void)
{
    for (int i = 0; i < 2; i++) {
        (void) fflush(i == 0 ? stdout : stderr);
        assert_return_code(dup2(said[i], i + 1), errno);
        said[i] = fd_close(said[i]);
    }
}
