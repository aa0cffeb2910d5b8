/* gc_stacks.c - conservative roots of collected heaps: objects that are held by a local variable, a register, or a word in the middle. */
#include "unit/gc.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

/* What was on the stack before is not there any more. */
static void __attribute__((noinline)) forget_stack(void)
{
    volatile char room[16384];
    for (size_t i = 0; i < sizeof room; i++) {
        room[i] = 0;
    }
}

static bool begin_on_stack(unsigned flags)
{
    return begin(&(struct allot_gc_opts){.flags = ALLOT_GC_CONSERVATIVE | flags});
}

static void __attribute__((noinline)) churn(void)
{
    for (int i = 0; i < 50; i++) {
        allot_gc_unref(&me, chain(100));
    }
    allot_gc_collect(&me);
    allot_gc_check(&me);
}

/* Held by a variable on the stack alone; and a chain, by its head. */
static void variables(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin_on_stack(0)) {
            continue;
        }
        struct node *volatile head = chain(1000);
        void *volatile large = allot_gc_get(&me, &bytes_type, 100000);
        memset(large, 1, 100000);
        struct node *at = head;
        churn();
        assert_ptr_equal(head, at); /* it stays where it is */
        assert_int_equal(chain_length(head), 1000);
        assert_int_equal(((char *)large)[99999], 1);
        assert_true(stats().pinned > 0);
        end();
    }
}

/* In a register that calls leave alone, while nothing else has it. */
static void __attribute__((noinline)) hold_in_register(void)
{
    struct node *held = node(42);
    held->left = node(43);
#if defined(__x86_64__)
    register struct node *r __asm__("r12") = held;
#elif defined(__aarch64__)
    register struct node *r __asm__("x20") = held;
#endif
    __asm__ volatile("" : "+r"(r));
    held = NULL;
    forget_stack();
    churn();
    __asm__ volatile("" : "+r"(r));
    assert_int_equal(r->number, 42);
    assert_int_equal(r->left->number, 43);
}

static void registers(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin_on_stack(ALLOT_GC_PLAIN)) {
            continue;
        }
        hold_in_register();
        end();
    }
}

static void __attribute__((noinline)) make_hidden(uintptr_t *hidden, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        hidden[i] = ~(uintptr_t)allot_gc_get(&me, &bytes_type, size);
    }
}

static int count_one(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    (void)type;
    (void)size;
    const uintptr_t *hidden = arg;
    return (uintptr_t)object == ~*hidden;
}

static bool is_there(uintptr_t hidden) { return allot_gc_walk(&me, count_one, &hidden) != 0; }

/* Words into the middle hold where they are said to, up to the last byte and no further. */
static void interior(void **state)
{
    (void)state;
    static const size_t sizes[] = {24, 500, 3000, 100000};
    EACH_KIND
    {
        for (unsigned flags = 0; flags <= ALLOT_GC_INTERIOR; flags += ALLOT_GC_INTERIOR) {
            if (!begin_on_stack(flags)) {
                continue;
            }
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                enum { WORDS = 5 };
                static uintptr_t hidden[WORDS]; /* complements, in no thread's stack */
                volatile uintptr_t word[WORDS];
                make_hidden(hidden, WORDS, sizes[s]);
                const size_t offset[WORDS] = {0, 1, sizes[s] / 2, sizes[s] - 1, (size_t)-1};
                for (size_t i = 0; i < WORDS; i++) {
                    word[i] = ~hidden[i] + offset[i];
                }
                forget_stack();
                churn();
                for (size_t i = 0; i < 4; i++) {
                    bool held = i == 0 || flags;
                    assert_true(!held || is_there(hidden[i]));
                }
                (void)word[0];
            }
            end();
        }
    }
}

/* MAYBE: any word of an object. */
static void words_of_objects(void **state)
{
    (void)state;
    static const struct allot_gc_type words = {.name = "words", .flags = ALLOT_GC_MAYBE};
    EACH_KIND
    {
        if (kind == ALLOT_GC_COUNT || !begin(&(struct allot_gc_opts){.flags = ALLOT_GC_PLAIN})) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 1);
        uintptr_t *w = frame.slot[0] = allot_gc_get(&me, &words, 100 * sizeof *w);
        for (int i = 0; i < 100; i++) {
            w = frame.slot[0];
            void *p = i % 3 == 0 ? node(i) : NULL;
            w = frame.slot[0];
            w[i] = p ? (uintptr_t)p : (uintptr_t)i * 0x123456789abcdef;
        }
        w = frame.slot[0];
        w[1] = (uintptr_t)w + 8; /* the middle of an object is none */
        allot_gc_collect(&me);
        assert_int_equal(objects(), 1 + 34);
        w = frame.slot[0];
        for (int i = 0; i < 100; i += 3) {
            assert_int_equal(((struct node *)w[i])->number, i);
        }
        end();
    }
}

static void *volatile told;

static void __attribute__((noinline)) below(void *base)
{
    struct node *volatile held = node(1);
    allot_gc_scan_stack(&me, base);
    forget_stack();
    churn();
    told = held;
}

