/* libxml2.c - libxml2 on allot's memory: each document in a heap of its own, dropped in one call.
 *
 * xmlMemSetup's hooks are the process's and come without a context, so a variable of the thread says whose memory it is: the
 * document's heap while one is read or changed, allot's malloc otherwise. Blocks of both are freed by allot_free, which needs no
 * size. A document goes with its heap; xmlFreeDoc, which visits every node, is not called.
 *
 * What libxml2 keeps for the process or the thread must not come to lie in a document: xmlInitParser makes it beforehand, as a
 * program has to do with catalogs that it uses, and the error that a thread remembers is forgotten before the document goes.
 *
 *     cc libxml2.c $(pkg-config --cflags --libs libxml-2.0 allot)
 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <libxml/globals.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlmemory.h>

#include <allot/heap.h>

static _Thread_local struct allot_heap *document;

static void *xml_malloc(size_t size) { return document ? allot_heap_alloc(document, size) : allot_malloc(size); }

static void *xml_realloc(void *p, size_t size)
{
    if (!document) {
        return allot_realloc(p, size);
    }
    if (p && allot_try_expand(p, size)) {
        return p;
    }
    void *q = allot_heap_alloc(document, size);
    if (p && q) {
        size_t was = allot_malloc_usable_size(p);
        memcpy(q, p, was < size ? was : size);
        allot_free(p);
    }
    return q;
}

static char *xml_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = xml_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* Before anything else of libxml2 is called. */
static int xml_on_allot(void)
{
    int status = xmlMemSetup(allot_free, xml_malloc, xml_realloc, xml_strdup);
    xmlInitParser();
    return status;
}

/* Reads a document into the heap; NULL when it is not well-formed, or memory is out. */
static xmlDoc *read_document(struct allot_heap *heap, const char *text, size_t size)
{
    document = heap;
    xmlDoc *doc = xmlReadMemory(text, (int)size, NULL, NULL, XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET);
    document = NULL;
    return doc;
}

/* Gives each element that has text a property. How many there are, or -1: memory is out. */
static int mark(xmlNode *n)
{
    int marked = 0;
    for (; n; n = n->next) {
        if (n->type != XML_ELEMENT_NODE) {
            continue;
        }
        int inside = mark(n->children);
        bool text = n->children && n->children->type == XML_TEXT_NODE;
        if (inside < 0 || (text && !xmlNewProp(n, (const xmlChar *)"text", (const xmlChar *)"yes"))) {
            return -1;
        }
        marked += inside + text;
    }
    return marked;
}

/* Marks it, and writes it. The text lies in the heap too; NULL: memory is out. */
static xmlChar *change_document(struct allot_heap *heap, xmlDoc *doc, int *marked)
{
    xmlChar *out = NULL;
    int size;
    document = heap;
    *marked = mark(xmlDocGetRootElement(doc));
    if (*marked >= 0) {
        xmlDocDumpMemory(doc, &out, &size);
    }
    document = NULL;
    return out;
}

/* A document, and all that was made of it. */
static void drop_document(struct allot_heap *heap)
{
    xmlResetLastError();
    allot_heap_reset(heap);
}

static size_t example(char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "<shop>");
    for (int i = 0; i < 200; i++) {
        n += (size_t)snprintf(out + n, room - n, "<item id='%d'><name>n&amp;%d</name><price/></item>", i, i);
    }
    return n + (size_t)snprintf(out + n, room - n, "</shop>");
}

int main(void)
{
    static char text[30000];
    size_t size = example(text, sizeof text);
    assert(xml_on_allot() == 0);
    struct allot_stats before, after;
    allot_stats(&before);
    struct allot_heap heap;
    assert(allot_heap_init(&heap, NULL) == 0);
    for (int i = 0; i < 20; i++) {
        int marked;
        xmlDoc *doc = read_document(&heap, text, size);
        assert(doc);
        xmlChar *out = change_document(&heap, doc, &marked);
        assert(out && marked == 200);
        assert(strstr((char *)out, "<item id=\"7\"><name text=\"yes\">n&amp;7</name><price/></item>"));
        drop_document(&heap);
    }
    assert(!read_document(&heap, "<a><b></a>", 10));
    drop_document(&heap);
    allot_heap_done(&heap);
    allot_stats(&after);
    assert(after.blocks == before.blocks); /* nothing of a document was malloc's */
    xmlCleanupParser();
    printf("libxml2: 20 documents, each dropped with its heap\n");
    return 0;
}
