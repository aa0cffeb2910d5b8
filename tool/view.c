/* See view.h. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "compare.h"
#include "page/diff.h"
#include "page/html.h"
#include "page/replayed.h"
#include "page/text.h"
#include "page/write.h"
#include "view.h"

static void text_strategies(const struct page *page, const struct text_wanted *wanted)
{
    (void)wanted;
    if (page->replayed) {
        compare_text(page->replayed->comparison, words_base(page->look.path));
    } else {
        printf("The trace was not replayed on other strategies: --strategies does, however long it is.\n");
    }
}

static const struct {
    const char *name;
    unsigned parts;
    void (*text)(const struct page *page, const struct text_wanted *wanted);
} views[] = {
    {"timeline", PART_TIMELINE, text_timeline},
    {"flame", PART_TABLES | PART_SERIES, text_flame},
    {"map", PART_TABLES | PART_MAP, text_map},
    {"sizes", PART_SIZES, text_sizes},
    {"lifetimes", PART_TABLES | PART_LIFETIMES, text_lifetimes},
    {"sites", PART_TABLES | PART_SERIES, text_sites},
    {"strategies", PART_TABLES | PART_STRATEGIES, text_strategies},
    {"leaks", PART_TABLES | PART_LEAKS, text_leaks},
    {"threads", PART_THREADS, text_threads},
    {"diff", PART_TABLES | PART_DIFF, text_diff},
    {"all", PART_ALL, NULL},
};
#define VIEWS (sizeof views / sizeof views[0])

bool view_is(const char *name)
{
    for (size_t i = 0; i < VIEWS; i++) {
        if (strcmp(name, views[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static void show(const struct page *page, const struct view_wanted *wanted)
{
    struct text_wanted text = {wanted->by, wanted->top};
    bool all = strcmp(wanted->view, "all") == 0, some = false;
    for (size_t i = 0; i < VIEWS; i++) {
        bool this = strcmp(wanted->view, views[i].name) == 0;
        if (this && wanted->json) {
            page_json(stdout, page, views[i].parts);
        } else if (!wanted->json && views[i].text && (this || (all && (views[i].text != text_diff || page->diff)))) {
            if (some) {
                putchar('\n');
            }
            views[i].text(page, &text);
            some = true;
        }
    }
}

int view_report(const char *path, const struct profile_wanted *profile, const struct view_wanted *wanted)
{
    struct page page;
    if (wanted->output && !html_ready(wanted->output)) {
        return 1;
    }
    if (!page_read(&page, path, profile)) {
        return 1;
    }
    int misfit = report_misfit(&page.look, profile, wanted->window);
    if (misfit) {
        page_end(&page);
        return misfit;
    }
    bool leaks = wanted->output || strcmp(wanted->view, "leaks") == 0 || strcmp(wanted->view, "all") == 0;
    if (leaks && !(wanted->snapshot ? page_leaks(&page, wanted->snapshot) : page_ways(&page))) {
        page_end(&page);
        return 1;
    }
    if (wanted->before && !diff_read(&page, wanted->before, profile)) {
        page_end(&page);
        return 1;
    }
    bool shown = wanted->output || strcmp(wanted->view, "strategies") == 0 || strcmp(wanted->view, "all") == 0;
    if (shown && !wanted->no_replay && replayed_read(&page, profile, wanted->replay, &wanted->advice) < 0) {
        page_end(&page);
        return 1;
    }
    int status = 0;
    if (wanted->output) {
        status = html_write(wanted->output, &page) ? 0 : 1;
    }
    if (wanted->view) {
        show(&page, wanted);
    }
    page_end(&page);
    return status;
}
