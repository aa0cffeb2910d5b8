/* boehm.c - Boehm's collector's calls over a heap of ALLOT_GC_MARK: a program that was written for libgc, as it stands.
 *
 *     GC_malloc          an object any word of which may be a reference (MAYBE)
 *     GC_malloc_atomic   one of which none is
 *     roots              stacks and registers; the data of the program and of its libraries, found when it begins; GC_add_roots
 *     finalizer          object <- key | ephemeron | value -> guard -> object: the guard is not reached any more when the object is
 *                        not, and its finisher calls the program's
 *
 * What differs: threads come to a stop where they call in here, and not wherever a signal finds them, so that one which waits for
 * another has to say so (GC_do_blocking). GC_free frees in find-leak mode and for what is uncollectable, and else leaves it to the
 * collector. Finalizers of objects that refer to one another run in any order. Libraries that are loaded later name their data
 * with GC_add_roots. Debugging allocators are the plain ones. There is no GC_base.
 *
 *     cc program.c boehm.c -lallot          with this folder's gc.h, or libgc's own
 */
#define _GNU_SOURCE
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include "gc.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/gc.h>

enum { BUCKETS = 256 };

/* A finalizer, or a link that is to disappear. Held by an ephemeron, whose key is the object. */
struct guard {
    void *object;
    void *data; /* may be a reference, or not */
    GC_finalization_proc fn;
    void **link; /* cleared where there is no fn; its holder stays as long */
};

static void finish_guard(void *object, void *arg)
{
    (void)arg;
    struct guard *guard = object;
    if (guard->fn) {
        guard->fn(guard->object, guard->data);
    } else if (guard->link) {
        *guard->link = NULL;
    }
}

/* In a bucket by the address of its link, or of its object, which does not move. */
struct entry {
    struct entry *next;
    void *ephemeron;
};

/* What is uncollectable. */
struct kept {
    struct kept *next, *before;
    void *object;
};

static const struct allot_gc_type words_type = {.name = "GC_malloc", .flags = ALLOT_GC_MAYBE};
static const struct allot_gc_type atomic_type = {.name = "GC_malloc_atomic"};
static const struct allot_gc_type guard_type = {
    .name = "finalizer", .size = sizeof(struct guard), .finish = finish_guard, .flags = ALLOT_GC_MAYBE};
static const struct allot_gc_type entry_type = {.name = "finalizer's place",
                                                .size = sizeof(struct entry),
                                                .refs = ALLOT_GC_REF(struct entry, next) |
                                                        ALLOT_GC_REF(struct entry, ephemeron)};
static const struct allot_gc_type kept_type = {
    .name = "uncollectable",
    .size = sizeof(struct kept),
    .refs = ALLOT_GC_REF(struct kept, next) | ALLOT_GC_REF(struct kept, before) | ALLOT_GC_REF(struct kept, object)};

static struct allot_gc heap;
static _Thread_local struct allot_gc_mutator me;
static _Atomic bool stood = true; /* since sizes were asked for */

static void note_stop(uint64_t ns, void *arg)
{
    (void)ns;
    (void)arg;
    stood = true;
}

static struct allot_gc_opts options = {
    .name = "boehm", .paused = note_stop, .flags = ALLOT_GC_CONSERVATIVE | ALLOT_GC_INTERIOR | ALLOT_GC_PLAIN};
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; /* of all that follows; taken in no safe point */
static bool find_leak;
static _Atomic int disabled;
static GC_oom_func when_out;
static struct {
    struct entry *bucket[BUCKETS]; /* roots, as is: */
    struct kept *kept;
} table;

/* -- beginning -- */

static int add_data(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && p->p_flags & PF_W) {
            GC_add_roots((void *)(info->dlpi_addr + p->p_vaddr), (void *)(info->dlpi_addr + p->p_vaddr + p->p_memsz));
        }
    }
    return 0;
}

static _Noreturn void give_up(int why)
{
    fprintf(stderr, "boehm: no heap: %s\n", strerror(why));
    abort();
}

static void begin(void)
{
    int why = allot_gc_init(&heap, ALLOT_GC_MARK, &options);
    if (!why) {
        why = allot_gc_attach(&heap, &me);
    }
    if (why) {
        give_up(-why);
    }
    dl_iterate_phdr(add_data, NULL); /* `table` and `heap` are among the data */
}

