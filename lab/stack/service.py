"""A call's way from its parameters to its answer: who calls, what they may, what is done, and the envelope."""

import json
import re
import threading
import time

from . import (agent, identity, importing, infrastructure, interfaces, listing, machines, owners, params, refusal,
               signing, views, volumes)
from .commands import COMMANDS

LISTS = {
    "listApis": infrastructure.apis, "listConfigurations": infrastructure.configurations,
    "listZones": infrastructure.zones, "listPods": infrastructure.pods, "listClusters": infrastructure.clusters,
    "listHosts": infrastructure.hosts, "listStoragePools": infrastructure.pools,
    "listNetworks": infrastructure.networks, "listServiceOfferings": infrastructure.service_offerings,
    "listDiskOfferings": infrastructure.disk_offerings, "listOsTypes": infrastructure.os_types,
    "listOsCategories": infrastructure.os_categories, "listGuestOsMapping": infrastructure.mappings,
    "listDomains": identity.domains, "listAccounts": identity.accounts, "listProjects": identity.projects,
    "listResourceLimits": identity.resource_limits, "updateResourceCount": identity.update_count,
    "listVirtualMachines": views.machines, "listVolumes": views.volumes, "listNics": views.nics,
    "listTags": identity.list_tags, "listVolumesForImport": agent.list_for_import,
    # Other hosts, and machines on them that nobody manages, are not in the lab.
    "listVmsForImport": lambda call: [], "listUnmanagedInstances": lambda call: [],
    "listImportVmTasks": lambda call: [],
}
CHANGES = {
    "importVm": importing.import_vm, "importUnmanagedInstance": importing.import_unmanaged,
    "importVolume": volumes.import_volume, "unmanageVolume": volumes.unmanage,
    "unmanageVirtualMachine": machines.unmanage, "attachVolume": volumes.attach, "detachVolume": volumes.detach,
    "addNicToVirtualMachine": interfaces.add, "updateDefaultNicForVirtualMachine": interfaces.choose,
    "removeNicFromVirtualMachine": interfaces.remove, "updateVirtualMachine": machines.update,
    "startVirtualMachine": machines.start, "stopVirtualMachine": machines.stop,
    "destroyVirtualMachine": machines.destroy, "expungeVirtualMachine": machines.expunge,
    "recoverVirtualMachine": machines.recover, "destroyVolume": volumes.destroy, "deleteVolume": volumes.delete,
    "createTags": identity.create_tags, "deleteTags": identity.delete_tags,
}
OWN_WORDS = ("queryAsyncJobResult", "listAsyncJobs", "listCapabilities", "getApiLimit", "resetApiLimit")


class Call:
    """A command, who calls it, and its arguments, typed."""

    def __init__(self, world, command, account, args):
        self.world, self.command, self.account, self.args = world, command, account, args
        self.site = world.site

    def has(self, release):
        """Whether the server is that new; None: always was there, "never": never will be."""
        return release is None or (release != "never" and self.site.since(release))


