/* ops.c - one operation: decode, call, tell the oracle.
 *
 * Each operation of the table takes its arguments from the input. Weights sum to 256, so a byte names an operation.
 */
#include "state.h"

#include "../common/check.h"
#include "../common/pattern.h"

#include <errno.h>
#include <unistd.h>

#include "../common/family.h"

#define oracle (&model.oracle)

/* Bytes asked for and not freed: what the machine can bear beside other tests. */
#define BUDGET ((size_t)256 << 20)

/* Whether a block of `size` more bytes would overfill the oracle or the machine. */
static bool too_much(size_t size, uint32_t blocks)
{
    return oracle->count + blocks > ORACLE_MOST || (!size_impossible(size) && oracle->asked + size * blocks > BUDGET);
}

/* Checks the answer to a request: whether there is a block. */
static bool granted(const void *p, size_t size)
{
    if (size_impossible(size)) {
        CHECK(p == NULL);
        CHECK(errno == ENOMEM);
        return false;
    }
    CHECK(p != NULL);
    return true;
}

static void took(void *p, size_t size, size_t align, enum origin origin)
{
    if (!granted(p, size))
        return;
    CHECK((uintptr_t)p % 16 == 0);
    oracle_add(oracle, (struct block){
                           .p = p, .asked = size, .usable = malloc_usable_size(p), .align = align, .origin = origin});
}

/* The number of a block whose origin is at most `last`, searching from a random one; -1 when there is none. */
static int64_t victim(enum origin last)
{
    uint32_t from = (uint32_t)input_u16(&model.in);
    for (uint32_t i = 0; i < oracle->count; i++) {
        uint32_t number = (from + i) % oracle->count;
        if (oracle->block[number].origin <= last)
            return number;
    }
    return -1;
}

/* -- allocation ------------------------------------------------------------------------------------------------- */

static void op_malloc(void)
{
    size_t size = input_size(&model.in);
    if (!too_much(size, 1))
        took(malloc(size), size, 1, FROM_MALLOC);
}

/* Many of one size: whole slabs of it, or dozens of runs. */
static void op_burst(void)
{
    size_t size = input_size(&model.in), n = input_byte(&model.in);
    n = size <= 256 ? 16 * n : size <= 2048 ? n : n / 8;
    if (size_impossible(size) || too_much(size, (uint32_t)n))
        return;
    for (size_t i = 0; i < n; i++)
        took(malloc(size), size, 1, FROM_MALLOC);
}

/* Splits a size into n objects; now and then into so many that the product overflows. */
static size_t split(size_t size, size_t *n, size_t *unit)
{
    uint8_t choice = input_byte(&model.in);
    if (choice == 255) {
        *unit = 1 + size % 4096;
        *n = SIZE_MAX / *unit + 1;
        return *unit == 1 ? 0 : SIZE_MAX;
    }
    *n = 1 + choice % 7;
    *unit = size / *n;
    return *n * *unit;
}

static void op_calloc(void)
{
    size_t n, unit, size = split(input_size(&model.in), &n, &unit);
    if (too_much(size, 1))
        return;
    void *p = calloc(n, unit);
    if (p)
        CHECK(pattern_zero(p, size));
    took(p, size, 1, FROM_MALLOC);
}

static void op_aligned_alloc(void)
{
    size_t align = input_align(&model.in), size = input_size(&model.in);
    if (!too_much(size, 1))
        took(aligned_alloc(align, size), size, align, FROM_ALIGNED);
}

static void op_posix_memalign(void)
{
    size_t align = input_align(&model.in), size = input_size(&model.in);
    if (too_much(size, 1))
        return;
    void *untouched = &model, *p = untouched;
    int result = posix_memalign(&p, align, size);
    if (align < sizeof(void *)) {
        CHECK(result == EINVAL && p == untouched);
        return;
    }
    if (size_impossible(size)) {
        CHECK(result == ENOMEM && p == untouched);
        return;
    }
    CHECK(result == 0);
    took(p, size, align, FROM_OTHER);
}

