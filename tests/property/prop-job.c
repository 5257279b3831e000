/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The job through every sequence of inputs, up to a depth; sequences that lead
 * to the same state are walked on once. At each step:
 *
 *     Attach is wished for only of a target that the guard rail lets through,
 *     with the person's approval where that is needed, after the device was
 *     seen since, and with a turn that was granted; of a USB device only when
 *     no part of it is attached and the target was seen to run just before
 *     the first outcome counts, and nothing is begun after it
 *     a job that is done is done once, has an outcome and ignores everything
 *     what may be attached in the end is known to be held
 *     after "gone" nothing is left attached, unless Detach failed
 *     Detach is wished for only where a look has just found the device
 *     a disposable of its making is discarded, unless the device is attached
 *     there, by whomever
 */

#include <string.h>

#include "dom0/core/job.h"
#include "tests/support/test.h"

#define BEGIN_USEC (UINT64_C(86400) * USEC_PER_SEC)
#define DEPTH      17U
#define STATES_MAX 150000U
#define SEEN_SIZE  (1U << 19)

/* a job and what the world around it knows */
typedef struct Node {
    Job job;
    uint64_t now_usec;
    uint8_t depth;

    bool call;     /* under way, or to be sent: job.request */
    bool question; /* the same: job.question */
    bool start;
    bool judged[APPROVAL_TARGETS_MAX]; /* let through by the guard rail */
    bool asks[APPROVAL_TARGETS_MAX];   /* by rule or by guard rail */
    bool approved;
    size_t approved_choice;
    bool waited;   /* since the guard rail was asked */
    bool fresh;    /* seen since start, prompt and wait */
    bool surveyed; /* USB: no part was attached, since it was seen */
    bool running;  /* USB: the last answer was that the target runs */
    uint8_t n_parts;
    uint8_t n_turns;
    uint8_t n_attaches;
    bool may_be_attached;
    uint64_t attached_as; /* identity_hash() that Attach was bound to; 0 */
    bool found;           /* by the last call: it is attached */
    bool detach_failed;
    bool gone;
    bool made; /* a disposable, not done away with */
    bool done;
    Status outcome;
} Node;

typedef struct Walk {
    const char *name;
    Node *nodes;
    size_t n_nodes;
    uint64_t *seen;
    size_t n_done;
    size_t n_attached;
} Walk;

#define REQUIRE(walk, condition)                                     \
    do {                                                             \
        if (!(condition))                                            \
            fail_msg(#condition " (%s, depth %u, %s)", (walk)->name, \
                     (unsigned) node->depth,                         \
                     job_state_to_string(node->job.state));          \
    } while (0)

/* Times as seen from now, so that equal states are equal. */
static uint64_t relative(uint64_t usec, uint64_t now_usec)
{
    return usec == UINT64_MAX || usec == 0 ? usec : usec - now_usec;
}

