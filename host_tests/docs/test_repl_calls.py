# SPDX-License-Identifier: MIT
"""The tables of docs/repl.md: every call is there with its arguments and their defaults."""

import ast
import inspect
import re

import pytest

import hsx
from bench.apps import AppsBench, an_app
from docs.tables import coded, table
from hsx import console, errors, native
from hsx.image.manifest import GRANTS
from hsx.node import tasks

NOT_TYPED = {"attach", "runtime"}  # the boot code's and the tests' business


def signature(text: str) -> ast.arguments:
    """The arguments of a call as the guide writes it."""
    (function,) = ast.parse(f"def {text}: pass").body
    assert isinstance(function, ast.FunctionDef)
    return function.args


def defaults(arguments: ast.arguments) -> dict[str, object]:
    """What is not given, by its name."""
    names = [
        *arguments.args[-len(arguments.defaults) or len(arguments.args) :],
        *arguments.kwonlyargs,
    ]
    values = [*arguments.defaults, *arguments.kw_defaults]
    return {
        arg.arg: ast.literal_eval(value)
        for arg, value in zip(names, values, strict=True)
        if value is not None
    }


GUIDE = {
    call.partition("(")[0].removeprefix("hsx."): call.removeprefix("hsx.")
    for cell, *_ in table("repl.md", "call", "does", "returns")
    for call in coded(cell)
}
CALLS = {
    name: function
    for name, function in vars(hsx).items()
    if inspect.isfunction(function) and name not in NOT_TYPED
}


def test_every_call_of_the_package_is_in_the_guide_and_no_other():
    assert set(GUIDE) == set(CALLS)


@pytest.mark.parametrize("name", sorted(GUIDE))
def test_a_call_takes_what_the_guide_says(name):
    parameters = inspect.signature(CALLS[name]).parameters.values()
    if re.search(r'\("', GUIDE[name]):  # it shows what is typed
        arguments = ast.literal_eval(GUIDE[name].removeprefix(name))
        inspect.signature(CALLS[name]).bind(arguments)
        return
    said = signature(GUIDE[name])
    places = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert [arg.arg for arg in said.args][: len(places)] == places
    rest = [p.name for p in parameters if p.kind == p.VAR_POSITIONAL]
    assert [said.vararg.arg] == rest if said.vararg else not rest
    given = {p.name: p.default for p in parameters if p.default is not p.empty}
    told = defaults(said)
    assert given.items() <= told.items()
    takes_options = any(p.kind == p.VAR_KEYWORD for p in parameters)
    assert takes_options or given == told


def options(name: str) -> dict[str, object]:
    """Those that the guide names beside what stands in the signature itself."""
    own = inspect.signature(CALLS[name]).parameters
    return {
        key: value for key, value in defaults(signature(GUIDE[name])).items() if key not in own
    }


@pytest.mark.parametrize("name", ["load", "persist"])
def test_the_options_of_the_guide_are_those_of_the_docstring(name):
    told = CALLS[name].__doc__.partition("`options`")[2].partition(":")[2].partition("Raises")[0]
    names = re.findall(r"\w+", re.sub(r"\(.*?\)", "", told, flags=re.DOTALL))
    assert sorted(options(name)) == sorted(names)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "one.hxe"
    file.write_bytes(an_app("one"))
    return str(file)


def test_a_load_with_the_options_of_the_guide_is_one_without(path):
    host = AppsBench()
    shown = []
    for given in ({}, options("load")):
        pid = host.runtime.load(path, **given)
        shown += [row for row in host.node.ps() if row["pid"] == pid]
        host.node.kill(pid)
    assert shown[0] == shown[1]
    assert (shown[0]["priority"], shown[0]["quantum"]) == (10, 1000)


def test_a_set_with_the_options_of_the_guide_is_one_without(path):
    host = AppsBench()
    digests = []
    for given in ({}, options("persist")):
        host.runtime.persist((path,), False, given)
        digests.append(host.provisioning.status()["digest"])
        assert len(digests[-1]) == 16
        host.provisioning.cancel()
    assert digests[0] == digests[1]


def test_the_grants_are_the_codes():
    (row,) = [
        row for row in table("repl.md", "call", "does", "returns") if "hsx.persist" in row[0]
    ]
    told = row[1].partition("`grants`")[2]
    assert re.findall(r"(\d) (\w+)", told) == [(str(1 << n), g) for n, g in enumerate(GRANTS)]


# ---- the task table and the errors --------------------------------------------------------------

COLUMNS = dict(table("repl.md", "column", "meaning"))


def test_the_columns_of_the_task_table_are_those_that_ps_prints(capsys):
    console.print_tasks([])
    assert capsys.readouterr().out.split() == list(COLUMNS)


def test_the_states_of_a_task_are_the_codes():
    assert coded(COLUMNS["STATE"]) == list(tasks.STATES)


def test_the_ends_of_a_task_are_the_codes():
    stops = [native.EXIT, native.RETURNED, native.BRK]
    stops += [native.FAULT | code << 8 for code, _ in tasks._FAULTS]
    told = [name.removesuffix("(code)") for name in coded(COLUMNS["STOP"])]
    assert sorted(told) == sorted(map(tasks.stop_name, stops))


def test_every_errno_is_explained():
    named = [row[0] for row in table("repl.md", "errno", "means", "do")]
    assert sorted(named) == sorted(name for _, name in errors._NAMES)
