# SPDX-License-Identifier: MIT
"""The boot configuration: what a file may say, and what is told of one that is wrong."""

import json
from pathlib import Path

import pytest

from docs.boot_keys import rows
from hsx.boot import config_file
from hsx.boot.config import Config
from hsx.errors import EBADMSG, HsxError

PAGE = Path(__file__).parents[2] / "docs" / "boot.md"
GOOD = {
    "schema": 1,
    "order": ["sd", "bank"],
    "bank": "ignore",
    "sd": "update",
    "can_wait_ms": 100,
    "depend": True,
    "number": 5,
    "commands": "require",
    "key": [{"public": "ab" * 32, "role": "admin"}],
}


def take(text: str, is_toml: bool = True) -> Config:
    config = Config()
    config_file.take(text.encode(), is_toml, config)
    return config


@pytest.mark.requirement("P-63", "P-107")
def test_every_key_is_documented_with_its_default():
    assert all(row in PAGE.read_text().splitlines() for row in rows())


@pytest.mark.requirement("P-63")
def test_both_forms_say_the_same():
    toml = 'schema = 1\norder = ["sd", "bank"]\nbank = "ignore"\nsd = "update"\n'
    toml += 'can_wait_ms = 100\ndepend = true\nnumber = 5\ncommands = "require"\n'
    toml += f'[[key]]\npublic = "{"ab" * 32}"\nrole = "admin"\n'
    found = take(toml)
    assert vars(found) == vars(take(json.dumps(GOOD), is_toml=False))
    assert (found.order, found.bank, found.sd, found.depend) == (
        "sd bank",
        "ignore",
        "update",
        True,
    )
    assert config_file.keys(found.key) == [(b"\xab" * 32, 2)]


@pytest.mark.requirement("P-63")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sdcard = 1", "no key sdcard"),
        ('sd = "maybe"', "sd is not"),
        ('order = ["sd", "sd"]', "order is not"),
        ("order = []", "order is not"),
        ("watchdog_ms = -1", "watchdog_ms is not"),
        ("watchdog_ms = true", "watchdog_ms is not"),
        ("number = 128", "number is not"),
        ('depend = "yes"', "depend is not"),
        ('[[key]]\npublic = "00"\nrole = "admin"', "key is not"),
        (f'[[key]]\npublic = "{"ab" * 32}"\nrole = "king"', "key is not"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_counts(line, said):
    config = Config()
    with pytest.raises(HsxError, match=said) as refused:
        config_file.take(f"schema = 1\nrestarts = 1\n{line}\n".encode(), True, config)
    assert refused.value.errno == EBADMSG
    assert vars(config) == {}


def test_malformed_text_is_told_with_its_line():
    with pytest.raises(HsxError) as refused:
        take("schema = 1\nsd = \n")
    assert refused.value.offset == 2


@pytest.mark.parametrize(
    ("key", "levels"),
    [("signatures", ("off", "warn", "require")), ("commands", ("off", "require"))],
)
def test_a_file_can_ask_for_more_signatures_and_not_for_fewer(key, levels):
    for below, board in enumerate(levels):
        for at, level in enumerate(levels):
            config = Config()
            setattr(config, key, board)
            text = f'schema = 1\n{key} = "{level}"\n'.encode()
            if at >= below:
                config_file.take(text, True, config)
                assert getattr(config, key) == level
                continue
            with pytest.raises(HsxError, match=f"{key} is not") as refused:
                config_file.take(text, True, config)
            assert refused.value.errno == EBADMSG
            assert getattr(config, key) == board
