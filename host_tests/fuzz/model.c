// SPDX-License-Identifier: MIT

#include "model.h"

#include <math.h>
#include <string.h>

enum { Z = 1, C = 2, N = 4, V = 8 };

// ---- Image ------------------------------------------------------------------------------------

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static uint32_t crc_byte(uint32_t crc, uint32_t byte) {
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++) {
        crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return crc;
}

uint32_t model_crc(const uint8_t *image, size_t len, size_t header) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < 0x1C; i++) {
        crc = crc_byte(crc, image[i]);
    }
    for (size_t i = header; i < len; i++) {
        crc = crc_byte(crc, image[i]);
    }
    return crc ^ 0xFFFFFFFFu;
}

static verdict_t bad(uint32_t rule) {
    return (verdict_t){.err = HSX_EBADMSG, .rule = rule};
}

// The rules that need the header alone, all of it being there.
static verdict_t judge_header(const uint8_t *image, uint32_t header) {
    verdict_t found = {.header = header};
    bool zero = false;
    if (header == 96) {
        for (int i = 0x48; i < 0x60; i++) {
            if (image[i] != 0) {
                return bad(HSX_RULE_RESERVED);
            }
        }
        for (int i = 0x20; i < 0x40; i++) {
            zero = zero || image[i] == 0;
            if (!zero && image[i] >= 0x80) {
                return bad(HSX_RULE_NAME_ASCII);
            }
        }
    }
    if (memcmp(image, "HSXE", 4) != 0) {
        return bad(HSX_RULE_MAGIC);
    }
    found.entry = be32(image + 0x08);
    found.code_len = be32(image + 0x0C);
    found.ro_len = be32(image + 0x10);
    found.bss_size = be32(image + 0x14);
    if (found.code_len > 0x10000 || found.ro_len > 0x10000 || found.bss_size > 0x10000) {
        return bad(HSX_RULE_TOO_LARGE);
    }
    if (found.code_len % 4 != 0 || found.entry % 4 != 0) {
        return bad(HSX_RULE_ALIGN);
    }
    if (found.entry >= found.code_len) {
        return bad(HSX_RULE_ENTRY);
    }
    if (header == 96) {
        uint32_t meta = be32(image + 0x40);
        if (meta != 0 && meta < 96 + found.code_len + found.ro_len) {
            return bad(HSX_RULE_TABLE_OVERLAP);
        }
    }
    if (0x4000 + found.ro_len + found.bss_size > 0xEFFC) {
        return bad(HSX_RULE_DATA_WINDOW);
    }
    return found;
}

verdict_t model_judge(const uint8_t *image, size_t len) {
    verdict_t found;
    uint32_t version;
    if (len < 32) {
        return bad(HSX_RULE_SHORT);
    }
    version = (uint32_t)image[4] << 8 | image[5];
    if (version != 1 && version != 2) {
        return bad(HSX_RULE_VERSION);
    }
    if (version == 2 && len < 96) {
        return bad(HSX_RULE_SHORT_V2);
    }
    found = judge_header(image, version == 1 ? 32 : 96);
    if (found.err != 0) {
        return found;
    }
    if (model_crc(image, len, found.header) != be32(image + 0x1C)) {
        return bad(HSX_RULE_CRC);
    }
    if (len < found.header + found.code_len + found.ro_len) {
        return bad(HSX_RULE_TRUNCATED);
    }
    return found;
}

void model_start(model_t *model, const uint8_t *image, const verdict_t *verdict, bool flat,
                 uint32_t stack, uint8_t *data, uint8_t *stack_mem) {
    uint32_t size = (verdict->ro_len + verdict->bss_size + 3) / 4 * 4;
    memset(model, 0, sizeof *model);
    model->code = image + verdict->header;
    model->code_len = verdict->code_len;
    model->pc = verdict->entry;
    model->sp = 0xFFFC;
    model->last_pc = 0xFFFFFFFF;
    model->stack_limit = 0xFFFC - stack;
    if (flat) {
        model->windows[0] = (model_window_t){0, 0x10000, data};
        memset(data, 0, 0x10000);
        data += 0x4000;
    } else {
        model->windows[0] = (model_window_t){0x4000, size, data};
        model->windows[1] = (model_window_t){0xFFFC - stack, stack + 4, stack_mem};
        memset(data, 0, size);
        memset(stack_mem, 0, stack + 4);
    }
    memcpy(data, image + verdict->header + verdict->code_len, verdict->ro_len);
}

