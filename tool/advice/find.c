/* See find.h. */
#include <stdlib.h>
#include <string.h>

#include "advice/find.h"

#define NEAR         2  /* ops from one block of an object to the next */
#define BESIDE       4  /* ops, and frees, within which they die */
#define BURST_LEAST  16 /* blocks */
#define OFTEN        8
#define ENDS         32 /* of a place's first bursts */
#define THREADS      1024
#define WORTH_CALLS  2000
#define WORTH_BYTES  ((uint64_t)32 << 10)
#define NOBODY       UINT32_MAX
#define A_FEW        64 /* blocks at once: of what a kept buffer could do */
#define LONG_OF_TIME 8  /* a life of an eighth of all ops is long */

struct seen { /* of a block */
    uint64_t born, size;
    uint64_t mate_born; /* of the block made before it: tells whether that number is still the same block */
    uint32_t mate, group;
};

struct often {
    uint64_t size, count;
};

struct of_place {
    uint64_t allocs, frees, bytes, life;
    uint64_t live, live_bytes, most, most_bytes;
    struct often often[OFTEN];
    uint64_t base, high, made,
        at_last; /* of the burst: live before, at most, made since, live when the last was made */
    uint64_t bursts, in_bursts, together, stayed; /* stayed: were live when their burst had ended */
    uint64_t end[ENDS], low_at;
    bool low;       /* the burst is over when the next block is made */
    uint64_t mated; /* frees beside the block that it was made behind */
    uint32_t parent, votes;
    bool taken; /* some candidate has it */
};

struct gone { /* a block that was freed */
    uint64_t born, mate_born, at;
    uint32_t block, mate, group;
};

struct of_thread {
    uint64_t last_born;
    uint32_t last; /* block; NOBODY */
    uint32_t at;
    struct gone gone[BESIDE];
};

struct finding {
    const struct look *look;
    const struct ops *ops;
    const struct stacks *stacks;
    struct seen *seen;
    struct of_place *place;
    struct of_thread *thread;
    uint64_t now;
};

/* -- the pass -- */

static void count_size(struct of_place *p, uint64_t size)
{
    struct often *least = &p->often[0];
    for (unsigned i = 0; i < OFTEN; i++) {
        if (p->often[i].count && p->often[i].size == size) {
            p->often[i].count++;
            return;
        }
        least = p->often[i].count < least->count ? &p->often[i] : least;
    }
    if (least->count == 0) {
        *least = (struct often){size, 1};
        return;
    }
    for (unsigned i = 0; i < OFTEN; i++) {
        p->often[i].count--;
    }
}

static void end_burst(struct of_place *p)
{
    if (p->made >= BURST_LEAST) {
        if (p->bursts < ENDS) {
            p->end[p->bursts] = p->low_at;
        }
        p->bursts++;
        p->in_bursts += p->made;
        p->together += p->at_last;
        p->stayed += p->live > p->base ? p->live - p->base : 0;
        p->made = 0;
        p->base = p->high = p->live;
    }
    p->low = false;
}

static void made(struct finding *f, const struct op *op)
{
    struct of_thread *t = &f->thread[op->thread % THREADS];
    struct seen *s = &f->seen[op->block];
    uint32_t group = stacks_find(f->stacks, op->site).group;
    struct of_place *p = &f->place[group];
    bool near = t->last != NOBODY && f->now - t->last_born <= NEAR;
    *s = (struct seen){f->now, op->size, near ? t->last_born : 0, near ? t->last : NOBODY, group};
    t->last = op->block;
    t->last_born = f->now;
    if (p->low) {
        end_burst(p);
    }
    p->allocs++;
    p->bytes += op->size;
    p->live_bytes += op->size;
    p->live++;
    p->most = p->live > p->most ? p->live : p->most;
    p->most_bytes = p->live_bytes > p->most_bytes ? p->live_bytes : p->most_bytes;
    count_size(p, op->size);
    if (p->live <= p->base) { /* lower than where the burst began */
        p->base = p->live - 1;
    }
    p->made++;
    p->high = p->live > p->high ? p->live : p->high;
    p->at_last = p->live - p->base;
}

/* Boyer and Moore's vote: whom most of them follow. */
static void vote(struct of_place *p, uint32_t parent)
{
    if (p->votes == 0) {
        p->parent = parent;
    }
    p->votes += p->parent == parent ? 1 : -1u;
    p->mated++;
}

