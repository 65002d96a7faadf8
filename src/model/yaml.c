#include "model/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* One map must not make the search for a key given twice take long. */
#define MAX_KEYS 1024

/* A list or map whose end has not come yet. */
struct open_node {
    struct yaml_node *node;
    struct yaml_node **tail; /* where its next entry goes */
    char *key;               /* a map's key whose value has not come yet, ... */
    unsigned key_line;       /* ... and where it is */
};

struct reader {
    yaml_parser_t parser;
    const char *text, *name;
    size_t len;
    struct open_node open[YAML_MAX_DEPTH];
    size_t depth; /* how many are open */
    size_t n_nodes;
    bool seen_document;
    struct yaml_node *root;
};

static int read_events(struct reader *reader, struct err *err);
static int on_event(struct reader *reader, const yaml_event_t *event, struct err *err);
static int on_scalar(struct reader *reader, const yaml_event_t *event, struct err *err);
static int on_open(struct reader *reader, const yaml_event_t *event, enum yaml_kind kind,
                   const yaml_char_t *tag, struct err *err);
static void wipe_buffers(yaml_parser_t *parser);
static void wipe_event(yaml_event_t *event);
static struct yaml_node *node_new(enum yaml_kind kind, unsigned line, struct err *err);

int
yaml_tree_read(const char *text, size_t len, const char *name, struct yaml_node **ret,
               struct err *err)
{
    if (len > YAML_MAX_BYTES)
        return err_set(err, ERR_INVALID, "%s: %zu bytes; %zu are the most", name, len,
                       YAML_MAX_BYTES);
    struct reader reader = { .text = text, .len = len, .name = name };
    if (!yaml_parser_initialize(&reader.parser))
        return err_set(err, ERR_UNAVAILABLE, "%s: no memory", name);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, len);

    int result = read_events(&reader, err);
    wipe_buffers(&reader.parser);
    yaml_parser_delete(&reader.parser);
    for (size_t i = 0; i < reader.depth; i++)
        secret_free(reader.open[i].key);
    if (result == 0 && !reader.root) {
        reader.root = node_new(YAML_TEXT, 1, err);
        result = reader.root ? 0 : -1;
    }
    if (result < 0) {
        yaml_tree_free(reader.root);
        return -1;
    }
    *ret = reader.root;
    return 0;
}

/* What a parser has read ahead may be a password. (What it has freed itself is out of reach.) */
static void
wipe_buffers(yaml_parser_t *parser)
{
    if (parser->raw_buffer.start)
        explicit_bzero(parser->raw_buffer.start,
                       (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    if (parser->buffer.start)
        explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
}

static void
wipe_event(yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT)
        explicit_bzero(event->data.scalar.value, event->data.scalar.length);
    yaml_event_delete(event);
}

/* libyaml knows the line of what it cannot read, but only the place of bytes that are no text. */
static int
parser_error(const struct reader *reader, struct err *err)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return err_set(err, ERR_UNAVAILABLE, "%s: no memory", reader->name);
    size_t line = parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < parser->problem_offset && i < reader->len; i++)
            line += reader->text[i] == '\n';
    }
    return err_set(err, ERR_INVALID, "%s:%zu: %s%s%s", reader->name, line,
                   parser->problem ? parser->problem : "not YAML", parser->context ? " " : "",
                   parser->context ? parser->context : "");
}

static int
read_events(struct reader *reader, struct err *err)
{
    for (bool ended = false; !ended;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event))
            return parser_error(reader, err);
        int result = on_event(reader, &event, err);
        ended = event.type == YAML_STREAM_END_EVENT;
        wipe_event(&event);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int
refuse(const struct reader *reader, const yaml_event_t *event, const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s:%zu: %s", reader->name, event->start_mark.line + 1, what);
}

static int
on_event(struct reader *reader, const yaml_event_t *event, struct err *err)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (reader->seen_document)
            return refuse(reader, event, "a second document begins: write one to a file", err);
        reader->seen_document = true;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(reader, event, "an alias (*NAME) is not taken: write the value again", err);
    case YAML_SCALAR_EVENT:
        if (event->data.scalar.anchor)
            return refuse(reader, event, "an anchor (&NAME) is not taken", err);
        return on_scalar(reader, event, err);
    case YAML_SEQUENCE_START_EVENT:
        if (event->data.sequence_start.anchor)
            return refuse(reader, event, "an anchor (&NAME) is not taken", err);
        return on_open(reader, event, YAML_LIST, event->data.sequence_start.tag, err);
    case YAML_MAPPING_START_EVENT:
        if (event->data.mapping_start.anchor)
            return refuse(reader, event, "an anchor (&NAME) is not taken", err);
        return on_open(reader, event, YAML_MAP, event->data.mapping_start.tag, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        return 0;
    default:
        return 0;
    }
}

#define CORE_TAG "tag:yaml.org,2002:"

/* "!!int" and kin say what we look at ourselves; "!!str" and "!" are a text whatever it looks like.
 */
static int
check_tag(const struct reader *reader, const yaml_event_t *event, const yaml_char_t *tag,
          bool *ret_is_text, struct err *err)
{
    static const char *const known[] = { "str",   "int", "bool", "null",
                                         "float", "map", "seq",  "timestamp" };
    const char *name = (const char *)tag;
    *ret_is_text = false;
    if (!tag)
        return 0;
    if (strcmp(name, "!") == 0 || strcmp(name, CORE_TAG "str") == 0) {
        *ret_is_text = true;
        return 0;
    }
    size_t prefix = strlen(CORE_TAG);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(name, CORE_TAG, prefix) == 0 && strcmp(name + prefix, known[i]) == 0)
            return 0;
    return refuse(reader, event, "a tag of one's own (!NAME) is not taken", err);
}

