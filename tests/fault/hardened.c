/* hardened.c LEVEL - crimes in a process that is hardened (ALLOT_OPTIONS=harden=1 to 3) or has guarded blocks, and what is
 * said of each: the first line is compared to the letter. One child a crime and level.
 */
#include "../common/check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "../common/family.h"
#include "crime.h"

enum { LEVELS = 4, SMALL = 100, RUN = 50000, BIG = 300000, UNIT = 65536, SEGMENT = 4 << 20 };

/* What the crime's line must say of it. Shared with the child. */
static struct {
    const void *address;
    long byte;
} * named;

static void *name(void *p)
{
    named->address = p;
    return p;
}

static char *small(void) { return name(malloc(SMALL)); }

static void *free_in_thread(void *p)
{
    free(p);
    return NULL;
}

static void free_elsewhere(void *p)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_in_thread, p) == 0);
    pthread_join(thread, NULL);
}

static void twice(void)
{
    void *p = small();
    free(p);
    free(opaque_pointer(p));
}

static void twice_with_another_between(void)
{
    void *p = small(), *q = malloc(SMALL);
    free(p);
    free(q);
    free(opaque_pointer(p));
}

static void twice_much_later(void)
{
    void *p = small();
    free(p);
    for (int i = 0; i < 16; i++)
        free(opaque_pointer(malloc(SMALL)));
    free(opaque_pointer(p));
}

static void twice_elsewhere(void)
{
    void *p = small();
    free_elsewhere(p);
    free_elsewhere(opaque_pointer(p));
}

static void elsewhere_then_here(void)
{
    void *p = small();
    free_elsewhere(p);
    free(opaque_pointer(p));
}

static void here_then_elsewhere(void)
{
    void *p = small();
    free(p);
    free_elsewhere(opaque_pointer(p));
}

/* By a thread that ends as soon as it does what may take long: but the process ends. */
static void *free_when_cancelled(void *p)
{
    pthread_cancel(pthread_self());
    free(p);
    return NULL;
}

static void twice_when_cancelled(void)
{
    pthread_t thread;
    void *p = small();
    free(p);
    CHECK(pthread_create(&thread, NULL, free_when_cancelled, opaque_pointer(p)) == 0);
    pthread_join(thread, NULL);
}

static void inside(void) { free(opaque_pointer(name((char *)malloc(SMALL) + 16))); }

static void never_handed_out(void) { free(opaque_pointer(name((char *)malloc(1) + 32768))); }

static void on_the_stack(void)
{
    char here[64];
    free(opaque_pointer(name(here + 16 - (uintptr_t)here % 16)));
}

static void where_nothing_is(void) { free(opaque_pointer(name((void *)0x123456789a00))); }

#if !defined(ALLOT_NAMES) /* a library that is part of the program cannot tell who has followed these */
static void small_number(void) { free(opaque_pointer(name((void *)1))); }
#if defined(__x86_64__)
static void no_address(void) { free(opaque_pointer(name((void *)0x5a5a5a5a5a5a5a5a))); }
#endif
#endif

static void usable_size_of_free(void)
{
    void *p = small();
    free(p);
    (void)malloc_usable_size(opaque_pointer(p));
}

static void usable_size_where_nothing_is(void)
{
    malloc_usable_size(name(opaque_pointer((void *)(((uintptr_t)1 << 40) + 48))));
}

static void realloc_of_free(void)
{
    void *p = small();
    free(p);
    (void)opaque_pointer(realloc(opaque_pointer(p), 2 * SMALL));
}

static void one_too_many(void)
{
    char *p = small();
    p[malloc_usable_size(p)] ^= 1;
    free(p);
}

static void one_too_many_elsewhere(void)
{
    char *p = small();
    p[malloc_usable_size(p)] ^= 1;
    free_elsewhere(p);
}

static void one_too_many_then_realloc(void)
{
    char *p = small();
    p[malloc_usable_size(p)] ^= 1;
    (void)opaque_pointer(realloc(p, 10 * SMALL));
}

static void one_too_many_big(void)
{
    char *p = opaque_pointer(name(malloc(BIG)));
    p[malloc_usable_size(p)] ^= 1;
    free(p);
}

/* Of a class of which nobody else has any, so that the same slot comes again. */
static void written_after_free_of_run(void)
{
    char *p = name(malloc(RUN)), *q;
    free(p);
    memset(opaque_pointer(p + RUN / 2), 'x', 1);
    do {
        q = malloc(RUN); /* a page run is found by what it was rounded to */
        CHECK(q);
    } while (q != p);
}

static void written_after_free(void)
{
    char *p = small();
    free(p);
    p[50] = 1;
    for (int i = 0; i < 100000; i++)
        free(opaque_pointer(malloc(SMALL)));
}

static void big_twice(void)
{
    void *p = name(malloc(BIG));
    free(p);
    free(opaque_pointer(p));
}

static void inside_of_big(void) { free(opaque_pointer(name((char *)malloc(BIG) + 64))); }

/* Not the first of its slab, before which nobody can write. */
static char *small_after_another(void)
{
    char *p;
    do
        p = small();
    while ((uintptr_t)p % 65536 == 0);
    return p;
}

