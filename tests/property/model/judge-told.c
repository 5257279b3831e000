/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "tests/property/model/hotplug.h"
#include "tests/property/model/judge.h"
#include "tests/property/model/person.h"
#include "tests/property/model/world.h"

/* DESIGN says 3 s; what comes near may be seen either way */
#define REPROBE_SURE_USEC  (2500 * USEC_PER_MSEC)
#define ECHO_USEC          USEC_PER_SEC
#define REPROBE_MAYBE_USEC (3500 * USEC_PER_MSEC)
#define RESUME_SURE_USEC   (59 * USEC_PER_SEC)
#define RESUME_MAYBE_USEC  (61 * USEC_PER_SEC)
#define NOES_MAX           3U
#define QUIET_USEC         (60 * USEC_PER_SEC)
#define QUIET_MAX_USEC     (3600 * USEC_PER_SEC)

Group *group_of(Model *m, int seat)
{
    return &m->groups[seat_source(seat)][m->seats[seat].port];
}

Sure left_alone(Model *m, int seat)
{
    const Group *group = group_of(m, seat);

    /* of a disk that hangs on no USB device the other parts are not meant */
    if (m->seats[seat].port >= USB_PORTS && group->left_alone_seat != seat &&
        group->left_alone == SURE_YES)
        return SURE_MAYBE;
    return group->left_alone;
}

bool is_taken(const Model *m, int seat)
{
    const Seat *taken = &m->seats[seat];

    /* what was told to be off the list was not taken away, or reset */
    return taken->taken && taken->removed_tick <= taken->taken_tick &&
           !qube_idle_since(m, taken->taken_from, m->blind_since_tick);
}

void leave_alone(Model *m, int index, Sure sure)
{
    Group *group = group_of(m, index);

    if (sure >= group->left_alone)
        group->left_alone_seat = index;
    if (sure > group->left_alone)
        group->left_alone = sure;
}

const BookRule *rule_of(const Model *m, int seat, size_t set)
{
    return book_match(set, m->qubes[seat_source(seat)].name.s,
                      &m->seats[seat].record);
}

bool seats_exclude(const Model *m, int a, int b)
{
    if (a == b || seat_source(a) != seat_source(b))
        return false;
    if (seat_is_part_of(a, b) || seat_is_part_of(b, a))
        return true;
    return (seat_class(a) == DEVICE_CLASS_USB) !=
               (seat_class(b) == DEVICE_CLASS_USB) &&
           m->seats[a].port == m->seats[b].port;
}

uint64_t seat_since(const Seat *seat)
{
    if (seat->trigger_tick > 0)
        return seat->trigger_tick;
    return seat->permit_tick > 0 ? seat->permit_tick : seat->claim_tick;
}

bool attached_since(const Model *m, int seat, uint64_t tick)
{
    return dev_attached_at(m, seat) != NONE ||
           (m->seats[seat].attached_tick > 0 &&
            m->seats[seat].attached_tick >= tick);
}

bool told_at_since(const Seat *seat, uint64_t tick)
{
    return seat->told_at != NOWHERE ||
           (seat->told_at_tick > 0 && seat->told_at_tick >= tick);
}

bool qubesd_away_since(const Model *m, uint64_t tick)
{
    return !m->qubesd_up || !m->stream_up || m->qubesd_down_tick >= tick ||
           m->stream_down_tick >= tick;
}

bool is_taken_for_lost(const Model *m, const Dev *dev)
{
    return m->seats[dev->seat].ours_tick < m->restart_tick &&
           m->qubes[dev->attached_to].last_idle_tick > dev->attach_tick;
}

void judge_begin(Model *m)
{
    for (int i = 0; i < SEATS; i++) {
        m->seats[i].told_at = NOWHERE;
        m->seats[i].ours = NOWHERE;
        m->seats[i].restores = NOWHERE;
        m->seats[i].claim_target = NOWHERE;
        m->seats[i].taken_from = NOWHERE;
        m->seats[i].missed_at = NOWHERE;
        m->seats[i].found_at = NOWHERE;
        m->seats[i].past_at = NOWHERE;
        m->seats[i].gap_at = NOWHERE;
    }
    /* also of a port of which no record has told yet */
    for (unsigned int source = 0; source < SOURCES; source++)
        for (unsigned int port = 0; port < USB_PORTS; port++)
            m->seats[seat_usb(source, port)].port = port;
}

/* What it was in work for is lost; what the person and it have done is not. */
void judge_on_restart(Model *m)
{
    for (int i = 0; i < SEATS; i++) {
        Seat *seat = &m->seats[i];

        /* a look may have been under way */
        if (seat->told_detach_tick > seat->claim_tick)
            seat->lost = true;
        seat->trigger_tick = 0;
        seat->permit_tick = 0;
        seat->connections = 0;
        seat->yes_tick = 0;
        seat->unjudged = false;
        seat->claim = STATUS_INVALID;
        seat->claim_target = NOWHERE;
        seat->claim_tick = 0;
        seat->listed = SURE_MAYBE;
        if (seat->ours == NOWHERE)
            seat->told_at = NOWHERE;
    }
    memset(m->n_starts, 0, sizeof(m->n_starts));
    m->last_serial = 0;
    m->restart_tick = m->tick;
}

/* plugs */

/* Whether it had a job when the daemon was asked last. */
static bool is_in_work(const Model *m, const Seat *seat)
{
    return seat->job_tick > 0 && seat->job_tick == m->report_tick;
}

void permit(Model *m, Seat *seat)
{
    /* one that is in work goes on */
    if (is_in_work(m, seat) &&
        (seat->permit_tick > 0 || seat->yes_tick > seat->claim_tick))
        return;
    seat->permit_tick = m->tick;
    if (seat->trigger_tick == 0) {
        seat->trigger_usec = m->now.monotonic_usec;
        seat->before_tick = m->report_tick;
        seat->trigger_set = m->rules;
    }
}

void trigger(Model *m, Seat *seat)
{
    if (seat->trigger_tick == 0 && seat->permit_tick > 0 &&
        is_in_work(m, seat)) {
        /* it joins what is in work */
        seat->trigger_tick = seat->permit_tick;
    } else if (seat->trigger_tick == 0 && seat->yes_tick > seat->claim_tick &&
               seat->yes_plug == seat->plug && is_in_work(m, seat)) {
        seat->trigger_tick = seat->yes_tick;
    } else if (seat->trigger_tick == 0) {
        seat->trigger_tick = m->tick;
        seat->trigger_usec = m->now.monotonic_usec;
        seat->before_tick = m->report_tick;
    }
    seat->last_trigger_tick = m->tick;
    seat->trigger_set = m->rules;
    seat->by_answer = false;
}

static void doubt(Sure *sure)
{
    if (*sure == SURE_YES)
        *sure = SURE_MAYBE;
}

static void seat_unplug(Model *m, int index)
{
    Seat *seat = &m->seats[index];
    Group *group = group_of(m, index);
    int usb;

    if (!seat->plugged)
        return;
    usb = seat->port < USB_PORTS ? seat_usb(seat_source(index), seat->port)
                                 : NO_SEAT;
    seat->plugged = false;
    seat->unjudged = false;
    seat->connections = 0;
    seat->unplug_tick = m->tick;
    seat->past_at = seat->told_at;
    seat->told_at_plugged = false;
    /* of what this run was told before any record it is still to come */
    if (seat->record_tick >= m->restart_tick ||
        seat->told_at_tick < m->restart_tick)
        seat->told_at = NOWHERE;
    /* nobody has seen why it is attached no longer */
    if (seat->lost)
        seat->restores_sure = false;
    seat->lost = false;
    seat->taken = false;
    seat->trigger_tick = 0;
    seat->permit_tick = 0;
    if (index == usb || usb == NO_SEAT || !m->seats[usb].plugged) {
        group->gone = true;
        group->gone_usec = m->now.monotonic_usec;
        group->record = seat->record;
    }
}

