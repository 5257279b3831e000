/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include <systemd/sd-id128.h>

#include "common/sys/log.h"
#include "common/text.h"
#include "dom0/io/state-file.h"
#include "dom0/state-keeper.h"
#include "dom0/wire/state-wire.h"

#define DETAIL_MAX 255U

struct StateKeeper {
    StateFile file;
    BootId boot_id;  /* dom0's; "" if it cannot be known */
    uint64_t digest; /* of what is in the file */
    bool write_failed;
    char detail[DETAIL_MAX + 1];
};

int state_keeper_new(StateKeeper **ret, const char *dir_path)
{
    _cleanup_(state_keeper_freep) StateKeeper *keeper =
        calloc(1, sizeof(*keeper));
    sd_id128_t boot_id;
    int r;

    if (!keeper)
        return -ENOMEM;

    state_file_init(&keeper->file, dir_path);
    r = sd_id128_get_boot(&boot_id);
    /* what was kept would be taken for another boot's */
    if (r < 0 && is_lack(-r))
        return r;
    if (r >= 0)
        (void) sd_id128_to_string(boot_id, keeper->boot_id.s);
    *ret = TAKE_PTR(keeper);
    return 0;
}

StateKeeper *state_keeper_free(StateKeeper *keeper)
{
    if (!keeper)
        return NULL;

    state_file_close(&keeper->file);
    free(keeper);
    return NULL;
}

static void keeper_complain(StateKeeper *keeper, const char *detail)
{
    (void) text_format(keeper->detail, sizeof(keeper->detail), "%s", detail);
    log_message(LOG_WARNING, "%s", detail);
}

static void keeper_set_aside(StateKeeper *keeper, const char *reason)
{
    char detail[DETAIL_MAX + 1];
    int r = state_file_set_aside(&keeper->file);

    (void) text_format(detail, sizeof(detail),
                       "%s/state is worth nothing: %s. It was %s; what was "
                       "known before is forgotten",
                       keeper->file.dir_path, reason,
                       r < 0 ? "left where it is" : "renamed to state.bad");
    keeper_complain(keeper, detail);
}

/* Fails for want of memory or descriptors only: what is in the file is good
 * then. NULL in @ret: there is nothing to restore. */
static int keeper_read(StateKeeper *keeper, State **ret)
{
    _cleanup_(state_freep) State *state = NULL;
    _cleanup_(freep) char *text = NULL;
    char reason[DETAIL_MAX + 1];
    const char *error;
    size_t len, line;
    int r;

    *ret = NULL;
    r = state_file_read(&text, &len, &keeper->file, STATE_SIZE_MAX);
    if (r == -ENOENT)
        return 0;
    if (r < 0 && is_lack(-r))
        return r;
    if (r < 0) {
        keeper_set_aside(keeper, r == -EPERM ? "it is not a file of ours alone"
                                             : strerror(-r));
        return 0;
    }

    r = state_decode(&state, text, len, &line, &error);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        (void) text_format(reason, sizeof(reason), "line %zu: %s", line, error);
        keeper_set_aside(keeper, reason);
        return 0;
    }
    /* an earlier boot's: everything was plugged in anew since */
    if (boot_id_equal(&state->boot_id, &keeper->boot_id))
        *ret = TAKE_PTR(state);
    return 0;
}

int state_keeper_restore(StateKeeper *keeper, Manager **ret, bool unlimited)
{
    _cleanup_(manager_freep) Manager *manager = NULL;
    _cleanup_(state_freep) State *state = NULL;
    int r = manager_new(&manager, unlimited);

    if (r >= 0)
        r = keeper_read(keeper, &state);
    if (r >= 0 && state)
        r = manager_restore(manager, state);
    if (r < 0 && is_lack(-r))
        return r;
    if (r < 0) {
        /* it can be read, but the manager cannot be in such a state */
        keeper_set_aside(keeper, strerror(-r));
        manager = manager_free(manager);
        r = manager_new(&manager, unlimited);
        if (r < 0)
            return r;
    }

    keeper->digest = manager_state_digest(manager);
    *ret = TAKE_PTR(manager);
    return 0;
}

static int keeper_write(StateKeeper *keeper, const Manager *manager)
{
    _cleanup_(state_freep) State *state = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t len;
    int r = manager_save(manager, &state);

    if (r < 0)
        return r;
    state->boot_id = keeper->boot_id;
    r = state_encode(&text, &len, state);
    return r < 0 ? r : state_file_write(&keeper->file, text, len);
}

void state_keeper_save(StateKeeper *keeper, const Manager *manager)
{
    uint64_t digest = manager_state_digest(manager);
    char detail[DETAIL_MAX + 1];
    int r;

    if (digest == keeper->digest)
        return;
    r = keeper_write(keeper, manager);
    if (r >= 0) {
        keeper->digest = digest;
        if (keeper->write_failed)
            keeper->detail[0] = '\0';
        keeper->write_failed = false;
        return;
    }
    if (keeper->write_failed)
        return; /* logged already; each save tries again */
    keeper->write_failed = true;
    (void) text_format(detail, sizeof(detail),
                       "%s cannot be written to: %s. A restart of the daemon "
                       "will forget what it has attached and what was refused",
                       keeper->file.dir_path, strerror(-r));
    keeper_complain(keeper, detail);
}

const char *state_keeper_detail(const StateKeeper *keeper)
{
    return keeper->detail;
}
