# SPDX-License-Identifier: MIT
"""Documents are run: every `console` block does what it shows, every link leads somewhere."""

import re
import shutil
from pathlib import Path

import pytest

from docs.console import blocks, dialogue, tool
from hsx.image import manifest, wishes

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Blocks that somebody types or copies, by document, and the tests that do.
FOLLOWED = {
    "README.md": ["target/test_newcomer.py"],
    "bench_bus.md": ["target/test_bench_bus_guide.py"],
    "boards.md": ["docs/test_boards_guide.py", "target/test_first_light.py"],
    "boot.md": ["docs/test_tables.py"],
    "fleet.md": ["docs/test_fleet.py"],
    "porting.md": ["boards/test_board_folders.py"],
    "provisioning.md": ["docs/test_provisioning.py"],
    "repl.md": ["target/test_repl_guide.py"],
    "sd_manifest.md": ["docs/test_documents.py"],
    "security.md": ["docs/test_security.py"],
    "stock_firmware.md": ["docs/test_stock_guide.py", "stock/test_stock.py"],
}


def test_every_document_with_something_to_type_is_followed_by_a_test():
    kinds = re.compile(r"^```(?!text\n|\n)\w+", re.MULTILINE)
    typed = [path.name for path in DOCUMENTS if kinds.search(path.read_text())]
    assert sorted(FOLLOWED) == sorted(typed)
    for name, tests in FOLLOWED.items():
        for test in tests:
            assert name in (ROOT / "host_tests" / test).read_text(), f"{test} does not run {name}"


def test_card_of_the_guide_is_made_as_it_shows(tmp_path):
    for source in (ROOT / "tools/demo/apps").glob("*.mvasm"):
        shutil.copy(source, tmp_path)
    (tmp_path / "apps").mkdir()
    for block in blocks(ROOT / "docs/sd_manifest.md"):
        for command, shown in dialogue(block):
            assert tool(command, tmp_path) == shown, command


@pytest.mark.requirement("P-69")
def test_the_manifest_of_the_documents_is_one_and_no_key_is_left_out():
    text = (ROOT / "docs/sd_manifest.md").read_text()
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    first, second = manifest.parse_manifest(example, True).entries
    assert (first.file, second.file) == ("log/writer.hxe", "pump controller.hxe")
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
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
