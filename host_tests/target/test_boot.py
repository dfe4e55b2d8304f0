# SPDX-License-Identifier: MIT
"""Boot on the target: its file of configuration, watchdog, safe mode, a few mixes of sources, and
apps that behave badly beside the REPL and a link."""

import ast

import pytest

from bench.images import SPIN, words
from bootmatrix import run, table
from bootmatrix.bench import Bench
from hsx.image.build import build
from hsx.link.host_messages import read_list
from hsxctl import fat_image
from hsxctl.assembler import assemble
from hsxctl.connect.serial import SerialLink

pytestmark = pytest.mark.target


@pytest.fixture(scope="module")
def bench(firmware):
    with Bench(firmware) as bench:
        yield bench


@pytest.mark.requirement("P-62", "P-64")
@pytest.mark.parametrize(
    "case",
    [
        ("none", "good", "none"),
        ("confirmed", "newer", "none"),
        ("trial", "newer", "none"),
        ("damaged", "older", "none"),
        ("damaged", "bad manifest", "serving"),
    ],
    ids="/".join,
)
def test_a_mix_of_sources_becomes_what_the_table_says(bench, case):
    wanted = table.expected()[case]
    got, took = bench.boot(*case)
    assert got == wanted
    assert bench.cut(*case, run.moments(case, took)[3]) == wanted


def test_the_table_has_every_case():
    assert sorted(table.expected()) == sorted(table.cases())
    assert len(table.cases()) == 72


@pytest.fixture
def flash(tmp_path):
    def make(text: str):
        path = tmp_path / "flash.img"
        fat_image.write(path, fat_image.SMALLEST, [("hsx.toml", text.encode())])
        return path

    return make


@pytest.mark.requirement("P-63")
def test_a_file_configures_the_node_and_a_wrong_one_does_not_stop_it(power_up, connect, flash):
    node = power_up(flash=flash("schema = 1\nnumber = 5\ncan_wait_ms = 100\n"))
    assert connect(node).run("import hsx; print(hsx.runtime().service.policy.number)") == "5"
    node = power_up(flash=flash("schema = 1\nnumber = 500\n"))
    assert connect(node).run("import hsx; print(hsx.runtime().service.policy.number)") == "127"
    assert b"number is not what it must be" in node.console_log


def test_polls_that_fail_are_ended_by_the_watchdog_and_the_next_start_says_so(
    power_up, connect, flash
):
    node = power_up(flash=flash("schema = 1\nwatchdog_ms = 2000\n"))
    repl = connect(node)
    repl.run("import hsx; hsx.runtime().node.poll = None")
    node.wait_console("state=over")
    repl.enter()
    assert repl.run("import hsx; print(hsx.boot_report()[0][1])").endswith("watchdog")


def test_a_node_that_was_stopped_at_the_repl_keeps_its_prompt(power_up, connect, flash):
    node = power_up(flash=flash("schema = 1\nwatchdog_ms = 1000\n"))
    repl = connect(node)
    repl.run("import hsx; hsx.runtime().stop()")
    repl.run("import time; time.sleep(3)")
    assert (
        repl.run("import machine; print(machine.reset_cause() == machine.PWRON_RESET)") == "True"
    )


def test_the_switch_for_the_safe_mode_starts_nothing(power_up, connect, tmp_path):
    card = tmp_path / "card.img"
    fat_image.write(card, fat_image.SMALLEST, _files("spins", words(SPIN)))
    repl = connect(power_up(sd=card, safe=True))
    assert repl.run("import hsx; print(hsx.runtime().node.ps())") == "[]"


def _files(name: str, code: bytes, **more) -> list[tuple[str, bytes]]:
    manifest = f'schema = 1\n[[image]]\nfile = "{name}.hxe"\n'
    return [("hsx.toml", manifest.encode()), (f"{name}.hxe", build(code, name=name, **more))]


# ---- apps that behave badly -------------------------------------------------------------------

_BAD = {
    "faults": "LDI R1, 0\n    ST [R1+0], R1",
    "hangs": "again:\n    JMP again",
    "exhausts": "again:\n    CALL again",
    "floods": """
    LDI32 R1, name
    LDI R2, 40
    LDI R3, 3
    SVC MOD=0x5, FN=0x1
    LDI32 R1, name
    LDI R2, 0
    SVC MOD=0x5, FN=0x0
    MOV R9, R1
again:
    MOV R1, R9
    LDI32 R2, name
    LDI R3, 8
    LDI R4, 0
    LDI R5, 0
    SVC MOD=0x5, FN=0x2
    JMP again
""",
    "tells": """
    LDI R1, 1
    LDI R2, 1
    LDI R3, 0
    LDI R4, 0
    SVC MOD=0x7, FN=0x0
    MOV R9, R1
    LDI R8, 0
again:
    LDI R2, 1
    ADD R8, R8, R2
    MOV R1, R9
    MOV R2, R8
    LDI R3, 0
    SVC MOD=0x7, FN=0x3
    JMP again
""",
    "prints": """
again:
    LDI32 R1, name
    LDI R2, 8
    SVC MOD=0x1, FN=0x1
    JMP again
""",
}
_SHELL = """.entry start
.text
start:
{}
.data
name:
    .asciz "app:flood"
"""


@pytest.fixture(scope="module")
def bad_apps(tmp_path_factory, firmware):
    """A running node with all of them."""
    from hsxctl.simulate.qemu import QemuNode
    from repl import Repl

    folder = tmp_path_factory.mktemp("bad")
    files, manifest = [], "schema = 1\n"
    for name, body in _BAD.items():
        source = folder / f"{name}.mvasm"
        source.write_text(_SHELL.format(body))
        program = assemble(source)
        image = build(program.code, rodata=program.rodata, entry=program.entry, name=name)
        files.append((f"{name}.hxe", image))
        manifest += f'[[image]]\nfile = "{name}.hxe"\nstack = 256\n'
    card = folder / "card.img"
    fat_image.write(card, fat_image.SMALLEST, [*files, ("hsx.toml", manifest.encode())])
    with QemuNode(firmware, sd=card) as node:
        node.wait_console("state=over", 60)
        repl = Repl(node)
        repl.run("import hsx, time; time.sleep(2)")
        yield node, repl
        repl.close()


@pytest.mark.parametrize("name", _BAD)
def test_beside_an_app_that_behaves_badly_repl_and_link_work_and_name_it(bad_apps, name):
    node, repl = bad_apps
    state = {"faults": "faulted", "exhausts": "faulted"}.get(name, "ready")
    rows = "[(r['app_name'], r['state'], r['stop']) for r in hsx.runtime().node.ps()]"
    rows = [row for row in ast.literal_eval(repl.run(f"print({rows})")) if row[0] == name]
    assert [row[1] for row in rows] == [state], rows
    with SerialLink(node.uart2) as link:
        shown = [row for row in read_list(link.request, "ps") if row["app_name"] == name]
    assert [row["state"] for row in shown] == [state]


def test_what_ended_an_app_is_told(bad_apps):
    _, repl = bad_apps
    said = repl.run("hsx.ps()")
    assert "fault:mem" in said
    assert "fault:stack_overflow" in said


def test_a_person_ends_the_apps_and_keeps_the_prompt(bad_apps):
    _, repl = bad_apps
    repl.run("for row in hsx.runtime().node.ps(): hsx.kill(row['pid'])")
    assert repl.run("import hsx; print(hsx.runtime().node.ps())") == "[]"
