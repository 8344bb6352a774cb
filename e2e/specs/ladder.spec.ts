// R347: the way of a message, as each of its users may see it.
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '../actors/test.ts';

for (const [size, viewport] of [['a desktop', { width: 1200, height: 800 }], ['a phone', { width: 360, height: 740 }]] as const) {
  test(`the way of a message on ${size}`, async ({ online }) => {
    const bob = await online('bob', { viewport, colorScheme: 'dark' });
    const alice = await online('alice', { viewport });
    await alice.startsWith('bob');
    await alice.writes('which way?');
    await expect(alice.tick('which way?', 'Delivered')).toBeVisible();
    await alice.inspects('which way?');
    await expect(alice.ladder.getByRole('heading', { name: /originating side \(C\.3\.1\.1\.1\)/ })).toBeVisible();
    const steps = alice.ladder.getByRole('listitem');
    await expect(steps.filter({ hasText: 'to Server: MESSAGE +0 ms' })).toHaveCount(1);
    await expect(steps.filter({ hasText: /Server to .*: 20[02]/ })).toHaveCount(1);
    await expect(steps.filter({ hasText: 'sip:bob@tandem.test to Server: MESSAGE (IMDN delivered)' })).toHaveCount(1);
    expect((await new AxeBuilder({ page: alice.page }).analyze()).violations).toEqual([]);
    await bob.opens('alice');
    await bob.inspects('which way?');
    await expect(bob.ladder.getByRole('heading', { name: /terminating side \(C\.3\.1\.1\.2\)/ })).toBeVisible();
    expect((await new AxeBuilder({ page: bob.page }).analyze()).violations).toEqual([]);
    const width = await bob.page.evaluate(() => document.querySelector('dialog')!.scrollWidth);
    expect(width).toBeLessThanOrEqual(viewport.width);
  });
}