static struct allot_gc_mutator *mutator(void)
{
    if (me.gc) {
        return &me;
    }
    pthread_once(&once, begin);
    int why = me.gc ? 0 : allot_gc_attach(&heap, &me);
    if (why) {
        give_up(-why);
    }
    return &me;
}

void GC_init(void) { mutator(); }

/* A thread that waits for the lock does so at a safe point. */
static void take_lock(void)
{
    if (pthread_mutex_trylock(&lock) != 0) {
        allot_gc_leave(mutator());
        pthread_mutex_lock(&lock);
        allot_gc_enter(&me);
    }
}

static void give_lock(void) { pthread_mutex_unlock(&lock); }

void GC_add_roots(void *from, void *to)
{
    uintptr_t first = ((uintptr_t)from + sizeof(void *) - 1) / sizeof(void *), past = (uintptr_t)to / sizeof(void *);
    mutator();
    if (past > first && allot_gc_root_words(&heap, (void *)(first * sizeof(void *)), past - first)) {
        give_up(ENOMEM);
    }
}

void GC_remove_roots(void *from, void *to)
{
    (void)to;
    allot_gc_unroot(&heap, (void *)(((uintptr_t)from + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *)));
}

/* -- objects -- */

static void *out(size_t size) { return when_out ? when_out(size) : NULL; }

/* A byte more than none, so that each has an address. */
static void *get(const struct allot_gc_type *type, size_t size)
{
    void *object = allot_gc_get(mutator(), type, size ? size : 1);
    return object ? object : out(size);
}

void *GC_malloc(size_t size) { return get(&words_type, size); }
void *GC_malloc_atomic(size_t size) { return get(&atomic_type, size); }

void *GC_malloc_uncollectable(size_t size)
{
    struct kept *volatile kept = get(&kept_type, 0);
    void *object = kept ? get(&words_type, size) : NULL;
    if (object) {
        kept->object = object;
        take_lock();
        kept->next = table.kept;
        if (table.kept) {
            table.kept->before = kept;
        }
        table.kept = kept;
        give_lock();
    }
    return object;
}

static void forget_kept(const void *object)
{
    take_lock();
    struct kept *kept = table.kept;
    while (kept && kept->object != object) {
        kept = kept->next;
    }
    if (kept) {
        *(kept->before ? &kept->before->next : &table.kept) = kept->next;
        if (kept->next) {
            kept->next->before = kept->before;
        }
    }
    give_lock();
}

void GC_free(void *object)
{
    if (object) {
        forget_kept(object);
        if (find_leak) {
            allot_gc_put(mutator(), object);
        }
    }
}

size_t GC_size(const void *object) { return allot_gc_size_of(object); }

void *GC_realloc(void *object, size_t size)
{
    if (!object) {
        return GC_malloc(size);
    }
    if (!size) {
        GC_free(object);
        return NULL;
    }
    size_t before = allot_gc_size_of(object);
    if (size <= before && size >= before / 2) {
        return object;
    }
    void *next = get(allot_gc_type_of(object), size);
    if (next) {
        memcpy(next, object, size < before ? size : before);
        GC_free(object);
    }
    return next;
}

static char *copy_of(const char *text, size_t length)
{
    char *copy = GC_malloc_atomic(length + 1);
    return copy ? memcpy(copy, text, length) : NULL; /* the end is zero */
}

char *GC_strdup(const char *text) { return copy_of(text, strlen(text)); }
char *GC_strndup(const char *text, size_t most) { return copy_of(text, strnlen(text, most)); }

/* What is aligned to more than all are lies somewhere in the object. */
void *GC_memalign(size_t align, size_t size)
{
    if (align <= 16) {
        return GC_malloc(size);
    }
    char *object = size <= SIZE_MAX - align ? GC_malloc(size + align) : out(size);
    return object ? object + (-(uintptr_t)object & (align - 1)) : NULL;
}

int GC_posix_memalign(void **to, size_t align, size_t size)
{
    if (align % sizeof(void *) || (align & (align - 1)) || !align) {
        return EINVAL;
    }
    *to = GC_memalign(align, size);
    return *to ? 0 : ENOMEM;
}

