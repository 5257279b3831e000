/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/wire/json-text.h"
#include "common/wire/json.h"
#include "common/wire/record-wire.h"
#include "dom0/wire/state-wire.h"

/* in the file, for UINT64_MAX: a pause without an end */
#define FOREVER (-1)

/* what a line with a name, or a plug, at most takes */
#define LINE_MAX WIRE_LINE_MAX

/* encode */

static void put_number(JsonText *json, const char *key, uint64_t value)
{
    json_text_number(json, key,
                     value == UINT64_MAX ? FOREVER : (int64_t) value);
}

/* A line of its own, of that type; what is in it follows. */
static void begin_line(JsonText *json, const char *type)
{
    json_text_open(json, NULL, '{');
    json_text_string(json, "type", type);
}

static void end_line(JsonText *json)
{
    json_text_close(json, '}');
    json_text_newline(json);
}

static void put_close(JsonText *json, const StatePlug *plug)
{
    json_text_open(json, "close", '[');
    for (size_t i = 0; i < DEVICE_CLOSE_MAX && plug->close[i].s[0]; i++)
        json_text_string(json, NULL, plug->close[i].s);
    json_text_close(json, ']');
}

static void put_plug(JsonText *json, const StatePlug *plug, int64_t seq)
{
    begin_line(json, "plug");
    put_number(json, "plug", plug->plug);
    json_text_bool(json, "plugged", plug->plugged);
    put_number(json, "lineage", plug->lineage);
    put_number(json, "usb_lineage", plug->usb_lineage);
    json_text_bool(json, "detached_by_user", plug->detached_by_user);
    json_text_bool(json, "refused_by_user", plug->refused_by_user);
    json_text_string(json, "stopped", plug->stopped.s);
    put_number(json, "came", plug->came_usec);
    put_number(json, "holding", plug->holding);
    json_text_string(json, "held_by", plug->held_by.s);
    json_text_string(json, "held_template", plug->held_template.s);
    json_text_string(json, "held_rule", plug->held_rule.s);
    json_text_string(json, "made", plug->made.s);
    json_text_bool(json, "held_before", plug->held_before);
    json_text_bool(json, "detach_told", plug->detach_told);
    put_close(json, plug);
    put_number(json, "gone", plug->gone_usec);
    put_number(json, "detached", plug->detached_usec);
    json_text_string(json, "usb", plug->usb.s);
    json_text_string(json, "missing_from", plug->missing_from.s);
    json_text_bool(json, "removed", plug->removed);
    json_text_bool(json, "replaced", plug->replaced);
    json_text_bool(json, "open", plug->open);
    end_line(json);
    wire_put_event(json, seq, &plug->record);
}

static void put_source(JsonText *json, const StateSource *source, int64_t *seq)
{
    begin_line(json, "source");
    json_text_string(json, "name", source->name.s);
    json_text_string(json, "boot_id", source->boot_id.s);
    put_number(json, "n_noes", source->n_noes);
    put_number(json, "no", source->no_usec);
    put_number(json, "quiet", source->quiet_usec);
    put_number(json, "resumed", source->resumed_usec);
    end_line(json);

    for (size_t i = 0; i < source->n_plugs; i++)
        put_plug(json, &source->plugs[i], ++*seq);
}

static void put_window(JsonText *json, const StateWindow *window)
{
    begin_line(json, "window");
    json_text_string(json, "source", window->source.s);
    put_number(json, "opened", window->opened_usec);
    end_line(json);
}

