# SPDX-License-Identifier: MIT
"""What `hsxctl completion` prints, in the shells themselves where they are there."""

import shutil
import subprocess

import pytest

from hsxctl.cli import main

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


def test_zsh_takes_its_script(script):
    text = script("zsh")
    assert text.startswith("#compdef hsxctl") and "rollback" in text
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=text, text=True, check=True)
