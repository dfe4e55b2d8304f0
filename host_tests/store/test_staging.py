# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, EBUSY, EINVAL, ENOSPC, HsxError
from hsx.store.bank import ENTRY, HEADER
from hsx.store.layout import STAGING_COPY
from powercut.medium import Medium
from powercut.world import finish
from store.bench import ONE, SMALL, THREE, TWO, Bench, an_image, entries, errno

FIRST = HEADER + len(TWO) * ENTRY  # where the first byte of an image of TWO stands
PIECE = 40
RECORDS = range(SMALL.staging_base, SMALL.staging_base + 2 * STAGING_COPY)


@st.composite
def pieces(draw) -> list[tuple[int, int, int]]:
    """(image, offset, bytes) that together are the set TWO, in any order; some come twice."""
    found = []
    for index, data in enumerate(TWO):
        cuts = draw(st.sets(st.integers(1, len(data) - 1), max_size=12))
        edges = [0, *sorted(cuts), len(data)]
        found += [(index, a, b - a) for a, b in zip(edges, edges[1:], strict=False)]
    again = draw(st.lists(st.sampled_from(found), max_size=3))
    return draw(st.permutations(found + again))


def write(staging, index: int, at: int, count: int, parts: list[bytes] = TWO) -> None:
    staging.write(index, at, memoryview(parts[index])[at : at + count])


# ---- pieces -----------------------------------------------------------------------------------


@given(pieces())
def test_pieces_of_any_size_in_any_order_are_the_set(order):
    bench = Bench()
    staging = bench.commit.stage(entries(TWO))
    for piece in order:
        write(staging, *piece)
    bench.commit.commit(staging)
    assert bench.held(1) == TWO


@given(pieces(), st.integers(0, 40))
def test_after_a_reset_it_goes_on_where_every_byte_before_is_in_place(order, stop):
    bench = Bench()
    staging = bench.commit.stage(entries(TWO))
    for piece in order[:stop]:
        write(staging, *piece)
    done = staging.done
    bench.reopen()
    staging = bench.commit.stage(entries(TWO))
    assert staging.done <= max(done, FIRST)
    for index, data in enumerate(TWO):
        at = staging.resume_at(index)
        start = SMALL.bank_base + staging.images[index].offset
        assert bench.part.memory[start : start + at] == data[:at]
        write(staging, index, at, len(data))
    bench.commit.commit(staging)
    assert bench.held(1) == TWO


@given(pieces())
def test_done_never_runs_ahead_of_what_has_arrived(order):
    bench = Bench()
    staging = bench.commit.stage(entries(TWO))
    arrived = set(range(FIRST))
    for image, after in zip(staging.images, [*staging.images[1:], None], strict=True):
        end = image.offset + image.length
        arrived |= set(range(end, after.offset)) if after else set()  # gaps hold nothing
    for index, at, count in order:
        write(staging, index, at, count)
        start = staging.images[index].offset + at
        arrived |= set(range(start, start + count))
        assert arrived.issuperset(range(staging.done))


def test_in_order_everything_that_arrived_is_done():
    bench = Bench()
    staging = bench.commit.stage(entries(TWO))
    for index, data in enumerate(TWO):
        for at in range(0, len(data), 7):
            write(staging, index, at, 7)
            end = staging.images[index].offset + min(at + 7, len(data))
            assert staging.resume_at(index) == min(at + 7, len(data)) and staging.done >= end
    assert staging.done == staging.total


def test_blocks_swapped_in_pairs_are_done_when_both_are_there():
    bench = Bench()
    staging = bench.commit.stage(entries(TWO))
    write(staging, 0, 50, 60)
    assert staging.resume_at(0) == 0
    write(staging, 0, 0, 50)
    assert staging.resume_at(0) == 110


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_the_last_bytes_of_an_image_are_not_taken_for_the_gap_behind_it(missing):
    """TWO has a gap of two bytes behind its first image."""
    bench = Bench()
    staging = bench.commit.stage(entries(TWO))
    write(staging, 0, 0, len(TWO[0]) - missing)
    write(staging, 1, 0, 1000)
    assert staging.resume_at(0) == len(TWO[0]) - missing
    write(staging, 0, len(TWO[0]) - missing, missing)
    assert staging.resume_at(1) == len(TWO[1])


# ---- the record -------------------------------------------------------------------------------


def half(bench: Bench, parts: list[bytes] = TWO):
    """The first image whole: more than SMALL.progress, so that it is recorded."""
    staging = bench.commit.stage(entries(parts))
    write(staging, 0, 0, 1000, parts)
    write(staging, 1, 0, 60, parts)
    return staging


def test_progress_is_recorded_behind_the_data_and_not_at_every_chunk():
    bench = Bench()
    staging = bench.commit.stage(entries(TWO))
    bench.part.log.clear()
    records = 0
    for index, data in enumerate(TWO):
        for at in range(0, len(data), 10):
            write(staging, index, at, 10)
            last, _ = bench.part.log[-1]
            records += last in RECORDS
            if last in RECORDS:
                assert bench.store.staging.progress == staging.done
    image_bytes = sum(map(len, TWO))
    assert 2 <= records <= (FIRST + image_bytes) // SMALL.progress


