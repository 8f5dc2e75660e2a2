/** Counts the work of a parser: steps of its regular expressions, and characters that its string functions look at. */
import { Expression } from './expression.js';

/** Far more than anything linear needs in these tests. */
const MOST = 20_000_000;

type Method = (this: string, ...args: unknown[]) => unknown;
type Cost = (text: string, result: unknown, args: readonly unknown[]) => number;

const whole: Cost = (text) => text.length;
const result: Cost = (_text, made) => (typeof made === 'string' ? made.length : 1);
const found: Cost = (text, at, [, from]) =>
  (typeof at === 'number' && at >= 0 ? at + 1 : text.length) - Number(from ?? 0);
const foundLast: Cost = (text, at, [, from]) => Number(from ?? text.length) - Number(at);
const one: Cost = () => 1;

const COSTS: Readonly<Record<string, Cost>> = {
  indexOf: found,
  lastIndexOf: foundLast,
  includes: whole,
  split: whole,
  replaceAll: whole,
  trim: whole,
  trimStart: whole,
  toLowerCase: whole,
  isWellFormed: whole,
  slice: result,
  startsWith: one,
  endsWith: one,
  charCodeAt: one,
};

/** How much `parse` does with `text`. Throws where it is beyond all bounds. */
export function workOf(parse: (text: string) => unknown, text: string): number {
  let work = 0;
  const add = (steps: number): void => {
    work += Math.max(1, steps);
    if (work > MOST) throw new Error(`more than ${MOST} steps for ${text.length} characters`);
  };
  const restore: (() => void)[] = [];
  const replace = (owner: object, name: string, make: (original: Method) => Method): void => {
    const original = Reflect.get(owner, name) as Method;
    Reflect.set(owner, name, make(original));
    restore.push(() => Reflect.set(owner, name, original));
  };
  for (const [name, cost] of Object.entries(COSTS)) {
    replace(String.prototype, name, (original) => {
      return function (...args) {
        const made = Reflect.apply(original, this, args);
        add(cost(this, made, args));
        return made;
      };
    });
  }
  replace(JSON, 'parse', (original) => {
    return function (...args) {
      add(String(args[0]).length);
      return Reflect.apply(original, this, args);
    };
  });
  replace(RegExp.prototype, 'exec', (original) => {
    return function (this: unknown, ...args) {
      const expression = this as RegExp;
      const from = expression.global || expression.sticky ? expression.lastIndex : 0;
      add(Expression.of(expression).steps(String(args[0]), from, MOST));
      return Reflect.apply(original, expression, args);
    };
  });
  try {
    parse(text);
  } finally {
    for (const undo of restore.reverse()) undo();
  }
  return work;
}
