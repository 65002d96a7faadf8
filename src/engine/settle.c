#include "engine/settle.h"

#include <string.h>

#include "base/checked.h"
#include "engine/cutover.h"
#include "engine/round.h"

#define PROMISE "; the same command again goes on from there)" /* of copier/job.c */

enum settlement
settle_decide(enum err_kind kind, const struct settle_facts *facts)
{
    if (facts->left)
        return SETTLE_KEEP;
    /* Before the first byte there is nothing worth keeping. */
    if (!facts->copies || facts->useless)
        return SETTLE_UNDO;
    /* Bytes of a source that is wrong are worth nothing. A copy that is complete is worth its
     * hours, whatever comes after it fails of. */
    if (facts->copying && (kind == ERR_INVALID || kind == ERR_BUG))
        return SETTLE_UNDO;
    return SETTLE_KEEP;
}

/* Whether only whole copies count, and they are not whole. */
static bool
copies_are_useless(const struct migration *m)
{
    const char *content = json_get_str(m->state.json, "content", NULL);
    return content && !*content && !migration_is_copied(m);
}

/* The source first: its words about what is left there matter more than ours about files here. */
static void
let_go(struct migration *m, struct err *err)
{
    struct err why = *err, failed = ERR_INIT;
    if (m->state.json && source_close(m->source, &m->state, false, &failed) < 0)
        err_set(err, why.kind, "%s; and then: %s", why.text, failed.text);
}

/* vmferry-copy promises that it can go on; it does not know that its source goes away. */
static void
take_back_promise(struct err *err)
{
    char *promise = strstr(err->text, PROMISE), *from = promise;
    while (from && from > err->text && *from != '(')
        from--;
    if (!from || *from != '(')
        return;
    memmove(from, promise + strlen(PROMISE), strlen(promise + strlen(PROMISE)) + 1);
    for (size_t len = strlen(err->text); len && err->text[len - 1] == ' '; len--)
        err->text[len - 1] = '\0';
}

/* ---- of a warm migration ---- */

bool
settle_is_worth_a_retry(enum err_kind kind, unsigned attempt)
{
    return (kind == ERR_UNAVAILABLE || kind == ERR_IO || kind == ERR_CONFLICT) &&
           attempt < SETTLE_ATTEMPTS;
}

int64_t
settle_pause_s(unsigned attempt)
{
    return SETTLE_PAUSE_S << MIN(attempt, (unsigned)SETTLE_ATTEMPTS);
}

/* The source stays off while it is worth trying again at once; then it runs again. */
static void
take_back(struct migration *m, struct err *err)
{
    struct err why = *err, failed = ERR_INIT;
    bool on = false;
    m->source->deaf = true;
    if (cutover_take_back(m, &on, &failed) < 0)
        err_set(err, why.kind, "%s; and then: %s", why.text, failed.text);
    else if (on)
        err_set(err, why.kind,
                "%s (the source was switched on again, and the rounds go on when you say retry)",
                why.text);
}

/* A conflict before the first byte: a name that is taken, another migration's folder. Somebody
 * waits to be told, and time does not mend it. */
static bool
is_of_what_was_asked(const struct migration *m, const struct err *err)
{
    return err->kind == ERR_CONFLICT && m->stage == 0 && !migration_has_copies(m);
}

static void
settle_warm(struct migration *m, struct err *err)
{
    struct err failed = ERR_INIT;
    const struct engine_wishes *wishes = migration_wishes(m);
    m->retry = settle_is_worth_a_retry(err->kind, m->job->attempt) && !is_of_what_was_asked(m, err);
    bool stopped = err->kind == ERR_CANCELLED && !wishes->cancel;
    if (cutover_is_begun(m) && !m->retry && !stopped)
        take_back(m, err);
    /* What is tried again in a moment goes on from where the machine stands still now; the journal
     * knows of it. */
    bool round = json_is_object(json_object_get(m->state.json, ROUND_STATE));
    if ((m->retry && round) || (stopped && !wishes->pause))
        return;
    let_go(m, err);
    if (!round && !migration_has_copies(m) && !m->retry && !source_left_behind(&m->state) &&
        workdir_remove(&m->work, &failed) < 0)
        migration_log(m, LOG_LEVEL_WARNING, NULL, "%s", failed.text);
}

/* The server did not answer, or it was not known yet what is there: nothing was done, and nothing
 * can be. Before it is known what there is, a conflict is one of what was asked for. */
static void
settle_unseen(struct migration *m, struct err *err)
{
    m->retry = err->kind != ERR_CONFLICT && settle_is_worth_a_retry(err->kind, m->job->attempt);
    if (m->retry || err->kind == ERR_CANCELLED || !cutover_was_begun(m->job->state))
        return;
    struct err why = *err;
    err_set(
        err, why.kind,
        "%s (the source is still off, where this migration was switching it over: retry goes on "
        "with that, cancel switches it on again)",
        why.text);
}

void
settle(struct migration *m, struct err *err)
{
    if (m->job->warm.wanted) {
        if (m->state.json)
            settle_warm(m, err);
        else
            settle_unseen(m, err);
        return;
    }
    if (!m->work.path)
        return;
    let_go(m, err);
    struct err why = *err, failed = ERR_INIT;
    struct settle_facts facts = {
        .copying = m->copying,
        .copies = migration_has_copies(m),
        .useless = copies_are_useless(m),
        .left = m->state.json && source_left_behind(&m->state),
    };
    if (settle_decide(err->kind, &facts) == SETTLE_UNDO) {
        take_back_promise(err);
        why = *err;
        if (workdir_remove(&m->work, &failed) < 0)
            err_set(err, why.kind, "%s (and its working folder stays: %s)", why.text, failed.text);
        return;
    }
    if (facts.left) {
        err_set(err, why.kind,
                "%s (what is left at the source is written down in %s: the same command removes "
                "it, with --discard nothing else)",
                why.text, m->work.path);
        return;
    }
    /* A conflict at the beginning is about what is kept there, and says so; vmferry-copy says it
     * of a disk. */
    bool said =
        (m->stage == 0 && err->kind == ERR_CONFLICT) || strstr(why.text, "the same command again");
    if (!said)
        err_set(err, why.kind,
                "%s (what was copied is kept in %s: the same command again goes on from there, "
                "rm -r drops it)",
                why.text, m->work.path);
}
