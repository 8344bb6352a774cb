// R348: two tabs of one profile are one device.
import { expect, test } from '../actors/test.ts';

test('two tabs show the same and send once', async ({ online }) => {
  const bob = await online('bob');
  const alice = await online('alice');
  const tab = await alice.secondTab();
  await tab.startsWith('bob');
  await tab.writes('from the second tab');
  await expect(bob.conversation('Alice')).toContainText('from the second tab');
  await alice.opens('bob');
  await alice.sees('from the second tab');
  await bob.opens('alice');
  expect(await bob.thread()).toEqual(['from the second tab']);
  await expect(tab.tick('from the second tab', 'Read')).toBeVisible();
  await expect(alice.tick('from the second tab', 'Read')).toBeVisible();
});

test('when the leading tab closes, the other goes on', async ({ online }) => {
  const bob = await online('bob');
  const alice = await online('alice');
  const tab = await alice.secondTab();
  await tab.startsWith('bob');
  await alice.page.close();
  await tab.writes('still here');
  await expect(bob.conversation('Alice')).toContainText('still here');
  await bob.opens('alice');
  await bob.writes('and so am I');
  await tab.sees('and so am I');
});

test('the crash of the leading tab is survived and only the leader probes', async ({ online }) => {
  const bob = await online('bob');
  const alice = await online('alice');
  const probes: string[] = [];
  const tab = await alice.secondTab((page) => page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => {
    if (String(payload).includes('application/vnd.tandem.probe')) probes.push(socket.url());
  })));
  await tab.startsWith('bob');
  await expect(tab.connection).toHaveText(/messages flow/);
  expect(probes).toEqual([]);
  const devtools = await alice.context.newCDPSession(alice.page);
  const crashed = alice.page.waitForEvent('crash');
  void devtools.send('Page.crash').catch(() => {});
  await crashed;
  await tab.writes('after the crash');
  await expect(bob.conversation('Alice')).toContainText('after the crash');
  await expect.poll(() => probes.length).toBe(1);
  await bob.opens('alice');
  expect(await bob.thread()).toEqual(['after the crash']);
});