static void put_state(JsonText *json, const State *state)
{
    int64_t seq = 0; /* of the records */

    begin_line(json, "state");
    json_text_number(json, "version", STATE_VERSION);
    json_text_string(json, "boot_id", state->boot_id.s);
    put_number(json, "last_plug", state->last_plug);
    put_number(json, "paused_until", state->paused_until_usec);
    end_line(json);

    for (size_t i = 0; i < state->n_sources; i++)
        put_source(json, &state->sources[i], &seq);
    for (size_t i = 0; i < state->n_disposables; i++) {
        begin_line(json, "disposable");
        json_text_string(json, "name", state->disposables[i].s);
        end_line(json);
    }
    for (size_t i = 0; i < state->n_windows; i++)
        put_window(json, &state->windows[i]);
    begin_line(json, "end");
    end_line(json);
}

int state_encode(char **ret, size_t *ret_len, const State *state)
{
    _cleanup_(freep) char *text = NULL;
    JsonText json = {};
    size_t len;
    int r;

    put_state(&json, state);
    r = json_text_end(&json, &text, &len);
    if (r < 0)
        return r;
    if (len > STATE_SIZE_MAX)
        return -EMSGSIZE;

    *ret = TAKE_PTR(text);
    *ret_len = len;
    return 0;
}

/* decode */

/* One line, whose fields are taken one by one; what is not of its form makes
 * all of it bad. */
typedef struct Fields {
    json_t *line;
    size_t n_taken;
    bool bad;
} Fields;

static json_t *take(Fields *fields, const char *key)
{
    json_t *value = json_object_get(fields->line, key);

    fields->n_taken++;
    if (!value)
        fields->bad = true;
    return value;
}

static uint64_t take_number(Fields *fields, const char *key, uint64_t max)
{
    json_t *value = take(fields, key);
    json_int_t n = json_integer_value(value);

    if (json_is_integer(value) && n == FOREVER && max == UINT64_MAX)
        return UINT64_MAX;
    if (!json_is_integer(value) || n < 0 || (uint64_t) n > max) {
        fields->bad = true;
        return 0;
    }
    return (uint64_t) n;
}

static bool take_bool(Fields *fields, const char *key)
{
    json_t *value = take(fields, key);

    if (!json_is_boolean(value))
        fields->bad = true;
    return json_is_true(value);
}

/* "" is no qube. */
static QubeName take_qube(Fields *fields, const char *key)
{
    json_t *value = take(fields, key);
    QubeName name = {};

    if (!json_is_string(value) ||
        (json_string_length(value) > 0 &&
         !qube_name_parse(&name, json_string_value(value),
                          json_string_length(value))))
        fields->bad = true;
    return name;
}

static void take_close(Fields *fields, StatePlug *plug)
{
    json_t *list = take(fields, "close");
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > DEVICE_CLOSE_MAX) {
        fields->bad = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(list, i);

        if (!json_is_string(name) ||
            !qube_name_parse(&plug->close[i], json_string_value(name),
                             json_string_length(name)))
            fields->bad = true;
    }
}

static BootId take_boot_id(Fields *fields, const char *key)
{
    json_t *value = take(fields, key);
    BootId boot_id = {};

    if (!json_is_string(value) ||
        (json_string_length(value) > 0 &&
         !boot_id_parse(&boot_id, json_string_value(value),
                        json_string_length(value))))
        fields->bad = true;
    return boot_id;
}

static RuleName take_rule(Fields *fields, const char *key)
{
    json_t *value = take(fields, key);
    RuleName name = {};

    if (!json_is_string(value) ||
        (json_string_length(value) > 0 &&
         !rule_name_parse(&name, json_string_value(value),
                          json_string_length(value))))
        fields->bad = true;
    return name;
}

static DeviceName take_port(Fields *fields, const char *key)
{
    json_t *value = take(fields, key);
    DeviceName port = {};

    if (!json_is_string(value) ||
        (json_string_length(value) > 0 &&
         !device_name_parse(&port, DEVICE_CLASS_USB, json_string_value(value),
                            json_string_length(value))))
        fields->bad = true;
    return port;
}

/* All fields were of their form, and there were no others. */
static bool fields_are_good(const Fields *fields)
{
    return !fields->bad && json_object_size(fields->line) == fields->n_taken;
}

