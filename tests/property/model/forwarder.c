/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>

#include "tests/property/model/forwarder.h"
#include "tests/property/model/hotplug.h"
#include "tests/property/model/play.h"
#include "tests/property/model/world.h"

#define LINE_MAX_USEC    (20 * USEC_PER_MSEC)
#define BACKOFF_MIN_USEC (500 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (2 * USEC_PER_SEC)
#define RESTART_MAX_USEC (1 * USEC_PER_SEC)

static void send_line(Model *m,
                      int connection,
                      LineKind kind,
                      int dev,
                      RecordAction action)
{
    size_t index = m->n_lines++ % LINES_MAX;

    m->lines[index] = (Line){ .used = true,
                              .kind = kind,
                              .connection = connection,
                              .dev = dev,
                              .action = action };
    dues_add_after(m, &m->connections[connection].last_usec,
                   delay(m, LINE_MAX_USEC), DUE_LINE, (int) index, 0);
}

/* NONE if dom0 does not want it. */
static int open_connection(Model *m, unsigned int source, bool by_hand)
{
    int index = (int) (m->n_connections % CONNECTIONS_MAX);
    Connection *connection = &m->connections[index];

    if (connection->open)
        return NONE;
    *connection = (Connection){ .by_hand = by_hand,
                                .source = source,
                                .boot = m->sources[source].boot };
    if (!play_connect(m, source, &connection->id))
        return NONE;
    connection->open = true;
    m->n_connections++;
    send_line(m, index, LINE_HELLO, NONE, RECORD_ACTION_INVALID);
    return index;
}

void forwarder_start(Model *m, unsigned int source, uint64_t max_usec)
{
    SourceWorld *world = &m->sources[source];

    world->fwd_runs = true;
    world->fwd_life++;
    dues_add(m, m->now.monotonic_usec + delay(m, max_usec), DUE_FWD,
             (int) source, 0, world->fwd_life);
}

static void forwarder_retry(Model *m, unsigned int source)
{
    SourceWorld *world = &m->sources[source];

    world->fwd_life++;
    dues_add(m,
             m->now.monotonic_usec +
                 delay_between(m, BACKOFF_MIN_USEC, BACKOFF_MAX_USEC),
             DUE_FWD, (int) source, 0, world->fwd_life);
}

/* What is on the way still arrives, or not; then comes the end. */
static void hang_up(Model *m, int connection)
{
    if (chance(m, 2)) {
        send_line(m, connection, LINE_END, NONE, RECORD_ACTION_INVALID);
        m->connections[connection].ended = true;
        return;
    }
    for (size_t i = 0; i < LINES_MAX; i++)
        if (m->lines[i].used && m->lines[i].connection == connection)
            m->lines[i].used = false;
    play_disconnect(m, connection);
}

void forwarder_stop(Model *m, unsigned int source)
{
    SourceWorld *world = &m->sources[source];

    world->fwd_runs = false;
    world->fwd_life++;
    if (world->connection == NONE)
        return;
    hang_up(m, world->connection);
    world->connection = NONE;
}

void forwarder_kill(Model *m, unsigned int source)
{
    if (!qube_runs(m, (int) source))
        return;
    trace(m, "        the forwarder of %s is killed", m->qubes[source].name.s);
    if (m->sources[source].fwd_runs)
        forwarder_stop(m, source);
    forwarder_start(m, source, RESTART_MAX_USEC);
}

/* USB devices, disks, partitions. */
static void send_picture(Model *m, unsigned int source, int connection)
{
    const SourceWorld *world = &m->sources[source];

    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < world->n_active; i++) {
            const Dev *dev = &m->devs[world->active[i]];
            int its = dev->class == DEVICE_CLASS_USB ? 0
                      : dev->part == 0               ? 1
                                                     : 2;

            if (dev->in_udev && !dev->empty && its == pass)
                send_line(m, connection, LINE_EVENT, world->active[i],
                          RECORD_PRESENT);
        }
    send_line(m, connection, LINE_SYNCED, NONE, RECORD_ACTION_INVALID);
}

