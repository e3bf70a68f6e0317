// Node's ws as a server behind its https: serves one connection as interop/conversation.py does, and ends.
// The files TLS_CHAIN and TLS_KEY are the certificate and its key.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const { TLS_CHAIN, TLS_KEY } = process.env;
const server = https.createServer({ cert: fs.readFileSync(TLS_CHAIN), key: fs.readFileSync(TLS_KEY) });
const sockets = new WebSocketServer({ server });

sockets.on("connection", (ws) => {
  ws.on("message", (data, isBinary) => {
    assert.ok(!isBinary, "the example client sends text only");
    const text = data.toString();
    ws.ping("are you there?");
    ws.send(text);
    for (const [part, fin] of [[text, false], ["", false], ["!", true]]) ws.send(part, { fin });
    ws.send(data, { binary: true });
  });
  ws.on("close", (code) => {
    assert.strictEqual(code, 1000);
    server.close();
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listening on wss://127.0.0.1:${server.address().port}/chat`));
