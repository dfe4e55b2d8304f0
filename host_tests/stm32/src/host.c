// SPDX-License-Identifier: MIT
//
// How the machine is driven from outside, and its serial lines.
//
// Commands of the control channel are lines of stdin; each is answered by one line of stdout,
// `ok ...` or `error ...`. Times are nanoseconds, bytes are hexadecimal, addresses too. Nothing
// happens between two commands.
//
//   power on | power off
//   run TIME               runs for this time: how it ended, time in ps, cycles of the core. It
//                          ends by `time`, `text`, `cut` (power was cut) or `exit CODE`
//   until LINE TIME BYTES  the same, or until the line has put these bytes out that are not taken
//   send LINE BYTES        to the part
//   take LINE              what the line has put out
//   cut cycle N            cuts the power when the core has executed N cycles since the start,
//   cut edge PIN N         or at the Nth next rising edge of a pin: SCL's is a bit
//   reset                  a pulse at NRST
//   drive PIN low | high | none
//   pin PIN                its level
//   period PIN             the shortest time between two of its rising edges since the last such
//                          command, in ps; 0: there were none
//   where                  the program counter
//   read ADDRESS SIZE      memory, as DMA would
//   watch ADDRESS SIZE     records writes of the core into memory,
//   watched                these: TIME:PC:ADDRESS=VALUE, time in ps
//   hold TIME              masks interrupts from now on for this time
//   mask TIME              masks interrupts at random for up to this time, 1/8 of all time
//
// What a program says by semihosting is the output of the line `text`.
//
// Devices and boards add commands of their own (`command_add`).

#include "host.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

#define LINES 12
#define COMMANDS 24
#define TEXT 65536
#define POWER_WATCHERS 24

typedef struct {
    uint8_t *bytes;
    size_t first, end, room;
} Queue;

struct Line {
    const char *name;
    void (*arrived)(void *self);
    void *self;
    Queue in, out;
    int pty;
};

static Line lines[LINES];
static unsigned line_count;
static bool live;

static struct {
    const char *name;
    const char *(*act)(void *self, const char *arguments);
    void *self;
} commands[COMMANDS];
static unsigned command_count;

static struct {
    void (*changed)(void *self, bool on);
    void *self;
} power_watchers[POWER_WATCHERS];
static unsigned power_watcher_count;

static char answer_text[2 * TEXT + 64];
static size_t answer_length;

// Lines ------------------------------------------------------------------------------------------

static void put(Queue *queue, const uint8_t *bytes, size_t count) {
    if (queue->first == queue->end) {
        queue->first = queue->end = 0;
    }
    if (queue->end + count > queue->room) {
        queue->room = 2 * (queue->end + count);
        queue->bytes = realloc(queue->bytes, queue->room);
    }
    memcpy(queue->bytes + queue->end, bytes, count);
    queue->end += count;
}

static struct {
    Line *line;
    uint8_t text[TEXT];
    size_t length;
} expected;

static bool has_expected(void) {
    const Queue *out = &expected.line->out;
    return expected.length == 0 ||
           memmem(out->bytes + out->first, out->end - out->first, expected.text, expected.length);
}

static void put_out(Line *line, const uint8_t *bytes, size_t count) {
    put(&line->out, bytes, count);
    if (line == expected.line && has_expected()) {
        core_stop();
    }
}

Line *line_open(const char *name, void (*arrived)(void *self), void *self) {
    if (line_count == LINES) {
        refuse("the board has more than %d lines", LINES);
    }
    Line *line = &lines[line_count++];
    *line = (Line){.name = name, .arrived = arrived, .self = self, .pty = -1};
    return line;
}

int line_take(Line *line) {
    return line->in.first == line->in.end ? -1 : line->in.bytes[line->in.first++];
}

void line_put(Line *line, uint8_t byte) {
    if (live) {
        // Nobody may have opened the other side: then its buffer fills up, and bytes are lost.
        (void)!write(line->pty, &byte, 1);
        return;
    }
    put_out(line, &byte, 1);
}

static Line *find_line(const char *name) {
    for (unsigned i = 0; i < line_count; i++) {
        if (!strcmp(lines[i].name, name)) {
            return &lines[i];
        }
    }
    return NULL;
}

// Commands ---------------------------------------------------------------------------------------

void command_add(
    const char *name, const char *(*act)(void *self, const char *arguments), void *self
) {
    if (command_count == COMMANDS) {
        refuse("the board has more than %d commands", COMMANDS);
    }
    commands[command_count].name = name;
    commands[command_count].act = act;
    commands[command_count++].self = self;
}

