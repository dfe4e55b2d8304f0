// SPDX-License-Identifier: MIT
//
// What the models of an emulated STM32 share: time, registers, interrupts, wires and refusals.
//
// One process emulates one board, so there is one machine. Each peripheral has a file of its own,
// named as the reference manual names it, and says which section of which manual it follows.
// A model is strict: what a real part leaves undefined ends the run (`refuse`), because firmware
// that works on a forgiving model may fail on the part.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Time -------------------------------------------------------------------------------------------

// Virtual time in picoseconds since the machine was started, 213 days at most. It moves with the
// instructions that the core executes, one clock period each, and jumps to the next event while
// the core sleeps. Wait states, the pipeline and slow instructions are not counted. All accesses
// of a basic block of code happen at the time of its first instruction. While an event fires, it
// is the time of the event.
typedef uint64_t Time;
#define NS ((Time)1000)
#define US (1000 * NS)
#define MS (1000 * US)
#define SEC (1000 * MS)

Time now(void);

// Something that will happen. It lives in the struct of its owner, which sets `fire` and `self`.
typedef struct Event {
    void (*fire)(void *self);
    void *self;
    Time at;
    bool armed;
    struct Event *next;
} Event;

// Fires once, `wait` from now; arming an armed event moves it. Events of one moment fire in the
// order in which they were armed.
void event_in(Event *event, Time wait);
void event_at(Event *event, Time at);
void event_cancel(Event *event);

// Refusals ---------------------------------------------------------------------------------------

// Ends the run with exit code 3 and one line: what was refused, the PC, the time. The PC is that
// of the basic block which makes the access.
_Noreturn void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

// One line to stderr, with the time, if the machine was started with log=1.
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Registers --------------------------------------------------------------------------------------

typedef struct {
    uint16_t offset;
    const char *name;
    uint32_t reset;
    uint32_t writable;  // bits that software may change, or write 1 or 0 to with an effect
    uint32_t ignored;   // bits that are read-only, or reserved where MicroPython or its HAL is
                        // known to write: a comment says where
    uint16_t count;     // this many words follow each other with the same bits; 0: one
} Register;

// The bit of a peripheral in RCC's enable and reset registers, which are given by their offsets.
// Without a `bit` the peripheral always has its clock.
typedef struct {
    uint16_t enable, reset;
    uint32_t bit;
} Gate;

typedef struct Device {
    const char *name;
    uint32_t base;
    const Register *registers;  // ended by one whose name is NULL
    void *self;
    // `offset` is of a word in `registers`. Without `read` the machine keeps the values; without
    // `write` it stores the `writable` bits.
    uint32_t (*read)(void *self, uint32_t offset);
    // A narrow write arrives merged into what `read` gives, unless `narrow` is set: then `size` is
    // 1, 2 or 4, `value` is what was written and `offset` is that of the first byte.
    void (*write)(void *self, uint32_t offset, uint32_t value, unsigned size);
    // A system or power-on reset, or the peripheral's bit in an RCC reset register (`power_on` is
    // false then). The machine sets kept values to their reset values before, unless `kept` is
    // set.
    void (*reset)(void *self, bool power_on);
    bool narrow;
    bool kept;  // a system reset does not touch it: the backup domain
    Gate gate;  // any access without a clock is refused,
    // unless MicroPython or its HAL is known to make one, which reads 0 and writes nothing: where,
    // says a comment.
    bool silent_without_clock;
    // The machine's own, set by device_add.
    uint32_t span;
    const Register **index;
    uint32_t *values;
} Device;

// Called by a part's table at start. The machine checks every access: a register that is not in
// the table, a write that changes a bit outside `writable | ignored` from its reset value, an
// access without a clock: each is refused with the names of the device and the register.
void device_add(Device *device);
// The value of a register that the machine keeps.
uint32_t *device_value(const Device *device, uint32_t offset);
// RCC calls it when bits of a reset register are set.
void devices_reset(uint16_t reset_offset, uint32_t bits);
// RCC sets it: whether the bit of an enable register is set.
void devices_gated_by(bool (*enabled)(uint16_t enable_offset, uint32_t bit));

// Memory -----------------------------------------------------------------------------------------

