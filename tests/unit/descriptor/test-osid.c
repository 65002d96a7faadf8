#include "descriptor/osid.h"

#include <stddef.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"

static void
names_of_vsphere_and_virtualbox_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *type, *id;
    } good[] = {
        { "debian12_64Guest", "http://debian.org/debian/12" },
        { "debian9Guest", "http://debian.org/debian/9" },
        { "rhel9_64Guest", "http://redhat.com/rhel/9-unknown" },
        { "centos7_64Guest", "http://centos.org/centos/7.0" },
        { "centos9_64Guest", "http://centos.org/centos-stream/9" },
        { "oracleLinux8_64Guest", "http://oracle.com/ol/8.0" },
        { "sles12_64Guest", "http://suse.com/sles/12" },
        { "sles15_64Guest", "http://suse.com/sle/15" },
        { "windows9_64Guest", "http://microsoft.com/win/10" },
        { "windows9Server64Guest", "http://microsoft.com/win/2k16" },
        { "windows2019srv_64Guest", "http://microsoft.com/win/2k19" },
        { "windows2019srvNext_64Guest", "http://microsoft.com/win/2k22" },
        { "winNetStandardGuest", "http://microsoft.com/win/2k3" },
        { "Windows10_64", "http://microsoft.com/win/10" },
        { "Windows2022_64", "http://microsoft.com/win/2k22" },
    };
    static const char *const unknown[] = {
        "ubuntu64Guest",   "otherGuest",          "Debian_64",       "",     "debian",
        "debian1000Guest", "other5xLinux64Guest", "rhel9extraGuest", "Guest"
    };
    char id[OSID_MAX];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!osid_from_vmware(good[i].type, id))
            fail_msg("%s is not known", good[i].type);
        assert_string_equal(id, good[i].id);
    }
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        if (osid_from_vmware(unknown[i], id))
            fail_msg("'%s' became %s", unknown[i], id);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_vsphere_and_virtualbox_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