def test_the_records_take_turns():
    bench = Bench()
    record = bench.store.staging
    places = []
    for progress in range(4):
        bench.part.log.clear()
        record.write(1, 1, bytes(16), progress)
        places.append(bench.part.log[0][0])
    assert places[0] != places[1] and places[:2] == places[2:]
    again = Bench(bench.part).store.staging
    assert (again.seq, again.progress) == (4, 3)


def test_a_torn_record_leaves_the_one_before():
    bench = Bench()
    record = bench.store.staging
    record.write(1, 1, b"a" * 16, 100)
    record.write(2, 5, b"b" * 16, 200)
    before = bytes(bench.part.memory)
    bench.part.log.clear()
    record.write(1, 9, b"c" * 16, 300)
    ((at, data),) = bench.part.log
    for cut in range(len(data)):
        memory = bytearray(before)
        memory[at : at + cut] = data[:cut]
        found = Bench(Medium(memory)).store.staging
        assert (found.seq, found.bank, found.decl, found.progress) == (2, 2, 5, 200), cut


def test_the_same_set_goes_on_after_a_reset():
    bench = Bench()
    done = half(bench).done
    recorded = bench.store.staging.progress
    assert FIRST < recorded <= done
    bench.reopen()
    staging = bench.commit.stage(entries(TWO))
    assert staging.done == recorded
    assert staging.resume_at(0) == min(110, recorded - FIRST)


def test_another_set_starts_anew_and_takes_the_progress_away_first():
    bench = Bench()
    half(bench)
    bench.reopen()
    bench.part.log.clear()
    staging = bench.commit.stage(entries(THREE))
    assert [staging.resume_at(n) for n in range(2)] == [0, 0]
    assert bench.part.log[0][0] in RECORDS
    assert bench.store.staging.progress == 0
    bench.reopen()
    assert bench.commit.stage(entries(TWO)).resume_at(0) == 0


def test_a_changed_field_of_the_directory_is_another_set():
    bench = Bench()
    half(bench)
    images = entries(TWO)
    images[2].priority = 3
    bench.reopen()
    assert bench.commit.stage(images).resume_at(0) == 0


@pytest.mark.parametrize("reset", [False, True])
def test_a_record_of_an_earlier_declaration_does_not_count(reset):
    bench = Bench()
    half(bench)
    bench.commit.purge()
    if reset:
        bench.reopen()
    assert not bench.store.staging.counts(bench.state, 1)
    assert bench.commit.stage(entries(TWO)).resume_at(0) == 0


def test_a_record_counts_for_an_empty_inactive_bank_of_its_declaration_only():
    bench = Bench()
    half(bench)
    record, state = bench.store.staging, bench.state
    assert record.counts(state, 1)
    assert not record.counts(state, 2)
    for name, value in (("states", [2, 0]), ("active", 1), ("decl", state.decl + 1)):
        old = getattr(state, name)
        setattr(state, name, value)
        assert not record.counts(state, 1), name
        setattr(state, name, old)
    assert record.counts(state, 1)


def test_an_abort_keeps_what_is_in_place_for_the_next_time():
    bench = Bench()
    staging = half(bench)
    staging.abort()
    with pytest.raises(HsxError) as caught:
        write(staging, 0, 0, 1)
    assert errno(caught) == EBUSY
    assert bench.commit.stage(entries(TWO)).resume_at(0) > 0


def test_staging_in_progress_does_not_touch_the_superblock():
    bench = Bench()
    before = bench.cells[: SMALL.staging_base]
    half(bench).abort()
    bench.reopen()
    half(bench)
    assert bench.cells[: SMALL.staging_base] == before


# ---- what is not written ----------------------------------------------------------------------


def bytes_of(bench: Bench, run) -> int:
    before = bench.part.written
    run()
    return bench.part.written - before


def test_bytes_in_place_are_not_written_again():
    bench = Bench()
    bench.stage(TWO)
    again = bytes_of(bench, lambda: bench.stage(TWO))
    assert again == 0


def test_a_set_that_was_there_two_updates_ago_costs_the_declaration_and_the_records():
    bench = Bench()
    bench.confirmed(ONE)
    bench.confirmed(TWO)

    def update() -> None:
        staging = bench.stage(ONE)
        for _ in staging.end():
            pass

    assert bytes_of(bench, update) <= 2 * 96 + 3 * 36


def test_one_changed_byte_costs_one_byte():
    bench = Bench()
    bench.stage(TWO)
    staging = bench.commit.stage(entries(TWO))
    assert bytes_of(bench, lambda: staging.write(1, 5, memoryview(b"!"))) == 1


