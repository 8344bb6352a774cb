// The history lies on the server: a new device has it, page by page.
import { expect, test } from '../actors/test.ts';

test('a new device shows the history and loads older messages upwards', async ({ online }) => {
  const alice = await online('alice');
  await alice.startsWith('bob');
  for (let number = 1; number <= 120; number += 1) {
    await alice.composer.fill(`Message number ${number}.`);
    await alice.composer.press('Enter');
  }
  await expect(alice.tick('Message number 120.', 'Sent')).toBeVisible({ timeout: 30_000 });
  const bob = await online('bob');
  await bob.opens('alice');
  await bob.sees('Message number 120.');
  await bob.bubbles.last().hover();
  await expect(async () => {
    await bob.page.mouse.wheel(0, -4000);
    await expect(bob.page.getByText(/This is the beginning of your conversation/)).toBeVisible({ timeout: 500 });
  }).toPass({ timeout: 30_000 });
  await expect(bob.bubble('Message number 1.')).toBeInViewport();
});

test('what one device reads and sends is on the other', async ({ online }) => {
  const bob = await online('bob');
  const desk = await online('alice');
  const sofa = await online('alice');
  await bob.startsWith('alice');
  await bob.writes('To both of your screens');
  for (const device of [desk, sofa]) await expect(device.conversation('Bob')).toContainText('To both of your screens');
  await desk.opens('bob');
  await expect(sofa.conversation('Bob').getByRole('img', { name: /unread/ })).toHaveCount(0);
  await desk.writes('From my desk');
  await sofa.opens('bob');
  await sofa.sees('From my desk');
  expect(await sofa.thread()).toEqual(['To both of your screens', 'From my desk']);
});