static void one_too_few(void)
{
    char *p = small_after_another();
    ((char *)opaque_pointer(p))[-1] ^= 1;
    free(p);
}

static void one_too_few_elsewhere(void)
{
    char *p = small_after_another();
    ((char *)opaque_pointer(p))[-8] ^= 1;
    free_elsewhere(p);
}

static void nothing_twice(void)
{
    void *p = name(malloc(0));
    free(p);
    free(opaque_pointer(p));
}

static void inside_of_nothing(void) { free(opaque_pointer(name((char *)malloc(0) + 1))); }

/* -- bad accesses -- */

static void touch(char *p, long byte)
{
    named->byte = byte;
    ((volatile char *)opaque_pointer(name(p)))[byte] = 1;
}

/* The first byte of which no page is the block's, whatever the size of pages. */
static void beyond_big(void) { touch(malloc(BIG), (BIG + UNIT - 1) / UNIT * UNIT); }

static void before_big(void) { touch(malloc(BIG), -1); }

static void big_after_free(void)
{
    char *p = malloc(BIG);
    free(p);
    touch(p, SMALL);
}

/* As one that was made longer where it stands, beyond the multiple of 4 MiB at which it begins. */
static void very_big_after_free(void)
{
    char *p = realloc(malloc(3 * (size_t)SEGMENT + 1), 3 * (size_t)SEGMENT + 2);
    free(p);
    touch(p, 2 * (long)SEGMENT + 1);
}

/* Its place is not held any more, and waits for another block. */
static void big_long_after_free(void)
{
    enum { OTHERS = 80 };
    char *p = malloc(BIG);
    void *others[OTHERS];
    for (int i = 0; i < OTHERS; i++)
        others[i] = malloc(BIG);
    free(p);
    for (int i = 0; i < OTHERS; i++)
        free(others[i]);
    touch(p, 0);
}

static char *slab_of_small(void)
{
    char *p = malloc(SMALL);
    return p - (uintptr_t)p % UNIT;
}

static void beyond_a_slab(void) { touch(slab_of_small(), UNIT); }

static void before_a_slab(void) { touch(slab_of_small(), -1); }

/* The last unit that is no fence, of which nobody has had anything yet. */
static void where_no_slab_is(void)
{
    char *p = malloc(SMALL);
    p += SEGMENT - 2 * UNIT - (uintptr_t)p % SEGMENT;
    touch(p, 0);
}

static void nothing(void) { touch(malloc(0), 15); }

static void nothing_after_free(void)
{
    char *p = malloc(0);
    free(p);
    touch(p, 0);
}

__attribute__((noinline, no_sanitize("undefined"))) static int first_word(const int *p)
{
    return *(const volatile int *)p;
}

/* A crime, but none against a block. */
static void follow_null(void) { first_word(opaque_pointer(NULL)); }

static void free_with_another_size(void) { toolkit.free_sized(small(), 2 * SMALL); }

static void free_with_another_alignment(void)
{
    char *p;
    do
        p = small();
    while ((uintptr_t)p % 4096 == 0);
    toolkit.free_aligned_sized(p, 4096, SMALL);
}

#define SLOT_1 "small block of 112 bytes"
#define EXACT  "small block of 100 bytes"