static void freed(struct finding *f, const struct op *op)
{
    struct seen *s = &f->seen[op->block];
    struct of_place *p = &f->place[s->group];
    struct of_thread *t = &f->thread[op->thread % THREADS];
    for (unsigned i = 0; i < BESIDE && op->kind == OP_FREE; i++) {
        const struct gone *g = &t->gone[i];
        if (!g->at || f->now - g->at > BESIDE || g->group == s->group) {
            continue;
        }
        if (g->mate == op->block && g->mate_born == s->born) {
            vote(&f->place[g->group], s->group);
        } else if (s->mate == g->block && s->mate_born == g->born) {
            vote(p, g->group);
        }
    }
    t->gone[t->at++ % BESIDE] = (struct gone){s->born, s->mate_born, f->now, op->block, s->mate, s->group};
    p->frees += op->kind == OP_FREE;
    p->live--;
    p->live_bytes -= s->size;
    p->life += f->now - s->born;
    s->born = 0;
    if (p->live <= p->base + (p->high - p->base) / 16) {
        p->low = true;
        p->low_at = f->now;
    }
}

static void pass(struct finding *f)
{
    for (uint64_t i = 0; i < f->ops->count; i++) {
        const struct op *op = &f->ops->op[i];
        struct seen *s = &f->seen[op->block];
        f->now = i + 1;
        if (op->kind == OP_ALLOC) {
            if (s->born) {
                freed(f, &(struct op){.block = op->block, .kind = OP_LEFT, .thread = op->thread});
            }
            made(f, op);
        } else if (op->kind == OP_RESIZE && s->born) {
            struct of_place *p = &f->place[s->group];
            p->live_bytes += op->size - s->size;
            p->most_bytes = p->live_bytes > p->most_bytes ? p->live_bytes : p->most_bytes;
            s->size = op->size;
        } else if (s->born) {
            freed(f, op);
        }
    }
}

/* -- what it comes to -- */

struct list {
    struct candidate *out;
    uint32_t count;
    const struct finding *f;
};

static uint32_t group_of(const struct finding *f, const struct of_place *p) { return (uint32_t)(p - f->place); }

static struct candidate *add(struct list *list, enum advice_kind kind, uint32_t group)
{
    if (list->count == ADVICE_TRIED) {
        return NULL;
    }
    const struct of_place *p = &list->f->place[group];
    struct candidate *c = &list->out[list->count++];
    *c = (struct candidate){.kind = kind, .group = {group}, .groups = 1, .blocks = p->allocs, .most = p->most};
    return c;
}

static bool is_for_arena(const struct of_place *p)
{
    return p->bursts > 0 && p->allocs >= WORTH_CALLS && p->in_bursts >= p->allocs / 10 * 9 &&
           p->together >= p->in_bursts / 10 * 9 && p->stayed <= p->in_bursts / 100;
}

/* Nine of ten of b's bursts, as far as both know them, end where one of a's does. */
static bool end_together(const struct of_place *a, const struct of_place *b)
{
    uint64_t within = 4 * (a->in_bursts / a->bursts + b->in_bursts / b->bursts) + 64;
    unsigned of_a = a->bursts < ENDS ? (unsigned)a->bursts : ENDS, of_b = b->bursts < ENDS ? (unsigned)b->bursts : ENDS;
    unsigned known = 0, same = 0;
    for (unsigned i = 0, k = 0; k < of_b; k++) {
        while (i < of_a && a->end[i] + within < b->end[k]) {
            i++;
        }
        if (i == of_a) {
            break;
        }
        known++;
        same += a->end[i] <= b->end[k] + within;
    }
    return known > 0 && same * 10 >= known * 9;
}

static bool is_for_pool(const struct of_place *p, uint64_t *size)
{
    const struct often *most = &p->often[0];
    for (unsigned i = 1; i < OFTEN; i++) {
        most = p->often[i].count > most->count ? &p->often[i] : most;
    }
    *size = most->size;
    return most->count * 5 >= p->allocs * 4 && most->size > 0 && p->most_bytes >= WORTH_BYTES && p->most >= A_FEW;
}

static bool is_for_kept(const struct of_place *p)
{
    return p->most <= A_FEW && p->allocs >= WORTH_CALLS && p->allocs >= 16 * p->most;
}

static bool has_parent(const struct of_place *p)
{
    return p->frees > 0 && p->mated * 10 >= p->frees * 9 && p->votes > 0;
}

/* The block of the object that the others are made behind; NOBODY: they go round in a circle. */
static uint32_t root_of(const struct finding *f, const struct of_place *p)
{
    for (unsigned i = 0; i < ADVICE_SITES; i++) {
        if (!has_parent(p)) {
            return group_of(f, p);
        }
        p = &f->place[p->parent];
    }
    return NOBODY;
}

static void add_cache(struct list *list, uint32_t root)
{
    const struct finding *f = list->f;
    struct candidate *c = add(list, ADVICE_CACHE, root);
    f->place[root].taken = c != NULL;
    for (uint32_t g = 0; c && g < f->look->groups && c->groups < ADVICE_SITES; g++) {
        struct of_place *p = &f->place[g];
        if (g != root && p->allocs && has_parent(p) && root_of(f, p) == root) {
            c->group[c->groups++] = g;
            c->blocks += p->allocs;
            p->taken = true;
        }
    }
}

