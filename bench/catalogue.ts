/** Every scenario, in the order of the table. */
import type { Scenario } from './scenario.js';
import { connectScenarios } from './scenarios/connect.js';
import { fanoutScenarios } from './scenarios/fanout.js';
import { growth } from './scenarios/growth.js';
import { pairScenarios } from './scenarios/pairs.js';
import { presenceStorm } from './scenarios/presence.js';
import { sendingScenarios } from './scenarios/sending.js';
import { singleScenarios } from './scenarios/single.js';
import { topicTree } from './scenarios/tree.js';

export const scenarios: readonly Scenario[] = [
  ...fanoutScenarios,
  ...singleScenarios,
  ...pairScenarios,
  ...sendingScenarios,
  ...connectScenarios,
  presenceStorm,
  growth,
  topicTree,
];

/** Scenarios whose id is, or begins with, one of the names; all when none is given. Throws at a name of none. */
export function select(names: readonly string[]): Scenario[] {
  for (const name of names) {
    if (!scenarios.some(({ id }) => id.startsWith(name))) throw new Error(`no scenario is called ${name}`);
  }
  return scenarios.filter(({ id }) => names.length === 0 || names.some((name) => matches(id, name)));
}

function matches(id: string, name: string): boolean {
  return id === name || (id.startsWith(name) && !scenarios.some((other) => other.id === name));
}
