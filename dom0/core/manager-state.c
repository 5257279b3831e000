/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include "dom0/core/manager-internal.h"

/*
 * What has to be kept of a device, but for its record. An Attach counts as sent
 * as soon as the job wishes for it: the state is written before the call is
 * made.
 */
static StatePlug plug_of(const Device *device)
{
    const Job *job = device->job && device->job->kind == JOB_KIND_ATTACH
                         ? &device->job->job
                         : NULL;
    const DeviceName port = device_usb_name(device);
    StatePlug plug = {
        .plug = device->plug,
        .plugged = device->plugged,
        .lineage = device->lineage,
        .usb_lineage = device->usb_lineage,
        .detached_by_user = device->detached_by_user,
        .refused_by_user = device->refused_by_user,
        .stopped = device->stopped,
        .came_usec = device->came_usec,
        .usb = device->usb_port,
        .detached_usec = source_port_detached_usec(device->source, &port),
        .holding = device->holding,
        .held_by = device->held_by,
        .held_template = device->held_template,
        .held_rule = device->held_rule,
        .made = device->made,
        .held_before = device->held_before,
        .detach_told = device->detach_told,
    };

    memcpy(plug.close, device->close, sizeof(plug.close));
    /* an event told of its detach; kept even if somebody else had attached
     * it */
    if (device->job && device->job->kind == JOB_KIND_LOOK &&
        !device->job->job.look_further) {
        plug.detach_told = true;
        if (!qube_name_equal(&plug.held_by, &device->job->job.target))
            plug.held_template = (QubeName){};
        plug.held_by = device->job->job.target;
    }
    /* somebody else has attached it there since: that is not to be undone */
    if (device->job && device->job->kind == JOB_KIND_DETACH &&
        device->job->job.told_detached) {
        plug.holding = HOLDING_NOTHING;
        plug.held_by = (QubeName){};
    }
    if (job && job->holding != HOLDING_NOTHING) {
        plug.holding =
            device->job->attached_meanwhile ? HOLDING_DEVICE : job->holding;
        plug.held_by = job->target;
        plug.held_template = job_made_from(job);
        plug.held_rule = device->job->rule->name;
        /* also while that is killed, as it is in vain as far as is known */
        if (qube_name_equal(&job->target, &job->disposable) &&
            !job->disposable_gone && !job->filled &&
            plug.holding != HOLDING_DEVICE)
            plug.made = job->target;
        if (job_is_in_disposable(job) && device->job->rule->options.close &&
            (!job->filled || plug.holding == HOLDING_DEVICE))
            close_list_add(plug.close, &job->target);
    }
    /* the job detaches a plug that went, and the next plug has come already */
    if (device->plugged && device->job && device->job->plug != device->plug)
        plug.held_before =
            plug.holding != HOLDING_NOTHING || plug.close[0].s[0] != '\0';
    return plug;
}

/* The disposable that was made for the plug, if it is not what may have it. */
static const QubeName *disposable_left_by(const StatePlug *plug)
{
    return plug->made.s[0] != '\0' &&
                   (plug->holding == HOLDING_NOTHING ||
                    !qube_name_equal(&plug->held_by, &plug->made))
               ? &plug->made
               : NULL;
}

/* A disposable that was made for a job and that nothing is attached to. */
static const QubeName *disposable_of(const ManagedJob *managed)
{
    const Job *job = &managed->job;
    JobState state = job->state == JOB_PAUSING || job->state == JOB_OFFLINE
                         ? job->resume
                         : job->state;

    return !managed->dead && managed->kind == JOB_KIND_ATTACH &&
                   (job->made || state == JOB_DISCARDING) &&
                   !job->disposable_gone && !job_has_filled_disposable(job) &&
                   (job->holding == HOLDING_NOTHING ||
                    !qube_name_equal(&job->target, &job->disposable))
               ? &job->disposable
               : NULL;
}

