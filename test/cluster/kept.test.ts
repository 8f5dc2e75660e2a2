/** What a cluster with JetStream keeps when its nodes are killed: PROTOCOL.md section 20. */
import t from 'tap';
import { Admin } from '../domains/support.js';
import { KeptNode } from '../support/kept-node.js';
import { jetStreamServer } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';

const skip = skipWithout('nats-server');

t.test(
  'domains, bans, the audit log, sign-outs and usage outlive any node, and all of them at once',
  { skip },
  async (t) => {
    const nats = await jetStreamServer(t);
    const [one, two] = await Promise.all([KeptNode.start(t, nats, 'n1'), KeptNode.start(t, nats, 'n2')]);
    const { apikey } = await new Admin(one).make('new.example', { clientCalls: true });
    await new Admin(one).ask('POST', '/api/domains/new.example/ban', { id: 'mallory', minutes: 60 });
    const credentials = { domain: 'new.example', apikey };
    t.match(await two.site(credentials).online('jack'), { success: true }, 'the other node has it');
    await one.site(credentials).online('rose');
    await one.kill();
    t.match(await two.site(credentials).online('anna'), { success: true });
    await two.kill();
    await nats.stop();
    await nats.start();
    const [again, other] = await Promise.all([KeptNode.start(t, nats, 'n1'), KeptNode.start(t, nats, 'n3')]);
    for (const node of [again, other]) {
      t.match(await node.site(credentials).online('jack'), { success: true });
      const admin = new Admin(node);
      t.match((await admin.get('new.example')).body, { domain: 'new.example' });
      t.match((await admin.ask('GET', '/api/domains/new.example/ban')).body, { bans: [{ id: 'mallory' }] });
      const { body } = await admin.ask('GET', '/api/audit?domain=new.example');
      t.strictSame(
        (body as { audit: { what: string }[] }).audit.map(({ what }) => what),
        ['banned', 'domain added'],
        'each entry once, the last first',
      );
      const mallory = await node.site(credentials).post('/v5/presences/online', { name: 'mallory', nick: 'M' });
      t.equal(mallory.status, 403);
    }
  },
);
