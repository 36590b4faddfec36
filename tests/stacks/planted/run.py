#!/usr/bin/env python3
"""Plants faults into a copy of the library and shows that the stack fuzzer finds them.

The faults stand in `*.faults` beside this file, each with the check that has to find it, and with the features that
are switched off for it where the check would speak without the fault as well. When the library changes and the lines
of one are no longer found, the script says so: adapt the fault. A fault counts as found when its check fails clearly
more often than in the copy without it.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "mutation"))
from faults import FaultError, planted, read_faults  # noqa: E402
from scratch import ROOT, BuildError, Scratch  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def run(scratch, cases, without):
    """How often each check failed, and its first seed."""
    environment = dict(os.environ, BACKSTOP_STACKS_CASES=str(cases), BACKSTOP_STACKS_SHRINK="1")
    off = ",".join(filter(None, [environment.get("BACKSTOP_STACKS_WITHOUT", ""), without]))
    if off:
        environment["BACKSTOP_STACKS_WITHOUT"] = off
    ended = subprocess.run([scratch.tests, "random stacks keep the promises of their parts"], env=environment,
                           capture_output=True, text=True, errors="replace")
    found = re.findall(r"^([a-z-]+): (\d+) cases, first with seed (\d+)$", ended.stderr, re.MULTILINE)
    return {check: (int(count), int(seed)) for check, count, seed in found}


def is_more(count, usual):
    return count > 3 * usual + 2 or (usual == 0 and count > 0)


def try_fault(fault, scratch, cases, usual):
    """Whether its check found it, and in words what came of it."""
    check = fault.fields["check"]
    try:
        with planted(scratch.folder, fault):
            scratch.build()
            found = run(scratch, cases, fault.fields.get("without", ""))
    except FaultError as error:
        return False, str(error)
    except BuildError as error:
        return False, f"does not compile:\n{error}"
    before = usual.get(check, (0, 0))[0]
    count, seed = found.get(check, (0, 0))
    is_found = is_more(count, before)
    text = f"{check:22} {'found' if is_found else 'MISSED':6} in {count} cases (without the fault in {before})"
    if is_found:
        text += f", first with seed {seed}"
    others = [other for other in sorted(found) if other != check and
              is_more(found[other][0], usual.get(other, (0, 0))[0])]
    return is_found, text + (f"; also {', '.join(others)}" if others else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="of faults, which is the beginning of their titles; all unless given")
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "build/planted", help="where the copy stands")
    parser.add_argument("--cases", type=int, default=20_000)
    arguments = parser.parse_args()

    faults = [fault for path in sorted(HERE.glob("*.faults")) for fault in read_faults(path)]
    faults = [fault for fault in faults if fault.is_selected_by(arguments.names)]
    if not faults:
        parser.error("no such fault")
    scratch = Scratch(arguments.scratch, "-DCMAKE_BUILD_TYPE=Release", "-DBACKSTOP_TEST_ROOMS=stacks")
    scratch.build()
    usual = {}  # by the features switched off
    missed = []
    for fault in faults:
        without = fault.fields.get("without", "")
        if without not in usual:
            usual[without] = run(scratch, arguments.cases, without)
        is_found, text = try_fault(fault, scratch, arguments.cases, usual[without])
        name = fault.title.split(":")[0]
        print(f"{name:24} {text}", flush=True)
        if not is_found:
            missed.append(name)
    print(f"{len(faults) - len(missed)} of {len(faults)} found by their check in {arguments.cases} cases"
          f"{'; missed: ' + ', '.join(missed) if missed else ''}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
