/* The conversation with the NFC server of the lab (lab/vsphere/nfc.py); README.md has the protocol.
 *
 * A line is a word and then name=value pairs, values percent-coded. The connection lives as long as
 * the disk is open: the server counts it, arms faults over it, and cuts it to end the disk.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disk.h"

#define LINE_BYTES (16 * 1024)
#define TIMEOUT_S 60
#define RULES_MAX 64

struct rule {
    uint64_t id;
    uint64_t first, times; /* by number of the reads of this handle; first 0: each */
    struct fault fault;
    bool armed;
};

struct remote {
    int fd;
    size_t n_in;
    char in[LINE_BYTES];
    pthread_t listener;
    bool has_listener;
    pthread_mutex_t lock;
    struct rule rules[RULES_MAX];
    unsigned n_rules;
    _Atomic uint64_t reads;
    _Atomic uint64_t lost;
    struct host_line *line;
};

struct words {
    char text[LINE_BYTES];
    size_t n;
};

static uint64_t greet(struct remote *remote, const struct vix_connection *connection);
static void arm(struct remote *remote, const char *line);
static void *listen_to_server(void *arg);

/* ---- lines ---- */

static void
word_add(struct words *words, const char *name, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t room = sizeof words->text - words->n;
    int n = snprintf(words->text + words->n, room, " %s=", name);
    if (n < 0 || (size_t)n + 3 * strlen(value) + 2 > room)
        violation("%s is too long for the lab", name);
    char *to = words->text + words->n + n;
    for (const char *c = value; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("-._:/", *c)) {
            *to++ = *c;
        } else {
            *to++ = '%';
            *to++ = hex[(unsigned char)*c >> 4];
            *to++ = hex[(unsigned char)*c & 15];
        }
    }
    *to = '\0';
    words->n = (size_t)(to - words->text);
}

/* The value of a name in a line, "" when it is not there. */
static void
word_get(const char *line, const char *name, char *ret, size_t size)
{
    size_t len = strlen(name);
    ret[0] = '\0';
    for (line = strchr(line, ' '); line; line = strchr(line, ' ')) {
        line++;
        if (strncmp(line, name, len) != 0 || line[len] != '=')
            continue;
        line += len + 1;
        size_t n = 0;
        while (*line && *line != ' ' && n + 1 < size) {
            unsigned code = (unsigned char)*line;
            if (*line == '%' && sscanf(line + 1, "%2x", &code) == 1)
                line += 2;
            ret[n++] = (char)code;
            line++;
        }
        ret[n] = '\0';
        return;
    }
}

static uint64_t
word_number(const char *line, const char *name)
{
    char text[32];
    word_get(line, name, text, sizeof text);
    return strtoull(text, NULL, 0);
}

static int
send_line(struct remote *remote, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t put = send(remote->fd, text, len, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        text += put;
        len -= (size_t)put;
    }
    return 0;
}

