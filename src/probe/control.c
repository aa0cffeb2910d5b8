/* probe/control.c - see probe/control.h. The tables are written under a sequence number, odd meanwhile; each word is stored with
 * release, so whoever reads one that is new also sees that the number is odd or another. */
#include "probe/control.h"

#include <errno.h>
#include <string.h>

#include "os/memory.h"
#include "os/process.h"
#include "os/shared.h"

_Static_assert(sizeof(struct allot_control_tables) % sizeof(uint64_t) == 0, "tables are made of words");
_Static_assert(offsetof(struct allot_control, asked) == 64 && offsetof(struct allot_control, answered) == 256 &&
                   offsetof(struct allot_control, now) == 320 && offsetof(struct allot_control, tables) == 512,
               "what different sides write lies in lines of its own");

_Atomic(struct control_cell *) control_cell;

/* Both stay for good once they are there; `place` is what the child of a fork inherits of its parent's page. */
static struct control_cell *cell;
static struct allot_control *place;
uint64_t control_record_heard; /* the last that was asked on it */

static int make_page(bool by_memory)
{
    place = place ? place : os_map(sizeof *place);
    int error = place ? os_share(sizeof *place, place) : -ENOMEM;
    if (error) {
        return error;
    }
    place->by_memory = by_memory;
    place->version = ALLOT_CONTROL_VERSION;
    place->size = sizeof *place;
    place->pid = os_process_id();
    place->started_at = os_milliseconds();
    control_record_heard = 0;
    uint64_t magic;
    memcpy(&magic, ALLOT_CONTROL_MAGIC, sizeof magic);
    __atomic_store_n((uint64_t *)(void *)place->magic, magic, __ATOMIC_RELEASE);
    return 0;
}

struct allot_control *control_share_apart(int *error)
{
    *error = make_page(true);
    return *error ? NULL : place;
}

int control_share(void)
{
    cell = cell ? cell : os_map_forgotten(sizeof *cell);
    int error = cell ? make_page(false) : -ENOMEM;
    if (error) {
        return error;
    }
    atomic_store_explicit(&cell->look, false, memory_order_relaxed);
    atomic_store_explicit(&cell->page, place, memory_order_release);
    atomic_store_explicit(&control_cell, cell, memory_order_release);
    return 0;
}

void control_end(void)
{
    atomic_store_explicit(&control_cell, NULL, memory_order_relaxed);
    os_share_close();
}

void control_forked(void)
{
    if (control_on()) {
        atomic_store_explicit(&cell->page, NULL, memory_order_relaxed);
        os_share_close();
    }
}

void control_answer(struct allot_control *page, const struct allot_control_tables *tables, uint64_t asked)
{
    uint64_t sequence = __atomic_load_n(&page->sequence, __ATOMIC_RELAXED), *to = (uint64_t *)&page->tables, word;
    __atomic_store_n(&page->sequence, sequence + 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < sizeof *tables / sizeof word; i++) {
        memcpy(&word, (const char *)tables + i * sizeof word, sizeof word);
        __atomic_store_n(&to[i], word, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&page->tables_at, os_milliseconds(), __ATOMIC_RELEASE);
    __atomic_store_n(&page->sequence, sequence + 2, __ATOMIC_RELEASE);
    __atomic_store_n(&page->answered, asked, __ATOMIC_RELEASE);
}

bool control_is_record_asked(const struct allot_control *page, char path[ALLOT_CONTROL_PATH])
{
    uint64_t asked = __atomic_load_n(&page->record_asked, __ATOMIC_ACQUIRE);
    bool is = asked != control_record_heard;
    if (is) {
        __atomic_store_n(&control_record_heard, asked, __ATOMIC_RELAXED);
        memcpy(path, page->record_path, ALLOT_CONTROL_PATH);
        path[ALLOT_CONTROL_PATH - 1] = 0;
    }
    return is;
}

void control_answer_record(struct allot_control *page, int error)
{
    __atomic_store_n(&page->record_error, (int64_t)error, __ATOMIC_RELAXED);
    __atomic_store_n(&page->record_answered, control_record_heard, __ATOMIC_RELEASE);
}
