# SPDX-License-Identifier: MIT
"""Small images for tests: the instructions they are made of, and a builder."""

import struct

from hsx.image.build import build

RET = 0x25000000
EXIT = 0x30000100
UART_WRITE = 0x30000101
CAN_TX = 0x30000200
SLEEP = 0x30000600
VERSION = 0x30000601
STEPS = 0x30000000
FS_READ = 0x30000401
FS_WRITE = 0x30000402
BRK = 0x7F000000
SPIN = 0x21000000  # JMP 0: takes all the time there is
IDLE = (0x01000014, SLEEP, SPIN)  # sleeps 20 ms, again and again


def ldi(reg: int, value: int) -> int:
    """LDI reg, value (-2048 .. 2047)."""
    return 0x01000000 | reg << 20 | (value & 0xFFF)


def ldi32(reg: int, value: int) -> tuple[int, int]:
    """LDI32 reg, value: two words."""
    return 0x60000000 | reg << 20, value


def svc(module: int, function: int) -> int:
    return 0x30000000 | module << 8 | function


def words(*code: int) -> bytes:
    return struct.pack(f">{len(code)}I", *code)


def an_image(*code: int, name: str = "app", multiple: bool = True, **more) -> bytes:
    """An image with this code (RET alone by default); `more` as in hsx.image.build.build."""
    flags = 2 if multiple else 0
    return build(words(*(code or (RET,))), name=name, flags=flags, **more)
