/* See write.h and diff.h. */
#include "page/diff.h"
#include "page/write.h"

void write_diff(struct json *j, const struct page *page)
{
    const struct page_diff *diff = page->diff;
    json_object(j, "diff");
    write_about(j, "other", &diff->other);
    json_array(j, "rows");
    for (uint32_t i = 0; i < diff->rows; i++) {
        const struct diff_row *row = &diff->row[i];
        json_object(j, NULL);
        json_number(j, "place", row->place);
        json_number(j, "before_bytes", row->before.bytes);
        json_number(j, "now_bytes", row->now.bytes);
        json_number(j, "before_allocs", row->before.allocs);
        json_number(j, "now_allocs", row->now.allocs);
        json_number(j, "before_peak", row->before.peak);
        json_number(j, "now_peak", row->now.peak);
        json_end(j);
    }
    json_end(j);
    json_object(j, "node_before");
    COLUMN(j, "node", diff->nodes, diff->node[i].node);
    COLUMN(j, "bytes", diff->nodes, diff->node[i].before.bytes);
    COLUMN(j, "allocs", diff->nodes, diff->node[i].before.allocs);
    COLUMN(j, "peak", diff->nodes, diff->node[i].before.peak);
    json_end(j);
    json_end(j);
}
