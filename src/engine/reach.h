/* Does a name resolve, and does a port answer? */
#ifndef ENGINE_REACH_H
#define ENGINE_REACH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define REACH_LIMIT_NS (INT64_C(5) * 1000000000) /* for one connection to be made */
#define REACH_MAX_ADDRESSES 8

struct reach_address {
    struct sockaddr_storage addr;
    socklen_t len;
    char text[INET6_ADDRSTRLEN];
};

struct reach_addresses {
    size_t n;
    struct reach_address list[REACH_MAX_ADDRESSES];
};

/* ERR_NOT_FOUND: no such name; ERR_UNAVAILABLE: the name servers do not answer. */
int reach_resolve(const char *host, struct reach_addresses *ret, struct err *err);

/* Connect to one of the addresses and hang up. ERR_UNAVAILABLE says of "host:port" what happened:
 * refused (nobody listens there), no answer within the limit (a firewall drops it), no route. */
int reach_port(const char *host, const struct reach_addresses *addresses, unsigned port,
               int64_t limit_ns, struct err *err);

#endif
