"""Checks that the library reads time through its clocks alone, so that tests can stand in for them: no source or header
but runtime/clock names a clock of the machine or sleeps, and no object file but that one refers to them (of a unity
build, none is looked at). [scenario-210]

Arguments: the project's folder; nm and the static library, where there is one.
"""

import pathlib
import re
import subprocess
import sys

IN_SOURCE = re.compile(r"\b\w*[cC]lock(_type)?\s*::\s*now\b|\bclock_gettime\b|\bgettimeofday\b|\btimespec_get\b|\bsleep_for\b"
                       r"|\bthis_thread\s*::\s*sleep_until\b|\b(std::)?time\s*\(\s*(nullptr|NULL|0)\s*\)|\bstd::clock\s*\(")
IN_OBJECT = re.compile(r"(_ZNSt6chrono3_V212(steady|system)_clock3nowEv|_ZNSt3__1\d+chrono12(steady|system)_clock3nowEv|clock_gettime|gettimeofday|time|clock|timespec_get"
                       r"|nanosleep|usleep|sleep)$")


def in_sources(root):
    for base in (root / "include/backstop", root / "src"):
        for path in sorted(base.rglob("*")):
            if path.suffix not in (".hpp", ".cpp") or path.relative_to(base).with_suffix("").as_posix() == "runtime/clock":
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if IN_SOURCE.search(line.split("//")[0]):
                    yield f"{path.relative_to(root)}:{number}: {line.strip()}"


def in_objects(nm, library):
    listing = subprocess.run([nm, "-A", "--undefined-only", library], check=True, capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        where, undefined, symbol = line.rpartition(" U ")
        if not undefined:
            continue
        object_file = where.split(":")[-2]
        if IN_OBJECT.match(symbol.partition("@")[0]) and not object_file.startswith(("clock.cpp", "unity_")):
            yield f"{object_file}: refers to {symbol}"


def main():
    root, *rest = sys.argv[1:]
    errors = list(in_sources(pathlib.Path(root)))
    if len(rest) == 2 and rest[1].endswith(".a"):
        errors += in_objects(*rest)
    print("\n".join(errors) or "time is read in runtime/clock alone")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
