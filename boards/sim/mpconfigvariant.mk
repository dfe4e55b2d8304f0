# SPDX-License-Identifier: MIT
# What the node on a PC has of the unix port: nothing that needs a library or a submodule.
PROG = micropython
FROZEN_MANIFEST = $(VARIANT_DIR)/manifest.py
# Nothing of micropython-lib is frozen; MicroPython's makefile only looks for a README there.
MPY_LIB_DIR = $(TOP)

MICROPY_PY_BTREE = 0
MICROPY_PY_FFI = 0
MICROPY_PY_SOCKET = 0
MICROPY_PY_SSL = 0
MICROPY_PY_TERMIOS = 0
MICROPY_PY_THREAD = 0
MICROPY_SSL_MBEDTLS = 0
MICROPY_VFS_LFS1 = 0
MICROPY_VFS_LFS2 = 0
