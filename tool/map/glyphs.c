/* glyphs.c - a picture in a terminal, of block characters. Without colours it says the same in fewer steps; without UTF-8 likewise.
 *
 *   moment: a column for each row of the map, as high as it is full, in the colours of who has it
 *   time:   a line for each row of the map, or two in one; from left to right the time
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "map/colour.h"
#include "map/picture.h"
#include "words.h"

enum { MARGIN = 6, TIME_MARGIN = 16 };

struct pen {
    const struct glyphs_wanted *wanted;
    int front, back; /* as they are set; -1: not */
};

static void set(struct pen *pen, int front, int back)
{
    if (!pen->wanted->colour || (pen->front == front && pen->back == back)) {
        return;
    }
    fputs("\033[0m", stdout);
    if (front >= 0) {
        printf("\033[38;5;%dm", front);
    }
    if (back >= 0) {
        printf("\033[48;5;%dm", back);
    }
    pen->front = front;
    pen->back = back;
}

static void put_dim(struct pen *pen, const char *text)
{
    set(pen, 244, -1);
    fputs(text, stdout);
    set(pen, -1, -1);
}

static const char *pick(const struct pen *pen, const char *utf8, const char *ascii)
{
    return pen->wanted->utf8 ? utf8 : ascii;
}

/* -- what stands over and under both -- */

static void put_sums(const struct picture *p)
{
    const struct heap_map *m = p->map;
    printf("%s%s%s: ", p->source, *p->moment ? ", " : "", p->moment);
    printf("%s live in %s block%s\n", words_bytes(p->bytes).text, words_count(p->blocks).text, words_s(p->blocks));
    printf("%s of pages held, ", words_bytes(p->held * m->page_bytes).text);
    printf("%s (%s) of that holes", words_bytes(picture_holes(p)).text,
           words_percent(picture_holes(p), p->held * m->page_bytes).text);
    if (p->look.largest_hole) {
        printf("; the largest space between blocks is %s", words_bytes(p->look.largest_hole).text);
    }
    puts("\n");
}

static void put_key(const struct picture *p, const char *piece)
{
    const struct heap_map *m = p->map;
    printf("one %s is %s; %zu extent%s of addresses that %s blocks, the gaps between them left out\n", piece,
           words_bytes(m->row_bytes).text, m->extents, words_s(m->extents), p->column_time ? "ever held" : "hold");
}

/* Who keeps pages: those first that use least of what they keep. */
static void put_pins(struct pen *pen, const struct picture *p)
{
    size_t count = p->look.pins < pen->wanted->top ? p->look.pins : pen->wanted->top;
    uint64_t wide = pen->wanted->columns > 74 ? pen->wanted->columns - 44 : 30;
    if (count == 0) {
        return;
    }
    printf("\nwho keeps pages that are not full:\n");
    put_dim(pen, "       holes      pages       used  alone in  where\n");
    for (size_t i = 0; i < count; i++) {
        const struct heap_map_pin *pin = &p->look.pin[i];
        uint32_t rank = picture_rank(p, pin->site);
        uint64_t holes = pin->charged > pin->used ? pin->charged - pin->used : 0;
        printf("  %10s ", words_bytes(holes).text);
        printf("%10s ", words_bytes(pin->charged).text);
        printf("%10s %9s  ", words_bytes(pin->used).text, words_count(pin->alone).text);
        if (pen->wanted->colour && !p->column_time) {
            set(pen, (int)colour_of_terminal(colour_of_rank(rank, true)), -1);
            fputs(pick(pen, "\u2588 ", "# "), stdout);
            set(pen, -1, -1);
        }
        words_put(stdout, picture_label(p, pin->site), wide);
        putchar('\n');
    }
    if (p->look.pins > count) {
        printf("  and %zu more\n", p->look.pins - count);
    }
}

/* -- a moment -- */

/* Which site's part of a row a height lies in, bytes from below; PICTURE_SITES: others'. */
static uint32_t rank_at(const struct picture *p, uint32_t row, uint64_t height)
{
    size_t from = 0, to = p->look.owners;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (p->look.owner[middle].row < row) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    for (; from < p->look.owners && p->look.owner[from].row == row; from++) {
        if (height < p->look.owner[from].bytes) {
            return picture_rank(p, p->look.owner[from].site);
        }
        height -= p->look.owner[from].bytes;
    }
    return PICTURE_SITES;
}

