# SPDX-License-Identifier: MIT
"""Runs ON a node with FRAM: how much heap an update needs while it is under way."""

import gc

import hsx
from hsx.service.provisioning import describe

_LOOK = const(16)  # noqa: F821  MicroPython's compiler knows `const`; chunks between two looks
_CHUNK = const(256)  # noqa: F821  bytes, as the REPL reads a file


def live():
    """Bytes of the heap that something holds."""
    gc.collect()
    return gc.mem_alloc()


def update(paths):
    """Stages the images at `paths` and commits them; the most bytes of heap that it held."""
    runtime = hsx.runtime()
    runtime.stop()  # polls and apps are no part of it
    provisioning = runtime.provisioning
    before = live()
    most = before
    buf = memoryview(bytearray(_CHUNK))
    images = []
    for path in paths:
        with open(path, "rb") as file:
            images.append(describe(runtime.service.policy, file.readinto, path, buf))
    most = max(most, live())
    staging = provisioning.stage(images, True)
    count = 0
    for index, path in enumerate(paths):
        at = 0
        with open(path, "rb") as file:
            while True:
                got = file.readinto(buf)
                if not got:
                    break
                staging.write(index, at, buf[:got])
                at += got
                count += 1
                if count % _LOOK == 0:
                    most = max(most, live())
    for _ in provisioning.end_staging(staging):
        count += 1
        if count % _LOOK == 0:
            most = max(most, live())
    provisioning.store.commit.commit(staging)
    return max(most, live()) - before
