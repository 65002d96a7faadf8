#include "store/sqlite-error.h"

#include <errno.h>
#include <stddef.h>

#include "base/checked.h"

#define PRIMARY(code) ((code)&0xff)

/* A full result code comes before the primary one that it belongs to. Without a text, SQLite's. */
static const struct meaning {
    int result;
    enum err_kind kind;
    const char *text;
} meanings[] = {
    { SQLITE_FULL, ERR_IO, "no space is left: free some on its file system" },
    { SQLITE_NOTADB, ERR_CONFLICT, "is not a database: name another file, or move it away" },
    { SQLITE_READONLY, ERR_DENIED, "it cannot be written: see to the rights of file and folder" },
    { SQLITE_PERM, ERR_DENIED, NULL },
    { SQLITE_AUTH, ERR_DENIED, NULL },
    { SQLITE_BUSY, ERR_UNAVAILABLE, "another program holds it locked: end that one" },
    { SQLITE_PROTOCOL, ERR_UNAVAILABLE, "another program holds it locked: end that one" },
    { SQLITE_NOMEM, ERR_UNAVAILABLE, "no memory" },
    { SQLITE_CONSTRAINT_UNIQUE, ERR_CONFLICT, NULL },
    { SQLITE_CONSTRAINT_PRIMARYKEY, ERR_CONFLICT, NULL },
    { SQLITE_CONSTRAINT_FOREIGNKEY, ERR_NOT_FOUND, NULL },
    { SQLITE_CONSTRAINT_CHECK, ERR_INVALID, "what must be JSON is none" },
    { SQLITE_TOOBIG, ERR_INVALID, "a text is too long" },
    { SQLITE_CANTOPEN, ERR_DENIED,
      "its files cannot be opened: see to the rights of files and folder" },
    { SQLITE_IOERR, ERR_IO, NULL },
};

int
sqlite_error(sqlite3 *db, int result, const char *path, const char *what, struct err *err)
{
    const char *said = db ? sqlite3_errmsg(db) : sqlite3_errstr(result);
    int primary = PRIMARY(result);
    int errnum = db ? sqlite3_system_errno(db) : 0;
    /* Only of these two does SQLite keep errno up to date. When it may not make a file it tries to
     * open one, and ENOENT is of that. */
    if ((primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR) && errnum && errnum != ENOENT)
        return err_errno(err, errnum, "%s: %s: %s", path, what, said);
    /* Our statements are right (a test prepares them all): when one is not, what it names is not in
     * the database any more. */
    if (primary == SQLITE_CORRUPT || result == SQLITE_ERROR)
        return sqlite_damaged(path, said, err);
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        const struct meaning *meaning = &meanings[i];
        if (meaning->result == result || meaning->result == primary)
            return err_set(err, meaning->kind, "%s: %s: %s", path, what,
                           meaning->text ? meaning->text : said);
    }
    return err_set(err, ERR_BUG, "%s: %s: %s (%d)", path, what, said, result);
}

int
sqlite_damaged(const char *path, const char *why, struct err *err)
{
    return err_set(err, ERR_IO,
                   "%s: the database is damaged (%s): move it and its -wal away, and start again "
                   "or with a copy",
                   path, why);
}