// ---- f16 (section 7) --------------------------------------------------------------------------

static double decode(uint32_t half) {
    int exponent = (int)(half >> 10 & 31);
    double mantissa = half & 0x3FF;
    double value;
    if (exponent == 31) {
        value = mantissa == 0 ? (double)INFINITY : (double)NAN;
    } else if (exponent == 0) {
        value = ldexp(mantissa, -24);
    } else {
        value = ldexp(mantissa + 1024, exponent - 25);
    }
    return (half & 0x8000) != 0 ? -value : value;
}

static uint32_t encode(double value) {
    uint32_t sign = signbit(value) ? 0x8000 : 0;
    double size = fabs(value);
    int exponent;
    if (isnan(value)) {
        return 0x7E00;
    }
    if (size >= 65520) {
        return sign | 0x7C00;
    }
    if (size < ldexp(1, -14)) {
        double mantissa = nearbyint(ldexp(size, 24));
        return sign | (uint32_t)(mantissa > 0x3FF ? 0x3FF : mantissa);
    }
    frexp(size, &exponent);  // size is 2**(exponent - 1) times 1 to 2
    uint32_t mantissa = (uint32_t)nearbyint(ldexp(size, 11 - exponent));
    if (mantissa == 2048) {
        mantissa = 1024;
        exponent++;
    }
    return sign | (uint32_t)(exponent + 14) << 10 | (mantissa - 1024);
}

static uint32_t arithmetic(uint32_t op, double a, double b) {
    switch (op) {
        case 0x50:
            return encode(a + b);
        case 0x51:
            return encode(a - b);
        case 0x52:
            return encode(a * b);
        default:
            return encode(a / (b == 0 ? (double)INFINITY : b));
    }
}

static uint32_t to_int(double value) {
    if (isnan(value)) {
        return 0;
    }
    if (isinf(value)) {
        return value > 0 ? 0x7FFFFFFF : 0x80000000;
    }
    return (uint32_t)(int32_t)value;
}

// ---- Instructions -----------------------------------------------------------------------------

static uint32_t fault(uint32_t number) {
    return HSX_STOP_FAULT | number << 8;
}

static uint8_t *find(const model_t *m, uint32_t addr, uint32_t size) {
    for (int i = 0; i < 2; i++) {
        const model_window_t *window = &m->windows[i];
        if (addr >= window->base && addr + size <= window->base + window->size) {
            return window->mem + (addr - window->base);
        }
    }
    return NULL;
}

static bool load(const model_t *m, uint32_t addr, uint32_t size, uint32_t *value) {
    const uint8_t *p = find(m, addr, size);
    *value = 0;
    for (uint32_t i = 0; p != NULL && i < size; i++) {
        *value |= (uint32_t)p[i] << 8 * i;
    }
    return p != NULL;
}

static bool store(const model_t *m, uint32_t addr, uint32_t size, uint32_t value) {
    uint8_t *p = find(m, addr, size);
    for (uint32_t i = 0; p != NULL && i < size; i++) {
        p[i] = (uint8_t)(value >> 8 * i);
    }
    return p != NULL;
}

static void set_zn(model_t *m, uint32_t value) {
    m->psw = (m->psw & (uint32_t)(C | V)) | (value == 0 ? Z : 0) | (value >> 31 ? N : 0);
}

static void set_cv(model_t *m, bool c, bool v) {
    m->psw = (m->psw & (uint32_t)(Z | N)) | (c ? C : 0) | (v ? V : 0);
}

static bool negative(uint32_t value) {
    return value >> 31 != 0;
}