static void op_memalign(void)
{
    size_t align = input_align(&model.in), size = input_size(&model.in);
    size_t given = align - (align > 2 ? input_byte(&model.in) % (align / 2) : 0); /* is rounded up */
    if (!too_much(size, 1))
        took(memalign(given, size), size, align, FROM_OTHER);
}

static void op_valloc(void)
{
    size_t size = input_size(&model.in);
    if (!too_much(size, 1))
        took(valloc(size), size, (size_t)sysconf(_SC_PAGESIZE), FROM_OTHER);
}

static void op_pvalloc(void)
{
    size_t size = input_size(&model.in), page = (size_t)sysconf(_SC_PAGESIZE);
    size_t rounded = size > SIZE_MAX - page ? size : (size + page - 1) / page * page;
    if (!too_much(rounded, 1))
        took(pvalloc(size), rounded, page, FROM_OTHER);
}

/* -- change ----------------------------------------------------------------------------------------------------- */

/* Lays block `number` open for a realloc to `size` by `p`'s new address: what the oracle expects of each outcome. */
static void moved(struct block was, void *p, size_t size)
{
    if (size == 0) {
        CHECK(p == NULL);
        return;
    }
    if (!granted(p, size)) {
        CHECK(pattern_holds(was.p, was.usable, was.tag, true));
        oracle_add(oracle, was);
        return;
    }
    CHECK(pattern_holds(p, was.asked < size ? was.asked : size, was.tag, false));
    took(p, size, 1, FROM_MALLOC);
}

static void op_realloc(void)
{
    int64_t number = victim(FROM_OTHER);
    size_t size = input_size(&model.in);
    if (too_much(size, 1))
        return;
    if (number < 0) {
        took(realloc(NULL, size), size, 1, FROM_MALLOC);
        return;
    }
    struct block was = oracle_remove(oracle, (uint32_t)number);
    moved(was, realloc(was.p, size), size);
}

/* A vector that grows by a half, or shrinks to its use. */
static void op_grow(void)
{
    int64_t number = victim(FROM_OTHER);
    if (number < 0)
        return;
    size_t old = oracle->block[number].asked, size = input_byte(&model.in) < 192 ? old + old / 2 + 1 : old - old / 3;
    if (size > (size_t)8 << 20 || too_much(size, 1))
        return;
    struct block was = oracle_remove(oracle, (uint32_t)number);
    moved(was, realloc(was.p, size), size);
}

static void op_reallocarray(void)
{
    int64_t number = victim(FROM_OTHER);
    size_t n, unit, size = split(input_size(&model.in), &n, &unit);
    if (number < 0 || too_much(size, 1))
        return;
    struct block was = oracle_remove(oracle, (uint32_t)number);
    moved(was, reallocarray(was.p, n, unit), size);
}

static void op_try_expand(void)
{
    int64_t number = victim(FROM_OTHER);
    size_t size = input_size(&model.in);
    if (number < 0 || !toolkit.try_expand || too_much(size, 1))
        return;
    struct block was = oracle_remove(oracle, (uint32_t)number);
    bool grown = toolkit.try_expand(was.p, size);
    size_t usable = malloc_usable_size(was.p);
    CHECK(pattern_holds(was.p, was.usable, was.tag, true));
    if (grown) {
        CHECK(!size_impossible(size));
        if (size > was.asked) {
            was.asked = size;
            was.origin = FROM_OTHER;
        }
        CHECK(usable >= size && usable >= was.usable);
        was.usable = usable;
    } else {
        CHECK(size > was.usable);
        CHECK(usable == was.usable);
    }
    oracle_add(oracle, was);
}

static void op_usable(void)
{
    int64_t number = victim(FROM_HEAP);
    CHECK(malloc_usable_size(NULL) == 0);
    if (number >= 0)
        CHECK(malloc_usable_size(oracle->block[number].p) == oracle->block[number].usable);
}

/* -- freeing ---------------------------------------------------------------------------------------------------- */

