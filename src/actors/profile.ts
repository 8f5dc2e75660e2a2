/** The nick, show and status of an endpoint: of what two nodes have set, the later counts. */
import { detached } from './detached.js';
import type { EndpointRecord, StampedProfile } from './endpoint-record.js';

/** Takes over into an endpoint's record what of a profile is later. */
export function adopt(record: EndpointRecord, { stamp, nick, shown, show, status }: StampedProfile): void {
  if (stamp > record.stamp) {
    record.stamp = stamp;
    record.nick = detached(nick);
  }
  if (shown > record.shown) {
    record.shown = shown;
    record.show = show;
    record.status = detached(status);
  }
}
