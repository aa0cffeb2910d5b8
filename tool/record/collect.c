/* The collector's rounds. */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "record/collector.h"

#define ROUNDS_CLOSER \
    10 /* looks without news, after which one is taken at what a process has mapped; then twice as many */

#define NAME_LOOKS 3 /* at a thread's name */

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* -- who writes -- */

struct process *find_process(struct collector *c, uint32_t number)
{
    for (struct process *p = c->processes; p; p = p->next) {
        if (p->number == number) {
            return p;
        }
    }
    return NULL;
}

struct node_map *find_nodes(struct collector *c, uint32_t number)
{
    struct process *p = find_process(c, number);

    for (uint32_t i = 0; !p && i < GONE; i++) {
        if (c->gone[i].map && c->gone[i].number == number) {
            return c->gone[i].map;
        }
    }
    return p ? p->map : NULL;
}

static struct process *new_process(struct collector *c, uint32_t number, int32_t pid)
{
    struct process *p = calloc(1, sizeof *p);

    if (!p || !(p->map = node_map_new(NULL, 0))) {
        free(p);
        return NULL;
    }
    p->number = number;
    p->pid = pid;
    p->look_again = ROUNDS_CLOSER;
    process_find(p, &c->area);
    /* By exec: the one it was is no more, though its id is. */
    for (struct process *other = c->processes; other; other = other->next) {
        other->replaced |= other->pid == pid && other->host == p->host && other->number < number;
    }
    p->next = c->processes;
    c->processes = p;
    c->seen++;
    atomic_fetch_add(&c->living, 1);
    return p;
}

static struct thread *find_thread(struct collector *c, const struct ring_chunk *chunk)
{
    struct process *p = find_process(c, chunk->process);
    struct thread *t;

    if (!p && !(p = new_process(c, chunk->process, chunk->pid))) {
        return NULL;
    }
    for (t = p->threads; t && t->number != chunk->thread; t = t->next) {
        ;
    }
    if (!t && (t = calloc(1, sizeof *t))) {
        t->process = p;
        t->number = chunk->thread;
        t->tid = chunk->tid;
        t->next = p->threads;
        p->threads = t;
    }
    return t;
}

/* Chunks that nobody reads yet and in which there is something. */
static void find_chunks(struct collector *c)
{
    struct ring_area *ring = c->area.ring;

    for (uint32_t i = 0; i < c->area.chunks; i++) {
        if (c->reader[i] || atomic_load_explicit(&ring->owner[i], memory_order_acquire) == 0) {
            continue;
        }
        struct ring_chunk *chunk = area_chunk(&c->area, i);
        /* Before the head: where it is done that is the last. */
        uint32_t done = atomic_load_explicit(&chunk->done, memory_order_acquire);
        if (atomic_load_explicit(&chunk->head, memory_order_acquire) == 0) {
            if (done) {
                chunk->process = 0;
                atomic_store_explicit(&chunk->done, 0, memory_order_relaxed);
                give_back(c, i);
            }
            continue;
        }
        struct thread *t = find_thread(c, chunk);
        if (!t || !model_more((void **)&t->chunk, &t->chunk_room, t->chunks + 1, sizeof *t->chunk)) {
            writer_fail(&c->writer, -ENOMEM);
            continue;
        }
        uint32_t at = t->chunks++;
        for (; at > 0 && area_chunk(&c->area, t->chunk[at - 1])->sequence > chunk->sequence; at--) {
            t->chunk[at] = t->chunk[at - 1];
        }
        t->chunk[at] = i;
        c->reader[i] = t;
    }
}

static bool waits_for_chunk(const struct collector *c, const struct thread *t)
{
    return t->chunks > 0 && t->at == 0 && area_chunk(&c->area, t->chunk[0])->sequence > t->sequence;
}

/* All that had been written when it began; true: there was something. Whoever waits can go on when the others have said what they had to
 * say, unless that was lost: what they said when he had been looked at is found the next time, and what stands in a chunk that came
 * meanwhile the time after. Others, who do not wait, may go on for ever. */
static bool round_of_all(struct collector *c)
{
    uint64_t raw = area_clock(&c->area), clock = area_units(&c->area, raw);
    enum { STUCK = 3 };
    bool any = false, waits, forced = false;
    unsigned stuck = 0; /* so many times in a row nobody who waited went on */

    atomic_store_explicit(&c->area.ring->now, raw, memory_order_relaxed);
    do {
        bool went_on = false;
        waits = false;
        find_chunks(c);
        for (struct process *p = c->processes; p; p = p->next) {
            for (struct thread *t = p->threads; t; t = t->next) {
                unsigned drained = t->chunks ? drain(c, t, forced) : 0;
                any |= drained & DRAINED;
                went_on |= t->waits && drained & DRAINED;
                t->waits = (drained & DRAINED_WAITS) || waits_for_chunk(c, t);
                waits |= t->waits;
                if (drained) {
                    p->looks = 0;
                    p->look_again = ROUNDS_CLOSER;
                }
            }
        }
        stuck = went_on ? 0 : stuck + 1;
        forced = stuck >= STUCK;
    } while (waits);
    c->round = clock;
    return any;
}

