/* draw.c - a picture as a PNG.
 *
 *   | what of, when: live, pages held, holes                |
 *   | 100 % |   the map: bars by address, or time by address | over time there is a band of live and held bytes above it
 *   |   0 % |------------|--|--------------------------------|
 *   |        0x7f00...    0x7f12...   addresses of extents   |
 *   | one column is 64 KiB ...                               |
 *   | # place  pages  used ...    who keeps pages            |
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "command.h"
#include "map/canvas.h"
#include "map/picture.h"
#include "outfile.h"
#include "words.h"

struct layout {
    struct canvas canvas;
    const struct picture *p;
    bool dark;
    struct colour ink, dim, line, back;
    int row;                      /* height of a line of text */
    int left, top, width, height; /* of the map */
    int band_top, band;           /* over time: the curves above it; */
    int legend_top, legend_rows;  /* and what stands beneath */
};

static const struct colour inks[2][4] = {
    {{0x20, 0x22, 0x28}, {0x6a, 0x6e, 0x78}, {0xc8, 0xca, 0xd0}, {0xff, 0xff, 0xff}},
    {{0xe8, 0xe9, 0xec}, {0x9a, 0x9e, 0xa8}, {0x45, 0x49, 0x54}, {0x16, 0x18, 0x1d}}};

/* -- where everything goes -- */

enum { SITES_MOST = 1000 };

static int scale_of(unsigned width) { return width >= 900 ? 2 : 1; }

static void lay_out(struct layout *l, const struct draw_wanted *wanted, bool time, unsigned sites)
{
    int scale = scale_of(wanted->width), row = 11 * scale, margin = 12 * scale;
    int width = (int)wanted->width, height = (int)wanted->height;
    int rows = 2 + (int)(sites < SITES_MOST ? sites : SITES_MOST), most = (height - 6 * row) / (3 * row);
    rows = rows < most ? rows : most;
    l->row = row;
    l->left = time ? 15 * FONT_STEP * scale + margin : 6 * FONT_STEP * scale + margin;
    l->width = width - l->left - margin;
    l->band_top = margin + 2 * row + row / 2;
    l->band = time ? height / 9 : 0;
    l->top = l->band_top + (time ? l->band + row / 2 : 0);
    l->legend_rows = rows > 1 ? rows : 1;
    l->legend_top = height - margin / 2 - l->legend_rows * row;
    l->height = l->legend_top - 3 * row - l->top;
    l->height = l->height > 16 ? l->height : 16;
}

void picture_plot_size(const struct draw_wanted *wanted, bool time, uint32_t *rows, uint32_t *columns)
{
    struct layout l;
    lay_out(&l, wanted, time, wanted->top);
    *rows = (uint32_t)(time ? l.height : l.width);
    *columns = time ? (uint32_t)l.width : 0;
}

/* -- title and legend -- */

static void put(struct layout *l, int x, int y, struct colour colour, const char *text)
{
    canvas_text(&l->canvas, x, y, l->canvas.width - x - 4, colour, text);
}

static void put_title(struct layout *l)
{
    const struct picture *p = l->p;
    char line[600];
    int margin = 12 * l->canvas.scale;
    snprintf(line, sizeof line, "%s%s%s", p->source, *p->moment ? ", " : "", p->moment);
    put(l, margin, margin, l->ink, line);
    uint64_t held = p->held * p->map->page_bytes, holes = picture_holes(p);
    snprintf(line, sizeof line, "%s live in %s block%s, %s of pages held, %s (%s) of that holes",
             words_bytes(p->bytes).text, words_count(p->blocks).text, words_s(p->blocks), words_bytes(held).text,
             words_bytes(holes).text, words_percent(holes, held).text);
    put(l, margin, margin + l->row, l->dim, line);
}

