/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "dom0/core/ruleset.h"
#include "dom0/core/trial.h"
#include "tests/support/test.h"

/* What is asked for is answered from here. */
typedef struct World {
    const char *policy_allow; /* names, each between blanks */
    const char *policy_ask;
    PolicyAnswer no_answer; /* if not POLICY_NO: to all questions */
    const char *running;
    const char *halted;
    const char *paused;
    const char *odd; /* these have a state of their own */
    PowerState odd_power;
    bool qubes_fail;
    const char *default_dispvm; /* NULL: the call fails */
    const char *guivm;          /* of the source; NULL: dom0 */
    AdminResult no_guivm;       /* if set: the call ends so */
    AdminResult listing;
    bool lost; /* nobody answers the call for the listing */
    bool unlisted;
    const char *attached_to;

    size_t n_questions;
    size_t n_calls;
} World;

static bool has_name(const char *names, const char *name)
{
    char padded[64] = " ";

    strncat(padded, name, sizeof(padded) - 3);
    strcat(padded, " ");
    return names && strstr(names, padded);
}

static PolicyAnswer judge(World *world, const PolicyQuestion *question)
{
    char name[TARGET_STRING_MAX + 1];

    world->n_questions++;
    assert_string_equal(question->source.s, "sys-usb");
    if (world->no_answer != POLICY_NO)
        return world->no_answer;
    target_to_string(&question->target, name);
    if (has_name(world->policy_allow, name) ||
        (question->assume_yes && has_name(world->policy_ask, name)))
        return POLICY_YES;
    return POLICY_NO;
}

static AdminAnswer answer_call(World *world, const AdminRequest *request)
{
    AdminAnswer answer = { .result = ADMIN_OK };

    world->n_calls++;
    if (request->method == ADMIN_PROPERTY_GET &&
        request->property == ADMIN_PROPERTY_GUIVM) {
        assert_string_equal(request->dest.s, "sys-usb");
        if (world->no_guivm != ADMIN_UNREACHABLE)
            answer.result = world->no_guivm;
        strcpy(answer.value.s, world->guivm ? world->guivm : "dom0");
        strcpy(answer.detail, "qubesd's words");
        return answer;
    }
    if (request->method == ADMIN_PROPERTY_GET) {
        assert_string_equal(request->dest.s, "dom0");
        if (world->default_dispvm)
            strcpy(answer.value.s, world->default_dispvm);
        else
            answer.result = ADMIN_EXCEPTION;
        return answer;
    }
    assert_int_equal(request->method, ADMIN_AVAILABLE);
    assert_string_equal(request->dest.s, "sys-usb");
    answer.result = world->lost ? ADMIN_UNREACHABLE : world->listing;
    answer.listing.listed = !world->unlisted;
    answer.listing.has_identity =
        identity_parse(&answer.listing.identity, "0781:5581:x", 11);
    answer.listing.attachment =
        world->attached_to ? ATTACHMENT_QUBE : ATTACHMENT_NONE;
    if (world->attached_to)
        strcpy(answer.listing.attached_to.s, world->attached_to);
    return answer;
}

static void add_qubes(QubeList *list, const char *names, PowerState power)
{
    char copy[256];

    (void) strncpy(copy, names ? names : "", sizeof(copy) - 1);
    copy[sizeof(copy) - 1] = '\0';
    for (char *name = strtok(copy, " "); name; name = strtok(NULL, " ")) {
        QubeInfo *qube = &list->qubes[list->n_qubes++];

        *qube = (QubeInfo){ .power = power };
        strcpy(qube->name.s, name);
    }
}

static void tell_qubes(World *world, Trial *trial)
{
    _cleanup_(qube_list_freep) QubeList *list = qube_list_new(32);

    assert_non_null(list);
    add_qubes(list, world->running, POWER_RUNNING);
    add_qubes(list, world->halted, POWER_HALTED);
    add_qubes(list, world->paused, POWER_PAUSED);
    add_qubes(list, world->odd, world->odd_power);
    qube_list_sort(list);
    trial_on_qubes(trial, world->qubes_fail ? NULL : list);
}

