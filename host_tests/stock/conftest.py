# SPDX-License-Identifier: MIT
"""Stock MicroPython with the package that `mip` puts there: one node of each build, for all tests.

`make stock` makes the builds and the packages. The machines have no file system: a RAM disk stands
in for it, which holds the golden images from the start and takes what mpremote installs. They have
no clock and no timer either. The unix build's REPL has no raw mode, so there the files are copied.
"""

import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from docs.console import blocks, commands
from hsxctl.simulate.qemu import QEMU, _die_with_parent
from judge import golden
from repl import Repl
from waiting import PATIENCE

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build"
GUIDE = ROOT / "docs/stock_firmware.md"
ARCHITECTURES = {"unix": "x64", "MPS2_AN385": "armv7m", "MPS2_AN386": "armv7emsp"}
_SMALLEST, _LARGER = "MPS2_AN385", "MPS2_AN386"  # core of the machines
_RAM = 0x21000000  # the machines' PSRAM, which MicroPython does not use
_PARTITION = (_RAM + 0x400000, 0x80000)  # stands in for one of ROMFS
_FLAT_POOL = _RAM + 0x800000
_FOLDER = 0xFFFFFFFF
_JUDGE = "judge.mpy"


def package(build: str) -> Path:
    """The folder of the package for a build."""
    return BUILD / "natmod" / ARCHITECTURES[build]


def package_files(build: str) -> dict[str, bytes]:
    """What an installation puts into /lib."""
    listed = json.loads((package(build) / "package.json").read_text())["urls"]
    return {name: (package(build) / source).read_bytes() for name, source in listed}


def of_guide(words: str) -> list[str]:
    """The one command of the guide with these words, in parts."""
    found = [one for block in blocks(GUIDE, "sh") for one in commands(block) if words in one]
    assert len(found) == 1, found
    return shlex.split(found[0])


def golden_files(folder: Path) -> dict[str, bytes]:
    """The golden images, and the judge of them as a module: a node has no room to compile it."""
    found = {path.name: path.read_bytes() for path in golden.GOLDEN.glob("programs/*.hxe")}
    micropython = os.environ.get("MICROPYTHON_DIR", ROOT / ".cache/micropython-1.25.0")
    mpy_cross = Path(micropython) / "mpy-cross/build/mpy-cross"
    source = Path(golden.__file__).with_name("on_node.py")
    subprocess.run([mpy_cross, "-O3", "-o", folder / _JUDGE, source], check=True)
    return {**found, _JUDGE: (folder / _JUDGE).read_bytes()}