/* Frees what the oracle has forgotten, in one of the ways that its origin allows. */
static void give_back(struct block gone)
{
    bool sized = gone.tag % 2;
    errno = 77;
    if (gone.origin == FROM_LISTS)
        toolkit.heap_free_sized(&model.heap[gone.heap], gone.p, gone.asked);
    else if (gone.origin == FROM_HEAP && gone.tag % 3 == 0)
        toolkit.heap_free(&model.heap[gone.heap], gone.p);
    else if (gone.origin == FROM_HEAP && gone.tag % 3 == 1)
        toolkit.heap_free_sized(&model.heap[gone.heap], gone.p, gone.asked);
    else if (gone.origin == FROM_MALLOC && sized && toolkit.free_sized)
        toolkit.free_sized(gone.p, gone.asked);
    else if (gone.origin == FROM_ALIGNED && sized && toolkit.free_aligned_sized)
        toolkit.free_aligned_sized(gone.p, gone.align, gone.asked);
    else
        free(gone.p);
    CHECK(errno == 77);
}

static void free_number(uint32_t number) { give_back(oracle_remove(oracle, number)); }

static void op_free(void)
{
    int64_t number = victim(FROM_LISTS);
    if (number >= 0)
        free_number((uint32_t)number);
    else
        free(NULL);
}

/* The newest blocks, newest first: a stack's way. */
static void op_free_newest(void)
{
    for (uint32_t n = input_byte(&model.in); n > 0 && oracle->count > 0; n--)
        free_number(oracle->count - 1);
}

/* Blocks picked at random: leaves slabs full of holes. */
static void op_free_scattered(void)
{
    uint64_t state = input_u16(&model.in);
    for (uint32_t n = 8 * input_byte(&model.in); n > 0 && oracle->count > 0; n--)
        free_number((uint32_t)random_below(&state, oracle->count));
}

/* Every block of one size: empties slabs. */
static void op_free_size(void)
{
    int64_t number = victim(FROM_LISTS);
    if (number < 0)
        return;
    size_t size = oracle->block[number].asked;
    for (uint32_t i = oracle->count; i > 0; i--) {
        if (oracle->block[i - 1].asked == size)
            free_number(i - 1);
    }
}

/* -- first-class heaps ------------------------------------------------------------------------------------------ */

static bool heap_lists(unsigned heap) { return heap == MODEL_HEAPS_MOST - 1; }

struct allot_heap *model_heap(unsigned number)
{
    if (model.heap_thread[number] != model.thread) {
        CHECK(toolkit.heap_adopt(&model.heap[number]) == 0);
        model.heap_thread[number] = model.thread;
    }
    return &model.heap[number];
}

/* Heap of the next byte, made when it is not there; -1 when this run has none. */
static int next_heap(void)
{
    unsigned heap = input_byte(&model.in) % MODEL_HEAPS_MOST;
    if (!(model.flags & MODEL_HEAPS) || !toolkit.heap_init)
        return -1;
    if (!model.heap_live[heap]) {
        struct allot_heap_opts lists = {.two_level = true};
        CHECK(toolkit.heap_init(&model.heap[heap], heap_lists(heap) ? &lists : NULL) == 0);
        model.heap_live[heap] = true;
        model.heap_thread[heap] = model.thread;
    }
    return (int)heap;
}

static void took_of_heap(unsigned heap, void *p, size_t size, size_t align)
{
    if (!granted(p, size))
        return;
    bool lists = heap_lists(heap);
    oracle_add(oracle, (struct block){.p = p,
                                      .asked = size,
                                      .usable = lists ? size : malloc_usable_size(p),
                                      .align = lists ? 8 : align,
                                      .origin = lists ? FROM_LISTS : FROM_HEAP,
                                      .heap = heap});
}

static void op_heap_alloc(void)
{
    int heap = next_heap();
    size_t size = input_size(&model.in), n = 1 + input_byte(&model.in) % 64;
    if (size_impossible(size) || size > 65536)
        n = 1;
    if (heap < 0 || too_much(size, (uint32_t)n))
        return;
    size += heap_lists((unsigned)heap) && size == 0;
    for (size_t i = 0; i < n; i++)
        took_of_heap((unsigned)heap, toolkit.heap_alloc(model_heap((unsigned)heap), size), size, 1);
}

