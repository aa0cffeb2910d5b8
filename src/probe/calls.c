/* probe/calls.c - see probe/calls.h: a walk that ends where it meets the last one; and branches, which spare the walk.
 *
 *   last stack:   0 main | 1 load | 2 parse | 3 token | 4 alloc       (probe/calls_last.h)
 *   now:                            2 parse | 3 value | 4 text | 5 alloc
 *   walked:       5 4 3 2: at 2 stack pointer, pc and frame pointer are as they were, and then so are the words beyond it. So
 *                 the node of 2 is known. Looked up in the tree: 3 4 5. They take the place of the last stack's.
 *   branch:       5: the words that were read on the way to 2, and which frame that was
 *
 * A program allocates from few places again and again, but not twice at the same. So what was walked is kept beside the last stack, by the
 * innermost frame: when that is the same again, and the words up to where it branches off from the last stack, and the words
 * beyond, then nothing is walked nor looked up. Branches from frames that are no longer the last stack's are found to
 * be that by the frame's node and place; they are walked again, and branch off nearer to the outermost frame then.
 */
#include "probe/calls.h"

#include <string.h>

#include "os/noscan.h"
#include "probe/calls_last.h"
#include "probe/stack.h"

enum {
    STACKS = 4, /* a thread's last ones are kept: of coroutines */
    LIBRARY_DEEPEST = 64,
    CHAINS = 16, /* ways out of the library: a few for each function of the family, */
    CHAIN = 8,   /* of that many frames at most */
    BRANCH_BITS = 6,
    BRANCH_WAYS = 2,
    BRANCH_WORDS = 12,
};

/* The way from here out of the library: for a return address of calls_here's, where the frames of the library are, which are of
 * fixed size. In bytes from the stack pointer there. */
struct chain {
    uintptr_t first; /* the return address; 0: none */
    uint32_t count;
    int32_t sp, fp; /* at the first frame that is not ours; fp: where it was saved, or NOT_SAVED */
    struct {
        int32_t at;
        uintptr_t pc;
    } link[CHAIN]; /* return addresses; the last one is that frame's: any */
};
enum { NOT_SAVED = INT32_MIN };

/* The inner part of a stack: words as in struct frames. */
struct branch {
    uintptr_t pc, sp, fp; /* of the innermost frame, the pc as it lies on the stack; pc 0: none */
    uint32_t node;        /* the stack's */
    uint32_t objects;
    uint32_t base; /* the frame of the last stack that it branches off from */
    uint32_t base_node;
    uintptr_t base_sp, base_fp;
    uint16_t count;
    bool by_fp; /* fp matters */
    struct word word[BRANCH_WORDS];
};

struct calls {
    uintptr_t window_low,
        window_high; /* of the thread's own stack: what is there stays mapped as long as the thread is */
    uintptr_t library_start, library_end; /* empty where it is not apart */
    unsigned current;                     /* the stack last used */
    uintptr_t low, high;                  /* stack pointers on it: (low, high] */
    uint32_t clock;                       /* counts changes of the current one */
    unsigned turn;                        /* the way whose branch is replaced next */
    struct chain chain[CHAINS];
    unsigned chain_used, chain_next; /* the last one that was the way; and which is replaced next */
    struct frames walked;            /* the innermost first, during a call */
    struct frames stack[STACKS];
    struct objects objects;
    struct branch branch[1 << BRANCH_BITS][BRANCH_WAYS];
};

struct calls *calls_begin(void)
{
    struct calls *calls = os_map_noscan(sizeof *calls);
    if (calls) {
        stack_library(&calls->library_start, &calls->library_end);
    }
    if (calls && (!frames_grow(&calls->walked, 1) || !frames_grow(&calls->stack[0], 1))) {
        calls_end(calls);
        calls = NULL;
    }
    return calls;
}

void calls_end(struct calls *calls)
{
    frames_free(&calls->walked);
    for (unsigned i = 0; i < STACKS; i++) {
        frames_free(&calls->stack[i]);
    }
    os_unmap_noscan(calls, sizeof *calls);
}

/* When an object has gone. */
static void forget_all(struct calls *calls)
{
    for (unsigned i = 0; i < STACKS; i++) {
        calls->stack[i].count = 0;
    }
    calls->objects.count = 0;
    memset(calls->branch, 0, sizeof calls->branch);
}