/* All that is known of the plug as such. */
static void group_forget(Model *m, unsigned int source, unsigned int port)
{
    int base = (int) source * SEATS_OF_SOURCE;

    Group *group = &m->groups[source][port];
    bool memory = group->left_alone != SURE_NO || group->refused != SURE_NO ||
                  group->stopped || group->old_memory;

    /* what is known of the port stays */
    *group = (Group){ .old_memory = memory,
                      .usb_detach_usec = group->usb_detach_usec,
                      .detach_usec = group->detach_usec,
                      .same = group->same,
                      .back_tick = group->back_tick,
                      .back_usec = group->back_usec };
    for (int i = base; i < base + SEATS_OF_SOURCE; i++)
        if (m->seats[i].port == port) {
            m->seats[i].refused = SURE_NO;
            m->seats[i].restores = NOWHERE;
        }
}

static void source_forget_plugs(Model *m, unsigned int source)
{
    int base = (int) source * SEATS_OF_SOURCE;

    for (int i = base; i < base + SEATS_OF_SOURCE; i++)
        seat_unplug(m, i);
    for (unsigned int port = 0; port < PORTS; port++)
        group_forget(m, source, port);
}

static bool text_same(const Properties *a, const Properties *b, PropertyKey key)
{
    bool has = properties_have(a, key);

    if (has != properties_have(b, key))
        return false;
    return !has || strcmp(properties_get_text(a, key),
                          properties_get_text(b, key)) == 0;
}

static bool identity_same(const Record *a, const Record *b)
{
    const Properties *x = &a->properties, *y = &b->properties;

    return text_same(x, y, PROPERTY_VENDOR_ID) &&
           text_same(x, y, PROPERTY_PRODUCT_ID) &&
           text_same(x, y, PROPERTY_SERIAL) && text_same(x, y, PROPERTY_PATH);
}

static bool record_same(const Record *a, const Record *b)
{
    return identity_same(a, b) &&
           a->properties.diskseq == b->properties.diskseq;
}

/* How far the source's resumption is from what went at @gone_usec and comes
 * now. */
static uint64_t resumed_since(const Model *m,
                              unsigned int source,
                              uint64_t gone_usec)
{
    uint64_t resumed_usec = m->resumed_usec[source];
    uint64_t before_usec =
        resumed_usec > gone_usec ? resumed_usec - gone_usec : 0;
    uint64_t after_usec = m->now.monotonic_usec - resumed_usec;

    return after_usec > before_usec ? after_usec : before_usec;
}

/* Whether what went would have been the same plug, had it come at once. */
static bool may_have_come_back(Model *m, int index)
{
    const Group *group = group_of(m, index);
    uint64_t resumed_usec = m->resumed_usec[seat_source(index)];
    uint64_t gone_usec = group->gone_usec;

    return gone_usec < group->usb_detach_usec + REPROBE_MAYBE_USEC ||
           (gone_usec < resumed_usec + RESUME_MAYBE_USEC &&
            resumed_usec < gone_usec + RESUME_MAYBE_USEC);
}

/* Something is at the port again: is it the plug that was there? */
static Sure group_come_back(Model *m, int index, const Record *record)
{
    unsigned int source = seat_source(index), port = m->seats[index].port;
    Group *group = &m->groups[source][port];
    uint64_t now_usec = m->now.monotonic_usec;
    uint64_t detached_usec = now_usec - group->usb_detach_usec;
    uint64_t resumed_usec = resumed_since(m, source, group->gone_usec);
    /* a detach that was told before belongs to the boot before */
    bool is_of_boot = group->usb_detach_usec >= m->told_boot_usec[source];
    Sure same = SURE_NO;

    /* a part: it came with the USB device, or went and came under it */
    if (!group->gone && !identity_same(&m->seats[index].record, record))
        return SURE_NO;
    if (!group->gone)
        return m->seats[index].unplug_tick < group->back_tick ? group->same
                                                              : SURE_YES;
    group->gone = false;
    if (identity_same(&group->record, record)) {
        if ((detached_usec < REPROBE_SURE_USEC && is_of_boot) ||
            (resumed_usec < RESUME_SURE_USEC && !m->resumed_unsure[source]))
            same = SURE_YES;
        else if (detached_usec < REPROBE_MAYBE_USEC ||
                 resumed_usec < RESUME_MAYBE_USEC ||
                 now_usec - group->detach_usec < REPROBE_MAYBE_USEC)
            same = SURE_MAYBE;
    }
    /* one that was seen by a picture only may have come right away */
    if (same == SURE_NO && record->action == RECORD_PRESENT &&
        identity_same(&group->record, record) && may_have_come_back(m, index))
        same = SURE_MAYBE;
    group->same = same;
    group->back_tick = m->tick;
    group->back_usec = now_usec;
    if (same == SURE_NO)
        group_forget(m, source, port);
    else if (same == SURE_MAYBE)
        doubt(&group->left_alone);
    /* its disks cannot be told from one another if their names change; and one
     * that has not come back yet may not have been of this plug, whatever that
     * is the same as later */
    if (same == SURE_MAYBE ||
        (same == SURE_YES && m->things[THING_READER].port == port)) {
        for (int i = 0; i < SEATS; i++)
            if (seat_source(i) == source && m->seats[i].port == port) {
                doubt(&m->seats[i].refused);
                m->seats[i].restores_sure = false;
            }
    }
    return same;
}

/* Whether this is another device than the one that the record has told of. */
static bool is_another(const Seat *seat, const Told *told)
{
    const Properties *properties = &seat->record.properties;
    const char *identity = told->identity.s; /* "VVVV:PPPP:..." */

    return told->has_identity && strncmp(identity, "0000", 4) != 0 &&
           identity[0] != ':' && properties->vendor_id[0] &&
           (strncmp(identity, properties->vendor_id, 4) != 0 ||
            strncmp(identity + 5, properties->product_id, 4) != 0);
}

static void note_mismatch(const Model *m, Seat *seat, const Told *told)
{
    if (is_another(seat, told))
        seat->mismatch_tick = m->tick;
}

/* Whether what device-added told of it is still so, as far as is known. */
bool is_announced(const Model *m, const Seat *seat)
{
    return seat->event.tick > seat->event_over_tick &&
           seat->event.tick > m->stream_down_tick;
}

/* from the source */

static uint64_t connection_bit(const Model *m, const Connection *connection)
{
    return UINT64_C(1) << (connection - m->connections);
}

void judge_on_hello(Model *m, const Connection *connection)
{
    unsigned int source = connection->source;

    for (Seat *seat = m->seats; seat < m->seats + SEATS; seat++)
        seat->connections &= ~connection_bit(m, connection);
    if (m->told_booted[source] && m->told_boot[source] != connection->boot)
        source_forget_plugs(m, source);
    if (!m->told_booted[source] || m->told_boot[source] != connection->boot) {
        m->told_boot_usec[source] = m->now.monotonic_usec;
        m->told_boot_tick[source] = m->tick;
    }
    m->told_booted[source] = true;
    m->told_boot[source] = connection->boot;
}

/* The USB device is another one: so what hung on the old one is gone, but not
 * what has been told of as a part of the new one. */
static void unplug_parts(Model *m, int usb, const Record *record)
{
    int base = (int) seat_source(usb) * SEATS_OF_SOURCE;

    for (int i = base; i < base + SEATS_OF_SOURCE; i++)
        if (i != usb && m->seats[i].port == m->seats[usb].port &&
            !identity_same(&m->seats[i].record, record))
            seat_unplug(m, i);
}

/* It is told of what the disk is a part that was attached before: so it is no
 * part of another one that looks the same. */
static void on_disk_known(Model *m, int disk)
{
    const Seat *part = &m->seats[disk];
    int base = (int) seat_source(disk) * SEATS_OF_SOURCE;

    if (part->told_at == NOWHERE || part->removed_tick > part->told_at_tick)
        return;
    for (int i = base; i < base + SEATS_OF_SOURCE; i++)
        if (m->seats[i].presumed && m->seats[i].plugged &&
            !seats_exclude(m, i, disk))
            trigger(m, &m->seats[i]);
}

