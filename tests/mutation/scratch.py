"""A copy of the work tree that may be broken, and its build."""

import fcntl
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


class BuildError(Exception):
    """It does not compile; with the end of what the compiler said."""


class Scratch:
    """Unchanged files keep their time, so that a folder that was there before builds little."""

    def __init__(self, folder, *settings):
        self.folder = pathlib.Path(folder).resolve()
        self.build_folder = self.folder / "build" / "mutation"
        self.tests = self.build_folder / "bin" / "backstop-tests"
        self._keep_others_out()
        self._copy_tree()
        fixtures = ROOT.parent / "shared" / "fixtures" / "dev"  # where the tests of the work tree itself look for them
        self._run(["cmake", "-S", self.folder, "-B", self.build_folder, "-G", "Ninja", "-DBACKSTOP_BUILD_EXAMPLES=OFF", "-DBACKSTOP_BUILD_TOOLS=OFF",
                   "-DBACKSTOP_WITH_OPENSSL=ON",
                   f"-DBACKSTOP_FIXTURES_DIR={fixtures}", *settings])

    def build(self, jobs=1):
        self._run(["cmake", "--build", self.build_folder, "--target", "backstop-tests", f"-j{jobs}"])

    def _keep_others_out(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"another run uses {self.folder}; give this one another --scratch")

    def _copy_tree(self):
        """The files that git knows or would add; what is no longer among them goes away."""
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], check=True,
                                capture_output=True, text=True)
        names = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
        for top in sorted({name.split("/")[0] for name in names if "/" in name}):
            for copy in list((self.folder / top).rglob("*")):
                if copy.is_file() and str(copy.relative_to(self.folder)) not in names:
                    copy.unlink()
        for name in sorted(names):
            source, copy = ROOT / name, self.folder / name
            if copy.exists() and copy.read_bytes() == source.read_bytes():
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)

    @staticmethod
    def _run(command):
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode != 0:
            raise BuildError(what_went_wrong(ended.stdout + ended.stderr))


def what_went_wrong(output):
    """The lines with errors, else the end of it."""
    errors = [line for line in output.splitlines() if "error:" in line and len(line) < 500]
    return "\n".join(errors[:5]) if errors else output[-500:]
