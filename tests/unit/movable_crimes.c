/* unit/movable_crimes.c - misuse of a movable heap ends the process with one line that names the crime, the reference and the heap. */
#include "common/unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <allot/movable.h>

#include "common/child.h"

static struct allot_movable heap;
static allot_ref ref, large;

static int rebuild(void *arg, uint64_t key, void *at, size_t size)
{
    (void)arg;
    (void)key;
    memset(at, 1, size);
    return 0;
}

static void begin(void)
{
    allot_movable_init(&heap, 0, &(struct allot_movable_opts){.name = "texts", .rebuild = rebuild});
    for (int i = 0; i < 10; i++) {
        ref = allot_movable_get(&heap, 100);
    }
    large = allot_movable_get(&heap, 100000);
}

static void double_put(void)
{
    allot_movable_put(&heap, ref);
    allot_movable_put(&heap, ref);
}
static void double_put_of_a_large_one(void)
{
    allot_movable_put(&heap, large);
    allot_movable_put(&heap, large);
}
static void put_after_reuse(void)
{
    allot_movable_put(&heap, ref);
    if (allot_movable_get(&heap, 100).slot == ref.slot) {
        allot_movable_put(&heap, ref);
    }
}
static void at_after_put(void)
{
    allot_movable_put(&heap, ref);
    allot_movable_at(&heap, ref);
}
static void at_after_reuse(void)
{
    allot_movable_put(&heap, ref);
    allot_movable_get(&heap, 100);
    allot_movable_at(&heap, ref);
}
static void at_after_put_among_many(void)
{
    for (int i = 0; i < 5000; i++) {
        allot_movable_get(&heap, 10);
    }
    allot_movable_put(&heap, ref);
    allot_movable_at(&heap, ref);
}
static void at_of_garbage(void) { allot_movable_at(&heap, (allot_ref){12345678, 5}); }
static void at_beyond_all(void) { allot_movable_at(&heap, (allot_ref){UINT32_MAX, 5}); }
static void pin_after_put(void)
{
    allot_movable_put(&heap, ref);
    allot_movable_pin(&heap, ref);
}
static void unpin_after_put(void)
{
    allot_movable_put(&heap, ref);
    allot_movable_unpin(&heap, ref);
}
static void unpin_without_pin(void) { allot_movable_unpin(&heap, ref); }
static void unpin_too_many(void)
{
    for (int i = 0; i < 5; i++) {
        allot_movable_pin(&heap, ref);
    }
    for (int i = 0; i < 6; i++) {
        allot_movable_unpin(&heap, ref);
    }
}
static void unpin_of_a_large_one(void)
{
    allot_movable_pin(&heap, large);
    allot_movable_unpin(&heap, large);
    allot_movable_unpin(&heap, large);
}
static void put_of_a_pinned_one(void)
{
    allot_movable_pin(&heap, ref);
    allot_movable_put(&heap, ref);
}
static void put_of_a_pinned_large_one(void)
{
    allot_movable_pin(&heap, large);
    allot_movable_put(&heap, large);
}
static void done_with_a_pin(void)
{
    allot_movable_pin(&heap, ref);
    allot_movable_done(&heap);
}
static void done_with_a_large_pin(void)
{
    allot_movable_pin(&heap, large);
    allot_movable_done(&heap);
}
static void resize_after_put(void)
{
    allot_movable_put(&heap, ref);
    allot_movable_resize(&heap, ref, 10);
}
static void size_after_put(void)
{
    allot_movable_put(&heap, ref);
    allot_movable_size(&heap, ref);
}
static void use_after_done(void)
{
    allot_movable_done(&heap);
    allot_movable_get(&heap, 10);
}
static void at_after_done(void)
{
    allot_movable_done(&heap);
    allot_movable_at(&heap, ref);
}
/* AddressSanitizer would say so at once, and not the heap. */
static __attribute__((no_sanitize("address"))) void write_unseen(volatile char *p, char value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        p[i] = value;
    }
}
static void overwritten(void)
{
    char *p = allot_movable_at(&heap, ref);
    write_unseen(p, (char)0xff, 112); /* and what follows */
    allot_movable_check(&heap);
}
static void overwritten_before(void)
{
    char *p = allot_movable_at(&heap, ref);
    write_unseen(p - 4, 0, 4);
    allot_movable_check(&heap);
}

static const struct {
    void (*commit)(void);
    const char *crime, *object;
} crimes[] = {
    {double_put, "double put, or put of a stale reference", "reference 9.10 of movable heap \"texts\""},
    {double_put_of_a_large_one, "double put, or put of a stale reference", "reference 10.11 of"},
    {put_after_reuse, "double put, or put of a stale reference", "reference 9.10 of"},
    {at_after_put, "use of a stale reference", "reference 9.10 of movable heap \"texts\""},
    {at_after_reuse, "use of a stale reference", "reference 9.10 of"},
    {at_after_put_among_many, "use of a stale reference", "reference 9.10 of"},
    {at_of_garbage, "use of a stale reference", "reference 12345678.5 of"},
    {at_beyond_all, "use of a stale reference", "reference 4294967295.5 of"},
    {pin_after_put, "pin of a stale reference", "reference 9.10 of"},
    {unpin_after_put, "unpin of a stale reference", "reference 9.10 of"},
    {unpin_without_pin, "unpin of an object that is not pinned", "reference 9.10 of"},
    {unpin_too_many, "unpin of an object that is not pinned", "reference 9.10 of"},
    {unpin_of_a_large_one, "unpin of an object that is not pinned", "reference 10.11 of"},
    {put_of_a_pinned_one, "put of a pinned object", "reference 9.10 of"},
    {put_of_a_pinned_large_one, "put of a pinned object", "reference 10.11 of"},
    {done_with_a_pin, "done while an object is pinned", "reference 9.10 of"},
    {done_with_a_large_pin, "done while an object is pinned", "reference 10.11 of"},
    {resize_after_put, "resize of a stale reference", "reference 9.10 of"},
    {size_after_put, "size of a stale reference", "reference 9.10 of"},
    {use_after_done, "use of a movable heap that was not initialised, or is done", "heap"},
    {at_after_done, "use of a movable heap that was not initialised, or is done", "heap"},
    {overwritten, "broken: ", "movable heap"},
    {overwritten_before, "broken: ", "movable heap"},
};

static void commit(void *arg)
{
    signal(SIGSEGV, SIG_DFL);
    begin();
    crimes[(uintptr_t)arg].commit();
}

static void each_ends_with_its_line(void **state)
{
    (void)state;
    for (uintptr_t i = 0; i < sizeof crimes / sizeof *crimes; i++) {
        struct child_end end = child_run(commit, (void *)i);
        end.text[strcspn(end.text, "\n")] = 0; /* then where it happened */
        if (!WIFSIGNALED(end.status) || WTERMSIG(end.status) != SIGABRT || !strstr(end.text, crimes[i].crime) ||
            !strstr(end.text, crimes[i].object) || strncmp(end.text, "allot: ", 7) != 0) {
            fail_msg("crime %zu, \"%s\": status %x, said \"%s\"", (size_t)i, crimes[i].crime, (unsigned)end.status,
                     end.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_ends_with_its_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
