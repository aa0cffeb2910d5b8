/* watched.c - a program to be looked at by allot top: watched THREADS OPS WORK [LIVE [PAUSE]], chunk after chunk of OPS allocations and frees in each
 * thread, WORK steps of arithmetic between two, beside LIVE MiB of small blocks that stay. After each chunk a line: the processor time of
 * all threads in ns; then it rests PAUSE ms. Until its input ends.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 4096, THREADS = 16 };

static long ops, works;
static pthread_barrier_t begins, ends;

static uint64_t cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static __attribute__((noinline)) char *make_small(size_t size)
{
    char *p = malloc(size);
    p[0] = 1;
    return p;
}

static __attribute__((noinline)) char *make_larger(size_t size)
{
    char *p = malloc(size);
    p[0] = 1;
    return p;
}

static void *churn(void *arg)
{
    static __thread char *live[SLOTS];
    uint64_t random = 88172645463325252u + (uintptr_t)arg;
    for (;;) {
        pthread_barrier_wait(&begins);
        for (long i = 0; i < ops; i++) {
            for (long work = 0; work <= works; work++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
            }
            char **slot = &live[random % SLOTS];
            free(*slot);
            *slot = random >> 60 ? make_small(16 + random % 200) : make_larger(200 + random % 4000);
        }
        pthread_barrier_wait(&ends);
    }
    return NULL;
}

static void hold(long mib)
{
    void **before = NULL;
    for (long bytes = mib << 20; bytes > 0; bytes -= 64) {
        void **one = malloc(64);
        one[0] = before;
        before = one;
    }
    __asm__ volatile("" : : "r"(before) : "memory");
}

int main(int argc, char **argv)
{
    long threads = argc > 1 ? atol(argv[1]) : 0;
    ops = argc > 2 ? atol(argv[2]) : 0;
    works = argc > 3 ? atol(argv[3]) : 0;
    if (threads < 1 || threads > THREADS || ops < 1) {
        fputs("usage: watched THREADS OPS WORK [LIVE [PAUSE]]\n", stderr);
        return 2;
    }
    hold(argc > 4 ? atol(argv[4]) : 0);
    pthread_barrier_init(&begins, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&ends, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, churn, (void *)i);
    }
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int pause = argc > 5 ? atoi(argv[5]) : 0;
    while (poll(&input, 1, pause) == 0) {
        uint64_t began = cpu();
        pthread_barrier_wait(&begins);
        pthread_barrier_wait(&ends);
        printf("%llu\n", (unsigned long long)(cpu() - began));
        fflush(stdout);
    }
    return 0;
}
