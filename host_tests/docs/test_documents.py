# SPDX-License-Identifier: MIT
"""Documents are run: every `console` block does what it shows, every link leads somewhere."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from docs.console import blocks, dialogue, tool
from hsx.image import manifest, wishes

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CARDS = ROOT / "docs/sd_manifest.md"
TESTS = ROOT / "host_tests"
NOT_TYPED = {"text"}


def typed() -> set[tuple[str, str]]:
    """(document, kind) of all blocks that somebody types or copies."""
    return {
        (path.name, kind)
        for path in DOCUMENTS
        for kind in re.findall(r"^```(\w+)$", path.read_text(), re.MULTILINE)
        if kind not in NOT_TYPED
    }


def document(expression: ast.AST, names: dict[str, str]) -> str:
    """Which one an expression is the path of, or nothing; `names`: of variables."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Name) and names.get(node.id):
            return names[node.id]
        if isinstance(node, ast.Constant) and str(node.value).endswith(".md"):
            return Path(node.value).name
    return ""


def taken(source: str) -> set[tuple[str, str]]:
    """(document, kind) of the blocks that code takes from documents, by `console`'s functions."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = document(node.value, names)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("blocks", "parts"):
            where, *kinds = node.args
            words = [kind.value for kind in kinds if isinstance(kind, ast.Constant)]
            found |= {(document(where, names), kind) for kind in words or ["console"]}
    return found


def test_every_block_that_somebody_types_is_taken_by_a_test():
    users = (path.read_text() for path in TESTS.rglob("*.py"))
    found = set().union(*(taken(source) for source in users if "docs.console" in source))
    assert typed() - found == set()
    assert ("boards.md", "pycon") in typed() and ("provisioning.md", "toml") in typed()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("blocks(ROOT / 'docs/boot.md', 'toml')", {("boot.md", "toml")}),
        (
            "GUIDE = ROOT / 'docs/boot.md'\ndef test():\n    blocks(GUIDE)",
            {("boot.md", "console")},
        ),
        ("parts(DOCS / 'a.md', 'sh', 'toml')", {("a.md", "sh"), ("a.md", "toml")}),
        ("'docs/boot.md'  # blocks(boot.md)", set()),
        ("GUIDE = ROOT / 'docs/boot.md'\nGUIDE.read_text()", set()),
    ],
)
def test_block_is_taken_by_code_and_not_by_a_word_about_it(source, found):
    assert taken(source) == found


def test_card_of_the_guide_is_made_as_it_shows(tmp_path):
    for source in (ROOT / "tools/demo/apps").glob("*.mvasm"):
        shutil.copy(source, tmp_path)
    (tmp_path / "apps").mkdir()
    for block in blocks(CARDS):
        for command, shown in dialogue(block):
            assert tool(command, tmp_path) == shown, command


@pytest.mark.requirement("P-69")
def test_the_manifest_of_the_documents_is_one_and_no_key_is_left_out():
    (example,) = blocks(CARDS, "toml")
    first, second = manifest.parse_manifest(example, True).entries
    assert (first.file, second.file) == ("log/writer.hxe", "pump controller.hxe")
    listed = re.findall(r"^\| `(\w+)` \|", CARDS.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({*manifest.KEYS, *wishes.KEYS})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target, place in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", path.read_text()):
        there = path.parent / target if target else path
        assert there.exists(), target
        if place:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings]
            assert place in anchors, f"{target}#{place}"


def test_the_readme_names_every_folder_that_a_newcomer_sees():
    text = (ROOT / "README.md").read_text()
    for folder in ("firmware/hsx/", "firmware/native/", "boards/", "tools/hsxctl/", "host_tests/"):
        assert f"`{folder}`" in text