def test_images_that_the_active_bank_has_are_carried_over():
    bench = Bench()
    bench.confirmed(ONE)
    staging = bench.commit.stage(entries(TWO))
    finish(staging.carry_over())
    at = SMALL.bank_base + SMALL.bank_size + staging.images[1].offset
    assert bench.part.memory[at : at + len(TWO[1])] == TWO[1]
    for index in (0, 2):
        write(staging, index, 0, 1000)
    bench.commit.commit(staging)
    assert bench.held(2) == TWO
    assert bench.held(1) == ONE


def test_without_an_active_bank_nothing_is_carried_over():
    bench = Bench()
    staging = bench.commit.stage(entries(ONE))
    assert bytes_of(bench, lambda: finish(staging.carry_over())) == 0


def test_a_damaged_active_directory_gives_nothing_and_does_not_hinder():
    bench = Bench()
    bench.confirmed(ONE)
    bench.part.memory[SMALL.bank_base + 20] ^= 1
    staging = bench.commit.stage(entries(TWO))
    finish(staging.carry_over())
    for index in range(3):
        write(staging, index, 0, 1000)
    bench.commit.commit(staging)
    assert bench.held(2) == TWO


# ---- the end ----------------------------------------------------------------------------------


@pytest.mark.requirement("P-49", "P-89")
def test_a_damaged_byte_is_found_by_the_read_back_and_the_set_starts_anew():
    bench = Bench()
    staging = bench.stage(TWO)
    bench.part.memory[SMALL.bank_base + FIRST + 3] ^= 1
    with pytest.raises(HsxError) as caught:
        finish(staging.end())
    assert errno(caught) == EBADMSG
    assert not staging.verified
    assert bench.store.staging.progress == 0
    bench.reopen()
    staging = bench.commit.stage(entries(TWO))
    assert staging.resume_at(0) == 0
    bench.push(TWO)
    assert bench.held(1) == TWO


def put(staging, bank: bytes, *places: int) -> None:
    """Pieces of the stream `bank`, of PIECE bytes each."""
    for at in places:
        staging.put(at, memoryview(bank)[at : at + PIECE])


@pytest.mark.parametrize("first", [0, PIECE, 2 * PIECE])
@pytest.mark.parametrize("pieces", [1, 2, 20])
def test_after_a_bad_read_back_nothing_that_came_before_it_counts(pieces, first):
    """A stream of which a piece is missing, with `pieces` behind it: they may be what is bad."""
    whole = Bench()
    original = whole.stage(TWO)
    bank = whole.cells[SMALL.bank_base :][: original.total]
    bench = Bench()
    staging = bench.commit.stage_stream(original.total, original.digest)
    places = range(0, original.total, PIECE)
    put(staging, bank, *[at for at in places if at < first])
    put(staging, bank, *[at for at in places if at > first][:pieces])
    with pytest.raises(HsxError) as caught:
        finish(staging.end())
    assert errno(caught) == EBADMSG
    assert staging.done == bench.store.staging.progress == 0
    for at in places:
        put(staging, bank, at)
        assert staging.done == min(at + PIECE, original.total)
    bench.commit.commit(staging)
    assert bench.held(1) == TWO


def test_bytes_that_are_not_the_digest_s_are_found_by_the_read_back():
    bench = Bench()
    images = entries(ONE)
    images[1].sha256 = bytes(32)
    staging = bench.commit.stage(images)
    for index, data in enumerate(ONE):
        staging.write(index, 0, memoryview(data))
    with pytest.raises(HsxError) as caught:
        bench.commit.commit(staging)
    assert errno(caught) == EBADMSG


def test_a_good_read_back_is_not_done_twice():
    bench = Bench()
    staging = bench.stage(TWO)
    finish(staging.end())
    assert staging.verified
    bench.part.memory[SMALL.bank_base + FIRST + 3] ^= 1
    bench.commit.commit(staging)  # and the boot finds it: no app starts before its set is checked
    assert bench.reset() == 0


def test_the_epoch_of_a_set_is_the_lowest():
    bench = Bench()
    images = [an_image(f"a{n}", b"x", epoch=epoch) for n, epoch in enumerate((4, 2, 9))]
    staging = bench.commit.stage(images)
    for index in range(3):
        staging.write(index, 0, memoryview(b"x"))
    finish(staging.end())
    assert staging.epoch == 2


@pytest.mark.parametrize(
    ("index", "offset", "count", "number"),
    [(3, 0, 1, EINVAL), (-1, 0, 1, EINVAL), (0, 110, 1, ENOSPC), (0, -1, 1, ENOSPC)],
)
def test_what_is_not_the_set_s_is_refused_and_not_written(index, offset, count, number):
    bench = Bench()
    staging = bench.commit.stage(entries(TWO))
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        staging.write(index, offset, memoryview(bytes(count)))
    assert errno(caught) == number
    assert bench.cells == before


@pytest.mark.requirement("P-65")
def test_a_part_without_banks_has_room_for_no_set():
    bench = Bench(Medium(bytearray(b"\xff" * 0x2000)), None)
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        bench.commit.stage(entries(ONE))
    assert errno(caught) == ENOSPC
    assert bench.cells == before