typedef struct Reader {
    State *state;
    StateSource *source; /* the last one; NULL before the first */
    StatePlug *plug;     /* its record is the next line */
    bool ended;
    const char *error;
} Reader;

#define REFUSE(reader, sentence)      \
    do {                              \
        (reader)->error = (sentence); \
        return -EBADMSG;              \
    } while (0)

static int read_state(Reader *reader, Fields *fields)
{
    uint64_t version = take_number(fields, "version", STATE_VERSION);

    if (fields->bad || version != STATE_VERSION)
        REFUSE(reader, "it is of another version");
    reader->state->boot_id = take_boot_id(fields, "boot_id");
    reader->state->last_plug = take_number(fields, "last_plug", INT64_MAX);
    reader->state->paused_until_usec =
        take_number(fields, "paused_until", UINT64_MAX);
    return 0;
}

static int read_source(Reader *reader, Fields *fields)
{
    int r = state_add_source(reader->state, &reader->source);

    if (r < 0)
        REFUSE(reader, "there are too many sources");
    reader->source->name = take_qube(fields, "name");
    reader->source->boot_id = take_boot_id(fields, "boot_id");
    reader->source->n_noes =
        (uint32_t) take_number(fields, "n_noes", UINT32_MAX);
    reader->source->no_usec = take_number(fields, "no", INT64_MAX);
    reader->source->quiet_usec = take_number(fields, "quiet", INT64_MAX);
    reader->source->resumed_usec = take_number(fields, "resumed", INT64_MAX);
    if (reader->source->name.s[0] == '\0')
        REFUSE(reader, "a source has no name");
    for (size_t i = 0; i + 1 < reader->state->n_sources; i++)
        if (qube_name_equal(&reader->state->sources[i].name,
                            &reader->source->name))
            REFUSE(reader, "a source comes twice");
    return 0;
}

static int read_plug(Reader *reader, Fields *fields)
{
    StatePlug *plug;
    int r;

    if (!reader->source)
        REFUSE(reader, "a device has no source");
    r = state_add_plug(reader->source, &plug);
    if (r == -ENOBUFS)
        REFUSE(reader, "there are too many devices");
    if (r < 0)
        return r;

    plug->plug = take_number(fields, "plug", INT64_MAX);
    plug->plugged = take_bool(fields, "plugged");
    plug->lineage = take_number(fields, "lineage", INT64_MAX);
    plug->usb_lineage = take_number(fields, "usb_lineage", INT64_MAX);
    plug->detached_by_user = take_bool(fields, "detached_by_user");
    plug->refused_by_user = take_bool(fields, "refused_by_user");
    plug->stopped = take_qube(fields, "stopped");
    plug->came_usec = take_number(fields, "came", INT64_MAX);
    plug->holding = (Holding) take_number(fields, "holding", HOLDING_DEVICE);
    plug->held_by = take_qube(fields, "held_by");
    plug->held_template = take_qube(fields, "held_template");
    plug->held_rule = take_rule(fields, "held_rule");
    plug->made = take_qube(fields, "made");
    plug->held_before = take_bool(fields, "held_before");
    plug->detach_told = take_bool(fields, "detach_told");
    take_close(fields, plug);
    plug->gone_usec = take_number(fields, "gone", INT64_MAX);
    plug->detached_usec = take_number(fields, "detached", INT64_MAX);
    plug->usb = take_port(fields, "usb");
    plug->missing_from = take_qube(fields, "missing_from");
    plug->removed = take_bool(fields, "removed");
    plug->replaced = take_bool(fields, "replaced");
    plug->open = take_bool(fields, "open");
    if (plug->holding != HOLDING_NOTHING && plug->held_by.s[0] == '\0')
        REFUSE(reader, "a device is held by nobody");
    reader->plug = plug;
    return 0;
}

