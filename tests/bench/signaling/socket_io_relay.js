// A relay made with socket.io: what one member of a room says goes to the others.
//
//   node socket_io_relay.js PORT [CERTIFICATE KEY]

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { Server } from "socket.io";

const [port, certificate, key] = process.argv.slice(2);
const server = certificate
  ? createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : createServer();
const io = new Server(server);

io.on("connection", (socket) => {
  socket.on("join", (room, joined) => {
    socket.data.room = room;
    socket.join(room);
    joined();
  });
  socket.on("say", (body) => {
    socket.to(socket.data.room).emit("said", body);
  });
});

server.listen(Number(port), "127.0.0.1");
