/* recording/churn.c - two threads that exchange blocks until they are killed. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum { SLOTS = 256 };

static _Atomic(void *) slot[SLOTS];

static void *swap(void *arg)
{
    for (uint64_t random = (uintptr_t)arg;;) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        void *p = atomic_exchange(&slot[random >> 32 & (SLOTS - 1)], malloc(random >> 40 & 511));
        if (random >> 50 & 1) {
            p = realloc(p, random >> 41 & 1023);
        }
        free(p);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, swap, (void *)1);
    swap((void *)2);
}
