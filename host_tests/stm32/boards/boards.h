// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

extern const Board board_pybv11, board_nucleo_f446re, board_nucleo_g474re, board_nucleo_h743zi;
