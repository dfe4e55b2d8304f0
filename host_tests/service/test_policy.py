# SPDX-License-Identifier: MIT
"""policy: what a node has against what an image needs."""

import io

import pytest

from bench.images import an_image
from bench.node import NodeBench
from hsx.errors import EBADMSG, ENOSPC, ENOTSUP, HsxError
from hsx.image.build import info_section
from hsx.image.metadata import Info
from hsx.image.verify import verify
from hsx.service.policy import Policy

ABI = 0x10000  # of the node
HAS = 0x01 | 0x02 | 0x08 | 0x10  # of a NodeBench


def judge(image: bytes, version: str = "", header_only: bool = False) -> HsxError | None:
    header, metadata, _ = verify(io.BytesIO(image).readinto, bytearray(64))
    try:
        admission = Policy(NodeBench().node.svc).admission(version)
        admission.begin(header, bytearray(96))
        if not header_only:
            admission.end(metadata)
    except HsxError as error:
        return error
    return None


def with_info(version: str = "", abi: int = 0) -> bytes:
    return an_image(sections=(info_section(Info(version, 0, abi, 0, 0)),))


@pytest.mark.requirement("P-26")
@pytest.mark.parametrize("header_only", [True, False])
@pytest.mark.parametrize("caps", [*range(32), 0x8000, 0xFFFF])
def test_every_capability_that_the_node_lacks_is_named(caps, header_only):
    refused = judge(an_image(req_caps=caps), header_only=header_only)
    missing = caps & ~HAS
    if not missing:
        assert refused is None
        return
    assert refused.errno == ENOTSUP
    assert refused.detail == f"the node lacks capabilities {missing:#x}"


@pytest.mark.requirement("P-27")
@pytest.mark.parametrize(
    ("abi", "admitted"),
    [
        (0, True),
        (ABI, True),
        (ABI + 1, False),
        (0x20000, False),
        (0xFFFFFFFF, False),
        (0x00FFFF, False),
        (1, False),
    ],
)
def test_an_app_of_another_major_or_a_later_minor_is_refused(abi, admitted):
    refused = judge(with_info(abi=abi))
    assert (refused is None) == admitted
    if refused:
        assert refused.errno == ENOTSUP
        assert refused.detail == (
            f"the app needs ABI {abi >> 16}.{abi & 0xFFFF}, the node has 1.0"
        )


def test_without_metadata_only_the_header_is_judged():
    assert judge(with_info("1.0", ABI + 1), "2.0", header_only=True) is None


@pytest.mark.parametrize(
    ("said", "version", "admitted"),
    [("1.0", "1.0", True), ("1.0", "", True), ("", "1.0", True), ("1.0", "1.0.0", False)],
)
def test_a_version_that_the_manifest_tells_otherwise_is_refused(said, version, admitted):
    refused = judge(with_info(said), version)
    assert (refused is None) == admitted
    if refused:
        assert refused.errno == EBADMSG


def test_an_image_that_says_nothing_runs_under_any_version():
    assert judge(an_image(), "1.0") is None


@pytest.mark.parametrize("rodata", [0, 32])
@pytest.mark.parametrize("bss", [0, 24])
@pytest.mark.parametrize("over", [0, 1])
def test_rodata_bss_and_heap_share_the_limit_of_data(rodata, bss, over):
    """Whether the image asks for the heap, or whoever loads it."""
    sections = (info_section(Info("", 0, 0, 0, 100 + over)),)
    for more, options in (({"sections": sections}, {}), ({}, {"heap": 100 + over})):
        bench = NodeBench()
        policy = Policy(bench.node.svc)
        policy.max_data = rodata + bss + 100
        image = an_image(rodata=bytes(rodata), bss_size=bss, **more)
        if not over:
            assert bench.load(image, admission=policy.admission(), **options) == 1
            continue
        with pytest.raises(HsxError) as caught:
            bench.load(image, admission=policy.admission(), **options)
        assert caught.value.errno == ENOSPC
        assert caught.value.detail == f"data: {policy.max_data + 1}, at most {policy.max_data}"
        assert bench.state() == bench.idle


@pytest.mark.parametrize(("stack", "admitted"), [(0, True), (512, True), (513, False)])
def test_a_stack_above_the_limit_is_refused(stack, admitted):
    bench = NodeBench()
    policy = Policy(bench.node.svc)
    policy.max_stack = 512
    if admitted:
        assert bench.load(an_image(), admission=policy.admission(), stack=stack) == 1
        return
    with pytest.raises(HsxError) as caught:
        bench.load(an_image(), admission=policy.admission(), stack=stack)
    assert (caught.value.errno, caught.value.detail) == (ENOSPC, "stack: 513, at most 512")
    assert bench.state() == bench.idle
