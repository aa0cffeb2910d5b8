/* gc/count.h - the counting collector's part of a heap. */
#ifndef GC_COUNT_H
#define GC_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/gc.h>

struct gc;
struct mutator;
struct gc_unit;

/* 0: its files are not there yet, and init refuses. */
#define COUNT_JOINED 0

struct count {
    size_t nothing;
};
struct count_mutator {
    size_t nothing;
};

int count_init(struct gc *gc);
void count_done(struct gc *gc);
int count_attach(struct mutator *me);
void count_detach(struct mutator *me, bool lost);
void *count_get(struct mutator *me, const struct allot_gc_type *type, size_t size);
void count_write(struct mutator *me, void *object, void **slot, void *value);
void count_collect(struct gc *gc);
bool count_step(struct gc *gc, uint64_t deadline);
void count_due(struct mutator *me);
void *count_object_at(struct gc *gc, uintptr_t word, bool interior);
size_t count_size(const struct gc *gc, const void *object);
int count_walk(struct gc *gc, int (*visit)(void *, const struct allot_gc_type *, size_t, void *), void *arg);
void count_check(struct gc *gc);
bool count_reached(struct gc *gc, const void *object);
void count_hold(struct gc *gc, void **slot);
void count_drain(struct gc *gc);
void *count_ref(struct mutator *me, void *object);
void count_unref(struct mutator *me, void *object);
size_t count_cycles(struct mutator *me, size_t max_work);
void *count_weak(struct mutator *me, void *target);
void *count_weak_get(struct mutator *me, void *weak);

#endif
