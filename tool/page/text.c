/* See text.h: what all views are made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page/text.h"

#define WIDTH     100
#define NARROWEST 72
#define WIDEST    160

const struct measured measures[MEASURES] = {
    [BY_PEAK_BYTES] = {"peak", "Live at the peak", true},
    [BY_LEFT_BYTES] = {"end", "Never freed", true},
    [BY_COUNT] = {"allocs", "Allocations", false},
    [BY_BRIEF] = {"temporary", "Allocations that lived briefly", false},
    [BY_ALL_BYTES] = {"bytes", "Bytes allocated", true},
    [BY_GROWN] = {"growth", "Grew all the time", true},
    [BY_REALLOCATED] = {"reallocs", "Reallocs", false},
    [BY_ROUNDED] = {"slack", "Lost to size classes", true},
    [BY_PINNED] = {"pinned", "Pages kept beyond what is used in them", true},
    [BY_LOST] = {"leaked", "Lost", true},
};

uint64_t measure_of(const struct page_site *s, enum measure by)
{
    switch (by) {
    case BY_PEAK_BYTES:
        return s->sum.peak_bytes;
    case BY_LEFT_BYTES:
        return s->sum.left_bytes;
    case BY_COUNT:
        return s->sum.allocs;
    case BY_BRIEF:
        return s->sum.temporary;
    case BY_ALL_BYTES:
        return s->sum.bytes;
    case BY_GROWN:
        return s->growth;
    case BY_REALLOCATED:
        return s->sum.reallocs;
    case BY_ROUNDED:
        return s->sum.slack;
    case BY_PINNED:
        return s->pinned;
    default:
        return s->lost_bytes;
    }
}

size_t text_width(void)
{
    size_t columns = words_columns();
    return !columns ? WIDTH : columns < NARROWEST ? NARROWEST : columns > WIDEST ? WIDEST : columns;
}

const char *text_bold(void) { return words_colour() ? "\033[1m" : ""; }
const char *text_dim(void) { return words_colour() ? "\033[2m" : ""; }
const char *text_plain(void) { return words_colour() ? "\033[0m" : ""; }

void text_heading(const char *text) { printf("%s%s%s\n", text_bold(), text, text_plain()); }

struct words text_time(const struct page *page, uint64_t time)
{
    uint64_t begin = page->look.profile->begin;
    return page->plan.timed ? words_ns(time > begin ? time - begin : 0) : words_count(time);
}

struct words text_measure(const struct measured *measured, uint64_t value)
{
    return measured->bytes ? words_bytes(value) : words_count(value);
}

size_t text_frame(const struct page *page, uint32_t frame, size_t width)
{
    const struct catalogue *c = &page->catalogue;
    const struct catalogue_frame *f = &c->frame[frame];
    const char *function = c->text[f->function], *module = c->text[f->module], *base = words_base(module);
    bool says_module = strncmp(function, base, strlen(base)) == 0; /* it has no name: "libfoo.so+0x1234" */
    struct symbol_frame as = {.function = f->function ? function : NULL,
                              .file = f->file ? c->text[f->file] : NULL,
                              .module = f->module && !says_module ? module : NULL,
                              .line = f->line};
    return names_put(stdout, &as, width);
}

void text_bar(uint64_t part, uint64_t most, size_t longest)
{
    bool utf8 = words_utf8();
    size_t length = most ? (size_t)((double)part / (double)most * (double)longest + 0.5) : 0;
    for (size_t i = 0; i < length && i < longest; i++) {
        fputs(utf8 ? "\u2588" : "#", stdout);
    }
}

void text_sparks(const uint64_t *value, uint32_t count, uint32_t columns)
{
    static const char *const fine[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                       "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const coarse[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    uint64_t most[PLAN_INTERVALS] = {0}, highest = 0;
    bool utf8 = words_utf8();
    columns = columns < count ? columns : count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *of = &most[(uint64_t)i * columns / count];
        *of = value[i] > *of ? value[i] : *of;
        highest = *of > highest ? *of : highest;
    }
    for (uint32_t i = 0; i < columns; i++) {
        unsigned level = most[i] ? 1 + (unsigned)((double)most[i] / (double)highest * 7.999) : 0;
        fputs(utf8 ? fine[level > 8 ? 8 : level] : coarse[level > 8 ? 8 : level], stdout);
    }
}

void text_shade(unsigned shade)
{
    static const char *const fine[] = {" ", "\u00b7", "\u2591", "\u2592", "\u2593", "\u2588"};
    static const char *const coarse[] = {" ", ".", ":", "+", "*", "#"};
    unsigned level = shade < 2 ? shade : shade > 252 ? 5 : 2 + (shade - 2) / 84;
    fputs(words_utf8() ? fine[level] : coarse[level], stdout);
}