/* How long its port was detached ago, as far as it matters. */
static uint64_t job_port_recent(const Job *job, uint64_t now_usec)
{
    uint64_t until_usec = job->port_detached_usec + JOB_PORT_STALE_USEC;

    return job->port_detached_usec != 0 && until_usec >= now_usec
               ? until_usec - now_usec + 1
               : 0;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_of(const Node *node)
{
    const Job *job = &node->job;
    const uint64_t numbers[] = {
        job->state,
        job->outcome,
        job->holding,
        job->resume,
        job->pinned,
        job->touched,
        job->started,
        job->announced,
        job->reread,
        job->has_turn,
        job->surveyed,
        job->unlisted,
        job->stale,
        job->missing,
        job->look_first,
        job->bound_to,
        job->tried,
        job->attach_result,
        job->attach_error,
        job->second_name,
        job->first_verdict,
        job->waited,
        job->rejudges,
        job->policy_changed,
        job->no_answer,
        job->candidate,
        job->chosen,
        job->choice,
        job->approved,
        job->made,
        job->n_retries,
        job->request.method,
        job->question.assume_yes,
        relative(job->wake_usec, node->now_usec),
        relative(job->deadline_usec, node->now_usec),
        relative(job->appear_usec, node->now_usec),
        relative(job->paused_usec, node->now_usec),
        job_port_recent(job, node->now_usec),
        node->call,
        node->question,
        node->start,
        node->approved,
        node->approved_choice,
        node->waited,
        node->fresh,
        node->surveyed,
        node->running,
        node->n_parts,
        node->n_turns - node->n_attaches,
        node->may_be_attached,
        node->attached_as,
        node->found,
        node->detach_failed,
        node->gone,
        node->made,
        node->done,
    };
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    hash = hash_bytes(hash, numbers, sizeof(numbers));
    hash = hash_bytes(hash, job->verdicts, 4);
    hash = hash_bytes(hash, node->judged, 4);
    hash = hash_bytes(hash, job->target.s, strlen(job->target.s));
    hash =
        hash_bytes(hash, job->default_dispvm.s, strlen(job->default_dispvm.s));
    return hash ? hash : 1;
}

/* Keep it for a later step, unless one like it was seen. */
static void push(Walk *walk, const Node *node)
{
    uint64_t hash = hash_of(node);
    size_t at = (size_t) hash % SEEN_SIZE;

    while (walk->seen[at] != 0) {
        if (walk->seen[at] == hash)
            return;
        at = (at + 1) % SEEN_SIZE;
    }
    if (walk->n_nodes == STATES_MAX)
        return;
    walk->seen[at] = hash;
    walk->nodes[walk->n_nodes++] = *node;
}

/* Everybody may call, but a job that is done does nothing any more. */
static void check_deaf(Walk *walk, const Node *node)
{
    static const AdminAnswer answer = { .result = ADMIN_OK };
    const uint64_t now_usec = node->now_usec + JOB_USEC;
    Job job;

    memcpy(&job, &node->job, sizeof(job));
    REQUIRE(walk, job_on_answer(&job, &answer, now_usec) == 0);
    REQUIRE(walk, job_on_verdict(&job, POLICY_YES, now_usec) == 0);
    REQUIRE(walk, job_on_prompt_open(&job, now_usec, now_usec) == 0);
    REQUIRE(walk, job_on_prompt_lost(&job, now_usec) == 0);
    REQUIRE(walk, job_on_prompt_offline(&job, "", now_usec) == 0);
    REQUIRE(walk, job_on_approved(&job, 0, now_usec) == 0);
    REQUIRE(walk, job_on_refused(&job, STATUS_QUIET, "", now_usec) == 0);
    REQUIRE(walk, job_on_started(&job, STATUS_ATTACHED, "", now_usec) == 0);
    REQUIRE(walk, job_on_turn(&job, JOB_TURN_GRANTED, 0, now_usec) == 0);
    REQUIRE(walk, job_on_part(&job, NULL, false, now_usec) == 0);
    REQUIRE(walk, !job_holds_port_turn(&job));
    REQUIRE(walk, job_on_time(&job, now_usec) == 0);
    REQUIRE(walk, job_on_appeared(&job, NULL, now_usec) == 0);
    REQUIRE(walk, job_on_qubesd(&job, now_usec) == 0);
    REQUIRE(walk, job_on_withdrawn(&job, true, STATUS_SUPERSEDED, "") == 0);
    REQUIRE(walk, job_on_withdrawn(&job, false, STATUS_SUPERSEDED, "") == 0);
    REQUIRE(walk, job_go(&job, now_usec) == 0);
    job.touched = node->job.touched;
    REQUIRE(walk, memcmp(&job, &node->job, sizeof(job)) == 0);
    REQUIRE(walk, job_next_usec(&job) == UINT64_MAX);
}

/* Somebody else has attached the device to the disposable that was made. */
static bool is_seen_in_disposable(const Job *job)
{
    return job->disposable.s[0] != '\0' &&
           qube_name_equal(&job->seen_at, &job->disposable);
}

static void check_done(Walk *walk, const Node *node)
{
    REQUIRE(walk, node->job.state == JOB_DONE);
    REQUIRE(walk, node->job.outcome != STATUS_INVALID);
    REQUIRE(walk,
            !node->may_be_attached || node->job.holding != HOLDING_NOTHING);
    REQUIRE(walk, !node->gone || !node->may_be_attached || node->detach_failed);
    REQUIRE(walk, !node->made || node->job.holding == HOLDING_DEVICE ||
                      is_seen_in_disposable(&node->job));
    REQUIRE(walk, node->job.outcome != STATUS_ALREADY_ATTACHED ||
                      !is_seen_in_disposable(&node->job) || node->made);
    /* what comes of a disposable in the making would be nobody's */
    REQUIRE(walk,
            !node->call || node->job.request.method != ADMIN_CREATE_DISPOSABLE);
    REQUIRE(walk, node->job.outcome != STATUS_ATTACHED ||
                      node->job.holding == HOLDING_DEVICE);
    check_deaf(walk, node);
}

/* The index in the task of the target that is to be used. */
static size_t target_index(const Node *node)
{
    const JobTask *task = &node->job.task;

    for (size_t i = 0; i < task->n_targets; i++)
        if (task->targets[i].kind == TARGET_QUBE
                ? qube_name_equal(&task->targets[i].name,
                                  &node->job.request.dest)
                : node->made)
            return i;
    return task->n_targets;
}

static void check_attach(Walk *walk, Node *node)
{
    const Job *job = &node->job;
    size_t target = target_index(node);

    node->n_attaches++;
    REQUIRE(walk, job->holding != HOLDING_NOTHING);
    REQUIRE(walk, target < job->task.n_targets);
    REQUIRE(walk, node->judged[target]);
    REQUIRE(walk, !node->asks[target] ||
                      (node->approved && node->approved_choice == target));
    REQUIRE(walk, node->fresh);
    REQUIRE(walk, !node->waited);
    REQUIRE(walk, node->n_turns >= node->n_attaches);
    if (job->task.class == DEVICE_CLASS_USB) {
        REQUIRE(walk, node->surveyed);
        REQUIRE(walk, node->running);
        REQUIRE(walk, job_holds_port_turn(job));
    }
    REQUIRE(walk, qube_name_equal(&job->request.backend, &job->task.source));
    REQUIRE(walk, device_name_equal(&job->request.port, &job->task.device));
}

static void take(Walk *walk, const Node *after, JobWish wish);

/* There may be a part to be looked at, one that is attached, or none. */
static void take_parts(Walk *walk, const Node *before)
{
    static const Record part = { .class = DEVICE_CLASS_BLOCK,
                                 .device = { "sda" } };
    Node node = *before;

    node.outcome = node.job.outcome;
    if (node.n_parts == 0) {
        node.n_parts++;
        take(walk, &node, job_on_part(&node.job, &part, false, node.now_usec));
    }
    node = *before;
    node.outcome = node.job.outcome;
    take(walk, &node, job_on_part(&node.job, NULL, true, node.now_usec));
    node = *before;
    node.outcome = node.job.outcome;
    node.surveyed = true;
    take(walk, &node, job_on_part(&node.job, NULL, false, node.now_usec));
}

/* Whether the job waits for something that may take long. */
static bool is_waiting(const Job *job)
{
    return job->state == JOB_AWAITING || job->state == JOB_AWAITING_PROMPT ||
           job->state == JOB_ASKING || job->state == JOB_STARTING ||
           job->state == JOB_PAUSING || job->state == JOB_OFFLINE;
}

/* Something has come in: what is wished for? */
static void take(Walk *walk, const Node *after, JobWish wish)
{
    Node copy = *after, *node = &copy;
    const Job *job = &node->job;

    node->depth++;
    node->waited |=
        is_waiting(job) || (job->state == JOB_TURN && wish == JOB_WISH_NOTHING);
    if (node->outcome != STATUS_INVALID)
        REQUIRE(walk, job->outcome == node->outcome);

    switch (wish) {
    case JOB_WISH_NOTHING:
        break;
    case JOB_WISH_CALL:
        node->call = true;
        if (job->request.method == ADMIN_ATTACH) {
            check_attach(walk, node);
            REQUIRE(walk, node->outcome == STATUS_INVALID);
        }
        if (job->request.method == ADMIN_DETACH)
            REQUIRE(walk, node->found);
        if (job->request.method == ADMIN_CREATE_DISPOSABLE) {
            REQUIRE(walk, job->outcome == STATUS_INVALID);
            REQUIRE(walk, !node->waited);
        }
        break;
    case JOB_WISH_QUESTION:
        REQUIRE(walk, job->outcome == STATUS_INVALID);
        node->question = true;
        break;
    case JOB_WISH_PROMPT:
        REQUIRE(walk, job->outcome == STATUS_INVALID);
        REQUIRE(walk, job->state == JOB_AWAITING_PROMPT);
        break;
    case JOB_WISH_START:
        REQUIRE(walk, job->outcome == STATUS_INVALID);
        REQUIRE(walk, job->target.s[0] != '\0');
        node->start = true;
        break;
    case JOB_WISH_JOIN: {
        Node of_others = *node;

        REQUIRE(walk, job->outcome == STATUS_INVALID);
        REQUIRE(walk, job->target.s[0] != '\0');
        take(walk, &of_others,
             job_on_start_of_others(&of_others.job, of_others.now_usec));
        node->start = true;
        break;
    }
    case JOB_WISH_TURN: {
        Node granted = *node;

        node->outcome = job->outcome;
        /* a turn may be given at once, or late */
        granted.n_turns++;
        take(walk, &granted,
             job_on_turn(&granted.job, JOB_TURN_GRANTED, 0, granted.now_usec));
        for (JobTurn turn = JOB_TURN_LATER; turn <= JOB_TURN_SHUT; turn++) {
            granted = *node;
            if (turn == JOB_TURN_GRANTED)
                continue;
            take(walk, &granted,
                 job_on_turn(&granted.job, turn,
                             granted.now_usec + USEC_PER_SEC,
                             granted.now_usec));
        }
        return;
    }
    case JOB_WISH_PART:
        REQUIRE(walk, job->outcome == STATUS_INVALID);
        take_parts(walk, node);
        return;
    case JOB_WISH_DONE:
        node->done = true;
        check_done(walk, node);
        walk->n_done++;
        walk->n_attached += job->outcome == STATUS_ATTACHED;
        return;
    }
    REQUIRE(walk, job->state != JOB_DONE);
    node->outcome = job->outcome;
    push(walk, node);
}

static AdminAnswer listed(bool with_identity, const char *devid)
{
    AdminAnswer answer = { .result = ADMIN_OK };

    answer.listing.listed = true;
    answer.listing.attachment = ATTACHMENT_NONE;
    answer.listing.has_identity = with_identity;
    if (with_identity)
        assert_true(
            identity_parse(&answer.listing.identity, devid, strlen(devid)));
    return answer;
}

/* Whether it is another device that is attached under the name. */
static bool is_of_another(const Node *node, const AdminAnswer *answer)
{
    return node->job.state == JOB_DETACH_VERIFYING &&
           answer->listing.has_identity && node->attached_as != 0 &&
           identity_hash(&answer->listing.identity) != node->attached_as;
}

/* What the world is like after this answer to this call. */
static void learn(Node *node, const AdminAnswer *answer)
{
    const AdminRequest *request = &node->job.request;
    bool ok = answer->result == ADMIN_OK;
    bool exception = answer->result == ADMIN_EXCEPTION;

    node->found = request->method == ADMIN_ATTACHED && ok &&
                  answer->listing.listed && !is_of_another(node, answer);
    switch (request->method) {
    case ADMIN_ATTACH:
        if (ok || answer->result == ADMIN_EMPTY ||
            answer->result == ADMIN_GARBAGE ||
            answer->result == ADMIN_TIMED_OUT ||
            (exception && answer->error == ADMIN_ERROR_OTHER &&
             request->class == DEVICE_CLASS_BLOCK))
            node->may_be_attached = true;
        node->attached_as =
            request->pinned ? identity_hash(&request->identity) : 0;
        node->fresh = false;
        node->running = false;
        break;
    case ADMIN_ATTACHED:
        if ((ok && (!answer->listing.listed || is_of_another(node, answer))) ||
            (exception && answer->error == ADMIN_ERROR_NO_SUCH_QUBE))
            node->may_be_attached = false;
        if (!ok && answer->result != ADMIN_UNREACHABLE)
            node->detach_failed = true; /* it cannot be known */
        break;
    case ADMIN_DETACH:
        if (ok || (exception && (answer->error == ADMIN_ERROR_NOT_ATTACHED ||
                                 answer->error == ADMIN_ERROR_NOT_RUNNING ||
                                 answer->error == ADMIN_ERROR_NO_SUCH_QUBE)))
            node->may_be_attached = false;
        else
            node->detach_failed = true;
        break;
    case ADMIN_AVAILABLE:
        if (node->job.state == JOB_SURVEYING)
            break;
        node->fresh = ok && answer->listing.listed;
        node->surveyed = false;
        break;
    case ADMIN_CURRENT_STATE:
        node->running = ok && answer->power == POWER_RUNNING;
        break;
    case ADMIN_CREATE_DISPOSABLE:
        if (ok)
            node->made = true;
        break;
    case ADMIN_KILL:
        if (ok || (exception && answer->error == ADMIN_ERROR_NO_SUCH_QUBE))
            node->may_be_attached = false;
        node->made = answer->result == ADMIN_UNREACHABLE ||
                     (exception && answer->error == ADMIN_ERROR_NOT_STARTED);
        break;
    case ADMIN_REMOVE:
        if (ok || (exception && answer->error == ADMIN_ERROR_NO_SUCH_QUBE))
            node->may_be_attached = false;
        node->made = answer->result == ADMIN_UNREACHABLE;
        break;
    case ADMIN_INVALID:
    case ADMIN_EVENTS:
    case ADMIN_LIST:
    case ADMIN_START:
    case ADMIN_SHUTDOWN:
    case ADMIN_PROPERTY_GET:
    case ADMIN_OLD_LIST:
        break;
    }
}

static void answer_with(Walk *walk, const Node *before, AdminAnswer answer)
{
    Node node = *before;

    learn(&node, &answer);
    node.call = false;
    take(walk, &node, job_on_answer(&node.job, &answer, node.now_usec));
}

static void walk_answers(Walk *walk, const Node *node)
{
    static const AdminError errors[] = {
        ADMIN_ERROR_OTHER,        ADMIN_ERROR_NOT_RUNNING,
        ADMIN_ERROR_NO_SUCH_QUBE, ADMIN_ERROR_ALREADY_ATTACHED,
        ADMIN_ERROR_NOT_ATTACHED, ADMIN_ERROR_PROTOCOL,
        ADMIN_ERROR_NOT_STARTED,  ADMIN_ERROR_USB_PROXY,
    };
    AdminMethod method = node->job.request.method;
    AdminAnswer answer;

    for (AdminResult result = ADMIN_UNREACHABLE; result <= ADMIN_GARBAGE;
         result++)
        answer_with(walk, node, (AdminAnswer){ .result = result });
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        answer_with(
            walk, node,
            (AdminAnswer){ .result = ADMIN_EXCEPTION, .error = errors[i] });

    answer = (AdminAnswer){ .result = ADMIN_OK };
    switch (method) {
    case ADMIN_AVAILABLE:
    case ADMIN_ATTACHED:
        answer_with(walk, node, answer);
        answer_with(walk, node, listed(true, "0781:5581:a:u0"));
        answer_with(walk, node, listed(true, "dead:beef:a:u0"));
        answer_with(walk, node, listed(false, ""));
        answer = listed(true, "0781:5581:a:u0");
        answer.listing.attachment = ATTACHMENT_QUBE;
        memcpy(answer.listing.attached_to.s, "work", 5);
        if (method == ADMIN_AVAILABLE && !node->job.made)
            answer_with(walk, node, answer);
        memcpy(answer.listing.attached_to.s, "else", 5);
        if (method == ADMIN_AVAILABLE)
            answer_with(walk, node, answer);
        break;
    case ADMIN_CURRENT_STATE:
        for (PowerState power = POWER_UNKNOWN; power <= POWER_HALTING;
             power++) {
            answer.power = power;
            answer_with(walk, node, answer);
        }
        break;
    case ADMIN_PROPERTY_GET:
        answer_with(walk, node, answer);
        memcpy(answer.value.s, "dvm", 4);
        answer_with(walk, node, answer);
        break;
    case ADMIN_CREATE_DISPOSABLE:
        memcpy(answer.qube.s, "disp1", 6);
        answer_with(walk, node, answer);
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
        answer_with(walk, node, answer);
        break;
    }
}

static void walk_verdicts(Walk *walk, const Node *before)
{
    for (PolicyAnswer answer = POLICY_NO; answer <= POLICY_YES; answer++) {
        Node node = *before;
        const PolicyQuestion *question = &node.job.question;
        size_t i = node.job.candidate;

        node.question = false;
        node.waited = false;
        if (answer == POLICY_YES) {
            node.judged[i] = true;
            node.asks[i] |= question->assume_yes;
        } else if (question->assume_yes || answer != POLICY_NO) {
            node.judged[i] = false;
        }
        take(walk, &node, job_on_verdict(&node.job, answer, node.now_usec));
    }
}

static void walk_prompt(Walk *walk, const Node *before)
{
    Node node = *before;

    if (node.job.state == JOB_AWAITING_PROMPT) {
        Target targets[APPROVAL_TARGETS_MAX];
        size_t choices[APPROVAL_TARGETS_MAX], preselected = SIZE_MAX;
        size_t n = job_prompt(&node.job, targets, choices, &preselected);

        assert_true(n > 0);
        assert_true(preselected < n);
        for (size_t i = 0; i < n; i++)
            assert_true(node.judged[choices[i]]);
        take(walk, &node,
             job_on_prompt_open(&node.job, node.now_usec + 120 * USEC_PER_SEC,
                                node.now_usec));
        node = *before;
        take(walk, &node, job_on_prompt_offline(&node.job, "", node.now_usec));
    }
    node = *before;
    if (node.job.state == JOB_ASKING) {
        take(walk, &node, job_on_prompt_lost(&node.job, node.now_usec));
        for (size_t i = 0; i <= before->job.task.n_targets; i++) {
            JobWish wish;

            node = *before;
            wish = job_on_approved(&node.job, i, node.now_usec);
            /* what was not offered counts for nothing */
            if (wish == JOB_WISH_NOTHING) {
                assert_true(i == node.job.task.n_targets ||
                            node.job.verdicts[i] == VERDICT_DENY);
                continue;
            }
            node.approved = true;
            node.approved_choice = i;
            node.fresh = false;
            take(walk, &node, wish);
        }
    }
    node = *before;
    take(walk, &node,
         job_on_refused(&node.job, STATUS_DENIED_BY_USER, "", node.now_usec));
}

static void walk_start(Walk *walk, const Node *before)
{
    static const Status results[] = { STATUS_ATTACHED, STATUS_UNAVAILABLE,
                                      STATUS_START_FAILED, STATUS_TIMEOUT };

    for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
        Node node = *before;

        node.start = false;
        node.fresh = false;
        node.running = false;
        take(walk, &node,
             job_on_started(&node.job, results[i], "", node.now_usec));
    }
}