static int read_disposable(Reader *reader, Fields *fields)
{
    State *state = reader->state;
    QubeName name = take_qube(fields, "name");

    if (state->n_disposables == STATE_DISPOSABLES_MAX)
        REFUSE(reader, "there are too many disposables");
    if (name.s[0] == '\0')
        REFUSE(reader, "a disposable has no name");
    state->disposables[state->n_disposables++] = name;
    return 0;
}

static int read_window(Reader *reader, Fields *fields)
{
    State *state = reader->state;

    if (state->n_windows == STATE_WINDOWS_MAX)
        REFUSE(reader, "there are too many windows");
    state->windows[state->n_windows++] =
        (StateWindow){ .source = take_qube(fields, "source"),
                       .opened_usec =
                           take_number(fields, "opened", INT64_MAX) };
    return 0;
}

static int read_end(Reader *reader, Fields *fields)
{
    (void) fields;

    reader->ended = true;
    return 0;
}

static int read_fields(Reader *reader, json_t *line, bool first)
{
    static const struct {
        const char *type;
        int (*read)(Reader *reader, Fields *fields);
    } types[] = {
        { "state", read_state },   { "source", read_source },
        { "plug", read_plug },     { "disposable", read_disposable },
        { "window", read_window }, { "end", read_end },
    };
    Fields fields = { .line = line };
    const char *type = json_string_value(take(&fields, "type"));

    for (size_t i = 0; type && i < ARRAY_SIZE(types); i++) {
        int r;

        if (strcmp(types[i].type, type) != 0 || (i == 0) != first)
            continue;
        r = types[i].read(reader, &fields);
        if (r < 0)
            return r;
        if (!fields_are_good(&fields))
            REFUSE(reader, "a line has a wrong field");
        return 0;
    }
    REFUSE(reader, first ? "it is not a state file" : "a line is of no kind");
}

static int read_record(Reader *reader, const char *line, size_t len)
{
    _cleanup_(freep) WireMessage *message = calloc(1, sizeof(*message));
    StatePlug *plug = TAKE_PTR(reader->plug);

    if (!message)
        return -ENOMEM;
    if (wire_decode(message, line, len, NULL) != STATUS_INVALID ||
        message->type != WIRE_EVENT || message->record.action != RECORD_PRESENT)
        REFUSE(reader, "a device has no record");
    plug->record = message->record;
    return 0;
}

static int read_line(Reader *reader, const char *line, size_t len, bool first)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    int r;

    if (reader->ended)
        REFUSE(reader, "something follows its end");
    if (len > LINE_MAX)
        REFUSE(reader, "a line is too long");
    if (reader->plug)
        return read_record(reader, line, len);
    r = json_parse_object(&json, line, len);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        REFUSE(reader, "a line is not one JSON object");
    return read_fields(reader, json, first);
}

int state_decode(State **ret,
                 const char *untrusted_text,
                 size_t untrusted_len,
                 size_t *ret_line,
                 const char **ret_error)
{
    _cleanup_(state_freep) State *state = NULL;
    Reader reader = { .error = "it is too large" };
    const char *at = untrusted_text, *end = untrusted_text + untrusted_len;
    size_t line = 0;
    int r = state_new(&state);

    if (r < 0)
        return r;
    reader.state = state;
    r = untrusted_len > STATE_SIZE_MAX ? -EBADMSG : 0;
    while (r >= 0 && at < end) {
        const char *newline = memchr(at, '\n', (size_t) (end - at));

        line++;
        if (!newline)
            break;
        r = read_line(&reader, at, (size_t) (newline - at), line == 1);
        at = newline + 1;
    }
    if (r >= 0 && (!reader.ended || at < end)) {
        reader.error = "its end is missing";
        r = -EBADMSG;
    }
    if (r < 0) {
        if (ret_line)
            *ret_line = line;
        if (ret_error)
            *ret_error = reader.error;
        return r;
    }

    *ret = TAKE_PTR(state);
    return 0;
}
