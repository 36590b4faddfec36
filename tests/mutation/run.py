#!/usr/bin/env python3
"""Plants small faults into a copy of the library, one after the other, and says which of them the tests notice.

A fault is noticed when an assertion fails; a crash counts too and is marked, a run that takes too long does not count.
"""

import argparse
import pathlib
import sys

from faults import FaultError, planted, read_faults, with_fault
from scratch import ROOT, BuildError, Scratch
from suite import Suite

HERE = pathlib.Path(__file__).resolve().parent


def read_results(path):
    if not path.is_file():
        return {}
    return dict(line.split("\t")[:2] for line in path.read_text().splitlines() if "\t" in line)


def try_fault(fault, scratch, suite, jobs):
    """How it ended, in a word or two, and by which test."""
    try:
        with planted(scratch.folder, fault):
            scratch.build(jobs)
            return suite.run(fault.room)
    except FaultError as error:
        return "not found", str(error)
    except BuildError as error:
        return "does not compile", "\n" + str(error)


def is_noticed(outcome):
    return outcome in ("noticed", "noticed (crash)")


def print_score(faults, results):
    rooms = {}
    for fault in faults:
        outcome = results.get(fault.title, "not run")
        rooms.setdefault(fault.room, []).append(outcome)
    print("\nroom          noticed  of  score")
    for room, outcomes in [*sorted(rooms.items()), ("all", [o for some in rooms.values() for o in some])]:
        noticed = sum(map(is_noticed, outcomes))
        print(f"{room:13} {noticed:7} {len(outcomes):3} {100 * noticed / len(outcomes):5.1f} %")
    print()
    for fault in faults:
        outcome = results.get(fault.title, "not run")
        if not is_noticed(outcome):
            print(f"{outcome}: {fault.name} {fault.title} ({fault.file})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*",
                        help="rooms (state), faults (state.3) or parts of their titles; all unless given")
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "build/mutation", help="where the copy stands")
    parser.add_argument("--cases", type=int, default=10_000, help="of the stack fuzzer, when nothing else has noticed")
    parser.add_argument("--jobs", type=int, default=1, help="of the compiler")
    parser.add_argument("--resume", action="store_true", help="keep what earlier runs in this scratch folder noticed")
    parser.add_argument("--check", action="store_true", help="only look whether the lines of all faults are found")
    arguments = parser.parse_args()

    every = [fault for path in sorted(HERE.glob("*.faults")) for fault in read_faults(path)]
    faults = [fault for fault in every if fault.is_selected_by(arguments.names)]
    if not faults:
        parser.error("no such fault")
    wrong = 0
    for fault in faults:
        try:
            with_fault(ROOT, fault)
        except FaultError as error:
            print(error)
            wrong += 1
    if arguments.check or wrong:
        return 1 if wrong else 0

    scratch = Scratch(arguments.scratch, "-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O0")
    scratch.build(arguments.jobs)
    suite = Suite(scratch, arguments.cases)
    outcome, by = suite.run("")
    if outcome != "unnoticed":
        print(f"without a fault the tests are not green: {outcome}, {by}")
        return 2

    log = arguments.scratch / "results.txt"
    earlier = read_results(log)
    results = {}
    for fault in faults:
        if arguments.resume and is_noticed(earlier.get(fault.title, "")):
            results[fault.title] = earlier[fault.title]
            continue
        outcome, by = try_fault(fault, scratch, suite, arguments.jobs)
        results[fault.title] = outcome
        with log.open("a") as lines:
            lines.write(f"{fault.title}\t{outcome}\t{by.splitlines()[0] if by else ''}\n")
        print(f"{fault.name:14} {outcome:16} {fault.title}{': ' + by if by else ''}", flush=True)
    print_score(faults, results)
    return 0 if all(is_noticed(outcome) for outcome in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
