/* curl.c - examples/hooks/curl.c: fetches what curl fetches by itself, and memory that is out at each allocation is
 * CURLE_OUT_OF_MEMORY; then the tag counts nothing any more. */
#include "hooks.h"

#define main example_main
#include "../../examples/hooks/curl.c"
#undef main

static void plain(void *url)
{
    struct sink sink;
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    CHECK(fetch(url, &sink) == CURLE_OK);
    fwrite(sink.text, 1, sink.size, stdout);
    curl_global_cleanup();
}

static void hooked(void *url)
{
    struct sink sink;
    CHECK(curl_on_allot(SIZE_MAX) == CURLE_OK);
    CHECK(fetch(url, &sink) == CURLE_OK && ration.taken > 20);
    fwrite(sink.text, 1, sink.size, stdout);
    curl_global_cleanup();
    CHECK(allot_tag_used(of_curl) == 0);
}

static void runs_out(void *url)
{
    struct sink sink;
    long failures = 0;
    CHECK(curl_on_allot(SIZE_MAX) == CURLE_OK); /* once: what its libraries begin with stays theirs */
    EACH_ALLOCATION_FAILS(each)
    {
        CURLcode status = fetch(url, &sink);
        CHECK(status == CURLE_OUT_OF_MEMORY || (status == CURLE_OK && sink.size == 3000));
        CHECK(status == CURLE_OK || ration.failed);
        failures += status != CURLE_OK;
    }
    curl_global_cleanup();
    CHECK(allot_tag_used(of_curl) == 0);
    printf("%ld", failures);
}

int main(void)
{
    char url[64], body[3001] = "";
    for (int i = 0; i < 3000; i++) {
        body[i] = "allot\n"[i % 6];
    }
    make_file(body, url);
    char *wanted = output_of(plain, url), *text = output_of(hooked, url);
    CHECK(strcmp(wanted, body) == 0 && strcmp(text, wanted) == 0);
    free(text);
    free(wanted);
    text = output_of(runs_out, url);
    CHECK(atol(text) > 20);
    free(text);
}