static void put_bar(struct pen *pen, const struct picture *p, uint32_t row, unsigned line)
{
    static const char *const eighths[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                          "\u2585", "\u2586", "\u2587", "\u2588"};
    const struct heap_map *m = p->map;
    unsigned lines = pen->wanted->lines;
    uint8_t level = m->occupancy[(size_t)row * m->columns_most];
    unsigned all = level < HEAP_MAP_LEAST ? 0 : (level - HEAP_MAP_LEAST) * lines * 8 / (HEAP_MAP_FULL - HEAP_MAP_LEAST);
    all = all == 0 && level >= HEAP_MAP_LEAST ? 1 : all;
    unsigned here = all > line * 8 ? all - line * 8 : 0;
    here = here > 8 ? 8 : here;
    if (here) {
        uint64_t height = (uint64_t)(((double)line + here / 16.0) / lines * (double)m->row_bytes);
        set(pen, (int)colour_of_terminal(colour_of_rank(rank_at(p, row, height), true)), -1);
        fputs(pen->wanted->utf8 ? eighths[here] : here > 5 ? "#" : here > 2 ? "=" : "_", stdout);
    } else {
        set(pen, -1, -1);
        putchar(' ');
    }
}

/* Between extents stands a column where there is room for it. */
static bool is_apart(const struct pen *pen, const struct heap_map *m)
{
    return m->rows + m->extents - 1 + MARGIN <= pen->wanted->columns;
}

static void put_line(struct pen *pen, const struct picture *p, unsigned line)
{
    const struct heap_map *m = p->map;
    for (size_t i = 0; i < m->extents; i++) {
        if (i && is_apart(pen, m)) {
            put_dim(pen, pick(pen, "\u250a", ":"));
        }
        for (uint32_t r = 0; r < m->extent[i].rows; r++) {
            put_bar(pen, p, m->extent[i].row + r, line);
        }
    }
    set(pen, -1, -1);
}

/* Addresses of extents under where they begin, as far as there is room. */
static void put_addresses(struct pen *pen, const struct picture *p)
{
    const struct heap_map *m = p->map;
    unsigned at = MARGIN;
    printf("%*s", MARGIN, "");
    for (size_t i = 0; i < m->extents; i++) {
        unsigned column = MARGIN + m->extent[i].row + (is_apart(pen, m) ? (unsigned)i : 0);
        char text[40];
        int length = snprintf(text, sizeof text, "%s0x%" PRIx64, pick(pen, "\u2191", "^"), m->extent[i].from);
        int wide = length - (pen->wanted->utf8 ? 2 : 0);
        if (column >= at && column + (unsigned)wide <= pen->wanted->columns) {
            printf("%*s", (int)(column - at), "");
            put_dim(pen, text);
            at = column + (unsigned)wide;
            if (at < pen->wanted->columns) {
                putchar(' ');
                at++;
            }
        }
    }
    putchar('\n');
}

static void put_moment(struct pen *pen, const struct picture *p)
{
    unsigned lines = pen->wanted->lines;
    for (unsigned line = lines; line-- > 0;) {
        char label[16] = "";
        if (line == lines - 1 || (lines % 2 == 0 && line == lines / 2 - 1)) {
            snprintf(label, sizeof label, "%d %%", line == lines - 1 ? 100 : 50);
        }
        printf("%5s", label);
        put_dim(pen, pick(pen, "\u2502", "|"));
        put_line(pen, p, line);
        putchar('\n');
    }
    put_addresses(pen, p);
    put_key(p, "column");
}

/* -- over time -- */

static uint8_t level_at(const struct picture *p, uint32_t row, unsigned column)
{
    const struct heap_map *m = p->map;
    return row < m->rows && column < m->columns ? m->occupancy[(size_t)row * m->columns_most + column]
                                                : (uint8_t)HEAP_MAP_NEVER;
}

static int colour_at(const struct picture *p, uint32_t row, unsigned column)
{
    uint8_t level = level_at(p, row, column);
    return level == HEAP_MAP_NEVER ? -1 : (int)colour_of_terminal(colour_of_level(level, true));
}

