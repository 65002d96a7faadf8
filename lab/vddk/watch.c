/* The rules that hold for the process: order of calls, threads, forks, what must be given back. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"

enum life { LIFE_NEW, LIFE_READY, LIFE_OVER };

static _Atomic enum life life;
static _Atomic pid_t control_tid;
static const char *_Atomic control_function;
static _Atomic bool forked;
static _Thread_local bool in_callback;

static void check_leaks(void);

/* ---- words ---- */

static void
say(const char *word, const char *fmt, va_list ap)
{
    char line[1024];
    int n = snprintf(line, sizeof line, "lab/vddk: %s", word);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    size_t len = (size_t)n + (m < 0 ? 0 : (size_t)m);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0)
        return; /* nowhere to say it: the signal says enough */
}

void
violation(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say("VIOLATION: ", fmt, ap);
    va_end(ap);
    abort();
}

void
report(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

/* ---- calls ---- */

void
watch_call(const char *function)
{
    if (atomic_load(&forked))
        violation("%s in a child that was forked after InitEx: its threads are not there",
                  function);
    if (in_callback)
        violation("%s is called from within a completion function: only hand the request on there",
                  function);
    switch (atomic_load(&life)) {
    case LIFE_NEW:
        violation("%s before InitEx has succeeded", function);
    case LIFE_READY:
        return;
    case LIFE_OVER:
        violation("%s after Exit", function);
    }
}

void
watch_control(const char *function)
{
    watch_call(function);
    pid_t nobody = 0;
    if (!atomic_compare_exchange_strong(&control_tid, &nobody, gettid())) {
        const char *other = atomic_load(&control_function);
        violation("%s while %s runs in thread %d: connect, open, close and disconnect one after "
                  "another in the whole process",
                  function, other ? other : "another", (int)nobody);
    }
    atomic_store(&control_function, function);
}

void
watch_control_end(void)
{
    atomic_store(&control_tid, 0);
}

void
watch_callback(bool inside)
{
    in_callback = inside;
}

/* ---- the beginning and the end ---- */

static void
before_fork(void)
{
    if (atomic_load(&life) == LIFE_READY && !settings.allow_fork)
        violation("fork after InitEx: the real library has threads by now and hangs; fork before, "
                  "or start programs by posix_spawn or vfork");
}

static void
after_fork_in_child(void)
{
    if (atomic_load(&life) == LIFE_READY)
        atomic_store(&forked, true);
}

void
watch_init(void)
{
    static _Atomic bool hooked;
    if (atomic_load(&life) != LIFE_NEW)
        violation("InitEx twice in one process");
    if (gettid() != getpid())
        violation("InitEx from thread %d, which is not the main thread", (int)gettid());
    if (!atomic_exchange(&hooked, true))
        pthread_atfork(before_fork, NULL, after_fork_in_child);
}

void
watch_init_done(void)
{
    atomic_store(&life, LIFE_READY);
}

void
watch_exit(void)
{
    check_leaks();
    atomic_store(&life, LIFE_OVER);
}

/* A process that ends in order says Exit first; one that is killed or calls _exit passes by. */
static void __attribute__((destructor)) unloaded(void)
{
    if (atomic_load(&life) == LIFE_READY && !atomic_load(&forked))
        report("REPORT: the process ends without Exit");
}

/* ---- what must be given back ---- */

#define GIVEN_MAX 4096

static const char *const kind_names[WATCH_KINDS] = {
    [WATCH_PARAMS] = "connect params",
    [WATCH_INFO] = "Info",
    [WATCH_ERROR_TEXT] = "error text",
    [WATCH_BLOCK_LIST] = "block list",
};

static pthread_mutex_t given_lock = PTHREAD_MUTEX_INITIALIZER;
static struct given {
    void *p;
    enum watch_kind kind;
} given[GIVEN_MAX];
static unsigned n_given;

void
watch_given(enum watch_kind kind, void *p)
{
    pthread_mutex_lock(&given_lock);
    if (n_given == GIVEN_MAX)
        violation("%u blocks were handed out and none given back, the last a block of kind: %s",
                  n_given, kind_names[kind]);
    given[n_given++] = (struct given){ p, kind };
    pthread_mutex_unlock(&given_lock);
}

bool
watch_is_given(enum watch_kind kind, const void *p)
{
    bool found = false;
    pthread_mutex_lock(&given_lock);
    for (unsigned i = 0; i < n_given && !found; i++)
        found = given[i].p == p && given[i].kind == kind;
    pthread_mutex_unlock(&given_lock);
    return found;
}

void
watch_back(enum watch_kind kind, void *p, const char *function)
{
    pthread_mutex_lock(&given_lock);
    unsigned i = 0;
    while (i < n_given && given[i].p != p)
        i++;
    if (i == n_given)
        violation("%s(%p): no block of this library, or given back before", function, p);
    if (given[i].kind != kind)
        violation("%s(%p): this is a block of kind: %s", function, p, kind_names[given[i].kind]);
    given[i] = given[--n_given];
    pthread_mutex_unlock(&given_lock);
}

static void
check_leaks(void)
{
    unsigned counts[WATCH_KINDS] = { 0 };
    for (unsigned i = 0; i < n_given; i++)
        counts[given[i].kind]++;
    for (unsigned kind = 0; kind < WATCH_KINDS; kind++)
        if (counts[kind])
            report("LEAK: %u of kind %s not given back at Exit", counts[kind], kind_names[kind]);
    if (n_given && settings.leak_abort)
        violation("%u blocks not given back at Exit", n_given);
}
