# SPDX-License-Identifier: MIT
"""What the board says and what the configuration says, when a node is made of both."""

import pytest

from bench.runtime import Board
from hsx.boot import wiring
from hsx.service.policy import OFF, REQUIRE, WARN, Policy

LEVELS = ("off", "warn", "require")


class Bare(Board):
    """A board without a console, a store, a flash file system and links. `boot`: its BOOT;
    `rules`: what its policy() configures."""

    def __init__(self, boot: tuple = (), rules: dict | None = None) -> None:
        super().__init__(hard=True)
        self.BOOT = boot
        self.rules = rules or {}

    def console(self) -> None:
        return None

    def fram(self) -> None:
        return None

    def policy(self, policy: Policy) -> None:
        policy.configure(self.rules)

    def links(self, links) -> list:
        return []

    def mount_flash(self, root: str) -> None:
        raise OSError(19)

    def sdcard_present(self) -> bool:
        return False


def policy_of(boot: tuple, rules: dict) -> Policy:
    return wiring.build(Bare(boot, rules)).service.policy


@pytest.mark.parametrize("key", ["signatures", "commands"])
@pytest.mark.parametrize("board", [OFF, WARN, REQUIRE])
@pytest.mark.parametrize("configured", [None, *LEVELS])
def test_the_stricter_of_board_and_configuration_counts(key, board, configured):
    boot = () if configured is None else ((key, configured),)
    policy = policy_of(boot, {key: board})
    asked = LEVELS.index(configured or "off")
    assert getattr(policy, key) == max(board, asked)


@pytest.mark.parametrize(("key", "none"), [("number", 127), ("network", 0)])
def test_a_configuration_that_says_nothing_leaves_what_the_board_says(key, none):
    assert getattr(policy_of((), {}), key) == none
    assert getattr(policy_of((), {key: 5}), key) == 5
    assert getattr(policy_of(((key, 7),), {key: 5}), key) == 7
