# SPDX-License-Identifier: MIT
"""A small program that is linked as a board's firmware is: the flash in two parts, the vector
table in the first."""

import subprocess

_SCRIPT = """
MEMORY
{
    FLASH      (rx) : ORIGIN = 0x08000000, LENGTH = 64K
    FLASH_TEXT (rx) : ORIGIN = 0x08004000, LENGTH = 48K
    RAM        (rw) : ORIGIN = 0x20000000, LENGTH = 16K
}
SECTIONS
{
    .vectors : { KEEP(*(.vectors)) } >FLASH
    .text : { *(.text*) } >FLASH_TEXT
    _sidata = LOADADDR(.data);
    .data : { _sdata = .; *(.data) _edata = .; } >RAM AT> FLASH_TEXT
    .bss : { *(.bss) _heap_start = .; } >RAM
    _heap_end = ORIGIN(RAM) + LENGTH(RAM) - 1K;
    _ram_start = ORIGIN(RAM);
}
"""
_SOURCE = """
    .section .vectors, "a"
    .space 400
    .text
    .space 1000
    .data
    .space 24
    .bss
    .space 200
"""


def linked(folder):
    """`firmware.elf` and `firmware.map` in a folder."""
    (folder / "board.ld").write_text(_SCRIPT)
    (folder / "board.s").write_text(_SOURCE)
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-nostdlib", "-Wl,-e0,-Map=firmware.map"]
    command += ["-T", "board.ld", "-o", "firmware.elf", "board.s"]
    subprocess.run(command, cwd=folder, check=True)
