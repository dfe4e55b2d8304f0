# SPDX-License-Identifier: MIT
# MicroPython's NUCLEO_G474RE as a node.
BASE_DIR = boards/NUCLEO_G474RE
include $(BOARD_DIR)/../stm32/node.mk
