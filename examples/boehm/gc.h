/* gc.h - the calls of Boehm's collector that programs live on, over a heap of ALLOT_GC_MARK: see boehm.c.
 *
 * A program that includes libgc's own gc.h can be linked to boehm.c just as well: the names and shapes are the same.
 */
#ifndef GC_H
#define GC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long GC_word;
typedef void (*GC_finalization_proc)(void *object, void *client_data);
typedef void *(*GC_fn_type)(void *client_data);
typedef void *(*GC_oom_func)(size_t bytes);

#define GC_INIT() GC_init()
void GC_init(void);

/* Zero, but for the atomic ones: those are never looked at for references. NULL, or what the function says that GC_set_oom_fn has set,
 * when memory is out. */
void *GC_malloc(size_t size);
void *GC_malloc_atomic(size_t size);
void *GC_malloc_uncollectable(size_t size); /* is a root until GC_free */
void *GC_realloc(void *object, size_t size);
void GC_free(void *object);
char *GC_strdup(const char *text);
char *GC_strndup(const char *text, size_t most);
void *GC_memalign(size_t align, size_t size);
int GC_posix_memalign(void **out, size_t align, size_t size);
size_t GC_size(const void *object);
void GC_set_oom_fn(GC_oom_func fn);

#define GC_MALLOC(size)               GC_malloc(size)
#define GC_MALLOC_ATOMIC(size)        GC_malloc_atomic(size)
#define GC_MALLOC_UNCOLLECTABLE(size) GC_malloc_uncollectable(size)
#define GC_REALLOC(object, size)      GC_realloc(object, size)
#define GC_FREE(object)               GC_free(object)
#define GC_STRDUP(text)               GC_strdup(text)
#define GC_STRNDUP(text, most)        GC_strndup(text, most)
#define GC_NEW(type)                  ((type *)GC_malloc(sizeof(type)))
#define GC_NEW_ATOMIC(type)           ((type *)GC_malloc_atomic(sizeof(type)))
#define GC_NEW_UNCOLLECTABLE(type)    ((type *)GC_malloc_uncollectable(sizeof(type)))

/* `fn` is called once, with the object and `data`, after nothing but other finalizers can reach it; NULL takes it back. */
void GC_register_finalizer(void *object, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn,
                           void **old_data);
int GC_invoke_finalizers(void);
void GC_set_finalize_on_demand(int on); /* before GC_init */
/* *link, which the collector does not look at, becomes NULL when the object is gone. 0; 1 where the link was registered before; 2: memory is out. */
int GC_general_register_disappearing_link(void **link, const void *object);
int GC_unregister_disappearing_link(void **link);

#define GC_REGISTER_FINALIZER(object, fn, data, old_fn, old_data) \
    GC_register_finalizer(object, fn, data, old_fn, old_data)
#define GC_HIDE_POINTER(p)   (~(GC_word)(p))
#define GC_REVEAL_POINTER(p) ((void *)GC_HIDE_POINTER(p))

void GC_gcollect(void);
int GC_collect_a_little(void);
void GC_enable(void);
void GC_disable(void);
int GC_is_disabled(void);
size_t GC_get_heap_size(void);
size_t GC_get_free_bytes(void);
size_t GC_get_total_bytes(void);
GC_word GC_get_gc_no(void);
void GC_set_max_heap_size(GC_word bytes);      /* before GC_init */
void GC_set_free_space_divisor(GC_word parts); /* before GC_init */
void GC_add_roots(void *from, void *to);
void GC_remove_roots(void *from, void *to); /* as they were added */

/* Finds what has not been freed: nothing goes by itself, and GC_gcollect says on standard error what nothing refers to. */
void GC_set_find_leak(int on); /* before GC_init */
int GC_get_find_leak(void);

/* Threads join in with their first call, and leave when they end. One that waits lets the others collect if it waits in GC_do_blocking or
 * GC_pthread_join, which with GC_THREADS is what pthread_join means. */
void *GC_do_blocking(GC_fn_type fn, void *data);
void *GC_call_with_alloc_lock(GC_fn_type fn, void *data);

#ifdef GC_THREADS
#include <pthread.h>
/* What a thread begins with, and what it returns until that is asked for, is held. */
int GC_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *data);
int GC_pthread_join(pthread_t thread, void **result);
int GC_pthread_detach(pthread_t thread);
#ifndef GC_NO_THREAD_REDIRECTS
#define pthread_create(thread, attributes, fn, data) GC_pthread_create(thread, attributes, fn, data)
#define pthread_join(thread, result)                 GC_pthread_join(thread, result)
#define pthread_detach(thread)                       GC_pthread_detach(thread)
#endif
#endif

#ifdef __cplusplus
}
#endif

#endif
