/* module.c - the executable and the libraries of a dead process; see module.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/module.h"

enum { MOST_HEADERS = 512 };

/* Some bytes of an ELF file or of its image in memory: as much as there is. */
struct piece {
    const unsigned char *at;
    size_t bytes;
};

static bool within(const struct piece *piece, uint64_t offset, uint64_t bytes)
{
    return offset <= piece->bytes && bytes <= piece->bytes - offset;
}

static bool is_elf(const struct piece *piece, unsigned machine, Elf64_Ehdr *e)
{
    if (!within(piece, 0, sizeof *e)) {
        return false;
    }
    memcpy(e, piece->at, sizeof *e);
    return memcmp(e->e_ident, ELFMAG, SELFMAG) == 0 && e->e_ident[EI_CLASS] == ELFCLASS64 &&
           e->e_ident[EI_DATA] == ELFDATA2LSB && e->e_machine == machine &&
           (e->e_type == ET_EXEC || e->e_type == ET_DYN) && e->e_phentsize == sizeof(Elf64_Phdr) && e->e_phnum > 0 &&
           e->e_phnum <= MOST_HEADERS && within(piece, e->e_phoff, e->e_phnum * sizeof(Elf64_Phdr));
}

static unsigned note_build_id(const struct piece *piece, uint64_t offset, uint64_t bytes, unsigned char id[64])
{
    if (!within(piece, offset, bytes)) {
        return 0;
    }
    const unsigned char *at = piece->at + offset, *end = at + bytes;
    while (end - at >= (ptrdiff_t)sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        memcpy(&note, at, sizeof note);
        at += sizeof note;
        uint64_t name = ((uint64_t)note.n_namesz + 3) & ~3ull, text = ((uint64_t)note.n_descsz + 3) & ~3ull;
        if (name > (uint64_t)(end - at) || text > (uint64_t)(end - at) - name) {
            return 0;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(at, "GNU", 4) == 0 && note.n_descsz > 0 &&
            note.n_descsz <= 64) {
            memcpy(id, at + name, note.n_descsz);
            return note.n_descsz;
        }
        at += name + text;
    }
    return 0;
}

/* Of a file by file offsets, of an image in memory by addresses from its base; both are the same for a library's first pages. */
static unsigned find_build_id(const struct piece *piece, const Elf64_Phdr *header, size_t headers, bool memory,
                              uint64_t base, unsigned char id[64])
{
    unsigned bytes = 0;
    for (size_t i = 0; i < headers && bytes == 0; i++) {
        if (header[i].p_type == PT_NOTE) {
            uint64_t offset = memory ? header[i].p_vaddr - base : header[i].p_offset;
            bytes = note_build_id(piece, offset, header[i].p_filesz, id);
        }
    }
    return bytes;
}

static bool take_headers(struct core_module *m, const struct piece *piece, const Elf64_Ehdr *e)
{
    m->header = malloc(e->e_phnum * sizeof *m->header);
    if (!m->header) {
        return false;
    }
    memcpy(m->header, piece->at + e->e_phoff, e->e_phnum * sizeof *m->header);
    m->headers = e->e_phnum;
    return true;
}

/* The address that the file itself gives its beginning. */
static uint64_t base_of(const Elf64_Phdr *header, size_t headers, uint64_t page)
{
    for (size_t i = 0; i < headers; i++) {
        if (header[i].p_type == PT_LOAD) {
            return (header[i].p_vaddr - header[i].p_offset) & ~(page - 1);
        }
    }
    return 0;
}

static struct piece map_file(const char *path)
{
    struct piece piece = {0};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return piece;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        void *at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at != MAP_FAILED) {
            piece = (struct piece){at, (size_t)status.st_size};
        }
    }
    close(fd);
    return piece;
}