/* -- who is gone -- */

static void free_thread(struct thread *t)
{
    packer_done(&t->packer);
    free(t->birth);
    free(t->chunk);
    free(t);
}

static void free_process(struct collector *c, struct process *p)
{
    uint32_t place = c->gone_next++ % GONE;

    while (p->threads) {
        struct thread *next = p->threads->next;
        free_thread(p->threads);
        p->threads = next;
    }
    if (p->pidfd >= 0) {
        close(p->pidfd);
    }
    if (p->statm >= 0) {
        close(p->statm);
    }
    packer_done(&p->packer);
    blocks_done(&p->blocks);
    node_map_drop(c->gone[place].map);
    c->gone[place].number = p->number;
    c->gone[place].map = p->map;
    atomic_fetch_sub(&c->living, 1);
    free(p);
}

/* Threads are given names by themselves or others, mostly soon after they begin. */
static void ask_name(struct collector *c, struct thread *t)
{
    char name[sizeof t->name];

    if (t->asked < NAME_LOOKS) {
        t->asked++;
        if (thread_name(t, name)) {
            name_thread(c, t, t->time, name, strlen(name));
        }
    }
}

/* Nothing more will be written there. What is there is read by the next round. */
static void close_chunks(struct collector *c, struct thread *t)
{
    for (uint32_t i = 0; i < t->chunks; i++) {
        atomic_store_explicit(&area_chunk(&c->area, t->chunk[i])->done, 1, memory_order_release);
    }
}

/* Chunks that were taken and never written to, by those who are gone. */
static void look_at_empty(struct collector *c)
{
    struct ring_area *ring = c->area.ring;

    for (uint32_t i = 0; i < c->area.chunks; i++) {
        uint64_t owner = atomic_load_explicit(&ring->owner[i], memory_order_acquire);
        struct ring_chunk *chunk = area_chunk(&c->area, i);
        int32_t pid = (int32_t)(owner >> 32);
        if (owner == 0 || c->reader[i] || atomic_load_explicit(&chunk->head, memory_order_acquire) != 0) {
            continue;
        }
        struct process *p = c->processes;
        while (p && (p->pid != pid || p->replaced)) {
            p = p->next;
        }
        bool gone = p ? process_is_gone(p, &c->area, false) ||
                            thread_is_gone(&(struct thread){.process = p, .tid = (int32_t)owner})
                      : stranger_is_gone(pid, &c->area);
        if (gone && atomic_load_explicit(&chunk->head, memory_order_acquire) == 0) {
            chunk->process = 0;
            atomic_store_explicit(&chunk->done, 0, memory_order_relaxed);
            give_back(c, i);
        }
    }
    tell_of_free(c);
}

/* Those of whom all has been written. */
static void drop_gone_threads(struct process *p)
{
    for (struct thread **link = &p->threads; *link;) {
        struct thread *t = *link;
        if (t->gone && t->chunks == 0) {
            *link = t->next;
            free_thread(t);
        } else {
            link = &t->next;
        }
    }
}

static bool has_chunks(const struct process *p)
{
    const struct thread *t = p->threads;

    while (t && t->chunks == 0) {
        t = t->next;
    }
    return t;
}

/* Looks at everybody; who is gone is read to the end. False: not all of that has been found yet. */
static bool look(struct collector *c, bool last)
{
    bool some_gone = false;

    for (struct process *p = c->processes; p; p = p->next) {
        bool closely = ++p->looks >= p->look_again;
        if (closely) {
            p->look_again *= 2;
        }
        bool gone = p->replaced || process_is_gone(p, &c->area, closely || last);
        for (struct thread *t = p->threads; t; t = t->next) {
            t->silent = t->at == t->seen_at ? t->silent + 1 : 0;
            t->seen_at = t->at;
            t->gone = gone || (t->silent % ROUNDS_CLOSER == ROUNDS_CLOSER - 1 && thread_is_gone(t));
            if (t->gone) {
                close_chunks(c, t);
                some_gone = true;
            } else {
                ask_name(c, t);
            }
        }
        p->replaced = gone;
        some_gone |= gone;
    }
    look_at_empty(c);
    if (some_gone) {
        round_of_all(c);
    }
    for (struct process *p = c->processes; p; p = p->next) {
        uint64_t resident, mapped;
        unsigned char note[1 + 2 * FILE_NUMBER_BYTES], *at = note;
        if (p->replaced) {
            if (has_chunks(p)) {
                continue; /* one was found just now: it is read next time */
            }
            *at++ = FILE_NOTE_EXIT;
            at = file_put_number(at, p->exits);
        } else if (process_memory(p, &resident, &mapped)) {
            *at++ = FILE_NOTE_COUNTERS;
            at = file_put_number(at, resident);
            at = file_put_number(at, mapped);
        }
        if (at != note) {
            add_note(c, p, note, (size_t)(at - note));
        }
    }
    bool all = true;
    if (some_gone) {
        flush_all(c);
        for (struct process **link = &c->processes; *link;) {
            struct process *p = *link;
            drop_gone_threads(p);
            if (p->replaced && !p->threads) {
                *link = p->next;
                free_process(c, p);
            } else {
                all &= !p->replaced;
                link = &p->next;
            }
        }
    }
    return all;
}