static void op_heap_aligned(void)
{
    int heap = next_heap();
    size_t align = input_align(&model.in), size = input_size(&model.in);
    if (heap >= 0 && !heap_lists((unsigned)heap) && !too_much(size, 1))
        took_of_heap((unsigned)heap, toolkit.heap_aligned(model_heap((unsigned)heap), align, size), size, align);
}

/* The blocks of a heap are about to go all at once. */
static void forget_heap(unsigned heap)
{
    for (uint32_t i = oracle->count; i > 0; i--) {
        const struct block *block = &oracle->block[i - 1];
        if ((block->origin == FROM_HEAP || block->origin == FROM_LISTS) && block->heap == heap)
            oracle_remove(oracle, i - 1);
    }
}

static void op_heap_reset(void)
{
    int heap = next_heap();
    if (heap < 0)
        return;
    forget_heap((unsigned)heap);
    toolkit.heap_reset(model_heap((unsigned)heap));
}

static void heap_done(unsigned heap)
{
    forget_heap(heap);
    toolkit.heap_done(model_heap(heap));
    model.heap_live[heap] = false;
}

static void op_heap_done(void)
{
    int heap = next_heap();
    if (heap >= 0)
        heap_done((unsigned)heap);
}

/* -- the rest --------------------------------------------------------------------------------------------------- */

static void op_trim(void)
{
    if (toolkit.trim)
        toolkit.trim();
}

static void op_prove(void)
{
    if (input_byte(&model.in) < 32)
        model_prove();
}

static void op_verify(void)
{
    if (oracle->count > 0)
        oracle_verify(oracle, (uint32_t)input_u16(&model.in) % oracle->count);
}

static void op_hop(void)
{
    unsigned thread = input_byte(&model.in) % (MODEL_WORKERS + 1);
    if (model.flags & MODEL_THREADS && thread != model.thread) {
        model.thread = thread;
        model.hop = true;
    }
}

/* Only the first thread ends others. */
static void op_retire(void)
{
    unsigned worker = input_byte(&model.in) % MODEL_WORKERS;
    if (model.thread == 0)
        model_retire(worker);
}

static const struct op {
    const char *name;
    unsigned weight;
    void (*play)(void);
} ops[] = {
    {"malloc", 52, op_malloc},
    {"burst", 4, op_burst},
    {"calloc", 16, op_calloc},
    {"aligned_alloc", 8, op_aligned_alloc},
    {"posix_memalign", 6, op_posix_memalign},
    {"memalign", 4, op_memalign},
    {"valloc", 2, op_valloc},
    {"pvalloc", 2, op_pvalloc},
    {"realloc", 20, op_realloc},
    {"grow", 20, op_grow},
    {"reallocarray", 6, op_reallocarray},
    {"try_expand", 10, op_try_expand},
    {"usable_size", 4, op_usable},
    {"free", 44, op_free},
    {"free newest", 4, op_free_newest},
    {"free scattered", 4, op_free_scattered},
    {"free size", 4, op_free_size},
    {"heap_alloc", 12, op_heap_alloc},
    {"heap_aligned", 4, op_heap_aligned},
    {"heap_reset", 2, op_heap_reset},
    {"heap_done", 1, op_heap_done},
    {"trim", 1, op_trim},
    {"prove", 6, op_prove},
    {"verify", 8, op_verify},
    {"hop", 10, op_hop},
    {"retire", 2, op_retire},
};

void model_step(void)
{
    unsigned choice = input_byte(&model.in), i = 0;
    while (choice >= ops[i].weight)
        choice -= ops[i++].weight;
    snprintf(check_context, sizeof check_context, "step %u on thread %u: %s", model.step++, model.thread, ops[i].name);
    ops[i].play();
}

void model_clear(void)
{
    while (oracle->count > 0)
        free_number(oracle->count / 2);
    for (unsigned i = 0; i < MODEL_HEAPS_MOST; i++) {
        if (model.heap_live[i])
            heap_done(i);
    }
}
