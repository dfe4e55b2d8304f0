# SPDX-License-Identifier: MIT
# MicroPython's NUCLEO_F446RE as a node.
BASE_DIR = boards/NUCLEO_F446RE
include $(BOARD_DIR)/../stm32/node.mk
