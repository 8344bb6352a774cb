// The network goes away two hundred times while somebody writes.
import { expect, test } from '../actors/test.ts';
import { Wire } from '../actors/wire.ts';

test('two hundred cuts of the network lose and double nothing', async ({ arrives, online, gateway }) => {
  test.setTimeout(180_000);
  const wire = await Wire.to(gateway);
  try {
    const alice = await arrives('alice');
    await alice.page.goto(wire.url);
    await alice.signsIn();
    const bob = await online('bob');
    await alice.startsWith('bob');
    const expected: string[] = [];
    for (let cut = 1; cut <= 200; cut += 1) {
      if (cut % 10 === 0) {
        expected.push(`after cut ${cut}.`);
        await alice.composer.fill(`after cut ${cut}.`);
        await alice.send.click();
      }
      wire.cut();
      await alice.page.evaluate(() => new Promise(requestAnimationFrame));
    }
    const retry = alice.banner.getByRole('button', { name: 'Try now' });
    await expect(async () => {
      if (await retry.isVisible()) await retry.click({ timeout: 1000 }).catch(() => {});
      await expect(alice.tick('after cut 200.', 'Delivered')).toBeVisible({ timeout: 2000 });
    }).toPass({ timeout: 60_000 });
    await bob.opens('alice');
    await bob.sees('after cut 200.');
    expect(await bob.thread()).toEqual(expected);
    expect(await alice.thread()).toEqual(expected);
  } finally {
    wire.close();
  }
});
