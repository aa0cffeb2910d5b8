/* See text.h: what changed since an earlier run, by place. */
#include <stdio.h>

#include "page/diff.h"
#include "page/text.h"

static void put_row(const struct page *page, const struct diff_row *row)
{
    uint64_t before = row->before.allocs, now = row->now.allocs;
    printf("%12s %12s %12s %12s %1s%11s  ", words_change(row->before.peak, row->now.peak).text,
           words_bytes(row->before.peak).text, words_bytes(row->now.peak).text,
           words_change(row->before.bytes, row->now.bytes).text,
           now > before   ? "+"
           : now < before ? "-"
                          : "",
           words_count(now > before ? now - before : before - now).text);
    text_frame(page, row->place, text_width() - 70);
    putchar('\n');
}

void text_diff(const struct page *page, const struct text_wanted *wanted)
{
    const struct page_diff *diff = page->diff;
    if (!diff) {
        printf("There is nothing to compare with: name an earlier run by --before.\n");
        return;
    }
    const struct profile *now = page->look.profile, *before = diff->other.profile;
    text_heading("What changed");
    printf("At the peak %s, %s before; allocated %s in %s, ", words_bytes(now->peak_bytes).text,
           words_bytes(before->peak_bytes).text, words_bytes(now->bytes).text, words_count(now->allocs).text);
    printf("%s in %s before.\n\n", words_bytes(before->bytes).text, words_count(before->allocs).text);
    printf("     at peak       before          now        bytes       allocs  from\n");
    uint32_t same = 0;
    for (uint32_t i = 0; i < diff->rows && (wanted->top == 0 || i < wanted->top); i++) {
        const struct diff_row *row = &diff->row[i];
        bool changed = row->before.peak != row->now.peak || row->before.bytes != row->now.bytes ||
                       row->before.allocs != row->now.allocs;
        same += !changed;
        if (changed) {
            put_row(page, row);
        }
    }
    if (wanted->top && diff->rows > wanted->top) {
        printf("  and %zu places more\n", diff->rows - wanted->top);
    } else if (same > 0) {
        printf("  and %u place%s that did not change\n", same, words_s(same));
    }
}
