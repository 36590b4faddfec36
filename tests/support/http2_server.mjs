// An HTTP/2 server for the tests of connections that fall silent. The first request of each connection is answered with
// the number of the connection; on the first connection all others are read and never answered.
//
// Prints its process id, port and folder (with ca.pem) in one line. Ends with its parent, and after a minute in any case.

import {execFileSync} from "node:child_process";
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {createSecureServer} from "node:http2";
import {tmpdir} from "node:os";
import {join} from "node:path";

const folder = mkdtempSync(join(tmpdir(), "backstop-http2-"));
process.on("exit", () => rmSync(folder, {recursive: true, force: true}));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit());

const openssl = (...args) => execFileSync("openssl", args, {cwd: folder, stdio: "ignore"});
const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
openssl("req", "-x509", ...key, "-days", "2", "-subj", "/CN=backstop tests", "-keyout", "ca.key", "-out", "ca.pem");
openssl("req", "-new", ...key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr");
writeFileSync(join(folder, "server.ext"), "subjectAltName=DNS:localhost\n");
openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile",
        "server.ext", "-days", "2", "-out", "server.pem");

let connections = 0;
const server = createSecureServer({
  key: readFileSync(join(folder, "server.key")),
  cert: readFileSync(join(folder, "server.pem")),
  allowHTTP1: false,
});
server.on("session", (session) => {
  session.number = ++connections;
  session.asked = 0;
  session.on("error", () => {});
});
server.on("stream", (stream) => {
  stream.on("error", () => {});
  const session = stream.session;
  const silent = session.number === 1 && session.asked++ > 0;
  stream.resume();
  if (silent) return;
  stream.respond({":status": 200, "content-type": "application/json"});
  stream.end(JSON.stringify({
    choices: [{index: 0, message: {role: "assistant", content: `connection ${session.number}`}, finish_reason: "stop"}],
  }));
});
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(), 200);
setTimeout(() => process.exit(), 60_000);
server.listen(0, "127.0.0.1", () => console.log(process.pid, server.address().port, folder));
