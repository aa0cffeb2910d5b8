/* See sites.h, and the struct of a site in profile.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "profile/sites.h"

#define INDEX_LEAST 10
#define PAIRS_MOST  ((size_t)1 << 20)
#define SITES_BYTES ((size_t)160 << 20)
#define READER      ((size_t)32 << 20) /* bytes that any trace's reader may take */

/* -- by process and stack -- */

/* Sites never move: address space for all of them is had at once, memory as they come. */
bool sites_begin(struct profile *p)
{
    size_t most = p->wanted.sites_most ? p->wanted.sites_most : SITES_BYTES;
    p->sites_most = (uint32_t)(most / sizeof *p->site);
    p->sites_most = p->sites_room = p->sites_most < 4 ? 4 : p->sites_most;
    /* Beyond those that tell stacks apart, each process may have one for blocks of before and one for all other stacks. */
    size_t bytes = ((size_t)p->sites_room + 2 * PROFILE_PROCESSES + 1) * sizeof *p->site;
    p->site = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->site == MAP_FAILED) {
        p->site = NULL;
        return false;
    }
    madvise(p->site, bytes, MADV_HUGEPAGE);
    p->index_bits = INDEX_LEAST;
    p->index = calloc((size_t)1 << p->index_bits, sizeof *p->index);
    return p->index != NULL;
}

void sites_beside(struct profile *p, size_t reader)
{
    size_t most = p->sites_room * sizeof *p->site, least = most / 4,
           less = reader > READER ? (reader - READER) / 4 * 3 : 0;
    most = less < most - least ? most - less : least;
    p->sites_most = (uint32_t)(most / sizeof *p->site);
}

void sites_end(struct profile *p)
{
    if (p->site) {
        munmap(p->site, ((size_t)p->sites_room + 2 * PROFILE_PROCESSES + 1) * sizeof *p->site);
    }
    free(p->index);
    free(p->pair);
}

static size_t home(const struct profile *p, uint32_t process, uint32_t stack)
{
    return (((uint64_t)process << 32 | stack) * 0x9e3779b97f4a7c15u) >> (64 - p->index_bits);
}

static uint32_t *find(const struct profile *p, uint32_t process, uint32_t stack)
{
    size_t mask = ((size_t)1 << p->index_bits) - 1;
    for (size_t i = home(p, process, stack);; i = (i + 1) & mask) {
        uint32_t number = p->index[i];
        if (number == 0 || (p->site[number].stack == stack && p->site[number].process == process)) {
            return &p->index[i];
        }
    }
}

static bool grow_index(struct profile *p)
{
    uint32_t *old = p->index, *index = calloc((size_t)2 << p->index_bits, sizeof *index);
    if (!index) {
        return false;
    }
    p->index = index;
    p->index_bits++;
    for (uint32_t i = 1; i <= p->sites; i++) {
        *find(p, p->site[i].process, p->site[i].stack) = i;
    }
    free(old);
    return true;
}

uint32_t sites_of(struct profile *p, struct profile_process *process, uint32_t stack)
{
    uint32_t *slot = find(p, process->number, stack);
    if (__builtin_expect(*slot != 0, 1)) {
        return *slot;
    }
    if (p->sites >= p->sites_most && stack < PROFILE_STACK_OTHER) {
        p->folded++;
        return sites_of(p, process, PROFILE_STACK_OTHER);
    }
    if (p->sites >= ((size_t)1 << p->index_bits) / 2) {
        if (!grow_index(p)) {
            return 0;
        }
        slot = find(p, process->number, stack);
    }
    uint32_t number = ++p->sites;
    *slot = number;
    p->site[number] = (struct profile_site){.process = process->number,
                                            .stack = stack,
                                            .peak_stamp = p->peaks,
                                            .window = (uint32_t)p->windows,
                                            .life_least = UINT64_MAX,
                                            .next = process->first_site};
    process->first_site = number;
    return number;
}

void sites_prefetch(const struct profile *p, const struct profile_process *process, uint32_t stack)
{
    uint32_t number = p->index[home(p, process->number, stack)];
    __builtin_prefetch(&p->site[number], 1);
    __builtin_prefetch(&p->site[number].slack, 1);
}

/* -- over time -- */

void sites_catch_up(const struct profile *p, struct profile_site *s)
{
    while (s->window != p->windows) {
        s->low[s->window++] = s->low_now;
        s->low_now = s->live_bytes;
    }
}

/* Windows that are too many for their number become half as many, each twice as long. */
static void join_windows(struct profile *p)
{
    for (uint32_t n = 1; n <= p->sites; n++) {
        struct profile_site *s = &p->site[n];
        sites_catch_up(p, s);
        for (unsigned i = 0; i < PROFILE_WINDOWS / 2 - 1; i++) {
            s->low[i] = s->low[2 * i] < s->low[2 * i + 1] ? s->low[2 * i] : s->low[2 * i + 1];
        }
        s->low_now = s->low_now < s->low[PROFILE_WINDOWS - 2] ? s->low_now : s->low[PROFILE_WINDOWS - 2];
        s->window = PROFILE_WINDOWS / 2 - 1;
    }
    p->windows = PROFILE_WINDOWS / 2 - 1;
    p->window_length *= 2;
}