static void walk_time(Walk *walk, const Node *before)
{
    uint64_t next_usec = job_next_usec(&before->job);
    Node node = *before;

    if (next_usec != UINT64_MAX) {
        JobState state = before->job.state;

        node.now_usec = next_usec > node.now_usec ? next_usec : node.now_usec;
        if (state == JOB_TURN)
            node.fresh = false;
        node.running = false;
        take(walk, &node, job_on_time(&node.job, node.now_usec));
    }
    /* too early */
    node = *before;
    assert_int_equal(next_usec > node.now_usec
                         ? job_on_time(&node.job, node.now_usec)
                         : JOB_WISH_NOTHING,
                     JOB_WISH_NOTHING);
}

static void walk_gone(Walk *walk, const Node *before)
{
    for (size_t sent = 0; sent < 2; sent++) {
        Node node = *before;
        JobState state = node.job.state;
        JobWish wish;

        /* what has been sent cannot be taken back */
        if (!sent && state == JOB_UNDOING)
            continue;
        wish = job_on_withdrawn(&node.job, sent, STATUS_SUPERSEDED, "");
        if (state != node.job.state || wish != JOB_WISH_NOTHING) {
            node.gone = node.gone || node.job.outcome == STATUS_SUPERSEDED;
            /* given up, but for what is waited for to be undone */
            if (node.job.state != JOB_UNDOING)
                node.call = false;
            node.question = false;
            node.start = false;
        }
        take(walk, &node, wish);
    }
}

