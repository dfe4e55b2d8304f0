# SPDX-License-Identifier: MIT
"""What is read from a linker's map."""

import shutil
import subprocess

import pytest

from measure import linker_map

MAP = """\
Archive member included to satisfy reference by file (symbol)

 .text          0x00000000      0x999 before/the/map.o
Linker script and memory map

 .text.short    0x00000100       0x10 a/vm.o
 .text.a_name_that_needs_a_line_of_its_own
                0x00000110       0x20 a/vm.o
                0x00000110                a_symbol
 .rodata.ops    0x00000130        0x4 a/vm.o
 *fill*         0x00000134        0x2
 .data.counter  0x20000000        0x8 a/vm.o
 .bss.table     0x20000008       0x40 a/vm.o
 COMMON         0x20000048        0x1 a/vm.o
 .debug_info    0x00000000     0x1000 a/vm.o
 .text          0x00000200       0x30 /lib/libgcc.a(_udivmoddi4.o)
"""


@pytest.fixture
def sizes(tmp_path):
    path = tmp_path / "firmware.map"
    path.write_text(MAP)
    return linker_map.read(path)


def test_flash_is_code_constants_and_the_first_content_of_variables(sizes):
    assert sizes["a/vm.o"].flash == 0x10 + 0x20 + 0x4 + 0x8


def test_ram_is_variables(sizes):
    assert sizes["a/vm.o"].ram == 0x8 + 0x40 + 0x1


def test_a_member_of_an_archive_is_an_object_too(sizes):
    assert sizes["/lib/libgcc.a(_udivmoddi4.o)"].flash == 0x30
    assert set(sizes) == {"a/vm.o", "/lib/libgcc.a(_udivmoddi4.o)"}


FROZEN = """\
Linker script and memory map

 .rodata.fun_data_hsx_link_wire_Reader_more
                0x00000100       0x20 a/frozen_content.o
 .rodata.children_hsx_link_wire__lt_module_gt_ 0x00000120        0x4 a/frozen_content.o
 .rodata.fun_data_hsx_linked_far        0x00000124       0x10 a/frozen_content.o
 .bss.hsx_link_wire_state        0x20000000       0x10 a/frozen_content.o
"""


def test_frozen_modules_of_a_folder_are_known_by_the_names_of_their_sections(tmp_path):
    path = tmp_path / "firmware.map"
    path.write_text(FROZEN)
    assert linker_map.frozen(path, "hsx.link") == 0x24
    assert linker_map.frozen(path, "hsx.store") == 0


GCC, AR = "arm-none-eabi-gcc", "arm-none-eabi-ar"


@pytest.mark.skipif(shutil.which(GCC) is None, reason=f"{GCC} is not installed")
def test_what_an_object_pulls_from_a_library_includes_what_that_pulls(tmp_path):
    sources = {
        "core": "int first(void); int core(void) { return first(); }",
        "first": "int second(void); int first(void) { return second(); }",
        "second": "int second(void) { return 2; }",
        "other": "int other(void) { return 3; }",
    }
    for name, text in sources.items():
        (tmp_path / f"{name}.c").write_text(text)
        subprocess.run([GCC, "-c", f"{name}.c"], cwd=tmp_path, check=True)
    members = ["first.o", "second.o", "other.o"]
    subprocess.run([AR, "rcs", "libx.a", *members], cwd=tmp_path, check=True)
    linked = {f"{tmp_path}/libx.a({name})": linker_map.Sizes() for name in members}
    found = linker_map.pulled([f"{tmp_path}/core.o"], linked, "libx.a(")
    assert found == [f"{tmp_path}/libx.a(first.o)", f"{tmp_path}/libx.a(second.o)"]
