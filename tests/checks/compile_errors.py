"""Checks what a compiler says of calls that cannot be: the sentence that is meant for people comes first.

Usage: compile_errors.py PROJECT COMPILER [--include FOLDER;FOLDER]
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

TYPES = """#include <backstop/app/typed.hpp>
using namespace backstop;
struct Unknown { int number = 0; };
struct Known { int number = 0; };
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Known, number)
"""
CASES = [  # a line of code, and what the first error says; empty: it compiles
    ('auto one = typed_tool("a", "b", [](const Known&) { return 1; });', ""),
    ('auto one = typed_tool("a", "b", [] { return 1; });', ""),
    ('auto one = typed_tool("a", "b", [](const nlohmann::json&) { return 1; }, "{}");', ""),
    ('auto one = [](const FallbackClient& client) { return chat_as<Known>(client, ChatRequest{"a"}); };', ""),
    ('auto one = [](const FallbackClient& client) { return chat_as<int>(client, ChatRequest{"a"}); };', ""),
    ('auto one = typed_tool("a", "b", [](const Unknown&) { return 1; });', "NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE"),
    ('auto one = typed_tool("a", "b", [](const std::string&) { return 1; });', "a struct of them"),
    ('auto one = typed_tool("a", "b", [](int) { return 1; });', "a struct of them"),
    ('auto one = typed_tool("a", "b", [](const Known&) { return Unknown{}; });', "NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE"),
    ('auto one = typed_tool("a", "b", [](const auto&) { return 1; });', "no generic lambda"),
    ('auto one = [](const FallbackClient& client) { return chat_as<Unknown>(client, ChatRequest{"a"}); };',
     "NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE"),
    ("auto one = schema_of<Unknown>();", "NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE"),
]


def first_error(command, code, folder):
    """The first line with an error; empty where there is none."""
    file = pathlib.Path(folder, "case.cpp")
    file.write_text(TYPES + code + "\n", encoding="utf-8")
    said = subprocess.run([*command, str(file)], capture_output=True, text=True).stderr
    errors = [line for line in said.splitlines() if re.search(r"\berror:", line)]
    return errors[0] if errors else ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=pathlib.Path)
    parser.add_argument("compiler")
    parser.add_argument("--include", default="")
    options = parser.parse_args()
    command = [options.compiler, "-std=c++20", "-O0", "-fsyntax-only", f"-I{options.project / 'include'}"]
    command += [f"-I{name}" for name in options.include.split(";") if name]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for code, expected in CASES:
            said = first_error(command, code, folder)
            if bool(said) != bool(expected) or expected not in said:
                wrong.append(f"{code}\n  first error: {said or 'none'}\n  expected: {expected or 'none'}")
    print("\n".join(wrong) or f"{len(CASES)} cases")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
