"""A server that speaks TLS, for the tests of certificates.

Makes an authority and certificates of its own in a new folder, listens on a free port of 127.0.0.1, prints its process
id, port and folder in one line, and answers every request with the same chat completion. Ends with its parent, and
after a minute in any case.

Options: --expired (the server's certificate is of the past), --name NAME (whom it is for, "localhost" unless given),
--need-client (a client has to show a certificate of the same authority).
"""

import argparse
import socket
import ssl
import subprocess
import sys

import listening

ANSWER = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"by TLS"},"finish_reason":"stop"}]}'


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_authority(folder):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=backstop tests", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")


def make_certificate(folder, name, subject, expired=False):
    """`name`.pem with its key, signed by the authority."""
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            f"/CN={subject}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr")
    (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{subject}\n")
    days = ("-days", "-1") if expired else ("-days", "2")
    openssl("x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key",
            "-CAcreateserial", "-extfile", f"{folder}/{name}.ext", *days, "-out", f"{folder}/{name}.crt")
    (folder / f"{name}.pem").write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())


def serve(connection, context):
    try:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.settimeout(10)
            received = b""
            while b"\r\n\r\n" not in received:
                received += secure.recv(65536) or sys.exit()
            head, body = received.split(b"\r\n\r\n", 1)
            length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                           if line.startswith(b"content-length:")), 0)
            while len(body) < length:
                body += secure.recv(65536) or sys.exit()
            secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
                           b"content-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER))
    except (OSError, SystemExit):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--expired", action="store_true")
    parser.add_argument("--name", default="localhost")
    parser.add_argument("--need-client", action="store_true")
    arguments = parser.parse_args()

    def make(folder):
        make_authority(folder)
        make_certificate(folder, "server", arguments.name, arguments.expired)
        make_certificate(folder, "client", "client")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        if arguments.need_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(folder / "ca.pem")
        return socket.create_server(("127.0.0.1", 0)), lambda connection: serve(connection, context)

    listening.serve("tls", make)


if __name__ == "__main__":
    main()
