"""Checks that no tracked file names a folder of somebody's machine or the host of a package registry.

Argument: the project's folder.
"""

import re
import subprocess
import sys

PATTERNS = {
    "a folder of one machine": r"(?<![\w.$}/-])/(work|farm|home|root|Users)/",
    "the host of a package registry": r"https?://[a-z.-]*(debian|ubuntu|npmjs|pypi|pythonhosted|crates|conan)\.",
}


def main():
    root = sys.argv[1]
    try:
        listing = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        print("SKIPPED: this is no git clone")
        sys.exit(77)
    errors = []
    for name in filter(None, listing.stdout.split("\0")):
        try:
            lines = open(f"{root}/{name}", encoding="utf-8").read().splitlines()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for number, line in enumerate(lines, 1):
            errors += [f"{name}:{number}: names {what}" for what, pattern in PATTERNS.items() if re.search(pattern, line)]
    print("\n".join(errors) or "no file depends on one machine")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
