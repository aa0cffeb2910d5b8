/* See write.h: sites and what they did over time. */
#include <math.h>
#include <stdlib.h>

#include "page/write.h"

static double mean_life(const struct profile_site *s)
{
    uint64_t ended = s->frees - s->passed;
    return ended && s->life_least != UINT64_MAX ? s->life_sum / (double)ended : 0;
}

static double sigma_life(const struct profile_site *s)
{
    uint64_t ended = s->frees - s->passed;
    double mean = mean_life(s), variance = ended ? s->life_squares / (double)ended - mean * mean : 0;
    return variance > 0 && s->life_least != UINT64_MAX ? sqrt(variance) : 0;
}

static void put_lives(struct json *j, const struct page *page)
{
    json_array(j, "life_mean");
    for (uint32_t i = 0; i < page->sites; i++) {
        json_real(j, NULL, mean_life(&page->site[i].sum));
    }
    json_end(j);
    json_array(j, "life_sigma");
    for (uint32_t i = 0; i < page->sites; i++) {
        json_real(j, NULL, sigma_life(&page->site[i].sum));
    }
    json_end(j);
}

void write_sites(struct json *j, const struct page *page)
{
    const struct page_site *s = page->site;
    uint32_t n = page->sites;
    json_object(j, "sites");
    COLUMN(j, "node", n, s[i].node);
    COLUMN(j, "place", n, s[i].place);
    COLUMN(j, "process", n, s[i].process);
    COLUMN(j, "allocs", n, s[i].sum.allocs);
    COLUMN(j, "bytes", n, s[i].sum.bytes);
    COLUMN(j, "frees", n, s[i].sum.frees);
    COLUMN(j, "peak_bytes", n, s[i].sum.peak_bytes);
    COLUMN(j, "peak_blocks", n, s[i].sum.peak_blocks);
    COLUMN(j, "own_peak", n, s[i].sum.own_peak_bytes);
    COLUMN(j, "left_bytes", n, s[i].sum.left_bytes);
    COLUMN(j, "left_blocks", n, s[i].sum.left_blocks);
    COLUMN(j, "temporary", n, s[i].sum.temporary);
    COLUMN(j, "slack", n, s[i].sum.slack);
    COLUMN(j, "growth", n, s[i].growth);
    COLUMN(j, "reallocs", n, s[i].sum.reallocs);
    COLUMN(j, "moved", n, s[i].moved);
    put_lives(j, page);
    COLUMN(j, "same_thread", n, s[i].sum.same_thread);
    COLUMN(j, "threads", n, s[i].sum.threads);
    COLUMN(j, "oldest", n, s[i].oldest);
    COLUMN(j, "pinned", n, s[i].pinned);
    COLUMN(j, "verdict", n, s[i].verdicts);
    COLUMN(j, "lost_bytes", n, s[i].lost_bytes);
    json_end(j);
}

void write_series(struct json *j, const struct page *page)
{
    uint32_t n = page->start[page->sites];
    const struct page_entry *e = page->entry;
    json_object(j, "site_series");
    COLUMN(j, "start", (size_t)page->sites + 1, page->start[i]);
    COLUMN(j, "interval", n, e[i].interval);
    COLUMN(j, "live", n, e[i].live_bytes);
    COLUMN(j, "live_blocks", n, e[i].live_blocks);
    COLUMN(j, "allocs", n, e[i].allocs);
    COLUMN(j, "bytes", n, e[i].bytes);
    COLUMN(j, "temporary", n, e[i].temporary);
    json_end(j);
}
