/* massif.out, as ms_print and massif-visualizer read it: the timeline as snapshots, and of the peak the tree of who holds it,
 * innermost calls first. Times are whole milliseconds, or numbers of events where the trace has no times.
 *
 *   n2: 900 (heap allocation functions) ...       sites in the order of their stacks, innermost call first: those that share
 *    n1: 800 0x1149: parse (parse.h:12)           calls stand in a row, and each level of the tree is a row cut in groups
 *     n0: 800 0x11a0: main (main.c:3)
 *    n0: 100 in 7 places, ...                     those below a hundredth of the whole
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "export/export.h"
#include "words.h"

#define SNAPSHOTS 256
#define DEEPEST   90 /* levels of the tree: ms_print warns at 100 */

struct leaf { /* a site of the peak */
    uint64_t bytes;
    uint32_t site, node; /* node: where its stack goes on, outwards */
};
struct group { /* leaves [from, to) that share a call */
    size_t from, to;
    uint64_t bytes;
};
struct tree {
    struct export *export;
    struct leaf *leaf;
    uint64_t threshold;
    FILE *to;
};

static void put_head(FILE *to, uint32_t number, uint64_t time, uint64_t bytes)
{
    fprintf(to,
            "#-----------\nsnapshot=%" PRIu32 "\n#-----------\ntime=%" PRIu64 "\nmem_heap_B=%" PRIu64
            "\nmem_heap_extra_B=0\nmem_stacks_B=0\n",
            number, time, bytes);
}

/* The frame of a node that may stand for no stack at all. */
static uint32_t frame_of(const struct export *export, const struct leaf *leaf)
{
    if (leaf->node == PROFILE_STACK_BEFORE) {
        return export->frames + EXPORT_BEFORE;
    }
    if (leaf->node == PROFILE_STACK_OTHER) {
        return export->frames + EXPORT_OTHER;
    }
    return leaf->node == 0 || leaf->node >= export->nodes ? export->frames + EXPORT_UNKNOWN
                                                          : export->node[leaf->node].frame;
}

static uint32_t outwards(const struct export *export, uint32_t node)
{
    return node < export->nodes ? export->node[node].parent : 0;
}

/* By frames, innermost first; a stack that ends comes before those that go on. */
static int by_calls(const void *one, const void *other, void *state)
{
    const struct export *export = state;
    struct leaf a = *(const struct leaf *)one, b = *(const struct leaf *)other;

    do {
        uint32_t in_a = frame_of(export, &a), in_b = frame_of(export, &b);
        if (in_a != in_b) {
            return in_a < in_b ? -1 : 1;
        }
        a.node = outwards(export, a.node);
        b.node = outwards(export, b.node);
    } while (a.node && b.node);
    return (a.node != 0) - (b.node != 0);
}

static int by_bytes(const void *one, const void *other)
{
    const struct group *a = one, *b = other;
    return a->bytes > b->bytes ? -1 : a->bytes < b->bytes ? 1 : a->from < b->from ? -1 : a->from > b->from;
}

static void put_call(const struct tree *tree, const struct symbol_frame *call, size_t indent, size_t children,
                     uint64_t bytes)
{
    char room[64];

    fprintf(tree->to, "%*sn%zu: %" PRIu64 " 0x%" PRIx64 ": ", (int)indent, "", children, bytes, call->offset);
    export_put(tree->to, export_name(call, room), 0, 0);
    if (call->file) {
        fputs(" (", tree->to);
        export_put(tree->to, words_base(call->file), 0, 0);
        fprintf(tree->to, ":%" PRIu32 ")\n", call->line);
    } else if (call->module) {
        fputs(" (in ", tree->to);
        export_put(tree->to, call->module, 0, 0);
        fputs(")\n", tree->to);
    } else {
        fputc('\n', tree->to);
    }
}

/* The children of a row of leaves: in *out, largest first; how many are worth a line each, and what the others have. */
static int make_groups(const struct tree *tree, size_t from, size_t to, struct group **out, size_t *large,
                       size_t *small, uint64_t *small_bytes)
{
    struct group *groups = calloc(to - from + 1, sizeof *groups);
    size_t count = 0;

    if (!groups) {
        return -ENOMEM;
    }
    for (size_t i = from; i < to; i++) {
        const struct leaf *leaf = &tree->leaf[i];
        if (leaf->node == 0 && leaf->site == 0) {
            continue; /* its stack has ended */
        }
        if (count == 0 || frame_of(tree->export, leaf) != frame_of(tree->export, &tree->leaf[groups[count - 1].from])) {
            groups[count++] = (struct group){i, i, 0};
        }
        groups[count - 1].to = i + 1;
        groups[count - 1].bytes += leaf->bytes;
    }
    qsort(groups, count, sizeof *groups, by_bytes);
    *large = 0;
    while (*large < count && groups[*large].bytes >= tree->threshold) {
        ++*large;
    }
    *small = count - *large;
    *small_bytes = 0;
    for (size_t i = *large; i < count; i++) {
        *small_bytes += groups[i].bytes;
    }
    *out = groups;
    return 0;
}

