/* Descriptors as exporters write them, for tests and as fuzz seeds. */
#ifndef TESTS_UNIT_DESCRIPTOR_OVF_SAMPLES_H
#define TESTS_UNIT_DESCRIPTOR_OVF_SAMPLES_H

#define OVF_OPEN(extra)                                                                            \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"                                 \
    " xmlns:cim=\"http://schemas.dmtf.org/wbem/wscim/1/common\"\n"                                 \
    " xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"                                      \
    " xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"                             \
    "CIM_ResourceAllocationSettingData\"\n"                                                        \
    " xmlns:vmw=\"http://www.vmware.com/schema/ovf\"\n"                                            \
    " xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"                             \
    "CIM_VirtualSystemSettingData\"\n"                                                             \
    " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"" extra ">\n"

#define OVF_CPU_MEMORY                                                                             \
    "<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"           \
    "<rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>\n"                                      \
    "<Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>"           \
    "<rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>\n"

/* As vCenter 8 exports a machine: two SCSI controllers, an NVMe and a SATA one, the disks' files
 * and items in an order that is not the guest's. */
#define OVF_VCENTER                                                                                \
    OVF_OPEN(" vmw:buildId=\"build-21560480\"")                                                    \
    "  <References>\n"                                                                             \
    "    <File ovf:href=\"web01-1.vmdk\" ovf:id=\"file1\" ovf:size=\"1024\"/>\n"                   \
    "    <File ovf:href=\"web01-2.vmdk\" ovf:id=\"file2\" ovf:size=\"2048\"/>\n"                   \
    "    <File ovf:href=\"my%20data.vmdk.gz\" ovf:id=\"file3\" ovf:compression=\"gzip\"/>\n"       \
    "    <File ovf:href=\"web01-3.nvram\" ovf:id=\"file4\" ovf:size=\"270840\"/>\n"                \
    "  </References>\n"                                                                            \
    "  <DiskSection>\n"                                                                            \
    "    <Info>List of the virtual disks</Info>\n"                                                 \
    "    <Disk ovf:capacity=\"16\" ovf:capacityAllocationUnits=\"byte * 2^30\" "                   \
    "ovf:diskId=\"vmdisk1\" ovf:fileRef=\"file1\" "                                                \
    "ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\" "    \
    "ovf:populatedSize=\"1234567\"/>\n"                                                            \
    "    <Disk ovf:capacity=\"2147483648\" ovf:diskId=\"vmdisk2\" ovf:fileRef=\"file2\"/>\n"       \
    "    <Disk ovf:capacity=\"1024\" ovf:capacityAllocationUnits=\"MegaBytes\" "                   \
    "ovf:diskId=\"vmdisk3\" ovf:fileRef=\"file3\" "                                                \
    "ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\"/>\n" \
    "    <Disk ovf:capacity=\"10\" ovf:capacityAllocationUnits=\"byte * 2^30\" "                   \
    "ovf:diskId=\"vmdisk4\"/>\n"                                                                   \
    "    <Disk ovf:capacity=\"16\" ovf:capacityAllocationUnits=\"byte * 2^30\" "                   \
    "ovf:diskId=\"vmdisk5\" ovf:fileRef=\"file1\"/>\n"                                             \
    "  </DiskSection>\n"                                                                           \
    "  <NetworkSection><Info>x</Info><Network ovf:name=\"VM Network\"/></NetworkSection>\n"        \
    "  <VirtualSystem ovf:id=\"web01\">\n"                                                         \
    "    <Info>A Virtual system</Info>\n"                                                          \
    "    <Name>web01 &amp; co</Name>\n"                                                            \
    "    <OperatingSystemSection ovf:id=\"96\" vmw:osType=\"debian12_64Guest\">\n"                 \
    "      <Info>The operating system installed</Info><Description>Debian</Description>\n"         \
    "    </OperatingSystemSection>\n"                                                              \
    "    <VirtualHardwareSection>\n"                                                               \
    "      <Info>Virtual hardware requirements</Info>\n"                                           \
    "      <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName>"                   \
    "<vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-20</vssd:VirtualSystemType>"  \
    "</System>\n"                                                                                  \
    "      <Item><rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>"                        \
    "<rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"                 \
    "<rasd:VirtualQuantity>6</rasd:VirtualQuantity>"                                               \
    "<vmw:CoresPerSocket ovf:required=\"false\">3</vmw:CoresPerSocket></Item>\n"                   \
    "      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>"                         \
    "<rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>"                 \
    "<rasd:VirtualQuantity>4096</rasd:VirtualQuantity></Item>\n"                                   \
    "      <Item><rasd:Address>1</rasd:Address><rasd:ElementName>SCSI controller 1"                \
    "</rasd:ElementName><rasd:InstanceID>4</rasd:InstanceID>"                                      \
    "<rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>"                                     \
    "<rasd:ResourceType>6</rasd:ResourceType></Item>\n"                                            \
    "      <Item><rasd:Address>0</rasd:Address><rasd:ElementName>SCSI controller 0"                \
    "</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID>"                                      \
    "<rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>"                                     \
    "<rasd:ResourceType>6</rasd:ResourceType></Item>\n"                                            \
    "      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>5</rasd:InstanceID>"               \
    "<rasd:ResourceSubType>vmware.nvme.controller</rasd:ResourceSubType>"                          \
    "<rasd:ResourceType>20</rasd:ResourceType></Item>\n"                                           \
    "      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>6</rasd:InstanceID>"               \
    "<rasd:ResourceSubType>vmware.sata.ahci</rasd:ResourceSubType>"                                \
    "<rasd:ResourceType>20</rasd:ResourceType></Item>\n"                                           \
    "      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>Hard Disk 1"      \
    "</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>"                  \
    "<rasd:InstanceID>10</rasd:InstanceID><rasd:Parent>4</rasd:Parent>"                            \
    "<rasd:ResourceType>17</rasd:ResourceType></Item>\n"                                           \
    "      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent>"                                   \
    "<rasd:HostResource>ovf:/disk/vmdisk2</rasd:HostResource><rasd:InstanceID>11</"                \
    "rasd:InstanceID>"                                                                             \
    "<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>\n"               \
    "      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent>"                                   \
    "<rasd:HostResource>ovf:/disk/vmdisk3</rasd:HostResource><rasd:InstanceID>12</"                \
    "rasd:InstanceID>"                                                                             \
    "<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>\n"               \
    "      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent>"                                   \
    "<rasd:HostResource>ovf:/disk/vmdisk4</rasd:HostResource><rasd:InstanceID>13</"                \
    "rasd:InstanceID>"                                                                             \
    "<rasd:Parent>5</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>\n"               \
    "      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent>"                                   \
    "<rasd:HostResource>ovf:/disk/vmdisk5</rasd:HostResource><rasd:InstanceID>14</"                \
    "rasd:InstanceID>"                                                                             \
    "<rasd:Parent>6</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>\n"               \
    "      <Item ovf:required=\"false\"><rasd:AddressOnParent>0</rasd:AddressOnParent>"            \
    "<rasd:AutomaticAllocation>false</rasd:AutomaticAllocation><rasd:InstanceID>15"                \
    "</rasd:InstanceID><rasd:Parent>6</"                                                           \
    "rasd:Parent><rasd:ResourceSubType>vmware.cdrom.remotepassthrough"                             \
    "</rasd:ResourceSubType><rasd:ResourceType>15</rasd:ResourceType></Item>\n"                    \
    "      <Item><rasd:Address>00:50:56:AA:BB:01</rasd:Address>"                                   \
    "<rasd:AddressOnParent>7</rasd:AddressOnParent>"                                               \
    "<rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>"                                    \
    "<rasd:Connection>VM Network</rasd:Connection><rasd:InstanceID>16</rasd:InstanceID>"           \
    "<rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</"                  \
    "rasd:ResourceType>"                                                                           \
    "<vmw:Config ovf:required=\"false\" vmw:key=\"slotInfo.pciSlotNumber\" vmw:value=\"192\"/>"    \
    "</Item>\n"                                                                                    \
    "      <Item><rasd:AutomaticAllocation>false</rasd:AutomaticAllocation>"                       \
    "<rasd:Connection>DMZ</rasd:Connection><rasd:InstanceID>17</rasd:InstanceID>"                  \
    "<rasd:ResourceSubType>E1000 PCNet32</rasd:ResourceSubType>"                                   \
    "<rasd:ResourceType>10</rasd:ResourceType></Item>\n"                                           \
    "      <Item ovf:required=\"false\"><rasd:InstanceID>18</rasd:InstanceID>"                     \
    "<rasd:ResourceSubType>vmware.vtpm</rasd:ResourceSubType>"                                     \
    "<rasd:ResourceType>1</rasd:ResourceType></Item>\n"                                            \
    "      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n"          \
    "      <vmw:Config ovf:required=\"false\" vmw:key=\"bootOptions.efiSecureBootEnabled\" "       \
    "vmw:value=\"true\"/>\n"                                                                       \
    "      <vmw:ExtraConfig ovf:required=\"false\" vmw:key=\"ethernet1.pciSlotNumber\" "           \
    "vmw:value=\"224\"/>\n"                                                                        \
    "    </VirtualHardwareSection>\n"                                                              \
    "    <AnnotationSection><Info>x</Info><Annotation>The web\nserver</Annotation>"                \
    "</AnnotationSection>\n"                                                                       \
    "  </VirtualSystem>\n"                                                                         \
    "</Envelope>\n"

