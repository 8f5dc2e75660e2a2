/** Characters below which V8 copies a part of a text by itself. */
const COPIED = 13;

/** The same text, by itself: what is cut out of a text keeps the whole of it in memory, a name the body that brought it. */
export function detached(text: string): string {
  if (text.length < COPIED) return text;
  const own = Buffer.from(text).toString();
  // A lone surrogate, which JSON may bring, has no UTF-8.
  return own === text ? own : text;
}