static void run(World *world, Trial *trial)
{
    AdminAnswer answer;

    for (;;)
        switch (trial_wish(trial)) {
        case TRIAL_WISH_CALL:
            answer = answer_call(world, trial_request(trial));
            trial_on_answer(trial, &answer);
            break;
        case TRIAL_WISH_QUESTION:
            trial_on_policy(trial, judge(world, trial_question(trial)));
            break;
        case TRIAL_WISH_QUBES:
            tell_qubes(world, trial);
            break;
        case TRIAL_WISH_DONE:
            return;
        }
}

typedef struct Fixture {
    Ruleset *ruleset;
    TrialTask task;
    Trial *trial;
} Fixture;

static int setup(void **state)
{
    *state = calloc(1, sizeof(Fixture));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    Fixture *fixture = *state;

    trial_free(fixture->trial);
    ruleset_unref(fixture->ruleset);
    free(fixture);
    return 0;
}

/* The task of a rule, for the block device sda. */
static void take_rule(Fixture *fixture, const char *text)
{
    _cleanup_(diagnostics_freep) Diagnostics *diagnostics = NULL;
    const Rule *rule;

    ruleset_unref(fixture->ruleset);
    assert_int_equal(diagnostics_new(&diagnostics), 0);
    assert_int_equal(ruleset_new(&fixture->ruleset), 0);
    assert_int_equal(ruleset_add_file(fixture->ruleset, "a.rules", text,
                                      strlen(text), diagnostics),
                     0);
    assert_int_equal(ruleset_count(fixture->ruleset), 1);
    rule = ruleset_get(fixture->ruleset, 0);
    fixture->task = (TrialTask){
        .rule = rule,
        .job = { .source = { "sys-usb" },
                 .class = DEVICE_CLASS_BLOCK,
                 .device = { "sda" },
                 .targets = rule->targets,
                 .n_targets = rule->n_targets,
                 .ask = rule->action == RULE_ASK,
                 .start = rule->options.start },
    };
}

static const TrialVerdict *try(Fixture *fixture, World *world)
{
    if (world->listing == ADMIN_UNREACHABLE)
        world->listing = ADMIN_OK;
    trial_free(fixture->trial);
    assert_int_equal(trial_new(&fixture->trial, &fixture->task), 0);
    run(world, fixture->trial);
    return trial_verdict(fixture->trial);
}

static void expect(const TrialVerdict *verdict,
                   Status status,
                   const char *target,
                   bool asks,
                   bool starts)
{
    char name[TARGET_STRING_MAX + 1] = "";

    if (verdict->target.kind != TARGET_INVALID)
        target_to_string(&verdict->target, name);
    assert_int_equal(verdict->status, status);
    assert_string_equal(name, target);
    assert_int_equal(verdict->asks, asks);
    assert_int_equal(verdict->starts, starts);
}

static void expect_guards(const Fixture *fixture, const TrialGuard *guards)
{
    size_t n;
    const TrialTarget *targets = trial_targets(fixture->trial, &n);

    assert_int_equal(n, fixture->task.job.n_targets);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(targets[i].guard, guards[i]);
}

static void test_an_allow_rule_takes_the_first_that_runs(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a b c ",
                    .running = "b c",
                    .halted = "a" };

    take_rule(fixture, "r: allow block to { a b c }\n");
    expect(try(fixture, &world), STATUS_ATTACHED, "b", false, false);
    expect_guards(fixture,
                  (TrialGuard[]){ TRIAL_ALLOW, TRIAL_ALLOW, TRIAL_ALLOW });
    /* nothing but questions */
    assert_int_equal(world.n_questions, 3);
    assert_int_equal(world.n_calls, 1);
}

