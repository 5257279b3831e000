/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/sys/rules-write.h"
#include "common/sys/socket.h"
#include "common/text.h"
#include "tests/support/call-fault.h"
#include "tests/support/daemon-rig.h"
#include "tests/support/fault.h"
#include "tests/support/test.h"

#define PATH_MAX_HERE 64U
#define CALLS_MAX     32U
#define REQUEST_MAX   8192U
#define BOOT_ID       "0123456789abcdef0123456789abcdef"
#define DESCRIPTOR    "autoattach.Event+ sys-usb name dom0"
#define NOT_RUNNING   "2\0QubesVMNotRunningError\0\0VM not running"
#define GUIVM         "0\0default=True type=vm dom0"
#define ICON          "0\0default=True type=str appvm-red"
#define LISTED                                                          \
    "sd%c:0781:5581:4C5300%c:u080650:1.0 "                              \
    "device_id='0781:5581:4C5300%c:u080650:1.0' port_id='sd%c' "        \
    "devclass='block' backend_domain='sys-usb' manufacturer='SanDisk' " \
    "name='DATA' serial='4C5300%c' interfaces='b******'%s\n"

/* One connection to one of the services. */
typedef struct Call {
    int fd;
    char request[REQUEST_MAX];
    size_t len;
} Call;

typedef struct Peer {
    const char *path;
    int listener;
    Call calls[CALLS_MAX];
    void (*answer)(Call *call);
} Peer;

DaemonRig rig;

static char paths[7][PATH_MAX_HERE];
static char rules_file[PATH_MAX_HERE + 8];
static Peer peers[3];
static int events = -1; /* who has asked for qubesd's events */

static size_t n_plugged;
static int forwarder = -1;
static char told[REQUEST_MAX];
static size_t told_len;

