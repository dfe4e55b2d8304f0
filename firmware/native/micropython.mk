# SPDX-License-Identifier: MIT
# User C module `hsxvm`: USER_C_MODULES names the folder above this one.
#
#   HSX_ED25519=0         without the check of signatures, in a BUILD of its own
#   MONOCYPHER_DIR=...    the folder of monocypher.c and monocypher.h
HSXVM_DIR := $(USERMOD_DIR)
HSX_ED25519 ?= 1
CACHE ?= $(HSXVM_DIR)/../../.cache
MONOCYPHER_DIR ?= $(CACHE)/monocypher-4.0.3

SRC_USERMOD_C += $(HSXVM_DIR)/bindings/micropython.c
SRC_USERMOD_LIB_C += $(addprefix $(HSXVM_DIR)/, cobs.c crc32.c float16.c frame_ring.c loader.c slcan.c task.c vm.c)

CFLAGS_USERMOD += -I$(HSXVM_DIR) -I$(HSXVM_DIR)/bindings/builtin -DHSX_ED25519=$(HSX_ED25519)

ifeq ($(HSX_ED25519),1)
SRC_USERMOD_C += $(HSXVM_DIR)/bindings/signatures.c
SRC_USERMOD_LIB_C += $(addprefix $(HSXVM_DIR)/, ed25519.c sha512.c) monocypher.c
CFLAGS_USERMOD += -I$(MONOCYPHER_DIR)
vpath monocypher.c $(MONOCYPHER_DIR)
endif
