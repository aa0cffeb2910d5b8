/* names/mimalloc.c - the names under which mimalloc's own tests call malloc, by the standard ones: whatever malloc is the
 * process's answers. What that cannot do, a block aligned at an offset, fails. A heap here is a list of its blocks.
 */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *mi_malloc(size_t size) { return malloc(size); }
void mi_free(void *p) { free(p); }
size_t mi_usable_size(const void *p) { return malloc_usable_size((void *)p); }
void *mi_memalign(size_t align, size_t size) { return memalign(align, size); }
int mi_posix_memalign(void **out, size_t align, size_t size) { return posix_memalign(out, align, size); }
void *mi_realloc(void *p, size_t size) { return realloc(p, size); }
void *mi_reallocarray(void *p, size_t n, size_t size) { return reallocarray(p, n, size); }
char *mi_realpath(const char *name, char *resolved) { return realpath(name, resolved); }
void mi_collect(bool force) { force ? (void)malloc_trim(0) : (void)0; }
void mi_option_disable(int option) { (void)option; }
void mi_stats_print(void *out) { (void)out; }

/* A block that may grow zeroed is zeroed to its end, beyond what was asked for. */
static void *zeroed_from(void *p, size_t from)
{
    size_t end = p ? malloc_usable_size(p) : 0;
    if (from < end) {
        memset((char *)p + from, 0, end - from);
    }
    return p;
}

static bool product(size_t n, size_t size, size_t *bytes)
{
    bool fits = !__builtin_mul_overflow(n, size, bytes);
    errno = fits ? errno : ENOMEM;
    return fits;
}

void *mi_zalloc(size_t size) { return zeroed_from(malloc(size), 0); }
void *mi_zalloc_small(size_t size) { return mi_zalloc(size); }

void *mi_calloc(size_t n, size_t size)
{
    size_t bytes;
    return product(n, size, &bytes) ? mi_zalloc(bytes) : NULL;
}

void *mi_rezalloc(void *p, size_t size)
{
    size_t old = p ? malloc_usable_size(p) : 0;
    return zeroed_from(realloc(p, size), old);
}

void *mi_recalloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    return product(n, size, &bytes) ? mi_rezalloc(p, bytes) : NULL;
}

/* -- aligned; any power of two will do there -- */

void *mi_malloc_aligned(size_t size, size_t align)
{
    void *p = NULL;
    int error = align & (align - 1) ? EINVAL : posix_memalign(&p, align < sizeof p ? sizeof p : align, size);
    errno = error ? error : errno;
    return error ? NULL : p;
}

void *mi_malloc_aligned_at(size_t size, size_t align, size_t offset)
{
    return offset % align ? NULL : mi_malloc_aligned(size, align);
}

void *mi_zalloc_aligned(size_t size, size_t align) { return zeroed_from(mi_malloc_aligned(size, align), 0); }

void *mi_calloc_aligned(size_t n, size_t size, size_t align)
{
    size_t bytes;
    return product(n, size, &bytes) ? mi_zalloc_aligned(bytes, align) : NULL;
}

static void *moved(void *p, size_t size, size_t align, bool zero)
{
    size_t old = p ? malloc_usable_size(p) : 0;
    void *q = zero ? mi_zalloc_aligned(size, align) : mi_malloc_aligned(size, align);
    if (q && p) {
        memcpy(q, p, old < size ? old : size);
        free(p);
    }
    return q;
}

void *mi_rezalloc_aligned(void *p, size_t size, size_t align) { return moved(p, size, align, true); }

void *mi_recalloc_aligned(void *p, size_t n, size_t size, size_t align)
{
    size_t bytes;
    return product(n, size, &bytes) ? moved(p, bytes, align, true) : NULL;
}

/* -- that tell the sizes of their blocks -- */

void *mi_umalloc(size_t size, size_t *got)
{
    void *p = malloc(size);
    *got = malloc_usable_size(p);
    return p;
}

void *mi_urealloc(void *p, size_t size, size_t *before, size_t *after)
{
    *before = malloc_usable_size(p);
    p = realloc(p, size);
    *after = malloc_usable_size(p);
    return p;
}

void mi_ufree(void *p, size_t *had)
{
    *had = malloc_usable_size(p);
    free(p);
}

/* -- heaps -- */

enum { HEAP_BLOCKS = 64 };
struct heap {
    void *block[HEAP_BLOCKS];
    int blocks;
};

void *mi_heap_new(void) { return calloc(1, sizeof(struct heap)); }
void mi_heap_delete(struct heap *h) { free(h); }

static void *listed(struct heap *h, void *p)
{
    if (p && h->blocks == HEAP_BLOCKS) {
        free(p);
        return NULL;
    }
    return p ? h->block[h->blocks++] = p : NULL;
}

void *mi_heap_malloc(struct heap *h, size_t size) { return listed(h, malloc(size)); }

void *mi_heap_malloc_aligned(struct heap *h, size_t size, size_t align)
{
    return listed(h, mi_malloc_aligned(size, align));
}

bool mi_heap_contains_block(struct heap *h, const void *p)
{
    for (int i = 0; i < h->blocks; i++) {
        if (h->block[i] == p) {
            return true;
        }
    }
    return false;
}

void mi_heap_destroy(struct heap *h)
{
    for (int i = 0; i < h->blocks; i++) {
        free(h->block[i]);
    }
    free(h);
}
