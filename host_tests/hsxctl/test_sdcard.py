# SPDX-License-Identifier: MIT
import hashlib
import json
import os
import shutil
import struct
import subprocess
import tomllib

import pytest

from bench.images import RET, an_image, ldi
from hsxctl import fat_image
from hsxctl.cli import main

GOOD = an_image(ldi(0, 1), RET, name="good")
OTHER = an_image(ldi(0, 2), RET, name="other")
DAMAGED = GOOD[:-1] + b"!"


@pytest.fixture
def folder(tmp_path):
    """folder(name=bytes...) -> a folder of those files; `_` stands for a point."""

    def made(**files: bytes):
        path = tmp_path / "apps"
        path.mkdir(exist_ok=True)
        for name, data in files.items():
            (path / name.replace("_", ".")).write_bytes(data)
        return path

    return made


@pytest.fixture
def card(tmp_path):
    return tmp_path / "card.img"


def read(card, name: str) -> bytes:
    done = subprocess.run(["mtype", "-i", card, f"::{name}"], capture_output=True, check=True)
    return done.stdout


def make(folder, card, *options: str) -> int:
    return main(["sdcard", str(folder), "-o", str(card), *options])


def test_a_card_has_every_image_and_a_manifest_in_the_order_of_names(folder, card):
    assert make(folder(b_hxe=GOOD, a_hxe=OTHER, notes_txt=b"no"), card) == 0
    assert (read(card, "a.hxe"), read(card, "b.hxe")) == (OTHER, GOOD)
    manifest = tomllib.loads(read(card, "hsx.toml").decode())
    assert manifest == {
        "schema": 1,
        "image": [
            {"file": "a.hxe", "sha256": hashlib.sha256(OTHER).hexdigest()},
            {"file": "b.hxe", "sha256": hashlib.sha256(GOOD).hexdigest()},
        ],
    }
    listing = subprocess.run(["mdir", "-b", "-i", card], capture_output=True, text=True).stdout
    assert sorted(listing.split()) == ["::/a.hxe", "::/b.hxe", "::/hsx.toml"]


def test_long_names_survive_as_they_are_written(folder, card):
    name = "A rather long Name, with blänks (and more).hxe"
    (folder() / name).write_bytes(GOOD)
    assert make(folder(), card) == 0
    assert read(card, name) == GOOD
    assert tomllib.loads(read(card, "hsx.toml").decode())["image"][0]["file"] == name


def test_a_version_is_given_to_each_image(folder, card):
    assert make(folder(a_hxe=GOOD), card, "--image-version", '1.2 "x"') == 0
    manifest = tomllib.loads(read(card, "hsx.toml").decode())
    assert manifest["image"][0]["version"] == '1.2 "x"'


def test_the_same_folder_gives_the_same_bytes_whenever_it_is_made(folder, card, tmp_path):
    path = folder(a_hxe=GOOD, b_hxe=OTHER)
    make(path, card)
    os.utime(path / "a.hxe", (1, 1))
    make(path, tmp_path / "again.img")
    assert card.read_bytes() == (tmp_path / "again.img").read_bytes()