// RAM: it holds noise of the seed when power comes on.
void memory_ram(uint32_t base, uint32_t size);
// Bytes of the caller that the core reads and executes. `written` receives what it stores there;
// without it a store is a bus fault. The same bytes may be mapped at several addresses.
void memory_rom(
    uint32_t base, uint32_t size, uint8_t *bytes,
    void (*written)(uint32_t address, uint32_t value, unsigned size)
);
// The bytes of a ROM have changed: what the core has translated of them is forgotten.
void memory_changed(uint32_t address, uint32_t size);
// Calls `read` when the core is about to read these bytes of a ROM as data.
void memory_watch_reads(uint32_t address, uint32_t size, void (*read)(uint32_t address));
// Memory of the part that models see as DMA would. Refused where no memory is.
void memory_read(uint32_t address, void *data, size_t size);
void memory_write(uint32_t address, const void *data, size_t size);

// The address of the basic block that the core executes.
uint32_t core_pc(void);
// The core makes no progress for so long: it fetches from a flash that is busy.
void core_stall(Time wait);
// The core polls a register that only an event changes: it goes on at the next event, instead of
// repeating its loop until then.
void core_skip_to_event(void);

// Interrupts -------------------------------------------------------------------------------------

// Level of an interrupt line of the NVIC. As in ARMv7-M (B3.4.1): a rising edge makes it pending,
// even while its handler is active; a level that is still high when the handler returns makes it
// pending again.
void irq_line(unsigned irq, bool level);
// The NMI of the part: a double ECC error of flash.
void nmi(void);
// A bus fault of the access that is being made, precise.
void bus_fault(uint32_t address);

// Resets and power -------------------------------------------------------------------------------

// A reset as by IWDG or software. It happens after the current block of code; every device is
// reset then, and the part's RCC asks for the cause to set the flags of its CSR.
typedef enum { RESET_POWER, RESET_PIN, RESET_SOFTWARE, RESET_IWDG } Cause;
void machine_reset(Cause cause);
Cause reset_cause(void);
// Power goes off or comes on, for what is no device of the part: a memory on a bus, a card.
void power_watch(void (*changed)(void *self, bool on), void *self);
// Ends the power now: the core executes no further instruction.
void power_cut(void);
// The next number of the seed, the same sequence in every run.
uint32_t machine_random(void);

// Wires ------------------------------------------------------------------------------------------

// A wire between pins, buses and parts. While no driver holds it, its pulls give its level: a
// resistor on the board is stronger than that of a pin; without any it is low. A driver that
// pushes high against one that pulls low is refused.
#define WIRE_DRIVERS 6
#define WIRE_WATCHERS 6
typedef enum { DRIVE_NONE, DRIVE_LOW, DRIVE_HIGH } Drive;
typedef enum { PULL_NONE, PULL_UP, PULL_DOWN } Pull;
typedef struct Wire {
    const char *name;
    Pull pull;      // of the board
    Pull pin_pull;  // of the pin, set by GPIO
    Drive drivers[WIRE_DRIVERS];
    struct {
        void (*changed)(void *self, bool level);
        void *self;
    } watchers[WIRE_WATCHERS];
    unsigned driver_count, watcher_count;
    bool level;
} Wire;

// A driver's number on the wire, for `wire_drive`.
unsigned wire_driver(Wire *wire);
void wire_drive(Wire *wire, unsigned driver, Drive drive);
bool wire_level(const Wire *wire);
void wire_watch(Wire *wire, void (*changed)(void *self, bool level), void *self);
// A resistor of the board.
void wire_pull(Wire *wire, Pull pull);
void wire_pin_pull(Wire *wire, Pull pull);

// The wire at a pin of the part by name, such as "PB6". GPIO drives it as an output, and in an
// alternate function lets `pin_function` drive it.
Wire *pin_wire(const char *pin);
// A peripheral's signal on a pin: `drive` counts while GPIO has the pin in alternate function
// `number`, and is refused if the driver of a signal that needs open drain finds it push-pull.
typedef struct Function Function;
Function *pin_function(const char *pin, unsigned number, bool needs_open_drain);
void function_drive(Function *function, Drive drive);
bool function_level(const Function *function);
bool function_selected(const Function *function);

