/**
 * Ids that senders give their messages, in a cluster. All ids of a sender are remembered by one node, which the sender's address
 * chooses, whichever nodes the sender is on. Before a node sends a message with such an id, it asks the remembering node for which
 * receivers the message is new, and reports the message's outcomes afterwards.
 */
import type { Address } from '../actors/address.js';
import { type Addressee, type Claim, type MessageIds, SentMessage } from '../actors/message-ids.js';
import { isOutcome, type Outcome } from '../actors/outcome.js';
import type { LocalNode } from './local-node.js';
import type { Peer } from './peer.js';

/** How long the node that remembers a sender's ids may take to answer. */
const CLAIM_MS = 5000;
/** How long the sending node may take to report a message's outcome; the wait ends at once where that node is lost. */
const SENT_MS = 30_000;

type Asked = readonly [address: Address | '', client: string | null, members: number | null, fromClient?: unknown];
/** 1: the message is new. Otherwise its outcome (null while it is not known) and how many members its room had (null: no room). */
type Known = 1 | readonly [outcome: Outcome | null, members: number | null];

export interface ClaimOptions {
  readonly domain: { readonly name: string; readonly messageIds: MessageIds; readonly answersFromDisk?: boolean };
  readonly rpc: Omit<LocalNode['rpc'], 'callAll' | 'withdraw'>;
  /** The node that an address chooses; null: this one. */
  readonly chosenBy: (address: Address) => Peer | null;
  /** Calls `done` when this node knows what nodes that are gone knew of a sender's ids; false, and `done` is not called: it knows that. */
  readonly whenKnown: (sender: Address, done: () => void) => boolean;
}

export class Claims {
  constructor(private readonly options: ClaimOptions) {}

  /** Asks the node that remembers the sender's ids; `done` gets null where it has not answered. False where that node is this one, and knows all. */
  claim(
    sender: Address,
    id: string,
    addressees: readonly Addressee[],
    done: (claims: readonly Claim[] | null) => void,
  ): boolean {
    const { domain, rpc, chosenBy, whenKnown } = this.options;
    const peer = chosenBy(sender);
    if (!peer) return whenKnown(sender, () => done(domain.messageIds.claim(sender, id, addressees)));
    rpc.call(peer, 'claim', [domain.name, sender, id, addressees.map(askedOf)], CLAIM_MS, (answer) => {
      const claims = this.#read(peer, sender, id, addressees, answer);
      // Where the remembering node is lost, another node remembers the sender's ids from now on, and is asked.
      if (claims || chosenBy(sender) === peer || !this.claim(sender, id, addressees, done)) done(claims);
    });
    return true;
  }

  /** Answers the `claim` call of another node. */
  answer(peer: Peer, fields: readonly unknown[], reply: (answer: unknown) => void): void {
    const read = readAsked(fields);
    if (!read) return reply(null);
    const answer = (): void => this.#answer(peer, read, reply);
    if (!this.options.whenKnown(read.sender, answer)) answer();
  }

  #answer(peer: Peer, read: Asking, reply: (answer: unknown) => void): void {
    const { domain, rpc } = this.options;
    const claims = domain.messageIds.claim(read.sender, read.id, read.addressees);
    const sent = claims.filter(({ isNew }) => isNew).map((claim) => claim.sent);
    const number = sent.length === 0 ? 0 : rpc.expect(peer, SENT_MS, (outcomes) => this.#settle(sent, outcomes));
    reply([number, claims.map(({ sent: { outcome, members }, isNew }): Known => (isNew ? 1 : [outcome, members]))]);
  }

  /** Answers the `outcomes` call of another node, which waits for the outcomes of a message that is on its way already. */
  answerOutcomes(fields: readonly unknown[], reply: (answer: unknown) => void): void {
    const read = readAsked(fields);
    if (!read) return reply(null);
    const { sender, id, addressees } = read;
    const outcomes: Outcome[] = addressees.map(() => 'unknown');
    let missing = 1;
    const known = () => {
      missing -= 1;
      if (missing === 0) reply(outcomes);
    };
    for (const [at, { target }] of addressees.entries()) {
      missing += 1;
      const sent = this.options.domain.messageIds.find(sender, id, target);
      if (!sent) known();
      else {
        sent.whenKnown((outcome) => {
          outcomes[at] = outcome;
          known();
        });
      }
    }
    known();
  }

