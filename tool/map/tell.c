/* tell.c - a picture as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "map/picture.h"

/* The share of a row in use, from 0 to 1; -1 where nothing has been yet. */
static double share(uint8_t level)
{
    return level == HEAP_MAP_NEVER  ? -1
           : level < HEAP_MAP_LEAST ? 0
                                    : (double)(level - HEAP_MAP_LEAST) / (HEAP_MAP_FULL - HEAP_MAP_LEAST);
}

static void put_address(struct json *j, const char *key, uint64_t address)
{
    char text[32];
    snprintf(text, sizeof text, "0x%" PRIx64, address);
    json_text(j, key, text);
}

static void put_extents(struct json *j, const struct heap_map *m)
{
    json_array(j, "extents");
    for (size_t i = 0; i < m->extents; i++) {
        json_object(j, NULL);
        put_address(j, "address", m->extent[i].from);
        json_number(j, "bytes", m->extent[i].to - m->extent[i].from);
        json_number(j, "row", m->extent[i].row);
        json_number(j, "rows", m->extent[i].rows);
        json_end(j);
    }
    json_end(j);
}

static void put_levels(struct json *j, const struct picture *p)
{
    const struct heap_map *m = p->map;
    json_array(j, "occupancy");
    for (uint32_t r = 0; r < m->rows; r++) {
        if (p->column_time) {
            json_array(j, NULL);
        }
        for (uint32_t c = 0; c < m->columns; c++) {
            json_real(j, NULL, share(m->occupancy[(size_t)r * m->columns_most + c]));
        }
        if (p->column_time) {
            json_end(j);
        }
    }
    json_end(j);
}

static void put_columns(struct json *j, const char *key, const uint64_t *value, uint32_t count)
{
    json_array(j, key);
    for (uint32_t i = 0; i < count; i++) {
        json_number(j, NULL, value[i]);
    }
    json_end(j);
}

static void put_owners(struct json *j, const struct picture *p)
{
    json_array(j, "owners");
    for (size_t i = 0; i < p->look.owners; i++) {
        const struct heap_map_owner *o = &p->look.owner[i];
        json_object(j, NULL);
        json_number(j, "row", o->row);
        json_text(j, "site", picture_label(p, o->site));
        json_number(j, "bytes", o->bytes);
        json_end(j);
    }
    json_end(j);
}

static void put_pins(struct json *j, const struct picture *p)
{
    json_array(j, "pins");
    for (size_t i = 0; i < p->look.pins; i++) {
        const struct heap_map_pin *pin = &p->look.pin[i];
        json_object(j, NULL);
        json_text(j, "site", picture_label(p, pin->site));
        json_number(j, "pages", pin->pages);
        json_number(j, "pages_alone", pin->alone);
        json_number(j, "used", pin->used);
        json_number(j, "charged", pin->charged);
        json_end(j);
    }
    json_end(j);
}

void picture_tell(const struct picture *p)
{
    struct json j;
    const struct heap_map *m = p->map;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_text(&j, "source", p->source);
    json_text(&j, "moment", *p->moment ? p->moment : NULL);
    json_number(&j, "live", p->bytes);
    json_number(&j, "blocks", p->blocks);
    json_number(&j, "page_bytes", m->page_bytes);
    json_number(&j, "held", p->held * m->page_bytes);
    json_number(&j, "holes", picture_holes(p));
    json_number(&j, "largest_hole", p->look.largest_hole);
    put_address(&j, "largest_hole_at", p->look.hole_at);
    json_number(&j, "row_bytes", m->row_bytes);
    put_extents(&j, m);
    if (p->column_time) {
        json_flag(&j, "timed", p->timed);
        put_columns(&j, "times", p->column_time, m->columns);
        put_columns(&j, "live_at", p->column_live, m->columns);
        put_columns(&j, "holes_at", p->column_holes, m->columns);
    }
    put_levels(&j, p);
    put_owners(&j, p);
    put_pins(&j, p);
    json_end(&j);
    putchar('\n');
}
