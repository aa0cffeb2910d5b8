/* recorded.c - a program to be recorded: recorded THREADS EVENTS [WORK], or recorded --clock FILE.
 *
 * The former allocates and frees as fast as it can, with a little work, so much of it, and a few calls of depth between, and
 * says what processor time its threads took. The latter goes on until it is killed: each allocation's size is the milliseconds
 * since it began, which it also keeps in FILE; so a trace of it says how far it had come.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LIVE = 64, THREADS = 16 };

static long events, works = 4;

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static __attribute__((noinline)) void *make(size_t size)
{
    void *p = malloc(size);
    memset(p, 1, size < 32 ? size : 32);
    return p;
}

static __attribute__((noinline)) void *make_deeper(size_t size)
{
    void *p = make(size + 8);
    __asm__ volatile("" : : "r"(p) : "memory");
    return p;
}

static void *churn(void *arg)
{
    void *live[LIVE] = {0};
    uint64_t random = 88172645463325252u + (uintptr_t)arg, *cpu = arg, began = now(CLOCK_THREAD_CPUTIME_ID);

    for (long i = 0; i < events / 2; i++) {
        for (long work = 0; work < works; work++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
        }
        void **slot = &live[random % LIVE];
        free(*slot);
        *slot = random & 64 ? make(16 + random % 64) : make_deeper(16 + random % 32);
    }
    for (int i = 0; i < LIVE; i++) {
        free(live[i]);
    }
    *cpu = now(CLOCK_THREAD_CPUTIME_ID) - began;
    return NULL;
}

static int until_killed(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    if (fd < 0 || ftruncate(fd, 4096) != 0) {
        return 1;
    }
    volatile uint64_t *said = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint64_t began = now(CLOCK_MONOTONIC);
    for (;;) {
        uint64_t ms = (now(CLOCK_MONOTONIC) - began) / 1000000;
        void *p = malloc(ms + 1);
        *said = ms + 1;
        __asm__ volatile("" : : "r"(p) : "memory");
        free(p);
    }
}

int main(int argc, char **argv)
{
    static uint64_t cpu[THREADS][8]; /* a cache line each */
    pthread_t thread[THREADS];
    uint64_t all = 0;

    if (argc == 3 && strcmp(argv[1], "--clock") == 0) {
        return until_killed(argv[2]);
    }
    int threads = argc == 3 || argc == 4 ? atoi(argv[1]) : 0;
    events = threads > 0 ? atol(argv[2]) : 0;
    works = argc == 4 ? atol(argv[3]) : works;
    if (threads < 1 || threads > THREADS || events < 2 || works < 1) {
        fprintf(stderr, "usage: recorded THREADS EVENTS [WORK] | recorded --clock FILE\n");
        return 2;
    }
    uint64_t began = now(CLOCK_MONOTONIC);
    for (int i = 0; i < threads; i++) {
        pthread_create(&thread[i], NULL, churn, cpu[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        all += cpu[i][0];
    }
    printf("cpu_ns %.3f wall_ns %.3f an event\n", (double)all / (double)(threads * events),
           (double)(now(CLOCK_MONOTONIC) - began) / (double)(threads * events));
    return 0;
}
