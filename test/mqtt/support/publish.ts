import type { PublishOptions } from '../../../src/protocols/mqtt/encode.js';

/** How the simplest PUBLISH is written. */
export const plain: PublishOptions = {
  version: 4,
  qos: 0,
  dup: false,
  retain: false,
  id: 0,
  alias: 0,
  omitTopic: false,
  identifiers: [],
  now: 0,
};
