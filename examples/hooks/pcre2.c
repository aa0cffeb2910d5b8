/* pcre2.c - PCRE2 on allot's memory: two general contexts, by how long what comes from them lives.
 *
 * PCRE2 hands its context through and frees without a size. Compiled patterns live long and go one by one: a heap, which finds a
 * block's size from its address. What one match needs goes with the request: an arena. The code of the just-in-time compiler
 * comes from the system in any case.
 *
 *     cc pcre2.c $(pkg-config --cflags --libs libpcre2-8 allot)
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <allot/arena.h>
#include <allot/heap.h>

static void *heap_malloc(size_t size, void *heap) { return allot_heap_alloc(heap, size); }

static void heap_free(void *p, void *heap) { allot_heap_free(heap, p); }

static void *arena_malloc(size_t size, void *arena) { return allot_arena_alloc(arena, size); }

static void arena_free(void *p, void *arena)
{
    (void)p;
    (void)arena;
}

/* NULL, and PCRE2's error. */
static pcre2_code *compile(pcre2_general_context *patterns, const char *pattern, int *error)
{
    size_t where;
    *error = PCRE2_ERROR_NOMEMORY;
    pcre2_compile_context *context = pcre2_compile_context_create(patterns);
    if (!context) {
        return NULL;
    }
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, error, &where, context);
    pcre2_compile_context_free(context);
    return code;
}

/* How many matches there are in a request's text; or PCRE2's error, which is less than 0. */
static int count(pcre2_general_context *request, const pcre2_code *code, const char *text)
{
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(code, request);
    if (!match) {
        return PCRE2_ERROR_NOMEMORY;
    }
    int found = 0, status;
    size_t at = 0, length = strlen(text);
    uint32_t options = PCRE2_NOTEMPTY;
    while ((status = pcre2_match(code, (PCRE2_SPTR)text, length, at, options, match, NULL)) >= 0) {
        options |= PCRE2_NO_UTF_CHECK; /* it has looked at all of the text */
        at = pcre2_get_ovector_pointer(match)[1];
        found++;
    }
    pcre2_match_data_free(match);
    return status == PCRE2_ERROR_NOMATCH ? found : status;
}

int main(void)
{
    static char text[20000];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = "ab, abc abba "[i % 13];
    }
    struct allot_heap heap;
    struct allot_arena arena;
    assert(allot_heap_init(&heap, NULL) == 0 && allot_arena_init(&arena, NULL) == 0);
    pcre2_general_context *patterns = pcre2_general_context_create(heap_malloc, heap_free, &heap);
    int error;
    pcre2_code *code = compile(patterns, "\\b(a(b+)(c|(?1))?a?)\\b", &error);
    assert(code);
    int wanted = -1;
    for (int i = 0; i < 50; i++) {
        pcre2_general_context *request = pcre2_general_context_create(arena_malloc, arena_free, &arena);
        int found = count(request, code, text);
        assert(found > 1000 && (wanted < 0 || found == wanted));
        wanted = found;
        allot_arena_reset(&arena, SIZE_MAX); /* with the context, and what matching needed */
    }
    pcre2_code_free(code);
    pcre2_general_context_free(patterns);
    struct allot_stats stats;
    allot_heap_stats(&heap, &stats);
    assert(stats.blocks == 0);
    printf("pcre2: %d matches, 50 requests in %zu bytes\n", wanted, arena.held);
    allot_arena_done(&arena);
    allot_heap_done(&heap);
    return 0;
}
