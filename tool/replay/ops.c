/* replay/ops.c - a trace's events become ops. See ops.h.
 *
 *   events --> its process --> live blocks, address -> number --> the process's buffer --> spool    pieces of all processes, as they come
 *                                                                                 end: --> file     process by process
 *
 * What a trace with holes says is taken at its word: a block that is allocated over a live one ends that, a free of what is not known
 * is left out, and a realloc of it allocates. A failed allocation is none: the program had nothing.
 *
 * Memory: 24 bytes a live block, at half load; 96 KiB a live process at most. The rest is on disk.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "replay/spool.h"

#define PIECE          4096 /* ops */
#define PROCESSES_MOST (1u << 22)
#define THREADS_MOST   1024 /* what an op can say */
#define THREAD_NUMBERS 65536
#define SIZE_MOST      (((uint64_t)1 << 46) - 1)
#define TOLD_EVERY     65536 /* events */
#define NOTHING        UINT32_MAX

struct live {
    uint64_t address, size;
    uint32_t block; /* NOTHING: free */
};

struct process {
    struct live *live; /* open addressing, `room` of them, a power of two */
    uint64_t room, count;
    uint32_t *unused;  /* numbers of dead blocks, the latest last */
    uint64_t *is_live; /* a bit for each number */
    uint32_t nunused, unused_room, blocks, blocks_room;
    uint16_t *thread; /* dense numbers, and 1, by the trace's */
    uint32_t thread_room, threads;
    uint64_t ops, live_bytes, peak_live, peak_at; /* peak_at: of this process's ops */
    struct op *op;
    uint64_t *time;
    uint32_t have, buffer_room;
    uint32_t first_piece, last_piece;
};

struct piece {
    uint64_t from;
    uint32_t count, next;
};

struct reading {
    struct spool spool;
    struct process **process; /* in the order in which they came */
    uint32_t *index;          /* by the trace's number: place in `process`, and 1 */
    uint32_t processes, processes_room, index_room;
    struct piece *piece;
    uint32_t pieces, pieces_room;
    uint64_t now, calls;
    struct ops_head head;
};

static int grow(void *array, uint32_t *room, uint32_t least, size_t bytes)
{
    uint32_t wanted = *room ? *room : 16;
    while (wanted < least) {
        wanted = wanted > UINT32_MAX / 2 ? UINT32_MAX : 2 * wanted;
    }
    void *grown = realloc(*(void **)array, wanted * bytes);
    if (!grown) {
        return -ENOMEM;
    }
    memset((char *)grown + *room * bytes, 0, (wanted - *room) * bytes);
    *(void **)array = grown;
    *room = wanted;
    return 0;
}

/* -- live blocks -- */

static uint64_t home_of(const struct process *p, uint64_t address)
{
    return (address * 0x9e3779b97f4a7c15u >> 20 ^ address >> 4) & (p->room - 1);
}

static struct live *find(const struct process *p, uint64_t address)
{
    for (uint64_t i = p->room ? home_of(p, address) : 0; p->room && p->live[i].block != NOTHING;
         i = (i + 1) & (p->room - 1)) {
        if (p->live[i].address == address) {
            return &p->live[i];
        }
    }
    return NULL;
}

static void put(struct process *p, struct live what)
{
    uint64_t i = home_of(p, what.address);
    while (p->live[i].block != NOTHING) {
        i = (i + 1) & (p->room - 1);
    }
    p->live[i] = what;
    p->count++;
}

/* Those behind move up, as far as that brings them nearer to their homes. */
static void forget(struct process *p, struct live *gone)
{
    uint64_t mask = p->room - 1, hole = (uint64_t)(gone - p->live);
    for (uint64_t i = (hole + 1) & mask; p->live[i].block != NOTHING; i = (i + 1) & mask) {
        uint64_t home = home_of(p, p->live[i].address);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            p->live[hole] = p->live[i];
            hole = i;
        }
    }
    p->live[hole].block = NOTHING;
    p->count--;
}

static int make_room(struct process *p)
{
    if (2 * p->count < p->room) {
        return 0;
    }
    struct process grown = *p;
    grown.room = p->room ? 2 * p->room : 64;
    grown.count = 0;
    grown.live = malloc(grown.room * sizeof *grown.live);
    if (!grown.live) {
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < grown.room; i++) {
        grown.live[i].block = NOTHING;
    }
    for (uint64_t i = 0; i < p->room; i++) {
        if (p->live[i].block != NOTHING) {
            put(&grown, p->live[i]);
        }
    }
    free(p->live);
    *p = grown;
    return 0;
}

