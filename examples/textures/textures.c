/* textures.c - one pool of texture memory for several processes: a file that all of them map, and a region that says what is whose.
 *
 *     file:   [ board | records of the region | 16 MiB of textures                         ]
 *              who,     who has which part,      texels; the region never looks at them,
 *              how far  a lock in it             nor would it matter if they were a GPU's
 *
 * A painter takes room for a texture - some aligned to 64 KiB as for a mipmapped one, the others to 256 bytes - fills it with a pattern of
 * its own, keeps it while the others work beside it, and reads all of it back before it gives it up: whoever else had been given a
 * byte of it would have been seen. Each process maps the file by itself, wherever that is, and attaches to the region.
 *
 * Some painters are killed with SIGKILL at whatever they do, a call on the region among it. What holds then: the records are whole (the
 * next call finds that the lock's holder died, and makes them again from what is taken), and every texture of the others is where
 * it was, untouched. The dead one's textures stay taken: the region cannot know that nobody uses them. So each says on the board what
 * it has, and the parent gives that back. What a painter had taken and not yet said, one texture at most, is found when all are
 * done: it is taken and on nobody's list.
 *
 * Usage: textures [FILE]      prints what was painted and found; 0 when not one texel was wrong and all came back
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/region.h>

enum {
    PAINTERS = 2,   /* at once */
    KEPT = 64,      /* textures that each keeps */
    PAINTED = 1500, /* that each paints in its life, */
    DOOMED = 12,    /* or so many painters are killed before they have */
    RANGES = 1024   /* that the records have room for */
};
static const uint64_t texture_bytes = 16 << 20;

/* The others read a painter's part when it is dead. */
struct painter {
    _Atomic uint64_t painted, bytes, wrong, full; /* full: found no room, and gave one up */
    struct {
        _Atomic uint32_t
            said; /* 1: what follows is a texture of its own; stored last, and cleared before it is given back */
        struct allot_range range;
        uint64_t seed;
    } kept[KEPT];
};

struct board {
    struct painter painter[PAINTERS];
};

struct shared {
    struct board *board;
    char *textures;
    struct allot_region region;
};

static struct allot_region_opts options = {.fit = ALLOT_BEST, .unit = 256, .lock = ALLOT_REGION_SHARED};

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(2);
}

static size_t up(size_t size) { return (size + 4095) / 4096 * 4096; }

static size_t records_size(void) { return up(allot_region_memory(RANGES, texture_bytes, &options)); }

/* The file, wherever it comes to lie in this process; `made`: its region is to be made, not found. */
static struct shared shared_of(int file, int made)
{
    size_t board = up(sizeof(struct board)), records = records_size();
    char *at = mmap(NULL, board + records + texture_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) {
        give_up("mmap");
    }
    struct shared shared = {.board = (struct board *)at, .textures = at + board + records};
    options.memory = at + board;
    options.memory_size = records;
    errno = -(made ? allot_region_init(&shared.region, 0, texture_bytes, &options)
                   : allot_region_attach(&shared.region, at + board, records));
    if (errno) {
        give_up("region");
    }
    return shared;
}

/* -- a painter -- */

