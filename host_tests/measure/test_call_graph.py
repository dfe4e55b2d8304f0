# SPDX-License-Identifier: MIT
"""How deep the stack gets."""

import pytest

from measure.call_graph import CallGraph


def node(name: str, frame: int, kind: str = "static") -> str:
    return f'node: {{ title: "{name}" label: "{name}\\na.c:1:2\\n{frame} bytes ({kind})" }}\n'


def outside(name: str) -> str:
    return f'node: {{ title: "{name}" label: "{name}\\na.h:1:2" shape : ellipse }}\n'


def edge(caller: str, callee: str) -> str:
    return f'edge: {{ sourcename: "{caller}" targetname: "{callee}" label: "a.c:3:4" }}\n'


@pytest.fixture
def graph(tmp_path):
    def read(*files: str) -> CallGraph:
        paths = []
        for n, text in enumerate(files):
            paths.append(tmp_path / f"{n}.ci")
            paths[-1].write_text(text)
        return CallGraph(paths)

    return read


def test_the_deepest_chain_is_the_one_with_most_bytes_not_most_calls(graph):
    calls = graph(
        node("top", 8) + node("a", 4) + node("b", 4) + node("large", 40),
        edge("top", "a") + edge("a", "b") + edge("top", "large"),
    )
    assert calls.deepest("top") == ["top", "large"]
    assert calls.depth(["top", "large"]) == 48


def test_calls_go_from_file_to_file(graph):
    calls = graph(
        node("top", 8) + outside("callee") + edge("top", "callee"),
        node("callee", 16),
    )
    assert calls.depth(calls.deepest("top")) == 24


def test_a_routine_without_a_frame_is_named(graph):
    calls = graph(node("top", 8) + outside("__aeabi_x") + edge("top", "__aeabi_x"))
    assert calls.unknown() == ["__aeabi_x"]
    assert calls.depth(calls.deepest("top")) == 8


def test_only_what_the_roots_reach_is_named(graph):
    calls = graph(
        node("top", 8) + edge("top", "middle") + node("middle", 8) + edge("middle", "far"),
        node("other", 8) + edge("other", "elsewhere"),
    )
    assert calls.unknown(["top"]) == ["far"]
    assert calls.unknown() == ["elsewhere", "far"]


def test_recursion_has_no_depth(graph):
    calls = graph(node("a", 8) + node("b", 8) + edge("a", "b") + edge("b", "a"))
    with pytest.raises(ValueError, match="calls itself"):
        calls.deepest("a")


def test_a_frame_that_is_not_fixed_is_refused(graph):
    with pytest.raises(ValueError, match="not fixed"):
        graph(node("a", 8, "dynamic"))
