/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Source: a qube that reports devices, and what is known of them
 *
 * Bounded: at most SOURCE_DEVICES_MAX devices, SOURCE_CONNECTIONS_MAX
 * connections and, through its quotas, so many attach attempts a minute.
 */

#include "common/boot-id.h"
#include "common/rate.h"
#include "common/record.h"
#include "dom0/core/job.h"
#include "dom0/core/plug-memory.h"
#include "dom0/core/quota.h"

/* limits of one source (DESIGN 3) */
#define SOURCE_CONNECTIONS_MAX   4U /* see Device.told_by */
#define SOURCE_DEVICES_MAX       512U
#define SOURCE_JOBS_MAX          256U /* and as many records that wait */
#define SOURCE_CALLS_MAX         32U  /* to qubesd at once; more wait */
#define SOURCE_LINES_BURST       512U
#define SOURCE_LINES_USEC        (USEC_PER_SEC / 64)
#define SOURCE_ATTACHES_MAX      60U /* a minute */
#define SOURCE_PATH_ATTACHES_MAX 20U /* a minute and device path */
/* when full, the oldest makes room; an entry is of interest for
 * PLUG_REPROBE_USEC */
#define SOURCE_PORT_DETACHES_MAX 64U
#define SOURCE_EARLY_MAX         64U
#define SOURCE_ANNOUNCED_MAX     64U
#define SOURCE_EXPECTED_MAX      64U
/* a detach event that we wait for comes within this time, or it was lost: a
 * later one is of another detach */
#define SOURCE_EXPECTED_USEC (10 * USEC_PER_SEC)
#define SOURCE_MINUTE_USEC   (60 * USEC_PER_SEC)
/* see Device.close */
#define DEVICE_CLOSE_MAX 4U
/* so many noes in a row silence the source's prompts, longer with each further
 * one */
#define SOURCE_NOES_MAX       3U
#define SOURCE_QUIET_USEC     (60 * USEC_PER_SEC)
#define SOURCE_QUIET_MAX_USEC (3600 * USEC_PER_SEC)

typedef struct Source Source;
typedef struct Device Device;
typedef struct ManagedJob ManagedJob; /* the manager's */

/* The attach attempts for one path: the place where a device is plugged in. */
typedef struct PathQuota {
    struct PathQuota *next;
    Quota quota;
    uint64_t times[SOURCE_PATH_ATTACHES_MAX];
    char path[RECORD_LONG_MAX + 1];
} PathQuota;

/* qubesd's event has told that a qube has a device of which no record has come
 * yet. */
typedef struct EarlyAttach {
    DeviceClass class; /* DEVICE_CLASS_INVALID: a free place */
    DeviceName device;
    QubeName qube;
    bool has_identity;
    DeviceIdentity identity;
} EarlyAttach;

/* qubesd's event has told that it lists a device, and with which identity. */
typedef struct Announced {
    DeviceClass class; /* DEVICE_CLASS_INVALID: a free place */
    DeviceName device;
    bool has_identity; /* one that can be put on the wire and is up to date */
    DeviceIdentity identity;
} Announced;

/*
 * A detach of which qubesd's event has not come yet: either our Detach has gone
 * well, or came too late for what not even the attach had been told of (both
 * @ours); or a plug went that somebody else had attached to @qube. Until the
 * event comes qubesd may still list the device as attached to @qube.
 */
typedef struct ExpectedDetach {
    DeviceClass class; /* DEVICE_CLASS_INVALID: a free place */
    DeviceName device;
    QubeName qube;
    bool ours;
    uint64_t since_usec;
} ExpectedDetach;

/* A USB port that was detached from whatever qube had it. */
typedef struct PortDetach {
    DeviceName port;
    QubeName qube;      /* that had it */
    uint64_t when_usec; /* 0: a free place */
    bool relisted;      /* qubesd has put a device there on its list since */
} PortDetach;

typedef struct SourceConnection {
    uint64_t id; /* 0: this slot is free */
    bool synced; /* it has sent the whole picture */
    /* an older connection has told that something is gone of which this one had
     * just told in its picture: which is true cannot be known */
    bool crossed;
    /* it has begun to send its picture: more parts of a USB device may come */
    bool picturing;
} SourceConnection;

