/* Columns into events. Nothing in them is trusted: every number is held against what it counts. */
#include "trace/columns.h"

static const char *const short_of[COLUMNS] = {
    "events end early",          "times end early",  "long times end early", "sizes end early",
    "stacks end early",          "stacks end early", "nodes end early",      "ages end early",
    "freed addresses end early", "places end early", "addresses end early",  "alignments end early",
    "notes end early",
};

static bool get_byte(struct unpacker *u, enum column which, unsigned *byte, const char **wrong)
{
    if (unlikely(u->at[which] == u->end[which])) {
        *wrong = short_of[which];
        return false;
    }
    *byte = *u->at[which]++;
    return true;
}

static bool get_number(struct unpacker *u, enum column which, uint64_t *number, const char **wrong)
{
    const unsigned char *after = file_get_number(u->at[which], u->end[which], number);
    if (unlikely(!after)) {
        *wrong = short_of[which];
        return false;
    }
    u->at[which] = after;
    return true;
}

static bool get_time(struct unpacker *u, struct file_event *event, const char **wrong)
{
    unsigned since;
    uint64_t more = 0;

    if (!get_byte(u, COLUMN_TIME, &since, wrong) || (since == 255 && !get_number(u, COLUMN_TIME_MORE, &more, wrong))) {
        return false;
    }
    if (unlikely(more > (UINT64_MAX >> 1) || u->model.time > (UINT64_MAX >> 1))) {
        *wrong = "time is out of all bounds";
        return false;
    }
    event->time = u->model.time += since + more;
    return true;
}

static bool get_stack(struct unpacker *u, unsigned first, uint32_t *stack, const char **wrong)
{
    struct model *m = &u->model;
    uint32_t at;

    if (first & MODEL_STACK) {
        at = model_expected_stack(m);
        if (unlikely(at == MODEL_NONE)) {
            *wrong = "no stack is expected here";
            return false;
        }
    } else {
        unsigned low, high;
        if (!get_byte(u, COLUMN_STACK_LOW, &low, wrong) || !get_byte(u, COLUMN_STACK_HIGH, &high, wrong)) {
            return false;
        }
        at = low | high << 8;
        if (at == m->stacks) {
            uint64_t node;
            if (!get_number(u, COLUMN_STACK_NEW, &node, wrong)) {
                return false;
            }
            m->node += file_unzigzag(node);
            if (m->node == 0 || m->node > FILE_NODES_MOST || m->stacks >= m->stack_room) {
                *wrong = "no node has such a number";
                return false;
            }
            at = model_add_stack(m, (uint32_t)m->node);
        } else if (at > m->stacks) {
            *wrong = "no stack of the frame has such a number";
            return false;
        }
    }
    model_stack_was(m, at);
    *stack = at;
    return true;
}

static bool get_address(struct unpacker *u, unsigned first, struct file_event *event, const char **wrong)
{
    struct model *m = &u->model;
    struct model_class *class = model_class(m, event->size);
    unsigned how = first >> MODEL_ADDRESS_SHIFT, ago = 0;
    uint64_t address, difference;

    if (!class) {
        *wrong = "no memory";
        return false;
    }
    if (event->op == FILE_REALLOC_TO && how == MODEL_LAST_FREED) {
        address = m->freed;
        m->freed = 0;
        if (!address) {
            *wrong = "no block is being resized";
            return false;
        }
    } else {
        if (event->op == FILE_REALLOC_TO) {
            model_realloc_moved(m);
        }
        switch (how) {
        case MODEL_FREED_BEFORE:
            if (!get_byte(u, COLUMN_AGO, &ago, wrong)) {
                return false;
            }
            /* fallthrough */
        case MODEL_LAST_FREED:
            if (unlikely(ago >= class->count)) {
                *wrong = "so many were not freed";
                return false;
            }
            address = model_freed(class, ago);
            model_pull(class, ago);
            break;
        case MODEL_STEP:
            address = class->last + class->step;
            model_fresh(m, class, address);
            break;
        default:
            if (!get_number(u, COLUMN_FRESH, &difference, wrong)) {
                return false;
            }
            address = class->last + file_unzigzag(difference);
            model_fresh(m, class, address);
        }
        if (unlikely(address >> 48)) {
            *wrong = "an address is out of all bounds";
            return false;
        }
    }
    if (event->op != FILE_VERDICT) {
        if (unlikely(m->blocks >= m->block_room)) {
            *wrong = "more blocks than events";
            return false;
        }
        model_add_block(m, address, event->size);
    }
    event->address = address << 3;
    return true;
}

