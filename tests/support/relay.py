"""Stands between a client and a server, for the tests of proxies and unix sockets.

  relay.py connect          a proxy on a free port of 127.0.0.1 that opens tunnels (CONNECT) to wherever it is asked
  relay.py connect STATUS   the same, but refuses with that status
  relay.py unix PORT        a unix socket, `socket` in a new folder, that leads to that port of 127.0.0.1

Prints its process id, port (0 for a unix socket) and folder in one line. Ends with its parent, and after a minute in
any case.
"""

import socket
import sys
import threading

import listening


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def join(client, port, host="127.0.0.1"):
    server = socket.create_connection((host, port), timeout=10)
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


def tunnel(client, status):
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(65536) or sys.exit()
    method, where, _ = received.split(b"\r\n", 1)[0].split(b" ")
    if status or method != b"CONNECT":
        client.sendall(b"HTTP/1.1 %d Refused\r\ncontent-length: 0\r\n\r\n" % (status or 405))
        client.close()
        return
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    join(client, int(where.rpartition(b":")[2]))


def main():
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 0

    def make(folder):
        if sys.argv[1] == "connect":
            return socket.create_server(("127.0.0.1", 0)), lambda client: tunnel(client, number)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "socket"))
        listener.listen()
        return listener, lambda client: join(client, number)

    listening.serve("relay", make)


if __name__ == "__main__":
    main()
