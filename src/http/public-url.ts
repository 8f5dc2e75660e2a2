/** The URLs under which clients reach the server, as ONLINE's answer names them: PROTOCOL.md section 3. */
import { forwarded } from '../protocols/client-address.js';
import type { Headers } from '../protocols/headers.js';

/** Where clients find the server. Ports of MQTT are null while it is off. */
export interface PublicPorts {
  readonly mqtt: number | null;
  readonly mqtts: number | null;
}

/** A host name or an IP address, and perhaps a port. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

export function isHost(text: string): boolean {
  return HOST.test(text);
}

/** The URLs of ONLINE's answer, as members of a JSON object: below the configured public URL, else below the scheme and host of the request. */
export function publicUrls(
  publicUrl: string | null,
  trustProxy: number,
  tls: boolean,
  headers: Headers,
  ports: PublicPorts,
): string {
  const base = publicUrl ?? baseOf(trustProxy, tls, headers);
  if (base !== last.base || ports !== last.ports) last = { base, ports, members: membersBelow(base, ports) };
  return last.members;
}

function baseOf(trustProxy: number, tls: boolean, headers: Headers): string {
  const proto = forwarded(headers.forwardedProto, trustProxy).toLowerCase();
  const scheme = proto === 'https' || proto === 'http' ? proto : tls ? 'https' : 'http';
  const named = forwarded(headers.forwardedHost, trustProxy) || headers.host;
  return `${scheme}://${isHost(named) ? named : 'localhost'}`;
}

/** The last base that was asked for: nearly all who call name one host. */
let last: { readonly base: string; readonly ports: PublicPorts | null; readonly members: string } = {
  base: '',
  ports: null,
  members: '',
};

function membersBelow(given: string, ports: PublicPorts): string {
  const base = given.replace(/\/+$/, '');
  const packets = `${base}/v5/packets`;
  const websocket = `${base.replace(/^http/, 'ws')}/v5/wsocket`;
  const mqtt = mqttUrl(base, ports);
  const urls = { server: packets, jsonp: packets, jsonpd: packets, websocket };
  return JSON.stringify(mqtt === null ? urls : { ...urls, mqtt, mqttd: mqtt }).slice(1, -1);
}

/**
 * The URL of MQTT: the public host with the port of MQTT, that of MQTT over TLS where clients come by TLS and it is
 * open; null while MQTT is off.
 */
function mqttUrl(base: string, { mqtt, mqtts }: PublicPorts): string | null {
  const host = /^https?:\/\/(\[[^\]]*\]|[^:/]*)/.exec(base)?.[1] ?? '';
  if (mqtts !== null && (base.startsWith('https:') || mqtt === null)) return `mqtts://${host}:${mqtts}`;
  return mqtt === null ? null : `tcp://${host}:${mqtt}`;
}
