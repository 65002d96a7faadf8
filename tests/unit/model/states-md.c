/* docs/states.md, from the tables of model/job.c.
 *
 *     states-md           print it
 *     states-md FILE      fail when FILE is not what would be printed
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "model/job.h"

#define MAX_BYTES (256 * 1024)

static const char head[] =
    "# The statuses of a migration\n"
    "\n"
    "What a migration's status can be, what may be asked of it, and what follows from what "
    "happens.\n"
    "Printed by `tests/unit/model/states-md` from the tables of `src/model/job.c`, from which the\n"
    "answers of the command line and of the API come as well; a test fails when this page is not\n"
    "what it prints.\n";

static void
add_statuses(struct buf *page, struct err *err)
{
    buf_add_str(page, "\n## Statuses\n\n| status | |\n|---|---|\n", err);
    for (enum job_status status = 0; status < N_JOB_STATUS; status++)
        buf_printf(page, err, "| `%s` | %s |\n", job_status_name(status),
                   job_status_meaning(status));
}

static const char *
answer_word(enum job_status status, enum job_verb verb)
{
    static const char *const words[] = {
        [JOB_ALLOWED] = "yes",
        [JOB_ALREADY] = "already",
        [JOB_REFUSED] = "no",
    };
    return words[job_verb_check(status, verb, NULL)];
}

/* The cell of an allowed verb says what it leads to, when it is another status. */
static void
add_answer(struct buf *page, enum job_status status, enum job_verb verb, struct err *err)
{
    enum job_status next;
    if (job_event(status, JOB_EVENT_VERB + verb, &next) && next != status)
        buf_printf(page, err, " %s |", job_status_name(next));
    else
        buf_printf(page, err, " %s |", answer_word(status, verb));
}

static void
add_verbs(struct buf *page, struct err *err)
{
    buf_add_str(page, "\n## What may be asked\n\n| verb | |\n|---|---|\n", err);
    for (enum job_verb verb = 0; verb < N_JOB_VERB; verb++)
        buf_printf(page, err, "| `%s` | %s |\n", job_verb_name(verb), job_verb_meaning(verb));

    buf_add_str(page,
                "\nA status: allowed, and what it is then. `yes`: allowed, the status stays (a "
                "running worker takes\nthe wish up at its next checkpoint). `already`: it is so; a "
                "success. `no`: refused.\n\n| |",
                err);
    for (enum job_verb verb = 0; verb < N_JOB_VERB; verb++)
        buf_printf(page, err, " %s |", job_verb_name(verb));
    buf_add_str(page, "\n|---|", err);
    for (enum job_verb verb = 0; verb < N_JOB_VERB; verb++)
        buf_add_str(page, "---|", err);
    for (enum job_status status = 0; status < N_JOB_STATUS; status++) {
        buf_printf(page, err, "\n| `%s` |", job_status_name(status));
        for (enum job_verb verb = 0; verb < N_JOB_VERB; verb++)
            add_answer(page, status, verb, err);
    }
    buf_add_str(page, "\n", err);
}

static void
add_events(struct buf *page, struct err *err)
{
    buf_add_str(page, "\n## What happens\n\n| event | | from | to |\n|---|---|---|---|\n", err);
    for (enum job_event event = 0; event < JOB_EVENT_VERB; event++)
        for (enum job_status status = 0; status < N_JOB_STATUS; status++) {
            enum job_status next;
            if (job_event(status, event, &next))
                buf_printf(page, err, "| `%s` | %s | %s | %s |\n", job_event_name(event),
                           job_event_meaning(event), job_status_name(status),
                           job_status_name(next));
        }
}

static void
add_texts(struct buf *page, struct err *err)
{
    buf_add_str(page, "\n## The answers\n\n| verb | status | answer | text |\n|---|---|---|---|\n",
                err);
    for (enum job_verb verb = 0; verb < N_JOB_VERB; verb++)
        for (enum job_status status = 0; status < N_JOB_STATUS; status++) {
            const char *text;
            if (job_verb_check(status, verb, &text) != JOB_ALLOWED)
                buf_printf(page, err, "| `%s` | `%s` | %s | %s |\n", job_verb_name(verb),
                           job_status_name(status), answer_word(status, verb), text);
        }
}

static int
compare(const char *path, const struct buf *page, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    if (file_read(path, MAX_BYTES, &text, &len, err) < 0)
        return -1;
    if (len != page->len || memcmp(text, page->data, len) != 0)
        return err_set(err, ERR_CONFLICT,
                       "%s is not what the tables say: run build/tests/unit/model/states-md > %s",
                       path, path);
    return 0;
}

int
main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    auto_buf struct buf page = BUF_INIT(MAX_BYTES);
    buf_add_str(&page, head, &err);
    add_statuses(&page, &err);
    add_verbs(&page, &err);
    add_events(&page, &err);
    add_texts(&page, &err);
    if (err.kind == ERR_NONE && argc > 1)
        compare(argv[1], &page, &err);
    else if (err.kind == ERR_NONE)
        fputs(page.data, stdout);
    if (err.kind == ERR_NONE)
        return 0;
    fprintf(stderr, "states-md: %s\n", err.text);
    return 1;
}