static void walk_notices(Walk *walk, const Node *before)
{
    DeviceIdentity identity;
    Node node = *before;

    assert_true(identity_parse(&identity, "0781:5581:a:u0", 14));
    take(walk, &node, job_on_appeared(&node.job, NULL, node.now_usec));
    node = *before;
    if (node.job.state == JOB_AWAITING)
        node.fresh = true;
    take(walk, &node, job_on_appeared(&node.job, &identity, node.now_usec));
    node = *before;
    take(walk, &node, job_on_qubesd(&node.job, node.now_usec));
    if (node.job.task.class == DEVICE_CLASS_USB &&
        before->job.port_detached_usec == 0) {
        node = *before;
        job_on_port_detached(&node.job, node.now_usec);
        take(walk, &node, JOB_WISH_NOTHING);
    }
}

static void walk_from(Walk *walk, const Node *node)
{
    JobState state = node->job.state;

    if (state == JOB_QUEUED) {
        Node begun = *node;

        take(walk, &begun, job_go(&begun.job, begun.now_usec));
    }
    if (node->call)
        walk_answers(walk, node);
    if (node->question)
        walk_verdicts(walk, node);
    if (state == JOB_AWAITING_PROMPT || state == JOB_ASKING)
        walk_prompt(walk, node);
    if (node->start && state == JOB_STARTING)
        walk_start(walk, node);
    walk_time(walk, node);
    walk_gone(walk, node);
    walk_notices(walk, node);
}

