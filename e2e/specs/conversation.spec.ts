// Two people write to each other.
import { expect, test } from '../actors/test.ts';

test('a first message arrives, is counted, is read, and the ticks tell', async ({ online }) => {
  const alice = await online('alice');
  const bob = await online('bob');
  await alice.startsWith('bob');
  await alice.writes('Shall we have lunch?');
  await expect(bob.conversation('Alice')).toContainText('Shall we have lunch?');
  await expect(bob.conversation('Alice').getByRole('img', { name: '1 unread message' })).toBeVisible();
  await expect(alice.tick('Shall we have lunch?', 'Delivered')).toBeVisible();
  await bob.opens('alice');
  await bob.sees('Shall we have lunch?');
  await expect(alice.tick('Shall we have lunch?', 'Read')).toBeVisible();
  await expect(bob.conversation('Alice').getByRole('img', { name: /unread/ })).toHaveCount(0);
});

test('messages of both sides stand in one order', async ({ online }) => {
  const alice = await online('alice');
  const bob = await online('bob');
  await alice.startsWith('bob');
  await alice.writes('one');
  await bob.opens('alice');
  await bob.sees('one');
  await bob.writes('two');
  await alice.sees('two');
  await alice.writes('three');
  await bob.sees('three');
  expect(await alice.thread()).toEqual(['one', 'two', 'three']);
  expect(await bob.thread()).toEqual(['one', 'two', 'three']);
});

test('a reply quotes what it answers', async ({ online }) => {
  const alice = await online('alice');
  const bob = await online('bob');
  await alice.startsWith('bob');
  await alice.writes('Which train?');
  await bob.opens('alice');
  await bob.bubble('Which train?').hover();
  await bob.bubble('Which train?').getByRole('button', { name: 'Reply', exact: true }).click();
  await bob.writes('The one at nine');
  await alice.sees('The one at nine');
  await expect(alice.bubble('The one at nine').getByRole('button', { name: /In reply to/ })).toContainText('Which train?');
});

test('typing shows while it lasts', async ({ online }) => {
  const alice = await online('alice');
  const bob = await online('bob');
  await alice.startsWith('bob');
  await alice.writes('Hello');
  await bob.opens('alice');
  await bob.sees('Hello');
  await bob.composer.pressSequentially('I am wri');
  await expect(alice.page.getByRole('status', { name: 'Bob is typing…' })).toBeVisible();
  await bob.composer.press('Enter');
  await expect(alice.page.getByRole('status', { name: 'Bob is typing…' })).toHaveCount(0);
});

test('a draft is kept', async ({ online }) => {
  const alice = await online('alice');
  await alice.startsWith('bob');
  await alice.composer.fill('Not quite rea');
  await alice.startsWith('carol');
  await expect(alice.conversation('Bob')).toContainText('Not quite rea');
  await alice.page.reload();
  await alice.opens('bob');
  await expect(alice.composer).toHaveValue('Not quite rea');
});

test('a message to an unknown address fails in words and can be tried again', async ({ online }) => {
  const alice = await online('alice');
  await alice.startsWith('nobody@tandem.test');
  await alice.writes('Is anybody there?');
  await expect(alice.tick('Is anybody there?', 'Not sent')).toBeVisible();
  await expect(alice.bubble('Is anybody there?').getByRole('button', { name: 'Try again' })).toBeVisible();
});

test('a wrong password is refused in words', async ({ arrives }) => {
  const alice = await arrives('alice');
  await alice.address.fill('alice');
  await alice.password.fill('wrong');
  await alice.signIn.click();
  await expect(alice.alert).toContainText('do not match');
});
