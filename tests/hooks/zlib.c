/* zlib.c - examples/hooks/zlib.c: packs as zlib does by itself, and memory that is out at each allocation is Z_MEM_ERROR. */
#include "hooks.h"

#define main example_main
#include "../../examples/hooks/zlib.c"
#undef main

static char text[200000], out[sizeof text];

static size_t pack(z_stream *s, Bytef *to, size_t room, int level)
{
    CHECK(deflateInit2(s, level, Z_DEFLATED, 15, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    s->next_in = (Bytef *)text, s->avail_in = sizeof text;
    s->next_out = to, s->avail_out = (uInt)room;
    CHECK(deflate(s, Z_FINISH) == Z_STREAM_END);
    deflateEnd(s);
    return s->total_out;
}

int main(void)
{
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = "abcdefgh"[random_below(&random, 1 + i / 1000 % 8)];
    }
    struct allot_arena arena;
    CHECK(allot_arena_init(&arena, NULL) == 0);
    static Bytef plain[sizeof text + 1000], hooked[sizeof plain];
    for (int level = 0; level <= 9; level++) {
        z_stream without = {0}, with = {.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = &arena};
        size_t n = pack(&without, plain, sizeof plain, level);
        CHECK(pack(&with, hooked, sizeof hooked, level) == n && memcmp(plain, hooked, n) == 0);
        allot_arena_reset(&arena, SIZE_MAX);
    }

    CHECK(zlib_alloc(&arena, UINT32_MAX, UINT32_MAX) == Z_NULL); /* 2^64 and what wraps around */
    long failures = 0;
    EACH_ALLOCATION_FAILS(each)
    {
        size_t packed;
        int status = request(&arena, text, sizeof text, out, &packed);
        CHECK(status == (ration.failed ? Z_MEM_ERROR : Z_OK));
        CHECK(status != Z_OK || memcmp(text, out, sizeof text) == 0);
        failures += status != Z_OK;
        CHECK(allot_arena_check(&arena));
        allot_arena_reset(&arena, SIZE_MAX);
    }
    CHECK(failures >= 2 * 6);
    allot_arena_done(&arena);

    /* The arena's own end. */
    CHECK(allot_arena_init(&arena, &(struct allot_arena_opts){.limit = 300 << 10}) == 0);
    size_t packed;
    CHECK(request(&arena, text, sizeof text, out, &packed) == Z_MEM_ERROR);
    allot_arena_done(&arena);
}
