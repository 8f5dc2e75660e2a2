/** When a call is answered whose sender may go on through another node: `whenArrived` in src/protocols/caller.ts. */
import t from 'tap';
import { type Address, parseTarget } from '../src/actors/address.js';
import type { RemoteNode } from '../src/actors/cluster.js';
import type { Domain } from '../src/actors/domain.js';
import { whenArrived } from '../src/protocols/caller.js';

t.test(
  'a message to somebody who moves is answered when the node that they leave has it, and the one that they come to',
  async (t) => {
    const [left, next] = [{ name: 'left' }, { name: 'next' }] as unknown as RemoteNode[];
    let at = new Set([left]);
    const asked: unknown[] = [];
    const domain = {
      name: 'a.example',
      tracker: { records: new Map() },
      router: { tell: ({ done }: { readonly done: () => void }) => done() },
      cluster: {
        hasOthers: true,
        nodesTo: () => at,
        settled: (done: () => void, nodes: unknown) => {
          asked.push(nodes);
          done();
        },
      },
    } as unknown as Domain;
    const target = parseTarget('a.example', 'jack');
    const answered: unknown[] = [];
    const arrived = whenArrived(domain, '/domain/a.example/uid/anna' as Address, [['jack', target]], (sent) =>
      answered.push(sent),
    );
    at = new Set([next as RemoteNode]);
    arrived(null);
    t.strictSame(asked, [new Set([left, next])]);
    t.strictSame(answered, [null]);
  },
);
