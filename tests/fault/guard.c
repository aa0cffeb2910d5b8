/* guard.c - crimes around blocks that are guarded (ALLOT_OPTIONS=guard=4): the first line to the letter, both stacks after it. One
 * child a crime; it commits the crime on the first block that it is given which is guarded.
 */
#include "../common/check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "../common/family.h"
#include "crime.h"

static const void **named; /* the block's address; shared with the child */

/* A guarded block is exactly as long as it was asked for: of 100 bytes, any other has more. */
static char *guarded(size_t size, bool at_end)
{
    for (;;) {
        char *p = malloc(size);
        bool ends = ((uintptr_t)p + size + 15) % 4096 < 16;
        if (malloc_usable_size(p) == size && ends == at_end) {
            *named = p;
            memset(p, 1, size);
            return p;
        }
        free(p);
    }
}

static volatile char sink;

static void read_beyond(void) { sink = guarded(100, true)[112]; }
static void write_before(void) { guarded(100, false)[-1] = 1; }
static void write_a_little_beyond(void)
{
    char *p = guarded(100, true);
    p[100] = 1;
    free(p);
}
static void write_a_little_before(void)
{
    char *p = guarded(100, true);
    p[-1] = 1;
    free(p);
}
static void read_after_free(void)
{
    char *p = guarded(100, true);
    free(p);
    sink = ((char *)opaque_pointer(p))[50];
}
static void read_beyond_after_free(void)
{
    char *p = guarded(100, true);
    free(p);
    sink = ((char *)opaque_pointer(p))[112];
}
static void free_twice(void)
{
    char *p = guarded(100, false);
    free(p);
    free(opaque_pointer(p));
}
static void *free_in_thread(void *p)
{
    free(p);
    return NULL;
}
static void free_twice_elsewhere(void)
{
    char *p = guarded(3000, true);
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, free_in_thread, opaque_pointer(p)) == 0);
        pthread_join(thread, NULL);
    }
}
static void realloc_after_free(void)
{
    char *p = guarded(100, true);
    free(p);
    (void)opaque_pointer(realloc(opaque_pointer(p), 200));
}

static const struct crime {
    void (*commit)(void);
    const char *line, *more; /* before and after " at ADDRESS" */
    int signal;
    bool freed;
} crimes[] = {
    {read_beyond, "overflow: guarded block of 100 bytes", ", byte 112", SIGSEGV, false},
    {write_before, "underflow: guarded block of 100 bytes", ", byte -1", SIGSEGV, false},
    {write_a_little_beyond, "end of a block overwritten: guarded block of 100 bytes", "", SIGABRT, false},
    {write_a_little_before, "start of a block overwritten: guarded block of 100 bytes", "", SIGABRT, false},
    {read_after_free, "use after free: guarded block of 100 bytes", ", byte 50", SIGSEGV, true},
    {read_beyond_after_free, "use after free: guarded block of 100 bytes", ", byte 112", SIGSEGV, true},
    {free_twice, "double free: guarded block of 100 bytes", "", SIGABRT, true},
    {free_twice_elsewhere, "double free: guarded block of 3000 bytes", "", SIGABRT, true},
    {realloc_after_free, "realloc of what is no live block: address", "", SIGABRT, false},
};

static void expect(const struct crime *crime)
{
    struct end end = commit_in_child(crime->commit);
    bool block_is_known = strncmp(crime->line, "realloc", 7) != 0;
    char expected[256];
    snprintf(expected, sizeof expected, "allot: %s at %p%s", crime->line, *named, crime->more);
    check_end(&end, expected, crime->signal, crime->signal);
    CHECK((strstr(end.text, "\nallot:   allocated by thread ") != NULL) == block_is_known);
    CHECK((strstr(end.text, "\nallot:   freed by thread ") != NULL) == crime->freed);
}

/* -- what is no crime -- */

/* Or not against the block, which is there. */
static void call_one(void) { ((void (*)(void))opaque_pointer(guarded(100, true)))(); }

static void say_nothing_of_others(void)
{
    struct end end = commit_in_child(call_one);
    snprintf(check_context, sizeof check_context, "said \"%.120s\"", end.text);
    CHECK(strstr(end.text, "allot:") == NULL && WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSEGV);
}

/* A program's own handler gets what is not ours. */
static sigjmp_buf back;
static void on_signal(int signal) { siglongjmp(back, signal); }

static void leave_others_alone(void)
{
    struct sigaction own = {.sa_handler = on_signal}, before;
    CHECK(sigaction(SIGSEGV, &own, &before) == 0);
    void *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(nothing != MAP_FAILED);
    if (sigsetjmp(back, 1) == 0) {
        sink = *(volatile char *)nothing;
        CHECK(false);
    }
    CHECK(sigaction(SIGSEGV, &before, NULL) == 0);
}

/* Guarded blocks are blocks: of any size and alignment, moved, walked, counted, freed by others. */
static int count(void *block, size_t usable, void *arg)
{
    (void)usable;
    *(size_t *)arg += block == *named;
    return 0;
}

static void serve(void)
{
    static const size_t sizes[] = {1, 16, 100, 1000, 1024, 5000, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i] == 16 || sizes[i] == 1024 ? sizes[i] - 1 : sizes[i], found = 0;
        char *p = guarded(size, i % 2 && size > 16), *q;
        CHECK((uintptr_t)p % 16 == 0);
        CHECK(toolkit.walk(count, &found) == 0 && found == 1);
        CHECK(toolkit.check());
        q = realloc(p, 2 * size);
        CHECK(q && q[0] == 1 && q[size - 1] == 1);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, free_in_thread, q) == 0);
        pthread_join(thread, NULL);
    }
    for (int i = 0; i < 200000; i++) {
        char *p = aligned_alloc(256, 512), *z = calloc(1, 300);
        CHECK(p && (uintptr_t)p % 256 == 0 && z);
        for (size_t b = 0; b < 300; b++)
            CHECK(z[b] == 0);
        memset(p, 1, 512);
        memset(z, 1, 300);
        free(p);
        free(z);
    }
    CHECK(toolkit.option("guard", "off") == 0 && toolkit.option("guard", "on") == 0);
    CHECK(toolkit.option("guard", "often") != 0 && toolkit.option("guard", "4") == 0);
}

int main(void)
{
    CHECK(toolkit_find());
    named = mmap(NULL, sizeof *named, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(named != MAP_FAILED);
    leave_others_alone();
    serve();
    say_nothing_of_others();
    for (size_t i = 0; i < sizeof crimes / sizeof crimes[0]; i++) {
        snprintf(check_run, sizeof check_run, "crime %zu", i);
        expect(&crimes[i]);
    }
    return 0;
}
