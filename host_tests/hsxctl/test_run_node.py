# SPDX-License-Identifier: MIT
"""`hsxctl run --node`: images together in one node."""

import json
from pathlib import Path

import pytest

from bench.images import BRK, EXIT, RET, SLEEP, SPIN, an_image, ldi, ldi32, svc
from hsx.image.build import mailbox_section
from hsxctl.cli import main

GOLDEN = Path(__file__).parents[1] / "golden/svc"
OPEN, SEND, RECV = svc(5, 0), svc(5, 2), svc(5, 3)
NAME = b"app:box\0hello!"
TEXT = 0x4008


@pytest.fixture
def node(tmp_path, capsys):
    """node(name=image..., options) -> (exit code, the JSON of `hsxctl run --node`)."""

    def ran(*options, **images) -> tuple[int, dict]:
        paths = []
        for name, image in images.items():
            path = tmp_path / f"{name}.hxe"
            path.write_bytes(image)
            paths.append(str(path))
        status = main(["run", "--node", *paths, "--json", *options])
        return status, json.loads(capsys.readouterr().out)

    return ran


def opening(*code, **more):
    """An image that opens app:box as handle 4, and goes on with `code`."""
    return an_image(*ldi32(1, 0x4000), OPEN, *code, rodata=NAME + bytes(18), **more)


def sending(*code, **more):
    send = (ldi(1, 4), *ldi32(2, TEXT), ldi(3, 6), ldi(4, 0), ldi(5, 9), SEND)
    return opening(*send, *code, **more)


def receiving(timeout, *code, **more):
    buf = (*ldi32(2, 0x4010), ldi(3, 16), *ldi32(4, timeout), ldi(5, 0))
    return opening(ldi(1, 4), *buf, RECV, *code, **more)


def test_each_golden_scenario_ends_as_in_the_reference(capsys):
    for path in sorted(GOLDEN.glob("*.json")):
        case = json.loads(path.read_text())
        files = [str(GOLDEN / f"{program}.hxe") for program in case["load_order"]]
        assert main(["run", "--node", "--json", *files]) == 0
        tasks = json.loads(capsys.readouterr().out)["tasks"]
        keys = ("program", "r0", "data")
        assert [[task[key] for key in keys] for task in tasks] == [
            [task[key] for key in keys] for task in case["tasks"]
        ]
        assert {task["stop"] for task in tasks} == {"exit"}


@pytest.mark.parametrize("order", [("sender", "receiver"), ("receiver", "sender")])
def test_a_message_gets_from_one_to_the_other_whoever_is_first(node, order):
    images = {"sender": sending(EXIT), "receiver": receiving(0xFFFF, EXIT)}
    status, found = node(**{name: images[name] for name in order})
    assert status == 0
    by_name = {task["program"]: task for task in found["tasks"]}
    assert [task["program"] for task in found["tasks"]] == list(order)
    assert {task["stop"] for task in found["tasks"]} == {"exit"}
    assert bytes.fromhex(by_name["receiver"]["data"])[16:] == b"hello!".ljust(16, b"\0")


def test_who_waits_for_ever_is_waiting_and_a_timeout_costs_no_time(node):
    day = 24 * 3600 * 1000
    sleeper = an_image(*ldi32(0, 40 * day), SLEEP, ldi(0, 5), EXIT)
    images = {"a": receiving(0xFFFF, EXIT), "b": receiving(0xFFFE, EXIT), "c": sleeper}
    status, found = node(**images)
    assert status == 0
    stops = [(task["program"], task["stop"], task["r0"]) for task in found["tasks"]]
    assert stops[1:] == [("b", "exit", 7), ("c", "exit", 5)]
    assert stops[0][:2] == ("a", "waiting")


def test_each_ending_has_its_name_and_only_a_fault_fails(node):
    fault = an_image(0x13000000)
    images = {"brk": an_image(BRK), "ret": an_image(ldi(0, 3), RET), "spin": an_image(SPIN)}
    status, found = node("--max-steps", "1000", **images)
    assert status == 0
    assert [task["stop"] for task in found["tasks"]] == ["brk", "returned", "step_cap"]
    status, found = node("--max-steps", "1000", **images, bad=fault)
    assert (status, found["tasks"][3]["stop"]) == (1, "fault:div_zero")
    assert found["tasks"][1]["r0"] == 3


@pytest.mark.parametrize("cap", [0, 1, 7, 25_000])
def test_the_cap_holds_for_each_task_to_the_instruction(node, cap):
    counter = an_image(ldi(1, 1), 0x10001000, SPIN | 4)  # R0 += 1, for ever
    _, found = node("--max-steps", str(cap), a=counter, b=counter)
    expected = max(cap, 0) // 2
    assert [(task["stop"], task["r0"]) for task in found["tasks"]] == [("step_cap", expected)] * 2


def test_a_cap_that_falls_on_a_sleep_is_the_cap(node):
    _, found = node("--max-steps", "2", a=an_image(ldi(0, 5), SLEEP, RET), b=an_image(SPIN))
    assert [task["stop"] for task in found["tasks"]] == ["step_cap", "step_cap"]


def test_an_image_that_is_refused_ends_it_and_says_which(tmp_path, capsys):
    one = tmp_path / "one.hxe"
    one.write_bytes(an_image(name="one", multiple=False))
    assert main(["run", "--node", str(one), str(one), "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["errno"] == "EEXIST"
    assert "one.hxe: EEXIST" in said.err


def test_what_is_declared_is_there(node):
    boxes = mailbox_section([{"target": "app:box", "capacity": 12}])
    # Six bytes and eight of header are more than twelve.
    status, found = node(a=sending(EXIT, sections=(boxes,)))
    assert (status, found["tasks"][0]["r0"]) == (0, 4)


def test_people_get_a_line_for_each(tmp_path, capfd):
    text = svc(1, 1)
    path = tmp_path / "hello.hxe"
    path.write_bytes(an_image(*ldi32(1, 0x4000), ldi(2, 2), text, ldi(0, 9), EXIT, rodata=b"hi"))
    assert main(["run", "--node", str(path)]) == 0
    said = capfd.readouterr()
    assert said.out == "hi"
    assert said.err == "\nhsxctl: hello: exit, R0 0x9\n"


def test_several_files_alone_are_wrong_usage(tmp_path, capsys):
    path = tmp_path / "a.hxe"
    path.write_bytes(an_image())
    assert main(["run", str(path), str(path)]) == 2
    assert "--node" in capsys.readouterr().err


@pytest.mark.parametrize(("timeout", "stop", "code"), [(0xFFFF, "waiting", None), (50, "exit", 7)])
def test_one_that_waits_alone_waits_for_nobody(tmp_path, capsys, timeout, stop, code):
    path = tmp_path / "a.hxe"
    path.write_bytes(receiving(timeout, EXIT))
    assert main(["run", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["stop"], facts["exit_code"]) == (stop, code)
