// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

extern const Part part_f405, part_f446, part_g474, part_h743;
