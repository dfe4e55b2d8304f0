# SPDX-License-Identifier: MIT
"""What manifests wish of the node, and who may list images: on a card, in an image, in a bank."""

import hashlib

import pytest

from bench.images import SPIN, an_image
from bench.runtime import RuntimeBench
from bench.service import admin, an_app, public, stranger, user, vouched
from hsx.boot import lock
from hsx.boot.update import _described
from hsx.errors import EBADMSG, ENOTSUP, HsxError
from hsx.image.build import manifest_section, seal, value_section
from hsx.image.metadata import Value
from hsx.image.signature import MANIFEST_CONTEXT
from hsx.service.policy import ADMIN, REQUIRE, USER
from hsx.service.session import Session
from hsx.store.bank import ENTRY
from hsx.store.store import CONFIRMATION
from hsxctl import image_set
from node.calls import behind, calling, results
from powercut.medium import Medium

KEY = 7
LEVEL = value_section([Value(1, 1, 2, 0, 0x3C00, "level", "m", 0, 0, 0, KEY, "tank")])
OID = 0x101


def wishing(wishes: dict, name: str = "one", **more) -> bytes:
    """An image with a value and a manifest of its own; flag bit 0 says so."""
    sections = (LEVEL, manifest_section(wishes))
    image = bytearray(an_image(SPIN, name=name, sections=sections, **more))
    image[7] |= 1
    return seal(bytes(image))


@pytest.fixture
def card(tmp_path):
    """card(text behind the file's line, image, head) -> the folder of a card with one image."""

    def put(text: str, image: bytes, head: str = "", key=None):
        (tmp_path / "one.hxe").write_bytes(image)
        listed = f'schema = 1\n{head}[[image]]\nfile = "one.hxe"\n{text}\n'.encode()
        (tmp_path / "hsx.toml").write_bytes(listed)
        if key is not None:
            message = MANIFEST_CONTEXT + hashlib.sha256(listed).digest()
            (tmp_path / "hsx.sig").write_bytes(public(key)[:8] + key.sign(message))
        return tmp_path

    return put


def with_store(folder) -> RuntimeBench:
    """A node with an empty store and a card."""
    bench = RuntimeBench(folder, Medium(bytearray(b"\xff" * 0x8000)))
    bench.boot()
    bench.provisioning.format(CONFIRMATION)
    for task in list(bench.node.tasks.order):
        bench.node.kill(task.pid)
    return bench


def scan(bench: RuntimeBench) -> None:
    for _ in bench.runtime._scan.run():
        pass


# ---- PIDs -------------------------------------------------------------------------------------


@pytest.mark.requirement("P-70", "P-71")
def test_a_card_gives_an_image_its_pid(card):
    bench = RuntimeBench(card("pid = 5", an_app("one", 1)))
    bench.boot()
    assert bench.vm.pids() == (5,)


@pytest.mark.requirement("P-71")
@pytest.mark.parametrize("fixed", [False, True])
def test_a_pid_that_two_want_goes_to_the_first(tmp_path, fixed):
    text = "schema = 1\n"
    for name in ("one", "two"):
        (tmp_path / f"{name}.hxe").write_bytes(an_app(name, 1))
        text += f'[[image]]\nfile = "{name}.hxe"\npid = 3\npid_fixed = {str(fixed).lower()}\n'
    (tmp_path / "hsx.toml").write_text(text)
    bench = RuntimeBench(tmp_path)
    bench.boot()
    rows = {row["app_name"]: row["pid"] for row in bench.node.ps()}
    assert rows == ({"one": 3} if fixed else {"one": 3, "two": 1})
    assert [error["code"] for error in bench.told("provisioning.error")] == ["EBUSY"] * fixed


# ---- values, keys, mailboxes ------------------------------------------------------------------


@pytest.mark.requirement("P-70")
def test_an_image_and_a_card_say_what_values_begin_with_and_the_card_goes_first(card):
    image = wishing({"values": [{"oid": OID, "value": 2.0}], "mailboxes": ["app:own"]})
    for text, bits in (("", 0x4000), (f"values = [{{oid = {OID}, value = 0.5}}]", 0x3800)):
        bench = RuntimeBench(card(text, image))
        bench.boot()
        assert bench.node.get_value(1, OID) == bits
        assert bench.node.mailboxes.count(1) >= 1