void answer(const char *format, ...) {
    va_list list;
    va_start(list, format);
    size_t room = sizeof answer_text - answer_length;
    int length = vsnprintf(answer_text + answer_length, room, format, list);
    va_end(list);
    answer_length += (size_t)length < room ? (size_t)length : room - 1;
}

void power_watch(void (*changed)(void *self, bool on), void *self) {
    if (power_watcher_count == POWER_WATCHERS) {
        refuse("more than %d watch the power", POWER_WATCHERS);
    }
    power_watchers[power_watcher_count].changed = changed;
    power_watchers[power_watcher_count++].self = self;
}

void power_changed(bool on) {
    for (unsigned i = 0; i < power_watcher_count; i++) {
        power_watchers[i].changed(power_watchers[i].self, on);
    }
}

static const char *power(void *self, const char *arguments) {
    (void)self;
    if (strcmp(arguments, "on") && strcmp(arguments, "off")) {
        return "power on, or power off";
    }
    core_power(!strcmp(arguments, "on"));
    return NULL;
}

static void run_for(Time wait) {
    static const char *const names[] = {
        [STOP_TIME] = "time", [STOP_ASKED] = "text", [STOP_CUT] = "cut", [STOP_EXIT] = "exit",
    };
    Stop stop = core_run(now() + wait);
    answer("%s", names[stop]);
    if (stop == STOP_EXIT) {
        answer(" %d", core_exit_code());
    }
    answer(" %llu %llu", (unsigned long long)now(), (unsigned long long)core_cycles());
}

static const char *run(void *self, const char *arguments) {
    (void)self;
    run_for(strtoull(arguments, NULL, 0) * NS);
    return NULL;
}

// Gives the count, or -1.
static int parse_hex(const char *text, uint8_t *bytes) {
    int count = 0, used;
    for (unsigned value; count < TEXT && sscanf(text, "%2x%n", &value, &used) == 1; text += 2) {
        if (used != 2) {
            return -1;
        }
        bytes[count++] = (uint8_t)value;
    }
    return *text ? -1 : count;
}

// The line that `arguments` begins with; `rest` is what follows.
static Line *line_of(const char *arguments, const char **rest) {
    char name[16];
    int used = 0;
    if (sscanf(arguments, "%15s %n", name, &used) < 1) {
        return NULL;
    }
    *rest = arguments + used;
    return find_line(name);
}

static const char *until(void *self, const char *arguments) {
    (void)self;
    const char *rest;
    char *text;
    Line *line = line_of(arguments, &rest);
    if (!line) {
        return "no such line";
    }
    Time wait = strtoull(rest, &text, 0) * NS;
    int count = parse_hex(text + strspn(text, " "), expected.text);
    if (count < 0) {
        return "not hexadecimal";
    }
    expected.line = line;
    expected.length = (size_t)count;
    run_for(has_expected() ? 0 : wait);
    if (has_expected() && !strncmp(answer_text, "ok time", 7)) {
        memcpy(answer_text + 3, "text", 4);
    }
    expected.line = NULL;
    return NULL;
}

static const char *send(void *self, const char *arguments) {
    (void)self;
    static uint8_t bytes[TEXT];
    const char *text;
    Line *line = line_of(arguments, &text);
    int count = line ? parse_hex(text, bytes) : -1;
    if (count < 0) {
        return "no such line, or not hexadecimal";
    }
    put(&line->in, bytes, (size_t)count);
    line->arrived(line->self);
    return NULL;
}

static const char *take(void *self, const char *arguments) {
    (void)self;
    Line *line = find_line(arguments);
    if (!line) {
        return "no such line";
    }
    for (size_t i = 0; i < TEXT && line->out.first < line->out.end; i++) {
        answer("%02x", line->out.bytes[line->out.first++]);
    }
    return NULL;
}

static unsigned edges_left;

static void count_edge(void *self, bool level) {
    (void)self;
    if (level && edges_left && --edges_left == 0) {
        power_cut();
    }
}

static const char *cut(void *self, const char *arguments) {
    (void)self;
    unsigned long long cycle;
    char pin[8];
    unsigned edges;
    if (sscanf(arguments, "cycle %llu", &cycle) == 1) {
        core_cut_at_cycle(cycle);
    } else if (sscanf(arguments, "edge %7s %u", pin, &edges) == 2) {
        static Wire *watched;
        Wire *wire = pin_wire(pin);
        if (watched != wire) {
            wire_watch(wire, count_edge, NULL);
            watched = wire;
        }
        edges_left = edges;
    } else {
        return "cut cycle N, or cut edge PIN N";
    }
    return NULL;
}

static struct {
    Wire *wire;
    Time rose, shortest;
} measured;

