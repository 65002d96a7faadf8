/* Options as a table: one line each holds the name, what it takes, where it goes and its help. The
 * parser, --help and the completion all read the same table.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

enum opt_type {
    OPT_FLAG,    /* bool: true */
    OPT_BOOL,    /* bool: true for a bare "--x", or as "--x=false" says; as Go reads it */
    OPT_TEXT,    /* const char *: the last one given */
    OPT_MAYBE,   /* const char *: "--x=TEXT", and "" for a bare "--x" */
    OPT_SIZE,    /* uint64_t: bytes, by size_parse */
    OPT_NUMBER,  /* unsigned: 1 to 1,000,000 */
    OPT_COUNT,   /* unsigned: the same or 0, which is as good as not given */
    OPT_LIST,    /* struct opt_list: each time one more */
    OPT_HELP,    /* print help and end */
    OPT_REFUSED, /* known to others, an error here */
};

struct opt {
    char letter;      /* 0: none */
    const char *name; /* without dashes; NULL ends the table */
    const char *arg;  /* what it takes, as help shows it; NULL: nothing */
    enum opt_type type;
    size_t offset;    /* of the field in the command's struct of arguments */
    const char *help; /* NULL: another name of an option, not shown */
};

struct opt_table {
    const struct opt *opts; /* ended by one without a name */
    bool one_dash;          /* long names may have one dash */
    bool shown_with_one;    /* those of up to 2 letters are written so */
    const char *refused_of; /* whose options OPT_REFUSED are; NULL: virt-v2v's */
};

#define OPT_LIST_MAX 256

struct opt_list {
    size_t n;
    const char *values[OPT_LIST_MAX + 1]; /* NULL-terminated; pointers into argv */
};

enum opt_outcome { OPT_OK, OPT_SHOW_HELP };

/* Parse argv[1...] into args, which starts zeroed. Operands may stand between options; they are
 * moved to the end and *ret_first is the index of the first. -1: ERR_INVALID, a complaint. */
int opt_parse(const struct opt_table *table, int argc, char **argv, void *args, int *ret_first,
              enum opt_outcome *ret_outcome, struct err *err);

/* The lines of --help. */
void opt_print_help(const struct opt_table *table, FILE *to);

/* "-os", "--verify": how an option is written, into text; returns text. */
#define OPT_TEXT_MAX 64
const char *opt_text(const struct opt_table *table, const struct opt *opt, char text[OPT_TEXT_MAX]);

#endif
