# SPDX-License-Identifier: MIT
"""What a node must refuse, as code that runs on any node (refusals_on_node), and why.

`CASES`: name, errno, code that prepares, code that must be refused; `r` is the node's Refusals.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from bench.images import SPIN, an_image
from bench.service import a_set, admin, an_app, factory, public, stranger, user, vouched
from hsx import errors
from hsx.image.build import (
    command_section,
    info_section,
    mailbox_section,
    manifest_section,
    seal,
    value_section,
)
from hsx.image.metadata import Command, Info, Mailbox, Value
from hsx.link import command as c
from hsx.store.store import CONFIRMATION
from hsxctl.bank_image import bank_image, describe
from hsxctl.signed_command import signed

ON_NODE = (Path(__file__).parent / "refusals_on_node.py").read_text()
NETWORK, NODE = 42, 5
_MALFORMED = Path(__file__).parents[1] / "golden/malformed"


class Case(NamedTuple):
    name: str
    errno: int
    prepare: str
    call: str


def _info(**more) -> tuple:
    fields = {"version": "1", "epoch": 0, "abi": 0, "stack": 0, "heap": 0, **more}
    return (info_section(Info(*fields.values())),)


def _value(oid: int = 0x101, auth: int = 0, key: int = 0) -> Value:
    return Value(oid >> 8, oid & 255, 0, auth, 0, "v", None, 0, 0, 0, key, None)


def _command(oid: int = 0x101) -> Command:
    return Command(oid >> 8, oid & 255, 0, 0, 0, "c", "", None)


def _mailbox(target: str = "app:box") -> Mailbox:
    return Mailbox(target, 64, 0, None, [], None, False)


def _with(*sections: tuple, **more) -> bytes:
    return an_app("app", 1, sections=sections, **more)


def _wishing(wishes: object) -> bytes:
    image = bytearray(_with(value_section([_value(key=7)]), manifest_section(wishes)))
    image[7] |= 1
    return seal(bytes(image))


def _broken(at: int, value: int, reseal: bool = True) -> bytes:
    image = bytearray(_with(value_section([_value()])))
    image[at] = value
    return seal(bytes(image)) if reseal else bytes(image)


def _golden(name: str) -> bytes:
    return (_MALFORMED / f"{name}.hxe").read_bytes()


def _sign(action: int, acts_on: bytes, key=admin, **more) -> bytes:
    fields = {"network": NETWORK, "nodes": [NODE], "counter": 1000, **more}
    return signed(key, action, acts_on, **fields)


def _load_header(image: bytes, **more) -> bytes:
    return _sign(c.LOAD, hashlib.sha256(image).digest(), total=len(image), **more)


def _stage_header(sent, **more) -> bytes:
    fields = {"total": len(sent.data), "flags": c.FLAG_ACTIVATE, **more}
    return _sign(c.STAGE, sent.digest, **fields)


def _changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def _lie(**fields):
    image = _with(*_info(epoch=2))
    entry = describe("", image)
    for name, value in fields.items():
        setattr(entry, name, value)
    return bank_image([(entry, image)])


APP = an_app("app", 1)
SINGLE = an_image(SPIN, name="only", multiple=False)
LEVELS = _with(value_section([_value(0x100 + n, n) for n in range(4)]))
GOOD = a_set(an_app("one", 1))
SET_0 = bytes((1, 0, 0x00, 1, 0, 0x3C))
SET_3 = bytes((1, 0, 0x03, 1, 0, 0x3C))
REQUIRE = "r.policy.signatures = 2"


def _loading(name: str, errno: int, image: bytes, prepare: str = "", options: str = "") -> Case:
    return Case(name, errno, prepare, f"r.load({image!r}{options})")


def _commanding(name: str, errno: int, command: bytes, prepare: str = "") -> Case:
    return Case(name, errno, prepare, f"r.command({command!r})")


def _sending(name: str, errno: int, header: bytes, data: bytes, prepare: str = "") -> Case:
    return Case(name, errno, prepare, f"r.send({header!r}, {data!r})")


E = errors
_RUNS = f"r.load({LEVELS!r})"

CASES = [
    # ---- images: what they are ----
    _loading("image: no magic", E.EBADMSG, _broken(0, 0)),
    _loading("image: version 3", E.EBADMSG, _broken(5, 3)),
    _loading("image: reserved byte set", E.EBADMSG, _broken(0x50, 1)),
    _loading("image: name not ASCII", E.EBADMSG, _broken(0x20, 0xE4)),
    _loading("image: entry outside the code", E.EBADMSG, _broken(0x0B, 0x40)),
    _loading("image: checksum differs", E.EBADMSG, _broken(100, 9, reseal=False)),
    _loading("image: cut in its header", E.EBADMSG, APP[:60]),
    _loading("image: cut in its body", E.EBADMSG, APP[:-3]),
    _loading("image: section outside", E.EBADMSG, _broken(0x43, 0xFF)),
    _loading("image: value twice", E.EBADMSG, _golden("value_twice")),
    _loading("image: command twice", E.EBADMSG, _golden("cmd_twice")),
    _loading("image: mailbox twice", E.EBADMSG, _golden("mbx_twice")),
    _loading("image: two info sections", E.EBADMSG, _with(*_info(), *_info())),
    _loading("image: another SHA-256", E.EBADMSG, APP, options=f", sha256={bytes(32)!r}"),
    _loading("image: another version", E.EBADMSG, _with(*_info()), options=", version='2'"),
    # ---- images: what they need ----
    _loading("need: capability", E.ENOTSUP, _with(req_caps=0x40)),
    _loading(
        "need: capability that is switched off",
        E.ENOTSUP,
        _with(req_caps=2),
        "r.policy.capabilities = 1",
    ),
    _loading("need: later ABI", E.ENOTSUP, _with(*_info(abi=0x10001))),
    _loading("need: next ABI major", E.ENOTSUP, _with(*_info(abi=0x20000))),
    _loading("need: ABI major before", E.ENOTSUP, _with(*_info(abi=1))),
    _loading("budget: code", E.ENOSPC, APP, "r.policy.max_code = 0"),
    _loading("budget: data", E.ENOSPC, APP, "r.policy.max_data = 8"),
    _loading(
        "budget: stack that the image asks for",
        E.ENOSPC,
        _with(*_info(stack=900)),
        "r.policy.max_stack = 899",
    ),
    _loading(
        "budget: stack that the manifest asks for",
        E.ENOSPC,
        APP,
        "r.policy.max_stack = 899",
        ", stack=900",
    ),
    _loading("budget: values", E.ENOSPC, LEVELS, "r.policy.max_values = 3"),
    _loading(
        "budget: commands",
        E.ENOSPC,
        _with(command_section([_command()])),
        "r.policy.max_commands = 0",
    ),
    _loading(
        "budget: mailboxes",
        E.ENOSPC,
        _with(mailbox_section([_mailbox()])),
        "r.policy.max_mailboxes = 0",
    ),
    _loading("budget: VM memory", E.ENOSPC, _with(bss_size=0xA000)),
    Case("budget: PIDs", E.ENOSPC, "r.begin(8)", "r.begin()"),
    # ---- images: names and places ----
    _loading("name: in use", E.EEXIST, SINGLE, f"r.load({SINGLE!r})"),
    Case(
        "PID: in use and nothing else will do",
        E.EBUSY,
        f"r.load({APP!r}, pid=3)",
        "r.begin(pid=3, fixed_pid=True)",
    ),
    Case("PID: unknown", E.ESRCH, "", "r.service.write(9, memoryview(b'x'))"),
    Case("PID: runs already", E.EBUSY, f"r.load({APP!r})", "r.service.write(1, memoryview(b'x'))"),
    Case("PID: under debug", E.EBUSY, f"r.load({APP!r}); r.node.lock(1)", "r.run(r.node.kill, 1)"),
    Case(
        "bytes: a chunk is missing",
        E.EINVAL,
        "r.begin()",
        "r.service.write(1, memoryview(b'x'), 5)",
    ),
    Case("bytes: none come", E.ETIMEDOUT, "", "r.stall(r.begin())"),
    # ---- images: what their manifests wish ----
    _loading("wish: unknown key", E.EBADMSG, _wishing({"colour": 1})),
    _loading(
        "wish: value that is not there", E.EBADMSG, _wishing({"values": [{"oid": 9, "value": 1}]})
    ),
    _loading("wish: capability", E.ENOTSUP, _wishing({"caps": 0x40})),
    _loading(
        "wish: saved value that is missing",
        E.ENOENT,
        _wishing({"fram_keys": [{"key": 7, "required": True}]}),
    ),
    # ---- signatures ----
    _loading("signature: none", E.EACCES, APP, REQUIRE),
    _loading("signature: of a stranger", E.EACCES, vouched(APP, stranger), REQUIRE),
    _loading("signature: of a key that may not", E.EACCES, vouched(APP, user), REQUIRE),
    _loading("signature: of another image", E.EACCES, seal(_changed(vouched(APP), 0x21)), REQUIRE),
    _loading(
        "signature: changed",
        E.EACCES,
        seal(_changed(vouched(APP), len(vouched(APP)) - 1)),
        REQUIRE,
    ),
    # ---- signed commands ----
    _commanding("command: malformed", E.EBADMSG, bytes(40)),
    _commanding("command: unknown action", E.EBADMSG, _sign(99, b"")),
    _commanding("command: not signed", E.EACCES, _sign(c.SET, SET_0, None), _RUNS),
    _commanding("command: for another network", E.EACCES, _sign(c.SET, SET_0, network=7), _RUNS),
    _commanding("command: for another node", E.EACCES, _sign(c.SET, SET_0, nodes=[6]), _RUNS),
    _commanding("command: of a stranger", E.EACCES, _sign(c.SET, SET_0, stranger), _RUNS),
    _commanding(
        "command: of a role that does not reach", E.EACCES, _sign(c.KILL, b"\1", user), _RUNS
    ),
    _commanding("command: readdressed", E.EACCES, _changed(_sign(c.SET, SET_0), 24), _RUNS),
    _commanding("command: changed", E.EACCES, _changed(_sign(c.SET, SET_0), 45), _RUNS),
    _commanding(
        "command: an image's signature",
        E.EACCES,
        c.pack(c.KILL, b"\1", NETWORK, [NODE], key=public(admin), counter=9)
        + admin.sign(b"HSX image 1\0" + bytes(32)),
        _RUNS,
    ),
    _commanding(
        "command: replayed",
        E.EPERM,
        _sign(c.SET, SET_0, user, counter=1),
        f"{_RUNS}; r.command({_sign(c.SET, SET_0, user, counter=1)!r})",
    ),
    _commanding(
        "command: value above the role", E.EPERM, _sign(c.SET, SET_3, user, counter=2), _RUNS
    ),
    _commanding("command: unknown PID", E.ESRCH, _sign(c.KILL, b"\x07", factory)),
    _commanding("command: about another set", E.ENOENT, _sign(c.ROLLBACK, b"x" * 16)),
    # ---- transfers ----
    _sending("transfer: not signed", E.EACCES, _stage_header(GOOD, key=None), GOOD.data),
    _sending(
        "transfer: of a role that does not reach",
        E.EACCES,
        _stage_header(GOOD, key=user),
        GOOD.data,
    ),
    _sending("transfer: another length", E.EBADMSG, _stage_header(GOOD, total=9), GOOD.data),
    _sending(
        "transfer: no stream belongs to it", E.EBADMSG, _sign(c.KILL, b"\1", total=100), bytes(100)
    ),
    Case(
        "transfer: larger than the bank",
        E.ENOSPC,
        "",
        f"r.offer({_sign(c.STAGE, bytes(16), total=70000)!r}, 70000)",
    ),
    _sending(
        "transfer: bytes changed",
        E.EBADMSG,
        _stage_header(GOOD),
        _changed(GOOD.data, len(GOOD.data) - 5),
    ),
    _sending(
        "transfer: directory changed", E.EBADMSG, _stage_header(GOOD), _changed(GOOD.data, 20)
    ),
    _sending(
        "transfer: directory lies about the epoch",
        E.EBADMSG,
        _stage_header(_lie(epoch=9)),
        _lie(epoch=9).data,
    ),
    _sending(
        "transfer: directory lies about the name",
        E.EBADMSG,
        _stage_header(_lie(name="other")),
        _lie(name="other").data,
    ),
    _sending(
        "transfer: image that may not run",
        E.ENOTSUP,
        _stage_header(a_set(an_app("one", 1, req_caps=0x40))),
        a_set(an_app("one", 1, req_caps=0x40)).data,
    ),
    _sending(
        "transfer: unsigned image in a signed set",
        E.EACCES,
        _stage_header(GOOD),
        GOOD.data,
        REQUIRE,
    ),
    _sending("transfer: image is another", E.EBADMSG, _load_header(APP), an_app("app", 2)),
    # ---- the set ----
    Case("set: nothing is staged", E.EBUSY, "", "r.runtime.activate()"),
    Case("set: none on trial", E.EBUSY, "", "r.run(r.service.confirm)"),
    Case("set: none before", E.ENOENT, "", "r.runtime.rollback()"),
    Case("set: format unasked", E.EPERM, "", "r.run(r.service.format, 'yes')"),
]

# These run last: they leave a set on trial, then one with a floor.
_NEW = a_set(an_app("new", 1, sections=_info(epoch=5)))
CASES += [
    Case(
        "set: one on trial",
        E.EBUSY,
        f"r.send({_stage_header(_NEW, counter=2000)!r}, {_NEW.data!r}); r.wait()",
        f"r.send({_stage_header(GOOD, counter=2001)!r}, {GOOD.data!r})",
    ),
    Case(
        "epoch: of a set",
        E.EPERM,
        "r.run(r.service.confirm, 5)",
        f"r.send({_stage_header(GOOD, counter=2002)!r}, {GOOD.data!r})",
    ),
    _loading("epoch: of an image", E.EPERM, _with(*_info(epoch=4))),
    _commanding("transfer: replayed", E.EPERM, _stage_header(_NEW, counter=2000)),
]


def script(case: Case) -> str:
    """Code that prints the outcome of a case; `r` must be there."""
    return f"r.judge({case.name!r}, lambda: exec({case.prepare!r}), lambda: {case.call})"


def record(rows: list[list], tier: str, path: Path) -> None:
    """Puts a tier's outcomes into build/refusals.json, a list with one object a case."""
    found = {row["name"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    for name, errno, where, event, detail, unchanged in rows:
        row = found.setdefault(name, {"name": name, "tiers": []})
        row["errno"] = errors.name(errno)
        row["where"], row["event"], row["detail"] = where, event, detail
        row["state_unchanged"] = unchanged and row.get("state_unchanged", True)
        row["tiers"] = sorted({*row["tiers"], tier})
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(list(found.values()), indent=1) + "\n")


def setup() -> str:
    """Code that makes `r` and a store, and trusts three keys."""
    keys = ((user, 1), (admin, 2), (factory, 3))
    trust = "\n".join(f"r.policy.trust({public(key)!r}, {role})" for key, role in keys)
    return f"r.run(r.service.format, {CONFIRMATION!r})\n{trust}"
