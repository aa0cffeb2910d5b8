/* JSON, written as it goes: commas and quotes are right by themselves, and any bytes become valid text.
 *
 *   json_begin(&j, stdout); json_object(&j, NULL); json_number(&j, "peak", 12); json_end(&j);  ->  {"peak":12}
 *
 * `key` is a member's name in an object, NULL in an array. Depth 32 at most.
 */
#ifndef ALLOT_TOOL_JSON_H
#define ALLOT_TOOL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *to;
    unsigned depth;
    char close[32];
    bool some[32]; /* something stands in it already */
};

void json_begin(struct json *json, FILE *to);
void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_end(struct json *json);

void json_number(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
void json_real(struct json *json, const char *key, double value); /* what is no number is null */
void json_flag(struct json *json, const char *key, bool value);
void json_text(struct json *json, const char *key, const char *text); /* NULL is null */

#endif
