/* limits.c - real ends of memory: RLIMIT_AS and RLIMIT_DATA, set before the program starts and while it runs. Blocks of one
 * size are hoarded until there are no more: most of the limit is had, what was had stays whole, and when it is given back
 * as much can be had again, by one thread and by several at once.
 *
 *     limits                      every case, each in a process of its own
 *     limits hoard SIZE LEAST     within the limits that stand: at least LEAST bytes must be had in blocks of SIZE
 */
#include "../common/check.h"
#include "../common/pattern.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../common/family.h"

enum { THREADS = 3, ROUNDS = 2 };

#define MIB ((size_t)1 << 20)

/* Blocks are chained through their first bytes: the test needs no memory of its own. */
struct link {
    struct link *next;
};

static size_t hoard(struct link **chain, size_t size)
{
    size_t had = 0;
    struct link *link;
    errno = 0;
    while ((link = malloc(size)) != NULL) {
        pattern_fill(link + 1, size - sizeof *link, (uintptr_t)link);
        link->next = *chain;
        *chain = link;
        had++;
    }
    CHECK(errno == ENOMEM);
    return had;
}

/* Frees the chain, or every other block of it. */
static void give_back(struct link **chain, size_t size, bool half)
{
    struct link **link = chain;
    while (*link) {
        struct link *gone = *link;
        CHECK(pattern_holds(gone + 1, size - sizeof *gone, (uintptr_t)gone, true));
        *link = gone->next;
        free(gone);
        if (half && *link)
            link = &(*link)->next;
    }
}

/* With not a byte left what is there can still be used, resized downward, given back. */
static void live_without_memory(struct link **chain, size_t size)
{
    struct link *first = *chain;
    CHECK(realloc(first, (size_t)1 << 30) == NULL && errno == ENOMEM);
    CHECK(pattern_holds(first + 1, size - sizeof *first, (uintptr_t)first, true));
    void *p = opaque_pointer(first);
    CHECK(posix_memalign(&p, 4096, (size_t)1 << 30) == ENOMEM && p == first);
    CHECK(calloc((size_t)1 << 20, 1 << 10) == NULL && errno == ENOMEM);
    toolkit_check();
}

static void hoard_in_turn(size_t size, size_t least)
{
    struct link *chain = NULL;
    size_t first = hoard(&chain, size);
    snprintf(check_context, sizeof check_context, "%zu blocks of %zu bytes, %zu MiB, were had", first, size,
             first * size / MIB);
    CHECK(first * size >= least);
    for (int round = 0; round < ROUNDS && chain; round++) {
        live_without_memory(&chain, size);
        give_back(&chain, size, true);
        size_t again = hoard(&chain, size);
        CHECK(again >= first * 2 / 5);
        give_back(&chain, size, false);
        toolkit_check();
        again = hoard(&chain, size);
        CHECK(again * 10 >= first * 9);
    }
    give_back(&chain, size, false);
    toolkit_check();
}

static pthread_barrier_t barrier;

static void *hoard_beside_others(void *arg)
{
    size_t size = (uintptr_t)arg;
    pthread_barrier_wait(&barrier); /* a stack for each has been had */
    for (unsigned round = 0; round < test_scale(); round++) {
        struct link *chain = NULL;
        hoard(&chain, size);
        pthread_barrier_wait(&barrier);
        give_back(&chain, size, true);
        hoard(&chain, size);
        give_back(&chain, size, false);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void hoard_at_once(size_t size)
{
    pthread_t threads[THREADS];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], &small, hoard_beside_others, (void *)size) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    toolkit_check();
    free(malloc(size));
}

static const struct kind {
    const char *name;
    int limit;
} kinds[] = {{"address space", RLIMIT_AS}, {"data", RLIMIT_DATA}};

static void set_limit(int kind, size_t bytes)
{
    struct rlimit limit = {bytes, bytes};
    CHECK(setrlimit(kind, &limit) == 0);
}

static void run_case(const char *program, const struct kind *kind, size_t limit, size_t size, bool at_start)
{
    /* A third is left to the program, its libraries, the threads' stacks, and the heap's own grain. */
    size_t least = limit / 3 * 2 - 4 * MIB;
    char text[2][24];
    snprintf(text[0], sizeof text[0], "%zu", size);
    snprintf(text[1], sizeof text[1], "%zu", least);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        set_limit(kind->limit, limit);
        if (at_start) {
            execl(program, program, "hoard", text[0], text[1], (char *)NULL);
            _exit(99);
        }
        hoard_in_turn(size, least);
        hoard_at_once(size);
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    snprintf(check_run, sizeof check_run, "%s limited to %zu MiB, blocks of %zu, set %s", kind->name, limit / MIB, size,
             at_start ? "before the start" : "later");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
    toolkit_find();
    if (argc == 4 && strcmp(argv[1], "hoard") == 0) {
        size_t size = strtoul(argv[2], NULL, 10);
        hoard_in_turn(size, strtoul(argv[3], NULL, 10));
        hoard_at_once(size);
        return 0;
    }
    static const size_t limits[] = {32 * MIB, 64 * MIB}, sizes[] = {16, 1000, 40000, 300000};
    for (size_t k = 0; k < 2; k++) {
        for (size_t s = 0; s < 4; s++)
            run_case(argv[0], &kinds[k], limits[(k + s) % 2], sizes[s], (k + s / 2) % 2 == 0);
    }
    return 0;
}
