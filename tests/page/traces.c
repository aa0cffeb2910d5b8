/* page/traces.c - the traces of page/made.h as files: NAME [REFERENCES] on standard output, one id a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page/made.h"

int main(int argc, char **argv)
{
    size_t references = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    struct made trace;
    if (argc > 1 && strcmp(argv[1], "zipf1.0") == 0) {
        trace = made_zipf(100000, 1.0, references, 0x9e3779b97f4a7c15u, 0);
    } else if (argc > 1 && strcmp(argv[1], "zipf0.8scan") == 0) {
        trace = made_zipf(100000, 0.8, references, 0xd1b54a32d192ed03u, 50000);
    } else if (argc > 1 && strcmp(argv[1], "loop") == 0) {
        trace = made_loop(1200, references);
    } else {
        fprintf(stderr, "usage: %s zipf1.0 | zipf0.8scan | loop [REFERENCES]\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < trace.references; i++) {
        printf("%u\n", trace.page[i]);
    }
    made_free(&trace);
    return ferror(stdout) != 0;
}
