# SPDX-License-Identifier: MIT
"""The board.py that docs/stock_firmware.md shows has all that a node asks of a board."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def names(tree: ast.AST) -> set[str]:
    """What a module or class defines at its top."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def asked() -> set[str]:
    tree = ast.parse((ROOT / "firmware/hsx/contracts.pyi").read_text())
    classes = {node.name: names(node) for node in tree.body if isinstance(node, ast.ClassDef)}
    return classes["Board"] | classes["Slot"]


def test_the_stock_board_has_all_that_a_node_asks_of_one():
    assert asked() <= names(ast.parse((ROOT / "boards/stock/stock.py").read_text()))


def test_the_board_of_the_guide_names_nothing_that_nobody_asks_for():
    guide = (ROOT / "docs/stock_firmware.md").read_text()
    (example,) = re.findall(r"^```python\n(from machine.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert "from stock import *" in example
    assert names(ast.parse(example)) <= asked()
