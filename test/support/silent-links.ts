/** What a client that keeps a position goes through: links that go silent before they break. */
import type { CountingClient } from './counting.js';
import type { LossyRelay } from './lossy-relay.js';
import type { TestServer } from './server.js';

/**
 * Connects a client so many times, each time through the next relay, and pushes messages while its link works, while the
 * link is silent and when it is broken, on the client's side alone or on both. Answers the bodies of all messages when the
 * client has had as many.
 */
export async function overSilentLinks(
  client: CountingClient,
  relays: readonly LossyRelay[],
  nodes: readonly TestServer[],
  rounds: number,
  push: (body: string) => Promise<unknown>,
): Promise<string[]> {
  const sent: string[] = [];
  const pushNext = async () => {
    sent.push(String(sent.length));
    await push(String(sent.length - 1));
  };
  for (let round = 0; round < rounds; round++) {
    const relay = relays[round % relays.length] as LossyRelay;
    client.port = relay.port;
    await client.connect();
    await pushNext();
    await client.has(sent.length);
    relay.silence();
    for (let n = 0; n < 3; n++) await pushNext();
    for (const node of nodes) await node.settled();
    if (Math.floor(round / relays.length) % 2 === 0) relay.break();
    else relay.breakClients();
    client.disconnect();
    await pushNext();
  }
  await client.connect();
  await client.has(sent.length);
  return sent;
}