/* A slot of a card reader has come: it may be one that has gone under another
 * name, so that what comes under that name is another slot. */
static void doubt_other_slots(Model *m, int index)
{
    for (int i = 0; i < SEATS; i++)
        if (i != index && seat_source(i) == seat_source(index) &&
            m->seats[i].port == m->seats[index].port && !m->seats[i].plugged)
            doubt(&m->seats[i].refused);
}

void judge_on_record(Model *m,
                     const Connection *connection,
                     const Dev *dev,
                     const Record *record)
{
    Seat *seat = &m->seats[dev->seat];
    Sure back;
    bool same;

    if (record->action == RECORD_REMOVE) {
        /* nothing of it can be left, whatever was sent by hand */
        for (int i = 0; i < SEATS; i++)
            if (dev->class == DEVICE_CLASS_USB && i != dev->seat &&
                seats_exclude(m, i, dev->seat))
                seat_unplug(m, i);
        seat_unplug(m, dev->seat);
        return;
    }

    same = seat->plugged && record_same(&seat->record, record);
    if (!same) {
        if (seat->plugged && dev->class == DEVICE_CLASS_USB)
            unplug_parts(m, dev->seat, record);
        seat_unplug(m, dev->seat);
        if (seat->port != dev->port) {
            seat->refused = SURE_NO;
            seat->restores = NOWHERE;
        }
        if (dev->thing == THING_READER)
            seat->restores_sure = false;
        seat->port = dev->port;
        back = group_come_back(m, dev->seat, record);
        if (back == SURE_NO)
            seat->restores = NOWHERE;
        else if (back == SURE_MAYBE)
            seat->restores_sure = false;
        if (dev->thing == THING_READER && dev->class == DEVICE_CLASS_BLOCK)
            doubt_other_slots(m, dev->seat);
        seat->plug = ++m->last_plug;
        seat->plug_tick = m->tick;
        seat->plugged = true;
        if (dev->class == DEVICE_CLASS_BLOCK)
            on_disk_known(m, dev->seat);
    }
    seat->record = *record;
    seat->record_tick = m->tick;
    seat->connections |= connection_bit(m, connection);
    if (is_announced(m, seat))
        note_mismatch(m, seat, &seat->event);
    trigger(m, seat);
}

void judge_on_synced(Model *m, const Connection *connection)
{
    int base = (int) connection->source * SEATS_OF_SOURCE;

    m->connections[connection - m->connections].synced = true;
    /* a newer picture has come before */
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (m->connections[i].open && m->connections[i].synced &&
            m->connections[i].source == connection->source &&
            m->connections[i].id > connection->id)
            return;
    for (int i = base; i < base + SEATS_OF_SOURCE; i++)
        if (m->seats[i].plugged &&
            (m->seats[i].connections & connection_bit(m, connection)) == 0)
            seat_unplug(m, i);
}

/* from qubesd */

static int event_seat(const Model *m,
                      const QubeName *source,
                      const AdminEvent *event)
{
    int qube = qube_named(m, source->s);

    return qube >= 0 && qube < SOURCES
               ? seat_find((unsigned int) qube, event->class, event->port.s)
               : NO_SEAT;
}

static bool has_call(const Model *m, int seat, AdminMethod method)
{
    for (size_t i = 0; i < CALLS_MAX; i++)
        if (m->calls[i].used && m->calls[i].seat == seat &&
            m->calls[i].request.method == method &&
            m->calls[i].daemon_life == m->daemon_life)
            return true;
    return false;
}

/* Its target may have stopped while the Attach was in work, and has started
 * again since. */
static void on_attached_by_us(Seat *seat, int qube)
{
    if (seat->ours == NOWHERE && seat->plugged && seat->ours_plug == seat->plug)
        seat->ours = qube;
}

/* So soon after a detach of the port it may be an echo. That qubesd lists
 * another plug there since would tell, if the source had called then. */
static bool seems_echo(Model *m, int index, const StreamEvent *event)
{
    const Seat *seat = &m->seats[index];
    int qube = qube_named(m, event->event.subject.s);

    return seat_class(index) == DEVICE_CLASS_USB &&
           seat->detached_from == qube &&
           m->now.monotonic_usec - group_of(m, index)->usb_detach_usec <
               REPROBE_MAYBE_USEC &&
           (seat->event.tick < seat->told_detach_tick ||
            seat->event.tick < m->told_boot_tick[seat_source(index)]);
}

static void on_attached(Model *m, const StreamEvent *event)
{
    int index = event_seat(m, &event->event.backend, &event->event);
    int dev = dev_attached_at(m, index);
    Seat *seat = &m->seats[index];

    if (event->actor != ACTOR_DAEMON)
        seat->event_over_tick = m->tick;
    seat->past_at = NOWHERE;
    seat->told_at = qube_named(m, event->event.subject.s);
    /* so soon after a restart it may be an echo of what an earlier run has
     * attached */
    if (event->event.class == DEVICE_CLASS_USB && seat->plugged &&
        seat->record_tick < m->restart_tick &&
        m->now.monotonic_usec <= m->heard_usec + ECHO_USEC) {
        seat->unsure_tick = m->tick;
        seat->unsure_at = seat->told_at;
    }
    /* the person has another use for it */
    if (event->actor == ACTOR_PERSON && seat->restores != seat->told_at)
        seat->restores_sure = false;
    seat->told_at_tick = m->tick;
    seat->told_at_plugged = seat->plugged && !seems_echo(m, index, event);
    /* an echo of the plug before, told after the answer to our Attach: it looks
     * like the event of that, and its end like a detach of that */
    if (event->cause == CAUSE_ECHO && dev != NONE &&
        seat->ours == seat->told_at && !m->devs[dev].attached_told)
        seat->ours_doubt = true;
    /* that of an Attach before ours of which nobody could tell whether it was
     * done: it looks like the event of ours, and that of ours like another's */
    if (event->actor == ACTOR_DAEMON && event->tick < seat->unsure_tick &&
        seat->unsure_tick < seat->ours_tick &&
        seat->unsure_at == seat->told_at && seat->ours == seat->told_at) {
        seat->ours_doubt = true;
        seat->unclear_tick = m->tick;
    }
    if (dev != NONE && m->devs[dev].attached_to == seat->told_at)
        m->devs[dev].attached_told = true;
    if (event->actor == ACTOR_DAEMON && event->tick >= seat->ours_tick &&
        has_call(m, index, ADMIN_ATTACH))
        on_attached_by_us(seat, seat->told_at);
    if (event->actor == ACTOR_DAEMON && seat->ours == seat->told_at &&
        event->tick >= seat->ours_tick)
        seat->ours_told = true;
}

/* Whether an Attach of an earlier run of the daemon is still in work. */
static bool is_attach_left(const Model *m, int seat)
{
    for (size_t i = 0; i < CALLS_MAX; i++)
        if (m->calls[i].used && m->calls[i].seat == seat &&
            m->calls[i].request.method == ADMIN_ATTACH &&
            m->calls[i].daemon_life != m->daemon_life && !m->calls[i].answered)
            return true;
    return false;
}