/* As VirtualBox 7 writes OVF 2.0: other kinds of items, MAC addresses only in its own section. */
#define OVF_VIRTUALBOX                                                                             \
    "<?xml version=\"1.0\"?>\n"                                                                    \
    "<Envelope ovf:version=\"2.0\" xml:lang=\"en-US\" "                                            \
    "xmlns=\"http://schemas.dmtf.org/ovf/envelope/2\" "                                            \
    "xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/2\" "                                        \
    "xmlns:rasd=\"urn:r\" xmlns:sasd=\"urn:s\" xmlns:epasd=\"urn:e\" xmlns:vssd=\"urn:v\" "        \
    "xmlns:vbox=\"http://www.virtualbox.org/ovf/machine\">\n"                                      \
    "  <References><File ovf:id=\"file1\" ovf:href=\"box-disk001.vmdk\"/></References>\n"          \
    "  <DiskSection><Info>List</Info><Disk ovf:capacity=\"8589934592\" ovf:diskId=\"vmdisk1\" "    \
    "ovf:fileRef=\"file1\" "                                                                       \
    "ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\" "    \
    "vbox:uuid=\"0d53a0f8-7f0a-4a8a-9d70-6b3b3a1b0a5e\"/></DiskSection>\n"                         \
    "  <VirtualSystem ovf:id=\"box\">\n"                                                           \
    "    <OperatingSystemSection ovf:id=\"103\"><Info>x</Info><Description>Windows10_64"           \
    "</Description><vbox:OSType ovf:required=\"false\">Windows10_64</vbox:OSType>"                 \
    "</OperatingSystemSection>\n"                                                                  \
    "    <VirtualHardwareSection>\n"                                                               \
    "      <System><vssd:VirtualSystemIdentifier>box</vssd:VirtualSystemIdentifier></System>\n"    \
    "      <Item><rasd:Caption>2 virtual CPU</rasd:Caption><rasd:InstanceID>1</rasd:InstanceID>"   \
    "<rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity>"       \
    "</Item>\n"                                                                                    \
    "      <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>"                           \
    "<rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>"                 \
    "<rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>\n"                                   \
    "      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID>"               \
    "<rasd:ResourceSubType>PIIX4</rasd:ResourceSubType><rasd:ResourceType>5</rasd:ResourceType>"   \
    "</Item>\n"                                                                                    \
    "      <Item><rasd:Address>1</rasd:Address><rasd:InstanceID>4</rasd:InstanceID>"               \
    "<rasd:ResourceSubType>PIIX4</rasd:ResourceSubType><rasd:ResourceType>5</rasd:ResourceType>"   \
    "</Item>\n"                                                                                    \
    "      <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>5</rasd:InstanceID>"               \
    "<rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType>"   \
    "</Item>\n"                                                                                    \
    "      <StorageItem><sasd:AddressOnParent>0</sasd:AddressOnParent>"                            \
    "<sasd:HostResource>/disk/vmdisk1</sasd:HostResource><sasd:InstanceID>8</sasd:InstanceID>"     \
    "<sasd:Parent>5</sasd:Parent><sasd:ResourceType>17</sasd:ResourceType></StorageItem>\n"        \
    "      <StorageItem><sasd:AddressOnParent>0</sasd:AddressOnParent>"                            \
    "<sasd:InstanceID>9</sasd:InstanceID><sasd:Parent>4</sasd:Parent>"                             \
    "<sasd:ResourceType>15</sasd:ResourceType></StorageItem>\n"                                    \
    "      <EthernetPortItem><epasd:AutomaticAllocation>true</epasd:AutomaticAllocation>"          \
    "<epasd:Connection>NAT</epasd:Connection><epasd:InstanceID>10</epasd:InstanceID>"              \
    "<epasd:ResourceSubType>E1000</epasd:ResourceSubType>"                                         \
    "<epasd:ResourceType>10</epasd:ResourceType></EthernetPortItem>\n"                             \
    "    </VirtualHardwareSection>\n"                                                              \
    "    <vbox:Machine ovf:required=\"false\" version=\"1.19-linux\" "                             \
    "uuid=\"{A6C1F4D2-7f0a-4a8a-9d70-6b3b3a1b0a5e}\" name=\"box\">\n"                              \
    "      <Hardware><Memory RAMSize=\"2048\"/><Firmware type=\"EFI\"/>"                           \
    "<TrustedPlatformModule type=\"v2_0\" location=\"\"/>"                                         \
    "<Network><Adapter slot=\"0\" enabled=\"false\" MACAddress=\"080027000000\"/>"                 \
    "<Adapter slot=\"1\" enabled=\"true\" MACAddress=\"0800276B2C5D\" type=\"82540EM\"/>"          \
    "</Network></Hardware>\n"                                                                      \
    "    </vbox:Machine>\n"                                                                        \
    "  </VirtualSystem>\n"                                                                         \
    "</Envelope>\n"

