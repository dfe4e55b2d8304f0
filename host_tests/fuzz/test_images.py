# SPDX-License-Identifier: MIT
"""Mutations of golden images through the whole node: loaded in pieces, run, killed.

What the image layer says of the whole file and what the node says of its pieces is the same, and
whatever the image does while it runs, nothing is left of it.
"""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bench.node import NodeBench
from fuzz import seeds
from hsx.errors import ENOSPC, HsxError
from hsx.image.build import seal
from hsx.image.verify import verify

POOL = 128 * 1024
SLICES = 3
SMALL = sorted(image for image in seeds.images().values() if len(image) < 600)

an_edit = st.tuples(st.integers(0, 599), st.binary(max_size=6), st.booleans())


@st.composite
def a_mutated_image(draw) -> bytes:
    """Bytes put over others or between them, and often a checksum that is right."""
    raw = bytearray(draw(st.sampled_from(SMALL)))
    for at, new, keep_size in draw(st.lists(an_edit, max_size=5)):
        raw[at : at + len(new) if keep_size else at] = new
    return seal(bytes(raw)) if draw(st.booleans()) else bytes(raw)


def verdict(image: bytes) -> tuple:
    """(0, 0), or errno and rule, as verify() finds them."""
    left = memoryview(image)

    def readinto(view) -> int:
        nonlocal left
        count = min(len(view), len(left))
        view[:count] = left[:count]
        left = left[count:]
        return count

    try:
        verify(readinto, bytearray(64))
    except HsxError as refused:
        return refused.errno, refused.rule
    return 0, 0


def load_and_run(bench: NodeBench, image: bytes, cuts: list) -> tuple:
    """The same of the node; what it accepts is run for some slices and killed."""
    view = memoryview(image)
    edges = sorted({0, len(image), *(cut % (len(image) + 1) for cut in cuts)})
    loading = bench.node.load_begin("test")
    try:
        for start, end in itertools.pairwise(edges):
            loading.write(view[start:end])
        pid = loading.end()
    except HsxError as refused:
        return refused.errno, refused.rule
    bench.node.start(pid)
    bench.poll(SLICES)
    bench.node.kill(pid)
    return 0, 0


@given(a_mutated_image(), st.lists(st.integers(0, 700), max_size=12), st.booleans())
def test_any_image_gets_one_verdict_in_any_pieces_and_leaves_nothing(image, cuts, flat):
    bench = NodeBench(pool=POOL, flat=flat)
    whole = verdict(image)
    pieces = load_and_run(bench, image, cuts)
    assert pieces == whole or (whole == (0, 0) and pieces[0] == ENOSPC)
    assert bench.state() == bench.idle
