/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * State: what outlives the daemon, but not dom0's boot (DESIGN 6)
 *
 * Whatever must not be asked or done twice: plugs that the person refused or
 * took away, what we have attached and where, disposables of our making, open
 * windows, pause. A plain value, made by manager_save() and taken by
 * manager_restore(); state-wire.h is its form in a file. Only devices of which
 * something has to be kept are in it.
 *
 * Bounded by the limits of the manager. Times are CLOCK_MONOTONIC but for the
 * pause, which is CLOCK_BOOTTIME.
 */

#include "common/boot-id.h"
#include "dom0/core/source.h"

#define STATE_SOURCES_MAX     16U
#define STATE_DISPOSABLES_MAX 64U
#define STATE_WINDOWS_MAX     8U
/* of one source: those that are plugged in, and those that went */
#define STATE_PLUGS_MAX (SOURCE_DEVICES_MAX + PLUG_MEMORIES_MAX)

/* A Device, or, if @plug is 0, a PlugMemory: the fields are theirs, see there.
 * A Device is plugged in, or it went and still has to be detached. */
typedef struct StatePlug {
    Record record;
    uint64_t plug; /* 0: of a PlugMemory */
    bool plugged;
    uint64_t lineage;
    uint64_t usb_lineage;
    bool detached_by_user;
    bool refused_by_user;
    QubeName stopped;

    /* of a Device only */
    uint64_t came_usec;
    Holding holding;
    QubeName held_by;
    QubeName held_template;
    RuleName held_rule; /* "" if it is not known */
    QubeName made;
    bool detach_told;
    bool held_before;
    QubeName close[DEVICE_CLOSE_MAX];

    DeviceName usb;         /* Device.usb_port, or PlugMemory.usb */
    uint64_t detached_usec; /* of the USB port, the last time; 0: never */

    /* of a PlugMemory only */
    uint64_t gone_usec;
    QubeName missing_from;
    bool removed;
    bool replaced;
    bool open;
} StatePlug;

typedef struct StateSource {
    QubeName name;
    BootId boot_id; /* "": it has not said hello */
    uint32_t n_noes;
    uint64_t no_usec;
    uint64_t quiet_usec;
    uint64_t resumed_usec;

    StatePlug *plugs;
    size_t n_plugs;
    size_t capacity;
} StateSource;

/* A window that was not answered: it is still on the screen. */
typedef struct StateWindow {
    QubeName source;
    uint64_t opened_usec;
} StateWindow;

typedef struct State {
    BootId boot_id; /* dom0's; the state of another boot is worth nothing */
    uint64_t last_plug;
    uint64_t paused_until_usec; /* as manager_paused_until() */

    StateSource sources[STATE_SOURCES_MAX];
    size_t n_sources;
    /* made by us, and nothing is attached to them: to be removed */
    QubeName disposables[STATE_DISPOSABLES_MAX];
    size_t n_disposables;
    StateWindow windows[STATE_WINDOWS_MAX];
    size_t n_windows;
} State;

int state_new(State **ret);
State *state_free(State *state);

/* The next place, zeroed. -ENOBUFS when all are taken; -ENOMEM. */
int state_add_source(State *state, StateSource **ret);
int state_add_plug(StateSource *source, StatePlug **ret);

DEFINE_CLEANUP(State *, state_free)
