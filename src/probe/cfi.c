/* probe/cfi.c - see probe/cfi.h: finding the FDE, and running its instructions up to one address. */
#include "probe/cfi.h"

#include <string.h>

#include "probe/cursor.h"

/* How pointers are written (DW_EH_PE_*): the low half says the width, the high half from where they count. */
enum {
    PE_ULEB = 1,
    PE_U2 = 2,
    PE_U4 = 3,
    PE_U8 = 4,
    PE_SLEB = 9,
    PE_S2 = 10,
    PE_S4 = 11,
    PE_S8 = 12,
    PE_FORM = 0x0f,
    PE_FROM = 0x70,
    PE_PCREL = 0x10,
    PE_DATAREL = 0x30,
    PE_OMIT = 0xff,
};

static uintptr_t take_pointer(struct cursor *from, uint8_t encoding, uintptr_t data)
{
    uintptr_t here = from->at;
    uint64_t value = 0;
    switch (encoding & PE_FORM) {
    case 0:
    case PE_U8:
    case PE_S8:
        value = take(from, 8);
        break;
    case PE_U2:
        value = take(from, 2);
        break;
    case PE_U4:
        value = take(from, 4);
        break;
    case PE_S2:
        value = (uint64_t)take_signed(from, 2);
        break;
    case PE_S4:
        value = (uint64_t)take_signed(from, 4);
        break;
    case PE_ULEB:
        value = take_uleb(from);
        break;
    case PE_SLEB:
        value = (uint64_t)take_sleb(from);
        break;
    default:
        from->broken = true;
    }
    switch (encoding & PE_FROM) {
    case 0:
        return value;
    case PE_PCREL:
        return value + here;
    case PE_DATAREL:
        return value + data;
    default:
        from->broken = true;
        return 0;
    }
}

/* One entry of .eh_frame, up to what CIEs and FDEs have of their own. */
struct entry {
    struct cursor rest; /* after the id */
    uintptr_t id_at;
    uint32_t id; /* 0: a CIE; else how far before id_at its CIE begins */
    uintptr_t next;
};

/* False at the end of the section, and when it is broken. */
static bool take_entry(const struct cfi_image *image, uintptr_t at, struct entry *entry)
{
    struct cursor from = cursor_at(image, at);
    uint64_t length = take(&from, 4);
    if (length == 0xffffffff) {
        length = take(&from, 8);
    }
    entry->rest = cut(from, length);
    entry->next = entry->rest.end;
    entry->id_at = entry->rest.at;
    entry->id = (uint32_t)take(&entry->rest, 4);
    return length != 0 && !entry->rest.broken;
}

struct cie {
    struct cursor instructions;
    uint64_t code_align;
    int64_t data_align;
    uint8_t encoding; /* of an FDE's addresses */
    uint8_t return_register;
    bool sized; /* FDEs have a length before what is not for us */
    bool signal;
};

