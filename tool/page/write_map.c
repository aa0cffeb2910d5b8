/* See write.h: where blocks lie. */
#include <inttypes.h>
#include <stdlib.h>

#include "page/base64.h"
#include "page/write.h"

#define PINS_MOST 200

static void put_extents(struct json *j, const struct plan *plan)
{
    json_array(j, "extents");
    for (uint32_t p = 0; p < plan->processes; p++) {
        const struct heap_map *map = plan->map[p];
        for (size_t i = 0; i < map->extents; i++) {
            char address[24];
            snprintf(address, sizeof address, "0x%" PRIx64, map->extent[i].from);
            json_object(j, NULL);
            json_text(j, "address", address);
            json_number(j, "rows", map->extent[i].rows);
            json_number(j, "process", plan->process[p]);
            json_end(j);
        }
    }
    json_end(j);
}

static void put_occupancy(struct json *j, const struct plan *plan)
{
    char *text = NULL;
    size_t length;
    struct base64 out = {.to = open_memstream(&text, &length)};
    for (uint32_t p = 0; out.to && p < plan->processes; p++) {
        base64_put(&out, plan->map[p]->occupancy, (size_t)plan->map[p]->rows * plan->intervals);
    }
    if (out.to) {
        base64_end(&out);
        fclose(out.to);
    }
    json_text(j, "occupancy", text ? text : "");
    free(text);
}

/* Those of one row, which are `count`. */
static void put_holder(struct json *j, const struct page *page, uint32_t interval, const struct heap_map_owner *owner,
                       size_t count)
{
    count = count < MAP_OWNERS ? count : MAP_OWNERS;
    json_object(j, NULL);
    json_number(j, "row", owner[0].row);
    json_number(j, "interval", interval);
    json_array(j, "sites");
    for (size_t i = 0; i < count; i++) {
        json_number(j, NULL, page->site_of[owner[i].site]);
    }
    json_end(j);
    json_array(j, "bytes");
    for (size_t i = 0; i < count; i++) {
        json_number(j, NULL, owner[i].bytes);
    }
    json_end(j);
    json_end(j);
}

static void put_moment(struct json *j, const struct page *page, const struct map_moment *m)
{
    for (size_t i = 0, end; i < m->owners; i = end) {
        for (end = i + 1; end < m->owners && m->owner[end].row == m->owner[i].row;) {
            end++;
        }
        put_holder(j, page, m->interval, &m->owner[i], end - i);
    }
}

static void put_pins(struct json *j, const struct page *page)
{
    uint32_t count = page->pins < PINS_MOST ? page->pins : PINS_MOST;
    json_array(j, "pin");
    for (uint32_t i = 0; i < count; i++) {
        const struct page_pin *pin = &page->pin[i];
        json_object(j, NULL);
        json_number(j, "site", pin->site);
        json_number(j, "pages", pin->pages);
        json_number(j, "bytes", pin->bytes);
        json_number(j, "used", pin->used);
        json_end(j);
    }
    json_end(j);
}

void write_map(struct json *j, const struct page *page)
{
    const struct map *map = page->map;
    const struct plan *plan = map->plan;
    json_object(j, "map");
    json_number(j, "row_bytes", plan->row_bytes);
    put_extents(j, plan);
    json_number(j, "rows", plan->rows);
    put_occupancy(j, plan);
    json_number(j, "pin_time", plan->ends[map->pin_interval]);
    json_object(j, "pages");
    json_number(j, "page_bytes", plan->page_bytes);
    json_number(j, "held", map->pin_held);
    json_number(j, "used", map->pin_used);
    json_number(j, "holes_largest", map->pin_largest);
    json_end(j);
    COLUMN(j, "holes", plan->intervals, map->holes[i]);
    json_array(j, "owners");
    for (uint32_t m = 0; m < map->moments; m++) {
        put_moment(j, page, &map->moment[m]);
    }
    json_end(j);
    put_pins(j, page);
    json_end(j);
}
