/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Admin API: what is asked of qubesd, and what it answers, as values
 *
 * The bytes are WIRE 1's and are made and read by dom0/wire/admin.h. A request
 * consists of types that cannot hold a space or a NUL, so nothing that came
 * from a device or a qube can shift its header.
 */

#include "common/device.h"
#include "common/qube-name.h"
#include "common/rate.h"
#include "dom0/core/identity.h"

/* deadlines (DESIGN 3) */
#define ADMIN_CONNECT_USEC (5 * USEC_PER_SEC)
#define ADMIN_LOOK_USEC    (10 * USEC_PER_SEC) /* Available, Attached, List */
#define ADMIN_ATTACH_USEC  (60 * USEC_PER_SEC) /* Attach, Detach */
#define ADMIN_START_USEC   (300 * USEC_PER_SEC)

#define ADMIN_DETAIL_MAX 255U
#define ADMIN_VALUE_MAX  63U

typedef enum AdminMethod {
    ADMIN_INVALID,
    ADMIN_EVENTS,        /* dest dom0 */
    ADMIN_LIST,          /* dest dom0 */
    ADMIN_CURRENT_STATE, /* dest the qube */
    ADMIN_START,
    ADMIN_AVAILABLE, /* dest the source; port */
    ADMIN_ATTACHED,  /* dest the target */
    ADMIN_ATTACH,    /* dest the target; backend, port, identity, options */
    ADMIN_DETACH,    /* dest the target; backend, port */
    ADMIN_KILL,
    ADMIN_SHUTDOWN,
    ADMIN_REMOVE,
    ADMIN_CREATE_DISPOSABLE, /* dest the disposable template */
    ADMIN_PROPERTY_GET,      /* property */
    ADMIN_OLD_LIST, /* R4.2's admin.vm.device.CLASS.List: only to know it by */
} AdminMethod;

typedef enum AdminProperty {
    ADMIN_PROPERTY_GUIVM,
    ADMIN_PROPERTY_ICON,
    ADMIN_PROPERTY_LABEL,
    ADMIN_PROPERTY_DEFAULT_DISPVM,
} AdminProperty;

typedef struct AttachOptions {
    bool read_only;
    bool cdrom;
    char frontend[5]; /* "" or "xvdX" */
} AttachOptions;

typedef struct AdminRequest {
    AdminMethod method;
    DeviceClass class;
    QubeName dest;
    QubeName backend; /* "" if the method has none */
    DeviceName port;  /* "" if the method has none */
    bool pinned;      /* @identity, which is safe, is to be sent */
    DeviceIdentity identity;
    AttachOptions options;
    AdminProperty property;
} AdminRequest;

/* How a call ended. */
typedef enum AdminResult {
    ADMIN_UNREACHABLE, /* 0: nobody answered at the socket */
    ADMIN_TIMED_OUT,
    ADMIN_EMPTY,   /* a clean end without a byte: WIRE says it is ambiguous */
    ADMIN_GARBAGE, /* not of any form, half an answer, or too long */
    ADMIN_EXCEPTION,
    ADMIN_OK,
} AdminResult;

/* Exceptions that make a difference to us; see WIRE 1. */
typedef enum AdminError {
    ADMIN_ERROR_OTHER,
    ADMIN_ERROR_NOT_RUNNING,      /* QubesVMNotRunningError */
    ADMIN_ERROR_NO_SUCH_QUBE,     /* QubesVMNotFoundError */
    ADMIN_ERROR_ALREADY_ATTACHED, /* DeviceAlreadyAttached */
    ADMIN_ERROR_NOT_ATTACHED,     /* DeviceNotAssigned */
    ADMIN_ERROR_VALUE,            /* QubesValueError */
    ADMIN_ERROR_PROTOCOL,         /* ProtocolError */
    ADMIN_ERROR_PERMISSION,       /* PermissionDenied */
    ADMIN_ERROR_USB_PROXY,        /* USBProxyNotInstalled */
    ADMIN_ERROR_NOT_STARTED,      /* QubesVMNotStartedError */
} AdminError;

typedef enum PowerState {
    POWER_UNKNOWN,
    POWER_HALTED,
    POWER_TRANSIENT,
    POWER_RUNNING,
    POWER_PAUSED,
    POWER_SUSPENDED,
    POWER_HALTING,
    POWER_DYING,
    POWER_CRASHED,
} PowerState;

/* Where qubesd says that a listed device is. */
typedef enum Attachment {
    ATTACHMENT_UNKNOWN, /* the line could not be read for sure */
    ATTACHMENT_NONE,
    ATTACHMENT_QUBE,
} Attachment;

/* The line of one device in an answer to Available or Attached. */
typedef struct DeviceListing {
    bool listed;
    bool has_identity;       /* it is known, and may not be safe to send */
    DeviceIdentity identity; /* else "" */
    Attachment attachment;   /* Available only */
    QubeName attached_to;    /* for ATTACHMENT_QUBE */
    /* Attached only: another source's device of this name is there as well */
    bool namesake;
} DeviceListing;

/* A property's value: letters, digits, "-", "_" and "." only. */
typedef struct AdminValue {
    char s[ADMIN_VALUE_MAX + 1];
} AdminValue;

typedef struct AdminAnswer {
    AdminResult result;
    AdminError error;                  /* ADMIN_EXCEPTION */
    char detail[ADMIN_DETAIL_MAX + 1]; /* escaped: qubesd's words, or why */
    DeviceListing listing;             /* Available, Attached */
    PowerState power;                  /* CurrentState */
    QubeName qube;                     /* CreateDisposable; "" if it is none */
    AdminValue value;                  /* property.Get; "" if it is not plain */
    bool old_release;                  /* in the form of R4.2 */
    /* ADMIN_TIMED_OUT: the call goes on, and is answered once more */
    bool pending;
} AdminAnswer;

/* What admin.Events tells, as far as it concerns us. */
typedef enum AdminEventType {
    ADMIN_EVENT_OTHER,
    ADMIN_EVENT_ESTABLISHED,
    ADMIN_EVENT_LIST_CHANGE,    /* subject the source */
    ADMIN_EVENT_DEVICE_ADDED,   /* subject the source; port, identity */
    ADMIN_EVENT_DEVICE_REMOVED, /* subject the source; port */
    ADMIN_EVENT_ATTACH,         /* subject the target; backend, port */
    ADMIN_EVENT_DETACH,         /* subject the target; backend, port */
    ADMIN_EVENT_DOMAIN_START,
    ADMIN_EVENT_DOMAIN_SHUTDOWN,
    ADMIN_EVENT_DOMAIN_RESUMED, /* from a suspension */
    ADMIN_EVENT_DOMAIN_UNPAUSED,
} AdminEventType;

typedef struct AdminEvent {
    AdminEventType type;
    QubeName subject;
    DeviceClass class;
    QubeName backend;
    DeviceName port;
    bool has_identity;
    DeviceIdentity identity;
} AdminEvent;

/* The time a call may take, connect included. */
uint64_t admin_deadline_usec(AdminMethod method);

/* Whether the call changes nothing. */
bool admin_only_asks(AdminMethod method);

const char *power_state_to_string(PowerState state);
/* POWER_UNKNOWN for a word that is none. */
PowerState power_state_from_string(const char *untrusted_text, size_t len);