static void measure_edge(void *self, bool level) {
    if (level && self == measured.wire) {
        Time period = now() - measured.rose;
        if (measured.rose && (!measured.shortest || period < measured.shortest)) {
            measured.shortest = period;
        }
        measured.rose = now();
    }
}

static const char *period(void *self, const char *arguments) {
    (void)self;
    Wire *wire = pin_wire(arguments);
    answer("%llu", (unsigned long long)(wire == measured.wire ? measured.shortest : 0));
    if (wire != measured.wire) {
        wire_watch(wire, measure_edge, wire);
    }
    measured.wire = wire;
    measured.rose = measured.shortest = 0;
    return NULL;
}

static const char *reset(void *self, const char *arguments) {
    (void)self, (void)arguments;
    machine_reset(RESET_PIN);
    return NULL;
}

static const char *drive(void *self, const char *arguments) {
    (void)self;
    static struct {
        Wire *wire;
        unsigned driver;
    } driven[16];
    char pin[8], how[8];
    if (sscanf(arguments, "%7s %7s", pin, how) != 2) {
        return "drive PIN low, high or none";
    }
    Wire *wire = pin_wire(pin);
    unsigned i = 0;
    while (i < 15 && driven[i].wire && driven[i].wire != wire) {
        i++;
    }
    if (driven[i].wire != wire) {
        driven[i].wire = wire;
        driven[i].driver = wire_driver(wire);
    }
    wire_drive(
        wire, driven[i].driver,
        !strcmp(how, "low") ? DRIVE_LOW : !strcmp(how, "high") ? DRIVE_HIGH : DRIVE_NONE
    );
    return NULL;
}

static const char *pin(void *self, const char *arguments) {
    (void)self;
    answer("%d", wire_level(pin_wire(arguments)));
    return NULL;
}

static const char *where(void *self, const char *arguments) {
    (void)self, (void)arguments;
    answer("%08x", (unsigned)core_pc());
    return NULL;
}

static const char *read_memory(void *self, const char *arguments) {
    (void)self;
    unsigned address, size;
    static uint8_t bytes[TEXT];
    if (sscanf(arguments, "%x %u", &address, &size) != 2 || size > TEXT) {
        return "read ADDRESS SIZE";
    }
    memory_read(address, bytes, size);
    for (unsigned i = 0; i < size; i++) {
        answer("%02x", bytes[i]);
    }
    return NULL;
}

static Queue watched_writes;

void host_watch(uint32_t address, uint32_t value, unsigned size) {
    char text[64];
    uint32_t mask = size == 4 ? UINT32_MAX : (1u << 8 * size) - 1;
    int length = snprintf(
        text, sizeof text, "%llu:%08x:%08x=%0*x ", (unsigned long long)now(), (unsigned)core_pc(),
        (unsigned)address, (int)(2 * size), (unsigned)(value & mask)
    );
    put(&watched_writes, (const uint8_t *)text, (size_t)length);
}

static const char *watch(void *self, const char *arguments) {
    (void)self;
    unsigned address, size;
    if (sscanf(arguments, "%x %u", &address, &size) != 2) {
        return "watch ADDRESS SIZE";
    }
    core_watch(address, size);
    return NULL;
}

static const char *watched(void *self, const char *arguments) {
    (void)self, (void)arguments;
    answer("%.*s", (int)watched_writes.end, (const char *)watched_writes.bytes);
    watched_writes.end = 0;
    return NULL;
}

static const char *hold(void *self, const char *arguments) {
    (void)self;
    core_mask_until(now() + strtoull(arguments, NULL, 0) * NS);
    return NULL;
}

static Time mask_most;

static void mask_next(void *event) {
    Time wait = (uint64_t)machine_random() * mask_most >> 32;
    core_mask_until(now() + wait);
    event_in(event, 8 * mask_most);
}

static const char *mask(void *self, const char *arguments) {
    (void)self;
    static Event event = {.fire = mask_next, .self = &event};
    mask_most = strtoull(arguments, NULL, 0) * NS;
    if (mask_most) {
        event_in(&event, mask_most);
    } else {
        event_cancel(&event);
    }
    return NULL;
}

static void do_command(char *line) {
    line[strcspn(line, "\r\n")] = 0;
    size_t length = strcspn(line, " ");
    const char *arguments = line + length + strspn(line + length, " ");
    const char *error = "no such command";
    answer_length = 0;
    answer("ok ");
    for (unsigned i = 0; i < command_count; i++) {
        if (strlen(commands[i].name) == length && !strncmp(commands[i].name, line, length)) {
            error = commands[i].act(commands[i].self, arguments);
            break;
        }
    }
    if (error) {
        printf("error %s\n", error);
    } else {
        puts(answer_text);
    }
    fflush(stdout);
}

