// R229, R230, R235, R236, R243, R342: what a person chooses holds on all of their devices.
import { expect, test } from '../actors/test.ts';

test('a choice on one device is seen on the other', async ({ online }) => {
  const laptop = await online('alice');
  const desk = await online('alice');
  await laptop.settings.click();
  await desk.settings.click();
  const away = (person: typeof laptop) => person.page.getByRole('combobox', { name: 'While none of my devices is there' });
  await expect(away(laptop)).toHaveValue('push');
  await away(laptop).selectOption('Keep in my history');
  await expect(away(desk)).toHaveValue('store');

  const quiet = (person: typeof laptop) => person.page.getByRole('switch', { name: /^Quiet hours/ });
  await quiet(desk).click();
  await expect(quiet(laptop)).toBeChecked();
  await desk.page.getByLabel('From').fill('21:30');
  await desk.page.getByLabel('From').blur();
  await expect(laptop.page.getByLabel('From')).toHaveValue('21:30');
  await laptop.page.getByRole('checkbox', { name: 'Sat' }).click();
  await expect(desk.page.getByRole('checkbox', { name: 'Sat' })).not.toBeChecked();

  // Every device can be left out of what comes, from any of them.
  const devices = (person: typeof laptop) => person.page.getByRole('group', { name: 'Devices that get messages' }).getByRole('checkbox');
  await expect(devices(laptop)).toHaveCount(2);
  await devices(desk).first().click();
  await expect(devices(laptop).first()).not.toBeChecked();
  await expect(devices(laptop).last()).toBeChecked();
  await devices(laptop).first().click();
  await expect(devices(desk).first()).toBeChecked();

  // Both change different things at once, and neither undoes the other.
  const read = (person: typeof laptop) => person.page.getByRole('switch', { name: 'Tell others when I have read their messages' });
  const late = (person: typeof laptop) => person.page.getByRole('combobox', { name: 'What waited too long' });
  await Promise.all([read(laptop).click(), late(desk).selectOption('Discard')]);
  for (const person of [laptop, desk]) {
    await expect(read(person)).not.toBeChecked();
    await expect(late(person)).toHaveValue('discard');
  }
  await laptop.page.reload();
  await laptop.isConnected();
  await laptop.settings.click();
  await expect(late(laptop)).toHaveValue('discard');
});

test('each device has a profile of its own', async ({ online }) => {
  const laptop = await online('alice');
  await laptop.settings.click();
  const page = laptop.page;
  await page.getByText('Change profiles').click();
  await page.getByLabel('Name of the profile').fill('Meeting');
  await page.getByRole('button', { name: 'New profile' }).click();
  const here = page.getByRole('combobox', { name: 'Profile of this device' });
  await expect(here.getByRole('option', { name: 'Meeting' })).toBeAttached();
  await expect(here.locator('option:checked')).toHaveText('Meeting');
  await page.getByRole('combobox', { name: 'While none of my devices is there' }).selectOption('Discard');

  const desk = await online('alice');
  await desk.settings.click();
  const away = desk.page.getByRole('combobox', { name: 'While none of my devices is there' });
  await expect(away).toHaveValue('push');
  await desk.page.getByRole('combobox', { name: 'Profile of this device' }).selectOption('Meeting');
  await expect(away).toHaveValue('discard');
  await desk.page.getByText('Change profiles').click();
  await desk.page.getByRole('button', { name: 'Make it the default' }).click();
  await expect(here.getByRole('option', { name: 'The default (Meeting)' })).toBeAttached();
  await page.getByLabel('Name of the profile').fill('Away');
  await page.getByRole('button', { name: 'Rename', exact: true }).click();
  await expect(desk.page.getByRole('option', { name: 'The default (Away)' })).toBeAttached();
  await here.selectOption('Usual');
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await expect(here.getByRole('option', { name: 'Usual' })).toHaveCount(0);
});

test('a person is blocked from the conversation with them, and unblocked again', async ({ online }) => {
  const bob = await online('bob');
  const alice = await online('alice');
  await bob.startsWith('alice');
  await bob.writes('hello');
  await alice.opens('bob');
  await alice.sees('hello');
  const block = alice.page.getByRole('button', { name: 'Block this person' });
  const blocked = alice.page.getByText('You have blocked Bob');
  await block.click();
  await expect(blocked).toBeVisible();
  await expect(block).toHaveCount(0);
  await alice.page.getByRole('button', { name: 'Unblock', exact: true }).click();
  await expect(blocked).toHaveCount(0);
  await block.click();
  await expect(blocked).toBeVisible();

  const other = await online('alice');
  await other.opens('bob');
  await expect(other.page.getByText('You have blocked Bob')).toBeVisible();
  await other.settings.click();
  await other.page.getByRole('button', { name: 'Unblock bob@tandem.test' }).click();
  await expect(other.page.getByText('Nobody. Block somebody')).toBeVisible();
  await expect(blocked).toHaveCount(0);
});