static void put_legend(struct layout *l)
{
    const struct picture *p = l->p;
    const struct heap_map *m = p->map;
    int step = FONT_STEP * l->canvas.scale, x = 12 * l->canvas.scale, y = l->legend_top;
    char line[500];
    snprintf(line, sizeof line,
             "one %s is %s; %zu extent%s of addresses that %s blocks, the gaps between them left out",
             p->column_time ? "row" : "column", words_bytes(m->row_bytes).text, m->extents, words_s(m->extents),
             p->column_time ? "ever held" : "hold");
    put(l, x, y, l->dim, line);
    int count = l->legend_rows - 2;
    count = count > (int)p->look.pins ? (int)p->look.pins : count;
    if (count <= 0) {
        return;
    }
    put(l, x + 3 * step, y + l->row, l->dim,
        "     holes      pages       used  place that keeps pages which are not full");
    for (int i = 0; i < count; i++) {
        const struct heap_map_pin *pin = &p->look.pin[i];
        uint32_t rank = picture_rank(p, pin->site);
        y = l->legend_top + (2 + i) * l->row;
        if (!p->column_time) {
            canvas_fill(&l->canvas, x, y, 2 * step - l->canvas.scale, l->row - 3 * l->canvas.scale,
                        colour_of_rank(rank, l->dark));
        }
        uint64_t holes = pin->charged > pin->used ? pin->charged - pin->used : 0;
        snprintf(line, sizeof line, "%10s %10s %10s  %.300s", words_bytes(holes).text, words_bytes(pin->charged).text,
                 words_bytes(pin->used).text, picture_label(p, pin->site));
        put(l, x + 3 * step, y, l->ink, line);
    }
}

/* -- where rows lie: side by side, or one above the other -- */

/* Where row r begins, of a length; r may be the one behind the last. */
static int place(const struct heap_map *m, uint32_t r, int length)
{
    return m->rows ? (int)((uint64_t)r * (uint64_t)length / m->rows) : 0;
}

static void put_rule(struct layout *l, int percent)
{
    char text[16];
    int y = l->top + l->height - l->height * percent / 100;
    snprintf(text, sizeof text, "%d %%", percent);
    canvas_fill(&l->canvas, l->left, y, l->width, 1, l->line);
    canvas_text(&l->canvas, l->left - canvas_text_width(&l->canvas, text) - 4 * l->canvas.scale,
                y - 3 * l->canvas.scale, 0, l->dim, text);
}

/* An extent begins: a line through the map, and its address as far as there is room. */
static void put_extents_below(struct layout *l)
{
    const struct heap_map *m = l->p->map;
    int free_from = 0, y = l->top + l->height;
    bool lines = (int)m->extents * 6 < l->width;
    for (size_t i = 0; i < m->extents; i++) {
        int x = l->left + place(m, m->extent[i].row, l->width);
        char text[64];
        if (lines && i) {
            canvas_fill(&l->canvas, x, l->top, 1, l->height, l->dim);
        }
        snprintf(text, sizeof text, "0x%" PRIx64, m->extent[i].from);
        int width = canvas_text_width(&l->canvas, text);
        if (x >= free_from && x + width < l->canvas.width) {
            canvas_fill(&l->canvas, x, y, 1, l->row / 3, l->dim);
            canvas_text(&l->canvas, x, y + l->row / 2, 0, l->dim, text);
            snprintf(text, sizeof text, "%s", words_bytes(m->extent[i].to - m->extent[i].from).text);
            canvas_text(&l->canvas, x, y + l->row / 2 + l->row, width, l->dim, text);
            free_from = x + width + 3 * FONT_STEP * l->canvas.scale;
        }
    }
}

/* -- a moment -- */

static void put_bar(struct layout *l, uint32_t row, const struct heap_map_owner *owner, size_t owners)
{
    const struct picture *p = l->p;
    const struct heap_map *m = p->map;
    int x = place(m, row, l->width), wide = place(m, row + 1, l->width) - x;
    uint8_t level = m->occupancy[(size_t)row * m->columns_most];
    double share = level < HEAP_MAP_LEAST ? 0 : (double)(level - HEAP_MAP_LEAST) / (HEAP_MAP_FULL - HEAP_MAP_LEAST);
    int all = (int)(share * l->height + 0.5);
    all = all == 0 && level >= HEAP_MAP_LEAST ? 1 : all;
    uint64_t used = heap_map_row_used(m, row), below = 0;
    int from = 0;
    for (size_t i = 0; i <= owners && used; i++) {
        below += i < owners ? owner[i].bytes : used - (below < used ? below : used);
        int to = i < owners ? (int)((double)below / (double)used * all + 0.5) : all;
        uint32_t rank = i < owners ? picture_rank(p, owner[i].site) : (uint32_t)PICTURE_SITES;
        canvas_fill(&l->canvas, l->left + x, l->top + l->height - to, wide > 0 ? wide : 1, to - from,
                    colour_of_rank(rank, l->dark));
        from = to;
    }
}

