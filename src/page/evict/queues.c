/* page/evict/queues.c - lists of frames and ghosts, by number. O(1) each. */
#include "page/evict/evict.h"

void evict_push(struct evict_state *s, struct evict_list *list, uint32_t node)
{
    s->node[node] = (struct evict_node){.next = list->head, .prev = NIL};
    *(list->head == NIL ? &list->tail : &s->node[list->head].prev) = node;
    list->head = node;
    list->count++;
}

void evict_push_tail(struct evict_state *s, struct evict_list *list, uint32_t node)
{
    s->node[node] = (struct evict_node){.next = NIL, .prev = list->tail};
    *(list->tail == NIL ? &list->head : &s->node[list->tail].next) = node;
    list->tail = node;
    list->count++;
}

void evict_remove(struct evict_state *s, struct evict_list *list, uint32_t node)
{
    struct evict_node n = s->node[node];
    *(n.prev == NIL ? &list->head : &s->node[n.prev].next) = n.next;
    *(n.next == NIL ? &list->tail : &s->node[n.next].prev) = n.prev;
    list->count--;
}

uint32_t evict_first_idle(const struct evict_state *s, const struct evict_list *list, const struct evict_search *search)
{
    uint32_t frame = list->tail;
    while (frame != NIL && evict_is_busy(search, frame)) {
        frame = s->node[frame].prev;
    }
    return frame;
}

/* A ghost's word: | 0 : 3 | life : 31 | list : 1 | number : 29 | */
enum { NUMBER_BITS = 29, LIFE_BITS = 31 };

uint64_t evict_ghost_add(struct evict_state *s, unsigned list, uint32_t most)
{
    if (most == 0) {
        return 0;
    }
    if (s->ghost[list].count >= most || s->free.count == 0) {
        evict_ghost_drop_oldest(s, s->ghost[list].count ? list : !list);
    }
    uint32_t node = s->free.head;
    evict_remove(s, &s->free, node);
    evict_push(s, &s->ghost[list], node);
    uint32_t number = node - s->frames;
    return (uint64_t)s->life[number] << (NUMBER_BITS + 1) | (uint64_t)list << NUMBER_BITS | number;
}

static void release(struct evict_state *s, unsigned list, uint32_t node)
{
    evict_remove(s, &s->ghost[list], node);
    evict_push(s, &s->free, node);
    uint32_t *life = &s->life[node - s->frames];
    *life = *life >> (LIFE_BITS - 1) ? 1 : *life + 1;
}

int evict_ghost_take(struct evict_state *s, uint64_t ghost)
{
    uint32_t number = ghost & (((uint32_t)1 << NUMBER_BITS) - 1);
    unsigned list = ghost >> NUMBER_BITS & 1;
    if (number >= s->ghosts || s->life[number] != ghost >> (NUMBER_BITS + 1)) {
        return -1;
    }
    release(s, list, s->frames + number);
    return (int)list;
}

void evict_ghost_drop_oldest(struct evict_state *s, unsigned list) { release(s, list, s->ghost[list].tail); }
