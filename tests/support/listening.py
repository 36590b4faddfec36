"""What the servers of the tests that are written in Python have in common."""

import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time


def serve(name, make):
    """Serves until the parent ends, a minute has passed or SIGTERM comes.

    `make(folder)` gets a new folder, called after `name`, and returns a listening socket and the function that serves
    each connection, on a thread of its own. Prints the process id, the port (0 where there is none) and the folder in
    one line when it listens.
    """
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"backstop-{name}-"))
    try:
        listener, handle = make(folder)
        listener.settimeout(0.2)
        address = listener.getsockname()
        print(os.getpid(), address[1] if isinstance(address, tuple) else 0, folder, flush=True)
        until = time.monotonic() + 60
        while os.getppid() == parent and time.monotonic() < until:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=handle, args=(connection,), daemon=True).start()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
