# SPDX-License-Identifier: MIT
# A Cortex-M4 with a floating point unit for MicroPython's own qemu port, which has none:
#
#   make -C MICROPYTHON/ports/qemu BOARD_DIR=.../boards/stock/MPS2_AN386
#
# Nothing of HSX is in it: it is what a `.mpy` file for armv7emsp is tried on.
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an386

CFLAGS += -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard
CFLAGS += -DQEMU_SOC_MPS2
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M4"'

LDSCRIPT = mcu/arm/mps2.ld
# The port's start-up code knows no FPU: fpu.c comes between it and main().
LDFLAGS += -Wl,--wrap=main

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o fpu.o
vpath fpu.c $(BOARD_DIR)

MPY_CROSS_FLAGS += -march=armv7emsp
