"""Checks that every place that names the version agrees with include/backstop/version.hpp.

Arguments: the project's folder, the version that CMake took.
"""

import json
import pathlib
import re
import sys


def main():
    root, cmake = pathlib.Path(sys.argv[1]), sys.argv[2]
    header = (root / "include/backstop/version.hpp").read_text()
    version = re.search(r'string_view version = "([^"]+)"', header)[1]
    number = int(re.search(r"#define BACKSTOP_VERSION (\d+)", header)[1])
    conanfile = (root / "conanfile.py").read_text()
    pattern = re.search(r"re\.search\(r'([^']+)'", conanfile)[1]
    changelog = (root / ".github/CHANGELOG.md").read_text()
    newest = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.M)
    found = {
        "BACKSTOP_VERSION": f"{number // 10000}.{number // 100 % 100}.{number % 100}",
        "CMake": cmake,
        "vcpkg.json": json.loads((root / "vcpkg.json").read_text())["version-semver"],
        "conanfile.py": re.search(pattern, header)[1],
        ".github/CHANGELOG.md": newest[1] if newest else version,
    }
    errors = [f"{place} says {says}, version.hpp {version}" for place, says in found.items() if says != version]
    print("\n".join(errors) or f"everything says {version}")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
