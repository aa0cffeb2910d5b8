/* crew.h - threads that work side by side, and the mailboxes through which they hand things to each other. */
#ifndef CREW_H
#define CREW_H

#include "row.h"
#include <pthread.h>
#include <stdatomic.h>

enum { MOST_THREADS = 256 };

static inline pthread_t started(void *(*work)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, argument) != 0)
        fail("no thread to be had");
    return thread;
}

/* Runs work(i) for each i below `count`, each on a thread of its own, and returns the sum of what they return. */
static inline uint64_t crew(size_t count, void *(*work)(void *))
{
    pthread_t thread[MOST_THREADS];
    uint64_t sum = 0;
    if (count > MOST_THREADS)
        fail("too many threads");
    for (size_t i = 0; i < count; i++)
        thread[i] = started(work, (void *)i);
    for (size_t i = 0; i < count; i++) {
        void *part;
        pthread_join(thread[i], &part);
        sum += (uintptr_t)part;
    }
    return sum;
}

/* A queue of bounded length: who finds it full or empty waits asleep. */
enum { MAILBOX_LENGTH = 16 };
struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t first, count;
    void *letter[MAILBOX_LENGTH];
};

static inline void mailbox_init(struct mailbox *box)
{
    memset(box, 0, sizeof *box);
    pthread_mutex_init(&box->lock, NULL);
    pthread_cond_init(&box->changed, NULL);
}

static inline void post(struct mailbox *box, void *letter)
{
    pthread_mutex_lock(&box->lock);
    while (box->count == MAILBOX_LENGTH)
        pthread_cond_wait(&box->changed, &box->lock);
    box->letter[(box->first + box->count++) % MAILBOX_LENGTH] = letter;
    pthread_cond_broadcast(&box->changed);
    pthread_mutex_unlock(&box->lock);
}

static inline void *take(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    while (box->count == 0)
        pthread_cond_wait(&box->changed, &box->lock);
    void *letter = box->letter[box->first];
    box->first = (box->first + 1) % MAILBOX_LENGTH;
    box->count--;
    pthread_cond_broadcast(&box->changed);
    pthread_mutex_unlock(&box->lock);
    return letter;
}

#endif