/* The person has taken away what was attached to @qube. */
static void on_detached_by_person(Model *m,
                                  int index,
                                  int qube,
                                  const StreamEvent *event)
{
    Seat *seat = &m->seats[index];
    int dev = dev_attached_at(m, index);
    int usb = seat->port < USB_PORTS ? seat_usb(seat_source(index), seat->port)
                                     : NO_SEAT;
    /* not what was detached before our Attach */
    bool held = seat->ours == qube && seat->ours_told && !seat->ours_doubt &&
                seat->ours_plug == seat->plug && event->tick >= seat->ours_tick;
    bool known = held || (seat->claim_target == qube &&
                          seat->claim == STATUS_ALREADY_ATTACHED &&
                          seat->claim_tick > seat->unplug_tick &&
                          seat->claim_tick > seat->told_detach_tick);
    bool sure = known && seat->listed == SURE_YES &&
                !has_call(m, index, ADMIN_DETACH) &&
                (dev == NONE || m->devs[dev].attached_to != qube);

    /* nor may it be our own Detach, of which the end is not known */
    if (!seat->plugged || seat->fault_tick > seat->ours_tick)
        sure = false;
    /* nor is it the person's where it was off the list meanwhile, whatever is
     * listed there now */
    if (seat->removed_tick > seat->told_at_tick)
        sure = false;
    /* nor where it has been found free, and is attached anew, before that was
     * told */
    if (has_call(m, index, ADMIN_ATTACH))
        sure = false;
    if (usb != NO_SEAT && usb != index && m->seats[usb].listed != SURE_YES)
        sure = false;
    /* nor where she has asked for it again since, before that was told */
    if (group_of(m, index)->forgiven_tick > event->tick)
        sure = false;
    leave_alone(m, index, sure ? SURE_YES : SURE_MAYBE);
}

/* What was said of a plug that is gone may be said of this one. */
static void revive(Group *group)
{
    if (!group->old_memory)
        return;
    group->stopped = true;
    if (group->left_alone == SURE_NO)
        group->left_alone = SURE_MAYBE;
    if (group->refused == SURE_NO)
        group->refused = SURE_MAYBE;
}

static void note_usb_detach(const Model *m, Group *group)
{
    group->usb_detach_usec = m->now.monotonic_usec;
    /* it may have come back before the detach was told */
    if (m->now.monotonic_usec - group->back_usec < REPROBE_MAYBE_USEC)
        revive(group);
}

/* What had been said to be attached at @tick may have been the plug before. */
static void permit_anew(Model *m, Seat *seat, uint64_t tick)
{
    if (seat->plugged && tick > seat->claim_tick &&
        (seat->claim == STATUS_ALREADY_ATTACHED ||
         seat->claim == STATUS_ATTACHED_ELSEWHERE ||
         /* by an Attach that was bound to nothing */
         (seat->claim == STATUS_ATTACHED && !told_is_safe(&seat->looked))))
        permit(m, seat);
}

/* It was waited for in vain, and is listed after all. */
static void trigger_late(Model *m, Seat *seat)
{
    if (seat->plugged && seat->claim == STATUS_NO_SUCH_DEVICE &&
        seat->trigger_tick == 0)
        trigger(m, seat);
}

static void on_detached(Model *m, const StreamEvent *event)
{
    int index = event_seat(m, &event->event.backend, &event->event);
    int qube = qube_named(m, event->event.subject.s);
    int dev = dev_attached_at(m, index);
    Seat *seat = &m->seats[index];
    Group *group = group_of(m, index);

    group->detach_usec = m->now.monotonic_usec;
    if (event->event.class == DEVICE_CLASS_USB)
        note_usb_detach(m, group);
    /* it is of the plug before ours, which is not told yet: whose the one that
     * will be told is cannot be known */
    if (event->cause == CAUSE_STOP && seat->ours == qube &&
        ((dev != NONE && m->devs[dev].attached_to == qube &&
          !m->devs[dev].attached_told) ||
         has_call(m, index, ADMIN_ATTACH))) {
        seat->excused = seat->ours_doubt = true;
        seat->unclear_tick = m->tick;
    }
    /* the spurious end of an Attach that had failed, told when the plug that we
     * have attached since is gone, and before the event of that: it looks like
     * the end of ours, and what is found there like another's */
    if (event->cause == CAUSE_ECHO && seat->ours == qube &&
        (!seat->plugged || seat->ours_plug != seat->plug) && dev != NONE &&
        m->devs[dev].attached_to == qube && !m->devs[dev].attached_told) {
        seat->ours_doubt = true;
        seat->unclear_tick = m->tick;
    }
    /* ours was of the plug before */
    if (event->cause != CAUSE_DAEMON)
        seat->event_over_tick = m->tick;
    if (event->cause == CAUSE_ECHO)
        seat->echo_tick = m->tick;
    seat->detached_from = qube;
    if (event->cause == CAUSE_PERSON)
        on_detached_by_person(m, index, qube, event);
    else if (seat->listed == SURE_MAYBE)
        leave_alone(m, index, SURE_MAYBE); /* why was not heard */
    else if (event->cause == CAUSE_DAEMON && seat->fault_tick > event->tick)
        leave_alone(m, index, SURE_MAYBE); /* that it was us was not answered */
    seat->told_detach_tick = m->tick;
    /* it looks like the end of what our Attach in work has done already */
    if (seat->ours == qube &&
        (seat->told_at == qube || seat->past_at == qube) &&
        seat->told_at_tick > seat->ours_tick &&
        has_call(m, index, ADMIN_ATTACH))
        seat->unclear_tick = m->tick;
    seat->past_at = NOWHERE;
    if (seat->told_at == qube) {
        seat->told_at = NOWHERE;
        seat->told_at_tick = m->tick;
    }
    if (seat->ours == qube && seat->ours_told && event->cause != CAUSE_ECHO &&
        event->tick >= seat->ours_tick)
        seat->ours = NOWHERE;
    permit_anew(m, seat, seat->told_detach_tick);
}

static void on_listed(Model *m, const StreamEvent *event)
{
    int index = event_seat(m, &event->event.subject, &event->event);
    Seat *seat = &m->seats[index];

    seat->listed = SURE_YES;
    seat->event_before = seat->event;
    seat->event = (Told){ .tick = m->tick,
                          .has_identity = event->event.has_identity,
                          .identity = event->event.identity };
    note_mismatch(m, seat, &seat->event);
    permit_anew(m, seat, seat->told_detach_tick);
    trigger_late(m, seat);
}

static void on_unlisted(Model *m, const StreamEvent *event)
{
    int index = event_seat(m, &event->event.subject, &event->event);

    m->seats[index].listed = SURE_NO;
    m->seats[index].event_over_tick = m->tick;
    m->seats[index].removed_tick = m->tick;
}

static void on_started(Model *m, int qube)
{
    for (int i = 0; i < SEATS; i++) {
        Seat *seat = &m->seats[i];
        const BookRule *then, *now;
        bool named = false;

        if (!seat->plugged)
            continue;
        /* what is in work will find it running */
        if (is_in_work(m, seat)) {
            seat->started_tick = m->tick;
            if (seat->trigger_tick == 0 && seat->restores == qube &&
                seat->yes_tick <= seat->claim_tick)
                permit(m, seat); /* when it has been looked at */
            continue;
        }
        if (seat->restores == qube) {
            seat->excused = seat->excused || rule_of(m, i, seat->claim_set) !=
                                                 rule_of(m, i, m->rules);
            if (!seat->restores_sure || left_alone(m, i) != SURE_NO)
                permit(m, seat);
            else
                trigger(m, seat);
            continue;
        }
        /* under its old name it may have been there */
        if (group_of(m, i)->stopped)
            permit(m, seat);
        then = rule_of(m, i, seat->claim_set);
        now = rule_of(m, i, m->rules);
        for (size_t k = 0; now && k < now->n_targets; k++)
            named = named || qube_of_choice(now->targets[k]) == qube;
        if (seat->trigger_tick > 0)
            continue;
        /* it may have come up too slowly for it, or have had it */
        if ((seat->claim == STATUS_ATTACH_FAILED ||
             seat->claim == STATUS_TIMEOUT) &&
            seat->claim_target == qube)
            permit(m, seat);
        /* it could not be started for it; that it did not stay up is known */
        if (seat->claim == STATUS_START_FAILED && seat->claim_target == qube) {
            seat->excused = seat->excused || then != now;
            if (then == now && named && left_alone(m, i) == SURE_NO)
                trigger(m, seat);
            else
                permit(m, seat);
            continue;
        }
        /* a retry of another part has forgotten why it was left alone */
        if (seat->waited && named && left_alone(m, i) != SURE_YES)
            permit(m, seat);
        if (seat->claim != STATUS_WAITING_FOR_TARGET)
            continue;
        /* under other rules it may not wait for this one */
        if (then != now)
            seat->excused = true;
        else if (named)
            trigger(m, seat);
        if (named)
            permit(m, seat);
    }
}

