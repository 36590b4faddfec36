"""Prints which of the numbered scenarios of the conformance list the tests cover, by the tags of their test cases
(`[scenario-101]`, which checks in Python carry in their first comment), and which they do not.

Fails for a number that does not exist, for one that is excused below and covered all the same, and, with `--strict`, for
one that is neither covered nor excused.

Arguments: the project's folder, `--strict`.
"""

import collections
import pathlib
import re
import sys

COUNT = 228

# Scenarios that no test can cover here, and why.
NOT_APPLICABLE = {
    15: "no provider acts on a header that counts retries (it is a statistic of the vendors' own SDKs), and a count over "
        "several targets would tell one provider of another's failures; who wants one adds it with an `intercept` inside `retry`",
    17: "no provider documents idempotency keys for its chat endpoints: sending one would promise what nobody keeps, so a "
        "replay that may have been processed is booked as such instead",
}


def ranges(numbers):
    """1, 2, 3, 7 as "1-3, 7"."""
    runs = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs) or "none"


def covered_by(tests):
    """The files that cover each number."""
    places = collections.defaultdict(set)
    files = [path for path in sorted(tests.rglob("*")) if path.suffix in (".cpp", ".py")]
    for path in files:
        if path.name == pathlib.Path(__file__).name:
            continue
        for number in re.findall(r"\[scenario-(\d+)\]", path.read_text(encoding="utf-8")):
            places[int(number)].add(path.relative_to(tests).as_posix())
    return places


def main():
    root, strict = pathlib.Path(sys.argv[1]), "--strict" in sys.argv[2:]
    places = covered_by(root / "tests")
    everything = set(range(1, COUNT + 1))
    open_ones = everything - set(places) - set(NOT_APPLICABLE)
    per_file = collections.defaultdict(set)
    for number, files in places.items():
        for name in files:
            per_file[name].add(number)
    for name, numbers in sorted(per_file.items()):
        print(f"{name}: {ranges(numbers)}")
    print(f"\ncovered: {len(everything & set(places))} of {COUNT}")
    for number, reason in sorted(NOT_APPLICABLE.items()):
        print(f"not applicable: {number}: {reason}")
    print(f"open: {ranges(open_ones)}")

    errors = [f"{', '.join(sorted(places[number]))}: there is no scenario {number}" for number in set(places) - everything]
    errors += [f"{', '.join(sorted(places[number]))}: scenario {number} is covered; take it off NOT_APPLICABLE"
               for number in set(places) & set(NOT_APPLICABLE)]
    if strict and open_ones:
        errors.append(f"neither covered nor excused: {ranges(open_ones)}")
    print("\n".join(f"error: {error}" for error in errors), end="\n" if errors else "")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
