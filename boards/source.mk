# SPDX-License-Identifier: MIT
# The MicroPython source that a board's Makefile builds: include it behind place.mk and BUILD.

TOP := $(abspath $(MICROPYTHON_DIR))
MPY_CROSS := $(TOP)/mpy-cross/build/mpy-cross

ifneq ($(word 2,$(BUILD)),)
$(error BUILD=$(BUILD): make takes no blank in it)
endif
ifeq ($(wildcard $(TOP)/py/mkenv.mk),)
$(error MICROPYTHON_DIR=$(MICROPYTHON_DIR) holds no MicroPython source: run 'make setup', or name one)
endif

# Objects of another source would look up to date: a change of source empties BUILD.
SOURCE := $(BUILD)/micropython_dir.txt
ifneq ($(shell cat $(SOURCE) 2>/dev/null),$(TOP))
$(shell [ ! -e $(SOURCE) ] || rm -rf $(BUILD); mkdir -p $(BUILD) && echo $(TOP) >$(SOURCE))
endif

# A source without its own history would take this project's commit for its version.
ifeq ($(wildcard $(TOP)/.git),)
export MICROPY_GIT_TAG := v$(shell awk '/define MICROPY_VERSION_M[AI]/ { v = v d $$3; d = "." } END { print v }' $(TOP)/py/mpconfig.h)
export MICROPY_GIT_HASH := unknown
endif

# Not MicroPython's own rule: that one hands our BUILD on to mpy-cross.
.DEFAULT_GOAL := all
$(MPY_CROSS):
	$(MAKE) -C $(TOP)/mpy-cross BUILD=build CROSS_COMPILE= FROZEN_MANIFEST= USER_C_MODULES=