static void check_not_stuck(Walk *walk, const Node *node)
{
    JobState state = node->job.state;

    REQUIRE(walk, node->call || node->question || node->start ||
                      state == JOB_AWAITING_PROMPT || state == JOB_QUEUED ||
                      job_next_usec(&node->job) != UINT64_MAX);
}

static void walk_all(Walk *walk, const Node *begin, JobWish wish)
{
    static Node nodes[STATES_MAX];
    static uint64_t seen[SEEN_SIZE];
    size_t deepest = 0;

    memset(seen, 0, sizeof(seen));
    walk->nodes = nodes;
    walk->seen = seen;
    take(walk, begin, wish);
    for (size_t i = 0; i < walk->n_nodes && nodes[i].depth < DEPTH; i++) {
        const Node node = nodes[i];

        deepest = node.depth;
        check_not_stuck(walk, &node);
        walk_from(walk, &node);
    }
    print_message("%s: %zu states, depth %zu, %zu ends, %zu attached\n",
                  walk->name, walk->n_nodes, deepest, walk->n_done,
                  walk->n_attached);
    assert_true(walk->n_done > 0);
}

static const Target work = { TARGET_QUBE, { "work" } };
static const Target several[] = { { TARGET_QUBE, { "work" } },
                                  { TARGET_QUBE, { "vault" } } };