/* A target is told to start that an earlier run had attached to while it came
 * up: it is taken to have stopped meanwhile, unless this run was told of it. */
static void doubt_held_before(Model *m, int qube)
{
    for (Seat *seat = m->seats; seat < m->seats + SEATS; seat++)
        if (seat->ours == qube && seat->ours_tick < m->restart_tick &&
            seat->told_at_tick < m->stream_down_tick)
            seat->ours_doubt = true;
}

/* That the source was stopped is told late: what was attached since it runs
 * again is taken for gone with what had been attached before. */
static void doubt_attached_again(Model *m, unsigned int source)
{
    int base = (int) source * SEATS_OF_SOURCE;

    for (int i = base; i < base + SEATS_OF_SOURCE; i++) {
        int dev = dev_attached_at(m, i);

        if (dev != NONE && m->devs[dev].attached_to == m->seats[i].ours)
            m->seats[i].ours_doubt = true;
    }
}

/* Whether it has no outcome yet that stays: qubesd was not there. That the
 * policy daemon was too slow meanwhile counts as well. */
static bool is_undecided(const Model *m, const Seat *seat)
{
    return seat->claim == STATUS_UNAVAILABLE ||
           (seat->claim == STATUS_TIMEOUT &&
            seat->claim_tick > m->blind_since_tick &&
            seat->claim_tick <= m->stream_down_tick);
}

static void on_stopped(Model *m, int qube)
{
    for (int i = 0; i < SEATS; i++) {
        Seat *seat = &m->seats[i];

        /* what had come of its Attach was not known */
        if (seat->plugged && seat->fault_tick > 0 &&
            (seat->claim_target == qube || seat->detached_from == qube ||
             /* an earlier run's: it is being looked at */
             (seat->unsure_tick > seat->ours_tick && seat->unsure_at == qube &&
              seat->ours_tick < m->restart_tick && is_in_work(m, seat)))) {
            group_of(m, i)->stopped = true;
            permit(m, seat);
        }
        /* it came back before that was told */
        if ((seat->ours == qube || seat->taken_from == qube) &&
            seat->ours_plug != seat->plug &&
            (seat->fault_tick > 0 || seat->ours_tick < m->restart_tick ||
             /* an Attach of the plug before was carried out on this one */
             has_call(m, i, ADMIN_ATTACH) ||
             (seat->told_at == qube && seat->told_at_tick > seat->plug_tick) ||
             m->now.monotonic_usec - group_of(m, i)->back_usec <
                 REPROBE_MAYBE_USEC)) {
            group_of(m, i)->stopped = true;
            permit(m, seat);
        }
        if (seat->plugged && seat->ours == qube &&
            seat->ours_plug == seat->plug) {
            group_of(m, i)->stopped = true;
            seat->restores = qube;
            seat->restores_sure = seat->ours_told && !seat->ours_doubt;
            seat->restores_tick = m->tick;
        }
        /* the look at whether it was there still ends, and a record that came
         * while qubesd was away is decided */
        if (seat->plugged && is_undecided(m, seat) &&
            (seat->ours == qube || seat->told_at == qube ||
             seat->taken_from == qube))
            permit(m, seat);
        /* nobody has seen that it was not there any more */
        if ((seat->taken || seat->lost) && seat->taken_from == qube) {
            group_of(m, i)->stopped = true;
            seat->taken = false;
        }
        if (seat->ours == qube)
            seat->ours = NOWHERE;
        /* whoever had attached it, a record does not start it again; nor where
         * it went unheard before, as for all that was told it was there */
        if (seat->plugged &&
            (seat->told_at == qube || seat->missed_at == qube ||
             (seat->gap_at == qube && seat->gap_tick == seat->told_at_tick)))
            group_of(m, i)->stopped = true;
        if (seat->told_at == qube) {
            seat->told_at = NOWHERE;
            seat->told_at_tick = m->tick;
        }
    }
    m->told_down_tick[qube] = m->tick;
    if (qube < SOURCES) {
        doubt_attached_again(m, (unsigned int) qube);
        source_forget_plugs(m, (unsigned int) qube);
    }
}

/* Whether it has devices, as this run of the daemon was told, or is connected.
 * An earlier run keeps those only of which something is to be remembered. */
static bool is_source_known(const Model *m, unsigned int source)
{
    for (int i = 0; i < SEATS_OF_SOURCE; i++) {
        const Seat *seat = &m->seats[(int) source * SEATS_OF_SOURCE + i];

        if (seat->plugged && seat->record_tick >= m->restart_tick)
            return true;
    }
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (m->connections[i].open && m->connections[i].source == source)
            return true;
    return false;
}

static void on_resumed(Model *m, unsigned int source)
{
    /* of a source that has not called yet nothing is kept, unless it is about
     * to say hello */
    if (!m->told_booted[source] && !is_source_known(m, source))
        return;
    /* of a source that nothing is known of this may be forgotten */
    m->resumed_unsure[source] =
        !m->told_booted[source] || !is_source_known(m, source);
    m->resumed_usec[source] = m->now.monotonic_usec;
    for (unsigned int port = 0; port < PORTS; port++)
        if (m->now.monotonic_usec - m->groups[source][port].back_usec <
            RESUME_MAYBE_USEC)
            revive(&m->groups[source][port]);
}

void judge_on_event(Model *m, const StreamEvent *event)
{
    int qube = qube_named(m, event->event.subject.s);

    switch (event->event.type) {
    case ADMIN_EVENT_DEVICE_ADDED:
        on_listed(m, event);
        break;
    case ADMIN_EVENT_DEVICE_REMOVED:
        on_unlisted(m, event);
        break;
    case ADMIN_EVENT_ATTACH:
        on_attached(m, event);
        break;
    case ADMIN_EVENT_DETACH:
        on_detached(m, event);
        break;
    case ADMIN_EVENT_DOMAIN_START:
        if (qube >= 0 && qube < SOURCES)
            m->told_up_tick[qube] = m->tick;
        if (qube != NOWHERE)
            doubt_held_before(m, qube);
        if (qube != NOWHERE)
            on_started(m, qube);
        break;
    case ADMIN_EVENT_DOMAIN_SHUTDOWN:
        if (qube != NOWHERE)
            on_stopped(m, qube);
        break;
    case ADMIN_EVENT_DOMAIN_UNPAUSED:
        if (qube != NOWHERE)
            on_started(m, qube);
        break;
    case ADMIN_EVENT_DOMAIN_RESUMED:
        if (qube >= 0 && qube < SOURCES)
            on_resumed(m, (unsigned int) qube);
        break;
    case ADMIN_EVENT_OTHER:
    case ADMIN_EVENT_ESTABLISHED:
    case ADMIN_EVENT_LIST_CHANGE:
        break;
    }
}

/* What was attached by us, and went away while nobody could hear of it. */
static void on_blind_loss(Model *m, int index)
{
    Seat *seat = &m->seats[index];
    bool ran = !qube_idle_since(m, seat->ours, m->blind_since_tick);

    seat->lost = true;
    seat->taken_from = seat->ours;
    if (!seat->ours_told)
        permit(m, seat);
    if (seat->plugged && !qube_runs(m, seat->ours)) {
        group_of(m, index)->stopped = true;
        seat->restores = seat->ours;
        seat->restores_sure = seat->ours_told && !seat->ours_doubt &&
                              seat->ours_plug == seat->plug &&
                              seat->act_tick <= seat->ours_tick;
        seat->restores_tick = m->tick;
        /* one that is paused has not been stopped since */
        if (m->qubes[seat->ours].power == POWER_PAUSED)
            seat->restores_sure = false;
        if (m->qubes[seat->ours].power == POWER_PAUSED)
            leave_alone(m, index, SURE_MAYBE);
    } else if (seat->plugged && ran && seat->blind_cause == CAUSE_PERSON &&
               seat->act_tick <= seat->ours_tick && seat->ours_told &&
               !seat->ours_doubt && seat->ours_plug == seat->plug) {
        /* it is for the daemon to find out, by a look */
        seat->taken = true;
        leave_alone(m, index, SURE_MAYBE);
    } else {
        /* it stopped and started, or it was another's doing */
        leave_alone(m, index, SURE_MAYBE);
        permit(m, seat);
    }
    seat->ours = NOWHERE;
}