static bool read_cie(const struct cfi_image *image, uintptr_t at, struct cie *cie)
{
    struct entry entry;
    if (!take_entry(image, at, &entry) || entry.id != 0) {
        return false;
    }
    struct cursor from = entry.rest;
    *cie = (struct cie){0};
    uint8_t version = (uint8_t)take(&from, 1);
    char letters[8] = "";
    for (unsigned i = 0;; i++) {
        char letter = (char)take(&from, 1);
        if (letter == 0) {
            break;
        }
        if (i == sizeof letters - 1) {
            return false;
        }
        letters[i] = letter;
    }
    if (version == 4 && (take(&from, 1) != sizeof(uintptr_t) || take(&from, 1) != 0)) {
        return false;
    }
    cie->code_align = take_uleb(&from);
    cie->data_align = take_sleb(&from);
    uint64_t return_register = version == 1 ? take(&from, 1) : take_uleb(&from);
    if (from.broken || (version != 1 && version != 3 && version != 4) || return_register >= CFI_REGISTERS) {
        return false;
    }
    cie->return_register = (uint8_t)return_register;
    cie->sized = letters[0] == 'z';
    if (!cie->sized) { /* the old 'eh' has a pointer that nobody can tell from instructions */
        cie->instructions = from;
        return letters[0] == 0;
    }
    uint64_t length = take_uleb(&from);
    struct cursor extra = cut(from, length);
    skip(&from, length);
    bool known = true;
    for (const char *letter = letters + 1; *letter && known; letter++) {
        switch (*letter) {
        case 'R':
            cie->encoding = (uint8_t)take(&extra, 1);
            break;
        case 'L':
            take(&extra, 1);
            break;
        case 'P':
            take_pointer(&extra, (uint8_t)take(&extra, 1) & PE_FORM, 0);
            break;
        case 'S':
            cie->signal = true;
            break;
        case 'B': /* signed with the second key of arm64; the bits are taken off all the same */
        case 'G':
            break;
        default: /* what follows is of unknown length, which is why the whole is sized */
            known = false;
        }
    }
    cie->instructions = from;
    return !from.broken && !extra.broken;
}

/* A row in the making. Compilers remember one row at a time. */
enum { REMEMBERED = 3 };

struct machine {
    struct cfi_row row;
    struct cfi_rule start[CFI_REGISTERS]; /* after the CIE's instructions */
    unsigned remembered;
    struct {
        struct cfi_rule cfa, registers[CFI_REGISTERS];
        uint8_t cfa_register;
    } kept[REMEMBERED];
};

/* Sets a rule unless the register is none of ours. False when the value fits nowhere. */
static bool set(struct machine *machine, uint64_t number, enum cfi_kind kind, int64_t value)
{
    if (number < CFI_REGISTERS) {
        machine->row.registers[number] = (struct cfi_rule){kind, (int32_t)value};
    }
    return value == (int32_t)value;
}

static bool set_cfa(struct machine *machine, uint64_t number, int64_t value)
{
    machine->row.cfa = (struct cfi_rule){CFI_REGISTER_PLUS, (int32_t)value};
    machine->row.cfa_register = (uint8_t)number;
    return number < CFI_REGISTERS && value == (int32_t)value;
}

/* The place of an expression, which is stepped over. */
static int64_t take_expression(const struct cfi_image *image, struct cursor *from)
{
    int64_t place = (int64_t)(from->at - image->start);
    uint64_t length = take_uleb(from);
    skip(from, length);
    return place;
}

/* Offsets are in units; the product of what a broken image says is cut off, not undefined. */
static int64_t times(int64_t factor, uint64_t units) { return (int64_t)((uint64_t)factor * units); }

