/* expat.c - Expat on allot's memory: a parse and the tree that it makes in one arena, dropped in one call.
 *
 * XML_Memory_Handling_Suite has no context and tells no sizes: which arena it is stands in a variable of the thread, and each block
 * has its size before it, because Expat makes blocks longer. As everything goes with the arena, nobody calls XML_ParserFree or
 * frees a tree.
 *
 *     cc expat.c $(pkg-config --cflags --libs expat allot)
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <expat.h>

#include <allot/arena.h>

static _Thread_local struct allot_arena *parsing;

/* The size, in front of a block at a multiple of 16. */
struct sized {
    size_t size;
    _Alignas(16) char block[];
};

static struct sized *before(void *p) { return (struct sized *)((char *)p - sizeof(struct sized)); }

static void *expat_malloc(size_t size)
{
    struct sized *s = size < SIZE_MAX / 2 ? allot_arena_alloc(parsing, sizeof *s + size) : NULL;
    if (!s) {
        return NULL;
    }
    s->size = size;
    return s->block;
}

static void expat_free(void *p) { (void)p; }

/* The last block of an arena becomes longer where it is: that is what Expat's text buffers are, often. */
static void *expat_realloc(void *p, size_t size)
{
    if (!p) {
        return expat_malloc(size);
    }
    struct sized *s = before(p);
    if (size < SIZE_MAX / 2 && allot_arena_extend(parsing, s, sizeof *s + s->size, sizeof *s + size)) {
        s->size = size;
        return p;
    }
    void *q = expat_malloc(size);
    if (q) {
        memcpy(q, p, s->size < size ? s->size : size);
    }
    return q;
}

/* The tree: elements by the order in which they begin, in the same arena. */
struct element {
    struct element *parent, *first, *last, *next;
    const char *name;
    int children;
};

struct tree {
    struct element *root, *open;
    XML_Parser parser;
    int elements;
};

static void begins(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    (void)attributes;
    struct tree *tree = arg;
    size_t length = strlen(name) + 1;
    struct element *e = allot_arena_alloc(parsing, sizeof *e);
    char *copy = allot_arena_alloc(parsing, length);
    if (!e || !copy) {
        XML_StopParser(tree->parser, XML_FALSE);
        return;
    }
    *e = (struct element){.parent = tree->open, .name = memcpy(copy, name, length)};
    if (tree->open) {
        *(tree->open->first ? &tree->open->last->next : &tree->open->first) = e;
        tree->open->last = e;
        tree->open->children++;
    } else {
        tree->root = e;
    }
    tree->open = e;
    tree->elements++;
}

static void ends(void *arg, const XML_Char *name)
{
    (void)name;
    struct tree *tree = arg;
    tree->open = tree->open->parent;
}

/* Parses in pieces, as from a socket. The tree lies in the arena. XML_ERROR_NONE, or Expat's error; XML_ERROR_ABORTED: the tree
 * found no room. */
static enum XML_Error parse(struct allot_arena *arena, const char *text, size_t size, struct tree *tree)
{
    static const XML_Memory_Handling_Suite suite = {expat_malloc, expat_realloc, expat_free};
    parsing = arena;
    *tree = (struct tree){0};
    tree->parser = XML_ParserCreate_MM(NULL, &suite, NULL);
    if (!tree->parser) {
        return XML_ERROR_NO_MEMORY;
    }
    XML_SetUserData(tree->parser, tree);
    XML_SetElementHandler(tree->parser, begins, ends);
    enum { PIECE = 1000 };
    for (size_t at = 0; at < size; at += PIECE) {
        size_t n = size - at < PIECE ? size - at : PIECE;
        if (XML_Parse(tree->parser, text + at, (int)n, at + n == size) != XML_STATUS_OK) {
            return XML_GetErrorCode(tree->parser);
        }
    }
    return XML_ERROR_NONE;
}

static size_t document(char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "<?xml version='1.0'?><shop>");
    for (int i = 0; i < 500; i++) {
        n +=
            (size_t)snprintf(out + n, room - n, "<item id='%d'><name>number %d &amp; more</name><price/></item>", i, i);
    }
    return n + (size_t)snprintf(out + n, room - n, "</shop>");
}

int main(void)
{
    static char text[100000];
    size_t size = document(text, sizeof text);
    struct allot_arena arena;
    struct tree tree;
    assert(allot_arena_init(&arena, NULL) == 0);
    for (int i = 0; i < 20; i++) {
        assert(parse(&arena, text, size, &tree) == XML_ERROR_NONE);
        assert(tree.elements == 1501 && tree.root->children == 500);
        assert(strcmp(tree.root->last->first->next->name, "price") == 0);
        allot_arena_reset(&arena, SIZE_MAX);
    }
    assert(parse(&arena, "<a><b></a>", 10, &tree) == XML_ERROR_TAG_MISMATCH);
    printf("expat: %d elements, 20 times in %zu bytes\n", 1501, arena.held);
    allot_arena_done(&arena);
    return 0;
}