struct Device {
    Device *next;
    Source *source;
    Record record;   /* the newest */
    bool plugged;    /* false: only kept until its last job is done */
    bool told;       /* this run of the daemon has had a record of it */
    uint8_t told_by; /* bit i: connections[i] of its source has reported it */
    uint64_t plug;   /* another number for each time it is plugged in */
    uint64_t came_usec;
    uint64_t outcome;     /* serial of the last one in the history; 0: none */
    Status status;        /* of that outcome */
    uint64_t status_usec; /* CLOCK_REALTIME of that outcome */
    /* A number that stays while it is the same plug in the wider sense of
     * PlugMemory; and that of the USB device it is a part of, 0: none. */
    uint64_t lineage;
    uint64_t usb_lineage;
    DeviceName usb_port; /* of the USB device it is a part of; "": not known */
    PlugMemory *memory;  /* allocated in time, for device_remember(); owned */

    ManagedJob *job;    /* in work */
    ManagedJob *queued; /* begins when @job has ended */

    /* Whether a target has the device because of us, and which one. @held_by
     * stays set with HOLDING_NOTHING if qubesd's events told that the device is
     * off the list and detached before the record of its unplug came. */
    Holding holding;
    QubeName held_by;
    QubeName held_template; /* @held_by is a disposable made from it; "" */
    RuleName held_rule;     /* that wanted it there */
    /* with HOLDING_MAYBE: when the job began whose Attach was told as failed:
     * if it has gone well after all, that is an outcome of its own; 0: none */
    uint64_t doubted_usec;
    /* The rule by which it was at @met_at already, whoever had attached it
     * there; "". */
    RuleName met_rule;
    QubeName met_at;
    /* The qube that has it, whoever attached it, by qubesd's events and answers
     * and our own attach; "": none is known. @attachment_known: qubesd has told
     * so, or that none has it, since we are connected to it. */
    QubeName attached_to;
    bool attachment_known;
    /* If that is not known: it was asked for, to be shown only, see Census. */
    bool counted;
    QubeName found_at; /* "": none */
    /* qubesd's events were missed while a job was in work */
    bool missed_events;
    bool bound; /* our last Attach was pinned to the device's identity */
    /* identity_hash() of that, if a target has the device because of us; 0: not
     * known */
    uint64_t bound_to;
    /* our last Attach has gone well, and its event has not come: a detach that
     * is told before is of the plug before, or of none at all (WIRE 1) */
    bool attach_untold;
    /* The qube that has this USB device was read so soon after events were
     * missed that it may be out of date: look once more. */
    bool suspect;
    /* A target that had it by a rule and was stopped: no record of the device
     * starts that target again, only the person does. "": none. */
    QubeName stopped;
    /* A qube that had this USB device and was stopped: for another moment
     * qubesd counts the device as attached there, and may send an event that
     * says so (WIRE 1). "": none. */
    QubeName lingers_at;
    /* qubesd took it, or the USB device it is a part of, off its list: a detach
     * event that follows is not of the person's doing */
    bool removed;
    /* qubesd put it on its list while we knew it as attached: so it had been
     * off the list, and that event was missed */
    bool added_attached;
    bool relisted; /* @removed, and qubesd has listed it again since */
    /* Decide again once qubesd lists it: its last outcome says that it does
     * not, or who has it, which may have been true of the plug before only. */
    bool waits_for_list;
    bool detached_by_user; /* left alone until it is replugged */
    bool refused_by_user;  /* the same: the person said no to a prompt */
    /* the person has retried this plug: its prompts are shown, also where the
     * source's are silenced */
    bool wanted;

    /* Known from an earlier run of the daemon: */
    /* a disposable that was made for the attach; it is removed unless that is
     * where the device turns out to be; "" */
    QubeName made;
    /* qubesd told that @held_by has it no longer; that was not looked at yet */
    bool detach_told;
    /* @held_by has the plug before, which is still to be detached */
    bool held_before;

