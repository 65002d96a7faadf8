/* The descriptor of an OVF package. What it gives must keep the promises of ovf.h and vm.h; and so
 * must what the readers of libvirt XML and of manifests make of the same bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "descriptor/href.h"
#include "descriptor/libvirtxml.h"
#include "descriptor/manifest.h"
#include "descriptor/ovf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
try_ovf(const char *text, size_t len)
{
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = vm_new(&err);
    auto_ovf struct ovf ovf = { 0 };
    if (!vm)
        return;
    if (ovf_parse(text, len, "fuzz", vm, &ovf, &err) < 0) {
        must(err.kind != ERR_NONE && err.kind != ERR_BUG && *err.text);
        return;
    }
    must(ovf.n_disks == vm->n_disks && vm->memory_bytes != UINT64_MAX);
    for (size_t i = 0; i < ovf.n_files; i++)
        must(href_check_name(ovf.files[i].name, &err) == 0);
    for (size_t i = 0; i < ovf.n_disks; i++) {
        const struct ovf_file *file = ovf.disks[i].file;
        must(!file || (file >= ovf.files && file < ovf.files + ovf.n_files));
        must(vm->disks[i].capacity_bytes <= VM_MAX_DISK_BYTES && ovf.disks[i].unit_bytes > 0);
        must(!vm->disks[i].image.path);
    }
    vm_sort_disks(vm);
    vm_check(vm, &err);
}

static void
try_libvirtxml(const char *text, size_t len)
{
    struct err err = ERR_INIT;
    auto_vm struct vm *vm = vm_new(&err);
    if (vm && libvirtxml_parse(text, len, "fuzz", "/", vm, &err) == 0)
        must(vm_check(vm, &err) == 0 && vm->n_disks > 0);
}

static void
try_manifest(const char *text, size_t len)
{
    struct err err = ERR_INIT;
    auto_manifest struct manifest manifest = { 0 };
    if (manifest_parse(text, len, "fuzz", &manifest, &err) < 0)
        return;
    must(manifest.n_lines > 0);
    for (size_t i = 0; i < manifest.n_lines; i++)
        must(href_check_name(manifest.lines[i].name, &err) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    try_ovf(text, size);
    try_libvirtxml(text, size);
    try_manifest(text, size);
    return 0;
}
