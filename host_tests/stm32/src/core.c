// SPDX-License-Identifier: MIT
//
// The core: Unicorn's Cortex-M, with exceptions as ARMv7-M ARM B1.5 says, time, and memory.
//
// Unicorn executes instructions and knows the special registers; entering and leaving exceptions
// is done here, between two basic blocks. An exception that is taken always stacks the whole
// frame: lazy stacking of the FPU's registers (B1.5.7) differs in time only. Late arrival and
// tail-chaining (B1.5.12) differ in time only, too. Not modelled: the MPU (no region is ever
// refused), caches, access rights by CPACR; an unaligned access to a device is made as two aligned
// ones.

#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

#include "core.h"

#define FOREVER ((uint64_t)0xfffffff0)
#define MEMORIES 16

enum { INTERRUPT_UNDEFINED = 1, INTERRUPT_SVC, INTERRUPT_BKPT = 7, INTERRUPT_RETURN };

typedef struct {
    uint32_t base, size;
    uint8_t *bytes;
    bool ram;
    void (*written)(uint32_t address, uint32_t value, unsigned size);
} Memory;

static uc_engine *uc;
static Memory memories[MEMORIES];
static unsigned memory_count;
static bool powered, asleep;
static bool in_access;  // of a device's register

static struct {
    Time now;            // at the start of the block that executes
    uint64_t remainder;  // of a picosecond, in 1 / hz
    uint64_t cycles;
    uint32_t hz, block;    // instructions of the block that executes
    uint64_t period, rest;  // of a cycle: picoseconds, and what `remainder` takes
    Time wake;           // blocks end here: the next event, or what core_run was given
} clock;

static struct {
    bool asked, by_block, power_cut, reset;
    Cause cause;
    bool exited;
    int code;
    uint64_t cut_cycle;
    unsigned interrupt;  // that Unicorn has reported
    bool fault;          // of the access that was just made
    uint32_t address, pc;
} stop = {.cut_cycle = UINT64_MAX};

static Cause cause;
static Time stalled_until;
static bool stepping;  // instruction by instruction, as power is cut within the next block
static bool may_preempt;  // an exception has become pending, or masks have changed
static Time masked_until;

static uint32_t get(int which) {
    uint32_t value = 0;
    uc_reg_read(uc, which, &value);
    return value;
}

static void set(int which, uint32_t value) {
    uc_reg_write(uc, which, &value);
}

// Time -------------------------------------------------------------------------------------------

Time now(void) {
    return clock.now;
}

uint32_t core_hz(void) {
    return clock.hz;
}

uint64_t core_cycles(void) {
    return clock.cycles;
}

static void pass(uint32_t cycles) {
    clock.cycles += cycles;
    clock.now += cycles * clock.period;
    clock.remainder += cycles * clock.rest;
    if (clock.remainder >= clock.hz) {  // a division costs more than all of the rest
        clock.now += clock.remainder / clock.hz;
        clock.remainder %= clock.hz;
    }
}

// Unicorn stores into a ROM all the same, after `written`: it is taken back at the next such
// store, or after the block.
static struct {
    uint8_t *at, bytes[8];
    unsigned size;
} stored;

static void undo_store(void) {
    if (stored.size) {
        memcpy(stored.at, stored.bytes, stored.size);
        stored.size = 0;
    }
}

static void end_block(void) {
    undo_store();
    pass(clock.block);
    clock.block = 0;
}

static void set_hz(uint32_t hz) {
    clock.hz = hz;
    clock.period = SEC / hz;
    clock.rest = SEC % hz;
    clock.remainder = 0;
}

void core_clock(uint32_t hz) {
    if (hz != clock.hz) {
        set_hz(hz);
        systick_clock_changed();
    }
}

void core_wake_at(Time at) {
    if (at < clock.wake) {
        clock.wake = at;
    }
}

void core_stall(Time wait) {
    stalled_until = clock.now + wait;
    core_wake_at(clock.now);
}

void core_skip_to_event(void) {
    Time next = events_next();
    if (next != NEVER && next > clock.now) {
        core_stall(next - clock.now);
    }
}

void core_cut_at_cycle(uint64_t cycle) {
    stop.cut_cycle = cycle;
}