void GC_set_oom_fn(GC_oom_func fn) { when_out = fn; }

/* -- finalizers -- */

static struct entry **bucket_of(const void *key) { return &table.bucket[(uintptr_t)key / 8 % BUCKETS]; }

/* The guard of a link, or, where that is NULL, of the object. Places of objects that are gone are left out of the list. */
static struct guard *guard_of(const void *object, void **link)
{
    for (struct entry **at = bucket_of(link ? (void *)link : object); *at;) {
        struct guard *guard = allot_gc_ephemeron_value(mutator(), (*at)->ephemeron);
        if (!guard || (!guard->fn && !guard->link)) {
            *at = (*at)->next;
            continue;
        }
        if (guard->link == link && (link || guard->object == object)) {
            return guard;
        }
        at = &(*at)->next;
    }
    return NULL;
}

static bool add_guard(void *object, GC_finalization_proc fn, void *data, void **link)
{
    struct guard *volatile guard = get(&guard_type, 0);
    void *volatile pair = guard ? allot_gc_ephemeron(&me, object, guard) : NULL;
    struct entry *entry = pair ? get(&entry_type, 0) : NULL;
    if (!entry) {
        return false;
    }
    *guard = (struct guard){object, data, fn, link};
    struct entry **to = bucket_of(link ? (void *)link : object);
    entry->ephemeron = pair;
    entry->next = *to;
    *to = entry;
    return true;
}

void GC_register_finalizer(void *object, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn,
                           void **old_data)
{
    take_lock();
    struct guard *guard = guard_of(object, NULL);
    if (old_fn) {
        *old_fn = guard ? guard->fn : NULL;
    }
    if (old_data) {
        *old_data = guard ? guard->data : NULL;
    }
    if (guard) {
        guard->fn = fn;
        guard->data = data;
    } else if (fn && !add_guard(object, fn, data, NULL)) {
        out(sizeof(struct guard));
    }
    give_lock();
}

static bool forget_link(void **link)
{
    struct guard *guard = guard_of(NULL, link);
    if (guard) {
        guard->link = NULL;
    }
    return guard;
}

int GC_general_register_disappearing_link(void **link, const void *object)
{
    take_lock();
    bool was = forget_link(link), is = add_guard((void *)(uintptr_t)object, NULL, NULL, link);
    give_lock();
    return !is ? 2 : was ? 1 : 0;
}

int GC_unregister_disappearing_link(void **link)
{
    take_lock();
    bool was = forget_link(link);
    give_lock();
    return was;
}

int GC_invoke_finalizers(void) { return (int)allot_gc_finish(mutator(), 0); }

void GC_set_finalize_on_demand(int on)
{
    options.flags = on ? options.flags | ALLOT_GC_BY_HAND : options.flags & ~(unsigned)ALLOT_GC_BY_HAND;
}

/* -- collecting -- */

static int say_leak(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    (void)arg;
    if (type == &words_type || type == &atomic_type) {
        fprintf(stderr, "leaked: %zu bytes at %p, from %s\n", size, object, type->name);
    }
    return 0;
}

void GC_gcollect(void)
{
    if (find_leak) {
        allot_gc_leaks(mutator(), say_leak, NULL);
    } else if (!disabled) {
        allot_gc_collect(mutator());
    }
}

int GC_collect_a_little(void) { return !find_leak && !disabled && !allot_gc_step(mutator(), 1000000); }

/* The heap collects when it must all the same; what the program asks for it does not do. */
void GC_disable(void) { disabled++; }
void GC_enable(void) { disabled--; }
int GC_is_disabled(void) { return disabled; }

/* As after the last collection: these are asked for often by programs that libgc answers from counters, and a heap counts objects. */
static struct allot_gc_stats stats(void)
{
    static struct allot_gc_stats last;
    mutator();
    take_lock();
    if (stood) {
        stood = false;
        allot_gc_stats(&heap, &last);
    }
    struct allot_gc_stats now = last;
    give_lock();
    return now;
}