static uint64_t chance(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void paint(const struct shared *shared, const struct allot_range *range, uint64_t seed)
{
    uint64_t *texel = (uint64_t *)(shared->textures + range->at);
    for (uint64_t i = 0; i < range->size / sizeof *texel; i++) {
        texel[i] = seed + i;
    }
}

/* Texels that are not what was painted. */
static uint64_t wrong(const struct shared *shared, const struct allot_range *range, uint64_t seed)
{
    const uint64_t *texel = (const uint64_t *)(shared->textures + range->at);
    uint64_t count = 0;
    for (uint64_t i = 0; i < range->size / sizeof *texel; i++) {
        count += texel[i] != seed + i;
    }
    return count;
}

/* Looks at a texture of a painter's, and gives it back. */
static void give_up_texture(struct shared *shared, struct painter *whose, int slot)
{
    struct allot_range range = whose->kept[slot].range;
    whose->wrong += wrong(shared, &range, whose->kept[slot].seed);
    whose->kept[slot].said = 0;
    allot_region_give(&shared->region, &range);
}

static void work(int file, int me, uint64_t seed)
{
    struct shared shared = shared_of(file, 0);
    struct painter *my = &shared.board->painter[me];
    while (my->painted < PAINTED) {
        int slot = (int)(chance(&seed) % KEPT);
        if (my->kept[slot].said) {
            give_up_texture(&shared, my, slot);
        }
        uint64_t size = 256 << chance(&seed) % 12, align = chance(&seed) % 4 ? 256 : 64 << 10;
        size += chance(&seed) % size;
        struct allot_range range;
        if (allot_region_take(&shared.region, size, align, &range) != 0) {
            my->full++;
            continue;
        }
        my->kept[slot].range = range;
        my->kept[slot].seed = chance(&seed);
        paint(&shared, &range, my->kept[slot].seed);
        my->kept[slot].said = 1;
        my->painted++;
        my->bytes += range.size;
    }
    for (int slot = 0; slot < KEPT; slot++) {
        if (my->kept[slot].said) {
            give_up_texture(&shared, my, slot);
        }
    }
    exit(0);
}

/* -- the parent -- */

static struct {
    uint64_t painted, bytes, wrong, full, returned;
} all;

/* What a painter that is gone has left: its part of the board, and its textures. */
static void settle(struct shared *shared, struct painter *gone)
{
    for (int slot = 0; slot < KEPT; slot++) {
        if (gone->kept[slot].said) {
            give_up_texture(shared, gone, slot);
            all.returned++;
        }
    }
    all.painted += gone->painted;
    all.bytes += gone->bytes;
    all.wrong += gone->wrong;
    all.full += gone->full;
    memset(gone, 0, sizeof *gone);
}

struct found {
    struct allot_range range[DOOMED];
    int count;
};

static int note(struct allot_range range, bool taken, void *arg)
{
    struct found *found = arg;
    if (taken && found->count < DOOMED) {
        found->range[found->count++] = range;
    }
    return 0;
}

static pid_t begin(int file, int painter, uint64_t seed)
{
    pid_t pid = fork();
    if (pid < 0) {
        give_up("fork");
    }
    if (pid == 0) {
        work(file, painter, seed);
    }
    return pid;
}

int main(int argc, char **argv)
{
    int file = argc > 1 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600) : memfd_create("textures", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)(up(sizeof(struct board)) + records_size() + texture_bytes)) != 0) {
        give_up(argc > 1 ? argv[1] : "memfd_create");
    }
    struct shared shared = shared_of(file, 1);
    pid_t pid[PAINTERS];
    uint64_t seed = 1;
    for (int i = 0; i < PAINTERS; i++) {
        pid[i] = begin(file, i, ++seed);
    }

    /* The second painter is killed after some hundred textures or so, whatever it does then, and another one takes its place. */
    int doomed = 0;
    while (doomed < DOOMED) {
        const struct painter *victim = &shared.board->painter[1];
        uint64_t until = 20 + chance(&seed) % 200;
        while (victim->painted < until && waitpid(pid[1], NULL, WNOHANG) == 0) {
            usleep(100);
        }
        if (victim->painted < until) {
            fprintf(stderr, "a painter ended by itself\n");
            kill(pid[0], SIGKILL);
            return 1;
        }
        kill(pid[1], SIGKILL);
        if (waitpid(pid[1], NULL, 0) != pid[1]) {
            give_up("waitpid");
        }
        doomed++;
        settle(&shared, &shared.board->painter[1]);
        allot_region_check(&shared.region);
        pid[1] = begin(file, 1, ++seed);
    }
    int failed = 0;
    for (int i = 0; i < PAINTERS; i++) {
        int status;
        failed |= waitpid(pid[i], &status, 0) != pid[i] || status != 0;
        settle(&shared, &shared.board->painter[i]);
    }

    /* Nobody is there any more: what is still taken was taken just before a SIGKILL. */
    struct found unsaid = {0};
    allot_region_walk(&shared.region, note, &unsaid);
    for (int i = 0; i < unsaid.count; i++) {
        allot_region_give(&shared.region, &unsaid.range[i]);
    }
    struct allot_region_stats stats;
    allot_region_stats(&shared.region, &stats);
    allot_region_check(&shared.region);
    printf("%" PRIu64 " textures painted, %" PRIu64 " MiB, %" PRIu64 " texels wrong\n", all.painted, all.bytes >> 20,
           all.wrong);
    printf("%d painters killed: %" PRIu64 " of their textures given back, and %d that nobody had said\n", doomed,
           all.returned, unsaid.count);
    printf("%" PRIu64 " textures left, %" PRIu64 " hole of %" PRIu64 " bytes\n", stats.use.count, stats.holes,
           stats.largest);
    fprintf(stderr, "%" PRIu64 " times there was no room\n", all.full);
    allot_region_done(&shared.region);
    return failed || all.wrong || stats.use.count || stats.largest != texture_bytes;
}
