/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <inttypes.h>
#include <string.h>

#include "common/record.h"
#include "common/sys/clock.h"
#include "common/text.h"
#include "dom0/ctl/client.h"
#include "dom0/ctl/commands.h"
#include "dom0/ctl/view.h"

#define NAME_COLUMNS 14U /* of a property, in the long form */

static const char help[] =
    "Usage: " CTL_NAME " devices [--json] [-q | -v] [--socket PATH]\n"
    "\n"
    "Show all devices that are plugged in, as their USB qubes tell of them: "
    "what\n"
    "they are, how large, which qube has them, and the rule that takes them "
    "by the\n"
    "rules in force. What a device says of itself is shown between double "
    "quotes;\n"
    "it proves nothing.\n"
    "\n"
    "Options:\n"
    "      --json         one JSON object in ASCII with the list \"devices\"; "
    "their\n"
    "                     form is that of ListDevices in\n"
    "                     org.qubes-contrib.autoattach\n"
    "  -q, --quiet        their names only\n"
    "  -v, --verbose      all that is known of each, by the names that rules "
    "use\n"
    "      --socket PATH  the daemon's control socket, if it is not\n"
    "                     " CTL_SOCKET_DEFAULT "\n"
    "\n"
    "Exit status: 0 if the daemon answered, 5 if not, 64 for wrong usage.\n"
    "\n"
    "Example:\n"
    "  " CTL_NAME " devices -v\n";

typedef struct DeviceCells {
    Cell device;
    Cell id;
    Cell name;
    Cell size;
    Cell attached;
    Cell rule;
} DeviceCells;
#define N_CELLS 6U

/* "0781:5581" */
static const char *show_id(const View *view, Cell *ret, const json_t *device)
{
    const json_t *properties = json_object_get(device, "properties");
    Cell vendor, product;

    view_cell(view, &vendor, properties, "vendor_id");
    view_cell(view, &product, properties, "product_id");
    ret->s[0] = '\0';
    if (vendor.s[0] && product.s[0])
        (void) text_format(ret->s, sizeof(ret->s), "%s:%s", vendor.s,
                           product.s);
    return ret->s;
}

static const char *show_size(Cell *ret, const json_t *device)
{
    ShowText bytes;

    ret->s[0] = '\0';
    if (json_is_integer(json_object_get(device, "size")))
        (void) text_format(ret->s, sizeof(ret->s), "%s",
                           show_bytes(&bytes, member_number(device, "size")));
    return ret->s;
}

/* "stick", or "no-hid (deny)" for what does not simply attach */
static const char *show_rule(const View *view, Cell *ret, const json_t *device)
{
    const json_t *rule = json_object_get(device, "rule");
    Cell name, action;

    view_cell(view, &name, rule, "name");
    view_cell(view, &action, rule, "action");
    if (name.s[0] == '\0' || member_is(rule, "action", "allow"))
        (void) text_format(ret->s, sizeof(ret->s), "%s",
                           name.s[0] ? name.s : "(none)");
    else
        (void) text_format(ret->s, sizeof(ret->s), "%s (%s)", name.s, action.s);
    return ret->s;
}

static void fill_row(const View *view,
                     ScreenRow row,
                     DeviceCells *cells,
                     const json_t *device)
{
    row[0] = view_device(view, &cells->device, device);
    row[1] = show_id(view, &cells->id, device);
    row[2] = view_words(view, &cells->name, device, "label");
    row[3] = show_size(&cells->size, device);
    row[4] = view_cell(view, &cells->attached, device, "attached_to");
    row[5] = show_rule(view, &cells->rule, device);
}

static bool is_heard(const json_t *source)
{
    return member_flag(source, "forwarder") ||
           member_number(source, "n_connections") > 0;
}

static bool any_is_heard(const json_t *status)
{
    const json_t *source;
    size_t index;

    json_array_foreach(json_object_get(status, "sources"), index, source)
    {
        if (is_heard(source))
            return true;
    }
    return false;
}