static void fire_events(void) {
    Time reached = clock.now;
    for (Event *event; (event = events_take(reached));) {
        clock.now = event->at;
        event->fire(event->self);
    }
    clock.now = reached;
}

// Memory -----------------------------------------------------------------------------------------

static Memory *memory_at(uint32_t address) {
    static Memory *last = memories;
    if (address - last->base < last->size) {
        return last;
    }
    for (unsigned i = 0; i < memory_count; i++) {
        if (address - memories[i].base < memories[i].size) {
            last = &memories[i];
            return last;
        }
    }
    return NULL;
}

static Memory *add_memory(uint32_t base, uint32_t size, uint8_t *bytes, uint32_t rights) {
    if (memory_count == MEMORIES || uc_mem_map_ptr(uc, base, size, rights, bytes)) {
        refuse("memory at %08x cannot be mapped", (unsigned)base);
    }
    Memory *memory = &memories[memory_count++];
    *memory = (Memory){.base = base, .size = size, .bytes = bytes};
    return memory;
}

void memory_ram(uint32_t base, uint32_t size) {
    add_memory(base, size, aligned_alloc(4096, size), UC_PROT_ALL)->ram = true;
}

void memory_rom(
    uint32_t base, uint32_t size, uint8_t *bytes,
    void (*written)(uint32_t address, uint32_t value, unsigned size)
) {
    add_memory(base, size, bytes, UC_PROT_READ | UC_PROT_EXEC)->written = written;
}

static uint8_t *bytes_at(uint32_t address, size_t size, const char *what) {
    Memory *memory = memory_at(address);
    if (!memory || size > memory->size - (address - memory->base)) {
        refuse("%s of %zu bytes at %08x, where no memory is", what, size, (unsigned)address);
    }
    return memory->bytes + (address - memory->base);
}

void memory_read(uint32_t address, void *data, size_t size) {
    memcpy(data, bytes_at(address, size, "a transfer"), size);
}

void memory_write(uint32_t address, const void *data, size_t size) {
    uint8_t *bytes = bytes_at(address, size, "a transfer");
    if (!memory_at(address)->ram) {
        refuse("a transfer to %08x, which is not RAM", (unsigned)address);
    }
    memcpy(bytes, data, size);
    uc_ctl_remove_cache(uc, address, address + size);
}

// Instructions of blocks in a ROM: to count them took a fifth of the time of a run.
static struct {
    uint32_t address, size, count;
} counted[1 << 14];

void memory_changed(uint32_t address, uint32_t size) {
    Memory *changed = memory_at(address);
    memset(counted, 0, sizeof counted);
    for (unsigned i = 0; i < memory_count; i++) {
        if (memories[i].bytes == changed->bytes) {
            uint64_t at = memories[i].base + (address - changed->base);
            uc_ctl_remove_cache(uc, at, at + size);
        }
    }
}

static uint32_t load(uint32_t address) {
    uint32_t value;
    memory_read(address, &value, sizeof value);
    return value;
}

// A bit of the bit-band alias of the peripherals, ARMv7-M ARM B3.1 and DDI 0439 3.7.
static uint32_t bit_band_word(uint32_t offset) {
    return 0x40000000 + (offset / 32 & ~3u);
}

static uint32_t bit_band_bit(uint32_t offset) {
    return offset / 4 % 8 + 8 * (offset / 32 % 4);
}

static uint64_t device_read(uc_engine *engine, uint64_t offset, unsigned size, void *base) {
    (void)engine;
    uint32_t at = (uint32_t)(uintptr_t)base + (uint32_t)offset;
    in_access = true;
    uint64_t value = registers_read(at, size);
    in_access = false;
    return value;
}

static void device_write(
    uc_engine *engine, uint64_t offset, unsigned size, uint64_t value, void *base
) {
    (void)engine;
    in_access = true;
    registers_write((uint32_t)(uintptr_t)base + (uint32_t)offset, (uint32_t)value, size);
    in_access = false;
}

