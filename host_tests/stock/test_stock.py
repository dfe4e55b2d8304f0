# SPDX-License-Identifier: MIT
"""A node on MicroPython that was built without HSX, from the package that `mip` installs."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hsxvm
from docs.console import blocks, session
from judge import golden
from judge.ed25519 import GOOD, KEY, MESSAGE

pytestmark = pytest.mark.target
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/stock_firmware.md"
GUIDE = PAGE.read_text()

# What this prints is the same with every binding.
_CALLS = """
import hsxvm
vm = hsxvm.VM(bytearray(4096), tasks=2)
print(vm.free(), vm.pids())
for wrong in (lambda: vm.load(b"HSXE" + bytes(60)), lambda: hsxvm.VM(bytearray(64), 99)):
    try:
        wrong()
    except OSError as error:
        print(error.errno, vm.error())
pid = vm.load_begin(2)
print(pid, vm.state(pid) == hsxvm.LOADING, vm.load_abort(pid), vm.pids())
ring = hsxvm.FrameRing(2, 3)
for number in range(3):
    ring.put([number, 0, False, bytes([number] * number)])
print(ring.drain(lambda ident, data, now: print(ident, bytes(data), now), 7, 9), ring.lost())
buf = bytearray(40)
hsxvm.place(buf, 4, b"abc")
print(hsxvm.cobs_encode(buf, 0, 4, 16), bytes(buf))
line = bytearray(32)
size = hsxvm.slcan_format(0x123, bytes((1, 254)), line)
print(bytes(line[:size]), hsxvm.slcan_parse(line, 0, size - 1, bytearray(8)))
"""


@pytest.mark.sharded("MPS2_AN386")
def test_mip_installs_all_that_the_package_lists(installed):
    listed = json.loads(installed.package_json.read_text())["urls"]
    assert re.findall("Installing: /lib/(\\S+)", installed.said) == [name for name, _ in listed]


def test_the_native_module_offers_what_every_binding_does(node):
    found = set(node.run("import hsxvm\nprint(' '.join(dir(hsxvm)))").split())
    # Signatures are a module of their own.
    assert set(hsxvm.__all__) - found == {"ed25519_verify", "interrupt"}


def test_the_native_module_does_what_it_does_on_a_host(node):
    host = subprocess.run(
        [sys.executable, "-c", _CALLS], capture_output=True, text=True, check=True
    )
    assert node.run(_CALLS).splitlines() == host.stdout.splitlines()


def test_a_good_signature_is_told_from_a_changed_one(node):
    call = f"native.ed25519_verify({KEY!r}, {{}}, {GOOD!r})"
    calls = f"{call.format(repr(MESSAGE))}, {call.format(repr(MESSAGE + b'!'))}"
    assert node.run(f"from hsx import native\nprint({calls})").split() == ["True", "False"]


def test_start_says_that_nothing_polls_where_there_is_no_timer(machine):
    assert machine.started == "no timer: the node runs in hsx.poll() and hsx.run()"
    assert "no timer: call hsx.poll()" in machine.run("hsx.log(100)")


def test_a_second_start_is_refused(node):
    code = "try:\n    hsx.start()\nexcept OSError as error:\n    print(error.errno)"
    assert node.run(code).split() == ["16"]


@pytest.mark.requirement("P-6")
def test_an_image_loads_from_a_file_and_runs_by_polls(node):
    expected = golden.PROGRAMS["services"]
    told = node.run(
        "from hsx.boot import clock\n"
        f"pid = hsx.load({node.images + '/services.hxe'!r})\n"
        "task = hsx.runtime().node.tasks.find(pid)\n"
        "begun = clock.now()\n"
        "while task.exit_code < 0:\n"
        "    hsx.poll(0)\n"
        "    clock.pass_ms(1)\n"
        "print('#', task.exit_code, clock.now() - begun)\n"
        "hsx.kill(pid)\n"
    )
    exit_code, took_ms = map(int, told.split("#")[-1].split())
    assert exit_code == expected["exit_code"]
    assert took_ms >= sum(expected["sleeps_ms"])


@pytest.fixture(scope="module")
def segmented(stock, pools):
    """The answers of the judge for the programs that need no flat memory."""
    return _judged(stock, pools, golden.programs_call(golden.NEED_NO_FLAT, golden.SEGMENTED))


@pytest.fixture(scope="module")
def flat(stock, pools):
    """The answers for those that do."""
    return _judged(stock, pools, golden.programs_call(golden.NEED_FLAT, golden.FLAT))


def _judged(stock, pools, call):
    stock.begin(start=False)
    return golden.answers(
        stock.run(pools + "import judge\njudge." + call.replace("/sd", stock.images))
    )


@pytest.mark.requirement("P-16")
@pytest.mark.parametrize("name", golden.NEED_NO_FLAT)
def test_a_program_ends_as_in_the_reference_however_it_was_cut(segmented, name):
    golden.assert_as_in_the_reference(segmented, name)


@pytest.mark.parametrize("name", golden.NEED_FLAT)
def test_a_program_that_needs_the_flat_map_ends_as_in_the_reference(flat, name):
    golden.assert_as_in_the_reference(flat, name)


def test_programs_leave_nothing_behind(segmented):
    assert segmented["left"][0] is True


# ---- docs/stock_firmware.md -------------------------------------------------------------------


def test_the_guide_names_the_folder_of_each_architecture(stock):
    number = stock.follow("exec").strip()
    assert f"| {number} | `build/natmod/{stock.architecture}` |" in GUIDE


def test_the_guide_makes_all_the_folders_that_it_names():
    command = blocks(PAGE, "sh")[0].splitlines()[0]
    assert command == "make natmod"
    # What `make setup` makes is there already.
    done = subprocess.run([*command.split(), "-o", "setup"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    named = re.findall(r"^\| \d+ \| `(\S+)` \|", GUIDE, re.MULTILINE)
    made = [
        str(path.parent.relative_to(ROOT)) for path in ROOT.glob("build/natmod/*/package.json")
    ]
    assert sorted(named) == sorted(made)


def test_the_session_of_the_guide_goes_as_shown(machine):
    machine.begin(start=False)
    (block,) = blocks(PAGE, "pycon")
    for call, shown in session(block):
        printed = (
            f"_ = {call}\nif _ is not None and type(_).__name__ != 'Rows':\n    print(repr(_))"
        )
        found = machine.run(call if re.match(r"import|\w+ =", call) else printed)
        assert found == shown.rstrip("\n"), call


def test_a_node_imports_nothing_that_the_guide_lets_out(machine):
    rows = re.findall(r"^\| (?:a store|links|signatures) \| (.*) \|$", GUIDE, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(named) == 11
    imported = machine.run("import sys\nprint(' '.join(sys.modules))").split()
    assert imported.count("hsx.link.wire") == 1
    for name in named:
        module = "hsx." + re.sub(r"\.mpy$|/$", "", name).replace("/", ".").replace("*", "")
        module = module.removeprefix("hsx.") if name.startswith("hsxed") else module
        needed = {"hsx.link", "hsx.link.wire"}
        assert not [found for found in imported if found.startswith(module)] or module in needed


# A partition for ROMFS, as `mpremote` asks a port for it.
_PARTITION = """
import sys, uctypes, vfs
class Vfs:
    VfsRom, mount, umount = vfs.VfsRom, vfs.mount, vfs.umount
    part = uctypes.bytearray_at(%d, %d)
    def rom_ioctl(self, call, number=0, offset=0, data=b""):
        if call == 4:
            self.part[offset : offset + len(data)] = data
        return (0, 1, memoryview(self.part), 16, 0, 0, 4096)[call]
