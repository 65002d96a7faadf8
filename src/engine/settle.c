#include "engine/settle.h"

#include <string.h>

enum settlement
settle_decide(enum err_kind kind, bool copying, bool copies)
{
    /* Before the first byte there is nothing worth keeping. */
    if (!copies)
        return SETTLE_UNDO;
    /* Bytes of a source that is wrong are worth nothing. A copy that is complete is worth its
     * hours, whatever comes after it fails of. */
    if (copying && (kind == ERR_INVALID || kind == ERR_BUG))
        return SETTLE_UNDO;
    return SETTLE_KEEP;
}

void
settle(struct migration *m, struct err *err)
{
    if (!m->work.path)
        return;
    struct err why = *err, failed = ERR_INIT;
    bool copies = migration_has_copies(m);
    if (settle_decide(err->kind, m->copying, copies) == SETTLE_UNDO) {
        if (workdir_remove(&m->work, &failed) < 0)
            err_set(err, why.kind, "%s (and its working folder stays: %s)", why.text, failed.text);
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
