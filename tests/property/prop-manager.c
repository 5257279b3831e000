/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The manager through random histories: records of two sources over several
 * connections, answers and events of qubesd, verdicts, prompts, other rules,
 * time. Whatever comes in whatever order:
 *
 *     each event has exactly one answer, unless its connection is gone
 *     what has no rule makes no call
 *     a device is attached by one call at a time, a target started by one
 *     parts of one plug are not attached at the same time
 *     one prompt at a time, and nothing is attached without a verdict
 *     while it is paused no attach and no start begins
 *     no limit is passed
 *     nothing is waited for that never comes: in the end no job is left
 */

#include <string.h>

#include "common/text.h"
#include "dom0/core/source.h"
#include "tests/support/manager-rig.h"
#include "tests/support/random.h"
#include "tests/support/test.h"

#define HISTORIES       (20000U / TESTS_SHARE)
#define STEPS_MAX       80U
#define CONNECTIONS_MAX 8U
#define CALLS_MAX       64U
#define EVENTS_MAX      256U
#define DRAIN_MAX       20000U

static const char *const rule_sets[] = {
    "disks: allow block name sd* type disk to work\n"
    "parts: allow block name sd* type partition to work\n"
    "no: deny block name zram*\n",
    "one: ask block name sda to { work vault }\n"
    "two: allow block name sdb to @dispvm:dvm\n"
    "three: allow block name sda1 type partition to { vault work }\n",
    "when: allow block name sda to work when-running\n"
    "if: allow block name sdb to vault if-running\n"
    "disp: ask block name sd* type partition to @dispvm close\n",
    "guarded: ask block name sd* type disk to work timeout 30s\n",
    "",
};

#define UNNAMED "nvme0n1" /* no rule is about it */

static const char *const devices[] = { "sda",  "sda1", "sdb",
                                       "sdb1", "2-1",  UNNAMED };
#define N_RULED (ARRAY_SIZE(devices) - 1)

static const char *const qubes[] = { "work", "vault", "sys-usb", "sys-net",
                                     "disp7" };

typedef struct Call {
    uint64_t id;
    uint64_t until_usec;
    AdminRequest request;
    bool unplugged; /* the device was: the attach is being undone */
} Call;

typedef struct Question {
    uint64_t id;
    PolicyQuestion question;
} Question;

typedef struct OpenPrompt {
    uint64_t id;
    size_t n_targets;
    uint64_t opened_usec;
} OpenPrompt;

typedef struct Event {
    uint64_t connection;
    int64_t seq;
} Event;

typedef struct World {
    ManagerRig rig;
    Random random;
    uint64_t seed;

    uint64_t connections[CONNECTIONS_MAX]; /* 0: closed */
    const char *sources[CONNECTIONS_MAX];

    Call calls[CALLS_MAX];
    size_t n_calls;
    Question questions[CALLS_MAX];
    size_t n_questions;
    OpenPrompt prompts[CALLS_MAX];
    size_t n_prompts;
    Event waiting[EVENTS_MAX];
    size_t n_waiting;
    bool has_verdict[ARRAY_SIZE(qubes)]; /* at least one yes ever */
    bool wants_out; /* the person has told to detach what no rule names */

    size_t n_attaches;
    size_t n_disposables;
} World;

#define REQUIRE(world, condition)                                        \
    do {                                                                 \
        if (!(condition))                                                \
            fail_msg(#condition ", " RANDOM_SEED_FORMAT, (world)->seed); \
    } while (0)

static size_t qube_index(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(qubes); i++)
        if (strcmp(qubes[i], name) == 0)
            return i;
    return ARRAY_SIZE(qubes);
}

static bool is_family(const DeviceName *a, const DeviceName *b)
{
    return device_name_is_partition_of(a, b) ||
           device_name_is_partition_of(b, a);
}

