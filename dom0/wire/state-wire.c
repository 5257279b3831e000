/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/wire/json.h"
#include "common/wire/record-wire.h"
#include "dom0/wire/state-wire.h"

/* in the file, for UINT64_MAX: a pause without an end */
#define FOREVER (-1)

/* what a line with a name, or a plug, at most takes */
#define LINE_MAX WIRE_LINE_MAX

/* encode */

typedef struct Writer {
    char *text;
    size_t len;
    size_t size;
    int64_t seq; /* of the records */
} Writer;

static int append(Writer *writer, const char *line, size_t len)
{
    if (len > STATE_SIZE_MAX - writer->len)
        return -EMSGSIZE;
    if (writer->size - writer->len < len) {
        size_t size = 2 * (writer->len + len);
        char *text = realloc(writer->text, size);

        if (!text)
            return -ENOMEM;
        writer->text = text;
        writer->size = size;
    }
    assert(writer->text); /* a line is not empty */
    memcpy(writer->text + writer->len, line, len);
    writer->len += len;
    return 0;
}

/* Takes over @json, which may be NULL: -ENOMEM then. */
static int put(Writer *writer, json_t *json)
{
    _cleanup_(freep) char *line = NULL;
    size_t len;
    int r = json_to_line(&line, &len, json);

    return r < 0 ? r : append(writer, line, len);
}

static int put_record(Writer *writer, const Record *record)
{
    _cleanup_(freep) char *line = NULL;
    size_t len;
    int r = wire_encode_event(&line, &len, ++writer->seq, record);

    return r < 0 ? r : append(writer, line, len);
}

static json_t *number(uint64_t value)
{
    return json_integer(value == UINT64_MAX ? FOREVER : (json_int_t) value);
}

static int put_plug(Writer *writer, const StatePlug *plug)
{
    int r = put(
        writer,
        json_pack("{s:s, s:o, s:b, s:o, s:o, s:b, s:b, s:s, s:o, s:i, s:s, "
                  "s:s, s:s, s:b, s:b, s:b, s:s, s:o, s:o, s:s, s:s, s:b, s:b}",
                  "type", "plug", "plug", number(plug->plug), "plugged",
                  plug->plugged, "lineage", number(plug->lineage),
                  "usb_lineage", number(plug->usb_lineage), "detached_by_user",
                  plug->detached_by_user, "refused_by_user",
                  plug->refused_by_user, "stopped", plug->stopped.s, "came",
                  number(plug->came_usec), "holding", (int) plug->holding,
                  "held_by", plug->held_by.s, "held_template",
                  plug->held_template.s, "held_rule", plug->held_rule.s, "made",
                  plug->made, "held_before", plug->held_before, "detach_told",
                  plug->detach_told, "close", plug->close.s, "gone",
                  number(plug->gone_usec), "detached",
                  number(plug->detached_usec), "usb", plug->usb.s,
                  "missing_from", plug->missing_from.s, "removed",
                  plug->removed, "open", plug->open));

    return r < 0 ? r : put_record(writer, &plug->record);
}

static int put_source(Writer *writer, const StateSource *source)
{
    int r = put(writer,
                json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "type",
                          "source", "name", source->name.s, "boot_id",
                          source->boot_id.s, "n_noes", number(source->n_noes),
                          "no", number(source->no_usec), "quiet",
                          number(source->quiet_usec), "resumed",
                          number(source->resumed_usec)));

    for (size_t i = 0; i < source->n_plugs && r >= 0; i++)
        r = put_plug(writer, &source->plugs[i]);
    return r;
}

static int put_state(Writer *writer, const State *state)
{
    int r = put(writer,
                json_pack("{s:s, s:i, s:s, s:o, s:o}", "type", "state",
                          "version", STATE_VERSION, "boot_id", state->boot_id.s,
                          "last_plug", number(state->last_plug), "paused_until",
                          number(state->paused_until_usec)));

    for (size_t i = 0; i < state->n_sources && r >= 0; i++)
        r = put_source(writer, &state->sources[i]);
    for (size_t i = 0; i < state->n_disposables && r >= 0; i++)
        r = put(writer, json_pack("{s:s, s:s}", "type", "disposable", "name",
                                  state->disposables[i].s));
    for (size_t i = 0; i < state->n_windows && r >= 0; i++)
        r = put(writer, json_pack("{s:s, s:s, s:o}", "type", "window", "source",
                                  state->windows[i].source.s, "opened",
                                  number(state->windows[i].opened_usec)));
    return r < 0 ? r : put(writer, json_pack("{s:s}", "type", "end"));
}

int state_encode(char **ret, size_t *ret_len, const State *state)
{
    Writer writer = {};
    int r = put_state(&writer, state);

    if (r < 0) {
        free(writer.text);
        return r;
    }

    *ret = writer.text;
    *ret_len = writer.len;
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
    plug->made = take_bool(fields, "made");
    plug->held_before = take_bool(fields, "held_before");
    plug->detach_told = take_bool(fields, "detach_told");
    plug->close = take_qube(fields, "close");
    plug->gone_usec = take_number(fields, "gone", INT64_MAX);
    plug->detached_usec = take_number(fields, "detached", INT64_MAX);
    plug->usb = take_port(fields, "usb");
    plug->missing_from = take_qube(fields, "missing_from");
    plug->removed = take_bool(fields, "removed");
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
