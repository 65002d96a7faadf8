"""What answers calls: the service objects of a vCenter or an ESXi host, and the way of a call to its method.

A call is read by the schema, its session and privileges are looked at, the object is looked up, the rules are asked,
and then `do_METHOD(session, object, arguments)` does it. The methods of machines are in machine_methods.
"""

import collections
import threading
import time

from . import fault as faults
from . import property as properties
from . import schema, session, soap
from .fault import Fault, HttpError, Hangup
from .machine_methods import MachineMethods
from .schema import Obj, Ref

VCENTER = {"setting": "VpxSettings", "userDirectory": "UserDirectory", "sessionManager": "SessionManager",
           "authorizationManager": "AuthorizationManager", "serviceManager": "ServiceMgr", "perfManager": "PerfMgr",
           "scheduledTaskManager": "ScheduledTaskManager", "alarmManager": "AlarmManager",
           "eventManager": "EventManager", "taskManager": "TaskManager", "extensionManager": "ExtensionManager",
           "customizationSpecManager": "CustomizationSpecManager", "customFieldsManager": "CustomFieldsManager",
           "diagnosticManager": "DiagMgr", "licenseManager": "LicenseManager", "searchIndex": "SearchIndex",
           "fileManager": "FileManager", "virtualDiskManager": "virtualDiskManager", "ovfManager": "OvfManager",
           "viewManager": "ViewManager", "propertyCollector": "propertyCollector"}
TRACE_MAX = 10000
ESXI = {"setting": "HostAgentSettings", "userDirectory": "ha-user-directory", "sessionManager": "ha-sessionmgr",
        "authorizationManager": "ha-authmgr", "serviceManager": "ha-servicemanager", "perfManager": "ha-perfmgr",
        "eventManager": "ha-eventmgr", "taskManager": "ha-taskmgr", "accountManager": "ha-localacctmgr",
        "diagnosticManager": "ha-diagnosticmgr", "licenseManager": "ha-license-manager",
        "searchIndex": "ha-searchindex", "fileManager": "ha-nfc-file-manager", "virtualDiskManager": "ha-vdiskmanager",
        "ovfManager": "ha-ovf-manager", "viewManager": "ViewManager", "propertyCollector": "ha-property-collector"}
WAIT_MAX = 1800
PUBLIC = ("ServiceInstance",)       # whose properties need no login
UUID_DASHES = (8, 13, 18, 23)


class Single:
    """A service object: its properties are computed by functions without arguments."""

    def __init__(self, ref, **props):
        self.ref = ref
        self.props = props

    def prop(self, name):
        value = self.props.get(name)
        return value() if callable(value) else value


class ManagedSnapshot:
    """A snapshot as a managed object."""

    def __init__(self, machine, snapshot):
        self.machine = machine
        self.snapshot = snapshot
        self.ref = Ref("VirtualMachineSnapshot", snapshot.ref)

    def prop(self, name):
        if name == "config":
            return self.machine.config(self.snapshot)
        if name == "childSnapshot":
            return [Ref("VirtualMachineSnapshot", item.ref) for item in self.machine.children_of(self.snapshot)]
        return self.machine.ref


class View:
    """A container view, or one of given objects."""

    def __init__(self, lab, owner, kind, container, types, recursive, objects):
        self.lab = lab
        self.ref = Ref(kind, f"session[{owner.key}]{session.vmware_key()}")
        self.container, self.types, self.recursive, self.objects = container, types, recursive, objects

    def prop(self, name):
        if name == "view":
            return self.view()
        return {"container": self.container and self.container.ref, "type": self.types,
                "recursive": self.recursive}[name]

    def view(self):
        if self.objects is not None:
            return self.objects
        found = self.lab.inventory.descendants(self.container, self.recursive)
        return [item.ref for item in found
                if not self.types or any(schema.is_a(item.ref.type, kind) for kind in self.types)]


