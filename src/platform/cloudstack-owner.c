/* To whom a machine is to belong, and how much they may have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "platform/cloudstack-find.h"

static const struct cloudstack_kind domain_kind = { "domain", "listDomains", "domain", "name",
                                                    "path" };
static const struct cloudstack_kind account_kind = { "account", "listAccounts", "account", "name",
                                                     NULL };
static const struct cloudstack_kind project_kind = { "project", "listProjects", "project", "name",
                                                     NULL };
static const struct cloudstack_param everywhere = { "listall", "true" };

static int find_project(struct cloudstack *cloud, const char *text, struct cloudstack_owner *ret,
                        struct err *err);
static int find_account(struct cloudstack *cloud, const char *account, const char *domain,
                        struct cloudstack_owner *ret, struct err *err);

int
cloudstack_find_owner(struct cloudstack *cloud, const char *account, const char *domain,
                      const char *project, struct cloudstack_owner *ret, struct err *err)
{
    struct cloudstack_owner owner = { .enabled = true };
    int r = 0;
    if (project && account)
        return err_set(err, ERR_INVALID,
                       "account '%.100s' and project '%.100s': a machine belongs to one of them: "
                       "leave out target.cloudstack.account or projectid",
                       account, project);
    if (account && !domain)
        return err_set(err, ERR_INVALID,
                       "account '%.100s': names of accounts are of a domain: give "
                       "target.cloudstack.domainid as well",
                       account);
    if (domain && !account && !project)
        return err_set(err, ERR_INVALID,
                       "domain '%.100s': CloudStack imports into no domain without an account: "
                       "give target.cloudstack.account as well",
                       domain);
    if (project)
        r = find_project(cloud, project, &owner, err);
    else if (account)
        r = find_account(cloud, account, domain, &owner, err);
    if (r == 0)
        *ret = owner;
    return r;
}

static int
find_project(struct cloudstack *cloud, const char *text, struct cloudstack_owner *ret,
             struct err *err)
{
    auto_json json_t *row = NULL;
    if (cloudstack_find(cloud, &project_kind, &everywhere, 1, text, &row, err) < 0)
        return -1;
    CLOUDSTACK_TAKE(row, "id", ret->project);
    CLOUDSTACK_TAKE(row, "domainid", ret->domain);
    ret->enabled = cloudstack_is(row, "state", "Active");
    return 0;
}

static int
find_account(struct cloudstack *cloud, const char *account, const char *domain,
             struct cloudstack_owner *ret, struct err *err)
{
    auto_json json_t *domain_row = NULL, *row = NULL;
    if (cloudstack_find(cloud, &domain_kind, &everywhere, 1, domain, &domain_row, err) < 0)
        return -1;
    CLOUDSTACK_TAKE(domain_row, "id", ret->domain);
    const struct cloudstack_param scope[] = { { "domainid", ret->domain }, everywhere };
    if (cloudstack_find(cloud, &account_kind, scope, ARRAY_LEN(scope), account, &row, err) < 0)
        return -1;
    CLOUDSTACK_TAKE(row, "name", ret->account);
    ret->enabled = cloudstack_is(row, "state", "enabled");
    return 0;
}

/* ---- limits ---- */

/* "Unlimited", "12", 12 or -1. What is no number limits nothing. */
static int64_t
left_of(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    if (json_is_integer(value))
        return MAX((int64_t)json_integer_value(value), (int64_t)-1);
    const char *text = json_string_value(value);
    char *end = NULL;
    long long n = text ? strtoll(text, &end, 10) : -1;
    return text && end != text && *end == '\0' && n >= 0 ? n : -1;
}

static void
take_quota(const json_t *row, const char *noun, const char *name_key, struct cloudstack_quota *to)
{
    static const char *const keys[CLOUDSTACK_RESOURCES] = {
        [CLOUDSTACK_MACHINES] = "vmavailable",
        [CLOUDSTACK_CPUS] = "cpuavailable",
        [CLOUDSTACK_MEMORY_MIB] = "memoryavailable",
        [CLOUDSTACK_VOLUMES] = "volumeavailable",
        [CLOUDSTACK_STORAGE_GIB] = "primarystorageavailable",
    };
    snprintf(to->whose, sizeof to->whose, "the %s '%.200s'", noun,
             json_get_str(row, name_key, "?"));
    for (size_t i = 0; i < CLOUDSTACK_RESOURCES; i++)
        to->left[i] = left_of(row, keys[i]);
}

int
cloudstack_ask_quotas(struct cloudstack *cloud, const struct cloudstack_owner *owner,
                      struct cloudstack_quota ret[CLOUDSTACK_MAX_QUOTAS], size_t *ret_n,
                      struct err *err)
{
    const struct cloudstack_param scope[] = { { "domainid", owner->domain }, everywhere };
    auto_json json_t *own = NULL, *domain = NULL;
    *ret_n = 0;
    if (!*owner->account && !*owner->project)
        return 0;
    int r = *owner->project
                ? cloudstack_find(cloud, &project_kind, &everywhere, 1, owner->project, &own, err)
                : cloudstack_find(cloud, &account_kind, scope, ARRAY_LEN(scope), owner->account,
                                  &own, err);
    if (r < 0 ||
        cloudstack_find(cloud, &domain_kind, &everywhere, 1, owner->domain, &domain, err) < 0)
        return -1;
    take_quota(own, *owner->project ? "project" : "account", "name", &ret[0]);
    take_quota(domain, "domain", "path", &ret[1]);
    *ret_n = 2;
    return 0;
}