@pytest.mark.requirement("P-69", "P-72")
@pytest.mark.parametrize("where", ["card", "image"])
def test_a_saved_value_that_is_required_refuses_the_load_while_it_is_missing(card, where):
    wish = f"fram_keys = [{{key = {KEY}, required = true}}]"
    item = {"key": KEY, "required": True}
    image = an_image(SPIN, name="one", sections=(LEVEL,))
    folder = card(wish, image) if where == "card" else card("", wishing({"fram_keys": [item]}))
    bench = with_store(folder)
    before = bench.state()
    scan(bench)
    error = bench.told("provisioning.error")[-1]
    assert (error["code"], error["detail"]) == ("ENOENT", f"key {KEY} is required, not saved")
    assert bench.state() == before
    bench.store.values.change(KEY, 0x4400, bench.clock(), 0)
    scan(bench)
    assert bench.node.get_value(1, OID) == 0x4400


@pytest.mark.requirement("P-72")
def test_a_saved_value_that_is_missing_gives_the_default_and_a_warning(card):
    bench = with_store(card(f"fram_keys = [{{key = {KEY}}}]", wishing({})))
    scan(bench)
    assert bench.node.get_value(1, OID) == 0x3C00
    assert "default value" in bench.told("warning")[-1]["detail"]


@pytest.mark.requirement("P-54", "P-70")
@pytest.mark.parametrize(
    ("mode", "begins", "kept"),
    [("load", 0x4400, 0x4400), ("save", 0x3C00, 0x4000), ("loadsave", 0x4400, 0x4000)],
)
def test_a_key_is_restored_and_saved_as_its_mode_says(card, mode, begins, kept):
    item = {"key": KEY, "mode": mode}
    bench = with_store(card("", wishing({"fram_keys": [item]})))
    bench.store.values.change(KEY, 0x4400, bench.clock(), 0)
    bench.store.poll(bench.clock())
    scan(bench)
    assert bench.node.get_value(1, OID) == begins
    bench.node.set_value(1, OID, 0x4000)
    bench.store.values.flush()
    assert bench.store.values.saved(KEY) == kept


@pytest.mark.parametrize(
    ("wishes", "errno"),
    [
        ({"caps": 0x40}, ENOTSUP),
        ({"values": [{"oid": 9, "value": 1}]}, EBADMSG),
        ({"values": [{"oid": OID}]}, EBADMSG),
        ({"values": [{"oid": OID, "value": True}]}, EBADMSG),
        ({"fram_keys": [{"key": 0}]}, EBADMSG),
        ({"fram_keys": [{"key": 7, "mode": "keep"}]}, EBADMSG),
        ({"fram_keys": [{"key": 7}] * 65}, EBADMSG),
        ({"mailboxes": [""]}, EBADMSG),
        ({"pid": 0}, EBADMSG),
        ({"pid_fixed": 1}, EBADMSG),
        ({"version": 2}, EBADMSG),
        ({"colour": "red"}, EBADMSG),
        ([], EBADMSG),
    ],
)
def test_wishes_that_cannot_be_refuse_the_image_and_leave_nothing(card, wishes, errno):
    bench = RuntimeBench(card("", an_app("other", 1)))
    bench.boot()
    before = bench.state()
    with pytest.raises(HsxError) as caught:
        bench.load(wishing(wishes))
    assert caught.value.errno == errno
    assert bench.state() == before


def test_a_manifest_section_that_the_header_does_not_announce_is_refused(card):
    image = an_image(SPIN, sections=(manifest_section({}),))
    with pytest.raises(HsxError) as caught:
        RuntimeBench(card("", image)).load(image)
    assert caught.value.errno == EBADMSG


# ---- who may list images ----------------------------------------------------------------------


