/** `$SYS/broker/…`: what a backend may read of the broker, with the numbers of its own domain only. */
import { Publication } from '../../actors/publication.js';
import { publish } from '../../actors/router.js';
import { matches } from '../../actors/topic.js';
import type { Broker } from './broker.js';
import type { Cursor } from './retained.js';

const ROOT = '$SYS/';
const NO_PROPERTIES = Buffer.alloc(0);

export function isSystemTopic(topic: string): boolean {
  return topic.startsWith(ROOT) || topic === '$SYS';
}

function texts({ sessions, retained, startedAt, domain, context }: Broker): readonly (readonly [string, string])[] {
  const totals = domain.metrics.mqtt;
  const uptimeS = Math.floor((domain.runtime.clock.now() - startedAt) / 1000);
  return [
    ['version', 'NexTalk 6'],
    // Of which node or server the numbers are; that of retained messages is the same on all nodes.
    ['scope', context.node ? `node ${context.node.name}` : 'server'],
    ['uptime', `${uptimeS} seconds`],
    ['clients/connected', String(totals.connected)],
    ['clients/total', String(sessions.size)],
    ['clients/disconnected', String(sessions.size - totals.connected)],
    ['messages/received', String(totals.received)],
    ['messages/sent', String(totals.sent)],
    ['retained messages/count', String(retained.count)],
    ['subscriptions/count', String(domain.table.size)],
  ];
}

function publicationOf(name: string, text: string): Publication {
  return new Publication({
    topic: `${ROOT}broker/${name}`,
    payload: Buffer.from(text),
    qos: 0,
    retain: true,
    properties: NO_PROPERTIES,
    expiresAt: Number.POSITIVE_INFINITY,
    publisher: null,
  });
}

/** Goes through the system topics that a filter matches, with their numbers as they are now. */
export function systemCursor(broker: Broker, filter: string): Cursor {
  const found = texts(broker).filter(([name]) => matches(filter, `${ROOT}broker/${name}`));
  return {
    next() {
      const text = found.shift();
      return text ? publicationOf(...text) : null;
    },
  };
}

/** Publishes all system topics to their subscribers. */
export function publishSystem(broker: Broker): void {
  const { table } = broker.domain;
  for (const [name, text] of texts(broker)) publish(table, publicationOf(name, text));
}
