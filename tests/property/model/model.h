/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Model: a whole machine in virtual time, and one who judges
 *
 *     history    steps of a person and of fate: random, printed, made smaller
 *     play       the clock; carries a history out and joins all the others
 *     world      qubes, their power, what is attached where
 *     hotplug    things, and the devices that the kernel makes of them
 *     qubesd     the Admin API: calls with their latency, the event stream
 *     forwarder  connections of the sources, and what they send
 *     person     prompts, the policy daemon, the person's own hand
 *     judge      what DESIGN says of all this
 *
 * The world is what really is (*truth*); what the daemon has been told so far
 * is the judge's to remember (*told*). A tick is one input of the daemon: of
 * two things with ticks it can be said which came first.
 *
 * Nothing here is taken from the core's own thinking: see DESIGN.md, WIRE.md.
 */

#include "dom0/core/manager.h"
#include "tests/property/model/catalogue.h"
#include "tests/property/model/history.h"
#include "tests/property/model/rulebook.h"
#include "tests/support/random.h"

#define NOWHERE (-1)
#define NONE    (-1)

typedef enum QubeIndex {
    QUBE_SYS_USB,
    QUBE_SYS_NET,
    QUBE_WORK,
    QUBE_VAULT,
    QUBE_MEDIA,
    QUBE_DVM,
    QUBE_DOM0,
    QUBE_DISPOSABLE, /* the first one */
    QUBES_MAX = 40,
} QubeIndex;

/* Who has attached something. */
typedef enum Actor {
    ACTOR_NOBODY,
    ACTOR_DAEMON,
    ACTOR_PERSON,
    ACTOR_QUBES, /* a native assignment */
} Actor;

/* Why it is not attached any more. */
typedef enum Cause {
    CAUSE_DAEMON,
    CAUSE_PERSON,
    CAUSE_GONE, /* the device went away */
    CAUSE_STOP, /* the target or the source was stopped */
    CAUSE_ECHO, /* it never was */
} Cause;

/* How the person stops a qube in its start. */
typedef enum Abort {
    ABORT_NOT,
    ABORT_KILL,
    ABORT_SHUTDOWN,
} Abort;

typedef struct Qube {
    QubeName name;
    bool exists;
    PowerState power;
    uint32_t power_changes; /* what was planned before is void */
    Abort abort;            /* of the next start */
    bool goes_down;         /* once it is up */
    bool usb_proxy;
    unsigned int usb_work; /* USB attaches under way into it */
    bool disposable;
    uint64_t last_idle_tick; /* when it was seen not to run last */
    /* disposables: of the job that has made it */
    bool used;   /* a device was attached to it */
    bool filled; /* by the person */
    int seat;    /* the first that was; NO_SEAT */
    bool closes;
    uint64_t plug;     /* that was attached to it last, and when that was */
    uint64_t put_tick; /* called for */
} Qube;

typedef struct Thing {
    int source; /* NOWHERE: in the drawer */
    unsigned int port;
    unsigned int media; /* bit mask: slots that have a medium */
    bool other_mode;
} Thing;

/* A device as the kernel of a source has made it; never used again. */
typedef struct Dev {
    int thing;
    unsigned int source;
    unsigned int port;
    unsigned int boot; /* of the source */
    DeviceClass class;
    int seat;
    int parent; /* Dev, or NONE */
    unsigned int disk, part;
    int64_t diskseq;
    bool empty; /* a slot without a medium */
    bool other_mode;
    bool exists;    /* for the kernel */
    bool published; /* for qubesd */
    bool in_udev;   /* for the forwarder */
    bool was_listed;
    bool early;      /* its identity is not what it will be */
    int attached_to; /* qube, or NOWHERE */
    Actor attached_by;
    bool attached_told; /* by an event */
    uint64_t attach_tick;
    bool attached_late;    /* when the daemon that wanted it was dead */
    uint64_t lingers_usec; /* until then it counts as attached */
    int lingers_at;        /* to this one; NOWHERE */
    int echo_at;           /* for qubesd, though it is not; NOWHERE */
} Dev;

