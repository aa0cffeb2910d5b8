/* verdict/part.h - what the families of sentences share: how one is said, and from where on something is a finding.
 *
 *   tool/verdict.c    the order; peak, resident, failed, recording     verdict/memory.c  leaks, growth, fragmentation, strategy
 *   verdict/calls.c   temporary, realloc, threads                      verdict/pinned.c  pages and who keeps them
 */
#ifndef ALLOT_VERDICT_PART_H
#define ALLOT_VERDICT_PART_H

#include "verdict.h"
#include "words.h"

/* A finding of memory is at least so much and such a share of the most that was live or held; of calls, at least so many and such a share
 * of all. Below that every program has some. */
#define FINDING_BYTES     ((uint64_t)1 << 20)
#define FINDING_TENTH     10
#define FINDING_CALLS     50000
#define FINDING_HALF      2
#define FINDING_A_SECOND  20000 /* calls a second, over the whole time: fewer take less than a thousandth or two of it */
#define NOTE_CALLS        5000  /* reallocs, or frees of others' blocks: fewer are not worth a word */
#define NEVER_FREED_MANY  100   /* blocks of one place: fewer are a table that a program has */
#define GROWTH_WORTH_NOTE ((uint64_t)64 << 10) /* bytes */

struct place {
    char text[200];
};
struct place part_place(const struct group *group);

/* "after 3.41 s", "at event 1,234". */
struct words part_when(const struct profile *profile, uint64_t time);

typedef uint64_t part_figure(const struct look *look, const struct group *group);
/* The group with most of it, or NULL: none has any. */
const struct group *part_most(const struct look *look, part_figure *of);

/* Of that place no block was ever freed, and nobody looked whether anything still pointed there: whether it leaks is to be asked. */
bool part_was_never_freed(const struct look *look, const struct group *group);

/* Thousandths that `part` is of `whole`, 1 at least and 1000 at most: a finding's weight. */
unsigned part_weight(uint64_t part, uint64_t whole);
bool part_is_memory_finding(uint64_t bytes, uint64_t of);
bool part_is_calls_finding(const struct profile *profile, uint64_t calls, uint64_t of);

/* One more sentence, of that tone; what comes after its words is set in what is returned. */
struct verdict_sentence *part_say(struct verdict *verdict, const char *about, enum verdict_tone tone,
                                  const char *format, ...) __attribute__((format(printf, 4, 5)));
static inline void part_link(struct verdict_sentence *s, const char *view, const char *mode, const struct group *group)
{
    s->link = (struct verdict_link){.view = view, .mode = mode, .site = group ? group->widest : 0};
}

void say_leaks(const struct look *look, struct verdict *verdict);
void say_growth(const struct look *look, struct verdict *verdict);
void say_pinned(const struct look *look, const struct pinned *pinned, struct verdict *verdict);
void say_strategy(const struct look *look, const struct verdict_beside *beside, struct verdict *verdict);
void say_temporary(const struct look *look, struct verdict *verdict);
void say_reallocs(const struct look *look, struct verdict *verdict);
void say_threads(const struct look *look, struct verdict *verdict);

#endif
