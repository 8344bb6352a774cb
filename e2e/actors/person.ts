// A person at a browser of their own: signs in, writes, reads.
import { expect, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from '@playwright/test';
import { Messenger } from '../pages/messenger.ts';
import type { Gateway } from './gateway.ts';

/** The demo users' names, as their conversations are titled. */
export const NAMES = { alice: 'Alice', bob: 'Bob', carol: 'Carol' } as const;
export type Name = keyof typeof NAMES;
export const password = (name: Name) => `${name}-demo`;

export class Person extends Messenger {
  /** What went wrong in the page that no person would see: it fails the test at the end. */
  readonly faults: string[] = [];

  private constructor(readonly name: Name, readonly context: BrowserContext, page: Page, readonly gateway: Gateway) {
    super(page);
    page.on('pageerror', (error) => this.faults.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/Failed to load resource|WebSocket connection|ERR_/.test(message.text())) this.faults.push(message.text());
    });
  }

  /** Opens a browser profile of their own at the sign-in page. */
  static async arrive(browser: Browser, gateway: Gateway, name: Name, options: BrowserContextOptions = {}): Promise<Person> {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
    const person = new Person(name, context, await context.newPage(), gateway);
    await person.page.goto(gateway.url);
    return person;
  }

  /** The same, signed in and connected. */
  static async online(browser: Browser, gateway: Gateway, name: Name, options: BrowserContextOptions = {}): Promise<Person> {
    const person = await Person.arrive(browser, gateway, name, options);
    await person.signsIn();
    return person;
  }

  /** A second tab of the same profile. */
  async secondTab(prepare?: (page: Page) => void): Promise<Person> {
    const tab = new Person(this.name, this.context, await this.context.newPage(), this.gateway);
    prepare?.(tab.page);
    await tab.page.goto(this.gateway.url);
    return tab;
  }

  async signsIn(secret = password(this.name)): Promise<void> {
    await this.address.fill(this.name);
    await this.password.fill(secret);
    await this.signIn.click();
    await expect(this.newConversation).toBeVisible();
    await this.isConnected();
  }

  async isConnected(): Promise<void> {
    await expect(this.banner).toHaveCount(0);
  }

  async opens(other: Name): Promise<void> {
    await this.conversation(NAMES[other]).click();
    await expect(this.composer).toBeVisible();
  }

  async startsWith(other: string): Promise<void> {
    await this.newConversation.click();
    await this.to.fill(other);
    await this.start.click();
    await expect(this.composer).toBeVisible();
  }

  async writes(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.send.click();
    await expect(this.bubble(text)).toBeVisible();
  }

  async sees(text: string | RegExp): Promise<void> {
    await expect(this.bubble(text)).toBeVisible();
  }

  /** Looks at the way of a message. */
  async inspects(text: string): Promise<void> {
    await this.bubble(text).hover();
    await this.bubble(text).getByRole('button', { name: 'Details' }).click();
    await expect(this.ladder).toBeVisible();
  }

  /** The texts of all drawn bubbles, in order. */
  async thread(): Promise<string[]> {
    return this.bubbles.locator('.bubble__words').allTextContents();
  }

  /** Chooses to be asked before messages come that were sent while no device was there. */
  async wantsToBeAsked(): Promise<void> {
    const status = await this.page.evaluate(async (name) => {
      const path = `/xcap/vnd.tandem.preferences/users/sip:${name}@tandem.test/index`;
      const profile = "<profile id='usual'><deferred-delivery>notify</deferred-delivery></profile>";
      const body = `<preferences xmlns='urn:tandem:params:xml:ns:preferences' default='usual'>${profile}</preferences>`;
      const headers = { 'Content-Type': 'application/vnd.tandem.preferences+xml' };
      return (await fetch(path, { method: 'PUT', headers, body })).status;
    }, this.name);
    expect([200, 201]).toContain(status);
  }

  async leaves(): Promise<void> {
    await this.context.close();
    expect(this.faults).toEqual([]);
  }
}
