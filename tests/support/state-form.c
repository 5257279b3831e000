/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdlib.h>

#include "tests/support/json-input.h"
#include "tests/support/names.h"
#include "tests/support/record-form.h"
#include "tests/support/state-form.h"

#define FILE_MAX        ((size_t) 64 * 1024 * 1024)
#define LINE_MAX        8192U
#define VERSION         1
#define SOURCES_MAX     16U
#define PLUGS_MAX       640U
#define DISPOSABLES_MAX 64U
#define WINDOWS_MAX     8U
#define CLOSE_MAX       4U
#define BOOT_ID         32U
#define RULE_MAX        31U

typedef enum Kind {
    KIND_NUMBER,
    KIND_NUMBER_32,
    KIND_TIME, /* -1: never */
    KIND_BOOL,
    KIND_QUBE, /* this and those below also "" */
    KIND_BOOT,
    KIND_RULE,
    KIND_PORT,
    KIND_HOLDING,
    KIND_CLOSE,
} Kind;

typedef struct Field {
    const char *name;
    Kind kind;
} Field;

static const Field state_fields[] = {
    { "version", KIND_NUMBER },
    { "boot_id", KIND_BOOT },
    { "last_plug", KIND_NUMBER },
    { "paused_until", KIND_TIME },
};
static const Field source_fields[] = {
    { "name", KIND_QUBE },        { "boot_id", KIND_BOOT },
    { "n_noes", KIND_NUMBER_32 }, { "no", KIND_NUMBER },
    { "quiet", KIND_NUMBER },     { "resumed", KIND_NUMBER },
};
static const Field plug_fields[] = {
    { "plug", KIND_NUMBER },
    { "plugged", KIND_BOOL },
    { "lineage", KIND_NUMBER },
    { "usb_lineage", KIND_NUMBER },
    { "detached_by_user", KIND_BOOL },
    { "refused_by_user", KIND_BOOL },
    { "stopped", KIND_QUBE },
    { "came", KIND_NUMBER },
    { "holding", KIND_HOLDING },
    { "held_by", KIND_QUBE },
    { "held_template", KIND_QUBE },
    { "held_rule", KIND_RULE },
    { "made", KIND_QUBE },
    { "held_before", KIND_BOOL },
    { "detach_told", KIND_BOOL },
    { "close", KIND_CLOSE },
    { "gone", KIND_NUMBER },
    { "detached", KIND_NUMBER },
    { "usb", KIND_PORT },
    { "missing_from", KIND_QUBE },
    { "removed", KIND_BOOL },
    { "replaced", KIND_BOOL },
    { "open", KIND_BOOL },
};
static const Field disposable_fields[] = { { "name", KIND_QUBE } };
static const Field window_fields[] = { { "source", KIND_QUBE },
                                       { "opened", KIND_NUMBER } };

static const struct {
    const char *type;
    const Field *fields;
    size_t n_fields;
} types[] = {
    { "state", state_fields, ARRAY_SIZE(state_fields) },
    { "source", source_fields, ARRAY_SIZE(source_fields) },
    { "plug", plug_fields, ARRAY_SIZE(plug_fields) },
    { "disposable", disposable_fields, ARRAY_SIZE(disposable_fields) },
    { "window", window_fields, ARRAY_SIZE(window_fields) },
    { "end", NULL, 0 },
};

/* What was read so far. */
typedef struct Place {
    char *sources[SOURCES_MAX]; /* owned */
    size_t n_sources;
    size_t n_plugs; /* of the last source */
    size_t n_disposables;
    size_t n_windows;
    size_t n_lines;
    bool awaits_record;
    bool ended;
} Place;

/* "" if it is no text. */
static Bytes text_of(const json_t *value)
{
    const char *text = json_string_value(value);

    return (Bytes){ text ? text : "", json_string_length(value) };
}

static bool is_between(const json_t *value, int64_t min, int64_t max)
{
    return json_is_integer(value) && json_integer_value(value) >= min &&
           json_integer_value(value) <= max;
}

static bool is_boot(Bytes text)
{
    return text.len == BOOT_ID && bytes_are_all_of(text, HEX);
}

static bool is_rule(Bytes text)
{
    return text.len > 0 && text.len <= RULE_MAX &&
           bytes_are_all_of((Bytes){ text.start, 1 }, LETTERS) &&
           bytes_are_all_of(text, LETTERS DIGITS "_-");
}