size_t GC_get_heap_size(void) { return stats().use.held; }
size_t GC_get_free_bytes(void) { return stats().use.held - stats().use.used; }
size_t GC_get_total_bytes(void) { return stats().allocated; }
GC_word GC_get_gc_no(void) { return stats().collections; }
void GC_set_max_heap_size(GC_word bytes) { options.limit = bytes; }
void GC_set_free_space_divisor(GC_word parts) { options.growth = parts ? 300 / (unsigned)parts : 0; }

void GC_set_find_leak(int on)
{
    find_leak = on;
    options.flags = on ? options.flags | ALLOT_GC_EXPLICIT : options.flags & ~(unsigned)ALLOT_GC_EXPLICIT;
}

int GC_get_find_leak(void) { return find_leak; }

/* -- threads -- */

void *GC_do_blocking(GC_fn_type fn, void *data)
{
    allot_gc_leave(mutator());
    void *result = fn(data);
    allot_gc_enter(&me);
    return result;
}

void *GC_call_with_alloc_lock(GC_fn_type fn, void *data)
{
    take_lock();
    void *result = fn(data);
    give_lock();
    return result;
}

/* One that was begun by GC_pthread_create; uncollectable until it has been joined, or has ended detached. `value` is what it begins with,
 * and then what it returned. */
struct thread {
    struct thread *next; /* of `threads` */
    pthread_t id;
    void *(*fn)(void *);
    void *value;
    bool detached, ended;
};
static struct thread *threads; /* the lock's */

static void forget_thread(struct thread *thread)
{
    struct thread **at = &threads;
    while (*at != thread) {
        at = &(*at)->next;
    }
    *at = thread->next;
    GC_free(thread);
}

static void end_thread(void *arg)
{
    struct thread *thread = arg;
    take_lock();
    thread->ended = true;
    if (thread->detached) {
        forget_thread(thread);
    }
    give_lock();
    allot_gc_detach(&me); /* destructors of its keys may join in again */
}

static void *run_thread(void *arg)
{
    struct thread *thread = arg;
    mutator();
    pthread_cleanup_push(end_thread, thread);
    thread->value = thread->fn(thread->value);
    pthread_cleanup_pop(1);
    return NULL;
}

int GC_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*fn)(void *), void *data)
{
    int detached = PTHREAD_CREATE_JOINABLE;
    if (attributes) {
        pthread_attr_getdetachstate(attributes, &detached);
    }
    struct thread *thread = GC_malloc_uncollectable(sizeof *thread);
    if (!thread) {
        return EAGAIN;
    }
    *thread = (struct thread){.fn = fn, .value = data, .detached = detached == PTHREAD_CREATE_DETACHED};
    take_lock();
    int wrong =
        pthread_create(&thread->id, attributes, run_thread, thread); /* it ends, and is joined, under the lock */
    if (wrong) {
        GC_free(thread);
    } else {
        thread->next = threads;
        threads = thread;
        *id = thread->id;
    }
    give_lock();
    return wrong;
}

static struct thread *thread_of(pthread_t id)
{
    struct thread *thread = threads;
    while (thread && !pthread_equal(thread->id, id)) {
        thread = thread->next;
    }
    return thread;
}

struct join {
    pthread_t id;
    void *result;
    int wrong;
};

static void *join(void *arg)
{
    struct join *j = arg;
    j->wrong = pthread_join(j->id, &j->result);
    return NULL;
}

int GC_pthread_join(pthread_t id, void **result)
{
    struct join j = {.id = id};
    take_lock();
    struct thread *thread = thread_of(id);
    give_lock();
    GC_do_blocking(join, &j);
    if (!j.wrong && thread) {
        take_lock();
        j.result = j.result == PTHREAD_CANCELED ? j.result : thread->value;
        forget_thread(thread);
        give_lock();
    }
    if (!j.wrong && result) {
        *result = j.result;
    }
    return j.wrong;
}

int GC_pthread_detach(pthread_t id)
{
    int wrong = pthread_detach(id);
    if (!wrong) {
        take_lock();
        struct thread *thread = thread_of(id);
        if (thread && thread->ended) {
            forget_thread(thread);
        } else if (thread) {
            thread->detached = true;
        }
        give_lock();
    }
    return wrong;
}
