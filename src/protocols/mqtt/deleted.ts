/** Messages that are deleted while they wait for a session's client, and events that carry them. PROTOCOL.md section 18. */
import { type Deletion, deletionOf, isFrameOf, isItemOf } from '../../actors/deletions.js';
import type { Domain } from '../../actors/domain.js';
import type { Packet } from '../../actors/packet.js';
import type { Publication } from '../../actors/publication.js';
import { isAddress } from './publish-to-address.js';
import type { SessionState } from './session.js';
import { eventTopic } from './topics.js';

/** If a packet says that its sender deleted a message, removes that message from those that wait. Answers whether one was removed. */
export function takeDeleted({ broker: { domain }, outbound, moving }: SessionState, packet: Packet): boolean {
  const deletion = deletionOf(domain, packet);
  if (deletion === null) return false;
  const isWanted = ({ topic, payload }: Publication): boolean => topic === packet.topic && isFrameOf(deletion, payload);
  const isFound = outbound.takeOut(isWanted) || (moving?.held.takeOutAll(isWanted) ?? 0) > 0;
  if (isFound) domain.metrics.drop('deleted', packet.topic);
  return isFound;
}

/** Removes deleted messages from those that wait, and events that carry them. */
export function takeAllDeleted({ broker: { domain }, outbound, moving }: SessionState, deletion: Deletion): void {
  const isGone = deletedBy(domain, deletion);
  domain.metrics.dropped.deleted += outbound.takeOutAll(isGone) + (moving?.held.takeOutAll(isGone) ?? 0);
}

/**
 * Whether a publication is a deleted message, or an event that carries one. A single message is left to the status that deletes it, for as
 * long as that may still come.
 */
export function deletedBy({ name }: Pick<Domain, 'name'>, deletion: Deletion): (publication: Publication) => boolean {
  const events = eventTopic(name, '');
  return ({ topic, payload }) => {
    if (topic.startsWith(events)) return isItemOf(deletion, payload);
    return (deletion.id === null || deletion.isLate === true) && isAddress(topic) && isFrameOf(deletion, payload);
  };
}
