# SPDX-License-Identifier: MIT
"""What pyproject.toml cannot express: packages below two roots, and the C core built by cffi."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages("firmware", include=["hsx", "hsx.*"]),
        *find_packages("tools", include=["hsxctl", "hsxctl.*"]),
        "hsxvm",
    ],
    cffi_modules=["firmware/native/bindings/cffi_build.py:ffibuilder"],
    # cffi builds for the stable ABI of the oldest Python that pyproject.toml allows.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
