/* See write.h: where blocks lie. */
#include <inttypes.h>
#include <stdlib.h>

#include "page/base64.h"
#include "page/write.h"

#define PINS_MOST 200

static void put_extents(struct json *j, const struct plan *plan)
{
    json_array(j, "extents");
    for (uint32_t i = 0; i < plan->extents; i++) {
        char address[24];
        snprintf(address, sizeof address, "0x%" PRIx64, plan->extent[i].start);
        json_object(j, NULL);
        json_text(j, "address", address);
        json_number(j, "rows", plan->extent[i].rows);
        json_number(j, "process", plan->extent[i].process);
        json_end(j);
    }
    json_end(j);
}

static void put_occupancy(struct json *j, const struct map *map)
{
    char *text = base64_of(map->occupancy, (size_t)map->plan->rows * map->plan->intervals);
    json_text(j, "occupancy", text ? text : "");
    free(text);
}

static void put_holder(struct json *j, const struct page *page, uint32_t row, const struct map_moment *moment)
{
    const struct map_owner *owner = moment->owner[row];
    if (owner[0].site == 0) {
        return;
    }
    json_object(j, NULL);
    json_number(j, "row", row);
    json_number(j, "interval", moment->interval);
    json_array(j, "sites");
    for (unsigned i = 0; i < MAP_OWNERS && owner[i].site; i++) {
        json_number(j, NULL, page->site_of[owner[i].site]);
    }
    json_end(j);
    json_array(j, "bytes");
    for (unsigned i = 0; i < MAP_OWNERS && owner[i].site; i++) {
        json_number(j, NULL, owner[i].bytes);
    }
    json_end(j);
    json_end(j);
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
    put_occupancy(j, map);
    json_number(j, "pin_time", plan->ends[map->pin_interval]);
    json_object(j, "pages");
    json_number(j, "page_bytes", (uint64_t)1 << map->page_shift);
    json_number(j, "held", map->pin_held);
    json_number(j, "used", map->pin_used);
    json_number(j, "holes_largest", map->pin_largest);
    json_end(j);
    COLUMN(j, "holes", plan->intervals, map->holes[i]);
    json_array(j, "owners");
    for (uint32_t m = 0; m < map->moments; m++) {
        for (uint32_t row = 0; row < plan->rows; row++) {
            put_holder(j, page, row, &map->moment[m]);
        }
    }
    json_end(j);
    put_pins(j, page);
    json_end(j);
}
