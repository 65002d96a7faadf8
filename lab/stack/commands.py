"""The commands that the server knows: their parameters as listApis tells them, what they answer with, who may call.

A row is (name, traits, object of its answer, parameters). Traits: `a` asynchronous, `r` for root admins only, `l` a
list, and the release that brought it. P, O and T are the parameters that lists have in common.
"""

import dataclasses

from . import params

P = " keyword:string page:int pagesize:int"
O = " account:string domainid:uuid/domain listall:bool isrecursive:bool projectid:uuid/project"     # noqa: E741
OWNER = " account:string domainid:uuid/domain projectid:uuid/project"
IMPORT = ("clusterid*:uuid/cluster name*:string displayname:string hostname:string" + OWNER + " "
          "templateid:uuid/template"
          " serviceofferingid*:uuid/serviceoffering nicnetworklist:map nicipaddresslist:map datadiskofferinglist:map"
          " details:map migrateallowed:bool forced:bool osid:uuid/ostype@4.22.1 starteventid:long")

ROWS = (
    ("listCapabilities", "", "capability", "domainid:uuid/domain@main"),
    ("listApis", "l", "api", "name:string"),
    ("listConfigurations", "rl", "configuration", "category:string name:string zoneid:uuid/zone clusterid:uuid/cluster"
     " storageid:uuid/pool accountid:uuid/account domainid:uuid/domain group:string subgroup:string parent:string" + P),
    ("listZones", "l", "zone", "id:uuid/zone ids:list/zone available:bool domainid:uuid/domain name:string"
     " networktype:string showcapacities:bool showicon:bool tags:map storageaccessgroup:string" + P),
    ("listPods", "rl", "pod", "id:uuid/pod name:string zoneid:uuid/zone" + P),
    ("listClusters", "rl", "cluster", "id:uuid/cluster name:string podid:uuid/pod zoneid:uuid/zone hypervisor:string"
     " clustertype:string allocationstate:string managedstate:string showcapacities:bool arch:string@4.22.0" + P),
    ("listHosts", "rl", "host", "id:uuid/host clusterid:uuid/cluster podid:uuid/pod zoneid:uuid/zone"
     " virtualmachineid:uuid/vm name:string state:string type:string resourcestate:string hypervisor:string"
     " details:list" + P),
    ("listStoragePools", "rl", "storagepool", "id:uuid/pool clusterid:uuid/cluster podid:uuid/pod zoneid:uuid/zone"
     " hostid:uuid/host name:string path:string ipaddress:string scope:string status:string"
     " storagecustomstats:bool" + P),
    ("listNetworks", "l", "network", "id:uuid/network zoneid:uuid/zone name:string@4.22.0 type:string acltype:string"
     " traffictype:string issystem:bool canusefordeploy:bool forvpc:bool networkfilter:string"
     " retrieveonlyresourcecount:bool supportedservices:list tags:map" + O + P),
    ("listServiceOfferings", "l", "serviceoffering", "id:uuid/serviceoffering virtualmachineid:uuid/vm"
     " zoneid:uuid/zone name:string storagetype:string state:string cpunumber:int memory:int cpuspeed:int issystem:bool"
     + O + P),
    ("listDiskOfferings", "l", "diskoffering", "id:uuid/diskoffering zoneid:uuid/zone volumeid:uuid/volume"
     " storageid:uuid/pool virtualmachineid:uuid/vm name:string storagetype:string state:string encrypt:bool" + O + P),
    ("listOsTypes", "l", "ostype", "id:uuid/ostype oscategoryid:uuid/oscategory ids:list/ostype@4.22.1"
     " description:string fordisplay:bool" + P),
    ("listOsCategories", "l", "oscategory", "id:uuid/oscategory name:string" + P),
    ("listGuestOsMapping", "rl", "guestosmapping", "id:uuid/mapping ostypeid:uuid/ostype osdisplayname:string"
     " osnameforhypervisor:string hypervisor:string hypervisorversion:string" + P),
    ("listDomains", "l", "domain", "id:uuid/domain level:int name:string listall:bool details:list" + P),
    ("listAccounts", "l", "account", "id:uuid/account domainid:uuid/domain accounttype:int name:string state:string"
     " listall:bool isrecursive:bool details:list" + P),
    ("listProjects", "l", "project", "id:uuid/project name:string displaytext:string state:string username:string"
     " account:string domainid:uuid/domain listall:bool isrecursive:bool details:list tags:map" + P),
    ("listResourceLimits", "l", "resourcelimit", "id:long resourcetype:int resourcetypename:string tag:string" + O + P),
    ("updateResourceCount", "l", "resourcecount", "domainid*:uuid/domain account:string projectid:uuid/project"
     " resourcetype:int tag:string"),
    ("listVirtualMachines", "l", "virtualmachine", "id:uuid/vm ids:list/vm zoneid:uuid/zone networkid:uuid/network"
     " templateid:uuid/template serviceofferingid:uuid/serviceoffering hostid:uuid/host podid:uuid/pod"
     " clusterid:uuid/cluster storageid:uuid/pool name:string state:string hypervisor:string arch:string displayvm:bool"
     " haenable:bool retrieveonlyresourcecount:bool details:list tags:map" + O + P),
    ("listVolumes", "l", "volume", "id:uuid/volume ids:list/volume hostid:uuid/host podid:uuid/pod"
     " clusterid:uuid/cluster virtualmachineid:uuid/vm zoneid:uuid/zone diskofferingid:uuid/diskoffering"
     " storageid:uuid/pool name:string type:string state:string displayvolume:bool listsystemvms:bool isencrypted:bool"
     " retrieveonlyresourcecount:bool tags:map" + O + P),
    ("listNics", "l", "nic", "virtualmachineid*:uuid/vm nicid:uuid/nic networkid:uuid/network fordisplay:bool" + P),
    ("listTags", "l", "tag", "resourcetype:string resourceid:string key:string value:string customer:string" + O + P),
    ("listVmsForImport", "rl", "unmanagedinstance", "zoneid*:uuid/zone host*:string hypervisor*:string username:string"
     " password:string" + P),
    ("listUnmanagedInstances", "rl", "unmanagedinstance", "clusterid*:uuid/cluster name:string" + P),
    ("listImportVmTasks", "rl4.22.0", "importvmtask", "zoneid*:uuid/zone accountid:uuid/account"
     " convertinstancehostid:uuid/host vcenter:string tasksfilter:string" + P),
    ("listVolumesForImport", "rl", "volumeforimport", "storageid*:uuid/pool path:string" + P),
    ("importVm", "ar", "virtualmachine", "zoneid*:uuid/zone hypervisor*:string importsource*:string " + IMPORT
     + " diskpath:string storageid:uuid/pool networkid:uuid/network hostid:uuid/host host:string username:string"
     " password:string temppath:string existingvcenterid:uuid/vcenter vcenter:string datacentername:string "
     "hostip:string convertinstancehostid:uuid/host importinstancehostid:uuid/host convertinstancepoolid:uuid/pool"
     " forcemstoimportvmfiles:bool forceconverttopool:bool@4.22.0 extraparams:string@4.22.0 usevddk:bool@4.22.1"),
    ("importUnmanagedInstance", "ar", "virtualmachine", IMPORT),
    ("importVolume", "ar", "volume", "path*:string storageid*:uuid/pool name:string diskofferingid:uuid/diskoffering"
     + OWNER),
    ("unmanageVolume", "ar", "", "id*:uuid/volume"),
    ("unmanageVirtualMachine", "ar", "", "id*:uuid/vm hostid:uuid/host@4.22.0 forced:bool@4.22.0"),
    ("attachVolume", "a", "volume", "id*:uuid/volume virtualmachineid*:uuid/vm deviceid:long"),
    ("detachVolume", "a", "volume", "id:uuid/volume virtualmachineid:uuid/vm deviceid:long"),
    ("addNicToVirtualMachine", "a", "virtualmachine", "virtualmachineid*:uuid/vm networkid*:uuid/network"
     " ipaddress:string macaddress:string dhcpoptions:map"),
    ("updateDefaultNicForVirtualMachine", "a", "virtualmachine", "virtualmachineid*:uuid/vm nicid*:uuid/nic"),
    ("removeNicFromVirtualMachine", "a", "virtualmachine", "virtualmachineid*:uuid/vm nicid*:uuid/nic"),
    ("updateVirtualMachine", "", "virtualmachine", "id*:uuid/vm displayname:string group:string name:string"
     " instancename:string userdata:string=1048576 extraconfig:string=5120 customid:string ostypeid:uuid/ostype"
     " haenable:bool displayvm:bool isdynamicallyscalable:bool deleteprotection:bool cleanupdetails:bool details:map"),
    ("startVirtualMachine", "a", "virtualmachine", "id*:uuid/vm podid:uuid/pod clusterid:uuid/cluster hostid:uuid/host"
     " considerlasthost:bool bootintosetup:bool deploymentplanner:string"),
    ("stopVirtualMachine", "a", "virtualmachine", "id*:uuid/vm forced:bool"),
    ("destroyVirtualMachine", "a", "virtualmachine", "id*:uuid/vm expunge:bool volumeids:list/volume"),
    ("expungeVirtualMachine", "ar", "", "id*:uuid/vm"),
    ("recoverVirtualMachine", "r", "virtualmachine", "id*:uuid/vm"),
    ("destroyVolume", "a", "volume", "id*:uuid/volume expunge:bool"),
    ("deleteVolume", "", "", "id*:uuid/volume"),
    ("createTags", "a", "", "resourceids*:list resourcetype*:string tags*:map customer:string"),
    ("deleteTags", "a", "", "resourceids*:list resourcetype*:string tags:map"),
    ("queryAsyncJobResult", "", "", "jobid:uuid/job resourceid:string@4.22.1 resourcetype:string@4.22.1"),
    ("listAsyncJobs", "l", "asyncjobs", "startdate:string" + O + P),
    ("getApiLimit", "", "apilimit", ""),
    ("resetApiLimit", "r", "", "account:uuid/account"),
)


@dataclasses.dataclass
class Command:
    name: str
    object: str
    params: list
    is_async: bool
    root: bool
    is_list: bool
    since: str = None

    @property
    def reads(self):
        """Whether it may be sent by GET where POST is enforced."""
        return self.name.startswith(("get", "list", "query", "find"))

    @property
    def java_class(self):
        who = "admin" if self.root else "user"
        return f"org.apache.cloudstack.api.command.{who}.vm.{self.name[0].upper()}{self.name[1:]}Cmd"


def of_row(name, traits, answer, text):
    letters = traits.rstrip("0123456789.")
    given = params.parse(text)
    if "a" in letters:
        given += params.parse("customjobid:string")
    return Command(name, answer, given, "a" in letters, "r" in letters, "l" in letters, traits[len(letters):] or None)


COMMANDS = {row[0]: of_row(*row) for row in ROWS}
