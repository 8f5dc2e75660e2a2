/** What a node writes of endpoints that change, for the node that takes them over. */
import t from 'tap';
import { type Address, parseTarget, type Target } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import type { KeptEndpoint } from '../../src/actors/kept.js';
import type { Ref } from '../../src/actors/system.js';
import { ClusterJournal } from '../../src/cluster/journal.js';
import { isReplyError } from '../../src/errors.js';
import { online } from '../../src/protocols/commands.js';
import { locateTicket } from '../../src/protocols/credentials.js';
import { push } from '../../src/protocols/messages.js';
import { TestBroker, testMachine } from '../mqtt/support/broker.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { type ModelNode, Network } from '../support/model-cluster.js';
import { parameters, settle } from '../support/model-steps.js';

const name = 'a.example';
const address = '/domain/a.example/uid/jack' as Address;
const kept = {} as KeptEndpoint;

t.test('an endpoint that was just written for another reason is not written again 100 ms later', (t) => {
  const clock = new ManualClock();
  const put: Address[] = [];
  const records = {
    put: (_domain: string, of: Address) => void put.push(of),
    remove: () => undefined,
    has: () => false,
    written: () => undefined,
    putFor: async () => undefined,
  };
  const journal = new ClusterJournal({ name, settings: { durability: 'restart' } }, clock, records);
  const actor = { stopped: false, tell: () => journal.keep('uid', 'jack', kept) } as unknown as Ref<EndpointMessage>;
  journal.changed(address, actor);
  journal.keep('uid', 'jack', kept);
  clock.advance(1000);
  t.equal(put.length, 1);
  journal.changed(address, actor);
  clock.advance(1000);
  t.equal(put.length, 2, 'what changes after that is written');
  t.end();
});

t.test('an endpoint that says that it has handled what came before is not written for that', async (t) => {
  const { domain, host } = testMachine(t);
  const changed: Address[] = [];
  Object.assign(domain.cluster, { journal: { writes: true, changed: (of: Address) => void changed.push(of) } });
  await new TestBroker({} as never, host.context, host.context.domains as never).online('jack');
  const endpoint = domain.endpoint(parseTarget(name, 'jack') as Target);
  const pass = () => new Promise<void>((done) => endpoint.tell({ kind: 'pass', done }));
  changed.length = 0;
  await pass();
  t.strictSame(changed, []);
  endpoint.tell({ kind: 'missed' });
  await pass();
  t.strictSame(changed, [address], 'as it is for what may change it');
});

/** A domain that is durable `always`, whose endpoints have no records yet and write one when they are told to. */
function newcomers() {
  const put: Address[] = [];
  const records = {
    put: (_domain: string, of: Address) => void put.push(of),
    remove: () => undefined,
    has: (_domain: string, of: Address) => put.includes(of),
    written: (_domain: string, _of: Address, done: () => void) => done(),
    putFor: async () => undefined,
  };
  const journal = new ClusterJournal({ name, settings: { durability: 'always' } }, new ManualClock(), records);
  const actorOf = (id: string): Ref<EndpointMessage> => {
    const tell = (message: EndpointMessage): void => {
      if (message.kind === 'keep') journal.keep('uid', id, kept);
      else if (message.kind === 'pass') message.done();
    };
    return { stopped: false, tell } as unknown as Ref<EndpointMessage>;
  };
  const ended = { stopped: true, tell: (message: EndpointMessage) => 'done' in message && message.done(null as never) };
  return { journal, put, actorOf, ended: ended as unknown as Ref<EndpointMessage> };
}

t.test('a message that is answered has those written who have no record, and nobody else before it is due', (t) => {
  const { journal, put, actorOf } = newcomers();
  const known = '/domain/a.example/uid/jo' as Address;
  put.push(known);
  journal.changed(known, actorOf('jo'));
  journal.changed(address, actorOf('jack'));
  let answered = 0;
  journal.recorded(() => (answered += 1));
  t.strictSame([put, answered, [...journal.unwritten.keys()]], [[known, address], 1, [known]]);
  t.end();
});

t.test('who has ended and come again before there was a record has one when a message is answered', (t) => {
  const { journal, put, actorOf, ended } = newcomers();
  journal.changed(address, ended);
  journal.changed(address, actorOf('jack'));
  journal.recorded(() => undefined);
  t.strictSame(put, [address]);
  t.end();
});

t.test('a node that leaves its endpoints knows which have changed, also when it answers a message meanwhile', (t) => {
  const { journal, put, actorOf } = newcomers();
  journal.changed(address, actorOf('jack'));
  journal.end();
  let answered = 0;
  journal.recorded(() => (answered += 1));
  t.strictSame([put, answered, [...journal.unwritten.keys()]], [[], 1, [address]]);
  t.end();
});

t.test(
  'a message that was answered for a user who has just come outlives the death of the node (always)',
  async (t) => {
    const network = new Network(3, 'always');
    t.teardown(() => {
      for (const node of network.nodes) node.close();
    });
    const [dying, other, third] = network.nodes as [ModelNode, ModelNode, ModelNode];
    let ticket = '';
    online(dying.domain, parameters({ name: 'ada', nick: 'Ada' }), (result) => {
      if (!isReplyError(result)) ticket = result.ticket;
    });
    await settle(network);
    const answers: boolean[] = [];
    for (const { domain } of [dying, other]) {
      push(domain, parameters({ from: 'bob', to: 'ada', body: 'hello' }), (result) => {
        answers.push(!result || !isReplyError(result));
      });
    }
    // No time goes by: nothing is written because it is due.
    await settle(network);
    t.strictSame(answers, [true, true]);
    network.kill(dying);
    await settle(network);
    locateTicket(third.domain, ticket, true, () => undefined);
    await settle(network);
    const waiting = [...third.domain.tickets.values()].flatMap(({ queued }) => queued.map(({ kind }) => kind));
    t.strictSame(waiting, ['message', 'message']);
  },
);
