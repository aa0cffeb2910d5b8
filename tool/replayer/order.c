/* See order.h. */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "replayer/order.h"

#define LOOKS 200 /* some microseconds */

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static void wake(struct order *order, _Atomic uint32_t *word)
{
    if (atomic_load(&order->sleepers) > 0) {
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
}

/* Until the word is `wanted`, which it then stays until this thread has done more. */
static void wait_for(struct order *order, _Atomic uint32_t *word, uint32_t wanted)
{
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) == wanted) {
            return;
        }
        relax();
    }
    atomic_fetch_add(&order->sleepers, 1);
    for (uint32_t now; (now = atomic_load(word)) != wanted;) {
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
    }
    atomic_fetch_sub(&order->sleepers, 1);
}

void order_wait(struct order *order, struct block *block, uint32_t self, void (*paused)(void *arg), void *arg)
{
    if (atomic_load_explicit(&block->handed, memory_order_acquire) != self) {
        paused(arg);
        wait_for(order, &block->handed, self);
    }
}

void order_tell(struct order *order, struct block *block, uint32_t thread)
{
    atomic_store(&block->handed, thread);
    wake(order, &block->handed);
}

void order_enter(struct order *order, uint32_t before, uint32_t *seen, void (*paused)(void *arg), void *arg)
{
    for (; *seen < before; (*seen)++) {
        if (atomic_load_explicit(&order->left[*seen], memory_order_acquire) != 0) {
            paused(arg);
            wait_for(order, &order->left[*seen], 0);
        }
    }
}

void order_leave(struct order *order, uint32_t epoch)
{
    if (atomic_fetch_sub(&order->left[epoch], 1) == 1) {
        wake(order, &order->left[epoch]);
    }
}
