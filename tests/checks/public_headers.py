"""Checks what public headers may pull into a user's file. Argument: the project's folder."""

import pathlib
import re
import sys

# Third-party headers that may be included, and by which files (None: by all).
ALLOWED = {"fmt/core.h": None, "nlohmann/json_fwd.hpp": ["json.hpp", "chat/response.hpp", "observe/metrics_json.hpp"],
           # Templates over types of the application's own; backstop.hpp does not have it.
           "nlohmann/json.hpp": ["app/typed.hpp"]}
STANDARD = re.compile(r"[a-z0-9_]+$")  # <vector>, <memory_resource>


def main():
    base = pathlib.Path(sys.argv[1]) / "include/backstop"
    errors = []
    headers = sorted(base.rglob("*.hpp"))
    for path in headers:
        name = path.relative_to(base).as_posix()
        text = path.read_text(encoding="utf-8")
        if not text.isascii():
            errors.append(f"{name}: has characters outside ASCII")
        if "#pragma once" not in text:
            errors.append(f"{name}: has no #pragma once")
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(r"using namespace\b", line):
                errors.append(f"{name}:{number}: 'using namespace' in a header")
            match = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
            if not match or match[1].startswith("backstop/") or STANDARD.match(match[1]):
                continue
            files = ALLOWED.get(match[1], [])
            if files is not None and name not in files:
                errors.append(f"{name}:{number}: public headers do not include {match[1]}")
    print("\n".join(errors) or f"{len(headers)} public headers: nothing leaks")
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