static void put_moment(struct layout *l)
{
    const struct picture *p = l->p;
    size_t at = 0;
    for (int percent = 0; percent <= 100; percent += 25) {
        put_rule(l, percent);
    }
    for (uint32_t r = 0; r < p->map->rows; r++) {
        size_t from = at;
        while (at < p->look.owners && p->look.owner[at].row == r) {
            at++;
        }
        put_bar(l, r, p->look.owner + from, at - from);
    }
    put_extents_below(l);
}

/* -- over time -- */

static void put_cells(struct layout *l)
{
    const struct heap_map *m = l->p->map;
    for (uint32_t r = 0; r < m->rows; r++) {
        int below = place(m, r, l->height), above = place(m, r + 1, l->height);
        for (uint32_t c = 0; c < m->columns; c++) {
            int x = (int)((uint64_t)c * (uint64_t)l->width / m->columns);
            int right = (int)((uint64_t)(c + 1) * (uint64_t)l->width / m->columns);
            canvas_fill(&l->canvas, l->left + x, l->top + l->height - above, right - x, above - below,
                        colour_of_level(m->occupancy[(size_t)r * m->columns_most + c], l->dark));
        }
    }
}

static void put_extents_beside(struct layout *l)
{
    const struct heap_map *m = l->p->map;
    int free_above = l->top + l->height + l->row;
    bool lines = (int)m->extents * 6 < l->height;
    for (size_t i = 0; i < m->extents; i++) {
        int y = l->top + l->height - place(m, m->extent[i].row, l->height);
        char text[32];
        if (lines && i) {
            canvas_fill(&l->canvas, l->left, y, l->width, 1, l->dim);
        }
        snprintf(text, sizeof text, "0x%" PRIx64, m->extent[i].from);
        if (y + l->row / 2 <= free_above) {
            int width = canvas_text_width(&l->canvas, text);
            canvas_fill(&l->canvas, l->left - 4 * l->canvas.scale, y - 1, 4 * l->canvas.scale, 1, l->dim);
            canvas_text(&l->canvas, l->left - width - 5 * l->canvas.scale, y - 7 * l->canvas.scale, 0, l->dim, text);
            free_above = y - l->row + l->row / 2;
        }
    }
}

/* Live bytes, filled, and what the pages hold, as a line above. */
static void put_band(struct layout *l)
{
    const struct picture *p = l->p;
    uint32_t columns = p->map->columns;
    uint64_t most = 1;
    char text[48];
    for (uint32_t c = 0; c < columns; c++) {
        uint64_t held = p->column_live[c] + p->column_holes[c];
        most = held > most ? held : most;
    }
    for (uint32_t c = 0; c < columns; c++) {
        int x = (int)((uint64_t)c * (uint64_t)l->width / columns);
        int wide = (int)((uint64_t)(c + 1) * (uint64_t)l->width / columns) - x;
        int live = (int)((double)p->column_live[c] / (double)most * l->band);
        int held = (int)((double)(p->column_live[c] + p->column_holes[c]) / (double)most * l->band);
        canvas_fill(&l->canvas, l->left + x, l->band_top + l->band - held, wide, held, l->line);
        canvas_fill(&l->canvas, l->left + x, l->band_top + l->band - live, wide, live, colour_of_rank(0, l->dark));
    }
    snprintf(text, sizeof text, "%s", words_bytes(most).text);
    canvas_text(&l->canvas, l->left - canvas_text_width(&l->canvas, text) - 5 * l->canvas.scale, l->band_top, 0, l->dim,
                text);
    canvas_text(&l->canvas, l->left - canvas_text_width(&l->canvas, "live") - 5 * l->canvas.scale, l->band_top + l->row,
                0, colour_of_rank(0, l->dark), "live");
    canvas_text(&l->canvas, l->left - canvas_text_width(&l->canvas, "in holes") - 5 * l->canvas.scale,
                l->band_top + 2 * l->row, 0, l->dim, "in holes");
}

