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
/* the newest; they are of interest for PLUG_REPROBE_USEC only */
#define SOURCE_PORT_DETACHES_MAX 64U
#define SOURCE_EARLY_MAX         64U
#define SOURCE_ANNOUNCED_MAX     64U
#define SOURCE_EXPECTED_MAX      64U
/* after that an event has been lost, and the next is another */
#define SOURCE_EXPECTED_USEC (10 * USEC_PER_SEC)
#define SOURCE_MINUTE_USEC   (60 * USEC_PER_SEC)
/* so many noes in a row silence its prompts, longer with each further one */
#define SOURCE_NOES_MAX       3U
#define SOURCE_QUIET_USEC     (60 * USEC_PER_SEC)
#define SOURCE_QUIET_MAX_USEC (3600 * USEC_PER_SEC)

typedef struct Source Source;
typedef struct Device Device;
typedef struct ManagedJob ManagedJob; /* the manager's */

/* The attach attempts at one path, where a device is plugged in. */
typedef struct PathQuota {
    struct PathQuota *next;
    Quota quota;
    uint64_t times[SOURCE_PATH_ATTACHES_MAX];
    char path[RECORD_LONG_MAX + 1];
} PathQuota;

/* qubesd has told that it is attached before there was a record of it. */
typedef struct EarlyAttach {
    DeviceClass class; /* DEVICE_CLASS_INVALID: a free place */
    DeviceName device;
    QubeName qube;
    bool has_identity;
    DeviceIdentity identity;
} EarlyAttach;

/* qubesd has told that it lists a device, and as what. */
typedef struct Announced {
    DeviceClass class; /* DEVICE_CLASS_INVALID: a free place */
    DeviceName device;
    DeviceIdentity identity;
} Announced;

/*
 * qubesd's event is still to tell of a detach: a Detach of ours has gone well,
 * or a plug went that another had attached. Until then its list may have that
 * one.
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
    uint64_t when_usec; /* 0: a free place */
} PortDetach;

typedef struct SourceConnection {
    uint64_t id; /* 0: this slot is free */
    bool synced; /* it has sent the whole picture */
    /* it is about to: of a USB device's parts there may be more to come */
    bool picturing;
} SourceConnection;

struct Device {
    Device *next;
    Source *source;
    Record record;   /* the newest */
    bool plugged;    /* false: only kept until its last job is done */
    bool told;       /* in this run of ours */
    uint8_t told_by; /* bits: by the connections in these places */
    uint64_t plug;   /* another number for each time it is plugged in */
    uint64_t came_usec;
    uint64_t outcome;     /* serial of the last one in the history; 0: none */
    Status status;        /* of that outcome */
    uint64_t status_usec; /* CLOCK_REALTIME of that outcome */
    /* the same number as long as it is the same plug in the wider sense of
     * PlugMemory, and that of the USB device it is a part of; 0: none */
    uint64_t lineage;
    uint64_t usb_lineage;
    DeviceName usb_port; /* the USB device it is a part of, once known; "" */
    PlugMemory *memory;  /* kept for when it goes; owned */

    ManagedJob *job;    /* in work */
    ManagedJob *queued; /* waits for it */

    /* what is attached because of us, as far as we know */
    Holding holding;
    /* by whom; still set when the hypervisor has taken an unplugged device away
     * before we were told */
    QubeName held_by;
    QubeName held_template; /* @held_by is a disposable of it; "" */
    RuleName held_rule;     /* which wanted it; with HOLDING_DEVICE only */
    /* who has it, by qubesd's events and our own attach; "": nobody known */
    QubeName attached_to;
    /* that is what qubesd has said since we are connected to it */
    bool attachment_known;
    /* qubesd's events were missed while a job was in work */
    bool missed_events;
    /* an Attach was sent there before it stopped, and has gone well: if events
     * tell so before it starts, it was done after that; "" */
    QubeName late_at;
    bool bound; /* our last Attach was, to its identity */
    /* who has this USB device was read so soon after events were missed that
     * it may be old: look once more */
    bool suspect;
    /* the target that had it by a rule, and was stopped: no record starts it
     * again, that is the person's to do; "" */
    QubeName stopped;
    /* the qube that had this USB device and was stopped: it counts as attached
     * there for another moment, of which events may tell (WIRE 1); "" */
    QubeName lingers_at;
    /* qubesd took it, or its parent, off its list: a detach that follows is
     * not the person's */
    bool removed;
    bool added_attached; /* it was put on it while attached */
    bool relisted;       /* and has listed it again since */
    /* where it was said to be may be where the plug before was: decide again
     * once qubesd lists this one */
    bool waits_for_list;
    bool detached_by_user; /* left alone until it is replugged */
    bool refused_by_user;  /* the same: the answer to a prompt was no */
    bool made;             /* @held_by is to be done away with if that is so */
    /* an earlier run of ours was told that it was detached */
    bool detach_told;
    /* what is held was so for the plug before, and is still to be detached; an
     * earlier run of ours knew that */
    bool held_before;
    QubeName close; /* a disposable to be shut down with it; "" */
    /* decide again when this target starts; "" if not */
    QubeName waits_for;
    /* the same for any target of its rule */
    bool waits_for_any;
    /* decide again when qubesd is back */
    bool waits_for_qubesd;
};

struct Source {
    QubeName name;
    BootId boot_id; /* "" before the first hello */
    SourceConnection connections[SOURCE_CONNECTIONS_MAX];