/* As oVirt 4 exports an OVA: sections by xsi:type, its own attributes, files without suffix. */
#define OVF_OVIRT                                                                                  \
    "<?xml version='1.0' encoding='utf-8'?>"                                                       \
    "<ovf:Envelope xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1/\" "                         \
    "xmlns:rasd=\"urn:r\" xmlns:vssd=\"urn:v\" "                                                   \
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" ovf:version=\"4.4.0.0\">"             \
    "<References><File ovf:href=\"5bd2b1a0-b5c2\" ovf:id=\"5bd2b1a0-b5c2\" "                       \
    "ovf:size=\"99999999999\" ovf:description=\"Active VM\"/>"                                     \
    "<File ovf:href=\"77d2b1a0-b5c2\" ovf:id=\"77d2b1a0-b5c2\" ovf:size=\"1\"/></References>"      \
    "<Section xsi:type=\"ovf:NetworkSection_Type\"><Info>List of networks</Info></Section>"        \
    "<Section xsi:type=\"ovf:DiskSection_Type\"><Info>List of Virtual Disks</Info>"                \
    "<Disk ovf:diskId=\"d2\" ovf:size=\"5\" ovf:actual_size=\"1\" ovf:parentRef=\"\" "             \
    "ovf:fileRef=\"77d2b1a0-b5c2\" "                                                               \
    "ovf:format=\"http://www.vmware.com/specifications/vmdk.html#sparse\" "                        \
    "ovf:volume-format=\"RAW\" ovf:disk-interface=\"VirtIO_SCSI\" ovf:boot=\"false\"/>"            \
    "<Disk ovf:diskId=\"d1\" ovf:capacity=\"20\" ovf:capacityAllocationUnits=\"byte * 2^30\" "     \
    "ovf:parentRef=\"\" ovf:fileRef=\"5bd2b1a0-b5c2\" "                                            \
    "ovf:format=\"http://www.vmware.com/specifications/vmdk.html#sparse\" "                        \
    "ovf:volume-format=\"COW\" ovf:disk-interface=\"VirtIO\" ovf:boot=\"true\"/></Section>"        \
    "<Content ovf:id=\"a6c1f4d2-7f0a-4a8a-9d70-6b3b3a1b0a5e\" "                                    \
    "xsi:type=\"ovf:VirtualSystem_Type\"><Name>ovm</Name><Description>from oVirt</Description>"    \
    "<BiosType>4</BiosType>"                                                                       \
    "<Section ovf:id=\"x\" xsi:type=\"ovf:OperatingSystemSection_Type\"><Info>Guest</Info>"        \
    "<Description>rhel_8x64</Description></Section>"                                               \
    "<Section xsi:type=\"ovf:VirtualHardwareSection_Type\"><Info>2 CPU, 1024 Memory</Info>"        \
    "<Item><rasd:Caption>4 virtual cpu</rasd:Caption><rasd:InstanceId>1</rasd:InstanceId>"         \
    "<rasd:ResourceType>3</rasd:ResourceType><rasd:num_of_sockets>2</rasd:num_of_sockets>"         \
    "<rasd:cpu_per_socket>1</rasd:cpu_per_socket><rasd:threads_per_cpu>2</rasd:threads_per_cpu>"   \
    "<rasd:VirtualQuantity>4</rasd:VirtualQuantity></Item>"                                        \
    "<Item><rasd:InstanceId>2</rasd:InstanceId><rasd:ResourceType>4</rasd:ResourceType>"           \
    "<rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits>"                                       \
    "<rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>"                                     \
    "<Item><rasd:InstanceId>d2</rasd:InstanceId><rasd:ResourceType>17</rasd:ResourceType>"         \
    "<rasd:HostResource>group/d2</rasd:HostResource>"                                              \
    "<rasd:Parent>00000000-0000-0000-0000-000000000000</rasd:Parent></Item>"                       \
    "<Item><rasd:InstanceId>d1</rasd:InstanceId><rasd:ResourceType>17</rasd:ResourceType>"         \
    "<rasd:HostResource>ovf:/disk/d1</rasd:HostResource>"                                          \
    "<rasd:Parent>00000000-0000-0000-0000-000000000000</rasd:Parent></Item>"                       \
    "<Item><rasd:InstanceId>n</rasd:InstanceId><rasd:ResourceType>10</rasd:ResourceType>"          \
    "<rasd:ResourceSubType>3</rasd:ResourceSubType><rasd:Connection>ovirtmgmt</rasd:Connection>"   \
    "<rasd:linked>true</rasd:linked><rasd:MACAddress>00:1a:4a:16:01:51</rasd:MACAddress></Item>"   \
    "<Item><Type>tpm</Type><Device>tpm</Device><rasd:ResourceType>0</rasd:ResourceType></Item>"    \
    "</Section></Content></ovf:Envelope>"

