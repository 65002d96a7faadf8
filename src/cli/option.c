#include "cli/option.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

#define OPT_TABLE_MAX 128
#define NUMBER_MAX 1000000
#define HELP_COLUMN 26

/* getopt_long gives this plus the index of a long option. */
#define LONG_BASE 1000

struct getopt_tables {
    char letters[2 * OPT_TABLE_MAX + 2];
    struct option longs[OPT_TABLE_MAX + 1];
};

static void fill_tables(const struct opt_table *table, struct getopt_tables *ret);
static int apply(const struct opt_table *table, const struct opt *opt, const char *value,
                 void *args, struct err *err);
static int complain(int argc, char **argv, bool missing_argument, struct err *err);

int
opt_parse(const struct opt_table *table, int argc, char **argv, void *args, int *ret_first,
          enum opt_outcome *ret_outcome, struct err *err)
{
    struct getopt_tables tables;
    fill_tables(table, &tables);
    *ret_outcome = OPT_OK;
    optind = 0; /* glibc: start anew */
    opterr = 0;
    for (;;) {
        int c = (table->one_dash ? getopt_long_only : getopt_long)(argc, argv, tables.letters,
                                                                   tables.longs, NULL);
        if (c == -1)
            break;
        if (c == '?' || c == ':')
            return complain(argc, argv, c == ':', err);
        const struct opt *opt = table->opts;
        if (c >= LONG_BASE)
            opt += c - LONG_BASE;
        else
            while (opt->letter != c)
                opt++;
        if (opt->type == OPT_HELP)
            *ret_outcome = OPT_SHOW_HELP;
        else if (apply(table, opt, optarg, args, err) < 0)
            return -1;
    }
    *ret_first = optind;
    return 0;
}

static int
has_arg(const struct opt *opt)
{
    if (opt->type == OPT_BOOL || opt->type == OPT_MAYBE)
        return optional_argument;
    return opt->arg ? required_argument : no_argument;
}

static void
fill_tables(const struct opt_table *table, struct getopt_tables *ret)
{
    char *letter = ret->letters;
    size_t n = 0;
    *letter++ = ':'; /* tell a missing argument from an unknown option */
    for (const struct opt *opt = table->opts; opt->name && n < OPT_TABLE_MAX; opt++, n++) {
        if (opt->letter)
            *letter++ = opt->letter;
        if (opt->letter && opt->arg)
            *letter++ = ':';
        ret->longs[n] = (struct option){
            .name = opt->name,
            .has_arg = has_arg(opt),
            .val = LONG_BASE + (int)n,
        };
    }
    *letter = '\0';
    ret->longs[n] = (struct option){ .name = NULL };
}

static int
complain(int argc, char **argv, bool missing_argument, struct err *err)
{
    /* After a letter in a group ("-qz") optind still stands on the group; optopt is the letter. */
    char letter[3] = { '-', (char)optopt, '\0' };
    bool is_letter = optopt > 0 && optopt < LONG_BASE;
    const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "?";
    const char *name = is_letter ? letter : word;
    if (missing_argument)
        return err_set(err, ERR_INVALID, "option '%s' needs a value", name);
    if (optopt >= LONG_BASE)
        return err_set(err, ERR_INVALID, "option '%s' takes no value", name);
    return err_set(err, ERR_INVALID, "unknown or ambiguous option '%s'", name);
}

/* ---- storing ---- */

static int
parse_number(const char *text, unsigned least, unsigned *ret, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < least || n > NUMBER_MAX)
        return err_set(err, ERR_INVALID, "'%s' is not a number from %u to %d", text, least,
                       NUMBER_MAX);
    *ret = (unsigned)n;
    return 0;
}

static int
parse_bool(const char *text, bool *ret, struct err *err)
{
    static const char *const words[2][7] = {
        { "false", "0", "f", "F", "FALSE", "False", NULL },
        { "true", "1", "t", "T", "TRUE", "True", NULL },
    };
    for (unsigned value = 0; value < 2; value++)
        for (const char *const *word = words[value]; *word; word++)
            if (strcmp(text, *word) == 0) {
                *ret = value;
                return 0;
            }
    return err_set(err, ERR_INVALID, "'%s' is neither true nor false", text);
}

