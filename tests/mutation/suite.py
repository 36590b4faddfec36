"""The tests as they are run against a fault: those of its room first, then the others, at last the stack fuzzer."""

import os
import re
import subprocess

# Long runs, and tests of real time: they would notice, but not soon.
SLOW = ("simulated_day_test", "stress_test", "failover_bench_test", "odd_streams_test")
FUZZER = "random stacks keep the promises of their parts"
# Rooms whose tests stand in folders of other names.
FOLDERS = {"call": ("fallback",), "client": ("fallback",), "handover": ("handover", "chat")}
TIME_LIMIT = 120  # seconds for each part; a whole run without a fault takes a fifth of it


class Suite:
    def __init__(self, scratch, cases):
        self._program = scratch.tests
        self._cases = cases
        self._files = {}  # by folder, as tags
        for file in sorted((scratch.folder / "tests").rglob("*_test.cpp")):
            folder = file.relative_to(scratch.folder / "tests").parts[0]
            if folder not in ("bench", "checks", "consumer", "fuzz", "readme", "real_model") and file.stem not in SLOW:
                self._files.setdefault(folder, []).append(f"[#{file.stem}]")

    def run(self, room):
        """`unnoticed`, or how it was noticed and by which test."""
        own = FOLDERS.get(room, (room.split("_")[0],))  # providers_http has its tests in providers
        others = [folder for folder in self._files if folder not in own and folder != "stacks"]
        killed = False
        for folders in (own, others):
            tags = ",".join(tag for folder in folders for tag in self._files.get(folder, []))
            if not tags:
                continue
            outcome, by = self._run(["--filenames-as-tags", "--abort", tags])
            if outcome.startswith("noticed"):
                return outcome, by
            killed = killed or outcome == "time limit"
        outcome, by = self._run([FUZZER])
        if outcome == "unnoticed" and killed:
            return "time limit", by
        return outcome, by

    def _run(self, arguments):
        environment = dict(os.environ, BACKSTOP_STACKS_CASES=str(self._cases), BACKSTOP_STACKS_SHRINK="1")
        try:
            ended = subprocess.run([self._program, *arguments], env=environment, capture_output=True, text=True,
                                   errors="replace", timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            return "time limit", ""
        output = ended.stdout + ended.stderr
        if ended.returncode in (0, 4):  # 4: every test was skipped
            return "unnoticed", ""
        checks = re.findall(r"^([a-z-]+): \d+ cases, first with seed \d+$", ended.stderr, re.MULTILINE)
        if checks == ["no-hang"]:
            return "time limit", "the stack fuzzer"
        if checks:
            return "noticed", "the stack fuzzer: " + ", ".join(checks)
        crashed = ended.returncode < 0 or "fatal error condition" in output
        return "noticed (crash)" if crashed else "noticed", failed_test(output)


def failed_test(output):
    """The file and name of the first test that failed, as Catch2 prints them."""
    rule = "-" * 79
    headings = list(re.finditer(rf"^{rule}\n(.*?)\n{rule}\n(\S+?):\d+\n", output, re.MULTILINE | re.DOTALL))
    ends = [heading.start() for heading in headings[1:]] + [len(output)]
    # Tests that were skipped have a heading too.
    failed = [one for one, end in zip(headings, ends) if "FAILED" in output[one.end():end]] or headings
    if not failed:
        return output.strip()[-300:]
    heading = failed[0]
    name = " ".join(line.strip() for line in heading[1].splitlines())
    return f"{heading[2].split('/')[-1]}: {name}"
