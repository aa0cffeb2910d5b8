/* long-run SECONDS RATE - SECONDS of a server's traffic, as fast as the machine can: nobody sleeps between requests.
 *
 * Two workers serve RATE requests a second each, on a clock of the program's own: in every second of it each worker does that
 * second's work, then all meet, and what the process holds is looked at beside the bytes that live. What a worker keeps:
 *
 *     requests   a dozen blocks each, for as long as a few others come and go; bodies to 256 KiB now and then
 *     sessions   on 8192 seats, each for ten seconds to ten minutes; buffers in them that grow and are replaced
 *     cache      40 MiB under a million keys, the likelier the lower; who was asked for longest ago goes first
 *     messages   blocks from the other worker, kept at random, 8192 at a time; a session moves over to it now and then
 *     lasting    30 000 blocks, each replaced once in an hour or so
 *
 * Traffic goes from half the rate to one and a half of it and back every two minutes. Every three minutes, at low tide and at
 * high tide in turn, it bursts: six seconds of four times the rate, 2048 requests open at once. Sizes in sessions, cache and
 * messages swing between once and twice theirs, every 24 minutes. Every six minutes each worker's thread ends and a new one
 * takes over; every twenty seconds it starts a thread for one job.
 *
 * So the second and the last tenth of an hour see the same traffic and the same sizes, 48 minutes apart: what differs is what
 * the heap went through. Work and live bytes are the same on every malloc.
 */
#include "footprint.h"
#include <pthread.h>
#include <stdbool.h>

enum {
    WORKERS = 2,
    TIDE = 120,
    BURST_EVERY = 180,
    BURST = 6,
    SWING = 1440,
    THREAD_LIFE = 360,
    JOB_EVERY = 20, /* seconds */

    PARTS = 12, /* blocks of a request */
    OPEN = 32,
    OPEN_IN_BURST = 2048, /* requests */

    SEATS = 8192,
    ITEMS = 6,
    SHORTEST_SESSION = 10,
    LONGEST_SESSION = 600, /* seconds */

    KEYS = 1 << 20,
    KEPT = 8192,
    LASTING = 30000,
    JOB = 3000, /* blocks */
};
static const size_t cache_cap = 40 * MIB;

struct session { /* with its size first, as every block; less than written() fills beside that */
    uint64_t size;
    uint32_t ends, moves;
    void *item[ITEMS];
};

struct entry {
    uint64_t size, key;
    struct entry *older, *newer;
};

/* What goes to the other worker, who reads it a second later. */
struct letters {
    size_t blocks, sessions;
    void **block;
    struct session **session;
};

struct worker {
    size_t me;
    pthread_t thread;
    uint64_t state, sum;
    int64_t live; /* what it made less what it freed: below zero where it frees what others made */
    void *(*request)[PARTS];
    struct session **seat;
    struct entry **entry_of, *oldest, *newest;
    size_t cached;
    void **kept, **lasting;
    struct letters out[2]; /* of even and of odd seconds */
};

static uint64_t seconds, rate, now;
static bool over;
static pthread_barrier_t start, done;
static struct worker worker[WORKERS];

static int64_t size_of(const void *block)
{
    const uint64_t *first = block;
    return (int64_t)*first;
}

static void *taken(struct worker *w, size_t size)
{
    w->live += (int64_t)size;
    return make(size);
}

static void given_back(struct worker *w, void *block)
{
    if (!block)
        return;
    w->live -= size_of(block);
    w->sum += finish(block);
}

static void *grown(struct worker *w, void *block, size_t size)
{
    w->live += (int64_t)size - size_of(block);
    w->sum += sum_of(block);
    return written(realloc(block, size), size);
}

/* A size of `least` to `most`, by what time it is up to twice that. */
static size_t swinging(struct worker *w, size_t least, size_t most)
{
    size_t at = now % SWING, half = SWING / 2;
    size_t size = some_size(&w->state, least, most);
    return size + size * (at < half ? at : SWING - at) / half;
}

static bool bursting(void) { return now % BURST_EVERY < BURST; }

static void end_session(struct worker *w, struct session *session)
{
    for (int i = 0; i < ITEMS; i++)
        given_back(w, session->item[i]);
    given_back(w, session);
}

static void visit_session(struct worker *w)
{
    struct session *session = w->seat[below(&w->state, SEATS)];
    if (!session)
        return;
    void **item = &session->item[below(&w->state, ITEMS)];
    uint64_t size = *item ? *(uint64_t *)*item : 0;
    if (size != 0 && size < 4096 && below(&w->state, 2) == 0) {
        *item = grown(w, *item, size + size / 4 + 16);
    } else {
        given_back(w, *item);
        *item = taken(w, swinging(w, 16, 512));
    }
}