static void add_commands(void) {
    command_add("power", power, NULL);
    command_add("reset", reset, NULL);
    command_add("drive", drive, NULL);
    command_add("pin", pin, NULL);
    command_add("period", period, NULL);
    command_add("hold", hold, NULL);
    command_add("mask", mask, NULL);
    command_add("where", where, NULL);
    command_add("read", read_memory, NULL);
}

static Line *text_line;

static void text_arrived(void *self) {
    (void)self;
}

void host_text(const char *text) {
    if (text_line) {
        put_out(text_line, (const uint8_t *)text, strlen(text));
    } else {
        fputs(text, stdout);
        fflush(stdout);
    }
}

int host_control(void) {
    static char line[2 * TEXT + 64];
    add_commands();
    command_add("run", run, NULL);
    command_add("until", until, NULL);
    command_add("send", send, NULL);
    command_add("take", take, NULL);
    command_add("cut", cut, NULL);
    command_add("watch", watch, NULL);
    command_add("watched", watched, NULL);
    text_line = line_open("text", text_arrived, NULL);
    while (fgets(line, sizeof line, stdin)) {
        do_command(line);
    }
    return 0;
}

// A program by itself ----------------------------------------------------------------------------

int host_batch(void) {
    const char *limit = setting("limit");
    core_power(true);
    Stop stop = core_run(strtoull(limit ? limit : "10000", NULL, 0) * MS);
    if (stop == STOP_EXIT) {
        return core_exit_code();
    }
    fprintf(stderr, "the program has not ended after %llu ms\n", (unsigned long long)(now() / MS));
    return 2;
}

// Paced by real time -----------------------------------------------------------------------------

static volatile sig_atomic_t ended;
static Time real_zero;  // real time minus virtual time

static void end(int number) {
    (void)number;
    ended = 1;
    core_stop();
}

static Time real_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (Time)time.tv_sec * SEC + (Time)time.tv_nsec * NS;
}

static void open_ptys(void) {
    for (unsigned i = 0; i < line_count; i++) {
        int other;
        char name[64];
        struct termios raw;
        if (openpty(&lines[i].pty, &other, name, NULL, NULL) || tcgetattr(other, &raw)) {
            refuse("no pty for %s", lines[i].name);
        }
        // `other` stays open, so that the pty outlives the programs that open it.
        cfmakeraw(&raw);
        tcsetattr(other, TCSANOW, &raw);
        fcntl(lines[i].pty, F_SETFL, O_NONBLOCK);
        printf("%s %s\n", lines[i].name, name);
    }
    puts("ok");
    fflush(stdout);
}

// Takes what has arrived at the ptys, and does commands of stdin.
static void look_at_host(void *event) {
    static bool stdin_ended;
    struct pollfd polled[LINES + 1];
    for (unsigned i = 0; i < line_count; i++) {
        polled[i] = (struct pollfd){.fd = lines[i].pty, .events = POLLIN};
    }
    polled[line_count] = (struct pollfd){.fd = stdin_ended ? -1 : 0, .events = POLLIN};
    event_in(event, MS);
    if (poll(polled, line_count + 1, 0) <= 0) {
        return;
    }
    uint8_t bytes[4096];
    for (unsigned i = 0; i < line_count; i++) {
        ssize_t count = polled[i].revents & POLLIN ? read(lines[i].pty, bytes, sizeof bytes) : 0;
        if (count > 0) {
            put(&lines[i].in, bytes, (size_t)count);
            lines[i].arrived(lines[i].self);
        }
    }
    if (polled[line_count].revents) {
        ssize_t count = read(0, bytes, sizeof bytes - 1);
        stdin_ended = count <= 0;
        if (count > 0) {
            bytes[count] = 0;
            do_command((char *)bytes);
        }
    }
}

// Waits until real time has come as far.
void host_sleep(Time until) {
    if (!live) {
        return;
    }
    Time real = real_time() - real_zero, at = now();
    if (real > at + 100 * MS) {
        real_zero += real - at;  // the machine was slow: time that is lost is not made up for
    } else if (until > real) {
        Time wait = until - real;
        struct timespec timeout = {(time_t)(wait / SEC), (long)(wait % SEC / NS)};
        nanosleep(&timeout, NULL);
    }
}

int host_live(void) {
    static Event look = {.fire = look_at_host, .self = &look};
    live = true;
    add_commands();
    open_ptys();
    signal(SIGTERM, end);
    signal(SIGINT, end);
    real_zero = real_time() - now();
    event_in(&look, MS);
    core_power(true);
    while (!ended) {
        core_run(NEVER);
    }
    return 0;
}
