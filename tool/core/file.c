/* file.c - an ELF core file, taken apart; see file.h. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

/* The kernel's elf_prstatus, the same on both machines up to the registers. */
enum { PRSTATUS_SIGNAL = 12, PRSTATUS_TID = 32, PRSTATUS_REGISTERS = 112, PRPSINFO_PID = 24 };
enum { X86_WORDS = 27, X86_PC = 16, X86_SP = 19, X86_FS_BASE = 21 };
enum { ARM_WORDS = 34, ARM_SP = 31, ARM_PC = 32 };
enum { MOST_THREADS = 1 << 20 }; /* the kernel gives no more than 4 Mi ids */

static bool __attribute__((format(printf, 2, 3))) bad(struct core_error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error->line, sizeof error->line, format, args);
    va_end(args);
    return false;
}

static bool bad_at(const struct core_file *f, const void *at, struct core_error *error, const char *what)
{
    return bad(error, "%s, at byte %zu, make the core anew", what, (size_t)((const unsigned char *)at - f->map));
}

static uint32_t word32(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t word64(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* -- notes -- */

struct note {
    uint32_t type;
    const unsigned char *name, *text;
    size_t name_bytes, bytes;
};

static bool is_from(const struct note *note, const char *name)
{
    return note->name_bytes == strlen(name) + 1 && memcmp(note->name, name, note->name_bytes) == 0;
}

static struct core_thread *add_thread(struct core_file *f)
{
    if ((f->threads & (f->threads - 1)) == 0) {
        void *grown = realloc(f->thread, (f->threads ? 2 * f->threads : 1) * sizeof *f->thread);
        if (!grown) {
            return NULL;
        }
        f->thread = grown;
    }
    f->thread[f->threads] = (struct core_thread){0};
    return &f->thread[f->threads++];
}

static bool add_words(struct core_thread *thread, const unsigned char *at, size_t words)
{
    uint64_t *grown = realloc(thread->word, (thread->words + words + 1) * sizeof *grown);
    if (!grown) {
        return false;
    }
    memcpy(grown + thread->words, at, words * sizeof *grown);
    thread->word = grown;
    thread->words += words;
    return true;
}

static bool read_thread(struct core_file *f, const struct note *note, struct core_error *error)
{
    size_t words = f->machine == EM_X86_64 ? X86_WORDS : ARM_WORDS;
    if (note->bytes < PRSTATUS_REGISTERS + words * 8) {
        return bad_at(f, note->text, error, "core's note about a thread is too short");
    }
    if (f->threads == MOST_THREADS) {
        return bad_at(f, note->text, error, "core has more threads than there can be");
    }
    struct core_thread *thread = add_thread(f);
    const unsigned char *registers = note->text + PRSTATUS_REGISTERS;
    if (!thread || !add_words(thread, registers, words)) {
        return bad(error, "no memory for the threads' registers, core, have more memory");
    }
    thread->tid = (int)word32(note->text + PRSTATUS_TID);
    bool x86 = f->machine == EM_X86_64;
    thread->stack = word64(registers + 8 * (x86 ? X86_SP : ARM_SP));
    thread->code = word64(registers + 8 * (x86 ? X86_PC : ARM_PC));
    thread->local = x86 ? word64(registers + 8 * X86_FS_BASE) : 0;
    if (f->threads == 1) {
        f->signal = (int)(word32(note->text + PRSTATUS_SIGNAL) & 0xffff);
    }
    return true;
}

/* NT_FILE: how many, bytes of a page; start, end, page offset of each; then their names. */
static bool read_files(struct core_file *f, const struct note *note, struct core_error *error)
{
    if (f->mapping) {
        return bad_at(f, note->text, error, "core tells of its files twice");
    }
    if (note->bytes < 16) {
        return bad_at(f, note->text, error, "core's note about files is too short");
    }
    uint64_t count = word64(note->text), unit = word64(note->text + 8);
    if (count > (note->bytes - 16) / 25) { /* three words and a name each */
        return bad_at(f, note->text, error, "core's note about files has fewer files than it says");
    }
    f->mapping = calloc(count + 1, sizeof *f->mapping);
    if (!f->mapping) {
        return bad(error, "no memory for the mapped files, core, have more memory");
    }
    const unsigned char *entry = note->text + 16, *name = entry + 24 * count, *end = note->text + note->bytes;
    for (uint64_t i = 0; i < count; i++, entry += 24) {
        const unsigned char *stop = memchr(name, 0, (size_t)(end - name));
        if (!stop) {
            return bad_at(f, name, error, "core's note about files has a name without an end");
        }
        struct core_mapping m = {word64(entry), word64(entry + 8), 0, (const char *)name};
        if (m.from >= m.to || (i > 0 && m.from < f->mapping[i - 1].to)) {
            return bad_at(f, entry, error, "core's mapped files overlap or are out of order");
        }
        if (__builtin_mul_overflow(word64(entry + 16), unit, &m.offset) || m.offset + (m.to - m.from) < m.offset) {
            return bad_at(f, entry, error, "core's mapped file lies beyond what a file can be");
        }
        f->mapping[f->mappings++] = m;
        name = stop + 1;
    }
    return true;
}

static void read_auxv(struct core_file *f, const struct note *note)
{
    for (size_t at = 0; at + 16 <= note->bytes; at += 16) {
        uint64_t value = word64(note->text + at + 8);
        switch (word64(note->text + at)) {
        case AT_PHDR:
            f->program_headers = value;
            break;
        case AT_PHNUM:
            f->program_headers_count = value;
            break;
        case AT_ENTRY:
            f->entry = value;
            break;
        case AT_BASE:
            f->interpreter = value;
            break;
        case AT_RANDOM:
            f->random = value;
            break;
        case AT_PAGESZ:
            if (value >= 4096 && value <= 1 << 20 && (value & (value - 1)) == 0) {
                f->page = value;
            }
            break;
        }
    }
}

/* Registers besides the general ones: where an optimised copy or a hash keeps pointers for a while. */
static bool read_vectors(struct core_file *f, const struct note *note, struct core_error *error)
{
    if (f->threads == 0) {
        return bad_at(f, note->text, error, "core has registers of no thread");
    }
    struct core_thread *thread = &f->thread[f->threads - 1];
    if (!add_words(thread, note->text, note->bytes / 8)) {
        return bad(error, "no memory for the threads' registers, core, have more memory");
    }
    return true;
}

static bool read_note(struct core_file *f, const struct note *note, struct core_error *error)
{
    bool core = is_from(note, "CORE"), system = is_from(note, "LINUX");
    if (core && note->type == NT_PRSTATUS) {
        return read_thread(f, note, error);
    }
    if (core && note->type == NT_FILE) {
        return read_files(f, note, error);
    }
    if (core && note->type == NT_AUXV) {
        read_auxv(f, note);
        return true;
    }
    if (core && note->type == NT_PRPSINFO && note->bytes >= PRPSINFO_PID + 4) {
        f->pid = (int)word32(note->text + PRPSINFO_PID);
        return true;
    }
    if ((core && note->type == NT_FPREGSET) || (system && note->type == NT_X86_XSTATE)) {
        return read_vectors(f, note, error);
    }
    if (system && note->type == NT_ARM_TLS && note->bytes >= 8 && f->threads > 0) {
        f->thread[f->threads - 1].local = word64(note->text);
    }
    return true;
}

static bool read_notes(struct core_file *f, uint64_t offset, uint64_t bytes, struct core_error *error)
{
    const uint64_t end = offset + bytes;
    while (end - offset >= sizeof(Elf64_Nhdr)) {
        const unsigned char *at = f->map + offset;
        uint64_t name = ((uint64_t)word32(at) + 3) & ~3ull, text = ((uint64_t)word32(at + 4) + 3) & ~3ull;
        uint64_t room = end - offset - sizeof(Elf64_Nhdr);
        if (name > room || word32(at + 4) > room - name) {
            return bad_at(f, at, error, "core's note is longer than all its notes together");
        }
        struct note note = {word32(at + 8), at + 12, at + 12 + name, word32(at), word32(at + 4)};
        if (!read_note(f, &note, error)) {
            return false;
        }
        offset += sizeof(Elf64_Nhdr) + name + (text < room - name ? text : room - name);
    }
    return true;
}

/* -- headers -- */

static bool add_segment(struct core_file *f, const Elf64_Phdr *p, const unsigned char *at, struct core_error *error)
{
    if (p->p_vaddr + p->p_memsz < p->p_vaddr || p->p_filesz > p->p_memsz || p->p_offset + p->p_filesz < p->p_offset) {
        return bad_at(f, at, error, "core's memory lies beyond what an address or a file can be");
    }
    if (p->p_vaddr % 8 != 0 || p->p_memsz % 8 != 0 || (p->p_filesz > 0 && p->p_offset % 8 != 0)) {
        return bad_at(f, at, error, "core's memory is not at a multiple of 8 bytes"); /* no writer of cores does that */
    }
    if (f->segments > 0 && p->p_vaddr < f->segment[f->segments - 1].to) {
        return bad_at(f, at, error, "core's pieces of memory overlap or are out of order");
    }
    uint64_t here = p->p_offset < f->bytes ? f->bytes - p->p_offset : 0;
    here = (here < p->p_filesz ? here : p->p_filesz) & ~7ull;
    if (p->p_memsz > 0) {
        f->segment[f->segments++] =
            (struct core_segment){p->p_vaddr, p->p_vaddr + p->p_memsz,     here, f->map + (here ? p->p_offset : 0),
                                  p->p_flags, here < (p->p_filesz & ~7ull)};
    }
    return true;
}

static bool read_headers(struct core_file *f, const Elf64_Ehdr *e, struct core_error *error)
{
    uint64_t count = e->e_phnum;
    if (count == PN_XNUM) { /* too many for its field: the first section header has the number */
        if (e->e_shoff > f->bytes || f->bytes - e->e_shoff < sizeof(Elf64_Shdr)) {
            return bad(error, "core ends before its section header, at byte %" PRIu64 ", make the core anew",
                       e->e_shoff);
        }
        count = word32(f->map + e->e_shoff + offsetof(Elf64_Shdr, sh_info));
    }
    if (e->e_phentsize != sizeof(Elf64_Phdr)) {
        return bad(error, "core's program headers are of another kind, at byte %zu, make the core anew",
                   offsetof(Elf64_Ehdr, e_phentsize));
    }
    if (e->e_phoff > f->bytes || count > (f->bytes - e->e_phoff) / sizeof(Elf64_Phdr)) {
        return bad(error, "core ends within its program headers, at byte %zu, make the core anew", f->bytes);
    }
    f->segment = calloc(count + 1, sizeof *f->segment);
    if (!f->segment) {
        return bad(error, "no memory for the program headers, core, have more memory");
    }
    for (uint64_t i = 0; i < count; i++) {
        const unsigned char *at = f->map + e->e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr p;
        memcpy(&p, at, sizeof p);
        if (p.p_type == PT_LOAD && !add_segment(f, &p, at, error)) {
            return false;
        }
        if (p.p_type == PT_NOTE) {
            if (p.p_offset > f->bytes || p.p_filesz > f->bytes - p.p_offset) {
                return bad(error, "core ends within its notes, at byte %zu, make the core anew", f->bytes);
            }
            if (!read_notes(f, p.p_offset, p.p_filesz, error)) {
                return false;
            }
        }
    }
    if (f->segments == 0) {
        return bad(error, "core has no memory, at byte %" PRIu64 ", make the core anew", e->e_phoff);
    }
    return true;
}

bool core_file_parse(struct core_file *f, const unsigned char *map, size_t bytes, struct core_error *error)
{
    Elf64_Ehdr e;
    *f = (struct core_file){.map = map, .bytes = bytes, .page = 4096};
    if (bytes < sizeof e || memcmp(map, ELFMAG, SELFMAG) != 0) {
        return bad(error, "not an ELF file, at byte 0, name a core file");
    }
    memcpy(&e, map, sizeof e);
    if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB) {
        return bad(error, "core of a 32-bit or big-endian machine, at byte %d, look into it elsewhere", EI_CLASS);
    }
    if (e.e_type != ET_CORE) {
        return bad(error, "an ELF file but no core, at byte %zu, name a core file", offsetof(Elf64_Ehdr, e_type));
    }
    if (e.e_machine != EM_X86_64 && e.e_machine != EM_AARCH64) {
        return bad(error, "core of a machine that is neither x86-64 nor arm64, at byte %zu, look into it elsewhere",
                   offsetof(Elf64_Ehdr, e_machine));
    }
    f->machine = e.e_machine;
    if (!read_headers(f, &e, error)) {
        core_file_close(f);
        return false;
    }
    return true;
}

static bool map_file(int fd, const unsigned char **map, size_t *bytes, struct core_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return bad(error, "cannot read, core, %s", strerror(errno));
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        return bad(error, "not an ordinary file with something in it, core, name a core file");
    }
    void *at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) {
        return bad(error, "cannot map, core, %s", strerror(errno));
    }
    *map = at;
    *bytes = (size_t)status.st_size;
    return true;
}

