/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Nothing is started, created or attached without a valid approval
 *
 * A disk comes and goes, rules are loaded, prompts are answered, late or never,
 * in every order up to DEPTH steps, and in long random walks in which qubesd
 * takes its time. Beside the manager runs a model that knows only what the
 * person was shown and said: each call that does something is held against it.
 *
 * Guard rail: work is allowed, vault and the disposable are asked for, secret
 * is denied.
 */

#include <stdio.h>
#include <string.h>

#include "tests/support/manager-rig.h"
#include "tests/support/test.h"

#define DEPTH        4U
#define N_WALKS      (3000U / TESTS_SHARE)
#define WALK_STEPS   60U
#define PENDING_MAX  32U
#define WINDOWS_MAX  16U
#define N_TARGETS    3U /* that are offered */
#define TIMEOUT_USEC (60 * USEC_PER_SEC)

#define TARGETS "to { work secret vault @dispvm:dvm } timeout 60s"

static const char *const rule_texts[] = {
    "r: ask block type disk " TARGETS "\n",
    "r: ask block type disk " TARGETS " read-only\n",
    "other: ask usb to work\n",
};
static const char *const offered[N_TARGETS] = { "work", "vault",
                                                "@dispvm:dvm" };

typedef enum Rules {
    RULES_FIRST,
    RULES_CHANGED,
    RULES_GONE,
} Rules;

typedef enum Step {
    STEP_ADD,
    STEP_REMOVE,
    STEP_REPLACE,
    STEP_YES_WORK,
    STEP_YES_VAULT,
    STEP_YES_DISPOSABLE,
    STEP_YES_NEWEST,
    STEP_NO,
    STEP_DIE,
    STEP_NO_AGENT,
    STEP_TIMEOUT,
    STEP_OLD_WINDOW,
    STEP_RELOAD_SAME,
    STEP_RELOAD_CHANGED,
    STEP_RELOAD_GONE,
    STEP_SHUTDOWN,
    STEP_UNLIST,
    N_STEPS,
} Step;

static const char *const step_names[N_STEPS] = {
    [STEP_ADD] = "add",
    [STEP_REMOVE] = "remove",
    [STEP_REPLACE] = "replace",
    [STEP_YES_WORK] = "yes-work",
    [STEP_YES_VAULT] = "yes-vault",
    [STEP_YES_DISPOSABLE] = "yes-disposable",
    [STEP_YES_NEWEST] = "yes-newest",
    [STEP_NO] = "no",
    [STEP_DIE] = "die",
    [STEP_NO_AGENT] = "no-agent",
    [STEP_TIMEOUT] = "timeout",
    [STEP_OLD_WINDOW] = "old-window",
    [STEP_RELOAD_SAME] = "reload-same",
    [STEP_RELOAD_CHANGED] = "reload-changed",
    [STEP_RELOAD_GONE] = "reload-gone",
    [STEP_SHUTDOWN] = "shutdown",
    [STEP_UNLIST] = "unlist",
};

typedef struct Shown {
    uint64_t id; /* 0: none */
    uint64_t opened_usec;
    unsigned int plug;
    Rules rules;
} Shown;

typedef struct Pending {
    uint64_t call;
    AdminRequest request;
} Pending;

typedef struct Walk {
    ManagerRig rig;
    uint64_t usb;
    uint64_t random;
    bool lazy; /* calls are answered one at a time */

    bool plugged;
    bool listed;
    QubeName attached_to;
    unsigned int plug;
    Rules rules;
    bool refused;             /* the person's no, for this plug */
    bool approved[N_TARGETS]; /* by the person, for this plug and a job */
    Rules approved_rules;
    bool runs; /* work and vault */
    unsigned int n_disposables;
    uint64_t last_serial; /* of the history */

    Step steps[WALK_STEPS + 1];
    size_t n_steps;
    Shown shown[WINDOWS_MAX];
    Pending pending[PENDING_MAX];
    size_t n_pending;
} Walk;

/* over all walks: the test is worth something only if these happen */
typedef struct Tally {
    unsigned int n_prompts, n_attaches, n_starts, n_creates;
} Tally;

static Tally tally;

static uint64_t draw(Walk *walk, uint64_t bound)
{
    /* xorshift64*: the same walks in every run */
    walk->random ^= walk->random >> 12;
    walk->random ^= walk->random << 25;
    walk->random ^= walk->random >> 27;
    return (walk->random * UINT64_C(0x2545f4914f6cdd1d) >> 33) % bound;
}

/* The steps that led there are told with what does not hold. */
static void require(const Walk *walk, bool holds, const char *what)
{
    if (holds)
        return;
    for (size_t i = 0; i < walk->n_steps; i++)
        print_error("%s ", step_names[walk->steps[i]]);
    fail_msg("%s", what);
}

