// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

extern const Board board_pybv11;