// Clocks -----------------------------------------------------------------------------------------

// Hertz, as RCC is set now; 0 while the clock is off.
typedef uint32_t (*Clock)(void);
uint32_t core_hz(void);
// RCC calls it when HCLK changes.
void core_clock(uint32_t hz);

// CAN bus ----------------------------------------------------------------------------------------

typedef struct {
    uint32_t id;
    bool extended, remote, fd, brs;
    uint8_t dlc;       // 0..15 as it stands on the wire
    uint8_t data[64];  // as many as `dlc` means in its format
} CanFrame;

// A controller or the host on the bus. The bus arbitrates by identifier, transmits bit-stuffed
// frames in the time that they take, and tells every station how each frame ended.
typedef struct CanStation {
    void *self;
    const char *name;
    uint32_t (*bit_ns)(void *self);  // its own bit time; a frame at another station's is an error
    bool (*listening)(void *self);   // on the bus, whether it sends or not
    bool (*acknowledges)(void *self);
    bool (*passive)(void *self);     // error-passive; NULL: never
    // The frame that it sends now; false: none. Asked whenever the bus is idle. What it offers is
    // sent, unless `lost_arbitration` is called at once; `sent` or `error` tells how that ended.
    bool (*offer)(void *self, CanFrame *frame);
    void (*sent)(void *self, const CanFrame *frame);
    void (*lost_arbitration)(void *self, const CanFrame *frame);
    void (*received)(void *self, const CanFrame *frame);
    // An error frame; `transmitter`: it sent the frame. `code`: as bxCAN's LEC and FDCAN's.
    void (*error)(void *self, bool transmitter, unsigned code);
    // Whether it waits for sequences of 11 recessive bits, to come (back) to the bus: `recessive`
    // is called for each, in idle time and at the ends of frames. NULL: never.
    bool (*counts)(void *self);
    void (*recessive)(void *self, unsigned bits);
    struct CanStation *next;
} CanStation;

void can_bus_join(CanStation *station);
// A station has something to send, or has come onto the bus, or `counts`.
void can_bus_wake(void);
// A frame is on the bus, or the end of one.
bool can_bus_busy(void);
// Bits of a frame on the wire, stuff bits and intermission counted.
unsigned can_frame_bits(const CanFrame *frame);
// A controller has lost a frame, as its FIFO was full; `told`: its flag was set for one before. The
// command `lost` gives how many, and how often a flag was set.
void can_frame_lost(bool told);
// Until `end` every frame is destroyed, as by a short circuit (drives controllers off the bus).
void can_bus_disturb(Time end);

// Parts and boards -------------------------------------------------------------------------------

typedef enum { CORTEX_M4, CORTEX_M7 } CoreKind;

typedef struct {
    const char *name;
    CoreKind core;
    unsigned irqs;
    uint32_t reset_hz;    // of the core after a reset
    uint32_t boot;        // the address of the vector table after a reset
    void (*build)(void);  // adds the devices and memories
} Part;

typedef struct {
    const char *name;
    const Part *part;
    void (*build)(void);  // what is on the board's wires
} Board;

// Host -------------------------------------------------------------------------------------------

// What was given as name=value when the machine was started; NULL: nothing.
const char *setting(const char *name);
// The bytes of the file that a setting names, shared with it; without the setting memory of the
// machine. A file that is shorter is filled up.
uint8_t *setting_bytes(const char *name, size_t size, uint8_t fill);
// The same for a file of any size, which `size` receives; NULL without the setting.
uint8_t *setting_file(const char *name, size_t *size);
// The bytes of a file, shared with it.
uint8_t *file_bytes(const char *path, size_t *size);

// A command of the control channel. `act` gets what follows the name, and gives an error or NULL.
void command_add(
    const char *name, const char *(*act)(void *self, const char *arguments), void *self
);
// Text for the answer of the command that is being done.
void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Bytes between a serial line of the part and the world: a pty, or the control channel.
typedef struct Line Line;
// `name`, such as "uart2" or "can", is how the host is told of it.
Line *line_open(const char *name, void (*arrived)(void *self), void *self);
// The next byte that has arrived; -1: none.
int line_take(Line *line);
void line_put(Line *line, uint8_t byte);
