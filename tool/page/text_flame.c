/* See text.h: the tree of callers with what came through each, outermost first. */
#include <stdio.h>
#include <stdlib.h>

#include "page/text.h"

#define LEAST  200 /* a branch with less than such a part of all is not shown */
#define BAR    20
#define INDENT 40 /* columns at most */

struct flame {
    const struct page *page;
    const struct measured *by;
    uint64_t *sum;   /* of each node and all that it called */
    uint32_t *child; /* first of each; 0: none */
    uint32_t *next;  /* of the same caller */
};

/* The calls of a node, most first. */
static uint32_t sorted(struct flame *f, uint32_t list)
{
    uint32_t done = 0;
    while (list) { /* few are worth showing: a simple sort will do */
        uint32_t node = list, *at = &done;
        list = f->next[list];
        while (*at && f->sum[*at] >= f->sum[node]) {
            at = &f->next[*at];
        }
        f->next[node] = *at;
        *at = node;
    }
    return done;
}

static void put(struct flame *f, uint32_t node, size_t depth)
{
    uint64_t all = f->sum[0];
    size_t indent = depth < INDENT ? depth : INDENT,
           width = text_width() > 40 + indent ? text_width() - 40 - indent : 20;
    printf("%12s %7s ", text_measure(f->by, f->sum[node]).text, words_percent(f->sum[node], all).text);
    printf("%*s", (int)indent, "");
    size_t column = text_frame(f->page, f->page->catalogue.node[node].frame, width);
    if (f->sum[node] * BAR / (all ? all : 1) > 0) {
        printf("%*s", (int)(column < width ? width - column + 1 : 1), "");
        text_bar(f->sum[node], all, BAR - 2);
    }
    putchar('\n');
}

/* Depth is bounded by NAMES_DEEPEST. */
static void walk(struct flame *f, uint32_t node, size_t depth)
{
    for (uint32_t c = f->child[node]; c; c = f->next[c]) {
        put(f, c, depth);
        walk(f, c, depth + 1);
    }
}

void text_flame(const struct page *page, const struct text_wanted *wanted)
{
    uint32_t nodes = page->catalogue.nodes;
    struct flame f = {.page = page,
                      .by = &measures[wanted->by],
                      .sum = calloc(nodes, sizeof *f.sum),
                      .child = calloc(nodes, sizeof *f.child),
                      .next = calloc(nodes, sizeof *f.next)};
    if (f.sum && f.child && f.next) {
        for (uint32_t i = 0; i < page->sites; i++) {
            f.sum[page->site[i].node] += measure_of(&page->site[i], wanted->by);
        }
        for (uint32_t n = nodes; n-- > 1;) {
            f.sum[page->catalogue.node[n].parent] += f.sum[n];
        }
        for (uint32_t n = nodes; n-- > 1;) {
            uint32_t parent = page->catalogue.node[n].parent;
            if (f.sum[n] > f.sum[0] / LEAST) {
                f.next[n] = f.child[parent];
                f.child[parent] = n;
            }
        }
        for (uint32_t n = 0; n < nodes; n++) {
            f.child[n] = sorted(&f, f.child[n]);
        }
        text_heading(f.by->title);
        printf("%12s %7s\n", text_measure(f.by, f.sum[0]).text, f.sum[0] ? "100 %" : "");
        walk(&f, 0, 0);
        printf("branches of less than %.1f %% are left out\n", 100.0 / LEAST);
    }
    free(f.sum);
    free(f.child);
    free(f.next);
}
