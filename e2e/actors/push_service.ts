// A push service in place of the browser vendor's, which no test can reach: it takes what the gateway really sends, and the browser's
// keys open it.
import { createDecipheriv, createECDH, hkdfSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { BrowserContext, Page } from '@playwright/test';

export class PushService {
  private readonly keys = createECDH('prime256v1');
  private readonly secret = randomBytes(16);
  private readonly taken: Buffer[] = [];
  private wake?: () => void;
  private constructor(private readonly server: Server) { this.keys.generateKeys(); }

  /** A service with this certificate and key, in PEM. */
  static async start(cert: Buffer, key: Buffer): Promise<PushService> {
    const server = createServer({ cert, key }, async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      service.taken.push(Buffer.concat(parts));
      service.wake?.();
      response.writeHead(201).end();
    });
    const service = new PushService(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return service;
  }

  /** Has the service worker of a browser subscribe here; everything else is its own. */
  async standsIn(context: BrowserContext): Promise<void> {
    const subscription = {
      endpoint: `https://localhost:${(this.server.address() as AddressInfo).port}/one`,
      keys: { p256dh: this.keys.getPublicKey('base64url'), auth: this.secret.toString('base64url') },
    };
    const workers = context.serviceWorkers();
    const worker = workers[0] ?? (await context.waitForEvent('serviceworker'));
    await worker.evaluate((subscription) => {
      let kept: unknown = null;
      const made = { toJSON: () => subscription, unsubscribe: async () => { kept = null; return true; } };
      PushManager.prototype.subscribe = async () => (kept = made) as never;
      PushManager.prototype.getSubscription = async () => kept as never;
    }, subscription);
  }

  /** What the next message says, as the browser's vendor hands it on: decrypted. */
  async next(): Promise<string> {
    while (!this.taken.length) await new Promise<void>((wake) => { this.wake = wake; });
    const body = this.taken.shift()!;
    const [salt, other, sealed] = [body.subarray(0, 16), body.subarray(21, 86), body.subarray(86)];
    const expand = (salt: Buffer, from: Buffer, info: Buffer, length: number) => Buffer.from(hkdfSync('sha256', from, salt, info, length));
    const agreed = Buffer.concat([Buffer.from('WebPush: info\0'), this.keys.getPublicKey(), other]);
    const material = expand(this.secret, this.keys.computeSecret(other), agreed, 32);
    const key = expand(salt, material, Buffer.from('Content-Encoding: aes128gcm\0'), 16);
    const nonce = expand(salt, material, Buffer.from('Content-Encoding: nonce\0'), 12);
    const opening = createDecipheriv('aes-128-gcm', key, nonce);
    opening.setAuthTag(sealed.subarray(-16));
    const plain = Buffer.concat([opening.update(sealed.subarray(0, -16)), opening.final()]);
    return plain.subarray(0, plain.lastIndexOf(2)).toString();
  }

  close(): void {
    this.server.close();
  }
}

/** Hands a push message to the service worker of an origin, as the browser does; any page will do. */
export async function deliver(page: Page, origin: string, data: string): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const registered = new Promise<string>((found) => {
    devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const ours = registrations.find(({ scopeURL, isDeleted }) => scopeURL.startsWith(origin) && !isDeleted);
      if (ours) found(ours.registrationId);
    });
  });
  await devtools.send('ServiceWorker.enable');
  await devtools.send('ServiceWorker.deliverPushMessage', { origin, registrationId: await registered, data });
  await devtools.detach();
}
