/* zipf.c - random reads of a file that is larger than memory, by skew: a page is read, and one number of it used. For
 * bench/pager.py.
 *
 *     zipf HOW FILE PAGES FRAMES SECONDS       prints reads a second, and MiB of anonymous and of all resident memory, at most
 *
 * HOW: mmap; mmap-random, told that it is read at random; pread, of the system's cache; or a policy's name: allot_pager with so
 * many frames, on the file without the system's cache (O_DIRECT) where it can be had so. The numbers of the pages are as YCSB's:
 * Zipf, theta 0.99, scattered over the file. The first third of the time is not counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <allot/pager.h>

enum { PAGE = 4096 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* -- which page (Gray et al., "Quickly generating billion-record synthetic databases", 1994) -- */

static struct {
    uint64_t pages, random;
    double zeta, alpha, eta;
} zipf;

static const double theta = 0.99;

static void zipf_begin(uint64_t pages)
{
    zipf.pages = pages;
    zipf.random = 88172645463325252;
    for (uint64_t i = 1; i <= pages; i++) {
        zipf.zeta += 1 / pow((double)i, theta);
    }
    zipf.alpha = 1 / (1 - theta);
    zipf.eta = (1 - pow(2.0 / (double)pages, 1 - theta)) / (1 - (1 + pow(0.5, theta)) / zipf.zeta);
}

static uint64_t zipf_next(void)
{
    zipf.random ^= zipf.random << 13;
    zipf.random ^= zipf.random >> 7;
    zipf.random ^= zipf.random << 17;
    double u = (double)(zipf.random >> 11) / (double)((uint64_t)1 << 53), uz = u * zipf.zeta;
    uint64_t rank = uz < 1 ? 0
                    : uz < 1 + pow(0.5, theta)
                        ? 1
                        : (uint64_t)((double)zipf.pages * pow(zipf.eta * u - zipf.eta + 1, zipf.alpha));
    return (rank * 0x9e3779b97f4a7c15 >> 11) % zipf.pages;
}

/* -- how -- */

static const char *mapped;
static int fd;
static struct allot_store store;
static struct allot_pager pager;

static uint64_t by_mmap(uint64_t page) { return *(const volatile uint64_t *)(mapped + page * PAGE); }

static uint64_t by_pread(uint64_t page)
{
    static uint64_t into[PAGE / 8];
    if (pread(fd, into, PAGE, (off_t)(page * PAGE)) != PAGE) {
        fail("pread");
    }
    return into[0];
}

static uint64_t by_pager(uint64_t page)
{
    uint64_t *at = allot_pager_pin(&pager, page, ALLOT_PAGER_READ);
    if (!at) {
        fail("pin");
    }
    uint64_t value = at[0];
    allot_pager_unpin(&pager, at, ALLOT_PAGER_READ);
    return value;
}

static uint64_t (*begin(const char *how, const char *path, uint64_t pages, size_t frames))(uint64_t page)
{
    fd = open(path, O_RDONLY);
    if (fd < 0) {
        fail(path);
    }
    if (strncmp(how, "mmap", 4) == 0) {
        void *at = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED || (how[4] && madvise(at, pages * PAGE, MADV_RANDOM) != 0)) {
            fail("mmap");
        }
        mapped = at;
        return by_mmap;
    }
    if (strcmp(how, "pread") == 0) {
        return by_pread;
    }
    int direct = open(path, O_RDONLY | O_DIRECT);
    struct allot_pager_opts opts = {.frames = frames, .policy = allot_evict_named(how), .readahead = 1};
    if (allot_store_file(&store, direct < 0 ? fd : direct, 0) != 0 || allot_pager_init(&pager, &store, &opts) != 0) {
        fail(how);
    }
    return by_pager;
}

/* KiB of a line of /proc/self/status. */
static double told(const char *name)
{
    char line[256];
    double value = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = atof(line + strlen(name) + 1);
        }
    }
    fclose(f);
    return value;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s HOW FILE PAGES FRAMES SECONDS\n", argv[0]);
        return 2;
    }
    uint64_t pages = strtoull(argv[3], NULL, 10), count = 0, wrong = 0;
    double seconds = atof(argv[5]), anonymous = 0;
    zipf_begin(pages);
    uint64_t (*read_page)(uint64_t page) = begin(argv[1], argv[2], pages, strtoull(argv[4], NULL, 10));
    double from = now(), counted = from + seconds / 3, end = from + seconds, at = from;
    for (; at < end; at = now()) {
        for (unsigned i = 0; i < 64; i++) {
            uint64_t page = zipf_next();
            wrong += read_page(page) != page;
        }
        if (at < counted) {
            count = 0;
            from = at;
        }
        count += 64;
    }
    anonymous = told("RssAnon:");
    if (wrong) {
        fprintf(stderr, "%llu pages were not what they should be\n", (unsigned long long)wrong);
        return 1;
    }
    printf("%.1f %.1f %.1f\n", (double)count / (at - from), anonymous / 1024, told("VmHWM:") / 1024);
}
