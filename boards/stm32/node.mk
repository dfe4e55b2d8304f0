# SPDX-License-Identifier: MIT
# An STM32 board as a node: included by its mpconfigboard.mk, which says by BASE_DIR over which of
# MicroPython's boards it stands.
FROZEN_MANIFEST ?= $(BOARD_DIR)/manifest.py
include $(BASE_DIR)/mpconfigboard.mk

# MicroPython's rule looks for pins.csv in BOARD_DIR alone.
$(BUILD)/%_$(BOARD).c $(BUILD)/genhdr/%.h $(BUILD)/genhdr/%_af_const.h $(BUILD)/genhdr/%_af_defs.h: $(BASE_DIR)/%.csv | $(BUILD)/genhdr
	$(Q)$(PYTHON) $(MAKE_PINS) --board-csv $(BASE_DIR)/$*.csv --af-csv $(AF_FILE) \
	    --prefix $(PREFIX_FILE) --output-source $(GEN_PINS_SRC) --output-header $(GEN_PINS_HDR) \
	    --output-af-const $(GEN_PINS_AF_CONST) --output-af-defs $(GEN_PINS_AF_DEFS)

# Nor does it look anywhere else for C files of a board.
SRC_C += $(wildcard $(BASE_DIR)/*.c)
