/* See symbols_file.h.
 *
 * libdw reads DWARF; what it would look for by going through all of a unit or all symbols for each address is sorted once here:
 * ranges -> compilation unit, of a unit that is asked ranges -> function, and symbols by address.
 */
#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbols_file.h"

#define DEEPEST 128 /* of DIEs: a broken file may have no end */

struct range {
    Dwarf_Addr low, high;
    uint32_t of; /* index of its unit or function */
};
struct ranges {
    struct range *range;
    size_t count, room;
};

struct unit {
    Dwarf_Die die;  /* has the lines */
    Dwarf_Die full; /* has the functions: another one where DWARF is split */
    bool asked;
    Dwarf_Die *function;
    size_t functions, room;
    struct ranges ranges;
};

struct symbol {
    GElf_Addr from, to;
    const char *name;
    int rank; /* of those at one address the highest has the name */
};

struct symbols_file {
    char *path;
    unsigned char build_id[32];
    unsigned build_id_bytes;
    bool asked, changed;
    Dwfl *dwfl;
    Dwfl_Module *module;
    Dwarf *dwarf;
    GElf_Addr bias;        /* what libdwfl adds to the file's addresses */
    Dwarf_Addr dwarf_bias; /* and to DWARF's, which may be another file's */
    struct unit *unit;
    size_t units, unit_room;
    struct ranges ranges;
    struct symbol *symbol;
    size_t symbols;
};

struct symbols_file *symbols_file_open(const char *path, const unsigned char *build_id, unsigned build_id_bytes)
{
    struct symbols_file *file = calloc(1, sizeof *file);
    if (file && !(file->path = strdup(path))) {
        free(file);
        return NULL;
    }
    if (file) {
        file->build_id_bytes = build_id_bytes < sizeof file->build_id ? build_id_bytes : sizeof file->build_id;
        memcpy(file->build_id, build_id, file->build_id_bytes);
    }
    return file;
}

void symbols_file_close(struct symbols_file *file)
{
    for (size_t i = 0; i < file->units; i++) {
        free(file->unit[i].function);
        free(file->unit[i].ranges.range);
    }
    if (file->dwfl) {
        dwfl_end(file->dwfl);
    }
    free(file->unit);
    free(file->ranges.range);
    free(file->symbol);
    free(file->path);
    free(file);
}

bool symbols_file_is(const struct symbols_file *file, const char *path, const unsigned char *build_id,
                     unsigned build_id_bytes)
{
    return strcmp(file->path, path) == 0 && file->build_id_bytes == build_id_bytes &&
           memcmp(file->build_id, build_id, build_id_bytes) == 0;
}

const char *symbols_file_changed(const struct symbols_file *file) { return file->changed ? file->path : NULL; }

/* -- the file -- */

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo, /* asks the servers of DEBUGINFOD_URLS as well */
    .section_address = dwfl_offline_section_address,
};

/* A pipe or a device under that name, which somebody else's trace may say, is not to be opened. */
static bool is_file(const char *path)
{
    struct stat st;
    return path[0] == '/' && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Whether the file at `path` has the build-id wanted; true where none is wanted. */
static bool has_build_id(const struct symbols_file *file, const char *path)
{
    int fd = is_file(path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    if (fd < 0) {
        return false;
    }
    elf_version(EV_CURRENT); /* libelf does nothing before it has heard this */
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    const void *id = NULL;
    ssize_t bytes = elf ? dwelf_elf_gnu_build_id(elf, &id) : -1;
    bool same = elf && elf_kind(elf) == ELF_K_ELF &&
                (file->build_id_bytes == 0 ||
                 (bytes == (ssize_t)file->build_id_bytes && memcmp(id, file->build_id, (size_t)bytes) == 0));
    elf_end(elf);
    close(fd);
    return same;
}

/* Asks the servers for what has the build-id. The library is loaded only then. */
static bool ask_servers(const struct symbols_file *file, char *path, size_t room)
{
    const char *servers = getenv("DEBUGINFOD_URLS");
    void *library = servers && *servers ? dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) {
        return false;
    }
    void *(*begin)(void) = (void *(*)(void))dlsym(library, "debuginfod_begin");
    void (*end)(void *) = (void (*)(void *))dlsym(library, "debuginfod_end");
    int (*find)(void *, const unsigned char *, int, char **) =
        (int (*)(void *, const unsigned char *, int, char **))dlsym(library, "debuginfod_find_debuginfo");
    void *client = begin && end && find ? begin() : NULL;
    char *found = NULL;
    if (client) {
        int fd = find(client, file->build_id, (int)file->build_id_bytes, &found);
        if (fd >= 0) {
            close(fd);
        }
        end(client);
    }
    bool fits = found && (size_t)snprintf(path, room, "%s", found) < room;
    free(found);
    return fits;
}

/* Where what has the build-id can be read. */
static bool find_file(const struct symbols_file *file, char *path, size_t room)
{
    if (has_build_id(file, file->path)) {
        return (size_t)snprintf(path, room, "%s", file->path) < room;
    }
    if (file->build_id_bytes < 2) {
        return false;
    }
    size_t length = (size_t)snprintf(path, room, "/usr/lib/debug/.build-id/%02x/", file->build_id[0]);
    for (unsigned i = 1; i < file->build_id_bytes; i++) {
        length += (size_t)snprintf(path + length, room - length, "%02x", file->build_id[i]);
    }
    snprintf(path + length, room - length, ".debug");
    return has_build_id(file, path) || ask_servers(file, path, room);
}

static int by_low(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->low != y->low ? (x->low > y->low ? 1 : -1) : (x->high > y->high) - (x->high < y->high);
}

static void add_range(struct ranges *ranges, Dwarf_Addr low, Dwarf_Addr high, size_t of)
{
    if (ranges->count == ranges->room) {
        size_t room = ranges->room ? 2 * ranges->room : 64;
        struct range *grown = realloc(ranges->range, room * sizeof *grown);
        if (!grown) {
            return;
        }
        ranges->range = grown;
        ranges->room = room;
    }
    ranges->range[ranges->count++] = (struct range){low, high, (uint32_t)of};
}

static void add_ranges(struct ranges *ranges, Dwarf_Die *die, size_t of)
{
    Dwarf_Addr base, low, high;
    for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &low, &high)) > 0;) {
        /* What the linker threw away stands at 0. */
        if (low < high && low > 0) {
            add_range(ranges, low, high, of);
        }
    }
}

