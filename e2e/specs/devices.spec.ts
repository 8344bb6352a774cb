// One person's devices: linked without a password, named, signed out from another.
import AxeBuilder from '@axe-core/playwright';
import type { Person } from '../actors/person.ts';
import { expect, test } from '../actors/test.ts';

const clean = async ({ page }: Person) => {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(' | ')}`)).toEqual([]);
};

for (const colorScheme of ['light', 'dark'] as const) {
  test(`a second browser is linked by its code, named, and signed out (${colorScheme})`, async ({ arrives, online }) => {
    const bob = await online('bob');
    const phone = await online('alice', { colorScheme, viewport: { width: 390, height: 844 } });
    await bob.startsWith('alice');
    await bob.writes('For all of your devices');
    const pc = await arrives('alice', { colorScheme });
    await pc.linkThis.click();
    await expect(pc.symbol).toBeVisible();
    await clean(pc);
    const code = (await pc.shownCode.textContent())!;
    expect(code).toMatch(/^\d{4} \d{4}$/);

    await phone.settings.click();
    await expect(phone.device('This device')).toBeVisible();
    await phone.linkDevice.click();
    await expect(phone.code).toBeFocused();
    await phone.page.keyboard.type('00000000');
    await phone.page.keyboard.press('Enter');
    await expect(phone.devices.getByRole('alert')).toContainText('No device shows this code');
    await phone.code.fill(code);
    await phone.page.keyboard.press('Enter');
    await expect(phone.devices.getByRole('group', { name: 'Link this device' })).toContainText('127.0.0.1');
    await clean(phone);
    await phone.approve.click();
    await expect(pc.newConversation).toBeVisible();
    await pc.opens('bob');
    await pc.sees('For all of your devices');

    const other = phone.otherDevices;
    await expect(other).toContainText('Online now');
    await other.getByRole('button', { name: 'Rename' }).click();
    await phone.page.keyboard.press('Control+a');
    await phone.page.keyboard.type('Kitchen');
    await phone.page.keyboard.press('Enter');
    await expect(phone.device('Kitchen')).toBeVisible();
    await clean(phone);

    await phone.device('Kitchen').getByRole('button', { name: 'Sign out there' }).click();
    await phone.device('Kitchen').getByRole('button', { name: 'Sign out there', exact: true }).click();
    await expect(other).toHaveCount(0);
    await expect(pc.signIn).toBeVisible();
    await expect(pc.page.getByText('This device was signed out')).toBeVisible();
    await clean(pc);
    const kept = () => pc.page.evaluate(async () => (await indexedDB.databases()).length + Number(localStorage.getItem('tandem.session') !== null));
    await expect.poll(kept).toBe(0);
    await pc.page.reload();
    await expect(pc.signIn).toBeVisible();
    await phone.page.keyboard.press('Escape');
    await phone.opens('bob');
    await phone.writes('Still here');
  });
}

test('the owner decides about what a camera has read', async ({ arrives, online, gateway }) => {
  const phone = await online('alice');
  const pc = await arrives('alice');
  await pc.linkThis.click();
  const code = async () => (await pc.shownCode.textContent())!.replace(' ', '');
  const first = await code();
  await phone.page.goto(`${gateway.url}/#link=${first}`);
  await phone.devices.getByRole('button', { name: 'Refuse' }).click();
  await expect(pc.page.getByText('The other device has refused.')).toBeVisible();
  await pc.page.getByRole('button', { name: 'Show a new code' }).click();
  await expect(pc.shownCode).toBeVisible();
  expect(await code()).not.toBe(first);
  await phone.page.goto(`${gateway.url}/#link=${await code()}`);
  await phone.approve.click();
  await expect(pc.newConversation).toBeVisible();
  await expect(phone.otherDevices).toHaveCount(1);
});

test('a one-time code comes to the device that is signed in', async ({ arrives, online }) => {
  const phone = await online('alice');
  const pc = await arrives('alice');
  await pc.linkThis.click();
  await pc.page.getByText('Send a code to my phone instead').click();
  await pc.address.fill('alice');
  await pc.page.getByRole('button', { name: 'Send code' }).click();
  await phone.conversation('Tandem').click();
  const words = await phone.bubble('Your Tandem code').textContent();
  const code = /code is (\d{4} \d{4})/.exec(words!)![1];
  const field = pc.page.getByLabel('Code from the message');
  await field.fill('12345678');
  await field.press('Enter');
  await expect(pc.alert).toContainText('not the code');
  await clean(pc);
  await field.fill(code);
  await field.press('Enter');
  await expect(pc.newConversation).toBeVisible();
});
