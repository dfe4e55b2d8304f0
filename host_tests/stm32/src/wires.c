// SPDX-License-Identifier: MIT
//
// Wires between pins, buses and parts.

#include "machine.h"

bool wire_level(const Wire *wire) {
    return wire->level;
}

static bool level_of(const Wire *wire) {
    bool low = false, high = false;
    for (unsigned i = 0; i < wire->driver_count; i++) {
        low |= wire->drivers[i] == DRIVE_LOW;
        high |= wire->drivers[i] == DRIVE_HIGH;
    }
    if (low && high) {
        refuse("one driver pulls %s low, another pushes it high", wire->name);
    }
    Pull pull = wire->pull ? wire->pull : wire->pin_pull;
    return high || (!low && pull == PULL_UP);
}

static void settle(Wire *wire) {
    bool level = level_of(wire);
    if (level == wire->level) {
        return;
    }
    wire->level = level;
    // A watcher that drives the wire at once has told all of them already.
    for (unsigned i = 0; i < wire->watcher_count && wire->level == level; i++) {
        wire->watchers[i].changed(wire->watchers[i].self, level);
    }
}

unsigned wire_driver(Wire *wire) {
    if (wire->driver_count == WIRE_DRIVERS) {
        refuse("%s has more than %d drivers", wire->name, WIRE_DRIVERS);
    }
    return wire->driver_count++;
}

void wire_drive(Wire *wire, unsigned driver, Drive drive) {
    if (wire->drivers[driver] != drive) {
        wire->drivers[driver] = drive;
        settle(wire);
    }
}

void wire_watch(Wire *wire, void (*changed)(void *self, bool level), void *self) {
    if (wire->watcher_count == WIRE_WATCHERS) {
        refuse("%s has more than %d watchers", wire->name, WIRE_WATCHERS);
    }
    wire->watchers[wire->watcher_count].changed = changed;
    wire->watchers[wire->watcher_count++].self = self;
}

void wire_pull(Wire *wire, Pull pull) {
    wire->pull = pull;
    settle(wire);
}

void wire_pin_pull(Wire *wire, Pull pull) {
    if (wire->pin_pull != pull) {
        wire->pin_pull = pull;
        settle(wire);
    }
}
