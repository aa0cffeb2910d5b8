/* See write.h and replayed.h. */
#include <stdlib.h>

#include "page/base64.h"
#include "page/replayed.h"
#include "page/write.h"

#define NOBODY UINT32_MAX

static void put_counts(struct json *j, const struct replay_result *r)
{
    json_array(j, "counts");
    for (uint32_t i = 0; i < r->counts; i++) {
        json_object(j, NULL);
        json_text(j, "name", r->count[i].name);
        json_number(j, "value", r->count[i].value);
        json_end(j);
    }
    json_end(j);
}

static void put_map(struct json *j, const struct replay_result *r)
{
    char *text = r->map_cell ? base64_of(r->map, sizeof r->map) : NULL;
    if (text) {
        json_text(j, "map", text);
        json_number(j, "map_begin", r->map_begin);
        json_number(j, "map_cell", r->map_cell);
    }
    free(text);
}

static void put_strategy(struct json *j, const struct replay_result *r)
{
    const struct comparison_about *about = r->real ? NULL : comparison_about(r->name);
    json_object(j, NULL);
    json_text(j, "name", r->name);
    json_flag(j, "real", r->real);
    json_text(j, "version", r->version);
    json_text(j, "failed", r->failed);
    json_number(j, "refused", r->refused);
    json_text(j, "what", about ? about->what : "");
    json_number(j, "peak_held", r->peak_held);
    json_real(j, "mean_held_over_live", r->mean_held_over_live);
    json_number(j, "smallest", r->smallest);
    COLUMN(j, "held", r->moments, r->moment[i].held);
    COLUMN(j, "used", r->moments, r->moment[i].used);
    COLUMN(j, "metadata", r->moments, r->moment[i].metadata);
    COLUMN(j, "largest_hole", r->moments, r->moment[i].largest_hole);
    put_counts(j, r);
    if (r->real && r->runs > 0) {
        json_real(j, "ns_op", r->ns_op);
        json_real(j, "ns_op_least", r->ns_op_least);
        json_real(j, "ns_op_most", r->ns_op_most);
        json_number(j, "runs", r->runs);
        json_number(j, "faults", r->faults);
    }
    put_map(j, r);
    json_end(j);
}

/* A page's site for each stack of the trace, of the first process that has one; to be freed. */
static uint32_t *sites_of_stacks(const struct page *page, uint32_t *stacks)
{
    trace_nodes(page->look.trace, stacks);
    uint32_t *of = malloc(((size_t)*stacks + 1) * sizeof *of);
    for (uint32_t i = 0; of && i < *stacks; i++) {
        of[i] = NOBODY;
    }
    for (uint32_t i = page->sites; of && i > 0; i--) {
        if (page->site[i - 1].stack < *stacks) {
            of[page->site[i - 1].stack] = i - 1;
        }
    }
    return of;
}

static void put_steps(struct json *j, const struct page *page, const struct page_replayed *r)
{
    static const char *const kinds[] = {
        [OP_ALLOC] = "alloc", [OP_FREE] = "free", [OP_RESIZE] = "resize", [OP_LEFT] = "free"};
    uint32_t stacks, *site = sites_of_stacks(page, &stacks);
    json_object(j, "steps");
    json_array(j, "ops");
    const struct ops *ops = r->comparison->ops;
    for (uint64_t i = 0; i < ops->count && i < REPLAYED_STEPS; i++) {
        const struct op *op = &ops->op[i];
        uint32_t of = site && op->site < stacks ? site[op->site] : NOBODY;
        json_object(j, NULL);
        json_text(j, "kind", kinds[op->kind]);
        json_number(j, "block", op->block);
        json_number(j, "size", op->size);
        json_signed(j, "site", of == NOBODY ? -1 : (int64_t)of);
        json_end(j);
    }
    json_end(j);
    free(site);
    json_array(j, "strategies");
    for (unsigned k = 0; k < r->stepped; k++) {
        const struct replayed_steps *of = &r->steps[k];
        json_object(j, NULL);
        json_text(j, "name", of->name);
        COLUMN(j, "op", of->steps, of->step[i].op);
        COLUMN(j, "block", of->steps, of->step[i].block);
        COLUMN(j, "start", of->steps, of->step[i].start);
        COLUMN(j, "size", of->steps, of->step[i].size);
        json_end(j);
    }
    json_end(j);
    json_end(j);
}

/* Of one process: of several the ops stand one after another, which is no course of time. */
static void put_times(struct json *j, const struct page *page, const struct comparison *c,
                      const struct replay_result *first)
{
    if (c->ops->time && page->look.profile->processes == 1) {
        COLUMN(j, "moment_times", first->moments, c->ops->time[first->moment[i].op]);
    }
}

void write_strategies(struct json *j, const struct page *page)
{
    const struct page_replayed *r = page->replayed;
    const struct comparison *c = r->comparison;
    const struct replay_result *first = NULL; /* moments and what is live are the same for all */
    for (unsigned i = 0; i < c->results && !first; i++) {
        first = c->result[i].moments > 0 ? &c->result[i] : NULL;
    }
    json_object(j, "strategies");
    json_number(j, "ops", c->ops->count);
    json_flag(j, "cut", c->cut);
    json_number(j, "peak_live", c->ops->peak_live);
    COLUMN(j, "moments", first ? first->moments : 0, first->moment[i].op + 1);
    if (first) {
        put_times(j, page, c, first);
    }
    COLUMN(j, "live", first ? first->moments : 0, first->moment[i].live);
    json_array(j, "list");
    for (unsigned i = 0; i < c->results; i++) {
        put_strategy(j, &c->result[i]);
    }
    json_end(j);
    if (r->stepped > 0) {
        put_steps(j, page, r);
    }
    json_end(j);
}

void write_advice(struct json *j, const struct page *page)
{
    const struct advice_list *list = page->replayed->advice;
    json_array(j, "advice");
    for (size_t i = 0; i < list->count; i++) {
        const struct advice *a = &list->advice[i];
        uint32_t site = a->site && a->site <= page->look.profile->sites ? page->site_of[a->site] : NOBODY;
        json_object(j, NULL);
        json_text(j, "kind", advice_kinds[a->kind]);
        json_text(j, "text", a->text);
        json_signed(j, "site", site == NOBODY ? -1 : (int64_t)site);
        json_number(j, "saving_bytes", a->saving_bytes);
        json_real(j, "saving_part", a->saving_part);
        json_text(j, "replay", a->replay);
        json_end(j);
    }
    json_end(j);
}