/* As VMware Workstation 6.5 wrote the draft of 0.9. */
#define OVF_DRAFT                                                                                  \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"                                                   \
    "<ovf:Envelope xmlns:ovf=\"http://www.vmware.com/schema/ovf/1/envelope\" "                     \
    "xmlns:rasd=\"urn:r\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">"                \
    "<References><File ovf:href=\"a.vmdk\" ovf:id=\"f1\" ovf:size=\"10\"/></References>"           \
    "<Section xsi:type=\"ovf:DiskSection_Type\"><Disk ovf:capacity=\"1073741824\" "                \
    "ovf:diskId=\"disk1\" ovf:fileRef=\"f1\"/></Section>"                                          \
    "<Content ovf:id=\"old\" xsi:type=\"ovf:VirtualSystem_Type\"><Info>x</Info>"                   \
    "<Section xsi:type=\"ovf:VirtualHardwareSection_Type\">"                                       \
    "<Item><rasd:InstanceId>1</rasd:InstanceId><rasd:ResourceType>3</rasd:ResourceType>"           \
    "<rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>"                                        \
    "<Item><rasd:AllocationUnits>GigaBytes</rasd:AllocationUnits>"                                 \
    "<rasd:InstanceId>2</rasd:InstanceId><rasd:ResourceType>4</rasd:ResourceType>"                 \
    "<rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>"                                        \
    "<Item><rasd:BusNumber>1</rasd:BusNumber><rasd:InstanceId>3</rasd:InstanceId>"                 \
    "<rasd:ResourceType>5</rasd:ResourceType></Item>"                                              \
    "<Item><rasd:HostResource>disk/disk1</rasd:HostResource><rasd:InstanceId>4</rasd:InstanceId>"  \
    "<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType>"                        \
    "<rasd:UnitNumber>1</rasd:UnitNumber></Item>"                                                  \
    "</Section></Content></ovf:Envelope>"

