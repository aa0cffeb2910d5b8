/* See diff.h. */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "page/diff.h"

#define NONE UINT32_MAX

static struct diff_figures figures_of(const struct profile_site *s)
{
    return (struct diff_figures){s->bytes, s->allocs, s->peak_bytes};
}

/* -- places -- */

static int by_place(const void *a, const void *b)
{
    return names_compare(&(*(const struct group *const *)a)->place, &(*(const struct group *const *)b)->place);
}

static const struct group **in_order(const struct look *look)
{
    const struct group **group = malloc(((size_t)look->groups + 1) * sizeof *group);
    for (uint32_t i = 0; group && i < look->groups; i++) {
        group[i] = &look->group[i];
    }
    if (group && look->groups > 0) {
        qsort(group, look->groups, sizeof *group, by_place);
    }
    return group;
}

static uint64_t apart(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

static int by_change(const void *a, const void *b)
{
    const struct diff_row *x = a, *y = b;
    uint64_t of_x = apart(x->before.peak, x->now.peak), of_y = apart(y->before.peak, y->now.peak);
    if (of_x == of_y) {
        of_x = apart(x->before.bytes, x->now.bytes);
        of_y = apart(y->before.bytes, y->now.bytes);
    }
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : (x->place > y->place) - (x->place < y->place);
}

static bool compare_places(struct page *page, struct page_diff *diff)
{
    const struct look *now = &page->look, *other = &diff->other;
    const struct group **of_now = in_order(now), **of_other = in_order(other);
    diff->row = malloc(((size_t)now->groups + other->groups + 1) * sizeof *diff->row);
    bool good = of_now && of_other && diff->row;
    for (uint32_t a = 0, b = 0; good && (a < now->groups || b < other->groups);) {
        const struct group *x = a < now->groups ? of_now[a] : NULL, *y = b < other->groups ? of_other[b] : NULL;
        int order = !x ? 1 : !y ? -1 : names_compare(&x->place, &y->place);
        struct diff_row *row = &diff->row[diff->rows++];
        *row = (struct diff_row){.place = catalogue_frame(&page->catalogue, order <= 0 ? &x->place : &y->place)};
        good = row->place != NONE;
        if (order <= 0) {
            row->now = figures_of(&x->sum);
            a++;
        }
        if (order >= 0) {
            row->before = figures_of(&y->sum);
            b++;
        }
    }
    free(of_now);
    free(of_other);
    if (good) {
        qsort(diff->row, diff->rows, sizeof *diff->row, by_change);
        diff->rows = diff->rows < DIFF_ROWS ? diff->rows : DIFF_ROWS;
    }
    return good;
}

/* -- stacks -- */

static int by_node(const void *a, const void *b)
{
    uint32_t x = ((const struct diff_node *)a)->node, y = ((const struct diff_node *)b)->node;
    return (x > y) - (x < y);
}

static bool place_stacks(struct page *page, struct page_diff *diff)
{
    static struct symbol_frame frame[NAMES_DEEPEST];
    const struct profile *p = diff->other.profile;
    diff->node = malloc(((size_t)p->sites + 1) * sizeof *diff->node);
    for (uint32_t n = 1; diff->node && n <= p->sites; n++) {
        size_t frames = names_stack(diff->other.names, p->site[n].stack, frame, NAMES_DEEPEST);
        uint32_t node = catalogue_stack(&page->catalogue, frame, frames);
        if (node == NONE) {
            return false;
        }
        diff->node[diff->nodes++] = (struct diff_node){node, figures_of(&p->site[n])};
    }
    if (!diff->node) {
        return false;
    }
    qsort(diff->node, diff->nodes, sizeof *diff->node, by_node);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < diff->nodes; i++) {
        if (diff->node[kept].node == diff->node[i].node) {
            diff->node[kept].before.bytes += diff->node[i].before.bytes;
            diff->node[kept].before.allocs += diff->node[i].before.allocs;
            diff->node[kept].before.peak += diff->node[i].before.peak;
        } else {
            diff->node[++kept] = diff->node[i];
        }
    }
    diff->nodes = diff->nodes ? kept + 1 : 0;
    return true;
}

bool diff_read(struct page *page, const char *path, const struct profile_wanted *wanted)
{
    struct profile_wanted with = {.temporary = wanted->temporary,
                                  .folder = wanted->folder,
                                  .memory_most = wanted->memory_most ? wanted->memory_most : PAGE_BLOCKS};
    struct page_diff *diff = calloc(1, sizeof *diff);
    if (diff && !look_at(&diff->other, path, &with)) {
        free(diff);
        return false;
    }
    page->diff = diff;
    if (!diff || !compare_places(page, diff) || !place_stacks(page, diff)) {
        complain("out of memory, %s, end other programs", path);
        return false;
    }
    return true;
}

void diff_end(struct page_diff *diff)
{
    if (diff) {
        free(diff->row);
        free(diff->node);
        look_end(&diff->other);
        free(diff);
    }
}
