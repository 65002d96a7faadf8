#include "engine/settle.h"

#include <string.h>

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

void
settle(struct migration *m, struct err *err)
{
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
