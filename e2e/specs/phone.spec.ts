// A browser and a plain SIP phone that knows nothing of CPM.
import { Baresip } from '../actors/baresip.ts';
import { expect, test } from '../actors/test.ts';

test('a browser and baresip write to each other', async ({ online, gateway }) => {
  const phone = await Baresip.start(gateway, 'bob', 'alice');
  try {
    const alice = await online('alice');
    await alice.startsWith('bob');
    await alice.writes('To your desk phone');
    await phone.gets('To your desk phone');
    // The phone cannot say that it has the message, so the gateway says it.
    await expect(alice.tick('To your desk phone', 'Delivered')).toBeVisible();
    phone.writes('From the desk phone');
    await alice.sees('From the desk phone');
    expect(await alice.thread()).toEqual(['To your desk phone', 'From the desk phone']);
  } finally {
    await phone.stop();
  }
});
