/* pcre2.c - examples/hooks/pcre2.c: finds what PCRE2 does by itself, and memory that is out at each allocation is its error. */
#include "hooks.h"

#define main example_main
#include "../../examples/hooks/pcre2.c"
#undef main

static const char *const patterns[] = {
    "(a+)b",
    "\\b(a(b+)(c|(?1))?a?)\\b",
    "(?<word>\\w+)\\W+\\k<word>",
    "(?i)[^x-z]{2,40}?(?=,)",
    "((((((((((a|b)|c)|d)|e)|f)|g)|h)|i)|j)|k)+",
    "(?:a(?=b)|b)+ ?,",
};

static char text[3000];

static bool is_no_memory(int error) { return error == PCRE2_ERROR_NOMEMORY || error == PCRE2_ERROR_HEAP_FAILED; }

int main(void)
{
    uint64_t random = 5;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = "abcab ,"[random_below(&random, 7)];
    }
    struct allot_heap heap;
    struct allot_arena arena;
    CHECK(allot_heap_init(&heap, NULL) == 0 && allot_arena_init(&arena, NULL) == 0);
    long failures = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        int error;
        pcre2_code *plain = compile(NULL, patterns[i], &error);
        CHECK(plain);
        int wanted = count(NULL, plain, text);
        CHECK(wanted > 0);
        pcre2_code_free(plain);

        EACH_ALLOCATION_FAILS(each)
        {
            int found = PCRE2_ERROR_NOMEMORY;
            pcre2_general_context *longer = pcre2_general_context_create(heap_malloc, heap_free, &heap);
            pcre2_general_context *request = pcre2_general_context_create(arena_malloc, arena_free, &arena);
            pcre2_code *code = longer && request ? compile(longer, patterns[i], &error) : NULL;
            CHECK(code || !longer || !request || is_no_memory(error));
            if (code) {
                found = count(request, code, text);
            }
            pcre2_code_free(code);
            pcre2_general_context_free(longer);
            CHECK(found == wanted || (ration.failed && is_no_memory(found)));
            failures += found != wanted;
            CHECK(heap_blocks(&heap) == 0);
            allot_arena_reset(&arena, SIZE_MAX);
        }
    }
    CHECK(failures > 2 * 4 * 6);
    allot_arena_done(&arena);
    allot_heap_done(&heap);
}
