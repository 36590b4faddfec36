"""What botocore, AWS's own library, says of signatures.

`sign ID SECRET TOKEN REGION DATE BODY URL...`: prints the `authorization` of a POST to each address, a line each.
`serve ID SECRET REGION`: a server that checks the signature of each request and answers as Converse does; with 403 and
`InvalidSignatureException` where the signature is another.

Ends with 77 where botocore is missing.
"""

import json
import sys

import listening

try:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    sys.exit(77)


def signature(keys, region, date, url, headers, body):
    """The `authorization` of a request with those header fields, and no others."""
    auth = SigV4Auth(keys, "bedrock", region)
    request = AWSRequest(method="POST", url=url, headers=headers, data=body)
    request.context["timestamp"] = date
    auth._modify_request_before_signing(request)
    signed = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return auth._inject_signature_to_request(request, signed).headers["Authorization"]


def sign(key_id, secret, token, region, date, body, *urls):
    for url in urls:
        print(signature(Credentials(key_id, secret, token or None), region, date, url,
                        {"content-type": "application/json"}, body.encode()))


def answer_to(head, body, keys, region):
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    given = fields.get("authorization", "")
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    path = lines[0].split(" ")[1]
    signed = {name: fields.get(name, "") for name in names if name != "x-amz-security-token"}
    keys = Credentials(keys.access_key, keys.secret_key, fields.get("x-amz-security-token"))
    wanted = signature(keys, region, fields.get("x-amz-date", ""), f"http://{fields['host']}{path}", signed, body)
    if given != wanted or not {"host", "x-amz-date", "content-type"} <= set(names):
        return "403 Forbidden\r\nx-amzn-ErrorType: InvalidSignatureException:http://aws", {"message": "no"}
    text = [{"text": "signed " + path}]
    return "200 OK", {"output": {"message": {"role": "assistant", "content": text}}, "stopReason": "end_turn"}


def serve_one(connection, keys, region):
    with connection:
        connection.settimeout(10)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536) or sys.exit()
        head, body = received.split(b"\r\n\r\n", 1)
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                       if line.startswith(b"content-length:")), 0)
        while len(body) < length:
            body += connection.recv(65536) or sys.exit()
        status, answer = answer_to(head, body, keys, region)
        written = json.dumps(answer).encode()
        connection.sendall(f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n"
                           f"content-length: {len(written)}\r\n\r\n".encode() + written)


def serve(key_id, secret, region):
    import socket
    keys = Credentials(key_id, secret)
    listening.serve("aws", lambda folder: (socket.create_server(("127.0.0.1", 0)),
                                           lambda connection: serve_one(connection, keys, region)))


if __name__ == "__main__":
    {"sign": sign, "serve": serve}[sys.argv[1]](*sys.argv[2:])