static uint64_t bit_read(uc_engine *engine, uint64_t offset, unsigned size, void *unused) {
    (void)engine, (void)size, (void)unused;
    uint32_t at = (uint32_t)offset;
    return registers_read(bit_band_word(at), 4) >> bit_band_bit(at) & 1;
}

static void bit_write(
    uc_engine *engine, uint64_t offset, unsigned size, uint64_t value, void *unused
) {
    (void)engine, (void)size, (void)unused;
    uint32_t word = bit_band_word((uint32_t)offset), bit = 1u << bit_band_bit((uint32_t)offset);
    uint32_t was = registers_read(word, 4);
    registers_write(word, value & 1 ? was | bit : was & ~bit, 4);
}

static void map_devices(uint32_t base, uint32_t size) {
    void *at = (void *)(uintptr_t)base;
    if (uc_mmio_map(uc, base, size, device_read, at, device_write, at)) {
        refuse("devices at %08x cannot be mapped", (unsigned)base);
    }
}

// What the hooks of Unicorn report ---------------------------------------------------------------

static unsigned instructions(uint32_t address, uint32_t size) {
    uint32_t slot = address / 2 % (sizeof counted / sizeof *counted);
    if (counted[slot].address == address && counted[slot].size == size) {
        return counted[slot].count;
    }
    const uint8_t *code = bytes_at(address, size, "a block");
    unsigned count = 0;
    for (uint32_t at = 0; at < size; count++) {
        at += code[at + 1] >= 0xe8 ? 4 : 2;
    }
    if (!memory_at(address)->ram) {
        counted[slot].address = address;
        counted[slot].size = size;
        counted[slot].count = count;
    }
    return count;
}

static Masks masks(void) {
    return (Masks){
        .primask = get(UC_ARM_REG_PRIMASK) & 1 || now() < masked_until,
        .faultmask = get(UC_ARM_REG_FAULTMASK) & 1,
        .basepri = (uint8_t)get(UC_ARM_REG_BASEPRI),
    };
}

static void on_block(uc_engine *engine, uint64_t address, uint32_t size, void *unused) {
    (void)engine, (void)unused;
    end_block();
    stop.pc = (uint32_t)address;
    bool preempts = may_preempt && nvic_due(masks());
    if (clock.now >= clock.wake || preempts || stop.asked || stop.reset || stop.power_cut) {
        stop.by_block = true;
        uc_emu_stop(uc);
        return;
    }
    if (stepping) {
        return;
    }
    clock.block = instructions((uint32_t)address, size);
    if (clock.cycles + clock.block > stop.cut_cycle) {
        clock.block = 0;
        stepping = stop.by_block = true;
        uc_emu_stop(uc);
    }
}

static void on_interrupt(uc_engine *engine, uint32_t number, void *unused) {
    (void)engine, (void)unused;
    stop.interrupt = number;
    uc_emu_stop(uc);
}

static bool on_bad_access(
    uc_engine *engine, uc_mem_type type, uint64_t address, int size, int64_t value, void *unused
) {
    (void)engine, (void)unused;
    Memory *memory = memory_at((uint32_t)address);
    if (type == UC_MEM_WRITE_PROT && memory && memory->written) {
        undo_store();
        stored.at = memory->bytes + ((uint32_t)address - memory->base);
        stored.size = (unsigned)size;
        memcpy(stored.bytes, stored.at, stored.size);
        memory->written((uint32_t)address, (uint32_t)value, (unsigned)size);
        return true;
    }
    stop.fault = true;
    stop.address = (uint32_t)address;
    return false;
}

static void on_watched_write(
    uc_engine *engine, uc_mem_type type, uint64_t address, int size, int64_t value, void *unused
) {
    (void)engine, (void)type, (void)unused;
    host_watch((uint32_t)address, (uint32_t)value, (unsigned)size);
}

static void on_watched_read(
    uc_engine *engine, uc_mem_type type, uint64_t address, int size, int64_t value, void *read
) {
    (void)engine, (void)type, (void)size, (void)value;
    ((void (*)(uint32_t))(uintptr_t)read)((uint32_t)address);
}

