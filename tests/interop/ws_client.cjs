// Node's ws as a client: node ws_client.cjs URL
"use strict";

const assert = require("node:assert");
const { once } = require("node:events");
const WebSocket = require("ws");

const SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20];

async function main(url) {
  const ws = new WebSocket(url);
  await once(ws, "open");

  const echo = async (send, expected, binary) => {
    const answer = once(ws, "message");
    send();
    const [data, isBinary] = await answer;
    assert.strictEqual(isBinary, binary);
    assert.ok(Buffer.from(expected).equals(data), `${data.length} other bytes came back`);
  };

  await echo(() => ws.send("héllo €"), "héllo €", false);
  for (const size of SIZES) {
    const bytes = Buffer.from(Array.from({ length: size }, (_, i) => (i * 31) & 0xff));
    await echo(() => ws.send(bytes), bytes, true);
    const text = "x".repeat(size);
    await echo(() => ws.send(text), text, false);
  }

  // Cut in the middle of a character, with a ping between the fragments.
  const euro = Buffer.from("€");
  const pong = once(ws, "pong");
  await echo(
    () => {
      ws.send(euro.subarray(0, 1), { binary: false, fin: false });
      ws.ping("between");
      ws.send(euro.subarray(1, 2), { binary: false, fin: false });
      ws.send(euro.subarray(2), { binary: false, fin: true });
    },
    "€",
    false,
  );
  assert.strictEqual((await pong)[0].toString(), "between");

  const closed = once(ws, "close");
  ws.close(1000, "done");
  const [code] = await closed;
  assert.strictEqual(code, 1000);
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