/* What is wanted does not break a promise. */
static void check_call(World *world, const Call *new)
{
    const AdminRequest *request = &new->request;
    size_t n_of_source = 0;

    REQUIRE(world, request->method != ADMIN_INVALID);
    REQUIRE(world, strcmp(request->port.s, UNNAMED) != 0 ||
                       request->method == ADMIN_AVAILABLE ||
                       (world->wants_out && request->method != ADMIN_ATTACH));
    for (size_t i = 0; i < world->n_calls; i++) {
        const Call *old = &world->calls[i];

        REQUIRE(world, old->id != new->id);
        n_of_source += old->request.port.s[0] != '\0';
        if (request->method == ADMIN_START &&
            old->request.method == ADMIN_START)
            REQUIRE(world,
                    !qube_name_equal(&old->request.dest, &request->dest));
        if (request->method != ADMIN_ATTACH ||
            old->request.method != ADMIN_ATTACH ||
            !qube_name_equal(&old->request.backend, &request->backend) ||
            old->unplugged)
            continue;
        REQUIRE(world, !device_name_equal(&old->request.port, &request->port));
        REQUIRE(world, !is_family(&old->request.port, &request->port));
    }
    REQUIRE(world, n_of_source <= 2 * SOURCE_CALLS_MAX);

    if (request->method == ADMIN_ATTACH || request->method == ADMIN_START ||
        request->method == ADMIN_CREATE_DISPOSABLE)
        REQUIRE(world, manager_paused_until(world->rig.manager) == 0);
    if (request->method == ADMIN_ATTACH) {
        size_t target = qube_index(request->dest.s);

        world->n_attaches++;
        REQUIRE(world, strcmp(request->dest.s, "dom0") != 0);
        REQUIRE(world, !qube_name_equal(&request->dest, &request->backend));
        /* a disposable is judged by its template */
        REQUIRE(world, target == ARRAY_SIZE(qubes) ||
                           strncmp(request->dest.s, "disp", 4) == 0 ||
                           world->has_verdict[target]);
    }
}

/* Take all that is wanted now, as the daemon does. */
static void collect(World *world)
{
    Manager *manager = world->rig.manager;
    Notification notification;
    Call call = {};
    Question question = {};
    uint64_t connection, id;
    int64_t seq;
    Status status;
    Prompt prompt;

    while (manager_next_call(manager, &call.id, &call.request)) {
        uint64_t usec = admin_deadline_usec(call.request.method);

        call.until_usec = world->rig.now.monotonic_usec + usec;
        check_call(world, &call);
        REQUIRE(world, world->n_calls < CALLS_MAX);
        world->calls[world->n_calls++] = call;
    }
    while (manager_next_question(manager, &question.id, &question.question)) {
        REQUIRE(world, world->n_questions < CALLS_MAX);
        world->questions[world->n_questions++] = question;
    }
    while (manager_next_prompt(manager, &id, &prompt, world->rig.now)) {
        for (size_t i = 0; i < world->n_prompts; i++)
            REQUIRE(world,
                    world->prompts[i].opened_usec + MANAGER_WINDOW_USEC <=
                        world->rig.now.monotonic_usec);
        REQUIRE(world, prompt.n_targets > 0);
        REQUIRE(world, prompt.preselected < prompt.n_targets);
        world->prompts[world->n_prompts++] =
            (OpenPrompt){ .id = id,
                          .n_targets = prompt.n_targets,
                          .opened_usec = world->rig.now.monotonic_usec };
    }
    while (manager_next_notification(manager, &notification))
        REQUIRE(world, notification.rule.s[0] != '\0');
    while (manager_next_close(manager, &connection)) {
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
            if (world->connections[i] != connection)
                continue;
            world->connections[i] = 0;
            for (size_t k = world->n_waiting; k-- > 0;)
                if (world->waiting[k].connection == connection)
                    world->waiting[k] = world->waiting[--world->n_waiting];
            manager_disconnect(manager, connection, world->rig.now);
        }
    }
    while (manager_next_answer(manager, &connection, &seq, &status)) {
        size_t i = 0;

        REQUIRE(world, status != STATUS_INVALID);
        while (i < world->n_waiting &&
               (world->waiting[i].connection != connection ||
                world->waiting[i].seq != seq))
            i++;
        REQUIRE(world, i < world->n_waiting);
        world->waiting[i] = world->waiting[--world->n_waiting];
    }
}

/* What is plugged in there, or all (NULL), is not any more. */
static void unplug(World *world, const char *source, const char *device)
{
    for (size_t i = 0; i < world->n_calls; i++) {
        Call *call = &world->calls[i];

        if (strcmp(call->request.backend.s, source) == 0 &&
            (!device || strcmp(call->request.port.s, device) == 0))
            call->unplugged = true;
    }
}

static void close_connection(World *world, size_t slot)
{
    uint64_t id = world->connections[slot];

    if (id == 0)
        return;
    world->connections[slot] = 0;
    for (size_t i = world->n_waiting; i-- > 0;)
        if (world->waiting[i].connection == id)
            world->waiting[i] = world->waiting[--world->n_waiting];
    manager_disconnect(world->rig.manager, id, world->rig.now);
}