static const struct range *find_range(const struct ranges *ranges, Dwarf_Addr pc)
{
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->range[middle].low <= pc) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && pc < ranges->range[low - 1].high ? &ranges->range[low - 1] : NULL;
}

static void read_units(struct symbols_file *file)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die die, sub;
    uint8_t type;
    while (dwarf_get_units(file->dwarf, unit, &unit, NULL, &type, &die, &sub) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton && type != DW_UT_partial) {
            continue;
        }
        if (file->units == file->unit_room) {
            size_t room = file->unit_room ? 2 * file->unit_room : 64;
            struct unit *grown = realloc(file->unit, room * sizeof *grown);
            if (!grown) {
                return;
            }
            file->unit = grown;
            file->unit_room = room;
        }
        add_ranges(&file->ranges, &die, file->units);
        bool split = type == DW_UT_skeleton && dwarf_tag(&sub) != DW_TAG_invalid;
        file->unit[file->units++] = (struct unit){.die = die, .full = split ? sub : die};
    }
    if (file->ranges.count) {
        qsort(file->ranges.range, file->ranges.count, sizeof *file->ranges.range, by_low);
    }
}

static int by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    return x->from != y->from ? (x->from > y->from ? 1 : -1) : x->rank - y->rank;
}

static void read_symbols(struct symbols_file *file)
{
    int count = dwfl_module_getsymtab(file->module);
    file->symbol = count > 0 ? malloc((size_t)count * sizeof *file->symbol) : NULL;
    for (int i = 1; file->symbol && i < count; i++) {
        GElf_Sym sym;
        GElf_Addr address;
        GElf_Word section;
        const char *name = dwfl_module_getsym_info(file->module, i, &sym, &address, &section, NULL, NULL);
        int type = GELF_ST_TYPE(sym.st_info);
        if (!name || !*name || *name == '$' || section == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC)) {
            continue;
        }
        /* The name that people use: malloc, not __libc_malloc. */
        size_t underscores = name[0] == '_' && name[1] == 'Z' ? 0 : strspn(name, "_");
        int rank = (GELF_ST_BIND(sym.st_info) != STB_LOCAL) * 8 + 4 - (int)(underscores < 4 ? underscores : 4);
        file->symbol[file->symbols++] = (struct symbol){address, address + sym.st_size, name, rank};
    }
    if (file->symbols) {
        qsort(file->symbol, file->symbols, sizeof *file->symbol, by_address);
    }
}

static void ask(struct symbols_file *file)
{
    char path[PATH_MAX];
    file->asked = true;
    if (!find_file(file, path, sizeof path)) {
        file->changed = file->build_id_bytes > 0 && is_file(file->path);
        return;
    }
    file->dwfl = dwfl_begin(&callbacks);
    if (!file->dwfl) {
        return;
    }
    dwfl_report_begin(file->dwfl);
    file->module = dwfl_report_offline(file->dwfl, file->path, path, -1);
    dwfl_report_end(file->dwfl, NULL, NULL);
    if (!file->module || !dwfl_module_getelf(file->module, &file->bias)) {
        file->module = NULL;
        return;
    }
    file->dwarf = dwfl_module_getdwarf(file->module, &file->dwarf_bias);
    if (file->dwarf) {
        read_units(file);
    }
    read_symbols(file);
}

/* -- functions of a unit -- */

