/** The widget in Chromium, with a real server: people talk, by presence, in rooms, in both modes. */
import t from 'tap';
import { skipWithout } from '../support/programs.js';
import { hears, openChat, stage, write } from '../support/widget.js';

const skip = skipWithout('chromium');

t.test('two users talk to each other and in a room', { skip }, async (t) => {
  const { user } = await stage(t);
  const anna = await user('anna');
  const jack = await user('jack', 'mode="docked"');

  await t.test('each sees the other, and a click opens a conversation', async (t) => {
    await anna.getByRole('button', { name: /^jack Available/ }).click();
    await write(anna, 'Hi Jack, see https://example.com/a?b=c.');
    await jack.getByRole('button', { name: 'Open chat, 1 unread' }).click();
    t.equal(await jack.title(), '(1) Page');
    await jack.getByRole('button', { name: /^anna Available.* 1 unread$/ }).click();
    await hears(jack, 'Hi Jack, see https://example.com/a?b=c.');
    t.equal(await jack.title(), 'Page');
    const link = jack.getByRole('link', { name: 'https://example.com/a?b=c' });
    t.equal(await link.getAttribute('href'), 'https://example.com/a?b=c');
    t.match(await link.getAttribute('rel'), /noopener noreferrer/);
    await write(jack, 'Hello');
    await hears(anna, 'Hello');
    await anna.getByText('Read', { exact: true }).waitFor();
  });

  await t.test('typing is told', async () => {
    await jack.getByRole('textbox', { name: 'Message to anna' }).fill('I am');
    await anna.locator('.typing').getByText('jack is typing…').waitFor();
  });

  await t.test('a room has members and messages of all', async (t) => {
    await openChat(anna, 'gid:lobby');
    await openChat(jack, 'gid:lobby');
    await write(anna, 'to all');
    await hears(jack, 'to all');
    await jack.locator('.main').getByText('2 here').waitFor();
    await jack.getByRole('button', { name: 'Members' }).click();
    const members = jack.getByRole('group', { name: 'Members of lobby' });
    await members.getByRole('button', { name: /^anna Available/ }).click();
    await hears(jack, 'Hello');
    t.equal(await members.count(), 0);
  });

  await t.test('who is invisible is offline to others', async () => {
    await jack.getByRole('button', { name: 'Back' }).click();
    await jack.getByRole('button', { name: 'Your status: Available' }).click();
    await jack.getByRole('menuitemradio', { name: 'Invisible' }).click();
    await anna.getByRole('button', { name: /^jack Offline/ }).waitFor();
  });
});

t.test('who comes in away or invisible is told so', { skip }, async (t) => {
  const { user } = await stage(t);
  for (const [name, show, text] of [
    ['anna', 'away', 'Away'],
    ['jack', 'invisible', 'Invisible'],
  ] as const) {
    const page = await user(name, 'mode="inline"', { show, nick: `${name} the first` });
    await page.getByRole('button', { name: `Your status: ${text}` }).waitFor();
  }
  const mia = await user('mia');
  await mia.getByRole('button', { name: /^anna the first Away/ }).waitFor();
  t.equal(await mia.getByRole('button', { name: /^jack/ }).count(), 0);
});