static int
check_entry(const struct reader *reader, const struct open_node *open, const yaml_event_t *event,
            struct err *err)
{
    const struct yaml_node *map = open->node;
    if (map->kind == YAML_MAP && !open->key)
        return refuse(reader, event, "a key is a text, not a list or a map", err);
    return 0;
}

/* Put a node, which is then the tree's, where the reader stands. */
static int
attach(struct reader *reader, const yaml_event_t *event, struct yaml_node *node, struct err *err)
{
    if (reader->depth == 0) {
        reader->root = node;
        return 0;
    }
    struct open_node *open = &reader->open[reader->depth - 1];
    if (check_entry(reader, open, event, err) < 0) {
        yaml_tree_free(node);
        return -1;
    }
    if (open->node->kind == YAML_MAP) {
        node->key = TAKE_PTR(open->key);
        node->line = open->key_line;
    }
    *open->tail = node;
    open->tail = &node->next;
    open->node->n++;
    return 0;
}

static int
count_node(struct reader *reader, const yaml_event_t *event, struct err *err)
{
    if (++reader->n_nodes > YAML_MAX_NODES)
        return refuse(reader, event, "more entries than a file of ours ever has", err);
    return 0;
}

static int
on_open(struct reader *reader, const yaml_event_t *event, enum yaml_kind kind,
        const yaml_char_t *tag, struct err *err)
{
    bool is_text;
    if (count_node(reader, event, err) < 0 || check_tag(reader, event, tag, &is_text, err) < 0)
        return -1;
    if (reader->depth == YAML_MAX_DEPTH)
        return refuse(reader, event, "lists and maps in one another, deeper than any of ours", err);
    struct yaml_node *node = node_new(kind, (unsigned)event->start_mark.line + 1, err);
    if (!node || attach(reader, event, node, err) < 0)
        return -1;
    reader->open[reader->depth++] = (struct open_node){ .node = node, .tail = &node->first };
    return 0;
}

/* A scalar where a map waits for a key. */
static int
on_key(struct reader *reader, const yaml_event_t *event, struct err *err)
{
    struct open_node *open = &reader->open[reader->depth - 1];
    const char *key = (const char *)event->data.scalar.value;
    const struct yaml_node *before = yaml_tree_get(open->node, key);
    if (before)
        return err_set(err, ERR_INVALID, "%s:%zu: '%s' is given twice, first in line %u",
                       reader->name, event->start_mark.line + 1, key, before->line);
    if (open->node->n == MAX_KEYS)
        return refuse(reader, event, "more keys than a map of ours ever has", err);
    open->key = strdup(key);
    open->key_line = (unsigned)event->start_mark.line + 1;
    return open->key ? 0 : err_set(err, ERR_UNAVAILABLE, "%s: no memory", reader->name);
}

static int
on_scalar(struct reader *reader, const yaml_event_t *event, struct err *err)
{
    bool is_text;
    if (count_node(reader, event, err) < 0 ||
        check_tag(reader, event, event->data.scalar.tag, &is_text, err) < 0)
        return -1;
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
        return refuse(reader, event, "a NUL character in a text", err);
    const struct open_node *open = reader->depth ? &reader->open[reader->depth - 1] : NULL;
    if (open && open->node->kind == YAML_MAP && !open->key)
        return on_key(reader, event, err);

    struct yaml_node *node = node_new(YAML_TEXT, (unsigned)event->start_mark.line + 1, err);
    if (!node)
        return -1;
    free(node->text);
    node->text = strdup((const char *)event->data.scalar.value);
    if (!node->text) {
        yaml_tree_free(node);
        return err_set(err, ERR_UNAVAILABLE, "%s: no memory", reader->name);
    }
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_text;
    return attach(reader, event, node, err);
}

/* A text is "", as in an empty document. */
static struct yaml_node *
node_new(enum yaml_kind kind, unsigned line, struct err *err)
{
    struct yaml_node *node = calloc(1, sizeof *node);
    char *text = node && kind == YAML_TEXT ? strdup("") : NULL;
    if (!node || (kind == YAML_TEXT && !text)) {
        free(node);
        err_set(err, ERR_UNAVAILABLE, "no memory");
        return NULL;
    }
    node->kind = kind;
    node->line = line;
    node->text = text;
    node->plain = true;
    return node;
}

struct yaml_node *
yaml_tree_get(const struct yaml_node *map, const char *key)
{
    if (map->kind != YAML_MAP)
        return NULL;
    for (struct yaml_node *entry = map->first; entry; entry = entry->next)
        if (strcmp(entry->key, key) == 0)
            return entry;
    return NULL;
}

bool
yaml_node_is_null(const struct yaml_node *node)
{
    static const char *const words[] = { "", "~", "null", "Null", "NULL" };
    if (node->kind != YAML_TEXT || !node->plain)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(node->text, words[i]) == 0)
            return true;
    return false;
}

/* Recursion is bounded by YAML_MAX_DEPTH. */
void
yaml_tree_free(struct yaml_node *root)
{
    if (!root)
        return;
    for (struct yaml_node *entry = root->first, *next; entry; entry = next) {
        next = entry->next;
        yaml_tree_free(entry);
    }
    secret_free(root->key);
    secret_free(root->text);
    free(root);
}

void
yaml_tree_cleanup(struct yaml_node **root)
{
    yaml_tree_free(*root);
}
