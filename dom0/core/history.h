/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Bounded history of outcomes
 *
 * A ring of fixed capacity, newest last. When it is full the oldest entry is
 * dropped and counted, so a status query can say how much it no longer shows.
 * The ring never allocates after history_new(); history_add() cannot fail.
 */

#include "common/device.h"
#include "common/qube-name.h"
#include "common/status.h"
#include "dom0/core/device-label.h"
#include "dom0/core/rule.h"

#define HISTORY_CAPACITY   256U
#define HISTORY_DETAIL_MAX 255U

typedef struct History History;

typedef struct HistoryEntry {
    uint64_t serial;    /* given by history_add(), starts at 1 */
    uint64_t when_usec; /* CLOCK_REALTIME */
    uint64_t duration_usec;
    QubeName source;
    DeviceClass class;
    DeviceName device;
    RuleName rule;                       /* "" if none matched */
    char target[TARGET_STRING_MAX + 1];  /* "" if none was chosen */
    Status status;                       /* for dom0: not what was told */
    char detail[HISTORY_DETAIL_MAX + 1]; /* escaped; "" if there is none */
    DeviceLabel label;                   /* the device's own words */
} HistoryEntry;

int history_new(History **ret, size_t capacity);
History *history_free(History *history);

void history_add(History *history, const HistoryEntry *entry);

size_t history_count(const History *history);
uint64_t history_dropped(const History *history);
/* of the newest entry; 0 if there never was one */
uint64_t history_last_serial(const History *history);

/* The entry of this serial, or NULL if it is not kept. */
const HistoryEntry *history_find(const History *history, uint64_t serial);

/* @index 0 is the oldest entry kept; @index must be < history_count(). */
const HistoryEntry *history_get(const History *history, size_t index);

DEFINE_CLEANUP(History *, history_free)