/* Two rows in one character: the upper in its front's colour, the lower in its back's. */
static void put_pair(struct pen *pen, int upper, int lower)
{
    if (upper < 0 && lower < 0) {
        set(pen, -1, -1);
        putchar(' ');
    } else if (upper < 0) {
        set(pen, lower, -1);
        fputs("\u2584", stdout);
    } else {
        set(pen, upper, lower);
        fputs("\u2580", stdout);
    }
}

static void put_shade(const struct pen *pen, uint8_t level)
{
    static const char *const shades[] = {" ", "\u2591", "\u2592", "\u2593", "\u2588"}, *const plain[] = {" ", ".", ":",
                                                                                                         "*", "#"};
    unsigned shade =
        level < HEAP_MAP_LEAST ? 0 : 1 + (level - HEAP_MAP_LEAST) * 4u / (HEAP_MAP_FULL - HEAP_MAP_LEAST + 1);
    fputs((pen->wanted->utf8 ? shades : plain)[shade], stdout);
}

/* The extent that begins in a row, or in one of two; NULL. */
static const struct heap_map_extent *begins_in(const struct heap_map *m, uint32_t row, uint32_t rows)
{
    for (size_t i = 0; i < m->extents; i++) {
        if (m->extent[i].row >= row && m->extent[i].row < row + rows) {
            return &m->extent[i];
        }
    }
    return NULL;
}

static void put_times(const struct picture *p)
{
    char begin[48], end[48];
    if (p->timed) {
        snprintf(begin, sizeof begin, "%s", words_ns(p->begin).text);
        snprintf(end, sizeof end, "%s", words_ns(p->end).text);
    } else {
        snprintf(begin, sizeof begin, "event %" PRIu64, p->begin);
        snprintf(end, sizeof end, "event %" PRIu64, p->end);
    }
    int room = (int)p->map->columns - (int)strlen(begin);
    printf("%*s%s%*s\n", TIME_MARGIN, "", begin, room > 0 ? room : 1, end);
}

static void put_scale(struct pen *pen)
{
    printf("%*s", TIME_MARGIN, "");
    fputs("nearly empty ", stdout);
    for (unsigned i = 0; i <= 16; i++) {
        uint8_t level = (uint8_t)(HEAP_MAP_LEAST + i * (HEAP_MAP_FULL - HEAP_MAP_LEAST) / 16);
        if (pen->wanted->colour) {
            set(pen, (int)colour_of_terminal(colour_of_level(level, true)), -1);
            fputs(pick(pen, "\u2588", "#"), stdout);
        } else {
            put_shade(pen, level);
        }
    }
    set(pen, -1, -1);
    puts(" full");
}

static void put_time(struct pen *pen, const struct picture *p)
{
    const struct heap_map *m = p->map;
    bool pairs = pen->wanted->colour && pen->wanted->utf8;
    uint32_t each = pairs ? 2 : 1;
    for (uint32_t line = (m->rows + each - 1) / each; line-- > 0;) {
        const struct heap_map_extent *extent = begins_in(m, line * each, each);
        char label[32] = "";
        if (extent) {
            snprintf(label, sizeof label, "0x%" PRIx64, extent->from);
        }
        printf("%14s ", label);
        put_dim(pen, pick(pen, extent ? "\u251c" : "\u2502", extent ? "+" : "|"));
        for (unsigned column = 0; column < m->columns; column++) {
            if (pairs) {
                put_pair(pen, colour_at(p, line * 2 + 1, column), colour_at(p, line * 2, column));
            } else {
                int colour = colour_at(p, line, column);
                set(pen, colour, -1);
                put_shade(pen, level_at(p, line, column));
            }
        }
        set(pen, -1, -1);
        putchar('\n');
    }
    put_times(p);
    put_scale(pen);
    put_key(p, pairs ? "half of a line" : "line");
}

void picture_print(const struct picture *p, const struct glyphs_wanted *wanted)
{
    struct pen pen = {wanted, -1, -1};
    put_sums(p);
    if (p->map->rows == 0) {
        puts("no block lives");
    } else if (p->column_time) {
        put_time(&pen, p);
    } else {
        put_moment(&pen, p);
    }
    put_pins(&pen, p);
}
