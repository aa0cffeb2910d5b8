/* libxml2.c - examples/hooks/libxml2.c: reads, changes and writes as libxml2 does by itself, and memory that is out at each
 * allocation is NULL; nothing of a document is left when its heap is gone. */
#include "hooks.h"

#define main example_main
#include "../../examples/hooks/libxml2.c"
#undef main

static char text[30000];

static const char rich[] =
    "<?xml version='1.0' encoding='iso-8859-1'?><!DOCTYPE a [<!ENTITY e 'an entity'><!ATTLIST a x CDATA 'd'>]>"
    "<a xmlns='urn:one' xmlns:t='urn:two'><!-- note --><t:b t:c='&lt;1&gt;'>&e; \xe9</t:b>"
    "<d><![CDATA[<raw>]]></d><?pi do?><long name='0123456789012345678901234567890123456789'>"
    "some text that is rather long, &#x20ac; and &amp;</long></a>";

static void session(struct allot_heap *heap)
{
    const char *texts[] = {text, rich};
    for (int i = 0; i < 2; i++) {
        int marked;
        xmlDoc *doc = read_document(heap, texts[i], strlen(texts[i]));
        CHECK(doc);
        xmlChar *out = change_document(heap, doc, &marked);
        CHECK(out && marked > 0);
        puts((char *)out);
        if (heap) {
            drop_document(heap);
        }
    }
}

static void plain(void *arg)
{
    (void)arg;
    session(NULL); /* the hooks are not set, and this means nothing */
}

static void hooked(void *arg)
{
    (void)arg;
    struct allot_heap heap;
    struct allot_stats before, after;
    CHECK(xml_on_allot() == 0 && allot_heap_init(&heap, NULL) == 0);
    allot_stats(&before);
    session(&heap);
    CHECK(ration.taken > 1000 && heap_blocks(&heap) == 0 && allot_heap_check(&heap));
    allot_heap_done(&heap);
    allot_stats(&after);
    CHECK(after.blocks == before.blocks);
    xmlCleanupParser();
}

/* A document that is freed as any other leaves nothing in its heap. */
static void freed(void *arg)
{
    (void)arg;
    struct allot_heap heap;
    CHECK(xml_on_allot() == 0 && allot_heap_init(&heap, NULL) == 0);
    int marked;
    xmlDoc *doc = read_document(&heap, rich, sizeof rich - 1);
    xmlFree(change_document(&heap, doc, &marked));
    CHECK(heap_blocks(&heap) > 20);
    xmlFreeDoc(doc);
    CHECK(heap_blocks(&heap) == 0);
    allot_heap_done(&heap);
}

static void silent(void *arg, const char *format, ...)
{
    (void)arg;
    (void)format;
}

static void runs_out(void *arg)
{
    xmlSetGenericErrorFunc(arg, silent);
    struct allot_heap heap;
    struct allot_stats before, after;
    CHECK(xml_on_allot() == 0 && allot_heap_init(&heap, NULL) == 0);
    allot_stats(&before);
    long failures = 0;
    int wanted, marked;
    xmlDoc *doc = read_document(&heap, rich, sizeof rich - 1);
    char *whole = strdup((char *)change_document(&heap, doc, &wanted));
    drop_document(&heap);
    EACH_ALLOCATION_FAILS(each)
    {
        doc = read_document(&heap, rich, sizeof rich - 1);
        xmlChar *out = doc ? change_document(&heap, doc, &marked) : NULL;
        /* Of one failure alone libxml2 may make nothing, or a document that lacks something. */
        CHECK(!ration.failed || each.once || !out);
        CHECK(ration.failed || (out && marked == wanted && strcmp((char *)out, whole) == 0));
        failures += out == NULL;
        drop_document(&heap);
        CHECK(allot_heap_check(&heap));
    }
    free(whole);
    allot_heap_done(&heap);
    allot_stats(&after);
    CHECK(after.blocks == before.blocks);
    printf("%ld", failures);
}

int main(void)
{
    example(text, sizeof text);
    char *wanted = output_of(plain, NULL), *got = output_of(hooked, NULL);
    CHECK(strlen(wanted) > 1000 && strcmp(got, wanted) == 0);
    free(got);
    free(wanted);
    free(output_of(freed, NULL));
    got = output_of(runs_out, NULL);
    CHECK(atol(got) > 100);
    free(got);
}
