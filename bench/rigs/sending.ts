/** A site that writes to many users, each by WebSocket: by a call for each, by one call to all, or by a batch. */
import { HttpClient, HttpPool, httpRequest } from '../clients/http.js';
import { bringOnline, domain, openSocket, peerFrame, restRequest, userId } from '../clients/nextalk.js';
import { WebSocketClient } from '../clients/websocket.js';
import { each } from '../clients/wire.js';
import type { Context } from '../scenario.js';
import { checkOk, FrameCounter, isOurs } from './common.js';
import type { Delivered, Fanout } from './fanout.js';

/** How a site names its receivers: by a call for each, one at a time (`serial`) or over eight connections at once (`single`), and so on. */
export type Way = 'serial' | 'single' | 'push' | 'batch';

/** Connections of the site, which take turns. */
const SENDERS = 8;

const message = { from: 'site', body: 'The quick brown fox, and a lazy dog.', timestamp: '1400000000000' };

export async function openSending(
  context: Context,
  receivers: number,
  way: Way,
  delivered: Delivered,
): Promise<Fanout> {
  const { port } = context;
  const ours = isOurs(context.target);
  if (ours) await ourReceivers(port, receivers, delivered);
  else {
    await each(receivers, 32, async (index) => {
      await WebSocketClient.open({ port, path: `/ws/p${index}`, onText: () => delivered(index, 1) });
    });
  }
  const requests = ours ? ourRequests(receivers, way) : peerRequests(context, receivers, way);
  const clients: HttpClient[] = [];
  const senders = way === 'serial' ? 1 : SENDERS;
  for (let n = 0; n < senders; n++) clients.push(await HttpClient.open(port));
  let turn = 0;
  return {
    publish() {
      for (const request of requests) clients[turn++ % senders]?.request(request, checkOk);
    },
  };
}

async function ourReceivers(port: number, receivers: number, delivered: Delivered): Promise<void> {
  const pool = await HttpPool.open(port, 32);
  await bringOnline(pool, receivers, undefined, async (ticket, index) => {
    const counter = new FrameCounter();
    await openSocket(port, ticket, (_bytes, start, end) => delivered(index, counter.count(end - start)));
  });
  pool.close();
}

function ourRequests(receivers: number, way: Way): Buffer[] {
  const ids = Array.from({ length: receivers }, (_, index) => userId(index));
  if (way === 'push') return [restRequest('messages', { ...message, to: ids.join() })];
  if (way === 'single' || way === 'serial') return ids.map((to) => restRequest('messages', { ...message, to }));
  const body = JSON.stringify({ domain, messages: ids.map((to) => ({ ...message, to })) });
  const key = Buffer.from(`${domain}:key`).toString('base64');
  const headers = `Authorization: Basic ${key}\r\nContent-Type: application/json\r\n`;
  return [httpRequest('/v5/messages/batch', headers, body)];
}

function peerRequests(context: Context, receivers: number, way: Way): Buffer[] {
  if (way === 'batch') {
    const list = Array.from({ length: receivers }, (_, index) => [`p${index}`, peerFrame]);
    return [httpRequest('/batch', 'Content-Type: application/json\r\n', JSON.stringify(list))];
  }
  const path = context.target === 'nchan' ? '/pub/p' : '/send/p';
  const headers = 'Content-Type: application/x-www-form-urlencoded\r\n';
  return Array.from({ length: receivers }, (_, index) => httpRequest(`${path}${index}`, headers, peerFrame));
}
