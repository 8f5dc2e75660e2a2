/**
 * Bare uWebSockets.js: what the platform can do when nothing is decided. `/ws/{id}` receives, what comes from a
 * socket on `/sender` is published natively to all receivers, a POST to `/send/{id}` goes to that one socket, and one to `/batch`
 * has a list of `[id, text]`.
 */
import { loadUws, type WebSocket } from '../../src/uws.js';

interface Receiver {
  readonly id: string | null;
}

const [, , port, cert, key] = process.argv;
const address = process.env.LISTEN_ADDRESS ?? '127.0.0.1';
const sockets = new Map<string, WebSocket<Receiver>>();
const uws = loadUws();
const secured = cert !== undefined && key !== undefined;
const app = secured ? uws.SSLApp({ cert_file_name: cert, key_file_name: key }) : uws.App();

app.ws<Receiver>('/ws/:id', {
  idleTimeout: 0,
  maxBackpressure: 16 * 1024 * 1024,
  upgrade: (response, request, context) => {
    response.upgrade(
      { id: request.getParameter(0) },
      request.getHeader('sec-websocket-key'),
      request.getHeader('sec-websocket-protocol'),
      request.getHeader('sec-websocket-extensions'),
      context,
    );
  },
  open: (socket) => {
    sockets.set(socket.getUserData().id ?? '', socket);
    socket.subscribe('room');
  },
  close: (socket) => {
    sockets.delete(socket.getUserData().id ?? '');
  },
});

app.ws<Receiver>('/sender', {
  idleTimeout: 0,
  message: (_socket, message) => {
    app.publish('room', message);
  },
});

app.post('/send/:id', (response, request) => {
  const id = request.getParameter(0);
  const chunks: Buffer[] = [];
  response.onAborted(() => {});
  response.onData((chunk, isLast) => {
    chunks.push(Buffer.from(new Uint8Array(chunk).slice()));
    if (!isLast) return;
    sockets.get(id)?.send(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    response.writeHeader('Content-Type', 'application/json; charset=utf-8').end('{"status":"ok"}');
  });
});

app.post('/batch', (response) => {
  const chunks: Buffer[] = [];
  response.onAborted(() => {});
  response.onData((chunk, isLast) => {
    chunks.push(Buffer.from(new Uint8Array(chunk).slice()));
    if (!isLast) return;
    const list = JSON.parse(Buffer.concat(chunks).toString()) as readonly (readonly [id: string, text: string])[];
    for (const [id, text] of list) sockets.get(id)?.send(text);
    response.writeHeader('Content-Type', 'application/json; charset=utf-8').end('{"status":"ok"}');
  });
});

app.listen(address, Number(port), (listening) => {
  if (!listening) process.exit(1);
  process.stdout.write('listening\n');
});