/* The stack to keep one in, given its outermost frame: the one that had that, or the one not used for longest. */
static struct frames *stack_for(struct calls *calls, uintptr_t sp)
{
    struct frames *oldest = &calls->stack[0];
    for (unsigned i = 0; i < STACKS; i++) {
        struct frames *stack = &calls->stack[i];
        if (stack->count && stack->frame[0].sp == sp) {
            return stack;
        }
        oldest = !stack->count || (oldest->count && stack->used < oldest->used) ? stack : oldest;
    }
    return oldest;
}

/* Of the stacks the one whose outermost frame is the next above; else the last. */
static void choose(struct calls *calls, uintptr_t sp)
{
    uintptr_t high = 0, low = 0;
    for (unsigned i = 0; i < STACKS; i++) {
        const struct frames *stack = &calls->stack[i];
        uintptr_t root = stack->count ? stack->frame[0].sp : 0;
        if (root >= sp && (high == 0 || root < high)) {
            high = root;
            calls->current = i;
        } else if (root < sp && root > low) {
            low = root;
        }
    }
    calls->low = low;
    calls->high = high;
    calls->stack[calls->current].used = ++calls->clock;
}

/* Frames of the library itself. */

static inline bool in_library(const struct calls *calls, uintptr_t pc)
{
    return pc - calls->library_start < calls->library_end - calls->library_start;
}

ANY_WORD static bool known_chain(const struct chain *chain, struct place *place, uintptr_t *word)
{
    uint32_t i = 0;
    uintptr_t sp = place->sp;
    for (; i + 1 < chain->count; i++) {
        if (walk_strip(*(const uintptr_t *)(sp + (uintptr_t)(intptr_t)chain->link[i].at)) != chain->link[i].pc) {
            return false;
        }
    }
    *word = *(const uintptr_t *)(sp + (uintptr_t)(intptr_t)chain->link[i].at);
    place->pc = walk_strip(*word);
    if (chain->fp != NOT_SAVED) {
        place->fp = *(const uintptr_t *)(sp + (uintptr_t)(intptr_t)chain->fp);
    }
    place->sp = sp + (uintptr_t)(intptr_t)chain->sp;
    return true;
}

/* To the first frame that is not ours, which then is known how to get to from here: its return address as it lies on the stack. */
__attribute__((noinline)) static enum walk_result find_chain(struct calls *calls, struct walk *walk,
                                                             struct place *place, uintptr_t *word)
{
    struct chain chain = {.first = place->pc, .fp = NOT_SAVED};
    uintptr_t from = place->sp;
    bool fixed = true;
    *word = place->pc;
    for (unsigned n = 0; n < LIBRARY_DEEPEST && in_library(calls, place->pc); n++) {
        struct walk_read read;
        uint64_t rule = walk_rule(walk, place->pc, place->exact);
        fixed = fixed && kind_of(rule) == FROM_SP && rule_return(rule) != 0 && n < CHAIN;
        enum walk_result result = walk_step(walk, place, rule, &read);
        if (result != WALK_ON) {
            return result;
        }
        *word = read.word;
        if (fixed) {
            chain.link[n].at = (int32_t)(read.pc_at - from);
            chain.link[n].pc = place->pc;
            chain.fp = read.fp_at ? (int32_t)(read.fp_at - from) : chain.fp;
            chain.count = n + 1;
        }
    }
    chain.sp = (int32_t)(place->sp - from);
    if (fixed && chain.count > 0) {
        calls->chain[calls->chain_next++ % CHAINS] = chain;
    }
    return WALK_ON;
}

/* False when the way is another one: then nothing has changed. */
static inline bool leave_by_chain(struct calls *calls, struct place *place, uintptr_t *word)
{
    struct place from = *place;
    unsigned used = calls->chain_used;
    for (unsigned n = 0; n < CHAINS; n++, used = (used + 1) % CHAINS) {
        const struct chain *chain = &calls->chain[used];
        if (likely(chain->first == from.pc && known_chain(chain, place, word))) {
            if (likely(!in_library(calls, place->pc))) {
                calls->chain_used = used;
                return true;
            }
            *place = from;
        }
    }
    return false;
}

static inline enum walk_result leave_library(struct calls *calls, struct walk *walk, struct place *place,
                                             uintptr_t *word)
{
    return leave_by_chain(calls, place, word) ? WALK_ON : find_chain(calls, walk, place, word);
}

#ifdef CALLS_COUNTED /* for measurements: stacks, those that were branches, frames walked, words found as they were */
uint64_t calls_taken, calls_branches, calls_walked, calls_same;
#define COUNT(counter, n) (counter += (n))
#else
#define COUNT(counter, n) ((void)0)
#endif

