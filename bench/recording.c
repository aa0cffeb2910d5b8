/* recording.c - what it costs a program to be recorded, without stacks: a program that does nothing but allocate and free, on one thread
 * and on two, plain and recorded, with a reader beside it that takes what is written and throws it away.
 *
 *     recording LIBRARY...        each is preloaded in turn: build/lib/liballot-malloc.so, build/lib/liballot-record.so; none:
 *                                 the system's malloc by itself, which nobody records
 *
 * Times are those of the threads' own processor clocks, so what waits counts nothing. Rounds are interleaved; the medians are
 * printed. Also the fraction of events lost, which has to be none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe/ring.h"

enum { PAIRS = 5000000, LIVE = 256, THREADS = 2, ROUNDS = 5, CHUNKS = 256 };

/* -- the program -- */

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *churn(void *arg)
{
    double *cpu = arg, began = seconds(CLOCK_THREAD_CPUTIME_ID);
    void *live[LIVE] = {0};
    unsigned random = 1;
    for (unsigned i = 0; i < PAIRS; i++) {
        random = random * 1664525 + 1013904223;
        unsigned at = random >> 24;
        free(live[at]);
        live[at] = malloc(random >> 16 & 127);
    }
    for (unsigned i = 0; i < LIVE; i++) {
        free(live[i]);
    }
    *cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - began;
    return NULL;
}

static int program(unsigned threads)
{
    pthread_t thread[THREADS];
    double cpu[THREADS], all = 0;
    for (unsigned i = 0; i < threads; i++) {
        pthread_create(&thread[i], NULL, churn, &cpu[i]);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        all += cpu[i];
    }
    printf("%.3f\n", all * 1e9 / ((double)threads * 2 * PAIRS));
    return 0;
}

/* -- the reader -- */

static struct ring_area *area;
static char path[64];

static struct ring_chunk *chunk_at(uint32_t i)
{
    return (struct ring_chunk *)((char *)area + area->first + (size_t)i * RING_CHUNK);
}

static void open_area(void)
{
    size_t first = 65536, bytes = first + (size_t)CHUNKS * RING_CHUNK;
    int fd = memfd_create("area", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0 ||
        (area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) {
        perror("recording: the area");
        exit(1);
    }
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
    memset((char *)area + first, 0, bytes - first);
    memcpy(area->magic, RING_MAGIC, sizeof area->magic);
    area->version = RING_VERSION;
    area->chunks = CHUNKS;
    area->first = first;
    area->patience_us = 1000000;
    area->clock = RING_CLOCK_COUNTER;
    area->collector = getpid();
}

static uint64_t words;

/* Whether anything was given back. */
static int drain(int gone)
{
    int any = 0;
    static uint32_t sink[RING_WORDS];
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct ring_chunk *chunk = chunk_at(i);
        if (area->owner[i] == 0 || !(gone || atomic_load_explicit(&chunk->done, memory_order_acquire))) {
            continue;
        }
        uint32_t head = atomic_load_explicit(&chunk->head, memory_order_acquire);
        memcpy(sink, chunk->word, head * sizeof sink[0]);
        words += head;
        memset(chunk, 0, sizeof *chunk);
        atomic_store_explicit(&area->owner[i], 0, memory_order_release);
        atomic_fetch_add(&area->freed, 1);
        any = 1;
    }
    if (any && area->waiting) {
        syscall(SYS_futex, &area->freed, FUTEX_WAKE, 1000, NULL, NULL, 0);
    }
    return any;
}

static double run(const char *self, const char *library, const char *threads, int recorded)
{
    int out[2];
    char options[128];
    if (pipe(out) != 0) {
        return 0;
    }
    snprintf(options, sizeof options, "record=%s", path);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        if (strcmp(library, "none") != 0) {
            setenv("LD_PRELOAD", library, 1);
        }
        if (recorded) {
            setenv("ALLOT_OPTIONS", options, 1);
        }
        execl(self, self, "--program", threads, NULL);
        _exit(127);
    }
    close(out[1]);
    struct timespec most = {0, 1000000};
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        atomic_fetch_add(&area->beat, 1);
        uint32_t filled = area->filled;
        if (!drain(0)) {
            syscall(SYS_futex, &area->filled, FUTEX_WAIT, filled, &most, NULL, 0);
        }
    }
    drain(1);
    char text[64] = "";
    ssize_t n = read(out[0], text, sizeof text - 1);
    close(out[0]);
    return n > 0 ? atof(text) : 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *of)
{
    qsort(of, ROUNDS, sizeof *of, by_size);
    return of[ROUNDS / 2];
}

int main(int count, char **argument)
{
    if (count == 3 && strcmp(argument[1], "--program") == 0) {
        return program((unsigned)atoi(argument[2]));
    }
    char self[4096] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
        return 1;
    }
    open_area();
    printf("ns an event, of the threads' own time\n%-32s %8s %9s %8s\n", "library, threads", "plain", "recorded",
           "more");
    for (int i = 1; i < count; i++) {
        double recorded_one = 0;
        for (unsigned threads = 1; threads <= THREADS; threads++) {
            double plain[ROUNDS], recorded[ROUNDS];
            const char *name = strrchr(argument[i], '/');
            char number[8];
            snprintf(number, sizeof number, "%u", threads);
            for (unsigned round = 0; round < ROUNDS; round++) {
                plain[round] = run(self, argument[i], number, 0);
                recorded[round] = run(self, argument[i], number, 1);
            }
            double p = median(plain), r = median(recorded);
            printf("%-29s %2u %8.2f %9.2f %8.2f", name ? name + 1 : argument[i], threads, p, r, r - p);
            if (threads > 1) {
                printf("   recorded, of one thread's: %.2f", r / recorded_one);
            }
            recorded_one = threads == 1 ? r : recorded_one;
            printf("\n");
            fflush(stdout);
        }
    }
    printf("%.1f million words, %llu events lost, waited %.3f s\n", (double)words / 1e6, (unsigned long long)area->lost,
           (double)area->waited_ns / 1e9);
    return area->lost != 0;
}