void memory_watch_reads(uint32_t address, uint32_t size, void (*read)(uint32_t address)) {
    uc_hook hook;
    void *argument = (void *)(uintptr_t)read;
    uint64_t end = address + size - 1;
    uc_hook_add(uc, &hook, UC_HOOK_MEM_READ, (void *)on_watched_read, argument, address, end);
    uc_ctl_flush_tb(uc);  // what is translated already would not call it
}

void core_watch(uint32_t address, uint32_t size) {
    uc_hook hook;
    uc_hook_add(
        uc, &hook, UC_HOOK_MEM_WRITE, (void *)on_watched_write, NULL, address, address + size - 1
    );
    uc_ctl_flush_tb(uc);
}

uint32_t core_pc(void) {
    return in_access ? stop.pc : get(UC_ARM_REG_PC);
}

void core_stop(void) {
    stop.asked = true;
}

void core_check_exceptions(void) {
    may_preempt = true;
}

void core_mask_until(Time until) {
    masked_until = until;
    may_preempt = true;
}

// Exceptions -------------------------------------------------------------------------------------

static const int frame_registers[] = {
    UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R12, UC_ARM_REG_LR,
};
enum { FRAME = 32, FPU_FRAME = 72, CONTROL_SPSEL = 2, CONTROL_FPCA = 4 };
enum { RETURN_BASIC_FRAME = 16, RETURN_TO_THREAD = 8, RETURN_TO_PSP = 4 };

static void store(uint32_t address, uint32_t value) {
    memory_write(address, &value, sizeof value);
}

// B1.5.6, PushStack and ExceptionTaken
static void enter(unsigned exception, uint32_t return_address) {
    uint32_t control = get(UC_ARM_REG_CONTROL), psr = get(UC_ARM_REG_XPSR);
    bool fpu = control & CONTROL_FPCA, handler = psr & 0x1ff;
    uint32_t sp = get(UC_ARM_REG_SP), top = sp - FRAME - (fpu ? FPU_FRAME : 0);
    uint32_t frame = top & ~7u;
    for (unsigned i = 0; i < 6; i++) {
        store(frame + 4 * i, get(frame_registers[i]));
    }
    store(frame + 24, return_address & ~1u);
    store(frame + 28, (psr & ~0x200u) | (top & 4 ? 0x200 : 0));
    if (fpu) {
        for (int i = 0; i < 16; i++) {
            store(frame + FRAME + 4 * (uint32_t)i, get(UC_ARM_REG_S0 + i));
        }
        store(frame + FRAME + 64, get(UC_ARM_REG_FPSCR));
    }
    uint32_t code = 0xffffffe1 | (fpu ? 0 : RETURN_BASIC_FRAME);
    if (!handler) {
        code |= RETURN_TO_THREAD | (control & CONTROL_SPSEL ? RETURN_TO_PSP : 0);
    }
    set(UC_ARM_REG_SP, frame);
    set(UC_ARM_REG_CONTROL, control & ~(uint32_t)(CONTROL_SPSEL | CONTROL_FPCA));
    set(UC_ARM_REG_XPSR, 0x01000000 | exception);
    set(UC_ARM_REG_LR, code);
    set(UC_ARM_REG_PC, load(scb_vector_table() + 4 * exception) | 1);
    nvic_enter(exception);
    asleep = false;
    pass(12);
}

// B1.5.8, ExceptionReturn and PopStack
static void leave(uint32_t code) {
    uint32_t exception = get(UC_ARM_REG_XPSR) & 0x1ff, control = get(UC_ARM_REG_CONTROL);
    bool thread = code & RETURN_TO_THREAD, psp = code & RETURN_TO_PSP;
    bool known = (code & 0xffffffe3) == 0xffffffe1 && (thread || !psp);
    if (!known || !nvic_is_active(exception) || thread != (nvic_active_count() == 1)) {
        refuse("a return from exception %u with %08x", (unsigned)exception, (unsigned)code);
    }
    if (exception != EXCEPTION_NMI) {
        set(UC_ARM_REG_FAULTMASK, 0);
    }
    nvic_leave(exception);
    bool fpu = !(code & RETURN_BASIC_FRAME);
    control &= ~(uint32_t)(CONTROL_SPSEL | CONTROL_FPCA);
    uint32_t frame = get(psp ? UC_ARM_REG_PSP : UC_ARM_REG_MSP), psr = load(frame + 28);
    for (unsigned i = 0; i < 6; i++) {
        set(frame_registers[i], load(frame + 4 * i));
    }
    if (fpu) {
        for (int i = 0; i < 16; i++) {
            set(UC_ARM_REG_S0 + i, load(frame + FRAME + 4 * (uint32_t)i));
        }
        set(UC_ARM_REG_FPSCR, load(frame + FRAME + 64));
    }
    uint32_t pc = load(frame + 24);
    set(UC_ARM_REG_XPSR, psr & ~0x200u);
    set(UC_ARM_REG_CONTROL, control | (psp ? CONTROL_SPSEL : 0) | (fpu ? CONTROL_FPCA : 0));
    set(UC_ARM_REG_SP, (frame + FRAME + (fpu ? FPU_FRAME : 0)) | (psr & 0x200 ? 4 : 0));
    set(UC_ARM_REG_PC, pc | 1);
    pass(10);
}

