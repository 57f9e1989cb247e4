/* cc: -pthread */
/* call.h: a signal arrives once, and nobody who has the eventfd keeps the caller waiting. */
#include "datapath/call.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#define CALLS 5000u /* more than are kept */
#define THREADS 4u
#define FULL (UINT64_MAX - 1)

static struct vsw_caller caller;
static int fd;

static uint64_t count(void)
{
    uint64_t n = 0;

    assert(read(fd, &n, sizeof(n)) == sizeof(n));
    return n;
}

static void *call_often(void *unused)
{
    for (unsigned i = 0; i < CALLS; i++)
        vsw_call(&caller, fd);
    return unused;
}

static void every_call_arrives(void)
{
    pthread_t thread[THREADS];

    for (unsigned i = 0; i < THREADS; i++)
        assert(pthread_create(&thread[i], NULL, call_often, NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert(count() == (uint64_t)THREADS * CALLS);
}

/* The descriptor is a blocking one: a write would wait for ever here. */
static void a_full_counter_keeps_nobody_waiting(void)
{
    uint64_t full = FULL;

    assert(write(fd, &full, sizeof(full)) == sizeof(full));
    call_often(NULL);
    assert(count() >= FULL);
    vsw_call(&caller, fd);
    assert(count() == 1);
}

static void it_may_be_opened_and_closed_again(void)
{
    aio_context_t before = caller.context;

    assert(vsw_caller_open(&caller) == 0 && caller.context == before);
    vsw_caller_close(&caller);
    vsw_caller_close(&caller);
    assert(vsw_caller_open(&caller) == 0);
    vsw_call(&caller, fd);
    assert(count() == 1);
}

int main(void)
{
    fd = eventfd(0, 0);
    assert(fd >= 0 && vsw_caller_open(&caller) == 0);
    every_call_arrives();
    a_full_counter_keeps_nobody_waiting();
    it_may_be_opened_and_closed_again();
    vsw_caller_close(&caller);
    close(fd);
    return 0;
}
