# SPDX-License-Identifier: MIT
# Keeps in flash what MicroPython would build in RAM of the frozen modules.
#
#   HSX_IN_FLASH=0        without, in a BUILD of its own
HSX_IN_FLASH ?= 1

ifeq ($(HSX_IN_FLASH),1)
HSX_FROZEN_DIR := $(USERMOD_DIR)
HSX_COMMA := ,
SRC_USERMOD_C += $(HSX_FROZEN_DIR)/in_flash.c
CFLAGS_USERMOD += -I$(HSX_FROZEN_DIR)
LDFLAGS_USERMOD += $(addprefix -Wl$(HSX_COMMA)--wrap=, \
	mp_init gc_collect_start mp_obj_new_module mp_make_function_from_proto_fun)
MAKE_MANIFEST := $(PYTHON) $(HSX_FROZEN_DIR)/in_flash.py $(MAKE_MANIFEST)

# The modules' names, which an import would else build in RAM. No rule: the first one in a makefile
# is its goal.
HSX_NAMES := $(BUILD)/genhdr/hsx_names.h
$(shell mkdir -p $(BUILD)/genhdr; \
	(cd $(HSX_FROZEN_DIR)/.. && find hsx -name '*.py') | \
	    sed -e 's,/__init__\.py$$,,' -e 's,\.py$$,,' -e 's,/,.,g' -e 'p' -e 's,.*\.,,' | \
	    sort -u | sed -e 's,.*,Q(&),' >$(HSX_NAMES).new; \
	cmp -s $(HSX_NAMES).new $(HSX_NAMES) || mv $(HSX_NAMES).new $(HSX_NAMES))
QSTR_DEFS += $(HSX_NAMES)
endif
