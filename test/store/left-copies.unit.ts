/** Folders that killed nodes have left where the system has what passes. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { removeLeft, takeFolder } from '../../src/store/folder.js';

t.test(
  'a folder whose process was killed, also while it made the folder, is removed, and none that somebody uses or is making, with an id that is not written yet',
  (t) => {
    const parent = mkdtempSync(join(tmpdir(), 'nextalk-left-'));
    t.teardown(() => rmSync(parent, { recursive: true, force: true }));
    const make = (name: string, holder?: string): string => {
      const folder = join(parent, name);
      mkdirSync(folder);
      if (holder !== undefined) writeFileSync(join(folder, 'nextalk.pid'), holder);
      return folder;
    };
    const killed = make('copy-a', '999999999 1\n');
    const reused = make('copy-b', `${process.ppid} 1\n`);
    const fresh = make('copy-c');
    const beingMade = make('copy-f', '');
    const old = make('copy-e');
    utimesSync(old, 1, 1);
    const foreign = make('other', '999999999 1\n');
    const release = takeFolder(join(parent, 'copy-d'));
    t.teardown(release);
    removeLeft(parent, 'copy-');
    const left = [killed, reused, old, fresh, beingMade, foreign, join(parent, 'copy-d')].map((folder) =>
      existsSync(folder),
    );
    t.strictSame(left, [false, false, false, true, true, true, true]);
    removeLeft(join(parent, 'none'), 'copy-');
    t.end();
  },
);