    /* Disposables to shut down when it is unplugged, the newest first; "": no
     * more. There are several if it was attached again after the person had
     * detached it; when full, the oldest is left to her. */
    QubeName close[DEVICE_CLOSE_MAX];
    /* Decide again when this target starts ("": none), when any target of its
     * rule does, or when qubesd is back and says that nothing has the device;
     * so does a start while qubesd is being asked for that. */
    QubeName waits_for;
    bool waits_for_any;
    bool waits_for_qubesd;
    /* Decide this USB device again when the record of an attached disk comes,
     * which by its identity may be a part of it, or of another of its kind. */
    bool waits_for_disk;
    /* Decide again when the job of the part that is in its way has ended and
     * has attached nothing. */
    bool waits_for_part;
    bool waits_for_pause; /* decide again when it runs out: it was held up */
    /* Decide again when the policy daemon answers, see PolicyWatch. */
    bool waits_for_policy;
    PolicyQuestion unanswered;
    uint64_t asked; /* the number of the call when that was asked last */
    /* Decide again when there is room for its job, see Manager.lacks_room. */
    bool waits_for_room;
};

struct Source {
    QubeName name;
    BootId boot_id; /* "" before the first hello */
    SourceConnection connections[SOURCE_CONNECTIONS_MAX];

    Device *devices;
    /* @devices in the order of class and name, for source_find(): a source may
     * make all of them parts of one another, so to look for one must not take
     * long */
    Device *by_name[SOURCE_DEVICES_MAX];
    size_t n_devices;
    size_t n_waiters; /* records that wait for their outcome */
    size_t n_jobs;
    size_t n_calls; /* to qubesd, under way */
    /* Ask qubesd whether the qube runs: it has devices, nobody is connected,
     * and its shutdown may have been missed, or have come before records sent
     * by hand. */
    bool wants_probe;
    uint64_t probe_call; /* under way; 0: none */
    /* when to ask again, as qubesd had no time for the last call; 0: never */
    uint64_t probe_usec;
    /* an event or an answer said so since events are heard */
    bool runs;

    Rate lines;
    Quota attaches;
    uint64_t attach_times[SOURCE_ATTACHES_MAX];
    PathQuota *paths;

    EarlyAttach early[SOURCE_EARLY_MAX]; /* a ring */
    size_t next_early;
    Announced announced[SOURCE_ANNOUNCED_MAX]; /* a ring */
    size_t next_announced;
    ExpectedDetach expected[SOURCE_EXPECTED_MAX]; /* a ring */
    size_t next_expected;
    PlugMemory *memories; /* newest first */
    size_t n_memories;
    uint64_t resumed_usec; /* the qube, from its suspension; 0: never */
    PortDetach port_detaches[SOURCE_PORT_DETACHES_MAX]; /* a ring */
    size_t next_port_detach;

    uint64_t census;     /* grows with each call of it; 0: none yet */
    uint64_t prompted;   /* grows with each window of any source; 0: none yet */
    uint32_t n_noes;     /* answers of the person, since the last yes */
    uint64_t no_usec;    /* when the last one was */
    uint64_t quiet_usec; /* no prompts before that time */
    /* why nobody could be asked when that was last to be; "" */
    char prompt_problem[ADMIN_DETAIL_MAX + 1];
};

int source_new(Source **ret, const QubeName *name);
Source *source_free(Source *source); /* its devices must have no jobs */

/* Whether the source can be freed: nothing is known of it, nobody is connected,
 * and to free it would not reset a limit that is in use. */
bool source_is_idle(const Source *source, uint64_t now_usec);
unsigned int source_count_connections(const Source *source);
/* Whether a connection that is open has sent the whole picture. */
bool source_has_picture(const Source *source);
/* NULL if there is none of that id. */
SourceConnection *source_find_connection(Source *source, uint64_t id);
/* Whether a connection that has reported the device is still sending its
 * picture. */
bool source_is_picturing(const Source *source, const Device *device);
/* The bit of its place in Device.told_by; 0 if there is none of that id. */
uint8_t source_connection_bit(const Source *source, uint64_t id);

