export { NexTalk } from './client.js';
export { NexTalkError } from './error.js';
export type {
  Claims,
  Clock,
  Conversation,
  Conversations,
  History,
  Id,
  Message,
  Online,
  OnlineOptions,
  Options,
  Outcome,
  Packet,
  Presence,
  Range,
  Sent,
  Show,
  Who,
} from './types.js';
export { type Events, parseEvents, parseMessage, type SiteEvent } from './webhook.js';
