/* See words.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "words.h"

struct words words_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct words out;
    double size = (double)bytes;
    unsigned u = 0;
    for (; size >= 1024 && u < 6; u++) {
        size /= 1024;
    }
    snprintf(out.text, sizeof out.text, u ? "%.1f %s" : "%.0f %s", size, units[u]);
    return out;
}

struct words words_change(uint64_t before, uint64_t now)
{
    struct words out, size = words_bytes(now > before ? now - before : before - now);
    snprintf(out.text, sizeof out.text, "%s%.30s", now > before ? "+" : now < before ? "-" : "", size.text);
    return out;
}

struct words words_count(uint64_t count)
{
    struct words out;
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            out.text[at++] = ',';
        }
        out.text[at++] = digits[i];
    }
    out.text[at] = '\0';
    return out;
}

struct words words_ns(uint64_t ns)
{
    static const struct {
        uint64_t from;
        double unit;
        const char *name;
    } scale[] = {{7200000000000, 3600e9, "h"},
                 {120000000000, 60e9, "min"},
                 {1000000000, 1e9, "s"},
                 {1000000, 1e6, "ms"},
                 {1000, 1e3, "us"}};
    struct words out;
    for (size_t i = 0; i < sizeof scale / sizeof scale[0]; i++) {
        if (ns >= scale[i].from) {
            double value = (double)ns / scale[i].unit;
            char digits[24];
            size_t length = (size_t)snprintf(digits, sizeof digits, "%.*f",
                                             value < 9.995   ? 2
                                             : value < 99.95 ? 1
                                                             : 0,
                                             value);
            while (strchr(digits, '.') && strchr("0.", digits[length - 1])) { /* 1 ms, not 1.00 ms */
                digits[--length] = '\0';
            }
            snprintf(out.text, sizeof out.text, "%s %s", digits, scale[i].name);
            return out;
        }
    }
    snprintf(out.text, sizeof out.text, "%u ns", (unsigned)ns);
    return out;
}

struct words words_percent(uint64_t part, uint64_t whole)
{
    struct words out;
    double value = whole ? 100.0 * (double)part / (double)whole : 0;
    /* What is not all is never called all, nor what is something nothing. */
    if (part < whole && value > 99.9) {
        value = 99.9;
    }
    if (part > 0 && value < 0.1) {
        snprintf(out.text, sizeof out.text, "<0.1 %%");
    } else {
        snprintf(out.text, sizeof out.text, "%.*f %%", (value > 0 && value < 10) || (value > 99 && value < 100) ? 1 : 0,
                 value);
    }
    return out;
}

const char *words_s(uint64_t count) { return count == 1 ? "" : "s"; }

int32_t words_decode(const char *text, size_t *length)
{
    const unsigned char *c = (const unsigned char *)text;
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned bytes = c[0] < 0x80 ? 1 : c[0] >> 5 == 6 ? 2 : c[0] >> 4 == 14 ? 3 : c[0] >> 3 == 30 ? 4 : 0;
    int32_t point = bytes < 2 ? c[0] : c[0] & (0x7f >> bytes);

    *length = 1;
    for (unsigned i = 1; i < bytes; i++) {
        if (c[i] >> 6 != 2) {
            return -1;
        }
        point = point << 6 | (c[i] & 0x3f);
    }
    if (bytes == 0 || point < least[bytes] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
        return -1;
    }
    *length = bytes;
    return point;
}

bool words_printable(int32_t point)
{
    return point >= ' ' && !(point >= 0x7f && point < 0xa0) && !(point >= 0x200b && point <= 0x200f) &&
           !(point >= 0x2028 && point <= 0x202e) && !(point >= 0x2060 && point <= 0x206f) && point != 0xfeff;
}

size_t words_put(FILE *to, const char *text, size_t width)
{
    size_t columns = 0, all = 0, length;
    for (const char *c = text; *c && (width == 0 || all <= width); c += length) {
        words_decode(c, &length);
        all++;
    }
    size_t most = width == 0 ? SIZE_MAX : all <= width ? width : width > 3 ? width - 3 : 0;
    for (const char *c = text; *c && columns < most; c += length, columns++) {
        int32_t point = words_decode(c, &length);
        if (words_printable(point)) {
            fwrite(c, 1, length, to);
        } else {
            putc('?', to);
        }
    }
    if (width > 0 && all > width) {
        fputs("...", to);
        columns += 3;
    }
    return columns;
}

const char *words_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

bool words_read_bytes(const char *text, uint64_t *bytes)
{
    static const char units[] = "kmgtp";
    char *end;
    double value = isdigit((unsigned char)text[0]) ? strtod(text, &end) : -1;
    if (!(value >= 0)) {
        return false;
    }
    const char *unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
    if (unit) {
        for (const char *u = units; u <= unit; u++) {
            value *= 1024;
        }
        end++;
        end += *end == 'i';
        end += *end == 'B' || *end == 'b';
    }
    if (*end || value >= 18e18) {
        return false;
    }
    *bytes = (uint64_t)value;
    return true;
}

static bool read_in(const char *text, const char *end, int base, uint64_t most, uint64_t *number)
{
    char *stop;
    int kept = errno;
    errno = 0;
    unsigned long long value = strtoull(text, &stop, base);
    bool is = isdigit((unsigned char)text[0]) && stop == end && !errno && value <= most;
    errno = kept;
    *number = is ? value : 0;
    return is;
}

bool words_read_part(const char *text, const char *end, uint64_t most, uint64_t *number)
{
    return read_in(text, end, 10, most, number);
}

bool words_read_number(const char *text, uint64_t most, uint64_t *number)
{
    return words_read_part(text, text + strlen(text), most, number);
}

bool words_read_address(const char *text, uint64_t *address)
{
    return read_in(text, text + strlen(text), 0, UINT64_MAX, address) && *address != 0;
}

bool words_read_ns(const char *text, uint64_t *ns)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"min", 60e9}, {"h", 3600e9}};
    char *end;
    double value = isdigit((unsigned char)text[0]) ? strtod(text, &end) : -1;
    for (size_t i = 0; value >= 0 && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].name) == 0 && value * units[i].ns < 9e18) {
            *ns = (uint64_t)(value * units[i].ns);
            return true;
        }
    }
    return false;
}

bool words_colour(void) { return isatty(STDOUT_FILENO) && !getenv("NO_COLOR"); }

size_t words_columns(void)
{
    struct winsize size;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool words_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) {
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
        }
    }
    return false;
}
