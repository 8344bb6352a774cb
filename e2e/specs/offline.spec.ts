// Nobody is there, the network is gone, the server dies: nothing is lost, nothing is shown twice.
import { expect, test } from '../actors/test.ts';

test('a message waits for somebody who is away', async ({ online }) => {
  const alice = await online('alice');
  await alice.startsWith('bob');
  await alice.writes('For when you are back');
  await expect(alice.tick('For when you are back', 'Sent')).toBeVisible();
  const bob = await online('bob');
  await expect(bob.conversation('Alice')).toContainText('For when you are back');
  await expect(alice.tick('For when you are back', 'Delivered')).toBeVisible();
});

test('the server is killed and comes back', async ({ online, gateway }) => {
  const alice = await online('alice');
  const bob = await online('bob');
  await alice.startsWith('bob');
  await alice.writes('before');
  await bob.opens('alice');
  await bob.sees('before');
  await gateway.kill();
  await expect(alice.banner).toBeVisible();
  await alice.writes('while it was down');
  await expect(alice.bubble('while it was down').getByRole('img', { name: 'Sending', exact: true })).toBeVisible();
  await gateway.restart();
  await alice.banner.getByRole('button', { name: 'Try now' }).click();
  await bob.page.reload();
  await bob.sees('while it was down');
  await expect(alice.tick('while it was down', 'Read')).toBeVisible();
  expect(await bob.thread()).toEqual(['before', 'while it was down']);
  expect(await alice.thread()).toEqual(['before', 'while it was down']);
});

test('a reload shows the thread at once, even without the server', async ({ online, gateway }) => {
  const alice = await online('alice');
  await alice.startsWith('bob');
  await alice.writes('kept here');
  await expect(alice.tick('kept here', 'Sent')).toBeVisible();
  await gateway.kill();
  await alice.page.reload();
  await alice.sees('kept here');
  await expect(alice.banner).toBeVisible();
});

test('what was written offline survives a reload and is sent once', async ({ online, gateway }) => {
  const alice = await online('alice');
  const bob = await online('bob');
  await alice.startsWith('bob');
  await alice.writes('first');
  await bob.opens('alice');
  await bob.sees('first');
  await gateway.kill();
  await alice.writes('second');
  await alice.page.reload();
  await alice.sees('second');
  await gateway.restart();
  await alice.page.reload();
  await bob.page.reload();
  await bob.sees('second');
  await expect(alice.tick('second', 'Read')).toBeVisible();
  expect(await bob.thread()).toEqual(['first', 'second']);
});
