import t from 'tap';
import { siteA, siteB, testServer } from './support/server.js';
import type { Person, Site } from './support/site.js';

const turns = { domains: [{ ...siteA, services: { help: { delivery: 'turns' }, news: { delivery: 'all' } } }, siteB] };

/** Which of the clients got the message with this body; fails where not exactly one of them did. */
async function receiver(site: Site, clients: ReadonlyMap<number, Person>, from: string, body: string): Promise<number> {
  const sender = await site.online(from, { client: 'x' });
  await site.message(sender.ticket, 'sid:help', body);
  const got: number[] = [];
  for (const [n, client] of clients) {
    const seen = await client.beforeAt(`/domain/a.example/sid/help/client/agent-${n}`);
    if (seen.some((packet) => packet.body === body)) got.push(n);
  }
  if (got.length !== 1) throw new Error(`${body} went to ${got.length} clients`);
  return got[0] ?? -1;
}

/** The clients of the help desk, by their number. */
async function desk(site: Site, size: number): Promise<Map<number, Person>> {
  const clients = new Map<number, Person>();
  for (let n = 0; n < size; n++) clients.set(n, await site.arrive('sid:help', { client: `agent-${n}` }));
  return clients;
}

t.test('a service delivers to all its clients unless configured', async (t) => {
  const site = (await testServer(t, turns)).site();
  for (const service of ['sid:news', 'sid:other']) {
    const clients = [await site.arrive(service), await site.arrive(service), await site.arrive(service)];
    const { ticket } = await site.online('1');
    await site.message(ticket, service, 'hi');
    for (const client of clients) t.hasStrict(await client.next(), { from: '1', to: service, body: 'hi' });
  }
});

t.test('a service writes back like anybody else', async (t) => {
  const site = (await testServer(t, turns)).site();
  const agent = (await desk(site, 1)).get(0);
  const user = await site.arrive('1');
  await site.message(agent?.ticket ?? '', '1', 'how can I help');
  t.hasStrict(await user.next(), { from: 'sid:help', to: '1', nick: 'SID:HELP', body: 'how can I help' });
});

t.test('by turns one client after another is asked, and a sender stays with its client', async (t) => {
  const site = (await testServer(t, turns)).site();
  const clients = await desk(site, 3);
  const asked = new Map<string, number>();
  for (const from of ['a', 'b', 'c']) asked.set(from, await receiver(site, clients, from, `first of ${from}`));
  t.strictSame([...asked.values()].sort(), [0, 1, 2], 'three senders, three clients');
  for (let round = 0; round < 3; round++) {
    for (const from of ['c', 'a', 'b', 'a']) {
      t.equal(await receiver(site, clients, from, `${round} of ${from}`), asked.get(from), `${from} stays`);
    }
  }
});

t.test('by turns a sender whose client is gone goes to another one and stays there', async (t) => {
  const site = (await testServer(t, turns)).site();
  const clients = await desk(site, 3);
  const first = await receiver(site, clients, 'a', 'one');
  await clients.get(first)?.offline();
  clients.delete(first);
  const second = await receiver(site, clients, 'a', 'two');
  for (const body of ['three', 'four']) t.equal(await receiver(site, clients, 'a', body), second);
});

t.test('by turns many senders are spread evenly', async (t) => {
  const site = (await testServer(t, turns)).site();
  const clients = await desk(site, 3);
  const counts = [0, 0, 0];
  for (let n = 0; n < 30; n++) {
    const who = await receiver(site, clients, `sender-${n}`, `hello ${n}`);
    counts[who] = (counts[who] ?? 0) + 1;
  }
  t.strictSame(counts, [10, 10, 10]);
});

t.test('by turns a client that is not connected is passed over while another one is', async (t) => {
  const site = (await testServer(t, turns)).site();
  await site.online('sid:help', { client: 'away' });
  const agent = await site.arrive('sid:help');
  for (const from of ['a', 'b', 'c']) {
    const { ticket } = await site.online(from);
    await site.message(ticket, 'sid:help', `from ${from}`);
    t.hasStrict(await agent.next(), { from, body: `from ${from}` });
  }
});

t.test('by turns an address that names a terminal goes there', async (t) => {
  const site = (await testServer(t, turns)).site();
  const clients = await desk(site, 3);
  const { ticket } = await site.online('1');
  for (const [n, client] of [...clients, ...clients]) {
    await site.message(ticket, `/domain/a.example/sid/help/client/agent-${n}`, `to ${n}`);
    t.hasStrict(await client.next(), { body: `to ${n}` });
  }
});

t.test('a user is no service, whatever its id', async (t) => {
  const site = (await testServer(t, turns)).site();
  const tabs = [await site.arrive('help'), await site.arrive('help')];
  const { ticket } = await site.online('1');
  await site.message(ticket, 'help', 'hi');
  for (const tab of tabs) t.hasStrict(await tab.next(), { body: 'hi' });
});
