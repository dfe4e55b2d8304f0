// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// `need_lsi` switches LSI on, as the hardware does when the watchdog starts.
void iwdg_add(uint32_t base, bool has_window, void (*need_lsi)(void));
