// ws on Node. Argument: --deflate alone|takeover.
const { WebSocketServer } = require("../target/peers/node_modules/ws");
const deflate = process.argv.includes("--deflate");
const alone = process.argv.includes("alone");
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: 16 << 20,
  // By default messages below 1 KiB are not compressed.
  perMessageDeflate: deflate && {
    serverNoContextTakeover: alone,
    clientNoContextTakeover: alone,
    threshold: 0,
  },
});
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("error", () => socket.terminate());
});
server.on("listening", () => console.log(server.address().port));
