/* curl.c - libcurl on allot's memory: curl_global_init_mem under a tag, which counts what curl holds, and limits it.
 *
 * The hooks are the process's, come without a context, free without a size, and are called by all threads: allot's malloc stands
 * behind them, under a tag. A block keeps its tag, so free and realloc are allot's own. What curl's TLS library and the resolver
 * take is theirs, and not seen here.
 *
 *     cc curl.c $(pkg-config --cflags --libs libcurl allot)
 */
#undef NDEBUG
#define _GNU_SOURCE
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <curl/curl.h>

#include <allot/malloc.h>
#include <allot/tag.h>

static struct allot_tag *of_curl;

static void *curl_memory_malloc(size_t size)
{
    struct allot_tag *outside = allot_tag_enter(of_curl);
    void *p = allot_malloc(size);
    allot_tag_enter(outside);
    return p;
}

static void *curl_memory_calloc(size_t n, size_t size)
{
    struct allot_tag *outside = allot_tag_enter(of_curl);
    void *p = allot_calloc(n, size);
    allot_tag_enter(outside);
    return p;
}

static void *curl_memory_realloc(void *p, size_t size) { return p ? allot_realloc(p, size) : curl_memory_malloc(size); }

static char *curl_memory_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = curl_memory_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* In place of curl_global_init, with a limit for all that curl holds. */
static CURLcode curl_on_allot(size_t limit)
{
    of_curl = allot_tag("curl", limit);
    return of_curl ? curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_memory_malloc, allot_free, curl_memory_realloc,
                                          curl_memory_strdup, curl_memory_calloc)
                   : CURLE_OUT_OF_MEMORY;
}

/* Where a transfer goes: the caller's. */
struct sink {
    char text[4096];
    size_t size;
};

static size_t receive(char *data, size_t one, size_t size, void *arg)
{
    struct sink *sink = arg;
    size_t room = sizeof sink->text - sink->size, n = size < room ? size : room;
    memcpy(sink->text + sink->size, data, n * one);
    sink->size += n;
    return n;
}

/* Fetches what the URL names. CURLE_OK, or curl's error. */
static CURLcode fetch(const char *url, struct sink *sink)
{
    sink->size = 0;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: text/plain");
    CURLcode status = curl && headers ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    if (status == CURLE_OK) {
        status = curl_easy_setopt(curl, CURLOPT_URL, url);
    }
    if (status == CURLE_OK) {
        status = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    }
    if (status == CURLE_OK) {
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
        status = curl_easy_perform(curl);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return status;
}

/* A file: URL of a file with that text, which is not there any more when the process ends. */
static void make_file(const char *text, char url[64])
{
    int fd = memfd_create("curl", 0);
    assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    snprintf(url, 64, "file:///proc/self/fd/%d", fd);
}

int main(void)
{
    char url[64];
    make_file("What curl has fetched.\n", url);
    assert(curl_on_allot(1 << 20) == CURLE_OK);
    struct sink sink;
    assert(fetch(url, &sink) == CURLE_OK);
    assert(sink.size == 23 && memcmp(sink.text, "What curl has fetched.\n", 23) == 0);
    assert(fetch("file:///nowhere/at/all", &sink) == CURLE_FILE_COULDNT_READ_FILE);
    allot_tag("curl", 100); /* from now on at most 100 bytes */
    assert(fetch(url, &sink) == CURLE_OUT_OF_MEMORY);
    allot_tag("curl", SIZE_MAX);
    assert(fetch(url, &sink) == CURLE_OK);
    curl_global_cleanup();
    printf("curl: %.*s", (int)sink.size, sink.text);
    assert(allot_tag_used(of_curl) == 0);
    return 0;
}