static void forget_approvals(Walk *walk)
{
    memset(walk->approved, 0, sizeof(walk->approved));
}

static bool is_disposable(const QubeName *qube)
{
    return strncmp(qube->s, "disp", 4) == 0;
}

static void assert_approved(const Walk *walk, const QubeName *target)
{
    size_t index = is_disposable(target) || strcmp(target->s, "dvm") == 0 ? 2
                   : strcmp(target->s, "vault") == 0                      ? 1
                                                                          : 0;

    require(walk, walk->plugged, "it is unplugged");
    require(walk, walk->approved[index], "that was not approved");
    require(walk, index != 0 || strcmp(target->s, "work") == 0,
            "that was never offered");
}

static void check_call(const Walk *walk, const AdminRequest *request)
{
    switch (request->method) {
    case ADMIN_ATTACH:
        assert_approved(walk, &request->dest);
        assert_string_equal(request->backend.s, "sys-usb");
        assert_string_equal(request->port.s, "sda");
        require(walk,
                request->options.read_only ==
                    (walk->approved_rules == RULES_CHANGED),
                "it was approved for another rule");
        tally.n_attaches++;
        break;
    case ADMIN_START:
        assert_approved(walk, &request->dest);
        tally.n_starts++;
        break;
    case ADMIN_CREATE_DISPOSABLE:
        assert_approved(walk, &request->dest);
        tally.n_creates++;
        break;
    case ADMIN_AVAILABLE:
    case ADMIN_ATTACHED:
    case ADMIN_CURRENT_STATE:
    case ADMIN_PROPERTY_GET:
    case ADMIN_DETACH:
    case ADMIN_KILL:
    case ADMIN_REMOVE:
        break;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
    case ADMIN_LIST:
    case ADMIN_SHUTDOWN:
    case ADMIN_OLD_LIST:
        fail();
    }
}

static AdminAnswer answer_to(Walk *walk, const AdminRequest *request)
{
    AdminAnswer answer = answer_of(ADMIN_OK);

    if (request->method == ADMIN_AVAILABLE)
        return walk->plugged && walk->listed
                   ? answer_listed(walk->attached_to.s[0]
                                       ? walk->attached_to.s
                                       : NULL)
                   : answer;
    if (request->method == ADMIN_CURRENT_STATE)
        return answer_power(walk->runs || is_disposable(&request->dest)
                                ? POWER_RUNNING
                                : POWER_HALTED);
    if (request->method == ADMIN_ATTACH) {
        if (!walk->runs && !is_disposable(&request->dest))
            return answer_error(ADMIN_ERROR_NOT_RUNNING);
        walk->attached_to = walk->plugged ? request->dest : (QubeName){};
    }
    if (request->method == ADMIN_DETACH)
        walk->attached_to = (QubeName){};
    if (request->method == ADMIN_KILL)
        return answer_error(ADMIN_ERROR_NOT_STARTED);
    if (request->method == ADMIN_START)
        walk->runs = true;
    if (request->method == ADMIN_CREATE_DISPOSABLE)
        (void) snprintf(answer.qube.s, sizeof(answer.qube.s), "disp%u",
                        ++walk->n_disposables);
    if (request->method == ADMIN_PROPERTY_GET)
        (void) snprintf(answer.value.s, sizeof(answer.value.s), "%s",
                        request->property == ADMIN_PROPERTY_GUIVM ? "dom0"
                                                                  : "red");
    return answer;
}

/* What has an outcome is no longer approved: the next time it is asked anew.
 * That of a job that makes way for the approved one is none of the device. */
static void note_outcomes(Walk *walk)
{
    const History *history = manager_history(walk->rig.manager);
    const uint64_t serial = history_last_serial(history);
    const size_t n = history_count(history);
    static Report report;

    report = (Report){};
    manager_report(walk->rig.manager, &report, walk->rig.now);
    for (size_t i = 1; i <= serial - walk->last_serial; i++)
        if (history_get(history, n - i)->status != STATUS_SUPERSEDED)
            forget_approvals(walk);
    if (report.n_jobs == 0)
        forget_approvals(walk);
    walk->last_serial = serial;
}

