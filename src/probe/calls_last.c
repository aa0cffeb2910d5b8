/* probe/calls_last.c - see probe/calls_last.h. */
#include "probe/calls_last.h"

#include <string.h>

#include "os/noscan.h"

enum { FIRST = 128, WORDS = 2 };

const uintptr_t last_never;

static size_t frames_length(uint32_t most) { return most * (sizeof(struct frame) + WORDS * sizeof(struct word)); }

bool frames_grow(struct frames *frames, uint32_t count)
{
    uint32_t most = frames->most ? frames->most : FIRST;
    while (most < count) {
        most *= 2;
    }
    struct frames now = {.count = frames->count, .most = most, .used = frames->used};
    now.frame = os_map_noscan(frames_length(most));
    if (!now.frame) {
        return false;
    }
    now.word = (struct word *)(now.frame + most);
    if (frames->most != 0) {
        memcpy(now.frame, frames->frame, frames->most * sizeof *now.frame);
        memcpy(now.word, frames->word, frames->most * WORDS * sizeof *now.word);
        frames_free(frames);
    }
    *frames = now;
    return true;
}

void frames_free(struct frames *frames)
{
    if (frames->most) {
        os_unmap_noscan(frames->frame, frames_length(frames->most));
    }
}

bool objects_find(struct objects *objects, const struct object *here, uint8_t *object)
{
    if (here == &walk_nowhere) {
        *object = NOWHERE;
        return true;
    }
    unsigned i = 0;
    while (i < objects->count && (objects->object[i].start != here->start || objects->object[i].mark != here->mark)) {
        i++;
    }
    if (i == objects->count) {
        struct module *module = i < OBJECTS ? calls_module(here) : NULL;
        if (!module) {
            return false;
        }
        objects->object[i] = *here;
        objects->module[i] = module;
        objects->count++;
    }
    objects->sound |= 1u << i;
    *object = (uint8_t)i;
    return true;
}

bool objects_still(struct objects *objects, const struct frames *last, uint32_t k, uint32_t more)
{
    uint32_t asked = (last->frame[k].objects | more) & ~objects->sound, nowhere = 1u << NOWHERE;
    for (uint32_t left = asked & ~nowhere; left; left &= left - 1) {
        unsigned i = lowest_bit(left);
        if (!object_is_still(&objects->object[i])) {
            return false;
        }
        objects->sound |= 1u << i;
    }
    for (uint32_t i = 0; i <= k && asked & nowhere; i++) {
        struct object object;
        if (last->frame[i].object == NOWHERE && object_find(walk_strip(last->frame[i].pc) - 1, &object)) {
            return false;
        }
    }
    return true;
}

static bool step(struct walk *walk, struct place *place, struct walk_read *read)
{
    return walk_step(walk, place, walk_rule(walk, place->pc, place->exact), read) == WALK_ON;
}

/* Whether the frame before i is as it was, to which no plain step leads. The place is for frames that are EXACT, which follow each
 * other and begin behind one that is not. */
static bool same_again(struct walk *walk, const struct frame *frame, struct place *place)
{
    const struct frame *next = frame - 1;
    struct walk_read read;
    if (!(frame->is & EXACT)) {
        *place = (struct place){walk_strip(frame->pc), frame->sp, frame->fp, 0, false};
    }
    return step(walk, place, &read) && read.word == next->pc && place->sp == next->sp && place->fp == next->fp &&
           place->exact == (next->is & EXACT);
}

/* Whether the outermost frame still has no caller. */
static bool same_bottom(struct walk *walk, const struct frame *frame)
{
    struct place place = {walk_strip(frame->pc), frame->sp, frame->fp, 0, false};
    struct walk_read read;
    return frame->is & BOTTOM || (!(frame->is & EXACT) && !step(walk, &place, &read));
}

/* The number of the frame that a word of those beyond k belongs to. */
static uint32_t frame_of_word(const struct frames *last, uint32_t k, uint32_t word)
{
    while (last->frame[k].words > word) {
        k--;
    }
    return k;
}

/* The first word, from those of the frames beyond k on outwards, that is not what it was; + 1, and 0 when there is none. Where a frame
 * is on this thread's own stack, all beyond it are in the window. */
