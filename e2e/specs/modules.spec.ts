// The app comes in two modules: what is opened seldom is loaded when it first is.
import { expect, test } from '../actors/test.ts';

const SECOND = /\/extra-[0-9a-f]{16}(_bg)?\.(js|wasm)/;

test('the second module is loaded when the settings are first opened, and is there without a server then', async ({ online, gateway }) => {
  const alice = await online('alice');
  const asked: string[] = [];
  alice.context.on('request', (request) => asked.push(new URL(request.url()).pathname));
  const second = () => asked.filter((path) => SECOND.test(path));
  // The service worker, which keeps the files of the app, is asked for them now.
  await alice.page.evaluate(() => navigator.serviceWorker.ready);
  await alice.page.reload();
  await expect(alice.newConversation).toBeVisible();
  await expect.poll(() => alice.page.evaluate(async () => Boolean(await caches.match('/')))).toBe(true);
  expect(second()).toEqual([]);

  await alice.settings.click();
  await expect(alice.device('This device')).toBeVisible();
  expect(new Set(second()).size).toBe(2);
  const kept = () => alice.page.evaluate(async () => {
    const cache = await caches.open('tandem-shell-1');
    return (await cache.keys()).filter((request) => request.url.includes('/extra-')).length;
  });
  await expect.poll(kept).toBe(2);

  await gateway.kill();
  await alice.page.reload();
  await alice.settings.click();
  await expect(alice.page.getByRole('radiogroup', { name: 'Appearance' })).toBeVisible();
  await alice.page.getByRole('radio', { name: 'Dark' }).check();
  await expect(alice.page.locator('html')).toHaveAttribute('data-appearance', 'dark');
  await alice.page.keyboard.press('Escape');
  await expect(alice.page.getByRole('dialog')).toHaveCount(0);
  await expect(alice.settings).toBeFocused();
});

test('without a connection the second module says so, and can be tried again', async ({ online }) => {
  const alice = await online('alice', { serviceWorkers: 'block' });
  await alice.context.route(SECOND, (route) => route.abort());
  await alice.settings.click();
  const dialog = alice.page.getByRole('dialog');
  await expect(dialog.getByRole('alert')).toContainText('could not be loaded');
  await alice.context.unroute(SECOND);
  await dialog.getByRole('button', { name: 'Try again' }).click();
  await expect(alice.device('This device')).toBeVisible();
});
