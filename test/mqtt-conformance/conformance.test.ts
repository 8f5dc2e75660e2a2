import t from 'tap';
import { families } from './scenarios/all.js';
import { startBroker } from './support/broker.js';
import { type Scenario, World } from './support/scenario.js';
import type { Version } from './support/wire.js';

const versions: readonly (readonly [name: '3.1' | '3.1.1' | '5.0', version: Version])[] = [
  ['3.1', 3],
  ['3.1.1', 4],
  ['5.0', 5],
];

/** `ONLY` runs the scenarios whose title holds this text. */
const only = process.env.ONLY ?? '';

const broker = await startBroker(t);
t.jobs = 8;
t.setTimeout(800_000);

function runs(scenario: Scenario, name: string, version: Version): void {
  const skip = broker.foreign && scenario.mosquitto && !process.env.ALL ? scenario.mosquitto : false;
  t.test(`${scenario.title} (${name})`, { buffered: true, skip, timeout: 300_000 }, async (t) => {
    const world = new World(broker, version);
    try {
      await scenario.run(world);
      t.pass('as the standard says');
    } finally {
      world.close();
    }
  });
}

for (const scenarios of families.values()) {
  for (const scenario of scenarios) {
    if (!scenario.title.includes(only)) continue;
    for (const [name, version] of versions) if (scenario[name] !== undefined) runs(scenario, name, version);
  }
}
