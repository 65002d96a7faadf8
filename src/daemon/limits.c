#include "daemon/limits.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "daemon/api.h"
#include "daemon/daemon.h"

#define SETTING "limits"

static struct limits of_config(const struct daemon *daemon);

/* {"limits": what was asked for, "config": what the config said then}. Where the config says
 * something else now, somebody has edited it since, and it counts. */
int
limits_load(struct daemon *daemon, struct err *err)
{
    struct limits now = of_config(daemon), asked = now, then = now;
    auto_free char *text = NULL;
    daemon->limits = now;
    if (store_setting_get(daemon->store, SETTING, &text, err) < 0)
        return -1;
    if (!text)
        return 0;
    auto_json json_t *kept = json_parse_object(text, strlen(text), err);
    if (!kept || limits_read(json_object_get(kept, "limits"), &asked, err) < 0 ||
        limits_read(json_object_get(kept, "config"), &then, err) < 0)
        return err_prefix(err, "limits in the store");
    if (then.disks_per_esxi == now.disks_per_esxi)
        daemon->limits.disks_per_esxi = asked.disks_per_esxi;
    if (then.parallel_vms == now.parallel_vms)
        daemon->limits.parallel_vms = asked.parallel_vms;
    if (then.bandwidth_bytes_s == now.bandwidth_bytes_s)
        daemon->limits.bandwidth_bytes_s = asked.bandwidth_bytes_s;
    return 0;
}

static struct limits
of_config(const struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    return (struct limits){
        .disks_per_esxi = MIN(config->limits.disks_per_esxi, (int64_t)LIMITS_DISKS_MAX),
        .parallel_vms = MIN(config->migration.parallel_vms, (int64_t)LIMITS_VMS_MAX),
        .bandwidth_bytes_s = MIN(config->limits.bandwidth_bytes_s, (uint64_t)LIMITS_BANDWIDTH_MAX),
    };
}

int
limits_store(struct daemon *daemon, const struct limits *limits, struct err *err)
{
    struct limits config = of_config(daemon);
    auto_json json_t *json =
        json_pack("{s:o, s:o}", "limits", limits_json(limits), "config", limits_json(&config));
    auto_free char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (!text)
        return err_errno(err, ENOMEM, "limits");
    if (store_setting_put(daemon->store, SETTING, text, err) < 0)
        return -1;
    daemon->limits = *limits;
    return 0;
}

int
limits_read(const json_t *body, struct limits *limits, struct err *err)
{
    static const char *const keys[] = { "disks_per_esxi", "parallel_vms", "bandwidth_bytes_s",
                                        NULL };
    int64_t bandwidth;
    if (api_body_keys(body, keys, err) < 0 ||
        api_body_int(body, keys[0], 1, LIMITS_DISKS_MAX, limits->disks_per_esxi,
                     &limits->disks_per_esxi, err) < 0 ||
        api_body_int(body, keys[1], 1, LIMITS_VMS_MAX, limits->parallel_vms, &limits->parallel_vms,
                     err) < 0 ||
        api_body_int(body, keys[2], 0, LIMITS_BANDWIDTH_MAX, (int64_t)limits->bandwidth_bytes_s,
                     &bandwidth, err) < 0)
        return -1;
    limits->bandwidth_bytes_s = (uint64_t)bandwidth;
    return 0;
}

json_t *
limits_json(const struct limits *limits)
{
    return json_pack("{s:I, s:I, s:I}", "disks_per_esxi", (json_int_t)limits->disks_per_esxi,
                     "parallel_vms", (json_int_t)limits->parallel_vms, "bandwidth_bytes_s",
                     (json_int_t)limits->bandwidth_bytes_s);
}