/* -- the spool -- */

static int flush(struct reading *r, struct process *p)
{
    if (p->have == 0) {
        return 0;
    }
    if (r->pieces == r->pieces_room) {
        int failed = r->pieces == NOTHING ? -ENOMEM : grow(&r->piece, &r->pieces_room, r->pieces + 1, sizeof *r->piece);
        if (failed) {
            return failed;
        }
    }
    uint64_t from = r->spool.count;
    int failed = spool_append(&r->spool, p->op, r->head.times ? p->time : NULL, p->have);
    if (failed) {
        return failed;
    }
    struct piece *last = p->last_piece == NOTHING ? NULL : &r->piece[p->last_piece];
    if (last && last->from + last->count == from && last->count < NOTHING - PIECE) {
        last->count += p->have;
    } else {
        *(last ? &last->next : &p->first_piece) = r->pieces;
        p->last_piece = r->pieces;
        r->piece[r->pieces++] = (struct piece){from, p->have, NOTHING};
    }
    p->have = 0;
    return 0;
}

static int emit(struct reading *r, struct process *p, struct op op)
{
    if (p->have == p->buffer_room) {
        if (p->have == PIECE) {
            int failed = flush(r, p);
            if (failed) {
                return failed;
            }
        } else {
            uint32_t room = p->buffer_room ? 8 * p->buffer_room : 64;
            struct op *ops = realloc(p->op, room * sizeof *ops);
            p->op = ops ? ops : p->op;
            uint64_t *times = realloc(p->time, room * sizeof *times);
            p->time = times ? times : p->time;
            if (!ops || !times) {
                return -ENOMEM;
            }
            p->buffer_room = room;
        }
    }
    p->op[p->have] = op;
    p->time[p->have++] = r->now;
    p->ops++;
    r->head.allocs += op.kind == OP_ALLOC;
    r->head.frees += op.kind == OP_FREE;
    r->head.resizes += op.kind == OP_RESIZE;
    r->calls += op.kind != OP_LEFT;
    return 0;
}

/* -- processes and threads -- */

static int find_process(struct reading *r, uint32_t number, struct process **out)
{
    if (number >= r->index_room) {
        int failed =
            number >= PROCESSES_MOST ? -EOVERFLOW : grow(&r->index, &r->index_room, number + 1, sizeof *r->index);
        if (failed) {
            return failed;
        }
    }
    if (r->index[number] == 0) {
        if (r->processes == r->processes_room) {
            int failed = grow(&r->process, &r->processes_room, r->processes + 1, sizeof *r->process);
            if (failed) {
                return failed;
            }
        }
        struct process *p = calloc(1, sizeof *p);
        if (!p) {
            return -ENOMEM;
        }
        p->first_piece = p->last_piece = NOTHING;
        r->process[r->processes++] = p;
        r->index[number] = r->processes;
    }
    *out = r->process[r->index[number] - 1];
    return 0;
}

static int thread_of(struct reading *r, struct process *p, uint32_t number, uint32_t *out)
{
    *out = THREADS_MOST - 1;
    if (number < THREAD_NUMBERS) {
        if (number >= p->thread_room) {
            int failed = grow(&p->thread, &p->thread_room, number + 1, sizeof *p->thread);
            if (failed) {
                return failed;
            }
        }
        if (p->thread[number] == 0) {
            p->thread[number] = (uint16_t)(p->threads < THREADS_MOST ? ++p->threads : THREADS_MOST);
        }
        *out = p->thread[number] - 1u;
    }
    r->head.threads = *out >= r->head.threads ? *out + 1 : r->head.threads;
    return 0;
}

static void close_process(struct process *p)
{
    free(p->live);
    free(p->unused);
    free(p->is_live);
    free(p->thread);
    free(p->op);
    free(p->time);
    *p = (struct process){.ops = p->ops,
                          .peak_live = p->peak_live,
                          .peak_at = p->peak_at,
                          .first_piece = p->first_piece,
                          .last_piece = p->last_piece};
}