class Service:
    def __init__(self, lab):
        self.lab, self.world = lab, lab.world
        self.calls = {}             # how often each command was called
        self.maintenance = None     # the text of its refusal, while it is under maintenance
        self.windows = {}           # account: (end of its second, calls in it)
        self.lock = threading.Lock()

    def command(self, pairs):
        """The command of a request when this release has it."""
        found = COMMANDS.get(pairs.get("command"))
        if found is not None and found.since and not self.world.site.since(found.since):
            return None
        return found

    def answer(self, pairs, method, rule=None):
        """(HTTP status, the answer as an object) of a request's decoded parameters."""
        command = self.command(pairs)
        try:
            with self.world.lock:
                return 200, self.answered(command, pairs, method, rule or {})
        except refusal.Refusal as error:
            known = command is not None and error.code != refusal.UNSUPPORTED
            name = f"{command.name.lower()}response" if known else "errorresponse"
            body = {"uuidList": [{"uuid": key, "description": word} for key, word in error.uuids],
                    "errorcode": error.code, "cserrorcode": error.cs_code, "errortext": error.text}
            return error.code, {name: {key: value for key, value in body.items() if value is not None}}

    def answered(self, command, pairs, method, rule):
        if self.maintenance:
            raise refusal.Refusal(refusal.UNAVAILABLE, self.maintenance)
        if "command" not in pairs:
            raise refusal.unauthorized()
        if command is None:
            raise refusal.Refusal(refusal.UNSUPPORTED, f"The given command:{pairs['command']} does not exist or it is "
                                  "not available for user")
        enforced = self.world.setting("enforce.post.requests.and.timestamps") == "true"
        if enforced and method != "POST" and not command.reads:
            raise refusal.Refusal(400, f"State changing command {command.name} needs to be sent using POST request")
        account = signing.verify(pairs, self.world.user, enforced)
        self.calls[command.name] = self.calls.get(command.name, 0) + 1
        self.check_rate(account)
        if command.root and not account.admin:
            raise refusal.unauthorized(f"The API [{command.name}] does not exist or is not available for the account "
                                       f"for user with id:{account.id}")
        if "code" in rule:
            raise refusal.Refusal(rule["code"], rule.get("text", "the lab was told to"))
        params.check_characters(pairs)
        args = params.process(command, params.unpack(pairs), self.find, self.world.site.since)
        call = Call(self.world, command, account, args)
        if command.is_list:
            listing.page([], args, int(self.world.setting("default.page.size")))    # before anything else is looked at
        if command.is_async:
            return {f"{command.name.lower()}response": {"jobid": self.lab.jobs.submit(call).id}}
        return {f"{command.name.lower()}response": self.perform(call)}

    def find(self, kind, key):
        return self.lab.jobs.find(key) if kind == "job" else self.world.find(kind, key)

    def check_rate(self, account):
        """So many calls of an account in an interval; root admins as they like."""
        setting = self.world.setting
        if setting("api.throttling.enabled") != "true" or account.admin:
            return
        now = time.monotonic()
        until, count = self.windows.get(account, (0, 0))
        if now >= until:
            until, count = now + int(setting("api.throttling.interval")), 0
        self.windows[account] = (until, count + 1)
        if count >= int(setting("api.throttling.max")):
            raise refusal.Refusal(refusal.LIMITED, "The given user has reached his/her account api limit, please retry "
                                  f"after {int(1000 * (until - now))} ms.", 4545)

    def perform(self, call):
        """Do what a call says: what is inside its envelope. Whoever calls it holds the lock of the world."""
        name, word = call.command.name, call.command.object
        if name in OWN_WORDS:
            made = self.own(call)
        elif name in LISTS:
            made = LISTS[name](call)
        else:
            made = self.shown(CHANGES[name](call), word)
        if call.command.is_list:
            count, rows = listing.page(list(made), call.args, int(self.world.setting("default.page.size")))
            made = {"count": count, word: rows} if count else {}
        return listing.without_nothing(made)

    def shown(self, made, word):
        if made is True:
            return {"success": True}
        if word == "virtualmachine":
            return {word: views.machine_row(self.world, made)}
        return {word: views.volume_row(self.world, made)} if word == "volume" else made

    def own(self, call):
        name, jobs = call.command.name, self.lab.jobs
        if name == "queryAsyncJobResult":
            return jobs.query(call)
        if name == "listAsyncJobs":
            return jobs.list(call)
        if name == "listCapabilities":
            return {"capability": infrastructure.capabilities(call)}
        if name == "resetApiLimit":
            owners.check_root(call.account)
            self.windows.clear()
            return {"success": True}
        _, count = self.windows.get(call.account, (0, 0))
        most = int(self.world.setting("api.throttling.max"))
        return {"apilimit": {"account": call.account.name, "accountid": call.account.id, "apiIssued": count,
                             "apiAllowed": max(0, most - count), "expireAfter": 0}}


def json_of(answer):
    """The bytes of an answer. Like the product it turns escapes of the form \\uXXXX back into what they stand for once
    all is written, without a look at where they are: control characters stand bare in strings."""
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text).encode(errors="replace")