static int
list_add(struct opt_list *list, const char *value, struct err *err)
{
    if (list->n == OPT_LIST_MAX)
        return err_set(err, ERR_INVALID, "given more than %d times", OPT_LIST_MAX);
    list->values[list->n++] = value;
    return 0;
}

static int
apply(const struct opt_table *table, const struct opt *opt, const char *value, void *args,
      struct err *err)
{
    char name[OPT_TEXT_MAX];
    void *field = (char *)args + opt->offset;
    int r = 0;
    switch (opt->type) {
    case OPT_FLAG:
        *(bool *)field = true;
        break;
    case OPT_TEXT:
        *(const char **)field = value;
        break;
    case OPT_MAYBE:
        *(const char **)field = value ? value : "";
        break;
    case OPT_SIZE:
        r = size_parse(value, field, err);
        break;
    case OPT_NUMBER:
        r = parse_number(value, 1, field, err);
        break;
    case OPT_COUNT:
        r = parse_number(value, 0, field, err);
        break;
    case OPT_BOOL:
        r = parse_bool(value ? value : "true", field, err);
        break;
    case OPT_LIST:
        r = list_add(field, value, err);
        break;
    case OPT_REFUSED:
        return err_set(err, ERR_INVALID, "%s is not supported by this version of vmferry",
                       opt_text(table, opt, name));
    case OPT_HELP:
        break;
    }
    return r < 0 ? err_prefix(err, "%s", opt_text(table, opt, name)) : 0;
}

/* ---- showing ---- */

const char *
opt_text(const struct opt_table *table, const struct opt *opt, char text[OPT_TEXT_MAX])
{
    bool one = table->shown_with_one && strlen(opt->name) <= 2;
    snprintf(text, OPT_TEXT_MAX, "%s%s", one ? "-" : "--", opt->name);
    return text;
}

static void
print_option(const struct opt_table *table, const struct opt *opt, FILE *to)
{
    char name[OPT_TEXT_MAX], left[2 * OPT_TEXT_MAX];
    int n = 0;
    /* A letter that is the name ("-i") is shown once. */
    bool same = opt->letter && opt->name[0] == opt->letter && opt->name[1] == '\0';
    if (opt->letter && !same)
        n = snprintf(left, sizeof left, "-%c, ", opt->letter);
    snprintf(left + n, sizeof left - (size_t)n, "%s%s%s", opt_text(table, opt, name),
             !opt->arg                ? ""
             : opt->type == OPT_MAYBE ? "=" /* shown with its brackets in arg */
                                      : " ",
             opt->arg ? opt->arg : "");
    if (strlen(left) >= HELP_COLUMN)
        fprintf(to, "  %s\n  %*s%s\n", left, HELP_COLUMN, "", opt->help);
    else
        fprintf(to, "  %-*s%s\n", HELP_COLUMN, left, opt->help);
}

void
opt_print_help(const struct opt_table *table, FILE *to)
{
    for (const struct opt *opt = table->opts; opt->name; opt++)
        if (opt->type != OPT_REFUSED && opt->help)
            print_option(table, opt, to);

    bool any = false;
    size_t column = 0;
    for (const struct opt *opt = table->opts; opt->name; opt++) {
        if (opt->type != OPT_REFUSED || !opt->help)
            continue;
        char name[OPT_TEXT_MAX];
        if (!any)
            fprintf(to, "\nKnown from %s and refused by name:",
                    table->refused_of ? table->refused_of : "virt-v2v");
        any = true;
        size_t len = strlen(opt_text(table, opt, name)) + 1;
        if (column == 0 || column + len > 80) {
            fprintf(to, "\n ");
            column = 1;
        }
        fprintf(to, " %s", name);
        column += len;
    }
    if (any)
        fprintf(to, "\n");
}