static void fault(unsigned exception) {
    enter(nvic_escalate(exception, masks()), get(UC_ARM_REG_PC));
}

void bus_fault(uint32_t address) {
    stop.fault = true;
    stop.address = address;
    uc_emu_stop(uc);
}

void nmi(void) {
    nvic_pend(EXCEPTION_NMI);
}

// A breakpoint is a call of semihosting (programs/bare.h), if the machine runs such a program.
static void breakpoint(void) {
    uint32_t pc = get(UC_ARM_REG_PC), number = get(UC_ARM_REG_R0), value = get(UC_ARM_REG_R1);
    if (!setting("semihosting") || (load(pc & ~3u) >> 8 * (pc & 2) & 0xffff) != 0xbeab) {
        scb_hard_fault(false);
        fault(EXCEPTION_HARD_FAULT);
        return;
    }
    if (number == 4) {
        host_text((const char *)bytes_at(value, 1, "a text"));
    } else if (number == 0x18) {
        stop.exited = true;
        stop.code = value == 0x20026 ? 0 : 1;
    } else {
        refuse("semihosting operation %u", (unsigned)number);
    }
    set(UC_ARM_REG_PC, (pc + 2) | 1);
}

int core_exit_code(void) {
    return stop.code;
}

// Power and reset --------------------------------------------------------------------------------

static void reset(bool power_on) {
    static const int registers[] = {
        UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R12,
        UC_ARM_REG_PRIMASK, UC_ARM_REG_BASEPRI, UC_ARM_REG_FAULTMASK, UC_ARM_REG_CONTROL,
        UC_ARM_REG_FPSCR,
    };
    trace("reset, cause %d", cause);
    stalled_until = 0;
    devices_power_reset(power_on);
    for (unsigned i = 0; i < sizeof registers / sizeof *registers; i++) {
        set(registers[i], 0);
    }
    uint32_t table = scb_vector_table();
    set(UC_ARM_REG_XPSR, 0x01000000);
    set(UC_ARM_REG_MSP, load(table));
    set(UC_ARM_REG_LR, UINT32_MAX);
    set(UC_ARM_REG_PC, load(table + 4) | 1);
    asleep = false;
    may_preempt = true;
    stop.reset = false;
}

void machine_reset(Cause why) {
    stop.reset = true;
    stop.cause = why;
}

Cause reset_cause(void) {
    return cause;
}

void power_cut(void) {
    stop.power_cut = true;
}

void core_power(bool on) {
    if (on == powered) {
        return;
    }
    powered = on;
    if (on) {
        for (unsigned i = 0; i < memory_count; i++) {
            for (uint32_t at = 0; memories[i].ram && at < memories[i].size; at += 4) {
                uint32_t noise = machine_random();
                memcpy(memories[i].bytes + at, &noise, 4);
            }
        }
        uc_ctl_flush_tb(uc);
        cause = RESET_POWER;
        reset(true);
    } else {
        stop.cut_cycle = UINT64_MAX;
        stop.power_cut = stepping = false;
        devices_power_reset(true);
    }
    power_changed(on);
}

// The run loop -----------------------------------------------------------------------------------

