# SPDX-License-Identifier: MIT
"""The examples that the help of each command about nodes has are done, with nodes."""

import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest

import hsx
from bench.apps import a_command, a_value
from bench.apps import an_app as app_of
from bench.links import LinksBench, Terminal, _Board, wait_for
from bench.service import NETWORK
from hsxctl import settings
from hsxctl.cli import main
from hsxctl.fleet import work
from pty_repl import PtyRepl
from waiting import until

COMMANDS = ("nodes", "push", "ps", "status", "slots", "activate", "confirm", "rollback", "abort")
COMMANDS += ("kill", "boot", "reset", "values", "call", "events", "log", "fleet")
UID = "3A0041000F51393438343635"
ENDLESS = ("--follow", "watch")  # until Ctrl-C


def examples(command, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([command, "--help"])
    help = capsys.readouterr().out.partition("example:\n")[2]
    return re.findall(rf"^  hsxctl ({command} .*?)(?:  .*)?$", help, re.MULTILINE)


@pytest.fixture
def nodes(folder, monkeypatch, command):
    """Nodes 3, 4 and 5, or one without a number; 3 is at the UART and at the REPL."""
    monkeypatch.setattr(work, "_ROUND", 0.05)
    Path("apps").mkdir()
    shutil.copy("pump.hxe", "apps/hello.hxe")
    shutil.copy("admin.pem", "site.pem")
    Path("apps/hsx.toml").write_text('schema = 1\n[[image]]\nfile = "hello.hxe"\n')
    Path("settings.toml").write_text(f'network = {NETWORK}\nkey = "site.pem"\n')
    monkeypatch.setattr(settings, "FILES", (Path("settings.toml"),))
    Path("base.hxe").write_bytes(
        app_of(
            "base",
            values=[a_value(0x0102, name="limit")],
            commands=[a_command(0x0201, name="reset")],
        )
    )
    uids = {b"desk2": bytes.fromhex(UID)}
    monkeypatch.setattr(_Board, "unique_id", lambda board: uids.get(board._uid, board._uid))
    with LinksBench(3, 4, 127 if command == "nodes" else 5) as bench:
        hsx.attach(bench.nodes[0].runtime)
        with PtyRepl(bench.lock) as repl:
            bench.ports = {
                "/dev/ttyUSB0": bench.uart[1],
                "/dev/ttyACM0": repl.path,
                "socketcan:can0": bench.can[1],
            }
            yield bench
        hsx._kept.clear()


def ready(bench, command, example):
    """What an example starts from."""
    main_link = ["--uart", bench.uart[1]]
    if command == "activate":
        assert main(["push", "apps/hello.hxe", "--no-activate", *main_link]) == 0
    elif command in ("confirm", "rollback"):
        assert main(["push", "base.hxe", *main_link]) == 0
        wait_for(bench, "base")
        if command == "rollback":
            bench.nodes[0].provisioning.confirm()
            assert main(["push", "pump.hxe", *main_link]) == 0
            wait_for(bench, "pump")
    elif command == "abort":
        assert main(["push", "base.hxe", "--no-activate", *main_link]) == 0
    elif command == "fleet" and not Path("rollout.json").exists():
        words = ["push", "apps/hello.hxe", "--canaries", "1", "--healthy", "0", "--confirm"]
        assert main([*words, "--can", bench.can[1], "--node", "3,4"]) == 0
    elif command in ("values", "call", "kill", "log"):
        with bench.lock:
            # A name that two apps have is refused; the example of kill ends three PIDs.
            wanted = 3 if command == "kill" else 1
            while len(bench.nodes[0].runs()) < wanted:
                bench.nodes[0].load(Path("base.hxe").read_bytes())
            for _ in range(120):
                bench.nodes[0].log.emit("task", 1, {"state": "ready"})


@pytest.mark.parametrize("command", COMMANDS)
def test_example_does_what_it_is_an_example_of(nodes, command, capsys):
    found = examples(command, capsys)
    assert found
    for number, example in enumerate(found):
        if command == "push" and number:
            for node in nodes.nodes[:3]:
                until(lambda node=node: not node.service.work.is_busy())
                with nodes.lock:
                    if node.provisioning.status()["state"] == "trial":
                        node.provisioning.confirm()
        ready(nodes, command, example)
        for port, real in nodes.ports.items():
            example = example.replace(port, real)
        words = shlex.split(example)
        if "--canaries" in words:
            words += ["--healthy", "0", "--confirm"]
        if any(word in words for word in ENDLESS):
            terminal = Terminal(*words)
            assert terminal.until(b"[")  # it listens
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.end() == 130
            continue
        status = main(words)
        assert status == 0, (example, capsys.readouterr().err)
