/** Connections of this node whose clients live on a node that is not heard of any more. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { NamedClient } from '../../src/actors/client.js';
import { Packet } from '../../src/actors/packet.js';
import type { Transport } from '../../src/actors/transport.js';
import { Peer } from '../../src/cluster/peer.js';
import { RemoteClients } from '../../src/cluster/remote-client.js';
import { withSlowTime } from '../support/time-by-hand.js';

const ada = '/domain/a.example/uid/ada' as Address;
const unsent = new Packet(
  'message',
  { from: 'bob', to: 'ada', nick: 'B', timestamp: '1', type: 'chat', body: 'hi', style: '' } as never,
  ada,
  null,
);

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Node {
  readonly home = new Peer('n2', 1, 0, false);
  readonly sent: string[] = [];
  /** The names of the connections that were closed. */
  readonly closed: string[] = [];
  readonly metrics = { visitors: 0 };
  readonly clients: RemoteClients;

  constructor() {
    const system = { spawn: () => ({ tell: () => undefined }), group: () => ({}) };
    const domain = {
      name: 'a.example',
      runtime: { system, clock: { now: () => 0 }, metrics: { cluster: this.metrics } },
    };
    const items = {
      attached: (id: number) => `here ${id}`,
      detached: (id: number, _token: string, _taken: number, packets: readonly Packet[]) =>
        `gone ${id} ${packets.length}`,
    };
    const send = (peer: Peer, item: string): void => void (peer.up && this.sent.push(item));
    const find = (_address: Address, _token: string, _counting: boolean, done: (found: unknown) => void): void =>
      done({ peer: this.home, name: 'tab' });
    this.clients = new RemoteClients(
      { ...domain, metrics: {}, limits: {}, tracker: { records: new Map() } } as never,
      items as never,
      { mesh: { send } } as never,
      { find, endsWithNode: false } as never,
    );
  }

  connect(name: string): Transport {
    const transport = {
      close: () => {
        this.closed.push(name);
        return [];
      },
    } as unknown as Transport;
    this.clients.find(ada, name, false, (client) => this.clients.attach(client as NamedClient, transport));
    return transport;
  }
}

t.test('connections to a node that is lost end one slice a turn, and who leaves meanwhile is told of', async (t) => {
  withSlowTime(t);
  const node = new Node();
  const transports = ['a', 'b', 'c'].map((name) => node.connect(name));
  node.home.up = false;
  node.clients.lost(node.home);
  t.strictSame(node.closed, ['a'], 'not all at once');
  node.clients.detach(transports[2] as Transport, [unsent]);
  while (node.metrics.visitors > 0) await turn();
  t.strictSame(node.closed, ['a', 'b']);
  node.home.up = true;
  t.strictSame([...node.clients.renewals(node.home)], ['gone 1 0', 'gone 3 1', 'gone 2 0']);
});

t.test('connections that have not ended when their node is back go on, and are announced again', async (t) => {
  withSlowTime(t);
  const node = new Node();
  for (const name of ['a', 'b']) node.connect(name);
  node.home.up = false;
  node.clients.lost(node.home);
  node.home.up = true;
  await turn();
  t.strictSame(node.closed, ['a']);
  t.strictSame([...node.clients.renewals(node.home)], ['gone 1 0', 'gone 2 0', 'here 3']);
});

t.test('of a node that is gone for good nothing is kept, also where its connections had not all ended', (t) => {
  withSlowTime(t);
  const node = new Node();
  for (const name of ['a', 'b']) node.connect(name);
  node.home.up = false;
  node.clients.lost(node.home);
  node.clients.drop(node.home);
  t.strictSame(node.closed, ['a', 'b']);
  t.equal(node.metrics.visitors, 0);
  t.strictSame([...node.clients.renewals(node.home)], []);
  t.end();
});