static void test_a_halted_target_is_started(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a ", .halted = "a" };

    take_rule(fixture, "r: allow block to a\n");
    expect(try(fixture, &world), STATUS_ATTACHED, "a", false, true);
    take_rule(fixture, "r: allow block to a when-running\n");
    expect(try(fixture, &world), STATUS_WAITING_FOR_TARGET, "", false, false);
    take_rule(fixture, "r: allow block to a if-running\n");
    expect(try(fixture, &world), STATUS_TARGET_NOT_RUNNING, "", false, false);
}

static void test_what_policy_denies_is_no_choice(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " b ",
                    .policy_ask = " c ",
                    .running = "a b c" };

    take_rule(fixture, "r: ask block to { a b c }\n");
    expect(try(fixture, &world), STATUS_ATTACHED, "", true, false);
    expect_guards(fixture,
                  (TrialGuard[]){ TRIAL_DENY, TRIAL_ALLOW, TRIAL_ASK });

    world.policy_ask = NULL;
    expect(try(fixture, &world), STATUS_ATTACHED, "b", true, false);
    world.policy_allow = NULL;
    expect(try(fixture, &world), STATUS_DENIED_BY_POLICY, "", false, false);
}

static void test_policy_can_make_an_allow_rule_ask(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_ask = " a ", .halted = "a" };

    take_rule(fixture, "r: allow block to a\n");
    expect(try(fixture, &world), STATUS_ATTACHED, "a", true, true);
}

static void test_a_policy_daemon_that_does_not_answer_is_asked_once(
    void **state)
{
    static const struct {
        PolicyAnswer answer;
        TrialGuard guard;
        Status status;
    } cases[] = {
        { POLICY_UNREACHABLE, TRIAL_UNREACHABLE, STATUS_UNAVAILABLE },
        { POLICY_TIMED_OUT, TRIAL_TIMED_OUT, STATUS_TIMEOUT },
        { POLICY_SILENT, TRIAL_SILENT, STATUS_DENIED_BY_POLICY },
    };
    Fixture *fixture = *state;

    take_rule(fixture, "r: allow block to { a b }\n");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        World world = { .no_answer = cases[i].answer, .running = "a b" };

        expect(try(fixture, &world), cases[i].status, "", false, false);
        expect_guards(fixture,
                      (TrialGuard[]){ cases[i].guard, cases[i].guard });
        /* a silent one may have something to say of another target */
        assert_int_equal(world.n_questions,
                         cases[i].answer == POLICY_SILENT ? 2 : 1);
    }
}

static void test_where_nobody_can_be_asked_that_is_told(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a ", .running = "a", .guivm = "sys-gui" };

    take_rule(fixture, "r: ask block to a\n");
    expect(try(fixture, &world), STATUS_UNAVAILABLE, "", false, false);
    assert_string_equal(trial_verdict(fixture->trial)->detail,
                        "nobody can be asked: the GUI domain of sys-usb is "
                        "sys-gui, not dom0");
    world.guivm = "";
    expect(try(fixture, &world), STATUS_UNAVAILABLE, "", false, false);
    assert_non_null(
        strstr(trial_verdict(fixture->trial)->detail, "is none, not dom0"));
    world.no_guivm = ADMIN_TIMED_OUT;
    expect(try(fixture, &world), STATUS_UNAVAILABLE, "", false, false);
    assert_string_equal(trial_verdict(fixture->trial)->detail,
                        "qubesd's words");

    /* of the policy's prompts, too, but of nothing else */
    world = (World){ .policy_ask = " a ", .running = "a", .guivm = "sys-gui" };
    take_rule(fixture, "r: allow block to a\n");
    expect(try(fixture, &world), STATUS_UNAVAILABLE, "", false, false);
    world.policy_allow = " a ";
    expect(try(fixture, &world), STATUS_ATTACHED, "a", false, false);
}

static void test_the_source_is_never_a_target(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " sys-usb a ", .running = "a sys-usb" };

    take_rule(fixture, "r: allow block to { sys-usb a }\n");
    expect(try(fixture, &world), STATUS_ATTACHED, "a", false, false);
    expect_guards(fixture, (TrialGuard[]){ TRIAL_NEVER, TRIAL_ALLOW });
    assert_int_equal(world.n_questions, 1);
}

