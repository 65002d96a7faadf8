/* The vCenter or ESXi that a command talks to: as a URL, or by options.
 *
 *   vpx://USER@VCENTER[:PORT][/DATACENTER[/...]][?no_verify=1]     as libvirt and virt-v2v write it
 *   esx://USER@HOST[:PORT][/][?no_verify=1]
 *   https://USER@SERVER[:PORT]                                     what it is, it says itself
 *
 * USER is percent-encoded: user%40domain, DOMAIN%5Cuser. A password has no place in it.
 */
#ifndef CLI_ENDPOINT_H
#define CLI_ENDPOINT_H

#include "cli/option.h"
#include "wire/json.h"

/* The fields that options fill. */
struct endpoint_args {
    const char *server, *user, *password_file, *datacenter, *thumbprint, *ca;
};

/* Rows for a command's table of options; STRUCT has a `struct endpoint_args endpoint`. */
#define ENDPOINT_FIELD(STRUCT, name)                                                               \
    (offsetof(STRUCT, endpoint) + offsetof(struct endpoint_args, name))
#define ENDPOINT_OPTIONS(STRUCT)                                                                   \
    { 0,                                                                                           \
      "server",                                                                                    \
      "NAME[:PORT]",                                                                               \
      OPT_TEXT,                                                                                    \
      ENDPOINT_FIELD(STRUCT, server),                                                              \
      "the vCenter or ESXi, instead of a URL" },                                                   \
        { 'u',                                                                                     \
          "user",                                                                                  \
          "USER",                                                                                  \
          OPT_TEXT,                                                                                \
          ENDPOINT_FIELD(STRUCT, user),                                                            \
          "who logs in, instead of in the URL" },                                                  \
        { 0,                                                                                       \
          "password-file",                                                                         \
          "FILE",                                                                                  \
          OPT_TEXT,                                                                                \
          ENDPOINT_FIELD(STRUCT, password_file),                                                   \
          "its first line is the password (default: ask for it)" },                                \
        { 0,                                                                                       \
          "datacenter",                                                                            \
          "PATH",                                                                                  \
          OPT_TEXT,                                                                                \
          ENDPOINT_FIELD(STRUCT, datacenter),                                                      \
          "only this one: DC, or FOLDER/DC" },                                                     \
        { 0,                                                                                       \
          "thumbprint",                                                                            \
          "HEX",                                                                                   \
          OPT_TEXT,                                                                                \
          ENDPOINT_FIELD(STRUCT, thumbprint),                                                      \
          "SHA-1 or SHA-256 of the server's certificate" },                                        \
    {                                                                                              \
        0, "ca", "FILE", OPT_TEXT, ENDPOINT_FIELD(STRUCT, ca), "the CA that signed it"             \
    }

/* Whether an operand is the URL of an endpoint and not the name of a machine. */
bool endpoint_is_url(const char *text);

/* url may be NULL: then --server says it. The password is read, or asked for on the terminal.
 * *ret_json, owned by the caller, is the endpoint of a start message (docs/protocol.md); it holds
 * the password. ERR_INVALID: something is missing or given twice. */
int endpoint_make(const struct endpoint_args *args, const char *url, json_t **ret_json,
                  struct err *err);

#endif
