/** The packets that a client sends, decoded and checked. `cmd` names the kind of packet. */
import type { Qos, SentPublish } from '../../actors/publication.js';

/** Protocol level: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type Version = 3 | 4 | 5;

export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  /** The properties that are passed on, encoded. */
  readonly properties: Buffer;
  /** Seconds; null: the message does not expire. */
  readonly expiryS: number | null;
  readonly delayS: number;
}

export interface Connect {
  readonly cmd: 'connect';
  readonly version: Version;
  readonly clean: boolean;
  readonly keepAliveS: number;
  /** Empty: the server assigns one. */
  readonly clientId: string;
  readonly username: string | null;
  readonly password: Buffer | null;
  readonly will: Will | null;
  /** Seconds; Infinity: never. Null: not given. */
  readonly sessionExpiryS: number | null;
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
  readonly requestResponse: boolean;
  readonly requestProblem: boolean;
  readonly authenticationMethod: string | null;
}

export interface Publish {
  readonly cmd: 'publish';
  /** Empty where only an alias is given; the connection puts in the topic that the alias stands for. */
  topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Packet identifier; 0 at QoS 0. */
  readonly id: number;
  /** Topic alias; 0: none. */
  readonly alias: number;
  /** Seconds; null: the message does not expire. */
  readonly expiryS: number | null;
  /** The properties that are passed on, encoded. */
  readonly properties: Buffer;
  /** The packet, where receivers of the same version and QoS may get the same bytes. */
  readonly sent: SentPublish | null;
}

export type AckName = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';

export interface Ack {
  readonly cmd: AckName;
  readonly id: number;
  readonly reason: number;
}

export interface Wanted {
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: number;
}

export interface Subscribe {
  readonly cmd: 'subscribe';
  readonly id: number;
  readonly wanted: readonly Wanted[];
  /** Subscription identifier; 0: none. */
  readonly identifier: number;
}

export interface Unsubscribe {
  readonly cmd: 'unsubscribe';
  readonly id: number;
  readonly filters: readonly string[];
}

export interface PingReq {
  readonly cmd: 'pingreq';
}

export interface Disconnect {
  readonly cmd: 'disconnect';
  readonly reason: number;
  /** Seconds; null: what CONNECT said holds. */
  readonly sessionExpiryS: number | null;
}

/** A packet that breaks the standard: the connection ends. */
export interface Refused {
  readonly cmd: 'refused';
  /** The reason code for CONNACK or DISCONNECT. */
  readonly reason: number;
  /** The connection is closed without a word. */
  readonly silent: boolean;
}

/** A refusal; `silent`: the connection is closed without a word. */
export function refused(reason: number, silent = false): Refused {
  return { cmd: 'refused', reason, silent };
}

/** A session expiry that is for ever, section 3.1.2.11.2. */
export const NEVER = 0xffffffff;

export type Incoming = Connect | Publish | Ack | Subscribe | Unsubscribe | PingReq | Disconnect;
