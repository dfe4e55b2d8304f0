# SPDX-License-Identifier: MIT
"""What the store writes, against what it has to."""

import pytest

from measure import store
from measure.bench import TARGETS
from measure.record import met

LIMIT = TARGETS["store.write_amplification"]


@pytest.mark.parametrize(("size", "part"), store.SETS)
def test_an_update_writes_hardly_more_than_its_set(size, part):
    factor = store.write_amplification(size, part)
    assert factor > 1  # a set that is all new is written whole, and committed
    assert met(factor, ("<=", 1.05)) and met(factor, LIMIT)


def test_the_sets_begin_at_16_kib_and_end_at_full_banks():
    assert min(size for size, _ in store.SETS) == 16 * store.KIB
    full = store.Node(store.PART).store.layout.bank_size
    assert max(size for size, part in store.SETS if part == store.PART) > 0.98 * full


def test_every_byte_at_the_medium_is_counted():
    node = store.Node(store.PART)
    cells = node.medium._parent.data
    before, start = bytes(cells), node.medium.written
    written, total = node.update(store.a_set(2, 4096, 1))
    differ = sum(a != b for a, b in zip(before, cells, strict=True))
    assert 4096 < differ <= node.medium.written - start
    assert total <= written
    # Confirming is two copies of the superblock, and behind the commit.
    assert node.medium.written - start == written + 2 * 96


def test_a_changed_app_costs_itself_and_the_records():
    assert store.APP < store.changed_image(fresh=False) < 1.1 * store.APP


def test_a_fresh_bank_takes_the_whole_set():
    assert 4 * store.APP < store.changed_image(fresh=True) < 4.2 * store.APP


def test_the_same_set_again_costs_its_records_only():
    node = store.Node(store.PART)
    images = store.a_set(4, 4 * store.APP, 1)
    for _ in range(2):
        node.update(images)
    assert node.update(images)[0] < 0.05 * 4 * store.APP


def test_figures_are_nested_below_store_and_the_worst_set_counts():
    figures = store.count()
    factors = [v for k, v in figures.items() if k.startswith("store.write_amplification_")]
    assert figures["store.write_amplification"] == max(factors)
    assert len(factors) == len(store.SETS)
    assert all(name.startswith("store.") for name in figures)
