/** What fan-outs and pairs share: counting, long polls, logins. */
import { HttpClient as Http, type HttpClient, httpRequest, type OnAnswer } from '../clients/http.js';
import { apikey, domain, emptyFrame, emptyPoll } from '../clients/nextalk.js';
import { httpBody, httpHeader, messagesIn } from '../scan.js';
import type { Context, TargetName } from '../scenario.js';

const OURS: ReadonlySet<TargetName> = new Set<TargetName>(['nextalk', 'data', 'history', 'before']);

export const isOurs = (target: TargetName): boolean => OURS.has(target);

/** Throws unless the status is one of success. */
export const checkOk: OnAnswer = (status, bytes, start, end) => {
  if (status < 200 || status > 202) throw new Error(`answered ${bytes.toString('latin1', start, end)}`);
};

/** Counts messages by the length of frames: the first frame of a run holds one, since it was sent alone. */
export class FrameCounter {
  readonly #empty: number;
  #one = 0;

  constructor(empty: number = emptyFrame.length) {
    this.#empty = empty;
  }

  count(length: number): number {
    if (length <= this.#empty) return 0;
    if (this.#one === 0) this.#one = length;
    return messagesIn(length, this.#one, this.#empty);
  }
}

export const pollCounter = (): FrameCounter => new FrameCounter(emptyPoll.length);

/** Where a broker is and how to log in: NexTalk's are private to a domain, the peers' are open. */
export function brokerLogin(context: Context): { port: number; username?: string; password?: string } {
  const { mqttPort: port } = context;
  return isOurs(context.target) ? { port, username: domain, password: apikey } : { port };
}

/** Polls again as soon as a poll is answered. */
export async function pollForever(
  port: number,
  request: Buffer,
  counter: FrameCounter,
  delivered: (count: number) => void,
): Promise<HttpClient> {
  const http = await Http.open(port);
  const onAnswer: OnAnswer = (status, bytes, start, end) => {
    if (status !== 200) throw new Error(`a poll was answered ${bytes.toString('latin1', start, end)}`);
    const count = counter.count(end - httpBody(bytes, start, end));
    http.request(request, onAnswer);
    if (count > 0) delivered(count);
  };
  http.request(request, onAnswer);
  return http;
}

/** nchan names the message to go on from in two headers of each answer, which the next poll repeats. */
export async function pollNchanForever(port: number, channel: string, delivered: () => void): Promise<void> {
  const http = await Http.open(port);
  const path = `/poll/${channel}`;
  const onAnswer: OnAnswer = (status, bytes, start, end) => {
    if (status !== 200) throw new Error(`a poll was answered ${bytes.toString('latin1', start, end)}`);
    const body = httpBody(bytes, start, end);
    const modified = httpHeader(bytes, start, body, 'last-modified:');
    const tag = httpHeader(bytes, start, body, 'etag:');
    http.request(httpRequest(path, `If-Modified-Since: ${modified}\r\nIf-None-Match: ${tag}\r\n`), onAnswer);
    delivered();
  };
  http.request(httpRequest(path, ''), onAnswer);
}
