# SPDX-License-Identifier: MIT
"""Builds the emulated STM32 and bare-metal programs for it, starts it, and drives it.

Everything that is built stands in build/stm32, below a name made of what it was built from, so
that a test run builds once and a change of a source builds anew.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "stm32"
FLAGS = ("-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
_MACHINE = ("-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
PROGRAM_FLAGS = ("-O1", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-ffreestanding")
FLASH = 0x0800_0000
REFUSED = 3

# The lines of a board: REPL, console of the node, link to a host. The PYBV11's REPL is on USB,
# which is not emulated.
LINES: dict[str, tuple[str | None, str, str]] = {
    "PYBV11": (None, "uart3", "uart6"),
    "NUCLEO_F446RE": ("uart2", "uart6", "uart4"),
    "NUCLEO_G474RE": ("lpuart1", "uart3", "uart1"),
    "NUCLEO_H743ZI": ("uart3", "uart6", "uart2"),
}

NS = 1
US = 1_000
MS = 1_000_000
S = 1_000_000_000


class Refused(Exception):
    """The machine has ended: a real part would refuse what the firmware did."""


class CommandError(Exception):
    """The machine did not understand a command."""


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Holds a lock that all processes share."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _once(name: str, sources: Sequence[Path], suffix: str, command: Sequence[str]) -> Path:
    """What `command` builds, with "@" in it replaced by the path, unless it was built before."""
    digest = hashlib.sha256(repr(command).encode())
    for source in sources:
        digest.update(source.read_bytes())
    built = BUILD / f"{name}-{digest.hexdigest()[:16]}{suffix}"
    if not built.exists():
        with one_at_a_time(name):
            if not built.exists():
                unfinished = built.with_suffix(".unfinished")
                subprocess.run([str(unfinished) if c == "@" else c for c in command], check=True)
                unfinished.rename(built)
    return built


def _unicorn() -> Path:
    spec = importlib.util.find_spec("unicorn")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the Python package unicorn is not installed")
    return Path(spec.origin).parent


def has_unicorn() -> bool:
    """Whether the emulator can be built here."""
    return importlib.util.find_spec("unicorn") is not None


def machine() -> Path:
    """The emulator."""
    folders = [HERE / name for name in ("src", "parts", "boards")]
    headers = sorted(file for folder in folders for file in folder.glob("*.h"))
    unicorn = _unicorn()
    compiler = ["gcc", *FLAGS, "-D_GNU_SOURCE", *(f"-I{folder}" for folder in folders)]
    objects = [
        _once(
            source.stem,
            [source, *headers],
            ".o",
            [*compiler, f"-isystem{unicorn / 'include'}", "-c", str(source), "-o", "@"],
        )
        for folder in folders
        for source in sorted(folder.glob("*.c"))
    ]
    library = unicorn / "lib"
    return _once(
        "stm32",
        objects,
        "",
        [
            "gcc",
            *(str(file) for file in objects),
            "-o",
            "@",
            str(library / "libunicorn.so.2"),
            f"-Wl,-rpath,{library}",
            "-lutil",
        ],
    )


def program(name: str, *defines: str, core: str = "cortex-m4") -> Path:
    """The ELF file of programs/NAME.c."""
    folder = HERE / "programs"
    source, script, start = folder / f"{name}.c", folder / "bare.ld", folder / "startup.c"
    headers = sorted(folder.glob("*.h"))
    return _once(
        name,
        [source, script, start, *headers],
        ".elf",
        [
            "arm-none-eabi-gcc",
            f"-mcpu={core}",
            *_MACHINE,
            *PROGRAM_FLAGS,
            *(f"-D{define}" for define in defines),
            "-nostdlib",
            "-Wl,--build-id=none",
            f"-T{script}",
            str(start),
            str(source),
            "-lgcc",
            "-o",
            "@",
        ],
    )


def flash_image(elf: Path, image: Path) -> Path:
    """The bytes of an ELF file as they stand in flash, from its first address on."""
    command = ["arm-none-eabi-objcopy", "-O", "binary", "--gap-fill=0xff"]
    subprocess.run([*command, str(elf), str(image)], check=True)
    return image


def run_program(
    name: str,
    *defines: str,
    board: str = "PYBV11",
    core: str = "cortex-m4",
    **settings: str | Path,
) -> "subprocess.CompletedProcess[str]":
    """Runs programs/NAME.c by itself: exit code 0, or 1 after a failed check, or REFUSED."""
    with tempfile.TemporaryDirectory() as folder:
        image = flash_image(program(name, *defines, core=core), Path(folder) / "flash")
        given = {"flash": image, "semihosting": "1", **settings}
        command = [str(machine()), board, *(f"{key}={value}" for key, value in given.items())]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


class Machine:
    """A board in virtual time. It begins without power; nothing happens between two calls."""

    def __init__(self, board: str, **settings: str | Path) -> None:
        self.cycles = 0
        self.time_ps = 0
        self._process = subprocess.Popen(
            [
                str(machine()),
                board,
                "mode=control",
                *(f"{key}={value}" for key, value in settings.items()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the machine; its files keep what they have."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def command(self, *words: object) -> str:
        """Does one command of the control channel (src/host.c) and gives its answer."""
        assert self._process.stdin and self._process.stdout and self._process.stderr
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(" ".join(str(word) for word in words) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            error = self._process.stderr.read()
            raise Refused(error.strip() or f"ended with {self._process.wait()}")
        status, _, text = answer.strip().partition(" ")
        if status != "ok":
            raise CommandError(f"{words}: {text}")
        return text

    def power(self, on: bool) -> None:
        """Switches the power."""
        self.command("power", "on" if on else "off")

    def _ran(self, answer: str) -> str:
        reason, *numbers = answer.split()
        self.time_ps, self.cycles = (int(number) for number in numbers[-2:])
        return reason

    def run(self, nanoseconds: int) -> str:
        """Gives how it ended: "time", "cut" or "exit"."""
        return self._ran(self.command("run", nanoseconds))

    def until(self, line: str, text: bytes, nanoseconds: int = 10 * S) -> str:
        """Runs until the line has put `text` out, which `take` has not taken yet: "text"."""
        return self._ran(self.command("until", line, nanoseconds, text.hex()))

    def send(self, line: str, data: bytes) -> None:
        """Bytes to the part; they arrive as fast as the line is."""
        self.command("send", line, data.hex())

    def take(self, line: str) -> bytes:
        """What the line has put out and nobody has taken."""
        return bytes.fromhex(self.command("take", line))

    def read(self, address: int, size: int) -> bytes:
        """Memory of the part."""
        return bytes.fromhex(self.command("read", f"{address:x}", size))
