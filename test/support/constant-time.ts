import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { Cleaner } from './server.js';

/** Answers how many comparisons in constant time there were since it was last asked, everywhere in this process. */
export function constantTimeComparisons(t: Cleaner): () => number {
  const { timingSafeEqual } = crypto;
  let count = 0;
  const use = (compare: typeof timingSafeEqual): void => {
    crypto.timingSafeEqual = compare;
    syncBuiltinESMExports();
  };
  use((a, b) => {
    count += 1;
    return timingSafeEqual(a, b);
  });
  t.teardown(() => use(timingSafeEqual));
  return () => {
    const since = count;
    count = 0;
    return since;
  };
}
