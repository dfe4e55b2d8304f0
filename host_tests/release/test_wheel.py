# SPDX-License-Identifier: MIT
"""The wheel of hsxctl, installed far from the repository."""

import hashlib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from bench.board_build import linked
from release import __main__ as release
from waiting import PATIENCE

APPS = Path(__file__).parents[2] / "tools/demo/apps"


@pytest.fixture(scope="module")
def hsxctl(tmp_path_factory):
    """Runs the hsxctl of an environment that has the wheel, and of this one only what others
    wrote."""
    folder = tmp_path_factory.mktemp("wheel")
    release.wheel(folder / "dist")
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "env")
    lib = "lib/python%d.%d/site-packages" % sys.version_info[:2]
    # Its own folder comes first, and the link by which this project is installed here is not
    # followed from there.
    others = folder / "env" / lib / "others.pth"
    others.write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    pip += ["--python", str(folder / "env/bin/python"), "install", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--ignore-installed", str(wheel)], check=True)

    def run(*arguments, cwd):
        command = [folder / "env/bin/hsxctl", *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE)

    def where(module):
        command = [folder / "env/bin/python", "-c", f"import {module}; print({module}.__file__)"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return Path(done.stdout.strip())

    run.where = where
    run.env = folder / "env"
    return run


@pytest.mark.parametrize("module", ["hsx", "hsxctl", "hsxvm", "micropython"])
def test_the_wheel_is_what_runs(hsxctl, module):
    assert hsxctl.where(module).is_relative_to(hsxctl.env)


def test_it_helps_assembles_verifies_runs_signs_and_writes_a_card(hsxctl, tmp_path):
    def done(*arguments):
        result = hsxctl(*arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert "asm" in done("--help")
    (tmp_path / "apps").mkdir()
    done("asm", str(APPS / "hello.mvasm"), "-o", "hello.hxe")
    assert done("verify", "hello.hxe")
    assert "hello" in done("run", "hello.hxe", "--max-steps", "100000").lower()
    done("key", "gen", "key.pem")
    done("sign", "hello.hxe", "--key", "key.pem", "-o", "apps/signed.hxe")
    assert done("verify", "apps/signed.hxe")
    done("sdcard", "apps", "-o", "card.img")
    assert (tmp_path / "card.img").stat().st_size > 1 << 20


def test_the_manifest_names_each_file_with_its_hash(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"other")
    found = release.manifest(tmp_path, "1.2.3")
    assert [file["name"] for file in found["files"]] == ["a", "b"]
    assert found["files"][0]["sha256"] == hashlib.sha256(b"one").hexdigest()


def test_a_package_is_zipped_the_same_each_time(tmp_path):
    folder = tmp_path / "package"
    (folder / "hsx").mkdir(parents=True)
    (folder / "hsx/a.mpy").write_bytes(b"M\x06")
    for name in ("one.zip", "two.zip"):
        release.zipped(folder, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_release_has_the_firmware_of_the_boards_that_were_built(tmp_path, monkeypatch, capsys):
    for name in ("pyproject.toml", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((release.ROOT / name).read_bytes())
    build = tmp_path / "build/PYBV11"
    build.mkdir(parents=True)
    linked(build)
    for kind in ("dfu", "hex"):
        (build / f"firmware.{kind}").write_text(kind)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "wheel", lambda out: None)
    monkeypatch.setattr(release, "emulated", lambda out, stem: None)
    for boards in ([], ["PYBV11"]):
        monkeypatch.setattr("sys.argv", ["release", str(tmp_path / "out"), *boards])
        release.main()
        found = sorted(path.suffix for path in (tmp_path / "out").glob("hsx-*-PYBV11.*"))
        assert found == ([".dfu", ".hex"] if boards else [])
        assert (tmp_path / "out/room.txt").exists() == bool(boards)
        said = capsys.readouterr().out
        assert ("No STM32 firmware" in said) == (not boards)
        assert ("PYBV11                  1,424" in said) == bool(boards)
