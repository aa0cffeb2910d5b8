/* zlib.c - zlib on allot's memory: zalloc and zfree over an arena, one request after another.
 *
 * A stream takes a few large blocks when it begins (deflate 260 KiB) and gives them back when it ends, without their sizes. In an
 * arena none is needed: zfree does nothing, and a reset frees them all, and keeps them warm. With malloc each request may get them
 * from the system anew, and have every page made again.
 *
 *     cc zlib.c $(pkg-config --cflags --libs zlib allot)
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include <allot/arena.h>

static voidpf zlib_alloc(voidpf arena, uInt items, uInt size)
{
    size_t bytes;
    return __builtin_mul_overflow((size_t)items, size, &bytes) ? Z_NULL : allot_arena_alloc(arena, bytes);
}

static void zlib_free(voidpf arena, voidpf p)
{
    (void)arena;
    (void)p;
}

/* A request: packs `text`, with the buffer for it in the arena too, and unpacks it again into `out`, of the same size. Z_OK, or
 * zlib's error. */
static int request(struct allot_arena *arena, const char *text, size_t size, char *out, size_t *packed)
{
    z_stream s = {.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = arena};
    int status = deflateInit(&s, Z_DEFAULT_COMPRESSION);
    if (status != Z_OK) {
        return status;
    }
    uInt room = (uInt)deflateBound(&s, size);
    Bytef *buffer = allot_arena_alloc(arena, room);
    if (!buffer) {
        deflateEnd(&s);
        return Z_MEM_ERROR;
    }
    s.next_in = (Bytef *)text, s.avail_in = (uInt)size;
    s.next_out = buffer, s.avail_out = room;
    status = deflate(&s, Z_FINISH);
    deflateEnd(&s);
    if (status != Z_STREAM_END) {
        return status;
    }
    *packed = s.total_out;

    s = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = arena};
    status = inflateInit(&s);
    if (status != Z_OK) {
        return status;
    }
    s.next_in = buffer, s.avail_in = (uInt)*packed;
    s.next_out = (Bytef *)out, s.avail_out = (uInt)size;
    status = inflate(&s, Z_FINISH);
    inflateEnd(&s);
    return status == Z_STREAM_END && s.total_out == size ? Z_OK : status;
}

int main(void)
{
    static char text[100000], out[sizeof text];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = "allot "[(i * i >> 9) * i % 6];
    }
    struct allot_arena arena;
    assert(allot_arena_init(&arena, NULL) == 0);
    struct allot_arena_stats stats;
    uint64_t held = 0;
    size_t packed = 0;
    for (int i = 0; i < 50; i++) {
        memset(out, 0, sizeof out);
        assert(request(&arena, text, sizeof text, out, &packed) == Z_OK);
        assert(memcmp(text, out, sizeof text) == 0);
        allot_arena_reset(&arena, SIZE_MAX);
        allot_arena_stats(&arena, &stats);
        assert(i == 0 || stats.use.held == held);
        held = stats.use.held;
    }
    printf("zlib: %zu bytes packed to %zu, 50 times in the same %llu\n", sizeof text, packed, (unsigned long long)held);
    allot_arena_done(&arena);
    return 0;
}
