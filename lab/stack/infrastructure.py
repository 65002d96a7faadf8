"""What a cloud consists of, as lists: zones to hosts, pools, networks, offerings, operating systems, settings."""

from . import owners, refusal
from .commands import COMMANDS
from .listing import Rows, select
from .site import VERSIONS

GIB = 1 << 30


def capabilities(call):
    setting = call.world.setting
    limited = setting("api.throttling.enabled") == "true"
    return {"cloudstackversion": VERSIONS[call.site.release], "securitygroupsenabled": False,
            "userpublictemplateenabled": True,
            "customdiskofferingminsize": int(setting("custom.diskoffering.size.min")),
            "customdiskofferingmaxsize": int(setting("custom.diskoffering.size.max")),
            "defaultuipagesize": 20, "kvmsnapshotenabled": False, "allowuserviewdestroyedvm": False,
            "apilimitinterval": int(setting("api.throttling.interval")) if limited else None,
            "apilimitmax": int(setting("api.throttling.max")) if limited else None}


def apis(call):
    rows = [api_row(call, command) for command in COMMANDS.values()
            if call.has(command.since) and (call.account.admin or not command.root)]
    if "name" in call.args:
        rows = [row for row in rows if row["name"] == call.args["name"]]
        if not rows:
            raise refusal.invalid(f"API [{call.args['name']}] does not exist or is not available for the account")
    return Rows(rows)


def api_row(call, command):
    names = {"bool": "boolean", "int": "integer"}
    known = [param for param in command.params if call.has(param.since)]
    return {"name": command.name, "description": f"{command.name} of the lab", "isasync": command.is_async,
            "related": "",
            "params": [{"name": param.name, "description": param.name, "type": names.get(param.type, param.type),
                        "length": param.length, "required": param.required, "since": param.since} for param in known
                       if param.name != "customjobid"],
            "response": [{"name": "id", "description": "the ID", "type": "string"}]}


def configurations(call):
    rows = [{"name": name, "value": value, "category": "Advanced", "description": name}
            for name, value in sorted(call.world.site.settings.items()) if known_setting(call, name)]
    return select(rows, call.args, "name", "category")


def known_setting(call, name):
    return name != "allow.import.volume.with.backing.file" or call.has("4.22.1")


def zones(call):
    return select([{"id": zone.id, "name": zone.name, "networktype": zone.networktype,
                    "allocationstate": zone.allocation,
                    "localstorageenabled": zone.local_storage, "securitygroupsenabled": zone.security_groups,
                    "type": "Core", "dhcpprovider": "VirtualRouter", "tags": []}
                   for zone in call.world.all("zone")], call.args, "id", "name", "networktype")


def place(item):
    return {"zoneid": item.zone.id, "zonename": item.zone.name, "podid": item.pod.id, "podname": item.pod.name}


def pods(call):
    return select([{"id": pod.id, "name": pod.name, "zoneid": pod.zone.id, "zonename": pod.zone.name,
                    "allocationstate": "Enabled"} for pod in call.world.all("pod")], call.args, "id", "name", "zoneid")


def clusters(call):
    return select([dict(place(item), id=item.id, name=item.name, hypervisortype=item.hypervisor,
                        clustertype="CloudManaged",
                        allocationstate=item.allocation, managedstate="Managed",
                        arch=item.arch if call.has("4.22.0") else None) for item in call.world.all("cluster")],
                  call.args, "id", "name", "podid", "zoneid", "allocationstate", "managedstate", "arch",
                  "clustertype", hypervisor="hypervisortype")


def hosts(call):
    rows = [host_row(call, item) for item in call.world.all("host")]
    if "virtualmachineid" in call.args:
        at = call.args["virtualmachineid"].host
        rows = [row for row in rows if at and row["id"] == at.id]
    return select(rows, call.args, "id", "name", "podid", "zoneid", "clusterid", "state", "resourcestate", "hypervisor",
                  "type")


def host_row(call, host):
    running = [item for item in call.world.all("vm") if item.host is host]
    details = dict({"host.uefi.enable": str(host.uefi).lower(),
                    "host.instance.conversion": str(host.conversion).lower(),
                    "host.virtv2v.version": "2.2.0" if host.conversion else None}, **host.details)
    wanted = call.args.get("details", ["all"])
    return dict(place(host), id=host.id, name=host.name, state=host.state, resourcestate=host.resource_state,
                type="Routing", hypervisor=host.cluster.hypervisor, hypervisorversion="7.2.0", ipaddress=host.address,
                clusterid=host.cluster.id, clustername=host.cluster.name, ueficapability=host.uefi,
                encryptionsupported=True, instanceconversionsupported=host.conversion,
                arch=host.cluster.arch if call.has("4.22.0") else None, cpunumber=host.cpus, cpuspeed=host.mhz,
                memorytotal=host.memory_mib << 20, memoryallocated=sum(item.memory_mib for item in running) << 20,
                memoryallocatedbytes=sum(item.memory_mib for item in running) << 20,
                cpuallocated=f"{100 * sum(item.cpus * item.mhz for item in running) / (host.cpus * host.mhz):.2f}%",
                details=details if "all" in wanted else None)


def pools(call):
    rows = [pool_row(call, item) for item in call.world.all("pool")]
    if "hostid" in call.args:
        reached = [item.id for item in call.world.all("pool") if reaches(call.args["hostid"], item)]
        rows = [row for row in rows if row["id"] in reached]
    return select(rows, call.args, "id", "name", "podid", "zoneid", "clusterid", "path", "ipaddress", "scope",
                  status="state")


def reaches(host, pool):
    """Whether a host can use a pool by its scope."""
    if pool.zone is not host.zone:
        return False
    return pool.scope == "ZONE" or (pool.cluster is host.cluster and (not pool.local or pool.host is host))


