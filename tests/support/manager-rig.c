/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>

#include "tests/support/manager-rig.h"
#include "tests/support/test.h"

QubeName rig_qube(const char *name)
{
    QubeName qube;

    assert_true(qube_name_parse(&qube, name, strlen(name)));
    return qube;
}

DeviceRef rig_ref(const char *source, const char *device)
{
    DeviceRef ref = { .source = rig_qube(source) };

    ref.class = device_name_parse_any(&ref.device, device, strlen(device));
    assert_int_not_equal(ref.class, DEVICE_CLASS_INVALID);
    return ref;
}

Ruleset *rig_parse_rules(const char *rules)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    Ruleset *ruleset;

    assert_int_equal(ruleset_new(&ruleset), 0);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_add_file(ruleset, "10-test.rules", rules,
                                      strlen(rules), diagnostics),
                     0);
    if (diagnostics_count(diagnostics) > 0)
        fail_msg("%s", diagnostics_get(diagnostics, 0)->message);
    return ruleset;
}

void rig_set_rules(ManagerRig *rig, const char *rules)
{
    Ruleset *ruleset = rig_parse_rules(rules);

    manager_set_rules(rig->manager, ruleset, rig->now);
    ruleset_unref(rig->ruleset);
    rig->ruleset = ruleset;
}

void rig_begin(ManagerRig *rig, const char *rules)
{
    *rig = (ManagerRig){ .now = { .monotonic_usec = RIG_BEGIN_USEC,
                                  .boottime_usec = RIG_BEGIN_USEC,
                                  .realtime_usec = RIG_BEGIN_USEC } };
    assert_int_equal(manager_new(&rig->manager, false), 0);
    rig_set_rules(rig, rules);
    manager_set_qubesd(rig->manager, QUBESD_CONNECTED, rig->now);
}

void rig_end(ManagerRig *rig)
{
    rig->manager = manager_free(rig->manager);
    ruleset_unref(rig->ruleset);
    rig->ruleset = NULL;
}

void rig_restart(ManagerRig *rig)
{
    _cleanup_(state_freep) State *state = NULL;

    assert_int_equal(manager_save(rig->manager, &state), 0);
    manager_free(rig->manager);
    assert_int_equal(manager_new(&rig->manager, false), 0);
    assert_int_equal(manager_restore(rig->manager, state), 0);
    manager_set_rules(rig->manager, rig->ruleset, rig->now);
}

void rig_pass(ManagerRig *rig, uint64_t usec)
{
    rig->now.monotonic_usec += usec;
    rig->now.boottime_usec += usec;
    rig->now.realtime_usec += usec;
    manager_on_time(rig->manager, rig->now);
}

uint64_t rig_connect(ManagerRig *rig, const char *source, char boot)
{
    const QubeName name = rig_qube(source);
    BootId boot_id = {};
    uint64_t id;

    memset(boot_id.s, boot, BOOT_ID_LEN);
    assert_int_equal(manager_connect(rig->manager, &name, rig->now, &id),
                     STATUS_INVALID);
    manager_hello(rig->manager, id, &boot_id, rig->now);
    return id;
}

static void set_text(Record *record, PropertyKey key, const char *text)
{
    assert_true(
        properties_set_text(&record->properties, key, text, strlen(text)));
}

Record rig_record(RecordAction action, const char *device)
{
    Record record = { .action = action };
    const char *digits = strpbrk(device, "0123456789");

    record.class =
        device_name_parse_any(&record.device, device, strlen(device));
    assert_int_not_equal(record.class, DEVICE_CLASS_INVALID);
    set_text(&record, PROPERTY_VENDOR_ID, "0781");
    set_text(&record, PROPERTY_PRODUCT_ID, "5581");
    if (record.class == DEVICE_CLASS_USB) {
        set_text(&record, PROPERTY_DEVTYPE, "usb_device");
    } else if (digits) {
        record.parent_class = DEVICE_CLASS_BLOCK;
        assert_true(device_name_parse(&record.parent, DEVICE_CLASS_BLOCK,
                                      device, (size_t) (digits - device)));
        set_text(&record, PROPERTY_DEVTYPE, "partition");
    } else {
        set_text(&record, PROPERTY_DEVTYPE, "disk");
    }
    return record;
}

