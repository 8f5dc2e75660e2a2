/** Comparing lists that are short nearly always, so that the cost of long ones does not grow with the square of their length. */

/** Longer lists are looked up in a Set. */
const SHORT_LIST = 16;

/** Makes a function that tells whether a list has an item. A long list is turned into a Set for that, unless `items` is 1. */
export function lookup<T>(list: readonly T[], items = Number.POSITIVE_INFINITY): (item: T) => boolean {
  if (list.length <= SHORT_LIST || items === 1) return (item) => list.includes(item);
  const set = new Set(list);
  return (item) => set.has(item);
}
