/** How NATS is reached: the options of a connection from the configuration's URLs. */
import { errors, type NodeConnectionOptions } from '@nats-io/transport-node';

export const RETRY_MS = 250;
const CONNECT_MS = 2000;
/** A connection that leaves two pings unanswered is given up: so half-open connections are found. */
const PING_MS = 2000;

/** `name` is shown in the monitoring of NATS. */
export function connectOptions(urls: readonly string[], name: string): NodeConnectionOptions {
  const parsed = urls.map((url) => new URL(url));
  const [first] = parsed;
  const user = decodeURIComponent(first?.username ?? '');
  const pass = decodeURIComponent(first?.password ?? '');
  return {
    servers: parsed.map(({ host }) => host),
    name,
    ...(user === '' ? {} : pass === '' ? { token: user } : { user, pass }),
    ...(parsed.some(({ protocol }) => protocol === 'tls:') ? { tls: {} } : {}),
    noEcho: true,
    timeout: CONNECT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
  };
}

/** Whether NATS is there and refuses who comes. */
export function isRefusal(error: unknown): boolean {
  return error instanceof errors.AuthorizationError;
}

/** Why NATS cannot be reached, for the operator; `error`: what the client of NATS has thrown. */
export function natsProblem(error: unknown): string {
  if (isRefusal(error)) return 'NATS refuses the user or password of cluster.nats';
  return error instanceof Error ? error.message : String(error);
}

/** The hosts of NATS, without the credentials that its URLs may hold. */
export function hostsOf(urls: readonly string[]): string[] {
  return urls.map((url) => new URL(url).host);
}