static void add_arena(struct list *list, uint32_t first, const uint32_t *by_allocs)
{
    const struct finding *f = list->f;
    const struct of_place *a = &f->place[first];
    struct candidate *c = add(list, ADVICE_ARENA, first);
    if (!c) {
        return;
    }
    f->place[first].taken = true;
    c->bursts = a->bursts;
    for (uint32_t i = 0; i < f->look->groups && c->groups < ADVICE_SITES; i++) {
        struct of_place *p = &f->place[by_allocs[i]];
        if (!p->taken && is_for_arena(p) && end_together(a, p)) {
            c->group[c->groups++] = by_allocs[i];
            c->blocks += p->allocs;
            p->taken = true;
        }
    }
}

/* One candidate of all places whose blocks live long among those that do not. */
static void add_lifetime(struct list *list, const uint32_t *by_allocs)
{
    const struct finding *f = list->f;
    struct candidate *c = NULL;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < f->look->groups; i++) {
        const struct of_place *p = &f->place[by_allocs[i]];
        bool stays = p->allocs >= A_FEW && p->life / p->allocs >= f->ops->count / LONG_OF_TIME &&
                     p->bytes / p->allocs <= 4096 && bytes + p->most_bytes <= f->ops->peak_live / 2;
        if (stays && (!c || c->groups < ADVICE_SITES)) {
            bytes += p->most_bytes;
            if (!c && !(c = add(list, ADVICE_LIFETIME, by_allocs[i]))) {
                return;
            }
            if (c->group[0] != by_allocs[i]) {
                c->group[c->groups++] = by_allocs[i];
                c->blocks += p->allocs;
            }
        }
    }
}

static const struct of_place *ordered;
static int more_allocs(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint64_t of_x = ordered[x].allocs, of_y = ordered[y].allocs;
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : (x > y) - (x < y);
}

static void judge(struct list *list, const uint32_t *by_allocs)
{
    const struct finding *f = list->f;
    uint64_t size;
    unsigned found[ADVICE_KINDS] = {0};
    for (uint32_t i = 0; i < f->look->groups;
         i++) { /* objects of several blocks first: their blocks are nothing else */
        const struct of_place *p = &f->place[by_allocs[i]];
        uint32_t root = p->allocs >= WORTH_CALLS && has_parent(p) && !p->taken ? root_of(f, p) : NOBODY;
        if (root < f->look->groups && !f->place[root].taken && f->place[root].allocs >= 4 * f->place[root].most &&
            found[ADVICE_CACHE]++ < 3) {
            add_cache(list, root);
        }
    }
    for (uint32_t i = 0; i < f->look->groups; i++) {
        uint32_t g = by_allocs[i];
        const struct of_place *p = &f->place[g];
        const struct profile_site *sum = &f->look->group[g].sum;
        if (p->taken || p->allocs + sum->reallocs == 0) {
            continue;
        }
        if (is_for_pool(p, &size) && found[ADVICE_POOL]++ < 4) {
            struct candidate *c = add(list, ADVICE_POOL, g);
            if (c) {
                c->size = size;
            }
        }
        if (is_for_kept(p) && found[ADVICE_TEMPORARY]++ < 3) {
            add(list, ADVICE_TEMPORARY, g);
        }
        if (sum->reallocs >= WORTH_CALLS && sum->grown / sum->reallocs < sum->bytes / sum->allocs / 8 &&
            found[ADVICE_REALLOC]++ < 2) {
            add(list, ADVICE_REALLOC, g);
        }
        if (is_for_arena(p) && found[ADVICE_ARENA]++ < 3) {
            add_arena(list, g, by_allocs);
        }
    }
    add_lifetime(list, by_allocs);
}

int find_candidates(const struct look *look, const struct ops *ops, const struct stacks *stacks, struct candidate *out)
{
    struct finding f = {.look = look, .ops = ops, .stacks = stacks};
    struct list list = {.out = out, .f = &f};
    uint32_t *by_allocs = malloc(((size_t)look->groups + 1) * sizeof *by_allocs);
    f.seen = calloc((size_t)ops->blocks + 1, sizeof *f.seen);
    f.place = calloc((size_t)look->groups + 1, sizeof *f.place);
    f.thread = calloc(THREADS, sizeof *f.thread);
    bool good = by_allocs && f.seen && f.place && f.thread;
    if (good) {
        for (unsigned t = 0; t < THREADS; t++) {
            f.thread[t].last = NOBODY;
        }
        pass(&f);
        for (uint32_t g = 0; g < look->groups; g++) {
            if (f.place[g].low) {
                end_burst(&f.place[g]);
            }
            by_allocs[g] = g;
        }
        ordered = f.place;
        qsort(by_allocs, look->groups, sizeof *by_allocs, more_allocs);
        judge(&list, by_allocs);
    }
    free(by_allocs);
    free(f.seen);
    free(f.place);
    free(f.thread);
    return good ? (int)list.count : -1;
}
