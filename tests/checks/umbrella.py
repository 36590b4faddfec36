"""Prints what including <backstop/backstop.hpp> costs a user's compiler.

It is compared to <fmt/format.h> with the standard headers that the library's own headers name: user time of the compiler
for a file with nothing else in it, in turns, the medians of the runs. The goal is 1.5 times at most. A busy machine
makes the figures uncertain, so they are printed and nothing fails by them.

Usage: umbrella.py PROJECT COMPILER [--runs N] [--include FOLDER;FOLDER]
"""

import argparse
import pathlib
import re
import resource
import statistics
import subprocess
import tempfile

GOAL = 1.5


def headers_of(base, name, seen):
    """The standard headers that a header of the library names, and those that it includes."""
    if name in seen:
        return set()
    seen.add(name)
    found = set()
    for header in re.findall(r'^#include [<"]([^>"]+)[>"]', (base / name).read_text(encoding="utf-8"), re.MULTILINE):
        if header.startswith("backstop/"):
            found |= headers_of(base, header, seen)
        elif re.fullmatch(r"[a-z0-9_]+", header):
            found.add(header)
    return found


def user_time(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=pathlib.Path)
    parser.add_argument("compiler")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--include", default="")
    options = parser.parse_args()

    base = options.project / "include"
    standard = sorted(headers_of(base, "backstop/backstop.hpp", set()))
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = pathlib.Path(folder, "ours.cpp"), pathlib.Path(folder, "theirs.cpp")
        ours.write_text("#include <backstop/backstop.hpp>\n", encoding="utf-8")
        theirs.write_text("".join(f"#include <{name}>\n" for name in [*standard, "fmt/format.h"]), encoding="utf-8")
        command = [options.compiler, "-std=c++20", "-O0", "-fsyntax-only", f"-I{base}"]
        command += [f"-I{name}" for name in options.include.split(";") if name]
        times = {ours: [], theirs: []}
        for _ in range(options.runs):
            for file, runs in times.items():
                runs.append(user_time([*command, str(file)]))
    ours, theirs = (statistics.median(runs) for runs in times.values())
    print(f"<backstop/backstop.hpp>: {ours:.2f} s; <fmt/format.h> and {len(standard)} standard headers: {theirs:.2f} s; "
          f"{ours / theirs:.2f} times (goal: {GOAL}), medians of {options.runs} runs")


if __name__ == "__main__":
    main()