def watching(folder, key=admin, role=ADMIN) -> RuntimeBench:
    """A node that asks for signatures, after its scan."""
    bench = RuntimeBench(folder)
    bench.policy.signatures = REQUIRE
    bench.policy.number = 5
    bench.policy.trust(public(key), role)
    bench.boot()
    return bench


@pytest.mark.requirement("P-25", "P-D5")
def test_a_signed_card_of_signed_images_runs(card):
    bench = watching(card("", vouched(an_app("one", 1)), key=admin))
    assert len(bench.node.ps()) == 1


@pytest.mark.requirement("P-25", "P-104")
@pytest.mark.parametrize(
    ("signer", "trusted", "role"),
    [(None, admin, ADMIN), (stranger, admin, ADMIN), (user, user, USER)],
    ids=["unsigned", "stranger", "wrong role"],
)
def test_a_card_that_nobody_vouches_for_is_refused(card, signer, trusted, role):
    bench = watching(card("", vouched(an_app("one", 1)), key=signer), trusted, role)
    assert bench.node.ps() == []
    assert bench.told("warning")[-1]["code"] == "EACCES"


def test_every_changed_byte_of_a_signed_manifest_is_refused(card):
    folder = card("", vouched(an_app("one", 1)), key=admin)
    text = (folder / "hsx.toml").read_bytes()
    for at in range(len(text)):
        changed = bytearray(text)
        changed[at] ^= 1
        (folder / "hsx.toml").write_bytes(bytes(changed))
        assert watching(folder).node.ps() == [], at


@pytest.mark.requirement("P-25")
def test_an_unsigned_image_on_a_signed_card_is_refused(card):
    bench = watching(card("", an_app("one", 1), key=admin))
    assert bench.node.ps() == []
    assert bench.told("provisioning.error")[-1]["code"] == "EACCES"


def test_a_signature_of_an_image_does_not_pass_for_that_of_a_manifest(card):
    folder = card("", an_app("one", 1))
    digest = hashlib.sha256((folder / "hsx.toml").read_bytes()).digest()
    for context in (b"HSX image 1\0", b"HSX command 1\0", b""):
        (folder / "hsx.sig").write_bytes(public(admin)[:8] + admin.sign(context + digest))
        assert watching(folder).node.ps() == []


@pytest.mark.parametrize(
    ("head", "runs"),
    [
        ("nodes = [5]\n", 1),
        ("nodes = [1, 5]\n", 1),
        ("nodes = [1]\n", 0),
        ("epoch = 3\n", 1),
        ("epoch = 2\n", 0),
    ],
)
def test_a_manifest_for_other_nodes_or_of_older_times_is_refused(card, head, runs):
    bench = RuntimeBench(card("", an_app("one", 1), head))
    bench.policy.number = 5
    bench.policy.floor = lambda: 3 if "epoch" in head else 0
    bench.policy.check_metadata = lambda metadata, version: None
    bench.boot()
    assert len(bench.node.ps()) == runs


@pytest.mark.parametrize(
    "text",
    [
        "epoch = -1\n",
        "epoch = true\n",
        "nodes = 5\n",
        "nodes = [0]\n",
        "nodes = [127]\n",
        "node = [1]\n",
    ],
)
def test_a_head_that_cannot_be_is_refused(card, text):
    bench = RuntimeBench(card("", an_app("one", 1), text))
    bench.boot()
    assert bench.told("warning")[0]["code"] == "EBADMSG"


@pytest.mark.parametrize(
    "text", ["pid = 33", 'grants = ["all"]', "fram_keys = 7", "pid_fixed = 1"]
)
def test_an_entry_that_cannot_be_is_refused_with_its_line(card, text):
    bench = RuntimeBench(card(text, an_app("one", 1)))
    bench.boot()
    told = bench.told("warning")[0]
    assert (told["code"], told["line"]) == ("EBADMSG", 2)


# ---- grants -----------------------------------------------------------------------------------

LOAD, ABORT, FMAP = 1, 2, 3
OK, EPERM, EFAIL = 0, 2, 7


def asking(tmp_path, function: int, *registers) -> bytes:
    folder = tmp_path / "asking"
    folder.mkdir(exist_ok=True)
    data = f'path: .ascii "{tmp_path}/late.hxe"\n .byte 0\nout: .zero 8'
    return calling(folder, (9, function, *registers), data=data)


