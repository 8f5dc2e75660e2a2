import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { families } from './scenarios/all.js';
import { missingTitles, numbers, page, renewed, shown, standards, table, vacuous, written } from './table.js';

// `WRITE=1` writes the tables into the page, after a test was added or renamed.
if (process.env.WRITE) writeFileSync(page, renewed(readFileSync(page, 'utf8')));

for (const [standard, { statements, elsewhere }] of standards) {
  t.test(`the lists for ${standard} hold every numbered statement of the standard once`, async (t) => {
    const listed = [...statements.keys(), ...elsewhere.split(' ')];
    t.equal(new Set(listed).size, listed.length);
    t.same([...listed].sort(), numbers(standard).sort());
  });

  t.test(
    `every statement of ${standard} that concerns a server names a test, or why there is nothing to show`,
    async (t) => {
      const by = shown(standard);
      const bare = [...statements.keys()].filter((clause) => !by.has(clause) && !vacuous.has(`${standard} ${clause}`));
      t.same(bare, []);
      t.same(
        [...by.keys()].filter((clause) => !statements.has(clause)),
        [],
        'tests name no other clauses',
      );
    },
  );

  t.test(`docs/mqtt.md holds the table of ${standard} as the tests give it`, async (t) => {
    t.equal(written(readFileSync(page, 'utf8'), standard), table(standard));
  });
}

t.test('every title that the tables cite from another file is a test there', async (t) => {
  t.same(missingTitles(), []);
});

t.test('every title is its own', async (t) => {
  const titles = [...families.values()].flat().map(({ title }) => title);
  t.equal(new Set(titles).size, titles.length);
});
