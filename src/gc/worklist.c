/* gc/worklist.c - see gc/worklist.h. */
#include "gc/worklist.h"

#include "gc/gc.h"
#include "os/memory.h"

bool worklist_init(struct gc *gc, struct worklist *list, size_t room)
{
    size_t bytes = align_up(room * sizeof *list->at, os_page);
    *list = (struct worklist){0};
    if (!gc_hold_bytes(gc, bytes)) {
        return false;
    }
    list->at = os_map(bytes);
    list->room = list->at ? room : 0;
    if (!list->at) {
        gc_let_bytes_go(gc, bytes);
    }
    return list->at;
}

void worklist_done(struct gc *gc, struct worklist *list)
{
    size_t bytes = align_up(list->room * sizeof *list->at, os_page);
    if (list->at) {
        os_unmap(list->at, bytes);
        gc_let_bytes_go(gc, bytes);
    }
    *list = (struct worklist){0};
}