static void test_of_the_default_disposable_both_names_count(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " @dispvm @dispvm:dvm ",
                    .halted = "dvm",
                    .default_dispvm = "dvm" };

    take_rule(fixture, "r: allow block to @dispvm\n");
    expect(try(fixture, &world), STATUS_ATTACHED, "@dispvm", false, false);
    expect_guards(fixture, (TrialGuard[]){ TRIAL_ALLOW });

    world.policy_allow = " @dispvm ";
    world.policy_ask = " @dispvm:dvm ";
    expect(try(fixture, &world), STATUS_ATTACHED, "@dispvm", true, false);
    expect_guards(fixture, (TrialGuard[]){ TRIAL_ASK });

    world.policy_ask = NULL;
    expect(try(fixture, &world), STATUS_DENIED_BY_POLICY, "", false, false);
    expect_guards(fixture, (TrialGuard[]){ TRIAL_DENY });

    world.policy_allow = NULL;
    world.policy_ask = " @dispvm:dvm ";
    expect(try(fixture, &world), STATUS_DENIED_BY_POLICY, "", false, false);
    expect_guards(fixture, (TrialGuard[]){ TRIAL_DENY });
}

static void test_without_a_default_template_no_disposable_starts(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " @dispvm a ", .running = "a" };

    take_rule(fixture, "r: allow block to @dispvm\n");
    expect(try(fixture, &world), STATUS_START_FAILED, "", false, false);
    assert_string_equal(trial_verdict(fixture->trial)->detail,
                        "dom0 has no default disposable template");
    expect_guards(fixture, (TrialGuard[]){ TRIAL_ALLOW });

    take_rule(fixture, "r: allow block to { @dispvm a }\n");
    expect(try(fixture, &world), STATUS_ATTACHED, "a", false, false);
    world.no_answer = POLICY_UNREACHABLE;
    expect(try(fixture, &world), STATUS_UNAVAILABLE, "", false, false);
}

static void test_whether_targets_exist_is_told(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a @dispvm:dvm @dispvm:no gone ",
                    .running = "a",
                    .halted = "dvm" };
    const TrialTarget *targets;
    size_t n;

    take_rule(fixture, "r: allow block to { gone a @dispvm:dvm @dispvm:no }\n");
    expect(try(fixture, &world), STATUS_ATTACHED, "a", false, false);
    targets = trial_targets(fixture->trial, &n);
    assert_true(targets[0].is_known && !targets[0].exists);
    assert_true(targets[1].exists);
    assert_int_equal(targets[1].power, POWER_RUNNING);
    assert_true(targets[2].exists);
    assert_false(targets[3].exists);

    take_rule(fixture, "r: allow block to gone\n");
    expect(try(fixture, &world), STATUS_QUBESD_REFUSED, "", false, false);

    take_rule(fixture, "r: allow block to { gone a }\n");
    world.qubes_fail = true;
    expect(try(fixture, &world), STATUS_UNAVAILABLE, "", false, false);
    targets = trial_targets(fixture->trial, &n);
    assert_false(targets[1].is_known);
}

static void test_what_was_not_asked_for_is_not_taken(void **state)
{
    World world = { .policy_allow = " a ", .running = "a" };
    Fixture *fixture = *state;
    const AdminAnswer lost = { .result = ADMIN_UNREACHABLE };

    take_rule(fixture, "r: allow block type disk to a\n");
    assert_int_equal(trial_new(&fixture->trial, &fixture->task), 0);
    assert_int_equal(trial_wish(fixture->trial), TRIAL_WISH_QUESTION);
    trial_on_qubes(fixture->trial, NULL);
    trial_on_answer(fixture->trial, &lost);
    assert_int_equal(trial_wish(fixture->trial), TRIAL_WISH_QUESTION);

    expect(try(fixture, &world), STATUS_ATTACHED, "a", false, false);
    trial_on_qubes(fixture->trial, NULL);
    trial_on_answer(fixture->trial, &lost);
    trial_on_policy(fixture->trial, POLICY_NO);
    assert_int_equal(trial_wish(fixture->trial), TRIAL_WISH_DONE);
    expect(trial_verdict(fixture->trial), STATUS_ATTACHED, "a", false, false);
}