sys.modules["vfs"] = Vfs()
"""
_FREE = "gc.collect()\nprint(gc.mem_free())\n"


def test_a_node_starts_from_a_rom_file_system_and_bytecode_takes_no_ram_there(machine):
    from_files = int(machine.run("import gc\n" + _FREE))
    assert machine.follow("romfs query") == "ROMFS is not enabled on this device\n"
    machine.reset()
    machine.run(_PARTITION % machine.rom)
    assert machine.follow("romfs deploy").endswith("\nROMFS image deployed\n")
    machine.reset()
    # As a port does that has such a partition.
    machine.run(
        "import gc, sys, uctypes, vfs\n"
        "vfs.mount(vfs.VfsRom(uctypes.bytearray_at(%d, %d)), '/rom')\n"
        "sys.path.append('/rom')" % machine.rom
    )
    before, native, from_rom = map(
        int,
        machine.run(
            _FREE + "import hsxvm\n" + _FREE + "import hsx\nhsx.start()\n" + _FREE
        ).split(),
    )
    near = functools.partial(pytest.approx, rel=0.1)
    assert [before - native] == near(figures("`hsxvm.mpy`")[1:])
    # The RAM disk is in the heap too.
    assert [from_files, from_rom] == near(figures("free on such a node, with 10 KiB for apps"))


def figures(what: str) -> list[int]:
    """A row of the table of bytes: from a file system, from ROMFS."""
    (row,) = re.findall(rf"^\| {re.escape(what)} \| (\S+) \| (\S+) \|$", GUIDE, re.MULTILINE)
    return [int(number.replace(",", "")) for number in row]
