/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * RuleShape: which devices a rule takes, to compare rules with each other
 *
 * What a rule asks of one property (or of a few that hang together) does not
 * depend on the others: such a part is a *facet*. A device is taken if it fits
 * every facet, so rules are compared facet by facet: see rule-cover.
 */

#include "dom0/core/rule-condition.h"
#include "dom0/core/rule.h"

typedef enum RuleFacet {
    RULE_FACET_ID,
    RULE_FACET_SERIAL,
    RULE_FACET_VENDOR,
    RULE_FACET_MODEL,
    RULE_FACET_REVISION,
    RULE_FACET_PATH,
    RULE_FACET_INTERFACES,
    /* of block devices only, from here on */
    RULE_FACET_NAME,
    RULE_FACET_KIND, /* devtype and partition */
    RULE_FACET_FS_TYPE,
    RULE_FACET_FS_UUID,
    RULE_FACET_FS_LABEL,
    RULE_FACET_PART_UUID,
    RULE_FACET_PART_LABEL,
    RULE_FACET_REMOVABLE,
    RULE_FACET_SIZE,
} RuleFacet;
#define N_RULE_FACETS     (RULE_FACET_SIZE + 1)
#define RULE_FACET_BIT(f) (UINT32_C(1) << (f))
#define RULE_PARTITIONS   256U /* by number; 0: it has none */
#define RULE_KINDS_WORDS  (RULE_PARTITIONS / 64U)

typedef enum RuleRemovable {
    RULE_REMOVABLE_NO,
    RULE_REMOVABLE_YES,
    RULE_REMOVABLE_UNKNOWN, /* the device does not say */
} RuleRemovable;

typedef struct RulePrefix {
    uint64_t bytes;
    uint64_t mask; /* 0xff for each byte that is known */
} RulePrefix;

typedef struct RuleShape {
    RuleClass class;
    const QubeName *sources; /* none: any */
    size_t n_sources;
    const Condition *conditions;
    size_t n_conditions;

    uint32_t facets; /* those that have a condition */
    uint32_t needed; /* those of which a device must have the property */
    /* to leave out quickly what cannot meet: of facets that ask for one text a
     * hash of it, and what all texts begin with */
    uint32_t hashed;
    uint32_t prefixed;
    uint32_t hashes[N_RULE_FACETS];
    RulePrefix prefixes[N_RULE_FACETS];

    /* by DeviceType (0: it has none), then a bit for each partition */
    uint64_t kinds[DEVICE_TYPE_USB_DEVICE + 1][RULE_KINDS_WORDS];
    bool removable[RULE_REMOVABLE_UNKNOWN + 1];
    int64_t size_min;
    int64_t size_max;
    bool size_unknown; /* takes a device that has no size */
} RuleShape;

RuleFacet rule_facet_of(ConditionKey key);

/* What the rule takes; the rule must outlive it. */
void rule_shape_of(RuleShape *ret, const Rule *rule);

/*
 * What meets all of these conditions, which must outlive it. Those on
 * properties that only block devices have are passed over for RULE_CLASS_USB.
 */
void rule_shape_of_conditions(RuleShape *ret,
                              RuleClass class,
                              const Condition *conditions,
                              size_t n_conditions);

/* Leave out partitions, as a rule does that means whole disks. */
void rule_shape_keep_disks(RuleShape *shape);
