// SPDX-License-Identifier: MIT
//
// The host on the CAN bus: an SLCAN adapter at the line "can".
#pragma once

void can_host_add(void);