/* Runs instructions until they reach an address after `at`. */
static bool run(const struct cfi_image *image, struct cursor from, const struct cie *cie, struct machine *machine,
                uintptr_t location, uintptr_t at)
{
    bool well = true;
    while (well && !from.broken && from.at < from.end) {
        uint8_t code = (uint8_t)take(&from, 1), low = code & 0x3f;
        uint64_t number, advance = 0;
        switch (code >> 6) {
        case 1: /* advance_loc */
            advance = low;
            break;
        case 2: /* offset */
            well = set(machine, low, CFI_AT_OFFSET, times(cie->data_align, take_uleb(&from)));
            break;
        case 3: /* restore */
            if (low < CFI_REGISTERS) {
                machine->row.registers[low] = machine->start[low];
            }
            break;
        default:
            switch (code) {
            case 0x00: /* nop */
                break;
            case 0x01: /* set_loc */
                location = take_pointer(&from, cie->encoding, image->header);
                break;
            case 0x02: /* advance_loc1, 2, 4 */
                advance = take(&from, 1);
                break;
            case 0x03:
                advance = take(&from, 2);
                break;
            case 0x04:
                advance = take(&from, 4);
                break;
            case 0x05: /* offset_extended */
                number = take_uleb(&from);
                well = set(machine, number, CFI_AT_OFFSET, times(cie->data_align, take_uleb(&from)));
                break;
            case 0x06: /* restore_extended */
                number = take_uleb(&from);
                if (number < CFI_REGISTERS) {
                    machine->row.registers[number] = machine->start[number];
                }
                break;
            case 0x07: /* undefined */
                well = set(machine, take_uleb(&from), CFI_UNDEFINED, 0);
                break;
            case 0x08: /* same_value */
                well = set(machine, take_uleb(&from), CFI_SAME, 0);
                break;
            case 0x09: { /* register */
                number = take_uleb(&from);
                uint64_t other = take_uleb(&from);
                well = other < CFI_REGISTERS && set(machine, number, CFI_IN_REGISTER, (int64_t)other);
                break;
            }
            case 0x0a: /* remember_state */
                well = machine->remembered < REMEMBERED;
                if (well) {
                    typeof(machine->kept[0]) *kept = &machine->kept[machine->remembered++];
                    kept->cfa = machine->row.cfa;
                    kept->cfa_register = machine->row.cfa_register;
                    memcpy(kept->registers, machine->row.registers, sizeof kept->registers);
                }
                break;
            case 0x0b: /* restore_state */
                well = machine->remembered > 0;
                if (well) {
                    typeof(machine->kept[0]) *kept = &machine->kept[--machine->remembered];
                    machine->row.cfa = kept->cfa;
                    machine->row.cfa_register = kept->cfa_register;
                    memcpy(machine->row.registers, kept->registers, sizeof kept->registers);
                }
                break;
            case 0x0c: /* def_cfa */
                number = take_uleb(&from);
                well = set_cfa(machine, number, (int64_t)take_uleb(&from));
                break;
            case 0x0d: /* def_cfa_register */
                well = machine->row.cfa.kind == CFI_REGISTER_PLUS &&
                       set_cfa(machine, take_uleb(&from), machine->row.cfa.value);
                break;
            case 0x0e: /* def_cfa_offset */
                well = machine->row.cfa.kind == CFI_REGISTER_PLUS &&
                       set_cfa(machine, machine->row.cfa_register, (int64_t)take_uleb(&from));
                break;
            case 0x0f: { /* def_cfa_expression */
                int64_t place = take_expression(image, &from);
                machine->row.cfa = (struct cfi_rule){CFI_IS_EXPRESSION, (int32_t)place};
                well = place == (int32_t)place;
                break;
            }
            case 0x10: /* expression */
                number = take_uleb(&from);
                well = set(machine, number, CFI_AT_EXPRESSION, take_expression(image, &from));
                break;
            case 0x11: /* offset_extended_sf */
                number = take_uleb(&from);
                well = set(machine, number, CFI_AT_OFFSET, times(cie->data_align, (uint64_t)take_sleb(&from)));
                break;
            case 0x12: /* def_cfa_sf */
                number = take_uleb(&from);
                well = set_cfa(machine, number, times(cie->data_align, (uint64_t)take_sleb(&from)));
                break;
            case 0x13: /* def_cfa_offset_sf */
                well = machine->row.cfa.kind == CFI_REGISTER_PLUS &&
                       set_cfa(machine, machine->row.cfa_register, times(cie->data_align, (uint64_t)take_sleb(&from)));
                break;
            case 0x14: /* val_offset */
                number = take_uleb(&from);
                well = set(machine, number, CFI_IS_OFFSET, times(cie->data_align, take_uleb(&from)));
                break;
            case 0x15: /* val_offset_sf */
                number = take_uleb(&from);
                well = set(machine, number, CFI_IS_OFFSET, times(cie->data_align, (uint64_t)take_sleb(&from)));
                break;
            case 0x16: /* val_expression */
                number = take_uleb(&from);
                well = set(machine, number, CFI_IS_EXPRESSION, take_expression(image, &from));
                break;
            case 0x2c: /* AARCH64_negate_ra_state_with_pc, and without: signatures are taken off whether there or not */
            case 0x2d:
                break;
            case 0x2e: /* GNU_args_size */
                take_uleb(&from);
                break;
            case 0x2f: /* GNU_negative_offset_extended */
                number = take_uleb(&from);
                well = set(machine, number, CFI_AT_OFFSET, times(-cie->data_align, take_uleb(&from)));
                break;
            default:
                well = false;
            }
        }
        location += advance * cie->code_align;
        if (location > at) {
            break;
        }
    }
    return well && !from.broken;
}

