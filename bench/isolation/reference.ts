/**
 * A server that does nothing but what cannot be left out of REST to WebSocket: it reads a request, answers it and writes its body to
 * its one WebSocket. The time that this takes is the lag of the machine and of the load generator, which the figures of NexTalk are compared with.
 */
import { loadUws } from '../../src/uws.js';

export function startReference(): void {
  const uws = loadUws();
  const app = uws.App();
  let send: ((body: ArrayBuffer) => void) | null = null;
  app.ws('/v5/wsocket', {
    open: (ws) => {
      send = (body) => void ws.send(body, false);
    },
    message: (ws) => void ws.send('ok', false),
  });
  app.post('/v5/messages', (res) => {
    const parts: Buffer[] = [];
    res.onAborted(() => undefined);
    res.onData((chunk, isLast) => {
      parts.push(Buffer.from(Buffer.from(chunk)));
      if (!isLast) return;
      const body = Buffer.concat(parts).toString();
      const number = new URLSearchParams(body).get('body') ?? '';
      res.cork(() => res.end('{"status":"ok"}'));
      send?.(Buffer.from(`{"body":"${number}"}`) as unknown as ArrayBuffer);
    });
  });
  process.once('disconnect', () => process.exit());
  app.listen('127.0.0.1', 0, (socket) => {
    process.send?.({ port: socket ? uws.us_socket_local_port(socket) : 0 });
  });
}
