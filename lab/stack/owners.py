"""Who owns what: accounts and projects that calls name, what a caller sees, and quotas."""

from . import refusal

GIB = 1 << 30


def check_root(account):
    if not account.admin:
        raise refusal.denied(f"Cannot perform this operation, caller account [{account.id}] is not ROOT Admin.")


def of_call(call):
    """The account that is to own what a call makes."""
    args = call.args
    if "projectid" in args:
        if args["projectid"] == "-1":
            raise refusal.invalid("Invalid projectId")
        if "account" in args:
            raise refusal.invalid("Account and projectId can't be specified together")
        return args["projectid"].owner
    if "account" in args and "domainid" not in args:
        raise refusal.invalid("Account must be specified with domainId")
    if "domainid" in args and "account" not in args:
        raise refusal.invalid("DomainId must be specified together with account")
    return named(call) if "account" in args else call.account


def named(call):
    """The account of `account` and `domainid`."""
    found = next((item for item in call.world.all("account") if item.name == call.args["account"]
                  and item.domain is call.args.get("domainid", item.domain) and item.type != "project"), None)
    if found is None:
        domain = call.args.get("domainid")
        raise refusal.invalid(f"Unable to find account {call.args['account']} in domain "
                              f"{domain.id if domain else 'null'}", *([("domainId", domain)] if domain else []))
    may_see(call.account, found)
    return found


def may_see(account, owner):
    if not sees(account, owner):
        raise refusal.denied(f"Account {account.name} does not have permission to operate with resource "
                             f"of account {owner.name}")


def sees(account, owner):
    if account.admin or owner is account:
        return True
    return account.type == "domain-admin" and account.domain.over(owner.domain)


def visible(call, items, single=None):
    """Of owned objects those that a list shows: one's own, with listall all that one may see; a project's only when it
    is asked for. `single`: the object that the call names, which an admin sees without listall."""
    args = call.args
    project = args.get("projectid")
    if project == "-1":
        return [item for item in items if sees(call.account, item.owner)]
    if project is not None:
        return [item for item in items if item.owner is project.owner and sees(call.account, item.owner)]
    items = [item for item in items if item.owner.type != "project" and sees(call.account, item.owner)]
    if "account" in args:
        owner = named(call)
        return [item for item in items if item.owner is owner]
    if "domainid" in args:
        return [item for item in items if in_domain(args, item.owner)]
    if args.get("listall") or (single is not None and call.account.admin):
        return items
    return [item for item in items if item.owner is call.account]


def in_domain(args, owner):
    domain = args["domainid"]
    return domain.over(owner.domain) if args.get("isrecursive") else owner.domain is domain


# Quotas.


def used(world, owners):
    """What accounts use, by kind of resource, in the units of the limits."""
    machines = [item for item in world.all("vm") if item.owner in owners and item.state != "Destroyed"]
    volumes = [item for item in world.all("volume") if item.owner in owners]
    return {"user_vm": len(machines), "cpu": sum(item.cpus for item in machines),
            "memory": sum(item.memory_mib for item in machines), "volume": len(volumes),
            "primary_storage": sum(item.size for item in volumes) / GIB}


def check_quota(world, owner, **wanted):
    """ResourceAllocationException when an owner, or a domain above it, would have more than its limit."""
    for kind, amount in wanted.items():
        limit = owner.limits.get(kind, -1)
        if -1 < limit < used(world, [owner])[kind] + amount:
            raise refusal.allocation(f"Maximum amount of resources of Type = '{kind}' for Account Name = {owner.name} "
                                     f"in Domain Id = {owner.domain.id} has been exceeded.")
        for domain in world.all("domain"):
            limit = domain.limits.get(kind, -1)
            inside = [item for item in world.all("account") if domain.over(item.domain)]
            if domain.over(owner.domain) and -1 < limit < used(world, inside)[kind] + amount:
                raise refusal.allocation(f"Maximum domain resource limits of Type = '{kind}' for Domain Id = "
                                         f"{domain.id} is exceeded: The resource limit has been reached.")


def quota_fields(world, holder, owners):
    """The limit, total and available fields of an account, a domain or a project."""
    total, fields = used(world, owners), {}
    for kind, word in (("user_vm", "vm"), ("cpu", "cpu"), ("memory", "memory"), ("volume", "volume"),
                       ("primary_storage", "primarystorage")):
        limit = holder.limits.get(kind, -1)
        amount = int(total[kind])
        fields[word + "limit"] = "Unlimited" if limit < 0 else str(limit)
        fields[word + "total"] = amount
        fields[word + "available"] = "Unlimited" if limit < 0 else str(limit - amount)
    return fields
