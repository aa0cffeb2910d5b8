/* pool/chain.c - see pool/chain.h. */
#include "pool/chain.h"

#include "heap/heap.h"
#include "os/process.h"
#include "pool/local.h"

static struct os_lock lock;
static struct link *first[CHAINS], *last[CHAINS];

void chain_lock(void) { os_lock(&lock); }

void chain_unlock(void) { os_unlock(&lock); }

struct link *chain_first(enum chain which) { return first[which]; }

static void before_fork(void)
{
    os_lock(&lock);
    for (unsigned c = 0; c < CHAINS; c++) {
        for (struct link *link = first[c]; link; link = link->next) {
            os_lock(&link->lock);
        }
    }
}

static void after_fork_in_parent(void)
{
    for (unsigned c = 0; c < CHAINS; c++) {
        for (struct link *link = first[c]; link; link = link->next) {
            os_unlock(&link->lock);
        }
    }
    os_unlock(&lock);
}

static void after_fork_in_child(void)
{
    local_come_along();
    for (unsigned c = 0; c < CHAINS; c++) {
        for (struct link *link = first[c]; link; link = link->next) {
            os_lock_reset(&link->lock);
        }
    }
    os_lock_reset(&lock);
}

void chain_add(enum chain which, struct link *link)
{
    static bool watching;
    if (!watching) {
        watching = true;
        heap_init(); /* whose steps are the inner ones */
        os_on_thread_exit(OS_FLOOR_POOL, local_thread_ends);
        os_on_fork(OS_FLOOR_POOL, (struct os_fork_steps){before_fork, after_fork_in_parent, after_fork_in_child});
    }
    link->next = NULL;
    link->prev = last[which];
    *(last[which] ? &last[which]->next : &first[which]) = link;
    last[which] = link;
}

void chain_remove(enum chain which, struct link *link)
{
    *(link->prev ? &link->prev->next : &first[which]) = link->next;
    *(link->next ? &link->next->prev : &last[which]) = link->prev;
}
