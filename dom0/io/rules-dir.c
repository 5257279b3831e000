/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "dom0/io/rules-dir.h"

/* a file is complete when it was closed or moved here, not while written */
#define WATCH_FILES                                                         \
    (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | \
     IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define WATCH_ABOVE \
    (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

struct RulesDir {
    sd_event *event;
    sd_event_source *watch;
    sd_event_source *change; /* once a turn of the loop, after all events */
    bool above;              /* the folder cannot be watched: one above it is */
    char *path;
    RulesDirFn on_change;
    void *userdata;
};

/* Whether the name that was created is a new file: that is written next, and
 * its close tells of the change. What is no regular file, or a link, gets no
 * such event. */
static bool is_being_written(const RulesDir *dir, const char *name)
{
    _cleanup_(freep) char *path = NULL;
    struct stat st;

    return asprintf(&path, "%s/%s", dir->path, name) >= 0 &&
           lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static int dir_on_inotify(sd_event_source *source,
                          const struct inotify_event *inotify,
                          void *userdata)
{
    RulesDir *dir = userdata;

    (void) source;

    if (!dir->above && (inotify->mask & IN_CREATE) &&
        is_being_written(dir, inotify->name))
        return 0;
    return sd_event_source_set_enabled(dir->change, SD_EVENT_ONESHOT);
}

static int dir_watch_one(RulesDir *dir, const char *path, uint32_t mask)
{
    sd_event_source *watch = NULL;
    int r = sd_event_add_inotify(dir->event, &watch, path, mask | IN_ONLYDIR,
                                 dir_on_inotify, dir);

    if (r < 0)
        return r;

    sd_event_source_disable_unref(dir->watch);
    dir->watch = watch;
    return 0;
}

/* how often to try again when folders come into being while the watch is set */
#define WATCH_TRIES_MAX 8U

/* Watch the folder, or the nearest one above it that can be: of one that may
 * not be read, it tells when that is mended. */
static int dir_watch_nearest(RulesDir *dir)
{
    _cleanup_(freep) char *path = strdup(dir->path);
    int r;

    if (!path)
        return -ENOMEM;

    r = dir_watch_one(dir, path, WATCH_FILES);
    dir->above = r < 0;
    while (r == -ENOENT || r == -ENOTDIR || r == -EACCES) {
        char *slash = strrchr(path, '/');

        if (!slash || slash == path)
            return dir_watch_one(dir, slash ? "/" : ".", WATCH_ABOVE);
        *slash = '\0';
        r = dir_watch_one(dir, path, WATCH_ABOVE);
    }
    return r;
}

int rules_dir_watch(RulesDir *dir)
{
    int r = dir_watch_nearest(dir);

    /* it may have come, or been opened, while the watch above it was set */
    for (size_t i = 0; i < WATCH_TRIES_MAX && r >= 0 && dir->above &&
                       access(dir->path, R_OK) == 0;
         i++)
        r = dir_watch_nearest(dir);
    return r;
}

static int dir_on_change(sd_event_source *source, void *userdata)
{
    RulesDir *dir = userdata;

    (void) source;

    /* the folder may have come or gone, or be another one now; a watch that
     * cannot be made leaves SIGHUP */
    (void) rules_dir_watch(dir);
    dir->on_change(dir->userdata);
    return 0;
}

int rules_dir_new(RulesDir **ret,
                  sd_event *event,
                  const char *path,
                  RulesDirFn on_change,
                  void *userdata)
{
    _cleanup_(rules_dir_freep) RulesDir *dir = calloc(1, sizeof(*dir));
    int r;

    if (!dir)
        return -ENOMEM;

    dir->event = sd_event_ref(event);
    dir->on_change = on_change;
    dir->userdata = userdata;
    dir->path = strdup(path);
    if (!dir->path)
        return -ENOMEM;
    /* "folder/" and "folder" are the same place */
    for (size_t n = strlen(path); n > 1 && dir->path[n - 1] == '/'; n--)
        dir->path[n - 1] = '\0';

    r = sd_event_add_defer(event, &dir->change, dir_on_change, dir);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(dir->change, SD_EVENT_OFF);
    if (r < 0)
        return r;
    /* after everything else that this turn of the loop has brought */
    r = sd_event_source_set_priority(dir->change, SD_EVENT_PRIORITY_IDLE);
    if (r < 0)
        return r;
    r = rules_dir_watch(dir);
    if (r < 0)
        return r;

    *ret = TAKE_PTR(dir);
    return 0;
}

RulesDir *rules_dir_free(RulesDir *dir)
{
    if (!dir)
        return NULL;

    sd_event_source_disable_unref(dir->watch);
    sd_event_source_disable_unref(dir->change);
    sd_event_unref(dir->event);
    free(dir->path);
    free(dir);
    return NULL;
}