static void unlink_entry(struct worker *w, struct entry *entry)
{
    *(entry->older ? &entry->older->newer : &w->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &w->newest) = entry->older;
}

static void drop_entry(struct worker *w, struct entry *entry)
{
    unlink_entry(w, entry);
    w->entry_of[entry->key] = NULL;
    w->cached -= entry->size;
    given_back(w, entry);
}

static void ask_cache(struct worker *w)
{
    size_t key = some_size(&w->state, 1, KEYS - 1);
    struct entry *entry = w->entry_of[key];
    if (entry && below(&w->state, 32) == 0) { /* it has changed */
        drop_entry(w, entry);
        entry = NULL;
    }
    if (entry) {
        unlink_entry(w, entry);
    } else {
        entry = taken(w, swinging(w, 64, 4096));
        entry->key = key;
        w->entry_of[key] = entry;
        w->cached += entry->size;
        while (w->cached > cache_cap)
            drop_entry(w, w->oldest);
    }
    entry->older = w->newest;
    entry->newer = NULL;
    *(w->newest ? &w->newest->newer : &w->oldest) = entry;
    w->newest = entry;
}

static void end_request(struct worker *w, void **part)
{
    for (int i = 0; i < PARTS; i++) {
        given_back(w, part[i]);
        part[i] = NULL;
    }
}

static void serve(struct worker *w, struct letters *out, size_t open)
{
    void **part = w->request[below(&w->state, open)];
    end_request(w, part);
    for (int i = 0; i < PARTS; i++)
        part[i] = taken(w, i < 8 ? some_size(&w->state, 16, 256) : some_size(&w->state, 256, 4096));
    if (below(&w->state, 64) == 0)
        part[0] = grown(w, part[0], some_size(&w->state, 16384, 262144));
    visit_session(w);
    if (below(&w->state, 4) == 0)
        ask_cache(w);
    if (below(&w->state, 4) == 0)
        out->block[out->blocks++] = taken(w, swinging(w, 32, 1024));
}

static void tend_sessions(struct worker *w, struct letters *out)
{
    for (size_t i = 0; i < SEATS; i++) {
        struct session *session = w->seat[i];
        if (session && (session->ends <= now || session->moves == now)) {
            w->seat[i] = NULL;
            if (session->ends <= now)
                end_session(w, session);
            else
                out->session[out->sessions++] = session;
        } else if (!session && below(&w->state, 60) == 0) {
            uint32_t life = (uint32_t)some_size(&w->state, SHORTEST_SESSION, LONGEST_SESSION);
            session = w->seat[i] = taken(w, sizeof *session);
            session->ends = (uint32_t)now + life;
            session->moves = (uint32_t)(now + 1 + below(&w->state, 4 * LONGEST_SESSION));
            memset(session->item, 0, sizeof session->item);
        }
    }
}

static void read_letters(struct worker *w, struct letters *in)
{
    for (size_t i = 0; i < in->blocks; i++) {
        void **place = &w->kept[below(&w->state, KEPT)];
        given_back(w, *place);
        *place = in->block[i];
    }
    for (size_t i = 0; i < in->sessions; i++) {
        struct session **seat = &w->seat[below(&w->state, SEATS)];
        if (*seat)
            end_session(w, *seat);
        *seat = in->session[i];
    }
    in->blocks = in->sessions = 0;
}

/* A thread of its own makes many blocks and leaves the worker one in a hundred. The worker waits for it. */
static void *job(void *argument)
{
    struct worker *w = argument;
    void *block[JOB];
    for (size_t i = 0; i < JOB; i++)
        block[i] = taken(w, some_size(&w->state, 16, 4096));
    shuffle(block, JOB, &w->state);
    for (size_t i = 0; i < JOB; i++) {
        void **place = &w->kept[below(&w->state, KEPT)];
        given_back(w, i < JOB / 100 ? *place : block[i]);
        if (i < JOB / 100)
            *place = block[i];
    }
    return NULL;
}

