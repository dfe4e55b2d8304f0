# SPDX-License-Identifier: MIT
# MicroPython's NUCLEO_H743ZI as a node.
BASE_DIR = boards/NUCLEO_H743ZI
include $(BOARD_DIR)/../stm32/node.mk

# A node has no Ethernet: its flash and RAM go to apps.
MICROPY_PY_LWIP = 0
MICROPY_PY_SSL = 0
MICROPY_SSL_MBEDTLS = 0
