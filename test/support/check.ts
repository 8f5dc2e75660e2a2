type Note = [] | [note: string];

/** The assertions of a test that shared steps use; every test object of tap's is one. */
export interface Check {
  ok(value: unknown, ...note: Note): boolean;
  equal(found: unknown, wanted: unknown, ...note: Note): boolean;
  match(found: unknown, wanted: object, ...note: Note): boolean;
  hasStrict(found: unknown, wanted: unknown, ...note: Note): boolean;
  strictSame(found: unknown, wanted: unknown, ...note: Note): boolean;
}
