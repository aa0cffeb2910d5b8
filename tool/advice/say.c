/* See say.h. */
#include "advice/say.h"

#include <stdio.h>
#include <string.h>

#include "verdict/part.h"

/* "f at x.c:12", "f at x.c:12 and 2 other places". */
static struct place places(const struct look *look, const struct advice *a)
{
    struct place out = part_place(&look->group[a->group[0]]);
    size_t length = strlen(out.text);
    if (a->groups > 1) {
        snprintf(out.text + length, sizeof out.text - length, " and %u other place%s", a->groups - 1,
                 words_s(a->groups - 1));
    }
    return out;
}

/* ", and 1.2 MiB less is held at most, 12 %"; "for 1.2 MiB more"; "". */
static struct place bytes_too(const struct tried *base, const struct tried *with)
{
    struct place out = {""};
    if (with->peak_held < base->peak_held) {
        uint64_t less = base->peak_held - with->peak_held;
        snprintf(out.text, sizeof out.text, ", and %s less is held at most, %s", words_bytes(less).text,
                 words_percent(less, base->peak_held).text);
    } else if (with->peak_held > base->peak_held) {
        snprintf(out.text, sizeof out.text, ", for %s more held at most",
                 words_bytes(with->peak_held - base->peak_held).text);
    }
    return out;
}

static void say_replay(const char *how, const char *name, const struct tried *base, const struct tried *with,
                       struct advice *out)
{
    snprintf(out->replay, sizeof out->replay,
             "%s, all else by the model %s: held at most %s before, %s after; calls of malloc, free and realloc %s "
             "before, %s after",
             how, name, words_bytes(base->peak_held).text, words_bytes(with->peak_held).text,
             words_count(base->calls).text, words_count(with->calls).text);
}

static void say_arena(const struct look *look, const struct candidate *c, const struct tried *base,
                      const struct tried *with, struct advice *out)
{
    uint64_t resets = with->calls + with->their_frees - base->calls;
    snprintf(out->text, sizeof out->text,
             "%s blocks from %s die together, %s at a time: from an arena (allot/arena.h) that is reset when they have "
             "served, %s calls of free are %s reset%s%s.",
             words_count(with->moved).text, places(look, out).text,
             words_count(with->moved / (c->bursts ? c->bursts : 1)).text, words_count(with->their_frees).text,
             words_count(resets).text, words_s(resets), bytes_too(base, with).text);
}

static void say_realloc(const struct look *look, const struct tried *base, const struct tried *with, struct advice *out)
{
    uint64_t were = base->calls - with->calls + with->their_resizes;
    snprintf(out->text, sizeof out->text,
             "Blocks of %s grow in small steps, by %s reallocs: reserved before, or with room for half as much again "
             "whenever one grows, %s of those are left%s.",
             places(look, out).text, words_count(were).text, words_count(with->their_resizes).text,
             bytes_too(base, with).text);
}

void say_tried(const struct look *look, const struct candidate *c, const char *name, const struct tried *base,
               const struct tried *with, uint32_t m, struct advice *out)
{
    struct place where = places(look, out);
    switch (c->kind) {
    case ADVICE_ARENA:
        say_arena(look, c, base, with, out);
        say_replay("their blocks in an arena, reset when all of them are dead", name, base, with, out);
        return;
    case ADVICE_POOL:
        snprintf(out->text, sizeof out->text,
                 "%s of the blocks from %s, %s, are of %s: from a pool of that size (allot/pool.h) %s less is held at "
                 "most, %s.",
                 words_percent(with->moved, c->blocks).text, where.text, words_count(with->moved).text,
                 words_bytes(c->size).text, words_bytes(out->saving_bytes).text,
                 words_percent(out->saving_bytes, base->peak_held).text);
        say_replay("blocks of that size in the model pool", name, base, with, out);
        return;
    case ADVICE_CACHE:
        snprintf(out->text, sizeof out->text,
                 "What comes from %s is one object of several blocks, made %s times and %s at most at once: kept whole "
                 "in a cache (allot/cache.h), %s calls of malloc, free and realloc are saved, %s of all%s.",
                 where.text, words_count(c->blocks / c->groups).text, words_count(c->most).text,
                 words_count(out->saving_calls).text, words_percent(out->saving_calls, base->calls).text,
                 bytes_too(base, with).text);
        say_replay("their blocks kept and taken again, made longer where too short", name, base, with, out);
        return;
    case ADVICE_TEMPORARY:
        snprintf(out->text, sizeof out->text,
                 "%s blocks from %s are there for a moment, %s at once at most: with a buffer that is kept, or on the "
                 "stack, %s calls of malloc, free and realloc are saved, %s of all%s.",
                 words_count(with->moved).text, where.text, words_count(c->most).text,
                 words_count(out->saving_calls).text, words_percent(out->saving_calls, base->calls).text,
                 bytes_too(base, with).text);
        say_replay("their blocks kept and taken again, made longer where too short", name, base, with, out);
        return;
    case ADVICE_REALLOC:
        say_realloc(look, base, with, out);
        say_replay("their blocks with room for half as much again", name, base, with, out);
        return;
    default:
        snprintf(out->text, sizeof out->text,
                 "%s blocks from %s live long among others that do not, and keep their memory: in a heap of their own "
                 "(allot/heap.h) %s is held rather than %s while %s is live.",
                 words_count(with->moved).text, where.text, words_bytes(with->held[m]).text,
                 words_bytes(base->held[m]).text, words_bytes(base->live[m]).text);
        say_replay("their blocks in a heap of their own", name, base, with, out);
    }
}

void say_strategy_tried(const char *name, const struct tried *base, const char *other, const struct tried *with,
                        struct advice *out)
{
    snprintf(out->text, sizeof out->text,
             "The strategy %s of allot compare would hold %s at most where %s holds %s, %s less, %s.", other,
             words_bytes(with->peak_held).text, name, words_bytes(base->peak_held).text,
             words_bytes(out->saving_bytes).text, words_percent(out->saving_bytes, base->peak_held).text);
    snprintf(out->replay, sizeof out->replay, "all of it by the models %s and %s", name, other);
}

void say_sharing(const struct look *look, const struct sharing *before, const struct sharing *after, struct advice *out)
{
    snprintf(out->text, sizeof out->text,
             "%s blocks from %s were made into a line of 64 bytes that holds another thread's: where both write, they "
             "take it from each other. From a pool of each thread (allot/pool.h, ALLOT_POOL_LOCAL), or at multiples of "
             "64 bytes, %s such blocks of %s are left, and %s shared lines at once of %s.",
             words_count(before->of[out->group[0]]).text, places(look, out).text, words_count(after->blocks).text,
             words_count(before->blocks).text, words_count(after->lines).text, words_count(before->lines).text);
    snprintf(out->replay, sizeof out->replay,
             "the addresses of the trace, and again with their blocks in slabs of each thread: %s blocks in shared "
             "lines before, %s after",
             words_count(before->blocks).text, words_count(after->blocks).text);
}
