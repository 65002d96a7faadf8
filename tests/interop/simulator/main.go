// The govmomi simulator as a vCenter or an ESXi host, for the tests of src/vmware.
//
// It prints one JSON line (host, port, thumbprint) when it serves, and ends when its stdin does.
// What the simulator of Debian's package lacks and the tests need is added in front of it.
package main

import (
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/ioutil"
	"log"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const diskBytes = 1 << 20

// fillDisk gives a disk a descriptor and data on its datastore, and a UUID.
func fillDisk(n int, disk *types.VirtualDisk) error {
	backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	if !ok || backing.Datastore == nil {
		return nil
	}
	var file object.DatastorePath
	if !file.FromString(backing.FileName) {
		return fmt.Errorf("no datastore path: %s", backing.FileName)
	}
	store := simulator.Map.Get(*backing.Datastore).(*simulator.Datastore)
	descriptor := path.Join(store.Info.GetDatastoreInfo().Url, file.Path)
	flat := strings.TrimSuffix(descriptor, ".vmdk") + "-flat.vmdk"
	text := fmt.Sprintf("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"+
		"createType=\"vmfs\"\nRW %d VMFS \"%s\"\n", diskBytes/512, path.Base(flat))
	data := bytes.Repeat([]byte(fmt.Sprintf("%016d", n)), diskBytes/16)
	if err := ioutil.WriteFile(descriptor, []byte(text), 0600); err != nil {
		return err
	}
	disk.CapacityInBytes = diskBytes
	disk.CapacityInKB = diskBytes / 1024
	backing.Uuid = fmt.Sprintf("6000C29a-0000-0000-0000-%012d", n)
	return ioutil.WriteFile(flat, data, 0600)
}

func fillDisks() error {
	for n, entity := range simulator.Map.All("VirtualMachine") {
		machine := entity.(*simulator.VirtualMachine)
		for _, device := range machine.Config.Hardware.Device {
			if disk, ok := device.(*types.VirtualDisk); ok {
				if err := fillDisk(n, disk); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// expiring wraps the API: GET /expire ends all sessions, as an idle hour would.
type expiring struct {
	inner http.Handler
	lock  sync.Mutex
	epoch int
	since map[string]int
}

const notAuthenticated = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>
<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>The session is not authenticated.</faultstring>
<detail><NotAuthenticatedFault xmlns="urn:vim25" xmlns:t="http://www.w3.org/2001/XMLSchema-instance" t:type="NotAuthenticated"/>
</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`

// ended tells whether this session is over; one that was not seen before begins now.
func (e *expiring) ended(session string) bool {
	e.lock.Lock()
	defer e.lock.Unlock()
	if _, known := e.since[session]; !known {
		e.since[session] = e.epoch
	}
	return e.since[session] != e.epoch
}

func (e *expiring) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/expire" {
		e.lock.Lock()
		e.epoch++
		e.lock.Unlock()
		return
	}
	cookie, err := r.Cookie("vmware_soap_session")
	if r.Method == "POST" && err == nil && e.ended(cookie.Value) {
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, notAuthenticated)
		return
	}
	e.inner.ServeHTTP(w, r)
}

func thumbprint(certificate []byte) string {
	pairs := make([]string, 0, sha1.Size)
	for _, b := range sha1.Sum(certificate) {
		pairs = append(pairs, fmt.Sprintf("%02X", b))
	}
	return strings.Join(pairs, ":")
}

func main() {
	esx := flag.Bool("esx", false, "an ESXi host instead of a vCenter")
	machines := flag.Int("machines", 2, "machines in each pool")
	empty := flag.Bool("empty", false, "no data on the disks: for very many machines")
	flag.Parse()
	model := simulator.VPX()
	if *esx {
		model = simulator.ESX()
	}
	model.Machine = *machines
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	defer model.Remove()
	if !*empty {
		if err := fillDisks(); err != nil {
			log.Fatal(err)
		}
	}
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword("user", "pass")}
	model.Service.TLS = new(tls.Config)
	server := model.Service.NewServer()
	defer server.Close()
	server.Config.Handler = &expiring{inner: server.Config.Handler, since: map[string]int{}}
	json.NewEncoder(os.Stdout).Encode(map[string]string{
		"host": server.URL.Hostname(), "port": server.URL.Port(),
		"thumbprint": thumbprint(server.TLS.Certificates[0].Certificate[0])})
	io.Copy(ioutil.Discard, os.Stdin)
}
