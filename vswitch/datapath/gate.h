/* gate.h - where pollers stand while the control plane changes something.
 *
 * The control plane closes the gate, wakes the pollers and waits until every one stands at it,
 * between two rounds; changes its tables; opens it again.  A poller pays one load per round.
 * Closings nest.  `stop` sends the pollers home instead.
 */
#ifndef VSW_GATE_H
#define VSW_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct vsw_gate {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    _Atomic unsigned closed; /* how often; read by pollers without the mutex */
    unsigned inside;         /* pollers beyond the gate */
    bool stop;
};

static inline int vsw_gate_init(struct vsw_gate *g)
{
    *g = (struct vsw_gate){.inside = 0};
    if (pthread_mutex_init(&g->mutex, NULL) != 0)
        return -1;
    return pthread_cond_init(&g->change, NULL) ? -1 : 0;
}

static inline void vsw_gate_destroy(struct vsw_gate *g)
{
    pthread_cond_destroy(&g->change);
    pthread_mutex_destroy(&g->mutex);
}

/* A poller arrives; false: it is to go home.  Returns once the gate is open. */
static inline bool vsw_gate_enter(struct vsw_gate *g)
{
    bool go;

    pthread_mutex_lock(&g->mutex);
    while (atomic_load_explicit(&g->closed, memory_order_relaxed) && !g->stop)
        pthread_cond_wait(&g->change, &g->mutex);
    go = !g->stop;
    g->inside += go;
    pthread_mutex_unlock(&g->mutex);
    return go;
}

static inline void vsw_gate_leave(struct vsw_gate *g)
{
    pthread_mutex_lock(&g->mutex);
    g->inside--;
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->mutex);
}

/* Between two rounds: stand here if the gate is closed; false: go home. */
static inline bool vsw_gate_pass(struct vsw_gate *g)
{
    if (!atomic_load_explicit(&g->closed, memory_order_acquire))
        return true;
    vsw_gate_leave(g);
    return vsw_gate_enter(g);
}

/* Ask the pollers to come to the gate; wake sleepers before vsw_gate_wait(). */
static inline void vsw_gate_close(struct vsw_gate *g)
{
    atomic_fetch_add(&g->closed, 1);
}

static inline void vsw_gate_wait(struct vsw_gate *g)
{
    pthread_mutex_lock(&g->mutex);
    while (g->inside)
        pthread_cond_wait(&g->change, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static inline void vsw_gate_open(struct vsw_gate *g)
{
    pthread_mutex_lock(&g->mutex);
    atomic_fetch_sub(&g->closed, 1);
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->mutex);
}

/* Send everyone home, for good; the gate stays closed. */
static inline void vsw_gate_stop(struct vsw_gate *g)
{
    pthread_mutex_lock(&g->mutex);
    g->stop = true;
    atomic_fetch_add(&g->closed, 1);
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->mutex);
}

#endif