/* -- the collector's thread -- */

static void step(struct collector *c, uint64_t now)
{
    round_of_all(c);
    if (now - c->looked_ns >= LOOK_NS) {
        c->looked_ns = now;
        look(c, false);
    }
    if (now - c->flushed_ns >= FLUSH_NS) {
        c->flushed_ns = now;
        flush_all(c);
        if (c->raw >= KEY_BYTES) {
            write_key(c);
        }
    }
}

static void *collect(void *arg)
{
    struct collector *c = arg;
    struct ring_area *ring = c->area.ring;
    uint64_t events = 0;

    while (!atomic_load(&c->stop)) {
        uint32_t filled = atomic_load(&ring->filled);
        atomic_fetch_add(&ring->beat, 1);
        step(c, now_ns(CLOCK_MONOTONIC));
        if (c->writer.error) {
            atomic_store(&ring->ended, 1);
        }
        uint64_t wait = c->events != events ? TICK_NS : IDLE_NS;
        events = c->events;
        syscall(SYS_futex, &ring->filled, FUTEX_WAIT, filled, &(struct timespec){.tv_nsec = (long)wait}, NULL, 0);
    }
    atomic_store(&ring->ended, 1);
    round_of_all(c);
    while (!look(c, true)) {
        ;
    }
    for (struct process *p = c->processes; p; p = p->next) {
        c->left += !p->replaced;
    }
    flush_all(c);
    c->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    write_end(c);
    return NULL;
}

static void free_collector(struct collector *c)
{
    while (c->processes) {
        struct process *next = c->processes->next;
        free_process(c, c->processes);
        c->processes = next;
    }
    for (uint32_t i = 0; i < GONE; i++) {
        node_map_drop(c->gone[i].map);
    }
    if (c->nodes) {
        nodes_free(c->nodes);
    }
    if (c->area.ring) {
        area_done(&c->area);
    }
    free(c->reader);
    free(c->key);
    free(c);
}

struct collector *collect_begin(const struct collect_options *options, int *error)
{
    struct collector *c = calloc(1, sizeof *c);
    sigset_t all, mask;

    *error = c ? area_make(&c->area, options->flags, options->patience_us,
                           options->chunks ? options->chunks : AREA_CHUNKS, options->area)
               : -ENOMEM;
    if (*error) {
        free(c);
        return NULL;
    }
    c->tell_at = c->area.chunks / TELL_PARTS + 1;
    c->reader = calloc(c->area.chunks, sizeof(struct thread *));
    c->nodes = nodes_new();
    snprintf(c->path, sizeof c->path, "/proc/%d/fd/%d", (int)getpid(), c->area.fd);
    struct file_head head = {.flags = options->flags & RING_STACKS ? FILE_STACKS : 0,
                             .pid = (uint32_t)getpid(),
                             .began = (int64_t)time(NULL),
                             .unit = c->area.unit_ns,
                             .command_bytes = (uint32_t)options->command_bytes};
    if (!c->reader || !c->nodes || !writer_open(&c->writer, options->fd, &head, options->command)) {
        *error = c->writer.error ? c->writer.error : -ENOMEM;
        free_collector(c);
        return NULL;
    }
    /* The signals of this process are for the thread that looks after the program. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    *error = -pthread_create(&c->thread, NULL, collect, c);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (*error) {
        free_collector(c);
        return NULL;
    }
    return c;
}

const char *collect_area(const struct collector *c) { return c->path; }

bool collect_some_live(const struct collector *c) { return atomic_load(&c->living) > 0; }

void collect_end(struct collector *c, struct collect_result *result)
{
    atomic_store(&c->stop, true);
    atomic_fetch_add(&c->area.ring->filled, 1);
    syscall(SYS_futex, &c->area.ring->filled, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    pthread_join(c->thread, NULL);
    *result = (struct collect_result){
        .events = c->events,
        .lost = atomic_load(&c->area.ring->lost) + c->damaged,
        .bytes = c->writer.at,
        .cpu_ns = c->cpu_ns,
        .waited_ns = atomic_load(&c->area.ring->waited_ns),
        .processes = c->seen,
        .left = c->left,
        .error = c->writer.error,
    };
    free_collector(c);
}