static bool is_kept(const Device *device, const StatePlug *plug)
{
    if (plug->detached_by_user || plug->refused_by_user || plug->detach_told ||
        plug->stopped.s[0] != '\0' || plug->close[0].s[0] != '\0' ||
        plug->holding != HOLDING_NOTHING)
        return true;
    /* what is remembered of its parts is of use only together with it */
    for (const PlugMemory *part = device->source->memories; part;
         part = part->next)
        if (plug->plugged && part->usb_lineage == plug->lineage)
            return true;
    return false;
}

/* A record that is like the device of @memory, see plug_memory_is_of(). */
static int record_of(Record *ret, const PlugMemory *memory)
{
    const struct {
        PropertyKey key;
        const char *text;
    } texts[] = {
        { PROPERTY_VENDOR_ID, memory->vendor_id },
        { PROPERTY_PRODUCT_ID, memory->product_id },
        { PROPERTY_SERIAL, memory->serial },
        { PROPERTY_PATH, memory->path },
        { PROPERTY_DEVTYPE, memory->devtype == DEVICE_TYPE_INVALID
                                ? ""
                                : device_type_to_string(memory->devtype) },
    };

    *ret = (Record){ .action = RECORD_PRESENT,
                     .class = memory->class,
                     .device = memory->device };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (texts[i].text[0] != '\0' &&
            !properties_set_text(&ret->properties, texts[i].key, texts[i].text,
                                 strlen(texts[i].text)))
            return -EINVAL;
    if (memory->partition != 0 &&
        !properties_set_number(&ret->properties, PROPERTY_PARTITION,
                               memory->partition))
        return -EINVAL;
    return 0;
}

static void save_disposable(State *state, const QubeName *name)
{
    if (state->n_disposables < STATE_DISPOSABLES_MAX)
        state->disposables[state->n_disposables++] = *name;
}

static int save_source(State *state, const Source *source)
{
    StateSource *saved;
    StatePlug *plug;
    int r = state_add_source(state, &saved);

    if (r < 0)
        return r;
    saved->name = source->name;
    saved->boot_id = source->boot_id;
    saved->n_noes = source->n_noes;
    saved->no_usec = source->no_usec;
    saved->quiet_usec = source->quiet_usec;
    saved->resumed_usec = source->resumed_usec;

    for (const Device *device = source->devices; device;
         device = device->next) {
        StatePlug kept = plug_of(device);

        if (disposable_left_by(&kept)) {
            save_disposable(state, &kept.made);
            kept.made = (QubeName){};
        }
        if (!is_kept(device, &kept))
            continue;
        r = state_add_plug(saved, &plug);
        if (r < 0)
            return r;
        *plug = kept;
        plug->record = device->record;
        plug->record.action = RECORD_PRESENT;
    }
    for (const PlugMemory *memory = source->memories; memory;
         memory = memory->next) {
        r = state_add_plug(saved, &plug);
        if (r >= 0)
            r = record_of(&plug->record, memory);
        if (r < 0)
            return r;
        plug->lineage = memory->lineage;
        plug->usb_lineage = memory->usb_lineage;
        plug->detached_by_user = memory->detached_by_user;
        plug->refused_by_user = memory->refused_by_user;
        plug->stopped = memory->stopped;
        plug->gone_usec = memory->gone_usec;
        plug->detached_usec = memory->detached_usec;
        plug->usb = memory->usb;
        plug->missing_from = memory->missing_from;
        plug->removed = memory->removed;
        plug->replaced = memory->replaced;
        plug->open =
            memory->open || (!memory->replaced &&
                             plug_memory_holds(memory, 0, memory->gone_usec,
                                               source->resumed_usec));
    }
    return 0;
}