static void test_what_qubesd_says_of_the_device_counts(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a b ", .running = "a b" };

    take_rule(fixture, "r: allow block to a\n");
    world.unlisted = true;
    expect(try(fixture, &world), STATUS_NO_SUCH_DEVICE, "", false, false);
    world.unlisted = false;
    world.attached_to = "a";
    expect(try(fixture, &world), STATUS_ALREADY_ATTACHED, "", false, false);
    world.attached_to = "b";
    expect(try(fixture, &world), STATUS_ATTACHED_ELSEWHERE, "", false, false);
    world.attached_to = NULL;
    strcpy(fixture->task.job.vendor_id, "dead");
    strcpy(fixture->task.job.product_id, "beef");
    expect(try(fixture, &world), STATUS_SUPERSEDED, "", false, false);
    world.listing = ADMIN_GARBAGE;
    expect(try(fixture, &world), STATUS_QUBESD_REFUSED, "", false, false);
}

static void test_a_paused_target_takes_nothing(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a ", .paused = "a" };

    take_rule(fixture, "r: allow block to a\n");
    expect(try(fixture, &world), STATUS_START_FAILED, "", false, false);
}

static void test_usb_goes_into_a_running_target(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a ", .running = "a" };

    take_rule(fixture, "r: allow usb to a\n");
    fixture->task.job.class = DEVICE_CLASS_USB;
    strcpy(fixture->task.job.device.s, "2-1");
    expect(try(fixture, &world), STATUS_ATTACHED, "a", false, false);
    world.running = NULL;
    world.halted = "a";
    expect(try(fixture, &world), STATUS_ATTACHED, "a", false, true);
}

static void test_what_is_tried_again_has_its_own_outcome(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a ", .running = "a" };

    take_rule(fixture, "r: allow usb to a\n");
    fixture->task.job.class = DEVICE_CLASS_USB;
    strcpy(fixture->task.job.device.s, "2-1");
    /* qubesd may still list what was detached then */
    fixture->task.job.port_detached_usec = 10 * USEC_PER_SEC;
    world.attached_to = "a";
    expect(try(fixture, &world), STATUS_ALREADY_ATTACHED, "", false, false);
    world.attached_to = "b";
    expect(try(fixture, &world), STATUS_ATTACHED_ELSEWHERE, "", false, false);

    /* qubesd's events show that it is there */
    fixture->task.job.connected = true;
    world.lost = true;
    expect(try(fixture, &world), STATUS_UNAVAILABLE, "", false, false);
}

static void test_what_is_settled_before_a_job_is_told(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a ", .running = "a" };

    take_rule(fixture, "r: allow block to a\n");
    fixture->task.settled = STATUS_PAUSED;
    fixture->task.settled_detail = "for a reason";
    expect(try(fixture, &world), STATUS_PAUSED, "", false, false);
    assert_string_equal(trial_verdict(fixture->trial)->detail, "for a reason");
    /* but what would be asked is told all the same */
    expect_guards(fixture, (TrialGuard[]){ TRIAL_ALLOW });

    take_rule(fixture, "r: ask block to a\n");
    fixture->task.is_quiet = true;
    expect(try(fixture, &world), STATUS_QUIET, "", false, false);
}

static void test_without_a_rule_that_attaches_nothing_is_asked(void **state)
{
    Fixture *fixture = *state;
    World world = { .policy_allow = " a " };

    take_rule(fixture, "r: deny block\n");
    expect(try(fixture, &world), STATUS_DENIED_BY_RULE, "", false, false);
    fixture->task.rule = NULL;
    expect(try(fixture, &world), STATUS_NO_RULE, "", false, false);
    assert_int_equal(world.n_questions + world.n_calls, 0);
}

