/**
 * A regular expression as a backtracking engine runs it, with its steps counted: what V8 does, without its shortcuts. Of
 * the syntax it knows what this project uses, and throws at anything else.
 */

const exec = RegExp.prototype.exec;

type Next = (at: number) => boolean;
/** Tries to match at a position, and then what follows. */
type Node = (at: number, next: Next) => boolean;

interface Term {
  readonly node: Node;
  /** Matches one character or none; null: the item is a group. */
  readonly single: ((at: number) => boolean) | null;
}

export class Expression {
  static readonly #known = new Map<string, Expression>();

  static of({ source, flags }: RegExp): Expression {
    const key = `${flags}/${source}`;
    const known = Expression.#known.get(key) ?? new Expression(source, flags);
    Expression.#known.set(key, known);
    return known;
  }

  readonly #characters: readonly string[];
  readonly #root: Node;
  #at = 0;
  #text = '';
  #steps = 0;
  #most = 0;

  private constructor(
    source: string,
    private readonly flags: string,
  ) {
    this.#characters = [...source];
    this.#root = this.#alternatives();
    if (this.#at < this.#characters.length) throw new Error(`cannot read /${source}/ at ${this.#at}`);
  }

  /** Steps from the search's start to its end. */
  steps(text: string, from: number, most: number): number {
    this.#text = text;
    this.#steps = 0;
    this.#most = most;
    const last = this.flags.includes('y') ? from : text.length;
    for (let start = from; start <= last; start++) if (this.#root(start, () => true)) break;
    return this.#steps;
  }

  #step(): void {
    this.#steps += 1;
    if (this.#steps > this.#most) throw new Error(`/${this.#characters.join('')}/ takes more than ${this.#most} steps`);
  }

  #peek(): string {
    return this.#characters[this.#at] ?? '';
  }

  #take(): string {
    return this.#characters[this.#at++] ?? '';
  }

  #alternatives(): Node {
    const branches = [this.#sequence()];
    while (this.#peek() === '|') {
      this.#at += 1;
      branches.push(this.#sequence());
    }
    const [only] = branches;
    if (branches.length === 1 && only) return only;
    return (at, next) => branches.some((branch) => branch(at, next));
  }

  #sequence(): Node {
    const terms: Node[] = [];
    while (this.#peek() !== '' && this.#peek() !== '|' && this.#peek() !== ')')
      terms.push(this.#quantified(this.#term()));
    return terms.reduceRight<Node>(
      (rest, term) => (at, next) => term(at, (end) => rest(end, next)),
      (at, next) => next(at),
    );
  }

  #term(): Term {
    const first = this.#take();
    if (first === '^') return this.#assertion((at) => at === 0);
    if (first === '$') return this.#assertion((at) => at === this.#text.length);
    if (first === '(') return { node: this.#group(), single: null };
    if (first === '[') return this.#class(`[${this.#classBody()}`);
    if (first === '\\') return this.#class(`\\${this.#escape()}`);
    return this.#class(first);
  }

  #assertion(holds: (at: number) => boolean): Term {
    const node: Node = (at, next) => {
      this.#step();
      return holds(at) && next(at);
    };
    return { node, single: null };
  }

  #group(): Node {
    const kind = this.#characters.slice(this.#at, this.#at + 2).join('');
    if (kind === '?:' || kind === '?=') this.#at += 2;
    else if (this.#peek() === '?') throw new Error(`cannot read a group (${kind}`);
    const inside = this.#alternatives();
    this.#take();
    return kind === '?=' ? (at, next) => inside(at, () => true) && next(at) : inside;
  }

  #classBody(): string {
    let body = '';
    for (;;) {
      const character = this.#take();
      body += character;
      if (character === '\\') body += this.#take();
      if (character === ']' || character === '') return body;
    }
  }

  #escape(): string {
    const letter = this.#take();
    const digits = letter === 'u' ? 4 : letter === 'x' ? 2 : 0;
    let rest = '';
    while (rest.length < digits) rest += this.#take();
    return letter + rest;
  }

  /** One character that V8 itself judges. */
  #class(source: string): Term {
    const judge = new RegExp(`^${source}$`, [...this.flags].filter((flag) => flag !== 'g' && flag !== 'y').join(''));
    const known = new Map<string, boolean>();
    const single = (at: number): boolean => {
      this.#step();
      const character = this.#text[at];
      if (character === undefined) return false;
      const judged = known.get(character) ?? Reflect.apply(exec, judge, [character]) !== null;
      known.set(character, judged);
      return judged;
    };
    return { node: (at, next) => single(at) && next(at + 1), single };
  }

  #quantified({ node, single }: Term): Node {
    const [least, most] = this.#bounds();
    if (least === 1 && most === 1) return node;
    if (this.#peek() === '?') throw new Error('cannot read a lazy quantifier');
    if (single) return (at, next) => this.#run(single, least, most, at, next);
    const repeat = (count: number, at: number, next: Next): boolean =>
      (count < most && node(at, (end) => end > at && repeat(count + 1, end, next))) || (count >= least && next(at));
    return (at, next) => repeat(0, at, next);
  }

  /** As many as there are, then one less each time. */
  #run(single: (at: number) => boolean, least: number, most: number, at: number, next: Next): boolean {
    let end = at;
    while (end - at < most && single(end)) end += 1;
    for (; end - at >= least; end--) {
      this.#step();
      if (next(end)) return true;
    }
    return false;
  }

  #bounds(): readonly [least: number, most: number] {
    const mark = this.#peek();
    if (mark === '*' || mark === '+' || mark === '?') {
      this.#at += 1;
      return [mark === '+' ? 1 : 0, mark === '?' ? 1 : Number.POSITIVE_INFINITY];
    }
    if (mark !== '{') return [1, 1];
    const end = this.#characters.indexOf('}', this.#at);
    const [least = '', most = least] = this.#characters
      .slice(this.#at + 1, end)
      .join('')
      .split(',');
    this.#at = end + 1;
    return [Number(least), most === '' ? Number.POSITIVE_INFINITY : Number(most)];
  }
}
