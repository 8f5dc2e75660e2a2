/** Tells nodes everything that this one has, as they have come or may have missed something: as much at a time as may be on its way. */
import type { Peer } from './peer.js';

/** How many characters of a snapshot may be on their way at a time. */
const SNAPSHOT_CHARACTERS = 1024 * 1024;

export class SnapshotSender {
  constructor(
    /** The items of a snapshot for a node. `afterGap`: some earlier items for it may be lost. */
    private readonly of: (peer: Peer, afterGap: boolean) => Iterator<string>,
    private readonly send: (peer: Peer, item: string) => void,
  ) {}

  begin(peer: Peer, afterGap: boolean): void {
    // A snapshot that is still being told begins anew; it stays one after a gap if it was one.
    peer.snapshotAfterGap = afterGap || (peer.snapshot !== null && peer.snapshotAfterGap);
    peer.snapshot = this.of(peer, peer.snapshotAfterGap);
    this.send(peer, peer.snapshotAfterGap ? '["<",1]' : '["<",0]');
    this.pump(peer);
  }

  /** Sends further items of a node's snapshot, as many as may be on their way. */
  pump(peer: Peer): void {
    const { snapshot, stream } = peer;
    if (!snapshot) return;
    while (stream.backlog < SNAPSHOT_CHARACTERS) {
      const next = snapshot.next();
      if (next.done) {
        peer.snapshot = null;
        this.send(peer, '[">"]');
        return;
      }
      this.send(peer, next.value);
    }
  }
}
