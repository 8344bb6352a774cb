// The story's stage: a gateway per test, and people who come to it and leave at the end.
import { test as base, type BrowserContextOptions } from '@playwright/test';
import { Gateway } from './gateway.ts';
import { Person, type Name } from './person.ts';

type Stage = {
  gateway: Gateway;
  /** Brings somebody to the sign-in page. */
  arrives: (name: Name, options?: BrowserContextOptions) => Promise<Person>;
  /** Brings somebody who is signed in. */
  online: (name: Name, options?: BrowserContextOptions) => Promise<Person>;
};

export const test = base.extend<Stage>({
  gateway: async ({}, use) => {
    const gateway = await Gateway.start();
    await use(gateway);
    await gateway.stop();
  },
  arrives: async ({ browser, gateway }, use) => {
    const people: Person[] = [];
    await use(async (name, options) => {
      const person = await Person.arrive(browser, gateway, name, options);
      people.push(person);
      return person;
    });
    for (const person of people) await person.leaves();
  },
  online: async ({ arrives }, use) => {
    await use(async (name, options) => {
      const person = await arrives(name, options);
      await person.signsIn();
      return person;
    });
  },
});

export { expect } from '@playwright/test';