void sites_next_window(struct profile *p)
{
    while (p->now >= p->window_end) {
        if (p->windows + 1 == PROFILE_WINDOWS) {
            join_windows(p);
        }
        p->windows++;
        p->window_end = p->begin + (p->windows + 1) * p->window_length;
    }
}

uint64_t profile_growth(const struct profile *p, const struct profile_site *s)
{
    uint64_t whole = p->windows,
             middle = whole / 2; /* the last is not over, and is where all is freed before the end */
    if (whole < 4 || s->low[middle - 1] >= s->low[whole - 1]) {
        return 0;
    }
    for (uint64_t i = middle; i < whole; i++) {
        if (s->low[i] <= s->low[i - 1]) {
            return 0;
        }
    }
    return s->low[whole - 1] - s->low[middle - 1];
}

void sites_leave(struct profile *p, struct profile_process *process)
{
    for (uint32_t n = process->first_site; n; n = p->site[n].next) {
        struct profile_site *s = &p->site[n];
        sites_touch(p, s);
        s->left_blocks += s->live_blocks;
        s->left_bytes += s->live_bytes;
        s->live_blocks = s->live_bytes = s->low_now = 0;
    }
}

/* -- which threads -- */

static bool add_pair(struct profile *p, uint64_t pair)
{
    if (2 * (p->pairs + 1) > p->pairs_room) {
        size_t room = p->pairs_room ? 2 * p->pairs_room : 1024;
        uint64_t *old = p->pair, *grown = p->pairs < PAIRS_MOST ? calloc(room, sizeof *grown) : NULL;
        if (!grown) {
            return false;
        }
        for (size_t i = 0; i < p->pairs_room; i++) {
            size_t to = (old[i] * 0x9e3779b97f4a7c15u >> 20) & (room - 1);
            while (old[i] && grown[to]) {
                to = (to + 1) & (room - 1);
            }
            if (old[i]) {
                grown[to] = old[i];
            }
        }
        free(old);
        p->pair = grown;
        p->pairs_room = room;
    }
    size_t mask = p->pairs_room - 1, i = (pair * 0x9e3779b97f4a7c15u >> 20) & mask;
    for (; p->pair[i]; i = (i + 1) & mask) {
        if (p->pair[i] == pair) {
            return false;
        }
    }
    p->pair[i] = pair;
    p->pairs++;
    return true;
}

void sites_thread(struct profile *p, uint32_t number, uint32_t thread)
{
    struct profile_site *s = &p->site[number];
    uint64_t bit = thread >= 1 && thread <= 63 ? (uint64_t)1 << thread : 1;
    s->last_thread = thread;
    if (bit > 1 ? !(s->threads_seen & bit) : add_pair(p, (uint64_t)number << 32 | thread)) {
        s->threads++;
    }
    s->threads_seen |= bit;
}

/* -- several together -- */

void profile_add(struct profile_site *sum, const struct profile_site *s)
{
    sum->allocs += s->allocs;
    sum->bytes += s->bytes;
    sum->live_blocks += s->live_blocks;
    sum->live_bytes += s->live_bytes;
    sum->peak_blocks += s->peak_blocks;
    sum->peak_bytes += s->peak_bytes;
    sum->own_peak_bytes += s->own_peak_bytes;
    sum->frees += s->frees;
    sum->freed_bytes += s->freed_bytes;
    sum->passed += s->passed;
    sum->before_blocks += s->before_blocks;
    sum->before_bytes += s->before_bytes;
    sum->replaced_blocks += s->replaced_blocks;
    sum->replaced_bytes += s->replaced_bytes;
    sum->left_blocks += s->left_blocks;
    sum->left_bytes += s->left_bytes;
    sum->temporary += s->temporary;
    sum->temporary_bytes += s->temporary_bytes;
    sum->same_thread += s->same_thread;
    sum->life_sum += s->life_sum;
    sum->life_squares += s->life_squares;
    sum->life_least = s->life_least < sum->life_least ? s->life_least : sum->life_least;
    sum->life_most = s->life_most > sum->life_most ? s->life_most : sum->life_most;
    sum->reallocs += s->reallocs;
    sum->grown += s->grown;
    sum->slack += s->slack;
    /* The same thread may stand in both: where it can be seen that it does not, they add up. */
    if (sum->process == s->process && !(s->threads_seen & 1) && !(sum->threads_seen & 1)) {
        sum->threads_seen |= s->threads_seen;
        sum->threads = (uint32_t)__builtin_popcountll(sum->threads_seen);
    } else if (sum->process == 0) {
        sum->threads_seen = s->threads_seen;
        sum->threads = s->threads;
        sum->process = s->process;
    } else {
        sum->threads_seen |= s->threads_seen;
        sum->threads = s->threads > sum->threads ? s->threads : sum->threads;
    }
    for (unsigned i = 0; i < PROFILE_WINDOWS - 1; i++) {
        sum->low[i] += s->low[i];
    }
    for (unsigned i = 0; i < PROFILE_BINS; i++) {
        uint64_t both = (uint64_t)sum->sizes[i] + s->sizes[i];
        sum->sizes[i] = both > UINT32_MAX ? UINT32_MAX : (uint32_t)both;
    }
}
