/** A TCP connection to a server that stops reading when it is told to, as a client does that is too slow. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class SlowLink {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #isSlow = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<SlowLink> {
    const server = createServer();
    const link = new SlowLink(server);
    server.on('connection', (client) => link.#join(client, connect(port, '127.0.0.1')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return link;
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #join(client: Socket, server: Socket): void {
    const close = () => {
      client.destroy();
      server.destroy();
      this.#open.delete(server);
    };
    for (const socket of [client, server]) socket.on('close', close).on('error', close);
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => client.write(bytes)).on('end', close);
    this.#open.add(server);
    if (this.#isSlow) server.pause();
  }

  /** It reads nothing that the server writes. */
  stopReading(): void {
    this.#isSlow = true;
    for (const server of this.#open) server.pause();
  }

  readAgain(): void {
    this.#isSlow = false;
    for (const server of this.#open) server.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#open) server.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
