# SPDX-License-Identifier: MIT
"""What tests of commands about nodes share: a folder with keys and images, a node, hsxctl."""

import itertools
import json
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bench.images import SPIN
from bench.images import an_image as image_of
from bench.links import LinksBench
from bench.service import admin, an_app, stranger, user
from hsxctl import settings
from hsxctl.cli import main
from hsxctl.output import Output


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own, with keys and images, and no settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "FILES", (Path("home.toml"), Path("hsxctl.toml")))
    for name, key in (("admin", admin), ("user", user), ("stranger", stranger)):
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        Path(f"{name}.pem").write_bytes(pem)
    for name in ("pump", "valve"):
        Path(f"{name}.hxe").write_bytes(an_app(name, 1))
    Path("large.hxe").write_bytes(image_of(*[SPIN] * 2000, name="large"))
    Path("huge.hxe").write_bytes(image_of(*[SPIN] * 9000, name="huge"))
    return tmp_path


@pytest.fixture
def bench():
    with LinksBench() as bench:
        yield bench


class Said:
    """How a command ended, and what it said."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err
        self.facts = [json.loads(line) for line in out.splitlines() if line.startswith("{")]


@pytest.fixture
def hsxctl(capsys):
    counter = itertools.count(int(time.time()), 20)

    def run(*words):
        capsys.readouterr()
        if "--key" in words and "--counter" not in words:
            words = (*words, "--counter", next(counter))  # a clock would have to be waited for
        status = main([str(word) for word in words])
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run


class _Noted(Output):
    """Keeps what it notes."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def note(self, text):
        self.noted.append(text)


@pytest.fixture
def output():
    return _Noted()