// 0 or the fault
static uint32_t push(model_t *m, uint32_t value) {
    if (m->sp > 0x10000 || m->sp < 4 || m->sp - 4 < m->stack_limit) {
        return fault(HSX_FAULT_STACK_OVERFLOW);
    }
    if (!store(m, m->sp - 4, 4, value)) {
        return fault(HSX_FAULT_MEM);
    }
    m->sp -= 4;
    m->regs[15] = m->sp;
    return 0;
}

static uint32_t pop(model_t *m, uint32_t *value) {
    if (m->sp >= 0x10000) {
        return fault(HSX_FAULT_STACK_UNDERFLOW);
    }
    if (!load(m, m->sp, 4, value)) {
        return fault(HSX_FAULT_MEM);
    }
    m->sp += 4;
    m->regs[15] = m->sp;
    return 0;
}

static uint32_t shift(model_t *m, uint32_t op, uint32_t a, uint32_t n) {
    bool last = (m->psw & C) != 0;
    for (uint32_t i = 0; i < n; i++) {
        last = op == 0x31 ? negative(a) : (a & 1) != 0;
        if (op == 0x31) {
            a = a * 2;
        } else {
            a = a / 2 + (op == 0x33 && negative(a) ? 0x80000000 : 0);
        }
    }
    set_cv(m, last, false);
    return a;
}

// Result of what sets all flags; the divisor is not 0.
static uint32_t alu(model_t *m, uint32_t op, uint32_t a, uint32_t b) {
    uint64_t wide = b;
    uint32_t out = 0;
    switch (op) {
        case 0x34:
            wide = (uint64_t)b + ((m->psw & C) != 0 ? 1 : 0);
            // fall through
        case 0x10:
            out = a + (uint32_t)wide;
            set_cv(m, a + wide > 0xFFFFFFFF,
                   negative(a) == negative((uint32_t)wide) && negative(out) != negative(a));
            break;
        case 0x35:
            wide = (uint64_t)b + ((m->psw & C) != 0 ? 0 : 1);
            // fall through
        case 0x11:
        case 0x20:
            out = a - (uint32_t)wide;
            set_cv(m, a >= wide,
                   negative(a) != negative((uint32_t)wide) && negative(out) != negative(a));
            break;
        case 0x12:
            wide = (uint64_t)a * b;
            out = (uint32_t)wide;
            set_cv(m, wide > 0xFFFFFFFF, wide > 0xFFFFFFFF);
            break;
        case 0x13:
            out = (uint32_t)((int64_t)(int32_t)a / (int32_t)b);
            set_cv(m, false, false);
            break;
        case 0x31:
        case 0x32:
        case 0x33:
            out = shift(m, op, a, b % 32);
            break;
        default:
            out = op == 0x14 ? a & b : op == 0x15 ? a | b : op == 0x16 ? a ^ b : ~a;
            set_cv(m, false, false);
            break;
    }
    set_zn(m, out);
    return out;
}

static bool is_alu(uint32_t op) {
    return (op >= 0x10 && op <= 0x17) || op == 0x20 || (op >= 0x31 && op <= 0x35);
}

// What an instruction comes to.
typedef struct outcome {
    uint32_t stop;  // as of hsx_clock()
    bool counted;   // retired: the PC is `then`
    uint32_t then;
} outcome_t;

static outcome_t go(uint32_t then) {
    return (outcome_t){HSX_STOP_OK, true, then};
}

static outcome_t stop_after(uint32_t stop, uint32_t then) {
    return (outcome_t){stop, true, then};
}

static outcome_t stop_on(uint32_t stop) {
    return (outcome_t){stop, false, 0};
}

static outcome_t service(model_t *m, uint32_t number, uint32_t then) {
    switch (number) {
        case 0x000:
            m->regs[0] = m->steps;
            return go(then);
        case 0x100:
            return stop_after(HSX_STOP_EXIT, then);
        case 0x600:
            return m->regs[0] == 0 ? go(then) : stop_after(HSX_STOP_SLEEP, then);
        default:
            return stop_after(HSX_STOP_SVC | number << 8, then);
    }
}

