#include "disk/written.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* One chunk: a bit a cluster. */
struct page {
    uint64_t bits[MAP_CHUNK_CLUSTERS / 64];
    unsigned n;
};

struct written {
    pthread_mutex_t lock;
    uint64_t n_clusters, n_written;
    size_t n_pages;
    struct page **pages; /* NULL: nothing; &full: everything */
};

/* Never looked into. */
static struct page full;

int
written_new(uint64_t disk_bytes, struct written **ret, struct err *err)
{
    struct written *written = calloc(1, sizeof *written);
    if (!written)
        return err_errno(err, ENOMEM, "list of what is written");
    pthread_mutex_init(&written->lock, NULL);
    written->n_clusters = div_up(disk_bytes, CLUSTER_BYTES);
    written->n_pages = (size_t)div_up(written->n_clusters, MAP_CHUNK_CLUSTERS);
    written->pages = calloc(written->n_pages, sizeof(struct page *));
    if (!written->pages) {
        written_free(written);
        return err_errno(err, ENOMEM, "list of what is written");
    }
    *ret = written;
    return 0;
}

void
written_free(struct written *written)
{
    if (!written)
        return;
    for (size_t i = 0; written->pages && i < written->n_pages; i++)
        if (written->pages[i] != &full)
            free(written->pages[i]);
    free(written->pages);
    pthread_mutex_destroy(&written->lock);
    free(written);
}

static uint64_t
page_clusters(const struct written *written, size_t number)
{
    uint64_t first = (uint64_t)number * MAP_CHUNK_CLUSTERS;
    return MIN((uint64_t)MAP_CHUNK_CLUSTERS, written->n_clusters - first);
}

/* Clusters [at, at + n) of one page. */
static int
add_to_page(struct written *written, size_t number, uint64_t at, uint64_t n, struct err *err)
{
    struct page *page = written->pages[number];
    if (page == &full)
        return 0;
    if (!page && !(page = written->pages[number] = calloc(1, sizeof *page)))
        return err_errno(err, ENOMEM, "list of what is written");
    for (uint64_t i = at; i < at + n; i++) {
        uint64_t bit = UINT64_C(1) << i % 64;
        written->n_written += !(page->bits[i / 64] & bit);
        page->n += !(page->bits[i / 64] & bit);
        page->bits[i / 64] |= bit;
    }
    if (page->n == page_clusters(written, number)) {
        free(page);
        written->pages[number] = &full;
    }
    return 0;
}

int
written_add(struct written *written, uint64_t first, uint64_t n, struct err *err)
{
    int r = 0;
    pthread_mutex_lock(&written->lock);
    while (r == 0 && n > 0) {
        size_t number = (size_t)(first / MAP_CHUNK_CLUSTERS);
        uint64_t at = first % MAP_CHUNK_CLUSTERS;
        uint64_t now = MIN(n, MAP_CHUNK_CLUSTERS - at);
        r = add_to_page(written, number, at, now, err);
        first += now;
        n -= now;
    }
    pthread_mutex_unlock(&written->lock);
    return r;
}

static bool
has(const struct written *written, uint64_t cluster)
{
    const struct page *page = written->pages[cluster / MAP_CHUNK_CLUSTERS];
    uint64_t at = cluster % MAP_CHUNK_CLUSTERS;
    return page == &full || (page && page->bits[at / 64] >> at % 64 & 1);
}

/* A whole page, or a word of one, has nothing: on to the next. */
static uint64_t
skip_empty(const struct written *written, uint64_t cluster)
{
    while (cluster < written->n_clusters && !has(written, cluster)) {
        const struct page *page = written->pages[cluster / MAP_CHUNK_CLUSTERS];
        uint64_t at = cluster % MAP_CHUNK_CLUSTERS;
        if (!page)
            cluster += MAP_CHUNK_CLUSTERS - at;
        else if (!page->bits[at / 64])
            cluster += 64 - at % 64;
        else
            cluster++;
    }
    return cluster;
}

bool
written_next(struct written *written, uint64_t from, uint64_t max, uint64_t *ret_first,
             uint64_t *ret_n)
{
    pthread_mutex_lock(&written->lock);
    uint64_t first = skip_empty(written, from), n = 0;
    while (n < max && first + n < written->n_clusters && has(written, first + n))
        n++;
    pthread_mutex_unlock(&written->lock);
    *ret_first = first;
    *ret_n = n;
    return n > 0;
}

uint64_t
written_count(struct written *written)
{
    pthread_mutex_lock(&written->lock);
    uint64_t n = written->n_written;
    pthread_mutex_unlock(&written->lock);
    return n;
}
