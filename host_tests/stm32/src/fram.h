// SPDX-License-Identifier: MIT
#pragma once

// A FM24V10 with A1 and A2 at ground, and a pull-up at each of its wires, if the setting `fram`
// names a file for its bytes.
void fram_add(const char *scl_pin, const char *sda_pin);