static outcome_t execute(model_t *m, uint32_t word) {
    uint32_t op = word >> 24;
    uint32_t *rd = &m->regs[word >> 20 & 15];
    uint32_t rs1 = word >> 16 & 15;
    uint32_t a = m->regs[rs1];
    uint32_t b = m->regs[word >> 12 & 15];
    uint32_t imm = word & 0xFFF;
    uint32_t simm = imm >= 0x800 ? imm - 0x1000 : imm;
    uint32_t address = (a + simm) & 0xFFFF;
    uint32_t next = m->pc + 4;
    uint32_t value;
    uint32_t failed;
    if (is_alu(op)) {
        if (op == 0x13 && b == 0) {
            return stop_on(fault(HSX_FAULT_DIV_ZERO));
        }
        value = alu(m, op, a, b);
        if (op != 0x20) {
            *rd = value;
        }
        return go(next);
    }
    switch (op) {
        case 0x01:
            *rd = simm;
            return go(next);
        case 0x02:
        case 0x06:
        case 0x07:
            if (!load(m, address, op == 0x02 ? 4 : op == 0x06 ? 1 : 2, &value)) {
                return stop_on(fault(HSX_FAULT_MEM));
            }
            *rd = value;
            return go(next);
        case 0x03:
        case 0x08:
        case 0x09:
            if (!store(m, address, op == 0x03 ? 4 : op == 0x08 ? 1 : 2, b)) {
                return stop_on(fault(HSX_FAULT_MEM));
            }
            return go(next);
        case 0x04:
            *rd = a;
            return go(next);
        case 0x21:
            return go(imm);
        case 0x22:
            return go((m->psw & Z) != 0 ? imm : next);
        case 0x23:
            return go((m->psw & Z) == 0 ? imm : next);
        case 0x24:
            failed = push(m, next);
            if (failed != 0) {
                return stop_on(failed);
            }
            m->depth++;
            return go(((rs1 != 0 ? a : m->pc) + 4 * simm) & 0xFFFF);
        case 0x25:
            if (m->depth == 0) {
                return stop_on(HSX_STOP_RETURNED);
            }
            failed = pop(m, &value);
            if (failed != 0) {
                return stop_on(failed);
            }
            m->depth--;
            return go(value);
        case 0x30:
            return service(m, imm, next);
        case 0x40:
            failed = push(m, a);
            return failed != 0 ? stop_on(failed) : go(next);
        case 0x41:
            failed = pop(m, &value);
            if (failed != 0) {
                return stop_on(failed);
            }
            *rd = value;
            return go(next);
        case 0x50:
        case 0x51:
        case 0x52:
        case 0x53:
            *rd = (*rd & 0xFFFF0000) | arithmetic(op, decode(a), decode(b));
            return go(next);
        case 0x54:
            *rd = (*rd & 0xFFFF0000) | encode((double)(int32_t)a);
            return go(next);
        case 0x55:
            *rd = to_int(decode(a));
            return go(next);
        case 0x60:
            if (m->code_len < 8 || m->pc > m->code_len - 8) {
                return stop_on(fault(HSX_FAULT_PC_RANGE));
            }
            *rd = be32(m->code + m->pc + 4);
            return go(m->pc + 8);
        case 0x7F:
            return stop_after(HSX_STOP_BRK | (imm & 0xFF) << 8, next);
        default:
            return stop_after(fault(HSX_FAULT_ILLEGAL), next);
    }
}

uint32_t model_clock(model_t *m, uint32_t steps) {
    while (steps != 0) {
        uint32_t word;
        outcome_t outcome;
        m->last_pc = m->pc;
        if (m->pc > m->code_len - 4) {
            return fault(HSX_FAULT_PC_RANGE);
        }
        word = be32(m->code + m->pc);
        outcome = execute(m, word);
        if (!outcome.counted) {
            uint32_t number = outcome.stop >> 8;
            if (outcome.stop != HSX_STOP_RETURNED && number < HSX_FAULT_ILLEGAL) {
                m->regs[0] = 0xFFFFFF00 | number;
            }
            return outcome.stop;
        }
        m->pc = outcome.then;
        m->retired[word >> 24]++;
        m->steps++;
        steps--;
        if (outcome.stop != HSX_STOP_OK) {
            return outcome.stop;
        }
    }
    return HSX_STOP_OK;
}