#define DEVS_MAX   1024
#define ACTIVE_MAX 96 /* of one source */

typedef struct SourceWorld {
    unsigned int boot;
    uint64_t qdb_usec; /* its newest message is under way until then */
    uint64_t udev_usec;
    int active[ACTIVE_MAX]; /* devs that are something to somebody */
    size_t n_active;
    int64_t diskseq;
    /* forwarder */
    bool fwd_runs;
    uint32_t fwd_life;
    int connection; /* NONE */
} SourceWorld;

typedef enum DueKind {
    DUE_QDB,      /* dev, whether it is there */
    DUE_UDEV,     /* dev, RecordAction */
    DUE_TAKE,     /* dev: the hypervisor takes away what is gone */
    DUE_CHILDREN, /* dev: its disks come back */
    DUE_RESET,    /* dev: the kernel makes it anew */
    DUE_IDENTITY, /* dev: it is what it will be */
    DUE_NATIVE,   /* dev */
    DUE_EVENT,    /* of the stream, index */
    DUE_EXEC,     /* call */
    DUE_WORKED,   /* call */
    DUE_ANSWER,   /* call */
    DUE_TIMEOUT,  /* call, its life */
    DUE_UP,       /* qube, power_changes */
    DUE_DOWN,     /* qube, power_changes */
    DUE_CROSS,    /* qube */
    DUE_AGAIN,    /* qube, power_changes */
    DUE_FWD,      /* source, life: the forwarder connects */
    DUE_LINE,     /* index */
    DUE_VERDICT,  /* question */
    DUE_CLICK,    /* window, life */
    DUE_QUBESD,   /* it is back */
    DUE_STREAM,   /* the daemon connects to qubesd's events; life */
    DUE_DAEMON,   /* it is back */
    DUE_REPLUG,   /* thing: port, as before */
    DUE_SWAP,     /* thing, by another */
    DUE_RESUME,   /* source */
    DUE_LIST,     /* source: its list of USB devices changes */
} DueKind;

typedef struct Due {
    uint64_t usec;
    uint64_t order;
    DueKind kind;
    int a;
    int b;
    uint32_t life;
} Due;

#define TARGET_STARTS 3 /* in ten minutes */
#define DUES_MAX      1024
#define LINES_MAX     512 /* a ring */

typedef enum LineKind {
    LINE_HELLO,
    LINE_EVENT,
    LINE_SYNCED,
    LINE_END,
} LineKind;

typedef struct Line {
    bool used;
    LineKind kind;
    int connection;
    int dev;
    RecordAction action;
} Line;

#define CONNECTIONS_MAX 64 /* a ring */
#define WAITING_MAX     512

typedef struct Connection {
    bool open;
    bool by_hand; /* closed once all is answered */
    bool ended;   /* no more lines come */
    bool synced;  /* it was told of the whole picture */
    uint64_t id;
    unsigned int source;
    unsigned int boot;
    uint64_t last_usec;
    uint64_t held_usec; /* until then no line is read */
    int64_t seq;
} Connection;

/* An event of which the answer is to come. */
typedef struct Waiting {
    int connection;
    int64_t seq;
    int seat;
    RecordAction action;
    uint64_t tick;
} Waiting;

#define CALLS_MAX 128

typedef struct Call {
    bool used;
    uint32_t life;
    uint64_t id;
    uint32_t daemon_life; /* whose it is */
    AdminRequest request;
    bool executed;
    bool answered; /* or given up */
    bool told;     /* Start: its end is on its way */
    bool overdue;  /* its deadline is over, and still it goes on */
    int qube;
    int seat;
    int dev; /* of a USB attach in work */
    Fault fault;
    bool is_census; /* of no job: nothing is decided by it */
    AdminAnswer answer;
    uint64_t tick; /* when it was made */
} Call;

