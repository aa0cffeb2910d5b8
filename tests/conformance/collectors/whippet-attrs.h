/* whippet-attrs.h - what whippet's inline functions ask of a collector, of allot's: each allocation is a call, and so is each store. */
#ifndef WHIPPET_ATTRS_H
#define WHIPPET_ATTRS_H

#include "gc-assert.h"
#include "gc-attrs.h"

static inline enum gc_inline_allocator_kind gc_inline_allocator_kind(enum gc_allocation_kind kind)
{
    (void)kind;
    return GC_INLINE_ALLOCATOR_NONE;
}

static inline size_t gc_allocator_large_threshold(void) { return 8192; }
static inline size_t gc_allocator_small_granule_size(void) { return 16; }
static inline size_t gc_allocator_allocation_pointer_offset(void) { GC_CRASH(); }
static inline size_t gc_allocator_allocation_limit_offset(void) { GC_CRASH(); }

static inline size_t gc_allocator_freelist_offset(size_t size, enum gc_allocation_kind kind)
{
    (void)size, (void)kind;
    GC_CRASH();
}

static inline size_t gc_allocator_alloc_table_alignment(void) { return 0; }

static inline uint8_t gc_allocator_alloc_table_begin_pattern(enum gc_allocation_kind kind)
{
    (void)kind;
    GC_CRASH();
}

static inline uint8_t gc_allocator_alloc_table_end_pattern(void) { GC_CRASH(); }

static inline enum gc_old_generation_check_kind gc_old_generation_check_kind(size_t size)
{
    (void)size;
    return GC_OLD_GENERATION_CHECK_SLOW;
}

static inline uint8_t gc_old_generation_check_alloc_table_tag_mask(void) { GC_CRASH(); }
static inline uint8_t gc_old_generation_check_alloc_table_young_tag(void) { GC_CRASH(); }

static inline enum gc_write_barrier_kind gc_write_barrier_kind(size_t size)
{
    (void)size;
    return GC_WRITE_BARRIER_SLOW;
}

static inline size_t gc_write_barrier_field_table_alignment(void) { GC_CRASH(); }
static inline ptrdiff_t gc_write_barrier_field_table_offset(void) { GC_CRASH(); }
static inline size_t gc_write_barrier_field_fields_per_byte(void) { GC_CRASH(); }
static inline uint8_t gc_write_barrier_field_first_bit_pattern(void) { GC_CRASH(); }
static inline enum gc_safepoint_mechanism gc_safepoint_mechanism(void) { return GC_SAFEPOINT_MECHANISM_COOPERATIVE; }

static inline enum gc_cooperative_safepoint_kind gc_cooperative_safepoint_kind(void)
{
    return GC_COOPERATIVE_SAFEPOINT_NONE;
}

static inline int gc_can_pin_objects(void) { return 0; }
static inline int gc_can_move_objects(void) { return 1; }

#endif
