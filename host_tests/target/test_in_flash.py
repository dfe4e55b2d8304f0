# SPDX-License-Identifier: MIT
"""What of the frozen modules lies in flash (firmware/frozen) works as if it were in RAM."""

import pytest

pytestmark = pytest.mark.target

LOOK = """
import gc, sys, hsx
RAM = 0x20000000

def kinds():
    "addresses of the functions of all modules and classes of the package, classes' tables apart"
    functions, tables = [], []
    for name, module in sys.modules.items():
        if name.split('.')[0] == 'hsx':
            for key in dir(module):
                thing = getattr(module, key)
                if type(thing) is type(kinds):
                    functions.append(id(thing))
                if type(thing) is type and issubclass(thing, Exception) is False:
                    if getattr(thing, '__init__', None) is not None:
                        tables.append('__module__' in thing.__dict__)
    return functions, tables
"""


def test_most_functions_and_class_tables_of_a_booted_node_are_in_flash(repl):
    repl.run(LOOK)
    repl.run("functions, tables = kinds()")
    assert repl.run("print(len(functions) > 100, len(tables) > 30)") == "True True"
    in_ram = int(repl.run("print(sum(1 for place in functions if place >= RAM))"))
    assert in_ram < 10
    assert int(repl.run("print(sum(tables))")) < 10


def test_a_function_in_flash_knows_its_name_and_its_defaults(repl):
    repl.run(LOOK)
    repl.run("from hsx import errors, ticks")
    assert repl.run("print(id(ticks.add) < RAM, ticks.add.__name__, ticks.add(3, 4))") == (
        "True add 7"
    )
    assert repl.run("e = errors.bad_image(9, 'end'); print(e.rule, e.offset, e.detail)") == (
        "9 -1 checksum differs"
    )
    assert repl.run("print(id(errors.bad_image) < RAM)") == "True"


def test_a_property_of_a_class_in_flash_is_one(repl):
    repl.run("import hsx\nfrom hsx.service.events import Subscription")
    repl.run("hsx.runtime().events.emit('test', 0, {})")
    repl.run("s = Subscription(hsx.runtime().events, 0, 1)")
    assert repl.run("print(s.stalled, s.next(bytearray(255)) > 0, s.stalled)") == "False True True"


def test_a_generator_in_flash_is_one(repl):
    repl.run("import hsx\nsteps = hsx.runtime()._scan.run()")
    assert repl.run("print(next(steps))") == "None"


def test_a_module_that_is_imported_again_is_another_one_beside_the_first(repl):
    repl.run("import sys, hsx\nfrom hsx import ticks as first\ndel sys.modules['hsx.ticks']")
    repl.run("from hsx.ticks import wrap\nsecond = sys.modules['hsx.ticks']")
    assert repl.run("print(first is second, wrap is first.wrap)") == "False False"
    repl.run("second._PERIOD = None; second.marked = True")
    assert repl.run("print(hasattr(first, 'marked'), wrap(5), first.wrap(6))") == "False 5 6"


def test_modules_that_went_are_no_part_of_the_next_life(repl):
    repl.run("import sys, gc, hsx; from hsx import ticks; ticks.marked = bytearray(2000)")
    before = int(repl.run("gc.collect(); print(gc.mem_alloc())"))
    repl.soft_reset()
    repl.run("import gc, hsx; from hsx import ticks")
    assert repl.run("print(hasattr(ticks, 'marked'))") == "False"
    assert int(repl.run("gc.collect(); print(gc.mem_alloc())")) < before - 1500


def test_a_module_takes_new_names_after_its_table_was_made_to_fit(repl):
    repl.run("from hsx import native, ticks\nnative.settle()")
    repl.run("for n in range(40): setattr(ticks, 'extra%d' % n, n)")
    assert repl.run("print(sum(getattr(ticks, 'extra%d' % n) for n in range(40)))") == "780"
    assert repl.run("print(ticks.diff(7, 5))") == "2"


def test_a_class_that_someone_changed_before_it_was_settled_stays_changed(repl):
    repl.run("from hsx import native\nfrom hsx.node.mailbox import Handle")
    repl.run("Handle.extra = 5\nnative.settle()")
    assert repl.run("print(Handle.extra, '__init__' in Handle.__dict__)") == "5 True"
