/* walk.c - walks a graph that is larger than the memory it may take, breadth first: allot_pager under arrays of numbers.
 *
 *     walk make FILE VERTICES DEGREE        writes one at random
 *     walk FILE FROM [MIB]                  how many vertices are how far from there
 *
 *   FILE:      | vertices, degree | neighbours of 0 | neighbours of 1 | ... |      4 bytes each
 *   in memory: distance[] and the queue are pages too, of a store of the walk's own, in the same frames
 *
 * What is near is asked for often, by different vertices, and stays; a vertex's neighbours are read once. Nothing here is more than
 * an array with a longer arm: at(array, i).
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <allot/pager.h>

#include "progress.h"

enum { PAGE = 4096, PER_PAGE = PAGE / 4, HEAD = 2, FAR = 64 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Numbers [0, ...), from a page of a pager on. */
struct array {
    struct allot_pager *pager;
    uint64_t page;
};

static uint32_t get(struct array a, uint64_t i)
{
    uint32_t *page = allot_pager_pin(a.pager, a.page + i / PER_PAGE, ALLOT_PAGER_READ);
    if (!page) {
        fail("page");
    }
    uint32_t value = page[i % PER_PAGE];
    allot_pager_unpin(a.pager, page, ALLOT_PAGER_READ);
    return value;
}

static void put(struct array a, uint64_t i, uint32_t value)
{
    uint32_t *page = allot_pager_pin(a.pager, a.page + i / PER_PAGE, ALLOT_PAGER_WRITE);
    if (!page) {
        fail("page");
    }
    page[i % PER_PAGE] = value;
    allot_pager_unpin(a.pager, page, ALLOT_PAGER_WRITE);
}

static void begin(struct allot_pager *pager, const struct allot_store *store, size_t bytes)
{
    struct allot_pager_opts opts = {.frames = bytes / PAGE < 8 ? 8 : bytes / PAGE, .how = ALLOT_PAGER_ALONE};
    if (allot_pager_init(pager, store, &opts) != 0) {
        fail("memory");
    }
}

/* Two in three neighbours are near: the graph has a shape, and the pager something to keep. */
static uint32_t some_neighbour(uint64_t *random, uint32_t vertex, uint32_t vertices)
{
    *random = *random * 6364136223846793005 + 1442695040888963407;
    uint32_t r = (uint32_t)(*random >> 33);
    return r % 3 ? (uint32_t)(((uint64_t)vertex + vertices + r % 1000 - 500) % vertices) : r % vertices;
}

static int make(const char *path, uint32_t vertices, uint32_t degree)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    struct allot_store store;
    struct allot_pager pager;
    if (fd < 0 || allot_store_file(&store, fd, 0) != 0) {
        fail(path);
    }
    begin(&pager, &store, 1 << 20);
    struct array file = {&pager, 0};
    struct progress progress = {.what = "make", .total = vertices};
    uint64_t random = 1;
    put(file, 0, vertices);
    put(file, 1, degree);
    for (uint32_t v = 0; v < vertices; v++) {
        for (uint32_t i = 0; i < degree; i++) {
            put(file, HEAD + (uint64_t)v * degree + i, some_neighbour(&random, v, vertices));
        }
        progress_is(&progress, v + 1);
    }
    errno = -allot_pager_done(&pager);
    if (errno) {
        fail(path);
    }
    allot_store_done(&store);
    return close(fd);
}

static void walk(const char *path, uint32_t from, size_t memory)
{
    int fd = open(path, O_RDONLY);
    FILE *own = tmpfile();
    struct allot_store file, scratch;
    struct allot_pager graph, work;
    if (fd < 0 || !own || allot_store_file(&file, fd, 0) != 0 || allot_store_file(&scratch, fileno(own), 0) != 0) {
        fail(path);
    }
    begin(&graph, &file, memory / 2);
    begin(&work, &scratch, memory / 2);
    struct array neighbours = {&graph, 0};
    uint32_t vertices = get(neighbours, 0), degree = get(neighbours, 1);
    /* distance: 1 more than it is; 0, as all of a new file: not reached yet */
    struct array distance = {&work, 0}, queue = {&work, 1 + (uint64_t)vertices / PER_PAGE};
    struct progress progress = {.what = "walk", .total = vertices};
    uint64_t at = 0, end = 0, levels[FAR] = {0};
    if (from >= vertices) {
        fprintf(stderr, "there is no vertex %u\n", from);
        exit(1);
    }
    put(distance, from, 1);
    put(queue, end++, from);
    while (at < end) {
        uint32_t v = get(queue, at++), d = get(distance, v);
        levels[d - 1 < FAR - 1 ? d - 1 : FAR - 1]++;
        for (uint32_t i = 0; i < degree; i++) {
            uint32_t to = get(neighbours, HEAD + (uint64_t)v * degree + i);
            if (get(distance, to) == 0) {
                put(distance, to, d + 1);
                put(queue, end++, to);
            }
        }
        progress_is(&progress, at);
    }
    progress_is(&progress, vertices);
    for (unsigned d = 0; d < FAR && levels[d]; d++) {
        printf("%u %llu\n", d, (unsigned long long)levels[d]);
    }
    struct allot_pager_stats stats;
    allot_pager_stats(&graph, &stats);
    fprintf(stderr, "%u vertices, %llu reached; of %llu looks at the graph %.1f %% were in memory, %zu pages of %zu\n",
            vertices, (unsigned long long)end, (unsigned long long)(stats.hits + stats.misses),
            100.0 * (double)stats.hits / (double)(stats.hits + stats.misses), stats.frames, stats.page);
    allot_pager_abandon(&work);
    allot_pager_abandon(&graph);
    allot_store_done(&scratch);
    allot_store_done(&file);
    fclose(own);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "make") == 0) {
        return make(argv[2], (uint32_t)atol(argv[3]), (uint32_t)atol(argv[4]));
    }
    if (argc < 3) {
        fprintf(stderr, "usage: %s make FILE VERTICES DEGREE | FILE FROM [MIB]\n", argv[0]);
        return 2;
    }
    walk(argv[1], (uint32_t)atol(argv[2]), (argc > 3 ? strtoul(argv[3], NULL, 10) : 16) << 20);
}