static const Target disposable = { TARGET_DISPVM, { "dvm" } };
static const Target any_disposable = { TARGET_DISPVM_DEFAULT, { "" } };

static JobTask task_of(const Target *targets, size_t n, bool ask)
{
    return (JobTask){ .source = { "sys-usb" },
                      .class = DEVICE_CLASS_BLOCK,
                      .device = { "sda" },
                      .vendor_id = "0781",
                      .product_id = "5581",
                      .targets = targets,
                      .n_targets = n,
                      .ask = ask };
}

static void walk_task(const char *name, JobTask task)
{
    Walk walk = { .name = name };
    static Node node;
    JobWish wish;

    node = (Node){ .now_usec = BEGIN_USEC };
    for (size_t i = 0; i < task.n_targets; i++)
        node.asks[i] = task.ask;
    wish = job_begin(&node.job, &task, node.now_usec);
    walk_all(&walk, &node, wish);
    assert_true(walk.n_attached > 0);
}

static void test_allow_with_one_target(void **state)
{
    (void) state;

    walk_task("allow", task_of(&work, 1, false));
}

static void test_allow_with_a_usb_device(void **state)
{
    JobTask task = task_of(&work, 1, false);

    (void) state;

    task.class = DEVICE_CLASS_USB;
    memcpy(task.device.s, "2-1", 4);
    walk_task("usb", task);
}

