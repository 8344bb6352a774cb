// Everybody can use it: screen reader, keyboard, small screens, both colour schemes.
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, test } from '../actors/test.ts';

const violations = async (page: Page) =>
  (await new AxeBuilder({ page }).analyze()).violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(' | ')}`);

for (const colorScheme of ['light', 'dark'] as const) {
  test(`no page has an accessibility violation (${colorScheme})`, async ({ arrives, online }) => {
    const alice = await arrives('alice', { colorScheme });
    await expect(alice.signIn).toBeVisible();
    expect(await violations(alice.page)).toEqual([]);
    await alice.signsIn();
    expect(await violations(alice.page)).toEqual([]);
    const bob = await online('bob');
    await bob.startsWith('alice');
    await bob.writes('See https://example.org for more');
    await alice.opens('bob');
    await alice.writes('Thanks');
    await expect(alice.tick('Thanks', 'Delivered')).toBeVisible();
    expect(await violations(alice.page)).toEqual([]);
    await alice.settings.click();
    expect(await violations(alice.page)).toEqual([]);
  });
}

test('the keyboard is enough', async ({ online }) => {
  const bob = await online('bob');
  const alice = await online('alice');
  await bob.startsWith('alice');
  await bob.writes('No mouse today');
  await expect(alice.conversation('Bob')).toBeVisible();
  await alice.page.keyboard.press('Control+k');
  await expect(alice.search).toBeFocused();
  await alice.page.keyboard.type('bob');
  await alice.page.keyboard.press('ArrowDown');
  await alice.page.keyboard.press('Enter');
  await expect(alice.composer).toBeFocused();
  await alice.page.keyboard.type('None at all');
  await alice.page.keyboard.press('Shift+Enter');
  await alice.page.keyboard.type('really');
  await alice.page.keyboard.press('Enter');
  await bob.sees(/None at all\s+really/);
});

test('on a phone, the list and the thread take turns', async ({ online }) => {
  const alice = await online('alice', { viewport: { width: 390, height: 844 }, hasTouch: true });
  await alice.startsWith('bob');
  await alice.writes('From a small screen');
  await expect(alice.conversation('Bob')).toBeHidden();
  await alice.page.getByRole('link', { name: 'Back to conversations' }).click();
  await expect(alice.conversation('Bob')).toBeVisible();
  await expect(alice.composer).toBeHidden();
});
