// R351: somebody whose pages are closed is told of a message.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Gateway } from '../actors/gateway.ts';
import { PushService, deliver } from '../actors/push_service.ts';
import { expect, test as base } from '../actors/test.ts';

const test = base.extend<{ service: PushService }>({
  // The certificate is one that a gateway makes for this machine.
  service: async ({}, use, info) => {
    const maker = await Gateway.start();
    const [cert, key] = await Promise.all(['pem', 'key'].map((kind) => readFile(join(maker.folder, `tls/self-signed.${kind}`))));
    await maker.stop();
    await writeFile(info.outputPath('push.pem'), cert);
    const service = await PushService.start(cert, key);
    await use(service);
    service.close();
  },
  gateway: async ({ service }, use, info) => {
    expect(service).toBeTruthy();
    const settings = info.outputPath('tandem.toml');
    await writeFile(settings, `[push]\nprivate_endpoints = true\ncertificates = ${JSON.stringify(info.outputPath('push.pem'))}\n`);
    const gateway = await Gateway.start('--config', settings);
    await use(gateway);
    await gateway.stop();
  },
});

test('a closed page is told of a message', async ({ online, service }) => {
  const alice = await online('alice');
  const bob = await online('bob', { permissions: ['notifications'] });
  await service.standsIn(bob.context);
  // The page that is loaded now subscribes, as the permission is there.
  const subscribed = bob.context.waitForEvent('request', (request) => request.method() === 'PUT' && request.url().endsWith('/api/push'));
  await bob.page.reload();
  expect((await (await subscribed).response())!.status()).toBe(204);
  await bob.settings.click();
  await expect(bob.page.getByRole('dialog')).toContainText('Also while Tandem is closed.');

  // Nothing of Tandem is open any more, but the browser is.
  const blank = await bob.context.newPage();
  await bob.page.close();
  await alice.startsWith('bob');
  await alice.writes('Are you there?');
  const pushed = await service.next();
  expect(JSON.parse(pushed)).toMatchObject({ title: 'Alice', body: 'Are you there?', unread: 1 });
  await deliver(blank, bob.gateway.url, pushed);

  const shown = () => bob.context.serviceWorkers()[0].evaluate(async () => {
    const { registration } = self as unknown as { registration: ServiceWorkerRegistration };
    return (await registration.getNotifications()).map(({ title, body, tag, data }) => ({ title, body, tag, hash: data.hash }));
  });
  const hash = '#/with/sip%3Aalice%40tandem.test';
  await expect.poll(shown).toEqual([{ title: 'Alice', body: 'Are you there?', tag: 'sip:alice@tandem.test', hash }]);

  // Where a click leads, the message is, and the notification goes.
  await blank.goto(`${bob.gateway.url}/${hash}`);
  await expect(blank.getByRole('article').filter({ hasText: 'Are you there?' })).toBeVisible();
  await expect.poll(shown).toEqual([]);
});
