/* See json.h. */
#include <inttypes.h>
#include <math.h>

#include "json.h"
#include "words.h"

static void put_text(FILE *to, const char *text)
{
    size_t length;
    putc('"', to);
    for (; *text; text += length) {
        int32_t point = words_decode(text, &length);
        if (point < 0) {
            fputs("\\ufffd", to);
        } else if (!words_printable(point)) { /* all of them are below 2^16 */
            fprintf(to, "\\u%04x", (unsigned)point);
        } else {
            if (point == '"' || point == '\\') {
                putc('\\', to);
            }
            fwrite(text, 1, length, to);
        }
    }
    putc('"', to);
}

static void begin_value(struct json *json, const char *key)
{
    if (json->some[json->depth]) {
        putc_unlocked(',', json->to);
    }
    json->some[json->depth] = true;
    if (key) {
        put_text(json->to, key);
        putc(':', json->to);
    }
}

static void open(struct json *json, const char *key, const char *brackets)
{
    begin_value(json, key);
    putc(brackets[0], json->to);
    json->depth++;
    json->close[json->depth] = brackets[1];
    json->some[json->depth] = false;
}

void json_begin(struct json *json, FILE *to) { *json = (struct json){.to = to}; }
void json_object(struct json *json, const char *key) { open(json, key, "{}"); }
void json_array(struct json *json, const char *key) { open(json, key, "[]"); }

void json_end(struct json *json)
{
    putc(json->close[json->depth], json->to);
    json->depth--;
}

void json_number(struct json *json, const char *key, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    begin_value(json, key);
    do { /* a page has millions of them */
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    fwrite_unlocked(digits + at, 1, sizeof digits - at, json->to);
}

void json_signed(struct json *json, const char *key, int64_t value)
{
    begin_value(json, key);
    fprintf(json->to, "%" PRId64, value);
}

void json_real(struct json *json, const char *key, double value)
{
    begin_value(json, key);
    if (isfinite(value)) {
        fprintf(json->to, "%.6g", value);
    } else {
        fputs("null", json->to);
    }
}

void json_flag(struct json *json, const char *key, bool value)
{
    begin_value(json, key);
    fputs(value ? "true" : "false", json->to);
}

void json_text(struct json *json, const char *key, const char *text)
{
    begin_value(json, key);
    if (text) {
        put_text(json->to, text);
    } else {
        fputs("null", json->to);
    }
}