static void test_rules_alone_have_a_verdict_too(void **state)
{
    Fixture *fixture = *state;
    TrialVerdict verdict;

    take_rule(fixture, "r: ask block to a\n");
    verdict = trial_verdict_of_rule(fixture->task.rule);
    expect(&verdict, STATUS_ATTACHED, "a", true, false);
    take_rule(fixture, "r: allow block to { a b }\n");
    verdict = trial_verdict_of_rule(fixture->task.rule);
    expect(&verdict, STATUS_ATTACHED, "", false, false);
    verdict = trial_verdict_of_rule(NULL);
    expect(&verdict, STATUS_NO_RULE, "", false, false);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* Whatever a job waits for, or tries again: a trial that does not end aborts
 * the daemon. */
static void try_all_answers(Fixture *fixture)
{
    static const char *const holders[] = { NULL, "a", "z" };

    for (unsigned int i = 0; i < 16; i++)
        for (AdminResult result = ADMIN_UNREACHABLE; result <= ADMIN_OK;
             result++)
            for (PowerState power = POWER_UNKNOWN; power <= POWER_CRASHED;
                 power++)
                for (size_t k = 0; k < ARRAY_SIZE(holders); k++) {
                    World world = { .policy_allow = " a b @dispvm:media ",
                                    .odd = "a",
                                    .odd_power = power,
                                    .halted = i & 1 ? "b" : NULL,
                                    .unlisted = i & 2,
                                    .attached_to = holders[k],
                                    .lost = result == ADMIN_UNREACHABLE,
                                    .listing = result };
                    JobTask *job = &fixture->task.job;

                    job->connected = i & 4;
                    job->port_detached_usec = i & 8 ? 10 * USEC_PER_SEC : 0;
                    assert_int_not_equal(try(fixture, &world)->status,
                                         STATUS_INVALID);
                }
}

static void test_every_trial_ends(void **state)
{
    static const char *const rules[] = {
        "r: allow any to { a b }\n",
        "r: allow any to a if-running\n",
        "r: allow any to { a b } when-running\n",
        "r: ask any to { a @dispvm:media }\n",
        "r: ask any to { a b } when-running\n",
        "r: allow any to @dispvm:media\n",
    };
    static const struct {
        DeviceClass class;
        const char *name;
    } devices[] = { { DEVICE_CLASS_BLOCK, "sda" },
                    { DEVICE_CLASS_USB, "2-1" } };
    Fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        take_rule(fixture, rules[i]);
        for (size_t k = 0; k < ARRAY_SIZE(devices); k++) {
            fixture->task.job.class = devices[k].class;
            strcpy(fixture->task.job.device.s, devices[k].name);
            try_all_answers(fixture);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_an_allow_rule_takes_the_first_that_runs),
        TEST(test_a_halted_target_is_started),
        TEST(test_what_policy_denies_is_no_choice),
        TEST(test_policy_can_make_an_allow_rule_ask),
        TEST(test_a_policy_daemon_that_does_not_answer_is_asked_once),
        TEST(test_where_nobody_can_be_asked_that_is_told),
        TEST(test_the_source_is_never_a_target),
        TEST(test_of_the_default_disposable_both_names_count),
        TEST(test_without_a_default_template_no_disposable_starts),
        TEST(test_whether_targets_exist_is_told),
        TEST(test_what_was_not_asked_for_is_not_taken),
        TEST(test_what_qubesd_says_of_the_device_counts),
        TEST(test_a_paused_target_takes_nothing),
        TEST(test_usb_goes_into_a_running_target),
        TEST(test_what_is_tried_again_has_its_own_outcome),
        TEST(test_what_is_settled_before_a_job_is_told),
        TEST(test_without_a_rule_that_attaches_nothing_is_asked),
        TEST(test_rules_alone_have_a_verdict_too),
        TEST(test_every_trial_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