/* What is listed of a source whose forwarder has gone is what was last told. */
static void tell_unheard(const json_t *status)
{
    const json_t *source;
    size_t index;

    json_array_foreach(json_object_get(status, "sources"), index, source)
    {
        ShowText name;

        if (member_number(source, "n_devices") > 0 && !is_heard(source))
            (void) fprintf(
                stderr,
                CTL_NAME ": %s has no forwarder, what is plugged in "
                         "there now is not seen; look at: " CTL_NAME
                         " status\n",
                show_text(&name, member_text(source, "name"), false));
    }
}

static int print_table(View *view, const json_t *devices, const json_t *status)
{
    size_t n = json_array_size(devices);
    _cleanup_(freep) DeviceCells *cells = calloc(n + 1, sizeof(*cells));
    _cleanup_(freep) ScreenRow *rows = calloc(n + 1, sizeof(*rows));

    if (!cells || !rows) {
        (void) fputs(CTL_NAME ": out of memory\n", stderr);
        return CTL_EXIT_UNREACHABLE;
    }
    if (n == 0) {
        view_print(view, STYLE_PLAIN, 0, 0, "no devices are reported%s",
                   status && !any_is_heard(status)
                       ? ": no USB qube has a forwarder; look at: " CTL_NAME
                         " status"
                       : "");
        return CTL_EXIT_OK;
    }

    rows[0][0] = "DEVICE";
    rows[0][1] = "ID";
    rows[0][2] = "NAME";
    rows[0][3] = "SIZE";
    rows[0][4] = "ATTACHED";
    rows[0][5] = "RULE";
    for (size_t i = 0; i < n; i++)
        fill_row(view, rows[i + 1], &cells[i + 1], json_array_get(devices, i));
    screen_table(&view->screen, 0, N_CELLS, rows, n + 1);
    return CTL_EXIT_OK;
}

static void print_names(View *view, const json_t *devices)
{
    const json_t *device;
    size_t index;

    json_array_foreach(devices, index, device)
    {
        Cell name;

        view_print(view, STYLE_PLAIN, 0, 0, "%s",
                   view_device(view, &name, device));
    }
}

/* What rules call a property, as "fs-type" for fs_type. */
static void show_condition(const View *view, ShowText *ret, const char *key)
{
    if (strcmp(key, "devtype") == 0)
        key = "type";
    else if (strcmp(key, "interfaces") == 0)
        key = "interface";
    show_text(ret, key, view->utf8);
    for (char *c = ret->s; *c; c++)
        if (*c == '_')
            *c = '-';
}

/* One property, as "  serial         "4C530001"" */
static void print_property(View *view, const char *key, const json_t *value)
{
    char text[2 * SHOW_TEXT_MAX];
    ShowText name, shown;

    show_condition(view, &name, key);
    if (json_is_string(value))
        show_quoted(&shown, json_string_value(value), view->utf8);
    else if (json_is_integer(value))
        (void) text_format(shown.s, sizeof(shown.s), "%" JSON_INTEGER_FORMAT,
                           json_integer_value(value));
    else if (json_is_boolean(value))
        (void) text_format(shown.s, sizeof(shown.s), "%s",
                           json_is_true(value) ? "yes" : "no");
    else {
        const json_t *item;
        size_t index, len = 0;

        shown.s[0] = '\0';
        json_array_foreach(value, index, item)
        {
            ShowText one;

            show_text(&one, json_string_value(item), view->utf8);
            len += text_format(shown.s + len, sizeof(shown.s) - len, "%s%s",
                               index > 0 ? " " : "", one.s);
        }
    }
    (void) text_format(text, sizeof(text), "%-*s %s", (int) NAME_COLUMNS,
                       name.s, shown.s);
    screen_text(&view->screen, STYLE_PLAIN, VIEW_INDENT,
                VIEW_INDENT + NAME_COLUMNS + 1, text);
}

static bool is_half_of_id(const char *key)
{
    return strcmp(key, "vendor_id") == 0 || strcmp(key, "product_id") == 0;
}

/* What rules do not call a type: a USB device is of class usb. */
static bool is_usb_type(const char *key, const json_t *value)
{
    return strcmp(key, "devtype") == 0 &&
           strcmp(json_string_value(value),
                  device_type_to_string(DEVICE_TYPE_USB_DEVICE)) == 0;
}

