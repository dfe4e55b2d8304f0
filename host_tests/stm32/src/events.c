// SPDX-License-Identifier: MIT
//
// What will happen, in the order of its time.

#include "core.h"

static Event *first;

Time events_next(void) {
    return first ? first->at : NEVER;
}

void event_cancel(Event *event) {
    if (!event->armed) {
        return;
    }
    Event **at = &first;
    while (*at != event) {
        at = &(*at)->next;
    }
    *at = event->next;
    event->armed = false;
}

void event_at(Event *event, Time at) {
    event_cancel(event);
    Event **place = &first;
    while (*place && (*place)->at <= at) {
        place = &(*place)->next;
    }
    event->at = at;
    event->armed = true;
    event->next = *place;
    *place = event;
    core_wake_at(first->at);
}

void event_in(Event *event, Time wait) {
    event_at(event, now() + wait);
}

Event *events_take(Time until) {
    Event *event = first;
    if (!event || event->at > until) {
        return NULL;
    }
    first = event->next;
    event->armed = false;
    return event;
}