static uint32_t changed(struct walk *walk, const struct frames *last, uint32_t k)
{
    const struct frame *frame = &last->frame[k];
    bool in_window = !(frame->is & CROSSED) && last->frame[0].sp <= walk->high && frame->sp >= walk->low;
    struct place place;
    for (uint32_t i = frame->words; i > 0; i--) {
        uintptr_t is;
        i = in_window ? last_changed(last->word, i) : i;
        if (i == 0) {
            break;
        }
        const struct word *word = &last->word[i - 1];
        if (word->at == &last_never ? !same_again(walk, &last->frame[frame_of_word(last, k, i - 1) + 1], &place)
                                    : !walk_load(walk, (uintptr_t)word->at, &is) || is != word->is) {
            return i;
        }
    }
    return 0;
}

uint32_t last_until(struct walk *walk, const struct frames *last, uint32_t k)
{
    uint32_t word = changed(walk, last, k);
    if (likely(word == 0)) {
        return same_bottom(walk, last->frame) ? 0 : 1;
    }
    uint32_t i = frame_of_word(last, k, word - 1) + 1;
    while (last->frame[i].is & EXACT) {
        i++;
    }
    return i + 1;
}

bool last_again(struct walk *walk, const struct frames *last, uint32_t k, uint32_t until, struct frames *walked,
                struct place *place)
{
    if (walked->count + (k - until) > walked->most &&
        (walked->most >= CALLS_DEEPEST || !frames_grow(walked, walked->count + (k - until)))) {
        return false;
    }
    while (k > until) {
        bool plain = last->frame[k--].is & PLAIN;
        struct frame *frame = &walked->frame[walked->count++];
        *frame = last->frame[k];
        frame->is &= (uint8_t) ~(LIVE | CROSSED);
        if (!plain) {
            place->fp = frame->fp;
        } else if (frame->fp_at != 0 &&
                   !walk_load(walk, frame->pc_at + (uintptr_t)(intptr_t)frame->fp_at, &place->fp)) {
            return false;
        }
        frame->fp = place->fp;
    }
    *place = (struct place){walk_strip(last->frame[until].pc), last->frame[until].sp, place->fp, 0, false};
    return true;
}

uint32_t last_keep(struct objects *objects, struct frames *last, uint32_t k, const struct frames *walked)
{
    uint32_t n = walked->count, node = 0, words = 0, marks = 0;
    if (k + n > last->most && !frames_grow(last, k + n)) {
        return 0;
    }
    struct frame *to = last->frame + k;
    uint64_t hash = k > 0 ? to[-1].hash : 0;
    for (uint32_t i = n; i-- > 0;) { /* the tree is large, and what is needed of it lies apart: all at once */
        hash = trie_hash(hash, last_key(objects, &walked->frame[i]));
        to[n - 1 - i].hash = hash;
        trie_prefetch_slot(&calls_tree, hash);
    }
    for (uint32_t i = 1; i < n; i++) {
        trie_prefetch_node(&calls_tree, to[i].hash);
    }
    bool live = false, well = true;
    uint8_t crossed = 0;
    if (k > 0) {
        node = to[-1].node;
        words = to[-1].words;
        marks = to[-1].objects;
        live = to[-1].is & LIVE;
        crossed = to[-1].is & CROSSED;
    }
    for (; n-- > 0 && well; to++) {
        const struct frame *from = &walked->frame[n];
        uint8_t is = from->is;
        well = last_child(objects, to->hash, &node, from);
        if (likely(to != last->frame)) { /* what leads from here to the frame before */
            struct word *word = &last->word[words];
            bool loads = to[-1].fp_at != 0;
            words++;
            word->at = is & PLAIN ? (const uintptr_t *)to[-1].pc_at : &last_never;
            word->is = to[-1].pc;
            if (unlikely(loads && live && is & PLAIN)) {
                words++;
                word[1].at = (const uintptr_t *)(to[-1].pc_at + (uintptr_t)(intptr_t)to[-1].fp_at);
                word[1].is = to[-1].fp;
            }
            live = live && is & PLAIN && !loads;
        }
        live = live || is & BY_FP;
        crossed |= is & EXACT ? CROSSED : 0;
        marks |= from->object < STAYS ? 1u << from->object : 0;
        to->sp = from->sp;
        to->fp = from->fp;
        to->pc = from->pc;
        to->pc_at = from->pc_at;
        to->fp_at = from->fp_at;
        to->node = node;
        to->objects = marks;
        to->words = words;
        to->object = from->object;
        to->is = is | crossed | (live ? LIVE : 0);
    }
    last->count = (uint32_t)(to - last->frame) - !well;
    return node;
}