static void check_prompt(Walk *walk, uint64_t id, const Prompt *prompt)
{
    Shown *place = NULL;

    require(walk, walk->plugged, "a prompt for what is unplugged");
    require(walk, walk->listed, "a prompt for what is not listed");
    require(walk, !walk->refused, "a prompt after a no");
    require(walk, walk->rules != RULES_GONE, "a prompt without a rule");
    assert_string_equal(prompt->rule.s, "r");
    assert_string_equal(prompt->device.s, "sda");
    assert_int_equal(prompt->n_targets, N_TARGETS);
    for (size_t i = 0; i < N_TARGETS; i++) {
        char name[TARGET_STRING_MAX + 1];

        assert_string_equal(target_to_string(&prompt->targets[i], name),
                            offered[i]);
    }
    for (size_t i = 0; i < WINDOWS_MAX; i++) {
        Shown *shown = &walk->shown[i];

        if (shown->id == 0)
            place = shown;
        else
            require(walk,
                    walk->rig.now.monotonic_usec - shown->opened_usec >=
                        MANAGER_WINDOW_USEC,
                    "a second window");
    }
    assert_non_null(place);
    *place = (Shown){ .id = id,
                      .opened_usec = walk->rig.now.monotonic_usec,
                      .plug = walk->plug,
                      .rules = walk->rules };
    tally.n_prompts++;
}

static void take_questions(Walk *walk)
{
    PolicyQuestion question;
    uint64_t id;

    while (manager_next_question(walk->rig.manager, &id, &question)) {
        bool allowed = strcmp(question.target.name.s, "work") == 0;
        bool denied = strcmp(question.target.name.s, "secret") == 0;

        manager_on_verdict(walk->rig.manager, id,
                           !denied && (allowed || question.assume_yes)
                               ? POLICY_YES
                               : POLICY_NO,
                           walk->rig.now);
    }
}

/* Whatever is wanted is taken, checked, and kept until it is answered. */
static void take_wishes(Walk *walk)
{
    Manager *manager = walk->rig.manager;
    Notification notification;
    Prompt prompt;
    uint64_t id;

    take_questions(walk);
    while (walk->n_pending < PENDING_MAX) {
        Pending *pending = &walk->pending[walk->n_pending];

        if (!manager_next_call(manager, &pending->call, &pending->request))
            break;
        check_call(walk, &pending->request);
        walk->n_pending++;
    }
    while (manager_next_prompt(manager, &id, &prompt, walk->rig.now))
        check_prompt(walk, id, &prompt);
    while (manager_next_notification(manager, &notification))
        ;
    while (rig_answer(&walk->rig) != STATUS_INVALID)
        ;
    note_outcomes(walk);
}

static void answer_one(Walk *walk)
{
    size_t index = walk->lazy ? draw(walk, walk->n_pending) : 0;
    Pending pending = walk->pending[index];

    walk->n_pending--;
    memmove(&walk->pending[index], &walk->pending[index + 1],
            (walk->n_pending - index) * sizeof(walk->pending[0]));
    rig_reply(&walk->rig, pending.call, answer_to(walk, &pending.request));
    take_wishes(walk);
}

static void pump(Walk *walk)
{
    take_wishes(walk);
    while (walk->n_pending > 0 && (!walk->lazy || draw(walk, 3) > 0))
        answer_one(walk);
}

static void unplug(Walk *walk)
{
    walk->plugged = false;
    walk->attached_to = (QubeName){};
    walk->refused = false;
    forget_approvals(walk);
}

static void tell(Walk *walk, RecordAction action, const char *serial)
{
    Record record = rig_record(action, "sda");

    assert_true(properties_set_text(&record.properties, PROPERTY_SERIAL, serial,
                                    strlen(serial)));
    (void) rig_tell_record(&walk->rig, walk->usb, &record);
}

static void step_plug(Walk *walk, Step step)
{
    char serial[16];

    if (step == STEP_REMOVE || step == STEP_REPLACE)
        unplug(walk);
    if (step == STEP_REMOVE) {
        tell(walk, RECORD_REMOVE, "0");
        return;
    }
    if (!walk->plugged)
        walk->plug++;
    walk->plugged = true;
    walk->listed = true;
    (void) snprintf(serial, sizeof(serial), "%u", walk->plug);
    tell(walk, RECORD_ADD, serial);
    rig_notice(&walk->rig, ADMIN_EVENT_DEVICE_ADDED, "sys-usb", "sda", NULL);
}

static Shown *find_shown(Walk *walk, bool newest)
{
    Shown *found = NULL;

    for (size_t i = 0; i < WINDOWS_MAX; i++) {
        Shown *shown = &walk->shown[i];

        if (shown->id != 0 && (!found || (newest ? shown->id > found->id
                                                 : shown->id < found->id)))
            found = shown;
    }
    return found;
}

static void click(Walk *walk, Shown *shown, PromptResult result, size_t target)
{
    const PromptAnswer answer = { .result = result, .target = target };
    Shown window;

    if (!shown)
        return;
    window = *shown;
    *shown = (Shown){};
    if (walk->plugged && window.plug == walk->plug) {
        if (result == PROMPT_NO) {
            walk->refused = true;
        } else if (result == PROMPT_YES && window.rules == walk->rules &&
                   !walk->refused) {
            walk->approved[target] = true;
            walk->approved_rules = walk->rules;
        }
    }
    manager_on_prompt(walk->rig.manager, window.id, &answer, walk->rig.now);
}