/* Looks at the file of now; what the core itself does not tell of the module is taken from it. False: out of memory. */
static bool compare(struct core_module *m, const struct core_file *file)
{
    struct piece now = map_file(m->file);
    Elf64_Ehdr e;
    unsigned char id[64];
    if (!now.at || !is_elf(&now, file->machine, &e)) {
        if (now.at) {
            munmap((void *)now.at, now.bytes);
        }
        m->state = CORE_FILE_MISSING;
        return true;
    }
    if (!m->header && !take_headers(m, &now, &e)) {
        munmap((void *)now.at, now.bytes);
        return false;
    }
    Elf64_Phdr headers[MOST_HEADERS];
    memcpy(headers, now.at + e.e_phoff, e.e_phnum * sizeof *headers);
    unsigned bytes = find_build_id(&now, headers, e.e_phnum, false, 0, id);
    m->state = bytes == 0 || m->build_id_bytes == 0                                ? CORE_FILE_UNCHECKED
               : bytes == m->build_id_bytes && memcmp(id, m->build_id, bytes) == 0 ? CORE_FILE_SAME
                                                                                   : CORE_FILE_CHANGED;
    if (m->state == CORE_FILE_CHANGED) {
        munmap((void *)now.at, now.bytes);
        return true;
    }
    if (m->build_id_bytes == 0) {
        memcpy(m->build_id, id, bytes);
        m->build_id_bytes = bytes;
    }
    m->map = now.at;
    m->bytes = now.bytes;
    return true;
}

/* Mappings [first, last) are of one file, the first from its beginning. 1: a module; 0: none; -1: out of memory. */
static int examine(struct core_module *m, const struct core_file *file, size_t first, size_t last, const char *program)
{
    uint64_t from = file->mapping[first].from, to = file->mapping[last - 1].to;
    const struct core_segment *s = core_segment_of(file, from);
    *m = (struct core_module){.path = file->mapping[first].path, .from = from, .to = to};
    struct piece piece = {0};
    Elf64_Ehdr e;
    if (s && from - s->from < s->bytes) {
        piece = (struct piece){s->at + (from - s->from), s->bytes - (from - s->from)};
        if (!is_elf(&piece, file->machine, &e)) {
            return 0; /* some file of data */
        }
        if (!take_headers(m, &piece, &e)) {
            return -1;
        }
        uint64_t base = base_of(m->header, m->headers, file->page);
        m->build_id_bytes = find_build_id(&piece, m->header, m->headers, true, base, m->build_id);
    }
    m->program = file->entry >= from && file->entry < to;
    m->file = m->program && program ? program : m->path;
    if (!compare(m, file)) {
        return -1;
    }
    if (!m->header) {
        return 0;
    }
    m->bias = from - base_of(m->header, m->headers, file->page);
    return 1;
}

bool core_modules_find(struct core_modules *modules, const struct core_file *file, const char *program)
{
    *modules = (struct core_modules){calloc(file->mappings + 1, sizeof *modules->module), 0};
    if (!modules->module) {
        return false;
    }
    for (size_t first = 0, last; first < file->mappings; first = last) {
        const struct core_mapping *m = &file->mapping[first];
        for (last = first + 1;
             last < file->mappings && file->mapping[last].offset != 0 && strcmp(file->mapping[last].path, m->path) == 0;
             last++) {
        }
        struct core_module *module = &modules->module[modules->count];
        int found = m->offset == 0 ? examine(module, file, first, last, program) : 0;
        if (found != 1) {
            free(module->header);
            *module = (struct core_module){0};
        }
        if (found < 0) {
            core_modules_close(modules);
            return false;
        }
        modules->count += (size_t)found;
    }
    return true;
}

void core_modules_close(struct core_modules *modules)
{
    for (size_t i = 0; i < modules->count; i++) {
        free(modules->module[i].header);
        if (modules->module[i].map) {
            munmap((void *)modules->module[i].map, modules->module[i].bytes);
        }
    }
    free(modules->module);
    *modules = (struct core_modules){0};
}

const struct core_module *core_module_of(const struct core_modules *modules, uint64_t address)
{
    for (size_t i = 0; i < modules->count; i++) {
        if (address >= modules->module[i].from && address < modules->module[i].to) {
            return &modules->module[i];
        }
    }
    return NULL;
}