/* A person restarts @qube when a call about it was just carried out. */
typedef struct Crossing {
    AdminMethod method; /* ADMIN_INVALID: none is to come */
    int qube;
} Crossing;

/* The person changes @thing for @other when a call about it was just carried
 * out, or, without a method, when she has just said yes to it. */
typedef struct Exchange {
    bool is_due;
    AdminMethod method;
    int thing;
    int other;
} Exchange;

typedef struct StreamEvent {
    AdminEvent event;
    Cause cause;
    Actor actor; /* of an attach */
    uint32_t life;
    uint64_t tick; /* when it happened */
} StreamEvent;

#define STREAM_MAX 512 /* a ring */

/* The person at the command, who waits for an answer. */
typedef struct Asker {
    uint64_t id; /* 0: nobody */
    int seat;
    bool detaches; /* else it is a retry */
    uint64_t tick;
} Asker;

#define ASKERS_MAX    64
#define QUESTIONS_MAX 128

typedef struct Question {
    bool used;
    uint64_t id;
    uint32_t daemon_life;
    PolicyQuestion question;
} Question;

#define WINDOWS_OPEN_MAX 32

typedef struct OpenWindow {
    bool used;
    uint32_t life;
    uint64_t id;
    uint32_t daemon_life;
    uint64_t opened_usec;
    Habit habit; /* HABITS: its agent is gone */
    Prompt prompt;
    /* judge */
    int seat;
    uint64_t plug;
    size_t set;
    const BookRule *rule;
} OpenWindow;

/* Yes, or no, or not known for sure. */
typedef enum Sure {
    SURE_NO,
    SURE_MAYBE,
    SURE_YES,
} Sure;

/* An identity that the daemon was told. */
typedef struct Told {
    uint64_t tick; /* 0: never */
    bool has_identity;
    DeviceIdentity identity;
} Told;

/* Whether an Attach can be pinned to it. */
static inline bool told_is_safe(const Told *told)
{
    return told->has_identity && identity_is_safe(&told->identity);
}

/*
 * What the daemon has been told of one seat, what it has said of it, and until
 * when something was so. Ticks are 0 for what never was.
 */