static int end_process(struct reading *r, struct process *p)
{
    int failed = 0;
    for (uint32_t block = 0; block < p->blocks && !failed; block++) {
        if (bitmap_test(p->is_live, block)) {
            failed = emit(r, p, (struct op){.block = block, .kind = OP_LEFT});
        }
    }
    if (!failed) {
        failed = flush(r, p);
    }
    close_process(p);
    return failed;
}

/* -- events -- */

static int new_block(struct reading *r, struct process *p, uint32_t *block)
{
    if (p->nunused) {
        *block = p->unused[--p->nunused];
        return 0;
    }
    if (p->blocks == p->blocks_room) {
        uint32_t words = p->blocks_room / 64;
        int failed =
            p->blocks == NOTHING / 64 * 64 ? -EOVERFLOW : grow(&p->is_live, &words, words + 1, sizeof *p->is_live);
        if (failed) {
            return failed;
        }
        p->blocks_room = words > NOTHING / 64 ? NOTHING / 64 * 64 : words * 64;
    }
    *block = p->blocks++;
    r->head.blocks = p->blocks > r->head.blocks ? p->blocks : r->head.blocks;
    return 0;
}

static int end_block(struct reading *r, struct process *p, struct live *live, uint32_t thread)
{
    uint32_t block = live->block;
    if (p->nunused == p->unused_room) {
        int failed = grow(&p->unused, &p->unused_room, p->nunused + 1, sizeof *p->unused);
        if (failed) {
            return failed;
        }
    }
    p->unused[p->nunused++] = block;
    p->is_live[block / 64] &= ~((uint64_t)1 << block % 64);
    p->live_bytes -= live->size;
    forget(p, live);
    return emit(r, p, (struct op){.block = block, .kind = OP_FREE, .thread = thread});
}

/* The block is there, with that size. */
static int begin_block(struct reading *r, struct process *p, const struct trace_event *e, uint32_t block,
                       enum op_kind kind, uint32_t thread)
{
    uint64_t size = e->size < SIZE_MOST ? e->size : SIZE_MOST;
    uint32_t align = e->op == TRACE_ALLOC && e->call == TRACE_ALIGNED ? e->align : 0;
    int failed = make_room(p);
    if (failed) {
        return failed;
    }
    put(p, (struct live){e->address, size, block});
    bitmap_set(p->is_live, block);
    r->head.largest = size > r->head.largest ? size : r->head.largest;
    p->live_bytes += size;
    if (p->live_bytes > p->peak_live) {
        p->peak_live = p->live_bytes;
        p->peak_at = p->ops;
    }
    return emit(r, p,
                (struct op){.block = block,
                            .site = e->op == TRACE_BEFORE ? 0 : e->stack,
                            .size = size,
                            .kind = kind,
                            .align = align < 63 ? align : 63,
                            .thread = thread});
}

static int block_event(struct reading *r, const struct trace_event *e)
{
    struct process *p;
    uint32_t thread, block;
    int failed = find_process(r, e->process, &p);
    if (!failed) {
        failed = thread_of(r, p, e->thread, &thread);
    }
    if (failed) {
        return failed;
    }
    struct live *old = e->op == TRACE_FREE                ? find(p, e->address)
                       : e->op == TRACE_REALLOC && e->old ? find(p, e->old)
                                                          : NULL;
    if (e->op == TRACE_FREE) {
        return old ? end_block(r, p, old, thread) : 0;
    }
    enum op_kind kind = OP_ALLOC;
    block = NOTHING;
    if (old) {
        kind = OP_RESIZE;
        block = old->block;
        p->live_bytes -= old->size;
        forget(p, old);
    }
    struct live *under = find(p, e->address);
    if (under) {
        failed = end_block(r, p, under, thread);
    }
    if (!failed && block == NOTHING) {
        failed = new_block(r, p, &block);
    }
    return failed ? failed : begin_block(r, p, e, block, kind, thread);
}

static int event(struct reading *r, const struct trace_event *e)
{
    switch (e->op) {
    case TRACE_ALLOC:
    case TRACE_FREE:
    case TRACE_REALLOC:
    case TRACE_BEFORE:
        return block_event(r, e);
    case TRACE_EXIT: {
        uint32_t i = e->process < r->index_room ? r->index[e->process] : 0;
        return i ? end_process(r, r->process[i - 1]) : 0;
    }
    default:
        return 0;
    }
}

