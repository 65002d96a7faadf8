"""The part of the vim25 schema that the lab speaks: data objects, enumerations and faults.

A line is `Type(Base): field:Type ...`; a field ends in `?` where it may be absent, in `*` or `+` where it is an array
(`+`: at least one), and says `@version` where older clients do not see it. An indented line goes on with the one
before. Fields stand in the order of the product's XML sequence, the ones of the base first; order is law in both
directions. What an object of the lab never holds may be left out here only in types that no client sends.

Source: the vSphere API reference (fields, order, versions), as reference B tells it.
"""

DATA = """
Description: label:string summary:string
ElementDescription(Description): key:string
KeyValue: key:string value:string
KeyAnyValue: key:string value:anyType
LocalizableMessage: key:string arg:KeyAnyValue* message:string?
LocalizedMethodFault: fault:MethodFault localizedMessage:string?
DynamicProperty: name:string val:anyType
OptionValue: key:string value:anyType?
OptionType: valueIsReadonly:boolean?
ChoiceOption(OptionType): choiceInfo:ElementDescription+ defaultIndex:int?
SharesInfo: shares:int level:SharesLevel
ResourceAllocationInfo: reservation:long? expandableReservation:boolean? limit:long? shares:SharesInfo?
    overheadLimit:long?
Permission: entity:ManagedEntity? principal:string group:boolean roleId:int propagate:boolean
AuthorizationRole: roleId:int system:boolean name:string info:Description privilege:string*
PrivilegeAvailability: privId:string isGranted:boolean
EntityPrivilege: entity:ManagedEntity privAvailability:PrivilegeAvailability*
UserPrivilegeResult: entity:ManagedEntity privileges:string*

AboutInfo: name:string fullName:string vendor:string version:string build:string localeVersion:string?
    localeBuild:string? osType:string productLineId:string apiType:string apiVersion:string instanceUuid:string?@4.0
    licenseProductName:string?@4.0 licenseProductVersion:string?@4.0
ServiceContent: rootFolder:Folder propertyCollector:PropertyCollector viewManager:ViewManager? about:AboutInfo
    setting:OptionManager? userDirectory:UserDirectory? sessionManager:SessionManager?
    authorizationManager:AuthorizationManager? serviceManager:ServiceManager? perfManager:PerformanceManager?
    scheduledTaskManager:ScheduledTaskManager? alarmManager:AlarmManager? eventManager:EventManager?
    taskManager:TaskManager? extensionManager:ExtensionManager? customizationSpecManager:CustomizationSpecManager?
    customFieldsManager:CustomFieldsManager? accountManager:HostLocalAccountManager?
    diagnosticManager:DiagnosticManager? licenseManager:LicenseManager? searchIndex:SearchIndex?
    fileManager:FileManager? virtualDiskManager:VirtualDiskManager? ovfManager:OvfManager?@4.0
InternalServiceInstanceContent: nfcService:NfcService?
UserSession: key:string userName:string fullName:string loginTime:dateTime lastActiveTime:dateTime locale:string
    messageLocale:string extensionSession:boolean@5.0 ipAddress:string@5.1 userAgent:string@5.1 callCount:long@5.1
SessionManagerServiceRequestSpec:
SessionManagerHttpServiceRequestSpec(SessionManagerServiceRequestSpec): method:string? url:string
SessionManagerGenericServiceTicket: id:string hostName:string? sslThumbprint:string?
LicenseManagerLicenseInfo: licenseKey:string editionKey:string name:string total:int used:int? costUnit:string
    properties:KeyAnyValue* labels:KeyValue*
DisabledMethodRequest: method:string reasonId:string

PropertySpec: type:string all:boolean? pathSet:string*
SelectionSpec: name:string?
TraversalSpec(SelectionSpec): type:string path:string skip:boolean? selectSet:SelectionSpec*
ObjectSpec: obj:ManagedObject skip:boolean? selectSet:SelectionSpec*
PropertyFilterSpec: propSet:PropertySpec+ objectSet:ObjectSpec+ reportMissingObjectsInResults:boolean?@4.1
RetrieveOptions: maxObjects:int?
WaitOptions: maxWaitSeconds:int? maxObjectUpdates:int?
MissingProperty: path:string fault:LocalizedMethodFault
MissingObject: obj:ManagedObject fault:LocalizedMethodFault
ObjectContent: obj:ManagedObject propSet:DynamicProperty* missingSet:MissingProperty*
RetrieveResult: token:string? objects:ObjectContent+
PropertyChange: name:string op:PropertyChangeOp val:anyType?
ObjectUpdate: kind:ObjectUpdateKind obj:ManagedObject changeSet:PropertyChange* missingSet:MissingProperty*
PropertyFilterUpdate: filter:PropertyFilter objectSet:ObjectUpdate* missingSet:MissingObject*
UpdateSet: version:string filterSet:PropertyFilterUpdate* truncated:boolean?@4.1

TaskReason:
TaskReasonUser(TaskReason): userName:string
TaskInfo: key:string task:Task description:LocalizableMessage?@4.0 name:string? descriptionId:string
    entity:ManagedEntity? entityName:string? locked:ManagedEntity* state:TaskInfoState cancelled:boolean
    cancelable:boolean error:LocalizedMethodFault? result:anyType? progress:int? reason:TaskReason queueTime:dateTime
    startTime:dateTime? completeTime:dateTime? eventChainId:int changeTag:string? parentTaskKey:string?
    rootTaskKey:string? activationId:string?@6.0

DatacenterConfigInfo: defaultHardwareVersionKey:string?
ComputeResourceSummary: totalCpu:int totalMemory:long numCpuCores:short numCpuThreads:short effectiveCpu:int
    effectiveMemory:long numHosts:int numEffectiveHosts:int overallStatus:ManagedEntityStatus
HostRuntimeInfo: connectionState:HostSystemConnectionState powerState:HostSystemPowerState standbyMode:string?@4.1
    inMaintenanceMode:boolean inQuarantineMode:boolean?@6.5 bootTime:dateTime?
HostHardwareSummary: vendor:string model:string uuid:string memorySize:long cpuModel:string cpuMhz:int
    numCpuPkgs:short numCpuCores:short numCpuThreads:short numNics:int numHBAs:int
HostConfigSummary: name:string port:int sslThumbprint:string?@4.0 product:AboutInfo? vmotionEnabled:boolean
    faultToleranceEnabled:boolean?@4.0
HostListSummaryQuickStats: overallCpuUsage:int? overallMemoryUsage:int? uptime:int?
HostListSummary: host:HostSystem? hardware:HostHardwareSummary? runtime:HostRuntimeInfo? config:HostConfigSummary
    quickStats:HostListSummaryQuickStats overallStatus:ManagedEntityStatus rebootRequired:boolean
    managementServerIp:string?@4.0
HostConfigInfo: host:HostSystem product:AboutInfo adminDisabled:boolean? lockdownMode:HostLockdownMode?@6.0
    certificate:byte*@5.0
DatastoreSummary: datastore:Datastore? name:string url:string capacity:long freeSpace:long uncommitted:long?@4.0
    accessible:boolean multipleHostAccess:boolean? type:string maintenanceMode:string?@5.0
DatastoreCapability: directoryHierarchySupported:boolean rawDiskMappingsSupported:boolean
    perFileThinProvisioningSupported:boolean storageIORMSupported:boolean@4.1 nativeSnapshotSupported:boolean@5.1
DatastoreInfo: name:string url:string freeSpace:long maxFileSize:long maxVirtualDiskCapacity:long?@5.5
    maxMemoryFileSize:long@6.0 timestamp:dateTime?@4.0 containerId:string?@5.5
VmfsDatastoreInfo(DatastoreInfo): maxPhysicalRDMFileSize:long@6.0 maxVirtualRDMFileSize:long@6.0 vmfs:HostVmfsVolume?
NasDatastoreInfo(DatastoreInfo): nas:HostNasVolume?
VsanDatastoreInfo(DatastoreInfo): membershipUuid:string?
VvolDatastoreInfo(DatastoreInfo): vvolDS:anyType?
HostFileSystemVolume: type:string name:string capacity:long
HostVmfsVolume(HostFileSystemVolume): blockSizeMb:int blockSize:int?@6.5 maxBlocks:int majorVersion:int version:string
    uuid:string extent:HostScsiDiskPartition+ vmfsUpgradable:boolean ssd:boolean?@5.1 local:boolean?@5.5
HostNasVolume(HostFileSystemVolume): remoteHost:string remotePath:string userName:string?
HostScsiDiskPartition: diskName:string partition:int
HostMountInfo: path:string? accessMode:string mounted:boolean?@5.0 accessible:boolean?@5.0
DatastoreHostMount: key:HostSystem mountInfo:HostMountInfo
NetworkSummary: network:Network? name:string accessible:boolean ipPoolName:string@4.0
OpaqueNetworkSummary(NetworkSummary): opaqueNetworkId:string opaqueNetworkType:string
DVPortgroupConfigInfo: key:string name:string numPorts:int distributedVirtualSwitch:DistributedVirtualSwitch?
    description:string? type:string
DistributedVirtualSwitchPortConnection: switchUuid:string portgroupKey:string? portKey:string? connectionCookie:int?

VirtualDeviceBackingInfo:
VirtualDeviceBusSlotInfo:
VirtualDevicePciBusSlotInfo(VirtualDeviceBusSlotInfo): pciSlotNumber:int
VirtualDeviceConnectInfo: migrateConnect:string?@6.7 startConnected:boolean allowGuestControl:boolean
    connected:boolean status:string?@4.0
VirtualDevice: key:int deviceInfo:Description? backing:VirtualDeviceBackingInfo? connectable:VirtualDeviceConnectInfo?
    slotInfo:VirtualDeviceBusSlotInfo?@5.1 controllerKey:int? unitNumber:int?
VirtualDeviceFileBackingInfo(VirtualDeviceBackingInfo): fileName:string datastore:Datastore?
    backingObjectId:string?@5.5
VirtualDeviceDeviceBackingInfo(VirtualDeviceBackingInfo): deviceName:string useAutoDetect:boolean?
VirtualDeviceRemoteDeviceBackingInfo(VirtualDeviceBackingInfo): deviceName:string useAutoDetect:boolean?
VirtualDeviceURIBackingInfo(VirtualDeviceBackingInfo): serviceURI:string direction:string proxyURI:string?
VirtualDevicePipeBackingInfo(VirtualDeviceBackingInfo): pipeName:string
VirtualController(VirtualDevice): busNumber:int device:int*
VirtualIDEController(VirtualController):
VirtualPS2Controller(VirtualController):
VirtualPCIController(VirtualController):
VirtualSIOController(VirtualController):
VirtualSATAController(VirtualController):
VirtualAHCIController(VirtualSATAController):
VirtualNVMEController(VirtualController): sharedBus:string?@8.0.2.0
VirtualSCSIController(VirtualController): hotAddRemove:boolean? sharedBus:VirtualSCSISharing scsiCtlrUnitNumber:int?
VirtualBusLogicController(VirtualSCSIController):
VirtualLsiLogicController(VirtualSCSIController):
VirtualLsiLogicSASController(VirtualSCSIController):
ParaVirtualSCSIController(VirtualSCSIController):
VirtualUSBController(VirtualController): autoConnectDevices:boolean? ehciEnabled:boolean?
VirtualUSBXHCIController(VirtualController): autoConnectDevices:boolean?
VirtualKeyboard(VirtualDevice):
VirtualPointingDevice(VirtualDevice):
VirtualPointingDeviceDeviceBackingInfo(VirtualDeviceDeviceBackingInfo): hostPointingDevice:string
VirtualMachineVideoCard(VirtualDevice): videoRamSizeInKB:long? numDisplays:int? useAutoDetect:boolean?
    enable3DSupport:boolean? use3dRenderer:string?@5.1 graphicsMemorySizeInKB:long?@6.0
VirtualMachineVMCIDevice(VirtualDevice): id:long? allowUnrestrictedCommunication:boolean? filterEnable:boolean?@6.0
VirtualDisk(VirtualDevice): capacityInKB:long capacityInBytes:long?@5.5 shares:SharesInfo? diskObjectId:string?@5.5
    iofilter:string*@6.0 vDiskId:ID?@6.5 virtualDiskFormat:string?@8.0.0.1 nativeUnmanagedLinkedClone:boolean?@6.7
VirtualDiskFlatVer1BackingInfo(VirtualDeviceFileBackingInfo): diskMode:string split:boolean? writeThrough:boolean?
    contentId:string? parent:VirtualDiskFlatVer1BackingInfo?
VirtualDiskFlatVer2BackingInfo(VirtualDeviceFileBackingInfo): diskMode:string split:boolean? writeThrough:boolean?
    thinProvisioned:boolean? eagerlyScrub:boolean?@4.0 uuid:string? contentId:string? changeId:string?@4.0
    parent:VirtualDiskFlatVer2BackingInfo? deltaDiskFormat:string?@5.0 digestEnabled:boolean?@5.0
    deltaGrainSize:int?@5.1 deltaDiskFormatVariant:string?@6.0 sharing:string?@6.0 keyId:CryptoKeyId?@6.5
VirtualDiskSeSparseBackingInfo(VirtualDeviceFileBackingInfo): diskMode:string writeThrough:boolean? uuid:string?
    contentId:string? changeId:string? parent:VirtualDiskSeSparseBackingInfo? deltaDiskFormat:string?
    digestEnabled:boolean? grainSize:int? keyId:CryptoKeyId?@6.5
VirtualDiskSparseVer2BackingInfo(VirtualDeviceFileBackingInfo): diskMode:string split:boolean? writeThrough:boolean?
    spaceUsedInKB:long? uuid:string? contentId:string? changeId:string?@4.0 parent:VirtualDiskSparseVer2BackingInfo?
    keyId:CryptoKeyId?@6.5
VirtualDiskRawDiskMappingVer1BackingInfo(VirtualDeviceFileBackingInfo): lunUuid:string? deviceName:string?
    compatibilityMode:string? diskMode:string? uuid:string? contentId:string? changeId:string?@4.0
    parent:VirtualDiskRawDiskMappingVer1BackingInfo? deltaDiskFormat:string?@6.7 deltaGrainSize:int?@6.7
    sharing:string?@6.0
VirtualDiskRawDiskVer2BackingInfo(VirtualDeviceDeviceBackingInfo): descriptorFileName:string uuid:string?
    changeId:string?@4.0 sharing:string?@6.0
VirtualDiskLocalPMemBackingInfo(VirtualDeviceFileBackingInfo): diskMode:string uuid:string? volumeUUID:string?
    contentId:string?
VirtualCdrom(VirtualDevice):
VirtualCdromIsoBackingInfo(VirtualDeviceFileBackingInfo):
VirtualCdromAtapiBackingInfo(VirtualDeviceDeviceBackingInfo): description:string?
VirtualCdromRemotePassthroughBackingInfo(VirtualDeviceRemoteDeviceBackingInfo): exclusive:boolean
VirtualCdromRemoteAtapiBackingInfo(VirtualDeviceRemoteDeviceBackingInfo):
VirtualFloppy(VirtualDevice):
VirtualFloppyImageBackingInfo(VirtualDeviceFileBackingInfo):
VirtualFloppyRemoteDeviceBackingInfo(VirtualDeviceRemoteDeviceBackingInfo):
VirtualSerialPort(VirtualDevice): yieldOnPoll:boolean
VirtualSerialPortFileBackingInfo(VirtualDeviceFileBackingInfo):
VirtualSerialPortURIBackingInfo(VirtualDeviceURIBackingInfo):
VirtualParallelPort(VirtualDevice):
VirtualParallelPortFileBackingInfo(VirtualDeviceFileBackingInfo):
VirtualUSB(VirtualDevice): connected:boolean vendor:int? product:int? family:string*@4.1 speed:string*@4.1
VirtualUSBUSBBackingInfo(VirtualDeviceDeviceBackingInfo):
VirtualTPM(VirtualDevice): endorsementKeyCertificateSigningRequest:base64Binary*
    endorsementKeyCertificate:base64Binary*
VirtualWDT(VirtualDevice): runOnBoot:boolean running:boolean
VirtualPrecisionClock(VirtualDevice):
VirtualNVDIMM(VirtualDevice): capacityInMB:long
VirtualNVDIMMController(VirtualController):
VirtualNVDIMMBackingInfo(VirtualDeviceFileBackingInfo): parent:VirtualNVDIMMBackingInfo? changeId:string?
VirtualPCIPassthrough(VirtualDevice):
VirtualPCIPassthroughDeviceBackingInfo(VirtualDeviceDeviceBackingInfo): id:string deviceId:string systemId:string
    vendorId:short
VirtualPCIPassthroughPluginBackingInfo(VirtualDeviceBackingInfo):
VirtualPCIPassthroughVmiopBackingInfo(VirtualPCIPassthroughPluginBackingInfo): vgpu:string?
VirtualEthernetCard(VirtualDevice): addressType:string? macAddress:string? wakeOnLanEnabled:boolean?
    externalId:string?@6.0 uptCompatibilityEnabled:boolean?@6.0
VirtualE1000(VirtualEthernetCard):
VirtualE1000e(VirtualEthernetCard):
VirtualPCNet32(VirtualEthernetCard):
VirtualVmxnet(VirtualEthernetCard):
VirtualVmxnet2(VirtualVmxnet):
VirtualVmxnet3(VirtualVmxnet):
VirtualVmxnet3Vrdma(VirtualVmxnet3): deviceProtocol:string?@6.7
VirtualSriovEthernetCard(VirtualEthernetCard): allowGuestOSMtuChange:boolean?
VirtualEthernetCardNetworkBackingInfo(VirtualDeviceDeviceBackingInfo): network:Network? inPassthroughMode:boolean?@4.0
VirtualEthernetCardDistributedVirtualPortBackingInfo(VirtualDeviceBackingInfo):
    port:DistributedVirtualSwitchPortConnection
VirtualEthernetCardOpaqueNetworkBackingInfo(VirtualDeviceBackingInfo): opaqueNetworkId:string opaqueNetworkType:string
VirtualDeviceConfigSpec: operation:VirtualDeviceConfigSpecOperation?
    fileOperation:VirtualDeviceConfigSpecFileOperation? device:VirtualDevice profile:VirtualMachineProfileSpec*@6.0
    backing:VirtualDeviceConfigSpecBackingSpec?@6.5
VirtualMachineProfileSpec:
VirtualDeviceConfigSpecBackingSpec: parent:VirtualDeviceConfigSpecBackingSpec? crypto:CryptoSpec?
CryptoSpec:

CryptoKeyId: keyId:string providerId:KeyProviderId?
KeyProviderId: id:string
ID: id:string
ManagedByInfo: extensionKey:string type:string
FaultToleranceConfigInfo: role:int instanceUuids:string+ configPaths:string+ orphaned:boolean?@6.0
FaultTolerancePrimaryConfigInfo(FaultToleranceConfigInfo): secondaries:VirtualMachine+
ReplicationInfoDiskSettings: key:int diskReplicationId:string
ReplicationConfigSpec: generation:long vmReplicationId:string destination:string port:int rpo:long
    quiesceGuestEnabled:boolean paused:boolean oppUpdatesEnabled:boolean netCompressionEnabled:boolean?@6.0
    netEncryptionEnabled:boolean?@6.7 disk:ReplicationInfoDiskSettings*
VAppProductInfo: key:int name:string?
VAppIPAssignmentInfo: supportedAllocationScheme:string* ipAllocationPolicy:string?
VAppPropertyInfo: key:int classId:string? instanceId:string? id:string? category:string? label:string? type:string?
    typeReference:string?@5.1 userConfigurable:boolean? defaultValue:string? value:string? description:string?
VmConfigInfo: product:VAppProductInfo* property:VAppPropertyInfo* ipAssignment:VAppIPAssignmentInfo eula:string*
    ovfEnvironmentTransport:string* installBootRequired:boolean installBootStopDelay:int
LatencySensitivity: level:LatencySensitivitySensitivityLevel sensitivity:int?@5.5
VirtualMachineAffinityInfo: affinitySet:int*
VirtualMachineSgxInfo: epcSize:long flcMode:string? lePubKeyHash:string? requireAttestation:boolean?@7.0.2.0
VirtualHardware: numCPU:int numCoresPerSocket:int?@5.0 memoryMB:int virtualICH7MPresent:boolean?@5.0
    virtualSMCPresent:boolean?@5.0 device:VirtualDevice*
VirtualMachineFileInfo: vmPathName:string? snapshotDirectory:string? suspendDirectory:string? logDirectory:string?
    ftMetadataDirectory:string?@6.0
VirtualMachineFlagInfo: disableAcceleration:boolean? enableLogging:boolean? useToe:boolean? runWithDebugInfo:boolean?
    monitorType:string?@4.0 htSharing:string? snapshotDisabled:boolean? snapshotLocked:boolean?
    diskUuidEnabled:boolean? virtualMmuUsage:string?@4.0 virtualExecUsage:string?@4.0
    snapshotPowerOffBehavior:string?@4.0 recordReplayEnabled:boolean?@4.0 faultToleranceType:string?@6.0
    cbrcCacheEnabled:boolean?@6.0 vvtdEnabled:boolean?@6.7 vbsEnabled:boolean?@6.7
VirtualMachineDefaultPowerOpInfo: powerOffType:string? suspendType:string? resetType:string?
    defaultPowerOffType:string? defaultSuspendType:string? defaultResetType:string? standbyAction:string?
ToolsConfigInfo: toolsVersion:int? toolsInstallType:string?@6.5 afterPowerOn:boolean? afterResume:boolean?
    beforeGuestStandby:boolean? beforeGuestShutdown:boolean? beforeGuestReboot:boolean? toolsUpgradePolicy:string?
    pendingCustomization:string? customizationKeyId:CryptoKeyId?@6.5 syncTimeWithHost:boolean?
VirtualMachineBootOptionsBootableDevice:
VirtualMachineBootOptionsBootableCdromDevice(VirtualMachineBootOptionsBootableDevice):
VirtualMachineBootOptionsBootableDiskDevice(VirtualMachineBootOptionsBootableDevice): deviceKey:int
VirtualMachineBootOptionsBootableEthernetDevice(VirtualMachineBootOptionsBootableDevice): deviceKey:int
VirtualMachineBootOptions: bootDelay:long? enterBIOSSetup:boolean? efiSecureBootEnabled:boolean?@6.5
    bootRetryEnabled:boolean?@4.1 bootRetryDelay:long?@4.1 bootOrder:VirtualMachineBootOptionsBootableDevice*@5.0
    networkBootProtocol:string?@6.0
VirtualMachineConfigInfoDatastoreUrlPair: name:string url:string
VirtualMachineForkConfigInfo: parentEnabled:boolean? childForkGroupId:string?@6.5 parentForkGroupId:string?@6.5
    childType:string?
VirtualMachineConfigInfo: changeVersion:string modified:dateTime name:string guestFullName:string version:string
    uuid:string createDate:dateTime?@6.7 instanceUuid:string?@4.0 template:boolean guestId:string
    alternateGuestName:string annotation:string? files:VirtualMachineFileInfo tools:ToolsConfigInfo?
    flags:VirtualMachineFlagInfo defaultPowerOps:VirtualMachineDefaultPowerOpInfo hardware:VirtualHardware
    cpuAllocation:ResourceAllocationInfo? memoryAllocation:ResourceAllocationInfo?
    latencySensitivity:LatencySensitivity?@5.1 memoryHotAddEnabled:boolean?@4.0 cpuHotAddEnabled:boolean?@4.0
    cpuHotRemoveEnabled:boolean?@4.0 cpuAffinity:VirtualMachineAffinityInfo?
    memoryAffinity:VirtualMachineAffinityInfo? extraConfig:OptionValue*
    datastoreUrl:VirtualMachineConfigInfoDatastoreUrlPair* swapPlacement:string?
    bootOptions:VirtualMachineBootOptions? ftInfo:FaultToleranceConfigInfo?@4.0 repConfig:ReplicationConfigSpec?@6.0
    vAppConfig:VmConfigInfo?@4.0 vAssertsEnabled:boolean?@4.0 changeTrackingEnabled:boolean?@4.0 firmware:string?@5.0
    maxMksConnections:int?@5.0 guestAutoLockEnabled:boolean?@5.0 managedBy:ManagedByInfo?@5.0
    memoryReservationLockedToMax:boolean?@5.0 nestedHVEnabled:boolean?@5.1 vPMCEnabled:boolean?@5.1
    forkConfigInfo:VirtualMachineForkConfigInfo?@6.0 vmStorageObjectId:string?@5.5 swapStorageObjectId:string?@5.5
    keyId:CryptoKeyId?@6.5 migrateEncryption:string?@6.5 sgxInfo:VirtualMachineSgxInfo?@7.0
    sevEnabled:boolean?@7.0.1.0
VirtualMachineConfigSpec: changeVersion:string? name:string? version:string? createDate:dateTime?@6.7 uuid:string?
    instanceUuid:string?@4.0 npivNodeWorldWideName:long* npivPortWorldWideName:long* npivWorldWideNameType:string?
    npivDesiredNodeWwns:short?@4.0 npivDesiredPortWwns:short?@4.0 npivTemporaryDisabled:boolean?@4.0
    npivOnNonRdmDisks:boolean?@4.0 npivWorldWideNameOp:string? locationId:string? guestId:string?
    alternateGuestName:string? annotation:string? files:VirtualMachineFileInfo? tools:ToolsConfigInfo?
    flags:VirtualMachineFlagInfo? consolePreferences:anyType? powerOpInfo:VirtualMachineDefaultPowerOpInfo?
    rebootPowerOff:boolean?@8.0.0.1 numCPUs:int? numCoresPerSocket:int?@5.0 memoryMB:long?
    memoryHotAddEnabled:boolean?@4.0 cpuHotAddEnabled:boolean?@4.0 cpuHotRemoveEnabled:boolean?@4.0
    virtualICH7MPresent:boolean?@5.0 virtualSMCPresent:boolean?@5.0 deviceChange:VirtualDeviceConfigSpec*
    cpuAllocation:ResourceAllocationInfo? memoryAllocation:ResourceAllocationInfo?
    latencySensitivity:LatencySensitivity?@5.1 cpuAffinity:VirtualMachineAffinityInfo?
    memoryAffinity:VirtualMachineAffinityInfo? networkShaper:anyType? cpuFeatureMask:anyType* extraConfig:OptionValue*
    swapPlacement:string? bootOptions:VirtualMachineBootOptions? vAppConfig:anyType?@4.0
    ftInfo:FaultToleranceConfigInfo?@4.0 repConfig:ReplicationConfigSpec?@6.0 vAppConfigRemoved:boolean?@4.0
    vAssertsEnabled:boolean?@4.0 changeTrackingEnabled:boolean?@4.0 firmware:string?@5.0 maxMksConnections:int?@5.0
    guestAutoLockEnabled:boolean?@5.0 managedBy:ManagedByInfo?@5.0 memoryReservationLockedToMax:boolean?@5.0
    nestedHVEnabled:boolean?@5.1 vPMCEnabled:boolean?@5.1 scheduledHardwareUpgradeInfo:anyType?@5.1
    vmProfile:VirtualMachineProfileSpec*@5.5 messageBusTunnelEnabled:boolean?@6.0 crypto:CryptoSpec?@6.5
    migrateEncryption:string?@6.5 sgxInfo:VirtualMachineSgxInfo?@7.0 ftEncryptionMode:string?@7.0.2.0
    guestMonitoringModeInfo:anyType?@7.0 sevEnabled:boolean?@7.0.1.0
VirtualMachineCapability: snapshotOperationsSupported:boolean multipleSnapshotsSupported:boolean
    snapshotConfigSupported:boolean poweredOffSnapshotsSupported:boolean memorySnapshotsSupported:boolean
    revertToSnapshotSupported:boolean quiescedSnapshotsSupported:boolean disableSnapshotsSupported:boolean
    lockSnapshotsSupported:boolean consolePreferencesSupported:boolean cpuFeatureMaskSupported:boolean
    s1AcpiManagementSupported:boolean settingScreenResolutionSupported:boolean toolsAutoUpdateSupported:boolean
    vmNpivWwnSupported:boolean npivWwnOnNonRdmVmSupported:boolean vmNpivWwnDisableSupported:boolean
    vmNpivWwnUpdateSupported:boolean swapPlacementSupported:boolean toolsSyncTimeSupported:boolean
    virtualMmuUsageSupported:boolean diskSharesSupported:boolean bootOptionsSupported:boolean
    bootRetryOptionsSupported:boolean settingVideoRamSizeSupported:boolean settingDisplayTopologySupported:boolean
    recordReplaySupported:boolean changeTrackingSupported:boolean multipleCoresPerSocketSupported:boolean
    hostBasedReplicationSupported:boolean guestAutoLockSupported:boolean memoryReservationLockSupported:boolean
    featureRequirementSupported:boolean poweredOnMonitorTypeChangeSupported:boolean seSparseDiskSupported:boolean
    nestedHVSupported:boolean vPMCSupported:boolean
VirtualMachineMessage: id:string argument:anyType* text:string?
VirtualMachineQuestionInfo: id:string text:string choice:ChoiceOption message:VirtualMachineMessage*
VirtualMachineRuntimeInfo: host:HostSystem? connectionState:VirtualMachineConnectionState
    powerState:VirtualMachinePowerState faultToleranceState:VirtualMachineFaultToleranceState@4.0
    toolsInstallerMounted:boolean suspendTime:dateTime? bootTime:dateTime? suspendInterval:long?
    question:VirtualMachineQuestionInfo? memoryOverhead:long? maxCpuUsage:int? maxMemoryUsage:int?
    numMksConnections:int recordReplayState:VirtualMachineRecordReplayState@4.0 cleanPowerOff:boolean?@4.0
    needSecondaryReason:string?@4.0 onlineStandby:boolean@5.1 minRequiredEVCModeKey:string?@5.1
    consolidationNeeded:boolean@5.0 paused:boolean?@6.0 snapshotInBackground:boolean?@6.0
    quiescedForkParent:boolean?@6.0 instantCloneFrozen:boolean?@6.7 cryptoState:string?@6.7
VirtualMachineConfigSummary: name:string template:boolean vmPathName:string memorySizeMB:int? cpuReservation:int?
    memoryReservation:int? numCpu:int? numEthernetCards:int? numVirtualDisks:int? uuid:string?
    instanceUuid:string?@4.0 guestId:string? guestFullName:string? annotation:string? installBootRequired:boolean?@4.0
    ftInfo:FaultToleranceConfigInfo?@4.0 managedBy:ManagedByInfo?@5.0 tpmPresent:boolean?@6.7
VirtualMachineGuestSummary: guestId:string? guestFullName:string? toolsStatus:VirtualMachineToolsStatus?
    toolsVersionStatus:string?@4.0 toolsVersionStatus2:string?@5.0 toolsRunningStatus:string?@4.0 hostName:string?
    ipAddress:string?
VirtualMachineStorageSummary: committed:long uncommitted:long unshared:long timestamp:dateTime
VirtualMachineQuickStats: overallCpuUsage:int? guestMemoryUsage:int? hostMemoryUsage:int?
    guestHeartbeatStatus:ManagedEntityStatus uptimeSeconds:int?@4.1
VirtualMachineSummary: vm:VirtualMachine? runtime:VirtualMachineRuntimeInfo guest:VirtualMachineGuestSummary?
    config:VirtualMachineConfigSummary storage:VirtualMachineStorageSummary?@4.0 quickStats:VirtualMachineQuickStats
    overallStatus:ManagedEntityStatus
VirtualMachineUsageOnDatastore: datastore:Datastore committed:long uncommitted:long unshared:long
VirtualMachineStorageInfo: perDatastoreUsage:VirtualMachineUsageOnDatastore* timestamp:dateTime
VirtualMachineFileLayoutExFileInfo: key:int name:string type:string size:long uniqueSize:long?@5.1
    backingObjectId:string?@6.0 accessible:boolean?@6.0
VirtualMachineFileLayoutExDiskUnit: fileKey:int+
VirtualMachineFileLayoutExDiskLayout: key:int chain:VirtualMachineFileLayoutExDiskUnit*
VirtualMachineFileLayoutExSnapshotLayout: key:VirtualMachineSnapshot dataKey:int memoryKey:int@6.0
    disk:VirtualMachineFileLayoutExDiskLayout*
VirtualMachineFileLayoutEx: file:VirtualMachineFileLayoutExFileInfo* disk:VirtualMachineFileLayoutExDiskLayout*
    snapshot:VirtualMachineFileLayoutExSnapshotLayout* timestamp:dateTime
VirtualMachineSnapshotTree: snapshot:VirtualMachineSnapshot vm:VirtualMachine name:string description:string
    id:int@4.0 createTime:dateTime state:VirtualMachinePowerState quiesced:boolean backupManifest:string?
    childSnapshotList:VirtualMachineSnapshotTree* replaySupported:boolean?@4.0
VirtualMachineSnapshotInfo: currentSnapshot:VirtualMachineSnapshot? rootSnapshotList:VirtualMachineSnapshotTree+
VirtualMachineGuestQuiesceSpec: timeout:int?
VirtualMachineWindowsQuiesceSpec(VirtualMachineGuestQuiesceSpec): vssBackupType:int? vssBootableSystemState:boolean?
    vssPartialFileSupport:boolean? vssBackupContext:string?
SnapshotSelectionSpec: retentionDays:int?
DiskChangeExtent: start:long length:long
DiskChangeInfo: startOffset:long length:long changedArea:DiskChangeExtent*
NetIpConfigInfoIpAddress: ipAddress:string prefixLength:int origin:string? state:string?
NetIpConfigInfo: ipAddress:NetIpConfigInfoIpAddress* autoConfigurationEnabled:boolean?
NetDnsConfigInfo: dhcp:boolean hostName:string domainName:string ipAddress:string* searchDomain:string*
NetIpRouteConfigInfoGateway: ipAddress:string? device:string?
NetIpRouteConfigInfoIpRoute: network:string prefixLength:int gateway:NetIpRouteConfigInfoGateway
NetIpRouteConfigInfo: ipRoute:NetIpRouteConfigInfoIpRoute*
GuestStackInfo: dnsConfig:NetDnsConfigInfo? ipRouteConfig:NetIpRouteConfigInfo? ipStackConfig:KeyValue*
GuestNicInfo: network:string? ipAddress:string* macAddress:string? connected:boolean deviceConfigId:int
    dnsConfig:NetDnsConfigInfo?@4.1 ipConfig:NetIpConfigInfo?@4.1
GuestDiskInfo: diskPath:string? capacity:long? freeSpace:long?
GuestInfo: toolsStatus:VirtualMachineToolsStatus? toolsVersionStatus:string?@4.0 toolsVersionStatus2:string?@5.0
    toolsRunningStatus:string?@4.0 toolsVersion:string? toolsInstallType:string?@6.5 guestId:string?
    guestFamily:string? guestFullName:string? hostName:string? ipAddress:string? net:GuestNicInfo*
    ipStack:GuestStackInfo*@4.1 disk:GuestDiskInfo* guestState:string appHeartbeatStatus:string?@4.1
    guestKernelCrashed:boolean?@6.0 appState:string?@5.5 guestOperationsReady:boolean?@5.0
    interactiveGuestOperationsReady:boolean?@5.0 guestStateChangeSupported:boolean?@6.0

HttpNfcLeaseHostInfo: url:string sslThumbprint:string
HttpNfcLeaseDatastoreLeaseInfo: datastoreKey:string hosts:HttpNfcLeaseHostInfo+
HttpNfcLeaseDeviceUrl: key:string importKey:string url:string sslThumbprint:string disk:boolean?@4.1
    targetId:string?@4.1 datastoreKey:string?@4.1 fileSize:long?@4.1
HttpNfcLeaseInfo: lease:HttpNfcLease entity:ManagedEntity deviceUrl:HttpNfcLeaseDeviceUrl* totalDiskCapacityInKB:long
    leaseTimeout:int hostMap:HttpNfcLeaseDatastoreLeaseInfo*@4.1
HttpNfcLeaseManifestEntry: key:string sha1:string checksum:string?@6.7 checksumType:string?@6.7 size:long disk:boolean
    capacity:long? populatedSize:long?
HttpNfcLeaseCapabilities: pullModeSupported:boolean corsSupported:boolean
"""