typedef struct Seat {
    /* told */
    bool plugged;
    unsigned int port;
    Record record;
    uint64_t connections; /* bits: those that have told of it */
    uint64_t plug;        /* another number for each plug */
    uint64_t wanted_plug; /* that the person has retried, without a no since */
    uint64_t plug_tick;
    uint64_t record_tick; /* of the newest */
    uint64_t unplug_tick;
    int told_at; /* qube that has it; NOWHERE */
    uint64_t told_at_tick;
    bool told_at_plugged;
    int past_at; /* had it, as was told, when the plug before went; NOWHERE */
    int gap_at;  /* was told to have it before a gap, in which it went */
    uint64_t gap_tick; /* @told_at_tick, if nothing was told since */
    uint64_t told_detach_tick;
    uint64_t echo_tick;  /* told: the detach of what never was attached */
    bool detach_unclear; /* what came of our last Detach was not answered */
    int detached_from;
    int missed_at; /* a look did not find it at this one */
    int found_at;  /* one found it there, and no Detach since; NOWHERE */
    Sure listed;
    Told looked;               /* by an answer to Available */
    uint64_t looked_call_tick; /* of that call */
    Told looked_late;          /* by the answer to an older call, after that */
    Told event;                /* by device-added */
    Told event_before;
    uint64_t removed_tick;    /* told: off the list */
    uint64_t event_over_tick; /* when something has happened to it */
    uint64_t mismatch_tick;   /* qubesd lists something else there */
    uint64_t failed_tick;     /* an Attach has failed, in some way */
    uint64_t unsure_tick;     /* and nobody can tell whether it was done */
    int unsure_at;            /* that was to have it then */
    uint64_t idle_tick;       /* because its target did not run */
    int idle_at;              /* that target */
    uint64_t starting_tick;   /* when its job waited for a start last */
    uint64_t start_tick;      /* when such a start has ended */

    /* the person's acts */
    Sure refused;
    uint64_t yes_tick;
    uint64_t yes_plug;
    unsigned int yes_choices; /* bits; of several only one is acted upon */
    const BookRule *yes_rule;
    size_t yes_set;       /* the rules in force then */
    uint64_t window_tick; /* of its last prompt */
    uint64_t window_usec;

    /* because of us, as far as the daemon can know */
    int ours; /* qube; NOWHERE */
    uint64_t ours_plug;
    uint64_t ours_tick;       /* of the Attach */
    size_t ours_set;          /* the rules that gave leave for it */
    uint64_t superseded_tick; /* when it ended 311 */
    uint64_t act_tick;        /* the person has told the daemon to detach it */
    uint64_t unclear_tick;    /* told: of which plug it is cannot be known */
    bool ours_doubt;          /* it may be the person, who did the same */
    bool ours_told;           /* it was told that the Attach went well */
    int restores; /* attached by a rule to this one, which stopped; NOWHERE */
    bool restores_sure;
    uint64_t restores_tick;

    /* a decision that is called for: since when, by which rules */
    uint64_t trigger_tick; /* the oldest without an outcome */
    uint64_t trigger_usec;
    uint64_t before_tick; /* the last report before it */
    uint64_t last_trigger_tick;
    size_t trigger_set;
    uint64_t permit_tick; /* one would be understood */
    uint64_t job_tick;    /* when it was in work last */
    bool looked_at;       /* that was a look */
    bool discards;        /* that has ended, but for what it is to undo */

    /* what the daemon says has come of it */
    bool unjudged;  /* the policy daemon gave no answer */
    bool by_answer; /* no more than that it does has triggered it */
    Status claim;
    size_t claim_set; /* the rules that it was decided by */
    uint64_t claim_since;
    uint64_t claim_tick;
    int claim_target;
    uint64_t started_tick; /* some target, while it was in work */
    bool excused;          /* what it waits for has come under other rules */
    bool waited;           /* for a target, when it was taken away */
    bool presumed; /* a disk that is attached may be a part of it, for now */

    /* truth */
    uint64_t attached_tick;
    uint64_t went_tick;  /* while it was attached */
    Actor attached_by;   /* last */
    uint64_t put_tick;   /* by the daemon, last */
    uint64_t taken_tick; /* by the person, heard or not */
    bool lost;           /* and nobody has said so yet */
    bool taken;          /* by the person, while nobody heard */
    int taken_from;
    uint64_t blind_tick; /* when it was detached and nobody heard of it */
    Cause blind_cause;
    uint64_t fault_tick;
} Seat;

/* A port of a source, and so a plug as a whole. */
typedef struct Group {
    Sure left_alone;          /* 308 */
    int left_alone_seat;      /* the part that was taken away */
    uint64_t act_tick;        /* of the last command to detach */
    uint64_t forgiven_tick;   /* of the last retry or resume */
    bool old_memory;          /* something was said of a plug that is gone */
    bool stopped;             /* a target that had a part of it was stopped */
    Sure refused;             /* 304 of any part of it */
    uint64_t usb_detach_usec; /* told */
    uint64_t detach_usec;     /* of any part, told */
    bool gone;
    uint64_t gone_usec;
    uint64_t back_usec;
    uint64_t back_tick; /* when something came back to the port */
    Sure same;          /* as what had been there */
    Record record;      /* of what is gone */
} Group;

typedef struct Knobs {
    bool unlimited;
    bool exceptions; /* 4.4: ProtocolError; else an empty answer */
    bool preload;
    bool no_default_dispvm;
    bool strict_power;    /* paused and halting count as not running */
    unsigned int reprobe; /* 0 none, 1 disks, 2 the USB device too */
    bool echoes;          /* qubesd tells of what only seems to be (WIRE 1) */
    bool late;            /* its events are read late at times */
    bool silent;          /* sources do not call before they are made to */
    bool frail; /* starts fail at times, and qubes crash right after */
} Knobs;

