#include "store/sqlite-statement.h"

/* The columns that a struct store_migration comes from, in the order of sqlite-migration.c. */
#define MIGRATION_COLUMNS                                                                          \
    "n, id, fence, key, status, name, moref, uuid, server, host, stage, question, error, "         \
    "shutdown, finalize, finalize_now, paused, cancel, attempt, created_at, updated_at, due_at, "  \
    "started_at, ended_at, (SELECT count(*) FROM round WHERE round.migration = migration.n)"

/* ?1 the last one that was listed before (or beyond all), ?2 a pattern for the name or NULL, ?3 how
 * many, -1 all. By status (?4, a JSON array of names) the index finds them and a row is looked at
 * only when it is in the answer. */
#define LIST(after, order)                                                                         \
    "SELECT " MIGRATION_COLUMNS " FROM migration WHERE n " after                                   \
    " ?1 AND (?2 IS NULL OR name LIKE ?2 ESCAPE '\\') ORDER BY n " order " LIMIT ?3"
#define LIST_STATUS(after, order)                                                                  \
    "SELECT " MIGRATION_COLUMNS " FROM migration WHERE n IN ("                                     \
    "SELECT n FROM migration WHERE status IN (SELECT value FROM json_each(?4)) AND n " after       \
    " ?1 AND (?2 IS NULL OR name LIKE ?2 ESCAPE '\\') ORDER BY n " order " LIMIT ?3)"              \
    " ORDER BY n " order

#define OF_ID "(SELECT n FROM migration WHERE id = ?1)"

#define OBJECT_LEFT(kind)                                                                          \
    "SELECT migration.id, object.kind, object.name, object.state, detail, changed_at FROM object " \
    "INDEXED BY object_left "                                                                      \
    "JOIN migration ON migration.n = object.migration WHERE object.state <> 'gone' AND " kind      \
    "migration.ended = 1 ORDER BY object.n"

