# SPDX-License-Identifier: MIT
"""What a command about several nodes ends with, and which trouble is which exit code."""

from argparse import Namespace

import pytest

from hsx import errors
from hsx.errors import ETIMEDOUT, HsxError
from hsxctl.errors import NO_NODE, REFUSED, ToolError
from hsxctl.reach import Reach

NODES = [3, 5, 9]


@pytest.fixture
def reach(output):
    """Of three nodes that are named, so that nobody has to answer."""
    with Reach(Namespace(can="virtual:reach", node=NODES), output) as reach:
        yield reach


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ((0, 0, 0), 0),
        ((1, 0, 0), 1),
        ((3, 0, 0), 3),
        ((3, 1, 0), 3),
        ((1, 3, 0), 3),
        ((1, 3, 1), 3),
        ((0, 1, 0), 1),
        ((0, 3, 1), 3),
        ((0, 1, 3), 3),
    ],
)
def test_exit_code_is_that_of_the_worst_trouble_and_every_node_has_its_turn(
    reach, capsys, ends, status
):
    done = []

    def do(node):
        done.append(node)
        end = ends[NODES.index(node)]
        if end:
            raise ToolError("it went wrong", f"node {node}", status=end)

    assert reach.each(do) == reach.status == status
    assert done == NODES
    bad = [node for node, end in zip(NODES, ends, strict=True) if end]
    assert capsys.readouterr().err == "".join(f"hsxctl: node {n}: it went wrong\n" for n in bad)


@pytest.mark.parametrize(("errno", "name"), errors._NAMES, ids=lambda one: str(one))
def test_node_that_does_not_answer_is_exit_code_3_and_one_that_refuses_is_1(reach, errno, name):
    error = reach.refused(5, "push", HsxError(errno, "write", "so it is"))
    assert error.status == (NO_NODE if errno == ETIMEDOUT else REFUSED)
    assert error.what == f"push: {name} at write: so it is"
    assert error.where == "node 5 on virtual:reach"