static void load(Walk *walk, Rules rules)
{
    walk->rules = rules;
    rig_set_rules(&walk->rig, rule_texts[rules]);
}

static void take_step(Walk *walk, Step step)
{
    walk->steps[walk->n_steps++] = step;
    switch (step) {
    case STEP_ADD:
    case STEP_REMOVE:
    case STEP_REPLACE:
        step_plug(walk, step);
        break;
    case STEP_YES_WORK:
    case STEP_YES_VAULT:
    case STEP_YES_DISPOSABLE:
        click(walk, find_shown(walk, false), PROMPT_YES, step - STEP_YES_WORK);
        break;
    case STEP_YES_NEWEST:
        click(walk, find_shown(walk, true), PROMPT_YES, 0);
        break;
    case STEP_NO:
        click(walk, find_shown(walk, false), PROMPT_NO, 0);
        break;
    case STEP_DIE:
        click(walk, find_shown(walk, false), PROMPT_DIED, 0);
        break;
    case STEP_NO_AGENT:
        click(walk, find_shown(walk, true), PROMPT_NO_AGENT, 0);
        manager_on_agent(walk->rig.manager, walk->rig.now);
        break;
    case STEP_TIMEOUT:
        rig_pass(&walk->rig, TIMEOUT_USEC);
        break;
    case STEP_OLD_WINDOW:
        rig_pass(&walk->rig, MANAGER_WINDOW_USEC);
        break;
    case STEP_RELOAD_SAME:
        load(walk, RULES_FIRST);
        break;
    case STEP_RELOAD_CHANGED:
        load(walk, RULES_CHANGED);
        break;
    case STEP_RELOAD_GONE:
        load(walk, RULES_GONE);
        break;
    case STEP_SHUTDOWN:
        unplug(walk);
        rig_notice_qube(&walk->rig, ADMIN_EVENT_DOMAIN_SHUTDOWN, "sys-usb");
        break;
    case STEP_UNLIST:
        walk->listed = false;
        rig_notice(&walk->rig, ADMIN_EVENT_DEVICE_REMOVED, "sys-usb", "sda",
                   NULL);
        break;
    case N_STEPS:
        fail();
    }
    pump(walk);
}

static void begin(Walk *walk)
{
    rig_begin(&walk->rig, rule_texts[RULES_FIRST]);
    walk->usb = rig_connect(&walk->rig, "sys-usb", 'a');
    walk->rules = RULES_FIRST;
}

static void test_in_every_order_of_a_few_steps(void **state)
{
    unsigned int n_orders = 1;

    (void) state;

    for (unsigned int i = 0; i < DEPTH; i++)
        n_orders *= N_STEPS;
    for (unsigned int n = 0; n < n_orders; n++) {
        Walk walk = {};

        begin(&walk);
        /* without a device there is nothing to be seen */
        take_step(&walk, STEP_ADD);
        for (unsigned int i = 0, rest = n; i < DEPTH; i++, rest /= N_STEPS)
            take_step(&walk, (Step) (rest % N_STEPS));
        rig_end(&walk.rig);
    }
}

static void test_in_long_walks_with_a_qubesd_that_takes_its_time(void **state)
{
    (void) state;

    for (uint64_t n = 1; n <= N_WALKS; n++) {
        Walk walk = { .random = n * UINT64_C(0x9e3779b97f4a7c15),
                      .lazy = true };

        begin(&walk);
        for (unsigned int i = 0; i < WALK_STEPS; i++) {
            /* it is plugged in more often than not */
            Step step = draw(&walk, 4) ? (Step) draw(&walk, N_STEPS) : STEP_ADD;

            if (draw(&walk, 40) == 0)
                walk.runs = false;
            take_step(&walk, step);
        }
        rig_end(&walk.rig);
    }
}

static void test_the_walks_have_seen_each_kind_of_call(void **state)
{
    (void) state;

    print_message("%u prompts, %u attaches, %u starts, %u disposables\n",
                  tally.n_prompts, tally.n_attaches, tally.n_starts,
                  tally.n_creates);
    assert_true(tally.n_prompts > 1000 && tally.n_attaches > 1000 &&
                tally.n_starts > 100 && tally.n_creates > 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_every_order_of_a_few_steps),
        cmocka_unit_test(test_in_long_walks_with_a_qubesd_that_takes_its_time),
        cmocka_unit_test(test_the_walks_have_seen_each_kind_of_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