@pytest.mark.requirement("P-86b")
@pytest.mark.parametrize("granted", [True, False])
def test_an_app_with_a_grant_loads_an_image(card, tmp_path, granted):
    (tmp_path / "late.hxe").write_bytes(an_app("late", 1))
    text = 'grants = ["load"]' if granted else 'grants = ["abort", "fmap"]'
    bench = RuntimeBench(card(text, asking(tmp_path, LOAD, "path", 0)))
    bench.boot()
    for _ in range(20):
        bench.board.tick(None)
    assert results(bench, 1, 1, 1) == [(OK if granted else EPERM,)]
    names = [row["app_name"] for row in bench.node.ps()]
    assert names == (["app", "late"] if granted else ["app"])


@pytest.mark.requirement("P-86b", "P-87")
def test_a_load_that_an_app_asked_for_goes_through_the_policy(card, tmp_path):
    (tmp_path / "late.hxe").write_bytes(an_app("late", 1, req_caps=0x40))
    bench = RuntimeBench(card('grants = ["load"]', asking(tmp_path, LOAD, "path", 0)))
    bench.boot()
    for _ in range(20):
        bench.board.tick(None)
    assert [row["app_name"] for row in bench.node.ps()] == ["app"]
    assert bench.told("provisioning.error")[-1]["code"] == "ENOTSUP"


@pytest.mark.requirement("P-86c")
@pytest.mark.parametrize(("pid", "status"), [(2, OK), (1, EFAIL), (7, EFAIL)])
def test_an_app_with_a_grant_aborts_a_load(card, tmp_path, pid, status):
    bench = RuntimeBench(card('grants = ["abort"]', asking(tmp_path, ABORT, pid, 0)))
    begun = bench.service.begin("UART:1", pid=2)
    bench.boot()
    bench.board.tick(None)
    assert results(bench, 1, 1, 1) == [(status,)]
    assert begun.open == (status != OK)


@pytest.mark.requirement("P-86d")
@pytest.mark.parametrize(("key", "status"), [(KEY, OK), (8, 1)])
def test_an_app_with_a_grant_reads_a_saved_value(card, tmp_path, key, status):
    bench = with_store(card('grants = ["fmap"]', asking(tmp_path, FMAP, key, "out")))
    bench.store.values.change(KEY, 0x4400, bench.clock(), 0)
    scan(bench)
    bench.board.tick(None)
    assert results(bench, 1, 1, 1) == [(status,)]
    path = len(f"{tmp_path}/late.hxe") + 1
    expected = b"\x00\x44" if status == OK else b"\0\0"
    assert behind(bench, 1, 1, path + 2)[path:] == expected


# ---- runtime replace --------------------------------------------------------------------------


@pytest.mark.requirement("P-59")
def test_an_app_is_replaced_under_its_pid_and_its_saved_values_stay(card, tmp_path):
    bench = with_store(card("pid = 4", an_image(SPIN, name="one", sections=(LEVEL,))))
    scan(bench)
    bench.node.set_value(4, OID, 0x4400)
    newer = tmp_path / "newer.hxe"
    newer.write_bytes(an_image(SPIN, SPIN, name="one", sections=(LEVEL,)))
    assert bench.runtime.load(str(newer), replace=True) == 4
    assert bench.node.get_value(4, OID) == 0x4400
    assert [row["app_name"] for row in bench.node.ps()] == ["one"]


