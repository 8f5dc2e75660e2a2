/** ONLINE, OFFLINE, SHOW, PRESENCES: PROTOCOL.md section 3. */
import type { OnlineResult } from '../actors/online.js';
import { isReplyError, type ReplyError } from '../errors.js';
import { forwarded } from '../protocols/client-address.js';
import { offline, online, type Presences, presences, show } from '../protocols/commands.js';
import { onlineGroups } from '../protocols/dialect.js';
import type { Headers } from '../protocols/headers.js';
import type { Call, PublicPorts } from './call.js';

/** `{"uid1":"available"}`; ids are the users' own, so the object is written, not built. */
export function presencesBody(list: readonly (readonly [string, string | number])[]): string {
  const seen = new Map(list);
  return `{${[...seen].map(([id, shown]) => `${JSON.stringify(id)}:${JSON.stringify(shown)}`).join(',')}}`;
}

/** A name or address, and perhaps a port. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

export function isHost(text: string): boolean {
  return HOST.test(text);
}

/** The URLs of ONLINE's answer: the configured public one, else as the request came. */
function urls(
  publicUrl: string | null,
  trustProxy: number,
  tls: boolean,
  headers: Headers,
  ports: PublicPorts,
): object {
  const proto = forwarded(headers.forwardedProto, trustProxy).toLowerCase();
  const scheme = proto === 'https' || proto === 'http' ? proto : tls ? 'https' : 'http';
  const named = forwarded(headers.forwardedHost, trustProxy) || headers.host;
  const host = isHost(named) ? named : 'localhost';
  const base = (publicUrl ?? `${scheme}://${host}`).replace(/\/+$/, '');
  const packets = `${base}/v5/packets`;
  const answer = {
    server: packets,
    jsonp: packets,
    jsonpd: packets,
    websocket: `${base.replace(/^http/, 'ws')}/v5/wsocket`,
  };
  const mqtt = mqttUrl(base, ports);
  return mqtt === null ? answer : { ...answer, mqtt, mqttd: mqtt };
}

/** The public host without its HTTP port and path; `mqtts` where clients come by TLS and there is such a port. */
function mqttUrl(base: string, { mqtt, mqtts }: PublicPorts): string | null {
  const host = /^https?:\/\/(\[[^\]]*\]|[^:/]*)/.exec(base)?.[1] ?? '';
  if (mqtts !== null && (base.startsWith('https:') || mqtt === null)) return `mqtts://${host}:${mqtts}`;
  return mqtt === null ? null : `tcp://${host}:${mqtt}`;
}

export function onlineCall(call: Call): void {
  online(call.domain, call.parameters, (result) => {
    if (isReplyError(result)) return call.fail(result);
    const { ticket, presences: list } = result as OnlineResult;
    const { publicUrl, trustProxy, tls } = call.context.config();
    const where = urls(publicUrl, trustProxy, tls !== null, call.head.headers, call.ports);
    const answer = `${JSON.stringify({ success: true, ticket, ...where }).slice(0, -1)},"presences":${presencesBody(list)}`;
    if (!call.parameters.has('groups')) return call.reply(`${answer}}`);
    const sizes = onlineGroups(call.domain, call.parameters, ticket);
    call.reply(`${answer},"buddies":${presencesBody(list)},"groups":${presencesBody(sizes)}}`);
  });
}

export function offlineCall({ domain, parameters, ok }: Call): void {
  offline(domain, parameters, ok);
}

export function showCall({ domain, parameters, ok }: Call): void {
  show(domain, parameters, ok);
}

export function presencesCall(call: Call): void {
  presences(call.domain, call.parameters, (result) => replyPresences(call, result));
}

export function replyPresences(call: Call, result: Presences | ReplyError): void {
  if (isReplyError(result)) call.fail(result);
  else call.reply(presencesBody(result));
}