  /** Stores outcomes that another node reports. A message without a known outcome may not have been sent: its repetition is accepted. */
  #settle(sent: readonly SentMessage[], outcomes: unknown): void {
    const { messageIds } = this.options.domain;
    for (const [at, one] of sent.entries()) {
      const outcome: unknown = Array.isArray(outcomes) ? outcomes[at] : null;
      const isKnown = isOutcome(outcome) && !(outcome === 'unknown' && this.options.domain.answersFromDisk);
      if (isKnown) messageIds.settle(one, outcome);
      else messageIds.drop(one);
    }
  }

  #read(
    peer: Peer,
    sender: Address,
    id: string,
    addressees: readonly Addressee[],
    answer: unknown,
  ): readonly Claim[] | null {
    if (!isAnswer(answer, addressees.length)) return null;
    const [number, known] = answer;
    const claims = known.map((what, at): Claim => {
      const members = what === 1 ? (addressees[at] as Addressee).members : what[1];
      const sent = new SentMessage('', 0, members);
      if (what !== 1 && what[0] !== null) sent.settle(what[0]);
      return { sent, isNew: what === 1 };
    });
    this.#report(peer, number, claims);
    this.#await(peer, sender, id, addressees, claims);
    return claims;
  }

  /** Reports the outcomes of new messages to the node that remembers, as soon as all of them are known. */
  #report(peer: Peer, number: number, claims: readonly Claim[]): void {
    const sent = claims.filter(({ isNew }) => isNew).map((claim) => claim.sent);
    let missing = sent.length;
    for (const one of sent) {
      one.whenKnown(() => {
        missing -= 1;
        if (missing > 0) return;
        const outcomes = sent.map(({ outcome }) => outcome);
        this.options.rpc.answer(peer, number, outcomes);
      });
    }
  }

  /** Asks the node that remembers for the outcomes of messages that were on their way already. */
  #await(peer: Peer, sender: Address, id: string, addressees: readonly Addressee[], claims: readonly Claim[]): void {
    const { domain, rpc } = this.options;
    const open = claims.flatMap(({ sent, isNew }, at) => (isNew || sent.outcome !== null ? [] : [{ sent, at }]));
    if (open.length === 0) return;
    const asked = open.map(({ at }) => askedOf(addressees[at] as Addressee));
    rpc.call(peer, 'outcomes', [domain.name, sender, id, asked], CLAIM_MS, (answer) => {
      for (const [at, { sent }] of open.entries()) {
        const outcome: unknown = Array.isArray(answer) ? answer[at] : null;
        sent.settle(isOutcome(outcome) ? outcome : 'unknown');
      }
    });
  }
}

function askedOf({ target, members, fromClient }: Addressee): Asked {
  return [target?.address ?? '', target?.client ?? null, members, fromClient ? 1 : 0];
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

function isCountOrNull(value: unknown): boolean {
  return value === null || (Number.isSafeInteger(value) && (value as number) >= 0);
}

function isAsked(value: unknown): value is Asked {
  if (!Array.isArray(value)) return false;
  const [address, client, members] = value;
  return typeof address === 'string' && isTextOrNull(client) && isCountOrNull(members);
}

interface Asking {
  readonly sender: Address;
  readonly id: string;
  readonly addressees: readonly Addressee[];
}

function readAsked([sender, id, asked]: readonly unknown[]): Asking | null {
  if (typeof sender !== 'string' || typeof id !== 'string') return null;
  if (!Array.isArray(asked) || !asked.every(isAsked)) return null;
  const addressees = asked.map(([address, client, members, fromClient]): Addressee => {
    return { target: address === '' ? null : { address, client }, members, fromClient: fromClient === 1 };
  });
  return { sender: sender as Address, id, addressees };
}

function isKnown(value: unknown): value is Known {
  if (value === 1) return true;
  return Array.isArray(value) && (value[0] === null || isOutcome(value[0])) && isCountOrNull(value[1]);
}

function isAnswer(value: unknown, count: number): value is readonly [number: number, known: readonly Known[]] {
  if (!Array.isArray(value) || !Number.isSafeInteger(value[0])) return false;
  const known: unknown = value[1];
  return Array.isArray(known) && known.length === count && known.every(isKnown);
}
