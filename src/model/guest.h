/* What was seen inside a guest's disks: the facts that conversion and the target's description
 * depend on. Plain data, filled by guest/inspect. Strings owned (guest_facts_free), NULL unknown.
 */
#ifndef MODEL_GUEST_H
#define MODEL_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum guest_type { GUEST_UNKNOWN, GUEST_LINUX, GUEST_WINDOWS, GUEST_OTHER };

struct guest_facts {
    enum guest_type type;
    char *distro;       /* libguestfs words: debian, rhel, windows ... */
    char *product_name; /* for people: "debian 12", "Windows Server 2022" */
    int major, minor;   /* 0 unknown */
    char *arch;         /* x86_64, i386, aarch64 */
    char *hostname;
    char *osinfo; /* short id "debian12", "win2k22" */
    char *root;   /* device of the root that was chosen, "/dev/sda1" */

    bool has_esp;       /* an EFI system partition */
    bool has_bios_boot; /* a BIOS boot partition or MBR boot code */
    bool gpt;           /* the boot disk's table */
    bool uefi_fallback; /* /EFI/BOOT/BOOTX64.EFI is there */
    bool rtc_localtime; /* the guest keeps its clock in local time */
    bool virtio_block;  /* its kernel has the drivers (Linux) */
    bool virtio_net;
};

enum finding_level { FINDING_INFO, FINDING_WARNING, FINDING_ERROR };

/* One thing that would stop or hurt the conversion, with its cause and its cure. */
struct finding {
    enum finding_level level;
    char code[32];  /* stable: "no-free-space", "fstab-by-path" */
    char text[512]; /* cause and cure, one phrase */
};

#define GUEST_MAX_FINDINGS 64

struct guest_report {
    struct guest_facts facts;
    size_t n_findings;
    struct finding findings[GUEST_MAX_FINDINGS];
};

void guest_facts_free(struct guest_facts *facts);

/* Add a finding; the 65th and later are dropped (the last place says so). */
void guest_report_add(struct guest_report *report, enum finding_level level, const char *code,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