// Executes code until a hook ends it, and gives whether the core has come to a WFI.
static bool execute(void) {
    uint32_t pc = get(UC_ARM_REG_PC);
    bool step = stepping;
    stop.by_block = stop.fault = false;
    stop.interrupt = 0;
    if (step) {
        uc_ctl_flush_tb(uc);  // blocks of more than one instruction are translated already
    }
    uc_err error = uc_emu_start(uc, pc | 1, FOREVER, 0, step);
    if (step && !stop.by_block) {
        pass(1);
    }
    end_block();
    uint32_t after = get(UC_ARM_REG_PC);
    if (after >= FOREVER || stop.interrupt == INTERRUPT_RETURN) {
        leave(after | 1);
    } else if (stop.fault) {
        scb_fault_status(0x8200, stop.address);
        fault(EXCEPTION_BUS_FAULT);
    } else if (stop.interrupt == INTERRUPT_SVC) {
        enter(nvic_escalate(EXCEPTION_SVC, masks()), after);
    } else if (stop.interrupt == INTERRUPT_BKPT) {
        breakpoint();
    } else if (error || stop.interrupt) {
        trace("usage fault at %08x: %s", (unsigned)after, uc_strerror(error));
        scb_fault_status(0x10000, 0);
        fault(EXCEPTION_USAGE_FAULT);
    } else if (!stop.by_block) {
        return !step || (load((after - 2) & ~3u) >> 8 * ((after - 2) & 2) & 0xffff) == 0xbf30;
    }
    return false;
}

Stop core_run(Time until) {
    stop.asked = false;
    for (;;) {
        fire_events();
        if (stop.power_cut || clock.cycles >= stop.cut_cycle) {
            core_power(false);
            return STOP_CUT;
        }
        if (stop.exited) {
            return STOP_EXIT;
        }
        if (stop.asked) {
            return STOP_ASKED;
        }
        if (clock.now >= until) {
            return STOP_TIME;
        }
        Time next = events_next() < until ? events_next() : until;
        next = masked_until > clock.now && masked_until < next ? masked_until : next;
        clock.wake = next;
        if (!powered) {
            host_sleep(next);
            clock.now = next;
            continue;
        }
        if (clock.now < stalled_until) {
            clock.now = stalled_until < next ? stalled_until : next;
            continue;
        }
        if (stop.reset) {
            cause = stop.cause;
            reset(false);
            continue;
        }
        unsigned exception = nvic_due(masks());
        if (exception) {
            enter(exception, get(UC_ARM_REG_PC));
            continue;
        }
        may_preempt = nvic_pending();
        // What is held back from the core does not wake it: a WFI would come back at once, and the
        // core would turn in its idle loop until the end of the hold.
        if (asleep && (clock.now < masked_until || !nvic_wakes(masks()))) {
            host_sleep(next);
            clock.now = next;
            continue;
        }
        asleep = execute();
        if (asleep && scb_deep_sleep()) {
            refuse("WFI with SLEEPDEEP: stop and standby are not modelled");
        }
    }
}

void core_build(const Part *part) {
    if (uc_open(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS, &uc)) {
        refuse("Unicorn has no such core");
    }
    uc_ctl_set_cpu_model(
        uc, part->core == CORTEX_M4 ? UC_CPU_ARM_CORTEX_M4 : UC_CPU_ARM_CORTEX_M7
    );
    uc_hook hook;
    uc_hook_add(uc, &hook, UC_HOOK_BLOCK, (void *)on_block, NULL, 1, 0);
    uc_hook_add(uc, &hook, UC_HOOK_INTR, (void *)on_interrupt, NULL, 1, 0);
    uc_hook_add(uc, &hook, UC_HOOK_MEM_INVALID, (void *)on_bad_access, NULL, 1, 0);
    if (part->core == CORTEX_M4) {
        map_devices(0x40000000, 0x02000000);
        uc_mmio_map(uc, 0x42000000, 0x02000000, bit_read, NULL, bit_write, NULL);
        map_devices(0x44000000, 0x1c000000);
    } else {
        map_devices(0x40000000, 0x20000000);
    }
    map_devices(0xe0000000, 0x00100000);
    set_hz(part->reset_hz);
}
