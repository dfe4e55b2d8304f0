// SPDX-License-Identifier: MIT
//
// CAN1 on a bus with a host: every frame comes back with the next identifier. A frame 0x010 is
// answered by ESR, the first 0x200 by frames from all three mailboxes.

#include "can.h"

static void wait_for_room(void) {
    while (!(REG(TSR) & 1 << 26)) {
    }
}

void test(void) {
    bool burst_sent = false;
    initialize(NORMAL, ABOM);
    filter(0, true, false, 0, 0, 0);
    go();
    for (;;) {
        if (!(REG(RF0R) & 3)) {
            continue;
        }
        uint32_t id = REG(RI0R), length = REG(RI0R + 4) & 15;
        uint32_t low = REG(RI0R + 8), high = REG(RI0R + 12);
        REG(RF0R) = RFOM;
        if (id == standard(0x200) && !burst_sent) {
            request(0, standard(0x201), 0, 0);
            request(1, standard(0x300), 0, 0);
            request(2, standard(0x100), 0, 0);
            burst_sent = true;
        } else if (id == standard(0x010)) {
            wait_for_room();
            request(0, standard(0x011), 4, REG(ESR));
        } else if (id != standard(0x200)) {
            wait_for_room();
            REG(TI0R + 4) = length;
            REG(TI0R + 8) = low;
            REG(TI0R + 12) = high;
            REG(TI0R) = (id + (id & 4 ? 8 : standard(1))) | 1;
        }
    }
}
