/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Service descriptors: what is accepted is one of the two forms, byte for
 * byte, and nothing else is; it is not complete at any byte before. What is not
 * accepted changes nothing.
 */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "dom0/wire/descriptor.h"
#include "tests/fuzz/taken.h"
#include "tests/support/descriptor-form.h"
#include "tests/support/request-header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The source's name can go into headers as it is, at both places. */
static void check_request(const QubeName *source)
{
    const AdminRequest request = { .method = ADMIN_DETACH,
                                   .class = DEVICE_CLASS_BLOCK,
                                   .dest = *source,
                                   .backend = *source,
                                   .port = { "sda" } };

    assert(request_header_is_true(&request));
}

static void check_good(const char *data, const QubeName *source, size_t len)
{
    bool found = false;
    QubeName again;

    assert(qube_name_parse(&again, source->s, strlen(source->s)));
    assert(strcmp(source->s, "dom0") != 0);
    assert(len <= DESCRIPTOR_MAX);
    for (size_t i = 0; i < 2; i++) {
        char text[DESCRIPTOR_MAX + 1];
        int n = i == 0 ? snprintf(text, sizeof(text),
                                  "autoattach.Event+ %s name dom0", source->s)
                       : snprintf(text, sizeof(text),
                                  "autoattach.Event+ %s keyword adminvm",
                                  source->s);

        found |= (size_t) n + 1 == len && memcmp(text, data, len) == 0;
    }
    assert(found);
    check_request(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *) data;
    QubeName source = { "untouched" };
    size_t len = SIZE_MAX;
    DescriptorResult result = descriptor_decode(&source, &len, text, size);
    Bytes name, rest;

    fuzz_set_taken(result == DESCRIPTOR_GOOD);
    assert((result == DESCRIPTOR_GOOD) ==
           descriptor_is_good((Bytes){ text, size }, &name, &rest));
    if (result != DESCRIPTOR_GOOD) {
        assert(strcmp(source.s, "untouched") == 0 && len == SIZE_MAX);
        assert(result == DESCRIPTOR_BAD || size < DESCRIPTOR_MAX);
        return 0;
    }
    assert(len <= size);
    check_good(text, &source, len);
    for (size_t n = 0; n < len; n++) {
        size_t before;
        QubeName nobody;

        assert(descriptor_decode(&nobody, &before, text, n) ==
               DESCRIPTOR_INCOMPLETE);
    }
    return 0;
}
