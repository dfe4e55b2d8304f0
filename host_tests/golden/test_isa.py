# SPDX-License-Identifier: MIT
"""Single instructions: the C core against the results of the reference, all of isa_fuzz.jsonl."""

import json
import struct
import zlib

import pytest

import hsxvm as n

FAULTS = {
    n.FAULT_STACK_UNDERFLOW: "fault:stack_underflow",
    n.FAULT_STACK_OVERFLOW: "fault:stack_overflow",
    n.FAULT_MEM: "fault:mem",
    n.FAULT_DIV_ZERO: "fault:div_zero",
    n.FAULT_ILLEGAL: "illegal_opcode",
    n.FAULT_PC_RANGE: "pc_out_of_range",
}
ENOSYS = 0xFFFFFF01
MEMORY = bytes((a * 167 + 13) & 0xFF for a in range(0x10000))


def image(code: bytes) -> bytes:
    head = struct.pack(">4sHHIIIII", b"HSXE", 1, 0, 0, len(code), 0, 0, 0)
    return head + struct.pack(">I", zlib.crc32(head + code)) + code


def run_case(vm: n.VM, case: dict) -> dict:
    """One instruction on a fresh task; the result in the words of the case file."""
    code = bytearray(case["code_len"])
    words = bytes.fromhex(case["word"] + case["next"])[: case["code_len"] - case["pc"]]
    code[case["pc"] : case["pc"] + len(words)] = words
    pid = vm.load(image(bytes(code)), 4096)
    vm.write(pid, 0, MEMORY)
    for number, value in enumerate(case["regs"]):
        vm.set(pid, number, value)
    for which in ("pc", "sp", "depth", "steps"):
        vm.set(pid, getattr(n, which.upper()), case[which])
    vm.set(pid, n.PSW, case["flags"])
    assert vm.get(pid, n.STACK_LIMIT) == 0xEFFC

    result = vm.clock(pid, 1)
    reason, detail = result & 0xFF, result >> 8
    if reason == n.SVC:
        vm.set(pid, 0, ENOSYS)  # as the reference without services answers
    elif reason == n.SLEEP:
        vm.set(pid, 0, 0)
    stop = {n.BRK: "brk", n.EXIT: "exit", n.RETURNED: "returned"}.get(reason)
    if reason == n.FAULT:
        stop = FAULTS[detail]

    memory = bytearray(0x10000)
    assert vm.read(pid, 0, memory) == 0x10000
    after = {
        "stop": stop,
        "pc": vm.get(pid, n.PC),
        "regs": [vm.get(pid, number) for number in range(16)],
        "flags": vm.get(pid, n.PSW),
        "sp": vm.get(pid, n.SP),
        "depth": vm.get(pid, n.DEPTH),
        "steps": vm.get(pid, n.STEPS),
        "writes": {},
    }
    if memory != MEMORY:
        after["writes"] = {
            str(a): new
            for a, (new, old) in enumerate(zip(memory, MEMORY, strict=True))
            if new != old
        }
    vm.unload(pid)
    return after


def test_every_single_instruction_gives_the_state_of_the_reference(golden_dir):
    cases = golden_dir / "isa_fuzz.jsonl"
    if not cases.is_file():
        pytest.skip(f"{golden_dir} has no isa_fuzz.jsonl")
    vm = n.VM(bytearray(0x11000), 1, True)
    lines = cases.read_text().splitlines()
    wrong = []
    for number, line in enumerate(lines, 1):
        case = json.loads(line)
        after = run_case(vm, case)
        if after != case["after"]:
            wrong.append(
                "line %d: word %s\n  is  %s\n  not %s"
                % (number, case["word"], after, case["after"])
            )
    assert lines
    assert not wrong, "%d of %d differ\n%s" % (len(wrong), len(lines), "\n".join(wrong[:5]))