static void one_second(struct worker *w)
{
    struct letters *out = &w->out[now % 2];
    uint64_t at = now % TIDE, tide = at < TIDE / 2 ? at : TIDE - at;
    bool burst = bursting();
    uint64_t requests = burst ? 4 * rate : rate / 2 + rate * tide / (TIDE / 2);
    for (size_t i = 0; i < WORKERS; i++)
        if (i != w->me)
            read_letters(w, &worker[i].out[(now + 1) % 2]);
    tend_sessions(w, out);
    for (uint64_t i = 0; i < requests; i++)
        serve(w, out, burst ? OPEN_IN_BURST : OPEN);
    for (size_t i = OPEN; i < OPEN_IN_BURST && !burst; i++)
        end_request(w, w->request[i]);
    for (int i = 0; i < 8; i++) {
        void **place = &w->lasting[below(&w->state, LASTING)];
        given_back(w, *place);
        *place = taken(w, some_size(&w->state, 32, 512));
    }
    if ((now + w->me * JOB_EVERY / WORKERS) % JOB_EVERY == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, job, w) != 0)
            fail("no thread to be had");
        pthread_join(thread, NULL);
    }
}

static bool thread_ends(const struct worker *w)
{
    return (now + w->me * THREAD_LIFE / WORKERS) % THREAD_LIFE == THREAD_LIFE - 1;
}

static void *work(void *argument)
{
    struct worker *w = argument;
    for (;;) {
        pthread_barrier_wait(&start);
        if (over)
            return NULL;
        one_second(w);
        bool ends = thread_ends(w);
        pthread_barrier_wait(&done);
        if (ends)
            return NULL;
    }
}

static void employ(struct worker *w)
{
    if (pthread_create(&w->thread, NULL, work, w) != 0)
        fail("no thread to be had");
}

/* The worker with its tables, and its lasting blocks. */
static void prepare(size_t me)
{
    struct worker *w = &worker[me];
    *w = (struct worker){.me = me, .state = me};
    w->request = own_table(OPEN_IN_BURST * sizeof *w->request);
    w->seat = own_table(SEATS * sizeof *w->seat);
    w->entry_of = own_table(KEYS * sizeof *w->entry_of);
    w->kept = own_table(KEPT * sizeof *w->kept);
    w->lasting = own_table(LASTING * sizeof *w->lasting);
    for (int i = 0; i < 2; i++) {
        w->out[i].block = own_table(4 * rate * sizeof *w->out[i].block);
        w->out[i].session = own_table(SEATS * sizeof *w->out[i].session);
    }
}

static void clear(struct worker *w)
{
    for (size_t i = 0; i < OPEN_IN_BURST; i++)
        end_request(w, w->request[i]);
    for (size_t i = 0; i < 2; i++)
        read_letters(w, &w->out[i]);
    for (size_t i = 0; i < SEATS; i++)
        if (w->seat[i])
            end_session(w, w->seat[i]);
    while (w->oldest)
        drop_entry(w, w->oldest);
    for (size_t i = 0; i < KEPT; i++)
        given_back(w, w->kept[i]);
    for (size_t i = 0; i < LASTING; i++)
        given_back(w, w->lasting[i]);
}

int main(int argc, char **argv)
{
    seconds = number(argc, argv, 1), rate = number(argc, argv, 2);
    double held[10] = {0}, lived[10] = {0}, looks[10] = {0};
    for (size_t i = 0; i < WORKERS; i++)
        prepare(i);
    pthread_barrier_init(&start, NULL, WORKERS + 1);
    pthread_barrier_init(&done, NULL, WORKERS + 1);
    footprint_begin();
    for (size_t i = 0; i < WORKERS; i++) {
        for (size_t k = 0; k < LASTING; k++)
            worker[i].lasting[k] = taken(&worker[i], some_size(&worker[i].state, 32, 512));
        employ(&worker[i]);
    }
    for (; now < seconds; now++) {
        int64_t live = 0;
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&done);
        for (size_t i = 0; i < WORKERS; i++)
            live += worker[i].live;
        size_t tenth = now * 10 / seconds;
        held[tenth] += footprint() / (double)live;
        lived[tenth] += (double)live / MIB;
        looks[tenth]++;
        for (size_t i = 0; i < WORKERS; i++)
            if (thread_ends(&worker[i])) {
                pthread_join(worker[i].thread, NULL);
                employ(&worker[i]);
            }
    }
    over = true;
    pthread_barrier_wait(&start);
    uint64_t sum = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(worker[i].thread, NULL);
        clear(&worker[i]);
    }
    for (size_t i = 0; i < WORKERS; i++)
        sum += worker[i].sum;
    figure("live_in_the_second_tenth,_MiB", lived[1] / looks[1]);
    figure("live_in_the_last_tenth,_MiB", lived[9] / looks[9]);
    figure("second_tenth,_over_live", held[1] / looks[1]);
    figure("last_tenth,_over_live", held[9] / looks[9]);
    figure("last_tenth_over_the_second", held[9] / looks[9] / (held[1] / looks[1]));
    print_sum(sum);
    return 0;
}
