/* See text.h: addresses downwards, time to the right. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "page/text.h"

#define LINES   48
#define ADDRESS 18

/* Several rows and intervals as one: the mean of those that ever held something. */
static unsigned shade_of(const struct heap_map *map, uint32_t row, uint32_t rows, uint32_t from, uint32_t to)
{
    uint64_t sum = 0, count = 0;
    for (uint32_t r = row; r < row + rows; r++) {
        for (uint32_t i = from; i < to; i++) {
            unsigned shade = map->occupancy[(size_t)r * map->columns_most + i];
            sum += shade > 1 ? shade - 2 : 0;
            count += shade > 0;
        }
    }
    return count == 0 ? 0 : sum == 0 ? 1 : 2 + (unsigned)(sum / count);
}

static void put_extent(const struct page *page, uint32_t process, const struct heap_map_extent *x, uint32_t together,
                       uint32_t columns)
{
    const struct plan *plan = &page->plan;
    if (page->look.profile->processes > 1) {
        printf("process %u\n", plan->process[process]);
    }
    for (uint32_t row = 0; row < x->rows; row += together) {
        uint32_t rows = x->rows - row < together ? x->rows - row : together;
        printf("%#*" PRIx64 " ", ADDRESS, x->from + row * plan->row_bytes);
        for (uint32_t column = 0; column < columns; column++) {
            uint32_t from = (uint32_t)((uint64_t)column * plan->intervals / columns),
                     to = (uint32_t)(((uint64_t)column + 1) * plan->intervals / columns);
            text_shade(shade_of(plan->map[process], x->row + row, rows, from, to));
        }
        putchar('\n');
    }
}

static void put_pins(const struct page *page, size_t top)
{
    const struct map *map = page->map;
    printf("\n%s of holes in %s of pages with a block, %s %s; the largest run of empty pages between has %s\n",
           words_bytes(map->pin_holes).text, words_bytes(map->pin_held * page->plan.page_bytes).text,
           page->plan.timed ? "after" : "at event", text_time(page, page->plan.ends[map->pin_interval]).text,
           words_bytes(map->pin_largest).text);
    if (page->pins > 0) {
        putchar('\n');
        text_heading("Who keeps pages");
        printf("    of pages         uses   pages alone  from\n");
    }
    for (uint32_t i = 0; i < page->pins && (top == 0 || i < top); i++) {
        const struct page_pin *pin = &page->pin[i];
        printf("%12s %12s %13s  ", words_bytes(pin->bytes).text, words_bytes(pin->used).text,
               words_count(pin->pages).text);
        text_frame(page, page->site[pin->site].place, text_width() - 42);
        putchar('\n');
    }
    if (top && page->pins > top) {
        printf("  and %zu more\n", page->pins - top);
    }
}

void text_map(const struct page *page, const struct text_wanted *wanted)
{
    if (!page->map) {
        printf("The trace has no addresses: where blocks lay is not known.\n");
        return;
    }
    const struct plan *plan = &page->plan;
    uint32_t columns = (uint32_t)text_width() - ADDRESS - 2, together = (plan->rows + LINES - 1) / LINES;
    columns = columns < plan->intervals ? columns : plan->intervals;
    text_heading("Where blocks lie");
    printf("a line: %s; a column: %s; ", words_bytes(together * plan->row_bytes).text,
           text_time(page, plan->begin + (plan->end - plan->begin) / columns).text);
    printf("blank: nothing yet, ");
    text_shade(1);
    printf(": empty, ");
    for (unsigned shade = 2; shade < 256; shade += 84) {
        text_shade(shade);
    }
    text_shade(255);
    printf(": fuller\n");
    for (uint32_t p = 0; p < plan->processes; p++) {
        for (size_t i = 0; i < plan->map[p]->extents; i++) {
            put_extent(page, p, &plan->map[p]->extent[i], together, columns);
        }
    }
    printf("%*s ", ADDRESS, "holes");
    text_sparks(page->map->holes, plan->intervals, columns);
    putchar('\n');
    put_pins(page, wanted->top);
}
