/* The library's threads of one handle.
 *
 * A request lies in the queue, ordered by the moment at which its data have arrived, until a thread
 * takes it. One thread at a time sleeps until the first one is due, the others sleep until there is
 * anything: so many requests of the same moment wake as many threads as there are, and no more.
 */
#include <stdlib.h>
#include <time.h>

#include "disk.h"

static void *work(void *arg);

struct worker {
    struct vix_handle *handle;
    unsigned lane;
};

void
queue_init(struct vix_handle *handle)
{
    struct queue *queue = &handle->queue;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->ready, &attr);
    pthread_cond_init(&queue->idle, NULL);
    pthread_condattr_destroy(&attr);
}

/* The threads come with the first asynchronous request. */
static void
start_threads(struct vix_handle *handle)
{
    struct queue *queue = &handle->queue;
    queue->running = true;
    for (unsigned i = 0; i < settings.threads; i++) {
        struct worker *worker = malloc(sizeof *worker);
        if (!worker)
            violation("no memory for a thread of the library");
        *worker = (struct worker){ handle, i };
        if (pthread_create(&queue->threads[queue->n_threads], NULL, work, worker) != 0)
            violation("no thread for the library");
        queue->n_threads++;
    }
}

void
queue_add(struct vix_handle *handle, struct request *request)
{
    struct queue *queue = &handle->queue;
    pthread_mutex_lock(&queue->lock);
    if (!queue->running)
        start_threads(handle);
    struct request **link = &queue->head;
    while (*link && (*link)->due_ns <= request->due_ns)
        link = &(*link)->next;
    request->next = *link;
    *link = request;
    queue->pending++;
    queue->outstanding++;
    /* A new first one: whoever sleeps until the old first one must look again. */
    if (queue->head == request && request->next)
        pthread_cond_broadcast(&queue->ready);
    else
        pthread_cond_signal(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
}

static void
sleep_until(struct queue *queue, uint64_t when)
{
    struct timespec t = { (time_t)(when / NS_PER_S), (long)(when % NS_PER_S) };
    queue->timed = true;
    pthread_cond_timedwait(&queue->ready, &queue->lock, &t);
    queue->timed = false;
}

static struct request *
take(struct queue *queue)
{
    for (;;) {
        struct request *first = queue->head;
        if (!first && queue->stop)
            return NULL;
        if (first && first->due_ns <= now_ns()) {
            queue->head = first->next;
            if (queue->head)
                pthread_cond_signal(&queue->ready);
            return first;
        }
        if (first && !queue->timed)
            sleep_until(queue, first->due_ns);
        else
            pthread_cond_wait(&queue->ready, &queue->lock);
    }
}

static void *
work(void *arg)
{
    struct worker worker = *(struct worker *)arg;
    struct queue *queue = &worker.handle->queue;
    free(arg);
    pthread_mutex_lock(&queue->lock);
    struct request *request;
    while ((request = take(queue)) != NULL) {
        pthread_mutex_unlock(&queue->lock);
        request_finish(request, worker.lane);
        pthread_mutex_lock(&queue->lock);
        if (--queue->outstanding == 0)
            pthread_cond_broadcast(&queue->idle);
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

void
queue_wait(struct vix_handle *handle)
{
    struct queue *queue = &handle->queue;
    pthread_mutex_lock(&queue->lock);
    while (queue->outstanding > 0)
        pthread_cond_wait(&queue->idle, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
}

unsigned
queue_pending(struct vix_handle *handle)
{
    pthread_mutex_lock(&handle->queue.lock);
    unsigned n = handle->queue.pending;
    pthread_mutex_unlock(&handle->queue.lock);
    return n;
}

void
queue_end(struct vix_handle *handle)
{
    struct queue *queue = &handle->queue;
    queue_wait(handle);
    pthread_mutex_lock(&queue->lock);
    queue->stop = true;
    pthread_cond_broadcast(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
    for (unsigned i = 0; i < queue->n_threads; i++)
        pthread_join(queue->threads[i], NULL);
    pthread_cond_destroy(&queue->ready);
    pthread_cond_destroy(&queue->idle);
    pthread_mutex_destroy(&queue->lock);
}