ENUMS = """
HostLockdownMode: lockdownDisabled lockdownNormal lockdownStrict
HostSystemConnectionState: connected notResponding disconnected
HostSystemPowerState: poweredOn poweredOff standBy unknown
HttpNfcLeaseState: initializing ready done error
LatencySensitivitySensitivityLevel: low normal medium high custom
ManagedEntityStatus: gray green yellow red
ObjectUpdateKind: modify enter leave
PropertyChangeOp: add remove assign indirectRemove
SharesLevel: low normal high custom
TaskInfoState: queued running success error
VirtualDeviceConfigSpecFileOperation: create destroy replace
VirtualDeviceConfigSpecOperation: add remove edit
VirtualMachineConnectionState: connected disconnected orphaned inaccessible invalid
VirtualMachineFaultToleranceState: notConfigured disabled enabled needSecondary starting running
VirtualMachinePowerState: poweredOff poweredOn suspended
VirtualMachineRecordReplayState: recording replaying inactive
VirtualMachineToolsStatus: toolsNotInstalled toolsNotRunning toolsOld toolsOk
VirtualSCSISharing: noSharing virtualSharing physicalSharing
"""

FAULTS = """
MethodFault: faultCause:LocalizedMethodFault?@4.0 faultMessage:LocalizableMessage*@4.0
RuntimeFault(MethodFault):
VimFault(MethodFault):
HostCommunication(RuntimeFault):
HostNotConnected(HostCommunication):
HostNotReachable(HostCommunication):
InvalidArgument(RuntimeFault): invalidProperty:string?
InvalidRequest(RuntimeFault):
InvalidType(InvalidRequest): argument:string?
ManagedObjectNotFound(RuntimeFault): obj:ManagedObject
MethodNotFound(InvalidRequest): receiver:ManagedObject method:string
MethodDisabled(RuntimeFault): source:string?@6.0
NotEnoughLicenses(RuntimeFault):
NotImplemented(RuntimeFault):
NotSupported(RuntimeFault):
RequestCanceled(RuntimeFault):
SecurityError(RuntimeFault):
SystemError(RuntimeFault): reason:string
NoPermission(SecurityError): object:ManagedObject? privilegeId:string?
NotAuthenticated(NoPermission):
RestrictedVersion(SecurityError):
InvalidCollectorVersion(MethodFault):
InvalidProperty(MethodFault): name:string
InvalidLogin(VimFault):
PasswordExpired(InvalidLogin):
InvalidName(VimFault): name:string entity:ManagedEntity?
DuplicateName(VimFault): name:string object:ManagedObject
InvalidState(VimFault):
InvalidPowerState(InvalidState): requestedState:VirtualMachinePowerState? existingState:VirtualMachinePowerState
QuestionPending(InvalidState): text:string
InvalidDatastore(VimFault): datastore:Datastore? name:string?
TaskInProgress(VimFault): task:Task
ConcurrentAccess(VimFault):
NotFound(VimFault):
Timedout(VimFault):
ToolsUnavailable(VimFault):
FileFault(VimFault): file:string
FileLocked(FileFault):
FileNotFound(FileFault):
CannotAccessFile(FileFault):
NoDiskSpace(FileFault): datastore:string
InsufficientResourcesFault(VimFault):
VmConfigFault(VimFault):
GenericVmConfigFault(VmConfigFault): reason:string
InvalidVmConfig(VmConfigFault): property:string?
CannotAccessVmComponent(VmConfigFault):
SnapshotFault(VimFault):
ApplicationQuiesceFault(SnapshotFault):
FilesystemQuiesceFault(SnapshotFault):
MemorySnapshotOnIndependentDisk(SnapshotFault):
SnapshotDisabled(SnapshotFault):
SnapshotLocked(SnapshotFault):
SnapshotNoChange(SnapshotFault):
SnapshotIncompatibleDeviceInVm(SnapshotFault): fault:LocalizedMethodFault
TooManySnapshotLevels(SnapshotFault):
"""
