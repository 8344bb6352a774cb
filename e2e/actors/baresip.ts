// baresip, a SIP phone that others wrote: driven over its control socket, watched by its SIP trace.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@playwright/test';
import type { Gateway } from './gateway.ts';
import { password, type Name } from './person.ts';

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
};

export class Baresip {
  trace = '';
  private said = '';
  private constructor(private readonly child: ChildProcess, private readonly folder: string, private control?: Socket) {}

  /** A phone of `name`, who knows `contact`, registered at the gateway over UDP. */
  static async start(gateway: Gateway, name: Name, contact: Name): Promise<Baresip> {
    const folder = await mkdtemp(join(tmpdir(), 'tandem-baresip-'));
    const [listen, control] = [await freePort(), await freePort()];
    const modules = ['module g711.so', 'module uuid.so', 'module_app account.so', 'module_app contact.so', 'module_app menu.so', 'module ctrl_tcp.so'];
    const config = ['poll_method epoll', `sip_listen 127.0.0.1:${listen}`, 'module_path /usr/lib/baresip/modules', ...modules, `ctrl_tcp_listen 127.0.0.1:${control}`];
    const account = `<sip:${name}@tandem.test>;auth_user=${name};auth_pass=${password(name)};outbound="sip:${gateway.addresses.sip};transport=udp";regint=600`;
    await writeFile(join(folder, 'config'), `${config.join('\n')}\n`);
    await writeFile(join(folder, 'accounts'), `${account}\n`);
    await writeFile(join(folder, 'contacts'), `"${contact}" <sip:${contact}@tandem.test>\n`);
    const phone = new Baresip(spawn('baresip', ['-4', '-s', '-f', folder], { stdio: ['ignore', 'pipe', 'ignore'] }), folder);
    phone.child.stdout!.on('data', (chunk) => { phone.trace += chunk; });
    await expect(async () => {
      const socket = connect(control, '127.0.0.1');
      await once(socket, 'connect');
      phone.control = socket.on('data', (chunk) => { phone.said += chunk; });
    }).toPass();
    await expect.poll(() => { phone.command('reginfo'); return phone.said; }).toContain('OK');
    return phone;
  }

  private command(command: string, params = ''): void {
    const text = JSON.stringify({ command, params, token: 'test' });
    this.control!.write(`${text.length}:${text},`);
  }

  /** Writes to the contact. */
  writes(text: string): void {
    this.command('contact_next');
    this.command('message', text);
  }

  async gets(text: string): Promise<void> {
    await expect.poll(() => this.trace).toContain(text);
  }

  async stop(): Promise<void> {
    this.control?.destroy();
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}