static const char *const texts[N_SQL] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",

    [SQL_MIGRATION_FIND] = "SELECT n, fence, ended FROM migration WHERE id = ?1",
    [SQL_MIGRATION_CREATE] =
        "INSERT INTO migration (id, fence, key, status, ended, name, moref, uuid, server, host, "
        "stage, stage_at, question, error, shutdown, finalize, finalize_now, paused, cancel, "
        "attempt, created_at, updated_at, due_at, started_at, ended_at) VALUES (?1, 1, ?2, ?3, ?4, "
        "?5, ?6, ?7, ?8, ?9, '', 0, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?18, ?19, ?20, "
        "?21) RETURNING n",
    [SQL_MIGRATION_GET] = "SELECT " MIGRATION_COLUMNS " FROM migration WHERE id = ?1",
    [SQL_MIGRATION_OPEN] = "SELECT id FROM migration WHERE key = ?1 AND ended = 0",
    [SQL_MIGRATION_LIST] = LIST(">", "ASC"),
    [SQL_MIGRATION_LIST_NEWEST] = LIST("<", "DESC"),
    [SQL_MIGRATION_LIST_STATUS] = LIST_STATUS(">", "ASC"),
    [SQL_MIGRATION_LIST_STATUS_NEWEST] = LIST_STATUS("<", "DESC"),
    [SQL_MIGRATION_COUNT] = "SELECT status, count(*) FROM migration GROUP BY status",
    [SQL_MIGRATION_CLAIM] = "UPDATE migration SET fence = fence + 1, updated_at = ?3 "
                            "WHERE n = ?1 AND fence = ?2",
    /* NULL leaves a column as it was. */
    [SQL_MIGRATION_CHANGE] =
        "UPDATE migration SET status = coalesce(?2, status), ended = coalesce(?3, ended), "
        "question = coalesce(?4, question), error = coalesce(?5, error), "
        "shutdown = coalesce(?6, shutdown), finalize = coalesce(?7, finalize), "
        "finalize_now = coalesce(?8, finalize_now), paused = coalesce(?9, paused), "
        "cancel = coalesce(?10, cancel), attempt = coalesce(?11, attempt), "
        "due_at = coalesce(?12, due_at), started_at = coalesce(?13, started_at), "
        "ended_at = coalesce(?14, ended_at) WHERE n = ?1",
    [SQL_MIGRATION_DELETE] = "DELETE FROM migration WHERE n = ?1",
    [SQL_DOCUMENT_ADD] = "INSERT INTO document (migration, spec, job) VALUES (?1, ?2, ?3)",
    [SQL_DOCUMENT_GET] = "SELECT spec, job FROM document WHERE migration = ?1",
    [SQL_DOCUMENT_JOB] = "UPDATE document SET job = ?2 WHERE migration = ?1",

    [SQL_STATE_PUT] = "INSERT INTO state (migration, key, value) VALUES (?1, ?2, ?3) "
                      "ON CONFLICT (migration, key) DO UPDATE SET value = excluded.value",
    [SQL_STATE_DROP] = "DELETE FROM state WHERE migration = ?1 AND key = ?2",
    [SQL_STATE_LIST] = "SELECT key, value FROM state WHERE migration = ?1 ORDER BY key",

    /* Of the JSON object that they make: quotes, colon and comma, and two braces. */
    [SQL_STATE_SIZE] =
        "SELECT 2 + coalesce(sum(length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)) + 4), 0) "
        "FROM state WHERE migration = ?1",

    /* A stage that begins again (?3) is not one that has ended; a clock that went back says
     * nothing. */
    [SQL_STAGE_TIME_ADD] =
        "INSERT INTO stage_time (stage, at, seconds) SELECT stage, ?2, ?2 - stage_at FROM "
        "migration "
        "WHERE n = ?1 AND stage_at > 0 AND stage_at <= ?2 AND stage <> ?3 RETURNING stage",
    [SQL_STAGE_TIME_PRUNE] = "DELETE FROM stage_time WHERE stage = ?1 AND n <= (SELECT n FROM "
                             "stage_time WHERE stage = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)",
    [SQL_STAGE_TIME_LIST] =
        "SELECT seconds FROM stage_time WHERE stage = ?1 ORDER BY n DESC LIMIT ?2",
    [SQL_STAGE_SET] = "UPDATE migration SET stage = ?2, stage_at = ?3 WHERE n = ?1",
    [SQL_WISHES_CLEAR] = "UPDATE migration SET finalize = 0, finalize_now = 0, shutdown = '' "
                         "WHERE n = ?1",
    [SQL_STAGE_STOP] = "UPDATE migration SET stage_at = 0 WHERE n = ?1",
    [SQL_MACHINE_SET] =
        "UPDATE migration SET name = coalesce(?2, name), moref = coalesce(?3, moref), "
        "uuid = coalesce(?4, uuid), server = coalesce(?5, server), host = coalesce(?6, host) "
        "WHERE n = ?1",
    [SQL_DISK_CLEAR] = "DELETE FROM disk WHERE migration = ?1",
    [SQL_DISK_ADD] = "INSERT INTO disk (migration, key, label, capacity_bytes, image) "
                     "VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_DISK_LIST] = "SELECT key, label, capacity_bytes, image FROM disk WHERE migration = " OF_ID
                      " ORDER BY key",
    [SQL_ROUND_CLEAR] = "DELETE FROM round WHERE migration = ?1 AND number = ?2",
    [SQL_ROUND_ADD] = "INSERT INTO round (migration, number, kind, started_at, seconds) "
                      "VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_ROUND_LIST] = "SELECT migration, number, kind, started_at, seconds FROM round "
                       "WHERE migration = " OF_ID " ORDER BY number",
    [SQL_ROUND_DISK_ADD] =
        "INSERT INTO round_disk (migration, number, key, areas, changed_bytes, read_bytes, "
        "written_bytes, whole, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SQL_ROUND_DISK_LIST] =
        "SELECT key, areas, changed_bytes, read_bytes, written_bytes, whole, why FROM round_disk "
        "WHERE migration = ?1 AND number = ?2 ORDER BY key",
    /* ?5 NULL leaves the detail as it was. */
    [SQL_OBJECT_PUT] =
        "INSERT INTO object (migration, kind, name, state, detail, changed_at) "
        "VALUES (?1, ?2, ?3, ?4, coalesce(?5, ''), ?6) ON CONFLICT (migration, kind, name) "
        "DO UPDATE SET state = excluded.state, detail = coalesce(?5, detail), "
        "changed_at = excluded.changed_at",
    [SQL_OBJECT_LIST] = "SELECT ?1, kind, name, state, detail, changed_at FROM object "
                        "WHERE migration = " OF_ID " ORDER BY n",
    [SQL_OBJECT_LEFT] = OBJECT_LEFT(""),
    [SQL_OBJECT_LEFT_KIND] = OBJECT_LEFT("object.kind = ?1 AND "),

    [SQL_EVENT_ADD] = "INSERT INTO event (migration, at, level, code, text) "
                      "VALUES (?1, ?2, ?3, ?4, ?5) RETURNING n",
    [SQL_EVENT_LIST] = "SELECT n, ?1, at, level, code, text FROM event "
                       "WHERE migration = " OF_ID " AND n > ?2 ORDER BY n LIMIT ?3",
    [SQL_EVENT_LIST_ALL] = "SELECT event.n, id, at, level, code, text FROM event "
                           "LEFT JOIN migration ON migration.n = event.migration "
                           "WHERE event.n > ?1 ORDER BY event.n LIMIT ?2",
    [SQL_EVENT_PRUNE] = "DELETE FROM event WHERE n <= "
                        "(SELECT n FROM event ORDER BY n DESC LIMIT 1 OFFSET ?1)",

    [SQL_SETTING_GET] = "SELECT value FROM setting WHERE key = ?1",
    [SQL_SETTING_PUT] = "INSERT INTO setting (key, value) VALUES (?1, ?2) "
                        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    [SQL_SETTING_DROP] = "DELETE FROM setting WHERE key = ?1",
};

const char *
sql_statement_text(enum sql sql)
{
    return texts[sql];
}
