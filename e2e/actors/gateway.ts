// A real gateway in a folder of its own: started on free ports, stopped, killed and started again at the same addresses.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const BINARY = process.env.TANDEM_GATEWAY ?? resolve(import.meta.dirname, '../../target/release/ws-gateway');

export class Gateway {
  private child?: ChildProcess;
  private log: string[] = [];
  /** The addresses that the ready line names, by listener: http, sip, sips, msrp, admin. */
  addresses: Record<string, string> = {};

  private constructor(readonly folder: string, private readonly flags: string[]) {}

  /** A gateway with the demo users alice, bob and carol. */
  static async start(...flags: string[]): Promise<Gateway> {
    const gateway = new Gateway(await mkdtemp(join(tmpdir(), 'tandem-e2e-')), flags);
    await gateway.run();
    return gateway;
  }

  get url(): string {
    return `http://${this.addresses.http}`;
  }

  private async run(): Promise<void> {
    const listen = (name: string) => [`--${name}`, this.addresses[name] ?? '127.0.0.1:0'];
    const args = ['serve', '--demo', '--data-dir', this.folder, ...['http', 'sip', 'sips', 'msrp', 'msrps', 'webrtc', 'admin'].flatMap(listen)];
    const child = spawn(BINARY, [...args, ...this.flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    createInterface({ input: child.stderr! }).on('line', (line) => this.log.push(line));
    await new Promise<void>((ready, fail) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        this.log.push(line);
        if (!line.startsWith('ready')) return;
        for (const [, name, address] of line.matchAll(/(\w+)=(\S+:\d+)/g)) this.addresses[name] = address;
        ready();
      });
      child.once('exit', (code) => fail(new Error(`the gateway ended with ${code} before it was ready:\n${this.log.join('\n')}`)));
    });
  }

  /** Ends it as a crash would: nothing is flushed. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Starts it again on the same data and at the same addresses. */
  async restart(): Promise<void> {
    await this.run();
  }

  /** It stands still: its sockets stay open, and nothing comes out of them. */
  freeze(): void {
    this.child!.kill('SIGSTOP');
  }

  thaw(): void {
    this.child!.kill('SIGCONT');
  }

  /** Keeps the store from writing, as another program that holds its database would; gives what ends that. */
  async blockStore(): Promise<() => Promise<void>> {
    const script = [
      'import glob, sqlite3, sys',
      'db = sqlite3.connect(glob.glob(sys.argv[1] + "/*.db")[0], isolation_level=None)',
      'db.execute("PRAGMA busy_timeout = 10000")',
      'db.execute("BEGIN IMMEDIATE")',
      'print("blocked", flush=True)',
      'sys.stdin.read()',
    ];
    const blocker = spawn('python3', ['-c', script.join('\n'), this.folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(blocker, 'exit');
    const [words] = await Promise.race([once(blocker.stdout!, 'data'), ended]);
    if (!String(words).startsWith('blocked')) throw new Error('the store could not be blocked');
    return async () => {
      blocker.stdin!.end();
      await ended;
    };
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
    await rm(this.folder, { recursive: true, force: true });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    child.removeAllListeners('exit');
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}
