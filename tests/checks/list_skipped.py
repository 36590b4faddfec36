"""Lists the skipped test cases that a ctest log (its path is the argument) shows, so that none is skipped unseen."""

import re
import sys


def main():
    test, skipped = "", []
    lines = open(sys.argv[1], encoding="utf-8", errors="replace").read().splitlines()
    for number, line in enumerate(lines):
        started = re.match(r"\d+/\d+ Test(?:ing)?: (\S+)", line)
        if started:
            test = started[1]
        elif line.endswith(": SKIPPED:"):
            reason = next((text.strip() for text in lines[number + 1:number + 4] if text.startswith("  ")), "")
            skipped.append((test, reason))
        elif line.startswith("SKIPPED: "):
            skipped.append((test, line.removeprefix("SKIPPED: ")))
    for test, reason in dict.fromkeys(skipped):
        times = skipped.count((test, reason))
        print(f"skipped: {test}: {reason}" + (f" ({times} cases)" if times > 1 else ""))


if __name__ == "__main__":
    main()
