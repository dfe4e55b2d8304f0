# SPDX-License-Identifier: MIT
"""What a board has left, of firmware that is linked as a board's is: the flash in two parts, the
vector table in the first."""

import subprocess

from release.room import Room, room, table

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
EXPECTED = Room(400 + 1000 + 24, 48 * 1024 - 1024, 224, 15 * 1024 - 224)


def test_what_is_left_is_counted_to_the_end_of_the_part(tmp_path):
    (tmp_path / "board.ld").write_text(_SCRIPT)
    (tmp_path / "board.s").write_text(_SOURCE)
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-nostdlib", "-Wl,-e0,-Map=firmware.map"]
    command += ["-T", "board.ld", "-o", "firmware.elf", "board.s"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert room(tmp_path) == EXPECTED
    head, line = table({"BOARD": tmp_path}).splitlines()
    assert line.split() == ["BOARD", "1,424", "48,128", "224", "15,136"]
    assert len(head) == len(line)
