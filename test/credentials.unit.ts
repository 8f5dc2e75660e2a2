import { createHash } from 'node:crypto';
import t from 'tap';
import { authenticate, findTicket } from '../src/protocols/credentials.js';
import { foreign, own, TestBroker, testMachine } from './mqtt/support/broker.js';
import { constantTimeComparisons } from './support/constant-time.js';

const hashed = `sha256:${createHash('sha256').update('secret').digest('hex')}`;

t.test('Every key of a domain is valid, plain or hashed, and nothing else', async (t) => {
  const { domain } = testMachine(t, { domains: [{ domain: own.domain, apikey: ['one', hashed] }] });
  for (const key of ['one', 'secret', 'one']) t.ok(authenticate(domain, key), key);
  for (const key of ['', 'on', 'one ', 'two', hashed, 'sha256:one']) t.notOk(authenticate(domain, key), key);
});

t.test('A key is compared with all of a domain’s, in constant time', async (t) => {
  const compared = constantTimeComparisons(t);
  const { domain } = testMachine(t, { domains: [{ domain: own.domain, apikey: ['one', hashed, 'three'] }] });
  for (const key of ['one', 'two', 'secret', 'three', 'x'.repeat(1000)]) {
    authenticate(domain, key);
    t.equal(compared(), 3, key.slice(0, 9));
  }
});

t.test('A ticket is that of its endpoint and domain', async (t) => {
  const machine = testMachine(t);
  const broker = new TestBroker({} as never, machine.host.context, machine.host.context.domains as never);
  const ticket = await broker.online('vid:a:b');
  const domain = broker.domain();
  t.match(ticket, /^vid:a:b:[0-9a-f]{32,}$/);
  t.ok(findTicket(domain, ticket));
  t.equal(findTicket(broker.domain(foreign.domain), ticket), null, 'of another domain');
  for (const wrong of [ticket.replace('vid:', 'uid:'), ticket.replace('a:b', 'a'), ticket.slice(0, -1), '', 'x']) {
    t.equal(findTicket(domain, wrong), null, wrong);
  }
});
