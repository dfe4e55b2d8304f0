# SPDX-License-Identifier: MIT
"""Every runner has the one interface of `contracts.Runner`, whatever it runs over."""

import inspect

import pytest

from fakes import machine, machine_can, pyb
from hsx.transport import can_machine, can_pyb, can_slcan
from transport.stub_engine import StubEngine


def over_pyb(engine):
    return can_pyb.CanRunner(lambda: pyb.CAN(1, pyb.CAN.NORMAL), engine)


def over_machine(engine):
    return can_machine.CanRunner(lambda: machine_can.CAN(1, 500_000), engine)


def over_slcan(engine):
    return can_slcan.SlcanRunner(machine.UART(3, 115200, rxbuf=512), engine)


@pytest.fixture(params=[over_pyb, over_machine, over_slcan])
def runner(request):
    machine.sim_power_on()
    return request.param(StubEngine())


@pytest.mark.requirement("P-66")
def test_runner_has_the_calls_of_the_interface_and_no_others(runner):
    public = {name for name in dir(runner) if not name.startswith("_")}
    assert public == {"name", "open", "poll", "close", "stats"}
    takes = {
        call: list(inspect.signature(getattr(runner, call)).parameters)
        for call in public - {"name"}
    }
    assert takes == {"open": [], "poll": ["now"], "close": [], "stats": []}


@pytest.mark.requirement("P-66")
def test_runner_opens_polls_and_closes_again_and_again(runner):
    for _ in range(3):
        runner.open()
        assert runner.poll(0) == 100
        assert all(isinstance(count, int) for count in runner.stats().values())
        runner.close()