Device *source_find(const Source *source,
                    DeviceClass class,
                    const DeviceName *name);
/* -ENOBUFS when SOURCE_DEVICES_MAX are known already; -ENOMEM. */
int source_add(Source *source, Device **ret, const Record *record);
void source_forget(Source *source, Device *device);

/* The USB device that @device is, or is a part of; "" if there is none. */
DeviceName device_usb_name(const Device *device);
/* That USB device, if there is a record of it and it is plugged in; else
 * NULL. */
Device *device_usb(const Device *device);

/*
 * source-memory: which plugs are the same, see plug-memory.h
 */

/* Mark @device as plugged in, with the number @plug, and as one of @lineage:
 * its parts take that over. -ENOMEM: it is not, as it could not be remembered
 * when it goes. device_recall() tells whether it is the same plug as one that
 * went.
 */
int device_arrive(Device *device,
                  uint64_t plug,
                  uint64_t lineage,
                  uint64_t now_usec);
/* The device goes: keep what still counts if the same plug comes back. */
void device_remember(Device *device, uint64_t now_usec);
/* Whether the device is the same plug as one that went; if so, what the person
 * has said of that one counts for it. */
bool device_recall(Device *device);
/* The person detached the device: it and its USB device are left alone. */
void device_mark_detached(Device *device);

/* What is on the USB port was detached from @qube, by whomever. */
void source_on_port_detached(Source *source,
                             const DeviceName *port,
                             const QubeName *qube,
                             uint64_t now_usec);
/* qubesd's event: there is a device at the port that was not listed before. */
void source_on_port_listed(Source *source, const DeviceName *port);
/* Whether what is on the port was detached from @qube so lately that qubesd's
 * events may still tell of it as attached there. */
bool source_port_is_stale(const Source *source,
                          const DeviceName *port,
                          const QubeName *qube,
                          uint64_t now_usec);
/* When the port was last detached; 0: not lately. */
uint64_t source_port_detached_usec(const Source *source,
                                   const DeviceName *port);
/* qubesd took a device off its list. */
void source_on_removed(Source *source,
                       DeviceClass class,
                       const DeviceName *name);
/* Begin and end of a time in which nobody reports what comes and goes, see
 * PlugMemory.open. */
void source_open_memories(Source *source, uint64_t now_usec);
void source_close_memories(Source *source);
/* NULL if there is none. */
PlugMemory *source_find_memory(const Source *source, uint64_t lineage);
/* Forget what the person has said of devices that went from the USB port @usb;
 * NULL: from anywhere. */
void source_forgive_memories(Source *source, const DeviceName *usb);
/* The same for devices that were like @record. */
void source_forgive_memory(Source *source, const Record *record);
/* Nothing that comes from now on is the same plug as one that went. */
void source_clear_memories(Source *source);
/* Whether something that went may still come back as the same plug, or qubesd
 * may list as attached what was detached a moment ago, or has still to tell of
 * that. */
bool source_remembers(const Source *source, uint64_t now_usec);

/* Whether the person has detached the device, or anything of the same USB
 * device: then all of it is left alone until it is replugged. */
bool device_is_left_alone(const Device *device);
/* Whether a no to a prompt for @a counts for @b as well: that to a disk does so
 * for its partitions, and that to a partition for its disk. The USB device as a
 * whole, and other disks in it, as cards in a reader, are asked for apart. */
bool device_shares_no(const Device *a, const Device *b);
/* Whether the person has said no to a prompt for it, or to one that counts. */
bool device_is_refused(const Device *device);

/* Forget that the person detached the device, or said no to it, or stopped the
 * target that had it. */
void device_forgive(Device *device);

/* Whether two devices are, or are parts of, the same USB device. */
bool device_is_same_usb(const Device *a, const Device *b);

/*
 * source-told: what qubesd's events tell, see also EarlyAttach, Announced and
 * ExpectedDetach
 */

