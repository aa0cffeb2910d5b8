/* Making the area, and finding a clock: the processor's counter where it runs evenly and on all cores alike. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/bits.h"
#include "record/area.h"

#define UNIT_NS 16 /* at most */

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t counter(void)
{
    ring_counter_fence();
    uint64_t now = ring_counter();
    ring_counter_fence();
    return now;
}

/* The kernel keeps time by the counter only when it has found it the same on all cores. */
static bool counter_is_even(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    char source[32] = "";
    int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, source, sizeof source - 1) : -1;

    if (fd >= 0) {
        close(fd);
    }
    bool told = length > 0;
    bool kept_by = told && (strncmp(source, "tsc", 3) == 0 || strncmp(source, "kvm-clock", 9) == 0 ||
                            strncmp(source, "hyperv_clocksource_tsc", 22) == 0);
    return (!told || kept_by) && __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
#elif defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

/* Nanoseconds << 32 of a tick, over some milliseconds: of the readings at each end the one that took least counts. */
static uint64_t measure_tick(void)
{
    uint64_t count[2] = {0, 0}, ns[2] = {0, 0};

    for (int end = 0; end < 2; end++) {
        uint64_t least = UINT64_MAX;
        for (int i = 0; i < 16; i++) {
            uint64_t before = counter(), at = nanoseconds(), after = counter();
            if (after - before < least) {
                least = after - before;
                count[end] = before + (after - before) / 2;
                ns[end] = at;
            }
        }
        if (end == 0) {
            nanosleep(&(struct timespec){.tv_nsec = 4000000}, NULL);
        }
    }
    uint64_t ticks = count[1] - count[0];
    return ticks ? (uint64_t)((__uint128_t)(ns[1] - ns[0]) << 32) / ticks : 0;
}

static void measure(struct area *area, uint32_t chunks)
{
    area->first = align_up(sizeof(struct ring_area) + chunks * sizeof(uint64_t), 64 * KIB);
    area->length = area->first + (size_t)chunks * RING_CHUNK;
    area->chunks = chunks;
}

static int make_memory(struct area *area, uint32_t chunks)
{
    measure(area, chunks);
    area->fd = memfd_create("allot-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool made = area->fd >= 0 && ftruncate(area->fd, (off_t)area->length) == 0 &&
                fcntl(area->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
    return made ? 0 : -errno;
}

/* A page that is not there yet, where its file system is full, would end whoever writes to it. */
static int use_file(struct area *area, uint32_t chunks, int fd)
{
    enum { LEAST_CHUNKS = 16 };
    char path[64], name[256];
    int error;

    area->fd = fd;
    do {
        measure(area, chunks);
        error = -posix_fallocate(fd, 0, (off_t)area->length);
        chunks /= 2;
    } while (error == -ENOSPC && chunks >= LEAST_CHUNKS);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, name, sizeof name - 1);
    name[length > 0 ? length : 0] = 0;
    const char *base = strrchr(name, '/');
    snprintf(area->name, sizeof area->name, "%s", base ? base + 1 : "?");
    area->named = true;
    return error ? error : ftruncate(fd, (off_t)area->length) == 0 ? 0 : -errno;
}

int area_make(struct area *area, uint32_t flags, uint32_t patience_us, uint32_t chunks, int fd)
{
    struct stat st;

    *area = (struct area){.fd = -1};
    int made = fd ? use_file(area, chunks, fd) : make_memory(area, chunks);
    if (made != 0 || fstat(area->fd, &st) != 0) {
        int error = made ? made : -errno;
        close(area->fd);
        return error;
    }
    area->ring = mmap(NULL, area->length, PROT_READ | PROT_WRITE, MAP_SHARED, area->fd, 0);
    if (area->ring == MAP_FAILED) {
        int error = -errno;
        close(area->fd);
        return error;
    }
    area->inode = st.st_ino;

    uint64_t tick = counter_is_even() ? measure_tick() : 0;
    struct ring_area *ring = area->ring;
    area->clock = tick ? RING_CLOCK_COUNTER : RING_CLOCK_NS;
    ring->clock = (uint32_t)area->clock;
    area->unit_ns = tick ? tick : (uint64_t)1 << 32;
    while (area->unit_ns << 1 <= (uint64_t)UNIT_NS << 32) {
        area->unit_ns <<= 1;
        area->shift++;
    }
    ring->version = RING_VERSION;
    ring->chunks = area->chunks;
    ring->first = area->first;
    ring->flags = flags;
    ring->patience_us = patience_us;
    ring->collector = (int32_t)getpid();
    memcpy(ring->magic, RING_MAGIC, sizeof ring->magic);
    area->began = area_clock(area);
    return 0;
}

void area_done(struct area *area)
{
    munmap(area->ring, area->length);
    close(area->fd);
    *area = (struct area){.fd = -1};
}

uint64_t area_clock(const struct area *area)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t now = area->clock == RING_CLOCK_COUNTER ? counter() : nanoseconds();
    atomic_thread_fence(memory_order_seq_cst);
    return now;
}
