# SPDX-License-Identifier: MIT
"""The Makefiles in a project whose path has blanks, which make takes for several paths."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from boardcheck import ROOT, Board, check_config, frozen

PLACE = ROOT / "tools" / "setup" / "place.sh"
NAME = "a b/it's hsx nödé, 100% (2)"
MICROPYTHON = "micropython-1.25.0"


class Tree:
    """What the builds need of the project, at a path of its own; what `make setup` has made is
    linked to. Links that the builds make are below `home`."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.root = folder
        self.home = home
        self.root.mkdir(parents=True)
        for path in ("Makefile", ".venv"):
            (self.root / path).symlink_to(ROOT / path)
        for path in ("boards", "firmware", "tools"):
            shutil.copytree(ROOT / path, self.root / path)
        self.cache(self.root / ".cache")

    def cache(self, folder: Path) -> Path:
        """Fills a CACHE with links to what is in the one of these tests."""
        own = Path(os.environ.get("CACHE", ROOT / ".cache"))
        folder.mkdir(parents=True)
        (folder / "monocypher-4.0.3").symlink_to(own / "monocypher-4.0.3")
        source = os.environ.get("MICROPYTHON_DIR", own / MICROPYTHON)
        (folder / MICROPYTHON).symlink_to(source)
        return folder

    def make(self, *words: str, **variables: "str | Path") -> "subprocess.CompletedProcess[str]":
        """`make` as a user runs it here."""
        ours = ("MAKE", "CACHE", "MICROPYTHON", "MONOCYPHER", "XDG_CACHE", "LC_", "LANG")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        return subprocess.run(
            ["make", "-o", "setup", *words],
            cwd=self.root,
            env={**kept, "HOME": str(self.home), "LC_ALL": "C", **variables},
            capture_output=True,
            text=True,
            errors="surrogateescape",
        )


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / NAME, tmp_path / "home")


def test_each_build_goes_through_its_makefiles(tree: Tree) -> None:
    done = tree.make("--dry-run", "firmware", "firmware-flat", "memory", "sim", "stock")
    assert done.returncode == 0, done.stderr
    (link,) = (tree.home / ".cache" / "hsx-provision").iterdir()
    assert link.readlink() == tree.root
    built = ("qemu_m4/firmware.elf", "qemu_m4-flat/firmware.elf", "qemu_m4-bare/firmware.elf")
    for name in (*built, "sim/micropython", "stock/unix/micropython"):
        assert f" -o {link}/build/{name} " in done.stdout, name


def test_a_cache_with_blanks_is_found_by_all_builds(tree: Tree) -> None:
    cache = tree.cache(tree.root / "its cache")
    shutil.rmtree(tree.root / ".cache")
    done = tree.make("--dry-run", "sim", "natmod", CACHE=cache)
    assert done.returncode == 0, done.stderr
    # A word of the command goes to all the makes behind it as it was typed.
    done = tree.make("--dry-run", "sim", f"CACHE={cache}")
    assert done.returncode == 0, done.stderr
    natmod = ("-C", "firmware/native/bindings/natmod", "ARCH=x64", "MOD=hsxed25519")
    out = tree.home / "natmod/x64"
    built = f"{out}/../obj/x64/hsxed25519/monocypher.o"
    done = tree.make(*natmod, f"OUT={out}", built, f"CACHE={cache}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert Path(tree.home, "natmod/obj/x64/hsxed25519/monocypher.o").exists()


def test_a_board_is_read(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tree.home))
    source = tree.root / ".cache" / MICROPYTHON
    board = Board(tree.root / "boards/PYBV11", source, tmp_path / "c d")
    assert check_config(board) == []
    assert tree.root / "boards/stm32/boot.py" in [path.resolve() for path, _ in frozen(board)]


def test_an_stm32_board_gets_paths_without_blanks(tree: Tree, tmp_path: Path) -> None:
    source = tmp_path / "a checkout"
    for path in ("ports/stm32", "lib/stm32lib/CMSIS", "py", "mpy-cross/build"):
        (source / path).mkdir(parents=True)
    for path in ("py/mpconfig.h", "py/mkenv.mk", "mpy-cross/build/mpy-cross"):
        (source / path).write_text("")
    port = "all: ; @for path in $(BOARD_DIR) $(BUILD) $(USER_C_MODULES); do ls -d $$path; done\n"
    (source / "ports/stm32/Makefile").write_text(port)
    done = tree.make("-s", "firmware", "BOARD=PYBV11", f"MICROPYTHON_DIR={source}")
    assert done.returncode == 0, done.stderr
    found = [Path(line).resolve() for line in done.stdout.splitlines()]
    assert found == [tree.root / path for path in ("boards/PYBV11", "build/PYBV11", "firmware")]


def test_where_no_link_can_be_it_says_what_to_do(tree: Tree, tmp_path: Path) -> None:
    home = tmp_path / "my home"
    done = tree.make("--dry-run", "sim", HOME=str(home))
    assert done.returncode == 2
    said, *_ = done.stderr.splitlines()
    assert "set XDG_CACHE_HOME to a folder whose path has no blank" in said
    assert not home.exists()
    done = tree.make("--dry-run", "sim", HOME=str(home), XDG_CACHE_HOME=str(tree.home))
    assert done.returncode == 0, done.stderr


def test_a_folder_for_the_output_with_blanks_is_refused(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "my").mkdir()
    done = tree.make("-C", "boards/sim", f"BUILD={tmp_path}/my build")
    assert done.returncode == 2 and "make takes no blank in it" in done.stderr
    assert (tmp_path / "my").exists()


@pytest.mark.parametrize("name", ["hsx", "nödé", "1.0+a=b@c~d_e-f"])
def test_a_path_that_make_takes_stays(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for path, cwd in ((str(folder), ROOT), (".", folder)):
        command = ["sh", str(PLACE), path]
        environment = {"PATH": os.environ["PATH"]}
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True)
        assert done.stdout.decode() == f"{folder}\n"
