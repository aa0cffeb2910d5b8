/* gc/copy.h - the copying collector's part of a heap. */
#ifndef GC_COPY_H
#define GC_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/gc.h>

struct gc;
struct mutator;
struct gc_unit;

/* 0: its files are not there yet, and init refuses. */
#define COPY_JOINED 0

struct copy {
    size_t nothing;
};
struct copy_mutator {
    size_t nothing;
};

int copy_init(struct gc *gc);
void copy_done(struct gc *gc);
int copy_attach(struct mutator *me);
void copy_detach(struct mutator *me, bool lost);
void *copy_get(struct mutator *me, const struct allot_gc_type *type, size_t size);
void copy_write(struct mutator *me, void *object, void **slot, void *value);
void copy_collect(struct gc *gc);
bool copy_step(struct gc *gc, uint64_t deadline);
void copy_due(struct mutator *me);
void *copy_object_at(struct gc *gc, uintptr_t word, bool interior);
size_t copy_size(const struct gc *gc, const void *object);
int copy_walk(struct gc *gc, int (*visit)(void *, const struct allot_gc_type *, size_t, void *), void *arg);
void copy_check(struct gc *gc);
bool copy_reached(struct gc *gc, const void *object);
void copy_hold(struct gc *gc, void **slot);
void copy_drain(struct gc *gc);

#endif