int manager_save(const Manager *m, State **ret)
{
    _cleanup_(state_freep) State *state = NULL;
    int r = state_new(&state);

    if (r < 0)
        return r;
    state->last_plug = m->last_plug;
    state->paused_until_usec = m->paused_until_usec;
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++) {
        if (!m->sources[i])
            continue;
        r = save_source(state, m->sources[i]);
        if (r < 0)
            return r;
    }
    for (const ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (disposable_of(managed))
            save_disposable(state, disposable_of(managed));
    for (size_t i = 0; i < ORPHANS_MAX; i++)
        if (orphans_get(&m->orphans, i))
            save_disposable(state, orphans_get(&m->orphans, i));
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        if (m->desk.windows[i].id != 0)
            state->windows[state->n_windows++] =
                (StateWindow){ .source = m->desk.windows[i].source,
                               .opened_usec = m->desk.windows[i].opened_usec };

    *ret = TAKE_PTR(state);
    return 0;
}

static uint64_t mix(uint64_t digest, uint64_t number)
{
    digest = (digest ^ number) * UINT64_C(0x100000001b3);
    return digest ^ digest >> 32;
}

static uint64_t mix_text(uint64_t digest, const char *text)
{
    size_t len = strlen(text);
    uint64_t word;

    for (; len >= sizeof(word); len -= sizeof(word), text += sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        digest = mix(digest, word);
    }
    /* at least one zero byte marks the end of the text */
    word = 0;
    memcpy(&word, text, len);
    return mix(digest, word);
}

static uint64_t mix_source(uint64_t digest, const Source *source)
{
    digest = mix_text(digest, source->name.s);
    digest = mix_text(digest, source->boot_id.s);
    digest = mix(digest, source->no_usec);
    digest = mix(digest, source->resumed_usec);
    digest = mix(digest, source->n_noes);
    for (const Device *device = source->devices; device;
         device = device->next) {
        const StatePlug plug = plug_of(device);

        if (plug.made.s[0] != '\0')
            digest = mix_text(digest, plug.made.s);
        if (!is_kept(device, &plug))
            continue;
        digest = mix(digest, plug.plug);
        digest = mix(digest, plug.plugged);
        digest = mix(digest, plug.lineage);
        digest = mix(digest, plug.usb_lineage);
        digest = mix(digest, plug.detached_usec);
        digest = mix(digest, plug.detached_by_user);
        digest = mix(digest, plug.refused_by_user);
        digest = mix(digest, plug.holding);
        digest = mix(digest, plug.held_before);
        digest = mix(digest, plug.detach_told);
        digest = mix_text(digest, plug.held_by.s);
        digest = mix_text(digest, plug.stopped.s);
        for (size_t i = 0; i < DEVICE_CLOSE_MAX; i++)
            digest = mix_text(digest, plug.close[i].s);
    }
    for (const PlugMemory *memory = source->memories; memory;
         memory = memory->next) {
        digest = mix(digest, memory->lineage);
        digest = mix(digest, memory->usb_lineage);
        digest = mix(digest, memory->detached_usec);
        digest = mix(digest, memory->detached_by_user);
        digest = mix(digest, memory->refused_by_user);
        digest = mix(digest, memory->removed);
        digest = mix(digest, memory->replaced);
        digest = mix(digest, memory->open);
        digest = mix_text(digest, memory->stopped.s);
        digest = mix_text(digest, memory->missing_from.s);
    }
    return digest;
}

uint64_t manager_state_digest(const Manager *m)
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);

    digest = mix(digest, m->paused_until_usec);
    for (size_t i = 0; i < MANAGER_SOURCES_MAX; i++)
        if (m->sources[i])
            digest = mix_source(digest, m->sources[i]);
    for (const ManagedJob *managed = m->jobs; managed; managed = managed->next)
        if (disposable_of(managed))
            digest = mix_text(digest, disposable_of(managed)->s);
    for (size_t i = 0; i < ORPHANS_MAX; i++)
        if (orphans_get(&m->orphans, i))
            digest = mix_text(digest, orphans_get(&m->orphans, i)->s);
    for (size_t i = 0; i < WINDOWS_MAX; i++)
        if (m->desk.windows[i].id != 0)
            digest = mix(digest, m->desk.windows[i].opened_usec);
    return digest;
}

