/* pen.h - a recorded thread by hand: writes into a collector's area what the text of probe/ring.h says, and no more. */
#ifndef TRACE_PEN_H
#define TRACE_PEN_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "probe/ring.h"

struct pen {
    struct ring_area *area;
    struct ring_chunk *chunk;
    uint32_t at, process, thread, high;
    uint64_t sequence;
};

static inline uint64_t pen_clock(const struct pen *pen)
{
#if defined(__x86_64__)
    if (pen->area->clock == RING_CLOCK_COUNTER) {
        return __builtin_ia32_rdtsc();
    }
#endif
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline struct ring_area *pen_map(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct ring_area *area = fd >= 0 && fstat(fd, &st) == 0
                                 ? mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                                 : MAP_FAILED;
    if (area == MAP_FAILED || memcmp(area->magic, RING_MAGIC, 8) != 0) {
        abort();
    }
    close(fd);
    return area;
}

/* A free chunk, taken; waits for one. */
static inline struct ring_chunk *pen_take(struct pen *pen)
{
    uint64_t owner = (uint64_t)(uint32_t)getpid() << 32 | (uint32_t)syscall(SYS_gettid);
    for (;;) {
        for (uint32_t i = 0; i < pen->area->chunks; i++) {
            uint64_t nobody = 0;
            if (atomic_compare_exchange_strong(&pen->area->owner[i], &nobody, owner)) {
                return (struct ring_chunk *)((char *)pen->area + pen->area->first + (size_t)i * RING_CHUNK);
            }
        }
        usleep(100);
    }
}

static inline void pen_let_go(struct pen *pen)
{
    if (pen->chunk) {
        atomic_store_explicit(&pen->chunk->done, 1, memory_order_release);
        atomic_fetch_add(&pen->area->filled, 1);
        syscall(SYS_futex, &pen->area->filled, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
        pen->chunk = NULL;
    }
}

/* Room for so many words. */
static inline uint32_t *pen_room(struct pen *pen, uint32_t words, uint64_t clock)
{
    if (!pen->chunk || pen->at + words + 4 > RING_WORDS) {
        pen_let_go(pen);
        pen->chunk = pen_take(pen);
        pen->chunk->thread = pen->thread;
        pen->chunk->pid = getpid();
        pen->chunk->tid = (int32_t)syscall(SYS_gettid);
        pen->chunk->sequence = pen->sequence++;
        pen->chunk->clock = clock;
        pen->chunk->process = pen->process;
        pen->high = (uint32_t)(clock >> 32);
        pen->at = 0;
    }
    if (pen->high != (uint32_t)(clock >> 32)) {
        pen->high = (uint32_t)(clock >> 32);
        memcpy(pen->chunk->word + pen->at, (uint32_t[]){(uint32_t)clock, 1, RING_CLOCK, pen->high}, 16);
        pen->at += 4;
    }
    return pen->chunk->word + pen->at;
}

static inline void pen_publish(struct pen *pen, uint32_t words)
{
    pen->at += words;
    atomic_store_explicit(&pen->chunk->head, pen->at, memory_order_release);
}

static inline void pen_block(struct pen *pen, enum ring_op op, uint64_t address, uint64_t size, uint32_t stack)
{
    uint64_t clock = pen_clock(pen);
    uint32_t *word = pen_room(pen, 7, clock), *at = word + 3;

    word[0] = (uint32_t)clock;
    word[1] = ring_word_1(address);
    word[2] = ring_word_2(op, address, size < RING_LONG ? (uint32_t)size : RING_LONG);
    if (size >= RING_LONG) {
        *at++ = (uint32_t)size;
        *at++ = (uint32_t)(size >> 32);
    }
    if (op != RING_FREE && op != RING_REALLOC_FROM && op != RING_BEFORE) {
        *at++ = stack;
    }
    pen_publish(pen, (uint32_t)(at - word));
}

static inline void pen_other(struct pen *pen, enum ring_op op, const uint32_t *words, uint32_t count, const char *text)
{
    uint64_t clock = pen_clock(pen);
    uint32_t of_text = ((uint32_t)strlen(text) + 3) / 4;
    uint32_t *word = pen_room(pen, 3 + count + of_text, clock);

    word[0] = (uint32_t)clock;
    word[1] = count + of_text;
    word[2] = op;
    memcpy(word + 3, words, count * 4);
    memset(word + 3 + count, 0, of_text * 4);
    memcpy(word + 3 + count, text, strlen(text));
    pen_publish(pen, 3 + count + of_text);
}

static inline void pen_node(struct pen *pen, uint32_t id, uint32_t parent, uint64_t pc)
{
    pen_other(pen, RING_NODE, (uint32_t[]){id, parent, (uint32_t)pc, (uint32_t)(pc >> 32)}, 4, "");
}

/* The process's first thread: it begins. */
static inline void pen_begin(struct pen *pen, const char *area, uint32_t parent, uint32_t nodes, enum ring_begin how,
                             const char *path)
{
    *pen = (struct pen){.area = pen_map(area), .thread = 1};
    pen->process = atomic_fetch_add(&pen->area->processes, 1) + 1;
    pen_other(pen, RING_PROCESS, (uint32_t[]){parent, nodes, how}, 3, path);
}

#endif
