# SPDX-License-Identifier: MIT
"""The firmware of a board with an STM32F4 on QEMU's STM32F405.

QEMU has the core, its SysTick, the memories and the USARTs of that part, and reads 0 where it has
no device: I2C, CAN, SDIO, clocks, GPIO. So a copy of the firmware is changed in these places, and
in no other: what waits for a clock returns at once, the clock rate is QEMU's, the unique id is
read from the vectors, and the button and the card's switch say what the test wants.
"""

import re
import struct
import subprocess
from pathlib import Path

from elftools.elf.elffile import ELFFile

_CLOCKS = ("HAL_RCC_OscConfig", "HAL_RCC_ClockConfig", "SystemClock_Config")
_HZ = 168_000_000
_UNIQUE_ID, _VECTORS = 0x1FFF_7A10, 0x0800_0000
_UARTS = 6


class Firmware:
    """A copy of an ELF file that is changed and saved."""

    def __init__(self, path: Path) -> None:
        self._data = bytearray(path.read_bytes())
        with path.open("rb") as file:
            elf = ELFFile(file)
            self._addresses = {
                symbol.name: symbol["st_value"] & ~1
                for symbol in elf.get_section_by_name(".symtab").iter_symbols()
            }
            self._parts = [
                (part["p_vaddr"], part["p_filesz"], part["p_offset"])
                for part in elf.iter_segments("PT_LOAD")
            ]

    def put(self, name: str, data: bytes) -> None:
        """Bytes in the place of a function or of a variable's first value."""
        address = self._addresses[name]
        (at,) = [
            offset + address - start
            for start, size, offset in self._parts
            if start <= address < start + size
        ]
        self._data[at : at + len(data)] = data

    def answer(self, name: str, number: int) -> None:
        """The function does nothing but return a number below 256."""
        self.put(name, bytes((number, 0x20, 0x70, 0x47)))  # movs r0, #number; bx lr

    def replace(self, old: int, new: int) -> None:
        """Another word wherever one stands."""
        self._data[:] = self._data.replace(struct.pack("<I", old), struct.pack("<I", new))

    def save(self, path: Path) -> None:
        """Writes the ELF file."""
        path.write_bytes(self._data)


class Stm32:
    """A machine that runs `elf` until `close()`. `uarts`: the port of each USART, from 1 on."""

    def __init__(self, elf: Path, folder: Path, pressed: bool = False) -> None:
        firmware = Firmware(elf)
        for name in _CLOCKS:
            firmware.answer(name, 0)
        firmware.put("SystemCoreClock", struct.pack("<I", _HZ))
        firmware.replace(_UNIQUE_ID, _VECTORS)
        firmware.answer("switch_get", pressed)
        firmware.answer("sdcard_is_present", 0)
        copy = folder / "firmware.elf"
        firmware.save(copy)
        command = ["qemu-system-arm", "-M", "netduinoplus2", "-nographic", "-monitor", "none"]
        command += ["-kernel", str(copy)] + _UARTS * ["-serial", "pty"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        lines = [self._process.stdout.readline() for _ in range(_UARTS)]
        ports = [re.search(r"/dev/\S+", line) for line in lines]
        self.uarts = {number: port[0] for number, port in enumerate(ports, 1) if port}

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
