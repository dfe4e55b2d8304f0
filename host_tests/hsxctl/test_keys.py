# SPDX-License-Identifier: MIT
"""From a new key to a signed image that is checked."""

import json
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.images import an_image
from hsx.image.build import build, seal
from hsxctl.cli import main


@pytest.fixture
def key(tmp_path, capsys):
    """A private key's file; its public half stands beside it."""
    path = tmp_path / "site.pem"
    assert main(["key", "gen", str(path)]) == 0
    capsys.readouterr()
    return path


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "app.hxe"
    path.write_bytes(an_image(rodata=b"hello"))
    return path


def facts(argv: list, capsys) -> dict:
    capsys.readouterr()
    assert main([*map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def said(argv: list, capsys) -> str:
    capsys.readouterr()
    assert main([*map(str, argv)]) == 1
    return capsys.readouterr().err


def test_both_files_show_the_same_public_key_and_only_one_is_secret(key, capsys):
    public = key.with_name("site.pem.pub")
    shown = [facts(["key", "show", path], capsys) for path in (key, public)]
    assert shown[0]["public"] == shown[1]["public"]
    assert len(bytes.fromhex(shown[0]["public"])) == 32
    assert shown[0]["public"].startswith(shown[0]["id"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE" in key.read_bytes()
    assert b"PRIVATE" not in public.read_bytes()


def test_two_keys_differ(key, tmp_path, capsys):
    other = facts(["key", "gen", tmp_path / "other.pem"], capsys)
    assert other["public"] != facts(["key", "show", key], capsys)["public"]


@pytest.mark.parametrize("name", ["site.pem", "new.pem"])
def test_a_key_is_never_written_over(key, tmp_path, capsys, name):
    (tmp_path / "new.pem.pub").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert "EEXIST" in said(["key", "gen", tmp_path / name], capsys)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_signed_image_is_good_for_its_key_alone(key, image, tmp_path, capsys):
    target = tmp_path / "signed.hxe"
    other = tmp_path / "other.pem"
    main(["key", "gen", str(other)])
    public = facts(["key", "show", key], capsys)["public"]
    made = facts(["sign", image, "--key", key, "-o", target], capsys)
    assert (made["key"], made["size"]) == (public, target.stat().st_size)
    for path in (key, key.with_name("site.pem.pub")):
        assert facts(["verify", target, "--key", path], capsys)["key"] == public
    assert "EACCES at verify: signature is not that key's" in said(
        ["verify", target, "--key", other], capsys
    )
    assert "image is not signed" in said(["verify", image, "--key", key], capsys)
    assert main(["verify", str(target)]) == 0


def test_a_signed_image_that_was_changed_and_sealed_again_is_refused(key, image, tmp_path, capsys):
    target = tmp_path / "signed.hxe"
    main(["sign", str(image), "--key", str(key), "-o", str(target)])
    target.write_bytes(seal(target.read_bytes().replace(b"hello", b"hullo")))
    assert main(["verify", str(target)]) == 0
    assert "EACCES" in said(["verify", target, "--key", key], capsys)


def test_info_names_the_section(key, image, tmp_path, capsys):
    target = tmp_path / "signed.hxe"
    main(["sign", str(image), "--key", str(key), "-o", str(target)])
    capsys.readouterr()
    assert main(["info", str(target)]) == 0
    assert "section   signature: 72 bytes" in capsys.readouterr().out


def test_what_cannot_be_signed_leaves_no_file(key, image, tmp_path, capsys):
    target, again = tmp_path / "signed.hxe", tmp_path / "again.hxe"
    main(["sign", str(image), "--key", str(key), "-o", str(target)])
    old = tmp_path / "old.hxe"
    old.write_bytes(build(bytes.fromhex("25000000"), version=1))
    damaged = tmp_path / "damaged.hxe"
    damaged.write_bytes(image.read_bytes()[:-1])
    for path, what in ((target, "signed already"), (old, "version 1"), (damaged, "checksum")):
        assert what in said(["sign", path, "--key", key, "-o", again], capsys)
    assert not again.exists()


def test_what_is_no_ed25519_key_is_refused(image, tmp_path, capsys):
    curve = ec.generate_private_key(ec.SECP256R1())
    wrong = tmp_path / "wrong.pem"
    public = tmp_path / "wrong.pub"
    wrong.write_bytes(
        curve.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        curve.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    text = tmp_path / "text.pem"
    text.write_text("no key")
    for path in (wrong, public, text):
        assert "Ed25519 key" in said(["key", "show", path], capsys)
        assert "private Ed25519 key" in said(
            ["sign", image, "--key", path, "-o", tmp_path / "x"], capsys
        )
    assert "ENOENT" in said(["key", "show", tmp_path / "none"], capsys)