static int put_children(struct tree *tree, size_t indent, struct group *groups, size_t large, size_t small,
                        uint64_t small_bytes);

static int put_group(struct tree *tree, size_t indent, const struct group *group)
{
    const struct export_calls *calls = export_calls(tree->export, frame_of(tree->export, &tree->leaf[group->from]));
    struct group *inner;
    size_t large, small;
    uint64_t small_bytes;

    if (calls->count == 0) {
        return -ENOMEM;
    }
    for (size_t i = group->from; i < group->to; i++) {
        tree->leaf[i].node = indent < DEEPEST ? outwards(tree->export, tree->leaf[i].node) : 0;
        tree->leaf[i].site = 0; /* has had its first call: a node of 0 is the end from here on */
    }
    int error = make_groups(tree, group->from, group->to, &inner, &large, &small, &small_bytes);
    if (error) {
        return error;
    }
    for (size_t k = 0; k < calls->count; k++) {
        put_call(tree, &calls->frame[k], indent + k, k + 1 < calls->count ? 1 : large + (small > 0), group->bytes);
    }
    return put_children(tree, indent + calls->count, inner, large, small, small_bytes);
}

/* Frees `groups`. */
static int put_children(struct tree *tree, size_t indent, struct group *groups, size_t large, size_t small,
                        uint64_t small_bytes)
{
    int error = 0;

    for (size_t i = 0; i < large && !error; i++) {
        error = put_group(tree, indent, &groups[i]);
    }
    if (small > 0) {
        fprintf(tree->to, "%*sn0: %" PRIu64 " in %zu places, all below massif's threshold (1.00%%)\n", (int)indent, "",
                small_bytes, small);
    }
    free(groups);
    return error;
}

static int put_tree(struct export *export, FILE *to)
{
    const struct profile *profile = export->profile;
    struct tree tree = {export, calloc((size_t)profile->sites + 1, sizeof *tree.leaf), profile->peak_bytes / 100 + 1,
                        to};
    struct group *groups;
    size_t count = 0, large, small;
    uint64_t small_bytes;

    if (!tree.leaf) {
        return -ENOMEM;
    }
    for (uint32_t i = 1; i <= profile->sites; i++) {
        if (profile->site[i].peak_bytes) {
            tree.leaf[count++] = (struct leaf){profile->site[i].peak_bytes, i, profile->site[i].stack};
        }
    }
    qsort_r(tree.leaf, count, sizeof *tree.leaf, by_calls, export);
    int error = make_groups(&tree, 0, count, &groups, &large, &small, &small_bytes);
    if (!error) {
        fprintf(to,
                "heap_tree=peak\nn%zu: %" PRIu64 " (heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n",
                large + (small > 0), profile->peak_bytes);
        error = put_children(&tree, 1, groups, large, small, small_bytes);
    }
    free(tree.leaf);
    return error;
}

int export_massif(struct export *export, FILE *to)
{
    const struct profile *profile = export->profile;
    const struct timeline *line = &profile->timeline;
    uint64_t unit = profile->timed ? 1000000 : 1, peak = (profile->peak_time - profile->begin) / unit;
    uint32_t step = line->count / SNAPSHOTS + 1, number = 0;
    bool peaked = profile->peak_bytes == 0;
    int error = 0;

    fputs("desc: (none)\ncmd: ", to);
    export_put(to, export->command ? export->command : "(unknown)", 0, 0);
    fprintf(to, "\ntime_unit: %s\n", profile->timed ? "ms" : "i");
    for (uint32_t i = 0; i < line->count && !error; i += step) {
        uint32_t last = i + step < line->count ? i + step - 1 : line->count - 1;
        uint64_t time = (line->begin - profile->begin + line->length * ((uint64_t)last + 1)) / unit;
        if (!peaked && peak <= time) {
            put_head(to, number++, peak, profile->peak_bytes);
            error = put_tree(export, to);
            peaked = true;
        }
        put_head(to, number++, time, line->point[last].live_bytes);
        fputs("heap_tree=empty\n", to);
    }
    if (!peaked && !error) {
        put_head(to, number, peak, profile->peak_bytes);
        error = put_tree(export, to);
    }
    return error ? error : ferror(to) ? -EIO : 0;
}
