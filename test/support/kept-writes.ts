/** When what a node has to keep is in JetStream: no node says so of its records of tickets and of MQTT sessions. */
import { connect } from '@nats-io/transport-node';
import type { Address } from '../../src/actors/address.js';
import { subjectOf } from '../../src/cluster/ticket-records.js';
import type { NatsServer } from './nats.js';
import { siteA, type TestServer } from './server.js';
import { until } from './until.js';

let marks = 0;

/**
 * Waits until all that nodes have been told so far is in JetStream. Each node gathers changes for a while and writes them in their order, so
 * a user who comes online now is written after them, and what waited for the answer to an earlier write before a second such user.
 */
export async function written(
  nats: NatsServer,
  nodes: readonly TestServer[],
  site: { readonly domain: string; readonly apikey: string } = siteA,
): Promise<void> {
  const connection = await connect({ servers: nats.url });
  const isThere = async (name: string): Promise<boolean> => {
    const address = `/domain/${site.domain}/uid/${name}` as Address;
    const subjects_filter = `nextalk.kept.tickets.${subjectOf(site.domain, address)}.*`;
    const answer = await connection.request('$JS.API.STREAM.INFO.nextalk_tickets', JSON.stringify({ subjects_filter }));
    const { state } = answer.json<{ readonly state?: { readonly subjects?: object } }>();
    return Object.keys(state?.subjects ?? {}).length > 0;
  };
  const mark = async (node: TestServer): Promise<void> => {
    for (let n = 0; n < 2; n++) {
      const name = `mark-${++marks}`;
      await node.site(site).online(name);
      await until(`the record of ${name}`, () => isThere(name));
    }
  };
  try {
    await Promise.all(nodes.map(mark));
  } finally {
    await connection.close();
  }
}
