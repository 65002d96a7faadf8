/* The command line of virt-v2v, parsed. */
#ifndef CLI_V2V_H
#define CLI_V2V_H

#include "cli/option.h"
#include "cli/output.h"

struct v2v_args {
    const char *input, *input_format;
    const char *connection, *transport, *password_file;
    struct opt_list input_options;
    bool snapshot;
    const char *output, *output_connection, *storage, *disk_format, *allocation, *name;

    struct opt_list macs, networks, bridges, keys;
    bool keys_from_stdin;
    const char *root, *block_driver;
    unsigned memsize_mib;
    bool no_fstrim, no_convert, trace;

    uint64_t limit_bytes_s;
    bool verify, discard;

    bool print_source, version;
    const char *machine_readable; /* NULL: not given */
    struct output_options output_how;
};

extern const struct opt v2v_options[];

/* -o, or its default. */
const char *v2v_output(const struct v2v_args *args);

/* What can be said about the options alone, in virt-v2v's words where it has some. ERR_INVALID. */
int v2v_check(const struct v2v_args *args, int n_operands, struct err *err);

/* The same of -i libvirt and what goes with it (v2v-source.c); check: with -print-source, too. */
int v2v_check_connection(const struct v2v_args *args, struct err *err);

/* The "input" of the job of -i libvirt: a vCenter, an ESXi or a Xen host. Reads the password's
 * file, or asks for the password of a vSphere at the terminal. */
int v2v_connection_job(const struct v2v_args *args, const char *machine, json_t **ret,
                       struct err *err);

/* Print the keys of -io, for "-io ?". */
bool v2v_print_input_options(const struct v2v_args *args);

/* The job for vmferry-worker (engine/job.h). Reads stdin for --keys-from-stdin. */
int v2v_job(const struct v2v_args *args, char *const *operands, json_t **ret_job, struct err *err);

/* --print-source: the source of a "describe" result, as virt-v2v prints it. */
void v2v_print_source(const json_t *source);

#endif
