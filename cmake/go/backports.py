"""Writes a copy of apt's sources, with the release's backports added, into the folder given as argument.

The mirror is the machine's own: every entry for the release (both forms, `.sources` and `.list`) gets a twin for
`<release>-backports`. Nothing outside the folder is touched; apt-get reads it with `-o Dir::Etc::SourceParts=FOLDER`.
"""

import pathlib
import re
import shutil
import sys


def codename():
    text = pathlib.Path("/etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=(\w+)$", text, re.M).group(1)


def deb822_twins(text, release):
    """The stanzas for the release, with only their Suites changed; keys, mirrors and components stay."""
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        suites = next((line for line in lines if line.lower().startswith("suites:")), "")
        disabled = any(re.match(r"enabled:\s*(no|false)", line, re.I) for line in lines)
        if release in suites.split() and not disabled:
            yield "\n".join(f"Suites: {release}-backports" if line is suites else line for line in lines)


def list_twins(text, release):
    for line in text.splitlines():
        match = re.match(rf"(deb\s+(?:\[[^\]]*\]\s+)?\S+\s+){release}(\s+.*)$", line)
        if match:
            yield f"{match[1]}{release}-backports{match[2]}"


def main():
    folder = pathlib.Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    release = codename()
    stanzas, entries = [], []
    parts = pathlib.Path("/etc/apt/sources.list.d")
    for source in [pathlib.Path("/etc/apt/sources.list"), *sorted(parts.glob("*"))]:
        if source.suffix not in (".sources", ".list") or not source.is_file():
            continue
        text = source.read_text()
        if source.suffix == ".sources":
            stanzas += deb822_twins(text, release)
        else:
            entries += list_twins(text, release)
        if source.parent == parts:
            shutil.copy(source, folder)
    if not stanzas and not entries:
        sys.exit(f"apt's sources have no entry for {release}; Catch2 3 has to be installed by hand")
    if stanzas:
        (folder / "backports.sources").write_text("\n\n".join(stanzas) + "\n")
    if entries:
        (folder / "backports.list").write_text("\n".join(entries) + "\n")


if __name__ == "__main__":
    main()
