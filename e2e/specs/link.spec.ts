// R345: the link tells the truth: whether messages really flow, where they stop, and one click repairs it.
import { expect, test } from '../actors/test.ts';

const FLOWS = /^Connected, messages flow \(\d+ ms\)$/;

test('messages flow, and nothing of the probe is seen', async ({ online }) => {
  const alice = await online('alice');
  await expect(alice.connection).toHaveText(FLOWS);
  await expect(alice.conversations.getByRole('link')).toHaveCount(0);
  await alice.settings.click();
  await expect(alice.page.getByRole('dialog').getByText(FLOWS)).toBeVisible();
});

test('a store that cannot write is named and one click shows when it is well again', async ({ online, gateway }) => {
  test.setTimeout(120_000);
  const [alice, bob] = [await online('alice'), await online('bob')];
  await alice.startsWith('bob');
  await expect(alice.connection).toHaveText(FLOWS);
  const unblock = await gateway.blockStore();
  await alice.writes('kept until it can be sent');
  await expect(alice.banner).toContainText('the server cannot keep messages right now', { timeout: 60_000 });
  await unblock();
  await alice.repair.click();
  await expect(alice.connection).toHaveText(FLOWS, { timeout: 20_000 });
  await expect(alice.tick('kept until it can be sent', 'Sent')).toBeVisible({ timeout: 60_000 });
  await bob.opens('alice');
  expect(await bob.thread()).toEqual(['kept until it can be sent']);
});

test('a server that stands still is found out, and the way back is found', async ({ online, gateway }) => {
  test.setTimeout(120_000);
  const alice = await online('alice');
  await alice.startsWith('bob');
  await expect(alice.connection).toHaveText(FLOWS);
  gateway.freeze();
  try {
    await alice.writes('Is anybody there?');
    await expect(alice.banner).toBeVisible({ timeout: 30_000 });
  } finally {
    gateway.thaw();
  }
  await expect(alice.connection).toHaveText(FLOWS, { timeout: 60_000 });
  await expect(alice.tick('Is anybody there?', 'Sent')).toBeVisible();
});