static void open_connection(World *world, size_t slot)
{
    const char *name = random_below(&world->random, 4) ? "sys-usb" : "sys-net";
    QubeName source = rig_qube(name);
    BootId boot_id = {};
    size_t n_open = 0;
    uint64_t id;
    Status status;

    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        n_open +=
            world->connections[i] != 0 && strcmp(world->sources[i], name) == 0;
    status = manager_connect(world->rig.manager, &source, world->rig.now, &id);
    if (n_open >= SOURCE_CONNECTIONS_MAX) {
        REQUIRE(world, status == STATUS_TOO_MANY);
        return;
    }
    REQUIRE(world, status == STATUS_INVALID);
    world->connections[slot] = id;
    world->sources[slot] = name;
    memset(boot_id.s, random_below(&world->random, 12) ? 'a' : 'b',
           BOOT_ID_LEN);
    unplug(world, name, NULL);
    manager_hello(world->rig.manager, id, &boot_id, world->rig.now);
}

static void tell(World *world, size_t slot, RecordAction action, size_t device)
{
    Record record = rig_record(action, devices[device]);
    uint64_t connection = world->connections[slot];
    Status status;

    if (random_below(&world->random, 6) == 0)
        assert_true(properties_set_number(&record.properties, PROPERTY_DISKSEQ,
                                          random_bool(&world->random)));
    if (action == RECORD_REMOVE)
        unplug(world, world->sources[slot], devices[device]);
    status = rig_tell_record(&world->rig, connection, &record);
    if (device == N_RULED && action != RECORD_REMOVE)
        REQUIRE(world, status == STATUS_NO_RULE || status == STATUS_TOO_MANY);
    if (status == STATUS_INVALID) {
        REQUIRE(world, world->n_waiting < EVENTS_MAX);
        world->waiting[world->n_waiting++] =
            (Event){ .connection = connection, .seq = world->rig.last_seq };
    }
}

static AdminAnswer random_answer(World *world, const AdminRequest *request)
{
    static const AdminResult results[] = { ADMIN_UNREACHABLE, ADMIN_TIMED_OUT,
                                           ADMIN_EMPTY, ADMIN_GARBAGE };
    Random *random = &world->random;
    AdminAnswer answer;

    if (random_below(random, 5) == 0)
        return answer_of(results[random_below(random, ARRAY_SIZE(results))]);
    if (random_below(random, 5) == 0)
        return answer_error(
            (AdminError) random_below(random, ADMIN_ERROR_NOT_STARTED + 1));

    answer = answer_of(ADMIN_OK);
    switch (request->method) {
    case ADMIN_AVAILABLE:
    case ADMIN_ATTACHED:
        if (random_below(random, 4) == 0)
            break;
        answer = answer_listed(random_below(random, 5) ? NULL
                               : random_bool(random)   ? "work"
                                                       : "vault");
        if (random_below(random, 8) == 0)
            answer.listing = (DeviceListing){ .listed = true };
        if (random_below(random, 16) == 0)
            assert_true(
                identity_parse(&answer.listing.identity, "dead:beef:x:u0", 14));
        break;
    case ADMIN_CURRENT_STATE:
        answer.power = (PowerState) random_below(random, POWER_CRASHED + 1);
        break;
    case ADMIN_CREATE_DISPOSABLE:
        world->n_disposables++;
        answer.qube = rig_qube("disp7");
        break;
    case ADMIN_PROPERTY_GET:
        (void) text_format(answer.value.s, sizeof(answer.value.s), "%s",
                           request->property == ADMIN_PROPERTY_DEFAULT_DISPVM
                               ? "dvm"
                               : "dom0");
        break;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
    case ADMIN_LIST:
    case ADMIN_START:
    case ADMIN_ATTACH:
    case ADMIN_DETACH:
    case ADMIN_KILL:
    case ADMIN_SHUTDOWN:
    case ADMIN_REMOVE:
    case ADMIN_OLD_LIST:
        break;
    }
    return answer;
}

static void answer_call(World *world, size_t index, const AdminAnswer *answer)
{
    uint64_t id = world->calls[index].id;

    world->calls[index] = world->calls[--world->n_calls];
    manager_on_answer(world->rig.manager, id, answer, world->rig.now);
}

static void answer_question(World *world, size_t index, PolicyAnswer answer)
{
    Question question = world->questions[index];
    size_t target = qube_index(question.question.target.name.s);

    world->questions[index] = world->questions[--world->n_questions];
    if (answer == POLICY_YES && target < ARRAY_SIZE(qubes))
        world->has_verdict[target] = true;
    manager_on_verdict(world->rig.manager, question.id, answer, world->rig.now);
}

static void answer_prompt(World *world, size_t index, PromptResult result)
{
    OpenPrompt prompt = world->prompts[index];
    const PromptAnswer answer = {
        .result = result,
        .target = random_below(&world->random, prompt.n_targets),
    };

    world->prompts[index] = world->prompts[--world->n_prompts];
    manager_on_prompt(world->rig.manager, prompt.id, &answer, world->rig.now);
}

