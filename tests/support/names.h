/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The forms of names, without a call of common: of qubes and block devices as
 * qubesd takes them, of USB ports as the kernel gives them
 */

#include "tests/support/bytes.h"

/* [a-zA-Z][a-zA-Z0-9_.-]{0,30} */
static inline bool name_is_qube(Bytes text)
{
    return text.len > 0 && text.len <= 31 &&
           bytes_are_all_of((Bytes){ text.start, 1 }, LETTERS) &&
           bytes_are_all_of(text, LETTERS DIGITS "_.-");
}

/* [0-9]+-[0-9]+(\.[0-9]+)*, of up to 31 bytes */
static inline bool name_is_port(Bytes text)
{
    bool good = text.len <= 31;
    Bytes bus = bytes_before(text, '-', &text), number;

    good = good && bus.len > 0 && text.len > 0;
    good = good && bytes_are_all_of(bus, DIGITS);
    good = good && text.start[text.len - 1] != '.';
    while (good && text.len > 0) {
        number = bytes_before(text, '.', &text);
        good = number.len > 0 && bytes_are_all_of(number, DIGITS);
    }
    return good;
}

/* [a-z0-9-]{1,12} */
static inline bool name_is_block(Bytes text)
{
    return text.len > 0 && text.len <= 12 &&
           bytes_are_all_of(text, LOWER DIGITS "-");
}
