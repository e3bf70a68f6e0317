// Bun's own server, which is uWebSockets inside. Argument: --broadcast.
const broadcast = process.argv.includes("--broadcast");
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("WebSockets only", { status: 426 });
  },
  websocket: {
    idleTimeout: 0,
    maxPayloadLength: 16 << 20,
    backpressureLimit: 16 << 20,
    perMessageDeflate: false,
    open(ws) {
      if (broadcast) ws.subscribe("all");
    },
    message(ws, message) {
      if (broadcast) server.publish("all", message);
      else ws.send(message);
    },
  },
});
console.log(server.port);
