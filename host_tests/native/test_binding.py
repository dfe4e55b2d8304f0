# SPDX-License-Identifier: MIT
"""The binding for CPython has exactly the face of hsxvm.pyi, and takes what Python offers."""

import ast
import errno
import inspect
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hsxvm
from bench.images import SPIN, an_image
from hsx import errors

NATIVE = Path(__file__).parent.parent.parent / "firmware" / "native"
STUB_TEXT = (NATIVE / "hsxvm.pyi").read_text()
STUB = ast.parse(STUB_TEXT)
HEADER = (NATIVE / "hsxvm.h").read_text()
# NAME: int  # number: meaning, and for the last group `# number` or `# number (ro)`
NUMBERS = dict(re.findall(r"^([A-Z_]+): int  # (\d+)", STUB_TEXT, re.MULTILINE))


CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
METHODS = [(name, method.name) for name in CLASSES for method in CLASSES[name].body]


def test_the_names_are_those_of_the_stub():
    names = {node.target.id for node in STUB.body if isinstance(node, ast.AnnAssign)}
    assert set(NUMBERS) == names
    functions = {node.name for node in STUB.body if isinstance(node, ast.FunctionDef)}
    assert set(hsxvm.__all__) == names | functions | set(CLASSES)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_constant_has_the_number_of_the_stub(name):
    assert getattr(hsxvm, name) == int(NUMBERS[name])


@pytest.mark.parametrize("name", NUMBERS)
def test_a_constant_has_the_number_of_the_header(name):
    in_c = re.search(rf"\bHSX_(?:STOP_)?{name} = (\d+),", HEADER)
    assert in_c is not None
    assert int(in_c[1]) == int(NUMBERS[name])


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_a_method_has_the_parameters_of_the_stub(name, method):
    node = next(node for node in CLASSES[name].body if node.name == method)
    parameters = inspect.signature(vars(getattr(hsxvm, name))[method]).parameters
    assert list(parameters) == [arg.arg for arg in node.args.args]
    defaults = [p.default for p in parameters.values() if p.default is not p.empty]
    assert defaults == [ast.literal_eval(default) for default in node.args.defaults]


def test_a_function_has_the_parameters_of_the_stub():
    for node in STUB.body:
        if isinstance(node, ast.FunctionDef):
            parameters = inspect.signature(getattr(hsxvm, node.name)).parameters
            assert list(parameters) == [arg.arg for arg in node.args.args]


def test_an_interrupt_comes_to_the_main_program():
    with pytest.raises(KeyboardInterrupt):
        hsxvm.interrupt()
        while True:  # raised where the main program goes on
            pass


@pytest.mark.parametrize("name", CLASSES)
def test_there_are_no_other_methods(name):
    public = {method for method in vars(getattr(hsxvm, name)) if method[0] != "_"}
    assert public == {node.name for node in CLASSES[name].body} - {"__init__"}


# Rules of what the core does not look at: section tables, and what else runs on the node.
NOT_THE_CORES = {
    "TABLE_BOUNDS",
    "SECTION_BOUNDS",
    "SECTION_CONTENT",
    "NAME_TAKEN",
    "OID",
    "MAILBOX",
}


def test_the_rules_of_the_core_are_those_of_the_package():
    in_c = dict(re.findall(r"\bHSX_RULE_(\w+) = ([^,]+),", HEADER))
    assert in_c.pop("NONE") == "0"
    package = {name[5:]: number for name, number in vars(errors).items() if name[:5] == "RULE_"}
    assert package.keys() >= NOT_THE_CORES
    assert in_c == {name: str(package[name]) for name in package.keys() - NOT_THE_CORES}


def test_the_errors_of_the_core_are_those_of_its_stub_in_the_numbers_of_linux():
    in_c = dict(re.findall(r"\bHSX_(E[A-Z]+) = ([^,]+),", HEADER))
    stub = ast.get_docstring(STUB) or ""
    linux = {name: getattr(errno, name) for name in re.findall(r"\b(E[A-Z]+) ", stub)}
    assert in_c == {name: str(-number) for name, number in linux.items()}
    assert {name: getattr(errors, name) for name in linux} == linux


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_an_image_may_be_any_kind_of_bytes(kind):
    vm = hsxvm.VM(bytearray(4096))
    assert vm.load(kind(an_image(SPIN))) == 1


def test_the_pool_may_be_a_view():
    memory = bytearray(8192)
    vm = hsxvm.VM(memoryview(memory)[4096:])
    assert vm.free() == 4096
    vm.load(an_image(SPIN))
    assert not any(memory[:4096])
    assert any(memory[4096:])


def test_a_pool_that_cannot_be_written_is_refused():
    with pytest.raises((TypeError, BufferError)):
        hsxvm.VM(bytes(100))


def test_the_pool_stays_while_the_vm_lives():
    pool = bytearray(4096)
    vm = hsxvm.VM(pool)
    with pytest.raises(BufferError):
        pool.extend(b"more")  # would move it
    vm.load(an_image(SPIN))


def test_what_failed_last_is_remembered():
    vm = hsxvm.VM(bytearray(4096))
    assert vm.error() == (0, 0, 0)
    with pytest.raises(OSError):
        vm.load(b"")
    vm.load(an_image(SPIN))
    assert vm.error() == (errors.EBADMSG, 0, errors.RULE_SHORT)


def test_named_arguments_work_where_there_are_defaults():
    vm = hsxvm.VM(bytearray(4096), tasks=2, flat=False)
    pid = vm.load(an_image(SPIN), stack=64)
    assert vm.get(pid, hsxvm.STACK_LIMIT) == 0xFFFC - 64
    pid = vm.load_begin()
    vm.load_write(pid, an_image(SPIN))
    vm.load_end(pid, stack=128)
    assert vm.get(pid, hsxvm.STACK_LIMIT) == 0xFFFC - 128


@given(st.binary(max_size=20), st.integers(-2, 22), st.binary(max_size=8))
def test_bytes_are_placed_where_they_fit_and_nowhere_else(before, at, data):
    buf = bytearray(before)
    if 0 <= at <= len(before) - len(data):
        hsxvm.place(memoryview(buf), at, data)
        assert buf == before[:at] + data + before[at + len(data) :]
    else:
        with pytest.raises(OSError) as error:
            hsxvm.place(buf, at, data)
        assert error.value.errno == errors.EINVAL
        assert buf == before
