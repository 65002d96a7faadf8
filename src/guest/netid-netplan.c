/* The interface names in a netplan file. Not a YAML parser: the block style that installers,
 * cloud-init and people write, by its indentation. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "guest/netid-config.h"

struct line {
    int indent;
    char key[64];
    char value[128];
};

struct interface {
    char id[64];
    char match_name[64], match_mac[64], set_name[64];
    bool matches; /* it has a match: at all */
};

/* Copy len bytes without the quotes and space around them. */
static void
copy_plain(char *ret, size_t size, const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\"'\r", text[0])) {
        text++;
        len--;
    }
    while (len > 0 && strchr(" \t\"'\r", text[len - 1]))
        len--;
    snprintf(ret, size, "%.*s", (int)len, text);
}

/* "  key: value  # comment"; false at the end. A line of another shape has an empty key. */
static bool
next_line(const char **cursor, struct line *ret)
{
    const char *p = *cursor;
    if (!*p)
        return false;
    size_t len = strcspn(p, "\n");
    *cursor = p[len] ? p + len + 1 : p + len;
    *ret = (struct line){ 0 };
    size_t indent = strspn(p, " ");
    if (indent >= len || p[indent] == '#' || p[indent] == '-')
        return true;
    ret->indent = (int)indent;
    const char *text = p + indent;
    len -= indent;
    const char *comment = memmem(text, len, " #", 2);
    if (comment)
        len = (size_t)(comment - text);
    /* The colon that ends a key has a space or nothing behind it; a MAC's has not. */
    for (size_t i = 0; i < len; i++)
        if (text[i] == ':' && (i + 1 == len || isspace((unsigned char)text[i + 1]))) {
            copy_plain(ret->key, sizeof ret->key, text, i);
            copy_plain(ret->value, sizeof ret->value, text + i + 1, len - i - 1);
            break;
        }
    return true;
}

/* An id without a match is the interface's name; with one it is only a label, and what is matched
 * counts. With match and set-name netplan makes the rule itself. */
static void
finish(struct netid_config *config, struct interface *interface, const char *source)
{
    if (!interface->id[0])
        return;
    if (!interface->matches)
        netid_add_name(config, interface->id, strlen(interface->id), NULL, source);
    else if (interface->set_name[0] && interface->match_mac[0])
        netid_add_rule(config, interface->set_name, interface->match_mac);
    else if (interface->match_name[0] && !strpbrk(interface->match_name, "*?["))
        netid_add_name(config, interface->match_name, strlen(interface->match_name),
                       interface->match_mac, source);
    *interface = (struct interface){ 0 };
}

void
netid_read_netplan(struct netid_config *config, const char *text, const char *source)
{
    struct interface interface = { 0 };
    struct line line;
    /* Where the parts begin; -1: we are not in one. */
    int ethernets = -1, ids = -1, match = -1;
    while (next_line(&text, &line)) {
        if (!line.key[0])
            continue;
        if (match >= 0 && line.indent <= match)
            match = -1;
        if (ids >= 0 && line.indent <= ids)
            finish(config, &interface, source);
        if (ethernets >= 0 && line.indent <= ethernets)
            ethernets = ids = -1;
        if (ethernets < 0) {
            if (strcmp(line.key, "ethernets") == 0)
                ethernets = line.indent;
            continue;
        }
        if (ids < 0)
            ids = line.indent;
        if (line.indent == ids) {
            snprintf(interface.id, sizeof interface.id, "%s", line.key);
        } else if (strcmp(line.key, "match") == 0) {
            match = line.indent;
            interface.matches = true;
            /* The flow style, "match: {macaddress: ...}", is common here. */
            const char *mac = strstr(line.value, "macaddress:");
            if (mac)
                copy_plain(interface.match_mac, sizeof interface.match_mac, mac + 11,
                           strcspn(mac + 11, ",}"));
        } else if (strcmp(line.key, "set-name") == 0) {
            snprintf(interface.set_name, sizeof interface.set_name, "%.63s", line.value);
        } else if (match >= 0 && strcmp(line.key, "macaddress") == 0) {
            snprintf(interface.match_mac, sizeof interface.match_mac, "%.63s", line.value);
        } else if (match >= 0 && strcmp(line.key, "name") == 0) {
            snprintf(interface.match_name, sizeof interface.match_name, "%.63s", line.value);
        }
    }
    finish(config, &interface, source);
}
