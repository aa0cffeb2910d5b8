/* Events into columns. */
#include "trace/columns.h"

static uint32_t hash_of(uint64_t key) { return (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32); }

enum { AT_ONCE = 256 }; /* events that room is made for */

/* -- what a hash finds -- */

static uint32_t *find_block(struct packer *p, uint64_t address)
{
    uint32_t at = hash_of(address) & p->block_mask;
    while (p->block_at[at] && model_address(&p->model, p->block_at[at]) != address) {
        at = (at + 1) & p->block_mask;
    }
    return &p->block_at[at];
}

static uint32_t *find_stack(struct packer *p, uint32_t id)
{
    uint32_t at = hash_of(id) & p->stack_mask;
    while (p->stack_at[at] && p->model.stack[p->stack_at[at]].id != id) {
        at = (at + 1) & p->stack_mask;
    }
    return &p->stack_at[at];
}

/* So many slots of a table in use, empty; false: no memory. */
static bool use_slots(uint32_t **table, uint32_t *mask, uint32_t *room, uint32_t slots)
{
    if (!model_more((void **)table, room, slots, sizeof **table)) {
        return false;
    }
    *mask = slots - 1;
    memset(*table, 0, (size_t)slots * sizeof **table);
    return true;
}

/* Of a table that is at most half full with these and the next events. */
static uint32_t slots_for(uint32_t entries) { return 2u << log2_floor((entries + AT_ONCE) * 2); }

/* Both at most half full for the next events. */
static bool widen_tables(struct packer *p)
{
    const struct model *m = &p->model;

    if ((m->blocks + AT_ONCE) * 2 > p->block_mask) {
        if (!use_slots(&p->block_at, &p->block_mask, &p->block_room, 2 * (p->block_mask + 1))) {
            return false;
        }
        for (uint32_t i = 1; i < m->blocks; i++) {
            *find_block(p, model_address(m, i)) = i;
        }
    }
    if ((m->stacks + AT_ONCE) * 2 > p->stack_mask) {
        if (!use_slots(&p->stack_at, &p->stack_mask, &p->stack_room, 2 * (p->stack_mask + 1))) {
            return false;
        }
        for (uint32_t i = 1; i < m->stacks; i++) {
            *find_stack(p, m->stack[i].id) = i;
        }
    }
    return true;
}

/* -- room -- */

/* Room for what so many events more can take, but for notes: asked for at once, so that nothing asks in between. */
static bool room_for(struct column_bytes *column, uint32_t bytes)
{
    return model_more((void **)&column->bytes, &column->room, column->used + bytes, 1);
}

static bool room_for_events(struct packer *p)
{
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (!room_for(&p->column[i], AT_ONCE * FILE_NUMBER_BYTES)) {
            return false;
        }
    }
    return model_more((void **)&p->model.block, &p->model.block_room, p->model.blocks + AT_ONCE,
                      sizeof *p->model.block) &&
           model_more((void **)&p->model.stack, &p->model.stack_room, p->model.stacks + AT_ONCE,
                      sizeof *p->model.stack) &&
           widen_tables(p);
}

static inline void put_byte(struct packer *p, enum column which, unsigned byte)
{
    struct column_bytes *column = &p->column[which];
    column->bytes[column->used++] = (unsigned char)byte;
}

static inline void put_number(struct packer *p, enum column which, uint64_t number)
{
    struct column_bytes *column = &p->column[which];
    column->used = (uint32_t)(file_put_number(column->bytes + column->used, number) - column->bytes);
}

/* -- the parts of an event -- */

static inline void put_time(struct packer *p, uint64_t time)
{
    uint64_t since = time - p->model.time;

    p->model.time = time;
    if (likely(since < 255)) {
        put_byte(p, COLUMN_TIME, (unsigned)since);
    } else {
        put_byte(p, COLUMN_TIME, 255);
        put_number(p, COLUMN_TIME_MORE, since - 255);
    }
}