    Device *devices;
    size_t n_devices;
    size_t n_waiters; /* records that wait for their outcome */
    size_t n_jobs;
    size_t n_calls; /* to qubesd, under way */
    /* does the qube run? asked when events were missed, or records have come
     * that may be older than its shutdown, and nobody is connected */
    bool wants_probe;
    uint64_t probe_call; /* under way; 0: none */
    bool runs;           /* told or asked since events are heard */

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

    uint32_t n_noes;     /* of the person, since the last yes */
    uint64_t no_usec;    /* when the last one was */
    uint64_t quiet_usec; /* until then it may not prompt */
};

int source_new(Source **ret, const QubeName *name);
Source *source_free(Source *source); /* its devices must have no jobs */

/* Whether nothing is known of it, nobody is connected, and forgetting it would
 * allow no more than keeping it. */
bool source_is_idle(const Source *source, uint64_t now_usec);
unsigned int source_count_connections(const Source *source);
bool source_has_picture(const Source *source);
/* NULL if there is none of that id. */
SourceConnection *source_find_connection(Source *source, uint64_t id);
/* Whether a picture that the device is in is still being sent. */
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
/* The same if it is plugged in; else NULL. */
Device *device_usb(const Device *device);

/*
 * source-memory: which plugs are the same, see plug-memory.h
 */

/* @device is plugged in: -ENOMEM if it could not be remembered later. Whether
 * it is the same plug as one that went is told by device_recall(). */
int device_arrive(Device *device, uint64_t plug, uint64_t now_usec);
/* It goes, but may be the same plug when it comes back. */
void device_remember(Device *device, uint64_t now_usec);
/* Whether it is the same plug as one that went; then it is marked as that
 * was. */
bool device_recall(Device *device);
/* The person took it, or something of the same USB device, away. */
void device_mark_detached(Device *device);

/* What qubesd tells of a USB port, or of a device on it. */
void source_on_port_detached(Source *source,
                             const DeviceName *port,
                             uint64_t now_usec);
/* When that was last; 0: not of late. */
uint64_t source_port_detached_usec(const Source *source,
                                   const DeviceName *port);
void source_on_removed(Source *source,
                       DeviceClass class,
                       const DeviceName *name);
/* Nobody reports the source's devices from @now_usec on; the whole picture has
 * come again. See PlugMemory. */
void source_open_memories(Source *source, uint64_t now_usec);
void source_close_memories(Source *source);
/* NULL if there is none. */
PlugMemory *source_find_memory(const Source *source, uint64_t lineage);
/* What the person has said of what went from @usb holds no longer; NULL: from
 * anywhere. */
void source_forgive_memories(Source *source, const DeviceName *usb);
/* The same of what was like @record. */
void source_forgive_memory(Source *source, const Record *record);
/* Nothing that comes is the same plug as what went. */
void source_clear_memories(Source *source);
bool source_remembers(const Source *source, uint64_t now_usec);

/*
 * Whether the person has detached it, or another part of the same USB device:
 * then all of it is left alone until it is replugged.
 */
bool device_is_left_alone(const Device *device);

/* Forget that, and that the person said no to it. */
void device_forgive(Device *device);

/* Whether two devices are, or are parts of, the same USB device. */
bool device_is_same_usb(const Device *a, const Device *b);

/* Devices that there is no record of yet: a qube has one; who that is ("":
 * nobody is known), which is forgotten then; nothing is known any more. */
void source_note_early(Source *source, const AdminEvent *event);
QubeName source_take_early(Source *source,
                           DeviceClass class,
                           const DeviceName *device);
void source_clear_early(Source *source);
/* Whether a block device may be part of this USB device, by its identity, as
 * the empty slot of a card reader: there is never a record of that. */
bool source_has_early_of(const Source *source, const Record *usb);

/*
 * What qubesd's events have told of what it lists, so that it need not be
 * asked. Only for what was told since its events are heard without a gap; an
 * identity that is not fit to be sent is not kept.
 */
void source_announce(Source *source, const AdminEvent *event);
void source_unannounce(Source *source,
                       DeviceClass class,
                       const DeviceName *device);
void source_clear_announced(Source *source);
/* NULL if nothing was told. */
Announced *source_find_announced(Source *source,
                                 DeviceClass class,
                                 const DeviceName *device);

/* An event will tell of a detach from @qube. */
void source_expect_detach(Source *source,
                          DeviceClass class,
                          const DeviceName *device,
                          const QubeName *qube,
                          bool ours,
                          uint64_t now_usec);
/* Whether one of ours is still to come; the same, and it has come now. */
bool source_expects_detach(const Source *source,
                           DeviceClass class,
                           const DeviceName *device,
                           const QubeName *qube,
                           uint64_t now_usec);
bool source_take_expected(Source *source,
                          DeviceClass class,
                          const DeviceName *device,
                          const QubeName *qube,
                          uint64_t now_usec);
/* Who had the plug before, as far as its end was not told; "": nobody. An event
 * has told who has the device now. */
QubeName source_past_holder(const Source *source,
                            DeviceClass class,
                            const DeviceName *device);
void source_forget_past_holder(Source *source,
                               DeviceClass class,
                               const DeviceName *device);
void source_clear_expected(Source *source);

/* By whomever, as far as is known. */
bool device_is_attached(const Device *device);

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

/* How the rate of its lines is limited. */
extern const RateLimit source_line_limit;

/* The person has answered a prompt of this source. */
void source_on_yes(Source *source);
void source_on_no(Source *source, uint64_t now_usec);
bool source_is_quiet(const Source *source, uint64_t now_usec);

DEFINE_CLEANUP(Source *, source_free)