static void read_functions(struct unit *unit, Dwarf_Die *parent, unsigned depth)
{
    Dwarf_Die die;
    for (int more = dwarf_child(parent, &die); more == 0 && depth < DEEPEST; more = dwarf_siblingof(&die, &die)) {
        switch (dwarf_tag(&die)) {
        case DW_TAG_subprogram:
            if (unit->functions == unit->room) {
                size_t room = unit->room ? 2 * unit->room : 64;
                Dwarf_Die *grown = realloc(unit->function, room * sizeof *grown);
                if (!grown) {
                    return;
                }
                unit->function = grown;
                unit->room = room;
            }
            size_t before = unit->ranges.count;
            add_ranges(&unit->ranges, &die, unit->functions);
            if (unit->ranges.count > before) {
                unit->function[unit->functions++] = die;
            }
            break;
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
        case DW_TAG_union_type:
        case DW_TAG_enumeration_type:
            read_functions(unit, &die, depth + 1);
            break;
        default:
            break;
        }
    }
}

/* The functions inlined around `pc` below `parent`, outermost first, into chain[count] on. How many there are then. */
static size_t read_inlined(Dwarf_Die *parent, Dwarf_Addr pc, Dwarf_Die *chain, size_t count, unsigned depth)
{
    Dwarf_Die die;
    for (int more = dwarf_child(parent, &die); more == 0 && depth < DEEPEST; more = dwarf_siblingof(&die, &die)) {
        int tag = dwarf_tag(&die);
        if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
             tag == DW_TAG_catch_block) &&
            dwarf_haspc(&die, pc) > 0) {
            if (tag == DW_TAG_inlined_subroutine) {
                if (count == SYMBOLS_DEEPEST) {
                    return count;
                }
                chain[count++] = die;
            }
            return read_inlined(&die, pc, chain, count, depth + 1);
        }
    }
    return count;
}

static const char *name_of(Dwarf_Die *die, const char **plain)
{
    Dwarf_Attribute attribute;
    const char *mangled = NULL, *name = NULL;
    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
        dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute)) {
        mangled = dwarf_formstring(&attribute);
    }
    if (dwarf_attr_integrate(die, DW_AT_name, &attribute)) {
        name = dwarf_formstring(&attribute);
    }
    *plain = name;
    return mangled ? mangled : name;
}

/* Where the inlined function was called: in the frame behind it. */
static void call_of(Dwarf_Die *unit, Dwarf_Die *die, struct symbol_frame *out)
{
    Dwarf_Attribute attribute;
    Dwarf_Word file, line;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) == 0 &&
        dwarf_getsrcfiles(unit, &files, &count) == 0 && file < count) {
        out->file = dwarf_filesrc(files, file, NULL, NULL);
    }
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line) == 0 && line <= UINT32_MAX) {
        out->line = (uint32_t)line;
    }
}

static size_t find_in_unit(struct unit *unit, Dwarf_Addr pc, struct symbol_frame *out)
{
    Dwarf_Die chain[SYMBOLS_DEEPEST];
    size_t count = 0;
    if (!unit->asked) {
        unit->asked = true;
        read_functions(unit, &unit->full, 0);
        if (unit->ranges.count) {
            qsort(unit->ranges.range, unit->ranges.count, sizeof *unit->ranges.range, by_low);
        }
    }
    const struct range *range = find_range(&unit->ranges, pc);
    if (range) {
        chain[0] = unit->function[range->of];
        count = read_inlined(&chain[0], pc, chain, 1, 0);
    }
    Dwarf_Line *line = dwarf_getsrc_die(&unit->die, pc);
    int number = 0;
    out[0].file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    out[0].line = line && dwarf_lineno(line, &number) == 0 && number > 0 ? (uint32_t)number : 0;
    for (size_t i = 0; i < count; i++) { /* frame i is chain[count - 1 - i] */
        Dwarf_Die *die = &chain[count - 1 - i];
        const char *plain;
        out[i].symbol = name_of(die, &plain);
        out[i].function = plain;
        if (i + 1 < count) {
            out[i].inlined = true;
            call_of(&unit->die, die, &out[i + 1]);
        }
    }
    return count;
}

/* -- the answer -- */

static const char *symbol_at(const struct symbols_file *file, GElf_Addr address)
{
    size_t low = 0, high = file->symbols;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (file->symbol[middle].from <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    /* The last that begins before; one without a size goes as far as the next. */
    for (size_t i = low, tried = 0; i > 0 && tried < 8; i--, tried++) {
        const struct symbol *s = &file->symbol[i - 1];
        if (address < s->to || (s->from == s->to && i == low)) {
            return s->name;
        }
    }
    return NULL;
}

size_t symbols_file_find(struct symbols_file *file, uint64_t offset, struct symbol_frame *out)
{
    if (!file->asked) {
        ask(file);
    }
    memset(out, 0, SYMBOLS_DEEPEST * sizeof *out);
    size_t count = 0;
    if (file->module) {
        GElf_Addr address = offset + file->bias;
        const struct range *range = file->dwarf ? find_range(&file->ranges, address - file->dwarf_bias) : NULL;
        if (range) {
            count = find_in_unit(&file->unit[range->of], address - file->dwarf_bias, out);
        }
        if (count == 0 || !out[count - 1].symbol) {
            count = count ? count : 1;
            out[count - 1].symbol = symbol_at(file, address);
        }
    }
    count = count ? count : 1;
    for (size_t i = 0; i < count; i++) {
        out[i].module = file->path;
    }
    return count;
}
