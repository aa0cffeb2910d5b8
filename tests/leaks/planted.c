/* leaks/planted.c - planted leaks of every class, for any malloc: see leaks/plant.h. */
#include "leaks/plant.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct node {
    struct node *next, *other;
    char rest[32];
};

static struct node *node(const char *verdict)
{
    struct node *n = plant(verdict, sizeof *n);
    n->next = n->other = NULL;
    return n;
}

/* -- nobody points to them -- */

static __attribute__((noinline)) void lose_sizes(void)
{
    static const size_t sizes[] = {0,     1,     16,    24,    100,    1000,    1025,    5000,
                                   20000, 32768, 32769, 40000, 100000, 1 << 20, 3 << 20, 20 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        plant("definite", sizes[i]);
    }
}

static __attribute__((noinline)) void lose_chains(void)
{
    enum { LONG = 100000 };
    struct node *first = node("definite"), *last = first;
    for (unsigned i = 1; i < LONG; i++) {
        last->next = node("indirect");
        last = last->next;
    }
    struct node *one = node("definite"), *two = node("definite"); /* which both lead to a third */
    one->next = two->next = node("indirect");
    struct node *holds = node("definite");
    holds->next = (struct node *)((char *)plant("indirect", 1000) + 500); /* by its middle */
    struct node *self = node("definite");
    self->next = self;
}

static __attribute__((noinline)) void lose_circles(void)
{
    static const char *const names[] = {"circle-1", "circle-2", "circle-3"};
    for (unsigned c = 0; c < 3; c++) {
        struct node *first = node(names[c]), *last = first;
        for (unsigned i = 1; i < 2 + c * 20; i++) {
            last->next = node(names[c]);
            last = last->next;
        }
        last->next = first;
        last->other = node("indirect"); /* that hangs on the circle */
    }
}

static __attribute__((noinline)) void lose_in_freed(void)
{
    void **gone = malloc(256), **large = malloc(200000);
    for (unsigned i = 4; i < 256 / sizeof *gone; i++) {
        gone[i] = NULL;
        large[i * 100] = NULL;
    }
    gone[20] = node("definite");
    large[1000] = node("definite");
    free(gone);
    free(large);
}

/* -- into the middle only -- */

static char *volatile middle, *volatile middle_of_chain, *volatile middle_of_large;

static __attribute__((noinline)) void hold_by_middle(void)
{
    middle = (char *)plant("possible", 100) + 41;
    struct node *n = node("possible");
    n->next = node("possible"); /* by its beginning, from one that is but possible */
    middle_of_chain = (char *)n + 20;
    middle_of_large = (char *)plant("possible", 4 << 20) + 123456;
}

/* -- into the middle, and no accident -- */

static uint64_t *volatile counted, *volatile measured;
static char *volatile text;

static __attribute__((noinline)) void hold_as_beginning(void)
{
    uint64_t *array = plant("reachable", 8 + 10 * 24); /* new T[10] */
    array[0] = 10;
    counted = array + 1;
    uint64_t *sized = plant("reachable", 8 + 400);
    sized[0] = 400;
    measured = sized + 1;
    uint64_t *string = plant("reachable", 24 + 75 + 1); /* length, capacity, references */
    string[0] = 30;
    string[1] = 75;
    string[2] = 0;
    text = (char *)(string + 3);
}

/* -- held -- */

static struct node *volatile global, *volatile list;
static struct node *volatile in_data = (struct node *)1;
static __thread struct node *volatile of_thread;
static pthread_key_t key, late_key;
static void **volatile table;

static __attribute__((noinline)) void hold_lasting(void)
{
    global = node("reachable");
    global->next = node("reachable");
    global->next->next = global;
    in_data = node("reachable");
    of_thread = node("reachable");
    of_thread->other = node("reachable");
    pthread_key_create(&key, NULL);
    pthread_setspecific(key, node("reachable"));
    for (unsigned i = 0; i < 40; i++) { /* so that it lies in a block of libc's own */
        pthread_key_create(&late_key, NULL);
    }
    pthread_setspecific(late_key, node("reachable"));
    for (unsigned i = 0; i < 1000; i++) { /* a container that grows */
        struct node *n = node("reachable");
        n->next = list;
        list = n;
    }
    table = plant("reachable", 1000 * sizeof *table);
    for (unsigned i = 0; i < 1000; i++) {
        table[i] = plant("reachable", 40);
    }
}

static void grow(void)
{
    for (unsigned i = 0; i < 5000; i++) {
        struct node *n = malloc(sizeof *n);
        n->next = list;
        list = n;
    }
}

/* -- held by threads -- */

static atomic_int planted_threads, over;

static void wait_for(atomic_int *what, int value)
{
    while (atomic_load(what) < value) {
        usleep(1000);
    }
}

static void *holds_on_stack(void *arg)
{
    void *volatile mine = plant("thread-only", 64);
    struct node *volatile with = node("thread-only");
    with->next = node("thread-only");
    scrub();
    atomic_fetch_add(&planted_threads, 1);
    wait_for(&over, 1);
    return mine && with ? NULL : arg;
}

static void *holds_in_tls(void *arg)
{
    of_thread = node("reachable");
    scrub();
    atomic_fetch_add(&planted_threads, 1);
    wait_for(&over, 1);
    return arg;
}

#if defined(__x86_64__)
static volatile uintptr_t hidden_for_register;

static __attribute__((noinline)) void make_for_register(void)
{
    hidden_for_register = ~(uintptr_t)plant("thread-only", 200);
}

static void *holds_in_register(void *arg)
{
    make_for_register();
    scrub();
    atomic_fetch_add(&planted_threads, 1);
    uintptr_t hidden = hidden_for_register;
    hidden_for_register = 0;
    __asm__ volatile("mov %0, %%r14\n\tnot %%r14\n1:\tpause\n\tcmpl $0, (%1)\n\tje 1b\n\txor %%r14d, %%r14d"
                     :
                     : "r"(hidden), "r"(&over)
                     : "r14", "memory", "cc");
    return arg;
}
#endif

/* One that has ended: what was on its stack holds nothing. */
static void *loses(void *arg)
{
    void *volatile mine[64];
    for (unsigned i = 0; i < 64; i++) {
        mine[i] = plant("definite", 48);
    }
    of_thread = node("definite");
    return mine[0] ? arg : NULL;
}

static void run_threads(void)
{
    pthread_t id;
    int wanted = 2;
    pthread_create(&id, NULL, loses, NULL);
    pthread_join(id, NULL);
    pthread_create(&id, NULL, holds_on_stack, NULL);
    wait_for(&planted_threads, 1);
    pthread_create(&id, NULL, holds_in_tls, NULL);
    wait_for(&planted_threads, wanted);
#if defined(__x86_64__)
    pthread_create(&id, NULL, holds_in_register, NULL);
    wait_for(&planted_threads, ++wanted);
#endif
}

static __attribute__((noinline)) void hold_on_stack(const char *how)
{
    struct node *volatile mine = node("thread-only");
    mine->next = node("thread-only");
    finish(how, grow);
    abort(); /* with `mine` in use up to here */
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "exit";
    run_threads();
    lose_sizes();
    lose_chains();
    lose_circles();
    lose_in_freed();
    hold_by_middle();
    hold_as_beginning();
    hold_lasting();
    scrub();
    hold_on_stack(how);
}