/* -- all of it -- */

static int read_events(struct reading *r, struct trace *trace, uint32_t process, uint64_t limit,
                       trace_progress *progress, bool *cut, struct trace_error *error)
{
    struct trace_event e;
    int got, failed = 0;
    for (uint64_t events = 1; (got = trace_next(trace, &e, error)) > 0; events++) {
        if (progress && events % TOLD_EVERY == 0) {
            progress(trace_about(trace));
        }
        if (process && e.process != process) {
            continue;
        }
        bool call = e.op == TRACE_ALLOC || e.op == TRACE_FREE || e.op == TRACE_REALLOC;
        if (limit && call && r->calls >= limit) {
            *cut = true;
            break;
        }
        r->now = e.time;
        if ((failed = event(r, &e))) {
            return failed;
        }
    }
    for (uint32_t i = 0; i < r->processes && got >= 0 && !failed; i++) {
        failed = end_process(r, r->process[i]);
    }
    return failed ? failed : got < 0 ? 1 : 0;
}

/* The processes' pieces one process after another, unless they lie so already. */
static int put_in_order(struct reading *r)
{
    uint64_t base = 0;
    bool in_order = true;
    for (uint32_t i = 0; i < r->processes; i++) {
        const struct process *p = r->process[i];
        if (p->peak_live > r->head.peak_live) {
            r->head.peak_live = p->peak_live;
            r->head.peak_at = base + p->peak_at;
        }
        for (uint32_t at = p->first_piece; at != NOTHING; at = r->piece[at].next) {
            in_order &= r->piece[at].from == base;
            base += r->piece[at].count;
        }
    }
    r->head.count = base;
    r->head.times = r->head.times ? base : 0;
    if (in_order) {
        return 0;
    }
    struct spool ordered;
    struct op *op = malloc(PIECE * sizeof *op);
    uint64_t *time = malloc(PIECE * sizeof *time), *times = r->head.times ? time : NULL;
    int failed = op && time ? spool_begin(&ordered) : -ENOMEM;
    if (failed) {
        ordered = (struct spool){.ops = -1, .times = -1};
    }
    for (uint32_t i = 0; i < r->processes; i++) {
        for (uint32_t at = r->process[i]->first_piece; at != NOTHING; at = r->piece[at].next) {
            const struct piece *piece = &r->piece[at];
            for (uint32_t done = 0, n; done < piece->count && !failed; done += n) {
                n = piece->count - done < PIECE ? piece->count - done : PIECE;
                failed = spool_read(&r->spool, piece->from + done, op, times, n);
                if (!failed) {
                    failed = spool_append(&ordered, op, times, n);
                }
            }
        }
    }
    free(op);
    free(time);
    struct spool was = r->spool;
    r->spool = failed ? was : ordered;
    spool_end(failed ? &ordered : &was);
    return failed;
}

static void end_reading(struct reading *r)
{
    for (uint32_t i = 0; i < r->processes; i++) {
        close_process(r->process[i]);
        free(r->process[i]);
    }
    free(r->process);
    free(r->index);
    free(r->piece);
    spool_end(&r->spool);
}

int ops_read(struct trace *trace, uint32_t process, uint64_t limit, trace_progress *progress, struct ops *out,
             bool *cut, struct trace_error *error)
{
    struct reading r = {.head.times = trace_about(trace)->has_times};
    *out = (struct ops){.fd = -1};
    *cut = false;
    int fd = -1, failed = spool_begin(&r.spool);
    if (!failed) {
        failed = read_events(&r, trace, process, limit, progress, cut, error);
    }
    if (!failed) {
        failed = put_in_order(&r);
    }
    if (!failed) {
        failed = spool_finish(&r.spool, &r.head, &fd);
    }
    if (!failed && (failed = ops_open(fd, out))) {
        close(fd);
    }
    if (failed == -EOVERFLOW) {
        snprintf(error->line, sizeof error->line, "too many processes or blocks, in the trace, choose one process");
    } else if (failed < 0) {
        snprintf(error->line, sizeof error->line, "the steps to replay: %s, in $TMPDIR or /var/tmp, make room there",
                 failed == -ENOMEM ? "no memory" : strerror(-failed));
    }
    end_reading(&r);
    return failed ? -1 : 0;
}
