/* Storage pools and networks of a libvirt. */
#ifndef PLATFORM_LIBVIRT_POOL_H
#define PLATFORM_LIBVIRT_POOL_H

#include "platform/libvirt-call.h"

/* request->pool into request->found_dir. ERR_NOT_FOUND, with those that there are; ERR_CONFLICT:
 * not active; ERR_INVALID: its volumes are no files. */
int libvirt_pool_find_dir(virConnectPtr conn, struct libvirt_request *request, struct err *err);

/* Have libvirt look at what is in the pool (or in the pool whose directory dir is). That fails
 * while something else works in it, and then it will see the files at the next look: not an error.
 */
void libvirt_pool_refresh(virConnectPtr conn, const struct libvirt_request *request);

/* All into survey: active or not, usable or not and why. */
int libvirt_pool_survey(virConnectPtr conn, struct libvirt_survey *survey, struct err *err);

/* Are all of request->networks there and active? */
int libvirt_networks_check(virConnectPtr conn, const struct libvirt_request *request,
                           struct err *err);

#endif
