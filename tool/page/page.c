/* See page.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "leaks_print.h"
#include "page/diff.h"
#include "page/page.h"
#include "page/replayed.h"
#include "snapshot/ways.h"

/* The trace is read twice, so it cannot come through a pipe. */
static bool can_read_again(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        complain("no ordinary file, %s, it is read twice: save it first", path);
        return false;
    }
    return true;
}

static bool gather(struct page *page, const char *path, const struct profile_wanted *wanted)
{
    struct trace_error error;
    struct profile_wanted with = *wanted;
    with.name = path;
    with.progress = look_progress(path);
    bool planned = plan_read(&page->plan, path, &with, &error);
    look_progress_end();
    if (!planned) {
        complain("%s", error.line);
        return false;
    }
    page->map = map_begin(&page->plan);
    if ((page->plan.rows && !page->map) ||
        !course_begin(&page->course, &page->plan, page->map, wanted->folder, page->plan.timed)) {
        complain("out of memory, %s, end other programs", path);
        return false;
    }
    with = *wanted;
    with.watch = &page->course.watch;
    with.memory_most = wanted->memory_most ? wanted->memory_most : PAGE_BLOCKS;
    if (!look_at(&page->look, path, &with)) {
        return false;
    }
    int failed = course_finish(&page->course, page->look.profile);
    if (failed) {
        complain("cannot keep what does not fit in memory, %s, %s: set TMPDIR to a folder with room", path,
                 strerror(failed));
        return false;
    }
    if (!catalogue_begin(&page->catalogue) || !page_sites(page) || !page_series(page) || !page_kept(page)) {
        complain("out of memory, %s, end other programs", path);
        return false;
    }
    return true;
}

bool page_read(struct page *page, const char *path, const struct profile_wanted *wanted)
{
    *page = (struct page){0};
    if (can_read_again(path) && gather(page, path, wanted)) {
        return true;
    }
    page_end(page);
    return false;
}

void page_end(struct page *page)
{
    replayed_end(page->replayed);
    diff_end(page->diff);
    free(page->leak);
    if (page->found) {
        leaks_end(page->found);
    }
    if (page->way) {
        ways_end(page->way, page->ways);
    }
    free(page->pin);
    free(page->thread_entry);
    free(page->thread);
    free(page->entry);
    free(page->start);
    free(page->site_of);
    free(page->site);
    catalogue_end(&page->catalogue);
    course_end(&page->course);
    map_end(page->map);
    plan_end(&page->plan);
    look_end(&page->look);
    *page = (struct page){0};
}
