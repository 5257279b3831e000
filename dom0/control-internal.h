/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside of control
 *
 *     control-stream   lists, history and wait: in parts, or later
 *     control-acts     what the person wants done
 *     control-inquiry  what others have to be asked for
 *     control          whose call it is, and what is pending
 */

#include "dom0/control.h"
#include "dom0/wire/control-values.h"

typedef struct Asked Asked; /* control-inquiry's */

/* A call that is still to be answered. */
typedef struct Pending {
    ControlClient *client; /* NULL: this place is free */
    ControlMethod method;
    bool more;
    uint64_t serial;     /* outcomes up to this one are old, or were told */
    uint64_t asker;      /* of an act */
    DeviceRef ref;       /* of an act, and of Wait for a device */
    RuleName rule;       /* of Wait for a rule; else "" */
    DeviceCursor cursor; /* of ListDevices */
    size_t index;        /* of ListRules */
    Asked *asked;        /* of Explain and ListQubes; owned */
} Pending;

struct Control {
    Manager *manager;
    InquirySockets sockets;
    const ControlHooks *hooks;
    void *userdata;
    uint64_t begun_usec; /* CLOCK_REALTIME */
    ControlService *service;
    Pending pending[CONTROL_CLIENTS_MAX]; /* a client has one call at most */
};

/* control */

uint64_t control_last_serial(const Control *control);

/* The last reply to a client, whose call is not pending any more. */
void control_finish(Control *control,
                    ControlClient *client,
                    json_t *parameters);
/* The same, with an error that takes @parameters. */
void control_refuse(Control *control,
                    ControlClient *client,
                    const char *error,
                    json_t *parameters);
/* The same, for a parameter that is not as it should be. */
void control_refuse_parameter(Control *control,
                              ControlClient *client,
                              const char *parameter);

/* Whether the outcome is one of the device. */
bool control_is_of(const HistoryEntry *entry, const DeviceRef *ref);

/* control-stream */

void control_begin_history(Control *control,
                           Pending *pending,
                           const ControlCall *call);
void control_begin_wait(Control *control,
                        Pending *pending,
                        const ControlCall *call);
/* One part of a list that is complete once @is_last; takes over @parameters. */
void control_tell_part(Control *control,
                       Pending *pending,
                       json_t *parameters,
                       bool is_last);
/* What comes next of a list or of a stream; nothing if there is nothing new. */
void control_go_on(Control *control, Pending *pending);

/* control-acts */

/* Retry or Detach. */
void control_begin_act(Control *control,
                       Pending *pending,
                       const ControlCall *call);
void control_finish_act(Control *control, Pending *pending, Status status);

void control_answer_pause(Control *control,
                          ControlClient *client,
                          const ControlCall *call);
void control_answer_resume(Control *control, ControlClient *client);

/* control-inquiry */

void control_begin_explain(Control *control,
                           Pending *pending,
                           const ControlCall *call);
void control_begin_qubes(Control *control, Pending *pending);
/* What comes next of an explanation, once all is known. */
void control_tell_explanation(Control *control, Pending *pending);
/* Drop what was asked for a call; nobody waits for it any more. */
void control_drop_asked(Pending *pending);
