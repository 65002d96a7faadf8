"""The part of the vim25 schema that the lab speaks: managed objects with their properties, and methods.

MANAGED: `Type(Base): property:Type ...` as in schema_types.
METHODS: `Type.Method(argument:Type ...) Result [word ...]`; Result is `-` for nothing. Words: `priv=` the privilege
that the object of the call needs (System.Anonymous: no login), `since=` the first version, `vc` not on ESXi,
`internal` of the namespace urn:internalvim25, `change` refused by a free ESXi licence.
"""

MANAGED = """
ManagedObject:
ServiceInstance(ManagedObject): serverClock:dateTime content:ServiceContent
OptionManager(ManagedObject):
UserDirectory(ManagedObject):
ServiceManager(ManagedObject):
PerformanceManager(ManagedObject):
ScheduledTaskManager(ManagedObject):
AlarmManager(ManagedObject):
EventManager(ManagedObject):
ExtensionManager(ManagedObject):
CustomizationSpecManager(ManagedObject):
CustomFieldsManager(ManagedObject):
HostLocalAccountManager(ManagedObject):
DiagnosticManager(ManagedObject):
FileManager(ManagedObject):
VirtualDiskManager(ManagedObject):
OvfManager(ManagedObject):
NfcService(ManagedObject):
DistributedVirtualSwitch(ManagedEntity): uuid:string
SessionManager(ManagedObject): sessionList:UserSession* currentSession:UserSession? message:string?
    messageLocaleList:string* supportedLocaleList:string* defaultLocale:string
AuthorizationManager(ManagedObject): roleList:AuthorizationRole*
LicenseManager(ManagedObject): licensedEdition:string licenses:LicenseManagerLicenseInfo+
SearchIndex(ManagedObject):
TaskManager(ManagedObject): recentTask:Task* maxCollector:int
ViewManager(ManagedObject): viewList:View*
View(ManagedObject):
ManagedObjectView(View): view:ManagedObject*
ContainerView(ManagedObjectView): container:ManagedEntity type:string* recursive:boolean
ListView(ManagedObjectView):
PropertyCollector(ManagedObject): filter:PropertyFilter*
PropertyFilter(ManagedObject): spec:PropertyFilterSpec partialUpdates:boolean
ExtensibleManagedObject(ManagedObject): value:anyType* availableField:anyType*@4.0
Task(ExtensibleManagedObject): info:TaskInfo
HttpNfcLease(ManagedObject): initializeProgress:int@4.0 transferProgress:int@5.5 mode:string@5.5
    capabilities:HttpNfcLeaseCapabilities@5.5 info:HttpNfcLeaseInfo? state:HttpNfcLeaseState
    error:LocalizedMethodFault?
ManagedEntity(ExtensibleManagedObject): parent:ManagedEntity? customValue:anyType* overallStatus:ManagedEntityStatus
    configStatus:ManagedEntityStatus configIssue:anyType* effectiveRole:int* permission:Permission* name:string
    disabledMethod:string* recentTask:Task* declaredAlarmState:anyType* triggeredAlarmState:anyType*@4.0
    alarmActionsEnabled:boolean?@4.0 tag:anyType*@4.0
Folder(ManagedEntity): childType:string* childEntity:ManagedEntity*
Datacenter(ManagedEntity): vmFolder:Folder hostFolder:Folder datastoreFolder:Folder@4.0 networkFolder:Folder@4.0
    datastore:Datastore* network:Network* configuration:DatacenterConfigInfo@5.1
ComputeResource(ManagedEntity): resourcePool:ResourcePool? host:HostSystem* datastore:Datastore* network:Network*
    summary:ComputeResourceSummary
ClusterComputeResource(ComputeResource):
ResourcePool(ManagedEntity): owner:ComputeResource resourcePool:ResourcePool* vm:VirtualMachine*
VirtualApp(ResourcePool): parentFolder:Folder? parentVApp:ManagedEntity?
HostSystem(ManagedEntity): runtime:HostRuntimeInfo summary:HostListSummary hardware:anyType? capability:anyType?
    config:HostConfigInfo? vm:VirtualMachine* datastore:Datastore* network:Network*
Datastore(ManagedEntity): info:DatastoreInfo summary:DatastoreSummary host:DatastoreHostMount* vm:VirtualMachine*
    capability:DatastoreCapability
Network(ManagedEntity): summary:NetworkSummary host:HostSystem* vm:VirtualMachine*
DistributedVirtualPortgroup(Network): key:string config:DVPortgroupConfigInfo
OpaqueNetwork(Network):
VirtualMachine(ManagedEntity): capability:VirtualMachineCapability config:VirtualMachineConfigInfo?
    layout:anyType? layoutEx:VirtualMachineFileLayoutEx?@4.0 storage:VirtualMachineStorageInfo?@4.0
    resourcePool:ResourcePool? parentVApp:ManagedEntity?@4.0 resourceConfig:anyType? runtime:VirtualMachineRuntimeInfo
    guest:GuestInfo? summary:VirtualMachineSummary datastore:Datastore*
    network:Network* snapshot:VirtualMachineSnapshotInfo? rootSnapshot:VirtualMachineSnapshot*@4.1
    guestHeartbeatStatus:ManagedEntityStatus
VirtualMachineSnapshot(ExtensibleManagedObject): config:VirtualMachineConfigInfo
    childSnapshot:VirtualMachineSnapshot*@4.1 vm:VirtualMachine@6.0
"""

