// Node's ws as a client that compresses, with every form of the parameters: node ws_deflate.cjs URL
"use strict";

const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

const FORMS = [
  {},
  { serverNoContextTakeover: true },
  { clientNoContextTakeover: true },
  { serverNoContextTakeover: true, clientNoContextTakeover: true },
];
for (const bits of [8, 9, 10, 12, 15]) {
  FORMS.push({ serverMaxWindowBits: bits }, { serverMaxWindowBits: bits, serverNoContextTakeover: true });
  // ws itself cannot compress with 8 bits.
  if (bits > 8) FORMS.push({ clientMaxWindowBits: bits, serverMaxWindowBits: bits });
}

const json = (n) =>
  JSON.stringify(Array.from({ length: n }, (_, id) => ({ id, name: `user ${id}`, text: "héllo €", ok: id % 3 === 0 })));

async function talk(url, options) {
  const ws = new WebSocket(url, { perMessageDeflate: { threshold: 0, ...options } });
  await once(ws, "open");
  assert.match(ws.extensions, /^permessage-deflate/);
  const noise = require("node:crypto").randomBytes(70000);
  for (const message of [json(1), json(40), json(40), "", json(3000), noise, noise, Buffer.alloc(1 << 20, 7), json(2)]) {
    const answer = once(ws, "message");
    ws.send(message);
    const [data] = await answer;
    assert.ok(Buffer.from(message).equals(data), `${data.length} other bytes came back`);
  }
  // In fragments, with a ping between them.
  const answer = once(ws, "message");
  const text = Buffer.from(json(100));
  for (let at = 0; at < text.length; at += 500) {
    ws.send(text.subarray(at, at + 500), { binary: false, fin: at + 500 >= text.length });
    ws.ping();
  }
  assert.ok(text.equals((await answer)[0]));
  const closed = once(ws, "close");
  ws.close(1000);
  assert.strictEqual((await closed)[0], 1000);
}

async function main(url) {
  for (const form of FORMS) await talk(url, form);
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