/* Branches. */

static inline struct branch *branches_of(struct calls *calls, uintptr_t word, uintptr_t sp)
{
    return calls->branch[(word ^ sp << 12) * 0x9e3779b97f4a7c15u >> (64 - BRANCH_BITS)];
}

/* Keeps the last stack, as it is now, as a branch from a frame that it had before. */
static void keep_branch(struct calls *calls, const struct frames *last, uint32_t base)
{
    const struct frame *from = &last->frame[base], *leaf = &last->frame[last->count - 1];
    uint32_t count = leaf->words - from->words;
    bool nowhere = (leaf->objects & ~from->objects) >> NOWHERE;
    if (count > BRANCH_WORDS || leaf->is & CROSSED || !last->ends || nowhere || leaf->sp < calls->window_low) {
        return;
    }
    struct branch *branch = &branches_of(calls, leaf->pc, leaf->sp)[calls->turn++ % BRANCH_WAYS];
    for (uint32_t i = 0; i < count; i++) {
        branch->word[i].at = last->word[from->words + i].at;
        branch->word[i].is = last->word[from->words + i].is;
        if (branch->word[i].at == &last_never) {
            branch->pc = 0;
            return;
        }
    }
    branch->pc = leaf->pc;
    branch->sp = leaf->sp;
    branch->fp = leaf->fp;
    branch->by_fp = leaf->is & LIVE;
    branch->node = leaf->node;
    branch->objects = leaf->objects;
    branch->base = base;
    branch->base_node = from->node;
    branch->base_sp = from->sp;
    branch->base_fp = from->fp;
    branch->count = (uint16_t)count;
}

/* Walks. */

/* The number of a stack that is too deep: what was walked, and then the last one's frames from k - 1 on. */
static uint32_t too_deep(struct calls *calls, const struct frames *last, uint32_t k)
{
    uint64_t hash;
    uint32_t node = calls_elided(&hash), n = calls->walked.count;
    bool well = node != 0;
    for (uint32_t i = CALLS_KEPT; i-- > 0 && well;) {
        const struct frame *frame = i < n ? &calls->walked.frame[i] : &last->frame[k - 1 - (i - n)];
        hash = trie_hash(hash, last_key(&calls->objects, frame));
        well = last_child(&calls->objects, hash, &node, frame);
    }
    return node;
}

/* By all registers, each frame anew: where a rule does not say it all. */
static uint32_t fully(struct calls *calls, uintptr_t first)
{
    struct frames *room = &calls->walked;
    size_t count, from = 0;
    void **pcs;
    for (;;) {
        pcs = (void **)room->frame;
        size_t most = room->most * (sizeof *room->frame / sizeof *pcs);
        count = stack_take(pcs, size_min(most, CALLS_DEEPEST + CALLS_KEPT));
        if (count < most || count > CALLS_DEEPEST || !frames_grow(room, 2 * room->most)) {
            break;
        }
    }
    while (!stack_library_is_apart() && from < count && pcs[from] != (void *)first) {
        from++;
    }
    bool deep = count - from > CALLS_DEEPEST, well = true;
    count = deep ? from + CALLS_KEPT : count;
    uint64_t hash = 0;
    uint32_t node = deep ? calls_elided(&hash) : 0;
    while (count-- > from && well) {
        uintptr_t pc = (uintptr_t)pcs[count];
        struct object object;
        struct module *module = NULL;
        bool cut = false;
        if (object_find(pc - 1, &object) && object.mark != 0 && !(module = calls_module(&object))) {
            return 0;
        }
        uint64_t key = calls_key(pc, module);
        hash = trie_hash(hash, key);
        uint32_t id = calls_child(hash, node, key);
        node = id ? id : calls_new_child(&calls->objects.staying, hash, node, key, pc - 1, module, &cut);
        well = !cut;
    }
    return node;
}

static inline uint8_t is_of_rule(uint64_t rule, bool exact)
{
    enum rule_kind kind = kind_of(rule);
    bool plain = (kind == FROM_SP || kind == FROM_FP) && rule_return(rule) < 0 && rule_fp(rule) <= 0 && !exact;
    return (exact ? EXACT : 0) | (plain ? PLAIN : 0) | (kind == LAST ? BOTTOM : 0) |
           (kind == FROM_SP || kind == SIGNAL || kind == LAST ? 0 : BY_FP);
}

