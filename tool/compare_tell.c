/* allot compare: what is made of a comparison. Advice and a page want the trace read again, for who allocated what. */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "compare.h"
#include "page/html.h"
#include "page/replayed.h"

/* NULL: there is none to give, or it failed and *failed says so. */
static struct advice_list *advise(const struct comparison *c, const struct look *look, const struct tell_wanted *wanted,
                                  bool *failed)
{
    struct advice_wanted advice = {.comparison = c->models > 0 ? c : NULL, .progress = wanted->progress};
    struct trace_error error;
    struct advice_list *list = calloc(1, sizeof *list);
    *failed = !list;
    if (!list) {
        complain("out of memory, %s, end other programs", wanted->name);
    } else if (advice_of(look, c->ops, &advice, list, &error) != 0) {
        complain("%s", error.line);
        *failed = true;
    }
    if (*failed) {
        free(list);
        return NULL;
    }
    return list;
}

static void print(const struct comparison *c, const struct tell_wanted *wanted, const struct look *look,
                  const struct advice_list *list)
{
    if (wanted->json) {
        compare_json(c, wanted->name, look, list);
        return;
    }
    compare_text(c, wanted->name);
    if (list) {
        compare_advice(list);
    }
}

static int with_page(const struct comparison *c, const struct tell_wanted *wanted, void (*done)(void))
{
    static struct page page;
    bool failed = false;
    if (!page_read(&page, wanted->path, &(struct profile_wanted){.process = wanted->process})) {
        return 1;
    }
    struct advice_list *list = wanted->advice ? advise(c, &page.look, wanted, &failed) : NULL;
    replayed_give(&page, wanted->replayed, c, list);
    page.look.path = wanted->name;
    done();
    int status = !failed && html_write(wanted->page, &page) ? 0 : 1;
    if (status == 0) {
        print(c, wanted, &page.look, list);
    }
    page_end(&page);
    free(list);
    return status;
}

int compare_tell(const struct comparison *c, const struct tell_wanted *wanted, void (*done)(void))
{
    struct look look;
    bool failed = false;
    if (wanted->page) {
        return with_page(c, wanted, done);
    }
    if (!wanted->advice) {
        done();
        print(c, wanted, NULL, NULL);
        return 0;
    }
    if (!look_at(&look, wanted->path, &(struct profile_wanted){.process = wanted->process})) {
        return 1;
    }
    struct advice_list *list = advise(c, &look, wanted, &failed);
    done();
    if (list) {
        print(c, wanted, &look, list);
    }
    free(list);
    look_end(&look);
    return failed ? 1 : 0;
}
