"""Domains, accounts, projects and what they may use; tags."""

from . import owners, refusal
from .listing import Rows, select
from .site import LIMITS
from .world import fresh_id

TAGGED = {"uservm": "vm", "volume": "volume", "nic": "nic", "network": "network", "project": "project"}
TYPES = {"user": 0, "admin": 1, "domain-admin": 2, "project": 5}


def domains(call):
    rows = []
    for item in call.world.all("domain"):
        if not call.account.admin and not call.account.domain.over(item):
            continue
        inside = [account for account in call.world.all("account") if item.over(account.domain)]
        rows.append(dict(owners.quota_fields(call.world, item, inside), id=item.id, name=item.label, path=item.path,
                         level=item.path.count("/"), haschild=False, state="Active"))
    return select(rows, call.args, "id", "name", "level")


def accounts(call):
    shown = [item for item in call.world.all("account") if item.type != "project" and owners.sees(call.account, item)]
    if "domainid" in call.args:
        shown = [item for item in shown if owners.in_domain(call.args, item)]
    elif not call.args.get("listall") and "id" not in call.args and not call.account.admin:
        shown = [call.account]
    rows = [dict(owners.quota_fields(call.world, item, [item]), id=item.id, name=item.name,
                 accounttype=TYPES[item.type],
                 domainid=item.domain.id, domain=item.domain.label, domainpath=item.domain.path,
                 state="enabled" if item.enabled else "disabled",
                 roletype={"admin": "Admin", "domain-admin": "DomainAdmin"}.get(item.type, "User"),
                 user=[{"id": item.id, "username": item.name, "apikey": item.api_key}]) for item in shown]
    return select(rows, call.args, "id", "name", "accounttype", "state")


def projects(call):
    rows = [dict(owners.quota_fields(call.world, item.owner, [item.owner]), id=item.id, name=item.name,
                 displaytext=item.name, domainid=item.domain.id, domain=item.domain.label, state="Active",
                 projectaccountname=item.owner.name) for item in call.world.all("project")
            if owners.sees(call.account, item.owner)]
    return select(rows, call.args, "id", "name", "displaytext", "state", "domainid")


def resource_limits(call):
    holder = call.account
    if "projectid" in call.args and call.args["projectid"] != "-1":
        holder = call.args["projectid"].owner
    elif "account" in call.args:
        holder = owners.named(call)
    elif "domainid" in call.args:
        holder = call.args["domainid"]
    domain = getattr(holder, "domain", holder)
    rows = [{"resourcetype": str(number), "resourcetypename": name, "max": holder.limits.get(name, -1),
             "domainid": domain.id, "account": None if holder is domain or holder.project else holder.name}
            for name, number in LIMITS.items()]
    if "resourcetype" in call.args:
        if call.args["resourcetype"] not in LIMITS.values():
            raise refusal.invalid("Please specify a valid resource type.")
        rows = [row for row in rows if row["resourcetype"] == str(call.args["resourcetype"])]
    return select(rows, call.args, "resourcetypename")


def update_count(call):
    """Counters are never wrong here; they are told."""
    domain = call.args["domainid"]
    inside = [owners.named(call)] if "account" in call.args else [
        item for item in call.world.all("account") if domain.over(item.domain)]
    used = owners.used(call.world, inside)
    return Rows({"resourcetype": str(LIMITS[name]), "resourcetypename": name, "resourcecount": int(amount),
                 "domainid": domain.id} for name, amount in used.items()
                if call.args.get("resourcetype", LIMITS[name]) == LIMITS[name])


# Tags.


def tagged(call):
    """The objects of resourceids."""
    kind = TAGGED.get(call.args["resourcetype"].lower())
    if kind is None:
        raise refusal.invalid(f"Invalid resource type {call.args['resourcetype']}")
    for key in call.args["resourceids"]:
        found = call.world.find(kind, key)
        if found is None or found.removed:
            raise refusal.invalid(f"Unable to find resource by uuid {key} and type {call.args['resourcetype']}")
        owner = getattr(found, "owner", None)
        if owner is not None:
            owners.may_see(call.account, owner)
        yield found


def create_tags(call):
    for item in list(tagged(call)):
        for pair in call.args["tags"]:
            if not pair.get("key") or not pair.get("value"):
                raise refusal.invalid("Error: Missing key or value in a tag")
            if any(tag["id"] == item.id and tag["key"] == pair["key"] for tag in call.world.tags):
                raise refusal.runtime(f"tag {pair['key']} already on {call.args['resourcetype']} with id {item.id}")
            call.world.tags.append({"tag": fresh_id(), "id": item.id, "type": call.args["resourcetype"],
                                    "key": pair["key"], "value": pair["value"], "customer": call.args.get("customer")})
    return True


def delete_tags(call):
    """Without a value of a tag, whatever its value; without tags, all."""
    keys = [item.id for item in tagged(call)]
    pairs = call.args.get("tags")

    def fits(tag):
        return tag["id"] in keys and (pairs is None or any(
            tag["key"] == pair.get("key") and pair.get("value", tag["value"]) == tag["value"] for pair in pairs))
    gone = [tag for tag in call.world.tags if fits(tag)]
    if not gone:
        raise refusal.invalid("Unable to find any tags which conform to the given conditions")
    call.world.tags = [tag for tag in call.world.tags if tag not in gone]
    return True


def tags_of(world, item):
    return [{"key": tag["key"], "value": tag["value"], "resourceid": item.id, "resourcetype": tag["type"]}
            for tag in world.tags if tag["id"] == item.id]


def list_tags(call):
    rows = []
    for tag in call.world.tags:
        item = call.world.find(TAGGED[tag["type"].lower()], tag["id"])
        owner = getattr(item, "owner", call.account)
        if owners.visible(call, [Owned(owner)]):
            rows.append({"key": tag["key"], "value": tag["value"], "resourceid": tag["id"], "resourcetype": tag["type"],
                         "customer": tag["customer"], "account": owner.name, "domainid": owner.domain.id})
    return select(rows, call.args, "key", "value", "resourceid", "resourcetype", "customer")


class Owned:
    def __init__(self, owner):
        self.owner = owner


def with_tags(world, items, pairs):
    """Of objects those that have all of these tags."""
    wanted = {(pair.get("key"), pair.get("value")) for pair in pairs}
    return [item for item in items
            if wanted <= {(tag["key"], tag["value"]) for tag in world.tags if tag["id"] == item.id}]
