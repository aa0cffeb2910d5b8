/* See paint.h.
 *
 *   server, process 4711                                   every 1 s
 *   live 123.4 MiB  peak ...
 *   allocated ~12 k/s ...
 *   heap | the pieces of the heap, as high as they are full        |
 *   live | what lived, a column each time                          |
 *   [sites] classes threads tags         sorted by live
 *        live  blocks  rate  total  where
 *        ...
 *   q quit  h help ...        or what came of the last key
 */
#include <inttypes.h>
#include <string.h>

#include "top/lines.h"
#include "top/paint.h"
#include "words.h"

enum { WIDEST = 1024, MARGIN = 5 };

/* -- text -- */

/* In at most `width` columns; without UTF-8 what is none is a question mark. */
static void put(const struct screen *s, int y, int x, int width, chtype how, const char *text)
{
    char line[4 * WIDEST + 4];
    size_t at = 0, length;
    for (int used = 0; *text && used < width && at + 4 < sizeof line; used++, text += length) {
        int32_t point = words_decode(text, &length);
        if (!words_printable(point) || (point > 126 && !s->utf8)) {
            line[at++] = '?';
        } else {
            memcpy(line + at, text, length);
            at += length;
        }
    }
    line[at] = 0;
    attrset((int)how);
    mvaddnstr(y, x, line, (int)at);
    attrset(A_NORMAL);
}

static chtype pair(const struct screen *s, int number) { return s->colour ? (chtype)COLOR_PAIR(number) : A_NORMAL; }

static chtype dim(const struct screen *s) { return s->colour ? pair(s, PAIR_DIM) : A_DIM; }

static int put_part(const struct screen *s, int y, int x, chtype how, const char *text)
{
    put(s, y, x, COLS - x, how, text);
    return x + (int)strlen(text);
}

/* -- what is above the table -- */

static void put_strip(const struct screen *s, int y)
{
    static uint64_t value[WIDEST];
    size_t width = COLS - MARGIN - 1 < WIDEST ? (size_t)(COLS - MARGIN - 1) : WIDEST;
    size_t count = lines_strip(s->feed, width, value);
    put(s, y, 0, MARGIN, dim(s), "heap");
    if (count == 0) {
        put(s, y, MARGIN, COLS - MARGIN, dim(s), "-");
    }
    for (size_t i = 0; i < count; i++) {
        char glyph[8];
        lines_bars(&value[i], 1, 255, s->utf8, glyph, sizeof glyph);
        chtype how = s->colour && COLORS >= 256 ? pair(s, PAIR_LEVEL + (int)(value[i] * (LEVELS - 1) / 255))
                                                : pair(s, PAIR_ACCENT);
        put(s, y, MARGIN + (int)i, 1, how, glyph);
    }
}

static void put_history(const struct screen *s, int y)
{
    static uint64_t value[WIDEST];
    static char text[4 * WIDEST + 8];
    char scale[64];
    uint64_t most;
    int room = COLS - MARGIN - 14;
    size_t width = room < 1 ? 1 : room < WIDEST ? (size_t)room : WIDEST;
    lines_history(s->feed, width, value, &most);
    lines_bars(value, width, most, s->utf8, text, sizeof text);
    put(s, y, 0, MARGIN, dim(s), "live");
    put(s, y, MARGIN, (int)width, pair(s, PAIR_ACCENT), text);
    snprintf(scale, sizeof scale, " %s", words_bytes(most).text);
    put(s, y, MARGIN + (int)width, COLS, dim(s), scale);
}

static void put_views(const struct screen *s, int y)
{
    int x = 0;
    for (int i = 0; i < ROWS_VIEWS; i++) {
        char text[32];
        bool chosen = (int)s->view == i;
        snprintf(text, sizeof text, chosen ? "[%d %s]" : " %d %s ", i + 1, rows_names[i]);
        x = put_part(s, y, x, chosen ? A_BOLD : dim(s), text);
    }
    if (s->view == ROWS_SITES) {
        char text[LINES_LONGEST], line[LINES_LONGEST + 64];
        lines_sampled(s->feed, text);
        snprintf(line, sizeof line, "  by %s; %s", rows_sorts[s->sort], text);
        x = put_part(s, y, x, dim(s), line);
    }
    uint64_t now = feed_now() / 1000000, age = now > s->feed->tables_at ? (now - s->feed->tables_at) / 1000 : 0;
    if (s->feed->tables && age >= 3) {
        char text[64];
        snprintf(text, sizeof text, "  (%" PRIu64 " s ago)", age);
        put_part(s, y, x, dim(s), text);
    }
}