/* The frame at the place, added to what was walked; NULL when there is no room. */
static inline struct frame *add(struct frames *walked, const struct place *place, const struct walk_read *read)
{
    uint32_t n = walked->count;
    if (unlikely(n == walked->most) && (n >= CALLS_DEEPEST || !frames_grow(walked, n + 1))) {
        return NULL;
    }
    struct frame *frame = &walked->frame[n];
    frame->sp = place->sp;
    frame->fp = place->fp;
    frame->pc = read->word;
    frame->pc_at = read->pc_at;
    frame->fp_at = read->fp_at ? (int32_t)(read->fp_at - read->pc_at) : 0;
    frame->object = STAYS;
    frame->is = EXACT;
    walked->count = n + 1;
    return frame;
}

enum outcome { MET, ENDED, DEEP, FULLY, GONE, NO_MEMORY };

/* Walks until it meets the last stack, in its frame *met, or ends. */
static enum outcome walk_on(struct calls *calls, struct walk *walk, const struct frames *last, struct place place,
                            uintptr_t word, uint32_t *met)
{
    struct frames *walked = &calls->walked;
    struct walk_read read = {0, 0, word};
    uint32_t k = last->count; /* frames k and beyond lie below the place */
    walked->count = 0;
    for (;;) {
        struct frame *frame = add(walked, &place, &read);
        if (unlikely(!frame)) {
            return walked->count >= CALLS_DEEPEST ? DEEP : NO_MEMORY;
        }
        while (k > 0 && last->frame[k - 1].sp < place.sp && !(last->frame[k - 1].is & EXACT)) {
            k--;
        }
        const struct frame *same = &last->frame[k - 1];
        if (k > 0 && same->sp == place.sp && same->pc == read.word && (same->fp == place.fp || !(same->is & LIVE)) &&
            !(same->is & EXACT) && !place.exact) {
            if (unlikely(same->objects & ~calls->objects.sound) && !objects_still(&calls->objects, last, k - 1, 0)) {
                return GONE;
            }
            *met = k - 1;
            uint32_t until = last_until(walk, last, k - 1);
            if (likely(until == 0)) {
                COUNT(calls_same, last->frame[k - 1].words);
                return MET;
            }
            frame->object = same->object;
            frame->is = same->is & (uint8_t) ~(LIVE | CROSSED);
            if (!last_again(walk, last, k - 1, until - 1, walked, &place)) {
                return walked->most >= CALLS_DEEPEST ? DEEP : NO_MEMORY;
            }
            k = until - 1;
            frame = &walked->frame[walked->count - 1];
        }
        COUNT(calls_walked, 1);
        uint64_t rule = walk_rule(walk, place.pc, place.exact);
        if (unlikely(walk->here != NULL) && !objects_find(&calls->objects, walk->here, &frame->object)) {
            return calls->objects.count < OBJECTS ? NO_MEMORY : GONE;
        }
        uint8_t is = is_of_rule(rule, place.exact);
        uintptr_t sp = place.sp;
        enum walk_result result = walk_step(walk, &place, rule, &read);
        if (!(is & PLAIN)) {
            read.pc_at = read.fp_at = 0;
        } else if (unlikely(read.pc_at < sp || (read.fp_at && read.fp_at < sp))) {
            is &= (uint8_t)~PLAIN;
        }
        frame->is = is;
        if (unlikely(result != WALK_ON)) {
            return result == WALK_HARD ? FULLY : ENDED;
        }
        if (unlikely(place.exact)) { /* behind the frame of a signal: the last stack's are, too */
            while (k > 0 && !(last->frame[k - 1].is & EXACT)) {
                k--;
            }
            k -= k > 0;
        }
    }
}

