/* See lines.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "top/lines.h"
#include "top/rows.h"
#include "words.h"

enum { SILENT_S = 4 };

void lines_title(const struct feed *f, char out[LINES_LONGEST])
{
    uint64_t threads = f->page.now.threads;
    int at = snprintf(out, LINES_LONGEST, "%s, process %d", f->name, (int)f->pid);
    if (f->state == FEED_LIVE) {
        snprintf(out + at, LINES_LONGEST - (size_t)at, ": %s thread%s, %.2f processors", words_count(threads).text,
                 words_s(threads), f->cpu);
    }
}

void lines_held(const struct feed *f, char out[LINES_LONGEST])
{
    const struct allot_control_now *n = &f->page.now;
    uint64_t kept = n->kept_slabs + n->kept_runs + n->kept_large, blocks = f->page.tables.blocks, marked;
    int at = snprintf(out, LINES_LONGEST, "live %s", words_bytes(f->live).text);
    if (feed_is_marked(f, &marked)) {
        at += snprintf(out + at, LINES_LONGEST - (size_t)at, " (%s since mark)",
                       f->live == marked ? "+0 B" : words_change(marked, f->live).text);
    }
    if (f->tables) {
        at += snprintf(out + at, LINES_LONGEST - (size_t)at, " in %s blocks", words_count(blocks).text);
    }
    snprintf(out + at, LINES_LONGEST - (size_t)at, "  peak %s  resident %s  held %s  kept %s",
             words_bytes(n->peak).text, words_bytes(f->resident).text, words_bytes(n->held).text,
             words_bytes(kept).text);
}

void lines_rates(const struct feed *f, char out[LINES_LONGEST])
{
    const struct feed_rates *r = &f->rates;
    if (f->silent > SILENT_S) {
        snprintf(out, LINES_LONGEST, "silent for %.0f s: nothing allocated or freed that needs a look", f->silent);
    } else if (r->allocs < 0) {
        snprintf(out, LINES_LONGEST, "allocated -  freed -");
    } else {
        int at = snprintf(out, LINES_LONGEST, "allocated ~%s ~%s", rows_rate_count(r->allocs).text,
                          rows_rate_bytes(r->bytes).text);
        at += snprintf(out + at, LINES_LONGEST - (size_t)at, "  freed ~%s ~%s", rows_rate_count(r->frees).text,
                       rows_rate_bytes(r->freed).text);
        double samples = r->samples * 2.5; /* that the smoothed figure is of */
        if (samples > 0.5) {
            snprintf(out + at, LINES_LONGEST - (size_t)at, "  (+-%.0f %%)", fmin(100 / sqrt(samples), 100));
        }
    }
}

void lines_sampled(const struct feed *f, char out[LINES_LONGEST])
{
    uint64_t mean = f->page.now.sample_mean;
    if (mean == 0) {
        snprintf(out, LINES_LONGEST, "nothing is sampled: a hardened process, or it has not answered yet");
    } else if (f->sampled_by_itself) {
        snprintf(out, LINES_LONGEST, "estimates; it samples by itself, 1 byte in %s", words_bytes(mean).text);
    } else {
        snprintf(out, LINES_LONGEST, "estimates since this began, 1 byte in %s", words_bytes(mean).text);
    }
}

void lines_bars(const uint64_t *value, size_t width, uint64_t most, bool utf8, char *out, size_t room)
{
    static const char *const eighths[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                          "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const plain[] = {" ", ".", ":", "-", "=", "+", "*", "%", "#"};
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < width && at + 4 < room; i++) {
        unsigned step = most ? (unsigned)((double)(value[i] < most ? value[i] : most) / (double)most * 8 + 0.5) : 0;
        step = step == 0 && value[i] ? 1 : step;
        at += (size_t)snprintf(out + at, room - at, "%s", (utf8 ? eighths : plain)[step]);
    }
}

size_t lines_history(const struct feed *f, size_t width, uint64_t *out, uint64_t *most)
{
    size_t known = f->at < FEED_HISTORY ? (size_t)f->at : FEED_HISTORY, shown = known < width ? known : width;
    *most = 0;
    for (size_t i = 0; i < width; i++) {
        size_t ago = width - i;
        out[i] = ago <= shown ? f->history[(f->at - ago) % FEED_HISTORY] : 0;
        *most = out[i] > *most ? out[i] : *most;
    }
    return shown;
}

size_t lines_strip(const struct feed *f, size_t width, uint64_t *out)
{
    const struct allot_control_tables *t = &f->page.tables;
    size_t cells = t->cells < ALLOT_CONTROL_CELLS ? (size_t)t->cells : ALLOT_CONTROL_CELLS;
    size_t count = cells < width ? cells : width;
    for (size_t i = 0; i < count; i++) {
        size_t from = i * cells / count, to = (i + 1) * cells / count;
        uint64_t sum = 0;
        for (size_t c = from; c < to; c++) {
            sum += t->cell[cells - 1 - c];
        }
        out[i] = (sum + (to - from) - 1) / (to - from);
    }
    return count;
}