static void put_top(const struct screen *s, int *y)
{
    char text[LINES_LONGEST], more[64];
    const struct feed *f = s->feed;
    lines_title(f, text);
    put(s, 0, 0, COLS, A_BOLD, text);
    snprintf(more, sizeof more, "%severy %g s", s->paused ? "paused  " : "", s->every);
    int x = COLS - (int)strlen(more) - 1;
    if (x > (int)strlen(text) + 1) {
        put(s, 0, x, COLS - x, s->paused ? pair(s, PAIR_WARN) | A_BOLD : dim(s), more);
    }
    *y = 1;
    if (f->state == FEED_ASKING) {
        snprintf(text, sizeof text,
                 "asked to tell its figures: it answers when it next allocates (%.0f s); resident %s", f->silent,
                 words_bytes(f->resident).text);
        put(s, (*y)++, 0, COLS, pair(s, PAIR_WARN), text);
        return;
    }
    lines_held(f, text);
    put(s, (*y)++, 0, COLS, A_NORMAL, text);
    lines_rates(f, text);
    put(s, (*y)++, 0, COLS, A_NORMAL, text);
    if (LINES >= 12) {
        put_strip(s, (*y)++);
        put_history(s, (*y)++);
    }
    put_views(s, (*y)++);
}

/* -- the table, and what is below it -- */

static void put_rows(struct screen *s, int y)
{
    int room = LINES - y - 2;
    put(s, y, 0, COLS, A_UNDERLINE, s->rows.heading);
    if (room < 1) {
        return;
    }
    s->row = s->row < s->rows.count ? s->row : s->rows.count ? s->rows.count - 1 : 0;
    s->top = s->row < s->top ? s->row : s->row >= s->top + (size_t)room ? s->row - (size_t)room + 1 : s->top;
    for (int i = 0; i < room && s->top + (size_t)i < s->rows.count; i++) {
        const struct rows_row *row = &s->rows.row[s->top + (size_t)i];
        chtype how = s->top + (size_t)i == s->row ? A_REVERSE : A_NORMAL;
        int x = (int)strlen(row->figures);
        put(s, y + 1 + i, 0, COLS, how, row->figures);
        put(s, y + 1 + i, x, COLS - x, how, "  ");
        put(s, y + 1 + i, x + 2, COLS - x - 2, how, row->name);
    }
    if (s->rows.count == 0) {
        put(s, y + 1, 0, COLS, dim(s), s->feed->tables ? "nothing yet" : "waiting for its tables");
    }
}

static void put_bottom(const struct screen *s)
{
    static const char keys[] =
        "q quit  h help  1-4 view  l r b t c sort  Enter stack  m mark  s snapshot  d diff  p pause";
    if (s->said[0]) {
        put(s, LINES - 1, 0, COLS - 1, pair(s, PAIR_WARN), s->said);
    } else {
        put(s, LINES - 1, 0, COLS - 1, dim(s), keys);
    }
}

/* -- a text over everything -- */

const char *paint_line(const char *text, size_t line)
{
    for (; line && *text; line--) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

static void put_pager(struct screen *s)
{
    size_t room = LINES > 1 ? (size_t)LINES - 1 : 1;
    size_t most = s->pager_lines > room ? s->pager_lines - room : 0;
    s->pager_top = s->pager_top < most ? s->pager_top : most;
    const char *at = paint_line(s->pager, s->pager_top);
    for (size_t i = 0; i < room && *at; i++) {
        char line[4 * WIDEST];
        size_t length = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)(length < sizeof line ? length : sizeof line - 1), at);
        put(s, (int)i, 0, COLS, A_NORMAL, line);
        at += length + (at[length] == '\n');
    }
    put(s, LINES - 1, 0, COLS - 1, dim(s),
        s->pager_lines > room ? "up, down, page: more of it   q: back" : "any key: back");
}

void paint(struct screen *s)
{
    erase();
    if (s->pager) {
        put_pager(s);
    } else {
        int y;
        put_top(s, &y);
        if (s->feed->state == FEED_LIVE && y < LINES - 1) {
            put_rows(s, y);
        }
        put_bottom(s);
    }
    refresh();
}
