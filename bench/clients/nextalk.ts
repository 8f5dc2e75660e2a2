/** The site's backend and the visitor's browser, towards NexTalk: REST requests, tickets, sockets and polls. */
import type { OnUnit } from '../scan.js';
import { type HttpClient, type HttpPool, httpRequest } from './http.js';
import { textFrame, WebSocketClient } from './websocket.js';
import { each } from './wire.js';

export const domain = 'bench';
export const apikey = 'key';

const headers =
  `Authorization: Basic ${Buffer.from(`${domain}:${apikey}`).toString('base64')}\r\n` +
  'Content-Type: application/x-www-form-urlencoded\r\n';

/** Ids of the same length, so that all frames of a run are. */
export const userId = (index: number): string => `u${String(index).padStart(6, '0')}`;

/** The text of every message: makes the delivered frame 190 bytes long. */
const body = 'The quick brown fox, and a lazy dog.';

/** An empty frame: what messages are counted by. */
export const emptyFrame = '{"status":"ok","messages":[],"presences":[],"statuses":[]}';

/** The frame that a peer, which knows no packets, sends in place of ours: as long, and made as a site would. */
export const peerFrame = JSON.stringify({
  status: 'ok',
  messages: [
    { from: userId(0), to: userId(1), nick: userId(0), timestamp: '1400000000000', type: 'chat', body, style: '' },
  ],
  presences: [],
  statuses: [],
});

export function restRequest(path: string, fields: Readonly<Record<string, string>>): Buffer {
  return restForm(path, new URLSearchParams(fields).toString());
}

/** The same of fields that are a form already. */
export function restForm(path: string, form: string): Buffer {
  return httpRequest(`/v5/${path}`, headers, `domain=${domain}&${form}`);
}

/** MESSAGES: the same text each time, with a timestamp of constant length. */
export function messageRequest(ticket: string, to: string, type: 'chat' | 'grpchat'): Buffer {
  return restRequest('messages', { ticket, to, type, body, timestamp: '1400000000000' });
}

/** What a NexTalk 5 plugin sends on MQTT, as a payload of the same length as the peers'. */
export const mqttPayload = Buffer.from(peerFrame);

/** ONLINE; answers the ticket. */
export async function goOnline(http: HttpClient, fields: Readonly<Record<string, string>>): Promise<string> {
  const answer = await http.ask(restRequest('presences/online', fields));
  const match = /"ticket":"([^"]+)"/.exec(answer.body);
  if (match?.[1] === undefined) throw new Error(`ONLINE answered ${answer.status} ${answer.body}`);
  return match[1];
}

/** Brings users 0 … count-1 online. Invisible, so that no presence travels, unless the fields say otherwise. */
export async function bringOnline(
  pool: HttpPool,
  count: number,
  fieldsOf: (index: number) => Readonly<Record<string, string>> = () => ({}),
  onTicket: (ticket: string, index: number) => Promise<void> = async () => {},
): Promise<string[]> {
  const tickets: string[] = new Array(count).fill('');
  await each(count, 32, async (index) => {
    const name = userId(index);
    const ticket = await goOnline(pool.next(), { name, nick: name, show: 'invisible', ...fieldsOf(index) });
    tickets[index] = ticket;
    await onTicket(ticket, index);
  });
  return tickets;
}

/** A user's buddies on a ring: `count` of them, half on each side, so that each pair lists each other. */
export function ringBuddies(index: number, users: number, count: number): string {
  const ids: string[] = [];
  for (let step = 1; step <= count / 2; step += 1) {
    ids.push(userId((index + step) % users), userId((index - step + users) % users));
  }
  return ids.join(',');
}

/** How each packet of a frame begins. */
const packetStart = Buffer.from('{"from"');

/** Whether sockets keep a position, and how many packets they confirm at once. */
export const positions = { kept: false, confirmedAt: 100 };

/** Of a socket that keeps a position: what tells it that it is connected, and what it says when it has had so many packets. */
function confirming(client: () => WebSocketClient, answer: string, onText: OnUnit): OnUnit {
  const era = /^\{"status":"ok","position":"(\w+)\.\d+"\}$/.exec(answer)?.[1];
  if (era === undefined) throw new Error(`resume was answered ${answer}`);
  let [packets, confirmed] = [0, 0];
  return (bytes, start, end) => {
    onText(bytes, start, end);
    for (let at = bytes.indexOf(packetStart, start); at >= 0 && at < end; at = bytes.indexOf(packetStart, at + 1)) {
      packets += 1;
    }
    if (packets - confirmed < positions.confirmedAt) return;
    confirmed = packets;
    client().send(textFrame(`received ${era}.${packets}`));
  };
}

/** A socket that is subscribed: resolves when the server has said so. Then every text goes to `onText`. */
export async function openSocket(
  port: number,
  ticket: string,
  onText: OnUnit,
  onRead?: () => void,
): Promise<WebSocketClient> {
  let subscribed: () => void = () => {};
  const answered = new Promise<void>((resolve) => {
    subscribed = resolve;
  });
  const client = await WebSocketClient.open({
    port,
    path: '/v5/wsocket',
    onText: (bytes, start, end) => {
      const answer = bytes.toString('latin1', start, end);
      if (positions.kept) client.onText = confirming(() => client, answer, onText);
      else if (answer === '{"status":"ok"}') client.onText = onText;
      else throw new Error(`subscribe was answered ${answer}`);
      subscribed();
    },
    ...(onRead === undefined ? {} : { onRead }),
  });
  client.send(textFrame(positions.kept ? `resume ${domain} 0 ${ticket}` : `subscribe ${domain} ${ticket}`));
  await answered;
  return client;
}

/** The bytes of one long poll. */
export function pollRequest(ticket: string): Buffer {
  const query = `domain=${domain}&ticket=${encodeURIComponent(ticket)}&callback=jsonp1407`;
  return httpRequest(`/v5/packets?${query}`, '');
}

/** What a poll's body holds without any message. */
export const emptyPoll = `/**/jsonp1407(${emptyFrame})`;
