# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EEXIST, HsxError
from hsx.node import names


def test_a_free_name_carries_no_suffix():
    assert names.instance("motor", [], True) == "motor"


@pytest.mark.requirement("P-36")
def test_the_second_to_fourth_instance_count_from_zero():
    taken = []
    for _ in range(4):
        taken.append(names.instance("motor", taken, True))
    assert taken == ["motor", "motor_#0", "motor_#1", "motor_#2"]


def test_a_freed_name_is_given_again():
    assert names.instance("motor", ["motor_#0", "motor_#1"], True) == "motor"
    assert names.instance("motor", ["motor", "motor_#1"], True) == "motor_#0"


@pytest.mark.requirement("P-35")
def test_a_single_instance_app_is_refused_while_its_name_is_in_use():
    with pytest.raises(HsxError) as refused:
        names.instance("motor", ["motor"], False)
    assert refused.value.errno == EEXIST


def test_a_long_name_is_cut_so_that_the_suffix_fits():
    assert names.instance("A" * 31, ["A" * 31], True) == "A" * 28 + "_#0"


@pytest.mark.requirement("P-36")
@given(st.text(min_size=1, max_size=31), st.integers(0, 120))
def test_instances_are_unique_and_at_most_31_characters(name, count):
    taken = []
    for _ in range(count):
        taken.append(names.instance(name, taken, True))
    assert len(set(taken)) == count
    assert all(len(instance) <= 31 for instance in taken)


def test_a_nameless_image_is_called_after_its_file_or_its_pid():
    assert names.base("", "/sd/apps/blink.hxe", 3) == "blink"
    assert names.base("", "", 3) == "<stream:3>"
    assert names.base("own", "/sd/blink.hxe", 3) == "own"


def test_a_stem_keeps_leading_dots_and_inner_dots():
    assert names.stem("/a/.hidden") == ".hidden"
    assert names.stem("b/motor.v2.hxe") == "motor.v2"