static void test_ask_with_one_target(void **state)
{
    (void) state;

    walk_task("ask", task_of(&work, 1, true));
}

static void test_several_targets(void **state)
{
    JobTask task = task_of(several, 2, true);

    (void) state;

    walk_task("allow several", task_of(several, 2, false));
    walk_task("ask several", task);
    task.start = RULE_WHEN_RUNNING;
    walk_task("ask several when-running", task);
}

static void test_targets_that_are_not_started(void **state)
{
    JobTask task = task_of(&work, 1, false);

    (void) state;

    task.start = RULE_WHEN_RUNNING;
    walk_task("when-running", task);
    task.start = RULE_IF_RUNNING;
    walk_task("if-running", task);
}

static void test_disposables(void **state)
{
    (void) state;

    walk_task("disposable", task_of(&disposable, 1, false));
    walk_task("ask disposable", task_of(&disposable, 1, true));
    walk_task("default disposable", task_of(&any_disposable, 1, false));
}

static void test_a_queued_job(void **state)
{
    const JobTask task = task_of(&work, 1, false);
    Walk walk = { .name = "queued" };
    static Node node;

    (void) state;

    node = (Node){ .now_usec = BEGIN_USEC };
    job_queue(&node.job, &task, node.now_usec);
    assert_int_equal(job_next_usec(&node.job), BEGIN_USEC + JOB_USEC);
    walk_all(&walk, &node, JOB_WISH_NOTHING);
}

