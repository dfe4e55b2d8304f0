# SPDX-License-Identifier: MIT
"""Documents are run: every `console` block does what it shows, every link leads somewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.console import blocks, dialogue
from hsx.image import manifest, wishes

ROOT = Path(__file__).parents[2]
# Their own tests run these.
WITH_NODES = {
    "README.md",
    "bench_bus.md",
    "boards.md",
    "fleet.md",
    "provisioning.md",
    "repl.md",
    "security.md",
}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def is_run_here(path: Path) -> bool:
    return path.name not in WITH_NODES and bool(blocks(path))


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if is_run_here(p)], ids=lambda p: p.name)
def test_console_blocks_show_what_happens(path, tmp_path):
    for source in (ROOT / "tools/demo/apps").glob("*.mvasm"):
        shutil.copy(source, tmp_path)
    (tmp_path / "apps").mkdir()
    tool = f"{sys.executable} -m hsxctl "
    for block in blocks(path):
        for command, shown in dialogue(block):
            assert command.startswith("hsxctl "), command
            done = subprocess.run(
                tool + command.removeprefix("hsxctl "),
                shell=True,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
            )
            assert done.stdout == shown, command


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
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_readme_names_every_folder_that_a_newcomer_sees():
    text = (ROOT / "README.md").read_text()
    for folder in ("firmware/hsx/", "firmware/native/", "boards/", "tools/hsxctl/", "host_tests/"):
        assert f"`{folder}`" in text
