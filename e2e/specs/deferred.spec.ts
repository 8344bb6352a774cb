// Somebody who wants to be asked before messages come: they see what waits, take one, discard one, and their other device sees it too.
import { expect, test } from '../actors/test.ts';

test('what waits is listed and then fetched or discarded', async ({ online }) => {
  const alice = await online('alice');
  const bob = await online('bob');
  await bob.wantsToBeAsked();
  await bob.page.close();

  await alice.startsWith('bob');
  for (const text of ['take me', 'not me', 'later']) {
    await alice.writes(text);
    await expect(alice.tick(text, 'Sent')).toBeVisible();
  }

  const laptop = await online('bob');
  const desk = await online('bob');
  await expect(laptop.waitingEntry).toHaveText('3 messages wait for you');
  await expect(desk.waitingEntry).toBeVisible();
  await laptop.waitingEntry.click();
  await expect(laptop.waiting).toHaveCount(3);

  await laptop.waiting.nth(0).getByRole('checkbox').check();
  await laptop.page.getByRole('button', { name: 'Get now' }).click();
  await expect(laptop.waiting).toHaveCount(2);
  await laptop.waiting.nth(0).getByRole('checkbox').check();
  await laptop.page.getByRole('button', { name: 'Discard', exact: true }).click();
  await laptop.page.getByRole('button', { name: 'Discard for good' }).click();
  await expect(laptop.waiting).toHaveCount(1);
  await laptop.page.keyboard.press('Escape');

  await expect(laptop.conversation('Alice')).toContainText('take me');
  await expect(desk.conversation('Alice')).toContainText('take me');
  await expect(desk.waitingEntry).toHaveText('1 message waits for you');
  await expect(alice.tick('take me', 'Delivered')).toBeVisible();
  await expect(alice.tick('not me', 'Not sent')).toBeVisible();
});