/* Walks, and keeps what there is. */
__attribute__((noinline)) static uint32_t walk_and_keep(struct calls *calls, struct walk *walk,
                                                        const struct place *place, uintptr_t word, uintptr_t first)
{
    for (unsigned tries = 0; tries < 2; tries++) {
        struct frames *last = &calls->stack[calls->current];
        uint32_t met = 0, node;
        switch (walk_on(calls, walk, last, *place, word, &met)) {
        case MET: {
            uint32_t n = --calls->walked.count;
            if (unlikely(met + 1 + n > CALLS_DEEPEST)) {
                return too_deep(calls, last, met + 1);
            }
            if (n == 0) {
                return last->frame[met].node;
            }
            last->frame[met].fp = calls->walked.frame[n].fp;
            last->frame[met].fp_at = calls->walked.frame[n].fp_at;
            last->frame[met].pc_at = calls->walked.frame[n].pc_at;
            node = last_keep(&calls->objects, last, met + 1, &calls->walked);
            if (last->count == met + 1 + n) {
                keep_branch(calls, last, met);
            }
            return node;
        }
        case ENDED:
            last = stack_for(calls, calls->walked.frame[calls->walked.count - 1].sp);
            node = last_keep(&calls->objects, last, 0, &calls->walked);
            last->ends = last->count && last->frame[0].is & BOTTOM && last->frame[0].sp > calls->window_low &&
                         last->frame[0].sp <= calls->window_high;
            calls->current = (unsigned)(last - calls->stack);
            choose(calls, place->sp);
            return node;
        case DEEP:
            return too_deep(calls, last, met);
        case FULLY:
            return fully(calls, first);
        case GONE:
            forget_all(calls);
            calls->objects.sound = 0;
            break;
        case NO_MEMORY:
            return 0;
        }
    }
    return fully(calls, first);
}

__attribute__((noinline)) static uint32_t slowly(struct calls *calls, uintptr_t pc, uintptr_t sp, uintptr_t fp)
{
    struct walk walk;
    struct place place = {.pc = pc, .sp = sp, .fp = fp};
    uintptr_t word;
    if (walk_begin(&walk, sp, true)) {
        calls->window_low = walk.low;
        calls->window_high = walk.high;
    }
    enum walk_result left = leave_library(calls, &walk, &place, &word);
    if (unlikely(left != WALK_ON)) {
        return left == WALK_HARD ? fully(calls, pc) : 0;
    }
    if (place.sp - calls->low - 1 >= calls->high - calls->low) {
        choose(calls, place.sp);
    }
    calls->objects.sound = 0;
    return walk_and_keep(calls, &walk, &place, word, pc);
}

/* What most calls need: a way out of the library that is known, a branch from the last stack as it was, and that as it was. */
__attribute__((used)) static uint32_t calls_from(struct calls *calls, uintptr_t pc, uintptr_t sp, uintptr_t fp)
{
    struct place place = {.pc = pc, .sp = sp, .fp = fp};
    const struct frames *last = &calls->stack[calls->current];
    uintptr_t word;
    COUNT(calls_taken, 1);
    if (unlikely(sp - calls->window_low >= calls->window_high - calls->window_low || !last->ends) ||
        !leave_by_chain(calls, &place, &word)) {
        return slowly(calls, pc, sp, fp);
    }
    const struct branch *branch = branches_of(calls, word, place.sp);
    for (unsigned way = 0; way < BRANCH_WAYS; way++, branch++) {
        const struct frame *base = &last->frame[branch->base];
        if (branch->pc == word && branch->sp == place.sp && last_changed(branch->word, branch->count) == 0 &&
            branch->base < last->count && branch->base_node == base->node && branch->base_sp == base->sp &&
            (!branch->by_fp || branch->fp == place.fp) && (!(base->is & LIVE) || branch->base_fp == base->fp) &&
            last_changed(last->word, base->words) == 0) {
            if (unlikely(base->objects | branch->objects)) {
                calls->objects.sound = 0;
                if (!objects_still(&calls->objects, last, branch->base, branch->objects)) {
                    break;
                }
            }
            COUNT(calls_branches, 1);
            COUNT(calls_same, branch->count + base->words);
            return branch->node;
        }
    }
    return slowly(calls, pc, sp, fp);
}

/* The registers at the call, and on. */
#if defined(__x86_64__)
__asm__(".text\n\t.p2align 4\n\t.globl calls_here\n\t.hidden calls_here\n\t.type calls_here, @function\n"
        "calls_here:\n\t.cfi_startproc\n\t"
        "movq (%rsp), %rsi\n\t"
        "leaq 8(%rsp), %rdx\n\t"
        "movq %rbp, %rcx\n\t"
        "jmp calls_from\n\t"
        ".cfi_endproc\n\t.size calls_here, .-calls_here\n");
#else
__asm__(".text\n\t.p2align 4\n\t.globl calls_here\n\t.hidden calls_here\n\t.type calls_here, %function\n"
        "calls_here:\n\t.cfi_startproc\n\t"
        "hint #34\n\t" /* bti c */
        "mov x1, x30\n\t"
        "mov x2, sp\n\t"
        "mov x3, x29\n\t"
        "b calls_from\n\t"
        ".cfi_endproc\n\t.size calls_here, .-calls_here\n");
#endif
