#include "descriptor/osid.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"

/* Whole names first: what vSphere calls "windows9" is Windows 10, and the server versions are named
 * after the one before them. Source: vSphere API, VirtualMachineGuestOsIdentifier. */
static const struct {
    const char *type; /* without "Guest" and "_64" */
    const char *id;
} names[] = {
    { "winxppro", "http://microsoft.com/win/xp" },
    { "winnetstandard", "http://microsoft.com/win/2k3" },
    { "winnetenterprise", "http://microsoft.com/win/2k3" },
    { "winlonghorn", "http://microsoft.com/win/2k8" },
    { "windows7", "http://microsoft.com/win/7" },
    { "windows7server", "http://microsoft.com/win/2k8r2" },
    { "windows8", "http://microsoft.com/win/8" },
    { "windows8server", "http://microsoft.com/win/2k12" },
    { "windows9", "http://microsoft.com/win/10" },
    { "windows9server", "http://microsoft.com/win/2k16" },
    { "windows2019srv", "http://microsoft.com/win/2k19" },
    { "windows2019srvnext", "http://microsoft.com/win/2k22" },
    { "windows2022srvnext", "http://microsoft.com/win/2k25" },
    { "windows11", "http://microsoft.com/win/11" },
    { "sles15", "http://suse.com/sle/15" },
    { "rhel5", "http://redhat.com/rhel/5.0" },
    { "centos5", "http://centos.org/centos/5.0" },
    { "centos6", "http://centos.org/centos/6.0" },
    { "centos7", "http://centos.org/centos/7.0" },
    { "centos8", "http://centos.org/centos/8" },
    { "centos9", "http://centos.org/centos-stream/9" },
    /* VirtualBox */
    { "windows10", "http://microsoft.com/win/10" },
    { "windows81", "http://microsoft.com/win/8.1" },
    { "windows2008", "http://microsoft.com/win/2k8" },
    { "windows2012", "http://microsoft.com/win/2k12" },
    { "windows2016", "http://microsoft.com/win/2k16" },
    { "windows2019", "http://microsoft.com/win/2k19" },
    { "windows2022", "http://microsoft.com/win/2k22" },
};

/* A name and a number: "debian12", "rhel9". */
static const struct {
    const char *word;
    const char *before, *after;
} families[] = {
    { "debian", "http://debian.org/debian/", "" },
    { "rhel", "http://redhat.com/rhel/", "-unknown" },
    { "oraclelinux", "http://oracle.com/ol/", ".0" },
    { "sles", "http://suse.com/sles/", "" },
    { "freebsd", "http://freebsd.org/freebsd/", ".0" },
};

bool
osid_from_vmware(const char *type, char ret_id[OSID_MAX])
{
    char plain[64];
    size_t len = 0;
    for (const char *c = type; *c && len < sizeof plain - 1; c++)
        plain[len++] = (char)tolower((unsigned char)*c);
    plain[len] = '\0';
    static const char *const endings[] = { "guest", "64", "_" };
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcmp(plain + len - ending, endings[i]) == 0)
            plain[len -= ending] = '\0';
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(plain, names[i].type) == 0) {
            snprintf(ret_id, OSID_MAX, "%s", names[i].id);
            return true;
        }
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        size_t word = strlen(families[i].word);
        if (strncmp(plain, families[i].word, word) != 0)
            continue;
        const char *digits = plain + word;
        size_t n = strspn(digits, "0123456789");
        if (n == 0 || n > 2 || digits[n])
            return false;
        snprintf(ret_id, OSID_MAX, "%s%s%s", families[i].before, digits, families[i].after);
        return true;
    }
    return false;
}