METHODS = """
ServiceInstance.RetrieveServiceContent() ServiceContent priv=System.Anonymous
ServiceInstance.CurrentTime() dateTime priv=System.View
ServiceInstance.RetrieveInternalContent() InternalServiceInstanceContent priv=System.Anonymous internal
SessionManager.Login(userName:string password:string locale:string?) UserSession priv=System.Anonymous
SessionManager.Logout() - priv=System.View
SessionManager.SessionIsActive(sessionID:string userName:string) boolean priv=Sessions.ValidateSession vc
SessionManager.TerminateSession(sessionId:string+) - priv=Sessions.TerminateSession
SessionManager.AcquireCloneTicket() string priv=System.View
SessionManager.CloneSession(cloneTicket:string) UserSession priv=System.Anonymous
SessionManager.AcquireGenericServiceTicket(spec:SessionManagerServiceRequestSpec) SessionManagerGenericServiceTicket
    priv=System.Anonymous since=5.0
AuthorizationManager.HasPrivilegeOnEntities(entity:ManagedEntity+ sessionId:string privId:string*) EntityPrivilege*
    priv=System.View since=5.5
AuthorizationManager.HasPrivilegeOnEntity(entity:ManagedEntity sessionId:string privId:string*) boolean*
    priv=System.View since=5.0
AuthorizationManager.HasUserPrivilegeOnEntities(entities:ManagedObject+ userName:string privId:string*)
    EntityPrivilege* since=6.5 vc
AuthorizationManager.FetchUserPrivilegeOnEntities(entities:ManagedEntity+ userName:string) UserPrivilegeResult*
    since=6.5 vc
AuthorizationManager.DisableMethods(entity:ManagedEntity+ method:DisabledMethodRequest+ sourceId:string
    sessionScope:boolean?) - priv=Global.DisableMethods internal vc
AuthorizationManager.EnableMethods(entity:ManagedEntity+ method:string+ sourceId:string) - priv=Global.EnableMethods
    internal vc
SearchIndex.FindByUuid(datacenter:Datacenter? uuid:string vmSearch:boolean instanceUuid:boolean?@4.0) ManagedEntity?
    priv=System.View
SearchIndex.FindAllByUuid(datacenter:Datacenter? uuid:string vmSearch:boolean instanceUuid:boolean?) ManagedEntity*
    priv=System.View since=4.0
SearchIndex.FindByInventoryPath(inventoryPath:string) ManagedEntity? priv=System.View
SearchIndex.FindByDatastorePath(datacenter:Datacenter path:string) VirtualMachine? priv=System.View
SearchIndex.FindByDnsName(datacenter:Datacenter? dnsName:string vmSearch:boolean) ManagedEntity? priv=System.View
SearchIndex.FindByIp(datacenter:Datacenter? ip:string vmSearch:boolean) ManagedEntity? priv=System.View
SearchIndex.FindChild(entity:ManagedEntity name:string) ManagedEntity? priv=System.View
ViewManager.CreateContainerView(container:ManagedEntity type:string* recursive:boolean) ContainerView priv=System.View
ViewManager.CreateListView(obj:ManagedObject*) ListView priv=System.View
View.DestroyView() - priv=System.View
PropertyCollector.RetrievePropertiesEx(specSet:PropertyFilterSpec+ options:RetrieveOptions) RetrieveResult?
    priv=System.Anonymous since=4.1
PropertyCollector.RetrieveProperties(specSet:PropertyFilterSpec+) ObjectContent* priv=System.Anonymous
PropertyCollector.ContinueRetrievePropertiesEx(token:string) RetrieveResult priv=System.Anonymous since=4.1
PropertyCollector.CancelRetrievePropertiesEx(token:string) - priv=System.Anonymous since=4.1
PropertyCollector.CreateFilter(spec:PropertyFilterSpec partialUpdates:boolean) PropertyFilter priv=System.View
PropertyCollector.CreatePropertyCollector() PropertyCollector priv=System.View since=4.1
PropertyCollector.DestroyPropertyCollector() - since=4.1
PropertyCollector.WaitForUpdatesEx(version:string? options:WaitOptions?) UpdateSet? priv=System.View since=4.1
PropertyCollector.WaitForUpdates(version:string?) UpdateSet priv=System.View
PropertyCollector.CheckForUpdates(version:string?) UpdateSet? priv=System.View
PropertyCollector.CancelWaitForUpdates() - priv=System.View
PropertyFilter.DestroyPropertyFilter() -
Task.CancelTask() -
HttpNfcLease.HttpNfcLeaseProgress(percent:int) - since=4.0
HttpNfcLease.HttpNfcLeaseComplete() - since=4.0
HttpNfcLease.HttpNfcLeaseAbort(fault:LocalizedMethodFault?) - since=4.0
HttpNfcLease.HttpNfcLeaseGetManifest() HttpNfcLeaseManifestEntry* since=4.1
HttpNfcLease.HttpNfcLeaseSetManifestChecksumType(deviceUrlsToChecksumTypes:KeyValue*) - since=6.7
VirtualMachine.RefreshStorageInfo() - priv=System.Read since=4.0
VirtualMachine.ReconfigVM_Task(spec:VirtualMachineConfigSpec) Task change
VirtualMachine.CreateSnapshot_Task(name:string description:string? memory:boolean quiesce:boolean) Task
    priv=VirtualMachine.State.CreateSnapshot change
VirtualMachine.CreateSnapshotEx_Task(name:string description:string? memory:boolean
    quiesceSpec:VirtualMachineGuestQuiesceSpec?) Task priv=VirtualMachine.State.CreateSnapshot since=6.5 change
VirtualMachine.RemoveAllSnapshots_Task(consolidate:boolean?@5.0 spec:SnapshotSelectionSpec?@8.0.3.0) Task
    priv=VirtualMachine.State.RemoveSnapshot change
VirtualMachine.RevertToCurrentSnapshot_Task(host:HostSystem? suppressPowerOn:boolean?) Task
    priv=VirtualMachine.State.RevertToSnapshot change
VirtualMachine.ConsolidateVMDisks_Task() Task priv=VirtualMachine.State.RemoveSnapshot since=5.0 change
VirtualMachine.QueryChangedDiskAreas(snapshot:VirtualMachineSnapshot? deviceKey:int startOffset:long changeId:string)
    DiskChangeInfo priv=VirtualMachine.Provisioning.DiskRandomRead since=4.0
VirtualMachine.PowerOnVM_Task(host:HostSystem?) Task priv=VirtualMachine.Interact.PowerOn change
VirtualMachine.PowerOffVM_Task() Task priv=VirtualMachine.Interact.PowerOff change
VirtualMachine.SuspendVM_Task() Task priv=VirtualMachine.Interact.Suspend change
VirtualMachine.ShutdownGuest() - priv=VirtualMachine.Interact.PowerOff change
VirtualMachine.AnswerVM(questionId:string answerChoice:string) - priv=VirtualMachine.Interact.AnswerQuestion
VirtualMachine.ExportVm() HttpNfcLease priv=VApp.Export since=4.0
VirtualMachine.MarkAsTemplate() - priv=VirtualMachine.Provisioning.MarkAsTemplate vc
VirtualMachine.MarkAsVirtualMachine(pool:ResourcePool host:HostSystem?) - priv=VirtualMachine.Provisioning.MarkAsVM vc
VirtualMachineSnapshot.RemoveSnapshot_Task(removeChildren:boolean consolidate:boolean?@5.0) Task
    priv=VirtualMachine.State.RemoveSnapshot change
VirtualMachineSnapshot.RevertToSnapshot_Task(host:HostSystem? suppressPowerOn:boolean?@4.0) Task
    priv=VirtualMachine.State.RevertToSnapshot change
VirtualMachineSnapshot.ExportSnapshot() HttpNfcLease priv=VApp.Export since=5.5
"""
