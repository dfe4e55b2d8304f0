# SPDX-License-Identifier: MIT
# User C module `hsxvm`: USER_C_MODULES names the folder above this one.
HSXVM_DIR := $(USERMOD_DIR)

SRC_USERMOD_C += $(HSXVM_DIR)/bindings/micropython.c
SRC_USERMOD_LIB_C += $(addprefix $(HSXVM_DIR)/, crc32.c float16.c loader.c task.c vm.c)

CFLAGS_USERMOD += -I$(HSXVM_DIR)