/* Where the FDE of `at` lies by the table; 0 when there is none, and `section` where there is no table. */
static uintptr_t search(const struct cfi_image *image, uintptr_t at, uintptr_t *section)
{
    struct cursor from = cursor_at(image, image->header);
    uint8_t version = (uint8_t)take(&from, 1), section_encoding = (uint8_t)take(&from, 1);
    uint8_t count_encoding = (uint8_t)take(&from, 1), table_encoding = (uint8_t)take(&from, 1);
    *section = take_pointer(&from, section_encoding, image->header);
    if (from.broken || version != 1) {
        *section = 0;
        return 0;
    }
    if (count_encoding == PE_OMIT || table_encoding != (PE_DATAREL | PE_S4)) {
        return 0;
    }
    uint64_t count = take_pointer(&from, count_encoding, image->header);
    uintptr_t table = from.at;
    if (from.broken || count == 0 || (from.end - from.at) / 8 < count) {
        return 0;
    }
    *section = 0;
    int64_t wanted = (int64_t)(at - image->header);
    uint64_t low = 0; /* the function begins in [low, low + count) */
    while (count > 1) {
        uint64_t half = count / 2;
        struct cursor entry = {table + (low + half) * 8, from.end, false};
        low = take_signed(&entry, 4) <= wanted ? low + half : low;
        count -= half;
    }
    struct cursor entry = {table + low * 8, from.end, false};
    int64_t begin = take_signed(&entry, 4), fde = take_signed(&entry, 4);
    return begin <= wanted ? image->header + (uintptr_t)fde : 0;
}

/* The row, when this entry is the FDE of `at`. */
static bool read_fde(const struct cfi_image *image, const struct entry *fde, uintptr_t at, struct cfi_row *row)
{
    struct cie cie;
    struct cursor from = fde->rest;
    if (fde->id == 0 || !read_cie(image, fde->id_at - fde->id, &cie)) {
        return false;
    }
    uintptr_t begin = take_pointer(&from, cie.encoding, image->header);
    uintptr_t length = take_pointer(&from, cie.encoding & PE_FORM, 0);
    if (cie.sized) {
        skip(&from, take_uleb(&from));
    }
    if (from.broken || at - begin >= length) {
        return false;
    }
    struct machine machine;
    memset(&machine.row, 0, sizeof machine.row);
    machine.remembered = 0;
    machine.row.return_register = cie.return_register;
    machine.row.signal = cie.signal;
    memset(machine.start, 0, sizeof machine.start);
    bool well = run(image, cie.instructions, &cie, &machine, 0, UINTPTR_MAX);
    memcpy(machine.start, machine.row.registers, sizeof machine.start);
    well = well && run(image, from, &cie, &machine, begin, at);
    *row = machine.row;
    return well && (row->cfa.kind == CFI_REGISTER_PLUS || row->cfa.kind == CFI_IS_EXPRESSION);
}

bool cfi_find(const struct cfi_image *image, uintptr_t at, struct cfi_row *row)
{
    struct entry entry;
    uintptr_t section = image->section, fde = image->header ? search(image, at, &section) : 0;
    if (fde) {
        return take_entry(image, fde, &entry) && read_fde(image, &entry, at, row);
    }
    for (uintptr_t next = section; next && take_entry(image, next, &entry); next = entry.next) {
        if (entry.id != 0 && read_fde(image, &entry, at, row)) {
            return true;
        }
    }
    return false;
}
