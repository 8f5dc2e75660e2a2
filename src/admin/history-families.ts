/** The numbers of `/metrics` about histories: what is kept, and every way in which a message comes and goes. */
import type { DomainMetrics } from '../metrics.js';
import { type Family, ofDomain, single } from './family.js';

/** How a number is called, what it says, and whether it only grows. */
const NUMBERS = [
  ['gauge', 'messages', 'Messages in the history'],
  ['gauge', 'bytes', 'Bytes of JSON that these take'],
  ['counter', 'kept', 'Messages taken into the history since the start'],
  ['counter', 'trimmed', 'Messages that left the history for their number, their age or `historyBytes`'],
  ['counter', 'deleted', 'Messages that the site had forgotten'],
  ['counter', 'refused', 'Messages not kept, for `historyBytes` or for want of room on the disk'],
] as const satisfies readonly (readonly ['gauge' | 'counter', keyof DomainMetrics['history'], string])[];

export const HISTORY_FAMILIES: readonly Family[] = NUMBERS.flatMap(([type, name, help]) => {
  const end = type === 'counter' ? `${name}_total` : name;
  return [
    single(type, `nextalk_history_${end}`, `${help}, of all domains.`, ({ metrics }) =>
      metrics.total(({ history }) => history[name]),
    ),
    ofDomain(type, `nextalk_domain_history_${end}`, `${help} of a domain.`, ({ history }) => history[name]),
  ];
});
