/* expat.c - examples/hooks/expat.c: parses as Expat does by itself, and memory that is out at each allocation is
 * XML_ERROR_NO_MEMORY, or a tree that was given up. */
#include "hooks.h"

#define main example_main
#include "../../examples/hooks/expat.c"
#undef main

static char text[100000];

/* What a parser says of the text: names, attributes, characters, in order. */
struct said {
    uint64_t sum;
    long events;
};

static void hear(struct said *said, const char *what, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        said->sum = said->sum * 1099511628211u + (unsigned char)what[i];
    }
    said->events++;
}

static void hears_begin(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    hear(arg, name, strlen(name));
    for (; *attributes; attributes++) {
        hear(arg, *attributes, strlen(*attributes));
    }
}

static void hears_end(void *arg, const XML_Char *name) { hear(arg, name, strlen(name)); }

static void hears_text(void *arg, const XML_Char *characters, int n) { hear(arg, characters, (size_t)n); }

static struct said listen(XML_Parser parser, size_t size)
{
    struct said said = {0};
    CHECK(parser);
    XML_SetUserData(parser, &said);
    XML_SetElementHandler(parser, hears_begin, hears_end);
    XML_SetCharacterDataHandler(parser, hears_text);
    for (size_t at = 0; at < size; at += 777) {
        size_t n = size - at < 777 ? size - at : 777;
        CHECK(XML_Parse(parser, text + at, (int)n, at + n == size) == XML_STATUS_OK);
    }
    XML_ParserFree(parser);
    return said;
}

/* A text with what makes Expat allocate: entities, namespaces, long names and attributes, comments, CDATA. */
static size_t rich(void)
{
    size_t n = (size_t)snprintf(text, sizeof text,
                                "<?xml version='1.0' encoding='iso-8859-1'?><!DOCTYPE a [<!ENTITY e 'an entity'>"
                                "<!ENTITY f '&e;, &e;'><!ELEMENT a ANY><!ATTLIST a x CDATA 'by default'>]><a>");
    for (int i = 0; i < 30; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "<e%d a%d='%0*d' b='&lt;&f;'>&f; \xe9<![CDATA[<%d>]]><!-- %d --></e%d>", i, i, i * 40 + 1,
                              i, i, i, i);
    }
    return n + (size_t)snprintf(text + n, sizeof text - n, "</a>");
}

int main(void)
{
    struct allot_arena arena;
    CHECK(allot_arena_init(&arena, NULL) == 0);
    static const XML_Memory_Handling_Suite suite = {expat_malloc, expat_realloc, expat_free};
    for (int i = 0; i < 2; i++) {
        size_t size = i ? rich() : document(text, sizeof text);
        parsing = &arena;
        struct said without = listen(XML_ParserCreate(NULL), size),
                    with = listen(XML_ParserCreate_MM(NULL, &suite, NULL), size);
        CHECK(without.events > 200 && with.events == without.events && with.sum == without.sum);
        allot_arena_reset(&arena, SIZE_MAX);

        long failures = 0, none = 0;
        size = i ? size : 3000; /* then it does not end well */
        struct tree wanted, tree;
        enum XML_Error status = parse(&arena, text, size, &wanted);
        int elements = wanted.elements;
        EACH_ALLOCATION_FAILS(each)
        {
            enum XML_Error now = parse(&arena, text, size, &tree);
            if (ration.failed) {
                CHECK(now == XML_ERROR_NO_MEMORY || now == XML_ERROR_ABORTED ||
                      (now == status && tree.elements == elements));
                failures += now != status;
                none += now == XML_ERROR_NO_MEMORY;
            } else {
                CHECK(now == status && tree.elements == elements);
            }
            CHECK(allot_arena_check(&arena));
            allot_arena_reset(&arena, SIZE_MAX);
        }
        CHECK(failures > 50 && none > 20);
    }
    allot_arena_done(&arena);
}