/* By level; NULL: it goes unseen, and the program may go on as it likes. */
static const struct crime {
    void (*commit)(void);
    const char *line[LEVELS];
} crimes[] = {
    {twice, {NULL, "double free: " SLOT_1, "double free: " SLOT_1, "double free: " SLOT_1}},
    {twice_with_another_between, {NULL, "double free: " SLOT_1, "double free: " SLOT_1, "double free: " SLOT_1}},
    {twice_much_later, {NULL, NULL, "double free: " SLOT_1, "double free: " SLOT_1}},
    {twice_elsewhere,
     {"double free: small block", "double free: " SLOT_1, "double free: " SLOT_1, "double free: " SLOT_1}},
    {elsewhere_then_here, {NULL, "double free: " SLOT_1, "double free: " SLOT_1, "double free: " SLOT_1}},
    {here_then_elsewhere, {NULL, "double free: " SLOT_1, "double free: " SLOT_1, "double free: " SLOT_1}},
    {twice_when_cancelled, {NULL, "double free: " SLOT_1, "double free: " SLOT_1, "double free: " SLOT_1}},
    {inside,
     {NULL, "free of what is no live block: address", "free of what is no live block: address",
      "free of what is no live block: address"}},
    {never_handed_out,
     {NULL, "free of what is no live block: address", "free of what is no live block: address",
      "free of what is no live block: address"}},
    {on_the_stack,
     {NULL, "free of what is no live block: address", "free of what is no live block: address",
      "free of what is no live block: address"}},
    {where_nothing_is,
     {NULL, "free of what is no live block: address", "free of what is no live block: address",
      "free of what is no live block: address"}},
#if !defined(ALLOT_NAMES)
    {small_number,
     {NULL, "free of what is no live block: address", "free of what is no live block: address",
      "free of what is no live block: address"}},
#if defined(__x86_64__)
    {no_address,
     {NULL, "free of what is no live block: address", "free of what is no live block: address",
      "free of what is no live block: address"}},
#endif
#endif
    {usable_size_of_free,
     {NULL, "size of what is no live block: " SLOT_1, "size of what is no live block: " SLOT_1,
      "size of what is no live block: " SLOT_1}},
    {usable_size_where_nothing_is,
     {NULL, "size of what is no live block: address", "size of what is no live block: address",
      "size of what is no live block: address"}},
    {realloc_of_free,
     {NULL, "realloc of what is no live block: " SLOT_1, "realloc of what is no live block: " SLOT_1,
      "realloc of what is no live block: " SLOT_1}},
    {one_too_many, {NULL, NULL, "end of a block overwritten: " EXACT, "end of a block overwritten: " EXACT}},
    {one_too_many_elsewhere, {NULL, NULL, "end of a block overwritten: " EXACT, "end of a block overwritten: " EXACT}},
    {one_too_many_then_realloc,
     {NULL, NULL, "end of a block overwritten: " EXACT, "end of a block overwritten: " EXACT}},
    {one_too_many_big,
     {NULL, NULL, "end of a block overwritten: page run of 300000 bytes",
      "end of a block overwritten: large block of 300000 bytes"}},
    {big_twice, {NULL, NULL, NULL, "double free: large block of 300000 bytes"}},
    {inside_of_big, {NULL, NULL, NULL, "free of what is no live block: address"}},
    {one_too_few, {NULL, NULL, NULL, "start of a block overwritten: " SLOT_1}},
    {one_too_few_elsewhere, {NULL, NULL, NULL, "start of a block overwritten: " SLOT_1}},
    {nothing_twice, {NULL, NULL, NULL, "double free: small block of 0 bytes"}},
    {inside_of_nothing, {NULL, NULL, NULL, "free of what is no live block: address"}},
    {written_after_free_of_run,
     {NULL, NULL, "write after free: page run of 53248 bytes", "write after free: page run of 53248 bytes"}},
    {written_after_free, {NULL, NULL, "write after free: " SLOT_1, "write after free: " SLOT_1}},
    {where_no_slab_is, {NULL, NULL, NULL, "access to what is no live block: address"}},
    {free_with_another_size,
     {NULL, "free with another size than it has: " SLOT_1, "free with another size than it has: " EXACT,
      "free with another size than it has: " EXACT}},
    {free_with_another_alignment,
     {NULL, "free with another alignment than it has: " SLOT_1, "free with another alignment than it has: " EXACT,
      "free with another alignment than it has: " EXACT}},
};

/* Level 3: the line ends with the byte, and the process by the signal. */
static const struct {
    void (*commit)(void);
    const char *line;
} accesses[] = {
    {beyond_big, "overflow: large block of 300000 bytes"},
    {before_big, "underflow: large block of 300000 bytes"},
    {big_after_free, "use after free: large block of 300000 bytes"},
    {big_long_after_free, "use after free: large block of 300000 bytes"},
    {very_big_after_free, "use after free: large block of 12582914 bytes"},
    {beyond_a_slab, "overflow: slab of small blocks of 112 bytes"},
    {before_a_slab, "underflow: slab of small blocks of 112 bytes"},
    {nothing, "overflow: small block of 0 bytes"},
    {nothing_after_free, "use after free: small block of 0 bytes"},
};

static void expect(const struct crime *crime, const char *line)
{
    struct end end = commit_in_child(crime->commit);
    char expected[256];
    snprintf(expected, sizeof expected, "allot: %s at %p", line, named->address);
    check_end(&end, expected, SIGABRT, SIGSEGV);
}

static void expect_access(void (*commit)(void), const char *line)
{
    struct end end = commit_in_child(commit);
    char expected[256];
    snprintf(expected, sizeof expected, "allot: %s at %p, byte %ld", line, named->address, named->byte);
    check_end(&end, expected, SIGSEGV, SIGSEGV);
}

/* Nothing is said of what is not known. */
static void expect_nothing(void (*commit)(void))
{
    struct end end = commit_in_child(commit);
    snprintf(check_context, sizeof check_context, "said \"%.120s\"", end.text);
    CHECK(strstr(end.text, "allot:") == NULL && WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSEGV);
}

int main(int argc, char **argv)
{
    CHECK(toolkit_find() && argc == 2);
    int level = atoi(argv[1]);
    CHECK(level >= 0 && level < LEVELS);
    named = mmap(NULL, sizeof *named, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(named != MAP_FAILED);
    for (size_t i = 0; i < sizeof crimes / sizeof crimes[0]; i++) {
        snprintf(check_run, sizeof check_run, "crime %zu on level %d", i, level);
        if (crimes[i].line[level])
            expect(&crimes[i], crimes[i].line[level]);
    }
    for (size_t i = 0; level == 3 && i < sizeof accesses / sizeof accesses[0]; i++) {
        snprintf(check_run, sizeof check_run, "access %zu", i);
        expect_access(accesses[i].commit, accesses[i].line);
    }
    expect_nothing(follow_null);
    return 0;
}