static void scan_from(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin_on_stack(0)) {
            continue;
        }
        char base;
        below(&base);
        assert_int_equal(((struct node *)told)->number, 1);
        end();
    }
}

/* Threads that wait with objects in their variables: at a safe point, or having left. */
enum { THREADS = 4 };
static pthread_barrier_t ready, over;
static bool leaves;

/* Waits for all others, with the heap left alone. */
static void meet(struct allot_gc_mutator *who, pthread_barrier_t *where)
{
    allot_gc_leave(who);
    pthread_barrier_wait(where);
    allot_gc_enter(who);
}

static void begin_threads(pthread_t *thread, size_t count, void *(*does)(void *arg))
{
    pthread_barrier_init(&ready, NULL, (unsigned)count + 1);
    pthread_barrier_init(&over, NULL, (unsigned)count + 1);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, does, (void *)i), 0);
    }
    meet(&me, &ready);
}

static void end_threads(const pthread_t *thread, size_t count)
{
    meet(&me, &over);
    allot_gc_leave(&me);
    for (size_t i = 0; i < count; i++) {
        pthread_join(thread[i], NULL);
    }
    allot_gc_enter(&me);
}

static void *wait_with_objects(void *arg)
{
    struct allot_gc_mutator own;
    assert_int_equal(allot_gc_attach(&heap, &own), 0);
    struct node *volatile held = allot_gc_get(&own, &node_type, 0);
    struct node *saved = held; /* perhaps in a register */
    saved->number = (long)(intptr_t)arg;
    if (leaves) {
        allot_gc_leave(&own);
    }
    pthread_barrier_wait(&ready);
    if (leaves) {
        pthread_barrier_wait(&over);
        allot_gc_enter(&own);
    } else {
        for (int i = 0; i < 200000; i++) {
            struct node *n = allot_gc_get(&own, &node_type, 0);
            n->left = saved;
            allot_gc_poll(&own);
        }
        meet(&own, &over);
    }
    assert_int_equal(held->number, (long)(intptr_t)arg);
    assert_ptr_equal(held, saved);
    allot_gc_detach(&own);
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    EACH_KIND
    {
        for (int i = 0; i < 2; i++) {
            leaves = i;
            if (!begin(&(struct allot_gc_opts){.flags = ALLOT_GC_CONSERVATIVE | ALLOT_GC_PLAIN, .least = 1 << 18})) {
                continue;
            }
            pthread_t thread[THREADS];
            begin_threads(thread, THREADS, wait_with_objects);
            for (int k = 0; k < 20; k++) {
                churn();
            }
            end_threads(thread, THREADS);
            end();
        }
    }
}

/* In a program's data, which has been named as such; precise heaps know no such words. */
static void data_words(void **state)
{
    static uintptr_t data[64];
    (void)state;
    EACH_KIND
    {
        if (!begin_on_stack(0)) {
            continue;
        }
        assert_int_equal(allot_gc_root_words(&heap, data, 64), 0);
        for (int i = 0; i < 64; i++) {
            data[i] = i % 2 ? (uintptr_t)i << 40 | 12345 : (uintptr_t)chain(100);
        }
        forget_stack();
        churn();
        for (int i = 0; i < 64; i += 2) {
            assert_int_equal(chain_length((struct node *)data[i]), 100);
        }
        memset(data, 0, sizeof data);
        allot_gc_unroot(&heap, data);
        forget_stack();
        allot_gc_collect(&me);
        assert_true(stats().use.count < 64 * 100 / 2);
        end();
    }
    struct allot_gc precise;
    assert_int_equal(allot_gc_init(&precise, ALLOT_GC_MARK, NULL), 0);
    assert_int_equal(allot_gc_root_words(&precise, data, 64), -EINVAL);
    allot_gc_done(&precise);
}

/* In a register as it leaves, which nobody saves before the stack below has been written over. */
static void *leave_with_register(void *arg)
{
    struct allot_gc_mutator own;
    assert_int_equal(allot_gc_attach(&heap, &own), 0);
    struct node *held = allot_gc_get(&own, &node_type, 0);
    held->number = 44;
#if defined(__x86_64__)
    register struct node *r __asm__("r13") = held;
#elif defined(__aarch64__)
    register struct node *r __asm__("x21") = held;
#endif
    __asm__ volatile("" : "+r"(r));
    held = NULL;
    forget_stack();
    allot_gc_leave(&own);
    forget_stack();
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&over);
    allot_gc_enter(&own);
    __asm__ volatile("" : "+r"(r));
    assert_int_equal(r->number, 44);
    allot_gc_detach(&own);
    return arg;
}

static void registers_of_who_has_left(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin_on_stack(0)) {
            continue;
        }
        pthread_t thread;
        begin_threads(&thread, 1, leave_with_register);
        churn();
        end_threads(&thread, 1);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_words),       cmocka_unit_test(variables),
        cmocka_unit_test(registers),        cmocka_unit_test(interior),
        cmocka_unit_test(words_of_objects), cmocka_unit_test(scan_from),
        cmocka_unit_test(threads),          cmocka_unit_test(registers_of_who_has_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
