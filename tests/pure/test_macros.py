"""Macros of the headers beside a kernel, whichever cross compiler is there."""

from __future__ import annotations

import shutil

import pytest

from shrimpy.kernel import macros

SOURCES = {
    "types.h": "#include <stdint.h>\n#include <stddef.h>\ntypedef uint64_t uint64;\n#define TOP UINT64_MAX\n",
    "memlayout.h": '#include <assert.h>\n#include <sys/cdefs.h>\n#include "gone.h"\n#include <string.h>\n'
                   "#define FRY (1L << 12)\n#define SHRIMP (FRY - 1)\n",
}


@pytest.mark.parametrize("compiler", [prefix + "gcc" for prefix in macros.CROSS_PREFIXES])
def test_headers_of_a_c_library_need_not_be_there(compiler, tmp_path, monkeypatch):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    monkeypatch.setattr(macros, "CROSS_COMPILERS", (compiler,))
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text)
    found = macros.from_headers(tmp_path, ["FRY"])
    assert [macros.value(name, found) for name in ("FRY", "SHRIMP", "TOP")] == [1 << 12, (1 << 12) - 1, (1 << 64) - 1]


def test_a_macro_of_the_compilers_command_line_counts():
    """As `info macros` lists them."""
    found = macros.listed("-DRAM_MIB=32\n-DNDEBUG\n#define TOP (RAM_MIB << 20)\n")
    assert macros.value("TOP", found) == 32 << 20 and "NDEBUG" in found
