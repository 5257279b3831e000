/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * View: what the daemon answers, for a person
 *
 * What is printed from here went through show_text(). A member that is missing,
 * as with a daemon of another version, is taken as empty or zero. What a device
 * says of itself is between double quotes, which it cannot end.
 */

#include <jansson.h>

#include "dom0/ctl/screen.h"
#include "dom0/ctl/show.h"

#define VIEW_INDENT 2U
/* rows of one table on a screen; elsewhere a table is printed in such parts */
#define VIEW_ROWS_MAX 64U

/* a name in a table: far more than names of today have */
#define CELL_COLUMNS 60U
#define CELL_MAX     (4 * CELL_COLUMNS)

typedef struct View {
    Screen screen;
    bool utf8;
    uint64_t now_usec; /* CLOCK_REALTIME */
} View;

typedef struct Cell {
    char s[CELL_MAX + 1];
} Cell;

/* @whole: more than one screenful is fine. */
void view_init(View *ret,
               const Terminal *terminal,
               uint64_t now_usec,
               bool whole);

/* Members of JSON objects: "" and 0 for what is not there. */
const char *member_text(const json_t *object, const char *key);
uint64_t member_number(const json_t *object, const char *key);
bool member_flag(const json_t *object, const char *key);
bool member_is(const json_t *object, const char *key, const char *text);

/* A member's text, safe to print. */
const char *view_shown(const View *view,
                       ShowText *ret,
                       const json_t *object,
                       const char *key);
/* The same for a name, which goes into a table. */
const char *view_cell(const View *view,
                      Cell *ret,
                      const json_t *object,
                      const char *key);
/* The same for the device's own words, which come escaped, in quotes; "" if
 * there are none. */
const char *view_words(const View *view,
                       Cell *ret,
                       const json_t *object,
                       const char *key);
const char *view_count(Cell *ret, const json_t *object, const char *key);
/* "sys-usb:sda" of an object that has source and device */
const char *view_device(const View *view, Cell *ret, const json_t *object);

/* One object, in ASCII, on one line. */
void view_json(Terminal *terminal, const json_t *json);

/* A text on as many lines as it takes, see screen_text(). */
void view_print(View *view,
                Style style,
                size_t indent,
                size_t hang,
                const char *format,
                ...) _printf_(5, 6);
void view_heading(View *view, const char *text);