/* qubesd's event: a qube has a device that there is no record of yet. */
void source_note_early(Source *source, const AdminEvent *event);
/* The qube that was noted for the device, and is forgotten now; "": none. */
QubeName source_take_early(Source *source,
                           DeviceClass class,
                           const DeviceName *device);
/* @qube was stopped: it has none of them any more. That has detached the USB
 * ports among them. */
void source_free_early(Source *source, const QubeName *qube, uint64_t now_usec);
void source_clear_early(Source *source);
/* Whether one was noted of a block device that, by its identity, may be part of
 * the USB device @usb, as the empty slot of a card reader: of that there is
 * never a record. */
bool source_has_early_of(const Source *source, const Record *usb);

/*
 * qubesd's event: it lists a device. The identity that the event tells need not
 * be asked for; one that is not safe to send is not kept, see
 * Announced.has_identity. To be cleared when events were missed.
 */
void source_announce(Source *source, const AdminEvent *event);
void source_unannounce(Source *source,
                       DeviceClass class,
                       const DeviceName *device);
void source_clear_announced(Source *source);
/* Somebody has attached @filler, NULL if that is not known, to a disposable: if
 * it was made for another device it is not to be removed any more. */
void source_on_filled(Source *source,
                      const Device *filler,
                      const QubeName *disposable);
/* NULL if nothing was told. */
Announced *source_find_announced(Source *source,
                                 DeviceClass class,
                                 const DeviceName *device);

/* qubesd's event will tell of a detach from @qube. */
void source_expect_detach(Source *source,
                          DeviceClass class,
                          const DeviceName *device,
                          const QubeName *qube,
                          bool ours,
                          uint64_t now_usec);
/* Whether the event of a Detach of ours from @qube has not come yet. */
bool source_expects_detach(const Source *source,
                           DeviceClass class,
                           const DeviceName *device,
                           const QubeName *qube,
                           uint64_t now_usec);
/* That event comes: whether it was expected. It no longer is. */
bool source_take_expected(Source *source,
                          DeviceClass class,
                          const DeviceName *device,
                          const QubeName *qube,
                          uint64_t now_usec);
/* The qube that had the plug before, if its detach event has not come yet; "":
 * none. */
QubeName source_past_holder(const Source *source,
                            DeviceClass class,
                            const DeviceName *device);
/* qubesd's event has told who has the device now: the plug before is over. */
void source_forget_past_holder(Source *source,
                               DeviceClass class,
                               const DeviceName *device);
void source_clear_expected(Source *source);

/* Whether a qube has the device, or may have it because of us, as far as is
 * known. */
bool device_is_attached(const Device *device);

/* See Device.close: whether @disposable is among them; it is one more of such a
 * list, which it was not; it is none of them. */
bool device_closes(const Device *device, const QubeName *disposable);
void close_list_add(QubeName list[static DEVICE_CLOSE_MAX],
                    const QubeName *disposable);
void device_drop_close(Device *device, const QubeName *disposable);

/* Whether @ancestor is the USB device or the disk that @device is part of. */
bool device_is_ancestor(const Device *ancestor, const Device *device);

/*
 * Whether two devices of one source are parts of one plug of which only one
 * can be attached at a time: a USB device, its disks, their partitions. Disks
 * of one USB device, and partitions of one disk, do not exclude one another.
 */
bool device_excludes(const Device *a, const Device *b);

/*
 * Whether an attach of @device may be made now; if so it is counted, for the
 * source and for the device's path. If not, @ret_when_usec says when to ask
 * again; also without memory.
 */
bool source_take_attach(Source *source,
                        const Device *device,
                        uint64_t now_usec,
                        uint64_t *ret_when_usec);

/* The limit of a source's lines, for Source.lines. */
extern const RateLimit source_line_limit;

/* The person has answered a prompt of this source. */
void source_on_yes(Source *source);
void source_on_no(Source *source, uint64_t now_usec);
bool source_is_quiet(const Source *source, uint64_t now_usec);
/* Whether the device's prompts are, by that. */
bool device_is_quiet(const Device *device, uint64_t now_usec);

DEFINE_CLEANUP(Source *, source_free)
