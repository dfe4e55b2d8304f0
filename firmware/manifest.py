# SPDX-License-Identifier: MIT
# What every board freezes: the package, without the parts that only hosts need.
import os

HOST_ONLY = (
    "image/build.py",
    "link/can_client.py",
    "link/can_framing.py",
    "link/can_master.py",
    "link/host_messages.py",
    "link/uart_master.py",
)


def files(root):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if name.endswith(".py") and path not in HOST_ONLY:
                yield path


package("hsx", tuple(sorted(files("hsx"))), base_path=".")  # noqa: F821  MicroPython's manifest language
