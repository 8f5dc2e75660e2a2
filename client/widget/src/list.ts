/**
 * A list of rows of which only those in sight are in the document. The arrow keys go through all of them; one row at a
 * time takes part in the order of the Tab key.
 */
import { arrange, set } from './dom.js';

/** Rows beyond the edges that are in the document as well. */
const MARGIN_PX = 240;
/** Before the list has a size, rows for this much of it. */
const FIRST_PX = 600;

export interface Item {
  readonly key: string;
  readonly height: number;
  readonly isFocusable: boolean;
  /** What the row shows: the same text, the same element. */
  readonly signature: string;
}

export class List<T extends Item> {
  readonly #scroller: HTMLElement;
  readonly #space: HTMLElement;
  #items: readonly T[] = [];
  #tops: readonly number[] = [];
  #made = new Map<string, { readonly signature: string; readonly element: HTMLElement }>();
  /** The row that the Tab key reaches. */
  #active: string | null = null;

  constructor(
    scroller: HTMLElement,
    space: HTMLElement,
    private readonly make: (item: T) => HTMLElement,
  ) {
    this.#scroller = scroller;
    this.#space = space;
    scroller.addEventListener('scroll', () => this.draw(), { passive: true });
    space.addEventListener('keydown', (event) => this.#onKey(event));
    space.addEventListener('focusin', (event) => {
      const key = (event.target as Element).closest<HTMLElement>('[data-row]')?.dataset.row;
      if (key !== undefined) this.#activate(key);
    });
  }

  show(items: readonly T[]): void {
    this.#items = items;
    const tops: number[] = [];
    let top = 0;
    for (const { height } of items) {
      tops.push(top);
      top += height;
    }
    this.#tops = tops;
    this.#space.style.height = `${top}px`;
    if (!items.some(({ key }) => key === this.#active))
      this.#active = items.find(({ isFocusable }) => isFocusable)?.key ?? null;
    this.draw();
  }

  /** Puts the rows in sight into the document. */
  draw(): void {
    const { scrollTop, clientHeight } = this.#scroller;
    const from = scrollTop - this.#space.offsetTop - MARGIN_PX;
    const to = from + (clientHeight || FIRST_PX) + 2 * MARGIN_PX;
    const next = new Map<string, { readonly signature: string; readonly element: HTMLElement }>();
    const elements: HTMLElement[] = [];
    const focused = this.#focusedKey();
    this.#items.forEach((item, i) => {
      const top = this.#tops[i] ?? 0;
      const isInSight = top + item.height >= from && top <= to;
      if (!isInSight && item.key !== this.#active && item.key !== focused) return;
      const before = this.#made.get(item.key);
      const element = before?.signature === item.signature ? before.element : this.make(item);
      element.style.transform = `translateY(${top}px)`;
      element.style.height = `${item.height}px`;
      element.dataset.row = item.key;
      if (item.isFocusable) set(element, 'tabindex', item.key === this.#active ? '0' : '-1');
      next.set(item.key, { signature: item.signature, element });
      elements.push(element);
    });
    const refocus = focused !== null && next.get(focused)?.element !== this.#made.get(focused)?.element;
    this.#made = next;
    arrange(this.#space, elements);
    if (refocus && focused !== null) next.get(focused)?.element.focus({ preventScroll: true });
  }

  /** Moves the focus to a row; without a key, to the one that the Tab key reaches. */
  focus(key: string | null = this.#active): boolean {
    const i = this.#items.findIndex((item) => item.key === key && item.isFocusable);
    const item = this.#items[i];
    if (!item) return false;
    this.#active = item.key;
    const top = (this.#tops[i] ?? 0) + this.#space.offsetTop;
    const { scrollTop, clientHeight } = this.#scroller;
    if (top < scrollTop) this.#scroller.scrollTop = Math.max(0, top - 40);
    else if (top + item.height > scrollTop + clientHeight) this.#scroller.scrollTop = top + item.height - clientHeight;
    this.draw();
    this.#made.get(item.key)?.element.focus({ preventScroll: true });
    return true;
  }

  #focusedKey(): string | null {
    const root = this.#space.getRootNode() as ShadowRoot;
    const row = root.activeElement?.closest<HTMLElement>('[data-row]');
    return row && this.#space.contains(row) ? (row.dataset.row ?? null) : null;
  }

  #activate(key: string): void {
    if (key === this.#active) return;
    this.#active = key;
    this.draw();
  }

  #onKey(event: KeyboardEvent): void {
    const keys = this.#items.filter(({ isFocusable }) => isFocusable).map(({ key }) => key);
    const at = keys.indexOf(this.#active ?? '');
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: keys.length - 1 }[event.key];
    if (to === undefined || to < 0) return;
    event.preventDefault();
    this.focus(keys[Math.min(to, keys.length - 1)] ?? null);
  }
}