static bool is_close(const json_t *list)
{
    const size_t n = json_array_size(list);

    for (size_t i = 0; i < n; i++) {
        const json_t *qube = json_array_get(list, i);

        if (!json_is_string(qube) || !name_is_qube(text_of(qube)))
            return false;
    }
    return json_is_array(list) && n <= CLOSE_MAX;
}

static bool is_of_kind(const json_t *value, Kind kind)
{
    const Bytes text = text_of(value);
    const bool is_empty = json_is_string(value) && text.len == 0;

    switch (kind) {
    case KIND_NUMBER:
        return is_between(value, 0, INT64_MAX);
    case KIND_NUMBER_32:
        return is_between(value, 0, UINT32_MAX);
    case KIND_TIME:
        return is_between(value, -1, INT64_MAX);
    case KIND_BOOL:
        return json_is_boolean(value);
    case KIND_QUBE:
        return is_empty || name_is_qube(text);
    case KIND_BOOT:
        return is_empty || is_boot(text);
    case KIND_RULE:
        return is_empty || is_rule(text);
    case KIND_PORT:
        return is_empty || name_is_port(text);
    case KIND_HOLDING:
        return is_between(value, 0, 2);
    case KIND_CLOSE:
        return is_close(value);
    }
    return false;
}

/* The type of a line whose fields are of its form; "" if it has none. */
static const char *type_of(const json_t *line)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        bool good = json_object_size(line) == 1 + types[i].n_fields;

        if (!json_says(line, "type", types[i].type))
            continue;
        for (size_t k = 0; k < types[i].n_fields; k++)
            good = good &&
                   is_of_kind(json_object_get(line, types[i].fields[k].name),
                              types[i].fields[k].kind);
        return good ? types[i].type : "";
    }
    return "";
}

static bool takes_source(Place *place, const json_t *line)
{
    const char *name = json_text(line, "name");

    for (size_t i = 0; i < place->n_sources; i++)
        if (strcmp(place->sources[i], name) == 0)
            return false;
    if (name[0] == '\0' || place->n_sources == SOURCES_MAX)
        return false;
    place->sources[place->n_sources] = strdup(name);
    assert(place->sources[place->n_sources]);
    place->n_sources++;
    place->n_plugs = 0;
    return true;
}

static bool takes_plug(Place *place, const json_t *line)
{
    const json_t *holding = json_object_get(line, "holding");

    place->awaits_record = true;
    return place->n_sources > 0 && place->n_plugs++ < PLUGS_MAX &&
           (json_integer_value(holding) == 0 ||
            json_text(line, "held_by")[0] != '\0');
}

static bool takes_line(Place *place, const json_t *line)
{
    const char *type = type_of(line);

    if (place->n_lines++ == 0)
        return strcmp(type, "state") == 0 &&
               is_between(json_object_get(line, "version"), VERSION, VERSION);
    if (place->awaits_record) {
        place->awaits_record = false;
        return form_of_line(line) == STATUS_INVALID &&
               json_says(line, "type", "event") &&
               json_says(line, "action", "present");
    }
    if (strcmp(type, "source") == 0)
        return takes_source(place, line);
    if (strcmp(type, "plug") == 0)
        return takes_plug(place, line);
    if (strcmp(type, "disposable") == 0)
        return json_text(line, "name")[0] != '\0' &&
               place->n_disposables++ < DISPOSABLES_MAX;
    if (strcmp(type, "window") == 0)
        return place->n_windows++ < WINDOWS_MAX;
    place->ended = strcmp(type, "end") == 0;
    return place->ended;
}

bool form_is_state(Bytes text)
{
    bool good = text.len > 0 && text.len <= FILE_MAX &&
                text.start[text.len - 1] == '\n';
    Place place = {};

    while (good && text.len > 0) {
        Bytes line = bytes_before(text, '\n', &text);
        json_t *json =
            line.len <= LINE_MAX ? json_input(line.start, line.len) : NULL;

        good = json && !place.ended && takes_line(&place, json);
        json_decref(json);
    }
    for (size_t i = 0; i < place.n_sources; i++)
        free(place.sources[i]);
    return good && place.ended;
}