static void moment_words(const struct picture *p, uint64_t time, char out[48])
{
    if (p->timed) {
        snprintf(out, 48, "%s", words_ns(time).text);
    } else {
        snprintf(out, 48, "event %s", words_count(time).text);
    }
}

static void put_times(struct layout *l)
{
    const struct picture *p = l->p;
    int y = l->top + l->height, scale = l->canvas.scale;
    for (int i = 0; i <= 4; i++) {
        char text[48];
        moment_words(p, p->begin + (p->end - p->begin) / 4 * (uint64_t)i, text);
        int x = l->left + l->width * i / 4, width = canvas_text_width(&l->canvas, text);
        canvas_fill(&l->canvas, x - (i == 4), y, 1, 3 * scale, l->dim);
        canvas_text(&l->canvas, i == 0 ? x : i == 4 ? x - width : x - width / 2, y + 5 * scale, 0, l->dim, text);
    }
    if (p->end > p->begin && p->time >= p->begin) { /* the moment that the places beneath are of */
        int x = l->left + (int)((double)(p->time - p->begin) / (double)(p->end - p->begin) * l->width);
        for (int at = l->band_top; at < y; at += 4 * scale) {
            canvas_fill(&l->canvas, x, at, 1, 2 * scale, colour_of_rank(1, l->dark));
        }
    }
}

static void put_scale(struct layout *l)
{
    int scale = l->canvas.scale, y = l->top + l->height + l->row + 6 * scale, x = l->left, width = 160 * scale;
    x += canvas_text(&l->canvas, x, y, 0, l->dim, "not yet ");
    canvas_fill(&l->canvas, x, y, 10 * scale, 7 * scale, l->line);
    canvas_fill(&l->canvas, x + 1, y + 1, 10 * scale - 2, 7 * scale - 2, colour_of_level(HEAP_MAP_NEVER, l->dark));
    x += 10 * scale;
    x += canvas_text(&l->canvas, x, y, 0, l->dim, "  empty ");
    canvas_fill(&l->canvas, x, y, 10 * scale, 7 * scale, colour_of_level(HEAP_MAP_EMPTY, l->dark));
    x += 10 * scale;
    x += canvas_text(&l->canvas, x, y, 0, l->dim, "  nearly empty ");
    for (int i = 0; i < width; i++) {
        canvas_fill(&l->canvas, x + i, y, 1, 7 * scale,
                    colour_of_level((uint8_t)(HEAP_MAP_LEAST + i * (HEAP_MAP_FULL - HEAP_MAP_LEAST) / width), l->dark));
    }
    canvas_text(&l->canvas, x + width, y, 0, l->dim, " full");
}

static void put_time(struct layout *l)
{
    put_cells(l);
    put_extents_beside(l);
    put_band(l);
    put_times(l);
    put_scale(l);
}

/* -- the file -- */

static int write_out(const struct canvas *c, const char *path)
{
    int fd = memfd_create("allot.map", MFD_CLOEXEC), copy = fd < 0 ? -1 : dup(fd);
    FILE *to = copy < 0 ? NULL : fdopen(copy, "w");
    int error = to ? canvas_write(c, to) : errno;
    if (to && fclose(to) != 0 && !error) {
        error = errno;
    }
    if (!error) {
        error = -outfile_write(path, fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

bool picture_draw(const struct picture *p, const struct draw_wanted *wanted)
{
    const struct colour *ink = inks[wanted->dark];
    struct layout l = {.p = p, .dark = wanted->dark, .ink = ink[0], .dim = ink[1], .line = ink[2], .back = ink[3]};
    lay_out(&l, wanted, p->column_time, p->look.pins < wanted->top ? (unsigned)p->look.pins : wanted->top);
    if (!canvas_begin(&l.canvas, (int)wanted->width, (int)wanted->height, scale_of(wanted->width), l.back)) {
        complain("out of memory, %s, end other programs", wanted->path);
        return false;
    }
    put_title(&l);
    if (p->column_time) {
        put_time(&l);
    } else {
        put_moment(&l);
    }
    put_legend(&l);
    int error = write_out(&l.canvas, wanted->path);
    canvas_end(&l.canvas);
    if (error) {
        complain("%s: %s, give another --output", wanted->path, strerror(error));
    }
    return error == 0;
}