/* Whether what it waits for has come is seen anew. */
static void on_reconnect_waiting(Model *m, int index, bool told)
{
    Seat *seat = &m->seats[index];
    const BookRule *rule = rule_of(m, index, m->rules);

    permit(m, seat);
    /* known to be at another one, it is only looked at */
    if (told)
        return;
    if (seat->restores != NOWHERE && qube_runs(m, seat->restores) &&
        seat->restores_sure && left_alone(m, index) == SURE_NO)
        trigger(m, seat);
    if (seat->claim == STATUS_START_FAILED && seat->claim_target != NOWHERE &&
        qube_runs(m, seat->claim_target) && rule &&
        rule == rule_of(m, index, seat->claim_set) &&
        left_alone(m, index) == SURE_NO)
        trigger(m, seat);
    if (seat->claim != STATUS_WAITING_FOR_TARGET || !rule ||
        rule != rule_of(m, index, seat->claim_set))
        return;
    for (size_t i = 0; i < rule->n_targets; i++) {
        int qube = qube_of_choice(rule->targets[i]);

        if (qube != NOWHERE && qube_runs(m, qube)) {
            trigger(m, seat);
            return;
        }
    }
}

void judge_on_qubesd(Model *m, QubesdState state)
{
    m->heard_usec = m->now.monotonic_usec;
    for (int i = 0; i < SEATS; i++) {
        Seat *seat = &m->seats[i];
        int dev = dev_attached_at(m, i);
        /* known to be where it could only be taken away from */
        bool told = seat->told_at != NOWHERE;
        bool known = told && (qube_runs(m, seat->told_at) ||
                              m->qubes[seat->told_at].power == POWER_PAUSED);
        bool held;

        seat->listed = SURE_MAYBE;
        if (state != QUBESD_CONNECTED)
            continue;
        held = seat->ours != NOWHERE && !has_call(m, i, ADMIN_ATTACH);
        /* an earlier run's Attach has not come to its end yet */
        if (held && is_attach_left(m, i)) {
            seat->ours_doubt = true;
            if (seat->plugged)
                permit(m, seat);
            continue;
        }
        if (held && (dev == NONE || m->devs[dev].attached_to != seat->ours))
            on_blind_loss(m, i);
        if (seat->told_at != NOWHERE &&
            (dev == NONE || m->devs[dev].attached_to != seat->told_at)) {
            /* nobody has heard that its target was started anew */
            if (qube_idle_since(m, seat->told_at, m->blind_since_tick))
                leave_alone(m, i, SURE_MAYBE);
            seat->gap_at = seat->told_at;
            seat->gap_tick = m->tick;
            seat->told_at = NOWHERE;
            seat->told_at_tick = m->tick;
        }
        /* a look that goes on may end with the decision that is still due */
        if (seat->plugged && is_in_work(m, seat) && is_undecided(m, seat))
            permit(m, seat);
        if (!seat->plugged || is_in_work(m, seat))
            continue;
        /* what is attached, or was, is looked at, not decided anew, but for
         * what has no outcome yet */
        if (dev != NONE ? !held || seat->ours_doubt
                        : held && is_undecided(m, seat))
            permit(m, seat);
        if (held || dev != NONE)
            continue;
        if (seat->claim == STATUS_UNAVAILABLE && seat->trigger_tick == 0 &&
            !seat->lost && !known)
            trigger(m, seat);
        else
            on_reconnect_waiting(m, i, told);
    }
}

/* answers of qubesd */

static void on_looked(Model *m, Seat *seat, const Call *call)
{
    const DeviceListing *listing = &call->answer.listing;
    bool busy = listing->attachment == ATTACHMENT_QUBE;
    const Told told = { .tick = m->tick,
                        .has_identity = listing->has_identity,
                        .identity = listing->identity };

    /* a newer call was answered first: only a job that waited for this one
     * goes by it */
    if (call->tick < seat->looked_call_tick) {
        if (listing->listed)
            seat->looked_late = told;
        return;
    }
    seat->looked_call_tick = call->tick;
    seat->looked_late = (Told){};

    /* of an event that was told meanwhile it may be older */
    if (seat->event.tick > call->tick || seat->event_over_tick > call->tick)
        seat->listed = SURE_MAYBE;
    else
        seat->listed = listing->listed ? SURE_YES : SURE_NO;
    if (!listing->listed)
        return;
    seat->looked = told;
    note_mismatch(m, seat, &seat->looked);
    if (!busy)
        return;
    seat->told_at = qube_named(m, listing->attached_to.s);
    seat->told_at_tick = m->tick;
    /* as in on_attached(): whoever did that when no event could be heard */
    if (seat->restores != seat->told_at)
        seat->restores_sure = false;
    /* what is gone is no part of what comes in its place */
    seat->told_at_plugged = seat->plugged;
}

static void on_attach_answered(Model *m, Seat *seat, const Call *call)
{
    bool since = seat->told_detach_tick > call->tick;
    int dev = dev_attached_at(m, call->seat);
    bool there = dev != NONE && m->devs[dev].attached_to == call->qube &&
                 m->devs[dev].attached_by == ACTOR_DAEMON;

    if (call->answer.result == ADMIN_OK && there)
        on_attached_by_us(seat, call->qube);
    if (call->answer.result == ADMIN_OK && !since && seat->ours == call->qube) {
        seat->ours_told = call->request.pinned || seat->ours_told;
        seat->told_at = call->qube;
        seat->told_at_tick = m->tick;
        seat->told_at_plugged = seat->plugged;
        return;
    }
    if (call->answer.result != ADMIN_OK)
        seat->failed_tick = m->tick;
    if (call->answer.result != ADMIN_OK &&
        call->answer.result != ADMIN_EXCEPTION) {
        seat->unsure_tick = m->tick;
        seat->unsure_at = call->qube;
    }
    if (call->answer.result == ADMIN_EXCEPTION &&
        call->answer.error == ADMIN_ERROR_NOT_RUNNING &&
        call->tick >= seat_since(seat)) {
        seat->idle_tick = m->tick;
        seat->idle_at = call->qube;
    }
    /* an earlier one may have been done all the same */
    if (call->answer.result == ADMIN_EXCEPTION && !there &&
        seat->unsure_tick > seat->plug_tick)
        seat->ours_doubt = true;
    else if (call->answer.result == ADMIN_EXCEPTION && !there)
        seat->ours = NOWHERE;
    /* it was there before: what an earlier run did may be another's as well */
    if (call->answer.result == ADMIN_EXCEPTION && there &&
        call->answer.error == ADMIN_ERROR_ALREADY_ATTACHED)
        seat->ours_doubt = true;
}

/* It has asked, before an event could tell: what was attached there is not, or
 * will not be before long. */
static void on_found_stopped(Model *m, int qube)
{
    for (int i = 0; i < SEATS; i++)
        if (m->seats[i].plugged &&
            ((m->seats[i].ours == qube &&
              m->seats[i].ours_plug == m->seats[i].plug) ||
             m->seats[i].missed_at == qube ||
             (m->seats[i].lost && m->seats[i].taken_from == qube)))
            group_of(m, i)->stopped = true;
}

/* Of a Detach that was not clearly answered nobody can tell, when it is found
 * to be detached, that it was not this Detach. */
