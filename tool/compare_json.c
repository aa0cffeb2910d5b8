/* allot compare as JSON. The keys are those of the report page's data (web/src/data.ts), where it has them. */
#include "compare.h"
#include "json.h"

static const char *const aspects[COMPARISON_ASPECTS] = {
    [BY_PEAK] = "peak", [BY_MEAN] = "mean", [BY_SMALLEST] = "smallest", [BY_RESIDENT] = "resident", [BY_TIME] = "time"};

static void put_name(struct json *j, const char *key, const struct comparison *c, int index)
{
    json_text(j, key, index < 0 ? NULL : c->result[index].name);
}

static void put_best(struct json *j, const struct comparison *c)
{
    json_object(j, "best");
    for (int i = 0; i < COMPARISON_ASPECTS; i++) {
        const struct comparison_best *b = &c->best[i];
        if (b->result < 0) {
            continue;
        }
        json_object(j, aspects[i]);
        put_name(j, "name", c, b->result);
        json_flag(j, "real", c->result[b->result].real);
        put_name(j, "any", c, b->any);
        put_name(j, "against", c, b->against);
        json_real(j, "saved", b->saved);
        json_flag(j, "noticeable", b->noticeable);
        json_text(j, "why", b->why);
        json_end(j);
    }
    json_end(j);
}

static void put_moment(struct json *j, const char *key, const struct replay_moment *m, bool real)
{
    json_object(j, key);
    json_number(j, "op", m->op + 1);
    json_number(j, "live", m->live);
    json_number(j, "held", m->held);
    if (!real) {
        json_number(j, "used", m->used);
        json_number(j, "headers", m->headers);
        json_number(j, "metadata", m->metadata);
        json_number(j, "largest_hole", m->largest_hole);
    }
    json_end(j);
}

static void put_result(struct json *j, const struct comparison *c, const struct replay_result *r)
{
    const struct comparison_about *about = r->real ? NULL : comparison_about(r->name);
    double figure;
    json_object(j, NULL);
    json_text(j, "name", r->name);
    json_flag(j, "real", r->real);
    json_text(j, "failed", *r->failed ? r->failed : NULL);
    if (r->real) {
        json_text(j, "version", r->version);
    } else if (about) {
        json_text(j, "what", about->what);
        json_flag(j, "as_it_is", about->use == USE_AS_IT_IS);
    }
    if (*r->failed) {
        json_end(j);
        return;
    }
    json_number(j, "refused", r->refused);
    json_number(j, "peak_held", r->peak_held);
    json_number(j, "peak_held_op", r->peak_held_op + 1);
    if (comparison_figure(r, r->real ? BY_RESIDENT : BY_PEAK, &figure)) {
        json_number(j, "footprint", (uint64_t)figure);
        json_real(j, "footprint_over_live", c->ops->peak_live ? figure / (double)c->ops->peak_live : 0);
    }
    json_real(j, "mean_held_over_live", r->mean_held_over_live);
    if (r->real && r->runs > 0) {
        json_real(j, "ns_op", r->ns_op);
        json_real(j, "ns_op_least", r->ns_op_least);
        json_real(j, "ns_op_most", r->ns_op_most);
        json_number(j, "runs", r->runs);
        json_number(j, "faults", r->faults);
    }
    if (!r->real) {
        struct compare_parts parts = compare_parts(r);
        json_real(j, "internal", parts.internal);
        json_real(j, "external", parts.external);
        if (r->smallest) {
            json_number(j, "smallest", r->smallest);
        }
        json_object(j, "counts");
        for (uint32_t i = 0; i < r->counts; i++) {
            json_number(j, r->count[i].name, r->count[i].value);
        }
        json_end(j);
    }
    put_moment(j, "at_live_peak", &r->at_live_peak, r->real);
    json_array(j, "moments");
    for (uint32_t i = 0; i < r->moments; i++) {
        put_moment(j, NULL, &r->moment[i], r->real);
    }
    json_end(j);
    json_end(j);
}

void compare_json(const struct comparison *c, const char *name, const struct look *look,
                  const struct advice_list *advice)
{
    struct json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_text(&j, "name", name);
    json_number(&j, "calls", c->ops->allocs + c->ops->frees + c->ops->resizes);
    json_number(&j, "allocs", c->ops->allocs);
    json_number(&j, "frees", c->ops->frees);
    json_number(&j, "resizes", c->ops->resizes);
    json_number(&j, "threads", c->ops->threads);
    json_number(&j, "peak_live", c->ops->peak_live);
    json_number(&j, "peak_at", c->ops->peak_at + 1);
    json_flag(&j, "cut", c->cut);
    json_text(&j, "sentence", c->sentence);
    json_text(&j, "sentence_real", c->sentence_real);
    put_best(&j, c);
    json_array(&j, "strategies");
    for (unsigned i = 0; i < c->models; i++) {
        put_result(&j, c, &c->result[i]);
    }
    json_end(&j);
    json_array(&j, "mallocs");
    for (unsigned i = c->models; i < c->results; i++) {
        put_result(&j, c, &c->result[i]);
    }
    json_end(&j);
    if (look && advice) {
        advice_json(&j, look, advice);
    }
    json_number(&j, "rounds", c->rounds);
    json_real(&j, "models_s", c->models_s);
    json_real(&j, "reals_s", c->reals_s);
    json_end(&j);
    putchar('\n');
}
