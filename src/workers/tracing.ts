/**
 * The trace of one endpoint over all workers. Each worker records the hops that it sees; here they become one list, in
 * order of time. The list is bounded: the oldest hops go.
 */
import type { Hop } from '../actors/trace.js';
import type { TraceView } from '../admin/tracing.js';
import { BoundedMap } from '../bounded-map.js';
import type { Answers, Requests } from './requests.js';

const kept = 1000;
const readMs = 1000;

/** A hop with the node that saw it. Packets have other numbers than on their nodes. */
export interface PlacedHop extends Omit<Hop, 'origin'> {
  readonly node: string;
}

export interface SharedTraceView extends Omit<TraceView, 'hops' | 'now'> {
  readonly hops: readonly PlacedHop[];
}

type Answered = Answers<{ readonly trace: TraceView | null }>;

/** What has been read of one worker's trace. */
interface Read {
  /** When the worker's trace began: a worker that is replaced begins another one. */
  startedAt: number;
  seq: number;
  /** Hops that are not listed yet, since another worker may have earlier ones. */
  readonly waiting: Hop[];
}

class SharedTrace {
  readonly #hops: PlacedHop[] = [];
  /** Numbers of packets, by the node that followed a packet first and the number that the packet has there. */
  readonly #packets = new BoundedMap<string, number>(() => kept);
  readonly #read = new Map<string, Read>();
  #seq = 0;

  constructor(
    readonly domain: string,
    /** The short id of the endpoint. */
    readonly id: string,
    readonly startedAt: number,
    public until: number,
  ) {}

  seqOf(worker: string): number {
    return this.#read.get(worker)?.seq ?? 0;
  }

  /** Whether a worker's trace is the one that it was told to begin. */
  isOf(worker: string, { startedAt }: TraceView): boolean {
    return this.#read.get(worker)?.startedAt === startedAt;
  }

  begins(worker: string, { startedAt }: TraceView): void {
    const known = this.#read.get(worker);
    if (known) Object.assign(known, { startedAt, seq: 0 });
    else this.#read.set(worker, { startedAt, seq: 0, waiting: [] });
  }

  take(worker: string, { hops }: TraceView): void {
    const read = this.#read.get(worker);
    if (!read) return;
    read.seq = hops.at(-1)?.seq ?? read.seq;
    read.waiting.push(...hops);
  }

  /** Lists the hops before `moment`: every worker has told all that happened until then. */
  listUntil(moment: number): void {
    for (;;) {
      const next = this.#earliest();
      const [hop] = next?.[1].waiting ?? [];
      if (!next || !hop || hop.at >= moment) return;
      next[1].waiting.shift();
      this.#list(next[0], hop);
    }
  }

  after(seq: number): PlacedHop[] {
    return this.#hops.filter((hop) => hop.seq > seq);
  }

  /** The worker whose next hop is the earliest. Of two hops in one millisecond, `received` is the later. */
  #earliest(): readonly [string, Read] | null {
    let best: readonly [string, Read] | null = null;
    for (const entry of this.#read) {
      const [hop] = entry[1].waiting;
      const [other] = best?.[1].waiting ?? [];
      if (hop && (!other || hop.at < other.at || (hop.at === other.at && other.hop === 'received'))) best = entry;
    }
    return best;
  }

  #list(node: string, { origin, packet, ...hop }: Hop): void {
    this.#seq += 1;
    const number = packet === 0 ? 0 : this.#numberOf(`${origin || node} ${packet}`);
    this.#hops.push({ ...hop, seq: this.#seq, packet: number, node });
    if (this.#hops.length > kept) this.#hops.shift();
  }

  #numberOf(name: string): number {
    const known = this.#packets.get(name);
    if (known !== undefined) return known;
    const number = this.#seq;
    this.#packets.set(name, number);
    return number;
  }
}

export class SharedTracing {
  #current: SharedTrace | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** Readings go one after the other, so that no hop is listed twice. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor(private readonly requests: Requests) {}

  /** The domain of the trace that runs; null: none does. */
  get running(): string | null {
    return this.#current && Date.now() < this.#current.until ? this.#current.domain : null;
  }

  /** Starts a trace on all workers. `query` names domain, endpoint and time. Answers what the workers say. */
  async start(query: string): Promise<Answered> {
    const answers = await this.requests.sendJson<{ trace: TraceView }>(`/api/trace${query}`, 'POST');
    const [first] = answers.counted.values();
    if (!first) return answers;
    const { domain, id, startedAt, until } = first.trace;
    // Two traces that begin in the same millisecond must differ.
    const trace = new SharedTrace(domain, id, Math.max(startedAt, (this.#current?.startedAt ?? 0) + 1), until);
    for (const [worker, { trace: view }] of answers.counted) trace.begins(worker, view);
    this.#current = trace;
    this.#timer ??= setInterval(() => void this.view(0).catch(() => undefined), readMs).unref();
    return answers;
  }

  async stop(): Promise<void> {
    await this.requests.sendJson('/api/trace', 'DELETE');
    if (this.#current) this.#current.until = Math.min(this.#current.until, Date.now());
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** The hops after `seq`, and the workers whose hops may be missing. */
  async view(seq: number): Promise<{ trace: SharedTraceView | null; notCounted: readonly string[] }> {
    const trace = this.#current;
    if (!trace) return { trace: null, notCounted: [] };
    const reading = this.#reading.then(() => this.#readAll(trace));
    this.#reading = reading.catch(() => undefined);
    const notCounted = await reading;
    const { domain, id, startedAt, until } = trace;
    const active = Date.now() < until;
    return { trace: { active, domain, id, startedAt, until, hops: trace.after(seq) }, notCounted };
  }

  async #readAll(trace: SharedTrace): Promise<readonly string[]> {
    const isActive = Date.now() < trace.until;
    const { counted, notCounted } = await this.requests.sendJson<{ trace: TraceView | null }>(
      (worker) => `/api/trace?after=${trace.seqOf(worker)}`,
    );
    let known = Number.POSITIVE_INFINITY;
    const others: string[] = [];
    for (const [worker, { trace: view }] of counted) {
      if (view && trace.isOf(worker, view)) {
        trace.take(worker, view);
        known = Math.min(known, view.now);
      } else others.push(worker);
    }
    trace.listUntil(isActive ? known : Number.POSITIVE_INFINITY);
    if (!isActive) this.close();
    else if (trace === this.#current && others.length > 0) await this.#join(trace, new Set(others));
    return notCounted;
  }

  /** Starts the trace on workers that have started since it began. */
  async #join(trace: SharedTrace, workers: ReadonlySet<string>): Promise<void> {
    const minutes = (trace.until - Date.now()) / 60_000;
    if (minutes <= 0) return;
    const query = new URLSearchParams({ domain: trace.domain, id: trace.id, minutes: String(minutes) });
    const answers = await this.requests.sendJson<{ trace: TraceView }>(`/api/trace?${query}`, 'POST', workers);
    for (const [worker, { trace: view }] of answers.counted) trace.begins(worker, view);
  }
}