/* Sizes to choose from, as in the appliances of vCenter: items by configuration. */
#define OVF_CONFIGURATIONS                                                                         \
    OVF_OPEN("")                                                                                   \
    "<References/><DeploymentOptionSection><Configuration ovf:id=\"tiny\"/>"                       \
    "<Configuration ovf:id=\"medium\" ovf:default=\"true\"/></DeploymentOptionSection>\n"          \
    "<VirtualSystemCollection ovf:id=\"c\"><VirtualSystem ovf:id=\"vcsa\">"                        \
    "<VirtualHardwareSection>\n"                                                                   \
    "<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"           \
    "<rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>\n"                                      \
    "<Item ovf:configuration=\"tiny\"><rasd:InstanceID>1</rasd:InstanceID>"                        \
    "<rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity>"       \
    "</Item>\n"                                                                                    \
    "<Item ovf:configuration=\"small medium\"><rasd:InstanceID>1</rasd:InstanceID>"                \
    "<rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>8</rasd:VirtualQuantity>"       \
    "</Item>\n"                                                                                    \
    "<Item ovf:bound=\"min\"><rasd:InstanceID>2</rasd:InstanceID>"                                 \
    "<rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity>"       \
    "</Item>\n"                                                                                    \
    "<Item><rasd:AllocationUnits>byte * 2^30</rasd:AllocationUnits>"                               \
    "<rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>"                 \
    "<rasd:VirtualQuantity>16</rasd:VirtualQuantity></Item>\n"                                     \
    "</VirtualHardwareSection></VirtualSystem></VirtualSystemCollection></Envelope>"

#endif
