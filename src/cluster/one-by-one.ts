/**
 * Calls `wait` for each item in turn, the next time when the item before has called the function that it was given; then calls `done`.
 * Of items that do so at once there may be any number: no call is made within another.
 */
export function oneByOne<T>(items: Iterable<T>, wait: (item: T, next: () => void) => void, done: () => void): void {
  const left = items[Symbol.iterator]();
  let isReady = false;
  let isCalling = false;
  const next = (): void => {
    isReady = true;
    if (isCalling) return;
    isCalling = true;
    while (isReady) {
      isReady = false;
      const item = left.next();
      if (item.done) done();
      else wait(item.value, next);
    }
    isCalling = false;
  };
  next();
}
