import type { Scenario } from '../support/scenario.js';
import { aliases } from './aliases.js';
import { connecting } from './connect.js';
import { connectingV5 } from './connect-v5.js';
import { ending } from './disconnect.js';
import { flow } from './flow.js';
import { malformed } from './malformed.js';
import { properties } from './properties.js';
import { publishing } from './publish.js';
import { retaining } from './retain.js';
import { sessions } from './sessions.js';
import { sharing } from './shared.js';
import { streams } from './stream.js';
import { subscribing } from './subscribe.js';
import { subscribingV5 } from './subscribe-v5.js';
import { topics } from './topics.js';
import { webSockets } from './websocket.js';
import { wills } from './wills.js';

/** Every scenario, under the file that holds it. */
export const families: ReadonlyMap<string, readonly Scenario[]> = new Map([
  ['scenarios/connect.ts', connecting],
  ['scenarios/connect-v5.ts', connectingV5],
  ['scenarios/publish.ts', publishing],
  ['scenarios/subscribe.ts', subscribing],
  ['scenarios/topics.ts', topics],
  ['scenarios/retain.ts', retaining],
  ['scenarios/sessions.ts', sessions],
  ['scenarios/wills.ts', wills],
  ['scenarios/disconnect.ts', ending],
  ['scenarios/flow.ts', flow],
  ['scenarios/properties.ts', properties],
  ['scenarios/subscribe-v5.ts', subscribingV5],
  ['scenarios/shared.ts', sharing],
  ['scenarios/aliases.ts', aliases],
  ['scenarios/malformed.ts', malformed],
  ['scenarios/stream.ts', streams],
  ['scenarios/websocket.ts', webSockets],
]);
