/* gc_crimes.c - each misuse of a collected heap ends the process with one line that names crime, heap and address. */
#include "unit/gc.h"

#include <allot/pool.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static void *object;

static void free_it(void *p) { allot_free(p); }
static void free_sized(void *p) { allot_free_sized(p, 24); }
static void realloc_it(void *p)
{
    p = allot_realloc(p, 100);
    allot_free(p);
}
static void put_it(void *p) { allot_put(p); }
static void put_twice(void *p)
{
    allot_gc_put(&me, p);
    allot_gc_put(&me, p);
}
static void put_of_gc(void *p) { allot_gc_put(&me, p); }
static void leaks_of_gc(void *p) { allot_gc_leaks(&me, NULL, p); }
static void unroot(void *p) { allot_gc_unroot(&heap, p); }
static void weak_get(void *p) { allot_gc_weak_get(&me, p); }
static void key(void *p) { allot_gc_ephemeron_key(&me, p); }
static void leave_twice(void *p)
{
    (void)p;
    allot_gc_leave(&me);
    allot_gc_leave(&me);
}
static void enter(void *p)
{
    (void)p;
    allot_gc_enter(&me);
}
static void collect_having_left(void *p)
{
    (void)p;
    allot_gc_leave(&me);
    allot_gc_collect(&me);
}
static void get_having_left(void *p)
{
    (void)p;
    allot_gc_leave(&me);
    allot_gc_get(&me, &bytes_type, 1000);
}
static void get_of_done(void *p)
{
    (void)p;
    allot_gc_done(&heap);
    allot_gc_collect(&me);
}
static void attach_to_done(void *p)
{
    (void)p;
    allot_gc_detach(&me);
    allot_gc_done(&heap);
    allot_gc_attach(&heap, &me);
}
static void use_detached(void *p)
{
    (void)p;
    allot_gc_detach(&me);
    allot_gc_collect(&me);
}
static void detach_with_frames(void *p)
{
    ALLOT_GC_FRAME(&me, frame, 1);
    frame.slot[0] = p;
    allot_gc_detach(&me);
}
static struct allot_gc_type crooked[2];
static void crooked_type(void *p)
{
    (void)p;
    const char *volatile at = (const char *)crooked + 8;
    allot_gc_get_slow(&me, (const struct allot_gc_type *)at, 1000); /* the inline part would be an error to UBSan */
}
static void spoil_reference(void *p)
{
    ALLOT_GC_FRAME(&me, frame, 1);
    frame.slot[0] = p;
    ((struct node *)p)->left = (struct node *)((char *)p + 8);
    allot_gc_check(&me);
}

static struct allot_gc_mutator others;
static pthread_barrier_t barrier;
static void *attach(void *arg)
{
    allot_gc_attach(&heap, &others);
    allot_gc_leave(&others);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return arg;
}
static void done_with_another(void *p)
{
    pthread_t thread;
    (void)p;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, attach, NULL);
    pthread_barrier_wait(&barrier);
    allot_gc_done(&heap);
}

static void expect(void (*code)(void *), void *arg, const char *crime, const char *what, const void *at)
{
    struct child_end end = child_run(code, arg);
    char expected[200];
    end.text[strcspn(end.text, "\n")] = 0;
    snprintf(expected, sizeof expected, "allot: %s: %s", crime, what);
    if (at) {
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), " at %p", at);
    } else {
        end.text[strlen(expected)] = 0; /* it is of the other process */
    }
    assert_string_equal(end.text, expected);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
}

static void crimes(void **state)
{
    (void)state;
    static const char ours[] = "object of gc \"tried\"";
    EACH_KIND
    {
        if (!begin(&(struct allot_gc_opts){.name = "tried"})) {
            continue;
        }
        assert_int_equal(allot_gc_root(&heap, &object, 1), 0);
        for (size_t size = 24; size < 10000000; size *= 1000) {
            object = allot_gc_get(&me, &bytes_type, size);
            expect(free_it, object, "free of what is no live block", ours, object);
            expect(free_sized, object, "free of what is no live block", ours, object);
            expect(realloc_it, object, "realloc of what is no live block", ours, object);
            expect(put_it, object, "put of another's object", ours, object);
            expect(put_of_gc, object, "put of what is collected", ours, object);
            expect(leaks_of_gc, object, "leaks of what is collected", ours, &me);
            allot_gc_unref(&me, object);
        }
        object = node(1);
        expect(unroot, &me, "unroot of what is no root", ours, &me);
        expect(weak_get, object, "use of what is no weak reference", ours, object);
        if (kind != ALLOT_GC_COUNT) {
            expect(key, object, "use of what is no ephemeron", ours, object);
        }
        expect(leave_twice, NULL, "leave of who has left", ours, &me);
        expect(enter, NULL, "enter of who has not left", ours, &me);
        expect(collect_having_left, NULL, "call by who has left", ours, &me);
        expect(get_having_left, NULL, "call by who has left", ours, &me);
        expect(get_of_done, NULL, "use of a mutator that is not attached", "gc mutator", &me);
        expect(use_detached, NULL, "use of a mutator that is not attached", "gc mutator", &me);
        expect(attach_to_done, NULL, "use of a heap that was not initialised, or is done", "gc", &heap);
        expect(detach_with_frames, object, "detach with frames", ours, &me);
        expect(crooked_type, NULL, "type that is not at a multiple of 16, below 2^48", ours, (char *)crooked + 8);
        expect(spoil_reference, object, "reference to what is no object", ours, object);
        expect(done_with_another, NULL, "done while another thread is attached", ours, &others);
        allot_gc_unref(&me, object);
        end();
    }
}

static void crimes_of_explicit_heaps(void **state)
{
    (void)state;
    static const char ours[] = "object of gc \"tried\"";
    kind = ALLOT_GC_MARK;
    assert_true(begin(&(struct allot_gc_opts){.name = "tried", .flags = ALLOT_GC_EXPLICIT}));
    for (size_t size = 24; size < 10000000; size *= 1000) {
        object = allot_gc_get(&me, &bytes_type, size);
        expect(put_twice, object, "put of what is no object", ours, object);
        expect(put_of_gc, (char *)object + 16, "put of what is no object", ours, (char *)object + 16);
        expect(put_of_gc, (char *)object + 8, "put of what is no object", ours, (char *)object + 8);
        expect(put_of_gc, &me, "put of what is no object", ours, &me);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crimes),
        cmocka_unit_test(crimes_of_explicit_heaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
