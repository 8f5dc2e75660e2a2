/** node:http with `ws`, written as their manuals show. The same paths as bare uWebSockets.js. */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type WebSocket, WebSocketServer } from 'ws';

const [, , port, cert, key] = process.argv;
const sockets = new Map<string, WebSocket>();
const answer: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    sockets.get((request.url ?? '').slice('/send/'.length))?.send(Buffer.concat(chunks), { binary: false });
    response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': 15 });
    response.end('{"status":"ok"}');
  });
};
const server =
  cert !== undefined && key !== undefined
    ? createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) }, answer)
    : createServer(answer);
server.keepAliveTimeout = 0;

new WebSocketServer({ server }).on('connection', (socket, request) => {
  const path = request.url ?? '';
  if (path === '/sender') {
    socket.on('message', (data, binary) => {
      for (const receiver of sockets.values()) receiver.send(data, { binary });
    });
    return;
  }
  const id = path.slice('/ws/'.length);
  sockets.set(id, socket);
  socket.on('close', () => sockets.delete(id));
});

server.listen(Number(port), '127.0.0.1', 4096);