static void say(int fd, const void *data, size_t len)
{
    /* who has gone does not hear it */
    (void) send(fd, data, len, MSG_NOSIGNAL);
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

/* qubesd */

static char letter(size_t device)
{
    return (char) ('a' + (int) device);
}

static void list(int fd, size_t device, const char *more)
{
    char line[512], name = letter(device);
    int len = snprintf(line, sizeof(line), LISTED, name, name, name, name, name,
                       more);

    say(fd, line, (size_t) len);
}

static void list_attached(int fd, size_t device)
{
    say_text(fd, "sys-usb+");
    list(fd, device,
         " frontend_domain='work' _read-only='no' _frontend-dev='xvdi'");
}

/* A frame of the event stream: the fields that follow, each with its NUL. */
static void notice(const char *subject, const char *name, ...)
{
    char frame[256] = "1";
    size_t len = 2;
    va_list list;

    len += text_format(frame + len, sizeof(frame) - len, "%s", subject) + 1;
    len += text_format(frame + len, sizeof(frame) - len, "%s", name) + 1;
    va_start(list, name);
    for (const char *text; (text = va_arg(list, const char *));)
        len += text_format(frame + len, sizeof(frame) - len, "%s", text) + 1;
    va_end(list);
    frame[len++] = '\0';
    if (events >= 0)
        say(events, frame, len);
}

static void attach(int fd, size_t device)
{
    char name[64];

    if (rig.halted) {
        say(fd, NOT_RUNNING, sizeof(NOT_RUNNING));
        return;
    }
    (void) snprintf(name, sizeof(name),
                    "sys-usb:sd%c:0781:5581:4C5300%c:u080650:1.0",
                    letter(device), letter(device));
    rig.attached[device] = true;
    rig.n_attaches++;
    say(fd, "0", 2);
    notice("work", "device-attach:block", "device", name, "options", "{}",
           NULL);
}

static void detach(int fd, size_t device)
{
    char name[16];

    (void) snprintf(name, sizeof(name), "sys-usb:sd%c", letter(device));
    rig.attached[device] = false;
    say(fd, "0", 2);
    notice("work", "device-detach:block", "port", name, NULL);
}

static bool begins(const Call *call, const char *text)
{
    return strncmp(call->request, text, strlen(text)) == 0;
}

static bool is_to(const Call *call, const char *qube)
{
    const char *last = strrchr(call->request, ' ');

    return last && strcmp(last + 1, qube) == 0;
}

/* Of the device that the request names, or of all. */
static void answer_listing(const Call *call, const char *method)
{
    const char *port = strstr(call->request, "+sd");
    bool attached = strcmp(method, "Attached") == 0;

    say(call->fd, "0", 2);
    if (!is_to(call, attached ? "work" : "sys-usb"))
        return;
    for (size_t i = 0; i < n_plugged; i++) {
        if (port && port[3] != letter(i))
            continue;
        if (!attached)
            list(call->fd, i, rig.attached[i] ? " attachment='work'" : "");
        else if (rig.attached[i])
            list_attached(call->fd, i);
    }
}

static void answer_qubesd(Call *call)
{
    const char *port = strstr(call->request, "+sd");
    size_t device = port && port[3] == letter(1) ? 1 : 0;

    if (begins(call, "admin.Events")) {
        fd_close(events);
        events = take_fd(&call->fd);
        notice("", "connection-established", NULL);
    } else if (begins(call, "admin.vm.device.block.Attach+")) {
        attach(call->fd, device);
    } else if (begins(call, "admin.vm.device.block.Detach+")) {
        detach(call->fd, device);
    } else if (begins(call, "admin.vm.device.block.Available")) {
        answer_listing(call, "Available");
    } else if (begins(call, "admin.vm.device.block.Attached")) {
        answer_listing(call, "Attached");
    } else if (begins(call, "admin.vm.property.Get+guivm")) {
        say(call->fd, GUIVM, sizeof(GUIVM) - 1);
    } else if (begins(call, "admin.vm.property.Get+")) {
        say(call->fd, ICON, sizeof(ICON) - 1);
    } else if (begins(call, "admin.vm.CurrentState")) {
        say_text(call->fd, "0");
        say(call->fd, "", 1);
        say_text(call->fd, "mem=400000 mem_static_max=4000000 cputime=1 "
                           "power_state=");
        say_text(call->fd,
                 rig.halted && is_to(call, "work") ? "Halted" : "Running");
    } else if (begins(call, "admin.vm.Start")) {
        rig.halted = false;
        say(call->fd, "0", 2);
        notice("work", "domain-start", "start_guid", "True", NULL);
    } else if (begins(call, "admin.vm.List")) {
        say(call->fd, "0", 2);
        say_text(call->fd, "dom0 class=AdminVM state=Running\n"
                           "sys-usb class=AppVM state=Running\n"
                           "work class=AppVM state=Running\n");
    } else if (begins(call, "admin.vm.device.usb.A")) {
        say(call->fd, "0", 2); /* there is none */
    }
    /* no answer: no such method */
}

static void answer_policy(Call *call)
{
    /* a question that is not whole is no question */
    if (call->len > 2 && strstr(call->request, "\n\n"))
        say_text(call->fd, rig.policy_answer);
}

static void answer_agent(Call *call)
{
    if (!begins(call, "policy.Ask ") || call->request[call->len - 1] != '\n')
        return;
    rig.n_prompts++;
    say_text(call->fd, rig.agent_answer);
}

static void call_end(Call *call)
{
    call->fd = fd_close(call->fd);
    call->len = 0;
}

static void peer_begin(Peer *peer, const char *path, void (*answer)(Call *))
{
    *peer = (Peer){ .path = path, .answer = answer };
    for (size_t i = 0; i < CALLS_MAX; i++)
        peer->calls[i].fd = -1;
    peer->listener = socket_listen(path, 0600);
    assert_return_code(peer->listener, errno);
}

static void peer_end(Peer *peer)
{
    for (size_t i = 0; i < CALLS_MAX; i++)
        call_end(&peer->calls[i]);
    peer->listener = fd_close(peer->listener);
    (void) unlink(peer->path);
}

/* The kernel does not let shutdown() of a connection fail; for who waits for
 * the end of input then, there are deadlines. */
static bool has_no_end(const Call *call)
{
    return call->len > 0 && strcmp(call_fault_name(), "shutdown") == 0;
}

static void call_serve(Peer *peer, Call *call)
{
    ssize_t n;

    while ((n = recv(call->fd, call->request + call->len,
                     sizeof(call->request) - 1 - call->len, 0)) > 0)
        call->len += (size_t) n;
    if (n < 0 && errno == EAGAIN && !has_no_end(call))
        return;
    call->request[call->len] = '\0';
    if (call->len > 0)
        peer->answer(call);
    call_end(call);
}

static void peer_serve(Peer *peer)
{
    bool is_quiet = false;

    for (size_t i = 0; i < CALLS_MAX; i++) {
        Call *call = &peer->calls[i];

        if (call->fd < 0 && !is_quiet) {
            call->fd = accept4(peer->listener, NULL, NULL,
                               SOCK_CLOEXEC | SOCK_NONBLOCK);
            is_quiet = call->fd < 0;
        }
        if (call->fd >= 0)
            call_serve(peer, call);
    }
}

/* the forwarder */

static void tell_record(size_t device, const char *action)
{
    char line[256];

    (void) snprintf(
        line, sizeof(line),
        "{\"type\":\"event\",\"seq\":%zu,\"action\":\"%s\","
        "\"class\":\"block\",\"device\":\"sd%c\",%s%s%s\"properties\":"
        "{\"vendor_id\":\"0781\",\"product_id\":\"5581\","
        "\"serial\":\"%zu\",\"path\":\"p-%zu\",\"devtype\":"
        "\"disk\",\"diskseq\":%zu}}\n",
        device + 1, action, letter(device), rig.parent ? "\"parent\":\"" : "",
        rig.parent ? rig.parent : "", rig.parent ? "\"," : "", device, device,
        device + 7);
    say_text(forwarder, line);
}

static void forwarder_begin(void)
{
    forwarder = socket_connect(rig.options.event_socket);
    if (forwarder < 0)
        return;
    told_len = 0;
    told[0] = '\0';
    say(forwarder, DESCRIPTOR, sizeof(DESCRIPTOR));
    say_text(forwarder,
             "{\"type\":\"hello\",\"version\":1,\"boot_id\":\"" BOOT_ID
             "\",\"agent\":\"rig\"}\n");
    for (size_t i = 0; i < n_plugged; i++)
        tell_record(i, "present");
    say_text(forwarder, "{\"type\":\"synced\"}\n");
}

static void forwarder_serve(void)
{
    ssize_t n = -1;

    if (forwarder < 0)
        forwarder_begin();
    while (forwarder >= 0 && (n = recv(forwarder, told + told_len,
                                       sizeof(told) - 1 - told_len, 0)) > 0)
        told_len += (size_t) n;
    told[told_len] = '\0';
    if (n == 0 || (n < 0 && errno != EAGAIN))
        forwarder = fd_close(forwarder);
}

void daemon_rig_plug(void)
{
    assert_true(n_plugged < RIG_DEVICES_MAX);
    n_plugged++;
    if (forwarder >= 0)
        tell_record(n_plugged - 1, "add");
}

Status daemon_rig_answer(size_t device)
{
    char text[24];
    const char *found;

    (void) snprintf(text, sizeof(text), "\"seq\":%zu,\"code\":", device + 1);
    found = strstr(told, text);
    return found ? status_from_number(strtol(found + strlen(text), NULL, 10))
                 : STATUS_INVALID;
}

/* all of it */

void daemon_rig_serve(void)
{
    call_fault_hold(true);
    fault_hold(true);
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
        peer_serve(&peers[i]);
    forwarder_serve();
    call_fault_hold(false);
    fault_hold(false);
}

static const char *path_of(size_t i, const char *name)
{
    (void) snprintf(paths[i], sizeof(paths[i]), "%s/%s", rig.folder, name);
    return paths[i];
}

void daemon_rig_begin(const char *rules)
{
    rig = (DaemonRig){ .folder = "/tmp/daemon-rig-XXXXXX" };
    assert_non_null(mkdtemp(rig.folder));
    rig.options = (Options){ .qubesd_socket = path_of(0, "qubesd"),
                             .policy_socket = path_of(1, "policy"),
                             .agent_socket = path_of(2, "agent"),
                             .event_socket = path_of(3, "event"),
                             .control_socket = path_of(4, "control"),
                             .rules_dir = path_of(5, "rules"),
                             .state_dir = path_of(6, "state") };
    assert_return_code(mkdir(rig.options.rules_dir, 0700), errno);
    assert_return_code(mkdir(rig.options.state_dir, 0700), errno);
    (void) snprintf(rules_file, sizeof(rules_file), "%s/a.rules",
                    rig.options.rules_dir);
    assert_int_equal(rules_file_write(rules_file, rules, strlen(rules)), 0);
    peer_begin(&peers[0], rig.options.qubesd_socket, answer_qubesd);
    peer_begin(&peers[1], rig.options.policy_socket, answer_policy);
    peer_begin(&peers[2], rig.options.agent_socket, answer_agent);
    daemon_rig_reset();
}

static void remove_state(void)
{
    static const char *const names[] = { "state", "state.next", "state.bad",
                                         "agent-refused" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char path[PATH_MAX_HERE + 16];

        (void) snprintf(path, sizeof(path), "%s/%s", rig.options.state_dir,
                        names[i]);
        (void) unlink(path);
    }
}

void daemon_rig_rest(void)
{
    /* who has called and gone is forgotten */
    daemon_rig_serve();
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
        for (size_t j = 0; j < CALLS_MAX; j++)
            call_end(&peers[i].calls[j]);
    events = fd_close(events);
    forwarder = fd_close(forwarder);
    told_len = 0;
    told[0] = '\0';
}

void daemon_rig_reset(void)
{
    daemon_rig_rest();
    n_plugged = 0;
    remove_state();
    rig.halted = false;
    rig.n_attaches = rig.n_prompts = 0;
    memset(rig.attached, 0, sizeof(rig.attached));
}

void daemon_rig_end(void)
{
    daemon_rig_reset();
    for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
        peer_end(&peers[i]);
    (void) unlink(rules_file);
    assert_return_code(rmdir(rig.options.rules_dir), errno);
    assert_return_code(rmdir(rig.options.state_dir), errno);
    assert_return_code(rmdir(rig.folder), errno);
}