static int restore_device(Source *source, const StatePlug *plug)
{
    Device *device;
    int r;

    if (source_find(source, plug->record.class, &plug->record.device))
        return -EINVAL;
    r = source_add(source, &device, &plug->record);
    if (r < 0)
        return r;
    r = device_arrive(device, plug->plug, plug->lineage, plug->came_usec);
    if (r < 0)
        return r;
    device->usb_port = plug->usb;
    device->plugged = plug->plugged;
    device->usb_lineage = plug->usb_lineage;
    device->detached_by_user = plug->detached_by_user;
    device->refused_by_user = plug->refused_by_user;
    device->stopped = plug->stopped;
    device->waits_for = plug->stopped;
    device->holding = plug->holding;
    device->held_by = plug->held_by;
    device->held_template = plug->held_template;
    device->held_rule = plug->held_rule;
    if (plug->holding != HOLDING_NOTHING || plug->detach_told)
        device->attached_to = plug->held_by;
    device->made = plug->made;
    device->held_before = plug->held_before;
    device->detach_told = plug->detach_told;
    memcpy(device->close, plug->close, sizeof(device->close));
    if (plug->detached_usec != 0) {
        const DeviceName port = device_usb_name(device);
        const QubeName unknown = {};

        source_on_port_detached(source, &port, &unknown, plug->detached_usec);
    }
    return 0;
}

static int restore_memory(Source *source, const StatePlug *plug)
{
    PlugMemory **link = &source->memories;
    PlugMemory *memory = calloc(1, sizeof(*memory));

    if (!memory)
        return -ENOMEM;

    plug_memory_set(memory, &plug->record);
    memory->lineage = plug->lineage;
    memory->usb_lineage = plug->usb_lineage;
    memory->detached_by_user = plug->detached_by_user;
    memory->refused_by_user = plug->refused_by_user;
    memory->stopped = plug->stopped;
    memory->gone_usec = plug->gone_usec;
    memory->detached_usec = plug->detached_usec;
    memory->usb = plug->usb;
    memory->missing_from = plug->missing_from;
    memory->removed = plug->removed;
    memory->replaced = plug->replaced;
    memory->open = plug->open;

    while (*link)
        link = &(*link)->next;
    *link = memory;
    source->n_memories++;
    return 0;
}

static int restore_source(Manager *m, const StateSource *saved)
{
    Source *source;
    int r = manager_add_source(m, &source, &saved->name);

    if (r < 0)
        return r;
    source->boot_id = saved->boot_id;
    source->n_noes = saved->n_noes;
    source->no_usec = saved->no_usec;
    source->quiet_usec = saved->quiet_usec;
    source->resumed_usec = saved->resumed_usec;
    for (size_t i = 0; i < saved->n_plugs; i++) {
        const StatePlug *plug = &saved->plugs[i];

        r = plug->plug != 0 ? restore_device(source, plug)
                            : restore_memory(source, plug);
        if (r < 0)
            return r;
    }
    return 0;
}

int manager_restore(Manager *m, const State *state)
{
    for (size_t i = 0; i < state->n_sources; i++) {
        int r = restore_source(m, &state->sources[i]);

        if (r < 0)
            return r;
    }
    m->last_plug = state->last_plug;
    m->paused_until_usec = state->paused_until_usec;
    for (size_t i = 0; i < state->n_disposables; i++)
        (void) orphans_add(&m->orphans, &state->disposables[i]);
    /* they are still on the screen, but what is clicked there reaches nobody */
    for (size_t i = 0; i < state->n_windows; i++)
        m->desk.windows[i] = (Window){
            .id = ++m->last_call,
            .lost = true,
            .opened_usec = state->windows[i].opened_usec,
            .source = state->windows[i].source,
        };
    return 0;
}