@pytest.mark.requirement("P-60")
@pytest.mark.parametrize("flaw", ["damaged", "capability", "memory"])
def test_a_replacement_that_does_not_start_leaves_the_old_app(card, tmp_path, flaw):
    bench = RuntimeBench(card("pid = 4", an_app("one", 1)))
    bench.boot()
    images = {
        "damaged": an_app("one", 2)[:-1],
        "capability": an_app("one", 2, req_caps=0x40),
        "memory": an_app("one", 2, bss_size=0x8000),
    }
    newer = tmp_path / "newer.hxe"
    newer.write_bytes(images[flaw])
    with pytest.raises(HsxError):
        bench.runtime.load(str(newer), replace=True)
    row = bench.node.ps()[0]
    assert (row["app_name"], row["pid"]) == ("one", 4)
    assert row["state"] in ("ready", "sleeping")
    assert row["program"].endswith("one.hxe")


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, MemoryError, TypeError])
def test_all_instances_come_back_whatever_ends_a_replacement(card, tmp_path, monkeypatch, trouble):
    """Ctrl-C comes to whoever waits, between two steps; the others to the step that meets them."""
    bench = RuntimeBench(card("pid = 4", an_app("one", 1)))
    bench.boot()
    bench.runtime.load(str(tmp_path / "one.hxe"))
    newer = tmp_path / "newer.hxe"
    newer.write_bytes(an_app("one", 2))
    monkeypatch.setattr("hsx.boot.runtime._SLICE", 0)
    before = bench.node.ps()
    real, turns = lock.run, iter(range(100))

    def run(call, *args):
        if next(turns) == 3 and trouble is KeyboardInterrupt:
            raise trouble
        return real(call, *args)

    def end(self):
        raise trouble

    monkeypatch.setattr(lock, "run", run)
    if trouble is not KeyboardInterrupt:
        monkeypatch.setattr(Session, "end", end)
    with pytest.raises((trouble, HsxError)):
        try:
            bench.runtime.load(str(newer), replace=True)
        finally:
            monkeypatch.undo()
            while bench.service.work.is_busy():
                bench.board.tick(None)
    after = bench.node.ps()
    for row in (*before, *after):
        row.pop("accounted_steps", None)
    assert [(row["app_name"], row["pid"]) for row in after] == [
        (row["app_name"], row["pid"]) for row in before
    ]


@pytest.mark.parametrize(
    "wishes", [{}, {"pid": 5}, {"pid": 5, "pid_fixed": True}, {"priority": 3}], ids=str
)
def test_an_entry_has_the_same_bytes_whatever_the_way(tmp_path, wishes):
    """By the REPL, by a card, by a push of the file, and by a push of a manifest."""
    path = tmp_path / "one.hxe"
    own = {key: wish for key, wish in wishes.items() if key != "priority"}
    path.write_bytes(wishing(own) if own else an_app("one", 1))
    listed = "".join(f"{key} = {str(wish).lower()}\n" for key, wish in wishes.items())
    (tmp_path / "hsx.toml").write_text(f'schema = 1\n[[image]]\nfile = "one.hxe"\n{listed}')
    bench = with_store(tmp_path)
    buf = memoryview(bytearray(64))
    options = {"priority": 3} if "priority" in wishes else {}
    images = [bench.runtime._describe(str(path), options, buf)]
    scanned = bench.runtime.sources.scans["sd"]
    steps = _described(scanned, bench.policy, scanned.entries()[0])
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    images.append(end.value.value)
    images += image_set.bank([tmp_path / "hsx.toml"]).images
    if not options:
        images += image_set.bank([path]).images
    packed = []
    for image in images:
        packed.append(bytearray(ENTRY))
        image.offset = 0
        image.pack_into(packed[-1])
    assert all(entry == packed[0] for entry in packed)
    assert images[0].pid == wishes.get("pid", 0)


@pytest.mark.requirement("P-45")
def test_an_app_under_debug_is_not_replaced(card, tmp_path):
    bench = RuntimeBench(card("", an_app("one", 1)))
    bench.boot()
    bench.node.lock(1)
    with pytest.raises(HsxError, match="pid_locked:1"):
        bench.runtime.load(str(tmp_path / "one.hxe"), replace=True)
    assert bench.node.ps()[0]["state"] == "sleeping"


def test_a_missing_file_that_an_app_asks_for_is_told(card, tmp_path):
    bench = RuntimeBench(card('grants = ["load"]', asking(tmp_path, LOAD, "path", 0)))
    bench.boot()
    for _ in range(5):
        bench.board.tick(None)
    assert bench.told("warning")[-1]["code"] == "ENOENT"