class Service(MachineMethods):
    def __init__(self, lab):
        self.lab = lab
        self.names = ESXI if lab.esxi else VCENTER
        self.calls = {}
        self.trace = collections.deque(maxlen=TRACE_MAX)    # (method, time.monotonic when it came, seconds)
        self.lock = threading.Lock()
        self.singles = {}
        self.local = threading.local()      # .version of the call that a thread is doing
        kinds = {item.name: item.type for item in schema.fields("ServiceContent")}
        for name, value in self.names.items():
            ref = Ref(kinds[name], value)
            self.singles[ref] = Single(ref)
        self.instance = Ref("ServiceInstance", "ServiceInstance")
        self.singles[self.instance] = Single(self.instance, serverClock=session.now, content=self.content)
        self.nfc = Ref("NfcService", "ha-nfc-service" if lab.esxi else "nfcService")
        self.singles[self.nfc] = Single(self.nfc)
        self.single("taskManager").props = {"recentTask": lab.tasks.recent, "maxCollector": 32}
        self.single("licenseManager").props = {"licensedEdition": "lab", "licenses": self.licenses}
        self.single("authorizationManager").props = {"roleList": self.roles}

    def single(self, name):
        kinds = {item.name: item.type for item in schema.fields("ServiceContent")}
        return self.singles[Ref(kinds[name], self.names[name])]

    # What it is.

    def about(self):
        site, esxi = self.lab.site, self.lab.esxi
        name = "VMware ESXi" if esxi else "VMware vCenter Server"
        return Obj("AboutInfo", name=name, fullName=f"{name} {site.version} build-{site.build}", vendor="VMware, Inc.",
                   version=site.version, build=site.build, localeVersion="INTL", localeBuild="000",
                   osType="vmnix-x86" if esxi else "linux-x64", productLineId="embeddedEsx" if esxi else "vpx",
                   apiType="HostAgent" if esxi else "VirtualCenter", apiVersion=site.api_version,
                   instanceUuid=None if esxi else site.instance_uuid, licenseProductVersion=site.version[:1] + ".0",
                   licenseProductName="VMware ESX Server" if esxi else "VMware VirtualCenter Server")

    def content(self):
        refs = {ref.value: ref for ref in self.singles}
        managers = {name: refs[value] for name, value in self.names.items()}
        return Obj("ServiceContent", rootFolder=self.lab.inventory.root.ref, about=self.about(), **managers)

    def licenses(self):
        free = self.lab.site.free_licence
        return [Obj("LicenseManagerLicenseInfo", licenseKey="00000-00000-00000-00000-00000", total=0,
                    costUnit="cpuPackage", editionKey="esxBasic.cpuPackage" if free else "esxEnterprisePlus.cpuPackage",
                    name="vSphere 8 Hypervisor" if free else "vSphere 8 Enterprise Plus")]

    def roles(self):
        return [Obj("AuthorizationRole", roleId=-1, system=True, name="Admin", privilege=session.PRIVILEGES,
                    info=Obj("Description", label="Administrator", summary="Full access rights"))]

    # The way of a call.

    def call(self, owner, body, version):
        """Do the call of an envelope for a session. Returns (method, result); raises Fault, Hangup or HttpError."""
        self.local.version = version
        _, node = soap.call_of(soap.parse(body))
        method = self.method(node, version)
        this, arguments = soap.Reader(version, node.space).call(node, method)
        begun = time.monotonic()
        try:
            return method, self.answer(owner, method, this, arguments)
        finally:
            self.trace.append((method.name, begun, time.monotonic() - begun))

    def answer(self, owner, method, this, arguments):
        with self.lock:
            self.calls[method.name] = self.calls.get(method.name, 0) + 1
        self.lab.sessions.count_call()
        self.obey_rules(method, this, owner)
        self.lab.sessions.require(owner, method.privilege, this)
        target = self.target(method, this, owner)
        owner.calls += 1
        if method.vc and self.lab.esxi:
            raise Fault("NotImplemented")
        if method.change and self.lab.site.free_licence:
            raise Fault("RestrictedVersion")
        self.check_machine(method, target)
        return getattr(self, "do_" + method.name)(owner, target, arguments)

    @staticmethod
    def method(node, version):
        method = schema.METHODS.get(node.name)
        space = soap.INTERNAL if method and method.internal else soap.VIM
        if method is None or node.space != space or method.since > version:
            raise soap.invalid(f"Unable to resolve WSDL method name {node.name} in namespace {node.space} "
                               f"of version {'.'.join(map(str, version))}", "while parsing SOAP body", node.place)
        return method

    def obey_rules(self, method, this, owner):
        machine = self.machine_of(self.lab.find(this, owner))
        rule = self.lab.faults.take("method", method.name, machine=machine,
                                    user=owner.user.name if owner.user else None)
        if rule is None:
            return
        time.sleep(rule.get("delay_ms", 0) / 1000)
        if rule.get("action") == "cut":
            raise Hangup()
        if "status" in rule:
            raise HttpError(rule["status"], rule.get("message", "The lab was told so."))
        if "fault" in rule:
            task = self.lab.tasks.recent(machine.ref)[-1:] if machine else []
            raise faults.of_rule(rule, object=this, obj=this, receiver=this, method=method.name,
                                 task=task[0] if task else Ref("Task", "task-0"),
                                 existingState=machine.power if machine else "poweredOff")

    @staticmethod
    def machine_of(target):
        if isinstance(target, ManagedSnapshot):
            return target.machine
        return target if getattr(target, "type", None) == "VirtualMachine" else None

    def target(self, method, this, owner):
        if not schema.is_a(this.type, method.owner):
            raise Fault("MethodNotFound", f"Method {method.name} is not found on a {this.type}", receiver=this,
                        method=method.name)
        target = self.lab.find(this, owner)
        if target is None:
            raise Fault("ManagedObjectNotFound", obj=this)
        return target

    def find(self, ref, owner):
        """The object of a reference as this caller sees it, or None."""
        if ref == self.single("propertyCollector").ref:
            return self.default_collector(owner, ref)
        if ref in self.singles:
            if ref.type == "SessionManager":
                return Single(ref, sessionList=lambda: [item.info() for item in self.lab.sessions.active()],
                              currentSession=owner.info() if owner and owner.user else None, message="",
                              messageLocaleList=["en"], supportedLocaleList=["en"], defaultLocale="en")
            if ref.type == "ViewManager":
                return Single(ref, viewList=[item for item in owner.objects if item.type.endswith("View")])
            return self.singles[ref]
        if owner is not None and ref in owner.objects:
            return owner.objects[ref]
        return None

    def default_collector(self, owner, ref):
        with self.lock:
            if ref not in owner.objects:
                owner.objects[ref] = properties.Collector(self.lab, owner, ref)
            return owner.objects[ref]

    # ServiceInstance and sessions.

    def do_RetrieveServiceContent(self, _owner, _target, _arguments):
        return self.content()

    def do_RetrieveInternalContent(self, _owner, _target, _arguments):
        return Obj("InternalServiceInstanceContent", nfcService=self.nfc)

    def do_CurrentTime(self, _owner, _target, _arguments):
        return session.now()

    def do_Login(self, owner, _target, arguments):
        if owner.user is None and self.lab.sessions.is_full:
            raise HttpError(503, f"Out of HTTP sessions: Limited to {self.lab.site.max_sessions}")
        info = self.lab.sessions.login(owner, arguments["userName"], arguments["password"])
        owner.locale = arguments.get("locale") or "en"
        return info

    def do_Logout(self, owner, _target, _arguments):
        self.lab.sessions.end(owner)

    def do_SessionIsActive(self, _owner, _target, arguments):
        return any(item.key == arguments["sessionID"] and item.user.name == arguments["userName"]
                   for item in self.lab.sessions.active())

    def do_TerminateSession(self, _owner, _target, arguments):
        for item in [item for item in self.lab.sessions.active() if item.key in arguments["sessionId"]]:
            self.lab.sessions.end(item)

    def do_AcquireCloneTicket(self, owner, _target, _arguments):
        return self.lab.sessions.clone_ticket(owner)

    def do_CloneSession(self, owner, _target, arguments):
        if self.lab.sessions.is_full:
            raise HttpError(503, f"Out of HTTP sessions: Limited to {self.lab.site.max_sessions}")
        return self.lab.sessions.clone(owner, arguments["cloneTicket"])

    def do_AcquireGenericServiceTicket(self, owner, target, arguments):
        spec = arguments["spec"]
        self.lab.sessions.require(owner, "System.View", target.ref)
        if spec.type != "SessionManagerHttpServiceRequestSpec":
            raise Fault("InvalidArgument", invalidProperty="spec")
        ticket = self.lab.sessions.file_ticket(spec.method or "httpGet", spec.url)
        return Obj("SessionManagerGenericServiceTicket", id=ticket, sslThumbprint=self.lab.thumbprint,
                   hostName=self.lab.host_name)

    # Authorization.

    def entities(self, refs, owner, where):
        for ref in refs:
            if self.lab.find(ref, owner) is None:
                raise Fault("ManagedObjectNotFound", obj=ref)
            if not schema.is_a(ref.type, "ManagedEntity"):
                raise Fault("InvalidArgument", invalidProperty=where)
        return refs

    def user_named(self, name, where="userName"):
        user = self.lab.site.users.get(name)
        if user is None:
            raise Fault("InvalidArgument", invalidProperty=where)
        return user

    def user_of_key(self, key):
        for item in self.lab.sessions.active():
            if item.key == key:
                return item.user
        raise Fault("InvalidArgument", invalidProperty="sessionId")

    def do_HasPrivilegeOnEntities(self, owner, _target, arguments):
        entities = self.entities(arguments["entity"], owner, "entity")
        user = self.user_of_key(arguments["sessionId"])
        return session.entity_privileges(self.lab.sessions, user, entities, arguments.get("privId", []))

    def do_HasPrivilegeOnEntity(self, owner, _target, arguments):
        self.entities([arguments["entity"]], owner, "entity")
        user = self.user_of_key(arguments["sessionId"])
        return [self.lab.sessions.allows(user, privilege) for privilege in arguments.get("privId", [])]

    def do_HasUserPrivilegeOnEntities(self, owner, _target, arguments):
        entities = self.entities(arguments["entities"], owner, "entities")
        user = self.user_named(arguments["userName"])
        return session.entity_privileges(self.lab.sessions, user, entities, arguments.get("privId", []))

    def do_FetchUserPrivilegeOnEntities(self, owner, _target, arguments):
        entities = self.entities(arguments["entities"], owner, "entities")
        user = self.user_named(arguments["userName"])
        return [Obj("UserPrivilegeResult", entity=entity, privileges=self.lab.sessions.privileges(user))
                for entity in entities]

    def switchable(self, refs, owner):
        """The machines whose methods are to be switched; the lab switches none of other entities."""
        machines = [self.lab.find(ref, owner) for ref in self.entities(refs, owner, "entity")]
        if any(entity.type != "VirtualMachine" for entity in machines):
            raise Fault("NotSupported", "The lab switches methods of virtual machines only.")
        return machines

    def do_DisableMethods(self, owner, _target, arguments):
        for machine in self.switchable(arguments["entity"], owner):
            for item in arguments["method"]:
                self.known_method(item.fields["method"])
                machine.disabled.setdefault(item.fields["method"], set()).add(arguments["sourceId"])
            machine.touch()

    def do_EnableMethods(self, owner, _target, arguments):
        for machine in self.switchable(arguments["entity"], owner):
            for name in arguments["method"]:
                self.known_method(name)
                machine.disabled.get(name, set()).discard(arguments["sourceId"])
                if not machine.disabled.get(name):
                    machine.disabled.pop(name, None)
            machine.touch()

    @staticmethod
    def known_method(name):
        """Also those that are no part of the lab: they can be switched off all the same."""
        if name not in schema.METHODS and name not in ("RelocateVM_Task", "MigrateVM_Task", "Destroy_Task"):
            raise Fault("InvalidArgument", invalidProperty="method")

    # Looking for things.

    def among(self, arguments):
        """The machines of the datacenter that is asked about, or all."""
        datacenter = arguments.get("datacenter")
        if datacenter is not None and datacenter not in self.lab.inventory.objects:
            raise Fault("ManagedObjectNotFound", obj=datacenter)
        return [machine for machine in self.lab.inventory.machines.values()
                if datacenter is None or machine.datacenter.ref == datacenter]

    def by_uuid(self, arguments):
        uuid = arguments["uuid"].lower()
        if len(uuid) != 36 or any(uuid[place] != "-" for place in UUID_DASHES):
            raise Fault("InvalidArgument", invalidProperty="uuid")
        if not arguments["vmSearch"]:
            return []
        return [machine.ref for machine in self.among(arguments) if machine.accessible and uuid == (
            machine.spec.instance_uuid if arguments.get("instanceUuid")
            else machine.spec.extra.get("bios_uuid", machine.spec.uuid)).lower()]

    def do_FindByUuid(self, _owner, _target, arguments):
        return next(iter(self.by_uuid(arguments)), None)

    def do_FindAllByUuid(self, _owner, _target, arguments):
        return self.by_uuid(arguments)

    def do_FindByInventoryPath(self, _owner, _target, arguments):
        entity = self.lab.inventory.by_path(arguments["inventoryPath"])
        return entity.ref if entity else None

    def do_FindByDatastorePath(self, _owner, _target, arguments):
        if not arguments["path"].startswith("[") or "] " not in arguments["path"]:
            raise Fault("InvalidArgument", invalidProperty="path")
        return next((machine.ref for machine in self.among(arguments)
                     if machine.places().vmPathName == arguments["path"]), None)

    def do_FindByDnsName(self, _owner, _target, arguments):
        return next((machine.ref for machine in self.among(arguments) if arguments["vmSearch"]
                     and machine.get_guest().hostName == arguments["dnsName"]), None)

    def do_FindByIp(self, _owner, _target, arguments):
        return next((machine.ref for machine in self.among(arguments) if arguments["vmSearch"]
                     and any(arguments["ip"] in nic.ipAddress for nic in machine.get_guest().net or [])), None)

    def do_FindChild(self, owner, _target, arguments):
        entity = self.lab.find(arguments["entity"], owner)
        if entity is None:
            raise Fault("ManagedObjectNotFound", obj=arguments["entity"])
        return next((child.ref for child in entity.children if child.name == arguments["name"]), None)

    # Views and properties.

    def do_CreateContainerView(self, owner, _target, arguments):
        container = self.lab.find(arguments["container"], owner)
        if container is None:
            raise Fault("ManagedObjectNotFound", obj=arguments["container"])
        types = arguments.get("type", [])
        for kind in types:
            if kind not in schema.MANAGED or not schema.is_a(kind, "ManagedEntity"):
                raise Fault("InvalidArgument", invalidProperty="type")
        view = View(self.lab, owner, "ContainerView", container, types, arguments["recursive"], None)
        owner.objects[view.ref] = view
        return view.ref

    def do_CreateListView(self, owner, _target, arguments):
        view = View(self.lab, owner, "ListView", None, [], False, arguments.get("obj", []))
        owner.objects[view.ref] = view
        return view.ref

    def do_DestroyView(self, owner, target, _arguments):
        owner.objects.pop(target.ref, None)

    def check_retrieval(self, owner, specs):
        """Properties need a login, but for those of the service itself."""
        if owner.user is not None:
            return
        for spec in specs:
            for item in spec.objectSet:
                if item.obj.type not in PUBLIC or item.selectSet:
                    raise Fault("NotAuthenticated", object=item.obj, privilegeId="System.View")

    def do_RetrievePropertiesEx(self, owner, _target, arguments):
        self.check_retrieval(owner, arguments["specSet"])
        limit = arguments["options"].maxObjects
        if limit is not None and limit <= 0:
            raise Fault("InvalidArgument", invalidProperty="options.maxObjects")
        return properties.retrieve(self.lab, owner, arguments["specSet"], limit)

    def do_RetrieveProperties(self, owner, _target, arguments):
        self.check_retrieval(owner, arguments["specSet"])
        result = properties.retrieve(self.lab, owner, arguments["specSet"], None)
        objects = list(result.objects) if result else []
        while result is not None and result.token:
            result = self.do_ContinueRetrievePropertiesEx(owner, None, {"token": result.token})
            objects += result.objects
        return objects

    def do_ContinueRetrievePropertiesEx(self, owner, _target, arguments):
        _, rest, limit = self.lab.pages.take(arguments["token"], owner)
        return properties.page(self.lab, owner, rest, limit)

    def do_CancelRetrievePropertiesEx(self, owner, _target, arguments):
        self.lab.pages.take(arguments["token"], owner)

    def do_CreatePropertyCollector(self, owner, _target, _arguments):
        made = properties.Collector(self.lab, owner, session.collector_ref(owner))
        owner.objects[made.ref] = made
        return made.ref

    def do_DestroyPropertyCollector(self, _owner, target, _arguments):
        if target.ref in self.singles:
            raise Fault("NotSupported")
        target.destroy()

    def do_CreateFilter(self, _owner, target, arguments):
        return target.create_filter(arguments["spec"], arguments["partialUpdates"])

    def do_DestroyPropertyFilter(self, _owner, target, _arguments):
        target.collector.destroy_filter(target)

    def do_WaitForUpdatesEx(self, owner, target, arguments):
        options = arguments.get("options") or Obj("WaitOptions")
        seconds, limit = options.maxWaitSeconds, options.maxObjectUpdates
        if (seconds is not None and seconds < 0) or (limit is not None and limit <= 0):
            raise Fault("InvalidArgument", invalidProperty="options")
        wait = WAIT_MAX if seconds is None else min(seconds, WAIT_MAX)
        return target.wait(arguments.get("version"), wait, limit, self.local.version)

    def do_WaitForUpdates(self, owner, target, arguments):
        while True:
            answer = target.wait(arguments.get("version"), WAIT_MAX, None, self.local.version)
            if answer is not None:
                return answer

    def do_CheckForUpdates(self, owner, target, arguments):
        return target.wait(arguments.get("version"), 0, None, self.local.version)

    def do_CancelWaitForUpdates(self, _owner, target, _arguments):
        target.cancel()

    def do_CancelTask(self, _owner, target, _arguments):
        if target.done_at is not None:
            raise Fault("InvalidState")
        if not target.cancelable:
            raise Fault("NotSupported")
        target.cancel.set()