void forwarder_on_due(Model *m, const Due *due)
{
    unsigned int source = (unsigned int) due->a;
    SourceWorld *world = &m->sources[source];
    int connection;

    if (!world->fwd_runs || world->fwd_life != due->life)
        return;
    if (!m->manager) {
        /* it waits in the socket unit */
        forwarder_retry(m, source);
        return;
    }
    connection = open_connection(m, source, false);
    if (connection == NONE) {
        forwarder_retry(m, source);
        return;
    }
    world->connection = connection;
    send_picture(m, source, connection);
}

void forwarder_on_udev(Model *m, int dev, RecordAction action)
{
    int connection = m->sources[m->devs[dev].source].connection;

    if (connection != NONE)
        send_line(m, connection, LINE_EVENT, dev, action);
}

void forwarder_send(Model *m, unsigned int source, int dev)
{
    int connection = m->manager ? open_connection(m, source, true) : NONE;

    if (connection == NONE)
        return;
    send_line(m, connection, LINE_EVENT, dev, RECORD_PRESENT);
    send_line(m, connection, LINE_END, NONE, RECORD_ACTION_INVALID);
    m->connections[connection].ended = true;
}

void forwarder_on_line(Model *m, const Due *due)
{
    Line *line = &m->lines[due->a];
    Connection *connection = &m->connections[line->connection];
    uint64_t when_usec;

    if (!line->used || !connection->open)
        return;
    if (connection->held_usec <= m->now.monotonic_usec &&
        line->kind == LINE_EVENT &&
        !play_take_line(m, line->connection, &when_usec))
        connection->held_usec = when_usec;
    /* what comes after it has to wait, too */
    if (connection->held_usec > m->now.monotonic_usec) {
        dues_add(m, connection->held_usec, DUE_LINE, due->a, 0, 0);
        return;
    }
    line->used = false;
    /* what is sent by hand is there: no forwarder would tell that it is not */
    if (connection->by_hand && line->kind == LINE_EVENT &&
        !m->devs[line->dev].exists)
        return;
    switch (line->kind) {
    case LINE_HELLO:
        play_hello(m, line->connection);
        break;
    case LINE_EVENT:
        play_event(m, line->connection, line->dev, line->action);
        break;
    case LINE_SYNCED:
        play_synced(m, line->connection);
        break;
    case LINE_END:
        if (!connection->by_hand) {
            play_disconnect(m, line->connection);
            break;
        }
        play_input_ended(m, line->connection);
        forwarder_on_answered(m, line->connection);
        break;
    }
}

static void forget(Model *m, int index)
{
    Connection *connection = &m->connections[index];
    SourceWorld *world = &m->sources[connection->source];

    connection->open = false;
    for (size_t i = 0; i < LINES_MAX; i++)
        if (m->lines[i].connection == index)
            m->lines[i].used = false;
    if (world->connection == index) {
        world->connection = NONE;
        forwarder_retry(m, connection->source);
    }
}

void forwarder_on_close(Model *m, uint64_t id)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (m->connections[i].open && m->connections[i].id == id) {
            forget(m, i);
            play_disconnect(m, i);
            return;
        }
    wrong(m, "the daemon closes a connection that is none");
}

void forwarder_lose_daemon(Model *m)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (m->connections[i].open)
            forget(m, i);
}

void forwarder_lose_hands(Model *m, unsigned int source)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (m->connections[i].open && m->connections[i].by_hand &&
            m->connections[i].source == source) {
            forget(m, i);
            play_disconnect(m, i);
        }
}

void forwarder_on_answered(Model *m, int index)
{
    const Connection *connection = &m->connections[index];

    if (!connection->open || !connection->by_hand)
        return;
    for (size_t i = 0; i < LINES_MAX; i++)
        if (m->lines[i].used && m->lines[i].connection == index)
            return;
    for (size_t i = 0; i < m->n_waiting; i++)
        if (m->waiting[i].connection == index)
            return;
    play_disconnect(m, index);
}

bool forwarder_is_in_sync(const Model *m, unsigned int source)
{
    const SourceWorld *world = &m->sources[source];

    if (!world->fwd_runs || world->connection == NONE)
        return false;
    for (size_t i = 0; i < LINES_MAX; i++)
        if (m->lines[i].used && m->lines[i].connection == world->connection)
            return false;
    return true;
}
