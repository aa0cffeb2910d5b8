/* See check.h: the outcome as text, JSON, JUnit's XML and Markdown. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "command.h"
#include "json.h"
#include "outfile.h"
#include "words.h"

/* To the byte where it is that close. */
static struct words amount(const struct budget *b, uint64_t value)
{
    struct words out = b->bytes ? words_bytes(value) : words_count(value);
    if (b->bytes && b->is > b->most && strcmp(words_bytes(b->is).text, words_bytes(b->most).text) == 0) {
        struct words count = words_count(value);
        snprintf(out.text, sizeof out.text, "%.28s B", count.text);
    }
    return out;
}

static struct words change(const struct budget *b)
{
    struct words out = {"-"};
    if (b->has_base && b->base > 0) {
        snprintf(out.text, sizeof out.text, "%+.1f %%", 100.0 * ((double)b->is - (double)b->base) / (double)b->base);
    } else if (b->has_base && b->is > 0) {
        snprintf(out.text, sizeof out.text, "new");
    }
    return out;
}

static size_t broken(const struct checked *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->budgets; i++) {
        count += !budget_kept(&c->budget[i]);
    }
    return count;
}

void check_print(const struct checked *c, bool json)
{
    if (json) {
        struct json j;
        json_begin(&j, stdout);
        json_object(&j, NULL);
        json_text(&j, "trace", c->trace);
        json_text(&j, "baseline", c->baseline);
        json_flag(&j, "kept", broken(c) == 0);
        json_text(&j, "note", c->note[0] ? c->note : NULL);
        json_array(&j, "budgets");
        for (size_t i = 0; i < c->budgets; i++) {
            const struct budget *b = &c->budget[i];
            json_object(&j, NULL);
            json_text(&j, "name", b->name);
            json_text(&j, "unit", b->bytes ? "bytes" : "count");
            json_number(&j, "is", b->is);
            json_number(&j, "most", b->most);
            if (b->has_base) {
                json_number(&j, "baseline", b->base);
            } else {
                json_text(&j, "baseline", NULL);
            }
            json_flag(&j, "kept", budget_kept(b));
            json_text(&j, "from", b->from[0] ? b->from : NULL);
            json_end(&j);
        }
        json_end(&j);
        json_end(&j);
        putchar('\n');
        return;
    }
    for (size_t i = 0; i < c->budgets; i++) {
        const struct budget *b = &c->budget[i];
        bool kept = budget_kept(b);
        printf("%-4s  %-9s %10s, %s most %s", kept ? "ok" : "OVER", b->name, amount(b, b->is).text,
               kept ? "at" : "of at", amount(b, b->most).text);
        if (b->has_base) {
            printf(", %s against the baseline's %s", change(b).text, amount(b, b->base).text);
        }
        if (!kept && b->from[0]) {
            printf("; most from ");
            words_put(stdout, b->from, 0);
        }
        putchar('\n');
    }
    if (c->note[0]) {
        words_put(stdout, c->note, 0);
        putchar('\n');
    }
}

/* -- files -- */

/* In memory first, then whole under its name. */
static bool put_file(const struct checked *c, const char *path, void (*write)(const struct checked *, FILE *))
{
    int fd = memfd_create("check", MFD_CLOEXEC);
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    int error = ENOMEM;
    if (to) {
        write(c, to);
        error = fflush(to) == 0 ? -outfile_write(path, fd) : errno;
        fclose(to);
    } else if (fd >= 0) {
        close(fd);
    }
    if (error) {
        complain("cannot write, %s, %s", path, strerror(error));
    }
    return error == 0;
}

/* What XML cannot hold at all is a question mark. */
static void put_xml(FILE *to, const char *text)
{
    size_t length;
    for (; *text; text += length) {
        int32_t point = words_decode(text, &length);
        const char *named = point == '<'   ? "&lt;"
                            : point == '>' ? "&gt;"
                            : point == '&' ? "&amp;"
                            : point == '"' ? "&quot;"
                                           : NULL;
        if (named) {
            fputs(named, to);
        } else if (point < ' ' || point == 0x7f || point == 0xfffe || point == 0xffff) {
            putc('?', to);
        } else {
            fwrite(text, 1, length, to);
        }
    }
}

static void write_junit(const struct checked *c, FILE *to)
{
    fprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"allot check ");
    put_xml(to, words_base(c->trace));
    fprintf(to, "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\">\n", c->budgets, broken(c));
    for (size_t i = 0; i < c->budgets; i++) {
        const struct budget *b = &c->budget[i];
        fprintf(to, "  <testcase classname=\"");
        put_xml(to, words_base(c->trace));
        fprintf(to, "\" name=\"");
        put_xml(to, b->option);
        if (budget_kept(b)) {
            fprintf(to, "\"/>\n");
            continue;
        }
        fprintf(to, "\">\n    <failure message=\"%s is %s, of at most %s\">", b->name, amount(b, b->is).text,
                amount(b, b->most).text);
        if (b->has_base) {
            fprintf(to, "baseline %s, %s; ", amount(b, b->base).text, change(b).text);
        }
        fprintf(to, b->from[0] ? "most from " : "");
        put_xml(to, b->from);
        fprintf(to, "</failure>\n  </testcase>\n");
    }
    if (c->note[0]) {
        fprintf(to, "  <system-out>");
        put_xml(to, c->note);
        fprintf(to, "</system-out>\n");
    }
    fprintf(to, "</testsuite>\n");
}

static void put_cell(FILE *to, const char *text)
{
    size_t length;
    for (; *text; text += length) {
        int32_t point = words_decode(text, &length);
        if (point < ' ' || point == 0x7f) {
            putc('?', to);
        } else {
            if (point < 0x80 && strchr("|\\`*_<>[]&", (int)point)) {
                putc('\\', to);
            }
            fwrite(text, 1, length, to);
        }
    }
}

static void write_markdown(const struct checked *c, FILE *to)
{
    size_t over = broken(c);
    fprintf(to, "### Memory of ");
    put_cell(to, words_base(c->trace));
    if (over) {
        fprintf(to, ": %zu budget%s broken\n\n", over, words_s(over));
    } else {
        fprintf(to, ": within its budgets\n\n");
    }
    fprintf(to, "| | is | at most | baseline | change | most from |\n|---|---:|---:|---:|---:|---|\n");
    for (size_t i = 0; i < c->budgets; i++) {
        const struct budget *b = &c->budget[i];
        fprintf(to, "| %s%s | %s | %s | %s | %s | ", b->name, budget_kept(b) ? "" : " **over**", amount(b, b->is).text,
                amount(b, b->most).text, b->has_base ? amount(b, b->base).text : "-", change(b).text);
        put_cell(to, b->from);
        fprintf(to, " |\n");
    }
    if (c->note[0]) {
        fprintf(to, "\n");
        put_cell(to, c->note);
        fprintf(to, "\n");
    }
}

bool check_write_junit(const struct checked *c, const char *path) { return put_file(c, path, write_junit); }
bool check_write_markdown(const struct checked *c, const char *path) { return put_file(c, path, write_markdown); }