typedef struct Failure {
    bool failed;
    char text[512];
} Failure;

typedef struct Coverage {
    uint64_t attaches;
    uint64_t detaches;
    uint64_t prompts;
    uint64_t quiets;
    uint64_t outcomes[600];
} Coverage;

struct Model {
    Manager *manager; /* NULL while the daemon is down */
    uint32_t daemon_life;
    Instant now;
    uint64_t tick;
    uint64_t order;
    Random random;
    Knobs knobs;
    bool verbose;
    Failure failure;
    Coverage *coverage;
    void *escape; /* jmp_buf */
    size_t n_spins;
    bool is_last; /* nothing more will be done */

    Due dues[DUES_MAX];
    size_t n_dues;

    Qube qubes[QUBES_MAX];
    Thing things[THINGS];
    Dev devs[DEVS_MAX];
    size_t n_devs;
    SourceWorld sources[SOURCES];
    int native_seat; /* NO_SEAT */
    int native_to;

    bool qubesd_up;
    uint64_t qubesd_down_tick; /* until when it was away */
    bool stream_up;            /* the daemon hears events */
    uint32_t stream_life;
    uint64_t stream_usec;
    uint64_t heard_usec; /* since when it is heard */
    uint64_t stream_down_tick;
    StreamEvent stream[STREAM_MAX];
    size_t n_stream;
    Call calls[CALLS_MAX];
    Fault fault;
    AdminMethod fault_method;
    Crossing crossing;
    Exchange exchange;
    /* when it took no connection, or did not answer in time, last */
    uint64_t refused_usec;
    uint64_t busy_usec; /* until then it takes few */
    uint64_t busy_tick; /* when it took none for that last */
    uint64_t any_fault_tick;

    Line lines[LINES_MAX];
    size_t n_lines;
    Connection connections[CONNECTIONS_MAX];
    size_t n_connections;
    Waiting waiting[WAITING_MAX];
    size_t n_waiting;

    RuleAction policy[CHOICES];
    Fault policy_fault;
    unsigned int n_policy_faults; /* questions that it still concerns */
    uint64_t policy_fault_tick;
    uint64_t policy_no_tick[CHOICES]; /* until when it was not "allow" */
    Question questions[QUESTIONS_MAX];
    bool agent_there;
    uint64_t agent_absent_tick;
    uint64_t agent_died_tick;
    Habit habit;
    OpenWindow windows[WINDOWS_OPEN_MAX];

    size_t rules; /* the set in force */
    uint64_t rules_tick;

    State *state; /* what was written last */
    uint64_t state_digest;
    uint64_t paused_until_usec; /* 0: it is not */
    uint64_t paused_tick;       /* until when */
    Asker askers[ASKERS_MAX];

    /* judge */
    Seat seats[SEATS];
    Group groups[SOURCES][PORTS];
    unsigned int told_boot[SOURCES];
    bool told_booted[SOURCES];
    uint64_t told_boot_usec[SOURCES]; /* since when that boot is known */
    uint64_t told_boot_tick[SOURCES];
    uint64_t told_down_tick[QUBES_MAX]; /* by an event */
    uint64_t told_up_tick[SOURCES];
    unsigned int noes[SOURCES];
    uint64_t quiet_usec[SOURCES];
    uint64_t resumed_usec[SOURCES]; /* told */
    bool resumed_unsure[SOURCES];   /* nothing was known of it then */
    uint64_t restart_tick;
    uint64_t policy_yes_tick[SOURCES][CHOICES]; /* without assuming one */
    uint64_t assumed_yes_tick[SOURCES][CHOICES];
    PowerState told_power[QUBES_MAX];               /* answered last */
    uint64_t starts_usec[QUBES_MAX][TARGET_STARTS]; /* asked for */
    size_t n_starts[QUBES_MAX];
    uint64_t report_tick;      /* of the newest report */
    uint64_t blind_since_tick; /* when the stream was lost */
    uint64_t last_serial;      /* of the daemon's history */
    uint64_t last_plug;
};
