// What others write is text, and the page runs nothing but itself.
import { expect, test } from '../actors/test.ts';

test('a message is never HTML and only web links are links', async ({ online }) => {
  const alice = await online('alice');
  const bob = await online('bob');
  await bob.startsWith('alice');
  await bob.writes('<img src=x onerror="document.title=1"> javascript:alert(1) https://example.org/a?b=c.');
  await alice.opens('bob');
  const bubble = alice.bubble('<img src=x');
  await expect(bubble).toBeVisible();
  await expect(bubble.locator('img[src]')).toHaveCount(0);
  await expect(bubble.getByRole('link')).toHaveCount(1);
  await expect(bubble.getByRole('link')).toHaveAttribute('href', 'https://example.org/a?b=c');
  await expect(bubble.getByRole('link')).toHaveAttribute('rel', /noopener/);
});

test('the content security policy is strict', async ({ gateway, request }) => {
  const response = await request.get(gateway.url);
  const policy = response.headers()['content-security-policy'] ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain("'unsafe-inline'");
  expect(policy).not.toContain("'unsafe-eval'");
  expect(response.headers()['x-content-type-options']).toBe('nosniff');
});

test('a box is open to its owner alone', async ({ online, gateway, playwright }) => {
  const alice = await online('alice');
  const bobs = `${gateway.url}/nms/v1/main/${encodeURIComponent('sip:bob@tandem.test')}/folders`;
  const foreign = await alice.page.evaluate(async (url) => (await fetch(url)).status, bobs);
  expect(foreign).toBe(403);
  const stranger = await playwright.request.newContext();
  expect((await stranger.get(bobs)).status()).toBe(401);
  await stranger.dispose();
});
