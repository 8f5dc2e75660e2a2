/** What tests do with a cluster in one process (model-cluster.ts). */
import { Parameters } from '../../src/protocols/parameters.js';
import { turn } from '../mqtt/support/device.js';
import type { Network } from './model-cluster.js';

export const parameters = (fields: Readonly<Record<string, string>>) => new Parameters(Object.entries(fields));

/** Moves on what is on its way, but for streams of which `isLate` says so. */
export async function settle({ streams }: Network, isLate: (stream: string) => boolean = () => false): Promise<void> {
  const next = () => [...streams].find(([stream, tasks]) => tasks.length > 0 && !isLate(stream))?.[1];
  for (await turn(); next(); await turn()) next()?.shift()?.();
}
