/* cc: -pthread -fsanitize=thread */
/* Several pollers charge one meter: together they get what it lets pass, and no more. */
#include <assert.h>
#include <pthread.h>

#include "datapath/meter.h"

#define POLLERS 4u
#define BURST 20000u
#define TRIES 10000u

static struct vsw_meter m;
static _Atomic unsigned passed;

static void *poll_once(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < TRIES; i++)
        if (vsw_meter_take(&m, 1000000000u, vsw_meter_cost(&m, 1)))
            atomic_fetch_add(&passed, 1u);
    return NULL;
}

int main(void)
{
    pthread_t poller[POLLERS];

    vsw_meter_set(&m, 1000, false, BURST);
    for (unsigned i = 0; i < POLLERS; i++)
        assert(pthread_create(&poller[i], NULL, poll_once, NULL) == 0);
    for (unsigned i = 0; i < POLLERS; i++)
        pthread_join(poller[i], NULL);
    assert(passed == BURST);
    return 0;
}
