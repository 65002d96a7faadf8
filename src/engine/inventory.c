#include "engine/inventory.h"

#include <errno.h>

#include "engine/endpoint.h"

#define BATCH_MAX_BYTES 49152 /* of JSON; a packet has 64 KiB */
#define FIRST_CBT_VERSION 7   /* vmx-07 */

struct listing {
    const struct talk *talk;
    struct machine_filter filter;
    json_t *batch;
    size_t batch_bytes;
    json_int_t n_machines, n_shown;
};

static int take(const struct vmware_summary *summary, void *arg, struct err *err);
static int send_batch(struct listing *listing, struct err *err);

int
inventory_run(const json_t *start, const struct talk *talk, json_t **ret_detail, struct err *err)
{
    struct listing listing = { .talk = talk };
    auto_vmware_session struct vmware_session *session = NULL;
    const json_t *endpoint = json_object_get(start, "endpoint");
    struct vmware_inventory_options options = {
        .datacenter_path = json_get_str(endpoint, "datacenter", NULL),
    };
    if (machine_filter_parse(json_object_get(start, "filter"), &listing.filter, err) < 0 ||
        endpoint_login(endpoint, talk->cancelled, talk->arg, &session, err) < 0)
        return -1;
    listing.batch = json_array();
    int r = listing.batch ? vmware_inventory(session, &options, take, &listing, err)
                          : err_errno(err, ENOMEM, "inventory");
    if (r == 0)
        r = send_batch(&listing, err);
    json_decref(listing.batch);
    if (r < 0)
        return -1;
    *ret_detail = json_pack("{s:I, s:I, s:o}", "machines", listing.n_machines, "shown",
                            listing.n_shown, "about", json_text(vmware_about(session)->full_name));
    return *ret_detail ? 0 : err_errno(err, ENOMEM, "inventory");
}

const char *
inventory_power_name(enum vmware_power power)
{
    static const char *const names[] = { "off", "on", "suspended" };
    return names[power];
}

const char *
inventory_connection_name(enum vmware_connection connection)
{
    static const char *const names[] = { "connected", "disconnected", "orphaned", "inaccessible",
                                         "invalid" };
    return names[connection];
}

/* In the order in which the rules of engine/check ask. */
const char *
inventory_readiness(const struct vmware_summary *s)
{
    if (s->connection != VMWARE_CONNECTED)
        return inventory_connection_name(s->connection);
    if (!s->config_present)
        return "no configuration";
    if (s->power == VMWARE_SUSPENDED)
        return "suspended";
    if (s->n_disks == 0)
        return "no disks";
    if (s->template || s->n_snapshots || (s->hw_version && s->hw_version < FIRST_CBT_VERSION))
        return "cold only";
    return "ready";
}

void
inventory_values(const struct vmware_summary *s, const char *values[MACHINE_FIELDS])
{
    values[MACHINE_NAME] = s->name;
    values[MACHINE_PATH] = s->path;
    values[MACHINE_HOST] = s->host_name;
    values[MACHINE_GUEST] = s->guest;
    values[MACHINE_DATACENTER] = s->datacenter_path;
    values[MACHINE_POWER] = inventory_power_name(s->power);
    values[MACHINE_TEMPLATE] = s->template ? "yes" : "no";
}

static json_t *
describe(const struct vmware_summary *s)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:b, s:o, s:I, s:I, s:I, s:I, "
                     "s:I, s:s}",
                     "moref", json_text(s->moref), "name", json_text(s->name), "path",
                     json_text(s->path), "datacenter", json_text(s->datacenter_path), "host",
                     json_text(s->host_name), "uuid", json_text(s->uuid), "instance_uuid",
                     json_text(s->instance_uuid), "power", inventory_power_name(s->power),
                     "connection", inventory_connection_name(s->connection), "template",
                     s->template, "guest", json_text(s->guest), "cpus", (json_int_t)s->n_cpus,
                     "memory_bytes", (json_int_t)s->memory_bytes, "disks", (json_int_t)s->n_disks,
                     "capacity_bytes", (json_int_t)s->capacity_bytes, "used_bytes",
                     (json_int_t)s->committed_bytes, "readiness", inventory_readiness(s));
}

static int
take(const struct vmware_summary *summary, void *arg, struct err *err)
{
    struct listing *listing = arg;
    const char *values[MACHINE_FIELDS];
    listing->n_machines++;
    inventory_values(summary, values);
    if (!machine_filter_matches(&listing->filter, values))
        return 0;
    auto_json json_t *machine = describe(summary);
    size_t bytes = machine ? json_dumpb(machine, NULL, 0, JSON_COMPACT) : 0;
    if (bytes == 0)
        return err_errno(err, ENOMEM, "%s", summary->name);
    if (bytes > BATCH_MAX_BYTES)
        return err_set(err, ERR_INVALID, "%s: its names and paths are longer than any should be",
                       summary->moref);
    if (listing->batch_bytes + bytes > BATCH_MAX_BYTES && send_batch(listing, err) < 0)
        return -1;
    if (json_array_append(listing->batch, machine) < 0)
        return err_errno(err, ENOMEM, "%s", summary->name);
    listing->batch_bytes += bytes + 1;
    listing->n_shown++;
    return 0;
}

static int
send_batch(struct listing *listing, struct err *err)
{
    if (json_array_size(listing->batch) == 0)
        return 0;
    json_t *next = json_array();
    json_t *message = json_pack("{s:s, s:o}", "type", "machines", "machines", listing->batch);
    listing->batch = next;
    listing->batch_bytes = 0;
    if (!message || !next) {
        json_decref(message);
        return err_errno(err, ENOMEM, "inventory");
    }
    listing->talk->say(message, listing->talk->arg);
    return 0;
}
