/* What allot compare prints. */
#ifndef ALLOT_TOOL_COMPARE_H
#define ALLOT_TOOL_COMPARE_H

#include "advice/advice.h"
#include "replay/comparison.h"
#include "trace/trace.h"

/* A program to be recorded. */
struct compare_program {
    char **argv;
    const char *keep; /* the file for the trace; NULL: one of our own */
    bool stacks;
    char path[4096]; /* of the trace that there is then: readable as long as this process is */
};
/* 0, or the exit status: it is complained. May be called once. */
int compare_record(struct compare_program *program);

void compare_text(const struct comparison *comparison, const char *name);
/* With what is advised; `look` and `advice` may be NULL. */
void compare_json(const struct comparison *comparison, const char *name, const struct look *look,
                  const struct advice_list *advice);
void compare_advice(const struct advice_list *advice);

/* What comes of a comparison: text or JSON, and a page. */
struct tell_wanted {
    const char *path, *name;        /* of the trace: where it can be read again, and as it is called */
    const char *page;               /* NULL: none */
    struct page_replayed *replayed; /* with a page: what was begun for it */
    uint32_t process;
    bool json, advice;
    void (*progress)(void *arg, const char *name, uint64_t done, uint64_t of); /* NULL */
};
/* The exit status. `done` is called before anything is printed. */
int compare_tell(const struct comparison *comparison, const struct tell_wanted *wanted, void (*done)(void));

/* The memory table of one strategy at one moment. */
struct table_wanted {
    const char *strategy;
    uint64_t at;   /* op; UINT64_MAX: the live peak */
    uint64_t rows; /* of text; 0: all */
    bool json;
    const char *name;    /* of the trace */
    struct trace *trace; /* read to its end: it names owners */
};
/* The exit status. */
int compare_table(const struct ops *ops, const struct table_wanted *wanted);

/* Figures that text and JSON share: of what is held at the live peak, which part is what. */
struct compare_parts {
    double internal; /* slack and headers, of held */
    double external; /* holes and unused slots, of held */
};
struct compare_parts compare_parts(const struct replay_result *result);

#endif