static bool get_free(struct unpacker *u, unsigned first, struct file_event *event, const char **wrong)
{
    struct model *m = &u->model;
    unsigned how = first >> 4;
    uint64_t number;
    uint32_t at;

    if (how == MODEL_BY_ADDRESS) {
        if (!get_number(u, COLUMN_FAR, &number, wrong)) {
            return false;
        }
        m->freed_far += file_unzigzag(number);
        if (m->freed_far >> 48) {
            *wrong = "an address is out of all bounds";
            return false;
        }
        event->address = m->freed_far << 3;
        if (event->op == FILE_REALLOC_FROM) {
            m->freed = m->freed_far;
            m->freed_class = UINT64_MAX;
        }
        return true;
    }
    if (how == MODEL_BY_AGE) {
        if (!get_number(u, COLUMN_AGE, &number, wrong)) {
            return false;
        }
        at = number < m->blocks ? m->blocks - 1 - (uint32_t)number : 0;
    } else if (how == MODEL_NEWER) {
        at = m->block[m->older].newer;
    } else if (how == MODEL_OLDER) {
        at = m->older;
    } else {
        at = m->block[0].older;
        for (unsigned i = 0; i < how && at; i++) {
            at = m->block[at].older;
        }
    }
    if (unlikely(at == 0 || at == MODEL_NONE || how > MODEL_BY_ADDRESS || !model_is_live(m, at))) {
        *wrong = "no such block is live";
        return false;
    }
    event->address = model_address(m, at) << 3;
    model_remove_block(m, at, event->op == FILE_REALLOC_FROM);
    return true;
}

static bool get_note(struct unpacker *u, struct file_event *event, const char **wrong)
{
    uint64_t bytes;

    if (!get_number(u, COLUMN_NOTE, &bytes, wrong)) {
        return false;
    }
    if (bytes == 0 || bytes > (size_t)(u->end[COLUMN_NOTE] - u->at[COLUMN_NOTE])) {
        *wrong = short_of[COLUMN_NOTE];
        return false;
    }
    event->note = u->at[COLUMN_NOTE];
    event->note_bytes = (uint32_t)bytes;
    u->at[COLUMN_NOTE] += bytes;
    return true;
}

const char *unpacker_begin(struct unpacker *u, const unsigned char *raw, size_t bytes, uint32_t events, uint64_t first)
{
    uint32_t length[COLUMNS];

    if (bytes < sizeof length) {
        return "a frame is too short for its columns";
    }
    memcpy(length, raw, sizeof length);
    const unsigned char *at = raw + sizeof length, *end = raw + bytes;
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (length[i] > (size_t)(end - at)) {
            return "a column is longer than its frame";
        }
        u->at[i] = at;
        u->end[i] = at += length[i];
    }
    if (at != end || length[COLUMN_EVENT] != events || length[COLUMN_TIME] != events || events > FILE_EVENTS) {
        return "columns do not fit the frame";
    }
    if (!model_begin(&u->model, events, length[COLUMN_STACK_LOW])) {
        return "no memory";
    }
    u->model.time = first;
    u->left = events;
    return NULL;
}

int unpacker_next(struct unpacker *u, struct file_event *event, const char **wrong)
{
    unsigned first;
    uint32_t stack = 0;

    if (u->left == 0) {
        return 0;
    }
    u->left--;
    first = *u->at[COLUMN_EVENT]++;
    event->op = (enum file_op)(first & 15);
    event->stack = event->extra = 0;
    event->address = event->size = 0;
    event->note = NULL;
    event->note_bytes = 0;
    if (unlikely(event->op >= FILE_OPS)) {
        *wrong = "there is no such event";
        return -1;
    }
    if (!get_time(u, event, wrong)) {
        return -1;
    }
    if (event->op == FILE_FREE || event->op == FILE_REALLOC_FROM) {
        return get_free(u, first, event, wrong) ? 1 : -1;
    }
    if (event->op == FILE_NOTE) {
        return get_note(u, event, wrong) ? 1 : -1;
    }
    if (event->op != FILE_BEFORE && event->op != FILE_VERDICT) {
        if (!get_stack(u, first, &stack, wrong)) {
            return -1;
        }
        event->stack = u->model.stack[stack].id;
    }
    uint64_t *expected = model_expected_size(&u->model, stack);
    event->size = *expected;
    if (!(first & MODEL_SIZE) && !get_number(u, COLUMN_SIZE, &event->size, wrong)) {
        return -1;
    }
    model_size_was(&u->model, expected, event->size);
    if (event->op != FILE_FAILED && !get_address(u, first, event, wrong)) {
        return -1;
    }
    if (event->op == FILE_ALIGNED || event->op == FILE_VERDICT) {
        return get_byte(u, COLUMN_EXTRA, &event->extra, wrong) ? 1 : -1;
    }
    return 1;
}

size_t unpacker_memory(const struct unpacker *u)
{
    return sizeof *u + (size_t)u->model.block_room * sizeof *u->model.block +
           (size_t)u->model.stack_room * sizeof *u->model.stack + (size_t)u->model.class_room * sizeof *u->model.class;
}

void unpacker_done(struct unpacker *u)
{
    model_done(&u->model);
    memset(u, 0, sizeof *u);
}
