/** REST calls and WebSockets, as the flood and the measurement both make them. */
import { once } from 'node:events';
import http from 'node:http';
import { WebSocket } from 'ws';

/** Ports of 127.0.0.1. */
export interface Where {
  readonly http: number;
  readonly mqtt: number;
}

export function call(
  agent: http.Agent,
  port: number,
  path: string,
  form: Readonly<Record<string, string>>,
  auth: string,
): Promise<string> {
  const body = new URLSearchParams(form).toString();
  return post(agent, port, path, body, 'application/x-www-form-urlencoded', auth);
}

export function post(
  agent: http.Agent,
  port: number,
  path: string,
  body: string,
  type: string,
  auth: string,
): Promise<string> {
  const headers = {
    authorization: `Basic ${Buffer.from(auth).toString('base64')}`,
    'content-type': type,
    'content-length': Buffer.byteLength(body),
  };
  return new Promise((resolve, reject) => {
    const asked = http.request({ port, host: '127.0.0.1', path, method: 'POST', headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => (text += part));
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

export function get(agent: http.Agent, port: number, path: string, auth = ''): Promise<void> {
  const headers = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
  return new Promise((resolve, reject) => {
    http
      .get({ port, host: '127.0.0.1', path, agent, headers }, (response) => response.resume().on('end', resolve))
      .on('error', reject);
  });
}

export async function ticketOf(
  agent: http.Agent,
  port: number,
  name: string,
  auth: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const answer = await call(agent, port, '/v5/presences/online', { name, nick: name, ...more }, auth);
  return (JSON.parse(answer) as { ticket: string }).ticket;
}

export async function socketOf(port: number, domain: string, ticket: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v5/wsocket`);
  await once(socket, 'open');
  socket.send(`subscribe ${domain} ${ticket}`);
  await once(socket, 'message');
  return socket;
}
