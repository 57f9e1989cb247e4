"""Build of the compiled modules; everything else is in pyproject.toml."""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

# release: what users get.  debug: bounds checks, asserts, -O0.  asan: debug + sanitizers.
PROFILE = os.environ.get("VSWITCH_BUILD", "release")

WARN = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden"]
CFLAGS = {
    "release": ["-O3", "-g1", "-DNDEBUG"],
    "debug": ["-O0", "-g3", "-UNDEBUG"],
    "asan": ["-O1", "-g3", "-UNDEBUG", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"],
}[PROFILE]
CFLAGS += os.environ.get("VSWITCH_CFLAGS", "").split()  # e.g. -march=native, for benchmarks
LDFLAGS = ["-fsanitize=address,undefined"] if PROFILE == "asan" else []

checked = PROFILE != "release"
DIRECTIVES = {
    "language_level": 3,
    "embedsignature": True,
    "embedsignature.format": "python",
    "boundscheck": checked,
    "wraparound": False,
    "initializedcheck": checked,
    "cdivision": True,
    "auto_pickle": False,
    "show_performance_hints": True,
}


def extension(name: str, sources: list[str]) -> Extension:
    return Extension(
        f"vswitch.{name}",
        sources=[f"vswitch/{name}.pyx", *sources],
        include_dirs=["vswitch"],
        define_macros=[("_GNU_SOURCE", "1"), ("VSW_PROFILE", f'"{PROFILE}"')],
        # Cython tracks the headers it is told about; the .c files include more.
        depends=glob("vswitch/datapath/*.h"),
        extra_compile_args=WARN + CFLAGS,
        extra_link_args=LDFLAGS,
    )


setup(
    ext_modules=cythonize(
        [
            extension("_fastpath", []),
            extension("_guarding", []),
            extension("_guest", ["vswitch/datapath/mapping.c"]),
            extension("_inject", []),
            extension("_memory", []),
            extension("_mirror", []),
            extension("_neigh", []),
            extension("_rules", []),
            extension("_ports", sorted(glob("vswitch/datapath/port_*.c"))),
            extension("_tables", []),
        ],
        build_dir=f"build/cython-{PROFILE}",
        compiler_directives=DIRECTIVES,
        annotate=bool(os.environ.get("VSWITCH_ANNOTATE")),
    )
)