static void test_an_approved_job(void **state)
{
    const JobTask task = task_of(several, 2, true);
    const QubeName none = { "" };
    Walk walk = { .name = "approved" };
    static Node node;
    JobWish wish;

    (void) state;

    node = (Node){ .now_usec = BEGIN_USEC,
                   .judged = { false, true },
                   .asks = { true, true },
                   .approved = true,
                   .approved_choice = 1 };
    wish = job_begin_approved(&node.job, &task, 1, &none, node.now_usec);
    walk_all(&walk, &node, wish);
    assert_true(walk.n_attached > 0);
}

static void test_a_job_that_detaches_or_looks(void **state)
{
    JobTask task = task_of(NULL, 0, false);
    const QubeName target = { "work" };
    Walk walk = { .name = "detach" };
    static Node node;
    JobWish wish;

    (void) state;

    for (size_t i = 0; i < 2; i++) {
        task.close = i == 1;
        walk = (Walk){ .name = i == 1 ? "detach and close" : "detach" };
        node = (Node){ .now_usec = BEGIN_USEC, .may_be_attached = true };
        wish = job_begin_detach(&node.job, &task, &target, node.now_usec);
        walk_all(&walk, &node, wish);
    }
    walk = (Walk){ .name = "look" };
    node = (Node){ .now_usec = BEGIN_USEC };
    wish = job_begin_look(&node.job, &task, &target, node.now_usec);
    walk_all(&walk, &node, wish);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allow_with_one_target),
        cmocka_unit_test(test_allow_with_a_usb_device),
        cmocka_unit_test(test_ask_with_one_target),
        cmocka_unit_test(test_several_targets),
        cmocka_unit_test(test_targets_that_are_not_started),
        cmocka_unit_test(test_disposables),
        cmocka_unit_test(test_a_queued_job),
        cmocka_unit_test(test_an_approved_job),
        cmocka_unit_test(test_a_job_that_detaches_or_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