static void notice(World *world)
{
    static const AdminEventType types[] = {
        ADMIN_EVENT_DEVICE_ADDED, ADMIN_EVENT_DEVICE_REMOVED,
        ADMIN_EVENT_ATTACH,       ADMIN_EVENT_DETACH,
        ADMIN_EVENT_DOMAIN_START, ADMIN_EVENT_DOMAIN_SHUTDOWN,
        ADMIN_EVENT_LIST_CHANGE,
    };
    Random *random = &world->random;
    AdminEventType type = types[random_below(random, ARRAY_SIZE(types))];
    const char *qube = qubes[random_below(random, ARRAY_SIZE(qubes))];
    size_t device = random_below(random, 4);

    if (type == ADMIN_EVENT_DOMAIN_SHUTDOWN)
        unplug(world, qube, NULL);
    if (type == ADMIN_EVENT_DOMAIN_START || type == ADMIN_EVENT_DOMAIN_SHUTDOWN)
        rig_notice_qube(&world->rig, type, qube);
    else
        rig_notice(&world->rig, type, "sys-usb", devices[device],
                   type == ADMIN_EVENT_ATTACH || type == ADMIN_EVENT_DETACH
                       ? qube
                       : NULL);
}

/* What the person does with the command. */
static void act(World *world)
{
    Random *random = &world->random;
    Manager *manager = world->rig.manager;
    Instant now = world->rig.now;
    uint64_t asker = manager_new_asker(manager);
    const char *name = devices[random_below(random, ARRAY_SIZE(devices))];
    DeviceRef ref = { .source = rig_qube("sys-usb") };
    Status status = STATUS_PAUSED;

    ref.class = device_name_parse_any(&ref.device, name, strlen(name));
    switch (random_below(random, 5)) {
    case 0:
        manager_pause(manager, now.boottime_usec + 30 * USEC_PER_SEC, now);
        break;
    case 1:
        manager_pause(manager, MANAGER_PAUSE_FOREVER, now);
        break;
    case 2:
        manager_resume(manager, now);
        break;
    case 3:
        status = manager_retry(manager, &ref, asker, now);
        break;
    case 4:
        world->wants_out |= strcmp(ref.device.s, UNNAMED) == 0;
        status = manager_detach(manager, &ref, asker, now);
        break;
    }
    if (status == STATUS_INVALID && random_below(random, 4) == 0)
        manager_drop_asker(manager, asker);
    else if (status == STATUS_INVALID) {
        REQUIRE(world, world->n_waiting < EVENTS_MAX);
        world->waiting[world->n_waiting++] = (Event){ .connection = asker };
    }
}

/* When the manager wants to be told the time, by any clock. */
static uint64_t due(const World *world)
{
    uint64_t usec = manager_next_usec(world->rig.manager);
    uint64_t until_usec = manager_paused_until(world->rig.manager);

    return until_usec != 0 && until_usec < usec ? until_usec : usec;
}

/* Time passes; a call that takes longer than its deadline has timed out. */
static void pass(World *world, uint64_t usec)
{
    uint64_t until_usec = world->rig.now.monotonic_usec + usec;

    for (;;) {
        const AdminAnswer timed_out = answer_of(ADMIN_TIMED_OUT);
        uint64_t next_usec = until_usec;
        uint64_t due_usec = due(world);
        size_t next = CALLS_MAX;

        for (size_t i = 0; i < world->n_calls; i++)
            if (world->calls[i].until_usec <= next_usec) {
                next_usec = world->calls[i].until_usec;
                next = i;
            }
        if (due_usec < next_usec) {
            next_usec = due_usec;
            next = CALLS_MAX;
        }
        if (next_usec > world->rig.now.monotonic_usec) {
            world->rig.now.realtime_usec +=
                next_usec - world->rig.now.monotonic_usec;
            world->rig.now.monotonic_usec = next_usec;
            world->rig.now.boottime_usec = next_usec;
        }
        if (next < CALLS_MAX)
            answer_call(world, next, &timed_out);
        manager_on_time(world->rig.manager, world->rig.now);
        collect(world);
        if (world->rig.now.monotonic_usec >= until_usec)
            return;
    }
}

