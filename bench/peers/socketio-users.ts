/**
 * Socket.IO with a room for each user, named in the handshake: a POST to `/send/{user}` goes to that room. With `recovery` as
 * the second word the server keeps what was sent, and the state of lost connections, for two minutes.
 */
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const [, , port, kind] = process.argv;
const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (part) => {
    body += part;
  });
  request.on('end', () => {
    io.to((request.url ?? '').slice('/send/'.length)).emit('message', body);
    response.setHeader('Content-Type', 'application/json').end('{"status":"ok"}');
  });
});
const io = new Server(server, {
  transports: ['websocket'],
  ...(kind === 'recovery' ? { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } } : {}),
});

io.on('connection', (socket) => {
  const { user } = socket.handshake.query;
  if (typeof user === 'string' && !socket.recovered) socket.join(user);
});

server.listen(Number(port), '127.0.0.1', 4096);
