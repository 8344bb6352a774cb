// Where things are on the screen, by role and name, as a person or a screen reader finds them.
import type { Locator, Page } from '@playwright/test';

export class Messenger {
  constructor(readonly page: Page) {}

  get address(): Locator { return this.page.getByLabel('Address', { exact: true }); }
  get password(): Locator { return this.page.getByLabel('Password', { exact: true }); }
  get signIn(): Locator { return this.page.getByRole('button', { name: 'Sign in' }); }
  get alert(): Locator { return this.page.getByRole('alert'); }

  get newConversation(): Locator { return this.page.getByRole('button', { name: 'New conversation' }).first(); }
  get to(): Locator { return this.page.getByLabel('To', { exact: true }); }
  get start(): Locator { return this.page.getByRole('dialog').getByRole('button', { name: 'Start conversation' }); }
  get search(): Locator { return this.page.getByRole('searchbox', { name: 'Search conversations' }); }
  get settings(): Locator { return this.page.getByRole('button', { name: 'Settings' }); }

  get conversations(): Locator { return this.page.getByRole('navigation', { name: 'Conversations' }); }
  conversation(name: string): Locator { return this.conversations.getByRole('link', { name: new RegExp(name, 'i') }); }

  get linkThis(): Locator { return this.page.getByRole('button', { name: 'Link with another device' }); }
  get shownCode(): Locator { return this.page.getByRole('status', { name: 'Code', exact: true }); }
  get symbol(): Locator { return this.page.getByRole('img', { name: 'Picture of the code' }); }

  get devices(): Locator { return this.page.getByRole('region', { name: 'Devices' }); }
  device(name: string): Locator { return this.devices.getByRole('listitem').filter({ hasText: name }); }
  get otherDevices(): Locator { return this.devices.getByRole('listitem').filter({ hasNotText: 'This device' }); }
  get linkDevice(): Locator { return this.devices.getByRole('button', { name: 'Link a device' }); }
  get code(): Locator { return this.devices.getByLabel('Code on the new device'); }
  get approve(): Locator { return this.devices.getByRole('button', { name: 'Approve' }); }

  get waitingEntry(): Locator { return this.page.getByRole('button', { name: /waits? for you/ }); }
  get waiting(): Locator { return this.page.getByRole('list', { name: 'Waiting messages' }).getByRole('listitem'); }

  get messages(): Locator { return this.page.getByRole('list', { name: /^Messages with/ }); }
  get bubbles(): Locator { return this.messages.getByRole('article'); }
  bubble(text: string | RegExp): Locator { return this.bubbles.filter({ hasText: text }); }
  /** The tick of a message that has come at least this far, or has failed. */
  tick(text: string, state: 'Sending' | 'Sent' | 'Delivered' | 'Read' | 'Not sent'): Locator {
    const reached = { Sending: /^(Sending|Sent|Delivered|Read)$/, Sent: /^(Sent|Delivered|Read)$/, Delivered: /^(Delivered|Read)$/, Read: /^Read$/, 'Not sent': /^Not sent$/ };
    return this.bubble(text).getByRole('img', { name: reached[state] });
  }

  get composer(): Locator { return this.page.getByRole('textbox', { name: 'Message', exact: true }); }
  get send(): Locator { return this.page.getByRole('button', { name: 'Send', exact: true }); }
  get connection(): Locator { return this.page.getByRole('status', { name: 'Connection' }); }
  get repair(): Locator { return this.page.getByRole('button', { name: 'Repair' }); }
  get ladder(): Locator { return this.page.getByRole('dialog', { name: 'Details' }); }
  get banner(): Locator { return this.page.locator('.banner'); }
}