Record rig_record_at(RecordAction action,
                     const char *device,
                     const char *port,
                     const char *serial)
{
    Record record = rig_record(action, device);
    char path[64];

    (void) snprintf(path, sizeof(path), "pci-0000:00:06.0-usb-0:%s", port);
    set_text(&record, PROPERTY_PATH, path);
    set_text(&record, PROPERTY_SERIAL, serial);
    if (record.class == DEVICE_CLASS_BLOCK &&
        record.parent_class == DEVICE_CLASS_INVALID) {
        record.parent_class = DEVICE_CLASS_USB;
        assert_true(device_name_parse(&record.parent, DEVICE_CLASS_USB, port,
                                      strlen(port)));
    }
    return record;
}

Status rig_tell_record(ManagerRig *rig,
                       uint64_t connection,
                       const Record *record)
{
    return manager_event(rig->manager, connection, ++rig->last_seq, record,
                         rig->now);
}

Status rig_tell(ManagerRig *rig,
                uint64_t connection,
                RecordAction action,
                const char *device)
{
    const Record record = rig_record(action, device);

    return rig_tell_record(rig, connection, &record);
}

Status rig_answer(ManagerRig *rig)
{
    uint64_t connection;
    int64_t seq;
    Status status;

    return manager_next_answer(rig->manager, &connection, &seq, &status)
               ? status
               : STATUS_INVALID;
}

/* The guard rail of the rig lets everything through. */
static void let_through(ManagerRig *rig)
{
    PolicyQuestion question;
    uint64_t id;

    while (manager_next_question(rig->manager, &id, &question))
        manager_on_verdict(rig->manager, id, POLICY_YES, rig->now);
}

uint64_t rig_call_to(ManagerRig *rig,
                     AdminMethod method,
                     AdminRequest *ret_request)
{
    uint64_t call = 0;

    let_through(rig);
    assert_true(manager_next_call(rig->manager, &call, ret_request));
    if (method == ADMIN_DETACH && ret_request->method == ADMIN_ATTACHED) {
        rig_reply(rig, call, answer_unknown());
        assert_true(manager_next_call(rig->manager, &call, ret_request));
    }
    assert_int_equal(ret_request->method, method);
    return call;
}

uint64_t rig_call(ManagerRig *rig, AdminMethod method)
{
    AdminRequest request;

    return rig_call_to(rig, method, &request);
}

bool rig_is_quiet(ManagerRig *rig)
{
    AdminRequest request;
    uint64_t call;

    let_through(rig);
    return !manager_next_call(rig->manager, &call, &request);
}

AdminAnswer answer_of(AdminResult result)
{
    return (AdminAnswer){ .result = result, .detail = "as the test says" };
}

AdminAnswer answer_error(AdminError error)
{
    AdminAnswer answer = answer_of(ADMIN_EXCEPTION);

    answer.error = error;
    return answer;
}

AdminAnswer answer_listed(const char *attached_to)
{
    AdminAnswer answer = answer_of(ADMIN_OK);
    DeviceListing *listing = &answer.listing;

    listing->listed = true;
    listing->has_identity =
        identity_parse(&listing->identity, "0781:5581:4C53:u080650", 22);
    assert_true(listing->has_identity);
    listing->attachment = attached_to ? ATTACHMENT_QUBE : ATTACHMENT_NONE;
    if (attached_to)
        listing->attached_to = rig_qube(attached_to);
    return answer;
}

AdminAnswer answer_unknown(void)
{
    AdminAnswer answer = answer_of(ADMIN_OK);

    answer.listing.listed = true;
    return answer;
}

AdminAnswer answer_power(PowerState power)
{
    AdminAnswer answer = answer_of(ADMIN_OK);

    answer.power = power;
    return answer;
}

void rig_reply(ManagerRig *rig, uint64_t call, AdminAnswer answer)
{
    manager_on_answer(rig->manager, call, &answer, rig->now);
}

void rig_serve(ManagerRig *rig, AdminMethod method, AdminAnswer answer)
{
    rig_reply(rig, rig_call(rig, method), answer);
}

void rig_notice(ManagerRig *rig,
                AdminEventType type,
                const char *source,
                const char *device,
                const char *target)
{
    AdminEvent event = { .type = type,
                         .subject = rig_qube(target ? target : source) };

    if (target)
        event.backend = rig_qube(source);
    event.class = device_name_parse_any(&event.port, device, strlen(device));
    assert_int_not_equal(event.class, DEVICE_CLASS_INVALID);
    manager_on_admin_event(rig->manager, &event, rig->now);
}

void rig_notice_qube(ManagerRig *rig, AdminEventType type, const char *qube)
{
    const AdminEvent event = { .type = type, .subject = rig_qube(qube) };

    manager_on_admin_event(rig->manager, &event, rig->now);
}