static void on_detach_unclear(Model *m, Seat *seat, const Call *call)
{
    AdminResult result = call->answer.result;

    if (call->request.method == ADMIN_DETACH)
        seat->detach_unclear = result == ADMIN_EMPTY || result == ADMIN_GARBAGE;
    if (call->request.method == ADMIN_ATTACHED && result == ADMIN_OK &&
        !call->answer.listing.listed && seat->detach_unclear) {
        seat->detach_unclear = false;
        group_of(m, call->seat)->detach_usec = m->now.monotonic_usec;
    }
}

/* One that goes on for another device meanwhile is no start of its own: nobody
 * waits for that, and it is as if the person had started the target. */
static void on_start_ended(Model *m, const Call *call)
{
    for (Seat *seat = m->seats; seat < m->seats + SEATS; seat++)
        if (seat->idle_at == call->qube && seat->starting_tick > 0 &&
            seat->starting_tick == m->report_tick)
            seat->start_tick = m->tick;
}

void judge_on_answer(Model *m, const Call *call)
{
    Seat *seat = call->seat == NO_SEAT ? NULL : &m->seats[call->seat];
    AdminResult result = call->answer.result;

    if (call->is_census)
        return;
    if (call->fault != FAULT_NONE && seat)
        seat->fault_tick = m->tick;
    else if (call->fault != FAULT_NONE)
        m->any_fault_tick = m->tick;
    if (call->request.method == ADMIN_CURRENT_STATE && result == ADMIN_OK &&
        call->qube != NOWHERE)
        m->told_power[call->qube] = call->answer.power;
    if (call->request.method == ADMIN_START)
        on_start_ended(m, call);
    if (call->request.method == ADMIN_CURRENT_STATE && result == ADMIN_OK &&
        call->answer.power == POWER_HALTED && call->qube >= 0 &&
        call->qube < SOURCES && m->told_up_tick[call->qube] < call->tick &&
        m->told_down_tick[call->qube] < call->tick)
        source_forget_plugs(m, (unsigned int) call->qube);
    if (call->request.method == ADMIN_CURRENT_STATE && result == ADMIN_OK &&
        call->answer.power != POWER_RUNNING &&
        call->answer.power != POWER_PAUSED && call->qube >= SOURCES)
        on_found_stopped(m, call->qube);
    if (!seat)
        return;
    if (call->request.method == ADMIN_AVAILABLE && result == ADMIN_OK)
        on_looked(m, seat, call);
    if (call->request.method == ADMIN_ATTACH)
        on_attach_answered(m, seat, call);
    if (call->request.method == ADMIN_DETACH && result == ADMIN_OK &&
        call->request.class == DEVICE_CLASS_USB)
        note_usb_detach(m, group_of(m, call->seat));
    /* it was detached before, by whatever */
    if (call->request.method == ADMIN_DETACH && result == ADMIN_EXCEPTION)
        group_of(m, call->seat)->detach_usec = m->now.monotonic_usec;
    on_detach_unclear(m, seat, call);
    if (call->request.method == ADMIN_ATTACHED)
        seat->found_at = result == ADMIN_OK && call->answer.listing.listed
                             ? call->qube
                             : NOWHERE;
    if (call->request.method == ADMIN_DETACH &&
        (result == ADMIN_OK || result == ADMIN_EXCEPTION) &&
        seat->ours == call->qube)
        seat->ours = NOWHERE;
    /* an Attach that was bound to nothing has taken another device */
    if (call->request.method == ADMIN_ATTACHED && result == ADMIN_OK &&
        call->answer.listing.listed && seat->ours == call->qube &&
        !told_is_safe(&seat->looked) &&
        is_another(seat,
                   &(Told){ .has_identity = call->answer.listing.has_identity,
                            .identity = call->answer.listing.identity }))
        seat->failed_tick = m->tick;
    if (call->request.method != ADMIN_ATTACHED || result != ADMIN_OK ||
        seat->told_detach_tick > call->tick)
        return;
    /* the person had taken it away, and attached it again while the daemon was
     * dead, or before the look: nobody can know that it was not there all the
     * time */
    if (call->answer.listing.listed && seat->ours == NOWHERE &&
        /* nor may it be about the plug before, which is to be detached */
        seat->plug_tick <= call->tick &&
        m->told_down_tick[call->qube] < call->tick &&
        ((seat->claim_target == call->qube && status_is_success(seat->claim) &&
          seat->claim_tick > seat->unplug_tick) ||
         (seat->detached_from == call->qube &&
          (seat->lost || (seat->ours_plug == seat->plug &&
                          seat->told_detach_tick > seat->ours_tick))))) {
        seat->ours = call->qube;
        seat->ours_plug = seat->plug;
        seat->ours_doubt = true;
    }
    /* it was attached after its target's stop, of which was told late */
    if (call->answer.listing.listed && seat->restores == call->qube &&
        call->tick > seat->restores_tick)
        seat->restores = NOWHERE;
    /* and what went off the list since is not attached there, as it is found */
    if (!call->answer.listing.listed && seat->claim_target == call->qube)
        permit_anew(m, seat, seat->removed_tick);
    if (call->answer.listing.listed) {
        seat->told_at = call->qube;
        seat->told_at_tick = m->tick;
        /* a call that is older than the plug is about the one before */
        seat->told_at_plugged = seat->plugged && seat->plug_tick <= call->tick;
    }
    if (seat->ours != call->qube)
        return;
    if (call->answer.listing.listed) {
        seat->ours_told = true;
        return;
    }
    /* an Attach that was bound to nothing is answered the same where nothing
     * was there to be attached (WIRE 1) */
    if (!seat->ours_told) {
        seat->unsure_tick = m->tick;
        seat->unsure_at = call->qube;
    }
    /* a record that was told 503 when it was there is still to be decided */
    if (seat->plugged && is_undecided(m, seat))
        permit(m, seat);
    seat->ours = NOWHERE;
    seat->detached_from = call->qube; /* as if that had been told */
    seat->missed_at = call->qube;
    if (seat->plugged && !qube_runs(m, call->qube)) {
        group_of(m, call->seat)->stopped = true;
        seat->restores = call->qube;
        seat->restores_sure = false;
    } else if (seat->plugged &&
               qube_idle_since(m, call->qube, seat->ours_tick)) {
        permit(m, seat); /* it was started anew, and nobody had heard of it */
    }
}

/* policy and the person */

/* The policy daemon answers: what had no answer is decided again. */
static void call_for_answers(Model *m)
{
    for (Seat *seat = m->seats; seat < m->seats + SEATS; seat++)
        if (seat->unjudged && seat->plugged &&
            (!is_in_work(m, seat) || seat->looked_at || seat->discards)) {
            bool by_answer = seat->trigger_tick == 0 || seat->by_answer;

            trigger(m, seat);
            seat->by_answer = by_answer;
        }
}

void judge_on_verdict(Model *m, const Question *question, PolicyAnswer answer)
{
    Choice choice = choice_of_target(&question->question.target);
    int source = qube_named(m, question->question.source.s);

    if (answer == POLICY_YES || answer == POLICY_NO)
        call_for_answers(m);
    if (choice == CHOICES || source < 0 || source >= SOURCES)
        return;
    if (answer != POLICY_YES)
        m->policy_no_tick[choice] = m->tick;
    else if (question->question.assume_yes)
        m->assumed_yes_tick[source][choice] = m->tick;
    else
        m->policy_yes_tick[source][choice] = m->tick;
}

static void on_no(Model *m, const OpenWindow *window)
{
    unsigned int source = seat_source(window->seat);
    Seat *seat = &m->seats[window->seat];
    uint64_t span_usec = QUIET_USEC;

    if (seat->plugged && seat->plug == window->plug) {
        seat->refused = SURE_YES;
        seat->wanted_plug = 0;
        group_of(m, window->seat)->refused = SURE_YES;
    }
    m->noes[source]++;
    if (m->noes[source] < NOES_MAX)
        return;
    for (unsigned int i = NOES_MAX; i < m->noes[source]; i++)
        span_usec =
            span_usec < QUIET_MAX_USEC / 2 ? 2 * span_usec : QUIET_MAX_USEC;
    m->quiet_usec[source] = m->now.monotonic_usec + span_usec;
}

