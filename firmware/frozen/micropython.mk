# SPDX-License-Identifier: MIT
# Keeps in flash what MicroPython would build in RAM of the frozen modules; no module of its own.
#
#   HSX_IN_FLASH=0        without
comma := ,
HSX_IN_FLASH ?= 1

ifeq ($(HSX_IN_FLASH),1)
HSX_FROZEN_DIR := $(USERMOD_DIR)
SRC_USERMOD_C += $(HSX_FROZEN_DIR)/in_flash.c
CFLAGS_USERMOD += -I$(HSX_FROZEN_DIR)
LDFLAGS_USERMOD += $(addprefix -Wl$(comma)--wrap=, \
	mp_init gc_collect_start mp_obj_new_module mp_make_function_from_proto_fun)
MAKE_MANIFEST := $(PYTHON) $(HSX_FROZEN_DIR)/in_flash.py $(MAKE_MANIFEST)
endif