class Unix:
    """The unix build: each run is a process."""

    architecture = ARCHITECTURES["unix"]

    def __init__(self, folder: Path) -> None:
        shutil.copytree(package("unix"), folder / "lib")
        for name, data in golden_files(folder).items():
            (folder / name).write_bytes(data)
        self.images = str(folder)
        self._program = BUILD / "stock/unix/micropython"
        self._path = f"{folder}:{folder / 'lib'}"

    def run(self, code: str) -> str:
        """What `code` prints after `import hsx` and the start of a node."""
        done = subprocess.run(
            [self._program, "-c", f"import hsx\nhsx.start()\n{code}"],
            env={"MICROPYPATH": self._path},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def follow(self, words: str) -> str:
        """What the code of a command of the guide prints: this build has no raw REPL."""
        code = of_guide(words)[-1]
        done = subprocess.run([self._program, "-c", code], check=True, capture_output=True)
        return done.stdout.decode()

    def prepare(self) -> None:
        """All is there."""

    def begin(self, start: bool = True) -> None:
        """Each run is a new life."""

    def close(self) -> None:
        """Nothing runs."""


class Machine:
    """A build of the qemu port on its machine, and its raw REPL."""

    images = "/sd"

    def __init__(self, build: str, folder: Path) -> None:
        # mpremote puts the package on the larger machine; the smaller one has it from the start.
        self._installs = build != _SMALLEST
        images = golden_files(folder)
        files = {name if name == _JUDGE else f"sd/{name}": images[name] for name in images}
        if not self._installs:
            files |= {f"lib/{name}": data for name, data in package_files(build).items()}
        disk = folder / "ram_disk.img"
        disk.write_bytes(_disk(files))
        self.rom = _PARTITION
        firmware = BUILD / "stock" / build / "firmware.elf"
        machine = build.lower().replace("_", "-")
        self._process = subprocess.Popen(
            [QEMU, "-machine", machine, "-nographic", "-monitor", "null", "-semihosting"]
            + ["-device", f"loader,file={disk},addr={_RAM:#x},force-raw=on"]
            + ["-serial", "pty", "-kernel", firmware],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_die_with_parent,
        )
        self.repl = re.search(r"/dev/\S+", self._process.stdout.readline())[0]
        self._held = os.open(self.repl, os.O_RDWR | os.O_NOCTTY)
        self.architecture = ARCHITECTURES[build]
        self.package_json = package(build) / "package.json"

    def prepare(self) -> None:
        """Installs the package, where it is not there."""
        self._mount()
        if self._installs:
            self.said = self.follow("mip install")

    def begin(self, start: bool = True) -> None:
        """A new life of Python, with a node unless told otherwise: the heap has no room for all
        tests together."""
        self._mount()
        if start:
            self.started = self.run("import hsx\nprint(hsx.start())")

    def _mount(self) -> None:
        self.reset()
        self.run(f"RAM = {_RAM}\n{(HERE / 'ram_disk.py').read_text()}")

    def reset(self) -> None:
        """A soft reset; nothing is mounted."""
        with self._awake() as repl:
            repl.soft_reset()

    def follow(self, words: str) -> str:
        """What the command of the guide with these words says: at this machine, without a reset,
        which would forget what is mounted, and with the package of its architecture."""
        program, *parts = of_guide(words)
        assert program == "mpremote"
        parts = [part.replace(ARCHITECTURES["MPS2_AN386"], self.architecture) for part in parts]
        command = [sys.executable, "-m", program, "connect", self.repl, "resume", *parts]
        self._process.send_signal(signal.SIGCONT)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
        self._process.send_signal(signal.SIGSTOP)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.replace("\r", "\n")

    def run(self, code: str) -> str:
        """What `code` prints."""
        with self._awake() as repl:
            return repl.run(code)

    @contextmanager
    def _awake(self):
        """The raw REPL. The machine stands still at all other times: it would wait by looking for
        characters, as fast as the test's own core can."""
        self._process.send_signal(signal.SIGCONT)
        repl = Repl(self)
        try:
            yield repl
        finally:
            repl.close()
            self._process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """Ends the machine."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        os.close(self._held)


def _disk(files: dict[str, bytes]) -> bytes:
    """A RAM disk (ram_disk.py) with these files and their folders."""
    folders = {str(folder) for name in files for folder in PurePosixPath(name).parents}
    found = b""
    for folder in sorted(folders - {"."}):
        found += struct.pack("<HI", len(folder), _FOLDER) + folder.encode()
    for name, data in files.items():
        found += struct.pack("<HI", len(name), len(data)) + name.encode() + data
    return found + struct.pack("<HI", 0, 0)


def _wanted(request) -> list[str]:
    """The builds that the tests of this run ask for."""
    asked = {
        item.callspec.params.get("build") if hasattr(item, "callspec") else _SMALLEST
        for item in request.session.items
        if item.path == request.path
    }
    asked |= {_LARGER for item in request.session.items if "installed" in item.fixturenames}
    return [build for build in ARCHITECTURES if build in asked]


@pytest.fixture(scope="module")
def _nodes(request, tmp_path_factory):
    """The nodes that are asked for, made at once: an installation waits for answers."""
    wanted = _wanted(request)
    missing = [
        str(path)
        for build in wanted
        for path in (package(build) / "package.json", BUILD / "stock" / build)
        if not path.exists()
    ]
    if missing:
        pytest.skip(f"no {missing[0]}: run 'make stock'")

    nodes = {}
    try:
        # Here, not in the threads: a machine ends with the thread that started it.
        for build in wanted:
            folder = tmp_path_factory.mktemp(build)
            nodes[build] = Unix(folder) if build == "unix" else Machine(build, folder)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.prepare(), nodes.values()))
        yield nodes
    finally:
        for node in nodes.values():
            node.close()


# The two machines differ in their core; a run tries the larger one only with one of the shards.
_BUILDS = [
    "unix",
    _SMALLEST,
    pytest.param(_LARGER, marks=pytest.mark.sharded(_LARGER)),
]


@pytest.fixture(scope="module", params=_BUILDS)
def build(request):
    """The name of a build."""
    return request.param


@pytest.fixture(scope="module")
def stock(_nodes, build):
    """A stock build with the package: `begin()`, then `run(code)`; `images` is the folder of the
    golden images."""
    return _nodes[build]


@pytest.fixture
def node(stock):
    """The same, with a node that has just been started."""
    stock.begin()
    return stock


@pytest.fixture
def machine(_nodes):
    """The node on the machine with the smallest core, just started."""
    _nodes[_SMALLEST].begin()
    return _nodes[_SMALLEST]


@pytest.fixture
def installed(_nodes):
    """The node on the machine whose package mpremote has installed: `said` is what it said."""
    return _nodes[_LARGER]


@pytest.fixture(scope="module")
def pools(build):
    """Code that gives the judge its task memory on machines: the heap has no room for it
    beside a whole node, and none at all for the flat map."""
    if build == "unix":
        return ""
    return (
        "import gc\ngc.threshold(2048)\n"
        "import judge, uctypes\n"
        "def a_vm(flat):\n"
        f"    pool = uctypes.bytearray_at({_FLAT_POOL}, flat) if flat else bytearray(16384)\n"
        "    return judge.native.VM(pool, 2, bool(flat))\n"
        "judge.a_vm = a_vm\n"
    )
