# SPDX-License-Identifier: MIT
"""How a run of tests is shared out: every test in exactly one shard, the longest first."""

import pytest

import changed
import distribution
from distribution import ALL, SHARDS, left_out, longest_first, packed, unit, within

SHORT, LONG = 0.01, 20.0


class Item:
    """A collected test."""

    def __init__(self, nodeid, marker="", *args):
        self.nodeid = nodeid
        self._marker = pytest.Mark(marker, args, {}, _ispytest=True) if marker else None

    def get_closest_marker(self, name):
        return self._marker if self._marker and self._marker.name == name else None


def items(marker, count=19):
    return [Item(f"a.py::test[{number}]", marker) for number in range(count)]


def test_every_case_of_a_sharded_test_is_in_exactly_one_shard():
    cases = items("sharded")
    run = [set(cases) - set(left_out(cases, str(shard))) for shard in range(SHARDS)]
    assert sum(map(len, run)) == len(cases) and set.union(*run) == set(cases)
    assert max(map(len, run)) - min(map(len, run)) <= 1


def test_tests_of_one_group_are_in_one_shard():
    group = [Item(f"{file}.py::test", "sharded", "one") for file in "abcdef"]
    run = [len(group) - len(left_out(group, str(shard))) for shard in range(SHARDS)]
    assert sorted(run) == [0] * (SHARDS - 1) + [len(group)]


def test_other_tests_are_in_every_shard():
    assert not any(left_out(items(""), str(shard)) for shard in range(SHARDS))


def test_all_shards_together_leave_nothing_out():
    assert left_out(items("sharded"), ALL) == []


def test_what_only_a_whole_run_takes_is_in_no_shard_unless_its_file_is_named():
    whole, other = Item("a.py::whole", "complete"), Item("b.py::other")
    for shard in map(str, range(SHARDS)):
        assert left_out([whole, other], shard) == [whole]
        assert left_out([whole], shard) == []
    assert left_out([whole, other], ALL) == []


def test_commit_chooses_a_shard_and_a_person_another():
    assert distribution.chosen_shard("") in map(str, range(SHARDS))
    assert distribution.chosen_shard("3") == "3"
    for wrong in (str(SHARDS), "-1", "some"):
        with pytest.raises(pytest.UsageError):
            distribution.chosen_shard(wrong)


def test_only_long_tests_are_kept_by_name():
    found = packed({"a.py::long": LONG, "a.py::b": SHORT, "a.py::c": SHORT, "b.py::d": SHORT})
    assert found == {"a.py": {"": 2 * SHORT, "long": LONG}, "b.py": {"": SHORT}}


def test_long_test_of_a_long_file_is_given_to_a_process_alone():
    known = packed({"a.py::long": LONG, "a.py::short": SHORT})
    assert unit("a.py::long", known) == "a.py::long"
    assert unit("a.py::short", known) == "a.py"
    assert unit("a.py::short", {}) == "a.py"


def test_file_whose_tests_share_what_they_made_is_kept_together():
    name = "host_tests/stock/test_stock.py"
    assert unit(f"{name}::long", packed({f"{name}::long": LONG})) == name


def test_unknown_and_longest_tests_come_first_and_units_stay_together():
    known = packed({"a.py::one": 1.0, "a.py::two": 1.0, "b.py::three": 5.0, "c.py::x": SHORT})
    order = ["c.py::x", "a.py::one", "b.py::three", "a.py::two", "new.py::y"]
    assert longest_first(order, known) == [
        "new.py::y",
        "b.py::three",
        "a.py::one",
        "a.py::two",
        "c.py::x",
    ]


def test_what_does_not_fit_into_the_time_is_the_longest():
    known = packed({"a.py::one": 1.0, "a.py::two": 2.0, "a.py::three": 3.0})
    tests = [Item(f"a.py::{name}") for name in ("three", "one", "two")]
    assert [test.nodeid for test in within(tests, 3.5, known)] == ["a.py::three"]
    assert within(tests, 7, known) == []


def test_recorded_durations_name_files_that_exist():
    known = distribution.durations()
    assert known
    assert [file for file in known if not (distribution.ROOT / file).exists()] == []


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("firmware/hsx/store/commit.py", "host_tests/store/test_commit.py"),
        ("firmware/hsx/boot/guard.py", "host_tests/boot/test_runtime.py"),
        ("firmware/native/vm.c", "host_tests/native/test_clock.py"),
        ("boards/PYBV11/board.py", "host_tests/boards/test_board_folders.py"),
        ("tools/hsxctl/assembler/encoder.py", "host_tests/hsxctl/test_assembler.py"),
        ("docs/boot.md", "host_tests/docs/test_documents.py"),
    ],
)
def test_file_is_tested_by_the_folder_that_mirrors_it(path, tests, monkeypatch):
    monkeypatch.setattr(changed.covered, "tests_of", lambda path: [])
    assert tests in changed.tests_of(changed.Path(path))


def test_test_file_is_its_own_test_and_a_helper_that_of_its_folder():
    assert changed.tests_of(changed.Path("host_tests/store/test_bank.py")) == [
        "host_tests/store/test_bank.py"
    ]
    assert "host_tests/store/test_bank.py" in changed.tests_of(
        changed.Path("host_tests/store/bench.py")
    )
