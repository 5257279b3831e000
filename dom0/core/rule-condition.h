/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Condition: `[not] key values`, one of a rule's tests on a record
 *
 * A condition on a property that the record lacks does not match, and `not` of
 * it does.
 */

#include "common/record.h"
#include "dom0/core/glob.h"

#define CONDITION_VALUES_MAX 256U

typedef enum ConditionKey {
    CONDITION_ID,
    CONDITION_SERIAL,
    CONDITION_VENDOR,
    CONDITION_MODEL,
    CONDITION_REVISION,
    CONDITION_PATH,
    CONDITION_INTERFACE,
    CONDITION_ONLY_INTERFACE,
    /* for block devices only, from here on */
    CONDITION_NAME,
    CONDITION_TYPE,
    CONDITION_PARTITION,
    CONDITION_FS_TYPE,
    CONDITION_FS_UUID,
    CONDITION_FS_LABEL,
    CONDITION_PART_UUID,
    CONDITION_PART_LABEL,
    CONDITION_REMOVABLE,
    CONDITION_MIN_SIZE,
    CONDITION_MAX_SIZE,
} ConditionKey;
#define N_CONDITION_KEYS (CONDITION_MAX_SIZE + 1)

/* What a condition's values are. */
typedef enum ConditionForm {
    CONDITION_FORM_TEXT,       /* glob */
    CONDITION_FORM_UUID,       /* glob without regard to case: hex digits */
    CONDITION_FORM_ID,         /* two globs of 4 hex digits */
    CONDITION_FORM_REVISION,   /* glob of 4 hex digits */
    CONDITION_FORM_INTERFACES, /* globs of 6 hex digits */
    CONDITION_FORM_TYPE,       /* DEVICE_TYPE_DISK or _PARTITION */
    CONDITION_FORM_PARTITION,  /* 1..255 */
    CONDITION_FORM_YES_NO,     /* 1 or 0 */
    CONDITION_FORM_SIZE,       /* bytes */
} ConditionForm;

typedef struct ConditionValue {
    Glob glob;      /* of an id: the vendor's half */
    Glob product;   /* of an id only */
    int64_t number; /* of the forms without glob */
} ConditionValue;

/* Immutable once made. */
typedef struct Condition {
    ConditionKey key;
    bool negated;
    const ConditionValue *values; /* one of them has to match */
    size_t n_values;
} Condition;

/* The key as it is written. */
const char *condition_key_name(ConditionKey key);
ConditionForm condition_key_form(ConditionKey key);
/* What it looks at, of an id the first of two; N_PROPERTIES: the name. */
PropertyKey condition_key_property(ConditionKey key);
bool condition_key_is_block_only(ConditionKey key);
/* Whether its globs are made and tested without regard to case. */
bool condition_key_folds(ConditionKey key);

bool condition_match(const Condition *condition, const Record *record);
