/**
 * Deletions in what JetStream has of MQTT sessions (session-records.ts) that no living node has: their node is gone, and none has taken
 * them over yet.
 */
import type { DeletedIn } from './adopted.js';
import type { KeptStream } from './kept-stream.js';
import { type FoundItem, headsOf, itemsOf, keyOf, textsOf } from './session-heads.js';

type Stream = Pick<KeptStream, 'read' | 'readAll' | 'erase'>;

/**
 * Removes publications of sessions for whose client ids `isLeft` answers true: those whose numbers `deletedIn` answers. Resolves with how
 * many there were; rejects with a JetStreamError.
 */
export async function deleteLeft(
  stream: Stream,
  domain: string,
  isLeft: (clientId: string) => boolean,
  deletedIn: DeletedIn,
): Promise<number> {
  let count = 0;
  for (const { clientId, state } of await headsOf(stream, domain)) {
    if (!isLeft(clientId)) continue;
    const items = await itemsOf(stream, keyOf(domain, clientId));
    const deleted = new Set(deletedIn({ state, fresh: textsOf(items) }));
    // Of several records with one number an earlier one would come back in place of the last.
    for (const item of items) if (deleted.has(item.number)) await remove(stream, item);
    count += deleted.size;
  }
  return count;
}

async function remove(stream: Stream, { key, revision }: FoundItem): Promise<void> {
  await stream.erase(revision).catch(async (error: unknown) => {
    // A node that has taken the session over, or its client, may have been faster.
    if ((await stream.read(key))?.revision === revision) throw error;
  });
}
