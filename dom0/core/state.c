/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include "dom0/core/state.h"

#define CAPACITY_MIN 8U

int state_new(State **ret)
{
    State *state = calloc(1, sizeof(*state));

    if (!state)
        return -ENOMEM;

    *ret = state;
    return 0;
}

State *state_free(State *state)
{
    if (!state)
        return NULL;

    for (size_t i = 0; i < state->n_sources; i++)
        free(state->sources[i].plugs);
    free(state);
    return NULL;
}

int state_add_source(State *state, StateSource **ret)
{
    if (state->n_sources == STATE_SOURCES_MAX)
        return -ENOBUFS;

    *ret = &state->sources[state->n_sources++];
    return 0;
}

int state_add_plug(StateSource *source, StatePlug **ret)
{
    if (source->n_plugs == STATE_PLUGS_MAX)
        return -ENOBUFS;
    if (source->n_plugs == source->capacity) {
        size_t capacity =
            source->capacity > 0 ? 2 * source->capacity : CAPACITY_MIN;
        StatePlug *plugs =
            reallocarray(source->plugs, capacity, sizeof(*plugs));

        if (!plugs)
            return -ENOMEM;
        source->plugs = plugs;
        source->capacity = capacity;
    }

    *ret = &source->plugs[source->n_plugs++];
    **ret = (StatePlug){};
    return 0;
}
