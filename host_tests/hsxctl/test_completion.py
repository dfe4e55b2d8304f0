# SPDX-License-Identifier: MIT
"""What `hsxctl completion` prints, in the shells themselves where they are there."""

import argparse
import contextlib
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hsxctl.cli import argument_tree, main

_ASK = r"""
{script}
COMP_WORDS=({words}); COMP_CWORD={at}; COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}
_shtab_hsxctl
printf '%s\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def script(capsys):
    def printed(shell):
        capsys.readouterr()
        assert main(["completion", shell]) == 0
        return capsys.readouterr().out

    return printed


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["pu"], "push"),
        (["rol"], "rollback"),
        (["push", "--can"], "--canaries"),
        (["values", "wa"], "watch"),
        (["sim", "--targ"], "--target"),
        (["sim", "--target", "un"], "unix"),
        (["push", "pump."], "pump.hxe"),
    ],
    ids=" ".join,
)
def test_bash_completes_commands_options_choices_and_files(
    script, tmp_path, monkeypatch, words, wanted
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pump.hxe").touch()
    line = " ".join(["hsxctl", *words])
    asked = _ASK.format(script=script("bash"), words=line, at=len(words), line=line)
    ended = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert wanted in ended.stdout.split(), ended.stderr


# What is quoted in the script for zsh, and braces, are the same words to bash.
_WORDS = r"""
{arrays}
for name in {names}; do
    declare -n words=$name
    printf '%s\n' "$name" "${{words[@]}}" ""
done
"""


def commands(parser, name="_shtab_hsxctl"):
    """Name and parser of each command that has none below it."""
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    for action in below:
        for command, child in action.choices.items():
            yield from commands(child, f"{name}_{command}")
    if not below:
        yield name, parser


COMMANDS = dict(commands(argument_tree()))


@pytest.fixture(scope="module")
def told():
    """What zsh is told of each command: a word for each option and argument."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["completion", "zsh"]) == 0
    arrays = re.findall(r"^(\w+)_options(=\(\n.*?^\))$", said.getvalue(), re.M | re.S)
    asked = _WORDS.format(
        arrays="\n".join(name + words for name, words in arrays),
        names=" ".join(name for name, _ in arrays),
    )
    ended = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert ended.stderr == ""
    groups = [group.splitlines() for group in ended.stdout.split("\n\n")]
    return {group[0]: group[1:] for group in groups if group}


def offered(action):
    """How a word ends: with what zsh has to offer for a value."""
    if action.nargs == 0:
        return "]"
    if action.type is Path:
        return ":_files"
    return f":({' '.join(action.choices)})" if action.choices else ":"


@pytest.mark.parametrize("command", COMMANDS)
def test_zsh_is_told_of_each_option_and_argument_and_what_to_offer(told, command):
    actions, words = COMMANDS[command]._actions, told[command]
    for action in actions:
        for option in action.option_strings:
            (word,) = [w for w in words if re.match(rf"(\(.*\)|\*)?{option}\[", w)]
            assert word.endswith(offered(action))
    arguments = [offered(action) for action in actions if not action.option_strings]
    told_of = [word for word in words if re.match(r"(\(\*\)|\*)?:", word)]
    assert all(word.endswith(end) for word, end in zip(told_of, arguments, strict=True))


def test_zsh_script_is_one_for_hsxctl_with_all_commands(script):
    text = script("zsh")
    assert text.startswith("#compdef hsxctl\n")
    (listed,) = re.findall(r"_shtab_hsxctl_commands\(\) {\n.*?^}", text, re.M | re.S)
    names = {name.removeprefix("_shtab_hsxctl_").split("_")[0] for name in COMMANDS}
    assert set(re.findall(r"^    (\w+):'", listed, re.M)) == names
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=text, text=True, check=True)
