"""Checks that includes point upwards only: a file may use its own room and the rooms above it, and no circle exists.

Argument: the project's folder.
"""

import pathlib
import re
import sys

# Top to bottom. A room is a folder (`chat` is include/backstop/chat/ and src/chat/) or a single file without its
# extension (`provider` is include/backstop/provider.hpp and src/provider.cpp). The longest name that fits counts.
ROOMS = [
    ("version", "export"),
    ("process",),  # what lives as long as the process, or a thread
    ("memory_pool",),
    ("text",),
    ("chat",),
    ("observe/observer",),  # the interface of call events: values only, used by the runtime
    ("json",),
    ("schema",),  # JSON Schema, for answers
    ("catalog",),
    ("runtime/clock", "runtime/machine_wait"),  # points in time: a value
    ("handover",),
    ("runtime",),
    ("state",),
    ("standing", "provider", "policy"),
    ("providers",),  # the public headers
    ("providers/wire",),
    ("providers/failure",),
    ("providers/http",),
    ("providers/openai_chat",),
    ("providers/openai_responses",),  # has the dialects of the chat wire
    ("providers/anthropic",),
    ("providers/gemini",),
    ("providers/vertex",),  # Gemini and Claude, at Google Cloud
    ("providers/cohere",),
    ("providers/ollama",),
    ("providers/bedrock",),  # asks what is known of Claude
    ("providers/function",),
    ("policies",),
    ("call/call_limits", "call/call_options"),
    ("routing",),
    ("call",),
    ("fallback_client",),
    ("lint",),
    ("observe",),
    ("config",),
    ("app",),  # what applications write again, on the client that they see
    ("testing",),
    ("backstop",),
]
LEVELS = {name: level for level, names in enumerate(ROOMS) for name in names}


def level_of(name):
    """The room's number for `chat/money` or `provider`, None where it stands in no room."""
    parts = name.split("/")
    candidates = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((LEVELS[candidate] for candidate in candidates if candidate in LEVELS), None)


def main():
    root = pathlib.Path(sys.argv[1])
    bases = (root / "include/backstop", root / "src")
    files = {path: path.relative_to(base).with_suffix("").as_posix()
             for base in bases for path in sorted(base.rglob("*")) if path.suffix in (".hpp", ".cpp")}
    errors, graph = [], {}
    for path, name in files.items():
        place = path.relative_to(root)
        level = level_of(name)
        graph[path] = []
        if level is None:
            errors.append(f"{place}: stands in no room; put it into one, or add the room to {__file__}")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
            if not match:
                continue
            folders = (root / "include", root / "src", path.parent)
            target = next((folder / match[1] for folder in folders if folder / match[1] in files), None)
            if target is None:
                if match[1].startswith("backstop/"):
                    errors.append(f"{place}:{number}: {match[1]} does not exist")
                continue
            graph[path].append(target)
            below = level_of(files[target])
            if below is not None and below > level:
                errors.append(f"{place}:{number}: includes {match[1]}, which stands below "
                              f"({' '.join(ROOMS[below])} is below {' '.join(ROOMS[level])})")
            if bases[0] in path.parents and bases[1] in target.parents:
                errors.append(f"{place}:{number}: a public header includes {match[1]}, which is not installed")

    circle = find_circle(graph)
    if circle:
        errors.append("a circle: " + " -> ".join(str(path.relative_to(root)) for path in circle))
    print("\n".join(errors) or f"{len(files)} files: every include points upwards")
    sys.exit(bool(errors))


def find_circle(graph):
    done, trail = set(), []

    def visit(path):
        if path in trail:
            return trail[trail.index(path):] + [path]
        if path in done:
            return None
        trail.append(path)
        circle = next(filter(None, map(visit, graph[path])), None)
        trail.pop()
        done.add(path)
        return circle

    return next(filter(None, map(visit, graph)), None)


if __name__ == "__main__":
    main()
