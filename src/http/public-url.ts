/** The URLs under which clients reach the server, as ONLINE's answer names them: PROTOCOL.md section 3. */
import { forwarded } from '../protocols/client-address.js';
import type { Headers } from '../protocols/headers.js';

/** Where clients find the server. Ports of MQTT are null while it is off. */
export interface PublicPorts {
  readonly mqtt: number | null;
  readonly mqtts: number | null;
}

/** A name or address, and perhaps a port. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

export function isHost(text: string): boolean {
  return HOST.test(text);
}

/** The URLs of ONLINE's answer: the configured public one, else as the request came. */
export function publicUrls(
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
