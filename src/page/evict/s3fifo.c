/* page/evict/s3fifo.c - S3-FIFO: three queues. (Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", 2023)
 *
 *   new ------------> | small: a tenth | --- used twice ---> | main: the rest | --- not used ---> gone
 *                            |                  .---------->   `<-- used, once less --'
 *                            `-- else --> | ghosts | --- comes again --'
 *
 * What is used once or never passes through a tenth of the frames and disturbs nothing. Goes bad where pages are used twice, further apart
 * than the small queue is long, and not a third time. Below 20 frames the tenth is a frame or two, and it is nearly a Clock.
 */
#include "page/evict/evict.h"

enum { SMALL, MAIN };

struct evict_judgement s3fifo_judge(struct evict_state *s, uint64_t coming)
{
    bool refault = evict_ghost_take(s, coming) >= 0;
    return (struct evict_judgement){.list = refault ? MAIN : SMALL, .refault = refault};
}

struct evict_victim s3fifo_victim(struct evict_state *s, struct evict_search *search)
{
    unsigned list = s->list[MAIN].count > s->frames - s->fresh ? MAIN : SMALL;
    while (evict_look(search)) {
        list = s->list[SMALL].count ? list : MAIN;
        uint32_t frame = s->list[list].tail;
        if (frame == NIL) {
            break;
        }
        uint8_t used = evict_used(s, frame);
        if (evict_is_busy(search, frame)) {
            evict_move(s, frame, (uint8_t)list);
        } else if (list == SMALL && used >= 2) {
            evict_set_used(s, frame, 0);
            evict_move(s, frame, MAIN);
        } else if (list == MAIN && used) {
            evict_set_used(s, frame, used - 1);
            evict_move(s, frame, MAIN);
        } else {
            uint32_t most = (uint32_t)((uint64_t)s->frames * 9 / 10);
            return (struct evict_victim){.frame = frame, .ghost = list == SMALL ? evict_ghost_add(s, 0, most) : 0};
        }
    }
    uint32_t frame = evict_first_idle(s, &s->list[SMALL], search);
    frame = frame == NIL ? evict_first_idle(s, &s->list[MAIN], search) : frame;
    return (struct evict_victim){.frame = frame};
}
