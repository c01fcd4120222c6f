import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { LineAddress } from '../lanes/machine.ts';

/** One serial line of the guest: a socket that its emulator connects to. */
export interface Line extends LineAddress {
  /** Called once, when the emulator has connected. */
  connected: Promise<Socket>;
  close(): void;
}

/**
 * Listens for an emulator's serial line: on a socket file, or on a TCP port of the loopback for an emulator that knows
 * no other. The first one to come is taken, and nobody after it.
 */
export function openLine(dir: string, name: string, kind: 'unix' | 'tcp'): Promise<Line> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer({ pauseOnConnect: true });
    let socket: Socket | undefined;
    const connected = new Promise<Socket>((taken) => {
      server.once('connection', (first) => {
        socket = first;
        // A reset when the emulator is killed is an end like any other.
        first.on('error', () => first.destroy());
        server.close();
        taken(first);
      });
    });
    const path = join(dir, name);
    const close = () => {
      if (server.listening) server.close();
      socket?.destroy();
    };
    server.once('error', reject);
    const ready = () => {
      const address = server.address();
      resolve({ path, port: typeof address === 'object' && address ? address.port : 0, connected, close });
    };
    if (kind === 'unix') server.listen(path, ready);
    else server.listen(0, '127.0.0.1', ready);
  });
}