/* One line without its newline; -1: the connection has ended. */
static int
receive_line(struct remote *remote, char *ret)
{
    for (;;) {
        char *end = memchr(remote->in, '\n', remote->n_in);
        if (end) {
            size_t n = (size_t)(end - remote->in);
            memcpy(ret, remote->in, n);
            ret[n] = '\0';
            remote->n_in -= n + 1;
            memmove(remote->in, end + 1, remote->n_in);
            return 0;
        }
        if (remote->n_in == sizeof remote->in)
            violation("the NFC server of the lab sends a line without an end");
        ssize_t got =
            recv(remote->fd, remote->in + remote->n_in, sizeof remote->in - remote->n_in, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        remote->n_in += (size_t)got;
    }
}

/* ---- open ---- */

static uint64_t
connect_to(const char *host, uint32_t port, int *ret_fd)
{
    char service[16];
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        log_line(LOG_WARN, "NfcNewAuthdConnectionEx: cannot resolve %s", host);
        return VIX_E_HOST_SERVER_NOT_FOUND;
    }
    int error = 0;
    int fd = -1;
    for (const struct addrinfo *it = found; it && fd < 0; it = it->ai_next) {
        const struct timeval limit = { .tv_sec = TIMEOUT_S };
        fd = socket(it->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (connect(fd, it->ai_addr, it->ai_addrlen) < 0) {
            error = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    *ret_fd = fd;
    if (fd >= 0)
        return VIX_OK;
    log_line(LOG_WARN, "NfcNewAuthdConnectionEx: Failed to connect to %s:%u: %s", host, port,
             strerror(error));
    return error == ECONNREFUSED ? VIX_E_HOST_NETWORK_CONN_REFUSED : VIX_E_HOST_TCP_SOCKET_ERROR;
}

static struct host_line *
map_line(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED
                     : mmap(NULL, HOST_LINE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        violation("the lab's line file %s: %s", path, strerror(errno));
    close(fd);
    return p;
}

static uint64_t
ask(struct remote *remote, const struct remote_open *what, char *reply)
{
    const struct vix_connection *connection = what->connection;
    struct words words = { .text = "OPEN", .n = 4 };
    bool session = connection->cred_type == VIX_CRED_SESSIONID;
    char number[16];
    word_add(&words, "user", connection_word(connection, "userName"));
    word_add(&words, "password", connection_word(connection, session ? "key" : "password"));
    if (session)
        word_add(&words, "cookie", connection_word(connection, "cookie"));
    word_add(&words, "vm", connection_word(connection, "vmxSpec"));
    if (connection->snapshot)
        word_add(&words, "snapshot", connection->snapshot);
    word_add(&words, "path", what->path);
    word_add(&words, "transport", what->transport);
    snprintf(number, sizeof number, "%u", what->flags);
    word_add(&words, "flags", number);
    word_add(&words, "readonly", connection->read_only ? "1" : "0");
    snprintf(number, sizeof number, "%u", variant.major);
    word_add(&words, "major", number);
    words.text[words.n++] = '\n';
    int r = send_line(remote, words.text, words.n);
    explicit_bzero(&words, sizeof words);
    /* Faults that are armed already come before the answer, so that they meet the first reads. */
    while (r == 0 && (r = receive_line(remote, reply)) == 0 && strncmp(reply, "RULE ", 5) == 0)
        arm(remote, reply);
    if (r < 0) {
        log_line(LOG_WARN, "NfcFssrvrOpen: the connection was lost");
        return VIX_E_HOST_TCP_CONN_LOST;
    }
    if (strncmp(reply, "OK ", 3) == 0)
        return VIX_OK;
    char text[512];
    word_get(reply, "text", text, sizeof text);
    log_line(LOG_WARN, "NfcFssrvrOpen: %s", text);
    uint64_t code = word_number(reply, "code");
    return code ? code : VIX_E_FAIL;
}

static uint64_t
take_disk(const struct remote_open *what, const char *reply, struct backing **ret)
{
    char path[PATH_BYTES], kind[16];
    word_get(reply, "kind", kind, sizeof kind);
    word_get(reply, "file", path, sizeof path);
    uint64_t sectors = word_number(reply, "capacity");
    uint64_t r = strcmp(kind, "nbd") == 0 ? backing_open_nbd(path, what->lanes, sectors, ret)
                                          : backing_open_raw(path, sectors, ret);
    if (r != VIX_OK)
        return r;
    char uuid[128];
    word_get(reply, "uuid", uuid, sizeof uuid);
    (*ret)->uuid = *uuid ? strdup(uuid) : NULL;
    (*ret)->num_links = (int)word_number(reply, "links");
    (*ret)->sector_bytes = (uint32_t)word_number(reply, "sector");
    (*ret)->adapter_type = (int)word_number(reply, "adapter");
    return VIX_OK;
}

uint64_t
remote_open(const struct remote_open *what, struct remote **ret, struct backing **backing,
            struct host_line **line, unsigned *slot)
{
    struct remote *remote = calloc(1, sizeof *remote);
    char *reply = malloc(LINE_BYTES);
    if (!remote || !reply)
        violation("no memory for a connection");
    pthread_mutex_init(&remote->lock, NULL);
    remote->fd = -1;
    uint64_t r = connect_to(connection_word(what->connection, "serverName"),
                            what->connection->nfc_port, &remote->fd);
    if (r == VIX_OK)
        r = greet(remote, what->connection);
    if (r == VIX_OK)
        r = ask(remote, what, reply);
    if (r == VIX_OK)
        r = take_disk(what, reply, backing);
    if (r == VIX_OK) {
        const struct timeval forever = { 0 };
        char path[PATH_BYTES];
        setsockopt(remote->fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
        word_get(reply, "line", path, sizeof path);
        remote->line = map_line(path);
        *line = remote->line;
        *slot = (unsigned)word_number(reply, "slot");
        remote->has_listener =
            pthread_create(&remote->listener, NULL, listen_to_server, remote) == 0;
        *ret = remote;
    } else {
        remote_close(remote);
    }
    free(reply);
    return r;
}

static uint64_t
greet(struct remote *remote, const struct vix_connection *connection)
{
    char line[LINE_BYTES], actual[128];
    if (receive_line(remote, line) < 0 || strncmp(line, "220 ", 4) != 0 ||
        receive_line(remote, line) < 0 || strncmp(line, "LAB-NFC 1 ", 10) != 0) {
        log_line(LOG_WARN, "NfcNewAuthdConnectionEx: port %u does not answer as NFC does",
                 connection->nfc_port);
        return VIX_E_HOST_TCP_CONN_LOST;
    }
    if (word_number(line, "https_port") != connection->port) {
        log_line(LOG_WARN, "Cannot connect to host: nobody answers at port %u", connection->port);
        return VIX_E_CANNOT_CONNECT_TO_HOST;
    }
    const char *expected = connection_word(connection, "thumbPrint");
    /* SHA-1 has 20 pairs, SHA-256 32, which only later versions understand. */
    bool long_one = variant.major >= 9 && strlen(expected) > 59;
    word_get(line, long_one ? "thumbprint_sha256" : "thumbprint", actual, sizeof actual);
    if (*expected && strcmp(actual, expected) != 0) {
        log_line(LOG_INFO, "VixDiskLibVim: certificate: actual thumbprint=%s expected=%s", actual,
                 expected);
        return VIX_E_FAIL;
    }
    return VIX_OK;
}

void
remote_close(struct remote *remote)
{
    if (!remote)
        return;
    if (remote->fd >= 0) {
        send_line(remote, "CLOSE\n", 6);
        shutdown(remote->fd, SHUT_WR);
    }
    if (remote->has_listener) /* ends when the server has closed its side: it knows then */
        pthread_join(remote->listener, NULL);
    if (remote->fd >= 0)
        close(remote->fd);
    if (remote->line)
        munmap(remote->line, HOST_LINE_BYTES);
    pthread_mutex_destroy(&remote->lock);
    free(remote);
}

/* ---- while it is open ---- */

static void
arm(struct remote *remote, const char *line)
{
    static const struct {
        const char *name;
        enum fault_action action;
    } actions[] = {
        { "fail", FAULT_FAIL }, { "crash", FAULT_CRASH }, { "abort", FAULT_ABORT },
        { "hang", FAULT_HANG }, { "lost", FAULT_LOST },
    };
    char action[16];
    word_get(line, "action", action, sizeof action);
    if (remote->n_rules == RULES_MAX)
        violation("the lab arms more than %d faults on one disk", RULES_MAX);
    struct rule *rule = &remote->rules[remote->n_rules];
    rule->id = word_number(line, "id");
    uint64_t nth = word_number(line, "nth");
    rule->first = nth ? atomic_load(&remote->reads) + nth : 0;
    rule->times = word_number(line, "times");
    rule->fault.value = word_number(line, "value");
    for (unsigned i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(action, actions[i].name) == 0) {
            rule->fault.action = actions[i].action;
            rule->armed = true;
        }
    if (!rule->armed)
        violation("the lab wants the fault \"%s\"", action);
    remote->n_rules++;
}

static void
disarm(struct remote *remote, uint64_t id)
{
    for (unsigned i = 0; i < remote->n_rules; i++)
        if (remote->rules[i].id == id)
            remote->rules[i--] = remote->rules[--remote->n_rules];
}

static void *
listen_to_server(void *arg)
{
    struct remote *remote = arg;
    char *line = malloc(LINE_BYTES);
    while (line && receive_line(remote, line) == 0) {
        pthread_mutex_lock(&remote->lock);
        if (strncmp(line, "RULE ", 5) == 0)
            arm(remote, line);
        else if (strncmp(line, "DISARM ", 7) == 0)
            disarm(remote, word_number(line, "id"));
        pthread_mutex_unlock(&remote->lock);
    }
    free(line);
    atomic_store(&remote->lost, VIX_E_HOST_TCP_CONN_LOST);
    return NULL;
}

uint64_t
remote_state(struct remote *remote)
{
    return atomic_load(&remote->lost);
}

bool
remote_fault(struct remote *remote, uint64_t number, struct fault *ret)
{
    atomic_store(&remote->reads, number);
    bool hit = false;
    pthread_mutex_lock(&remote->lock);
    for (unsigned i = 0; i < remote->n_rules && !hit; i++) {
        const struct rule *rule = &remote->rules[i];
        hit = rule->first == 0 || (number >= rule->first && number - rule->first < rule->times);
        if (!hit)
            continue;
        char said[64];
        *ret = rule->fault;
        int n = snprintf(said, sizeof said, "FIRED id=%llu\n", (unsigned long long)rule->id);
        send_line(remote, said, (size_t)n);
    }
    pthread_mutex_unlock(&remote->lock);
    return hit;
}
