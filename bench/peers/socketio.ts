/** Socket.IO with one room: what a member sends as `say` goes to the others as `message`. */
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const port = Number(process.argv[2]);
const server = createServer();
const io = new Server(server, { transports: ['websocket'], pingInterval: 60_000, pingTimeout: 60_000 });

io.on('connection', (socket) => {
  socket.join('room');
  socket.on('say', (text: string) => {
    socket.to('room').emit('message', text);
  });
});

server.listen(port, '127.0.0.1', 4096);