bool core_file_open(struct core_file *f, const char *path, struct core_error *error)
{
    const unsigned char *map = NULL;
    size_t bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return bad(error, "cannot open, core, %s", strerror(errno));
    }
    bool mapped = map_file(fd, &map, &bytes, error);
    close(fd);
    if (!mapped) {
        return false;
    }
    if (!core_file_parse(f, map, bytes, error)) {
        munmap((void *)map, bytes);
        return false;
    }
    f->mapped = true;
    return true;
}

bool core_file_is(const char *path)
{
    Elf64_Ehdr e;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd < 0 ? 0 : pread(fd, &e, sizeof e, 0);
    if (fd >= 0) {
        close(fd);
    }
    return got == (ssize_t)sizeof e && memcmp(e.e_ident, ELFMAG, SELFMAG) == 0 && e.e_type == ET_CORE;
}

void core_file_close(struct core_file *f)
{
    if (f->mapped) {
        munmap((void *)f->map, f->bytes);
    }
    for (size_t i = 0; i < f->threads; i++) {
        free(f->thread[i].word);
    }
    free(f->thread);
    free(f->mapping);
    free(f->segment);
    *f = (struct core_file){0};
}

/* -- by address -- */

const struct core_segment *core_segment_of(const struct core_file *f, uint64_t address)
{
    size_t low = 0, high = f->segments;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address >= f->segment[middle].to) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < f->segments && address >= f->segment[low].from ? &f->segment[low] : NULL;
}

const struct core_mapping *core_mapping_of(const struct core_file *f, uint64_t address)
{
    size_t low = 0, high = f->mappings;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address >= f->mapping[middle].to) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < f->mappings && address >= f->mapping[low].from ? &f->mapping[low] : NULL;
}