def pool_row(call, pool):
    allocated = sum(item.size for item in call.world.all("volume") if item.pool is pool)
    zonal = pool.scope == "ZONE"
    return {"id": pool.id, "name": pool.name, "zoneid": pool.zone.id, "zonename": pool.zone.name, "type": pool.type,
            "podid": None if zonal else pool.cluster.pod.id, "clusterid": None if zonal else pool.cluster.id,
            "clustername": None if zonal else pool.cluster.name, "scope": pool.scope, "state": pool.state,
            "ipaddress": "127.0.0.1", "path": pool.dir, "tags": ",".join(pool.tags), "istagarule": False,
            "hypervisor": "KVM" if zonal else pool.cluster.hypervisor, "provider": "DefaultPrimary", "managed": False,
            "disksizetotal": pool.capacity_gib * GIB, "disksizeused": pool.used_gib * GIB,
            "disksizeallocated": allocated,
            "overprovisionfactor": "2.0", "storagecapabilities": {"VOLUME_SNAPSHOT_QUIESCEVM": "false"}}


def networks(call):
    rows = [network_row(item) for item in call.world.all("network") if shows_network(call, item)]
    rows = [row for row in rows if call.args.get("type", "all").lower() in ("all", row["type"].lower())]
    return select(rows, call.args, "id", "name", "zoneid", "acltype", "traffictype", "canusefordeploy")


def shows_network(call, network):
    if network.account is None and network.project is None:
        return network.domain is None or network.domain.over(wanted_owner(call).domain) or call.args.get("listall")
    network.owner = network.project.owner if network.project else network.account
    return bool(owners.visible(call, [network], call.args.get("id")))


def wanted_owner(call):
    if "projectid" in call.args and call.args["projectid"] != "-1":
        return call.args["projectid"].owner
    return owners.named(call) if "account" in call.args else call.account


def network_row(network):
    owner = network.account
    subnet = network.subnet
    return {"id": network.id, "name": network.name, "displaytext": network.name, "type": network.type,
            "zoneid": network.zone.id, "zonename": network.zone.name, "state": "Implemented", "traffictype": "Guest",
            "acltype": "Account" if owner or network.project else "Domain", "canusefordeploy": True, "issystem": False,
            "broadcasturi": f"vlan://{network.vlan}", "vlan": str(network.vlan), "cidr": network.cidr,
            "gateway": network.gateway, "netmask": str(subnet.netmask) if subnet else None,
            "account": owner.name if owner else None, "projectid": network.project.id if network.project else None,
            "domainid": (owner.domain if owner else network.domain).id if owner or network.domain else None,
            "networkdomain": "cs.lab", "dns1": "192.0.2.53",
            "service": [] if network.type == "L2" else [{"name": "Dhcp"}, {"name": "Dns"}, {"name": "UserData"}]}


def service_offerings(call):
    rows = [service_offering_row(item) for item in call.world.all("serviceoffering")
            if offered(call, item) and ("zoneid" not in call.args or not item.zones
                                        or call.args["zoneid"].name in item.zones)]
    return select(rows, call.args, "id", "name", "cpunumber", "memory", "cpuspeed", "storagetype", "state")


def offered(call, offering):
    """Whether the caller's domain, or one that it names, may use an offering."""
    return call.account.admin or not offering.domains or any(
        domain.over(call.account.domain) for domain in call.world.all("domain") if domain.name in offering.domains)


def service_offering_row(item):
    bounds = {"mincpunumber": item.min_cpus, "maxcpunumber": item.max_cpus, "minmemory": item.min_memory_mib,
              "maxmemory": item.max_memory_mib}
    return {"id": item.id, "name": item.name, "displaytext": item.name, "iscustomized": item.custom,
            "state": item.state,
            "cpunumber": None if item.custom else item.cpus, "cpuspeed": None if item.custom else item.mhz,
            "memory": None if item.custom else item.memory_mib, "storagetype": item.storage, "issystem": False,
            "storagetags": ",".join(item.tags) or None, "hosttags": ",".join(item.host_tags) or None,
            "rootdisksize": item.root_gib, "provisioningtype": "thin", "encryptroot": False,
            "diskofferingstrictness": False, "serviceofferingdetails":
                {key: str(value) for key, value in bounds.items() if value is not None} or None}


def disk_offerings(call):
    rows = [{"id": item.id, "name": item.name, "displaytext": item.name, "disksize": item.size_gib,
             "iscustomized": item.custom, "tags": ",".join(item.tags) or None, "storagetype": item.storage,
             "provisioningtype": "thin", "encrypt": item.encrypt, "state": item.state, "disksizestrictness": False}
            for item in call.world.all("diskoffering") if offered(call, item)]
    return select(rows, call.args, "id", "name", "storagetype", "state", "encrypt")


def os_types(call):
    categories = {item.name: item.id for item in call.world.all("oscategory")}
    return select([{"id": item.id, "name": item.name, "description": item.name, "isuserdefined": False,
                    "oscategoryid": categories[item.category], "oscategoryname": item.category}
                   for item in call.world.all("ostype")], call.args, "id", "oscategoryid", "description")


def os_categories(call):
    return select([{"id": item.id, "name": item.name} for item in call.world.all("oscategory")], call.args, "id",
                  "name")


def mappings(call):
    rows = [{"id": item.id, "hypervisor": item.hypervisor, "hypervisorversion": item.version,
             "ostypeid": item.ostype.id,
             "osdisplayname": item.ostype.name, "osnameforhypervisor": item.name, "isuserdefined": "false"}
            for item in call.world.all("mapping")]
    return select(rows, call.args, "id", "ostypeid", "osdisplayname", "osnameforhypervisor", "hypervisor",
                  "hypervisorversion")