static void print_fact(View *view, const char *name, const char *text)
{
    view_print(view, STYLE_PLAIN, VIEW_INDENT, VIEW_INDENT + NAME_COLUMNS + 1,
               "%-*s %s", (int) NAME_COLUMNS, name, text);
}

static void print_where(View *view, const json_t *device)
{
    Cell target, rule, file;
    const json_t *taker = json_object_get(device, "rule");
    char text[SHOW_TEXT_MAX];

    view_cell(view, &target, device, "attached_to");
    view_cell(view, &rule, device, "attached_by");
    if (target.s[0]) {
        (void) text_format(text, sizeof(text), "%s%s%s", target.s,
                           rule.s[0] ? ", by rule " : "", rule.s);
        print_fact(view, "attached to", text);
    }
    if (json_is_object(taker)) {
        (void) text_format(text, sizeof(text), "%s, %s:%" PRIu64,
                           show_rule(view, &rule, device),
                           view_cell(view, &file, taker, "file"),
                           member_number(taker, "line"));
        print_fact(view, "rule", text);
    } else {
        print_fact(view, "rule", "(none)");
    }
}

static void print_state(View *view, const json_t *device)
{
    const json_t *last = json_object_get(device, "last");
    ShowText age, sentence;
    char text[2 * SHOW_TEXT_MAX];
    Cell state;

    view_cell(view, &state, device, "state");
    if (state.s[0])
        print_fact(view, "in work", state.s);
    if (!json_is_object(last))
        return;
    (void) text_format(
        text, sizeof(text), "%s (%s)",
        view_shown(view, &sentence, last, "sentence"),
        show_age(&age, view->now_usec, member_number(last, "time_usec")));
    print_fact(view, "last outcome", text);
}

static void print_whole(View *view, json_t *devices)
{
    json_t *device;
    size_t index;

    json_array_foreach(devices, index, device)
    {
        json_t *properties = json_object_get(device, "properties"), *value;
        Cell name, words, parent, id;
        const char *key;

        view_words(view, &words, device, "label");
        view_print(view, STYLE_STRONG, 0, VIEW_INDENT, "%s%s%s",
                   view_device(view, &name, device), words.s[0] ? " " : "",
                   words.s);
        print_where(view, device);
        print_state(view, device);
        if (view_cell(view, &parent, device, "parent")[0])
            print_fact(view, "part of", parent.s);
        if (show_id(view, &id, device)[0])
            print_fact(view, "id", id.s);
        json_object_foreach(properties, key, value)
        {
            if (!(id.s[0] && is_half_of_id(key)) && !is_usb_type(key, value))
                print_property(view, key, value);
        }
    }
}

static int devices_run(const Arguments *arguments, Terminal *terminal)
{
    _cleanup_(json_decrefp) json_t *devices = NULL, *status = NULL;
    ClientError error;
    int r = CTL_EXIT_OK;
    View view;

    if (client_list(&devices, &error, client_path(arguments), "ListDevices",
                    "devices") < 0)
        return client_complain(&error);

    view_init(&view, terminal, clock_realtime_usec(), true);
    if (arguments_have(arguments, OPTION_JSON)) {
        _cleanup_(json_decrefp) json_t *object =
            json_pack("{s:O}", "devices", devices);

        view_json(terminal, object);
        return CTL_EXIT_OK;
    }
    if (arguments_have(arguments, OPTION_QUIET)) {
        print_names(&view, devices);
        return CTL_EXIT_OK;
    }

    /* the list is good without, too */
    (void) client_call(&status, &error, client_path(arguments), "GetStatus",
                       json_object());
    if (arguments_have(arguments, OPTION_VERBOSE))
        print_whole(&view, devices);
    else
        r = print_table(&view, devices, status);
    tell_unheard(status);
    return r;
}

const Command devices_command = {
    .name = "devices",
    .summary = "what is plugged in, who has it, which rule takes it",
    .help = help,
    .options = OPTIONS_COMMON | OPTION_BIT(OPTION_SOCKET),
    .operands_max = 0,
    .run = devices_run,
};
