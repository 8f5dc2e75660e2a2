/** What comes for an endpoint while another node is asked to take it over. */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { Passed } from '../../src/actors/moving.js';
import { Passing, passed } from '../../src/cluster/passing.js';

t.test(
  'that something may be missing is passed on once for all that waits, and again for what is lost after that',
  (t) => {
    const told: string[] = [];
    const passing = new Passing<Passed>(({ kind }) => told.push(kind));
    const take = passed(passing, { drop: () => false } as never, '/domain/a.example/uid/ada' as Address);
    take({ kind: 'missed' });
    take({ kind: 'missed' });
    passing.taken();
    t.strictSame(told, ['missed']);
    take({ kind: 'missed' });
    t.strictSame(told, ['missed', 'missed'], 'its clients may have been told of the first loss before the second one');
    t.end();
  },
);
