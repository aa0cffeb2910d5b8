/* page/diff.h - the page's trace beside that of an earlier run: by place, and the earlier one's figures on stacks of the page.
 *
 * Places and frames are the same when their words are (names_same), so that builds may differ in every address. Stacks that only the earlier
 * run has get nodes of their own in the page's catalogue.
 *
 * Memory: the earlier run's sites (160 MiB at most); its live table is gone before anything is compared.
 */
#ifndef ALLOT_PAGE_DIFF_H
#define ALLOT_PAGE_DIFF_H

#include "json.h"
#include "page/page.h"

#define DIFF_ROWS 2000 /* places that differ most */

struct diff_figures {
    uint64_t bytes, allocs, peak;
};
struct diff_row {
    uint32_t place; /* a frame */
    struct diff_figures before, now;
};
struct diff_node {
    uint32_t node;
    struct diff_figures before;
};

struct page_diff {
    struct look other;
    struct diff_row *row; /* by how much the peak changed, most first */
    uint32_t rows;
    struct diff_node *node; /* ascending */
    uint32_t nodes;
};

/* False: it is complained. */
bool diff_read(struct page *page, const char *path, const struct profile_wanted *wanted);
void diff_end(struct page_diff *diff);

#endif