bool is_approved_for(const Seat *seat, Choice choice)
{
    if ((seat->yes_choices & (1U << choice)) != 0)
        return true;
    return choice == CHOICE_DISPVM &&
           (seat->yes_choices & (1U << CHOICE_DISPVM_DVM)) != 0;
}

void judge_on_click(Model *m,
                    const OpenWindow *window,
                    const PromptAnswer *answer)
{
    Seat *seat = &m->seats[window->seat];
    unsigned int choice;

    switch (answer->result) {
    case PROMPT_NO:
        on_no(m, window);
        break;
    case PROMPT_YES:
        m->noes[seat_source(window->seat)] = 0;
        m->quiet_usec[seat_source(window->seat)] = 0;
        if (!seat->plugged || seat->plug != window->plug ||
            rule_of(m, window->seat, m->rules) != window->rule)
            break;
        choice =
            1U << choice_of_target(&window->prompt.targets[answer->target]);
        /* of an older window too, while that is in work */
        if (seat->yes_tick > seat->claim_tick &&
            seat->yes_tick >= seat_since(seat) &&
            seat->yes_plug == window->plug && seat->yes_rule == window->rule &&
            is_in_work(m, seat)) {
            seat->yes_choices |= choice;
            break;
        }
        seat->yes_tick = m->tick;
        seat->yes_plug = window->plug;
        seat->yes_rule = window->rule;
        seat->yes_set = m->rules;
        seat->yes_choices = choice;
        break;
    case PROMPT_NO_AGENT:
        break;
    case PROMPT_DIED:
        m->agent_died_tick = m->tick;
        break;
    }
}

/* the person at the command */

/* A no, and what was taken away, are forgotten. */
static void forgive(Model *m, int index)
{
    unsigned int source = seat_source(index), port = m->seats[index].port;

    if (port < USB_PORTS)
        group_of(m, index)->left_alone = SURE_NO;
    else /* what is no part of a USB device is forgiven by itself */
        doubt(&group_of(m, index)->left_alone);
    /* a look that is under way, or still to come, may say otherwise */
    for (int i = 0; i < SEATS; i++)
        if (seat_source(i) == source && m->seats[i].port == port &&
            (is_in_work(m, &m->seats[i]) || m->seats[i].lost ||
             m->seats[i].taken_tick > m->seats[i].told_detach_tick))
            group_of(m, index)->left_alone = SURE_MAYBE;
    group_of(m, index)->forgiven_tick = m->tick;
    doubt(&group_of(m, index)->refused);
    m->seats[index].restores = NOWHERE;
    m->seats[index].taken = false;
    m->seats[index].refused = SURE_NO;
    for (int i = 0; i < SEATS; i++) {
        if (seat_source(i) != source || m->seats[i].port != port)
            continue;
        m->seats[i].restores_sure = false;
        /* it may be meant for one part only */
        doubt(&m->seats[i].refused);
        if (m->seats[i].refused != SURE_NO)
            group_of(m, index)->refused = SURE_MAYBE;
    }
}

void judge_on_rules(Model *m)
{
    /* what is only permitted, and not in work, is decided by these; so is what
     * was told 503, and has been looked at since qubesd is there, and what the
     * policy daemon's answer has called for meanwhile */
    for (Seat *seat = m->seats; seat < m->seats + SEATS; seat++)
        if (seat->trigger_tick == 0
                ? !is_in_work(m, seat) || seat->looked_at || seat->discards
                : is_in_work(m, seat) && seat->looked_at &&
                      seat->claim == STATUS_UNAVAILABLE &&
                      (seat->last_trigger_tick == m->stream_down_tick + 1 ||
                       seat->by_answer))
            seat->trigger_set = m->rules;
}

void judge_on_pause(Model *m, uint64_t until_usec)
{
    m->paused_until_usec = until_usec;
    m->paused_tick = m->tick;
}

void judge_on_resume(Model *m)
{
    if (m->paused_until_usec == 0)
        return;
    m->paused_until_usec = 0;
    m->paused_tick = m->tick;
    for (int i = 0; i < SEATS; i++) {
        m->seats[i].refused = SURE_NO;
        m->seats[i].restores = NOWHERE;
        m->seats[i].taken = false;
        group_of(m, i)->stopped = false;
        group_of(m, i)->left_alone = SURE_NO;
    }
    for (int i = 0; i < SEATS; i++)
        forgive(m, i);
    /* of what the daemon knows from before it was killed only, a record is to
     * come */
    for (int i = 0; i < SEATS; i++)
        if (m->seats[i].plugged && m->seats[i].record_tick >= m->restart_tick)
            trigger(m, &m->seats[i]);
}

void judge_on_pause_over(Model *m)
{
    m->paused_until_usec = 0;
    m->paused_tick = m->tick;
    for (int i = 0; i < SEATS; i++)
        if (m->seats[i].plugged && m->seats[i].record_tick >= m->restart_tick &&
            m->seats[i].claim == STATUS_PAUSED)
            trigger(m, &m->seats[i]);
}

void judge_on_act(Model *m, int index, bool detaches)
{
    Seat *seat = &m->seats[index];

    if (detaches) {
        leave_alone(m, index, SURE_YES);
        seat->act_tick = m->tick;
        group_of(m, index)->act_tick = m->tick;
        seat->unjudged = false;
        seat->claim = STATUS_DETACHED_BY_USER;
        seat->claim_tick = m->tick;
        seat->trigger_tick = 0;
        seat->permit_tick = 0;
        return;
    }
    forgive(m, index);
    seat->wanted_plug = seat->plug;
    trigger(m, seat);
}

void judge_on_act_unknown(Model *m, int index)
{
    const Seat *seat = &m->seats[index];

    /* of what an earlier run knew only, a record is to come */
    if (seat->plugged && seat->record_tick >= m->restart_tick)
        wrong(m, "the person is told that there is no %s", seat_name(index).s);
}

/* truth */

void judge_on_truth_attached(Model *m, const Dev *dev)
{
    Seat *seat = &m->seats[dev->seat];

    seat->attached_by = dev->attached_by;
    /* by a call of an earlier run, which this one may take for another's */
    if (dev->attached_late)
        seat->ours_doubt = true;
    if (dev->attached_by == ACTOR_DAEMON) {
        m->coverage->attaches++;
        seat->put_tick = m->tick;
    }
    /* a look that is on its way may find it where it was */
    if (dev->attached_by == ACTOR_DAEMON)
        return;
    doubt(&group_of(m, dev->seat)->left_alone);
    seat->taken = false;
    /* an Attach of ours had been tried, in vain */
    if (seat->ours == dev->attached_to)
        seat->ours_doubt = true;
}

void judge_on_truth_detached(Model *m, const Dev *dev, Cause cause)
{
    Seat *seat = &m->seats[dev->seat];

    seat->attached_tick = m->tick;
    /* a look may tell before the event does */
    if (cause == CAUSE_GONE)
        seat->went_tick = m->tick;
    if (cause == CAUSE_PERSON)
        seat->taken_tick = m->tick;
    if (cause == CAUSE_PERSON && seat->plugged)
        leave_alone(m, dev->seat, SURE_MAYBE);
    /* a Detach that takes so long that it ends what another has attached since,
     * or another run: it looks as if the person had done so */
    if (cause == CAUSE_DAEMON && (dev->attached_by != ACTOR_DAEMON ||
                                  !has_call(m, dev->seat, ADMIN_DETACH)))
        leave_alone(m, dev->seat, SURE_MAYBE);
    if (m->qubesd_up && m->stream_up && m->manager)
        return;
    seat->blind_tick = m->tick;
    seat->blind_cause = cause;
}
