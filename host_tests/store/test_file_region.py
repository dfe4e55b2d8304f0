# SPDX-License-Identifier: MIT
import pytest

from hsx.errors import EIO, HsxError
from hsx.store.file_region import FileRegion


def test_missing_file_is_made_as_a_new_part_reads(tmp_path):
    path = tmp_path / "store"
    region = FileRegion(str(path), 700)
    region.write(3, b"abc")
    assert path.read_bytes() == b"\xff" * 3 + b"abc" + b"\xff" * 694
    region.close()
    again = FileRegion(str(path))
    assert again.size == 700
    again.close()


def test_read_only_file_is_not_written(tmp_path):
    path = tmp_path / "store"
    path.write_bytes(b"1234")
    region = FileRegion(str(path), read_only=True)
    with pytest.raises(HsxError) as caught:
        region.write(0, b"x")
    assert caught.value.errno == EIO
    region.close()
    assert path.read_bytes() == b"1234"


def test_missing_file_without_a_size_is_the_filesystems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileRegion(str(tmp_path / "none"))


def test_file_that_was_cut_short_behind_our_back_is_eio(tmp_path):
    path = tmp_path / "store"
    path.write_bytes(b"1234")
    region = FileRegion(str(path))
    path.write_bytes(b"12")
    with pytest.raises(HsxError) as caught:
        region.readinto(0, bytearray(4))
    assert caught.value.errno == EIO
    region.close()
