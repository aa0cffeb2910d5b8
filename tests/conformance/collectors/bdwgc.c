/* bdwgc.c - what bdwgc's tests want beside examples/boehm: debugging allocators, which are the plain ones here, settings, which are taken and
 * change nothing, and kinds of objects with a say in whether they go.
 *
 * Compiled without bdwgc's headers: arguments that nothing here looks at are left out.
 */
#include "boehm.c"

/* Small heaps, often collected: there is more to see. */
static void __attribute__((constructor)) collect_often(void) { options.least = 256 << 10; }

void *GC_debug_malloc(size_t size) { return GC_malloc(size); }
void *GC_debug_malloc_atomic(size_t size) { return GC_malloc_atomic(size); }
void *GC_debug_realloc(void *object, size_t size) { return GC_realloc(object, size); }
void GC_debug_free(void *object) { GC_free(object); }

void *GC_debug_reallocf(void *object, size_t size)
{
    void *next = GC_realloc(object, size);
    if (!next && size) {
        GC_free(object);
    }
    return next;
}

void GC_debug_freezero(void *object, size_t size)
{
    if (object) {
        memset(object, 0, size < GC_size(object) ? size : GC_size(object));
        GC_free(object);
    }
}

char *GC_debug_strdup(const char *text) { return GC_strdup(text); }
char *GC_debug_strndup(const char *text, size_t most) { return GC_strndup(text, most); }

void GC_set_all_interior_pointers(int on) { (void)on; } /* they are always looked for */
void GC_set_warn_proc(void *fn) { (void)fn; }
void GC_ignore_warn_proc(void) {}
int GC_expand_hp(size_t bytes) { return bytes != 0; }
void GC_start_mark_threads(void) {}
void GC_enable_incremental(void) {}
void GC_end_stubborn_change(const void *object) { (void)object; }
void GC_debug_end_stubborn_change(const void *object) { (void)object; }
void GC_ptr_store_and_dirty(void *slot, const void *value) { *(const void **)slot = value; }
void GC_generate_random_backtrace(void) { GC_gcollect(); }
void GC_noop1_ptr(volatile void *p) { (void)p; }

/* -- threads: no signal stops them, and each joins in by itself -- */

int GC_get_suspend_signal(void) { return -1; }
void GC_allow_register_threads(void) {}

struct stack_base {
    void *base;
};

int GC_register_my_thread(const struct stack_base *base)
{
    (void)base;
    bool joins = !me.gc;
    mutator();
    return joins ? 0 : 1; /* GC_SUCCESS, GC_DUPLICATE */
}

int GC_unregister_my_thread(void)
{
    allot_gc_detach(&me);
    return 0;
}

void *GC_call_with_stack_base(void *(*fn)(struct stack_base *, void *), void *arg)
{
    struct stack_base base = {__builtin_frame_address(0)};
    return fn(&base, arg);
}

/* -- kinds whose objects are asked before they go -- */

enum { KINDS = 8 };

static struct allot_gc_type kind[KINDS];
static int (*disclaim[KINDS])(void *);
static unsigned kinds = 2; /* after those of malloc and malloc_atomic */

static void ask(void *object, void *arg)
{
    (void)arg;
    if (disclaim[allot_gc_type_of(object) - kind](object)) {
        fprintf(stderr, "an object does not want to go, and is not asked again\n");
        abort();
    }
}

void **GC_new_free_list(void) { return NULL; }

unsigned GC_new_kind(void **list, GC_word descriptor, int adjust, int clear)
{
    (void)list, (void)descriptor, (void)adjust, (void)clear;
    kind[kinds] = (struct allot_gc_type){.name = "kind", .flags = ALLOT_GC_MAYBE};
    return kinds++;
}

void GC_init_finalized_malloc(void) {}

void GC_register_disclaim_proc(int of, int (*fn)(void *), int mark_from_all)
{
    (void)mark_from_all;
    disclaim[of] = fn;
    kind[of].finish = ask;
}

void *GC_generic_malloc(size_t size, int of) { return get(&kind[of], size); }

/* What has been asked is gone, and nothing is between a collection and its asking. */
int GC_is_marked(const void *object) { return object == NULL; }
void GC_set_mark_bit(const void *object) { (void)object; }
