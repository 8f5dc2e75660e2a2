import t from 'tap';
import { NamedDomains } from '../src/admin/named-domains.js';
import type { Described } from '../src/admin/prometheus.js';
import { ManualClock } from './mqtt/support/clock.js';
import { dice } from './support/dice.js';

const HOUR_MS = 3_600_000;

const SENT = { name: 'nextalk_domain_packets_sent_total', type: 'counter', help: 'Out.' } as const;
const ONLINE = { name: 'nextalk_domain_endpoints_online', type: 'gauge', help: 'Online.' } as const;
const LAG = { name: 'nextalk_event_loop_lag_seconds', type: 'gauge', help: 'Lag.' } as const;

/** What a server with so many messages of each domain would show. */
function families(sent: ReadonlyMap<string, number>): Described[] {
  const values = [...sent].map(([domain, value]) => ({ labels: { domain, kind: 'message' }, value }));
  const online = [...sent.keys()].map((domain) => ({ labels: { domain }, value: 1 }));
  return [
    [SENT, values],
    [ONLINE, online],
    [LAG, [{ labels: {}, value: 0.5 }]],
  ];
}

/** The same where those without a name are added up already. */
function added(sent: ReadonlyMap<string, number>, named: ReadonlySet<string> | null): Described[] {
  if (named === null) return families(sent);
  const shown = new Map([...sent].filter(([name]) => named.has(name)));
  const others = [...sent].filter(([name]) => !named.has(name));
  if (others.length > 0)
    shown.set(
      'other',
      others.reduce((sum, [, count]) => sum + count, 0),
    );
  return families(shown);
}

/** The numbers of one family by their domains. */
function read(shown: readonly Described[], { name }: { readonly name: string }): Map<string, number> {
  const values = shown.find(([family]) => family.name === name)?.[1] ?? [];
  return new Map(values.map((value) => [value.labels.domain ?? '', 'value' in value ? value.value : Number.NaN]));
}

/** Shows messages by domain, as `a 1, b 5` in and out. */
function showing(most: number) {
  const clock = new ManualClock();
  const domains = new NamedDomains(() => most, clock);
  const counts = (text: string) =>
    new Map(text.split(', ').map((item) => [item.split(' ')[0] ?? '', Number(item.split(' ')[1])]));
  const show = (text: string, family: { readonly name: string } = SENT) =>
    [
      ...read(
        domains.bound(() => families(counts(text))),
        family,
      ),
    ]
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  return { clock, show };
}

t.test('as many domains as may have series of their own, the others are one, what is of no domain stays', async (t) => {
  const { show } = showing(2);
  t.equal(show('a 1, b 5, c 2, d 3'), 'b 5, d 3, other 3');
  t.equal(show('a 1, b 5, c 2, d 3', ONLINE), 'b 1, d 1, other 2');
  t.equal(show('a 1, b 5, c 2, d 3', LAG), ' 0.5');
});

t.test('with room for all, or no limit, nothing changes', async (t) => {
  for (const most of [2, 0]) t.equal(showing(most).show('a 1, b 5'), 'a 1, b 5');
});

t.test('a domain that is called other is one of the others', async (t) => {
  t.equal(showing(1).show('other 9, b 5, c 1'), 'b 5, other 10');
});

t.test('who has done most in the last hour gets a name, and who has not loses it', async (t) => {
  const { clock, show } = showing(1);
  t.equal(show('a 100, b 5'), 'a 100, other 5');
  clock.advance(HOUR_MS);
  t.equal(show('a 100, b 5'), 'a 100, other 5');
  clock.advance(HOUR_MS);
  t.equal(show('a 101, b 15'), 'a 101, other 15', 'it is looked at now, and holds from the next time on');
  t.equal(show('a 102, b 16'), 'b 16, other 16', 'a has counted one more since');
});

t.test('a worker that starts again begins the counters of the others anew, and none is below 0', async (t) => {
  const { clock, show } = showing(1);
  show('a 9, b 500, c 2');
  clock.advance(HOUR_MS);
  t.equal(show('a 900, b 501, c 2'), 'b 501, other 902');
  t.equal(show('a 901, b 502, c 3'), 'a 901, other 904');
  t.equal(show('a 1, b 2, c 0'), 'a 1, other 2');
});

for (let seed = 1; seed <= 20; seed++) {
  t.test(`counters of the others rise by what the others count, whoever gets or loses a name, ${seed}`, async (t) => {
    const roll = dice(seed);
    const clock = new ManualClock();
    const most = 1 + roll(5);
    const domains = new NamedDomains(() => most, clock);
    const wrong: string[] = [];
    let sent = new Map<string, number>();
    let before = new Map<string, number>();
    for (let step = 0; step < 200; step++) {
      const next = new Map(sent);
      for (let n = roll(30); n > 0; n--) {
        const name = `d${roll(12)}`;
        next.set(name, (next.get(name) ?? 0) + roll(roll(2) === 0 ? 3 : 100));
      }
      if (roll(8) === 0) clock.advance(HOUR_MS);
      const isAdded = roll(2) === 0;
      const shown = domains.bound((named) => (isAdded ? added(next, named) : families(next)));
      const now = read(shown, SENT);
      const others = [...next.keys()].filter((name) => !now.has(name));
      const rise = others.reduce((sum, name) => sum + (next.get(name) ?? 0) - (sent.get(name) ?? 0), 0);
      const risen = (now.get('other') ?? 0) - (before.get('other') ?? 0);
      if (before.has('other') && now.has('other') && risen !== rise) wrong.push(`${step}: ${risen}, not ${rise}`);
      for (const [name, value] of now) if (name !== 'other' && value !== next.get(name)) wrong.push(`${step}: ${name}`);
      sent = next;
      before = now;
    }
    t.strictSame(wrong, []);
  });
}
