import t from 'tap';
import { natsServer, testCluster } from '../support/nats.js';
import { skipWithout } from '../support/programs.js';
import type { Site } from '../support/site.js';

t.test('groups of NexTalk 5.0 to 5.3 have members on all nodes', { skip: skipWithout('nats-server') }, async (t) => {
  const nodes = await testCluster(t, await natsServer(t), 2);
  const [one, two] = nodes.map((node) => node.site()) as [Site, Site];
  const jack = await one.online('jack', { nick: 'Jack', groups: 'r1' });
  t.hasStrict(jack, { groups: { r1: 1 } });
  const rose = await two.online('rose', { nick: 'Rose', buddies: 'jack', groups: 'r1' });
  t.hasStrict(rose, { groups: { r1: 2 }, buddies: { jack: 'available' } });
  const joined = await two.post('/v5/group/join', { ticket: jack.ticket, group: 'r2' });
  t.strictSame(
    [joined.status, joined.body],
    [200, { r2: 1 }],
    'a call with a ticket of the other node is answered there',
  );
  const members = [
    { id: 'jack', nick: 'Jack', show: 'available' },
    { id: 'rose', nick: 'Rose', show: 'available' },
  ];
  for (const site of [one, two]) {
    const { body } = await site.get('/v5/group/members', { group: 'r1', ticket: jack.ticket });
    t.strictSame(
      (body as typeof members).sort((a, b) => a.id.localeCompare(b.id)),
      members,
    );
  }
  t.strictSame((await two.post('/v5/group/leave', { ticket: jack.ticket, group: 'r2' })).body, { status: 'ok' });
  t.strictSame((await one.get('/v5/group/members', { group: 'r2' })).body, []);
});
