/* parcel.c - see parcel.h. */
#include "../common/check.h"
#include "../common/pattern.h"

#include "parcel.h"

#include "../common/family.h"

struct parcel {
    size_t size; /* of the whole block */
    uint64_t tag;
    unsigned char contents[];
};

static size_t random_size(uint64_t *random)
{
    size_t most;
    switch (random_below(random, 64)) {
    case 0:
        most = random_below(random, 16) == 0 ? (size_t)5 << 20 : (size_t)1 << 20;
        break;
    case 1:
    case 2:
        most = 100000;
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        most = 8192;
        break;
    default:
        most = 512;
    }
    return sizeof(struct parcel) + random_below(random, most);
}

static void *seal(struct parcel *parcel, size_t size, uint64_t *random)
{
    CHECK(parcel != NULL);
    parcel->size = size;
    parcel->tag = random_next(random);
    pattern_fill(parcel->contents, size - sizeof *parcel, parcel->tag);
    return parcel;
}

void *parcel_make_sized(uint64_t *random, size_t size)
{
    void *p = NULL;
    size_t align = (size_t)16 << random_below(random, 9);
    switch (random_below(random, 16)) {
    case 0:
        p = calloc(1, size);
        CHECK(p && pattern_zero(p, size));
        break;
    case 1:
        p = aligned_alloc(align, size);
        CHECK((uintptr_t)p % align == 0);
        break;
    case 2:
        CHECK(posix_memalign(&p, align, size) == 0);
        CHECK((uintptr_t)p % align == 0);
        break;
    case 3:
        p = realloc(NULL, size);
        break;
    default:
        p = malloc(size);
    }
    return seal(p, size, random);
}

void *parcel_make(uint64_t *random) { return parcel_make_sized(random, random_size(random)); }

void parcel_verify(const void *p)
{
    const struct parcel *parcel = p;
    CHECK(parcel->size >= sizeof *parcel && parcel->size <= malloc_usable_size((void *)(uintptr_t)p));
    CHECK(pattern_holds(parcel->contents, parcel->size - sizeof *parcel, parcel->tag, true));
}

void *parcel_resize(void *p, uint64_t *random)
{
    struct parcel *parcel = p;
    parcel_verify(parcel);
    size_t old = parcel->size, size = random_size(random);
    parcel = realloc(parcel, size);
    CHECK(parcel != NULL && parcel->size == old);
    size_t kept = (old < size ? old : size) - sizeof *parcel;
    CHECK(pattern_holds(parcel->contents, kept, parcel->tag, false));
    return seal(parcel, size, random);
}

void parcel_free(void *p)
{
    if (p) {
        parcel_verify(p);
        free(p);
    }
}
