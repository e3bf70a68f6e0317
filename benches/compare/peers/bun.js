// Bun's own server, which uses uWebSockets. Arguments: --broadcast, --deflate alone|takeover, --tls.
const broadcast = process.argv.includes("--broadcast");
const deflate = process.argv.includes("--deflate");
// The default: shared by all sockets, without any context. Or one for each socket, with a window of 32 KiB.
const dedicated = { compress: "dedicated", decompress: "dedicated" };
const perMessageDeflate = deflate && (process.argv.includes("takeover") ? dedicated : true);
const pem = async (file, what) => {
  const bytes = await Bun.file(new URL(`../../../examples/tls_pair/localhost.${file}.der`, import.meta.url)).bytes();
  return `-----BEGIN ${what}-----\n${bytes.toBase64()}\n-----END ${what}-----\n`;
};
const tls = process.argv.includes("--tls") && {
  cert: await pem("cert", "CERTIFICATE"),
  key: await pem("key", "PRIVATE KEY"),
};
const server = Bun.serve({
  tls: tls || undefined,
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("WebSockets only", { status: 426 });
  },
  websocket: {
    idleTimeout: 0,
    maxPayloadLength: 16 << 20,
    backpressureLimit: 16 << 20,
    perMessageDeflate,
    open(ws) {
      if (broadcast) ws.subscribe("all");
    },
    message(ws, message) {
      if (broadcast) server.publish("all", message);
      else ws.send(message, deflate);
    },
  },
});
console.log(server.port);
