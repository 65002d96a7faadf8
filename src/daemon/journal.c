#include "daemon/journal.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "daemon/roster.h"
#include "model/vm.h"

/* The operations of one message, and what they point to beside the message itself. */
struct batch {
    struct store_op *ops;
    size_t n;
    char **texts; /* JSON written out */
    size_t n_texts;
    void **arrays; /* disks */
    size_t n_arrays;
};

static int batch_read(struct batch *batch, const json_t *ops, struct err *err);
static void batch_free(struct batch *batch);
static int read_op(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err);

bool
journal_is_type(const char *type)
{
    return strcmp(type, "begin") == 0 || strcmp(type, "done") == 0 || strcmp(type, "note") == 0;
}

int
journal_store(struct entry *entry, const json_t *msg, bool *ret_round, struct err *err)
{
    AUTO(batch_free) struct batch batch = { .n = 0 };
    if (batch_read(&batch, json_object_get(msg, "ops"), err) < 0 ||
        roster_journal(entry, batch.ops, batch.n, err) < 0)
        return -1;
    for (size_t i = 0; i < batch.n; i++)
        *ret_round |= batch.ops[i].kind == STORE_ROUND;
    return 0;
}

static int
batch_read(struct batch *batch, const json_t *ops, struct err *err)
{
    size_t n = json_array_size(ops);
    if ((ops && !json_is_array(ops)) || n > STORE_OPS_MAX)
        return err_set(err, ERR_INVALID, "'ops' is not a list of at most %d operations",
                       STORE_OPS_MAX);
    batch->ops = calloc(n + 1, sizeof *batch->ops);
    batch->texts = calloc(n + 1, sizeof *batch->texts);
    batch->arrays = calloc(n + 1, sizeof *batch->arrays);
    if (!batch->ops || !batch->texts || !batch->arrays)
        return err_errno(err, ENOMEM, "%zu operations", n);
    for (; batch->n < n; batch->n++)
        if (read_op(batch, json_array_get(ops, batch->n), &batch->ops[batch->n], err) < 0)
            return err_prefix(err, "operation %zu", batch->n);
    return 0;
}

static void
batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->n_texts; i++)
        free(batch->texts[i]);
    for (size_t i = 0; i < batch->n_arrays; i++)
        free(batch->arrays[i]);
    free(batch->ops);
    free(batch->texts);
    free(batch->arrays);
}

/* Each operation has at most one text and one array of its own. */
static int
write_out(struct batch *batch, const json_t *value, const char **ret, struct err *err)
{
    *ret = NULL;
    if (!value || json_is_null(value))
        return 0;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        return err_errno(err, ENOMEM, "a value");
    batch->texts[batch->n_texts++] = text;
    *ret = text;
    return 0;
}

static int
make_array(struct batch *batch, const json_t *disks, size_t item_bytes, void *ret, size_t *ret_n,
           struct err *err)
{
    size_t n = json_array_size(disks);
    if ((disks && !json_is_array(disks)) || n > VM_MAX_DISKS)
        return err_set(err, ERR_INVALID, "'disks' is not a list of at most %d", VM_MAX_DISKS);
    void *items = calloc(n + 1, item_bytes);
    if (!items)
        return err_errno(err, ENOMEM, "%zu disks", n);
    batch->arrays[batch->n_arrays++] = items;
    *(void **)ret = items;
    *ret_n = n;
    return 0;
}

static int
read_put(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err)
{
    ret->kind = STORE_PUT;
    if (json_need_str(op, "key", &ret->put.key, err) < 0)
        return -1;
    return write_out(batch, json_object_get(op, "value"), &ret->put.value, err);
}

static int
read_stage(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err)
{
    (void)batch;
    ret->kind = STORE_STAGE;
    return json_need_str(op, "stage", &ret->stage, err);
}

static int
read_machine(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err)
{
    struct store_disk *disks;
    ret->kind = STORE_MACHINE;
    ret->machine = (struct store_machine){
        .name = json_get_str(op, "name", NULL),
        .moref = json_get_str(op, "moref", NULL),
        .uuid = json_get_str(op, "uuid", NULL),
        .server = json_get_str(op, "server", NULL),
        .host = json_get_str(op, "host", NULL),
    };
    const json_t *list = json_object_get(op, "disks");
    if (make_array(batch, list, sizeof *disks, &disks, &ret->machine.n_disks, err) < 0)
        return -1;
    for (size_t i = 0; i < ret->machine.n_disks; i++) {
        const json_t *disk = json_array_get(list, i);
        disks[i] = (struct store_disk){
            .key = json_get_int(disk, "key", 0),
            .label = json_get_str(disk, "label", ""),
            .capacity_bytes = json_get_u64(disk, "capacity_bytes", 0),
            .image = json_get_str(disk, "image", NULL),
        };
    }
    ret->machine.disks = disks;
    return 0;
}

static int
read_round(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err)
{
    struct store_round_disk *disks;
    int64_t number = json_get_int(op, "number", -1);
    ret->kind = STORE_ROUND;
    if (number < 0 || number > INT32_MAX)
        return err_set(err, ERR_INVALID, "'number' is missing or out of range");
    ret->round = (struct store_round){
        .number = (unsigned)number,
        .kind = json_get_str(op, "kind", "delta"),
        .started_at = json_get_int(op, "started_at", 0),
        .seconds = json_number_value(json_object_get(op, "seconds")),
    };
    const json_t *list = json_object_get(op, "disks");
    if (make_array(batch, list, sizeof *disks, &disks, &ret->round.n_disks, err) < 0)
        return -1;
    for (size_t i = 0; i < ret->round.n_disks; i++) {
        const json_t *disk = json_array_get(list, i);
        const char *why = json_get_str(disk, "why", "");
        disks[i] = (struct store_round_disk){
            .key = json_get_int(disk, "key", 0),
            .areas = json_get_u64(disk, "areas", 0),
            .changed_bytes = json_get_u64(disk, "changed_bytes", 0),
            .read_bytes = json_get_u64(disk, "read_bytes", 0),
            .written_bytes = json_get_u64(disk, "written_bytes", 0),
            .full = json_get_bool(disk, "full", false),
            .why = why[0] ? why : NULL,
        };
    }
    ret->round.disks = disks;
    return 0;
}

static int
read_object(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err)
{
    const char *state;
    ret->kind = STORE_OBJECT;
    ret->object = (struct store_object){ .kind = NULL };
    if (json_need_str(op, "kind", &ret->object.kind, err) < 0 ||
        json_need_str(op, "name", &ret->object.name, err) < 0 ||
        json_need_str(op, "state", &state, err) < 0)
        return -1;
    if (!store_object_state_from_name(state, &ret->object.state))
        return err_set(err, ERR_INVALID, "'state': '%s' is no state of an object", state);
    return write_out(batch, json_object_get(op, "detail"), &ret->object.detail, err);
}

static int
read_clear_wishes(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err)
{
    (void)batch;
    (void)op;
    (void)err;
    ret->kind = STORE_CLEAR_WISHES;
    return 0;
}

static int
read_op(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err)
{
    static const struct {
        const char *name;
        int (*read)(struct batch *batch, const json_t *op, struct store_op *ret, struct err *err);
    } kinds[] = {
        { "put", read_put },     { "stage", read_stage },   { "machine", read_machine },
        { "round", read_round }, { "object", read_object }, { "clear-wishes", read_clear_wishes },
    };
    const char *name = json_get_str(op, "op", "");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(name, kinds[i].name) == 0)
            return kinds[i].read(batch, op, ret, err);
    return err_set(err, ERR_INVALID, "'op': '%s' is none", name);
}