static void step(World *world)
{
    static const uint64_t spans[] = { 1, USEC_PER_SEC, 5 * USEC_PER_SEC,
                                      61 * USEC_PER_SEC, 601 * USEC_PER_SEC };
    Random *random = &world->random;
    size_t slot = random_below(random, CONNECTIONS_MAX);
    AdminAnswer answer;

    switch (random_below(random, 26)) {
    case 24:
        act(world);
        break;
    case 0:
        close_connection(world, slot);
        break;
    case 1:
        if (world->connections[slot] == 0)
            break;
        unplug(world, world->sources[slot], NULL);
        manager_synced(world->rig.manager, world->connections[slot],
                       world->rig.now);
        break;
    case 2:
    case 3:
        notice(world);
        break;
    case 4:
        pass(world, spans[random_below(random, ARRAY_SIZE(spans))]);
        break;
    case 5:
        rig_set_rules(&world->rig,
                      rule_sets[random_below(random, ARRAY_SIZE(rule_sets))]);
        break;
    case 6:
        manager_set_qubesd(world->rig.manager,
                           random_below(random, 3)   ? QUBESD_CONNECTED
                           : random_below(random, 2) ? QUBESD_GONE
                                                     : QUBESD_UNSUPPORTED,
                           world->rig.now);
        break;
    case 7:
        if (world->n_prompts > 0)
            answer_prompt(world, random_below(random, world->n_prompts),
                          (PromptResult) random_below(random, PROMPT_YES + 1));
        break;
    case 8:
        manager_on_agent(world->rig.manager, world->rig.now);
        break;
    case 9:
    case 10:
    case 11:
    case 12:
        if (world->n_questions > 0)
            answer_question(
                world, random_below(random, world->n_questions),
                random_below(random, 3)
                    ? POLICY_YES
                    : (PolicyAnswer) random_below(random, POLICY_YES + 1));
        break;
    case 13:
    case 14:
    case 15:
    case 16:
    case 17:
        if (world->n_calls > 0) {
            size_t index = random_below(random, world->n_calls);

            answer = random_answer(world, &world->calls[index].request);
            answer_call(world, index, &answer);
        }
        break;
    default:
        if (world->connections[slot] == 0)
            open_connection(world, slot);
        else
            tell(world, slot,
                 (RecordAction) (RECORD_PRESENT + random_below(random, 4)),
                 random_below(random, ARRAY_SIZE(devices)));
        break;
    }
    collect(world);
}

static size_t n_jobs(World *world)
{
    static Report report;

    report = (Report){};
    manager_report(world->rig.manager, &report, world->rig.now);
    return report.n_jobs;
}

/* From now on everybody answers at once: all must come to an end. */
static void drain(World *world)
{
    AdminAnswer answer;

    manager_set_qubesd(world->rig.manager, QUBESD_CONNECTED, world->rig.now);
    manager_on_agent(world->rig.manager, world->rig.now);
    collect(world);
    for (size_t i = 0; i < DRAIN_MAX; i++) {
        if (world->n_questions > 0) {
            answer_question(world, 0, POLICY_YES);
        } else if (world->n_prompts > 0) {
            answer_prompt(world, 0, PROMPT_NO);
        } else if (world->n_calls > 0) {
            answer = random_answer(world, &world->calls[0].request);
            answer_call(world, 0, &answer);
        } else if (due(world) != UINT64_MAX) {
            uint64_t usec = due(world);
            uint64_t now_usec = world->rig.now.monotonic_usec;

            pass(world, usec > now_usec ? usec - now_usec : 1);
        } else {
            break;
        }
        collect(world);
    }
    REQUIRE(world, world->n_calls == 0 && world->n_questions == 0 &&
                       world->n_prompts == 0);
    REQUIRE(world, n_jobs(world) == 0);
    REQUIRE(world, world->n_waiting == 0);
}

static void play(World *world)
{
    size_t n_steps = random_below(&world->random, STEPS_MAX);

    rig_begin(&world->rig,
              rule_sets[random_below(&world->random, ARRAY_SIZE(rule_sets))]);
    open_connection(world, 0);
    for (size_t i = 0; i < n_steps; i++)
        step(world);
    /* also with all in the middle it can be freed */
    if (random_below(&world->random, 8) > 0)
        drain(world);
    rig_end(&world->rig);
}

static void test_every_history_keeps_the_promises(void **state)
{
    Random random = random_begin();
    size_t n_attaches = 0, n_disposables = 0;

    (void) state;

    for (size_t i = 0; i < HISTORIES; i++) {
        static World world;

        world = (World){ .random = random, .seed = random.state };
        play(&world);
        random = world.random;
        n_attaches += world.n_attaches;
        n_disposables += world.n_disposables;
    }
    /* the histories have come so far that there was something to see */
    assert_true(n_attaches > HISTORIES / 20);
    assert_true(n_disposables >= HISTORIES / 500);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_history_keeps_the_promises),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
