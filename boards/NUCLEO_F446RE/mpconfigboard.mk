# SPDX-License-Identifier: MIT
# MicroPython's NUCLEO_F446RE as a node.
BASE_DIR = boards/NUCLEO_F446RE
include $(BOARD_DIR)/../stm32/node.mk

# All of the flash for the firmware.
LD_FILES = $(BOARD_DIR)/../stm32/small.ld boards/common_basic.ld
TEXT0_ADDR = 0x08000000
TEXT1_ADDR =