/* The stack's index; *flag MODEL_STACK when it is the one expected. */
static inline uint32_t put_stack(struct packer *p, uint32_t id, unsigned *flag)
{
    struct model *m = &p->model;
    uint32_t at = model_expected_stack(m);

    if (likely(at != MODEL_NONE && m->stack[at].id == id)) {
        *flag = MODEL_STACK;
    } else {
        uint32_t *slot = id ? find_stack(p, id) : NULL;
        at = slot ? *slot : 0;
        if (slot && !at) {
            put_number(p, COLUMN_STACK_NEW, file_zigzag(id - m->node));
            m->node = id;
            *slot = at = model_add_stack(m, id);
        }
        put_byte(p, COLUMN_STACK_LOW, at & 0xff);
        put_byte(p, COLUMN_STACK_HIGH, at >> 8);
    }
    model_stack_was(m, at);
    return at;
}

static inline void put_size(struct packer *p, uint32_t stack, uint64_t size, unsigned *flag)
{
    uint64_t *expected = model_expected_size(&p->model, stack);

    if (likely(*expected == size)) {
        *flag = MODEL_SIZE;
    } else {
        put_number(p, COLUMN_SIZE, size);
    }
    model_size_was(&p->model, expected, size);
}

/* How far back among the freed ones of its class an address is; MODEL_FREED: nowhere that is worth a look. Where it is not the
 * last one all are looked at, as how far a search comes is what a processor guesses worst. */
static inline uint32_t find_freed(const struct model_class *class, uint64_t address)
{
    enum { LOOK = 6 };
    uint32_t found = 0;

    if (class->count && model_freed(class, 0) == address) {
        return 0;
    }
    for (uint32_t ago = 1; ago < LOOK; ago++) {
        found |= (uint32_t)(model_freed(class, ago) == address) << ago;
    }
    found &= (1u << class->count) - 1;
    return found ? lowest_bit(found) : MODEL_FREED;
}

static bool put_address(struct packer *p, enum file_op op, uint64_t address, uint64_t size, unsigned *flags)
{
    struct model *m = &p->model;
    struct model_class *class = model_class(m, size);
    unsigned how;

    if (unlikely(!class)) {
        return false;
    }
    if (op == FILE_REALLOC_TO && address && m->freed == address) {
        m->freed = 0;
        how = MODEL_LAST_FREED;
    } else {
        if (op == FILE_REALLOC_TO) {
            model_realloc_moved(m);
        }
        uint32_t ago = find_freed(class, address);
        if (ago == 0 && op != FILE_REALLOC_TO) {
            model_pull(class, 0);
            how = MODEL_LAST_FREED;
        } else if (ago < MODEL_FREED) {
            put_byte(p, COLUMN_AGO, ago);
            model_pull(class, ago);
            how = MODEL_FREED_BEFORE;
        } else {
            how = address == class->last + class->step ? MODEL_STEP : MODEL_DIFFERENCE;
            if (how == MODEL_DIFFERENCE) {
                put_number(p, COLUMN_FRESH, file_zigzag(address - class->last));
            }
            model_fresh(m, class, address);
        }
    }
    if (op != FILE_VERDICT) {
        uint32_t *slot = find_block(p, address);
        *slot = p->block = model_add_block(m, address, size);
    }
    *flags = how << MODEL_ADDRESS_SHIFT;
    return true;
}

