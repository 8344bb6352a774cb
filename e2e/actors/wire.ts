// The network between a browser and the gateway: it carries everything until it is cut.
import { createServer, connect, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Gateway } from './gateway.ts';

export class Wire {
  private readonly sockets = new Set<Socket>();
  private constructor(private readonly server: Server) {}

  static async to(gateway: Gateway): Promise<Wire> {
    const [host, port] = gateway.addresses.http.split(':');
    const server = createServer((near) => {
      const far = connect(Number(port), host);
      for (const [one, other] of [[near, far], [far, near]]) {
        wire.sockets.add(one);
        one.pipe(other);
        one.on('error', () => other.destroy());
        one.on('close', () => { wire.sockets.delete(one); other.destroy(); });
      }
    });
    const wire = new Wire(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Every connection dies at once; new ones get through. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
