# SPDX-License-Identifier: MIT
# MicroPython's PYBV11 as a node.
BASE_DIR = boards/PYBV11
include $(BOARD_DIR)/../stm32/node.mk