static void put_free(struct packer *p, const struct file_event *event)
{
    struct model *m = &p->model;
    uint64_t address = event->address >> 3;
    uint32_t at = *find_block(p, address);
    unsigned how;

    if (!at || !model_is_live(m, at)) {
        put_number(p, COLUMN_FAR, file_zigzag(address - m->freed_far));
        m->freed_far = address;
        if (event->op == FILE_REALLOC_FROM) {
            m->freed = address;
            m->freed_class = UINT64_MAX;
        }
        put_byte(p, COLUMN_EVENT, (unsigned)event->op | MODEL_BY_ADDRESS << 4);
        return;
    }
    p->block = at;
    uint32_t newest = m->block[0].older;
    if (at == newest) {
        how = MODEL_NEWEST;
    } else if (at == m->block[m->older].newer) {
        how = MODEL_NEWER;
    } else if (at == m->older) {
        how = MODEL_OLDER;
    } else if (at == m->block[newest].older) {
        how = MODEL_NEWEST + 1;
    } else {
        how = MODEL_BY_AGE;
        put_number(p, COLUMN_AGE, m->blocks - 1 - at);
    }
    model_remove_block(m, at, event->op == FILE_REALLOC_FROM);
    put_byte(p, COLUMN_EVENT, (unsigned)event->op | how << 4);
}

static bool put_note(struct packer *p, const struct file_event *event)
{
    struct column_bytes *column = &p->column[COLUMN_NOTE];

    if (!room_for(column, event->note_bytes + AT_ONCE * FILE_NUMBER_BYTES)) {
        return false;
    }
    put_number(p, COLUMN_NOTE, event->note_bytes);
    memcpy(column->bytes + column->used, event->note, event->note_bytes);
    column->used += event->note_bytes;
    put_byte(p, COLUMN_EVENT, FILE_NOTE);
    return true;
}

bool packer_begin(struct packer *p, uint64_t first)
{
    uint32_t blocks = slots_for(p->model.blocks), stacks = slots_for(p->model.stacks); /* as many as last time */

    if (!model_begin(&p->model, 0, 0) || !use_slots(&p->block_at, &p->block_mask, &p->block_room, blocks) ||
        !use_slots(&p->stack_at, &p->stack_mask, &p->stack_room, stacks)) {
        return false;
    }
    for (unsigned i = 0; i < COLUMNS; i++) {
        p->column[i].used = 0;
    }
    p->events = 0;
    p->first = p->model.time = first;
    return room_for_events(p);
}

void packer_prefetch(const struct packer *p, uint64_t address)
{
    if (p->block_at) {
        __builtin_prefetch(&p->block_at[hash_of(address >> 3) & p->block_mask], 1);
    }
}

bool packer_add(struct packer *p, const struct file_event *event)
{
    unsigned stack_flag = 0, size_flag = 0, address_flags = 0;
    uint32_t stack = 0;

    if (unlikely(++p->events % AT_ONCE == 0) && !room_for_events(p)) {
        return false;
    }
    p->block = 0;
    put_time(p, event->time);
    if (event->op == FILE_FREE || event->op == FILE_REALLOC_FROM) {
        put_free(p, event);
        return true;
    }
    if (event->op == FILE_NOTE) {
        return put_note(p, event);
    }
    if (event->op != FILE_BEFORE && event->op != FILE_VERDICT) {
        stack = put_stack(p, event->stack, &stack_flag);
    }
    put_size(p, stack, event->size, &size_flag);
    if (event->op != FILE_FAILED && !put_address(p, event->op, event->address >> 3, event->size, &address_flags)) {
        return false;
    }
    if (event->op == FILE_ALIGNED || event->op == FILE_VERDICT) {
        put_byte(p, COLUMN_EXTRA, event->extra);
    }
    put_byte(p, COLUMN_EVENT, (unsigned)event->op | stack_flag | size_flag | address_flags);
    return true;
}

size_t packer_bytes(const struct packer *p)
{
    size_t bytes = COLUMNS * sizeof(uint32_t);

    for (unsigned i = 0; i < COLUMNS; i++) {
        bytes += p->column[i].used;
    }
    return bytes;
}

void packer_done(struct packer *p)
{
    for (unsigned i = 0; i < COLUMNS; i++) {
        free(p->column[i].bytes);
    }
    free(p->block_at);
    free(p->stack_at);
    model_done(&p->model);
    memset(p, 0, sizeof *p);
}
