/**
 * What an open dashboard is told: all samples there are, then each new one, as server-sent events. A sample is written
 * once for all who watch. Bounded: so many watch at once, and who does not read is cut off.
 */
import type { ServerResponse } from 'node:http';
import { answerError, beginStream } from './answer.js';
import type { History } from './history.js';
import { SAMPLE_FIELDS, type Sample } from './measures.js';

const WATCHERS = 50;
const UNREAD_BYTES = 1024 * 1024;

/** Six digits are more than a plot shows. */
function row(sample: Sample): number[] {
  return SAMPLE_FIELDS.map((field) => (field === 'at' ? sample.at : Number(sample[field].toPrecision(6))));
}

export class Stream {
  readonly #open = new Set<ServerResponse>();

  constructor(
    private readonly history: History,
    /** The description of the node that goes with each sample. */
    private readonly node: () => object,
  ) {
    history.watchers.add((sample) => this.#send(sample));
  }

  watch(response: ServerResponse): void {
    if (this.#open.size >= WATCHERS) return answerError(response, 503, 'too many dashboards are open');
    beginStream(response);
    this.#open.add(response);
    response.on('close', () => this.#open.delete(response));
    const first = { fields: SAMPLE_FIELDS, samples: this.history.samples.map(row), node: this.node() };
    response.write(`event: history\ndata: ${JSON.stringify(first)}\n\n`);
  }

  #send(sample: Sample): void {
    if (this.#open.size === 0) return;
    const event = `data: ${JSON.stringify({ sample: row(sample), node: this.node() })}\n\n`;
    for (const response of this.#open) {
      if (response.writableLength > UNREAD_BYTES) response.destroy();
      else response.write(event);
    }
  }
}
