// A client of vSphere that others wrote, govmomi, works with lab/vcenter: what it cannot read is an error.
//
//	lab_judge URL CA-FILE MACHINE
//
// URL has user and password. Each step that went well is a line on standard output.
package main

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func main() {
	ctx := context.Background()
	url, err := soap.ParseURL(os.Args[1])
	check("url", err)
	bare := soap.NewClient(url, false)
	check("ca", bare.SetRootCAs(os.Args[2]))
	vim, err := vim25.NewClient(ctx, bare)
	check("service content", err)
	client := &govmomi.Client{Client: vim, SessionManager: session.NewManager(vim)}
	check("login", client.SessionManager.Login(ctx, url.User))
	everything(ctx, client)
	finder := find.NewFinder(vim, true)
	datacenter, err := finder.DefaultDatacenter(ctx)
	check("datacenter", err)
	finder.SetDatacenter(datacenter)
	machine, err := finder.VirtualMachine(ctx, os.Args[3])
	check("find", err)
	snapshot(ctx, machine)
	power(ctx, machine)
	export(ctx, vim, machine)
	store, err := finder.DefaultDatastore(ctx)
	check("datastore", err)
	file(ctx, store, machine)
	check("logout", client.Logout(ctx))
}

func check(step string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", step, err)
	}
	fmt.Println("ok", step)
}

// Every property of every object, by a container view.
func everything(ctx context.Context, client *govmomi.Client) {
	all, err := view.NewManager(client.Client).CreateContainerView(ctx, client.ServiceContent.RootFolder, nil, true)
	check("view", err)
	for _, kind := range []string{"VirtualMachine", "HostSystem", "Datastore", "Network", "Folder", "Datacenter",
		"ComputeResource", "ResourcePool"} {
		var found []types.ObjectContent
		refs, err := all.Find(ctx, []string{kind}, property.Filter{"name": "*"})
		check("find "+kind, err)
		if len(refs) == 0 {
			log.Fatalf("no %s", kind)
		}
		check("properties of "+kind, property.DefaultCollector(client.Client).Retrieve(ctx, refs, nil, &found))
		for _, item := range found {
			if len(item.MissingSet) > 0 {
				log.Fatalf("%s: %+v", item.Obj, item.MissingSet)
			}
		}
	}
	check("destroy view", all.Destroy(ctx))
}

func snapshot(ctx context.Context, machine *object.VirtualMachine) {
	running, err := machine.CreateSnapshot(ctx, "judge", "by others", false, false)
	check("create snapshot", err)
	info, err := running.WaitForResult(ctx, nil)
	check("wait for snapshot", err)
	ref, err := machine.FindSnapshot(ctx, "judge")
	check("find snapshot", err)
	if *ref != info.Result.(types.ManagedObjectReference) {
		log.Fatalf("%v is not %v", ref, info.Result)
	}
	var taken mo.VirtualMachineSnapshot
	check("snapshot's config", machine.Properties(ctx, *ref, []string{"config"}, &taken))
	disks := object.VirtualDeviceList(taken.Config.Hardware.Device).SelectByType((*types.VirtualDisk)(nil))
	fmt.Println("ok disks of the snapshot:", len(disks))
	running, err = machine.RemoveSnapshot(ctx, "judge", false, types.NewBool(true))
	check("remove snapshot", err)
	check("wait for removal", running.Wait(ctx))
}

func power(ctx context.Context, machine *object.VirtualMachine) {
	running, err := machine.PowerOn(ctx)
	check("power on", err)
	check("wait for power on", running.Wait(ctx))
	check("powered on", machine.WaitForPowerState(ctx, types.VirtualMachinePowerStatePoweredOn))
	running, err = machine.PowerOff(ctx)
	check("power off", err)
	check("wait for power off", running.Wait(ctx))
	running, err = machine.PowerOff(ctx)
	check("power off again", err)
	var failed task.Error
	if err = running.Wait(ctx); !errors.As(err, &failed) {
		log.Fatalf("powered off twice: %v", err)
	}
	fault, ok := failed.Fault().(*types.InvalidPowerState)
	if !ok || fault.ExistingState != types.VirtualMachinePowerStatePoweredOff {
		log.Fatalf("powered off twice: %+v", failed.Fault())
	}
	fmt.Println("ok fault of the task:", failed.Error())
}

func export(ctx context.Context, vim *vim25.Client, machine *object.VirtualMachine) {
	lease, err := machine.Export(ctx)
	check("export", err)
	info, err := lease.Wait(ctx, nil)
	check("lease", err)
	updater := lease.StartUpdater(ctx, info)
	for _, item := range info.Items {
		body, size, err := vim.Client.Download(ctx, item.URL, &soap.DefaultDownload)
		check("download "+item.Path, err)
		sum := sha1.New()
		got, err := io.Copy(sum, body)
		check(fmt.Sprintf("stream of %d bytes, length said %d", got, size), err)
		body.Close()
		manifest, err := methods.HttpNfcLeaseGetManifest(ctx, vim,
			&types.HttpNfcLeaseGetManifest{This: lease.Reference()})
		check("manifest", err)
		if manifest.Returnval[0].Sha1 != fmt.Sprintf("%x", sum.Sum(nil)) || manifest.Returnval[0].Size != got {
			log.Fatalf("the manifest says %+v", manifest.Returnval[0])
		}
	}
	updater.Done()
	check("complete", lease.Complete(ctx))
}

func file(ctx context.Context, store *object.Datastore, machine *object.VirtualMachine) {
	name := machine.Name()
	body, size, err := store.Download(ctx, name+"/"+name+".vmdk", &soap.DefaultDownload)
	check("file", err)
	text, err := io.ReadAll(body)
	check("read file", err)
	if int64(len(text)) != size || string(text[:21]) != "# Disk DescriptorFile" {
		log.Fatalf("the file is %q", text)
	}
}
