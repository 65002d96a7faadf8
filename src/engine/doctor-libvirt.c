/* The doctor: does libvirt answer, and which of its pools can a machine arrive in? */
#include <stdio.h>
#include <sys/statvfs.h>

#include "base/size.h"
#include "engine/doctor-probe.h"
#include "platform/libvirt.h"

#define GROUP "libvirt"
#define VERSION_MAX 64

static void look_at_pool(struct doctor *d, const struct libvirt_pool *pool);

/* libvirt's way to write one: 9000000 is 9.0.0. */
static const char *
version_text(unsigned long version, char text[VERSION_MAX])
{
    snprintf(text, VERSION_MAX, "%lu.%lu.%lu", version / 1000000, version / 1000 % 1000,
             version % 1000);
    return text;
}

void
doctor_libvirt(struct doctor *d)
{
    const char *uri = json_get_str(d->start, "libvirt", NULL);
    char version[VERSION_MAX], qemu[VERSION_MAX];
    struct libvirt_survey survey;
    struct err err = ERR_INIT;
    if (libvirt_survey_make(uri, &survey, &err) < 0) {
        doctor_say(d,
                   &(struct doctor_word){
                       .level = uri ? DOCTOR_ERROR : DOCTOR_WARNING,
                       .group = GROUP,
                       .code = "libvirt",
                       .cause = "-o libvirt defines machines in it; -o local needs it not",
                       .cure = "install and start it if machines are to arrive there (package "
                               "libvirt-daemon-system)",
                   },
                   "%s", err.text);
        return;
    }
    struct doctor_word word = { .group = GROUP, .code = "libvirt", .value = survey.uri };
    if (!survey.kvm) {
        word.level = DOCTOR_WARNING;
        word.cause = "machines are defined for emulation there, which is many times slower";
        word.cure = "use a host with hardware virtualisation, or let libvirt's QEMU open /dev/kvm";
    }
    doctor_say(d, &word, "%s: libvirt %s, hypervisor %s, hardware acceleration %s", survey.uri,
               version_text(survey.version, version), version_text(survey.driver_version, qemu),
               survey.kvm ? "offered" : "not offered");
    for (size_t i = 0; i < survey.n_pools; i++)
        look_at_pool(d, &survey.pools[i]);
    if (survey.n_pools == 0)
        doctor_say(d,
                   &(struct doctor_word){ .level = DOCTOR_WARNING,
                                          .group = GROUP,
                                          .code = "pool",
                                          .cause = "the disks of a machine are put into one",
                                          .cure = "define one (virsh pool-define-as), or name a "
                                                  "directory with -os" },
                   "%s: has no storage pool", survey.uri);
    libvirt_survey_free(&survey);
}

static void
look_at_pool(struct doctor *d, const struct libvirt_pool *pool)
{
    struct statvfs fs;
    char room[SIZE_TEXT_MAX] = "";
    struct doctor_word word = { .group = GROUP, .code = "pool", .value = pool->name };
    if (pool->why) {
        word.level = DOCTOR_WARNING;
        word.cause = pool->why;
        word.cure = !pool->dir     ? "give -os a pool of the type dir, fs or netfs"
                    : pool->active ? "make the directory, and let this user write there"
                                   : "start it with virsh pool-start";
        doctor_say(d, &word, "pool '%s' (%s): no machine can arrive in it", pool->name, pool->type);
        return;
    }
    if (statvfs(pool->dir, &fs) == 0)
        size_format((uint64_t)fs.f_bavail * fs.f_frsize, room);
    doctor_say(d, &word, "pool '%s' (%s): %s, %s free", pool->name, pool->type, pool->dir, room);
}
