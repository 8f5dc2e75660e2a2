/** ONLINE, OFFLINE, SHOW, PRESENCES: PROTOCOL.md section 3. */
import type { OnlineResult } from '../actors/online.js';
import { isReplyError } from '../errors.js';
import { offline, online, type Presences, presences, show } from '../protocols/commands.js';
import type { Call } from './call.js';
import type { Origin } from './request.js';

/** `{"uid1":"available"}`; ids are the users' own, so the object is written, not built. */
export function presencesBody(list: Presences): string {
  const seen = new Map(list);
  return `{${[...seen].map(([id, shown]) => `${JSON.stringify(id)}:${JSON.stringify(shown)}`).join(',')}}`;
}

/** Where clients find the server. Ports of MQTT are null while it is off. */
export interface PublicPorts {
  readonly mqtt: number | null;
  readonly mqtts: number | null;
}

/** The URLs of ONLINE's answer: the configured public one, else as the request came. */
function urls(
  publicUrl: string | null,
  trustProxy: boolean,
  tls: boolean,
  origin: Origin | null,
  ports: PublicPorts,
): object {
  const proto = trustProxy ? (origin?.forwardedProto.split(',')[0]?.trim().toLowerCase() ?? '') : '';
  const scheme = proto === 'https' || proto === 'http' ? proto : tls ? 'https' : 'http';
  const forwarded = trustProxy ? (origin?.forwardedHost.split(',')[0]?.trim() ?? '') : '';
  const host = forwarded || origin?.host || 'localhost';
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

export function onlineCall({ domain, parameters, origin, config, ports, reply, fail }: Call): void {
  online(domain, parameters, (result) => {
    if (isReplyError(result)) return fail(result);
    const { ticket, presences: list } = result as OnlineResult;
    const where = urls(config.publicUrl, config.trustProxy, config.tls !== null, origin, ports);
    const answer = JSON.stringify({ success: true, ticket, ...where });
    reply(`${answer.slice(0, -1)},"presences":${presencesBody(list)}}`);
  });
}

export function offlineCall({ domain, parameters, ok }: Call): void {
  offline(domain, parameters, ok);
}

export function showCall({ domain, parameters, ok }: Call): void {
  show(domain, parameters, ok);
}

export function presencesCall({ domain, parameters, reply, fail }: Call): void {
  presences(domain, parameters, (result) => {
    if (isReplyError(result)) fail(result);
    else reply(presencesBody(result));
  });
}