@pytest.mark.parametrize("kind", ["hsx.toml", "hsx.json"])
def test_a_manifest_of_the_folder_is_kept_as_it_is(folder, card, kind):
    path = folder(a_hxe=GOOD, b_hxe=OTHER)
    digest = hashlib.sha256(OTHER).hexdigest()
    if kind == "hsx.toml":
        text = f'schema = 1\n# ours\n[[image]]\nfile = "b.hxe"\nsha256 = "{digest}"\n'
    else:
        text = json.dumps({"schema": 1, "image": [{"file": "b.hxe", "sha256": digest}]})
    (path / kind).write_text(text)
    assert make(path, card) == 0
    assert read(card, kind).decode() == text
    assert read(card, "a.hxe") == GOOD


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b'schema = 1\n[[image]]\nfile = "c.hxe"\n', "lists c.hxe, which is not in the folder"),
        (b'schema = 1\n[[image]]\nfile = "A.hxe"\n', "lists A.hxe"),
        (
            b'schema = 1\n[[image]]\nfile = "a.hxe"\nsha256 = "' + b"0" * 64 + b'"\n',
            "the SHA-256 of a.hxe is " + hashlib.sha256(GOOD).hexdigest(),
        ),
        (b"schema = 1\n[[image]]\nfile = 5\n", "hsx.toml"),
        (b"schema = 1\n[image\n", "hsx.toml"),
        (b"\xff", "not UTF-8"),
        (b"#" * 9000, "a node reads 8192"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_and_no_card_is_made(
    folder, card, capsys, manifest, message
):
    assert make(folder(a_hxe=GOOD, hsx_toml=manifest), card) == 1
    assert message in capsys.readouterr().err
    assert not card.exists()


def test_two_manifests_are_refused(folder, card, capsys):
    assert make(folder(a_hxe=GOOD, hsx_toml=b"schema = 1", hsx_json=b"{}"), card) == 1
    assert "a node reads the first only" in capsys.readouterr().err


def test_a_version_for_a_manifest_of_the_folder_is_wrong_usage(folder, card):
    path = folder(a_hxe=GOOD, hsx_toml=b'schema = 1\n[[image]]\nfile = "a.hxe"\n')
    assert make(path, card, "--image-version", "1") == 2


def test_a_damaged_image_goes_onto_the_card_with_a_warning(folder, card, capsys):
    path = folder(a_hxe=GOOD, bad_hxe=DAMAGED)
    assert make(path, card) == 0
    said = capsys.readouterr().err
    assert said == f"hsxctl: warning: a node will refuse {path / 'bad.hxe'}: checksum differs\n"
    assert read(card, "bad.hxe") == DAMAGED


def test_an_empty_folder_and_no_folder_are_refused(folder, card, capsys, tmp_path):
    assert make(folder(), card) == 1
    assert make(tmp_path / "gone", card) == 1
    said = capsys.readouterr().err.splitlines()
    assert "no .hxe in this folder" in said[0]
    assert "ENOENT" in said[1]


@pytest.mark.parametrize("name", ["a:b.hxe", "a?.hxe", 'a".hxe', "a\x01.hxe"])
def test_a_name_that_fat_does_not_have_is_refused(folder, card, capsys, name):
    (folder() / name).write_bytes(GOOD)
    assert make(folder(), card) == 1
    assert "no file name for a FAT volume" in capsys.readouterr().err


def test_names_that_fat_does_not_tell_apart_are_refused(folder, card, capsys):
    assert make(folder(a_hxe=GOOD, A_hxe=OTHER), card) == 1
    assert "ignores upper and lower case" in capsys.readouterr().err


def test_json_tells_what_was_made(folder, card, capsys):
    assert make(folder(a_hxe=GOOD), card, "--json", "--size", "32M") == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": str(card),
        "size": 32 << 20,
        "fat": "FAT16",
        "manifest": "hsx.toml",
        "images": ["a.hxe"],
    }
    assert card.stat().st_size == 32 << 20


def clusters(card) -> int:
    """Data clusters of a volume, as a reader of the boot sector counts them."""
    with card.open("rb") as file:
        boot = file.read(512)
    sector, per_cluster, reserved, fats, roots, small = struct.unpack_from("<HBHBHH", boot, 11)
    (fat16,) = struct.unpack_from("<H", boot, 22)
    large, fat32 = struct.unpack_from("<II", boot, 32)
    data = (small or large) - reserved - fats * (fat16 or fat32) - roots * 32 // sector
    return data // per_cluster


@pytest.mark.parametrize("mib", [16, 32, 64, 128, 256, 512, 1024, 4096])
def test_the_kind_of_fat_is_the_one_its_clusters_say(card, mib):
    kind = fat_image.write(card, mib << 20, [("a.hxe", GOOD)])
    assert kind == ("FAT16" if 4085 <= clusters(card) < 65525 else "FAT32")
    assert card.stat().st_size == mib << 20
    assert read(card, "a.hxe") == GOOD
    card.unlink()


def test_another_reader_finds_nothing_wrong(folder, card):
    fsck = shutil.which("fsck.fat", path=os.environ["PATH"] + ":/sbin:/usr/sbin")
    if fsck is None:
        pytest.skip("fsck.fat is not installed (Debian package dosfstools)")
    make(folder(a_hxe=GOOD, b_hxe=b"x" * 100_000), card)
    done = subprocess.run([fsck, "-n", card], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_without_mtools_the_error_says_what_to_install(folder, card, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert make(folder(a_hxe=GOOD), card) == 1
    assert "mformat is missing. Install the Debian package mtools" in capsys.readouterr().err


def test_a_folder_of_many_bytes_gets_a_larger_card(folder, card):
    assert make(folder(a_hxe=GOOD, big_hxe=bytes(20 << 20)), card) == 0
    assert card.stat().st_size == 64 << 20
